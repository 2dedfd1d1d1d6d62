//! Taking in envelopes: signature and header first, then the gate record by record, then one transaction for everything that was
//! queued, and only then the receipts.
//!
//! [`Ingest`] is a thread with a queue: what waits together is committed together. [`Organisation::take_in`] is what it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use karwan_proto::log::RecordVerdict;
use karwan_proto::session::{Ingested, Rejection, Testimony};
use karwan_proto::{
    CaseloadId, DeviceId, Envelope, EnvelopeHeader, Hash, Item, LogEntry, PersonId, Reason, RecordId, Role, SignedHeader, Verdict,
};
use karwan_record::{Author, Provenance, Record, SourcedChange, gate};
use rusqlite::{OptionalExtension, Transaction, params};
use tokio::sync::oneshot;

use super::{accepted, append, head, payload, provenance, recovery, verdict_of};
use crate::clock::{now_ms, random};
use crate::organisation::{Core, Organisation};
use crate::problem::Problem;

/// Envelopes that wait for the writer at most; a session waits when there are more.
pub const QUEUE_MAX: usize = 1_024;
/// Envelopes in one transaction at most.
pub const BATCH_MAX: usize = 256;

/// One envelope to be taken in, as a session brought it.
pub struct Job {
    /// The device of the session.
    pub bearer: DeviceId,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// What the device remembers of it, where it offers again what another log had.
    pub testimony: Option<Testimony>,
    /// Told when it is durable.
    pub answer: oneshot::Sender<Option<Ingested>>,
}

/// An envelope and who brings it.
#[derive(Debug, Clone, Copy)]
pub struct Brought<'a> {
    /// The device of the session.
    pub bearer: DeviceId,
    /// The envelope's bytes.
    pub envelope: &'a [u8],
    /// What the device remembers of it, where it offers again what another log had.
    pub testimony: Option<&'a Testimony>,
}

/// The writer's queue.
#[derive(Clone)]
pub struct Ingest {
    queue: SyncSender<Job>,
}

impl Ingest {
    /// Starts the writer.
    pub fn start(organisation: Arc<Organisation>) -> Self {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        std::thread::spawn(move || run(&organisation, &jobs));
        Self { queue }
    }

    /// Queues an envelope; waits where the queue is full. The answer is `None` where the server failed.
    pub fn offer(
        &self,
        bearer: DeviceId,
        envelope: Vec<u8>,
        testimony: Option<Testimony>,
    ) -> oneshot::Receiver<Option<Ingested>> {
        let (answer, answered) = oneshot::channel();
        // A queue that is gone drops the job, and the receiver says so.
        self.queue.send(Job { bearer, envelope, testimony, answer }).ok();
        answered
    }
}

fn run(organisation: &Arc<Organisation>, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            match jobs.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        let envelopes: Vec<Brought<'_>> = batch
            .iter()
            .map(|job| Brought { bearer: job.bearer, envelope: &job.envelope, testimony: job.testimony.as_ref() })
            .collect();
        let outcome = organisation.take_in(&envelopes);
        if let Err(problem) = &outcome {
            tracing::error!(code = problem.code, error = problem.error, "ingest failed");
        }
        let mut outcomes = outcome.unwrap_or_default().into_iter();
        for job in batch {
            job.answer.send(outcomes.next()).ok();
        }
    }
}

