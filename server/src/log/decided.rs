//! What decisions about records do to the logs: an erased record's changes are pruned and its keys go, a part leaves with the generation that
//! held it, a moved record's changes open in another log, adopted ones count.
//!
//! All of it follows from the membership log alone and may be done again: a restored server that is brought a decision carries it out
//! then, and a record that comes later meets it at the door ([`Writer::envelope`]).

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::codec::Extra;
use karwan_proto::envelope::Salts;
use karwan_proto::log::RecordVerdict;
use karwan_proto::membership::{Act, Adopted, Membership};
use karwan_proto::{
    CaseloadId, DeviceId, Envelope, Hash, IncarnationId, Item, LogEntry, PersonId, Reason, RecordId, Role, Verdict,
};
use karwan_record::generation::{self, LeftOut, Standing};

use super::ingest::{Brought, Writer, decide, verdict_on};
use super::sealing::{Sealing, accepted_whole};
use super::{append, parts, payload, placed};
use crate::clock::now_ms;
use crate::database::{Connection, Transaction, params};
use crate::organisation::{Core, Organisation};
use crate::problem::Problem;

/// Changes in one envelope of a new generation at most; most records have a few.
const CHANGES_AT_ONCE: usize = karwan_proto::limits::MAX_CHANGES_PER_ENVELOPE;
/// Bytes of changes in one such envelope at most.
const BYTES_AT_ONCE: usize = karwan_proto::limits::MAX_CHANGE_BYTES;

/// What makes changes readable that a transaction took out; it goes once that is committed.
#[derive(Default)]
pub(super) struct Retired {
    /// Records with the first generation whose key stays.
    keys: Vec<(RecordId, u32)>,
    salts: BTreeMap<Hash, Salts>,
}

impl Retired {
    /// Forgets keys and salts, also in the files' write-ahead logs.
    pub(super) fn forget(&self, db: &Connection, keys: &mut Connection) -> Result<(), Problem> {
        if self.keys.is_empty() && self.salts.is_empty() {
            return Ok(());
        }
        let transaction = keys.transaction()?;
        for (record, below) in &self.keys {
            payload::forget_keys(&transaction, *record, *below)?;
        }
        for (envelope, salts) in &self.salts {
            payload::keep_salts(&transaction, *envelope, salts)?;
        }
        transaction.commit()?;
        for database in [db, &*keys] {
            // One that readers hold up is emptied by the next.
            database.scrub()?;
        }
        Ok(())
    }
}

/// What another record had been shown of an erased one.
pub struct Shown {
    /// The other record.
    pub record: RecordId,
    /// Where it stands.
    pub caseload: CaseloadId,
    /// What is left out of it.
    pub left_out: LeftOut,
}

/// Adds the acts by which other records forget what they had been shown; gives the generation that each comes to.
fn forgetting(membership: &Membership, shown: &[Shown], person: PersonId, acts: &mut Vec<Act>) -> Vec<u32> {
    let mut generations = Vec::new();
    for (at, Shown { record, left_out, .. }) in shown.iter().enumerate() {
        let before = shown.iter().take(at).filter(|earlier| earlier.record == *record).count();
        let generation = membership.records().generation(*record) + 1 + u32::try_from(before).unwrap_or(0);
        acts.push(Act::ErasePart { record: *record, generation, part: left_out.part.clone(), person });
        generations.push(generation);
    }
    generations
}

/// Why somebody decided, for the server's own audit.
pub struct Why<'a> {
    /// Who decided.
    pub person: PersonId,
    /// In their words; empty where nothing was said.
    pub note: &'a str,
}

fn audit(db: &Connection, why: &Why<'_>, act: &str, subject: &str) -> Result<(), Problem> {
    db.prepare("INSERT INTO audit(at_ms, person, act, subject, note) VALUES(?1, ?2, ?3, ?4, ?5)").execute(params![
        now_ms(),
        why.person.0,
        act,
        subject,
        why.note
    ])?;
    Ok(())
}

