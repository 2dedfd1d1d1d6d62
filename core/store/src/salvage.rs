//! Saves what can be read of a damaged database. The file is moved aside and kept, never deleted: it may be the only copy.
//!
//! Each table is read by rowid from both ends; what lies between two unreadable places is asked for row by row. Projections are
//! not copied: the client makes them again from the changes.

use std::path::PathBuf;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::{DiskContext, StoreError};
use crate::folder::Folder;
use crate::key::DatabaseKey;
use crate::schema::{self, DEAR_TABLES};
use crate::store::connect;

/// Rows between two unreadable places that are asked for one by one.
const PROBE_MAX: i64 = 20_000;

/// A change may be lost that the cursor says is here: everything is asked for again. A record whose row is lost is found by its
/// envelope, or in the caseload that the device has.
const AFTERWARDS: &str = "
    UPDATE caseload SET sequence = 0, chain = zeroblob(32);
    DELETE FROM entry;
    INSERT OR IGNORE INTO record(id, caseload, generation)
        SELECT change.record, coalesce((SELECT caseload FROM envelope WHERE envelope.hash = change.envelope), (SELECT id FROM caseload)),
               change.generation
        FROM change WHERE EXISTS (SELECT 1 FROM caseload);";

/// What was saved.
#[derive(Debug, Clone, Default)]
pub struct Salvaged {
    /// Where the damaged file is now.
    pub kept_in: PathBuf,
    /// Rows saved, all tables together.
    pub rows_saved: usize,
    /// Rows that were there by their number and could not be read.
    pub rows_lost: usize,
}

/// Moves the damaged file aside and copies what it still holds into a new one.
pub(crate) fn salvage(folder: &Folder, key: &DatabaseKey) -> Result<(Connection, Salvaged), StoreError> {
    let aside = free_name(folder);
    std::fs::create_dir_all(&aside).during("making a folder for the damaged file")?;
    for name in ["device.db", "device.db-wal", "device.db-shm"] {
        let from = folder.root().join(name);
        if from.exists() {
            std::fs::rename(&from, aside.join(name)).during("moving the damaged file aside")?;
        }
    }
    folder.sync_listing()?;
    let fresh = folder.root().join("salvage.db");
    for name in ["salvage.db", "salvage.db-wal", "salvage.db-shm"] {
        std::fs::remove_file(folder.root().join(name)).ok();
    }
    let mut to = connect(&fresh, key)?;
    schema::migrate(&mut to)?;
    let mut salvaged = Salvaged { kept_in: aside.clone(), ..Salvaged::default() };
    let source = Source { path: aside.join("device.db"), key };
    for table in DEAR_TABLES {
        copy_table(&source, &mut to, table, &mut salvaged)?;
    }
    to.execute_batch(AFTERWARDS)?;
    to.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(to);
    std::fs::rename(&fresh, folder.database()).during("putting the salvaged file in place")?;
    std::fs::remove_file(folder.damage_mark()).ok();
    folder.sync_listing()?;
    let connection = connect(&folder.database(), key)?;
    Ok((connection, salvaged))
}

fn free_name(folder: &Folder) -> PathBuf {
    let mut number = 1u32;
    loop {
        let path = folder.root().join(format!("damaged-{number}"));
        if !path.exists() {
            return path;
        }
        number += 1;
    }
}

/// The damaged file. A connection that met an unreadable page answers nothing any more, so each reading has one of its own.
struct Source<'a> {
    path: PathBuf,
    key: &'a DatabaseKey,
}

impl Source<'_> {
    fn open(&self) -> Result<Connection, StoreError> {
        connect(&self.path, self.key)
    }
}

fn copy_table(source: &Source<'_>, to: &mut Connection, table: &str, salvaged: &mut Salvaged) -> Result<(), StoreError> {
    let columns = columns(to, table)?;
    let known: Vec<String> = match source.open().and_then(|from| self::columns(&from, table)) {
        Ok(there) => columns.into_iter().filter(|column| there.contains(column)).collect(),
        Err(_) => return Ok(()),
    };
    let list = known.join(", ");
    let marks = vec!["?"; known.len() + 1].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {table}(rowid, {list}) VALUES({marks})");
    let transaction = to.transaction()?;
    let saved = {
        let mut insert = transaction.prepare(&insert)?;
        let mut keep = |row: &[Value]| insert.execute(params_from_iter(row.iter())).map(|_| ());
        let mut saved = 0usize;
        let up = sweep(source, table, &list, known.len(), true, i64::MIN, i64::MAX, &mut keep, &mut saved)?;
        if let Some(last_good) = up {
            let first_good = sweep(source, table, &list, known.len(), false, last_good, i64::MAX, &mut keep, &mut saved)?;
            let begin = last_good.saturating_add(1).max(0);
            let end = first_good.map_or(begin, |first| first.min(begin.saturating_add(PROBE_MAX)));
            let mut from = source.open();
            for rowid in begin..end {
                let Ok(open) = &from else { break };
                match one_row(open, table, &list, known.len(), rowid) {
                    Ok(Some(row)) => {
                        keep(&row)?;
                        saved += 1;
                    }
                    Ok(None) => {}
                    Err(_) => {
                        salvaged.rows_lost += 1;
                        from = source.open();
                    }
                }
            }
        }
        saved
    };
    transaction.commit()?;
    salvaged.rows_saved += saved;
    Ok(())
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if names.is_empty() { Err(StoreError::NotFound { what: "table" }) } else { Ok(names) }
}

/// Reads rows in one direction until the end (`None`) or the first unreadable place (the last rowid that was read).
#[allow(clippy::too_many_arguments)]
fn sweep(
    source: &Source<'_>,
    table: &str,
    list: &str,
    width: usize,
    upward: bool,
    above: i64,
    below: i64,
    keep: &mut dyn FnMut(&[Value]) -> rusqlite::Result<()>,
    saved: &mut usize,
) -> Result<Option<i64>, StoreError> {
    let order = if upward { "ASC" } else { "DESC" };
    let text = format!("SELECT rowid, {list} FROM {table} WHERE rowid > ?1 AND rowid < ?2 ORDER BY rowid {order}");
    let mut last = if upward { -1 } else { below };
    let Ok(from) = source.open() else { return Ok(Some(last)) };
    let Ok(mut statement) = from.prepare(&text) else { return Ok(Some(last)) };
    let Ok(mut rows) = statement.query([above, below]) else { return Ok(Some(last)) };
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let Ok(values) = (0..=width).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>() else {
                    return Ok(Some(last));
                };
                if let Some(Value::Integer(rowid)) = values.first() {
                    last = *rowid;
                }
                keep(&values)?;
                *saved += 1;
            }
            Ok(None) => return Ok(None),
            Err(_) => return Ok(Some(last)),
        }
    }
}

fn one_row(from: &Connection, table: &str, list: &str, width: usize, rowid: i64) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut statement = from.prepare_cached(&format!("SELECT rowid, {list} FROM {table} WHERE rowid = ?1"))?;
    statement.query_row([rowid], |row| (0..=width).map(|column| row.get::<_, Value>(column)).collect()).optional()
}
