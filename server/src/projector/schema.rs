//! The tables: made from the logs, in a database of their own that can be dropped.

use crate::database::place::Place;
use crate::database::{Connection, OptionalExtension, Sharing, Transaction, sqlite};
use crate::problem::Problem;

/// Version of the tables and of what is written to them: a database of another one is dropped.
const VERSION: i64 = 2;

pub(super) const TABLES: &[&str] = &["
-- How far each log was read.
CREATE TABLE cursor(caseload BLOB PRIMARY KEY, sequence INTEGER NOT NULL, chain BLOB NOT NULL) STRICT, WITHOUT ROWID;
-- What lists show: a row an interview or entity.
CREATE TABLE record(
    number INTEGER PRIMARY KEY,
    caseload BLOB NOT NULL,
    kind INTEGER NOT NULL,          -- 0 interview, 1 entity
    owner TEXT NOT NULL,            -- an interview's identifier, or LIST:ID of an entity
    id TEXT NOT NULL,
    source TEXT NOT NULL,           -- form, or entity list
    version TEXT NOT NULL,
    form BLOB,                      -- hash of an interview's form
    form_known INTEGER NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,        -- folded, without spaces
    status TEXT NOT NULL,           -- what reviews say; '' where they say nothing
    returned TEXT NOT NULL,         -- why it went back
    person BLOB,
    device BLOB,
    assigned BLOB,
    due TEXT,
    made_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    offset_minutes INTEGER NOT NULL,
    consent_withdrawn INTEGER NOT NULL,
    body TEXT NOT NULL,             -- JSON: values, history, what may be paid
    UNIQUE(caseload, owner)
) STRICT;
CREATE INDEX record_time ON record(updated_ms);
-- When the newest of each interview came, by the server's clock.
CREATE TABLE arrival(
    caseload BLOB NOT NULL,
    owner TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY(caseload, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrival_time ON arrival(at_ms);
CREATE INDEX record_source ON record(source, updated_ms);
CREATE INDEX record_id ON record(id);
CREATE INDEX record_unread ON record(form) WHERE form_known = 0;
CREATE VIRTUAL TABLE search USING fts5(folded, content='', contentless_delete=1, tokenize='trigram');
-- Bytes of the index that are held before a piece of it is written: of a larger piece less is merged later.
INSERT INTO search(search, rank) VALUES('hashsize', 4194304);
-- What a person must decide.
CREATE TABLE item(
    caseload BLOB NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    other TEXT,                     -- owner of the second record of a duplicate
    kind TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    body TEXT NOT NULL,             -- JSON: the item
    PRIMARY KEY(caseload, owner, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_id ON item(id);
CREATE INDEX item_other ON item(caseload, other) WHERE other IS NOT NULL;
CREATE TABLE entity_write(
    caseload BLOB NOT NULL,
    list TEXT NOT NULL,
    entity TEXT NOT NULL,
    record BLOB NOT NULL,
    body TEXT NOT NULL,             -- JSON, of the record layer
    PRIMARY KEY(caseload, list, entity, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX entity_write_record ON entity_write(record);
-- Who is registered in a record, and which duplicates were decided there.
CREATE TABLE people(
    record BLOB PRIMARY KEY,
    caseload BLOB NOT NULL,
    body TEXT NOT NULL              -- JSON
) STRICT, WITHOUT ROWID;
-- What registrations of one person share.
CREATE TABLE link(
    caseload BLOB NOT NULL,
    key TEXT NOT NULL,
    record BLOB NOT NULL,
    place TEXT NOT NULL,
    PRIMARY KEY(caseload, key, record, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_record ON link(record);
"];

/// Every table and what its rows are ordered by, to compare two databases; row numbers tell nothing.
const DUMPED: [(&str, &str, &str); 7] = [
    ("cursor", "caseload, sequence, chain", "caseload"),
    (
        "record",
        "caseload, kind, owner, id, source, version, form, form_known, title, title_key, status, returned, person, device, assigned, due, \
         made_ms, updated_ms, offset_minutes, consent_withdrawn, body",
        "caseload, owner",
    ),
    ("arrival", "caseload, owner, at_ms", "caseload, owner"),
    ("item", "caseload, owner, id, other, kind, since_ms, body", "caseload, owner, id"),
    ("entity_write", "caseload, list, entity, record, body", "caseload, list, entity, record"),
    ("people", "record, caseload, body", "record"),
    ("link", "caseload, key, record, place", "caseload, key, record, place"),
];

/// Opens the database; one that is damaged or of another version is made anew.
pub(super) fn open(place: &Place) -> Result<Connection, Problem> {
    match place {
        Place::File(path, _) => open_file(path),
        Place::Server(..) => open_shared(place),
    }
}

fn open_shared(place: &Place) -> Result<Connection, Problem> {
    let connection = place.open()?;
    connection.keep_others_out(Sharing::WithAllButProjectors)?;
    let found = connection.query_row("SELECT version FROM made", (), |row| row.get::<i64>(0)).optional()?;
    match found {
        Some(VERSION) => {}
        None => drop(connection.execute("INSERT INTO made(version) VALUES(?1)", [VERSION])?),
        Some(newer) if newer > VERSION => {
            let error = format!("the tables are of version {newer}, this program knows {VERSION}");
            return Err(Problem::new(Problem::FOLDER, "newer-database", error, "Use the newer karwan that made them."));
        }
        Some(_) => {
            connection.execute(&format!("DROP SCHEMA {} CASCADE", super::tables_postgres::SCHEMA), ())?;
            drop(connection);
            return open_shared(place);
        }
    }
    connection.let_others_in(Sharing::WithAllButProjectors)?;
    Ok(connection)
}

fn open_file(path: &std::path::Path) -> Result<Connection, Problem> {
    match attempt(path) {
        Ok(Some(connection)) => return Ok(connection),
        Ok(None) => {}
        Err(problem) if problem.code == "damaged" || problem.code == "newer-database" => {}
        Err(problem) => return Err(problem),
    }
    for side in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(side);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    attempt(path)?.ok_or_else(|| {
        Problem::new(Problem::FOLDER, "projection", "the projections cannot be made", "Remove projection.db and try again.")
    })
}

fn attempt(path: &std::path::Path) -> Result<Option<Connection>, Problem> {
    let connection = sqlite::open_file(path, TABLES)?;
    // What is lost with the power is read from the logs again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let kept: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match kept {
        // Made a moment ago.
        0 => connection.pragma_update(None, "application_id", VERSION)?,
        VERSION => {}
        _ => return Ok(None),
    }
    Ok(Some(sqlite::over(connection)))
}

/// Empties all tables.
pub(super) fn clear(transaction: &Transaction<'_>) -> Result<(), Problem> {
    for (table, _, _) in DUMPED {
        transaction.execute(&format!("DELETE FROM {table}"), ())?;
    }
    super::search::clear(transaction)
}

/// All rows of all tables as text, in an order that does not depend on how they came.
pub(super) fn dump(connection: &Connection) -> Result<Vec<String>, Problem> {
    let mut lines = Vec::new();
    for (table, columns, order) in DUMPED {
        let statement = connection.prepare(format!("SELECT {columns} FROM {table} ORDER BY {order}"));
        for row in statement.query(())? {
            let mut line = table.to_owned();
            for value in row.values() {
                line.push_str(&format!("|{value:?}"));
            }
            lines.push(line);
        }
    }
    Ok(lines)
}
