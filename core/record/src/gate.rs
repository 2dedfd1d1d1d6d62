//! What stands between changes from outside and automerge, which panics on some of them and accepts others that it cannot read
//! again. The gate is structural: it knows no form and keeps keys that it does not know. It checks size, canonical encoding,
//! checksum, author, sequence, dependencies, operations, exact predecessors, and that the author's role may write where the change
//! writes; then it applies the change to a copy under `catch_unwind`. Only what passes becomes part of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{ActorId, AutoCommit, Change, ChangeHash, ExpandedChange, ObjId, ReadDoc, Value};
use karwan_proto::limits::MAX_CHANGE_BYTES;
use karwan_proto::{Hash, Reason, Role};

use crate::document::{Record, apply, root};
use crate::place::{MAX_DEPTH, MAX_PATH_BYTES};
use crate::provenance::SourcedChange;

/// Version of these rules: part of every verdict.
pub const GATE_VERSION: u64 = 1;
/// Most operations of one change.
pub const MAX_OPERATIONS: usize = 200_000;
/// Most dependencies of one change.
pub const MAX_DEPENDENCIES: usize = 256;
/// Longest single text, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;
/// Bytes that a fork of an incarnation's actor may add.
pub const MAX_ACTOR_SUFFIX_BYTES: usize = 4;

/// Why a change does not pass. No values in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Failure {
    /// The reason of the verdict.
    pub reason: Reason,
    /// More words.
    pub detail: String,
}

fn fail<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { reason, detail: detail.into() })
}

/// Checks a change and applies it. On an error the record is as it was. A change that is there already passes.
pub fn admit(record: &mut Record, change: SourcedChange, actor: [u8; 16]) -> Result<Hash, Failure> {
    let SourcedChange { bytes, provenance } = change;
    if bytes.len() > MAX_CHANGE_BYTES {
        return fail(Reason::TooLarge, format!("{} bytes, at most {MAX_CHANGE_BYTES}", bytes.len()));
    }
    // Automerge panics inside on damaged bytes: nothing of the record is touched before it returns.
    let read = guarded(|| Change::try_from(bytes.as_slice()))?;
    let Ok(read) = read else { return fail(Reason::Malformed, "not a change") };
    let hash = Hash(read.hash().0);
    if record.has(hash) {
        return Ok(hash);
    }
    let expanded = guarded(|| decoded(&read, &bytes))??;
    // Looked at before it is taken to be encoded again; what that says comes first.
    let stands = header(record, &read, &expanded, actor).and_then(|()| operations(record, &read, &expanded, provenance.role));
    guarded(|| canonical(expanded, &bytes))??;
    stands?;
    // The trial runs on a copy: a panic half way would leave the document broken.
    let trial = guarded(|| {
        let mut trial = if record.is_empty() { AutoCommit::new() } else { record.doc.clone() };
        let applied = apply(&mut trial, [read.clone()]);
        // Nothing stands on a change that was not there.
        let has = trial.get_heads().contains(&read.hash());
        (applied.is_ok() && has && reads(&trial)).then_some(trial)
    })?;
    let Some(trial) = trial else { return fail(Reason::Malformed, "automerge refuses it") };
    record.doc = trial;
    record.enter(&read, provenance);
    Ok(hash)
}

fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Failure { reason: Reason::Malformed, detail: "automerge cannot decode it".to_owned() })
}

/// A change taken apart: its bytes are the chunk's own, with their checksum and no compression.
fn decoded(read: &Change, bytes: &[u8]) -> Result<ExpandedChange, Failure> {
    const CHECKSUM: std::ops::Range<usize> = 4..8;
    if read.raw_bytes() != bytes {
        return fail(Reason::NotCanonical, "compressed, or followed by other bytes");
    }
    if bytes.get(CHECKSUM) != read.hash().0.get(..4) {
        return fail(Reason::Malformed, "the checksum is another");
    }
    Ok(read.decode())
}

/// The one encoding of a change: the same bytes when encoded again.
fn canonical(expanded: ExpandedChange, bytes: &[u8]) -> Result<(), Failure> {
    if Change::from(expanded).raw_bytes() != bytes {
        return fail(Reason::NotCanonical, "encoded in another way");
    }
    Ok(())
}

