//! One page of a caseload's log, in one transaction: each entry, the envelopes and verdicts that it names, and what lists read of the records
//! that it touches.

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::envelope::{Envelope, Item};
use karwan_proto::ids::{CaseloadId, Hash, IncarnationId, RecordId};
use karwan_proto::log::{Cursor, LogEntry, Reason, RecordVerdict, Verdict};
use karwan_proto::membership::{Membership, Role};
use karwan_proto::session::Delivered;
use karwan_record::generation::carried;
use karwan_record::{Record, SourcedChange, gate};
use karwan_store::Batch;
use karwan_store::change::{ChangeState, EnvelopeState, Origin, RecordPlace, StoredChange, StoredEnvelope};
use karwan_store::erase::SET_ASIDE;
use karwan_store::form::FormRow;
use karwan_store::log::INCOMPLETE;

use super::ahead::{Ahead, Decoded};
use crate::device::Inner;
use crate::error::ClientError;
use crate::records::{self, provenance};
use crate::sync::report::RefusedEnvelope;
use crate::sync::verdict::{ACCEPTED, state_of, words};

/// One page while it is taken in.
pub(super) struct Page<'a, 'b> {
    pub(super) inner: &'a Inner,
    pub(super) batch: &'a Batch<'b>,
    pub(super) membership: &'a Membership,
    pub(super) caseload: CaseloadId,
    /// Caseloads whose logs this device is told.
    readable: BTreeSet<CaseloadId>,
    pub(super) incarnation: IncarnationId,
    pub(super) records: BTreeMap<(RecordId, u32), Record>,
    /// Envelopes of the page whose signature holds.
    pub(super) decoded: Option<&'a Decoded>,
    /// Records that the page begins, as they are made ahead.
    pub(super) ahead: Option<Ahead>,
    /// Definitions of forms that came before the entries that name them.
    pub(super) definitions: Option<&'a mut BTreeMap<Hash, Vec<u8>>>,
    /// Records that are projected already, unless something else of them changes.
    pub(super) projected: BTreeSet<RecordId>,
    pub(super) project: BTreeSet<RecordId>,
    /// As what changes count: accepted by the log, or given by another device and not judged.
    pub(super) counts: ChangeState,
    pub(super) retired: bool,
    pub(super) sent: BTreeSet<RecordId>,
    /// Something of them does not count: what was made here on top of it is written again.
    pub(super) judged: BTreeSet<RecordId>,
    pub(super) forms: u64,
    pub(super) changes: u64,
    pub(super) refused: Vec<RefusedEnvelope>,
    /// Envelopes that count after all.
    pub(super) overtaken: BTreeSet<String>,
    pub(super) not_applied: Vec<RefusedEnvelope>,
}

impl<'a, 'b> Page<'a, 'b> {
    pub(super) fn new(
        inner: &'a Inner,
        batch: &'a Batch<'b>,
        membership: &'a Membership,
        caseload: CaseloadId,
        incarnation: IncarnationId,
    ) -> Self {
        Self {
            incarnation,
            counts: ChangeState::Accepted,
            retired: false,
            inner,
            batch,
            membership,
            caseload,
            readable: membership.readable(inner.device).unwrap_or_default(),
            records: BTreeMap::new(),
            decoded: None,
            ahead: None,
            definitions: None,
            projected: BTreeSet::new(),
            project: BTreeSet::new(),
            sent: BTreeSet::new(),
            judged: BTreeSet::new(),
            forms: 0,
            changes: 0,
            refused: Vec::new(),
            overtaken: BTreeSet::new(),
            not_applied: Vec::new(),
        }
    }

