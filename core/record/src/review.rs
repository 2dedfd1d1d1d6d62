//! What people decide about a record: returns, approvals, assignments, and decisions of review items. Each is a change like any
//! other; entries under the root's `r` need a supervisor, which the gate checks.

use automerge::transaction::Transactable;
use karwan_proto::{DeviceId, Hash, PersonId};
use serde::{Deserialize, Serialize};

use crate::document::{Record, root};
use crate::edit::{Writer, json, put_all};
use crate::error::RecordError;
use crate::events::EventBody;
use crate::items::{ItemKind, ReviewItem};
use crate::place::{self, REMOVED};
use crate::provenance::{Author, Provenance, Stamp};
use crate::state::State;

/// Longest note, in bytes.
pub const MAX_NOTE_BYTES: usize = 4096;

/// What somebody says of a whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// It goes back to who made it.
    Return {
        /// Why.
        note: String,
    },
    /// It stands.
    Approve {
        /// Remarks.
        note: String,
    },
    /// Somebody is to go on with it.
    Assign {
        /// Who.
        to: PersonId,
        /// Until when, as a date.
        due: Option<String>,
    },
}

/// How an item is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This text.
    Value(String),
    /// The value that came from this device.
    Keep(DeviceId),
    /// It stands as it is.
    Accept,
    /// It does not stand.
    Reject,
}

impl Decision {
    fn name(&self) -> &'static str {
        match self {
            Self::Value(_) => "a value",
            Self::Keep(_) => "keeping a device's value",
            Self::Accept => "accepting",
            Self::Reject => "rejecting",
        }
    }
}

/// What a review's key holds, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewBody {
    /// `return`, `approve`, `assign`, `decide`, `accept`, `reject`. Others are kept and have no effect.
    #[serde(rename = "k")]
    pub kind: String,
    /// Why.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The item decided.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Where the item was.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who is to go on.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PersonId>,
    /// Until when.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

/// One entry with who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewEntry {
    /// Its identifier.
    pub id: String,
    /// What it says.
    pub body: ReviewBody,
    /// The change that carries it.
    pub change: Hash,
    /// Who, when.
    pub provenance: Provenance,
}

impl ReviewBody {
    /// An entry that says nothing but its kind and note.
    pub(crate) fn new(kind: &str, note: &str) -> Self {
        Self { kind: kind.to_owned(), note: note.to_owned(), item: None, reference: None, to: None, due: None }
    }
}

impl Record {
    /// Says something of the whole record.
    pub fn review(&mut self, review: &Review, author: &Author, stamp: &Stamp) -> Result<Vec<u8>, RecordError> {
        let body = match review {
            Review::Return { note } => ReviewBody::new("return", note),
            Review::Approve { note } => ReviewBody::new("approve", note),
            Review::Assign { to, due } => ReviewBody { to: Some(*to), due: due.clone(), ..ReviewBody::new("assign", "") },
        };
        self.write_review(body, author, stamp, |_, _| Ok(()))
    }

    /// Decides an item of this record, as it was listed. The caller has checked that the item is still the same: a value that came
    /// after it was listed makes it another item.
    pub fn resolve(
        &mut self,
        item: &ReviewItem,
        decision: &Decision,
        note: &str,
        author: &Author,
        stamp: &Stamp,
    ) -> Result<Vec<u8>, RecordError> {
        let path = place::of_reference(&item.reference).to_owned();
        let kind = match decision {
            Decision::Value(_) | Decision::Keep(_) => "decide",
            Decision::Accept => "accept",
            Decision::Reject => "reject",
        };
        let body =
            ReviewBody { item: Some(item.id.clone()), reference: Some(item.reference.clone()), ..ReviewBody::new(kind, note) };
        let refused = RecordError::Decision { item: item.kind.as_str(), decision: decision.name() };
        let value = match decision {
            Decision::Value(text) => Some(text.clone()),
            Decision::Keep(device) => {
                let kept = item.values.iter().find(|value| value.device == *device);
                Some(kept.ok_or(RecordError::NoSuchDevice)?.value.clone())
            }
            Decision::Accept | Decision::Reject => None,
        };
        let state = State::read(self, None);
        match (item.kind, value, decision) {
            (ItemKind::Conflict | ItemKind::Invalid, Some(value), _) => {
                if let Some(recorded) = state.events.get(&path) {
                    let seen = recorded.iter().map(|event| event.id.clone()).collect();
                    let event = json(&EventBody { value, seen, decision: true })?;
                    let maps = self.root_maps(root::EVENTS)?;
                    let key = format!("{path}!{}", stamp.identifier(1));
                    return self.write_review(body, author, stamp, |writer, _| put_all(writer.doc, &maps, &key, &event));
                }
                self.write_review(body, author, stamp, |writer, _| writer.decide(&path, &value))
            }
            (ItemKind::RemovedButEdited, None, Decision::Reject) => self.write_review(body, author, stamp, |writer, _| {
                let maps = writer.maps.get(&path).cloned().unwrap_or_default();
                maps.iter().try_for_each(|map| Ok(writer.doc.delete(map, REMOVED)?))
            }),
            (ItemKind::Conflict, None, _) => Err(refused),
            (_, None, _) => self.write_review(body, author, stamp, |_, _| Ok(())),
            (_, Some(_), _) => Err(refused),
        }
    }

    fn write_review(
        &mut self,
        body: ReviewBody,
        author: &Author,
        stamp: &Stamp,
        more: impl FnOnce(&mut Writer<'_>, &State) -> Result<(), RecordError>,
    ) -> Result<Vec<u8>, RecordError> {
        if body.note.len() > MAX_NOTE_BYTES {
            return Err(RecordError::Limit { what: "length of a note", limit: MAX_NOTE_BYTES, came: body.note.len() });
        }
        let state = State::read(self, None);
        let maps = self.root_maps(root::REVIEWS)?;
        let text = json(&body)?;
        let key = stamp.identifier(0);
        let heads = self.heads();
        let change = self.write(&heads, author, stamp.at_ms, |doc| {
            put_all(doc, &maps, &key, &text)?;
            let mut containers: std::collections::BTreeMap<String, Vec<automerge::ObjId>> =
                state.instances.iter().map(|(path, instance)| (path.clone(), instance.maps.clone())).collect();
            containers.insert(String::new(), state.answer_maps.clone());
            more(&mut Writer { doc, maps: containers }, &state)
        })?;
        change.ok_or(RecordError::Empty)
    }
}
