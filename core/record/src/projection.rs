//! What a record comes to: everything that lists, searches, reviews and exports need, computed once from the document and its
//! form. Device and server store it; both come to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_form::answers::Answers;
use karwan_form::interview::{EntityOperation, Interview, Mode};
use karwan_form::model::Form;
use karwan_proto::{DeviceId, Hash, PersonId, RecordId};
use serde::{Deserialize, Serialize};

use crate::document::Record;
use crate::entities::{ENTITY_FORM, EntityWriteBody, key};
use crate::events;
use crate::items::{self, ItemValue, ReviewItem};
use crate::judge;
use crate::place;
use crate::provenance::Provenance;
use crate::shape::Shape;
use crate::state::State;

/// What reviews say of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReviewState {
    /// Nothing.
    #[default]
    None,
    /// It went back.
    Returned {
        /// Why.
        note: String,
    },
    /// It stands.
    Approved,
}

/// One line of a record's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The change.
    pub change: Hash,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The device's offset from UTC, in minutes.
    pub offset_minutes: i32,
    /// The device.
    pub device: DeviceId,
    /// The person.
    pub person: PersonId,
    /// `registered`, `edited`, `merged`, `decided`, `returned`, `approved`, `assigned`.
    pub what: String,
    /// Why, where somebody said.
    pub note: String,
    /// Events that it carries, those that count no more included.
    pub events: Vec<HistoryEvent>,
}

/// One event in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// The question.
    pub reference: String,
    /// The state entered.
    pub value: String,
    /// What became of it.
    pub outcome: EventOutcome,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventOutcome {
    /// It is the state, or one of the states that disagree.
    Stands,
    /// A later event stands on it.
    Passed,
    /// A concurrent event won against it.
    Beaten,
    /// The form's table does not allow it to its author.
    Refused,
}

impl EventOutcome {
    /// The name in answers of commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stands => "stands",
            Self::Passed => "passed",
            Self::Beaten => "beaten",
            Self::Refused => "refused",
        }
    }
}

/// Something that may be paid, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payable {
    /// The question.
    pub reference: String,
    /// Its state.
    pub state: String,
}

/// What a record comes to.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The record.
    pub record: RecordId,
    /// Its form.
    pub form: Option<Hash>,
    /// What it is called; empty where the form gives no name or is not here.
    pub title: String,
    /// What reviews say.
    pub review: ReviewState,
    /// Who is to go on with it.
    pub assigned_to: Option<PersonId>,
    /// Until when.
    pub due: Option<String>,
    /// Who made it.
    pub made_by: Option<(DeviceId, PersonId)>,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// Offset of the device that changed it last, in minutes.
    pub offset_minutes: i32,
    /// What shows.
    pub answers: Answers,
    /// Values by reference, the one shown first; more than one is a conflict.
    pub values: BTreeMap<String, Vec<ItemValue>>,
    /// References among `values` that the form does not ask for as things stand: no export has them.
    pub hidden: BTreeSet<String>,
    /// What the form calculates, by reference.
    pub derived: BTreeMap<String, String>,
    /// What a person must decide.
    pub items: Vec<ReviewItem>,
    /// Items that a person accepted or rejected.
    pub closed: BTreeSet<String>,
    /// What it writes to entities.
    pub entity_writes: Vec<EntityWriteBody>,
    /// Text to be found by, a value a line, not folded.
    pub search_text: String,
    /// What answers say of people: the place of each person, and values by kind of identity.
    pub identities: Vec<(String, BTreeMap<String, String>)>,
    /// What may be paid, once each.
    pub payable: Vec<Payable>,
    /// What happened, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Somebody withdrew consent: use, sharing and export stop.
    pub consent_withdrawn: bool,
}

/// Longest text to be found by, in bytes.
pub const MAX_SEARCH_BYTES: usize = 64 * 1024;

/// What a record comes to under its form. Without the form values are shown and nothing is judged.
pub fn project(record: &Record, form: Option<&Arc<Form>>) -> Projection {
    let shape = form.map_or_else(Shape::unknown, |form| Shape::of(form));
    project_with(record, form, &shape)
}

