//! SQLite: a file, durable at every commit, with readers beside one writer.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef as SqliteValue};
use rusqlite::{OpenFlags, TransactionBehavior};

use super::{Connection, Driver, Error, Row, Scope, Value, ValueRef};
use crate::problem::Problem;

/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 64;
/// Page cache of a connection that writes, negative: in KiB. A team that comes home touches the ends of every index.
const WRITER_CACHE_KIB: i64 = -32_768;
/// Pages of the write-ahead log at which it is written back: a page that changes with every commit is written back once for many.
const WRITE_BACK_PAGES: i64 = 4_000;
/// How long a statement waits for another process.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Opens a database for writing and brings it to the newest schema: position + 1 of a step is the version that `PRAGMA user_version` keeps.
pub fn open(path: &Path, migrations: &[&str]) -> Result<Connection, Problem> {
    Ok(over(open_file(path, migrations)?))
}

/// As [`open`], for what needs SQLite itself.
pub(crate) fn open_file(path: &Path, migrations: &[&str]) -> Result<rusqlite::Connection, Problem> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten: an erasure reaches free pages too.
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", WRITE_BACK_PAGES, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    keep_statements(&connection)?;
    let known = migrations.len() as i64;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(Problem::new(
            Problem::FOLDER,
            "newer-database",
            format!("the database has schema {found}, this program knows {known}"),
            "Use the newer karwan that wrote it.",
        ));
    }
    for step in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(connection)
}

/// Opens a database for reading.
pub fn open_to_read(path: &Path) -> Result<Connection, Error> {
    Ok(over(open_file_to_read(path)?))
}

/// As [`open_to_read`], for what needs SQLite itself.
pub(crate) fn open_file_to_read(path: &Path) -> Result<rusqlite::Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Keeps so many prepared statements, and as they were compiled: otherwise each is compiled again for every value that it is given.
fn keep_statements(connection: &rusqlite::Connection) -> Result<(), Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// A connection over one that was opened with [`open_file`] or [`open_file_to_read`].
pub(crate) fn over(connection: rusqlite::Connection) -> Connection {
    Connection::over(Sqlite(connection))
}

struct Sqlite(rusqlite::Connection);

impl rusqlite::ToSql for ValueRef<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => SqliteValue::Null,
            Self::Integer(number) => SqliteValue::Integer(*number),
            Self::Text(text) => SqliteValue::Text(text.as_bytes()),
            Self::Blob(bytes) => SqliteValue::Blob(bytes),
        }))
    }
}

fn value(row: &rusqlite::Row<'_>, column: usize) -> Result<Value, Error> {
    Ok(match row.get_ref(column)? {
        SqliteValue::Null => Value::Null,
        SqliteValue::Integer(number) => Value::Integer(number),
        SqliteValue::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| Error::Column { column, expected: "UTF-8", found: "bytes" })?;
            Value::Text(text.to_owned())
        }
        SqliteValue::Blob(bytes) => Value::Blob(bytes.to_vec()),
        SqliteValue::Real(_) => return Err(Error::Column { column, expected: "a whole number", found: "a fraction" }),
    })
}

impl Driver for Sqlite {
    fn execute(&self, text: &str, parameters: &[ValueRef<'_>]) -> Result<usize, Error> {
        Ok(self.0.prepare_cached(text)?.execute(rusqlite::params_from_iter(parameters))?)
    }

    fn query(&self, text: &str, parameters: &[ValueRef<'_>], rows_max: usize) -> Result<Vec<Row>, Error> {
        let mut statement = self.0.prepare_cached(text)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut found = Vec::new();
        while found.len() < rows_max
            && let Some(row) = rows.next()?
        {
            found.push(Row::of((0..columns).map(|column| value(row, column)).collect::<Result<_, _>>()?));
        }
        Ok(found)
    }

    fn begin(&self, _: Scope) -> Result<(), Error> {
        Ok(self.0.execute_batch("BEGIN")?)
    }

    fn commit(&self) -> Result<(), Error> {
        Ok(self.0.execute_batch("COMMIT")?)
    }

    fn roll_back(&self) -> Result<(), Error> {
        // An error may have ended it already.
        if self.0.is_autocommit() { Ok(()) } else { Ok(self.0.execute_batch("ROLLBACK")?) }
    }

    /// The write-ahead log is written into the file and emptied; where readers hold it up, the next does it.
    fn scrub(&self) -> Result<(), Error> {
        self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}
