//! After a restore: the server takes in what devices bring back and gives out nothing, until an administrator closes recovery.
//!
//! What comes is held apart, encrypted and not judged, because the entry that revokes its author may still be on its way. Closing judges it in the
//! order in which the log that is no more had it, and then the logs grow as ever.

use std::collections::BTreeSet;

use karwan_proto::membership::{Act, SignedEntry};
use karwan_proto::session::{Ingested, Prefix, Testimony};
use karwan_proto::{
    CaseloadId, DeviceId, Envelope, EnvelopeHeader, Hash, LogEntry, Membership, Reason, RecordId, Role, Verdict, codec,
};
use karwan_record::Record;
use serde_json::{Value, json};

use super::ingest::{Brought, Writer, decide};
use super::payload;
use crate::clock::{now_ms, random, rfc3339};
use crate::database::{Connection, OptionalExtension, Transaction, params};
use crate::organisation::{Core, Organisation};
use crate::problem::Problem;

/// Envelopes judged in one transaction.
const BATCH_MAX: usize = 256;

/// An epoch has this bit, which that of an organisation just made has not, and none above: it is exact in JSON.
const EPOCH_BIT: u64 = 1 << 52;

/// Begins recovery in a database just restored; gives the new epoch, which no other restore has. It is drawn: two restores of one backup count on
/// from the same epoch, and a clock may show both the same second, or be set back in between.
pub(crate) fn begin(transaction: &Transaction<'_>, at_ms: i64) -> Result<u64, Problem> {
    let epoch = EPOCH_BIT | (u64::from_le_bytes(random()) & (EPOCH_BIT - 1));
    let put = "INSERT INTO setting(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value";
    transaction.execute(put, params!["epoch", epoch.to_le_bytes()])?;
    transaction.execute(put, params!["recovering", at_ms.to_le_bytes()])?;
    transaction.execute(put, params!["restored", at_ms.to_le_bytes()])?;
    transaction.execute("UPDATE caseload SET backed_up = head, restored_head = head", ())?;
    // Who came home before the backup has not come home since.
    transaction.execute("DELETE FROM device_state", ())?;
    Ok(epoch)
}

/// When the server was restored, if its recovery is not closed.
pub(crate) fn since(db: &Connection) -> Result<Option<i64>, Problem> {
    let bytes: Option<Vec<u8>> =
        db.query_row("SELECT value FROM setting WHERE name = 'recovering'", (), |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes))
}

/// The record under whose key an envelope is held: its key goes when the envelope is judged.
fn held_under(envelope: Hash) -> RecordId {
    let mut half = [0u8; 16];
    half.copy_from_slice(envelope.0.get(..16).unwrap_or(&[0; 16]));
    RecordId(half)
}

/// Holds an envelope until recovery is closed; of several testimonies the first that is believed stays.
pub(super) fn hold(
    transaction: &Transaction<'_>,
    keys: &Connection,
    bearer: DeviceId,
    envelope: &Envelope,
    testimony: Option<&Testimony>,
) -> Result<Ingested, Problem> {
    let (hash, header) = (envelope.hash(), envelope.header());
    let under = held_under(hash);
    let key = payload::key_for(keys, under, 0)?;
    let known: Option<Vec<u8>> =
        transaction.prepare("SELECT sealed FROM recovered WHERE hash = ?1").query_row([hash.0], |row| row.get(0)).optional()?;
    // Devices of different caseloads hold different parts of an envelope of which a record moved.
    let mut whole = envelope.clone();
    if let Some(sealed) = known
        && let Ok(known) = Envelope::decode(&payload::open(&key, under, &sealed)?)
    {
        whole.merge(&known)?;
    }
    let partial = whole.items().iter().any(|item| item.record().is_none());
    let sealed = payload::close(&key, under, &whole.encode_with(karwan_proto::dictionary::Effort::Quick))?;
    let text = "INSERT INTO recovered(hash, caseload, bearer, sealed, partial) VALUES(?1, ?2, ?3, ?4, ?5) \
                ON CONFLICT(hash) DO UPDATE SET sealed = excluded.sealed, partial = excluded.partial";
    transaction.prepare(text).execute(params![hash.0, header.caseload.0, bearer.0, sealed, partial])?;
    if let Some(testimony) = testimony {
        let text = "UPDATE recovered SET bearer = ?2, earlier = ?3, testimony = ?4 WHERE hash = ?1 AND earlier IS NULL";
        let parameters = params![hash.0, bearer.0, testimony.sequence as i64, codec::encode(testimony)];
        transaction.prepare(text).execute(parameters)?;
    }
    // It has no place in a log yet: that is told when it is judged.
    Ok(Ingested::Durable { sequence: 0 })
}