/// As [`project`], with a shape made before.
pub fn project_with(record: &Record, form: Option<&Arc<Form>>, shape: &Shape) -> Projection {
    project_read(record, &State::read(record, None), form, shape)
}

/// As [`project_with`], of what the record says as it was read before.
pub fn project_read(record: &Record, state: &State, form: Option<&Arc<Form>>, shape: &Shape) -> Projection {
    projected(record, state, form, shape, true)
}

/// As [`project_with`], as far as lists, searches and entities go: without answers, values, what is hidden or calculated, identities, and,
/// where nobody reviewed it, history.
pub fn project_for_lists(record: &Record, form: Option<&Arc<Form>>, shape: &Shape) -> Projection {
    projected(record, &State::read(record, None), form, shape, false)
}

fn projected(record: &Record, state: &State, form: Option<&Arc<Form>>, shape: &Shape, whole: bool) -> Projection {
    let answers = state.answers(shape);
    let ordered = record.in_order();
    let first = ordered.first().map(|(_, node)| node.provenance);
    let newest = ordered.iter().map(|(_, node)| node.provenance).max_by_key(|by| by.at_ms);
    let mut projection = Projection {
        record: record.id(),
        form: state.form,
        title: String::new(),
        review: ReviewState::None,
        assigned_to: None,
        due: None,
        made_by: first.map(|by| (by.device, by.person)),
        made_ms: first.map_or(0, |by| by.at_ms),
        updated_ms: newest.map_or(0, |by| by.at_ms),
        offset_minutes: newest.map_or(0, |by| by.offset_minutes),
        values: if whole { values(record, state, shape) } else { BTreeMap::new() },
        hidden: BTreeSet::new(),
        derived: BTreeMap::new(),
        items: items::structural(record, state, shape),
        closed: BTreeSet::new(),
        entity_writes: Vec::new(),
        search_text: String::new(),
        identities: Vec::new(),
        payable: Vec::new(),
        history: if whole || !state.reviews.is_empty() { history(record, state, shape) } else { Vec::new() },
        consent_withdrawn: false,
        answers,
    };
    reviews(record, state, &mut projection);
    events_of(state, shape, &mut projection);
    if let Some(form) = form {
        interview(record, form, shape, state, whole, &mut projection);
    } else if state.form == Some(ENTITY_FORM) {
        projection.title =
            state.registers.get("id").and_then(|written| written.first()).map_or_else(String::new, |id| id.value.clone());
        projection.entity_writes = builtin_write(record, state).into_iter().collect();
    }
    projection.items.retain(|item| !projection.closed.contains(&item.id));
    projection.items.sort_by(|a, b| (a.kind, &a.reference, &a.id).cmp(&(b.kind, &b.reference, &b.id)));
    projection.search_text = search_text(&projection.title, record, state, shape);
    if !whole {
        projection.answers = Answers::default();
    }
    projection
}

fn values(record: &Record, state: &State, shape: &Shape) -> BTreeMap<String, Vec<ItemValue>> {
    let mut values: BTreeMap<String, Vec<ItemValue>> = BTreeMap::new();
    each_value(record, state, shape, |path, value, by, is_first| {
        let reference = place::reference(shape.root(), path);
        let value = ItemValue::new(value, by);
        // A question that is of another kind in the newest form has answers of both.
        if !is_first && let Some(found) = values.get_mut(&reference) {
            found.push(value);
        } else {
            values.insert(reference, vec![value]);
        }
    });
    values
}