    pub(super) fn entry(&mut self, point: Cursor, delivered: &Delivered) -> Result<(), ClientError> {
        let entry = LogEntry::decode(&delivered.entry).map_err(|error| ClientError::Session(error.to_string()))?;
        let (kind, body) = match &entry {
            LogEntry::Envelope { .. } => ("envelope", None),
            LogEntry::Verdict { .. } => ("verdict", None),
            LogEntry::Form { .. } => ("form", None),
            LogEntry::Opened { .. } => ("opened", None),
            LogEntry::Closed { .. } => ("closed", None),
            LogEntry::Generation { .. } => ("generation", None),
            LogEntry::Other { .. } => ("other", Some(delivered.entry.as_slice())),
        };
        self.batch.put_entry(self.caseload, point.sequence, point.chain, kind, body)?;
        match entry {
            LogEntry::Envelope { envelope, role, mut refused, .. } => {
                refused.retain(|told| self.is_told_here(told.record));
                for (record, ..) in self.batch.view().verdicts_on(envelope)? {
                    if self.is_told_here(record) {
                        self.batch.clear_verdict(envelope, record)?;
                    }
                }
                for RecordVerdict { record, verdict } in &refused {
                    let (word, reason) = words(*verdict);
                    self.batch.put_verdict(envelope, *record, word, &reason, point.sequence)?;
                }
                match &delivered.envelope {
                    Some(bytes) => {
                        self.given_envelope(envelope, point.sequence, role, &refused)?;
                        if !self.envelope(bytes, point.sequence, role)? {
                            let body = Some(delivered.entry.as_slice());
                            self.batch.put_entry(self.caseload, point.sequence, point.chain, INCOMPLETE, body)?;
                        }
                        self.not_accepted(envelope, &refused)?;
                    }
                    None if let Some(held) = self.batch.view().envelope(envelope)? => {
                        if held.own {
                            self.own_envelope(envelope, point.sequence, role, &refused)?;
                        } else {
                            // Another copy of this database wrote it, and another device gave it.
                            self.batch.ask_to_begin_again()?;
                            self.given_envelope(envelope, point.sequence, role, &refused)?;
                            self.envelope(&held.bytes, point.sequence, role)?;
                            self.not_accepted(envelope, &refused)?;
                        }
                        // Another copy's: by the log of a caseload where a record moved came that record only.
                        if Envelope::decode(&held.bytes).is_ok_and(|held| held.items().iter().any(|item| item.record().is_none()))
                        {
                            let body = Some(delivered.entry.as_slice());
                            self.batch.put_entry(self.caseload, point.sequence, point.chain, INCOMPLETE, body)?;
                        }
                    }
                    None => {
                        // Another copy of this database wrote under the same name.
                        self.batch.ask_to_begin_again()?;
                        let body = Some(delivered.entry.as_slice());
                        self.batch.put_entry(self.caseload, point.sequence, point.chain, INCOMPLETE, body)?;
                    }
                }
            }
            LogEntry::Verdict { envelope, record, verdict, .. } if self.is_told_here(record) => {
                let (word, reason) = words(verdict);
                self.batch.put_verdict(envelope, record, word, &reason, point.sequence)?;
                self.later_verdict(envelope, record, verdict)?;
            }
            LogEntry::Form { form_id, version, definition, media, retired, .. } => {
                self.forms += 1;
                if let Some(bytes) = self.definitions.as_mut().and_then(|held| held.remove(&definition)) {
                    self.batch.put_blob(&bytes)?;
                    self.inner.forget_forms();
                }
                self.batch.put_form(&FormRow {
                    hash: definition,
                    caseload: self.caseload,
                    form_id,
                    version,
                    file_name: String::new(),
                    media: media.into_iter().map(|file| (file.name, file.hash)).collect(),
                    retired,
                    sequence: point.sequence,
                })?;
            }
            LogEntry::Opened { envelope, record, role, verdict, .. } if self.is_told_here(record) => {
                let (word, reason) = words(verdict);
                self.batch.put_verdict(envelope, record, word, &reason, point.sequence)?;
                if let Some(bytes) = &delivered.envelope {
                    self.envelope(bytes, point.sequence, role)?;
                }
                if !verdict.is_accepted() {
                    self.later_verdict(envelope, record, verdict)?;
                }
            }
            LogEntry::Generation { record, generation, .. } => {
                let (inner, batch, membership) = (self.inner, self.batch, self.membership);
                if inner.stand(batch, membership, self.incarnation, (record, generation))? {
                    self.retired = true;
                    self.again(record);
                }
            }
            // The membership log, which came before, says why; or another log tells of the record.
            LogEntry::Verdict { .. } | LogEntry::Opened { .. } | LogEntry::Closed { .. } | LogEntry::Other { .. } => {}
        }
        Ok(())
    }

    /// Whether this log says what counts of a record: that of the caseload where it stands does, from its opening there on, and what the one that
    /// it left says is older whichever of them is read first. A device that may not read where it went hears of its own late edits here.
    fn is_told_here(&self, record: RecordId) -> bool {
        let stands = self.membership.records().caseload(record, self.caseload);
        stands == self.caseload || !self.readable.contains(&stands)
    }

