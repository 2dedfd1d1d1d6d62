//! Who writes: one at a time in this process, and where the database is shared, beside processes that this one knows nothing of.
//!
//! What a process holds in memory is a copy of what the database has: membership, whether the server recovers, records that were loaded. Before
//! anybody goes by it, it is compared with the database and read again where another process has been there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use karwan_proto::membership::SignedEntry;
use karwan_proto::{CaseloadId, Membership, OrganisationId};

use super::{Core, Organisation, members};
use crate::database::{Connection, Sharing, Transaction};
use crate::log::recovery;
use crate::problem::Problem;

/// The writer's place, held until this is dropped.
pub(crate) struct Writing<'o> {
    core: MutexGuard<'o, Core>,
    told_membership: &'o Mutex<Arc<Membership>>,
    sharing: Sharing,
}

impl Deref for Writing<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.told_membership.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.core.membership);
        // A connection that is gone has let others in.
        if let Err(error) = self.core.db.let_others_in(self.sharing)
            && self.core.db.is_usable()
        {
            tracing::error!(%error, "others are kept out until this connection ends");
            self.core.broken = true;
        }
    }
}

/// The only one who decides about records, held until this is dropped.
pub(crate) struct Deciding<'o>(MutexGuard<'o, Option<Connection>>);

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        // One that is gone has let others in.
        if let Some(connection) = self.0.take()
            && connection.let_others_in(Sharing::WithAllButDeciders).is_ok()
        {
            *self.0 = Some(connection);
        }
    }
}

impl Organisation {
    /// The only one who decides about records, here and in every other process: two decisions on one state would have one sequence number.
    pub(crate) fn deciding(&self) -> Result<Deciding<'_>, Problem> {
        // A panic before a write left nothing.
        let mut deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.databases.are_shared() {
            let kept = deciding.take().filter(Connection::is_usable);
            let connection = match kept {
                Some(connection) => connection,
                None => self.databases.main.open_to_read()?,
            };
            connection.keep_others_out(Sharing::WithAllButDeciders)?;
            *deciding = Some(connection);
        }
        Ok(Deciding(deciding))
    }

    /// The only writer, here and in every other process.
    pub(crate) fn writing(&self) -> Result<Writing<'_>, Problem> {
        let mut writing = self.enter(Sharing::Alone)?;
        let core = &mut *writing;
        if core.db.is_shared() {
            let heads = heads(&core.db)?;
            if heads != core.heads {
                core.records.clear();
                core.heads = heads;
            }
        }
        Ok(writing)
    }

    /// The only writer here; processes that append to other logs go on. For appending, once the heads are held ([`hold_heads`]), and for small rows of
    /// which each is written whole.
    pub(crate) fn writing_beside_others(&self) -> Result<Writing<'_>, Problem> {
        self.enter(Sharing::WithAppenders)
    }

    /// What is decided as of now, to look at: nothing may be written by it.
    pub(crate) fn current(&self) -> Result<MutexGuard<'_, Core>, Problem> {
        let mut core = self.in_turn()?;
        core.refresh(self.id())?;
        Ok(core)
    }

    fn enter(&self, sharing: Sharing) -> Result<Writing<'_>, Problem> {
        let core = self.in_turn()?;
        core.db.keep_others_out(sharing)?;
        let mut writing = Writing { core, told_membership: &self.told_membership, sharing };
        writing.refresh(self.id())?;
        Ok(writing)
    }

    /// The one place in this process, with connections that work.
    fn in_turn(&self) -> Result<MutexGuard<'_, Core>, Problem> {
        let mut core = self.core.lock().map_err(|_| {
            Problem::new(
                Problem::FAILED,
                "poisoned",
                "an earlier write failed in the middle",
                "Start karwan again: nothing confirmed is lost.",
            )
        })?;
        if core.broken || !core.db.is_usable() || !core.keys.is_usable() {
            // What was not committed is not there, and what may have been is looked at again.
            core.records.clear();
            core.heads.clear();
            core.db = self.databases.main.open()?;
            core.keys = self.databases.keys.open()?;
            core.broken = false;
        }
        Ok(core)
    }
}

impl Core {
    /// Takes in what other processes decided.
    fn refresh(&mut self, id: OrganisationId) -> Result<(), Problem> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let known = self.membership.cursor().sequence as i64;
        let statement = self.db.prepare("SELECT bytes FROM membership WHERE position > ?1 ORDER BY position");
        let rows = statement.query([known])?;
        if rows.len() > 0 {
            for row in rows {
                let bytes: Vec<u8> = row.get(0)?;
                if Arc::make_mut(&mut self.membership).apply(&SignedEntry::decode(&bytes)?).is_err() {
                    // Another log than the one that was read before.
                    self.membership = Arc::new(members::replay(&self.db, id)?);
                    break;
                }
            }
            self.records.clear();
        }
        self.recovering = recovery::since(&self.db)?.is_some();
        Ok(())
    }
}

/// Where all logs end.
pub(crate) fn heads(db: &Connection) -> Result<BTreeMap<CaseloadId, u64>, Problem> {
    let statement = db.prepare("SELECT id, head FROM caseload");
    let rows = statement.query_map((), |row| Ok((CaseloadId(row.get(0)?), row.get::<i64>(1)? as u64)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Holds the heads of these logs until the transaction ends, in the order of their names; gives where they end.
pub(crate) fn hold_heads(
    transaction: &Transaction<'_>,
    caseloads: &BTreeSet<CaseloadId>,
) -> Result<BTreeMap<CaseloadId, u64>, Problem> {
    let statement = transaction.prepare("SELECT head FROM caseload WHERE id = ?1 FOR UPDATE");
    let mut held = BTreeMap::new();
    for caseload in caseloads {
        let found = statement.query_map([caseload.0], |row| row.get::<i64>(0))?.next().transpose()?;
        held.extend(found.map(|head| (*caseload, head as u64)));
    }
    Ok(held)
}
