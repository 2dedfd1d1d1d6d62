//! A database that is not the one which wrote last (restored, copied) begins a new incarnation: what was never sealed is written
//! again under it, by value, so that no change is ever named twice.

use std::collections::BTreeMap;

use karwan_proto::ids::{Hash, RecordId};
use karwan_record::entities::{self, ENTITY_FORM};
use karwan_record::{Record, Shape};
use karwan_store::Batch;
use karwan_store::change::{ChangeState, Origin, StoredChange};

use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::project::writes_to;
use crate::records::{made_here, refuses, sourced, writer};

/// Writes unsealed edits of earlier incarnations again, where an opening asked for it.
pub(crate) fn rewrite_where_needed(inner: &Inner) -> Result<(), ClientError> {
    let mut store = locked(&inner.store);
    if !store.rewrite_pending()? {
        return Ok(());
    }
    let incarnation = store.incarnation();
    store.author(|batch| {
        let mut by_record: BTreeMap<RecordId, Vec<StoredChange>> = BTreeMap::new();
        for placed in batch.view().all_unsealed()? {
            if placed.change.origin.incarnation != incarnation {
                by_record.entry(placed.record).or_default().push(placed.change);
            }
        }
        for (record, stale) in by_record {
            rewrite(inner, batch, record, stale, incarnation)?;
        }
        batch.rewrite_done()?;
        Ok(())
    })
}

fn rewrite(
    inner: &Inner,
    batch: &Batch<'_>,
    id: RecordId,
    stale: Vec<StoredChange>,
    incarnation: karwan_proto::IncarnationId,
) -> Result<(), ClientError> {
    let view = batch.view();
    let Some(place) = view.record_place(id)? else { return Ok(()) };
    let all = view.changes_of(id)?;
    let whole = Record::load(id, all.iter().cloned().map(sourced).collect()).map_err(|error| refuses(&error))?;
    let is_stale = |hash: Hash| stale.iter().any(|change| change.hash == hash);
    let kept = all.into_iter().filter(|change| !is_stale(change.hash)).map(sourced).collect();
    let mut record = Record::load(id, kept).map_err(|error| refuses(&error))?;
    for old in stale {
        batch.set_change_state(id, old.hash, ChangeState::Superseded)?;
        let form = whole.form().unwrap_or(ENTITY_FORM);
        let loaded = inner.loaded(&view, form)?;
        let shape = loaded.as_ref().map_or_else(Shape::unknown, |loaded| loaded.shape.clone());
        let after = whole.answers_at(&shape, &[old.hash]);
        let mut notes = Vec::new();
        for write in view.writes_of(id)? {
            let mut known = writes_to(&view, &write.list, &write.entity)?;
            known.retain(|body| body.record != id);
            notes.push(entities::note(&write.list, &write.entity, &known));
        }
        let writer = writer(Origin { incarnation, ..old.origin });
        let bytes = if record.is_empty() {
            let (made, bytes) = Record::create(id, &shape, form, &after, &notes, &writer.author, &writer.stamp)
                .map_err(|error| refuses(&error))?;
            record = made;
            Some(bytes)
        } else {
            let seen = record.heads();
            record.edit(&shape, &seen, form, &after, &notes, &writer.author, &writer.stamp).map_err(|error| refuses(&error))?
        };
        if let Some(bytes) = bytes {
            batch.put_change(id, place.generation, &made_here(&record, bytes, writer.origin)?)?;
        }
    }
    inner.project(batch, &record, place.caseload)?;
    Ok(())
}