/// What a device tells of another's envelope, as far as it is believed: where this server has forgotten something, of a device that is no party and
/// stands, and of no higher role than the author ever had. While the envelope is only held, the role that it had may still be on its way.
pub(super) fn believed(
    transaction: &Transaction<'_>,
    membership: &Membership,
    bearer: DeviceId,
    header: &EnvelopeHeader,
    testimony: Option<&Testimony>,
    holds: bool,
) -> Result<Option<Testimony>, Problem> {
    let Some(testimony) = testimony else { return Ok(None) };
    let known = membership.device(bearer).filter(|known| !known.revoked);
    let is_witness = bearer != header.device && known.is_some_and(|known| known.person != header.person);
    if !is_witness || !has_forgotten(transaction)? {
        return Ok(None);
    }
    let role = match testimony.role {
        role if holds || role == Role::Enumerator => role,
        role => role.min(highest_role(transaction, membership, header)?),
    };
    Ok(Some(Testimony { role, ..testimony.clone() }))
}

/// Whether this server was restored, or got back membership entries that it had not.
fn has_forgotten(db: &Connection) -> Result<bool, Problem> {
    let statement = db.prepare("SELECT 1 FROM setting WHERE name IN ('restored', 'forgot')");
    Ok(statement.exists(())?)
}

/// The highest role in which somebody may ever have written on a device.
fn highest_role(db: &Connection, membership: &Membership, header: &EnvelopeHeader) -> Result<Role, Problem> {
    let device = membership.device(header.device).map_or(Role::Administrator, |known| known.role);
    let mut person = membership.person(header.person).map_or(Role::Enumerator, |known| known.role);
    let statement = db.prepare("SELECT bytes FROM membership ORDER BY position");
    let rows = statement.query(())?;
    for row in rows {
        let bytes: Vec<u8> = row.get(0)?;
        // Checked when it was taken in.
        match SignedEntry::decode(&bytes)?.open_unchecked()?.act {
            Act::Person { person: named, role, .. } if named == header.person => person = person.max(role),
            Act::Administrator { person: named, .. } if named == header.person => person = Role::Administrator,
            _ => {}
        }
    }
    Ok(person.min(device))
}

struct Held {
    hash: Hash,
    bearer: DeviceId,
    bytes: Vec<u8>,
    testimony: Option<Testimony>,
}

fn held(core: &Core, limit: usize) -> Result<Vec<Held>, Problem> {
    let text = "SELECT hash, bearer, sealed, testimony FROM recovered ORDER BY earlier IS NULL, earlier, rowid LIMIT ?1";
    let statement = core.db.prepare(text);
    let rows = statement.query([limit as i64])?;
    let mut found = Vec::new();
    for row in rows {
        let hash = Hash(row.get(0)?);
        let under = held_under(hash);
        let sealed: Vec<u8> = row.get(2)?;
        let bytes = payload::open(&payload::key_for(&core.keys, under, 0)?, under, &sealed)?;
        let testimony: Option<Vec<u8>> = row.get(3)?;
        let testimony = testimony.and_then(|bytes| codec::decode(&bytes, "testimony").ok());
        found.push(Held { hash, bearer: DeviceId(row.get(1)?), bytes, testimony });
    }
    Ok(found)
}

