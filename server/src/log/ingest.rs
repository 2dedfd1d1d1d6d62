//! Taking in envelopes: signature and header first, then the gate record by record, then one transaction for everything that was
//! queued, and only then the receipts. [`super::queue`] is where they wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_proto::log::RecordVerdict;
use karwan_proto::membership::{Act, Membership};
use karwan_proto::session::{Ingested, Rejection, Testimony};
use karwan_proto::{
    CaseloadId, DeviceId, Envelope, EnvelopeHeader, Hash, Item, LogEntry, Reason, RecordId, Role, SignedHeader, Verdict,
};
use karwan_record::{Record, SourcedChange, gate};

use super::cache::Bounded;
use super::decided::{Retired, open_in, standing_generation};
use super::recent::{Begun, Came};
use super::{accepted, append, head, payload, provenance, recovery, verdict_of};
use crate::clock::now_ms;
use crate::database::{Connection, OptionalExtension, Transaction, Value, params};
use crate::organisation::writing::{heads as all_heads, hold_heads};
use crate::organisation::{Core, Organisation};
use crate::problem::Problem;

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

impl Organisation {
    /// Takes in envelopes in one transaction. When it returns they are durable, judged, and known to whoever waits for the log.
    pub fn take_in(&self, envelopes: &[Brought<'_>]) -> Result<Vec<Ingested>, Problem> {
        self.take_in_and_note(envelopes, &[])
    }

    /// As [`Organisation::take_in`], and notes in the same transaction that these devices have heard everything.
    pub(super) fn take_in_and_note(&self, envelopes: &[Brought<'_>], heard: &[DeviceId]) -> Result<Vec<Ingested>, Problem> {
        let mut core = self.writing_beside_others()?;
        let logs = logs_of(&core.membership, envelopes);
        let note = |transaction: &Transaction<'_>| self.note_syncs(transaction, heard);
        self.take_in_with(&mut core, envelopes, false, Some(&logs), &note)
    }

    /// Judges envelopes that were held while the server recovered; `release` lets them go in the same transaction.
    pub(super) fn judge_held(
        &self,
        core: &mut Core,
        envelopes: &[Brought<'_>],
        release: &dyn Fn(&Transaction<'_>) -> Result<(), Problem>,
    ) -> Result<Vec<Ingested>, Problem> {
        self.take_in_with(core, envelopes, true, None, release)
    }

    /// As [`Organisation::take_in`]; with `logs` beside processes that append to others, without it alone; `check` may undo everything by an error before it is committed.
    pub(super) fn take_in_with(
        &self,
        core: &mut Core,
        envelopes: &[Brought<'_>],
        closing: bool,
        logs: Option<&BTreeSet<CaseloadId>>,
        check: &dyn Fn(&Transaction<'_>) -> Result<(), Problem>,
    ) -> Result<Vec<Ingested>, Problem> {
        let holds = core.recovering && !closing;
        self.writing_logs(core, &[], holds, logs, |writer, transaction| {
            writer.was_held = closing;
            let outcomes =
                envelopes.iter().map(|brought| writer.envelope(transaction, *brought)).collect::<Result<Vec<_>, _>>()?;
            check(transaction)?;
            Ok(outcomes)
        })
    }

    /// Decides something and writes to the logs, all or nothing.
    pub(super) fn writing_log<T>(
        &self,
        core: &mut Core,
        acts: &[Act],
        holds: bool,
        work: impl FnOnce(&mut Writer<'_>, &Transaction<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.writing_logs(core, acts, holds, None, work)
    }

    /// As [`Organisation::writing_log`]: to these logs, whose heads are held, or alone to any.
    fn writing_logs<T>(
        &self,
        core: &mut Core,
        acts: &[Act],
        holds: bool,
        logs: Option<&BTreeSet<CaseloadId>>,
        work: impl FnOnce(&mut Writer<'_>, &Transaction<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Core { db, keys, membership, records, heads, .. } = core;
        let before = (!acts.is_empty()).then(|| membership.clone());
        // Keys first: a key without a change harms nobody, a change without its key is lost.
        let key_transaction = keys.transaction()?;
        let transaction = db.transaction()?;
        if let Some(logs) = logs.filter(|_| db.is_shared()) {
            let held = hold_heads(&transaction, logs)?;
            if held.iter().any(|(log, head)| heads.get(log) != Some(head)) {
                // Another process has written there since.
                records.clear();
            }
        }
        let (mut retired, mut begun, mut came) = (Retired::default(), Vec::new(), Vec::new());
        let done = acts.iter().try_for_each(|act| self.sign(&transaction, membership, act)).and_then(|()| {
            let mut writer = Writer {
                organisation: self,
                core_membership: membership,
                records,
                keys,
                holds,
                was_held: false,
                retired: &mut retired,
                begun: &mut begun,
                came: &mut came,
                new: BTreeSet::new(),
            };
            work(&mut writer, &transaction)
        });
        let committed = done.and_then(|done| {
            if db.is_shared() {
                let ends = all_heads(&transaction)?;
                heads.extend(ends.into_iter().filter(|(log, _)| logs.is_none_or(|logs| logs.contains(log))));
            }
            key_transaction.commit()?;
            transaction.commit()?;
            Ok(done)
        });
        if committed.is_err() {
            records.clear();
            heads.clear();
            if let Some(before) = before {
                *membership = before;
            }
        } else {
            let mut recent = self.recent();
            if logs.is_none() {
                // What was decided may be that a record is not to be shown.
                recent.clear();
            }
            recent.put_records(begun);
            recent.put_envelopes(came);
            drop(recent);
            // What makes erased changes readable goes after them.
            retired.forget(db, keys)?;
            self.grown.notify_waiters();
        }
        committed
    }
}

/// The logs that taking in these envelopes may append to: their own, and those that records moved to.
fn logs_of(membership: &Membership, envelopes: &[Brought<'_>]) -> BTreeSet<CaseloadId> {
    let signed = envelopes.iter().filter_map(|brought| SignedHeader::peek(brought.envelope).ok());
    let own = signed.map(|signed| signed.header().caseload);
    let decided = membership.records();
    own.chain(decided.moved().filter_map(|record| decided.moved_to(record))).collect()
}

/// A record's changes in one envelope, with their generation.
type Changes = (u32, Vec<Vec<u8>>);

/// What one transaction works with.
pub(super) struct Writer<'a> {
    pub(super) organisation: &'a Organisation,
    pub(super) core_membership: &'a Membership,
    pub(super) records: &'a mut Bounded<RecordId, Arc<Record>>,
    pub(super) keys: &'a crate::database::Connection,
    /// The server recovers: what comes is held and not judged.
    pub(super) holds: bool,
    /// What comes was held while the server recovered: who brought it was asked then.
    pub(super) was_held: bool,
    pub(super) retired: &'a mut Retired,
    /// Records that began with what was taken in.
    begun: &'a mut Vec<Begun>,
    /// What was taken in.
    came: &'a mut Vec<Came>,
    /// Records of the envelope that is taken in of which there is no change yet.
    new: BTreeSet<RecordId>,
}

impl Writer<'_> {
    pub(super) fn envelope(&mut self, transaction: &Transaction<'_>, brought: Brought<'_>) -> Result<Ingested, Problem> {
        let rejected = |rejection| Ok(Ingested::Rejected(rejection));
        let Brought { bearer, envelope: bytes, testimony } = brought;
        let Ok(signed) = SignedHeader::peek(bytes) else { return rejected(Rejection::Malformed) };
        let hash = signed.hash();
        let header = signed.header().clone();
        let testimony = recovery::believed(transaction, self.core_membership, bearer, &header, testimony, self.holds)?;
        let testimony = testimony.as_ref();
        let statement = transaction.prepare("SELECT sequence FROM envelope WHERE hash = ?1");
        if let Some(sequence) = statement.query_row([hash.0], |row| row.get::<i64>(0)).optional()? {
            if let Some(testimony) = testimony {
                self.reconsider(transaction, &signed, testimony)?;
            }
            self.fill_in(transaction, hash, bytes)?;
            return Ok(Ingested::Durable { sequence: sequence as u64 });
        }
        let Some(key) = self.core_membership.key_of(header.device) else { return rejected(Rejection::UnknownDevice) };
        if signed.verify(&key).is_err() {
            return rejected(Rejection::Signature);
        }
        let Ok(mut envelope) = Envelope::decode(bytes) else { return rejected(Rejection::Malformed) };
        if !(self.was_held || self.may_bear(bearer, &envelope)) || head(transaction, header.caseload)?.is_none() {
            return rejected(Rejection::Caseload);
        }
        if is_of_a_clone(transaction, &header)? {
            return rejected(Rejection::Equivocation);
        }
        let gone = self.take_out(transaction, &mut envelope)?;
        if self.holds {
            return recovery::hold(transaction, self.keys, bearer, &envelope, testimony);
        }
        let entitled = self.core_membership.may_write(header.person, header.device, header.caseload);
        // What a log that is no more had accepted stays accepted, in the role that it was written in.
        let entitled = testimony.map_or(entitled, |testimony| Ok(testimony.role));
        let role = entitled.as_ref().copied().unwrap_or_else(|_| nominal_role(self.core_membership, &header));
        let mut by_record: BTreeMap<RecordId, Changes> = BTreeMap::new();
        for item in envelope.items() {
            if let Item::Change { record, generation, change } = item {
                by_record.entry(*record).or_insert_with(|| (*generation, Vec::new())).1.push(change.clone());
            }
        }
        let mut refused: Vec<RecordVerdict> = gone.into_iter().filter(|gone| !by_record.contains_key(&gone.record)).collect();
        self.new = without_changes(transaction, &by_record.keys().copied().collect::<Vec<_>>())?;
        let mut accepted = Vec::new();
        for (record, (generation, changes)) in &by_record {
            let (record, generation) = (*record, *generation);
            let told = testimony.and_then(|testimony| testimony.refused.iter().find(|told| told.record == record));
            let adopted = self.core_membership.records().is_adopted(hash, record);
            let verdict = match &entitled {
                _ if !adopted && told.is_some_and(|told| matches!(told.verdict, Verdict::Quarantined(_))) => {
                    told.map_or(Verdict::Accepted, |told| told.verdict)
                }
                Err(reason) if !adopted => Verdict::Quarantined(reason_of(reason)),
                _ => self.judge(transaction, header.caseload, (record, generation), changes, &signed, role)?,
            };
            if verdict.is_accepted() {
                accepted.push((record, generation));
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
        for (record, _) in &accepted {
            let changes = by_record.get(record).map_or(&[][..], |(_, changes)| changes);
            self.note_begun(header.caseload, sequence, *record, changes);
        }
        self.keep(transaction, &envelope, sequence, role)?;
        self.new.clear();
        self.came.push(Came { hash, bytes: bytes.into(), changes: header.change_count });
        if testimony.is_some() {
            set_testified(transaction, hash)?;
        }
        for RecordVerdict { record, verdict } in refused {
            put_verdict(transaction, hash, record, verdict)?;
        }
        for record in by_record.keys() {
            // A late edit follows its record to where that moved.
            let stands = self.core_membership.records().caseload(*record, header.caseload);
            if stands != header.caseload {
                open_in(transaction, stands, hash, *record)?;
            }
        }
        let something_waits = any_verdict(transaction)?;
        for (record, generation) in accepted {
            if something_waits {
                self.retry_waiting(transaction, record)?;
            }
            self.stand(transaction, record, generation)?;
        }
        Ok(Ingested::Durable { sequence })
    }

    /// Notes a record of which nothing was here before these changes.
    fn note_begun(&mut self, caseload: CaseloadId, sequence: u64, record: RecordId, changes: &[Vec<u8>]) {
        let stands_here = self.core_membership.records().caseload(record, caseload) == caseload;
        if let Some(loaded) = self.records.get(&record).filter(|_| stands_here && self.new.contains(&record)) {
            let bytes = changes.iter().map(Vec::len).sum();
            self.begun.push(Begun { caseload, sequence, record: loaded.clone(), bytes });
        }
    }

    /// Runs one record's changes through the gate; all count or none does.
    pub(super) fn judge(
        &mut self,
        transaction: &Transaction<'_>,
        came_to: CaseloadId,
        (id, generation): (RecordId, u32),
        changes: &[Vec<u8>],
        signed: &SignedHeader,
        role: Role,
    ) -> Result<Verdict, Problem> {
        let caseload = self.core_membership.records().caseload(id, came_to);
        let is_here = !self.new.contains(&id);
        let elsewhere = "SELECT 1 FROM change WHERE record = ?1 AND caseload != ?2 LIMIT 1";
        if is_here && transaction.prepare(elsewhere).exists(params![id.0, caseload.0])? {
            return Ok(Verdict::Quarantined(Reason::Moved));
        }
        let decided = self.core_membership.records().generation(id);
        let standing = if decided > 0 { standing_generation(transaction, id)? } else { 0 };
        if generation > decided || generation < standing {
            return Ok(Verdict::Waiting(Reason::Generation));
        }
        // The first of a generation meets none of the one before.
        let begins = generation > standing;
        let record = match self.records.take(&id).filter(|_| !begins) {
            Some(record) => record,
            None if begins || !is_here => Arc::new(Record::empty(id)),
            // Keys made in this very transaction are seen by the writer only.
            None => {
                let open = |generation, bytes: &[u8]| self.open(id, generation, bytes);
                Arc::new(Record::load(id, accepted(transaction, caseload, id, &open)?)?)
            }
        };
        let mut trial = (*record).clone();
        let by = provenance(signed, role);
        for bytes in changes {
            let carries = generation > 0 && karwan_record::generation::carried(bytes).is_some();
            if carries && !self.core_membership.is_server_device(signed.header().device) {
                self.records.put(id, record, 1);
                return Ok(Verdict::Quarantined(Reason::Author));
            }
            let by = if carries { karwan_record::generation::whose(bytes, by) } else { by };
            let change = SourcedChange { bytes: bytes.clone(), provenance: by };
            if let Err(failure) = gate::admit(&mut trial, change, signed.header().incarnation.0) {
                tracing::warn!(record = %id, reason = %failure.reason, detail = failure.detail, "not accepted");
                self.records.put(id, record, 1);
                return Ok(match failure.reason {
                    Reason::Dependency => Verdict::Waiting(Reason::Dependency),
                    reason => Verdict::Quarantined(reason),
                });
            }
        }
        self.records.put(id, Arc::new(trial), 1);
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
            let statement = transaction.prepare(&text);
            let rows = statement.query_map([hash.0], |row| row.get(0).map(RecordId))?;
            rows.collect::<Result<_, _>>()?
        };
        for record in aside {
            if testimony.refused.iter().any(|told| told.record == record) {
                continue;
            }
            let Some((generation, changes)) = self.payloads(transaction, hash, record)? else { continue };
            let verdict = self.judge(transaction, caseload, (record, generation), &changes, signed, testimony.role)?;
            let stands = self.core_membership.records().caseload(record, caseload);
            decide(transaction, stands, hash, record, verdict)?;
            self.retry_waiting(transaction, record)?;
        }
        Ok(())
    }

    /// What waited for changes of this record may count now.
    pub(super) fn retry_waiting(&mut self, transaction: &Transaction<'_>, record: RecordId) -> Result<(), Problem> {
        loop {
            let waiting: Vec<[u8; 32]> = {
                let statement = transaction.prepare("SELECT envelope FROM verdict WHERE record = ?1 AND verdict = 1");
                let rows = statement.query_map([record.0], |row| row.get(0))?;
                rows.collect::<Result<_, _>>()?
            };
            let mut changed = false;
            for envelope in waiting {
                changed |= self.judge_again(transaction, Hash(envelope), record)?;
            }
            if !changed {
                return Ok(());
            }
        }
    }

    /// Judges a record's changes in an envelope that did not count before; says whether the verdict is another now.
    pub(super) fn judge_again(&mut self, transaction: &Transaction<'_>, hash: Hash, record: RecordId) -> Result<bool, Problem> {
        let before = verdict_on(transaction, hash, record)?;
        let row: (Vec<u8>, [u8; 64], i64) = transaction
            .prepare("SELECT header, signature, role FROM envelope WHERE hash = ?1")
            .query_row([hash.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let signed = super::signed_header(row.0, row.1)?;
        let role = Role::of_number(row.2 as u64).unwrap_or(Role::Enumerator);
        let Some((generation, changes)) = self.payloads(transaction, hash, record)? else { return Ok(false) };
        let caseload = signed.header().caseload;
        let verdict = self.judge(transaction, caseload, (record, generation), &changes, &signed, role)?;
        if verdict == before {
            return Ok(false);
        }
        let stands = self.core_membership.records().caseload(record, caseload);
        decide(transaction, stands, hash, record, verdict)?;
        Ok(true)
    }

    fn payloads(&self, transaction: &Transaction<'_>, envelope: Hash, record: RecordId) -> Result<Option<Changes>, Problem> {
        let statement =
            transaction.prepare("SELECT generation, payload FROM change WHERE envelope = ?1 AND record = ?2 ORDER BY position");
        let rows = statement.query(params![envelope.0, record.0])?;
        let mut found: Option<Changes> = None;
        for row in rows {
            let (generation, payload): (u32, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let change = self.open(record, generation, &payload)?;
            found.get_or_insert_with(|| (generation, Vec::new())).1.push(change);
        }
        Ok(found)
    }

    /// Decrypts a change, with keys made in this very transaction too.
    pub(super) fn open(&self, record: RecordId, generation: u32, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        payload::open(&payload::key_for(self.keys, record, generation)?, record, bytes)
    }

    fn keep(&mut self, transaction: &Transaction<'_>, envelope: &Envelope, sequence: u64, role: Role) -> Result<(), Problem> {
        let header = envelope.header();
        let hash = envelope.hash();
        transaction
            .prepare(
                "INSERT INTO envelope(hash, caseload, sequence, device, incarnation, counter, header, signature, role) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )
            .put(params![
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
            self.keep_item(transaction, hash, header.caseload, position, item)?;
        }
        payload::keep_salts(self.keys, hash, envelope.salts())
    }

    /// Keeps one change of an envelope, in the caseload where its record stands, or its leaf.
    pub(super) fn keep_item(
        &self,
        transaction: &Transaction<'_>,
        envelope: Hash,
        came_to: CaseloadId,
        position: usize,
        item: &Item,
    ) -> Result<(), Problem> {
        let (record, generation, change) = match item {
            Item::Change { record, generation, change } => (*record, *generation, change),
            Item::Pruned { leaf } => {
                transaction.prepare("INSERT INTO pruned(envelope, position, leaf) VALUES(?1, ?2, ?3)").put(params![
                    envelope.0,
                    position as i64,
                    leaf.0
                ])?;
                return Ok(());
            }
        };
        let is_new = self.new.contains(&record);
        let key = if is_new { payload::new_key_for } else { payload::key_for }(self.keys, record, generation)?;
        let sealed = payload::close(&key, record, change)?;
        let stands = self.core_membership.records().caseload(record, came_to);
        transaction
            .prepare(
                "INSERT INTO change(envelope, position, caseload, record, generation, payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .put(params![envelope.0, position as i64, stands.0, record.0, generation, sealed])?;
        crate::attachments::note_references(transaction, envelope, position, change)
    }
}

/// Records of which no change is here: most that come are new, and one look says so of many.
fn without_changes(transaction: &Transaction<'_>, records: &[RecordId]) -> Result<BTreeSet<RecordId>, Problem> {
    const AT_ONCE: usize = 16;
    let places: Vec<String> = (1..=AT_ONCE).map(|place| format!("?{place}")).collect();
    let statement = transaction.prepare(format!("SELECT DISTINCT record FROM change WHERE record IN ({})", places.join(", ")));
    let mut new: BTreeSet<RecordId> = records.iter().copied().collect();
    for some in records.chunks(AT_ONCE) {
        // The last stands for those that lack.
        let asked = some.iter().chain(some.last().into_iter().cycle()).take(AT_ONCE);
        let parameters: Vec<Value> = asked.map(|record| Value::Blob(record.0.to_vec())).collect();
        for row in statement.query(parameters)? {
            new.remove(&RecordId(row.get(0)?));
        }
    }
    Ok(new)
}

/// Whether another copy of the device's database wrote under the same incarnation: its envelope of this number, or of the one before, is here.
fn is_of_a_clone(transaction: &Transaction<'_>, header: &EnvelopeHeader) -> Result<bool, Problem> {
    let text = "SELECT hash FROM envelope WHERE caseload = ?1 AND device = ?2 AND incarnation = ?3 AND counter = ?4";
    let statement = transaction.prepare(text);
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
    transaction.prepare("UPDATE envelope SET testified = 1 WHERE hash = ?1").put([envelope.0])?;
    Ok(())
}

/// The role in which somebody would write who may not.
fn nominal_role(membership: &Membership, header: &EnvelopeHeader) -> Role {
    let person = membership.person(header.person).map_or(Role::Enumerator, |person| person.role);
    let device = membership.device(header.device).map_or(Role::Enumerator, |device| device.role);
    person.min(device).max(Role::Enumerator)
}

/// Whether there is anything that does not count: where not, no record need be asked about one by one.
pub(super) fn any_verdict(db: &Connection) -> Result<bool, Problem> {
    Ok(db.prepare("SELECT 1 FROM verdict LIMIT 1").exists(())?)
}

/// The verdict that stands on a record's changes in an envelope.
pub(super) fn verdict_on(transaction: &Transaction<'_>, envelope: Hash, record: RecordId) -> Result<Verdict, Problem> {
    let statement = transaction.prepare("SELECT verdict, reason FROM verdict WHERE envelope = ?1 AND record = ?2");
    let row = statement.query_row(params![envelope.0, record.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(row.map_or(Verdict::Accepted, |(kind, reason)| verdict_of(kind, reason)))
}

/// Another verdict counts from here on.
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

pub(super) fn put_verdict(
    transaction: &Transaction<'_>,
    envelope: Hash,
    record: RecordId,
    verdict: Verdict,
) -> Result<(), Problem> {
    let (kind, reason) = match verdict {
        Verdict::Accepted => {
            let statement = transaction.prepare("DELETE FROM verdict WHERE envelope = ?1 AND record = ?2");
            statement.put(params![envelope.0, record.0])?;
            return Ok(());
        }
        Verdict::Waiting(reason) => (1, reason.number()),
        Verdict::Quarantined(reason) => (2, reason.number()),
        Verdict::Erased => (3, 0),
        Verdict::Other(kind, reason) => (kind, reason),
    };
    let statement = transaction.prepare(
        "INSERT INTO verdict(envelope, record, verdict, reason) VALUES(?1, ?2, ?3, ?4) \
                ON CONFLICT(envelope, record) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason",
    );
    statement.put(params![envelope.0, record.0, kind as i64, reason as i64])?;
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
