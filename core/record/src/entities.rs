//! Entities: people, households and cases as a fold over the interviews that write to them.
//!
//! An interview that writes a property notes which records' writes it had been shown, once, when it first writes to the entity. It
//! writes what differs from what it was shown. A write is superseded by one whose record had seen its record; those that no other
//! supersedes are the property's values. So correcting January's interview cannot undo March's, which had seen it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use karwan_form::answers::{Answer, Answers};
use karwan_proto::{DeviceId, Hash, PersonId, RecordId};
use serde::{Deserialize, Serialize};

use crate::document::Record;
use crate::error::RecordError;
use crate::items::{ItemKind, ItemValue, ReviewItem};
use crate::provenance::{Author, Stamp};
use crate::review::MAX_NOTE_BYTES;
use crate::shape::Shape;

/// The form of records that are made in the console to decide or correct an entity: no form's hash is this.
pub const ENTITY_FORM: Hash = Hash([0xee; 32]);
/// The property that stands for the entity's label in items.
pub const LABEL: &str = "label";

/// What a finalising interview had been shown of an entity that it writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityNote {
    /// Entity list.
    #[serde(rename = "l")]
    pub list: String,
    /// The entity.
    #[serde(rename = "e")]
    pub id: String,
    /// Records whose writes it had been shown.
    #[serde(rename = "r", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub seen: BTreeSet<RecordId>,
    /// Values that it had been shown.
    #[serde(rename = "v", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<String, String>,
    /// Label that it had been shown.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub shown_label: String,
}

impl EntityNote {
    /// The key under the root's `s`.
    pub(crate) fn key(&self) -> String {
        key(&self.list, &self.id)
    }
}

/// The key of an entity: entities of different lists may have one id.
pub fn key(list: &str, id: &str) -> String {
    format!("{list}:{id}")
}

/// What one record writes to one entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityWriteBody {
    /// The record.
    pub record: RecordId,
    /// Entity list.
    pub list: String,
    /// The entity.
    pub id: String,
    /// It makes the entity.
    pub create: bool,
    /// Label, where it gives one.
    pub label: Option<String>,
    /// Values by property, those shown before included.
    pub properties: BTreeMap<String, String>,
    /// Records whose writes it had been shown.
    pub seen: BTreeSet<RecordId>,
    /// Values that it had been shown.
    pub shown: BTreeMap<String, String>,
    /// Label that it had been shown.
    pub shown_label: String,
    /// Why, where somebody who decided said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The device's offset from UTC, in minutes.
    pub offset_minutes: i32,
    /// The device.
    pub device: DeviceId,
    /// The person.
    pub person: PersonId,
}

/// One value of a property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityValue {
    /// The value.
    pub value: String,
    /// The record that wrote it.
    pub record: RecordId,
    /// The device.
    pub device: DeviceId,
    /// The person.
    pub person: PersonId,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The device's offset from UTC, in minutes.
    pub offset_minutes: i32,
}

/// An entity as its interviews make it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityState {
    /// What it is called.
    pub label: String,
    /// Values by property, the one shown first; more than one is a conflict.
    pub properties: BTreeMap<String, Vec<EntityValue>>,
    /// Conflicts.
    pub items: Vec<ReviewItem>,
    /// Records that write to it.
    pub records: Vec<RecordId>,
}

/// What is known of an entity at the moment when an interview that writes to it is finalised.
pub fn note(list: &str, id: &str, known: &[EntityWriteBody]) -> EntityNote {
    let state = fold(list, id, known);
    let shown =
        state.properties.iter().filter_map(|(name, values)| Some((name.clone(), values.first()?.value.clone()))).collect();
    let seen = known.iter().map(|write| write.record).collect();
    EntityNote { list: list.to_owned(), id: id.to_owned(), seen, shown, shown_label: state.label }
}

/// An entity as lists show it.
#[derive(Debug, Clone, Copy)]
pub struct EntityOrigin<'a> {
    /// The write that made it: of several the earliest.
    pub made: &'a EntityWriteBody,
    /// The newest write.
    pub newest: &'a EntityWriteBody,
}

/// Where an entity is from; `None` where nobody made it: an update that came before waits.
pub fn origin(writes: &[EntityWriteBody]) -> Option<EntityOrigin<'_>> {
    let made = writes.iter().filter(|write| write.create).min_by_key(|write| (write.at_ms, write.record))?;
    let newest = writes.iter().max_by_key(|write| (write.at_ms, write.record))?;
    Some(EntityOrigin { made, newest })
}

