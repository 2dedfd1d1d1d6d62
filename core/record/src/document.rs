//! A record: the automerge document of one interview and its reviews, with who made each change.
//!
//! The root holds five maps, all made by the first change: `a` answers, `m` meta (the form), `e` events, `r` reviews, `s` what
//! entity writes had been shown. Concurrent changes of one map never hide each other: a map that was made twice is read as one.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{ActorId, AutoCommit, Change, ChangeHash};
use karwan_proto::{Hash, RecordId};

use crate::error::RecordError;
use crate::provenance::{Author, Provenance, SourcedChange};

/// Names of the root's maps.
pub mod root {
    /// Answers.
    pub const ANSWERS: &str = "a";
    /// Meta.
    pub const META: &str = "m";
    /// Events.
    pub const EVENTS: &str = "e";
    /// Reviews.
    pub const REVIEWS: &str = "r";
    /// What entity writes had been shown.
    pub const SEEN: &str = "s";
    /// All of them.
    pub const ALL: [&str; 5] = [ANSWERS, META, EVENTS, REVIEWS, SEEN];
    /// Key in [`META`]: the form's hash.
    pub const FORM: &str = "form";
}

/// One change in the graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it stands on.
    pub deps: Vec<Hash>,
    /// Who made it; the time is the change's own.
    pub provenance: Provenance,
    /// Its number in the order in which it was applied: a change comes after what it depends on.
    pub order: usize,
    pub(crate) actor: ActorId,
    pub(crate) sequence: u64,
    pub(crate) max_operation: u64,
}

/// One record, loaded.
#[derive(Debug, Clone)]
pub struct Record {
    pub(crate) id: RecordId,
    pub(crate) doc: AutoCommit,
    pub(crate) graph: BTreeMap<Hash, Node>,
}

/// The name of a change.
pub fn name(bytes: &[u8]) -> Result<Hash, RecordError> {
    let change = Change::from_bytes(bytes.to_vec()).map_err(|error| RecordError::Unreadable(error.to_string()))?;
    Ok(Hash(change.hash().0))
}

/// What a change stands on.
pub fn dependencies(bytes: &[u8]) -> Result<Vec<Hash>, RecordError> {
    let change = Change::from_bytes(bytes.to_vec()).map_err(|error| RecordError::Unreadable(error.to_string()))?;
    Ok(change.deps().iter().map(|dep| Hash(dep.0)).collect())
}

/// Applies changes. Automerge notes each operation for whoever wants to hear what differs; nobody does, and it would be kept, and copied, with the
/// document.
pub(crate) fn apply(
    doc: &mut AutoCommit,
    changes: impl IntoIterator<Item = Change> + Clone,
) -> Result<(), automerge::AutomergeError> {
    let applied = doc.apply_changes(changes);
    doc.reset_diff_cursor();
    applied
}

impl Record {
    /// A record without changes.
    pub fn empty(id: RecordId) -> Self {
        Self { id, doc: AutoCommit::new(), graph: BTreeMap::new() }
    }

