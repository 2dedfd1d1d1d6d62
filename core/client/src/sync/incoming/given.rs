//! What another device gives in the field: decisions of the organisation, which their signatures prove; names and forms where the server has told of
//! none; and envelopes, which are provisional until the server's verdict.

use std::collections::BTreeSet;

use karwan_proto::envelope::{Envelope, EnvelopeHeader, Item, SignedHeader};
use karwan_proto::error::NotEntitled;
use karwan_proto::ids::{CaseloadId, DeviceId, Hash};
use karwan_proto::log::{LogEntry, Reason, Verdict};
use karwan_proto::membership::{Act, Role, SignedEntry};
use karwan_proto::session::{Ingested, Introduction, Refusal, Rejection, Testimony};
use karwan_store::StoreError;
use karwan_store::change::{ChangeState, EnvelopeState, StoredEnvelope};
use karwan_store::form::FormRow;
use karwan_store::log::Named;

use super::page::Page;
use super::{Entries, Incoming};
use crate::device::{Inner, locked, role_of};
use crate::error::ClientError;
use crate::field::who;
use crate::people::NAME_BYTES_MAX;
use crate::sync::report::SyncReport;
use crate::sync::verdict::words;

/// An envelope that another device gives.
pub(crate) struct GivenEnvelope {
    /// Its number in the session.
    pub(crate) number: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// What the log said of it that the giver holds.
    pub(crate) testimony: Option<Testimony>,
}

/// Who gives, and what both may have.
#[derive(Debug, Clone)]
pub(crate) struct Giver {
    pub(crate) device: DeviceId,
    pub(crate) shared: BTreeSet<CaseloadId>,
}

impl Incoming<'_> {
    /// Checks and keeps entries of the membership log that follow on those held; those held already must be the same.
    pub(crate) fn membership_given(&mut self, first: u64, entries: &[SignedEntry]) -> Result<(), ClientError> {
        let mut store = locked(&self.inner.store);
        let mut membership = locked(&self.inner.membership);
        let mut next = membership.clone();
        let diverged = || ClientError::OtherDevice(Refusal::MembershipDiverged);
        let ours = store.view()?.membership()?;
        let (mut kept, mut decided) = (Vec::new(), BTreeSet::new());
        for (position, entry) in (first..).zip(entries) {
            let place = usize::try_from(position).ok().and_then(|position| position.checked_sub(1)).ok_or_else(diverged)?;
            if let Some(known) = ours.get(place) {
                if *known == entry.encode() {
                    continue;
                }
                return Err(diverged());
            }
            if position != next.cursor().sequence + 1 {
                return Err(diverged());
            }
            if let Act::Erase { record, .. } | Act::Move { record, .. } = next.apply(entry)?.act {
                decided.insert(record);
            }
            kept.push((position, entry.encode()));
        }
        self.keep_membership(&mut store, &mut membership, next, Entries { forget_from: None, kept, decided })
    }

    /// Keeps people whom the giver met first: whoever comes home first introduces them.
    pub(crate) fn people_given(&mut self, people: &[Introduction]) -> Result<(), ClientError> {
        let mut store = locked(&self.inner.store);
        let membership = locked(&self.inner.membership);
        store.write(|batch| {
            for Introduction { person, name } in people {
                if membership.person(*person).is_none() && name.len() <= NAME_BYTES_MAX {
                    batch.put_person(*person, name)?;
                }
            }
            Ok::<_, StoreError>(())
        })?;
        self.people = true;
        Ok(())
    }

    /// Keeps names, where the server has told none.
    pub(crate) fn names_given(&mut self, names: &[Named]) -> Result<(), ClientError> {
        locked(&self.inner.store).write(|batch| names.iter().try_for_each(|named| batch.put_name_of_another(named)))?;
        self.people = true;
        Ok(())
    }

    /// Keeps forms that the log has not told of yet.
    pub(crate) fn forms_given(&mut self, caseload: CaseloadId, entries: &[Vec<u8>]) -> Result<u64, ClientError> {
        let mut new = 0;
        locked(&self.inner.store).write(|batch| {
            for bytes in entries {
                let Ok(LogEntry::Form { form_id, version, definition, media, retired, .. }) = LogEntry::decode(bytes) else {
                    continue;
                };
                let row = FormRow {
                    hash: definition,
                    caseload,
                    form_id,
                    version,
                    file_name: String::new(),
                    media: media.into_iter().map(|file| (file.name, file.hash)).collect(),
                    retired,
                    sequence: 0,
                };
                new += u64::from(batch.put_form_of_another(&row)?);
            }
            Ok::<_, StoreError>(())
        })?;
        self.forms |= new > 0;
        Ok(new)
    }

    /// Takes in envelopes, in one transaction.
    pub(crate) fn given(
        &mut self,
        giver: &Giver,
        envelopes: &[GivenEnvelope],
        report: &mut SyncReport,
    ) -> Result<Vec<(u64, Ingested)>, ClientError> {
        let mut store = locked(&self.inner.store);
        let membership = locked(&self.inner.membership);
        let inner: &Inner = self.inner;
        let incarnation = store.incarnation();
        let (outcomes, touched) = store.write(|batch| {
            let mut page = Page::new(inner, batch, &membership, CaseloadId([0; 16]), incarnation);
            page.counts = ChangeState::New;
            let mut outcomes = Vec::new();
            for given in envelopes {
                let outcome = page.given(giver, given)?;
                report.envelopes_down += u64::from(matches!(outcome, Ingested::Durable { .. }));
                outcomes.push((given.number, outcome));
            }
            page.try_set_aside_again()?;
            let touched = page.project()?;
            report.changes_down += page.changes;
            report.not_applied.append(&mut page.not_applied);
            Ok::<_, ClientError>((outcomes, touched))
        })?;
        self.changed.extend(touched);
        Ok(outcomes)
    }
}

