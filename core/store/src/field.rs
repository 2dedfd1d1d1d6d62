//! What another device gave in the field: kept for the server, and provisional until its verdict. And what may be given to another device.

use karwan_proto::ids::{CaseloadId, Hash, RecordId};
use rusqlite::params;

use crate::change::{ChangeState, StoredEnvelope};
use crate::error::StoreError;
use crate::form::FormRow;
use crate::log::Named;
use crate::store::Batch;
use crate::view::View;

impl View<'_> {
    /// Whether something of a record came from another device and waits for the server's verdict.
    pub fn is_provisional(&self, record: RecordId) -> Result<bool, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT 1 FROM change WHERE record = ?1 AND own = 0 AND state < 2")?;
        Ok(statement.exists([record.0])?)
    }

    /// Names of envelopes that another device has too and that are not known to be at the server: it may have them by that way. In the order
    /// in which they came, which puts what they stand on first.
    pub fn envelopes_to_ask_about(&self, caseload: CaseloadId) -> Result<Vec<Hash>, StoreError> {
        let text =
            "SELECT hash FROM envelope WHERE caseload = ?1 AND state = 0 AND earlier IS NULL AND shared = 1 ORDER BY rowid";
        let mut statement = self.sql.prepare_cached(text)?;
        Ok(statement.query_map([caseload.0], |row| row.get(0).map(Hash))?.collect::<Result<_, _>>()?)
    }

    /// Names of envelopes that another device may lack which holds a caseload's log up to a place: what the log has after it, then what the server has
    /// not judged.
    pub fn envelopes_to_give(&self, caseload: CaseloadId, after: u64) -> Result<Vec<Hash>, StoreError> {
        let text = "SELECT hash FROM envelope WHERE caseload = ?1 AND (state < 2 OR (state = 2 AND sequence > ?2)) \
                    ORDER BY state < 2, CASE WHEN state < 2 THEN 0 ELSE sequence END, rowid";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows = statement.query_map(params![caseload.0, after as i64], |row| row.get(0).map(Hash))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Envelopes of a caseload with this counter, of whichever device.
    pub fn envelopes_numbered(&self, caseload: CaseloadId, counter: u64) -> Result<Vec<StoredEnvelope>, StoreError> {
        self.envelopes("WHERE caseload = ?1 AND counter = ?2", params![caseload.0, counter as i64])
    }

    /// Whether there is an envelope, in whatever state, whose name is between these two.
    pub fn has_envelope_between(&self, first: Hash, last: Hash) -> Result<bool, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT 1 FROM envelope WHERE hash BETWEEN ?1 AND ?2")?;
        Ok(statement.exists([first.0, last.0])?)
    }
}

impl Batch<'_> {
    /// Another device has this envelope too.
    pub fn set_envelope_shared(&self, envelope: Hash) -> Result<(), StoreError> {
        self.transaction.prepare_cached("UPDATE envelope SET shared = 1 WHERE hash = ?1")?.execute([envelope.0])?;
        Ok(())
    }

    /// Sets aside what other devices gave of a record and the server has not judged, because what counts has the same names. Gives whether
    /// there was any.
    pub fn set_provisional_aside(&self, record: RecordId) -> Result<bool, StoreError> {
        let text = "UPDATE change SET state = ?2 WHERE record = ?1 AND own = 0 AND state < 2";
        let aside = self.transaction.prepare_cached(text)?.execute(params![record.0, ChangeState::Quarantined as i64])?;
        Ok(aside > 0)
    }

    /// Keeps a name that another device told, where the server has told none.
    pub fn put_name_of_another(&self, named: &Named) -> Result<(), StoreError> {
        let text = "INSERT OR IGNORE INTO directory(kind, id, name, body) VALUES(?1, ?2, ?3, ?4)";
        self.transaction.prepare_cached(text)?.execute(params![named.kind, named.id, named.name, named.body])?;
        Ok(())
    }

    /// Keeps a form that another device told of, as the newest, where the log has not told of it; says whether it is new.
    pub fn put_form_of_another(&self, form: &FormRow) -> Result<bool, StoreError> {
        let view = self.view();
        let known = view.forms()?;
        if known.iter().any(|known| known.hash == form.hash && known.caseload == form.caseload) {
            return Ok(false);
        }
        let newest = known.iter().filter(|known| known.caseload == form.caseload).map(|known| known.sequence).max();
        self.put_form(&FormRow { sequence: newest.map_or(0, |newest| newest.saturating_add(1)), ..form.clone() })?;
        Ok(true)
    }
}
