//! Edits that are written again, by value and under a new incarnation: those of a database that is not the one which wrote last (restored,
//! copied), those that meet another copy's under one name, and those that stand on what was refused.
//!
//! It is done after a session in which the server told everything it has: an edit that came there by another way is known by its name and not
//! written twice.

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::IncarnationId;
use karwan_proto::ids::{Hash, RecordId};
use karwan_record::entities::ENTITY_FORM;
use karwan_record::{Made, Record, Shape};
use karwan_store::Batch;
use karwan_store::change::{ChangeState, Origin, StoredChange};

use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::records::{made_here, refuses, sourced, writer};

/// Begins a new incarnation where a session asked for one. What stands beside changes that others know under the same name is written again at once:
/// without that the record cannot be read.
pub(crate) fn settle(inner: &Inner) -> Result<u64, ClientError> {
    let mut store = locked(&inner.store);
    if store.begin_again_asked()? {
        store.begin_again()?;
    } else if !store.rewrite_pending()? {
        return Ok(0);
    }
    let set_aside = store.view()?.set_aside()?;
    write_again(inner, &mut store, set_aside, false)
}

/// After a session that told everything: writes again what an earlier incarnation left unsealed. Gives the number of edits.
pub(crate) fn settle_all(inner: &Inner) -> Result<u64, ClientError> {
    let written = settle(inner)?;
    let mut store = locked(&inner.store);
    if !store.rewrite_pending()? {
        return Ok(written);
    }
    let incarnation = store.incarnation();
    let unsealed = store.view()?.all_unsealed()?;
    let stale = unsealed.into_iter().filter(|placed| placed.change.origin.incarnation != incarnation);
    let mut by_record: BTreeMap<RecordId, BTreeSet<Hash>> = BTreeMap::new();
    for placed in stale {
        by_record.entry(placed.record).or_default().insert(placed.change.hash);
    }
    Ok(written + write_again(inner, &mut store, by_record, true)?)
}

fn write_again(
    inner: &Inner,
    store: &mut karwan_store::Store,
    by_record: BTreeMap<RecordId, BTreeSet<Hash>>,
    all: bool,
) -> Result<u64, ClientError> {
    if by_record.is_empty() && !all {
        return Ok(0);
    }
    let incarnation = store.incarnation();
    store.author(|batch| {
        let mut written = 0;
        for (record, stale) in by_record {
            written += rewrite(inner, batch, record, stale, incarnation)?;
        }
        if all {
            batch.rewrite_done()?;
        }
        Ok(written)
    })
}

/// What one record's edits are written again on.
struct Again<'a> {
    /// All its changes, whatever became of them.
    all: &'a [StoredChange],
    /// What stands, with what was written again.
    record: Record,
    /// What took the place of a change: the change written again, or what already had all of it.
    instead: BTreeMap<Hash, Vec<Hash>>,
}

impl Again<'_> {
    /// A change with everything that it stands on.
    fn made(&self, id: RecordId, change: Hash) -> Result<Record, ClientError> {
        let whole: Vec<&StoredChange> = self.all.iter().collect();
        let mut wanted = BTreeSet::from([change]);
        // Changes come after what they stand on.
        let mut chosen = Vec::new();
        for candidate in whole.into_iter().rev() {
            if wanted.contains(&candidate.hash) {
                wanted.extend(karwan_record::document::dependencies(&candidate.bytes).map_err(|error| refuses(&error))?);
                chosen.push(sourced(candidate.clone()));
            }
        }
        Record::load(id, chosen).map_err(|error| refuses(&error))
    }

    /// What stands for a change here: itself, what was written instead, or what it stood on.
    fn standing(&self, made: &Record, change: Hash) -> Vec<Hash> {
        if self.record.has(change) {
            return vec![change];
        }
        if let Some(instead) = self.instead.get(&change) {
            return instead.clone();
        }
        let below = made.node(change).map(|node| node.deps.clone()).unwrap_or_default();
        below.into_iter().flat_map(|dep| self.standing(made, dep)).collect()
    }

    /// What its author had seen of what stands now: none that another of them stands on.
    fn seen(&self, made: &Record, change: Hash) -> Vec<Hash> {
        let below = made.node(change).map(|node| node.deps.clone()).unwrap_or_default();
        let mut seen: BTreeSet<Hash> = below.into_iter().flat_map(|dep| self.standing(made, dep)).collect();
        if seen.is_empty() {
            // A record begins once: this one had another beginning.
            seen.extend(self.record.in_order().first().map(|(hash, _)| *hash));
        }
        let heads: Vec<Hash> = seen.iter().copied().collect();
        let covered: BTreeSet<Hash> = heads
            .iter()
            .flat_map(|head| self.record.node(*head).map(|node| node.deps.clone()).unwrap_or_default())
            .flat_map(|dep| self.record.ancestors(&[dep]))
            .collect();
        heads.into_iter().filter(|head| !covered.contains(head)).collect()
    }
}

fn rewrite(
    inner: &Inner,
    batch: &Batch<'_>,
    id: RecordId,
    mut stale: BTreeSet<Hash>,
    incarnation: IncarnationId,
) -> Result<u64, ClientError> {
    let view = batch.view();
    let Some(place) = view.record_place(id)? else { return Ok(0) };
    let all = view.every_change_of(id)?;
    // What was made here since, on top of what is written again, is written again too.
    for change in &all {
        let made_since = change.own && change.envelope.is_none() && change.state == ChangeState::New;
        if made_since && !stale.contains(&change.hash) {
            let below = karwan_record::document::dependencies(&change.bytes).map_err(|error| refuses(&error))?;
            if below.iter().any(|dep| stale.contains(dep)) {
                stale.insert(change.hash);
            }
        }
    }
    let kept: Vec<_> = view.changes_of(id)?.into_iter().filter(|change| !stale.contains(&change.hash)).map(sourced).collect();
    let record = Record::load(id, kept).map_err(|error| refuses(&error))?;
    let mut again = Again { all: &all, record, instead: BTreeMap::new() };
    let mut written = 0;
    for old in all.iter().filter(|change| stale.contains(&change.hash)) {
        batch.set_change_state(id, old.hash, ChangeState::Superseded)?;
        let made = again.made(id, old.hash)?;
        if !made.has(old.hash) {
            continue;
        }
        let form = made.form().unwrap_or(ENTITY_FORM);
        let loaded = inner.loaded(&view, form)?;
        let shape = loaded.as_ref().map_or_else(Shape::unknown, |loaded| loaded.shape.clone());
        let writer = writer(Origin { incarnation, ..old.origin });
        let edit = Made { record: &made, change: old.hash, erased: &[] };
        let (bytes, seen) = if again.record.is_empty() {
            let (begun, bytes) =
                Record::create_again(id, &shape, form, &edit, &writer.author, &writer.stamp).map_err(|error| refuses(&error))?;
            again.record = begun;
            (Some(bytes), Vec::new())
        } else {
            let seen = again.seen(&made, old.hash);
            let bytes = again
                .record
                .edit_again(&shape, &seen, form, &edit, &writer.author, &writer.stamp)
                .map_err(|error| refuses(&error))?;
            (bytes, seen)
        };
        match bytes {
            Some(bytes) => {
                let made = made_here(&again.record, bytes, writer.origin)?;
                batch.put_change(id, place.generation, &made)?;
                again.instead.insert(old.hash, vec![made.hash]);
                written += 1;
            }
            None => drop(again.instead.insert(old.hash, seen)),
        }
    }
    inner.project(batch, &again.record, place.caseload)?;
    Ok(written)
}