impl Writer<'_> {
    /// What stands on changes that count no more waits with them.
    fn hold_dependents(&mut self, transaction: &Transaction<'_>, record: RecordId) -> Result<(), Problem> {
        let text = "SELECT caseload FROM change WHERE record = ?1 LIMIT 1";
        let caseload: Option<[u8; 16]> = transaction.prepare(text).query_row([record.0], |row| row.get(0)).optional()?;
        let Some(caseload) = caseload.map(CaseloadId) else { return Ok(()) };
        self.records.take(&record);
        loop {
            let open = |generation: u32, bytes: &[u8]| self.open(record, generation, bytes);
            let placed = super::placed(transaction, caseload, record, &open)?;
            let standing = Record::load(record, placed.iter().map(|placed| placed.change.clone()).collect())?;
            let mut held = BTreeSet::new();
            for placed in placed {
                if !standing.has(karwan_record::document::name(&placed.change.bytes)?) {
                    held.insert(placed.envelope);
                }
            }
            if held.is_empty() {
                return Ok(());
            }
            for envelope in held {
                decide(transaction, caseload, envelope, record, Verdict::Waiting(Reason::Dependency))?;
            }
        }
    }
}

impl Organisation {
    /// Something of these records counts no more: what stands on it waits.
    pub(crate) fn hold_dependents(&self, core: &mut Core, records: &BTreeSet<RecordId>) -> Result<(), Problem> {
        if records.is_empty() {
            return Ok(());
        }
        self.writing_log(core, &[], false, |writer, transaction| {
            records.iter().try_for_each(|record| writer.hold_dependents(transaction, *record))
        })
    }

    /// When the server was restored, if its recovery is not closed.
    pub fn recovering_since(&self) -> Result<Option<i64>, Problem> {
        self.read(since)
    }

    /// The server's epoch.
    pub fn epoch(&self) -> Result<u64, Problem> {
        Ok(self.setting("epoch")?.and_then(|bytes| bytes.try_into().ok()).map_or(1, u64::from_le_bytes))
    }

