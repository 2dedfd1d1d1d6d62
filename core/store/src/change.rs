//! Records' changes, the envelopes that they travel in, and what has been decided of them.
//!
//! A change made here is unsealed (it has no envelope) until a sync seals it with others; it counts as unsent until the server's
//! verdict accepts it. A document is made of the changes whose state is [`ChangeState::New`], `Durable` or `Accepted`.

use karwan_proto::Role;
use karwan_proto::ids::{CaseloadId, DeviceId, Hash, IncarnationId, PersonId, RecordId};
use rusqlite::{OptionalExtension, Row, params};

use crate::error::StoreError;
use crate::store::Batch;
use crate::view::View;

/// What has become of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeState {
    /// Made here, not known to be at the server.
    New = 0,
    /// The server has it on disk, and has not judged it yet.
    Durable = 1,
    /// Part of the record everywhere.
    Accepted = 2,
    /// Waits for a supervisor.
    Waiting = 3,
    /// Refused with a reason; kept.
    Quarantined = 4,
    /// Made here, and written again under another incarnation: never sent.
    Superseded = 5,
    /// Erased by order.
    Erased = 6,
    /// Made here, and to be written again before it counts.
    Aside = 7,
}

impl ChangeState {
    fn of(number: i64) -> Result<Self, StoreError> {
        Ok(match number {
            0 => Self::New,
            1 => Self::Durable,
            2 => Self::Accepted,
            3 => Self::Waiting,
            4 => Self::Quarantined,
            5 => Self::Superseded,
            6 => Self::Erased,
            7 => Self::Aside,
            _ => return Err(StoreError::Content { what: "state of a change" }),
        })
    }
}

/// Who made a change, where and when: what its envelope says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The device.
    pub device: DeviceId,
    /// The device's incarnation.
    pub incarnation: IncarnationId,
    /// The person.
    pub person: PersonId,
    /// The device's clock, milliseconds since 1970.
    pub at_ms: i64,
    /// The device's offset from UTC in minutes.
    pub offset_minutes: i32,
    /// In which role, when the change was made or came.
    pub role: Role,
}

/// A change as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// Its name.
    pub hash: Hash,
    /// Automerge's uncompressed bytes.
    pub bytes: Vec<u8>,
    /// Made on this device.
    pub own: bool,
    /// The envelope that it is in, once sealed.
    pub envelope: Option<Hash>,
    /// What has become of it.
    pub state: ChangeState,
    /// Who, where, when.
    pub origin: Origin,
}

/// A change with the record that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedChange {
    /// The record.
    pub record: RecordId,
    /// The record's generation.
    pub generation: u32,
    /// The change.
    pub change: StoredChange,
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its caseload.
    pub caseload: CaseloadId,
    /// Its generation.
    pub generation: u32,
}

/// What has become of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeState {
    /// Sealed here and not known to be at the server.
    ToOffer = 0,
    /// On the server's disk.
    Durable = 1,
    /// In the caseload's log, with a verdict.
    Judged = 2,
    /// Refused as a whole.
    Refused = 3,
}

/// An envelope as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnvelope {
    /// Its name.
    pub hash: Hash,
    /// The caseload.
    pub caseload: CaseloadId,
    /// As signed and encoded.
    pub bytes: Vec<u8>,
    /// Sealed on this device.
    pub own: bool,
    /// What has become of it.
    pub state: EnvelopeState,
    /// Its place in the caseload's log.
    pub sequence: Option<u64>,
    /// Its device's counter.
    pub counter: u64,
    /// How many changes it carries.
    pub changes: u32,
    /// The author's role, as the log says; unknown until it is judged.
    pub role: Option<Role>,
    /// Its place in a log that the server has no more.
    pub earlier: Option<u64>,
}

const COLUMNS: &str =
    "hash, bytes, own, envelope, state, device, incarnation, person, at_ms, offset_minutes, record, generation, role";

fn placed(row: &Row<'_>) -> rusqlite::Result<(PlacedChange, i64)> {
    let change = StoredChange {
        hash: Hash(row.get(0)?),
        bytes: row.get(1)?,
        own: row.get(2)?,
        envelope: row.get::<_, Option<[u8; 32]>>(3)?.map(Hash),
        state: ChangeState::New,
        origin: Origin {
            device: DeviceId(row.get(5)?),
            incarnation: IncarnationId(row.get(6)?),
            person: PersonId(row.get(7)?),
            at_ms: row.get(8)?,
            offset_minutes: row.get(9)?,
            role: Role::of_number(row.get::<_, i64>(12)? as u64).unwrap_or(Role::Enumerator),
        },
    };
    Ok((PlacedChange { record: RecordId(row.get(10)?), generation: row.get(11)?, change }, row.get(4)?))
}

