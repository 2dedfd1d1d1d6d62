//! Interviews: the first line names a form, each further one is an event. A question is named by its place among those that are shown, so
//! that a line means something in every form.

use std::sync::{Arc, OnceLock};

use karwan_form::answer_file::AnswerLine;
use karwan_form::answers::Answers;
use karwan_form::interview::{Context, Interview, Mode, NodeState, Refused, StateKind};
use karwan_form::model::Form;
use karwan_form::{answer_file, received, xform};

use crate::corpus::Dice;
use crate::form_made;
use crate::fuzzing::grammar::TEXTS;
use crate::fuzzing::marks::Marks;
use crate::fuzzing::mutation::{self, NUMBERS};
use crate::fuzzing::target::Target;
use crate::fuzzing::words::XFORM;
use crate::fuzzing::{exercise, targets};
use crate::workbook;

pub const TARGET: Target =
    Target { name: "answers", about: "an interview: events, stored answers, submissions", seeds, mutate, run };

/// Seeds of random forms.
const MADE: u64 = 8;
/// Most events of one input.
const EVENTS_MAX: usize = 150;

/// Most instances that a line asks for.
const INSTANCES_MAX: usize = 50;

/// What a made form has not: actions that answer one another, nested counts, last-saved, a filter over a repeat.
const ACTIVE: &str = include_str!("active.xml");

fn forms() -> &'static [Arc<Form>] {
    static FORMS: OnceLock<Vec<Arc<Form>>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let books = [workbook::household_form(), workbook::visit_form()].into_iter().flatten();
        let made = (1..=MADE).filter_map(|seed| form_made::form(seed).bytes().ok());
        let books = books.chain(targets::programmes()).chain(made);
        let active = xform::read(ACTIVE.as_bytes(), "active.xml").map_err(|faults| format!("{faults:?}")).unwrap();
        let read = books.map(|book| karwan_form::read(&book, "fuzz.xlsx").map_err(|faults| format!("{faults:?}")).unwrap());
        std::iter::once(active).chain(read).map(Arc::new).collect()
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(1);
    (0..forms().len() * 3)
        .map(|number| {
            let events: Vec<String> = (0..12).map(|_| event(&mut dice)).collect();
            format!("{number}\n{}", events.join("\n")).into_bytes()
        })
        .collect()
}

struct Player {
    interview: Interview,
    context: Context,
}

fn run(input: &[u8], marks: &mut Marks) {
    let script = String::from_utf8_lossy(input);
    let mut lines = script.lines();
    let number = lines.next().and_then(|line| line.trim().parse::<usize>().ok()).unwrap_or(0) % forms().len();
    let context = exercise::context();
    let Ok(interview) = Interview::start(forms()[number].clone(), context.clone()) else { return };
    let mut player = Player { interview, context };
    let mut before = "start";
    for line in lines.take(EVENTS_MAX) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let Some(event) = EVENTS.iter().find(|event| **event == word) else { continue };
        player.event(event, rest, marks, number);
        marks.step();
        if marks.is_tired() {
            return;
        }
        marks.note((number, before, event));
        before = event;
    }
    let nodes = player.interview.all_nodes();
    for node in &nodes {
        marks.note((number, node.node, node.relevant, node.violation.is_some(), node.value.as_deref().map(str::is_empty)));
    }
    marks.count(number, nodes.len());
    exercise::submitted(&mut player.interview, marks);
}

const EVENTS: [&str; 16] = [
    "set", "choose", "place", "add", "addat", "remove", "language", "finalize", "edited", "reopen", "judge", "later", "stored",
    "received", "line", "show",
];

impl Player {
    fn event(&mut self, event: &str, rest: &str, marks: &mut Marks, form: usize) {
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let at: usize = first.parse().unwrap_or(0);
        match event {
            "set" | "choose" => {
                let nodes = self.interview.nodes();
                let asked: Vec<&NodeState> = nodes.iter().filter(|node| node.value.is_some()).collect();
                let Some(node) = asked.get(at % asked.len().max(1)) else { return };
                let value = if event == "set" { second.to_owned() } else { chosen(node, second) };
                let outcome = self.interview.set(&node.place, &value);
                marks.note((form, node.node, told(&outcome)));
            }
            "place" => marks.note((event, told(&self.interview.set(first, second)))),
            "add" => {
                let nodes = self.interview.nodes();
                let repeats: Vec<&NodeState> = nodes.iter().filter(|node| node.kind == StateKind::Repeat).collect();
                let Some(repeat) = repeats.get(at % repeats.len().max(1)) else { return };
                marks.note((form, event, repeat.node, told(&self.interview.add(&repeat.reference))));
            }
            "addat" => marks.note((event, told(&self.interview.add_as(first, second)))),
            "remove" => {
                let nodes = self.interview.nodes();
                let instances: Vec<&NodeState> = nodes.iter().filter(|node| node.kind == StateKind::RepeatInstance).collect();
                let place = instances.get(at % instances.len().max(1)).map_or(first, |instance| &instance.place);
                marks.note((form, event, told(&self.interview.remove(place))));
            }
            "language" => {
                let languages = &self.interview.form().languages;
                let language = languages.get(at % languages.len().max(1)).cloned().unwrap_or_else(|| first.to_owned());
                marks.note((form, event, told(&self.interview.set_language(&language))));
            }
            "finalize" => marks.note((form, event, self.interview.finalize().is_ok())),
            "edited" => marks.note((form, event, self.interview.finalize_edited(rest).is_ok())),
            "reopen" | "judge" => {
                let answers = self.interview.answers();
                self.open(&answers, event == "judge", marks);
            }
            "later" => {
                self.context.now_ms = rest.parse().unwrap_or(self.context.now_ms + 86_400_000);
                self.context.last_saved = Some(self.interview.answers());
            }
            "stored" => match serde_json::from_str::<Answers>(rest) {
                Ok(answers) => self.open(&answers, false, marks),
                Err(error) => marks.note(error.classify() as u8),
            },
            "received" => self.received(at, second, marks),
            "line" => {
                let lines = answer_file::parse(rest).map(|mut lines| {
                    // Each instance is an answer of its own, and many of them no step.
                    lines.retain(|line| !matches!(line, AnswerLine::Repeat { count, .. } if *count > INSTANCES_MAX));
                    lines
                });
                let outcome = lines.and_then(|lines| answer_file::apply(&mut self.interview, &lines));
                marks.note((event, outcome.map_err(|error| std::mem::discriminant(&error))));
            }
            _ => {
                marks.count((form, "entities"), self.interview.entity_writes().len());
                marks.count((form, "shown"), self.interview.display_values().len());
                marks.count((form, "violations"), self.interview.violations().len());
            }
        }
    }

