//! What is on the device: lists, and one record or entity with where each value is from.

use std::collections::{BTreeMap, BTreeSet};

use karwan_form::answers::{Answer, Answers};
use karwan_linkage::{fold_key, search_words};
use karwan_proto::ids::{DeviceId, PersonId, RecordId};
use karwan_record::entities::{self, EntityWriteBody};
use karwan_record::{HistoryEvent, ItemValue, Payable, ReviewItem};
use karwan_store::View;
use karwan_store::draft::{Draft, unflatten};
use karwan_store::listing::{Kind, Listed, Question};
use serde::Serialize;

use crate::clock::{offset_text, rfc3339};
use crate::device::{Device, locked};
use crate::error::ClientError;
use crate::people::name_of;
use crate::project::writes_to;
use crate::records;

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Words to be found, in whatever script's spelling.
    pub search: String,
    /// Only what the device's own person made.
    pub mine: bool,
    /// `interview` or `entity`; both where nothing is said.
    pub entities: Option<bool>,
    /// Of this form or entity list.
    pub source: Option<String>,
    /// At most so many; 0 for all.
    pub limit: usize,
    /// How many to leave out at the beginning.
    pub offset: usize,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordListed {
    /// The record's or entity's identifier.
    pub record: String,
    /// `interview` or `entity`.
    pub kind: &'static str,
    /// An interview's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// An entity's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// What it is called.
    pub title: String,
    /// `draft`, `finalised`, `sent`, `returned`, `approved`.
    pub status: &'static str,
    /// Whom it is assigned to.
    pub assigned_to: Option<String>,
    /// Who made it.
    pub made_by: Option<String>,
    /// Its caseload's name.
    pub caseload: String,
    /// Last change.
    pub updated: String,
    /// Offset of the clock that said so.
    pub offset: String,
    /// Review items that nobody has decided.
    pub open_items: u32,
    /// Something of it came from another device and waits for the server's verdict.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
}

/// One value with where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownValue {
    /// The value.
    pub value: String,
    /// The device.
    pub device: String,
    /// The person.
    pub author: String,
    /// When, in UTC.
    pub time: String,
    /// Offset of the clock that said so.
    pub offset: String,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownEvent {
    /// When, in UTC.
    pub time: String,
    /// Offset of the clock that said so.
    pub offset: String,
    /// The device.
    pub device: String,
    /// The person.
    pub author: String,
    /// What happened.
    pub what: String,
    /// Why, where somebody said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The interview behind it, of an entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Events that it carries, those that count no more included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ShownStep>,
}

/// An event in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownStep {
    /// The question.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The state entered.
    pub value: String,
    /// `stands`, `passed`, `beaten`, `refused`.
    pub outcome: &'static str,
}

/// Something that may be paid, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPayable {
    /// The question.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its state.
    pub state: String,
}

/// A review item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownItem {
    /// The same on every device.
    pub item: String,
    /// `conflict`, `invalid`, ….
    pub kind: String,
    /// The question or property.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The values.
    pub values: Vec<ShownValue>,
    /// When it arose.
    pub since: String,
}

/// A record or entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordShown {
    /// Its identifier.
    pub record: String,
    /// `interview` or `entity`.
    pub kind: &'static str,
    /// An interview's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// An entity's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// What it is called.
    pub title: String,
    /// As in lists.
    pub status: &'static str,
    /// As in lists.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
    /// Why it went back, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<String>,
    /// Values by reference; more than one is a conflict, and the first is the one shown.
    pub values: BTreeMap<String, Vec<ShownValue>>,
    /// What happened, oldest first.
    pub history: Vec<ShownEvent>,
    /// What a person must decide.
    pub items: Vec<ShownItem>,
    /// What may be paid, once each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payable: Vec<ShownPayable>,
}

impl From<&HistoryEvent> for ShownStep {
    fn from(event: &HistoryEvent) -> Self {
        Self { reference: event.reference.clone(), value: event.value.clone(), outcome: event.outcome.as_str() }
    }
}

impl From<&Payable> for ShownPayable {
    fn from(payable: &Payable) -> Self {
        Self { reference: payable.reference.clone(), state: payable.state.clone() }
    }
}

