//! An interview in a terminal, question by question. A question is put only after the answer to the one before is on disk, so that
//! whatever ends the process loses no answer.

use std::io::{BufRead, Write};

use karwan_client::interview::{ChoiceState, NodeState, StateKind, ViolationKind};
use karwan_client::{ClientError, Collect};
use karwan_form::model::DataType;
use karwan_linkage::fold::fold_key;
use serde_json::json;

use super::super::output::{Answer, hint, isolated};
use super::written;
use crate::problem::Problem;

/// Choices that are written out; the rest is found by a part of its name.
const CHOICES_SHOWN: usize = 30;
/// Exit status of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// A place where the interview may halt, in document order.
enum Stop {
    Question(NodeState),
    Note(NodeState),
    Heading(NodeState),
    /// Another instance of the repeat at this place?
    Another(NodeState),
}

impl Stop {
    fn key(&self) -> (&str, bool) {
        match self {
            Self::Question(node) | Self::Note(node) | Self::Heading(node) => (&node.place, false),
            Self::Another(node) => (&node.place, true),
        }
    }

    /// Whether it halts here as things are.
    fn stands(&self) -> bool {
        match self {
            Self::Question(node) => node.relevant && !node.readonly,
            Self::Note(node) | Self::Heading(node) => node.relevant && node.label.as_ref().is_some_and(|label| !label.is_empty()),
            Self::Another(node) => node.relevant && node.may_add,
        }
    }
}

/// A stop by its key, which stays the same while instances come and go.
type Key = (String, bool);

/// Where to go on.
enum From {
    Start,
    At(Key),
    After(Key),
}

/// What a person typed at a stop.
enum Said {
    Done,
    Again,
    Back,
    Draft,
    Added(String),
}

/// Asks until the interview is finished, left as a draft, or the input ends.
pub(super) fn ask(mut collect: Collect, draft: bool, folder: &str) -> Result<Answer, Problem> {
    let record = collect.record();
    let go_on = format!("karwan device fill {folder} --resume {record}");
    end_kindly(go_on.clone());
    hint("Enter keeps what is there, ? helps, < goes back, !draft leaves a draft. Each answer is kept at once.");
    let mut input = std::io::stdin().lock();
    let mut asked: Vec<Key> = Vec::new();
    let mut from = first(&collect);
    loop {
        let stops = stops(collect.interview().nodes());
        let Some(stop) = next(&stops, &from) else {
            if draft {
                collect.keep_draft()?;
                return Ok(kept(&collect, &go_on));
            }
            match collect.finalize() {
                Ok(record) => return Ok(written(record)),
                Err(ClientError::Invalid(violations)) => {
                    let mend = violations.iter().map(|broken| (broken.place.clone(), false)).find(|key| {
                        stops.iter().any(|stop| matches!(stop, Stop::Question(_)) && stop.stands() && owned(stop.key()) == *key)
                    });
                    hint("The interview cannot be finished yet.");
                    let Some(key) = mend else { return Err(ClientError::Invalid(violations).into()) };
                    from = From::At(key);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let key = owned(stop.key());
        let said = match stop {
            Stop::Heading(node) => {
                hint(&format!("\n== {} ==", heading(node)));
                Said::Done
            }
            Stop::Note(node) => {
                hint(&format!("\n{}", isolated(node.label.as_deref().unwrap_or_default())));
                Said::Done
            }
            Stop::Question(node) => question(&mut collect, node, &mut input, &go_on)?,
            Stop::Another(node) => another(&mut collect, node, &stops, &mut input, &go_on)?,
        };
        let halts = matches!(stop, Stop::Question(_) | Stop::Another(_));
        from = match said {
            Said::Done => {
                if halts {
                    asked.push(key.clone());
                }
                From::After(key)
            }
            Said::Again => From::At(key),
            Said::Added(instance) => {
                asked.push(key);
                From::At((instance, false))
            }
            Said::Back => match asked.pop() {
                Some(before) => From::At(before),
                None => From::Start,
            },
            Said::Draft => {
                collect.keep_draft()?;
                return Ok(kept(&collect, &go_on));
            }
        };
    }
}

fn owned((place, another): (&str, bool)) -> Key {
    (place.to_owned(), another)
}

fn kept(collect: &Collect, go_on: &str) -> Answer {
    let record = collect.record().to_string();
    Answer::new(json!({"record": record, "draft": true}), format!("{record}\nA draft. Go on with: {go_on}"))
}

/// Ctrl-C says how to go on: everything answered is kept already.
fn end_kindly(go_on: String) {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            hint(&format!("\nEverything answered is kept. Go on with: {go_on}"));
            std::process::exit(INTERRUPTED);
        }
    });
}

