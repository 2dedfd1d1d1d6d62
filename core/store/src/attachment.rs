//! Attachments on the device: their pieces, which records refer to them, and what of them the server has. One that nothing refers to any more
//! goes, pieces and all; free pages are overwritten as they are freed.

use std::collections::BTreeSet;
use std::io::Read;

use karwan_proto::attachment::{AttachmentName, references_in};
use karwan_proto::ids::{CaseloadId, Hash, RecordId};
use rusqlite::{OptionalExtension, Row, params};

use crate::error::StoreError;
use crate::store::{Batch, Store};
use crate::view::View;

/// Bytes in one row of an attachment that was made here.
const ROW_BYTES: usize = 64 * 1024;

/// What the device has of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Hash of its content.
    pub hash: Hash,
    /// Its length; unknown until it begins to come.
    pub length: Option<u64>,
    /// Bytes from its beginning that are here.
    pub held: u64,
    /// All of it is here and is what its name says.
    pub whole: bool,
    /// The server's epoch in which it said to have it.
    pub kept_in: Option<u64>,
    /// Why the server does not take it, where it said so for good.
    pub declined: Option<String>,
}

const COLUMNS: &str = "hash, length, held, whole, kept_in, declined";

fn attachment(row: &Row<'_>) -> rusqlite::Result<Attachment> {
    Ok(Attachment {
        hash: Hash(row.get(0)?),
        length: row.get::<_, Option<i64>>(1)?.map(|length| length as u64),
        held: row.get::<_, i64>(2)? as u64,
        whole: row.get(3)?,
        kept_in: row.get::<_, Option<i64>>(4)?.map(|epoch| epoch as u64),
        declined: row.get(5)?,
    })
}