    /// An envelope of this incarnation, judged.
    fn own_envelope(&mut self, envelope: Hash, sequence: u64, role: Role, refused: &[RecordVerdict]) -> Result<(), ClientError> {
        for record in self.batch.set_envelope_judged(envelope, sequence, role)? {
            self.again(record);
        }
        let mut records: BTreeSet<RecordId> =
            self.batch.view().changes_in(envelope)?.into_iter().map(|placed| placed.record).collect();
        records.retain(|record| self.is_told_here(*record));
        for record in records {
            self.sent.extend(self.batch.set_envelope_changes(envelope, Some(record), ChangeState::Accepted)?);
        }
        for RecordVerdict { record, verdict } in refused {
            self.batch.set_envelope_changes(envelope, Some(*record), state_of(*verdict))?;
            self.again(*record);
            self.judged.insert(*record);
            self.tell_refused(envelope, *verdict);
        }
        Ok(())
    }

    /// An envelope that another device may have given before, judged.
    fn given_envelope(
        &mut self,
        envelope: Hash,
        sequence: u64,
        role: Role,
        refused: &[RecordVerdict],
    ) -> Result<(), ClientError> {
        let held = self.batch.view().envelope(envelope)?;
        let unjudged = |held: &StoredEnvelope| matches!(held.state, EnvelopeState::ToOffer | EnvelopeState::Durable);
        if !held.is_some_and(|held| !held.own && held.earlier.is_none() && unjudged(&held)) {
            return Ok(());
        }
        let mut concerned = self.batch.set_envelope_judged(envelope, sequence, role)?;
        let records: BTreeSet<RecordId> =
            self.batch.view().changes_in(envelope)?.into_iter().map(|placed| placed.record).collect();
        for record in records.into_iter().filter(|record| self.is_told_here(*record)) {
            concerned.extend(self.batch.set_envelope_changes(envelope, Some(record), ChangeState::Accepted)?);
        }
        for record in concerned {
            self.again(record);
        }
        for RecordVerdict { verdict, .. } in refused {
            self.tell_refused(envelope, *verdict);
        }
        Ok(())
    }

    /// What another log may have accepted of an envelope that is held, and this one has not.
    fn not_accepted(&mut self, envelope: Hash, refused: &[RecordVerdict]) -> Result<(), ClientError> {
        for RecordVerdict { record, verdict } in refused {
            if !self.batch.set_envelope_changes(envelope, Some(*record), state_of(*verdict))?.is_empty() {
                self.again(*record);
                self.judged.insert(*record);
            }
        }
        Ok(())
    }

    fn tell_refused(&mut self, envelope: Hash, verdict: Verdict) {
        // What was written to an older generation is written again.
        if verdict == Verdict::Quarantined(Reason::Generation) {
            return;
        }
        if matches!(verdict, Verdict::Quarantined(_) | Verdict::Other(..)) {
            let (word, reason) = words(verdict);
            self.refused.push(RefusedEnvelope { envelope: envelope.to_string(), reason: format!("{word}: {reason}") });
        }
    }

    /// The record's changes were judged anew: it is read from the store again.
    fn again(&mut self, record: RecordId) {
        self.records.retain(|(known, _), _| *known != record);
        self.project.insert(record);
    }

    fn set_aside(&mut self, envelope: Hash, reason: impl Into<String>) {
        self.not_applied.push(RefusedEnvelope { envelope: envelope.to_string(), reason: reason.into() });
    }