fn header(record: &Record, read: &Change, expanded: &ExpandedChange, actor: [u8; 16]) -> Result<(), Failure> {
    let by = read.actor_id().to_bytes();
    if !by.starts_with(&actor) || by.len() > actor.len() + MAX_ACTOR_SUFFIX_BYTES {
        return fail(Reason::Author, "the actor is not the incarnation that signed");
    }
    if read.deps().len() > MAX_DEPENDENCIES || expanded.operations.len() > MAX_OPERATIONS {
        return fail(Reason::TooLarge, "more dependencies or operations than a change may have");
    }
    if !expanded.extra_bytes.is_empty() {
        return fail(Reason::NotCanonical, "bytes of no meaning");
    }
    let mut known = read.deps().iter().map(|dep| Hash(dep.0));
    if !known.all(|dep| record.has(dep)) {
        return fail(Reason::Dependency, "stands on changes that are not here");
    }
    if read.deps().is_empty() && !record.is_empty() {
        return fail(Reason::Shape, "a record begins once");
    }
    let mut sequence = 0;
    let mut highest = 0;
    let below: BTreeSet<Hash> = record.ancestors(&read.deps().iter().map(|dep| Hash(dep.0)).collect::<Vec<_>>());
    for (hash, node) in &record.graph {
        if node.actor == *read.actor_id() {
            sequence = sequence.max(node.sequence);
        }
        if below.contains(hash) {
            highest = highest.max(node.max_operation);
        }
    }
    if read.seq() != sequence + 1 {
        return fail(Reason::Sequence, format!("number {}, expected {}", read.seq(), sequence + 1));
    }
    if read.start_op().get() != highest + 1 {
        return fail(Reason::Sequence, "operations do not follow those below");
    }
    Ok(())
}

/// What kind of map an operation writes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Map {
    Root,
    Answers(usize),
    Other,
    Reviews,
}

/// An operation by its counter and who made it.
type OperationId = (u64, ActorId);
/// The map that an operation writes into, by the operation that made it (none: the root), and the key in it.
type Place<'a> = (Option<(u64, &'a ActorId)>, &'a str);

/// The operation that made a value or a map; `None` for the root.
fn operation_id(id: &ObjId) -> Option<OperationId> {
    match id {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some((*counter, actor.clone())),
    }
}

