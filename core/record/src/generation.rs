//! The next generation of a record, without a part that was erased. A CRDT forgets nothing, so every change is written again without what
//! it said of the part, in the same order and with the same concurrency: conflicts stay conflicts, and who wrote what when is kept.
//!
//! A server seals these changes. Each carries in its message whose the change is and where the one stood that it replaces: by envelope and
//! place, never by its hash, from which the erased value could be guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue};
use karwan_proto::{DeviceId, Hash, PersonId, Role};

use crate::document::root;
use crate::entities::{EntityNote, LABEL, key};
use crate::error::RecordError;
use crate::place;
use crate::provenance::Provenance;
use crate::review::ReviewBody;

/// Longest message that is read, in bytes.
const MAX_MESSAGE_BYTES: usize = 512;
/// First word of a message of this kind.
const MARK: &str = "g1";

/// A change of the generation before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Automerge's uncompressed bytes.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub provenance: Provenance,
    /// The envelope that it is in.
    pub envelope: Hash,
    /// Its place there, from 0.
    pub position: u32,
}

/// What a change of a later generation says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Whose it is. The time is the change's own.
    pub provenance: Provenance,
    /// The envelope that the change which it replaces was in.
    pub envelope: Hash,
    /// That change's place there, from 0.
    pub position: u32,
}

/// Whose a change is of which `by` is what its envelope says: what it carries, if it carries something.
pub fn whose(bytes: &[u8], by: Provenance) -> Provenance {
    carried(bytes).map_or(by, |carried| Provenance { at_ms: by.at_ms, ..carried.provenance })
}

/// What a change carries in its message, where it was written again for a later generation.
pub fn carried(bytes: &[u8]) -> Option<Carried> {
    // Automerge panics on some damaged bytes.
    let change = catch_unwind(AssertUnwindSafe(|| Change::from_bytes(bytes.to_vec()))).ok()?.ok()?;
    let message = change.message().filter(|message| message.len() <= MAX_MESSAGE_BYTES)?;
    let mut words = message.split(' ');
    if words.next() != Some(MARK) {
        return None;
    }
    let device: DeviceId = words.next()?.parse().ok()?;
    let person: PersonId = words.next()?.parse().ok()?;
    let role = Role::of_number(words.next()?.parse().ok()?)?;
    let offset_minutes: i32 = words.next()?.parse().ok()?;
    let envelope: Hash = words.next()?.parse().ok()?;
    let position = words.next()?.parse().ok()?;
    let provenance = Provenance { device, person, role, at_ms: change.timestamp(), offset_minutes };
    Some(Carried { provenance, envelope, position })
}

fn message(standing: &Standing) -> String {
    let Provenance { device, person, role, offset_minutes, .. } = standing.provenance;
    let (envelope, position) = (standing.envelope, standing.position);
    format!("{MARK} {device} {person} {} {offset_minutes} {envelope} {position}", role.number())
}

/// Whether a path is this part of a record or below it.
pub fn is_part(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
}

/// What the next generation leaves out.
#[derive(Debug, Clone, Default)]
pub struct LeftOut {
    /// The path of a question or instance below the root, or [`shown_of`] an entity.
    pub part: String,
    /// Keys (`list:id`) of entities that came from the part: what is noted of them goes.
    pub notes: BTreeSet<String>,
    /// Values by property that notes about the entity of [`shown_of`] forget to have been shown; all of them where none is named.
    pub values: BTreeMap<String, BTreeSet<String>>,
}

impl LeftOut {
    /// A part, and nothing else.
    pub fn part(part: &str) -> Self {
        Self { part: part.to_owned(), ..Self::default() }
    }

    /// What a note says, without what it is to forget.
    fn forget(&self, key: &str, text: &str) -> Option<String> {
        if self.part.strip_prefix(SHOWN) != Some(key) {
            return None;
        }
        let mut note: EntityNote = serde_json::from_str(text).ok()?;
        let goes = |name: &str, value: &str| {
            self.values.is_empty() || self.values.get(name).is_some_and(|values| values.contains(value))
        };
        note.shown.retain(|name, value| !goes(name, value));
        if goes(LABEL, &note.shown_label) {
            note.shown_label.clear();
        }
        serde_json::to_string(&note).ok()
    }
}