/// Every value that stands, with its path, who gave it, and whether it is the one of its path that is shown: that comes first.
fn each_value(record: &Record, state: &State, shape: &Shape, mut take: impl FnMut(&str, &str, &Provenance, bool)) {
    for (path, written) in &state.registers {
        if state.is_below_removed(path) || written.iter().all(|written| written.value.is_empty()) {
            continue;
        }
        let found = written.iter().filter_map(|written| Some((written, record.node(written.change)?)));
        let shown = if written.len() > 1 && shape.is_captured(&place::form_path(path)) { 1 } else { written.len() };
        for (number, (written, node)) in found.take(shown).enumerate() {
            take(path, &written.value, &node.provenance, number == 0);
        }
    }
    for (path, members) in &state.members {
        if state.is_below_removed(path) || members.is_empty() {
            continue;
        }
        let form_path = place::form_path(path);
        let order = shape.choices(&form_path);
        let mut names: Vec<&String> = members.keys().collect();
        names.sort_by_key(|name| order.iter().position(|choice| choice == *name).unwrap_or(usize::MAX));
        let text = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
        let by = members.values().filter_map(|change| record.node(*change)).max_by_key(|node| node.order);
        if let Some(node) = by {
            take(path, &text, &node.provenance, true);
        }
    }
    for (path, recorded) in &state.events {
        if state.is_below_removed(path) {
            continue;
        }
        let rules = shape.rules(&place::form_path(path)).unwrap_or(&[]);
        let tips = events::fold(recorded, rules).tips;
        let found = tips.iter().filter_map(|tip| recorded.iter().find(|event| event.id == *tip));
        for (number, event) in found.enumerate() {
            take(path, &event.body.value, &event.provenance, number == 0);
        }
    }
}

fn history(record: &Record, state: &State, shape: &Shape) -> Vec<HistoryEntry> {
    let mut events = events_by_change(state, shape);
    let mut entry = |(hash, node): (Hash, &crate::document::Node)| {
        let review = state.reviews.iter().find(|entry| entry.change == hash);
        let what = match review.map(|entry| entry.body.kind.as_str()) {
            Some("return") => "returned",
            Some("approve") => "approved",
            Some("assign") => "assigned",
            Some(_) => "decided",
            None if node.deps.is_empty() => "registered",
            None => "edited",
        };
        HistoryEntry {
            change: hash,
            at_ms: node.provenance.at_ms,
            offset_minutes: node.provenance.offset_minutes,
            device: node.provenance.device,
            person: node.provenance.person,
            what: what.to_owned(),
            note: review.map_or_else(String::new, |entry| entry.body.note.clone()),
            events: events.remove(&hash).unwrap_or_default(),
        }
    };
    let depths = crate::state::depths(record);
    let mut ordered = record.in_order();
    ordered.sort_by_key(|(hash, _)| (depths.get(hash).copied(), *hash));
    ordered.into_iter().map(&mut entry).collect()
}

/// All events of a record by the change that carries them, with what became of each.
fn events_by_change(state: &State, shape: &Shape) -> BTreeMap<Hash, Vec<HistoryEvent>> {
    let mut found: BTreeMap<Hash, Vec<HistoryEvent>> = BTreeMap::new();
    for (path, recorded) in &state.events {
        let folded = events::fold(recorded, shape.rules(&place::form_path(path)).unwrap_or(&[]));
        for event in recorded {
            let outcome = if folded.refused.contains(&event.id) {
                EventOutcome::Refused
            } else if folded.beaten.contains(&event.id) {
                EventOutcome::Beaten
            } else if folded.tips.contains(&event.id) {
                EventOutcome::Stands
            } else {
                EventOutcome::Passed
            };
            let reference = place::reference(shape.root(), path);
            found.entry(event.change).or_default().push(HistoryEvent { reference, value: event.body.value.clone(), outcome });
        }
    }
    found
}

fn reviews(record: &Record, state: &State, projection: &mut Projection) {
    for entry in &state.reviews {
        match entry.body.kind.as_str() {
            "return" => {
                // An edit by somebody who had seen the return answers it.
                let answered = projection.history.iter().any(|line| {
                    line.what == "edited"
                        && line.change != entry.change
                        && record.ancestors(&[line.change]).contains(&entry.change)
                });
                projection.review =
                    if answered { ReviewState::None } else { ReviewState::Returned { note: entry.body.note.clone() } };
            }
            "approve" => projection.review = ReviewState::Approved,
            "assign" => {
                projection.assigned_to = entry.body.to;
                projection.due.clone_from(&entry.body.due);
            }
            "accept" | "reject" => projection.closed.extend(entry.body.item.clone()),
            _ => {}
        }
    }
}