    /// Of envelopes of a caseload, by the beginnings of their names, those that are to be offered: those that are not here, and those whose
    /// author may no longer write, of which only another device can tell what had been accepted.
    pub(crate) fn lacking(&self, bearer: DeviceId, caseload: CaseloadId, asked: &[Prefix]) -> Result<Vec<Prefix>, Problem> {
        let core = self.current()?;
        if !core.membership.readable(bearer).is_ok_and(|caseloads| caseloads.contains(&caseload)) {
            return Ok(asked.to_vec());
        }
        let mut lacking = Vec::new();
        for prefix in asked {
            let mut low = [0u8; 32];
            let mut high = [0xffu8; 32];
            for (place, byte) in prefix.0.iter().enumerate() {
                if let (Some(low), Some(high)) = (low.get_mut(place), high.get_mut(place)) {
                    (*low, *high) = (*byte, *byte);
                }
            }
            let text = "SELECT testified = 1 AND NOT EXISTS(SELECT 1 FROM pruned WHERE pruned.envelope = envelope.hash), header, \
                        EXISTS(SELECT 1 FROM pruned WHERE pruned.envelope = envelope.hash) FROM envelope WHERE hash BETWEEN ?1 AND ?2 AND caseload = ?3 LIMIT 1";
            let kept: Option<(bool, Vec<u8>, bool)> = core
                .db
                .prepare(text)
                .query_row(params![low, high, caseload.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let text = "SELECT earlier IS NOT NULL AND partial = 0 FROM recovered WHERE hash BETWEEN ?1 AND ?2 AND caseload = ?3 LIMIT 1";
            let held: Option<bool> =
                core.db.prepare(text).query_row(params![low, high, caseload.0], |row| row.get(0)).optional()?;
            let enough = match (kept, held) {
                (Some((testified, header, partial)), _) => testified || (!partial && may_still_write(&core, &header)),
                // Its author brought it: whether it counted in the log that is no more, another tells.
                (None, Some(testified)) => testified,
                (None, None) => false,
            };
            if !enough {
                lacking.push(*prefix);
            }
        }
        Ok(lacking)
    }

    /// How recovery stands.
    pub fn recovery_status(&self) -> Result<Value, Problem> {
        let since = self.recovering_since()?;
        let count = |text: &str| -> Result<i64, Problem> { self.read(|db| Ok(db.query_row(text, (), |row| row.get(0))?)) };
        let devices = self.devices()?;
        let active = devices.iter().filter(|device| !device.revoked);
        let (home, away): (Vec<_>, Vec<_>) = active.partition(|device| device.last_sync_ms.is_some());
        let names = |rows: Vec<&crate::organisation::devices::DeviceRow>| {
            rows.into_iter().map(|row| row.name.clone()).collect::<Vec<_>>()
        };
        Ok(json!({
            "recovering": since.is_some(),
            "since": since.map(rfc3339),
            "epoch": self.epoch()?,
            "envelopes_held": count("SELECT count(*) FROM recovered")?,
            "forms_held": count("SELECT count(*) FROM recovered_form")?,
            "devices_home": names(home),
            "devices_away": names(away),
        }))
    }

    /// Ends recovery: publishes the forms and judges the envelopes that came back, and gives out again.
    pub fn close_recovery(&self) -> Result<Value, Problem> {
        if self.recovering_since()?.is_none() {
            let error = "the server is not in recovery";
            return Err(Problem::input("not-recovering", error, "Nothing is to be closed: karwan recovery status ORG."));
        }
        let (forms, lacking_forms) = self.publish_recovered_forms()?;
        let mut judged = 0u64;
        let mut rejected = 0u64;
        loop {
            let mut core = self.writing()?;
            let batch = held(&core, BATCH_MAX)?;
            if batch.is_empty() {
                core.db.execute("DELETE FROM setting WHERE name = 'recovering'", ())?;
                core.recovering = false;
                break;
            }
            let brought: Vec<Brought<'_>> = batch
                .iter()
                .map(|held| Brought { bearer: held.bearer, envelope: &held.bytes, testimony: held.testimony.as_ref() })
                .collect();
            let release = |transaction: &Transaction<'_>| {
                let statement = transaction.prepare("DELETE FROM recovered WHERE hash = ?1");
                for held in &batch {
                    statement.execute([held.hash.0])?;
                }
                Ok(())
            };
            let outcomes = self.judge_held(&mut core, &brought, &release)?;
            judged += outcomes.len() as u64;
            rejected += outcomes.iter().filter(|outcome| matches!(outcome, Ingested::Rejected(_))).count() as u64;
            for held in &batch {
                core.keys.execute("DELETE FROM record_key WHERE record = ?1", [held_under(held.hash).0])?;
            }
        }
        let administrator = self.administrator()?;
        self.obey_erased_parts(&mut *self.writing()?, administrator)?;
        self.grown.notify_waiters();
        Ok(json!({
            "envelopes": judged, "rejected": rejected, "forms": forms, "forms_lacking": lacking_forms,
            "closed": rfc3339(now_ms()), "epoch": self.epoch()?,
        }))
    }

    /// Keeps form entries that a device brings back, until recovery is closed.
    pub(crate) fn hold_forms(&self, bearer: DeviceId, caseload: CaseloadId, entries: &[Vec<u8>]) -> Result<(), Problem> {
        let core = self.writing()?;
        if !core.recovering || !core.membership.readable(bearer).is_ok_and(|caseloads| caseloads.contains(&caseload)) {
            return Ok(());
        }
        for bytes in entries {
            let Ok(LogEntry::Form { definition, retired, .. }) = LogEntry::decode(bytes) else { continue };
            // A device that was away does not know yet that a form was retired.
            let or = if retired { "UPDATE SET entry = excluded.entry, bearer = excluded.bearer" } else { "NOTHING" };
            let text = format!(
                "INSERT INTO recovered_form(caseload, hash, entry, bearer) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(caseload, hash) DO {or}"
            );
            core.db.prepare(&text).execute(params![caseload.0, definition.0, bytes, bearer.0])?;
        }
        Ok(())
    }
}

/// Whether the author of an envelope may write where it stands, now.
fn may_still_write(core: &Core, header: &[u8]) -> bool {
    let signed = super::signed_header(header.to_vec(), [0; 64]);
    signed.is_ok_and(|signed| {
        let header = signed.header();
        core.membership.may_write(header.person, header.device, header.caseload).is_ok()
    })
}
