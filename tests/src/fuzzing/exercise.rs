//! What is done with every form that can be read: it is written and read again, told as an outline, answered, submitted, reopened.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use karwan_form::fault::Fault;
use karwan_form::interview::{Context, Interview, Lists, Mode, NodeState, StateKind};
use karwan_form::model::{Form, NodeKind, Table};
use karwan_form::xpath::Expression;
use karwan_form::xpath::syntax::Tree;
use karwan_form::{external, outline, received, xform};

use super::marks::Marks;
use super::words::{COLUMNS, SHEETS};
use crate::form_made;

/// The clock of every interview: 2026-11-23T10:00:00Z.
pub const NOW_MS: i64 = 1_795_428_000_000;
/// Questions of a form that are answered, and repeats that get an instance.
const ANSWERED_MAX: usize = 60;
const ADDED_MAX: usize = 8;

/// The files of [`form_made`], read once.
struct Media(BTreeMap<&'static str, Arc<Table>>);

impl Lists for Media {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        self.0.get(file).cloned()
    }
}

/// A context with a clock, a person and the lists of [`form_made::media`].
pub fn context() -> Context {
    static MEDIA: OnceLock<Arc<Media>> = OnceLock::new();
    let read = |(name, text): (&'static str, String)| (name, Arc::new(external::read(text.as_bytes(), name)));
    let lists = MEDIA.get_or_init(|| Arc::new(Media(form_made::media().into_iter().map(read).collect())));
    Context {
        offset_minutes: 270,
        username: "u".to_owned(),
        device_id: "d".to_owned(),
        lists: lists.clone(),
        ..Context::at(NOW_MS, [7; 32])
    }
}

/// Notes the faults of a form that cannot be read. There must be one, and it must say something.
pub fn faults(faults: &[Fault], marks: &mut Marks) {
    assert!(!faults.is_empty(), "a form is refused without a fault");
    for fault in faults.iter().take(20) {
        assert!(!fault.message.is_empty(), "a fault says nothing");
        marks.message(&fault.message);
        // Columns of the author's own and numbers of lines differ without end.
        let column = COLUMNS.iter().find(|known| **known == fault.column);
        marks.note(("fault", SHEETS.iter().find(|known| **known == fault.sheet), column));
        let _ = fault.to_string();
    }
    marks.count("faults", faults.len());
}

/// Notes which functions an expression calls, and which within which.
pub fn functions(expression: &Expression, marks: &mut Marks) {
    expression.tree.walk(&mut |tree| {
        marks.note(std::mem::discriminant(tree));
        if let Tree::Call { function, arguments } = tree {
            marks.note(("function", function.name, arguments.len().min(4)));
            for argument in arguments {
                match argument {
                    Tree::Call { function: inner, .. } => marks.note((function.name, inner.name)),
                    other => marks.note((function.name, std::mem::discriminant(other))),
                }
            }
        }
    });
}

/// Notes what a form is made of.
pub fn shape(form: &Form, marks: &mut Marks) {
    for node in &form.nodes {
        let parent = node.parent.and_then(|id| form.nodes.get(id)).map(|node| std::mem::discriminant(&node.kind));
        let bind = &node.bind;
        let control = node.control.as_ref().map(|control| control.kind as u8);
        let mut said = 0u8;
        marks.note((bind.data_type as u8, control, std::mem::discriminant(&node.kind), parent));
        for (number, expression) in
            [&bind.relevant, &bind.constraint, &bind.required, &bind.readonly, &bind.calculate].into_iter().enumerate()
        {
            if let Some(expression) = expression {
                marks.note((number, bind.data_type as u8));
                functions(expression, marks);
                said |= 1 << number;
            }
        }
        marks.note((bind.data_type as u8, control, said));
        if let NodeKind::Repeat { count: Some(count) } = &node.kind {
            functions(count, marks);
        }
        if let Some(itemset) = node.control.as_ref().and_then(|control| control.itemset.as_ref()) {
            marks.note((itemset.randomize, itemset.seed.is_some(), itemset.search.is_some(), itemset.instance.is_empty()));
            functions(&itemset.nodeset, marks);
        }
        for action in &node.actions {
            marks.note((&action.events, action.trigger.is_some(), std::mem::discriminant(&action.value)));
        }
        marks.note((&bind.preload, bind.merge as u8, &bind.identity, bind.save_to.is_some(), bind.captured));
    }
    for instance in form.instances.values() {
        marks.note(std::mem::discriminant(&instance.source));
    }
    for warning in &form.warnings {
        marks.message(warning);
    }
    marks.count("nodes", form.nodes.len());
    marks.count("languages", form.languages.len());
    marks.count("entities", form.entities.len());
    marks.count("rules", form.status_rules.len());
    marks.count("settings", form.settings.len());
}

/// Does everything with a form.
pub fn form(form: Form, marks: &mut Marks) {
    marks.step();
    shape(&form, marks);
    let written = xform::write(&form);
    match xform::read(written.as_bytes(), "again.xml") {
        Ok(again) => marks.note(("again", again.nodes.len() == form.nodes.len())),
        Err(found) => found.iter().take(3).for_each(|fault| marks.message(&fault.message)),
    }
    drop(outline::outline(&form, form.languages.last().map(String::as_str)));
    let form = Arc::new(form);
    marks.step();
    match Interview::start(form, context()) {
        Ok(mut interview) => interview_of(&mut interview, marks),
        Err(_) => marks.note("does not start"),
    }
}

/// What a node looks like, in few words.
pub fn look(node: &NodeState, marks: &mut Marks) {
    let value =
        node.value.as_deref().map_or(0, |value| if value.is_empty() { 1 } else { 2 + u8::from(value.parse::<f64>().is_ok()) });
    marks.note((node.kind.word(), node.data_type as u8, value, node.relevant, node.readonly, node.required));
    marks.note((node.kind.word(), node.violation.map(karwan_form::interview::ViolationKind::word), node.message.is_some()));
    if let Some(choices) = &node.choices {
        marks.count("choices", choices.len());
    }
}

fn interview_of(interview: &mut Interview, marks: &mut Marks) {
    marks.step();
    let nodes = interview.all_nodes();
    marks.step();
    for node in &nodes {
        look(node, marks);
    }
    for (number, node) in nodes.iter().filter(|node| node.value.is_some()).take(ANSWERED_MAX).enumerate() {
        let chosen = node.choices.as_ref().and_then(|choices| choices.last()).map(|choice| choice.value.as_str());
        for value in [chosen.unwrap_or("3"), ["2026-11-23", "10:30", "34.5 69.2 0 0", "a b"][number % 4]] {
            if marks.is_tired() {
                return;
            }
            let outcome = interview.set(&node.place, value);
            marks.step();
            marks.note(("set", node.data_type as u8, outcome.map_err(|refused| std::mem::discriminant(&refused))));
        }
    }
    for node in nodes.iter().filter(|node| node.kind == StateKind::Repeat).take(ADDED_MAX) {
        let outcome = interview.add(&node.reference);
        marks.step();
        marks.note(("add", outcome.map(|_| ()).map_err(|refused| std::mem::discriminant(&refused))));
        let outcome = interview.remove(&format!("{}[1]", node.reference));
        marks.step();
        marks.note(("remove", outcome.map_err(|refused| std::mem::discriminant(&refused))));
    }
    let last = interview.form().languages.last().cloned().unwrap_or_default();
    let _ = interview.set_language(&last);
    marks.step();
    for node in interview.nodes() {
        look(&node, marks);
    }
    marks.step();
    marks.count("entity writes", interview.entity_writes().len());
    marks.count("shown", interview.display_values().len());
    submitted(interview, marks);
}

/// Ends an interview, reads what it submits, and goes on with what it stores.
pub fn submitted(interview: &mut Interview, marks: &mut Marks) {
    let form = interview.form().clone();
    marks.step();
    match interview.finalize() {
        Ok(submission) => match received::read(&form, submission.xml.as_bytes()) {
            Ok(received) => {
                marks.note("received");
                marks.step();
                let opened = Interview::open(form.clone(), &received.answers, context(), Mode::Edit);
                marks.note(("received", opened.is_ok()));
            }
            Err(fault) => marks.message(&fault.message),
        },
        Err(violations) => violations.iter().for_each(|violation| marks.note(violation.kind.word())),
    }
    marks.step();
    let answers = interview.answers();
    marks.count("answers", answers.values.len());
    for mode in [Mode::Edit, Mode::Judge] {
        if let Ok(opened) = Interview::open(form.clone(), &answers, context(), mode) {
            marks.note(("opened", mode == Mode::Judge, opened.answers() == answers));
            marks.count("violations", opened.violations().len());
            marks.step();
        }
    }
}
