//! What the membership log says of single records, carried out on this device: erased records go with everything that was made of them, moved
//! ones follow or go, and edits to a generation that stands no more are written again, by value, on the one that does.

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::Membership;
use karwan_proto::envelope::{Envelope, Item};
use karwan_proto::ids::{Hash, IncarnationId, RecordId};
use karwan_record::again::Made;
use karwan_record::entities::ENTITY_FORM;
use karwan_record::generation::{carried, is_part};
use karwan_record::{Record, Shape};
use karwan_store::change::{ChangeState, Origin, PlacedChange};
use karwan_store::{Batch, View};

use crate::device::Inner;
use crate::error::ClientError;
use crate::records::{made_here, refuses, sourced, writer};

impl Inner {
    /// Carries out what was decided of these records; gives those that it touched. May be done again at any time.
    pub(crate) fn obey(
        &self,
        batch: &Batch<'_>,
        membership: &Membership,
        records: impl IntoIterator<Item = RecordId>,
    ) -> Result<BTreeSet<RecordId>, ClientError> {
        let decided = membership.records();
        let readable = membership.readable(self.device).unwrap_or_default();
        let mut touched = BTreeSet::new();
        for record in records {
            let view = batch.view();
            let place = view.record_place(record)?;
            if decided.is_erased(record) {
                if view.holds(record)? {
                    self.let_go(batch, record)?;
                    touched.insert(record);
                }
                continue;
            }
            let (Some(place), Some(to)) = (place, decided.moved_to(record)) else { continue };
            if place.caseload == to || !decided.was_in(record, place.caseload) {
                continue;
            }
            if readable.contains(&to) {
                batch.set_record_caseload(record, to)?;
                self.project_again(batch, record)?;
                touched.insert(record);
            } else if !view.is_unsent(record)? && view.draft(record)?.is_none() {
                self.let_go(batch, record)?;
                touched.insert(record);
            }
        }
        Ok(touched)
    }

    /// Everything of a record goes.
    fn let_go(&self, batch: &Batch<'_>, record: RecordId) -> Result<(), ClientError> {
        if let Some(place) = batch.view().record_place(record)? {
            self.unproject(batch, record, place.caseload)?;
        }
        Ok(batch.erase_record(record)?)
    }

    /// A later generation of a record stands. What was made here and never counted in an older one is written again, but for the parts that
    /// were erased; the older ones go. Gives whether that was done: nothing is given up before the later one is here.
    pub(crate) fn stand(
        &self,
        batch: &Batch<'_>,
        membership: &Membership,
        incarnation: IncarnationId,
        (record, generation): (RecordId, u32),
    ) -> Result<bool, ClientError> {
        let view = batch.view();
        let Some(place) = view.record_place(record)?.filter(|place| place.generation < generation) else { return Ok(false) };
        let new = view.changes_in_generation(record, generation)?;
        if new.is_empty() {
            return Ok(false);
        }
        let old = view.changes_in_generation(record, place.generation)?;
        let parts = membership.records().erased_parts(record);
        let parts = parts.get(place.generation as usize..(generation as usize).min(parts.len())).unwrap_or_default();
        self.carry_over(batch, incarnation, (record, generation), (old, new), parts)?;
        batch.set_generation(record, generation)?;
        Ok(true)
    }

