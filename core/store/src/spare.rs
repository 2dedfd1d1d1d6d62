//! Which attachments may go from the device to free space: those that come back from the server when somebody wants to see them, also from one that is
//! restored from its backup. Which others wait, and for what.

use karwan_proto::ids::Hash;
use rusqlite::params;

use crate::error::StoreError;
use crate::store::{Batch, Store};
use crate::view::View;

/// Name of the setting that counts the server's backups as far as the device has heard of them.
const BACKUPS: &str = "backups_heard_of";

/// Free pages are given back from so large a part of the file on: less is used again soon.
const FREE_SHARE: i64 = 8;

/// Said to be at the server in this epoch (`?1`).
const AT_SERVER: &str = "kept_in = ?1";
/// Not in a draft, nor of a record that somebody is editing, nor of one with a change that is not accepted: only what an accepted change speaks of is
/// given out again.
const NOT_NEEDED: &str = "NOT EXISTS (SELECT 1 FROM attachment_use AS used WHERE used.attachment = attachment.hash AND \
    (used.in_draft = 1 OR EXISTS (SELECT 1 FROM draft WHERE draft.record = used.record) \
     OR EXISTS (SELECT 1 FROM change WHERE change.record = used.record AND change.state NOT IN (2, 5, 6))))";
/// Made elsewhere; or in a backup of the server (`?2` of which were heard of), and what this device wrote of its records too. One backup that was heard
/// of since may have been made while the attachment was on its way.
const IN_BACKUP: &str = "(own = 0 OR (kept_backup + 1 < ?2 AND NOT EXISTS \
    (SELECT 1 FROM attachment_use AS used JOIN change ON change.record = used.record JOIN envelope ON envelope.hash = change.envelope \
     JOIN caseload ON caseload.id = envelope.caseload WHERE used.attachment = attachment.hash AND change.own = 1 AND change.state = 2 \
     AND (envelope.sequence IS NULL OR envelope.sequence > caseload.backed_up))))";

/// What attachments take on the device, and what of it has to stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes of attachments that are here.
    pub bytes: u64,
    /// Bytes of those that may go.
    pub spare_bytes: u64,
    /// How many are whole here and are not at the server, or are needed here.
    pub needed: u64,
    /// How many wait for a backup of the server alone.
    pub not_backed_up: u64,
}

impl View<'_> {
    /// How many of the server's backups the device has heard of.
    pub fn backups_heard_of(&self) -> Result<u64, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
        let mut rows = statement.query([BACKUPS])?;
        let kept: Option<Vec<u8>> = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(kept.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// Attachments that may go, with their lengths; those that came or were made first go first.
    pub fn attachments_to_spare(&self, epoch: u64) -> Result<Vec<(Hash, u64)>, StoreError> {
        let text = format!(
            "SELECT hash, held FROM attachment WHERE whole = 1 AND {AT_SERVER} AND {NOT_NEEDED} AND {IN_BACKUP} ORDER BY number"
        );
        let mut statement = self.sql.prepare_cached(&text)?;
        let rows = statement.query_map(params![epoch as i64, self.backups_heard_of()? as i64], |row| {
            Ok((Hash(row.get(0)?), row.get::<_, i64>(1)? as u64))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What attachments take.
    pub fn attachment_space(&self, epoch: u64) -> Result<Space, StoreError> {
        let spare = self.attachments_to_spare(epoch)?;
        let count = |condition: &str| -> Result<u64, StoreError> {
            // Both numbers are bound whether or not the condition speaks of them.
            let text = format!("SELECT count(*) FROM attachment WHERE whole = 1 AND ?2 >= 0 AND ({condition})");
            let numbers = params![epoch as i64, self.backups_heard_of()? as i64];
            Ok(self.sql.prepare_cached(&text)?.query_row(numbers, |row| row.get::<_, i64>(0))? as u64)
        };
        let bytes = self.sql.query_row("SELECT coalesce(sum(held), 0) FROM attachment", [], |row| row.get::<_, i64>(0))?;
        Ok(Space {
            bytes: bytes as u64,
            spare_bytes: spare.iter().map(|(_, length)| length).sum(),
            needed: count(&format!("NOT coalesce({AT_SERVER}, 0) OR NOT {NOT_NEEDED}"))?,
            not_backed_up: count(&format!("{AT_SERVER} AND {NOT_NEEDED} AND NOT coalesce({IN_BACKUP}, 0)"))?,
        })
    }
}

impl Batch<'_> {
    /// The server told of a backup that the device had not heard of.
    pub fn note_backup(&self) -> Result<(), StoreError> {
        let heard_of = self.view().backups_heard_of()?;
        self.set(BACKUPS, &heard_of.saturating_add(1).to_be_bytes())
    }

    /// Lets the content of an attachment go; what is known of it stays, and it is fetched when somebody asks for it.
    pub fn drop_attachment_content(&self, hash: Hash) -> Result<(), StoreError> {
        self.forget_pieces(hash)?;
        let text = "UPDATE attachment SET whole = 0, held = 0, own = 0, wanted = 0 WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute([hash.0])?;
        Ok(())
    }
}

impl Store {
    /// Gives free pages back to the file system, where they are a good part of the file; says whether they were. It takes as much room beside it as is
    /// left in the database, for as long as it runs.
    pub fn give_back_free_pages(&self) -> Result<bool, StoreError> {
        let connection = self.reading()?;
        let count = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if count("freelist_count")? < count("page_count")? / FREE_SHARE {
            return Ok(false);
        }
        connection.execute_batch("VACUUM")?;
        // What was there before is in the write-ahead log until then.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(true)
    }
}