impl Organisation {
    /// Erases a record, for ever, and what other records had been shown of it.
    pub fn erase_record(&self, record: RecordId, shown: &[Shown], why: &Why<'_>) -> Result<(), Problem> {
        let mut core = self.writing()?;
        core.not_recovering()?;
        let mut acts = vec![Act::Erase { record, person: why.person }];
        let generations = forgetting(&core.membership, shown, why.person, &mut acts);
        self.writing_log(&mut core, &acts, false, |writer, transaction| {
            writer.obey_erasure(transaction, record)?;
            writer.forget_shown(transaction, shown, &generations, why.person)?;
            audit(transaction, why, "erase", &record.to_string())
        })
    }

    /// Erases a part of a record: a question or instance by its path.
    pub fn erase_part(
        &self,
        caseload: CaseloadId,
        record: RecordId,
        left_out: &LeftOut,
        shown: &[Shown],
        why: &Why<'_>,
    ) -> Result<u32, Problem> {
        let mut core = self.writing()?;
        core.not_recovering()?;
        let generation = core.membership.records().generation(record) + 1;
        let mut acts = vec![Act::ErasePart { record, generation, part: left_out.part.clone(), person: why.person }];
        let generations = forgetting(&core.membership, shown, why.person, &mut acts);
        self.writing_log(&mut core, &acts, false, |writer, transaction| {
            let standing = writer.standing(transaction, caseload, record)?;
            writer.regenerate(transaction, caseload, (record, generation), &standing, left_out, why.person)?;
            writer.forget_shown(transaction, shown, &generations, why.person)?;
            audit(transaction, why, "erase part", &format!("{record} {}", left_out.part))?;
            Ok(generation)
        })
    }

    /// The changes of a record that stand, each with where it is.
    pub fn standing(&self, caseload: CaseloadId, record: RecordId) -> Result<Vec<Standing>, Problem> {
        self.read(|db| {
            let open = |generation, bytes: &[u8]| self.open_payload(record, generation, bytes);
            Ok(placed(db, caseload, record, &open)?.into_iter().map(standing).collect())
        })
    }

    /// Moves a record to another caseload.
    pub fn move_record(&self, record: RecordId, from: CaseloadId, to: CaseloadId, why: &Why<'_>) -> Result<(), Problem> {
        let act = Act::Move { record, from, to, person: why.person };
        let mut core = self.writing()?;
        core.not_recovering()?;
        self.writing_log(&mut core, &[act], false, |writer, transaction| {
            writer.obey_move(transaction, record)?;
            audit(transaction, why, "move", &record.to_string())
        })
    }

