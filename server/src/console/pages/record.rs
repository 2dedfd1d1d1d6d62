//! One record or entity with all that is known of it, and what a supervisor says of it.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use karwan_client::query::{RecordShown, ShownEvent};

use super::organisation::{forms_seen, titles};
use crate::console::Fields;
use crate::console::answers::{Answer, Line, Reading};
use crate::console::door::Told;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer, encoded, go_to};
use crate::console::questions::Question;
use crate::console::visit::Visit;
use crate::query;
use crate::review::{self, ReviewAct, ReviewCommand};

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    page: Page,
    shown: RecordShown,
    title: String,
    source: String,
    has_form: bool,
    lines: Vec<Line>,
    rest: Vec<Line>,
    /// Entities that it writes to: address and name.
    writes: Vec<(String, String)>,
    /// What each event of the history says, by its place in it.
    steps: Vec<Vec<String>>,
    /// Reference to item.
    items: BTreeMap<String, String>,
    other_items: Vec<(String, String)>,
    payable: Vec<String>,
    people: Vec<String>,
    told: Option<Told>,
    message: &'static str,
}

impl RecordPage {
    fn item(&self, place: &str) -> Option<&String> {
        self.items.get(place)
    }
}

/// A record or entity.
pub fn page(visit: &Visit<'_>, id: &str) -> Result<Response, Fault> {
    shown(visit, id, "")
}

fn shown(visit: &Visit<'_>, id: &str, message: &'static str) -> Result<Response, Fault> {
    visit.sees_records()?;
    let words = visit.language().words();
    let shown = query::show(visit.host(), &visit.scope, id)?;
    let forms = forms_seen(visit)?;
    let source = shown.form.as_ref().or(shown.list.as_ref()).cloned().unwrap_or_default();
    let title = if shown.title.trim().is_empty() { words.without_title.to_owned() } else { shown.title.clone() };
    let (has_form, lines, rest, writes, steps, payable) = if let Some(list) = &shown.list {
        let lines = shown.values.iter().map(|(property, values)| {
            let question = Question::of_property(visit.host(), &forms, list, property, visit.language());
            let said = |value: &str| match &question {
                Some(question) => question.said(value, visit.host(), &visit.scope, visit.language()),
                None => value.to_owned(),
            };
            let answers = values.iter().map(|value| Answer { text: said(&value.value), given: Some(value.clone()) }).collect();
            let label = question.as_ref().map_or_else(|| property.clone(), Question::label);
            Line {
                place: property.clone(),
                reference: property.clone(),
                heads: Vec::new(),
                label,
                answers,
                calculated: false,
                entity: None,
            }
        });
        (true, lines.collect(), Vec::new(), Vec::new(), vec![Vec::new(); shown.history.len()], Vec::new())
    } else {
        let reading = Reading::of(visit, &shown.record)?;
        let (lines, rest) = reading.lines(&shown);
        let writes = reading.writes.iter().map(|(key, label)| {
            let label = if label.is_empty() { entity_title(visit, key) } else { label.clone() };
            (format!("/records/{}", encoded(key)), label)
        });
        let steps = shown.history.iter().map(|event| steps(&reading, event)).collect();
        let payable = shown.payable.iter().map(|payable| {
            let above = reading.around(&payable.reference).join(" › ");
            format!("{above} {}", reading.said(&payable.reference, &payable.state)).trim().to_owned()
        });
        (reading.has_form(), lines, rest, writes.collect(), steps, payable.collect())
    };
    let items: BTreeMap<String, String> = shown.items.iter().map(|item| (item.reference.clone(), item.item.clone())).collect();
    let told_with_a_line = |reference: &String| lines.iter().any(|line: &Line| line.place == *reference);
    let other_items = shown.items.iter().filter(|item| !told_with_a_line(&item.reference) || item.kind == "duplicate");
    answer(&RecordPage {
        page: visit.page("records", &title),
        source: titles(&forms).remove(&source).unwrap_or(source),
        other_items: other_items.map(|item| (item.item.clone(), words.item_kind(&item.kind).to_owned())).collect(),
        people: if shown.list.is_none() && visit.decides().is_ok() { people(visit)? } else { Vec::new() },
        told: visit.told(),
        shown,
        title,
        has_form,
        lines,
        rest,
        writes,
        steps,
        items,
        payable,
        message,
    })
}

fn entity_title(visit: &Visit<'_>, key: &str) -> String {
    let found = query::show(visit.host(), &visit.scope, key);
    found.map(|entity| entity.title).ok().filter(|title| !title.is_empty()).unwrap_or_else(|| key.to_owned())
}

/// What a line of the history did, in the form's words, and what became of it.
fn steps(reading: &Reading<'_>, event: &ShownEvent) -> Vec<String> {
    let told = event.events.iter().map(|step| {
        let value = reading.said(&step.reference, &step.value);
        format!("{}: {value}", reading.label(&step.reference))
    });
    told.collect()
}

/// Who may be asked to go on with a record, in the reader's order.
fn people(visit: &Visit<'_>) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = visit
        .host()
        .organisation
        .people()?
        .into_iter()
        .filter(|person| !person.disabled && person.role != "operator" && person.role != "administrator")
        .map(|person| person.name)
        .collect();
    let order = visit.language().collator();
    names.sort_by(|left, right| order.of(left, right));
    names.dedup();
    Ok(names)
}

/// Return, approve, assign.
pub fn review(visit: &Visit<'_>, id: &str, fields: &Fields) -> Result<Response, Fault> {
    visit.decides()?;
    let words = visit.language().words();
    let field = |name: &str| fields.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let (note, record) = (field("note"), id.to_owned());
    let (act, text) = match field("act").as_str() {
        "return" if note.is_empty() => return shown(visit, id, words.note_needed),
        "return" => (ReviewAct::Return { record }, words.has_returned),
        "approve" => (ReviewAct::Approve { record }, words.has_approved),
        "assign" if field("to").is_empty() => return shown(visit, id, words.choose_first),
        "assign" => {
            let due = Some(field("due")).filter(|due| !due.is_empty());
            (ReviewAct::Assign { records: vec![record], to: field("to"), due }, words.has_assigned)
        }
        _ => return Err(Fault::NotFound),
    };
    match review::run(visit.host(), ReviewCommand { act, note, person: Some(visit.person.to_string()) }) {
        Ok(_) => {}
        Err(problem) if matches!(problem.code.as_str(), "not-entitled" | "date" | "several-people" | "decision") => {
            return shown(visit, id, words.not_possible);
        }
        Err(problem) => return Err(problem.into()),
    }
    visit.tell(Told { text: text.to_owned(), hint: "", link: String::new() });
    Ok(go_to(&format!("/records/{}", encoded(id))))
}