impl Page<'_, '_> {
    /// Takes in one envelope: for the server as it came, and here provisionally, as far as its author may write and this device's own gate lets it.
    fn given(&mut self, giver: &Giver, given: &GivenEnvelope) -> Result<Ingested, ClientError> {
        let rejected = |rejection| Ok(Ingested::Rejected(rejection));
        let Ok(mut envelope) = Envelope::decode(&given.bytes) else { return rejected(Rejection::Malformed) };
        let (name, header) = (envelope.hash(), envelope.header().clone());
        let Some(key) = self.membership.key_of(header.device) else { return rejected(Rejection::UnknownDevice) };
        if envelope.verify(&key).is_err() {
            return rejected(Rejection::Signature);
        }
        let kept = Ok(Ingested::Durable { sequence: 0 });
        if self.batch.view().envelope(name)?.is_some() {
            self.batch.set_envelope_shared(name)?;
            return kept;
        }
        let whole = envelope.items().len();
        if !who::fit(&mut envelope, self.membership, &giver.shared) {
            // Whoever holds it brings it home.
            return kept;
        }
        if self.is_of_a_clone(&header)? {
            return rejected(Rejection::Equivocation);
        }
        let testimony = given.testimony.as_ref().filter(|_| self.believes(giver.device, &header));
        let entitled = match (testimony, self.membership.may_write(header.person, header.device, header.caseload)) {
            (Some(testimony), _) => {
                Ok(testimony.role.min(role_of(self.membership, header.person, header.device, header.caseload)))
            }
            // Somebody met first in the field is an enumerator.
            (None, Err(NotEntitled::UnknownPerson)) => Ok(Role::Enumerator),
            (None, entitled) => entitled,
        };
        self.caseload = self.kept_under(&envelope, giver);
        let unpruned = envelope.items().iter().filter(|item| item.record().is_some()).count() == whole;
        self.batch.put_envelope(&StoredEnvelope {
            hash: name,
            caseload: self.caseload,
            bytes: if unpruned { given.bytes.clone() } else { envelope.encode() },
            own: false,
            state: EnvelopeState::ToOffer,
            sequence: None,
            counter: header.counter,
            changes: u32::try_from(whole).unwrap_or(u32::MAX),
            role: entitled.as_ref().ok().copied(),
            earlier: None,
        })?;
        self.batch.set_envelope_shared(name)?;
        self.caseload = header.caseload;
        for item in envelope.items() {
            let Some(record) = item.record() else { continue };
            let told = testimony.and_then(|testimony| testimony.refused.iter().find(|told| told.record == record));
            let aside = match (&entitled, told) {
                (_, Some(told)) => Some(told.verdict),
                (Err(reason), None) => Some(Verdict::Waiting(reason_of(reason))),
                (Ok(_), None) => None,
            };
            match (aside, &entitled) {
                (None, Ok(role)) => {
                    self.changes += 1;
                    self.admit(&envelope, item, *role, 0)?;
                }
                (aside, _) => {
                    let (word, reason) = words(aside.unwrap_or(Verdict::Waiting(Reason::NotGranted)));
                    self.batch.put_verdict(name, record, word, &reason, 0)?;
                }
            }
        }
        kept
    }

    /// The caseload under which an envelope waits for the server: its own, or where its first record is now.
    fn kept_under(&self, envelope: &Envelope, giver: &Giver) -> CaseloadId {
        let own = envelope.header().caseload;
        if giver.shared.contains(&own) {
            return own;
        }
        let first = envelope.items().iter().find_map(Item::record);
        first.map_or(own, |record| self.membership.records().caseload(record, own))
    }

    /// What a device tells of the log's word on an envelope is believed where it is no party to it.
    fn believes(&self, giver: DeviceId, header: &EnvelopeHeader) -> bool {
        let person = self.membership.device(giver).map(|known| known.person);
        giver != header.device && person.is_some_and(|person| person != header.person)
    }

    /// Whether another copy of the author's database wrote under the same number, or the one before: the first that came stays.
    fn is_of_a_clone(&self, header: &EnvelopeHeader) -> Result<bool, ClientError> {
        let at = |counter: u64| -> Result<Option<Hash>, ClientError> {
            let held = self.batch.view().envelopes_numbered(header.caseload, counter)?;
            let of_author = held.into_iter().find(|held| {
                let signed = SignedHeader::peek(&held.bytes);
                signed.is_ok_and(|signed| {
                    let known = signed.header();
                    known.device == header.device && known.incarnation == header.incarnation
                })
            });
            Ok(of_author.map(|held| held.hash))
        };
        if at(header.counter)?.is_some() {
            return Ok(true);
        }
        let before = header.counter.checked_sub(1).map(at).transpose()?.flatten();
        Ok(before.is_some_and(|before| Some(before) != header.previous))
    }
}

fn reason_of(reason: &NotEntitled) -> Reason {
    match reason {
        NotEntitled::DeviceRevoked | NotEntitled::PersonDisabled => Reason::Revoked,
        NotEntitled::Role(_) => Reason::Role,
        NotEntitled::UnknownPerson | NotEntitled::UnknownDevice => Reason::Author,
        _ => Reason::NotGranted,
    }
}