    /// An envelope with its content: signature, then each change that the server accepted through this device's own gate. Gives whether it is
    /// dealt with: one of a device that the membership log does not name yet is asked for again.
    pub(super) fn envelope(&mut self, bytes: &[u8], sequence: u64, role: Role) -> Result<bool, ClientError> {
        let decoded = self.decoded.and_then(|decoded| decoded.get(&sequence)).map(|(envelope, _)| envelope);
        let fresh;
        let envelope = if let Some(envelope) = decoded {
            envelope
        } else {
            match Envelope::decode(bytes) {
                Ok(envelope) => fresh = envelope,
                Err(error) => {
                    self.set_aside(Hash(*blake3::hash(bytes).as_bytes()), error.to_string());
                    return Ok(true);
                }
            }
            let Some(key) = self.membership.key_of(fresh.header().device) else {
                self.set_aside(fresh.hash(), "its device is not in the membership log");
                return Ok(false);
            };
            if let Err(error) = fresh.verify(&key) {
                self.set_aside(fresh.hash(), error.to_string());
                return Ok(true);
            }
            &fresh
        };
        let (name, header) = (envelope.hash(), envelope.header());
        let own = header.device == self.inner.device;
        if let Some(stored) = self.batch.view().envelope(name)?
            && let Ok(mut known) = Envelope::decode(&stored.bytes)
            && known.merge(envelope).is_ok_and(|came| !came.is_empty())
        {
            self.batch.set_envelope_bytes(name, &known.encode())?;
        }
        self.batch.put_envelope(&StoredEnvelope {
            hash: name,
            caseload: self.caseload,
            bytes: bytes.to_vec(),
            own,
            state: EnvelopeState::Judged,
            sequence: Some(sequence),
            counter: header.counter,
            changes: u32::try_from(envelope.items().len()).unwrap_or(u32::MAX),
            role: Some(role),
            earlier: None,
        })?;
        self.changes += envelope.items().iter().filter_map(Item::record).count() as u64;
        let verdicts = self.batch.view().verdicts_on(name)?;
        for item in envelope.items() {
            let Some(record) = item.record() else { continue };
            let judged = verdicts.iter().find(|(judged, ..)| *judged == record);
            if judged.is_none_or(|(_, word, _)| word == ACCEPTED || word == SET_ASIDE) {
                self.admit(envelope, item, role, sequence)?;
            }
        }
        Ok(true)
    }

    /// Puts one accepted change into its record.
    pub(super) fn admit(&mut self, envelope: &Envelope, item: &Item, role: Role, sequence: u64) -> Result<(), ClientError> {
        let Item::Change { record, generation, change } = item else { return Ok(()) };
        let header = envelope.header();
        let place = self.batch.view().record_place(*record)?;
        let retired = place.is_some_and(|place| *generation < place.generation);
        if retired || self.membership.records().is_erased(*record) {
            return Ok(());
        }
        let mut origin = Origin {
            device: header.device,
            incarnation: header.incarnation,
            person: header.person,
            at_ms: header.clock_ms,
            offset_minutes: header.offset_minutes,
            role,
        };
        if *generation > 0
            && self.membership.is_server_device(header.device)
            && let Some(carried) = carried(change)
        {
            // Written again for this generation: it says whose it is.
            let by = carried.provenance;
            origin = Origin {
                device: by.device,
                person: by.person,
                role: by.role,
                at_ms: by.at_ms,
                offset_minutes: by.offset_minutes,
                ..origin
            };
        }
        let caseload = match self.counts {
            ChangeState::Accepted => self.caseload,
            _ => self.membership.records().caseload(*record, self.caseload),
        };
        self.batch.put_record(*record, RecordPlace { caseload, generation: *generation })?;
        let made = self.ahead.as_mut().filter(|_| place.is_none()).and_then(|ahead| ahead.take(envelope.hash(), *record));
        if let Some(made) = made {
            let stored = StoredChange {
                hash: made.hash,
                bytes: change.clone(),
                own: header.device == self.inner.device,
                envelope: Some(envelope.hash()),
                state: ChangeState::Accepted,
                origin,
            };
            self.batch.put_change(*record, *generation, &stored)?;
            self.inner.write_projection(self.batch, &made.projection, &made.folded, self.caseload, true)?;
            self.projected.insert(*record);
            return Ok(());
        }
        let sourced = SourcedChange { bytes: change.clone(), provenance: provenance(&origin) };
        let actor = header.incarnation.0;
        let mut admitted = gate::admit(self.document(*record, *generation)?, sourced.clone(), actor);
        let same_name = |admitted: &Result<Hash, gate::Failure>| matches!(admitted, Err(failure) if matches!(failure.reason, Reason::Sequence | Reason::Shape));
        let counts = self.counts == ChangeState::Accepted;
        // What counts comes first: before what another device gave, and before what was made here, which is written again on top of it.
        if counts && same_name(&admitted) && self.batch.set_provisional_aside(*record)? {
            self.again(*record);
            admitted = gate::admit(self.document(*record, *generation)?, sourced.clone(), actor);
        }
        if counts && same_name(&admitted) && self.batch.set_pending_aside(*record)? {
            self.batch.ask_to_begin_again()?;
            self.again(*record);
            admitted = gate::admit(self.document(*record, *generation)?, sourced, actor);
        }
        match admitted {
            Ok(hash) => {
                let stored = StoredChange {
                    hash,
                    bytes: change.clone(),
                    own: counts && header.device == self.inner.device,
                    envelope: Some(envelope.hash()),
                    state: self.counts,
                    origin,
                };
                if !self.batch.put_change(*record, *generation, &stored)? && counts {
                    self.batch.set_change_state(*record, hash, ChangeState::Accepted)?;
                }
                self.project.insert(*record);
            }
            // Its bytes stay in the envelope.
            Err(failure) => {
                self.batch.put_aside(envelope.hash(), *record, &failure.reason.to_string(), sequence)?;
                self.set_aside(envelope.hash(), failure.to_string());
            }
        }
        Ok(())
    }