    /// Loads accepted changes, which may come in any order. They have passed the gate ([`crate::gate`]) before. One that stands on a change that is
    /// not among them, because that one does not count, is left out, on every replica alike.
    pub fn load(id: RecordId, changes: Vec<SourcedChange>) -> Result<Self, RecordError> {
        let mut record = Self::empty(id);
        let mut waiting: Vec<(Change, Provenance)> = Vec::with_capacity(changes.len());
        for change in changes {
            let read = Change::from_bytes(change.bytes).map_err(|error| RecordError::Unreadable(error.to_string()))?;
            waiting.push((read, change.provenance));
        }
        let mut ordered = Vec::with_capacity(waiting.len());
        // Few changes a record, mostly in order already: as many passes as there are layers out of order.
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            for (change, provenance) in waiting {
                if change.deps().iter().all(|dep| record.graph.contains_key(&Hash(dep.0))) {
                    if !record.graph.contains_key(&Hash(change.hash().0)) {
                        record.enter(&change, provenance);
                        ordered.push(change);
                    }
                } else {
                    still.push((change, provenance));
                }
            }
            if still.len() == before {
                break;
            }
            waiting = still;
        }
        apply(&mut record.doc, ordered)?;
        Ok(record)
    }

    /// Puts a change into the graph.
    pub(crate) fn enter(&mut self, change: &Change, mut provenance: Provenance) {
        if change.timestamp() != 0 {
            provenance.at_ms = change.timestamp();
        }
        let deps = change.deps().iter().map(|dep| Hash(dep.0)).collect();
        let order = self.graph.len();
        let node = Node {
            deps,
            provenance,
            order,
            actor: change.actor_id().clone(),
            sequence: change.seq(),
            max_operation: change.max_op(),
        };
        self.graph.insert(Hash(change.hash().0), node);
    }

    /// The record.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// Changes in it.
    pub fn len(&self) -> usize {
        self.graph.len()
    }

    /// Whether it has no changes.
    pub fn is_empty(&self) -> bool {
        self.graph.is_empty()
    }

    /// Whether it has this change.
    pub fn has(&self, change: Hash) -> bool {
        self.graph.contains_key(&change)
    }

    /// Changes that no other change stands on.
    pub fn heads(&self) -> Vec<Hash> {
        let covered: BTreeSet<Hash> = self.graph.values().flat_map(|node| node.deps.iter().copied()).collect();
        self.graph.keys().filter(|hash| !covered.contains(hash)).copied().collect()
    }

    /// A change of the graph.
    pub fn node(&self, change: Hash) -> Option<&Node> {
        self.graph.get(&change)
    }

    /// Changes in the order in which they were applied.
    pub fn in_order(&self) -> Vec<(Hash, &Node)> {
        let mut all: Vec<(Hash, &Node)> = self.graph.iter().map(|(hash, node)| (*hash, node)).collect();
        all.sort_by_key(|(_, node)| node.order);
        all
    }

    /// These changes and everything below them.
    pub fn ancestors(&self, heads: &[Hash]) -> BTreeSet<Hash> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Hash> = heads.to_vec();
        while let Some(hash) = open.pop() {
            if let Some(node) = self.graph.get(&hash)
                && found.insert(hash)
            {
                open.extend(node.deps.iter().copied());
            }
        }
        found
    }

    /// Whether nobody ever changed the record without having seen all of it.
    pub fn is_linear(&self) -> bool {
        self.heads().len() <= 1 && self.graph.values().all(|node| node.deps.len() <= 1)
    }

    /// The change that an operation belongs to.
    pub(crate) fn change_of(&self, operation: &automerge::ObjId) -> Option<Hash> {
        // Most records are one change: everything in them is its.
        if let (1, Some(only)) = (self.graph.len(), self.graph.keys().next()) {
            return Some(*only);
        }
        self.doc.hash_for_opid(operation).map(|hash| Hash(hash.0))
    }

    /// The actor that goes on from these changes: another branch of it where it wrote already what is not among them.
    fn actor_at(&self, seen: &[Hash], actor: [u8; 16]) -> ActorId {
        let below = self.ancestors(seen);
        let is_free = |actor: &ActorId| self.graph.iter().all(|(hash, node)| node.actor != *actor || below.contains(hash));
        let own = ActorId::from(actor);
        if is_free(&own) {
            return own;
        }
        let branch = |number: u32| ActorId::from([&actor[..], &number.to_be_bytes()].concat());
        (1..u32::MAX).map(branch).find(is_free).unwrap_or(own)
    }

    /// Writes one change on top of `seen` and gives its bytes.
    pub(crate) fn write(
        &mut self,
        seen: &[Hash],
        author: &Author,
        at_ms: i64,
        write: impl FnOnce(&mut AutoCommit) -> Result<(), RecordError>,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        // To the second: what is finer tells nobody anything, and every edit would carry it across the wire.
        let at_ms = at_ms.div_euclid(1000) * 1000;
        let options = automerge::transaction::CommitOptions::default().with_time(at_ms);
        if seen.is_empty() || seen == self.heads() {
            self.doc.set_actor(ActorId::from(author.actor));
            if let Err(error) = write(&mut self.doc) {
                self.doc.rollback();
                return Err(error);
            }
            let Some(made) = self.doc.commit_with(options) else { return Ok(None) };
            let change = self.doc.get_change_by_hash(&made).ok_or(RecordError::Empty)?;
            self.enter(&change, author.provenance);
            return Ok(Some(change.raw_bytes().to_vec()));
        }
        // On a document that has nothing but what was seen: an isolated one counts its operations on from all that there are.
        let heads: Vec<ChangeHash> = seen.iter().map(|hash| ChangeHash(hash.0)).collect();
        let mut then = self.doc.fork_at(&heads)?;
        then.set_actor(self.actor_at(seen, author.actor));
        write(&mut then)?;
        let Some(made) = then.commit_with(options) else { return Ok(None) };
        let change = then.get_change_by_hash(&made).ok_or(RecordError::Empty)?;
        apply(&mut self.doc, [change.clone()])?;
        self.enter(&change, author.provenance);
        Ok(Some(change.raw_bytes().to_vec()))
    }
}
