//! The membership log in the database: signed entries in order, each with the chain up to it.

use std::sync::{Arc, PoisonError};

use karwan_proto::membership::{Act, MembershipEntry, SignedEntry};
use karwan_proto::{Cursor, Hash, Membership, OrganisationId, SigningKey};

use super::{Core, Organisation};
use crate::clock::now_ms;
use crate::database::{Connection, params};
use crate::problem::Problem;

/// The state after all entries.
pub(crate) fn replay(db: &Connection, id: OrganisationId) -> Result<Membership, Problem> {
    let mut membership = Membership::new(id);
    let statement = db.prepare("SELECT bytes FROM membership ORDER BY position");
    let rows = statement.query(())?;
    for row in rows {
        let bytes: Vec<u8> = row.get(0)?;
        // The signature too: a database that somebody touched must not make somebody an administrator.
        membership.apply(&SignedEntry::decode(&bytes)?)?;
    }
    Ok(membership)
}

/// Signs a decision, takes it in and keeps it.
fn sign(
    db: &Connection,
    membership: &mut Arc<Membership>,
    organisation: OrganisationId,
    act: Act,
    key: &SigningKey,
) -> Result<(), Problem> {
    let entry = MembershipEntry {
        organisation,
        signer: key.public(),
        seen: membership.last(),
        decided_at_ms: now_ms(),
        act,
        extra: karwan_proto::codec::Extra::default(),
    };
    let signed = SignedEntry::sign(entry, key);
    let mut next = Membership::clone(membership);
    next.apply(&signed)?;
    let cursor = next.cursor();
    db.execute(
        "INSERT INTO membership(position, bytes, chain) VALUES(?1, ?2, ?3)",
        params![cursor.sequence as i64, signed.encode(), cursor.chain.0],
    )?;
    *membership = Arc::new(next);
    Ok(())
}

impl Core {
    /// Refuses while the server recovers: a decision would stand beside those that devices are bringing back.
    pub(crate) fn not_recovering(&self) -> Result<(), Problem> {
        if !self.recovering {
            return Ok(());
        }
        Err(Problem::refused(
            "recovering",
            "the server was restored from a backup, and devices are bringing back what came after it",
            "When they have come home, close it: karwan recovery close ORG.",
        ))
    }

    /// Signs a decision, takes it in and keeps it.
    pub(crate) fn sign(&mut self, organisation: OrganisationId, act: Act, key: &SigningKey) -> Result<(), Problem> {
        sign(&self.db, &mut self.membership, organisation, act, key)
    }
}

impl Organisation {
    /// A decision of the administrator, in a transaction. Where that fails the caller has the membership before to put back.
    pub(crate) fn sign(&self, db: &Connection, membership: &mut Arc<Membership>, act: &Act) -> Result<(), Problem> {
        sign(db, membership, self.id(), act.clone(), &self.administrator_key)
    }

    /// Who may do what.
    pub fn membership(&self) -> Result<Arc<Membership>, Problem> {
        if self.databases.are_shared() {
            return Ok(self.current()?.membership.clone());
        }
        Ok(self.told_membership.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Entries after what a device holds: the number of the first, the entries, and whether there are more. A device whose entries are not
    /// ours gets them from the first.
    pub fn membership_after(&self, after: Cursor, limit: usize) -> Result<(u64, Vec<SignedEntry>, bool), Problem> {
        let start = Membership::start(self.id());
        self.read(|db| {
            let known = if after.sequence == 0 {
                after.chain == start.chain
            } else {
                let statement = db.prepare("SELECT chain FROM membership WHERE position = ?1");
                let chain: Option<[u8; 32]> =
                    crate::database::OptionalExtension::optional(statement.query_row([after.sequence as i64], |row| row.get(0)))?;
                chain.map(Hash) == Some(after.chain)
            };
            let from = if known { after.sequence } else { 0 };
            let statement = db.prepare("SELECT bytes FROM membership WHERE position > ?1 ORDER BY position LIMIT ?2");
            let rows =
                statement.query_map(params![from as i64, (limit as i64).saturating_add(1)], |row| row.get::<Vec<u8>>(0))?;
            let mut entries = Vec::new();
            for bytes in rows {
                entries.push(SignedEntry::decode(&bytes?)?);
            }
            let more = entries.len() > limit;
            entries.truncate(limit);
            Ok((from + 1, entries, more))
        })
    }
}