impl Device {
    /// Interviews and entities, drafts first, then the newest first.
    pub fn list(&self, query: &ListQuery) -> Result<Vec<RecordListed>, ClientError> {
        let store = locked(&self.inner.store);
        let me = store.identity()?.person;
        let view = store.view()?;
        let words = search_words(&query.search);
        let mut listed = Vec::new();
        let mut drafts = view.drafts()?;
        drafts.sort_by_key(|draft| std::cmp::Reverse(draft.updated_ms));
        if query.entities != Some(true) {
            for draft in drafts.iter().filter(|draft| draft.base.is_none() && (!query.mine || draft.person == me)) {
                let form = view.form(draft.form)?.map(|row| row.form_id);
                if query.source.is_some() && query.source != form {
                    continue;
                }
                if words.is_empty() || draft_has(&view, draft, &words)? {
                    listed.push(draft_row(&view, draft, form)?);
                }
            }
        }
        // Drafts come first: what they leave of the page is asked of the store.
        let skipped = query.offset.min(listed.len());
        listed.drain(..skipped);
        if query.limit > 0 {
            listed.truncate(query.limit);
            if listed.len() == query.limit {
                return Ok(listed);
            }
        }
        let edited: BTreeSet<String> = drafts.iter().map(|draft| draft.record.to_string()).collect();
        let question = Question {
            kind: query.entities.map(|entities| if entities { Kind::Entity } else { Kind::Interview }),
            source: query.source.clone(),
            person: query.mine.then_some(me),
            words,
            limit: query.limit.saturating_sub(listed.len()),
            offset: query.offset - skipped,
        };
        for row in view.list(&question)? {
            let edited = row.kind == Kind::Interview && edited.contains(&row.id);
            listed.push(record_row(&view, row, edited)?);
        }
        Ok(listed)
    }

    /// A record, draft or entity with all that is known of it.
    pub fn show(&self, id: &str) -> Result<RecordShown, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let missing = || ClientError::NoSuchRecord(id.to_owned());
        if let Ok(record) = id.parse::<RecordId>() {
            let draft = view.draft(record)?;
            if view.record_place(record)?.is_some() && !view.changes_of(record)?.is_empty() {
                return self.show_record(&view, record, draft.as_ref());
            }
            if let Some(draft) = draft {
                return self.show_draft(&view, &draft);
            }
        }
        let (list, entity) = match id.split_once(':') {
            Some((list, entity)) => (Some(list), entity),
            None => (None, id),
        };
        let row = view
            .listed(entity)?
            .into_iter()
            .find(|row| row.kind == Kind::Entity && list.is_none_or(|list| row.source == list))
            .ok_or_else(missing)?;
        show_entity(&view, row)
    }

    fn show_record(&self, view: &View<'_>, id: RecordId, draft: Option<&Draft>) -> Result<RecordShown, ClientError> {
        let record = records::load(view, id)?;
        let projection = self.inner.projection(view, &record)?;
        let row = view.listed(&id.to_string())?.into_iter().find(|row| row.kind == Kind::Interview);
        let mut values = BTreeMap::new();
        for (reference, found) in &projection.values {
            values.insert(reference.clone(), shown_values(view, found)?);
        }
        if let Some(draft) = draft {
            let root = reference_root(values.keys());
            for (reference, value) in draft_values(view, draft, &root)? {
                let held = values.entry(reference).or_default();
                if held.first().is_none_or(|first| first.value != value) {
                    *held = vec![draft_value(view, draft, self.id(), &value)?];
                }
            }
        }
        let mut history = Vec::new();
        for entry in &projection.history {
            history.push(ShownEvent {
                time: rfc3339(entry.at_ms),
                offset: offset_text(entry.offset_minutes),
                device: device_name(view, entry.device)?,
                author: name_of(view, entry.person)?,
                what: entry.what.clone(),
                note: entry.note.clone(),
                record: None,
                events: entry.events.iter().map(ShownStep::from).collect(),
            });
        }
        let open: Vec<ReviewItem> =
            projection.items.iter().filter(|item| !projection.closed.contains(&item.id)).cloned().collect();
        Ok(RecordShown {
            record: id.to_string(),
            kind: "interview",
            form: row.as_ref().map(|row| row.source.clone()),
            list: None,
            title: projection.title.clone(),
            status: row.as_ref().map_or("sent", |row| status_of(row, draft.is_some())),
            provisional: row.as_ref().is_some_and(|row| row.provisional),
            returned: match projection.review {
                karwan_record::ReviewState::Returned { note } => Some(note),
                _ => None,
            },
            values,
            history,
            items: shown_items(view, &open)?,
            payable: projection.payable.iter().map(ShownPayable::from).collect(),
        })
    }

    fn show_draft(&self, view: &View<'_>, draft: &Draft) -> Result<RecordShown, ClientError> {
        let loaded = self.inner.loaded(view, draft.form)?;
        let root = loaded.as_ref().map_or("data", |loaded| loaded.form.root_name.as_str());
        let mut values = BTreeMap::new();
        for (reference, value) in draft_values(view, draft, root)? {
            values.insert(reference, vec![draft_value(view, draft, self.id(), &value)?]);
        }
        Ok(RecordShown {
            record: draft.record.to_string(),
            kind: "interview",
            form: view.form(draft.form)?.map(|row| row.form_id),
            list: None,
            title: draft.title.clone(),
            status: "draft",
            provisional: false,
            returned: None,
            values,
            history: Vec::new(),
            items: Vec::new(),
            payable: Vec::new(),
        })
    }
}