impl Organisation {
    /// Takes in envelopes in one transaction. When it returns they are durable, judged, and known to whoever waits for the log.
    pub fn take_in(&self, envelopes: &[Brought<'_>]) -> Result<Vec<Ingested>, Problem> {
        self.take_in_with(&mut *self.writing()?, envelopes, false, &|_| Ok(()))
    }

    /// Judges envelopes that were held while the server recovered; `release` lets them go in the same transaction.
    pub(super) fn judge_held(
        &self,
        core: &mut Core,
        envelopes: &[Brought<'_>],
        release: &dyn Fn(&Transaction<'_>) -> Result<(), Problem>,
    ) -> Result<Vec<Ingested>, Problem> {
        self.take_in_with(core, envelopes, true, release)
    }

    /// As [`Organisation::take_in`]; `check` may undo everything by an error before it is committed.
    fn take_in_with(
        &self,
        core: &mut Core,
        envelopes: &[Brought<'_>],
        closing: bool,
        check: &dyn Fn(&Transaction<'_>) -> Result<(), Problem>,
    ) -> Result<Vec<Ingested>, Problem> {
        // Keys first: a key without a change harms nobody, a change without its key is lost.
        let keys = core.keys.unchecked_transaction()?;
        let transaction = core.db.unchecked_transaction()?;
        let mut writer = Writer {
            organisation: self,
            core_membership: &core.membership,
            records: &mut core.records,
            keys: &core.keys,
            holds: core.recovering && !closing,
        };
        let mut outcomes = Vec::with_capacity(envelopes.len());
        let mut failed = None;
        for brought in envelopes {
            match writer.envelope(&transaction, *brought) {
                Ok(outcome) => outcomes.push(outcome),
                Err(problem) => {
                    failed = Some(problem);
                    break;
                }
            }
        }
        let committed = match failed {
            Some(problem) => Err(problem),
            None => {
                check(&transaction).and_then(|()| keys.commit().map_err(Problem::from)).and_then(|()| Ok(transaction.commit()?))
            }
        };
        if let Err(problem) = committed {
            core.records.clear();
            return Err(problem);
        }
        self.grown.notify_waiters();
        Ok(outcomes)
    }

    /// Who this process is when it writes for a person who is signed in.
    pub fn server_author(&self, person: PersonId) -> Result<Author, Problem> {
        let core = self.writing()?;
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
        let (hash, envelope, device) = self.seal(&mut core, caseload, person, changes)?;
        let brought = Brought { bearer: device, envelope: &envelope, testimony: None };
        let outcomes = self.take_in_with(&mut core, &[brought], false, &|transaction| accepted_whole(transaction, hash))?;
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

    fn seal(
        &self,
        core: &mut Core,
        caseload: CaseloadId,
        person: PersonId,
        changes: Vec<(RecordId, Vec<u8>)>,
    ) -> Result<(Hash, Vec<u8>, DeviceId), Problem> {
        let device = self.server_key.public().device();
        core.membership.may_write(person, device, caseload).map_err(|reason| {
            Problem::refused("not-entitled", reason.to_string(), "Look at the person's role and caseloads: karwan user list ORG.")
        })?;
        let (counter, previous) = core.sealed.get(&caseload).copied().unwrap_or((0, None));
        let header = EnvelopeHeader {
            caseload,
            device,
            incarnation: core.incarnation,
            counter: counter + 1,
            previous,
            person,
            membership_position: core.membership.cursor().sequence,
            clock_ms: now_ms(),
            offset_minutes: 0,
            change_count: 0,
            root: Hash([0; 32]),
            extra: karwan_proto::codec::Extra::default(),
        };
        let items = changes.into_iter().map(|(record, change)| Item::Change { record, generation: 0, change }).collect();
        let envelope = karwan_proto::envelope::seal(header, items, random(), &self.server_key)?;
        core.sealed.insert(caseload, (counter + 1, Some(envelope.hash())));
        Ok((envelope.hash(), envelope.encode(), device))
    }
}

/// Refuses where something of an envelope does not count.
fn accepted_whole(transaction: &Transaction<'_>, envelope: Hash) -> Result<(), Problem> {
    let mut statement = transaction.prepare_cached("SELECT verdict, reason FROM verdict WHERE envelope = ?1")?;
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

/// What one transaction works with.
struct Writer<'a> {
    organisation: &'a Organisation,
    core_membership: &'a karwan_proto::Membership,
    records: &'a mut super::cache::RecordCache,
    keys: &'a rusqlite::Connection,
    /// The server recovers: what comes is held and not judged.
    holds: bool,
}

impl Writer<'_> {
    fn envelope(&mut self, transaction: &Transaction<'_>, brought: Brought<'_>) -> Result<Ingested, Problem> {
        let rejected = |rejection| Ok(Ingested::Rejected(rejection));
        let Brought { bearer, envelope: bytes, testimony } = brought;
        let Ok(signed) = SignedHeader::peek(bytes) else { return rejected(Rejection::Malformed) };
        let hash = signed.hash();
        let header = signed.header().clone();
        let testimony = testimony.filter(|_| believes(self.core_membership, bearer, &header));
        let mut statement = transaction.prepare_cached("SELECT sequence FROM envelope WHERE hash = ?1")?;
        if let Some(sequence) = statement.query_row([hash.0], |row| row.get::<_, i64>(0)).optional()? {
            if let Some(testimony) = testimony {
                self.reconsider(transaction, &signed, testimony)?;
            }
            return Ok(Ingested::Durable { sequence: sequence as u64 });
        }
        let Some(key) = self.core_membership.key_of(header.device) else { return rejected(Rejection::UnknownDevice) };
        if signed.verify(&key).is_err() {
            return rejected(Rejection::Signature);
        }
        let own = bearer == self.organisation.server_key.public().device();
        let may_bear = own || self.core_membership.readable(bearer).is_ok_and(|caseloads| caseloads.contains(&header.caseload));
        if !may_bear || head(transaction, header.caseload)?.is_none() {
            return rejected(Rejection::Caseload);
        }
        if is_of_a_clone(transaction, &header)? {
            return rejected(Rejection::Equivocation);
        }
        let Ok(envelope) = Envelope::decode(bytes) else { return rejected(Rejection::Malformed) };
        if self.holds {
            return recovery::hold(transaction, self.keys, bearer, &envelope, bytes, testimony);
        }
        let entitled = self.core_membership.may_write(header.person, header.device, header.caseload);
        // What a log that is no more had accepted stays accepted, in the role that it was written in.
        let entitled = testimony.map_or(entitled, |testimony| Ok(testimony.role));
        let role = entitled.as_ref().copied().unwrap_or(Role::Enumerator);
        let mut by_record: BTreeMap<RecordId, Vec<Vec<u8>>> = BTreeMap::new();
        for item in envelope.items() {
            if let Item::Change { record, change, .. } = item {
                by_record.entry(*record).or_default().push(change.clone());
            }
        }
        let mut refused = Vec::new();
        let mut accepted = Vec::new();
        for (record, changes) in by_record {
            let told = testimony.and_then(|testimony| testimony.refused.iter().find(|told| told.record == record));
            let verdict = match &entitled {
                _ if told.is_some_and(|told| matches!(told.verdict, Verdict::Quarantined(_))) => {
                    told.map_or(Verdict::Accepted, |told| told.verdict)
                }
                Ok(_) => self.judge(transaction, header.caseload, record, &changes, &signed, role)?,
                Err(reason) => Verdict::Quarantined(reason_of(reason)),
            };
            if verdict.is_accepted() {
                accepted.push(record);
            } else {
                refused.push(RecordVerdict { record, verdict });
            }
        }
        let entry = LogEntry::Envelope {
            envelope: hash,
            received_at_ms: now_ms(),
            gate_version: gate::GATE_VERSION,
            role,
            refused: refused.clone(),
            extra: karwan_proto::codec::Extra::default(),
        };
        let sequence = append(transaction, header.caseload, &entry, Some(hash))?;
        self.keep(transaction, &envelope, sequence, role)?;
        if testimony.is_some() {
            set_testified(transaction, hash)?;
        }
        for RecordVerdict { record, verdict } in refused {
            put_verdict(transaction, hash, record, verdict)?;
        }
        for record in accepted {
            self.retry_waiting(transaction, header.caseload, record)?;
        }
        Ok(Ingested::Durable { sequence })
    }

    /// Runs one record's changes through the gate; all count or none does.
    fn judge(
        &mut self,
        transaction: &Transaction<'_>,
        caseload: CaseloadId,
        id: RecordId,
        changes: &[Vec<u8>],
        signed: &SignedHeader,
        role: Role,
    ) -> Result<Verdict, Problem> {
        let mut statement = transaction.prepare_cached("SELECT 1 FROM change WHERE record = ?1 AND caseload != ?2 LIMIT 1")?;
        if statement.exists(params![id.0, caseload.0])? {
            return Ok(Verdict::Quarantined(Reason::Moved));
        }
        let record = if let Some(record) = self.records.take(id) {
            record
        } else {
            // Keys made in this very transaction are seen by the writer only.
            let key = payload::key_for(self.keys, id)?;
            Record::load(id, accepted(transaction, caseload, id, &|bytes| payload::open(&key, id, bytes))?)?
        };
        let mut trial = record.clone();
        let by = provenance(signed, role);
        for bytes in changes {
            let change = SourcedChange { bytes: bytes.clone(), provenance: by };
            if let Err(failure) = gate::admit(&mut trial, change, signed.header().incarnation.0) {
                tracing::warn!(record = %id, reason = %failure.reason, detail = failure.detail, "not accepted");
                self.records.keep(record);
                return Ok(match failure.reason {
                    Reason::Dependency => Verdict::Waiting(Reason::Dependency),
                    reason => Verdict::Quarantined(reason),
                });
            }
        }
        self.records.keep(trial);
        Ok(Verdict::Accepted)
    }

    /// Another device tells that a log which is no more had accepted an envelope that is set aside here because its author may no longer write.
    fn reconsider(&mut self, transaction: &Transaction<'_>, signed: &SignedHeader, testimony: &Testimony) -> Result<(), Problem> {
        let (hash, caseload) = (signed.hash(), signed.header().caseload);
        set_testified(transaction, hash)?;
        let aside: Vec<RecordId> = {
            let reasons =
                [Reason::Revoked, Reason::NotGranted, Reason::Author].map(|reason| reason.number().to_string()).join(", ");
            let text = format!("SELECT record FROM verdict WHERE envelope = ?1 AND verdict = 2 AND reason IN ({reasons})");
            let mut statement = transaction.prepare_cached(&text)?;
            let rows = statement.query_map([hash.0], |row| row.get(0).map(RecordId))?;
            rows.collect::<Result<_, _>>()?
        };
        for record in aside {
            if testimony.refused.iter().any(|told| told.record == record) {
                continue;
            }
            let changes = self.payloads(transaction, hash, record)?;
            let verdict = self.judge(transaction, caseload, record, &changes, signed, testimony.role)?;
            decide(transaction, caseload, hash, record, verdict)?;
            self.retry_waiting(transaction, caseload, record)?;
        }
        Ok(())
    }

    /// What waited for changes of this record may count now.
    fn retry_waiting(&mut self, transaction: &Transaction<'_>, caseload: CaseloadId, record: RecordId) -> Result<(), Problem> {
        loop {
            let waiting: Vec<([u8; 32], i64, i64)> = {
                let mut statement = transaction
                    .prepare_cached("SELECT envelope, verdict, reason FROM verdict WHERE record = ?1 AND verdict = 1")?;
                let rows = statement.query_map([record.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                rows.collect::<Result<_, _>>()?
            };
            let mut changed = false;
            for (envelope, kind, reason) in waiting {
                if !matches!(verdict_of(kind, reason), Verdict::Waiting(_)) {
                    continue;
                }
                let hash = Hash(envelope);
                let row: (Vec<u8>, [u8; 64], i64) = transaction
                    .prepare_cached("SELECT header, signature, role FROM envelope WHERE hash = ?1")?
                    .query_row([envelope], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                let signed = super::signed_header(row.0, row.1)?;
                let role = Role::of_number(row.2 as u64).unwrap_or(Role::Enumerator);
                let changes = self.payloads(transaction, hash, record)?;
                let verdict = self.judge(transaction, caseload, record, &changes, &signed, role)?;
                if verdict == verdict_of(kind, reason) {
                    continue;
                }
                changed = true;
                decide(transaction, caseload, hash, record, verdict)?;
            }
            if !changed {
                return Ok(());
            }
        }
    }

    fn payloads(&self, transaction: &Transaction<'_>, envelope: Hash, record: RecordId) -> Result<Vec<Vec<u8>>, Problem> {
        let mut statement =
            transaction.prepare_cached("SELECT payload FROM change WHERE envelope = ?1 AND record = ?2 ORDER BY position")?;
        let rows = statement.query_map(params![envelope.0, record.0], |row| row.get::<_, Vec<u8>>(0))?;
        let key = payload::key_for(self.keys, record)?;
        rows.map(|bytes| payload::open(&key, record, &bytes?)).collect()
    }

    fn keep(&mut self, transaction: &Transaction<'_>, envelope: &Envelope, sequence: u64, role: Role) -> Result<(), Problem> {
        let header = envelope.header();
        let hash = envelope.hash();
        transaction
            .prepare_cached(
                "INSERT INTO envelope(hash, caseload, sequence, device, incarnation, counter, header, signature, role) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                hash.0,
                header.caseload.0,
                sequence as i64,
                header.device.0,
                header.incarnation.0,
                header.counter as i64,
                envelope.signed().bytes(),
                envelope.signed().signature().0,
                role.number() as i64
            ])?;
        for (position, item) in envelope.items().iter().enumerate() {
            let Item::Change { record, generation, change } = item else { continue };
            let key = payload::key_for(self.keys, *record)?;
            let sealed = payload::close(&key, *record, change)?;
            transaction
                .prepare_cached(
                    "INSERT INTO change(envelope, position, caseload, record, generation, payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![hash.0, position as i64, header.caseload.0, record.0, generation, sealed])?;
        }
        payload::keep_salts(self.keys, hash, envelope.salts())
    }
}

/// Whether what a device tells of another's envelope is believed: it is no party, and stands.
fn believes(membership: &karwan_proto::Membership, bearer: DeviceId, header: &EnvelopeHeader) -> bool {
    let known = membership.device(bearer).filter(|known| !known.revoked);
    bearer != header.device && known.is_some_and(|known| known.person != header.person)
}

/// Whether another copy of the device's database wrote under the same incarnation: its envelope of this number, or of the one before, is here.
fn is_of_a_clone(transaction: &Transaction<'_>, header: &EnvelopeHeader) -> Result<bool, Problem> {
    let text = "SELECT hash FROM envelope WHERE caseload = ?1 AND device = ?2 AND incarnation = ?3 AND counter = ?4";
    let mut statement = transaction.prepare_cached(text)?;
    let mut at = |counter: u64| -> Result<Option<Hash>, Problem> {
        let place = params![header.caseload.0, header.device.0, header.incarnation.0, counter as i64];
        Ok(statement.query_row(place, |row| row.get(0).map(Hash)).optional()?)
    };
    if at(header.counter)?.is_some() {
        return Ok(true);
    }
    let before = header.counter.checked_sub(1).map(&mut at).transpose()?.flatten();
    Ok(before.is_some_and(|before| Some(before) != header.previous))
}

fn set_testified(transaction: &Transaction<'_>, envelope: Hash) -> Result<(), Problem> {
    transaction.prepare_cached("UPDATE envelope SET testified = 1 WHERE hash = ?1")?.execute([envelope.0])?;
    Ok(())
}

/// A later verdict: an entry of the log, and what stands from here on.
pub(crate) fn decide(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    envelope: Hash,
    record: RecordId,
    verdict: Verdict,
) -> Result<(), Problem> {
    let extra = karwan_proto::codec::Extra::default();
    let entry = LogEntry::Verdict { envelope, record, verdict, decided_at_ms: now_ms(), extra };
    append(transaction, caseload, &entry, None)?;
    put_verdict(transaction, envelope, record, verdict)
}

fn put_verdict(transaction: &Transaction<'_>, envelope: Hash, record: RecordId, verdict: Verdict) -> Result<(), Problem> {
    let (kind, reason) = match verdict {
        Verdict::Accepted => {
            let mut statement = transaction.prepare_cached("DELETE FROM verdict WHERE envelope = ?1 AND record = ?2")?;
            statement.execute(params![envelope.0, record.0])?;
            return Ok(());
        }
        Verdict::Waiting(reason) => (1, reason.number()),
        Verdict::Quarantined(reason) => (2, reason.number()),
        Verdict::Erased => (3, 0),
        Verdict::Other(kind, reason) => (kind, reason),
    };
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO verdict VALUES(?1, ?2, ?3, ?4)")?;
    statement.execute(params![envelope.0, record.0, kind as i64, reason as i64])?;
    Ok(())
}

fn reason_of(reason: &karwan_proto::error::NotEntitled) -> Reason {
    use karwan_proto::error::NotEntitled;
    match reason {
        NotEntitled::DeviceRevoked | NotEntitled::PersonDisabled => Reason::Revoked,
        NotEntitled::Role(_) => Reason::Role,
        NotEntitled::UnknownPerson | NotEntitled::UnknownDevice => Reason::Author,
        _ => Reason::NotGranted,
    }
}