fn events_of(state: &State, shape: &Shape, projection: &mut Projection) {
    for (path, recorded) in &state.events {
        let form_path = place::form_path(path);
        let folded = events::fold(recorded, shape.rules(&form_path).unwrap_or(&[]));
        let Some(shown) = folded.shown else { continue };
        if folded.payable && !state.is_below_removed(path) {
            projection.payable.push(Payable { reference: place::reference(shape.root(), path), state: shown.clone() });
        }
        let name = form_path.rsplit('/').next().unwrap_or_default();
        if name.contains("consent") && shown == "withdrawn" {
            projection.consent_withdrawn = true;
        }
    }
}

fn interview(record: &Record, form: &Arc<Form>, shape: &Shape, state: &State, whole: bool, projection: &mut Projection) {
    projection.items.extend(judge::invalid(record, form, shape, state));
    let context = judge::context_at(record, &record.heads());
    let Ok(interview) = Interview::open(form.clone(), &projection.answers, context, Mode::Judge) else { return };
    projection.title = interview.instance_name();
    let by = projection.made_by;
    for write in interview.entity_writes() {
        let note = state.notes.get(&key(&write.list, &write.id));
        let (device, person) = by.unwrap_or((DeviceId([0; 16]), PersonId([0; 16])));
        projection.entity_writes.push(EntityWriteBody {
            record: record.id(),
            create: write.operation == EntityOperation::Create,
            label: write.label,
            properties: write.properties,
            seen: note.map(|note| note.seen.clone()).unwrap_or_default(),
            shown: note.map(|note| note.shown.clone()).unwrap_or_default(),
            shown_label: note.map(|note| note.shown_label.clone()).unwrap_or_default(),
            list: write.list,
            id: write.id,
            note: String::new(),
            at_ms: projection.updated_ms,
            offset_minutes: projection.offset_minutes,
            device,
            person,
        });
    }
    if !whole {
        return;
    }
    let mut people: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let shown = interview.shown_values();
    let places: BTreeSet<&str> = shown.iter().map(|value| value.place.as_str()).collect();
    projection.hidden = projection.values.keys().filter(|reference| !places.contains(reference.as_str())).cloned().collect();
    for value in &shown {
        if !projection.values.contains_key(&value.place) {
            projection.derived.insert(value.place.clone(), value.value.to_owned());
        }
        if let Some(kind) = value.identity {
            let person = people.entry(place::instance_of(&value.place).to_owned()).or_default();
            person.insert(kind.to_owned(), value.value.to_owned());
        }
    }
    projection.identities = people.into_iter().collect();
}

fn builtin_write(record: &Record, state: &State) -> Option<EntityWriteBody> {
    let text = |path: &str| state.registers.get(path).and_then(|written| written.first()).map(|written| written.value.clone());
    let (list, id) = (text("list")?, text("id")?);
    let note = state.notes.get(&key(&list, &id));
    let by = record.in_order().first().map(|(_, node)| node.provenance)?;
    let properties =
        state.registers.keys().filter_map(|path| Some((path.strip_prefix("property/")?.to_owned(), text(path)?))).collect();
    Some(EntityWriteBody {
        record: record.id(),
        create: false,
        label: None,
        properties,
        seen: note.map(|note| note.seen.clone()).unwrap_or_default(),
        shown: note.map(|note| note.shown.clone()).unwrap_or_default(),
        shown_label: note.map(|note| note.shown_label.clone()).unwrap_or_default(),
        list,
        id,
        note: text("note").unwrap_or_default(),
        at_ms: by.at_ms,
        offset_minutes: by.offset_minutes,
        device: by.device,
        person: by.person,
    })
}

fn search_text(title: &str, record: &Record, state: &State, shape: &Shape) -> String {
    let mut text = format!("{title}\n{}", record.id());
    each_value(record, state, shape, |_, value, _, _| {
        if text.len() + value.len() <= MAX_SEARCH_BYTES {
            text.push('\n');
            text.push_str(value);
        }
    });
    text
}
