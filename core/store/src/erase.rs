//! Taking out what was erased or went elsewhere: changes, what is left of them in envelopes, drafts; and leaving nothing of it in the file.

use std::collections::BTreeSet;

use karwan_proto::envelope::Envelope;
use karwan_proto::ids::{CaseloadId, Hash, RecordId};
use rusqlite::params;

use crate::change::PlacedChange;
use crate::error::StoreError;
use crate::store::{Batch, Store};
use crate::view::View;

/// Word of a verdict that this device made itself: its own gate let the change not in.
pub const SET_ASIDE: &str = "set aside";

impl View<'_> {
    /// Envelopes that hold, or held, something of a record.
    fn envelopes_of(&self, record: RecordId) -> Result<BTreeSet<Hash>, StoreError> {
        let text = "SELECT envelope FROM change WHERE record = ?1 AND envelope IS NOT NULL \
                    UNION SELECT envelope FROM verdict WHERE record = ?1";
        let mut statement = self.sql.prepare_cached(text)?;
        Ok(statement.query_map([record.0], |row| row.get(0).map(Hash))?.collect::<Result<_, _>>()?)
    }

    /// Whether anything of a record is here.
    pub fn holds(&self, record: RecordId) -> Result<bool, StoreError> {
        let text = "SELECT 1 FROM record WHERE id = ?1 UNION SELECT 1 FROM draft WHERE record = ?1 \
                    UNION SELECT 1 FROM verdict WHERE record = ?1";
        let mut statement = self.sql.prepare_cached(text)?;
        Ok(statement.exists([record.0])?)
    }
}

impl Batch<'_> {
    /// Prunes a record's changes of generations below this one from every envelope; their leaves stay.
    pub fn prune(&self, record: RecordId, below: u32) -> Result<(), StoreError> {
        let view = self.view();
        for name in view.envelopes_of(record)? {
            let Some(stored) = view.envelope(name)? else { continue };
            let Ok(mut envelope) = Envelope::decode(&stored.bytes) else { continue };
            let gone = envelope.positions_below(record, below);
            if gone.is_empty() || envelope.prune(&gone).is_err() {
                continue;
            }
            self.transaction
                .prepare_cached("UPDATE envelope SET bytes = ?2 WHERE hash = ?1")?
                .execute(params![name.0, envelope.encode()])?;
        }
        Ok(())
    }

    /// Lets go of everything that this device has of a record, drafts included. Its projections are the caller's to take away.
    pub fn erase_record(&self, record: RecordId) -> Result<(), StoreError> {
        self.prune(record, u32::MAX)?;
        self.end_draft(record)?;
        self.evict_record(record)
    }

    /// A later generation of a record stands: its older changes go.
    pub fn set_generation(&self, record: RecordId, generation: u32) -> Result<(), StoreError> {
        self.prune(record, generation)?;
        let text = "DELETE FROM change WHERE record = ?1 AND generation < ?2";
        self.transaction.prepare_cached(text)?.execute(params![record.0, generation])?;
        let text = "UPDATE record SET generation = ?2 WHERE id = ?1";
        self.transaction.prepare_cached(text)?.execute(params![record.0, generation])?;
        self.settle_attachments(record)
    }

    /// A record and its draft are in another caseload.
    pub fn set_record_caseload(&self, record: RecordId, caseload: CaseloadId) -> Result<(), StoreError> {
        for text in ["UPDATE record SET caseload = ?2 WHERE id = ?1", "UPDATE draft SET caseload = ?2 WHERE record = ?1"] {
            self.transaction.prepare_cached(text)?.execute(params![record.0, caseload.0])?;
        }
        Ok(())
    }

    /// Takes what a draft says of an erased part out of its journal, and gives it other heads to stand on.
    pub fn mend_draft(
        &self,
        record: RecordId,
        gone: &dyn Fn(&str) -> bool,
        base: &[Hash],
        title: &str,
    ) -> Result<(), StoreError> {
        let steps: Vec<(i64, String)> = {
            let mut statement = self.transaction.prepare_cached("SELECT position, key FROM draft_step WHERE record = ?1")?;
            let rows = statement.query_map([record.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        for (position, key) in steps {
            if gone(&key) {
                self.transaction
                    .prepare_cached("DELETE FROM draft_step WHERE record = ?1 AND position = ?2")?
                    .execute(params![record.0, position])?;
            }
        }
        let base = base.iter().map(Hash::to_string).collect::<Vec<_>>().join(" ");
        self.transaction
            .prepare_cached("UPDATE draft SET base = ?2, title = ?3 WHERE record = ?1 AND base IS NOT NULL")?
            .execute(params![record.0, base, title])?;
        self.settle_attachments(record)
    }
}

impl View<'_> {
    /// Changes of one generation of a record that count, in the order in which they came.
    pub fn changes_in_generation(&self, record: RecordId, generation: u32) -> Result<Vec<PlacedChange>, StoreError> {
        self.select("WHERE record = ?1 AND generation = ?2 AND state <= 2 ORDER BY number", params![record.0, generation])
    }
}

impl Store {
    /// Leaves nothing of what was deleted in the search index and the write-ahead log; free pages are overwritten as they are freed.
    pub fn scrub(&self) -> Result<(), StoreError> {
        let connection = self.reading()?;
        connection.execute("INSERT INTO search(search) VALUES('optimize')", [])?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}
