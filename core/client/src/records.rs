//! Records out of the store.

use karwan_proto::ids::{CaseloadId, PersonId, RecordId};
use karwan_record::{Author, Provenance, Record, RecordError, SourcedChange, Stamp};
use karwan_store::View;
use karwan_store::change::{ChangeState, Origin, StoredChange};

use crate::device::{Inner, locked, random};
use crate::error::ClientError;

/// A change as the record layer takes it.
pub(crate) fn sourced(change: StoredChange) -> SourcedChange {
    SourcedChange { bytes: change.bytes, provenance: provenance(&change.origin) }
}

/// Who made it.
pub(crate) fn provenance(origin: &Origin) -> Provenance {
    Provenance {
        device: origin.device,
        person: origin.person,
        role: origin.role,
        at_ms: origin.at_ms,
        offset_minutes: origin.offset_minutes,
    }
}

/// What the record layer's error is to a caller of the client.
pub(crate) fn refuses(error: &RecordError) -> ClientError {
    ClientError::Record(error.to_string())
}

/// A record with all changes that count; without any where the device has none of it.
pub(crate) fn load(view: &View<'_>, record: RecordId) -> Result<Record, ClientError> {
    let changes = view.changes_of(record)?.into_iter().map(sourced).collect();
    Record::load(record, changes).map_err(|error| refuses(&error))
}

/// A generation of a record with all changes that count, also one that does not stand yet.
pub(crate) fn load_generation(view: &View<'_>, record: RecordId, generation: u32) -> Result<Record, ClientError> {
    let changes = view.changes_in_generation(record, generation)?.into_iter().map(|placed| sourced(placed.change)).collect();
    Record::load(record, changes).map_err(|error| refuses(&error))
}

/// Somebody who writes on this device now.
pub(crate) struct Writer {
    pub(crate) author: Author,
    pub(crate) stamp: Stamp,
    pub(crate) origin: Origin,
}

impl Inner {
    /// Somebody who writes on this device now.
    pub(crate) fn writer(&self, person: PersonId, caseload: CaseloadId) -> Writer {
        let (incarnation, role) = (locked(&self.store).incarnation(), self.role_here(person, caseload));
        let (at_ms, offset_minutes) = (self.clock.now_ms(), self.clock.offset_minutes());
        let origin = Origin { device: self.device, incarnation, person, at_ms, offset_minutes, role };
        writer(origin)
    }
}

/// The same at a time that was, for an edit that is written again.
pub(crate) fn writer(origin: Origin) -> Writer {
    let author = Author { actor: origin.incarnation.0, provenance: provenance(&origin) };
    let stamp = Stamp { at_ms: origin.at_ms, offset_minutes: origin.offset_minutes, random: random() };
    Writer { author, stamp, origin }
}

/// A change just made here.
pub(crate) fn made_here(record: &Record, bytes: Vec<u8>, origin: Origin) -> Result<StoredChange, ClientError> {
    let hash = record.in_order().last().map(|(hash, _)| *hash);
    let hash = hash.ok_or_else(|| ClientError::Record("the change just made is not in its record".to_owned()))?;
    Ok(StoredChange { hash, bytes, own: true, envelope: None, state: ChangeState::New, origin })
}
