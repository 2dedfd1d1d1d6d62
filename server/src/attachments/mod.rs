//! Attachments on the server: files in a folder, each encrypted under a key of its own that is kept with the keys of records, so that one that
//! was erased is unreadable in backups once theirs have expired.
//!
//! Where a bucket is set (`karwan attachments ORG --store ADDRESS`), whole attachments are kept there, so that several servers share them; what is
//! coming is in the folder of the server that it comes to, and so is what came before the bucket was set, until a sweep moves it.
//!
//! What a device brings is appended to a file of that device and attachment, and becomes the attachment when its hash holds. An attachment stays as
//! long as any change on this server speaks of it, whatever became of the change; one that loses its last change with an erasure goes at
//! once, one that nobody ever spoke of after [`GRACE_MS`].

mod bucket;
mod files;
mod sweep;

use std::sync::{Arc, PoisonError};

use karwan_proto::attachment::Decline;
use karwan_proto::limits::MAX_ATTACHMENT_BYTES;
use karwan_proto::{CaseloadId, DeviceId, Hash};
use serde::Serialize;

use crate::database::{Connection, OptionalExtension, Transaction, params};
use crate::organisation::Organisation;
use crate::problem::Problem;

pub(crate) use bucket::Bucket;
pub use sweep::{GRACE_MS, Swept};

/// The setting that names the bucket.
const STORE: &str = "attachment_store";

/// Where attachments are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Address of the bucket; `None`: the folder.
    pub store: Option<String>,
    /// Whole attachments.
    pub attachments: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files among them in this folder.
    pub in_folder: u64,
}

/// What the server says to an attachment that a device brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is here.
    Kept,
    /// Bytes from this one on are wanted.
    GoOn(u64),
    /// It is not taken.
    Declined(Decline),
}

impl Organisation {
    /// What to say to a device that can give an attachment.
    pub(crate) fn attachment_brought(&self, device: DeviceId, hash: Hash, length: u64) -> Result<Answer, Problem> {
        if length == 0 || length > MAX_ATTACHMENT_BYTES {
            return Ok(Answer::Declined(Decline::TooLarge));
        }
        if self.attachment_length(hash)?.is_some() {
            return Ok(Answer::Kept);
        }
        Ok(Answer::GoOn(self.begun_bytes(device, hash, length)?))
    }

    /// Keeps the next bytes of one that a device brings.
    pub(crate) fn attachment_piece_came(&self, device: DeviceId, hash: Hash, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        self.append_begun(device, hash, offset, bytes)
    }

    /// All of it came: it becomes the attachment where it is what its name says, durably; else what came is thrown away.
    pub(crate) fn attachment_came(&self, device: DeviceId, hash: Hash) -> Result<bool, Problem> {
        if self.attachment_length(hash)?.is_some() {
            self.forget_begun(device, hash)?;
            return Ok(true);
        }
        let Some(length) = self.finish_begun(device, hash)? else {
            // It may come again, from its beginning.
            self.begun_bytes(device, hash, 0)?;
            return Ok(false);
        };
        let core = self.writing_beside_others()?;
        let text = "INSERT INTO attachment(hash, length, kept_at_ms) VALUES(?1, ?2, ?3) \
                    ON CONFLICT(hash) DO UPDATE SET length = excluded.length, kept_at_ms = excluded.kept_at_ms";
        core.db.prepare(text).execute(params![hash.0, length as i64, self.now_ms()])?;
        keep_from_going(&core.db, hash)?;
        drop(core);
        self.forget_begun(device, hash)?;
        Ok(true)
    }

    /// The bucket that is set now; another process may have set it.
    fn bucket(&self) -> Result<Option<Arc<Bucket>>, Problem> {
        let Some(address) = self.setting(STORE)? else { return Ok(None) };
        let address = String::from_utf8_lossy(&address);
        let mut known = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = known.as_ref().filter(|bucket| bucket.address == address) {
            return Ok(Some(bucket.clone()));
        }
        let bucket = Arc::new(Bucket::of(&address, self.id())?);
        *known = Some(bucket.clone());
        Ok(Some(bucket))
    }

    /// Sets the bucket, once it was tried out. What is in the folder goes there with the next sweep; what is in another bucket does not.
    pub fn set_attachment_store(&self, address: &str) -> Result<(), Problem> {
        let bucket = Bucket::of(address, self.id())?;
        bucket.try_out()?;
        self.set_setting(STORE, address.as_bytes())?;
        *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(bucket));
        Ok(())
    }

    /// Where attachments are kept, how many there are, and how many of them stand in this folder.
    pub fn attachment_store(&self) -> Result<Kept, Problem> {
        let address = self.setting(STORE)?.map(|address| String::from_utf8_lossy(&address).into_owned());
        let (attachments, bytes) = self.read(|db| {
            let statement = db.prepare("SELECT count(*), CAST(coalesce(sum(length), 0) AS BIGINT) FROM attachment");
            Ok(statement.query_row((), |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?)
        })?;
        let files = std::fs::read_dir(self.folder.attachments())?;
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let in_folder = names.filter(|name| name.parse::<Hash>().is_ok()).count() as u64;
        Ok(Kept { store: address, attachments: attachments as u64, bytes: bytes as u64, in_folder })
    }

    /// The length of an attachment that is here whole.
    pub(crate) fn attachment_length(&self, hash: Hash) -> Result<Option<u64>, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT length FROM attachment WHERE hash = ?1");
            Ok(statement.query_row([hash.0], |row| row.get::<i64>(0)).optional()?.map(|length| length as u64))
        })
    }

    /// The length of an attachment that is here whole and that this device may have: an accepted change of a record speaks of it in a
    /// caseload that the device may read. While the server recovers it gives out nothing.
    pub(crate) fn attachment_for(&self, device: DeviceId, hash: Hash) -> Result<Option<u64>, Problem> {
        let readable = {
            let core = self.current()?;
            match core.membership.readable(device) {
                Ok(readable) if !core.recovering => readable,
                _ => return Ok(None),
            }
        };
        let entitled = self.read(|db| {
            let statement = db.prepare(
                "SELECT DISTINCT change.caseload FROM attachment_reference JOIN change USING(envelope, position) \
                 WHERE attachment = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM verdict WHERE verdict.envelope = change.envelope AND verdict.record = change.record)",
            );
            let rows = statement.query([hash.0])?;
            for row in rows {
                if readable.contains(&CaseloadId(row.get(0)?)) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        if entitled { self.attachment_length(hash) } else { Ok(None) }
    }
}

/// Notes what a change speaks of, in the transaction that keeps the change.
pub(crate) fn note_references(
    transaction: &Transaction<'_>,
    envelope: Hash,
    position: usize,
    change: &[u8],
) -> Result<(), Problem> {
    for hash in karwan_proto::attachment::references_in(change) {
        let text = "INSERT INTO attachment_reference(attachment, envelope, position) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
        transaction.prepare(text).put(params![hash.0, envelope.0, position as i64])?;
    }
    Ok(())
}

/// An attachment that was to go does not, or is gone.
fn keep_from_going(db: &Connection, hash: Hash) -> Result<(), Problem> {
    db.prepare("DELETE FROM attachment_let_go WHERE hash = ?1").execute([hash.0])?;
    Ok(())
}

/// Whether any change speaks of an attachment.
fn is_referenced(db: &Connection, hash: Hash) -> Result<bool, Problem> {
    Ok(db.prepare("SELECT 1 FROM attachment_reference WHERE attachment = ?1").exists([hash.0])?)
}