    /// Lets everything count that a device sent without a right to; gives how many records' changes do now, and how many still do not.
    pub fn adopt(&self, device: DeviceId, why: &Why<'_>) -> Result<(u64, u64), Problem> {
        let waiting: Vec<Adopted> = self.read(|db| {
            let statement = db.prepare(
                "SELECT verdict.envelope, verdict.record FROM verdict JOIN envelope ON envelope.hash = verdict.envelope \
                 WHERE envelope.device = ?1 AND verdict.verdict = 2 AND verdict.reason IN (?2, ?3) ORDER BY envelope.caseload, \
                 envelope.sequence, verdict.record",
            );
            let reasons = [Reason::Revoked, Reason::NotGranted].map(|reason| reason.number() as i64);
            let rows = statement.query_map(params![device.0, reasons[0], reasons[1]], |row| {
                Ok(Adopted { envelope: Hash(row.get(0)?), record: Some(RecordId(row.get(1)?)) })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        self.adopt_these(device, &waiting, why)
    }

    /// Lets these changes count that a device sent without a right to.
    pub fn adopt_these(&self, device: DeviceId, waiting: &[Adopted], why: &Why<'_>) -> Result<(u64, u64), Problem> {
        let acts: Vec<Act> = waiting
            .chunks(karwan_proto::limits::MAX_ADOPTED_PER_ENTRY)
            .map(|adopted| Act::Adopt { device, adopted: adopted.to_vec(), person: why.person })
            .collect();
        let mut core = self.writing()?;
        core.not_recovering()?;
        self.writing_log(&mut core, &acts, false, |writer, transaction| {
            let mut counts = (0, 0);
            for adopted in waiting {
                let Some(record) = adopted.record else { continue };
                writer.judge_again(transaction, adopted.envelope, record)?;
                let counted = verdict_on(transaction, adopted.envelope, record)?.is_accepted();
                if counted {
                    counts.0 += 1;
                    // What others made on top of it waited with it.
                    writer.retry_waiting(transaction, record)?;
                } else {
                    counts.1 += 1;
                }
            }
            audit(transaction, why, "adopt", &device.to_string())?;
            Ok(counts)
        })
    }

    /// Somebody decided that a record's changes in these envelopes do not count.
    pub fn decline(&self, record: RecordId, envelopes: &[Hash], why: &Why<'_>) -> Result<(), Problem> {
        let mut core = self.writing()?;
        core.not_recovering()?;
        self.writing_log(&mut core, &[], false, |writer, transaction| {
            for envelope in envelopes {
                let caseload: [u8; 16] = transaction
                    .prepare("SELECT caseload FROM envelope WHERE hash = ?1")
                    .query_row([envelope.0], |row| row.get(0))?;
                let stands = writer.core_membership.records().caseload(record, CaseloadId(caseload));
                decide(transaction, stands, *envelope, record, Verdict::Quarantined(Reason::Declined))?;
            }
            audit(transaction, why, "decline", &record.to_string())
        })
    }

    /// Carries out every decision about records that is not carried out yet: after entries of the membership log were taken in, and when
    /// the folder is opened.
    pub(crate) fn obey_decisions(&self, core: &mut Core) -> Result<(), Problem> {
        if core.membership.records().is_empty() {
            return Ok(());
        }
        self.writing_log(core, &[], false, |writer, transaction| {
            let decided = writer.core_membership.records();
            for record in decided.erased() {
                writer.obey_erasure(transaction, *record)?;
            }
            for record in decided.moved() {
                writer.obey_move(transaction, record)?;
            }
            for record in decided.with_erased_parts() {
                writer.retired.keys.push((record, standing_generation(transaction, record)?));
            }
            Ok(())
        })
    }

    /// Erases parts again of records that came back without: after a restore, once everybody who may hold the later generation was here.
    pub(crate) fn obey_erased_parts(&self, core: &mut Core, person: PersonId) -> Result<(), Problem> {
        self.writing_log(core, &[], false, |writer, transaction| {
            let decided = writer.core_membership.records();
            for record in decided.with_erased_parts() {
                let caseload: Option<[u8; 16]> = crate::database::OptionalExtension::optional(
                    transaction
                        .prepare("SELECT caseload FROM change WHERE record = ?1 LIMIT 1")
                        .query_row([record.0], |row| row.get(0)),
                )?;
                let Some(caseload) = caseload.map(CaseloadId) else { continue };
                let from = standing_generation(transaction, record)?;
                let parts = decided.erased_parts(record).iter().skip(from as usize);
                let mut standing = writer.standing(transaction, caseload, record)?;
                if standing.is_empty() || from >= decided.generation(record) {
                    continue;
                }
                let last = decided.generation(record);
                // Several parts in one step: the generations between never stood here.
                let mut rest: Vec<&String> = parts.collect();
                let final_part = rest.pop();
                for part in rest {
                    let changes = generation::without(&standing, &LeftOut::part(part), [0; 16])?;
                    standing = changes.iter().zip(&standing).map(|(bytes, old)| carried_on(bytes, old)).collect();
                }
                if let Some(part) = final_part {
                    writer.regenerate(transaction, caseload, (record, last), &standing, &LeftOut::part(part), person)?;
                }
            }
            Ok(())
        })
    }
}

fn standing(placed: super::PlacedChange) -> Standing {
    let super::PlacedChange { change, envelope, position } = placed;
    Standing { bytes: change.bytes, provenance: change.provenance, envelope, position }
}

/// A change of a generation that never stood, with what it says of itself.
fn carried_on(bytes: &[u8], old: &Standing) -> Standing {
    let carried = generation::carried(bytes);
    let (envelope, position) = carried.map_or((old.envelope, old.position), |carried| (carried.envelope, carried.position));
    Standing { bytes: bytes.to_vec(), provenance: generation::whose(bytes, old.provenance), envelope, position }
}

/// Puts a record's changes of an envelope into the log of the caseload where it stands.
pub(super) fn open_in(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    envelope: Hash,
    record: RecordId,
) -> Result<(), Problem> {
    let verdict = verdict_on(transaction, envelope, record)?;
    let statement = transaction.prepare(
        "SELECT entry.bytes, envelope.role FROM envelope JOIN entry ON entry.caseload = envelope.caseload \
         AND entry.sequence = envelope.sequence WHERE envelope.hash = ?1",
    );
    let (bytes, role): (Vec<u8>, i64) = statement.query_row([envelope.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let received_at_ms = match LogEntry::decode(&bytes)? {
        LogEntry::Envelope { received_at_ms, .. } => received_at_ms,
        _ => now_ms(),
    };
    let role = Role::of_number(role as u64).unwrap_or(Role::Enumerator);
    let entry = LogEntry::Opened { envelope, record, received_at_ms, role, verdict, extra: Extra::default() };
    append(transaction, caseload, &entry, Some(envelope))?;
    Ok(())
}

/// The newest generation of a record that is here.
pub(super) fn standing_generation(transaction: &Transaction<'_>, record: RecordId) -> Result<u32, Problem> {
    let statement = transaction.prepare("SELECT coalesce(max(generation), 0) FROM change WHERE record = ?1");
    Ok(statement.query_row([record.0], |row| row.get(0))?)
}

impl Writer<'_> {
    /// Whether this device may bring this envelope: one of a caseload that it reads, its own of one that it had, or nothing but changes of
    /// records that moved to where it reads.
    pub(super) fn may_bear(&self, bearer: DeviceId, envelope: &Envelope) -> bool {
        let header = envelope.header();
        if bearer == self.organisation.server_key.public().device() {
            return true;
        }
        let readable = self.core_membership.readable(bearer).unwrap_or_default();
        if readable.contains(&header.caseload) {
            return true;
        }
        let had = |membership: &Membership| {
            let known = membership.device(bearer);
            known.is_some_and(|known| known.caseloads.contains(&header.caseload) || known.cuts.contains_key(&header.caseload))
        };
        if bearer == header.device && had(self.core_membership) {
            return true;
        }
        let decided = self.core_membership.records();
        let mut there = envelope.items().iter().filter_map(Item::record).peekable();
        there.peek().is_some() && there.all(|record| readable.contains(&decided.caseload(record, header.caseload)))
    }

    /// Takes out of an envelope what was erased before it came; gives the verdicts.
    pub(super) fn take_out(&self, transaction: &Transaction<'_>, envelope: &mut Envelope) -> Result<Vec<RecordVerdict>, Problem> {
        let mut gone = Vec::new();
        let mut verdicts: BTreeMap<RecordId, Verdict> = BTreeMap::new();
        for (position, item) in envelope.items().iter().enumerate() {
            let Item::Change { record, generation, .. } = item else { continue };
            if let Some(verdict) = self.gone(transaction, *record, *generation)? {
                gone.push(position);
                verdicts.insert(*record, verdict);
            }
        }
        if !gone.is_empty() {
            envelope.prune(&gone)?;
        }
        Ok(verdicts.into_iter().map(|(record, verdict)| RecordVerdict { record, verdict }).collect())
    }

    /// Why a change is not to be kept. One of an older generation is, as long as the later one has not come: it may be all that there is.
    fn gone(&self, transaction: &Transaction<'_>, record: RecordId, generation: u32) -> Result<Option<Verdict>, Problem> {
        let decided = self.core_membership.records();
        if decided.is_erased(record) {
            return Ok(Some(Verdict::Erased));
        }
        let is_old = generation < decided.generation(record) && generation < standing_generation(transaction, record)?;
        Ok(is_old.then_some(Verdict::Quarantined(Reason::Generation)))
    }

    /// Takes in what another copy of an envelope brings that is here already, and has pruned here.
    pub(super) fn fill_in(&mut self, transaction: &Transaction<'_>, hash: Hash, bytes: &[u8]) -> Result<(), Problem> {
        let statement = transaction.prepare("SELECT 1 FROM pruned WHERE envelope = ?1");
        if !statement.exists([hash.0])? {
            return Ok(());
        }
        let Ok(mut came) = Envelope::decode(bytes) else { return Ok(()) };
        self.take_out(transaction, &mut came)?;
        let Some(mut known) = self.parts(transaction, hash)? else { return Ok(()) };
        let filled = known.merge(&came)?;
        let caseload = known.header().caseload;
        let mut records = BTreeSet::new();
        for position in filled {
            let Some(item) = known.items().get(position) else { continue };
            transaction
                .prepare("DELETE FROM pruned WHERE envelope = ?1 AND position = ?2")
                .execute(params![hash.0, position as i64])?;
            self.keep_item(transaction, hash, caseload, position, item)?;
            records.extend(item.record());
        }
        payload::keep_salts(self.keys, hash, known.salts())?;
        for record in records {
            // Nothing of it counts until it is judged.
            super::ingest::put_verdict(transaction, hash, record, Verdict::Waiting(Reason::Dependency))?;
            let stands = self.core_membership.records().caseload(record, caseload);
            open_in(transaction, stands, hash, record)?;
            self.judge_again(transaction, hash, record)?;
            let generation = self.core_membership.records().generation(record);
            if verdict_on(transaction, hash, record)?.is_accepted() {
                self.stand(transaction, record, generation)?;
            }
        }
        Ok(())
    }

    /// An envelope with all that is kept of it.
    fn parts(&self, transaction: &Transaction<'_>, hash: Hash) -> Result<Option<Envelope>, Problem> {
        let salts = match self.retired.salts.get(&hash) {
            Some(salts) => salts.clone(),
            None => payload::salts_of(self.keys, hash)?,
        };
        let open = |record, generation, bytes: &[u8]| self.open(record, generation, bytes);
        Ok(parts(transaction, hash, salts, &open)?.map(|parts| parts.envelope))
    }

    /// After something of a generation was accepted: the first time, that generation stands, and what is left of older ones goes.
    pub(super) fn stand(&mut self, transaction: &Transaction<'_>, record: RecordId, generation: u32) -> Result<(), Problem> {
        if generation == 0 {
            return Ok(());
        }
        let statement =
            transaction.prepare("SELECT envelope, caseload FROM change WHERE record = ?1 AND generation = ?2 ORDER BY caseload");
        let rows = statement.query_map(params![record.0, generation], |row| Ok((Hash(row.get(0)?), CaseloadId(row.get(1)?))))?;
        let placed: Vec<(Hash, CaseloadId)> = rows.collect::<Result<_, _>>()?;
        let Some((first, caseload)) = placed.first() else { return Ok(()) };
        if placed.iter().all(|(envelope, _)| envelope == first) {
            self.retire(transaction, record, generation)?;
            let entry = LogEntry::Generation { record, generation, extra: Extra::default() };
            append(transaction, *caseload, &entry, None)?;
        }
        Ok(())
    }

    /// Prunes the changes of a record's generations below this one.
    fn retire(&mut self, transaction: &Transaction<'_>, record: RecordId, below: u32) -> Result<(), Problem> {
        let envelopes: Vec<[u8; 32]> = transaction
            .prepare("SELECT DISTINCT envelope FROM change WHERE record = ?1 AND generation < ?2")
            .query_map(params![record.0, below], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for hash in envelopes.into_iter().map(Hash) {
            let Some(mut envelope) = self.parts(transaction, hash)? else { continue };
            let gone = envelope.positions_below(record, below);
            envelope.prune(&gone)?;
            for position in gone {
                transaction
                    .prepare("DELETE FROM change WHERE envelope = ?1 AND position = ?2")
                    .execute(params![hash.0, position as i64])?;
                if let Some(item) = envelope.items().get(position) {
                    self.keep_item(transaction, hash, envelope.header().caseload, position, item)?;
                }
            }
            transaction.prepare("DELETE FROM verdict WHERE envelope = ?1 AND record = ?2").execute(params![hash.0, record.0])?;
            self.retired.salts.insert(hash, envelope.salts().clone());
        }
        self.retired.keys.push((record, below));
        Ok(())
    }

    /// Nothing of an erased record stays.
    fn obey_erasure(&mut self, transaction: &Transaction<'_>, record: RecordId) -> Result<(), Problem> {
        let caseloads: Vec<[u8; 16]> = transaction
            .prepare("SELECT DISTINCT caseload FROM change WHERE record = ?1")
            .query_map([record.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        self.retire(transaction, record, u32::MAX)?;
        self.records.take(&record);
        for caseload in caseloads {
            let entry = LogEntry::Closed { record, extra: Extra::default() };
            append(transaction, CaseloadId(caseload), &entry, None)?;
        }
        Ok(())
    }

    /// A record's changes stand where it moved.
    fn obey_move(&mut self, transaction: &Transaction<'_>, record: RecordId) -> Result<(), Problem> {
        let Some(to) = self.core_membership.records().moved_to(record) else { return Ok(()) };
        let elsewhere: Vec<([u8; 32], [u8; 16])> = transaction
            .prepare(
                "SELECT change.envelope, change.caseload FROM change JOIN envelope ON envelope.hash = change.envelope \
                 WHERE change.record = ?1 AND change.caseload != ?2 \
                 GROUP BY change.envelope, change.caseload, envelope.rowid ORDER BY envelope.rowid",
            )
            .query_map(params![record.0, to.0], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut left = BTreeSet::new();
        for (envelope, from) in elsewhere {
            transaction
                .prepare("UPDATE change SET caseload = ?3 WHERE envelope = ?1 AND record = ?2")
                .execute(params![envelope, record.0, to.0])?;
            open_in(transaction, to, Hash(envelope), record)?;
            left.insert(CaseloadId(from));
        }
        for caseload in left {
            append(transaction, caseload, &LogEntry::Closed { record, extra: Extra::default() }, None)?;
        }
        Ok(())
    }

    fn standing(&self, transaction: &Transaction<'_>, caseload: CaseloadId, record: RecordId) -> Result<Vec<Standing>, Problem> {
        let open = |generation, bytes: &[u8]| self.open(record, generation, bytes);
        Ok(placed(transaction, caseload, record, &open)?.into_iter().map(standing).collect())
    }

    /// Writes other records again without what they had been shown.
    fn forget_shown(
        &mut self,
        transaction: &Transaction<'_>,
        shown: &[Shown],
        generations: &[u32],
        person: PersonId,
    ) -> Result<(), Problem> {
        for (Shown { record, caseload, left_out }, generation) in shown.iter().zip(generations) {
            let standing = self.standing(transaction, *caseload, *record)?;
            self.regenerate(transaction, *caseload, (*record, *generation), &standing, left_out, person)?;
        }
        Ok(())
    }

    /// Writes a record's changes again without a part, as the generation that stands from here on.
    fn regenerate(
        &mut self,
        transaction: &Transaction<'_>,
        caseload: CaseloadId,
        (record, generation): (RecordId, u32),
        standing: &[Standing],
        left_out: &LeftOut,
        person: PersonId,
    ) -> Result<(), Problem> {
        // Named by what it is made of: a server that has to do it again from the same changes makes the same ones.
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 generation");
        hasher.update(&record.0).update(&generation.to_le_bytes()).update(left_out.part.as_bytes());
        for one in standing {
            hasher.update(blake3::hash(&one.bytes).as_bytes());
        }
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        let incarnation = IncarnationId::from_random(name);
        let changes = generation::without(standing, left_out, incarnation.0)?;
        let mut sealed = BTreeMap::new();
        let device = self.organisation.server_key.public().device();
        let mut items = Vec::new();
        let mut bytes = 0;
        let mut batches = Vec::new();
        for change in changes {
            if !items.is_empty() && (items.len() == CHANGES_AT_ONCE || bytes + change.len() > BYTES_AT_ONCE) {
                batches.push(std::mem::take(&mut items));
                bytes = 0;
            }
            bytes += change.len();
            items.push(Item::Change { record, generation, change });
        }
        batches.push(items);
        for items in batches.into_iter().filter(|items| !items.is_empty()) {
            let sealing = Sealing { incarnation, sealed: &mut sealed };
            let (hash, envelope) = self.organisation.seal(self.core_membership, sealing, caseload, person, items)?;
            self.envelope(transaction, Brought { bearer: device, envelope: &envelope, testimony: None })?;
            accepted_whole(transaction, hash)?;
        }
        Ok(())
    }
}
