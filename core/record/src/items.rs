//! Review items: what a person must decide. Every replica that holds the same changes makes the same items with the same ids.

use std::collections::BTreeSet;

use karwan_proto::{DeviceId, PersonId};
use serde::{Deserialize, Serialize};

use crate::document::Record;
use crate::events;
use crate::place;
use crate::provenance::Provenance;
use crate::shape::Shape;
use crate::state::State;

/// What is to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// Several values for one question or property.
    Conflict,
    /// Answers that were valid apart and are not together.
    Invalid,
    /// One person registered twice.
    Duplicate,
    /// An instance that one removed while another edited it.
    RemovedButEdited,
    /// Changes that the gate refused.
    Quarantined,
    /// An instance that a formula finds by position has another position after a merge.
    MovedPosition,
}

impl ItemKind {
    /// The name in commands and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
            Self::RemovedButEdited => "removed-but-edited",
            Self::Quarantined => "quarantined",
            Self::MovedPosition => "moved-position",
        }
    }
}

/// One value with who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemValue {
    /// The value.
    pub value: String,
    /// The device.
    pub device: DeviceId,
    /// The person.
    pub person: PersonId,
    /// When, by the device's clock, in milliseconds since 1970.
    pub at_ms: i64,
    /// The device's offset from UTC, in minutes.
    pub offset_minutes: i32,
}

impl ItemValue {
    /// A value as a change gave it.
    pub fn new(value: &str, by: &Provenance) -> Self {
        Self { value: value.to_owned(), device: by.device, person: by.person, at_ms: by.at_ms, offset_minutes: by.offset_minutes }
    }
}

/// Something that a person must decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewItem {
    /// Same on every replica; another one as soon as anything in it changes.
    pub id: String,
    /// What kind.
    pub kind: ItemKind,
    /// The record's or the entity's id.
    pub record: String,
    /// The question's reference, or the entity's property.
    pub reference: String,
    /// The values, the one shown first.
    pub values: Vec<ItemValue>,
    /// The form's own words, where it has some.
    pub message: String,
    /// When the newest of the values was given, in milliseconds since 1970.
    pub since_ms: i64,
}

impl ReviewItem {
    /// An item; the id is the first half of BLAKE3 over kind, record, reference and sorted values.
    pub fn new(
        kind: ItemKind,
        record: String,
        reference: String,
        values: Vec<ItemValue>,
        message: String,
        since_ms: i64,
    ) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 review item");
        let mut texts: Vec<String> = values.iter().map(|value| format!("{}\u{1f}{}", value.value, value.device)).collect();
        texts.sort();
        for part in [kind.as_str(), &record, &reference].into_iter().chain(texts.iter().map(String::as_str)) {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let mut bytes = [0u8; 16];
        hasher.finalize_xof().fill(&mut bytes);
        let id = bytes.iter().fold(String::with_capacity(32), |text, byte| text + &format!("{byte:02x}"));
        Self { id, kind, record, reference, values, message, since_ms }
    }
}

