//! The log of each caseload: an append-only, chained sequence of entries; envelopes taken apart by record and encrypted, and put
//! together again for each device.

pub(crate) mod cache;
pub(crate) mod decided;
pub mod ingest;
mod payload;
pub mod queue;
pub(crate) mod recent;
pub mod recovery;
mod sealing;

use std::collections::{BTreeMap, BTreeSet};

use karwan_proto::limits::MAX_DEFINITIONS_BYTES;
use karwan_proto::membership::Cut;
use karwan_proto::session::Delivered;
use karwan_proto::{
    CaseloadId, Cursor, DeviceId, Envelope, Hash, IncarnationId, Item, LogEntry, PersonId, Reason, RecordId, Role, Signature,
    SignedHeader, Verdict,
};
use karwan_record::{Provenance, SourcedChange, generation};

use crate::database::{Connection, OptionalExtension, Transaction, params};
use crate::organisation::Organisation;
use crate::problem::Problem;

/// Begins a caseload's log.
pub(crate) fn begin(db: &Connection, caseload: CaseloadId) -> Result<(), Problem> {
    let start = Cursor::start_of(caseload);
    db.execute("INSERT INTO caseload(id, head, chain) VALUES(?1, 0, ?2)", params![caseload.0, start.chain.0])?;
    Ok(())
}

/// Where a caseload's log ends.
pub(crate) fn head(db: &Connection, caseload: CaseloadId) -> Result<Option<Cursor>, Problem> {
    let statement = db.prepare("SELECT head, chain FROM caseload WHERE id = ?1");
    let row = statement.query_row([caseload.0], |row| Ok((row.get::<i64>(0)?, row.get(1)?))).optional()?;
    Ok(row.map(|(sequence, chain)| Cursor { sequence: sequence as u64, chain: Hash(chain) }))
}