    fn carry_over(
        &self,
        batch: &Batch<'_>,
        incarnation: IncarnationId,
        (id, generation): (RecordId, u32),
        (old, new): (Vec<PlacedChange>, Vec<PlacedChange>),
        parts: &[String],
    ) -> Result<(), ClientError> {
        let view = batch.view();
        let gone = |path: &str| parts.iter().any(|part| is_part(path, part));
        let draft = view.draft(id)?.filter(|draft| draft.base.is_some());
        let pending: Vec<&PlacedChange> =
            old.iter().filter(|placed| placed.change.own && placed.change.state != ChangeState::Accepted).collect();
        if pending.is_empty() && draft.is_none() {
            return Ok(());
        }
        let load = |changes: &[PlacedChange]| {
            let changes = changes.iter().map(|placed| sourced(placed.change.clone())).collect();
            Record::load(id, changes).map_err(|error| refuses(&error))
        };
        let (before, mut record) = (load(&old)?, load(&new)?);
        let mut again = Again { whole: &before, known: places_of(&view, &old, &new)? };
        let form = before.form().unwrap_or(ENTITY_FORM);
        let shape = self.loaded(&view, form)?.as_ref().map_or_else(Shape::unknown, |loaded| loaded.shape.clone());
        for placed in pending {
            let change = &placed.change;
            let deps = before.node(change.hash).map(|node| node.deps.clone()).unwrap_or_default();
            let seen = again.seen(&deps, &record);
            let writer = writer(Origin { incarnation, ..change.origin });
            let made = Made { record: &before, change: change.hash, erased: parts };
            let bytes =
                record.edit_again(&shape, &seen, form, &made, &writer.author, &writer.stamp).map_err(|error| refuses(&error))?;
            let stands = match bytes {
                Some(bytes) => {
                    let made = made_here(&record, bytes, writer.origin)?;
                    batch.put_change(id, generation, &made)?;
                    vec![made.hash]
                }
                None => seen,
            };
            again.known.insert(change.hash, stands);
        }
        if let Some(draft) = draft {
            let base = again.seen(&draft.base.unwrap_or_default(), &record);
            let title = self.projection(&view, &record)?.title;
            batch.mend_draft(id, &gone, &base, &title)?;
        }
        Ok(())
    }
}

/// What stands for each old change in the new generation.
struct Again<'a> {
    whole: &'a Record,
    known: BTreeMap<Hash, Vec<Hash>>,
}

impl Again<'_> {
    /// What somebody had seen who had seen these; of a change of which nothing is left, what it stood on.
    fn seen(&self, old: &[Hash], record: &Record) -> Vec<Hash> {
        let mut found = BTreeSet::new();
        let mut open = old.to_vec();
        let mut met = BTreeSet::new();
        while let Some(hash) = open.pop() {
            if !met.insert(hash) {
                continue;
            }
            match self.known.get(&hash) {
                Some(new) => found.extend(new.iter().copied().filter(|new| record.has(*new))),
                None => open.extend(self.whole.node(hash).map(|node| node.deps.clone()).unwrap_or_default()),
            }
        }
        if found.is_empty() {
            return record.heads();
        }
        // Only those that no other of them stands on.
        let all: Vec<Hash> = found.iter().copied().collect();
        let covered: BTreeSet<Hash> =
            all.iter().flat_map(|hash| record.node(*hash).map(|node| record.ancestors(&node.deps)).unwrap_or_default()).collect();
        all.into_iter().filter(|hash| !covered.contains(hash)).collect()
    }
}

/// Which new change stands for which old one: new ones say in which envelope and where the old one was.
fn places_of(view: &View<'_>, old: &[PlacedChange], new: &[PlacedChange]) -> Result<BTreeMap<Hash, Vec<Hash>>, ClientError> {
    let mut by_place: BTreeMap<(Hash, u32), Hash> = BTreeMap::new();
    for placed in new {
        if let Some(carried) = carried(&placed.change.bytes) {
            by_place.insert((carried.envelope, carried.position), placed.change.hash);
        }
    }
    let mut known = BTreeMap::new();
    let names: BTreeSet<Hash> = old.iter().filter_map(|placed| placed.change.envelope).collect();
    for name in names {
        let Some(envelope) = view.envelope(name)?.and_then(|stored| Envelope::decode(&stored.bytes).ok()) else { continue };
        for (item, position) in envelope.items().iter().zip(0u32..) {
            let Item::Change { change, .. } = item else { continue };
            let here = old.iter().find(|placed| placed.change.envelope == Some(name) && placed.change.bytes == *change);
            if let (Some(placed), Some(stands)) = (here, by_place.get(&(name, position))) {
                known.insert(placed.change.hash, vec![*stands]);
            }
        }
    }
    Ok(known)
}
