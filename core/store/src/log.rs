//! Where this device stands in each caseload's log, the organisation's membership log, and the names that go with it.
//!
//! A cursor is written in the transaction that writes what it covers, so a cursor at n says that everything up to n is here.

use karwan_proto::ids::{CaseloadId, Hash, PersonId};
use rusqlite::{OptionalExtension, params};

use crate::error::StoreError;
use crate::store::Batch;
use crate::view::View;

/// Kind of an entry whose envelope has not come.
pub const INCOMPLETE: &str = "incomplete";

/// A place in a caseload's log, and where this device's own envelopes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseloadState {
    /// The caseload.
    pub caseload: CaseloadId,
    /// Entries that are here.
    pub sequence: u64,
    /// Chain at that entry.
    pub chain: Hash,
    /// Entries that the server has in a backup.
    pub backed_up: u64,
    /// Counter of this incarnation's last envelope.
    pub counter: u64,
    /// That envelope.
    pub previous: Option<Hash>,
}

/// A row of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `person`, `device`, `caseload`.
    pub kind: String,
    /// Its identifier.
    pub id: [u8; 16],
    /// Its name.
    pub name: String,
    /// What else the server told of it, encoded as it came.
    pub body: Option<Vec<u8>>,
}

impl View<'_> {
    /// Every caseload of this device.
    pub fn caseloads(&self) -> Result<Vec<CaseloadState>, StoreError> {
        let mut statement =
            self.sql.prepare_cached("SELECT id, sequence, chain, backed_up, counter, previous FROM caseload ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok(CaseloadState {
                caseload: CaseloadId(row.get(0)?),
                sequence: row.get::<_, i64>(1)? as u64,
                chain: Hash(row.get(2)?),
                backed_up: row.get::<_, i64>(3)? as u64,
                counter: row.get::<_, i64>(4)? as u64,
                previous: row.get::<_, Option<[u8; 32]>>(5)?.map(Hash),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One caseload.
    pub fn caseload(&self, caseload: CaseloadId) -> Result<Option<CaseloadState>, StoreError> {
        Ok(self.caseloads()?.into_iter().find(|state| state.caseload == caseload))
    }

    /// Chain after an entry; `None` where it is not kept.
    pub fn chain_at(&self, caseload: CaseloadId, sequence: u64) -> Result<Option<Hash>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT chain FROM entry WHERE caseload = ?1 AND sequence = ?2")?;
        Ok(statement.query_row(params![caseload.0, sequence as i64], |row| row.get(0).map(Hash)).optional()?)
    }

    /// Entries whose envelope has not come: place and bytes.
    pub fn incomplete_entries(&self, caseload: CaseloadId) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let text = "SELECT sequence, body FROM entry WHERE caseload = ?1 AND kind = ?2 AND body IS NOT NULL ORDER BY sequence";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows = statement.query_map(params![caseload.0, INCOMPLETE], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The organisation's membership log, in order.
    pub fn membership(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT bytes FROM membership ORDER BY position")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// The name of a person, device or caseload.
    pub fn name(&self, kind: &str, id: [u8; 16]) -> Result<Option<String>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT name FROM directory WHERE kind = ?1 AND id = ?2")?;
        let told: Option<String> = statement.query_row(params![kind, id], |row| row.get(0)).optional()?;
        if told.is_some() || kind != "person" {
            return Ok(told);
        }
        let mut statement = self.sql.prepare_cached("SELECT name FROM person WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?)
    }

    /// All rows of a kind.
    pub fn directory(&self, kind: &str) -> Result<Vec<Named>, StoreError> {
        let mut statement =
            self.sql.prepare_cached("SELECT kind, id, name, body FROM directory WHERE kind = ?1 ORDER BY name, id")?;
        let rows = statement
            .query_map([kind], |row| Ok(Named { kind: row.get(0)?, id: row.get(1)?, name: row.get(2)?, body: row.get(3)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// People first met here whom the server does not know yet.
    pub fn people_to_introduce(&self) -> Result<Vec<(PersonId, String)>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT id, name FROM person WHERE introduced = 0 ORDER BY rowid")?;
        Ok(statement.query_map([], |row| Ok((PersonId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
    }

    /// People first met here.
    pub fn own_people(&self) -> Result<Vec<(PersonId, String)>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT id, name FROM person ORDER BY rowid")?;
        Ok(statement.query_map([], |row| Ok((PersonId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
    }
}

impl Batch<'_> {
    /// Begins to hold a caseload, from the beginning of its log.
    pub fn add_caseload(&self, caseload: CaseloadId, chain: Hash) -> Result<(), StoreError> {
        let text = "INSERT OR IGNORE INTO caseload(id, chain) VALUES(?1, ?2)";
        self.transaction.prepare_cached(text)?.execute(params![caseload.0, chain.0])?;
        Ok(())
    }

    /// Moves the cursor of a caseload.
    pub fn set_cursor(&self, caseload: CaseloadId, sequence: u64, chain: Hash) -> Result<(), StoreError> {
        let text = "UPDATE caseload SET sequence = ?2, chain = ?3 WHERE id = ?1";
        self.transaction.prepare_cached(text)?.execute(params![caseload.0, sequence as i64, chain.0])?;
        Ok(())
    }

    /// Keeps one entry of a caseload's log: its chain, and its bytes where this version does not know what it says.
    pub fn put_entry(
        &self,
        caseload: CaseloadId,
        sequence: u64,
        chain: Hash,
        kind: &str,
        body: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let text = "INSERT OR REPLACE INTO entry(caseload, sequence, chain, kind, body) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.transaction.prepare_cached(text)?.execute(params![caseload.0, sequence as i64, chain.0, kind, body])?;
        Ok(())
    }

    /// Notes that the envelope of an entry has come.
    pub fn set_entry_complete(&self, caseload: CaseloadId, sequence: u64) -> Result<(), StoreError> {
        let text = "UPDATE entry SET kind = 'envelope', body = NULL WHERE caseload = ?1 AND sequence = ?2";
        self.transaction.prepare_cached(text)?.execute(params![caseload.0, sequence as i64])?;
        Ok(())
    }

    /// Forgets entries above a place, after a mismatch of chains.
    pub fn forget_entries_above(&self, caseload: CaseloadId, sequence: u64) -> Result<(), StoreError> {
        self.transaction
            .execute("DELETE FROM entry WHERE caseload = ?1 AND sequence > ?2", params![caseload.0, sequence as i64])?;
        Ok(())
    }

    /// Keeps up to where the server says that it is backed up. Own envelopes stay all the same: a server may be restored from an older backup
    /// than its newest.
    pub fn set_backed_up(&self, caseload: CaseloadId, sequence: u64) -> Result<(), StoreError> {
        self.transaction.execute("UPDATE caseload SET backed_up = ?2 WHERE id = ?1", params![caseload.0, sequence as i64])?;
        Ok(())
    }

    /// Forgets the membership log from a place on.
    pub fn forget_membership_from(&self, position: u64) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM membership WHERE position >= ?1", [position as i64])?;
        Ok(())
    }

    /// Notes the last envelope of this incarnation in a caseload.
    pub fn set_last_envelope(&self, caseload: CaseloadId, counter: u64, envelope: Hash) -> Result<(), StoreError> {
        let text = "UPDATE caseload SET counter = ?2, previous = ?3 WHERE id = ?1";
        self.transaction.prepare_cached(text)?.execute(params![caseload.0, counter as i64, envelope.0])?;
        Ok(())
    }

    /// Keeps one entry of the membership log.
    pub fn put_membership(&self, position: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let text = "INSERT OR REPLACE INTO membership(position, bytes) VALUES(?1, ?2)";
        self.transaction.prepare_cached(text)?.execute(params![position as i64, bytes])?;
        Ok(())
    }

    /// Keeps a name.
    pub fn put_name(&self, named: &Named) -> Result<(), StoreError> {
        let text = "INSERT OR REPLACE INTO directory(kind, id, name, body) VALUES(?1, ?2, ?3, ?4)";
        self.transaction.prepare_cached(text)?.execute(params![named.kind, named.id, named.name, named.body])?;
        Ok(())
    }

    /// Drops all names that a server told.
    pub fn clear_directory(&self) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM directory", [])?;
        Ok(())
    }

    /// Holds a caseload no more. What was made here and is not at the server stays, and the caseload with it until it is; gives the records that
    /// went, and whether nothing is left.
    pub fn withdraw_caseload(&self, caseload: CaseloadId) -> Result<(Vec<karwan_proto::RecordId>, bool), StoreError> {
        let records = {
            let text =
                "SELECT id FROM record WHERE caseload = ?1 AND id NOT IN (SELECT record FROM change WHERE own = 1 AND state = 0)
                        AND id NOT IN (SELECT record FROM draft)";
            let mut statement = self.transaction.prepare_cached(text)?;
            let rows = statement.query_map([caseload.0], |row| row.get(0).map(karwan_proto::RecordId))?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        for record in &records {
            self.evict_record(*record)?;
        }
        self.transaction.execute("DELETE FROM entry WHERE caseload = ?1", [caseload.0])?;
        self.transaction.execute("DELETE FROM envelope WHERE caseload = ?1 AND (own = 0 OR state >= 2)", [caseload.0])?;
        let text = "SELECT EXISTS(SELECT 1 FROM record WHERE caseload = ?1) OR EXISTS(SELECT 1 FROM draft WHERE caseload = ?1)";
        let left: bool = self.transaction.query_row(text, [caseload.0], |row| row.get(0))?;
        if left {
            let chain = karwan_proto::Cursor::start_of(caseload).chain;
            self.set_cursor(caseload, 0, chain)?;
        } else {
            self.transaction.execute("DELETE FROM form WHERE caseload = ?1", [caseload.0])?;
            self.transaction.execute("DELETE FROM caseload WHERE id = ?1", [caseload.0])?;
        }
        Ok((records, !left))
    }

    /// Lets go of a record: it left the caseload, or was erased. Its projections are the caller's to take away.
    pub fn evict_record(&self, record: karwan_proto::RecordId) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM change WHERE record = ?1", [record.0])?;
        self.transaction.execute("DELETE FROM verdict WHERE record = ?1", [record.0])?;
        self.transaction.execute("DELETE FROM record WHERE id = ?1", [record.0])?;
        self.settle_attachments(record)
    }

    /// Keeps a person first met here.
    pub fn put_person(&self, person: PersonId, name: &str) -> Result<(), StoreError> {
        self.transaction.execute("INSERT OR IGNORE INTO person(id, name) VALUES(?1, ?2)", params![person.0, name])?;
        Ok(())
    }

    /// The server knows this person now.
    pub fn set_introduced(&self, person: PersonId) -> Result<(), StoreError> {
        self.transaction.execute("UPDATE person SET introduced = 1 WHERE id = ?1", [person.0])?;
        Ok(())
    }
}
