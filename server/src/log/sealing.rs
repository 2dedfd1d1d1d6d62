//! What this server writes itself, for a person who decided: sealed as a device's is, and taken in through the same gate.

use std::collections::BTreeMap;

use karwan_proto::membership::Membership;
use karwan_proto::session::Ingested;
use karwan_proto::{CaseloadId, EnvelopeHeader, Hash, IncarnationId, Item, PersonId, RecordId, Verdict};
use karwan_record::{Author, Provenance};

use super::ingest::Brought;
use super::verdict_of;
use crate::clock::{now_ms, random};
use crate::database::{OptionalExtension, Transaction};
use crate::organisation::Organisation;
use crate::problem::Problem;

impl Organisation {
    /// Who this process is when it writes for a person who is signed in.
    pub fn server_author(&self, person: PersonId) -> Result<Author, Problem> {
        let core = self.current()?;
        let role = core.membership.person(person).filter(|known| !known.revoked).map(|known| known.role);
        let role =
            role.ok_or_else(|| Problem::refused("disabled", "this person may do nothing here", "Ask an administrator."))?;
        let provenance =
            Provenance { device: self.server_key.public().device(), person, role, at_ms: now_ms(), offset_minutes: 0 };
        Ok(Author { actor: core.incarnation.0, provenance })
    }

    /// Seals changes as this server's own device and appends them to the log, durably. Gives the place in the log; refused where the
    /// gate refuses, and then nothing is kept.
    pub fn write(&self, caseload: CaseloadId, person: PersonId, changes: Vec<(RecordId, Vec<u8>)>) -> Result<u64, Problem> {
        let mut core = self.writing()?;
        core.not_recovering()?;
        let generations: Vec<u32> = changes.iter().map(|(record, _)| core.membership.records().generation(*record)).collect();
        let items = changes.into_iter().zip(generations);
        let items = items.map(|((record, change), generation)| Item::Change { record, generation, change }).collect();
        let core_now = &mut *core;
        let sealing = Sealing { incarnation: core_now.incarnation, sealed: &mut core_now.sealed };
        let (hash, envelope) = self.seal(&core_now.membership, sealing, caseload, person, items)?;
        let brought = Brought { bearer: self.server_key.public().device(), envelope: &envelope, testimony: None };
        let outcomes = self.take_in_with(&mut core, &[brought], false, None, &|transaction| accepted_whole(transaction, hash))?;
        drop(core);
        match outcomes.first() {
            Some(Ingested::Durable { sequence }) => Ok(*sequence),
            Some(Ingested::Rejected(rejection)) => Err(Problem::refused(
                "rejected",
                format!("the change is not taken in: {rejection}"),
                "Look at the person's role and caseloads.",
            )),
            None => Err(Problem::new(Problem::FAILED, "ingest", "the change was not taken in", "Try again.")),
        }
    }

    /// Seals changes as this server's own device.
    pub(super) fn seal(
        &self,
        membership: &Membership,
        sealing: Sealing<'_>,
        caseload: CaseloadId,
        person: PersonId,
        items: Vec<Item>,
    ) -> Result<(Hash, Vec<u8>), Problem> {
        let device = self.server_key.public().device();
        membership.may_write(person, device, caseload).map_err(|reason| {
            Problem::refused("not-entitled", reason.to_string(), "Look at the person's role and caseloads: karwan user list ORG.")
        })?;
        let (counter, previous) = sealing.sealed.get(&caseload).copied().unwrap_or((0, None));
        let header = EnvelopeHeader {
            caseload,
            device,
            incarnation: sealing.incarnation,
            counter: counter + 1,
            previous,
            person,
            membership_position: membership.cursor().sequence,
            clock_ms: now_ms(),
            offset_minutes: 0,
            change_count: 0,
            root: Hash([0; 32]),
            extra: karwan_proto::codec::Extra::default(),
        };
        let envelope = karwan_proto::envelope::seal(header, items, random(), &self.server_key)?;
        sealing.sealed.insert(caseload, (counter + 1, Some(envelope.hash())));
        Ok((envelope.hash(), envelope.encode()))
    }
}

/// Who seals: an incarnation of this server, and where its envelopes stand by caseload.
pub(super) struct Sealing<'a> {
    pub(super) incarnation: IncarnationId,
    pub(super) sealed: &'a mut BTreeMap<CaseloadId, (u64, Option<Hash>)>,
}

/// Refuses where something of an envelope does not count.
pub(super) fn accepted_whole(transaction: &Transaction<'_>, envelope: Hash) -> Result<(), Problem> {
    let statement = transaction.prepare("SELECT verdict, reason FROM verdict WHERE envelope = ?1");
    let row = statement.query_row([envelope.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((kind, reason)) = row else { return Ok(()) };
    let why = match verdict_of(kind, reason) {
        Verdict::Accepted | Verdict::Erased => "it was erased".to_owned(),
        Verdict::Waiting(reason) | Verdict::Quarantined(reason) => reason.to_string(),
        Verdict::Other(kind, reason) => format!("verdict {kind}, reason {reason}"),
    };
    Err(Problem::refused(
        "rejected",
        format!("the change is not taken in: {why}"),
        "Look at the person's role and caseloads: karwan user list ORG.",
    ))
}