/// Puts writes in the order in which people made them, the oldest first; of one second, the one that had seen less.
pub fn in_order(writes: &mut [impl Borrow<EntityWriteBody>]) {
    writes.sort_by_key(|write| {
        let write = write.borrow();
        (write.at_ms, write.seen.len(), write.record)
    });
}

/// Folds all writes to one entity.
pub fn fold(list: &str, id: &str, writes: &[EntityWriteBody]) -> EntityState {
    let mut state = EntityState { records: writes.iter().map(|write| write.record).collect(), ..EntityState::default() };
    state.records.sort();
    state.records.dedup();
    // An entity exists once somebody made it; an update that came before its creation waits in its record.
    let names: BTreeSet<&str> = writes.iter().flat_map(|write| write.properties.keys().map(String::as_str)).collect();
    for name in names {
        let active: Vec<(&EntityWriteBody, &str)> = writes
            .iter()
            .filter_map(|write| {
                let value = write.properties.get(name)?;
                let shown = write.shown.get(name).map_or("", String::as_str);
                (value != shown).then_some((write, value.as_str()))
            })
            .collect();
        let values = standing(&active);
        if values.len() > 1 {
            state.items.push(conflict(id, name, &values));
        }
        if values.first().is_some_and(|value| !value.value.is_empty()) || values.len() > 1 {
            state.properties.insert(name.to_owned(), values);
        }
    }
    let active: Vec<(&EntityWriteBody, &str)> = writes
        .iter()
        .filter_map(|write| {
            let label = write.label.as_deref()?;
            (label != write.shown_label && !label.is_empty()).then_some((write, label))
        })
        .collect();
    let labels = standing(&active);
    // A label is made of properties: it differs because one of them does, which has an item of its own, so it needs none.
    state.label = labels.first().map_or_else(String::new, |label| label.value.clone());
    let _ = list;
    state
}

/// Writes that no other active write had seen, equal values once, the one shown first.
fn standing(active: &[(&EntityWriteBody, &str)]) -> Vec<EntityValue> {
    let mut values: Vec<EntityValue> = active
        .iter()
        .filter(|(write, _)| !active.iter().any(|(other, _)| other.record != write.record && other.seen.contains(&write.record)))
        .map(|(write, value)| EntityValue {
            value: (*value).to_owned(),
            record: write.record,
            device: write.device,
            person: write.person,
            at_ms: write.at_ms,
            offset_minutes: write.offset_minutes,
        })
        .collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.record));
    let mut found = BTreeSet::new();
    values.retain(|value| found.insert(value.value.clone()));
    values
}

fn conflict(id: &str, property: &str, values: &[EntityValue]) -> ReviewItem {
    let since = values.iter().map(|value| value.at_ms).max().unwrap_or(0);
    let values = values
        .iter()
        .map(|value| ItemValue {
            value: value.value.clone(),
            device: value.device,
            person: value.person,
            at_ms: value.at_ms,
            offset_minutes: value.offset_minutes,
        })
        .collect();
    ReviewItem::new(ItemKind::Conflict, id.to_owned(), property.to_owned(), values, String::new(), since)
}

impl Record {
    /// A record of the built-in entity form: somebody sets properties of an entity in the console, having seen `known`.
    #[allow(clippy::too_many_arguments, reason = "each is another thing that a decision needs to be told")]
    pub fn create_entity_write(
        id: RecordId,
        list: &str,
        entity: &str,
        values: &BTreeMap<String, String>,
        known: &[EntityWriteBody],
        note: &str,
        author: &Author,
        stamp: &Stamp,
    ) -> Result<(Self, Vec<u8>), RecordError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(RecordError::Limit { what: "length of a note", limit: MAX_NOTE_BYTES, came: note.len() });
        }
        let mut answers = Answers::default();
        answers.values.insert("list".to_owned(), Answer::Text(list.to_owned()));
        answers.values.insert("id".to_owned(), Answer::Text(entity.to_owned()));
        for (name, value) in values {
            answers.values.insert(format!("property/{name}"), Answer::Text(value.clone()));
        }
        if !note.is_empty() {
            answers.values.insert("note".to_owned(), Answer::Text(note.to_owned()));
        }
        let mut shown = self::note(list, entity, known);
        // A decision stands even where it repeats the value that was shown: what it names counts as not shown.
        shown.shown.retain(|name, _| !values.contains_key(name));
        Self::create(id, &Shape::unknown(), ENTITY_FORM, &answers, &[shown], author, stamp)
    }
}