impl View<'_> {
    /// Where a record is; `None` where this device has no such record.
    pub fn record_place(&self, record: RecordId) -> Result<Option<RecordPlace>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT caseload, generation FROM record WHERE id = ?1")?;
        let place =
            statement.query_row([record.0], |row| Ok(RecordPlace { caseload: CaseloadId(row.get(0)?), generation: row.get(1)? }));
        Ok(place.optional()?)
    }

    /// Changes that make up a record's document, in the order in which they came.
    pub fn changes_of(&self, record: RecordId) -> Result<Vec<StoredChange>, StoreError> {
        let tail =
            "WHERE record = ?1 AND state <= 2 AND generation = (SELECT generation FROM record WHERE id = ?1) ORDER BY number";
        Ok(self.select(tail, [record.0])?.into_iter().map(|placed| placed.change).collect())
    }

    /// All changes of a record, the refused and superseded ones too.
    pub fn all_changes_of(&self, record: RecordId) -> Result<Vec<StoredChange>, StoreError> {
        Ok(self.select("WHERE record = ?1 ORDER BY number", [record.0])?.into_iter().map(|placed| placed.change).collect())
    }

    /// Whether a change is here, in whatever state.
    pub fn has_change(&self, record: RecordId, hash: Hash) -> Result<bool, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT 1 FROM change WHERE record = ?1 AND hash = ?2")?;
        Ok(statement.exists(params![record.0, hash.0])?)
    }

    /// Changes made here that no envelope holds yet, oldest first, of one caseload.
    pub fn unsealed(&self, caseload: CaseloadId, limit: usize) -> Result<Vec<PlacedChange>, StoreError> {
        self.select(
            "WHERE own = 1 AND envelope IS NULL AND state = 0 AND record IN (SELECT id FROM record WHERE caseload = ?1) ORDER BY number LIMIT ?2",
            params![caseload.0, limit as i64],
        )
    }

    /// Changes made here, under whatever incarnation, that no envelope holds yet.
    pub fn all_unsealed(&self) -> Result<Vec<PlacedChange>, StoreError> {
        self.select("WHERE own = 1 AND envelope IS NULL AND state = 0 ORDER BY number", [])
    }

    /// Changes of one envelope.
    pub fn changes_in(&self, envelope: Hash) -> Result<Vec<PlacedChange>, StoreError> {
        self.select("WHERE envelope = ?1 ORDER BY number", [envelope.0])
    }

    pub(crate) fn select(&self, tail: &str, parameters: impl rusqlite::Params) -> Result<Vec<PlacedChange>, StoreError> {
        let mut statement = self.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM change {tail}"))?;
        let rows = statement.query_map(parameters, placed)?;
        rows.map(|row| {
            let (mut found, state) = row?;
            found.change.state = ChangeState::of(state)?;
            Ok(found)
        })
        .collect()
    }

    /// How many records have changes that the server has not accepted.
    pub fn unsent_records(&self) -> Result<u64, StoreError> {
        let text = "SELECT count(*) FROM (SELECT record FROM change WHERE own = 1 AND state < 2 \
                    UNION SELECT record FROM change WHERE own = 0 AND state < 2)";
        Ok(self.sql.query_row(text, [], |row| row.get::<_, i64>(0))? as u64)
    }

    /// How many changes made here the server has not accepted.
    pub fn unsent_changes(&self) -> Result<u64, StoreError> {
        Ok(self.sql.query_row("SELECT count(*) FROM change WHERE own = 1 AND state < 2", [], |row| row.get::<_, i64>(0))? as u64)
    }

    /// How many envelopes sealed here are at the server and not in a backup of it yet.
    pub fn not_backed_up(&self) -> Result<u64, StoreError> {
        let text = "SELECT count(*) FROM envelope LEFT JOIN caseload ON caseload.id = envelope.caseload
                    WHERE envelope.own = 1 AND envelope.state IN (1, 2)
                    AND (envelope.sequence IS NULL OR envelope.sequence > coalesce(caseload.backed_up, 0))";
        Ok(self.sql.query_row(text, [], |row| row.get::<_, i64>(0))? as u64)
    }

    /// Whether a record has changes that the server has not accepted: made here, or given by another device.
    pub fn is_unsent(&self, record: RecordId) -> Result<bool, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT 1 FROM change WHERE record = ?1 AND own = 1 AND state < 2")?;
        Ok(statement.exists([record.0])? || self.is_provisional(record)?)
    }

    /// All records, for rebuilding projections.
    pub fn records(&self) -> Result<Vec<RecordId>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT id FROM record ORDER BY number")?;
        Ok(statement.query_map([], |row| row.get(0).map(RecordId))?.collect::<Result<_, _>>()?)
    }

    /// One envelope.
    pub fn envelope(&self, hash: Hash) -> Result<Option<StoredEnvelope>, StoreError> {
        Ok(self.envelopes("WHERE hash = ?1", [hash.0])?.pop())
    }

    /// Envelopes that are not known to be at the server and that no other device has, in the order of their counters.
    pub fn envelopes_to_offer(&self, caseload: CaseloadId) -> Result<Vec<StoredEnvelope>, StoreError> {
        let tail = "WHERE caseload = ?1 AND state = 0 AND earlier IS NULL AND shared = 0 ORDER BY counter";
        self.envelopes(tail, [caseload.0])
    }

    /// Names of envelopes that lay in a log which the server has no more, in the order of that log.
    pub fn envelopes_to_offer_again(&self, caseload: CaseloadId) -> Result<Vec<Hash>, StoreError> {
        let text = "SELECT hash FROM envelope WHERE caseload = ?1 AND state = 0 AND earlier IS NOT NULL ORDER BY earlier";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows = statement.query_map([caseload.0], |row| row.get(0).map(Hash))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What this device's own gate could not apply, in the order of the log: envelope and record.
    pub fn not_applied(&self) -> Result<Vec<(Hash, RecordId)>, StoreError> {
        let text = "SELECT envelope, record FROM verdict WHERE verdict = ?1 ORDER BY sequence";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows = statement.query_map([crate::erase::SET_ASIDE], |row| Ok((Hash(row.get(0)?), RecordId(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Words and reasons of the verdicts on an envelope's records.
    pub fn verdicts_on(&self, envelope: Hash) -> Result<Vec<(RecordId, String, String)>, StoreError> {
        let mut statement =
            self.sql.prepare_cached("SELECT record, verdict, reason FROM verdict WHERE envelope = ?1 ORDER BY record")?;
        let rows = statement.query_map([envelope.0], |row| Ok((RecordId(row.get(0)?), row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn envelopes(&self, tail: &str, parameters: impl rusqlite::Params) -> Result<Vec<StoredEnvelope>, StoreError> {
        let text =
            format!("SELECT hash, caseload, bytes, own, state, sequence, counter, changes, role, earlier FROM envelope {tail}");
        let mut statement = self.sql.prepare_cached(&text)?;
        let rows = statement.query_map(parameters, |row| {
            Ok(StoredEnvelope {
                hash: Hash(row.get(0)?),
                caseload: CaseloadId(row.get(1)?),
                bytes: row.get(2)?,
                own: row.get(3)?,
                state: match row.get::<_, i64>(4)? {
                    0 => EnvelopeState::ToOffer,
                    1 => EnvelopeState::Durable,
                    2 => EnvelopeState::Judged,
                    _ => EnvelopeState::Refused,
                },
                sequence: row.get::<_, Option<i64>>(5)?.map(|sequence| sequence as u64),
                counter: row.get::<_, i64>(6)? as u64,
                changes: row.get(7)?,
                role: row.get::<_, Option<i64>>(8)?.and_then(|number| Role::of_number(number as u64)),
                earlier: row.get::<_, Option<i64>>(9)?.map(|sequence| sequence as u64),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Batch<'_> {
    /// Keeps where a record is; the first to say so wins.
    pub fn put_record(&self, record: RecordId, place: RecordPlace) -> Result<(), StoreError> {
        let mut statement =
            self.transaction.prepare_cached("INSERT OR IGNORE INTO record(id, caseload, generation) VALUES(?1, ?2, ?3)")?;
        statement.execute(params![record.0, place.caseload.0, place.generation])?;
        Ok(())
    }

    /// Keeps a change; `false` where it was here already (then only its envelope is noted).
    pub fn put_change(&self, record: RecordId, generation: u32, change: &StoredChange) -> Result<bool, StoreError> {
        let text = "INSERT OR IGNORE INTO change(hash, bytes, own, envelope, state, device, incarnation, person, at_ms, offset_minutes, record, generation, role)
                    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let mut statement = self.transaction.prepare_cached(text)?;
        let origin = &change.origin;
        let added = statement.execute(params![
            change.hash.0,
            change.bytes,
            change.own,
            change.envelope.map(|hash| hash.0),
            change.state as i64,
            origin.device.0,
            origin.incarnation.0,
            origin.person.0,
            origin.at_ms,
            origin.offset_minutes,
            record.0,
            generation,
            origin.role.number() as i64,
        ])?;
        if added == 0 {
            let text = "UPDATE change SET envelope = coalesce(envelope, ?3) WHERE record = ?1 AND hash = ?2";
            self.transaction.prepare_cached(text)?.execute(params![
                record.0,
                change.hash.0,
                change.envelope.map(|hash| hash.0)
            ])?;
        } else {
            self.note_attachments(record, &change.bytes)?;
        }
        Ok(added == 1)
    }

    /// Notes which envelope a change was sealed into.
    pub fn seal_change(&self, record: RecordId, hash: Hash, envelope: Hash) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached("UPDATE change SET envelope = ?3 WHERE record = ?1 AND hash = ?2")?;
        statement.execute(params![record.0, hash.0, envelope.0])?;
        Ok(())
    }

    /// Changes the state of one change.
    pub fn set_change_state(&self, record: RecordId, hash: Hash, state: ChangeState) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached("UPDATE change SET state = ?3 WHERE record = ?1 AND hash = ?2")?;
        statement.execute(params![record.0, hash.0, state as i64])?;
        Ok(())
    }

    /// Changes the state of an envelope's changes, of one record or of all; gives the records that this concerns. What was written again, or is
    /// to be, changes only where it counts after all.
    pub fn set_envelope_changes(
        &self,
        envelope: Hash,
        record: Option<RecordId>,
        state: ChangeState,
    ) -> Result<Vec<RecordId>, StoreError> {
        let mut concerned = Vec::new();
        {
            let text = "SELECT DISTINCT record FROM change WHERE envelope = ?1 AND state != ?2 AND (state NOT IN (5, 7) OR ?2 = 2) AND (?3 IS NULL OR record = ?3)";
            let mut statement = self.transaction.prepare_cached(text)?;
            let rows = statement
                .query_map(params![envelope.0, state as i64, record.map(|record| record.0)], |row| row.get(0).map(RecordId))?;
            for row in rows {
                concerned.push(row?);
            }
        }
        let text = "UPDATE change SET state = ?2 WHERE envelope = ?1 AND (state NOT IN (5, 7) OR ?2 = 2) AND (?3 IS NULL OR record = ?3)";
        self.transaction.prepare_cached(text)?.execute(params![envelope.0, state as i64, record.map(|record| record.0)])?;
        Ok(concerned)
    }

    /// Keeps an envelope; one that is here already keeps its state unless the new one is further.
    pub fn put_envelope(&self, envelope: &StoredEnvelope) -> Result<(), StoreError> {
        let text = "INSERT INTO envelope(hash, caseload, bytes, own, state, sequence, counter, changes, role) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                    ON CONFLICT(hash) DO UPDATE SET state = max(state, excluded.state), earlier = NULL, role = coalesce(excluded.role, role),
                        sequence = CASE WHEN caseload = excluded.caseload THEN coalesce(excluded.sequence, sequence) ELSE sequence END";
        let mut statement = self.transaction.prepare_cached(text)?;
        statement.execute(params![
            envelope.hash.0,
            envelope.caseload.0,
            envelope.bytes,
            envelope.own,
            envelope.state as i64,
            envelope.sequence.map(|sequence| sequence as i64),
            envelope.counter as i64,
            envelope.changes,
            envelope.role.map(|role| role.number() as i64),
        ])?;
        Ok(())
    }

    /// Keeps another copy of an envelope that is here: what one of them has pruned and the other holds is here afterwards.
    pub fn set_envelope_bytes(&self, hash: Hash, bytes: &[u8]) -> Result<(), StoreError> {
        self.transaction.prepare_cached("UPDATE envelope SET bytes = ?2 WHERE hash = ?1")?.execute(params![hash.0, bytes])?;
        Ok(())
    }

    /// Notes that the log has an envelope at this place, written in this role; its changes count in it. Gives the records whose changes
    /// counted in another role before.
    pub fn set_envelope_judged(&self, hash: Hash, sequence: u64, role: Role) -> Result<Vec<RecordId>, StoreError> {
        let text = "UPDATE envelope SET state = ?2, sequence = ?3, role = ?4, earlier = NULL WHERE hash = ?1";
        let parameters = params![hash.0, EnvelopeState::Judged as i64, sequence as i64, role.number() as i64];
        self.transaction.prepare_cached(text)?.execute(parameters)?;
        let text = "UPDATE change SET role = ?2 WHERE envelope = ?1 AND role != ?2 RETURNING record";
        let mut statement = self.transaction.prepare_cached(text)?;
        let rows = statement.query_map(params![hash.0, role.number() as i64], |row| row.get(0).map(RecordId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes what became of an envelope, and its place in the log where that is known.
    pub fn set_envelope_state(&self, hash: Hash, state: EnvelopeState, sequence: Option<u64>) -> Result<(), StoreError> {
        let text = "UPDATE envelope SET state = ?2, sequence = coalesce(?3, sequence) WHERE hash = ?1";
        self.transaction.prepare_cached(text)?.execute(params![
            hash.0,
            state as i64,
            sequence.map(|sequence| sequence as i64)
        ])?;
        Ok(())
    }

    /// Goes back to a point of a caseload's log that the server has no more: what lay above is to be offered again.
    pub fn rewind_envelopes(&self, caseload: CaseloadId, sequence: u64) -> Result<(), StoreError> {
        let judged = "UPDATE envelope SET state = 0, earlier = sequence, sequence = NULL WHERE caseload = ?1 AND state = 2 AND sequence > ?2";
        self.transaction.prepare_cached(judged)?.execute(params![caseload.0, sequence as i64])?;
        self.offer_again(caseload)?;
        Ok(())
    }

    /// What the server confirmed and its log does not name is to be offered again.
    pub fn offer_again(&self, caseload: CaseloadId) -> Result<bool, StoreError> {
        let text = "UPDATE envelope SET state = 0, sequence = NULL WHERE caseload = ?1 AND state = 1";
        Ok(self.transaction.prepare_cached(text)?.execute([caseload.0])? > 0)
    }

    /// The log begins to say something of a record's changes in an envelope: what another log said is no more.
    pub fn clear_verdict(&self, envelope: Hash, record: RecordId) -> Result<(), StoreError> {
        let text = "DELETE FROM verdict WHERE envelope = ?1 AND record = ?2";
        self.transaction.prepare_cached(text)?.execute(params![envelope.0, record.0])?;
        Ok(())
    }

    /// Keeps a verdict; whatever was said of the same record of the same envelope gives way to it.
    pub fn put_verdict(
        &self,
        envelope: Hash,
        record: RecordId,
        verdict: &str,
        reason: &str,
        sequence: u64,
    ) -> Result<(), StoreError> {
        let text = "INSERT INTO verdict(envelope, record, verdict, reason, sequence) VALUES(?1, ?2, ?3, ?4, ?5)
                    ON CONFLICT(envelope, record) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, sequence = excluded.sequence";
        self.transaction.prepare_cached(text)?.execute(params![envelope.0, record.0, verdict, reason, sequence as i64])?;
        Ok(())
    }

    /// What the log accepted could not be applied yet: it is tried again, however late in the log the acceptance came.
    pub fn put_aside(&self, envelope: Hash, record: RecordId, reason: &str, sequence: u64) -> Result<(), StoreError> {
        let text = "INSERT INTO verdict(envelope, record, verdict, reason, sequence) VALUES(?1, ?2, ?3, ?4, ?5)
                    ON CONFLICT(envelope, record) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason";
        let word = crate::erase::SET_ASIDE;
        self.transaction.prepare_cached(text)?.execute(params![envelope.0, record.0, word, reason, sequence as i64])?;
        Ok(())
    }

    /// What had been set aside was applied: `word` is the log's own.
    pub fn apply_aside(&self, envelope: Hash, record: RecordId, word: &str) -> Result<(), StoreError> {
        let text = "UPDATE verdict SET verdict = ?4, reason = '' WHERE envelope = ?1 AND record = ?2 AND verdict = ?3";
        self.transaction.prepare_cached(text)?.execute(params![envelope.0, record.0, crate::erase::SET_ASIDE, word])?;
        Ok(())
    }
}