fn operations(record: &Record, read: &Change, expanded: &ExpandedChange, role: Role) -> Result<(), Failure> {
    use automerge::legacy::{Key, ObjectId, OpType};
    let heads: Vec<ChangeHash> = read.deps().to_vec();
    let first = read.deps().is_empty();
    let mut made: BTreeMap<u64, Map> = BTreeMap::new();
    let mut known: BTreeMap<OperationId, (ObjId, Map)> = BTreeMap::new();
    let mut written: BTreeSet<Place<'_>> = BTreeSet::new();
    let mut emptied: BTreeSet<Place<'_>> = BTreeSet::new();
    if !first {
        containers(&record.doc, &heads, &mut known);
    }
    let mut counter = expanded.start_op.get();
    for operation in &expanded.operations {
        let object = match &operation.obj {
            ObjectId::Root => None,
            ObjectId::Id(id) => Some((id.counter(), id.actor())),
        };
        let own = object.filter(|(_, actor)| **actor == expanded.actor_id).and_then(|(counter, _)| made.get(&counter).copied());
        let standing = match object {
            Some((counter, actor)) if own.is_none() => known.get(&(counter, actor.clone())),
            _ => None,
        };
        let map = match object {
            None => Map::Root,
            Some(_) => match own.or_else(|| standing.map(|(_, map)| *map)) {
                Some(map) => map,
                None => return fail(Reason::Shape, "writes into a map that is not there"),
            },
        };
        let Key::Map(key) = &operation.key else { return fail(Reason::Shape, "a list or text, where there are only maps") };
        if operation.insert || key.is_empty() || key.len() > MAX_PATH_BYTES {
            return fail(Reason::Shape, "a key that no record has");
        }
        match &operation.action {
            OpType::Make(kind) => {
                if *kind != automerge::ObjType::Map {
                    return fail(Reason::Shape, "a list or text, where there are only maps");
                }
                let inner = match map {
                    Map::Root if first && root::ALL.contains(&key.as_str()) => match key.as_str() {
                        root::ANSWERS => Map::Answers(0),
                        root::REVIEWS => Map::Reviews,
                        _ => Map::Other,
                    },
                    Map::Answers(depth) if key.ends_with(']') && depth < MAX_DEPTH => Map::Answers(depth + 1),
                    _ => return fail(Reason::Shape, "a map where none may be"),
                };
                made.insert(counter, inner);
            }
            OpType::Put(value) => match value {
                automerge::ScalarValue::Str(text) if map != Map::Root => {
                    if text.len() > MAX_TEXT_BYTES {
                        return fail(Reason::TooLarge, "a text longer than an answer may be");
                    }
                }
                automerge::ScalarValue::Boolean(true) if matches!(map, Map::Answers(_)) => {}
                _ => return fail(Reason::Shape, "a value that no record holds there"),
            },
            OpType::Delete if matches!(map, Map::Answers(_)) => {}
            _ => return fail(Reason::Shape, "an operation that no record knows"),
        }
        if map == Map::Reviews && role < Role::Supervisor {
            return fail(Reason::Role, "reviews need a supervisor");
        }
        let place = (object, key.as_str());
        // A decision for the value that shows empties the key first: automerge writes no value twice, and a concurrent edit of it would
        // outlive the decision unseen.
        let refills = emptied.remove(&place) && matches!(operation.action, OpType::Put(_));
        if !written.insert(place) && !refills {
            return fail(Reason::Shape, "writes one key twice");
        }
        if operation.action == OpType::Delete {
            emptied.insert(place);
        }
        // Exactly what stands there may be replaced, or an edit that nobody saw would vanish.
        let mut replaced: BTreeSet<OperationId> = BTreeSet::new();
        if !first && own.is_none() && !refills {
            let target = standing.map_or(&ObjId::Root, |(id, _)| id);
            let values = record.doc.get_all_at(target, key.as_str(), &heads).unwrap_or_default();
            replaced.extend(values.iter().filter_map(|(_, id)| operation_id(id)));
        }
        let named: BTreeSet<OperationId> = operation.pred.iter().map(|id| (id.counter(), id.actor().clone())).collect();
        if named != replaced {
            return fail(Reason::Predecessor, "replaces other values than those that its author saw");
        }
        counter += 1;
    }
    if first && made.len() < root::ALL.len() {
        return fail(Reason::Shape, "a record begins with its maps");
    }
    Ok(())
}

/// Maps of a document at some heads, but the root, by the operations that made them.
fn containers(doc: &AutoCommit, heads: &[ChangeHash], known: &mut BTreeMap<OperationId, (ObjId, Map)>) {
    let mut open = vec![(ObjId::Root, Map::Root)];
    while let Some((object, map)) = open.pop() {
        let keys: Vec<String> = doc.keys_at(&object, heads).collect();
        for key in keys {
            for (value, id) in doc.get_all_at(&object, key.as_str(), heads).unwrap_or_default() {
                if !matches!(value, Value::Object(_)) {
                    continue;
                }
                let inner = match map {
                    Map::Root if key == root::ANSWERS => Map::Answers(0),
                    Map::Root if key == root::REVIEWS => Map::Reviews,
                    Map::Answers(depth) if depth < MAX_DEPTH => Map::Answers(depth + 1),
                    _ => Map::Other,
                };
                if let Some(name) = operation_id(&id) {
                    known.insert(name, (id.clone(), inner));
                }
                open.push((id, inner));
            }
        }
    }
}

/// Whether a document can be read through after a change: some bad changes show only then.
fn reads(doc: &AutoCommit) -> bool {
    let mut open = vec![(ObjId::Root, 0usize)];
    while let Some((object, depth)) = open.pop() {
        if depth > MAX_DEPTH + 2 {
            return false;
        }
        for item in doc.map_range(&object, ..) {
            if doc.hash_for_opid(&item.id()).is_none() {
                return false;
            }
            if matches!(item.value, automerge::ValueRef::Object(_)) {
                open.push((item.id(), depth + 1));
            }
        }
    }
    true
}
