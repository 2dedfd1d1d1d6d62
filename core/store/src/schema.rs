//! The tables, as a list of migrations. Append only: position + 1 is the schema version that `PRAGMA user_version` keeps.
//! Every table has a rowid, because salvage reads a damaged file by rowid.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreError;

/// Tables that salvage copies, the dearest first. Projections are left out: they are made again from the changes.
pub(crate) const DEAR_TABLES: &[&str] = &[
    "setting",
    "draft",
    "draft_step",
    "record",
    "change",
    "envelope",
    "verdict",
    "person",
    "form",
    "blob",
    "membership",
    "caseload",
    "directory",
    "attachment",
    "attachment_piece",
    "attachment_use",
    "entry",
];

const MIGRATIONS: &[&str] = &[
    "
-- Who this device is and where it stands: small values by name.
CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

-- One row a caseload that this device is granted: cursor, chain, and where its own envelopes stand in this incarnation.
CREATE TABLE caseload(
    id BLOB PRIMARY KEY,
    sequence INTEGER NOT NULL DEFAULT 0,
    chain BLOB NOT NULL,
    backed_up INTEGER NOT NULL DEFAULT 0,
    counter INTEGER NOT NULL DEFAULT 0,
    previous BLOB
) STRICT;

-- The hash of each entry of a caseload's log, for older points of the chain.
CREATE TABLE entry(
    caseload BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    chain BLOB NOT NULL,
    kind TEXT NOT NULL,
    body BLOB,                      -- kept where this version does not know the kind, or its envelope has not come
    UNIQUE(caseload, sequence)
) STRICT;

CREATE TABLE membership(position INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;

-- Names of people, devices and caseloads as the server last told them.
CREATE TABLE directory(kind TEXT NOT NULL, id BLOB NOT NULL, name TEXT NOT NULL, body BLOB, UNIQUE(kind, id)) STRICT;

-- People first met on this device; introduced to the server at the next sync.
CREATE TABLE person(id BLOB PRIMARY KEY, name TEXT NOT NULL, introduced INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE form(
    hash BLOB NOT NULL,
    caseload BLOB NOT NULL,
    form_id TEXT NOT NULL,
    version TEXT NOT NULL,
    file_name TEXT NOT NULL,
    media TEXT NOT NULL,            -- JSON: [[name, hash]]
    retired INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    UNIQUE(hash, caseload)
) STRICT;

CREATE TABLE blob(hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;

CREATE TABLE record(
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    caseload BLOB NOT NULL,
    generation INTEGER NOT NULL
) STRICT;

-- One row a change. own: made here. envelope: absent until sealed. state: see ChangeState.
CREATE TABLE change(
    number INTEGER PRIMARY KEY,
    record BLOB NOT NULL,
    generation INTEGER NOT NULL,
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL,
    own INTEGER NOT NULL,
    envelope BLOB,
    state INTEGER NOT NULL,
    device BLOB NOT NULL,
    person BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    offset_minutes INTEGER NOT NULL,
    incarnation BLOB NOT NULL,
    role INTEGER NOT NULL,          -- the author's, when the change was taken in
    UNIQUE(record, generation, hash)
) STRICT;
CREATE INDEX change_unsent ON change(record) WHERE own = 1 AND state < 2;
CREATE INDEX change_unsealed ON change(number) WHERE own = 1 AND envelope IS NULL;
CREATE INDEX change_envelope ON change(envelope);

CREATE TABLE envelope(
    hash BLOB PRIMARY KEY,
    caseload BLOB NOT NULL,
    bytes BLOB NOT NULL,
    own INTEGER NOT NULL,
    state INTEGER NOT NULL,         -- 0 to offer, 1 durable at the server, 2 judged, 3 refused
    sequence INTEGER,
    counter INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    role INTEGER                    -- the author's, as the log says; unknown until it is judged
) STRICT;
CREATE INDEX envelope_to_offer ON envelope(caseload, counter) WHERE state = 0;
CREATE INDEX envelope_place ON envelope(caseload, sequence);

CREATE TABLE verdict(
    envelope BLOB NOT NULL,
    record BLOB NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    UNIQUE(envelope, record)
) STRICT;

-- An interview that is not finished, or an edit of a finished one; its answers are the journal below.
CREATE TABLE draft(
    record BLOB PRIMARY KEY,
    caseload BLOB NOT NULL,
    form BLOB NOT NULL,
    person BLOB NOT NULL,
    language TEXT NOT NULL,
    base TEXT,                      -- JSON: heads that an edit stands on; absent in a new interview
    seed BLOB NOT NULL,
    title TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    offset_minutes INTEGER NOT NULL
) STRICT;
CREATE TABLE draft_step(
    record BLOB NOT NULL,
    position INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT,                     -- absent: the answer was taken away
    UNIQUE(record, position)
) STRICT;

-- Projections: made from changes, droppable.
CREATE TABLE listing(
    number INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,          -- 0 interview, 1 entity
    id TEXT NOT NULL,
    caseload BLOB NOT NULL,
    source TEXT NOT NULL,           -- form, or entity list
    version TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,           -- what reviews say; '' where they say nothing
    person BLOB,
    device BLOB,
    assigned TEXT NOT NULL DEFAULT '',
    updated_ms INTEGER NOT NULL,
    offset_minutes INTEGER NOT NULL,
    open_items INTEGER NOT NULL DEFAULT 0,
    unsent INTEGER NOT NULL DEFAULT 0,
    UNIQUE(kind, source, id)
) STRICT;
CREATE INDEX listing_time ON listing(kind, updated_ms);
CREATE INDEX listing_id ON listing(id);
CREATE VIRTUAL TABLE search USING fts5(folded, content='', contentless_delete=1, tokenize='trigram');

CREATE TABLE entity_write(
    record BLOB NOT NULL,
    list TEXT NOT NULL,
    entity TEXT NOT NULL,
    body TEXT NOT NULL              -- JSON, of the record layer
) STRICT;
CREATE INDEX entity_write_record ON entity_write(record);
CREATE INDEX entity_write_entity ON entity_write(list, entity);
CREATE TABLE entity_value(
    list TEXT NOT NULL,
    entity TEXT NOT NULL,
    property TEXT NOT NULL,
    position INTEGER NOT NULL,
    value TEXT NOT NULL,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX entity_value_entity ON entity_value(list, entity);

CREATE TABLE item(
    id TEXT NOT NULL,
    record TEXT NOT NULL,           -- a record's or an entity's id
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    body TEXT NOT NULL,             -- JSON: the values with who gave them
    since_ms INTEGER NOT NULL,
    UNIQUE(id, record)
) STRICT;
CREATE INDEX item_record ON item(record);
",
    "
-- Where an envelope lay in a log that the server has no more: it is offered again, with what that log said of it.
ALTER TABLE envelope ADD COLUMN earlier INTEGER;
",
    "
-- What the server confirmed and its log has not named: looked for at the end of each session.
CREATE INDEX envelope_confirmed ON envelope(caseload) WHERE state = 1;
-- What is to be written again.
CREATE INDEX change_aside ON change(record) WHERE own = 1 AND state = 7;
",
    "
-- Files that answers refer to, by the hash of their content.
CREATE TABLE attachment(
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    length INTEGER,                 -- unknown until it begins to come
    held INTEGER NOT NULL,          -- bytes from the beginning that are here
    whole INTEGER NOT NULL DEFAULT 0, -- all of it is here, and it is what its name says
    own INTEGER NOT NULL DEFAULT 0, -- made here
    wanted INTEGER NOT NULL DEFAULT 0, -- somebody here asked for it
    kept_in INTEGER,                -- the server's epoch in which it said to have it
    declined TEXT                   -- why the server does not take it
) STRICT;
CREATE TABLE attachment_piece(
    number INTEGER PRIMARY KEY,
    attachment BLOB NOT NULL,
    offset INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE(attachment, offset)
) STRICT;
-- Which record speaks of which, in a change or in the journal of its draft.
CREATE TABLE attachment_use(
    attachment BLOB NOT NULL,
    record BLOB NOT NULL,
    in_draft INTEGER NOT NULL,
    UNIQUE(attachment, record, in_draft)
) STRICT;
CREATE INDEX attachment_use_record ON attachment_use(record);
",
    "
-- The newest of all that is listed, whatever it is: a screen of it, and what of it a word finds.
CREATE INDEX listing_newest ON listing(updated_ms);
",
    "
-- Devices that meet in the field. shared: another device has the envelope too. provisional: something of the record came from another device and waits
-- for the server's verdict.
ALTER TABLE envelope ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
ALTER TABLE listing ADD COLUMN provisional INTEGER NOT NULL DEFAULT 0;
CREATE INDEX change_provisional ON change(record) WHERE own = 0 AND state < 2;
-- Whether an envelope's number was used before.
CREATE INDEX envelope_counter ON envelope(caseload, counter);
",
    "
-- How many of the server's backups the device had heard of when the server said to have the attachment.
ALTER TABLE attachment ADD COLUMN kept_backup INTEGER;
UPDATE attachment SET kept_backup = 0 WHERE kept_in IS NOT NULL;
",
];

/// Newest schema that this program knows.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings a database to the newest schema, all steps in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    apply(connection, MIGRATIONS)
}

fn apply(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let known = migrations.len() as i64;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < known {
        for step in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_database_keeps_its_rows_and_gains_what_is_new() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE note(title TEXT NOT NULL) STRICT;", "ALTER TABLE note ADD COLUMN body TEXT;"];
        apply(&mut connection, &steps[..1]).unwrap();
        connection.execute("INSERT INTO note(title) VALUES('kept')", []).unwrap();
        apply(&mut connection, &steps).unwrap();
        apply(&mut connection, &steps).unwrap();
        assert_eq!(version(&connection), 2);
        let row: (String, Option<String>) =
            connection.query_row("SELECT title, body FROM note", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, ("kept".to_owned(), None));
    }

    #[test]
    fn a_step_that_fails_leaves_the_schema_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        apply(&mut connection, &["CREATE TABLE note(title TEXT) STRICT;"]).unwrap();
        let broken =
            ["CREATE TABLE note(title TEXT) STRICT;", "CREATE TABLE other(a TEXT) STRICT; CREATE TABLE other(a TEXT) STRICT;"];
        assert!(apply(&mut connection, &broken).is_err());
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT * FROM other").is_err());
    }

    #[test]
    fn a_database_of_a_later_program_is_refused_by_name() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::Newer { found: 99, known: SCHEMA_VERSION })));
    }

    #[test]
    fn the_schema_of_this_version_applies() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection), SCHEMA_VERSION);
        for table in DEAR_TABLES {
            connection.prepare(&format!("SELECT rowid FROM {table}")).unwrap();
        }
    }

    #[test]
    fn an_interview_is_looked_up_by_its_id_and_not_among_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        for statement in ["UPDATE listing SET unsent = 0", "DELETE FROM listing"] {
            let explained = format!("EXPLAIN QUERY PLAN {statement} WHERE {}", crate::listing::OF_INTERVIEW);
            let plan: String = connection.query_row(&explained, [""], |row| row.get("detail")).unwrap();
            assert!(plan.contains("listing_id (id=?)"), "{statement}: {plan}");
        }
    }
}
