//! Reads the logs into tables for lists, searches, reviews and exports. It derives and authors nothing: its database can be dropped and
//! comes out the same.
//!
//! [`Projector::catch_up`] reads each log from a cursor, finds the records that its entries touch, and has each written once a batch by
//! [`rows`], with the entities that they write to; [`people`] finds who was registered twice. The cursor is committed with the rows.

pub(crate) mod body;
pub(crate) mod follow;
pub(crate) mod people;
pub(crate) mod rows;
mod schema;
pub(crate) mod search;
mod tables_postgres;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use karwan_form::model::Form;
use karwan_proto::{CaseloadId, Cursor, Hash, LogEntry, RecordId};
use karwan_record::Shape;

use crate::database::place::Place;
use crate::database::{Connection, OptionalExtension, Sharing, Transaction, params, postgres};
use crate::organisation::Organisation;
use crate::organisation::folder::Folder;
use crate::organisation::readers::Readers;
use crate::problem::Problem;

/// Entries of a log that are read at a time.
const BATCH_ENTRIES: usize = 64;
/// Records that one transaction writes, and as many more as the last entries that were read for it touch: enough that a page of an index is written
/// once for many records, and few enough that nobody waits long.
const BATCH_RECORDS: usize = 1_000;

/// The tables and how far they are.
pub struct Projector {
    place: Arc<Place>,
    writer: Mutex<Connection>,
    readers: Readers,
    forms: Mutex<BTreeMap<Hash, Arc<KnownForm>>>,
}

/// A form as records are projected under it.
pub(crate) struct KnownForm {
    pub(crate) form: Arc<Form>,
    pub(crate) shape: Shape,
}

impl Projector {
    /// Opens the tables of an organisation; makes them where there are none, and anew where they are of another log.
    pub fn open(organisation: &Organisation) -> Result<Self, Problem> {
        let folder = Folder(organisation.folder().to_path_buf());
        let place = Arc::new(match folder.database_address()? {
            Some(address) => {
                Place::Server(Box::new(postgres::Place::of(&address, tables_postgres::SCHEMA)?), tables_postgres::TABLES)
            }
            None => Place::File(folder.projection(), schema::TABLES),
        });
        let writer = Mutex::new(schema::open(&place)?);
        let projector = Self { readers: Readers::of(place.clone()), place, writer, forms: Mutex::default() };
        {
            let connection = projector.writing()?;
            if !is_of(&connection, organisation)? {
                let transaction = connection.transaction()?;
                schema::clear(&transaction)?;
                transaction.commit()?;
            }
        }
        Ok(projector)
    }