/// A new interview begins at its beginning, a draft at the first question without an answer that stands.
fn first(collect: &Collect) -> From {
    let stops = stops(collect.interview().nodes());
    let answered = |node: &NodeState| node.value.as_ref().is_some_and(|value| !value.is_empty());
    let questions = || {
        stops
            .iter()
            .filter(|stop| stop.stands())
            .filter_map(|stop| if let Stop::Question(node) = stop { Some(node) } else { None })
    };
    if !questions().any(answered) {
        return From::Start;
    }
    let open = questions().find(|node| !answered(node) || node.violation.is_some());
    match (open, stops.last()) {
        (Some(node), _) => From::At((node.place.clone(), false)),
        (None, Some(last)) => From::After(owned(last.key())),
        (None, None) => From::Start,
    }
}

/// Nodes as stops; the question for another instance stands after the last one.
fn stops(nodes: Vec<NodeState>) -> Vec<Stop> {
    let (mut stops, mut open): (Vec<Stop>, Vec<NodeState>) = (Vec::new(), Vec::new());
    for node in nodes {
        while open.last().is_some_and(|range| !is_within(&node.place, &range.place)) {
            stops.extend(open.pop().map(Stop::Another));
        }
        match node.kind {
            StateKind::Repeat => open.push(node),
            StateKind::Group | StateKind::RepeatInstance => stops.push(Stop::Heading(node)),
            StateKind::Note => stops.push(Stop::Note(node)),
            StateKind::ModelValue => {}
            _ => stops.push(Stop::Question(node)),
        }
    }
    stops.extend(open.into_iter().rev().map(Stop::Another));
    stops
}

fn is_within(place: &str, repeat: &str) -> bool {
    place.strip_prefix(repeat).is_some_and(|rest| rest.starts_with('['))
}

fn next<'stops>(stops: &'stops [Stop], from: &From) -> Option<&'stops Stop> {
    let at = |key: &Key| stops.iter().position(|stop| owned(stop.key()) == *key);
    let begin = match from {
        From::Start => 0,
        From::At(key) => at(key).unwrap_or(0),
        From::After(key) => at(key).map_or(0, |index| index + 1),
    };
    stops.iter().skip(begin).find(|stop| stop.stands())
}

/// A label; of a repeat instance with its number.
fn heading(node: &NodeState) -> String {
    let label = isolated(node.label.as_deref().unwrap_or_default());
    let number = node.reference.rsplit_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
    match number.filter(|_| node.kind == StateKind::RepeatInstance) {
        Some(number) => format!("{label} {number}"),
        None => label,
    }
}

/// One line typed; a problem where the input has ended.
fn typed(input: &mut impl BufRead, go_on: &str) -> Result<String, Problem> {
    let mut error = std::io::stderr();
    write!(error, "> ").and_then(|()| error.flush()).ok();
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        let error = "the input ended before the interview; what was answered is kept as a draft";
        return Err(Problem::new(Problem::FAILED, "input-ended", error, format!("Go on with: {go_on}")));
    }
    Ok(line.trim().to_owned())
}

fn question(collect: &mut Collect, node: &NodeState, input: &mut impl BufRead, go_on: &str) -> Result<Said, Problem> {
    put(node);
    let line = typed(input, go_on)?;
    let value = match line.as_str() {
        "" => return Ok(keep(node)),
        "?" => {
            hint(&help(node));
            return Ok(Said::Again);
        }
        "<" => return Ok(Said::Back),
        "!draft" => return Ok(Said::Draft),
        "!clear" => String::new(),
        line => match &node.choices {
            Some(choices) if !choices.is_empty() => match chosen(choices, line, node.multiple) {
                Ok(value) => value,
                Err(words) => {
                    hint(&words);
                    return Ok(Said::Again);
                }
            },
            _ if node.kind == StateKind::Trigger => {
                if !is_yes(line) {
                    hint("Type OK, or Enter to go on without it.");
                    return Ok(Said::Again);
                }
                "OK".to_owned()
            }
            _ => line.to_owned(),
        },
    };
    match collect.set(&node.place, &value) {
        Ok(()) => {}
        Err(ClientError::Answer(refused)) => {
            hint(&format!("{refused}."));
            return Ok(Said::Again);
        }
        Err(error) => return Err(error.into()),
    }
    let after = collect.interview().node(&node.place);
    match after.filter(|after| after.violation == Some(ViolationKind::Constraint)) {
        Some(broken) => {
            hint(&isolated(broken.message.as_deref().unwrap_or("This answer does not stand.")));
            Ok(Said::Again)
        }
        None => Ok(Said::Done),
    }
}

