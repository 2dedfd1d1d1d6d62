//! What is to be written again under a new incarnation: changes that another copy of this database made under the same name, and those that stand on
//! what was refused.

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::ids::{Hash, RecordId};
use rusqlite::params;

use crate::change::{EnvelopeState, StoredChange};
use crate::error::StoreError;
use crate::store::{Batch, Store};
use crate::view::View;

const BEGIN_AGAIN: &str = "begin_again";

impl Store {
    /// Whether a session asked for a new incarnation.
    pub fn begin_again_asked(&self) -> Result<bool, StoreError> {
        Ok(self.setting(BEGIN_AGAIN)?.is_some())
    }
}

impl View<'_> {
    /// All changes of a record's generation that stands, whatever became of them, in the order in which they came.
    pub fn every_change_of(&self, record: RecordId) -> Result<Vec<StoredChange>, StoreError> {
        let tail = "WHERE record = ?1 AND generation = (SELECT generation FROM record WHERE id = ?1) ORDER BY number";
        Ok(self.select(tail, [record.0])?.into_iter().map(|placed| placed.change).collect())
    }

    /// Changes that count nowhere until they are written again, by record.
    pub fn set_aside(&self) -> Result<BTreeMap<RecordId, BTreeSet<Hash>>, StoreError> {
        let mut found: BTreeMap<RecordId, BTreeSet<Hash>> = BTreeMap::new();
        for placed in self.select("WHERE own = 1 AND state = 7 ORDER BY number", [])? {
            found.entry(placed.record).or_default().insert(placed.change.hash);
        }
        Ok(found)
    }
}

impl Batch<'_> {
    /// A new incarnation is to begin before anything else is authored.
    pub fn ask_to_begin_again(&self) -> Result<(), StoreError> {
        self.set(BEGIN_AGAIN, &[1])
    }

    /// Sets aside what was made here of a record and has not counted anywhere, because what counts has the same names. Gives whether there was any.
    pub fn set_pending_aside(&self, record: RecordId) -> Result<bool, StoreError> {
        let text = "UPDATE change SET state = 7 WHERE record = ?1 AND own = 1 AND state < 2";
        let aside = self.transaction.prepare_cached(text)?.execute([record.0])?;
        Ok(aside > 0)
    }

    /// The server keeps nothing of an envelope because another has its number: its changes are unsealed again.
    pub fn unseal(&self, envelope: Hash) -> Result<u64, StoreError> {
        let text = "UPDATE change SET envelope = NULL, state = 0 WHERE envelope = ?1 AND own = 1 AND state < 2";
        let unsealed = self.transaction.prepare_cached(text)?.execute([envelope.0])?;
        self.transaction
            .execute("UPDATE envelope SET state = ?2 WHERE hash = ?1", params![envelope.0, EnvelopeState::Refused as i64])?;
        Ok(unsealed as u64)
    }
}
