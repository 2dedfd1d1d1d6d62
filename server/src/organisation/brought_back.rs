//! What devices bring back to a server that has forgotten it, the logs' envelopes apart: membership entries, names, forms and their files.

use std::collections::BTreeSet;
use std::sync::Arc;

use karwan_proto::directory::{DirectoryRow, Named};
use karwan_proto::limits::MAX_NAME_BYTES;
use karwan_proto::membership::{Act, SignedEntry, Subject};
use karwan_proto::{CaseloadId, Cursor, DeviceId, Hash, LogEntry, Membership, PersonId, Reason, RecordId, Verdict};

use super::Organisation;
use super::directory;
use super::forms::{MEDIA_BYTES_MAX, read_form};
use crate::database::{OptionalExtension, params};
use crate::problem::Problem;

impl Organisation {
    /// Whether the membership log has this point.
    pub(crate) fn knows_membership(&self, cursor: Cursor) -> Result<bool, Problem> {
        Ok(cursor.sequence == 0 || self.membership_common(&[cursor])? == cursor)
    }

    /// The newest of a device's points that the membership log has.
    pub(crate) fn membership_common(&self, points: &[Cursor]) -> Result<Cursor, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT chain FROM membership WHERE position = ?1");
            for point in points {
                let chain: Option<[u8; 32]> = statement.query_row([point.sequence as i64], |row| row.get(0)).optional()?;
                if chain.map(Hash) == Some(point.chain) {
                    return Ok(*point);
                }
            }
            Ok(Membership::start(self.id()))
        })
    }

    /// Appends those entries that the log lacks and that hold, in their order, with what follows from them. One that does not hold, because another
    /// decision stands in its place meanwhile, is passed over.
    pub(crate) fn take_back_membership(&self, entries: &[SignedEntry]) -> Result<u64, Problem> {
        let mut core = self.writing()?;
        let mut known: BTreeSet<Hash> = {
            let statement = core.db.prepare("SELECT bytes FROM membership");
            let rows = statement.query_map((), |row| row.get::<Vec<u8>>(0))?;
            rows.map(|bytes| Ok(SignedEntry::decode(&bytes?)?.hash())).collect::<Result<_, Problem>>()?
        };
        let mut taken = 0;
        let mut taken_out = BTreeSet::new();
        for signed in entries {
            if !known.insert(signed.hash()) {
                continue;
            }
            let mut next = Membership::clone(&core.membership);
            let entry = match next.apply(signed) {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::warn!(%error, "a membership entry that a device brought back does not hold");
                    continue;
                }
            };
            let cursor = next.cursor();
            let core = &mut *core;
            let transaction = core.db.transaction()?;
            transaction.execute(
                "INSERT INTO membership(position, bytes, chain) VALUES(?1, ?2, ?3)",
                params![cursor.sequence as i64, signed.encode(), cursor.chain.0],
            )?;
            transaction.execute("INSERT INTO setting(name, value) VALUES('forgot', ?1) ON CONFLICT DO NOTHING", [[1u8]])?;
            taken_out.extend(follow(&transaction, &entry.act)?);
            transaction.commit()?;
            core.membership = Arc::new(next);
            core.records.clear();
            taken += 1;
        }
        if taken > 0 {
            self.obey_decisions(&mut core)?;
            self.hold_dependents(&mut core, &taken_out)?;
        }
        drop(core);
        if taken > 0 {
            tracing::info!(entries = taken, "membership entries came back");
            self.grown.notify_waiters();
        }
        Ok(taken)
    }

    /// Fills in names that this server lacks; none is written over.
    pub(crate) fn take_back_names(&self, rows: &[DirectoryRow]) -> Result<(), Problem> {
        let core = self.writing()?;
        if !core.recovering {
            return Ok(());
        }
        for row in rows {
            let belongs = match row.named {
                Named::Person => core.membership.person(PersonId(row.id)).is_some(),
                Named::Device => core.membership.device(DeviceId(row.id)).is_some(),
                Named::Caseload => core.membership.caseloads().contains(&CaseloadId(row.id)),
                Named::Organisation | Named::Other(_) => false,
            };
            if belongs && !row.name.is_empty() && row.name.len() <= MAX_NAME_BYTES {
                directory::fill(&core.db, row.named, row.id, &row.name)?;
            }
        }
        Ok(())
    }

    /// Whether a file that a device offers is lacking for a form that came back, and small enough.
    pub(crate) fn wants_file(&self, hash: Hash, length: u64) -> Result<bool, Problem> {
        if length > MEDIA_BYTES_MAX || !self.current()?.recovering || self.blob_exists(hash)? {
            return Ok(false);
        }
        Ok(self.recovered_forms()?.iter().any(|(_, entry)| match entry {
            LogEntry::Form { definition, media, .. } => *definition == hash || media.iter().any(|file| file.hash == hash),
            _ => false,
        }))
    }

    fn recovered_forms(&self) -> Result<Vec<(CaseloadId, LogEntry)>, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT caseload, entry FROM recovered_form ORDER BY rowid");
            let rows = statement.query_map((), |row| Ok((CaseloadId(row.get(0)?), row.get::<Vec<u8>>(1)?)))?;
            rows.map(|row| {
                let (caseload, bytes) = row?;
                Ok((caseload, LogEntry::decode(&bytes)?))
            })
            .collect()
        })
    }

    /// Publishes the forms that came back and are not published; gives the names of these, and of those whose definition did not come or cannot
    /// be read.
    pub(crate) fn publish_recovered_forms(&self) -> Result<(Vec<String>, Vec<String>), Problem> {
        let (mut published, mut lacking) = (Vec::new(), Vec::new());
        for (caseload, entry) in self.recovered_forms()? {
            let LogEntry::Form { form_id, version, definition, media, retired, .. } = &entry else { continue };
            let name = format!("{form_id} {version}");
            let known = self.forms()?.into_iter().find(|form| form.caseload_id == caseload && form.hash == *definition);
            if known.as_ref().is_some_and(|known| known.retired == *retired || !retired) {
                continue;
            }
            let Some(bytes) = self.blob(*definition)? else {
                lacking.push(name);
                continue;
            };
            // A workbook is a zip archive; anything else is an XForm.
            let file_name = if bytes.starts_with(b"PK") { format!("{form_id}.xlsx") } else { format!("{form_id}.xml") };
            let Ok(form) = read_form(&bytes, &file_name) else {
                lacking.push(name);
                continue;
            };
            let files: Vec<(String, Hash)> = media.iter().map(|file| (file.name.clone(), file.hash)).collect();
            let core = self.writing()?;
            let transaction = core.db.transaction()?;
            transaction.execute(
                "INSERT INTO form(hash, caseload, form_id, version, title, file_name, media, retired) VALUES(?1,?2,?3,?4,?5,?6,?7,?8) \
                 ON CONFLICT(hash, caseload) DO UPDATE SET retired = excluded.retired",
                params![
                    definition.0,
                    caseload.0,
                    form_id,
                    version,
                    form.title,
                    file_name,
                    serde_json::to_string(&files)?,
                    retired
                ],
            )?;
            crate::log::append(&transaction, caseload, &entry, None)?;
            transaction.commit()?;
            published.push(name);
        }
        self.writing()?.db.execute("DELETE FROM recovered_form", ())?;
        Ok((published, lacking))
    }
}