/// What Enter does: nothing, where what is there stands.
fn keep(node: &NodeState) -> Said {
    let Some(violation) = node.violation else { return Said::Done };
    let words = match violation {
        ViolationKind::Required => "An answer is needed.",
        ViolationKind::Constraint => "This answer does not stand.",
    };
    hint(&isolated(node.message.as_deref().unwrap_or(words)));
    Said::Again
}

fn another(
    collect: &mut Collect,
    node: &NodeState,
    stops: &[Stop],
    input: &mut impl BufRead,
    go_on: &str,
) -> Result<Said, Problem> {
    let any = stops.iter().any(|stop| is_within(stop.key().0, &node.place));
    let label = node.label.as_deref().filter(|label| !label.is_empty());
    let what = isolated(label.or_else(|| node.place.rsplit('/').next()).unwrap_or_default());
    hint(&format!("\n{what}: add {}? [y/N]", if any { "another" } else { "one" }));
    let line = typed(input, go_on)?;
    match line.as_str() {
        "<" => return Ok(Said::Back),
        "!draft" => return Ok(Said::Draft),
        "?" => {
            hint("y adds one; Enter goes on.");
            return Ok(Said::Again);
        }
        line if is_yes(line) => {}
        _ => return Ok(Said::Done),
    }
    match collect.add(&node.place) {
        Ok(id) => Ok(Said::Added(format!("{}[{id}]", node.place))),
        Err(ClientError::Answer(refused)) => {
            hint(&format!("{refused}."));
            Ok(Said::Done)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_yes(line: &str) -> bool {
    matches!(line.to_lowercase().as_str(), "y" | "yes" | "ok" | "1" | "۱" | "بله" | "بلی" | "آری" | "هو")
}

/// Label, hint, choices, and what is there.
fn put(node: &NodeState) {
    let label = node.label.as_deref().filter(|label| !label.is_empty());
    let label = label.or_else(|| node.reference.rsplit('/').next()).unwrap_or_default();
    let mut text = format!("\n{}{}", isolated(label), if node.required { " *" } else { "" });
    if let Some(words) = node.hint.as_deref().filter(|words| !words.is_empty()) {
        text.push_str(&format!("\n  {}", isolated(words)));
    }
    let choices = node.choices.as_deref().unwrap_or_default();
    for (index, choice) in choices.iter().enumerate().take(CHOICES_SHOWN) {
        text.push_str(&format!("\n  {}) {}", index + 1, isolated(choice_words(choice))));
    }
    if choices.len() > CHOICES_SHOWN {
        text.push_str(&format!("\n  and {} more: type a part of the name", choices.len() - CHOICES_SHOWN));
    }
    if let Some(value) = node.value.as_deref().filter(|value| !value.is_empty()) {
        let words: Vec<&str> = value
            .split_whitespace()
            .map(|name| choices.iter().find(|choice| choice.value == name).map_or(name, choice_words))
            .collect();
        let now = if choices.is_empty() { value.to_owned() } else { words.join(", ") };
        text.push_str(&format!("\n  now: {}", isolated(&now)));
    }
    hint(&text);
}

fn choice_words(choice: &ChoiceState) -> &str {
    if choice.label.is_empty() { &choice.value } else { &choice.label }
}

fn help(node: &NodeState) -> String {
    let mut text =
        node.guidance.clone().filter(|words| !words.is_empty()).map_or(String::new(), |words| format!("{}\n", isolated(&words)));
    text.push_str(match (node.kind, node.multiple, node.data_type) {
        (StateKind::Rank, ..) => "Numbers of all choices in your order, such as 2 1 3.",
        (StateKind::Select, true, _) => "Numbers of the choices, such as 1 3, or a part of a name.",
        (StateKind::Select, ..) => "The number of a choice, or a part of its name.",
        (StateKind::Trigger, ..) => "OK when it is done.",
        (StateKind::Upload, ..) => "The name of a file.",
        (_, _, DataType::Int) => "A whole number.",
        (_, _, DataType::Decimal) => "A number.",
        (_, _, DataType::Date) => "A date: year-month-day.",
        (_, _, DataType::Time) => "A time: 14:30.",
        (_, _, DataType::DateTime) => "A date and a time: 2026-11-23T14:30.",
        (_, _, DataType::GeoPoint) => "Latitude, longitude, altitude and accuracy with spaces between.",
        _ => "Any text.",
    });
    text.push_str("\nEnter keeps what is there, < goes back, !clear empties, !draft leaves a draft.");
    text
}

/// The names of what was chosen, or words about why not.
fn chosen(choices: &[ChoiceState], line: &str, multiple: bool) -> Result<String, String> {
    if !multiple {
        return one(choices, line);
    }
    if let Ok(value) = exactly(choices, line) {
        return Ok(value);
    }
    let parts = line.split(|character: char| character.is_whitespace() || character == ',' || character == '،');
    let names = parts.filter(|part| !part.is_empty()).map(|part| one(choices, part)).collect::<Result<Vec<_>, _>>()?;
    Ok(names.join(" "))
}

fn exactly(choices: &[ChoiceState], text: &str) -> Result<String, ()> {
    let number = number(text).and_then(|number| choices.get(number.checked_sub(1)?));
    let folded = fold_key(text);
    number
        .or_else(|| choices.iter().find(|choice| choice.value == text))
        .or_else(|| choices.iter().find(|choice| !folded.is_empty() && fold_key(&choice.label) == folded))
        .map(|choice| choice.value.clone())
        .ok_or(())
}

/// Digits of any of the scripts used here.
fn number(text: &str) -> Option<usize> {
    let folded = fold_key(text);
    if folded.is_empty() || !folded.chars().all(|character| character.is_ascii_digit()) { None } else { folded.parse().ok() }
}

fn one(choices: &[ChoiceState], text: &str) -> Result<String, String> {
    if let Ok(value) = exactly(choices, text) {
        return Ok(value);
    }
    let folded = fold_key(text);
    let found: Vec<(usize, &ChoiceState)> = choices
        .iter()
        .enumerate()
        .filter(|(_, choice)| !folded.is_empty() && fold_key(&choice.label).contains(&folded))
        .take(CHOICES_SHOWN)
        .collect();
    match found.as_slice() {
        [] => Err(format!("No choice is called {}. Give a number, a name or a part of a name.", isolated(text))),
        [(_, only)] => Ok(only.value.clone()),
        several => {
            let lines = several.iter().map(|(index, choice)| format!("  {}) {}", index + 1, isolated(choice_words(choice))));
            Err(format!("Which of these?\n{}", lines.collect::<Vec<_>>().join("\n")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Vec<ChoiceState> {
        let choice = |value: &str, label: &str| ChoiceState { value: value.to_owned(), label: label.to_owned() };
        vec![choice("food", "غذا"), choice("shelter", "سرپناه"), choice("health", "خدمات درمانی")]
    }

    #[test]
    fn a_choice_is_taken_by_number_in_any_digits_by_name_by_words_or_by_a_part_of_them() {
        for typed in ["2", "۲", "٢", "shelter", "سرپناه"] {
            assert_eq!(chosen(&choices(), typed, false), Ok("shelter".to_owned()), "{typed}");
        }
        assert_eq!(chosen(&choices(), "درمان", false), Ok("health".to_owned()));
    }

    #[test]
    fn several_choices_are_taken_with_spaces_or_commas_between() {
        assert_eq!(chosen(&choices(), "1 3", true), Ok("food health".to_owned()));
        assert_eq!(chosen(&choices(), "۳، food", true), Ok("health food".to_owned()));
        assert_eq!(chosen(&choices(), "خدمات درمانی", true), Ok("health".to_owned()));
    }

    #[test]
    fn what_is_no_choice_or_several_is_asked_again() {
        assert!(chosen(&choices(), "9", false).is_err());
        assert!(chosen(&choices(), "1 9", true).is_err());
        assert!(chosen(&choices(), "ا", false).is_err_and(|words| words.contains("Which of these?")));
    }
}