/// First character of a part that is no path: what an interview had been shown of an entity.
const SHOWN: char = '@';

/// The part of a record that is what it had been shown of an entity: an erased interview's values are there too.
pub fn shown_of(list: &str, id: &str) -> String {
    format!("{SHOWN}{}", key(list, id))
}

/// The changes of the next generation, in an order in which each follows what it stands on. All are by actors that begin with `actor`.
pub fn without(standing: &[Standing], left_out: &LeftOut, actor: [u8; 16]) -> Result<Vec<Vec<u8>>, RecordError> {
    let mut open: Vec<(Change, &Standing)> = Vec::with_capacity(standing.len());
    for one in standing {
        let change = Change::from_bytes(one.bytes.clone()).map_err(|error| RecordError::Unreadable(error.to_string()))?;
        open.push((change, one));
    }
    let actors: BTreeSet<ActorId> = open.iter().map(|(change, _)| change.actor_id().clone()).collect();
    let mut writer = Writer {
        left_out,
        // In the same order: where counters are equal the greater actor shows.
        actors: actors.into_iter().zip(0u32..).map(|(old, number)| (old, forked(actor, number))).collect(),
        ids: BTreeMap::new(),
        places: BTreeMap::new(),
        changes: BTreeMap::new(),
        sequences: BTreeMap::new(),
        above: BTreeMap::new(),
        written: Vec::new(),
    };
    while !open.is_empty() {
        let before = open.len();
        let mut still = Vec::new();
        for (change, one) in open {
            if change.deps().iter().all(|dep| writer.changes.contains_key(dep)) {
                writer.write(&change, one);
            } else {
                still.push((change, one));
            }
        }
        if still.len() == before {
            // What stands on a change that does not count is part of nothing.
            break;
        }
        open = still;
    }
    Ok(writer.written)
}

fn forked(actor: [u8; 16], number: u32) -> ActorId {
    ActorId::from([&actor[..], &number.to_be_bytes()].concat())
}

/// Where an object of the old document is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A map of the root, by its name.
    Root(String),
    /// A map of answers, by its path.
    Answers(String),
    /// It goes, with all that is in it.
    Gone,
}

struct Writer<'a> {
    left_out: &'a LeftOut,
    actors: BTreeMap<ActorId, ActorId>,
    ids: BTreeMap<OpId, OpId>,
    places: BTreeMap<OpId, Place>,
    /// What stands for an old change: its new name, or what it stood on where nothing of it is left.
    changes: BTreeMap<ChangeHash, BTreeSet<ChangeHash>>,
    sequences: BTreeMap<ActorId, u64>,
    /// Of each new change the highest operation, and all that it stands on.
    above: BTreeMap<ChangeHash, (u64, BTreeSet<ChangeHash>)>,
    written: Vec<Vec<u8>>,
}