    /// Whether other processes keep the same tables.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(*self.place, Place::Server(..))
    }

    /// Reads what the logs have now and the tables have not; gives how many entries that were. Callers take turns, batch by batch.
    pub fn catch_up(&self, organisation: &Organisation) -> Result<u64, Problem> {
        let (mut entries, mut closed) = (0, false);
        // Up to where the logs are now: this ends also while envelopes keep coming.
        let known = self.read(cursors)?;
        if self.is_shared() {
            organisation.recent().forget_read(&known);
            organisation.recent_taken.notify_all();
        }
        let is_behind = |(log, head): &(CaseloadId, Cursor)| known.get(log).is_none_or(|known| *known < head.sequence);
        let mut behind: VecDeque<(CaseloadId, Cursor)> = organisation.heads()?.into_iter().filter(is_behind).collect();
        while !behind.is_empty() {
            let connection = self.writing()?;
            let transaction = connection.transaction()?;
            let mut batch = Batch { transaction: &transaction, projector: self, organisation, fresh: true, index: Index::new() };
            let mut records = 0;
            while records < BATCH_RECORDS
                && let Some((caseload, head)) = behind.front().copied()
            {
                let from = cursor(&transaction, caseload)?;
                let read = if from.sequence < head.sequence { batch.read(caseload, from)? } else { Read::default() };
                if read.entries == 0 {
                    behind.pop_front();
                }
                entries += read.entries;
                records += read.records;
                closed |= read.closed;
            }
            batch.finish()?;
            transaction.commit()?;
        }
        if closed {
            self.scrub()?;
        }
        Ok(entries)
    }

    /// When the oldest entry came that was not read yet, in milliseconds since 1970; `None` where all were, or none tells when it came.
    pub fn oldest_unread_ms(&self, organisation: &Organisation) -> Result<Option<i64>, Problem> {
        let mut oldest = None;
        let known = self.read(cursors)?;
        for (caseload, head) in organisation.heads()? {
            let from = known.get(&caseload).copied().unwrap_or(0);
            if from >= head.sequence {
                continue;
            }
            let next = organisation.log_after(caseload, from, 1)?;
            let Some((_, LogEntry::Envelope { received_at_ms, .. } | LogEntry::Opened { received_at_ms, .. })) = next.first()
            else {
                continue;
            };
            oldest = Some(oldest.map_or(*received_at_ms, |oldest: i64| oldest.min(*received_at_ms)));
        }
        Ok(oldest)
    }

    /// Drops all tables and reads the logs again from the first entry. Who reads meanwhile sees the old tables.
    pub fn rebuild(&self, organisation: &Organisation) -> Result<u64, Problem> {
        let connection = self.writing()?;
        let transaction = connection.transaction()?;
        schema::clear(&transaction)?;
        let mut entries = 0;
        for (caseload, _) in organisation.heads()? {
            loop {
                // Read again from the log, whatever is known of it.
                let mut batch =
                    Batch { transaction: &transaction, projector: self, organisation, fresh: false, index: Index::new() };
                let read = batch.read(caseload, cursor(&transaction, caseload)?)?;
                batch.finish()?;
                if read.entries == 0 {
                    break;
                }
                entries += read.entries;
            }
        }
        transaction.commit()?;
        Ok(entries)
    }

    /// Leaves nothing of what was deleted in the index and the write-ahead log.
    fn scrub(&self) -> Result<(), Problem> {
        let connection = self.writing()?;
        search::optimise(&connection)?;
        connection.scrub()?;
        Ok(())
    }

    /// All rows as text: two projections of the same logs are equal.
    pub fn dump(&self) -> Result<Vec<String>, Problem> {
        self.readers.read(schema::dump)
    }

    /// Reads the tables.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        self.readers.read(work)
    }

    /// The only one who writes the tables, here and in every other process.
    fn writing(&self) -> Result<Projecting<'_>, Problem> {
        // A transaction that a panic interrupted was rolled back.
        let mut connection = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !connection.is_usable() {
            *connection = self.place.open()?;
        }
        connection.keep_others_out(Sharing::WithAllButProjectors)?;
        Ok(Projecting(connection))
    }

    /// A form as records are projected under it; `None` where it has not come or cannot be read.
    pub(crate) fn form(&self, organisation: &Organisation, hash: Hash) -> Result<Option<Arc<KnownForm>>, Problem> {
        if let Some(known) = self.forms.lock().ok().and_then(|forms| forms.get(&hash).cloned()) {
            return Ok(Some(known));
        }
        let Some(form) = organisation.form(hash)? else { return Ok(None) };
        let known = Arc::new(KnownForm { shape: Shape::of(&form), form });
        if let Ok(mut forms) = self.forms.lock() {
            forms.insert(hash, known.clone());
        }
        Ok(Some(known))
    }
}

/// What one transaction writes.
pub(super) struct Batch<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) projector: &'a Projector,
    pub(super) organisation: &'a Organisation,
    /// Takes records that the gate has just loaded as they are.
    fresh: bool,
    index: Index,
}

impl Batch<'_> {
    /// Reads entries after a point, and writes what they touch; says how many there were.
    fn read(&mut self, caseload: CaseloadId, from: Cursor) -> Result<Read, Problem> {
        let transaction = self.transaction;
        let entries = self.organisation.log_after(caseload, from.sequence, BATCH_ENTRIES)?;
        let Some((to, _)) = entries.last() else { return Ok(Read::default()) };
        // Of each record the entry that brought it, where nothing else touches it.
        let mut touched: BTreeMap<(CaseloadId, RecordId), Option<u64>> = BTreeMap::new();
        let mut received: BTreeMap<u64, i64> = BTreeMap::new();
        let records = self.organisation.records_between(caseload, from.sequence, to.sequence)?;
        touched.extend(records.iter().map(|(record, newest)| ((caseload, *record), Some(*newest))));
        for (point, entry) in &entries {
            match entry {
                LogEntry::Opened { record, received_at_ms, .. } => {
                    touched.insert((caseload, *record), None);
                    received.insert(point.sequence, *received_at_ms);
                }
                LogEntry::Closed { record, .. } | LogEntry::Generation { record, .. } => {
                    touched.insert((caseload, *record), None);
                }
                LogEntry::Verdict { record, decided_at_ms, .. } => {
                    touched.insert((caseload, *record), None);
                    arrived(transaction, caseload, *record, *decided_at_ms)?;
                }
                // Records that came before their form.
                LogEntry::Form { definition, retired: false, .. } => {
                    touched.extend(unread(transaction, *definition)?.into_iter().map(|place| (place, None)));
                }
                LogEntry::Envelope { received_at_ms, .. } => {
                    received.insert(point.sequence, *received_at_ms);
                }
                LogEntry::Form { .. } | LogEntry::Other { .. } => {}
            }
        }
        for (record, newest) in records {
            arrived(transaction, caseload, record, received.get(&newest).copied().unwrap_or(0))?;
        }
        let count = touched.len();
        rows::put_all(self, touched)?;
        transaction
            .prepare(
                "INSERT INTO cursor(caseload, sequence, chain) VALUES(?1, ?2, ?3) \
                ON CONFLICT(caseload) DO UPDATE SET sequence = excluded.sequence, chain = excluded.chain",
            )
            .put(params![caseload.0, to.sequence as i64, to.chain.0])?;
        let closed = entries.iter().any(|(_, entry)| matches!(entry, LogEntry::Closed { .. } | LogEntry::Generation { .. }));
        Ok(Read { entries: entries.len() as u64, records: count, closed })
    }

    /// Writes what the batch makes of the search index. At its end: each statement that may have to be taken back by itself makes the index write
    /// out what it holds so far, and hundreds of small pieces are then merged again and again.
    fn finish(self) -> Result<(), Problem> {
        self.index.into_iter().try_for_each(|(number, folded)| search::write(self.transaction, number, folded.as_deref()))
    }
}