/// Ends of all logs, as cuts.
pub(crate) fn cuts(db: &Connection) -> Result<Vec<Cut>, Problem> {
    let statement = db.prepare("SELECT id, head FROM caseload ORDER BY id");
    let rows =
        statement.query_map((), |row| Ok(Cut { caseload: CaseloadId(row.get(0)?), sequence: row.get::<i64>(1)? as u64 }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Appends an entry; gives its number.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    entry: &LogEntry,
    envelope: Option<Hash>,
) -> Result<u64, Problem> {
    let head = head(transaction, caseload)?
        .ok_or_else(|| Problem::input("no-such-caseload", "no such caseload", "See the caseloads: karwan caseload list ORG."))?;
    let bytes = entry.encode();
    let next = head.after(&bytes);
    let statement =
        transaction.prepare("INSERT INTO entry(caseload, sequence, bytes, chain, envelope) VALUES(?1, ?2, ?3, ?4, ?5)");
    statement.put(params![caseload.0, next.sequence as i64, bytes, next.chain.0, envelope.map(|hash| hash.0)])?;
    let statement = transaction.prepare("UPDATE caseload SET head = ?2, chain = ?3 WHERE id = ?1");
    statement.put(params![caseload.0, next.sequence as i64, next.chain.0])?;
    Ok(next.sequence)
}

/// One page of a log for a device.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// Entries, with envelopes where the device did not make them.
    pub entries: Vec<Delivered>,
    /// Definitions of the forms that they say are to be filled.
    pub definitions: Vec<Vec<u8>>,
    /// Last entry of the log.
    pub head: u64,
    /// Up to which entry the log is backed up.
    pub backed_up: u64,
    /// How long the membership log was.
    pub membership_length: u64,
}

/// Changes of a record that are not accepted.
#[derive(Debug, Clone)]
pub struct JudgedRow {
    /// Their envelope.
    pub envelope: Hash,
    /// The device.
    pub device: DeviceId,
    /// The person.
    pub person: PersonId,
    /// The device's clock, in milliseconds since 1970.
    pub at_ms: i64,
    /// The device's offset from UTC, in minutes.
    pub offset_minutes: i32,
    /// What was decided.
    pub verdict: Verdict,
}

fn verdict_of(kind: i64, reason: i64) -> Verdict {
    let reason = Reason::of_number(reason as u64);
    match kind {
        1 => Verdict::Waiting(reason),
        2 => Verdict::Quarantined(reason),
        3 => Verdict::Erased,
        _ => Verdict::Accepted,
    }
}

pub(crate) fn signed_header(header: Vec<u8>, signature: [u8; 64]) -> Result<SignedHeader, Problem> {
    Ok(SignedHeader::new(header, Signature(signature))?)
}

impl Organisation {
    /// Entries of a caseload's log after a point, for whoever projects them.
    pub fn log_after(&self, caseload: CaseloadId, sequence: u64, limit: usize) -> Result<Vec<(Cursor, LogEntry)>, Problem> {
        self.read(|db| {
            let statement = db.prepare(
                "SELECT sequence, chain, bytes FROM entry WHERE caseload = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
            );
            let rows = statement.query(params![caseload.0, sequence as i64, limit as i64])?;
            let mut entries = Vec::new();
            for row in rows {
                let cursor = Cursor { sequence: row.get::<i64>(0)? as u64, chain: Hash(row.get(1)?) };
                let bytes: Vec<u8> = row.get(2)?;
                entries.push((cursor, LogEntry::decode(&bytes)?));
            }
            Ok(entries)
        })
    }

    /// Where each log ends.
    pub fn heads(&self) -> Result<Vec<(CaseloadId, Cursor)>, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT id, head, chain FROM caseload ORDER BY rowid");
            let rows = statement.query_map((), |row| {
                let cursor = Cursor { sequence: row.get::<i64>(1)? as u64, chain: Hash(row.get(2)?) };
                Ok((CaseloadId(row.get(0)?), cursor))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Entries for a device; `None` where the log has not the chain that the device claims.
    pub(crate) fn page(
        &self,
        caseload: CaseloadId,
        after: Cursor,
        own: (DeviceId, IncarnationId),
        limits: (usize, usize),
    ) -> Result<Option<LogPage>, Problem> {
        let (limit_bytes, limit) = limits;
        let page = self.read(|db| {
            // One transaction: head, chain and entries of one moment.
            let transaction = db.snapshot()?;
            let head = head(&transaction, caseload)?;
            let Some(head) = head else { return Ok(None) };
            let known = if after.sequence == 0 {
                after == Cursor::start_of(caseload)
            } else {
                let statement = transaction.prepare("SELECT chain FROM entry WHERE caseload = ?1 AND sequence = ?2");
                let chain: Option<[u8; 32]> =
                    statement.query_row(params![caseload.0, after.sequence as i64], |row| row.get(0)).optional()?;
                chain.map(Hash) == Some(after.chain)
            };
            if !known {
                return Ok(None);
            }
            let backed_up: i64 =
                transaction.query_row("SELECT backed_up FROM caseload WHERE id = ?1", [caseload.0], |row| row.get(0))?;
            let membership: i64 =
                transaction.query_row("SELECT coalesce(max(position), 0) FROM membership", (), |row| row.get(0))?;
            let mut entries = Vec::new();
            let mut bytes_total = 0usize;
            {
                let statement = transaction.prepare(
                    "SELECT entry.bytes, entry.envelope, envelope.device, envelope.incarnation FROM entry \
                     LEFT JOIN envelope ON envelope.hash = entry.envelope \
                     WHERE entry.caseload = ?1 AND entry.sequence > ?2 ORDER BY entry.sequence LIMIT ?3",
                );
                let rows = statement.query(params![caseload.0, after.sequence as i64, limit as i64])?;
                for row in rows {
                    let bytes: Vec<u8> = row.get(0)?;
                    let envelope: Option<[u8; 32]> = row.get(1)?;
                    let device: Option<[u8; 16]> = row.get(2)?;
                    let incarnation: Option<[u8; 16]> = row.get(3)?;
                    let is_own = device == Some(own.0.0) && incarnation == Some(own.1.0);
                    let opened = match envelope {
                        // Of a record that moved here the device that wrote it may have let go.
                        Some(_) => opened(&bytes)?,
                        None => None,
                    };
                    let envelope = match envelope.filter(|_| !is_own || opened.is_some()).map(Hash) {
                        Some(hash) => match self.as_it_came(&transaction, hash, caseload)?.filter(|_| opened.is_none()) {
                            Some(came) => Some(came),
                            None => self.assemble(&transaction, hash, caseload, opened)?,
                        },
                        None => None,
                    };
                    bytes_total += bytes.len() + envelope.as_ref().map_or(0, Vec::len);
                    if !entries.is_empty() && bytes_total > limit_bytes {
                        break;
                    }
                    entries.push(Delivered { entry: bytes, envelope });
                }
            }
            let (backed_up, membership_length) = (backed_up as u64, membership as u64);
            Ok(Some(LogPage { entries, definitions: Vec::new(), head: head.sequence, backed_up, membership_length }))
        })?;
        let Some(mut page) = page else { return Ok(None) };
        page.definitions = self.definitions(&page.entries)?;
        Ok(Some(page))
    }

    /// Definitions of the forms that entries say are to be filled, as many as may be told before them.
    fn definitions(&self, entries: &[Delivered]) -> Result<Vec<Vec<u8>>, Problem> {
        let mut named = BTreeSet::new();
        for delivered in entries.iter().filter(|delivered| delivered.envelope.is_none()) {
            // A device that is told that a form is retired was told before that it is to be filled.
            if let LogEntry::Form { definition, retired: false, .. } = LogEntry::decode(&delivered.entry)? {
                named.insert(definition);
            }
        }
        let mut definitions = Vec::new();
        let mut bytes_total = 0;
        for hash in named {
            let Some(bytes) = self.blob(hash)? else { continue };
            bytes_total += bytes.len();
            if bytes_total > MAX_DEFINITIONS_BYTES {
                break;
            }
            definitions.push(bytes);
        }
        Ok(definitions)
    }

    /// The newest of a device's points that the log has.
    pub(crate) fn common(&self, caseload: CaseloadId, points: &[Cursor]) -> Result<Cursor, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT chain FROM entry WHERE caseload = ?1 AND sequence = ?2");
            for point in points {
                let chain: Option<[u8; 32]> =
                    statement.query_row(params![caseload.0, point.sequence as i64], |row| row.get(0)).optional()?;
                if chain.map(Hash) == Some(point.chain) {
                    return Ok(*point);
                }
            }
            Ok(Cursor::start_of(caseload))
        })
    }

    /// Envelopes of a caseload by name, those that there are.
    pub(crate) fn envelopes(&self, caseload: CaseloadId, hashes: &[Hash]) -> Result<Vec<Vec<u8>>, Problem> {
        self.read(|db| {
            let mut found = Vec::new();
            for hash in hashes {
                let statement = db.prepare("SELECT 1 FROM envelope WHERE hash = ?1 AND caseload = ?2");
                if statement.exists(params![hash.0, caseload.0])? {
                    found.extend(self.assemble(db, *hash, caseload, None)?);
                }
            }
            Ok(found)
        })
    }

    /// An envelope as it came a moment ago, where all that was in it is still there, in this caseload.
    fn as_it_came(&self, db: &Connection, hash: Hash, caseload: CaseloadId) -> Result<Option<Vec<u8>>, Problem> {
        let Some(came) = self.recent().envelope(hash) else { return Ok(None) };
        let statement = db.prepare("SELECT count(*) FROM change WHERE envelope = ?1 AND caseload = ?2");
        let changes: i64 = statement.query_row(params![hash.0, caseload.0], |row| row.get(0))?;
        Ok((changes as usize == came.changes).then(|| came.bytes.to_vec()))
    }

    /// An envelope from the parts that are kept, with what a caseload's devices may read of it, and of that one record where one is named.
    fn assemble(
        &self,
        db: &Connection,
        hash: Hash,
        caseload: CaseloadId,
        only: Option<RecordId>,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let open = |record, generation, payload: &[u8]| self.open_payload(record, generation, payload);
        let Some(parts) = parts(db, hash, self.salts(hash)?, &open)? else { return Ok(None) };
        let Parts { mut envelope, caseloads } = parts;
        let others: Vec<usize> = envelope
            .items()
            .iter()
            .enumerate()
            .filter(|(position, item)| {
                let here = caseloads.get(position).is_none_or(|stands| *stands == caseload);
                let wanted = only.is_none() || item.record() == only;
                item.record().is_some() && !(here && wanted)
            })
            .map(|(position, _)| position)
            .collect();
        if !others.is_empty() {
            envelope.prune(&others)?;
        }
        Ok(Some(envelope.encode_with(karwan_proto::dictionary::Effort::Quick)))
    }

    /// Records that the envelopes between two points of a log touch, each with the number of the newest entry that does.
    pub fn records_between(&self, caseload: CaseloadId, after: u64, up_to: u64) -> Result<BTreeMap<RecordId, u64>, Problem> {
        self.read(|db| {
            let statement = db.prepare(
                "SELECT change.record, max(entry.sequence) FROM entry JOIN change ON change.envelope = entry.envelope \
                 WHERE entry.caseload = ?1 AND entry.sequence > ?2 AND entry.sequence <= ?3 AND change.caseload = ?1 \
                 GROUP BY change.record",
            );
            let rows = statement.query_map(params![caseload.0, after as i64, up_to as i64], |row| {
                Ok((RecordId(row.get(0)?), row.get::<i64>(1)? as u64))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Accepted changes of a record, in the order in which they came.
    pub fn changes_of(&self, caseload: CaseloadId, record: RecordId) -> Result<Vec<SourcedChange>, Problem> {
        self.read(|db| accepted(db, caseload, record, &|generation, payload| self.open_payload(record, generation, payload)))
    }

    /// Whether anything at all is not accepted.
    pub(crate) fn has_judged(&self) -> Result<bool, Problem> {
        self.read(ingest::any_verdict)
    }

    /// What of a record is not accepted.
    pub fn judged(&self, record: RecordId) -> Result<Vec<JudgedRow>, Problem> {
        self.read(|db| {
            let statement = db.prepare(
                "SELECT envelope.hash, envelope.header, envelope.signature, verdict.verdict, verdict.reason FROM verdict \
                 JOIN envelope ON envelope.hash = verdict.envelope WHERE verdict.record = ?1 ORDER BY envelope.sequence",
            );
            let rows = statement.query([record.0])?;
            let mut judged = Vec::new();
            for row in rows {
                let signed = signed_header(row.get(1)?, row.get(2)?)?;
                let header = signed.header();
                judged.push(JudgedRow {
                    envelope: Hash(row.get(0)?),
                    device: header.device,
                    person: header.person,
                    at_ms: header.clock_ms,
                    offset_minutes: header.offset_minutes,
                    verdict: verdict_of(row.get(3)?, row.get(4)?),
                });
            }
            Ok(judged)
        })
    }

    /// The caseload that a record is in.
    pub fn caseload_of(&self, record: RecordId) -> Result<Option<CaseloadId>, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT caseload FROM change WHERE record = ?1 LIMIT 1");
            Ok(statement.query_row([record.0], |row| Ok(CaseloadId(row.get(0)?))).optional()?)
        })
    }
}

/// Who made the changes of an envelope.
pub(crate) fn provenance(signed: &SignedHeader, role: Role) -> Provenance {
    let header = signed.header();
    Provenance {
        device: header.device,
        person: header.person,
        role,
        at_ms: header.clock_ms,
        offset_minutes: header.offset_minutes,
    }
}

/// Decrypts a change of a generation.
type Opener<'a> = dyn Fn(u32, &[u8]) -> Result<Vec<u8>, Problem> + 'a;

/// Accepted changes of a record in the newest generation that is here, decrypted by `open`.
pub(crate) fn accepted(
    db: &Connection,
    caseload: CaseloadId,
    record: RecordId,
    open: &Opener<'_>,
) -> Result<Vec<SourcedChange>, Problem> {
    Ok(placed(db, caseload, record, open)?.into_iter().map(|placed| placed.change).collect())
}

/// An accepted change with where it came.
pub(crate) struct PlacedChange {
    pub change: SourcedChange,
    pub envelope: Hash,
    pub position: u32,
}

/// As [`accepted`], with the envelope and the place in it.
pub(crate) fn placed(
    db: &Connection,
    caseload: CaseloadId,
    record: RecordId,
    open: &Opener<'_>,
) -> Result<Vec<PlacedChange>, Problem> {
    let statement = db.prepare(
        "SELECT change.payload, envelope.header, envelope.signature, envelope.role, change.generation, change.envelope, \
         change.position FROM change JOIN envelope ON envelope.hash = change.envelope \
         LEFT JOIN verdict ON verdict.envelope = change.envelope AND verdict.record = change.record \
         WHERE change.record = ?1 AND change.caseload = ?2 AND verdict.envelope IS NULL \
         AND change.generation = (SELECT max(generation) FROM change WHERE record = ?1) \
         ORDER BY envelope.rowid, change.position",
    );
    let rows = statement.query(params![record.0, caseload.0])?;
    let mut changes = Vec::new();
    for row in rows {
        let payload: Vec<u8> = row.get(0)?;
        let signed = signed_header(row.get(1)?, row.get(2)?)?;
        let role = Role::of_number(row.get::<i64>(3)? as u64).unwrap_or(Role::Enumerator);
        let generation = row.get(4)?;
        let bytes = open(generation, &payload)?;
        // Changes of a later generation were written again by a server, which says whose they are.
        let by = provenance(&signed, role);
        let provenance = if generation > 0 { generation::whose(&bytes, by) } else { by };
        changes.push(PlacedChange {
            change: SourcedChange { bytes, provenance },
            envelope: Hash(row.get(5)?),
            position: row.get(6)?,
        });
    }
    Ok(changes)
}

/// An envelope with the caseload in which each of its changes stands.
pub(crate) struct Parts {
    pub envelope: Envelope,
    pub caseloads: BTreeMap<usize, CaseloadId>,
}

/// Decrypts a change of a generation of a record.
type RecordOpener<'a> = dyn Fn(RecordId, u32, &[u8]) -> Result<Vec<u8>, Problem> + 'a;

/// Puts an envelope together from the parts that are kept.
pub(crate) fn parts(
    db: &Connection,
    hash: Hash,
    salts: karwan_proto::envelope::Salts,
    open: &RecordOpener<'_>,
) -> Result<Option<Parts>, Problem> {
    let statement = db.prepare("SELECT header, signature FROM envelope WHERE hash = ?1");
    let row: Option<(Vec<u8>, [u8; 64])> = statement.query_row([hash.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((header, signature)) = row else { return Ok(None) };
    let mut items: BTreeMap<usize, Item> = BTreeMap::new();
    let mut caseloads = BTreeMap::new();
    let statement = db.prepare("SELECT position, record, generation, payload, caseload FROM change WHERE envelope = ?1");
    let rows = statement.query([hash.0])?;
    for row in rows {
        let position = row.get::<i64>(0)? as usize;
        let (record, generation) = (RecordId(row.get(1)?), row.get(2)?);
        let payload: Vec<u8> = row.get(3)?;
        items.insert(position, Item::Change { record, generation, change: open(record, generation, &payload)? });
        caseloads.insert(position, CaseloadId(row.get(4)?));
    }
    let statement = db.prepare("SELECT position, leaf FROM pruned WHERE envelope = ?1");
    let rows = statement.query([hash.0])?;
    for row in rows {
        items.insert(row.get::<i64>(0)? as usize, Item::Pruned { leaf: Hash(row.get(1)?) });
    }
    let envelope = Envelope::assemble(signed_header(header, signature)?, items.into_values().collect(), salts)?;
    Ok(Some(Parts { envelope, caseloads }))
}

/// The record that an entry says is in this log from here on.
fn opened(entry: &[u8]) -> Result<Option<RecordId>, Problem> {
    match LogEntry::decode(entry)? {
        LogEntry::Opened { record, .. } => Ok(Some(record)),
        _ => Ok(None),
    }
}