fn reference_root<'a>(mut references: impl Iterator<Item = &'a String>) -> String {
    references.next().and_then(|reference| reference.trim_start_matches('/').split('/').next()).unwrap_or("data").to_owned()
}

fn show_entity(view: &View<'_>, row: Listed) -> Result<RecordShown, ClientError> {
    let mut writes = writes_to(view, &row.source, &row.id)?;
    let state = entities::fold(&row.source, &row.id, &writes);
    let mut values = BTreeMap::new();
    for (property, found) in &state.properties {
        let shown = found
            .iter()
            .map(|value| shown_value(view, &value.value, value.device, value.person, value.at_ms, value.offset_minutes));
        values.insert(property.clone(), shown.collect::<Result<Vec<_>, _>>()?);
    }
    entities::in_order(&mut writes);
    let history = writes.iter().map(|write| entity_event(view, write)).collect::<Result<Vec<_>, _>>()?;
    let items = shown_items(view, &state.items)?;
    let status = status_of(&row, false);
    Ok(RecordShown {
        record: row.id,
        kind: "entity",
        form: None,
        list: Some(row.source),
        title: state.label,
        status,
        provisional: false,
        returned: None,
        values,
        history,
        items,
        payable: Vec::new(),
    })
}

fn entity_event(view: &View<'_>, write: &EntityWriteBody) -> Result<ShownEvent, ClientError> {
    Ok(ShownEvent {
        time: rfc3339(write.at_ms),
        offset: offset_text(write.offset_minutes),
        device: device_name(view, write.device)?,
        author: name_of(view, write.person)?,
        what: if write.create { "registered" } else { "updated" }.to_owned(),
        note: write.note.clone(),
        record: Some(write.record.to_string()),
        events: Vec::new(),
    })
}

fn shown_items(view: &View<'_>, items: &[ReviewItem]) -> Result<Vec<ShownItem>, ClientError> {
    items
        .iter()
        .map(|item| {
            Ok(ShownItem {
                item: item.id.clone(),
                kind: item.kind.as_str().to_owned(),
                reference: item.reference.clone(),
                values: shown_values(view, &item.values)?,
                since: rfc3339(item.since_ms),
            })
        })
        .collect()
}

fn shown_values(view: &View<'_>, values: &[ItemValue]) -> Result<Vec<ShownValue>, ClientError> {
    values
        .iter()
        .map(|value| shown_value(view, &value.value, value.device, value.person, value.at_ms, value.offset_minutes))
        .collect()
}