impl Writer<'_> {
    fn write(&mut self, change: &Change, standing: &Standing) {
        let expanded = change.decode();
        let mut deps: BTreeSet<ChangeHash> =
            change.deps().iter().filter_map(|dep| self.changes.get(dep)).flatten().copied().collect();
        let below: BTreeSet<ChangeHash> =
            deps.iter().filter_map(|dep| self.above.get(dep)).flat_map(|(_, below)| below).copied().collect();
        deps.retain(|dep| !below.contains(dep));
        let highest = deps.iter().filter_map(|dep| self.above.get(dep)).map(|(highest, _)| *highest).max().unwrap_or(0);
        let actor = self.actors.get(change.actor_id()).cloned().unwrap_or_else(|| change.actor_id().clone());
        let mut operations = Vec::new();
        let mut old = expanded.start_op.get();
        for operation in &expanded.operations {
            let id = OpId::new(old, &expanded.actor_id);
            old += 1;
            if self.goes(&id, operation) {
                continue;
            }
            self.ids.insert(id, OpId::new(highest + 1 + operations.len() as u64, &actor));
            operations.push(self.moved(operation));
        }
        let hash = change.hash();
        if operations.is_empty() {
            self.changes.insert(hash, deps);
            return;
        }
        let sequence = self.sequences.entry(actor.clone()).or_insert(0);
        *sequence += 1;
        let time = if change.timestamp() == 0 { standing.provenance.at_ms } else { change.timestamp() };
        let top = highest + operations.len() as u64;
        let again = Change::from(ExpandedChange {
            operations,
            actor_id: actor,
            hash: None,
            seq: *sequence,
            start_op: std::num::NonZeroU64::MIN.saturating_add(highest),
            time,
            message: Some(message(standing)),
            deps: deps.iter().copied().collect(),
            author: expanded.author.clone(),
            extra_bytes: Vec::new(),
        });
        let new = again.hash();
        let below = below.into_iter().chain(deps).collect();
        self.above.insert(new, (top, below));
        self.changes.insert(hash, BTreeSet::from([new]));
        self.written.push(again.raw_bytes().to_vec());
    }

    /// Whether an operation says something of the part. Remembers where it makes a map.
    fn goes(&mut self, id: &OpId, operation: &Op) -> bool {
        let Key::Map(key) = &operation.key else { return false };
        let around = match &operation.obj {
            ObjectId::Root => {
                let inner = if key == root::ANSWERS { Place::Answers(String::new()) } else { Place::Root(key.to_string()) };
                self.places.insert(id.clone(), inner);
                return false;
            }
            ObjectId::Id(object) => self.places.get(object).cloned().unwrap_or(Place::Gone),
        };
        let (goes, inner) = match around {
            Place::Gone => (true, Place::Gone),
            Place::Answers(parent) => {
                let named = match place::Key::of(key) {
                    place::Key::Member { path, .. } => path,
                    _ => key.as_str(),
                };
                let path = place::join(&parent, named);
                let goes = is_part(&path, &self.left_out.part);
                (goes, if goes { Place::Gone } else { Place::Answers(path) })
            }
            Place::Root(name) => (self.goes_from_root(&name, key, operation), Place::Gone),
        };
        if operation.action == OpType::Make(ObjType::Map) {
            self.places.insert(id.clone(), inner);
        }
        goes
    }

    fn goes_from_root(&self, name: &str, key: &str, operation: &Op) -> bool {
        match name {
            root::EVENTS => key.rsplit_once('!').is_some_and(|(path, _)| is_part(path, &self.left_out.part)),
            root::SEEN => self.left_out.notes.contains(key),
            root::REVIEWS => {
                let OpType::Put(ScalarValue::Str(text)) = &operation.action else { return false };
                let body: Option<ReviewBody> = serde_json::from_str(text).ok();
                let reference = body.and_then(|body| body.reference).unwrap_or_default();
                is_part(place::of_reference(&reference), &self.left_out.part)
            }
            _ => false,
        }
    }

    /// An operation with the identifiers of the new document.
    fn moved(&self, operation: &Op) -> Op {
        let new = |id: &OpId| self.ids.get(id).cloned().unwrap_or_else(|| id.clone());
        let in_notes =
            matches!(&operation.obj, ObjectId::Id(id) if self.places.get(id) == Some(&Place::Root(root::SEEN.to_owned())));
        let action = match (&operation.action, &operation.key) {
            (OpType::Put(ScalarValue::Str(text)), Key::Map(key)) if in_notes => {
                self.left_out.forget(key, text).map_or_else(|| operation.action.clone(), |text| OpType::Put(text.into()))
            }
            (action, _) => action.clone(),
        };
        Op {
            action,
            obj: match &operation.obj {
                ObjectId::Root => ObjectId::Root,
                ObjectId::Id(id) => ObjectId::Id(new(id)),
            },
            key: operation.key.clone(),
            pred: operation.pred.iter().map(new).collect(),
            insert: operation.insert,
        }
    }
}