/// What the search index is to hold under a row's number; nothing where the row goes.
type Index = BTreeMap<i64, Option<String>>;

/// The writer's place, held until this is dropped.
struct Projecting<'p>(MutexGuard<'p, Connection>);

impl std::ops::Deref for Projecting<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Projecting<'_> {
    fn drop(&mut self) {
        // A connection that is gone has let others in.
        if let Err(error) = self.0.let_others_in(Sharing::WithAllButProjectors) {
            tracing::warn!(%error, "the projector's place is free when this connection ends");
        }
    }
}

/// What was read of a log.
#[derive(Default)]
struct Read {
    entries: u64,
    records: usize,
    /// Something was erased, or went elsewhere.
    closed: bool,
}

/// Notes when the newest of a record came to count here, by the server's clock.
fn arrived(transaction: &Transaction<'_>, caseload: CaseloadId, record: RecordId, at_ms: i64) -> Result<(), Problem> {
    let statement = transaction.prepare(
        "INSERT INTO arrival(caseload, owner, at_ms) VALUES(?1, ?2, ?3) \
         ON CONFLICT(caseload, owner) DO UPDATE SET at_ms = excluded.at_ms WHERE arrival.at_ms < excluded.at_ms",
    );
    statement.put(params![caseload.0, record.to_string(), at_ms])?;
    Ok(())
}

/// How far a log was read.
fn cursor(connection: &Connection, caseload: CaseloadId) -> Result<Cursor, Problem> {
    let statement = connection.prepare("SELECT sequence, chain FROM cursor WHERE caseload = ?1");
    let row = statement
        .query_row([caseload.0], |row| Ok(Cursor { sequence: row.get::<i64>(0)? as u64, chain: Hash(row.get(1)?) }))
        .optional()?;
    Ok(row.unwrap_or_else(|| Cursor::start_of(caseload)))
}

/// How far each log was read.
fn cursors(connection: &Connection) -> Result<BTreeMap<CaseloadId, u64>, Problem> {
    let statement = connection.prepare("SELECT caseload, sequence FROM cursor");
    let rows = statement.query_map((), |row| Ok((CaseloadId(row.get(0)?), row.get::<i64>(1)? as u64)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether all that was read is still in the logs: a folder that was restored from a backup has logs that are shorter.
fn is_of(connection: &Connection, organisation: &Organisation) -> Result<bool, Problem> {
    let caseloads: Vec<CaseloadId> = connection
        .prepare("SELECT caseload FROM cursor")
        .query_map((), |row| Ok(CaseloadId(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    for caseload in caseloads {
        let read = cursor(connection, caseload)?;
        if organisation.common(caseload, &[read])? != read {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Records that were projected without this form.
fn unread(transaction: &Transaction<'_>, form: Hash) -> Result<Vec<(CaseloadId, RecordId)>, Problem> {
    let statement = transaction.prepare("SELECT caseload, id FROM record WHERE form = ?1 AND form_known = 0");
    let rows = statement.query([form.0])?;
    let mut found = Vec::new();
    for row in rows {
        let id: String = row.get(1)?;
        if let Ok(record) = id.parse() {
            found.push((CaseloadId(row.get(0)?), record));
        }
    }
    Ok(found)
}