    /// A record as far as it was read in this page.
    fn document(&mut self, record: RecordId, generation: u32) -> Result<&mut Record, ClientError> {
        Ok(match self.records.entry((record, generation)) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(records::load_generation(&self.batch.view(), record, generation)?)
            }
        })
    }

    /// Sets aside what was made here on top of what was refused, as far as it has not counted: it is written again without that.
    fn set_dependents_aside(&self, record: RecordId) -> Result<(), ClientError> {
        let mut refused: BTreeSet<Hash> = BTreeSet::new();
        // Where its beginning does not count there is nothing to write on.
        if records::load(&self.batch.view(), record)?.is_empty() {
            return Ok(());
        }
        for change in self.batch.view().every_change_of(record)? {
            if change.state == ChangeState::Quarantined {
                refused.insert(change.hash);
                continue;
            }
            let below = karwan_record::document::dependencies(&change.bytes).map_err(|error| records::refuses(&error))?;
            if !below.iter().any(|dep| refused.contains(dep)) {
                continue;
            }
            refused.insert(change.hash);
            if change.own && matches!(change.state, ChangeState::New | ChangeState::Durable | ChangeState::Waiting) {
                self.batch.set_change_state(record, change.hash, ChangeState::Aside)?;
                self.batch.ask_to_begin_again()?;
            }
        }
        Ok(())
    }

    /// The server changed its mind about one record's changes of an envelope.
    fn later_verdict(&mut self, envelope: Hash, record: RecordId, verdict: Verdict) -> Result<(), ClientError> {
        let view = self.batch.view();
        let held: Vec<_> = view.changes_in(envelope)?.into_iter().filter(|placed| placed.record == record).collect();
        let own = held.iter().any(|placed| placed.change.own);
        self.batch.set_envelope_changes(envelope, Some(record), state_of(verdict))?;
        if verdict.is_accepted() {
            self.overtaken.insert(envelope.to_string());
        }
        if own {
            self.tell_refused(envelope, verdict);
        }
        self.again(record);
        if !verdict.is_accepted() {
            self.judged.insert(record);
        }
        if held.is_empty() && verdict.is_accepted() {
            let Some(stored) = view.envelope(envelope)? else { return Ok(()) };
            let Ok(decoded) = Envelope::decode(&stored.bytes) else { return Ok(()) };
            for item in decoded.items().iter().filter(|item| item.record() == Some(record)) {
                self.admit(&decoded, item, stored.role.unwrap_or(Role::Enumerator), stored.sequence.unwrap_or(0))?;
            }
        }
        Ok(())
    }

    /// Writes what lists and forms read of every record that the page touched.
    pub(super) fn project(&mut self) -> Result<BTreeSet<RecordId>, ClientError> {
        for record in &self.judged {
            self.set_dependents_aside(*record)?;
        }
        for id in &self.project {
            let place = self.batch.view().record_place(*id)?;
            let here = place.filter(|place| place.caseload == self.caseload);
            let loaded = here.and_then(|place| self.records.get(&(*id, place.generation)));
            match loaded.filter(|record| !record.is_empty()) {
                Some(record) => drop(self.inner.project(self.batch, record, self.caseload)?),
                None => drop(self.inner.project_again(self.batch, *id)?),
            }
        }
        self.project.extend(self.projected.iter());
        for record in self.sent.difference(&self.project) {
            let view = self.batch.view();
            self.batch.set_unsent(*record, view.is_unsent(*record)?, view.is_provisional(*record)?)?;
        }
        Ok(self.project.union(&self.sent).copied().collect())
    }
}