fn shown_value(
    view: &View<'_>,
    value: &str,
    device: DeviceId,
    person: PersonId,
    at_ms: i64,
    offset_minutes: i32,
) -> Result<ShownValue, ClientError> {
    Ok(ShownValue {
        value: value.to_owned(),
        device: device_name(view, device)?,
        author: name_of(view, person)?,
        time: rfc3339(at_ms),
        offset: offset_text(offset_minutes),
    })
}

/// A device's name; its identifier where there is none.
fn device_name(view: &View<'_>, device: DeviceId) -> Result<String, ClientError> {
    Ok(view.name("device", device.0)?.filter(|name| !name.is_empty()).unwrap_or_else(|| device.to_string()))
}

fn draft_value(view: &View<'_>, draft: &Draft, device: DeviceId, value: &str) -> Result<ShownValue, ClientError> {
    shown_value(view, value, device, draft.person, draft.updated_ms, draft.offset_minutes)
}

/// A draft's answers by reference.
fn draft_values(view: &View<'_>, draft: &Draft, root: &str) -> Result<Vec<(String, String)>, ClientError> {
    let mut values = Vec::new();
    gather(&unflatten(&view.draft_answers(draft.record)?), &format!("/{root}"), &mut values);
    Ok(values)
}

fn gather(answers: &Answers, above: &str, values: &mut Vec<(String, String)>) {
    for (key, answer) in &answers.values {
        let text = match answer {
            Answer::Text(text) => text.clone(),
            Answer::Set(chosen) => chosen.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        };
        values.push((format!("{above}/{key}"), text));
    }
    for (key, instances) in &answers.repeats {
        for instance in instances {
            gather(&instance.answers, &format!("{above}/{key}[{}]", instance.id), values);
        }
    }
}

fn draft_has(view: &View<'_>, draft: &Draft, words: &[String]) -> Result<bool, ClientError> {
    let mut text = fold_key(&draft.title);
    for (_, value) in draft_values(view, draft, "")? {
        text.push('\n');
        text.push_str(&fold_key(&value));
    }
    let joined = text.replace(' ', "");
    Ok(words.iter().all(|word| text.contains(word.as_str()) || joined.contains(word.as_str())))
}

fn caseload_name(view: &View<'_>, row: karwan_proto::CaseloadId) -> Result<String, ClientError> {
    Ok(view.name("caseload", row.0)?.unwrap_or_else(|| row.to_string()))
}

fn draft_row(view: &View<'_>, draft: &Draft, form: Option<String>) -> Result<RecordListed, ClientError> {
    Ok(RecordListed {
        record: draft.record.to_string(),
        kind: "interview",
        form,
        list: None,
        title: draft.title.clone(),
        status: "draft",
        assigned_to: None,
        made_by: Some(name_of(view, draft.person)?),
        caseload: caseload_name(view, draft.caseload)?,
        updated: rfc3339(draft.updated_ms),
        offset: offset_text(draft.offset_minutes),
        open_items: 0,
        provisional: false,
    })
}

fn record_row(view: &View<'_>, row: Listed, edited: bool) -> Result<RecordListed, ClientError> {
    let status = status_of(&row, edited);
    let assigned_to = match row.assigned.parse::<PersonId>() {
        Ok(person) => Some(name_of(view, person)?),
        Err(_) => None,
    };
    let made_by = row.person.map(|person| name_of(view, person)).transpose()?;
    let (form, list) = match row.kind {
        Kind::Interview => (Some(row.source), None),
        Kind::Entity => (None, Some(row.source)),
    };
    Ok(RecordListed {
        record: row.id,
        kind: if list.is_some() { "entity" } else { "interview" },
        form,
        list,
        title: row.title,
        status,
        assigned_to,
        made_by,
        caseload: caseload_name(view, row.caseload)?,
        updated: rfc3339(row.updated_ms),
        offset: offset_text(row.offset_minutes),
        open_items: row.open_items,
        provisional: row.provisional,
    })
}

/// What happened last counts: an edit that is not sent comes after whatever a review said.
fn status_of(row: &Listed, draft: bool) -> &'static str {
    if draft {
        "draft"
    } else if row.unsent {
        "finalised"
    } else {
        match row.status.as_str() {
            crate::project::RETURNED => "returned",
            crate::project::APPROVED => "approved",
            _ => "sent",
        }
    }
}