impl View<'_> {
    /// One attachment, as far as anything of it is here or was asked for.
    pub fn attachment(&self, hash: Hash) -> Result<Option<Attachment>, StoreError> {
        let mut statement = self.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM attachment WHERE hash = ?1"))?;
        Ok(statement.query_row([hash.0], attachment).optional()?)
    }

    /// Attachments of records that the server has not said to have in this epoch, the smallest first: a signature is not to wait for a film.
    /// Those of drafts wait with their draft.
    pub fn attachments_to_bring(&self, epoch: u64) -> Result<Vec<Attachment>, StoreError> {
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM attachment WHERE whole = 1 AND declined IS NULL AND (kept_in IS NULL OR kept_in != ?1) \
             AND EXISTS (SELECT 1 FROM attachment_use WHERE attachment = attachment.hash AND in_draft = 0) ORDER BY length, number"
        ))?;
        Ok(statement.query_map([epoch as i64], attachment)?.collect::<Result<_, _>>()?)
    }

    /// Attachments that somebody asked for and that are not whole here.
    pub fn attachments_wanted(&self) -> Result<Vec<Attachment>, StoreError> {
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM attachment WHERE whole = 0 AND wanted = 1 ORDER BY length, number"
        ))?;
        Ok(statement.query_map([], attachment)?.collect::<Result<_, _>>()?)
    }

    /// Attachments that records here refer to and that nobody has asked for.
    pub fn attachments_elsewhere(&self) -> Result<Vec<Hash>, StoreError> {
        let mut statement = self.sql.prepare_cached(
            "SELECT DISTINCT attachment FROM attachment_use WHERE in_draft = 0 \
             AND NOT EXISTS (SELECT 1 FROM attachment WHERE hash = attachment AND (whole = 1 OR wanted = 1)) ORDER BY attachment",
        )?;
        Ok(statement.query_map([], |row| row.get(0).map(Hash))?.collect::<Result<_, _>>()?)
    }

    /// Records whose changes speak of an attachment, and where each began to be here.
    pub fn attachment_uses(&self, hash: Hash) -> Result<Vec<(RecordId, CaseloadId)>, StoreError> {
        let text = "SELECT record.id, record.caseload FROM attachment_use JOIN record ON record.id = attachment_use.record \
                    WHERE attachment = ?1 AND in_draft = 0";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows = statement.query_map([hash.0], |row| Ok((RecordId(row.get(0)?), CaseloadId(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many attachments are in no place but this device, as far as it knows.
    pub fn attachments_only_here(&self) -> Result<u64, StoreError> {
        let text = "SELECT count(*) FROM attachment WHERE whole = 1 AND kept_in IS NULL AND own = 1";
        Ok(self.sql.query_row(text, [], |row| row.get::<_, i64>(0))? as u64)
    }

    /// Bytes of an attachment from an offset on: as many as asked for, or fewer where they end.
    pub fn attachment_piece(&self, hash: Hash, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let text =
            "SELECT offset, bytes FROM attachment_piece WHERE attachment = ?1 AND offset <= ?2 ORDER BY offset DESC LIMIT 1";
        let mut statement = self.sql.prepare_cached(text)?;
        let mut found = Vec::new();
        while found.len() < length {
            let at = offset + found.len() as u64;
            let row: Option<(i64, Vec<u8>)> =
                statement.query_row(params![hash.0, at as i64], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((begins, bytes)) = row else { break };
            let skipped = usize::try_from(at - begins as u64).unwrap_or(usize::MAX);
            let Some(rest) = bytes.get(skipped..).filter(|rest| !rest.is_empty()) else { break };
            found.extend_from_slice(rest.get(..length - found.len()).unwrap_or(rest));
        }
        Ok(found)
    }

    /// Whether what is here of an attachment is what its name says.
    pub fn attachment_holds(&self, hash: Hash) -> Result<bool, StoreError> {
        let Some(known) = self.attachment(hash)? else { return Ok(false) };
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        while offset < known.held {
            let piece = self.attachment_piece(hash, offset, ROW_BYTES)?;
            if piece.is_empty() {
                return Ok(false);
            }
            hasher.update(&piece);
            offset += piece.len() as u64;
        }
        Ok(known.length == Some(offset) && *hasher.finalize().as_bytes() == hash.0)
    }

    /// Attachments that a draft's journal speaks of.
    fn attachments_of_draft(&self, record: RecordId) -> Result<BTreeSet<Hash>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT value FROM draft_step WHERE record = ?1 AND value IS NOT NULL")?;
        let mut rows = statement.query([record.0])?;
        let mut found = BTreeSet::new();
        while let Some(row) = rows.next()? {
            found.extend(references_in(row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?));
        }
        Ok(found)
    }

    /// Attachments that a record's changes speak of, also those that do not count.
    fn attachments_of_changes(&self, record: RecordId) -> Result<BTreeSet<Hash>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT bytes FROM change WHERE record = ?1")?;
        let mut rows = statement.query([record.0])?;
        let mut found = BTreeSet::new();
        while let Some(row) = rows.next()? {
            found.extend(references_in(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?));
        }
        Ok(found)
    }
}

impl Store {
    /// Lets go of what was attached to interviews that were never kept: they ended with the process.
    pub fn drop_loose_attachments(&mut self) -> Result<(), StoreError> {
        let text = "SELECT DISTINCT record FROM attachment_use WHERE in_draft = 1 AND record NOT IN (SELECT record FROM draft)";
        let loose: Vec<[u8; 16]> = {
            let mut statement = self.reading()?.prepare(text)?;
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        if loose.is_empty() {
            return Ok(());
        }
        self.write(|batch| loose.into_iter().try_for_each(|record| batch.settle_attachments(RecordId(record))))
    }
}

impl Batch<'_> {
    /// Keeps an attachment that was made here, for the draft of this record. `content` must have this hash and length.
    pub fn put_attachment(
        &self,
        name: &AttachmentName,
        length: u64,
        content: &mut dyn Read,
        record: RecordId,
    ) -> Result<(), StoreError> {
        let hash = name.hash();
        let unreadable = |source| StoreError::Io { what: "reading the file", source };
        if self.view().attachment(hash)?.is_none_or(|known| !known.whole) {
            self.forget_pieces(hash)?;
            let mut hasher = blake3::Hasher::new();
            let mut offset = 0u64;
            loop {
                let mut bytes = Vec::new();
                content.take(ROW_BYTES as u64).read_to_end(&mut bytes).map_err(unreadable)?;
                if bytes.is_empty() {
                    break;
                }
                hasher.update(&bytes);
                self.put_piece(hash, offset, &bytes)?;
                offset += bytes.len() as u64;
            }
            if offset != length || *hasher.finalize().as_bytes() != hash.0 {
                return Err(StoreError::Content { what: "file" });
            }
            let text = "INSERT INTO attachment(hash, length, held, whole, own) VALUES(?1, ?2, ?2, 1, 1) \
                        ON CONFLICT(hash) DO UPDATE SET length = ?2, held = ?2, whole = 1, own = 1";
            self.transaction.prepare_cached(text)?.execute(params![hash.0, length as i64])?;
        }
        self.use_attachment(hash, record, true)
    }

    /// Somebody wants to see it: it is fetched with the next sync.
    pub fn want_attachment(&self, hash: Hash) -> Result<(), StoreError> {
        let text = "INSERT INTO attachment(hash, held, wanted) VALUES(?1, 0, 1) ON CONFLICT(hash) DO UPDATE SET wanted = 1";
        self.transaction.prepare_cached(text)?.execute([hash.0])?;
        Ok(())
    }

    /// The server said how long it is.
    pub fn set_attachment_length(&self, hash: Hash, length: u64) -> Result<(), StoreError> {
        let text = "UPDATE attachment SET length = ?2 WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, length as i64])?;
        Ok(())
    }

    /// Keeps the next bytes of one that comes. One that was let go meanwhile is not begun again.
    pub fn append_attachment(&self, hash: Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let text = "UPDATE attachment SET held = held + ?3 WHERE hash = ?1 AND held = ?2 AND whole = 0";
        let many = bytes.len() as i64;
        if self.transaction.prepare_cached(text)?.execute(params![hash.0, offset as i64, many])? == 1 {
            self.put_piece(hash, offset, bytes)?;
        }
        Ok(())
    }

    /// All of it came and is what its name says; who gave it has it in this epoch.
    pub fn set_attachment_whole(&self, hash: Hash, epoch: u64) -> Result<(), StoreError> {
        let text = "UPDATE attachment SET whole = 1, wanted = 0, kept_in = ?2 WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, epoch as i64])?;
        Ok(())
    }

    /// Another device is about to give it.
    pub fn expect_attachment(&self, hash: Hash, length: u64) -> Result<(), StoreError> {
        let text = "INSERT INTO attachment(hash, length, held) VALUES(?1, ?2, 0) ON CONFLICT(hash) DO UPDATE SET length = ?2";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, length as i64])?;
        Ok(())
    }

    /// All of it came from another device and is what its name says; what the server has is not known by that.
    pub fn set_attachment_given(&self, hash: Hash) -> Result<(), StoreError> {
        let text = "UPDATE attachment SET whole = 1, wanted = 0 WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute([hash.0])?;
        Ok(())
    }

    /// What came is not what its name says: it is fetched anew.
    pub fn restart_attachment(&self, hash: Hash) -> Result<(), StoreError> {
        self.forget_pieces(hash)?;
        let text = "UPDATE attachment SET held = 0, length = NULL WHERE hash = ?1 AND whole = 0";
        self.transaction.prepare_cached(text)?.execute([hash.0])?;
        Ok(())
    }

    /// The server has it.
    pub fn set_attachment_kept(&self, hash: Hash, epoch: u64) -> Result<(), StoreError> {
        let backups = self.view().backups_heard_of()?;
        let text = "UPDATE attachment SET kept_in = ?2, kept_backup = ?3, declined = NULL WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, epoch as i64, backups as i64])?;
        Ok(())
    }

    /// The server will not take it: it is not offered again.
    pub fn set_attachment_declined(&self, hash: Hash, why: &str) -> Result<(), StoreError> {
        let text = "UPDATE attachment SET declined = ?2 WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, why])?;
        Ok(())
    }

    /// Notes what a change of a record speaks of.
    pub(crate) fn note_attachments(&self, record: RecordId, change: &[u8]) -> Result<(), StoreError> {
        for hash in references_in(change) {
            self.use_attachment(hash, record, false)?;
        }
        Ok(())
    }

    /// Something of a record went: what nothing refers to any more goes with it.
    pub(crate) fn settle_attachments(&self, record: RecordId) -> Result<(), StoreError> {
        let before: Vec<[u8; 32]> = self
            .transaction
            .prepare_cached("SELECT DISTINCT attachment FROM attachment_use WHERE record = ?1")?
            .query_map([record.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if before.is_empty() {
            return Ok(());
        }
        self.transaction.prepare_cached("DELETE FROM attachment_use WHERE record = ?1")?.execute([record.0])?;
        let view = self.view();
        for hash in view.attachments_of_changes(record)? {
            self.use_attachment(hash, record, false)?;
        }
        for hash in view.attachments_of_draft(record)? {
            self.use_attachment(hash, record, true)?;
        }
        let mut used = self.transaction.prepare_cached("SELECT 1 FROM attachment_use WHERE attachment = ?1")?;
        for hash in before {
            if !used.exists([hash])? {
                self.forget_pieces(Hash(hash))?;
                self.transaction.prepare_cached("DELETE FROM attachment WHERE hash = ?1")?.execute([hash])?;
            }
        }
        Ok(())
    }

    fn use_attachment(&self, hash: Hash, record: RecordId, in_draft: bool) -> Result<(), StoreError> {
        let text = "INSERT OR IGNORE INTO attachment_use(attachment, record, in_draft) VALUES(?1, ?2, ?3)";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, record.0, in_draft])?;
        Ok(())
    }

    fn put_piece(&self, hash: Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let text = "INSERT INTO attachment_piece(attachment, offset, bytes) VALUES(?1, ?2, ?3)";
        self.transaction.prepare_cached(text)?.execute(params![hash.0, offset as i64, bytes])?;
        Ok(())
    }

    pub(crate) fn forget_pieces(&self, hash: Hash) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM attachment_piece WHERE attachment = ?1")?.execute([hash.0])?;
        Ok(())
    }
}