/// What follows from a decision besides who may do what; gives the records of which something counts no more.
fn follow(transaction: &crate::database::Transaction<'_>, act: &Act) -> Result<Vec<RecordId>, Problem> {
    match act {
        Act::Caseload { caseload } if crate::log::head(transaction, *caseload)?.is_none() => {
            crate::log::begin(transaction, *caseload)?;
            Ok(Vec::new())
        }
        Act::Revoke { subject, .. } => {
            if let Subject::Person(person) = subject {
                transaction.execute("UPDATE account SET disabled = 1 WHERE person = ?1", [person.0])?;
            }
            take_out(transaction, subject, None)
        }
        Act::Withdraw { subject, cut } => take_out(transaction, subject, Some(cut.caseload)),
        _ => Ok(Vec::new()),
    }
}

/// What came from somebody since the server was restored was judged without this decision: it waits for a supervisor, unless another device
/// told that it had been accepted before.
fn take_out(
    transaction: &crate::database::Transaction<'_>,
    subject: &Subject,
    only: Option<CaseloadId>,
) -> Result<Vec<RecordId>, Problem> {
    let mut concerned: Vec<(Hash, CaseloadId)> = Vec::new();
    {
        let statement = transaction.prepare(
            "SELECT envelope.hash, envelope.caseload, envelope.header, envelope.signature FROM caseload \
             JOIN envelope ON envelope.caseload = caseload.id AND envelope.sequence > caseload.restored_head \
             WHERE envelope.testified = 0 AND (SELECT 1 FROM setting WHERE name = 'restored') IS NOT NULL \
             ORDER BY envelope.caseload, envelope.sequence",
        );
        let rows = statement.query(())?;
        for row in rows {
            let caseload = CaseloadId(row.get(1)?);
            let signed = crate::log::signed_header(row.get(2)?, row.get(3)?)?;
            let header = signed.header();
            let theirs = match subject {
                Subject::Person(person) => header.person == *person,
                Subject::Device(device) => header.device == *device,
            };
            if theirs && only.is_none_or(|only| only == caseload) {
                concerned.push((Hash(row.get(0)?), caseload));
            }
        }
    }
    let mut touched = Vec::new();
    for (envelope, caseload) in concerned {
        let records: Vec<[u8; 16]> = {
            let text = "SELECT DISTINCT record FROM change WHERE envelope = ?1 AND record NOT IN \
                        (SELECT record FROM verdict WHERE envelope = ?1)";
            let statement = transaction.prepare(text);
            let rows = statement.query_map([envelope.0], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for record in records {
            let record = RecordId(record);
            crate::log::ingest::decide(transaction, caseload, envelope, record, Verdict::Quarantined(Reason::Revoked))?;
            touched.push(record);
        }
    }
    Ok(touched)
}