/// Conflicts and removed-but-edited instances of a record.
pub(crate) fn structural(record: &Record, state: &State, shape: &Shape) -> Vec<ReviewItem> {
    let id = record.id().to_string();
    let mut items = Vec::new();
    for (path, written) in &state.registers {
        if written.len() < 2 || shape.is_captured(&place::form_path(path)) || state.is_below_removed(path) {
            continue;
        }
        let values: Vec<ItemValue> = written
            .iter()
            .filter_map(|written| record.node(written.change).map(|node| ItemValue::new(&written.value, &node.provenance)))
            .collect();
        items.push(item(ItemKind::Conflict, &id, shape, path, values));
    }
    for (path, recorded) in &state.events {
        if state.is_below_removed(path) {
            continue;
        }
        let rules = shape.rules(&place::form_path(path)).unwrap_or(&[]);
        let folded = events::fold(recorded, rules);
        let value_of = |id: &String| {
            recorded.iter().find(|event| event.id == *id).map(|event| ItemValue::new(&event.body.value, &event.provenance))
        };
        if folded.tips.len() > 1 {
            items.push(item(ItemKind::Conflict, &id, shape, path, folded.tips.iter().filter_map(value_of).collect()));
        }
        for refused in &folded.refused {
            // Once a later event stands, the refused one is history.
            let overtaken = recorded.iter().any(|event| event.body.seen.contains(refused) && !folded.refused.contains(&event.id));
            if !overtaken {
                items.push(item(ItemKind::Invalid, &id, shape, path, value_of(refused).into_iter().collect()));
            }
        }
    }
    for (path, instance) in &state.instances {
        if instance.removals.is_empty() || state.is_below_removed(path) {
            continue;
        }
        let removals: Vec<_> = instance.removals.iter().copied().collect();
        let seen = record.ancestors(&removals);
        let unseen: BTreeSet<_> = instance.touched.iter().filter(|change| !seen.contains(change)).copied().collect();
        if unseen.is_empty() {
            continue;
        }
        let mut values: Vec<ItemValue> = Vec::new();
        for (place, written) in state.registers.iter().filter(|(place, _)| place.starts_with(&format!("{path}/"))) {
            let name = place.rsplit('/').next().unwrap_or(place);
            for written in written.iter().filter(|written| unseen.contains(&written.change)) {
                if let Some(node) = record.node(written.change) {
                    values.push(ItemValue::new(&format!("{name}={}", written.value), &node.provenance));
                }
            }
        }
        for removal in &instance.removals {
            if let Some(node) = record.node(*removal) {
                values.push(ItemValue::new("", &node.provenance));
            }
        }
        items.push(item(ItemKind::RemovedButEdited, &id, shape, path, values));
    }
    items.extend(moved(record, state, shape, &id));
    items
}

fn item(kind: ItemKind, id: &str, shape: &Shape, path: &str, values: Vec<ItemValue>) -> ReviewItem {
    let since = values.iter().map(|value| value.at_ms).max().unwrap_or(0);
    ReviewItem::new(kind, id.to_owned(), place::reference(shape.root(), path), values, String::new(), since)
}

/// Instances whose maker had not seen a sibling that now stands before them, in repeats where a formula counts positions.
fn moved(record: &Record, state: &State, shape: &Shape, id: &str) -> Vec<ReviewItem> {
    let mut items = Vec::new();
    for repeat in shape.positional() {
        let siblings: Vec<_> = state
            .instances
            .iter()
            .filter(|(path, _)| place::form_path(path) == *repeat && !state.is_below_removed(path))
            .collect();
        for (path, instance) in &siblings {
            if !instance.removals.is_empty() {
                continue;
            }
            let made: Vec<_> = instance.made.iter().copied().collect();
            let seen = record.ancestors(&made);
            let parent = place::container(path).0;
            let pushed = siblings.iter().any(|(other_path, other)| {
                let before = (&other.order, other_path) < (&instance.order, path);
                let alike = place::container(other_path).0 == parent && other_path != path;
                let unseen_made = !other.made.iter().any(|made| seen.contains(made)) && {
                    let others: Vec<_> = other.made.iter().copied().collect();
                    !record.ancestors(&others).iter().any(|change| instance.made.contains(change))
                };
                let unseen_removal = other.removals.iter().any(|removal| {
                    !seen.contains(removal) && !record.ancestors(&[*removal]).iter().any(|change| instance.made.contains(change))
                });
                alike
                    && before
                    && ((other.removals.is_empty() && unseen_made)
                        || (!other.removals.is_empty() && !unseen_made && unseen_removal))
            });
            if pushed {
                let by = instance.made.iter().find_map(|made| record.node(*made));
                let values = by.map(|node| ItemValue::new("", &node.provenance)).into_iter().collect();
                items.push(item(ItemKind::MovedPosition, id, shape, path, values));
            }
        }
    }
    items
}