    fn open(&mut self, answers: &Answers, judges: bool, marks: &mut Marks) {
        let mode = if judges { Mode::Judge } else { Mode::Edit };
        let opened = Interview::open(self.interview.form().clone(), answers, self.context.clone(), mode);
        marks.note(("open", judges, opened.is_ok()));
        if let Ok(opened) = opened {
            self.interview = opened;
        }
    }

    /// Damages what would be submitted at one place, and reads it.
    fn received(&mut self, at: usize, text: &str, marks: &mut Marks) {
        let Ok(submission) = self.interview.finalize() else { return };
        let mut xml = submission.xml.into_bytes();
        let at = at % (xml.len() + 1);
        let end = (at + text.len()).min(xml.len());
        xml.splice(at..end, text.bytes());
        match received::read(&self.interview.form().clone(), &xml) {
            Ok(received) => self.open(&received.answers, false, marks),
            Err(fault) => marks.message(&fault.message),
        }
    }
}

/// How an event ended, without what it said.
fn told<Given>(outcome: &Result<Given, Refused>) -> Option<std::mem::Discriminant<Refused>> {
    outcome.as_ref().err().map(std::mem::discriminant)
}

/// Some of the choices that are offered, by their numbers.
fn chosen(node: &NodeState, numbers: &str) -> String {
    let choices = node.choices.as_deref().unwrap_or_default();
    let numbers = numbers.split(',').filter_map(|number| number.trim().parse::<usize>().ok());
    let values: Vec<&str> =
        numbers.filter_map(|number| Some(choices.get(number % choices.len().max(1))?.value.as_str())).collect();
    values.join(" ")
}

/// An event as a person or a device may bring it.
fn event(dice: &mut Dice) -> String {
    let number = if dice.below(20) == 0 { dice.below(500) } else { dice.below(60) };
    match dice.below(24) {
        0..=6 => format!("set {number} {}", if dice.below(2) == 0 { dice.of(&NUMBERS) } else { dice.of(&TEXTS) }),
        7..=10 => format!("choose {number} {},{}", dice.below(9), dice.below(9)),
        11 | 12 => format!("add {number}"),
        13 => format!("remove {number}"),
        14 => format!("language {}", dice.below(4)),
        15 => format!("place {} {}", dice.of(&["/data/a", "/data/r[1]/x", "/data/r[99]/x", "/data/meta/instanceID", "/data", "a/b[", "/data/r[-1]"]), dice.of(&NUMBERS)),
        16 => format!("addat {} {}", dice.of(&["/data/r", "/data/r[1]/q", "/data"]), dice.of(&["1", "", "0b7e", "2"])),
        17 => dice.of(&["finalize", "edited uuid:1", "show", "reopen", "judge"]).to_owned(),
        18 => format!("later {}", dice.of(&["", "0", "-62135596800000", "253402300799000", "9223372036854775807", "-9223372036854775808"])),
        19 => format!(
            "stored {}",
            dice.of(&[
                "{\"values\":{\"a\":\"7\",\"b\":[\"x\",\"y\"],\"zz/y\":\"kept\"},\"repeats\":{}}",
                "{\"values\":{},\"repeats\":{\"r\":[{\"id\":\"1\",\"order\":\"V\",\"answers\":{\"values\":{\"x\":\"3\"},\"repeats\":{}}},{\"id\":\"1\",\"order\":\"\",\"answers\":{\"values\":{},\"repeats\":{}}}]}}",
            ])
        ),
        20 => format!("received {} {}", dice.below(3000), dice.of(&XFORM)),
        21 => format!("line {}={}", dice.of(&["a", "/data/r[1]/x", "repeat r", "repeat member", "x@1", "x@1.1"]), dice.of(&NUMBERS)),
        _ => format!("set {number} {}", dice.of(&TEXTS)),
    }
}

fn mutate(dice: &mut Dice, input: &[u8], other: &[u8]) -> Vec<u8> {
    let (input, other) = (String::from_utf8_lossy(input), String::from_utf8_lossy(other));
    match dice.below(6) {
        0 => mutation::text(dice, &input, &other, &TEXTS).into_bytes(),
        1 => {
            let (_, events) = input.split_once('\n').unwrap_or_default();
            format!("{}\n{events}", dice.below(forms().len() as u64)).into_bytes()
        }
        2 => mutation::lines(dice, &input, &other).into_bytes(),
        _ => {
            let mut lines: Vec<String> = input.lines().map(str::to_owned).collect();
            for _ in 0..=dice.below(6) {
                let at = (1 + dice.below(lines.len() as u64) as usize).min(lines.len());
                if dice.below(2) == 0 && at < lines.len() {
                    lines[at] = event(dice);
                } else {
                    lines.insert(at, event(dice));
                }
            }
            lines.join("\n").into_bytes()
        }
    }
}
