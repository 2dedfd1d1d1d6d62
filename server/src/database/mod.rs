//! SQL on whichever database an organisation has: one file, or PostgreSQL.
//!
//! What the server keeps is written in SQL that both understand, once: numbered parameters (`?1`), `ON CONFLICT` instead of `INSERT OR`,
//! `rowid` for the order in which rows came. [`Driver`] is the seam: what a database must do to keep an organisation. Rows are read whole
//! before the first is looked at, so every query that may give many says how many it wants.

pub(crate) mod address;
pub(crate) mod place;
pub mod postgres;
pub mod sqlite;
mod tls;
mod value;

use std::ops::Deref;

pub use tls::Refused;
pub(crate) use value::params;
pub use value::{FromValue, Parameters, ToValue, Value, ValueRef};

/// One connection to a database. It runs one statement at a time, and what it wrote is durable when a statement or a transaction returns.
pub trait Driver: Send {
    /// Runs a statement; gives how many rows it changed.
    fn execute(&self, text: &str, parameters: &[ValueRef<'_>]) -> Result<usize, Error>;
    /// Runs a statement of which only matters that it is done. In a transaction it may be told with a later statement that it failed, at the
    /// latest when that is committed.
    fn put(&self, text: &str, parameters: &[ValueRef<'_>]) -> Result<(), Error> {
        self.execute(text, parameters).map(drop)
    }
    /// Runs a query; gives its rows, at most so many.
    fn query(&self, text: &str, parameters: &[ValueRef<'_>], rows_max: usize) -> Result<Vec<Row>, Error>;
    /// Begins a transaction.
    fn begin(&self, scope: Scope) -> Result<(), Error>;
    /// Ends a transaction: all of it is durable.
    fn commit(&self) -> Result<(), Error>;
    /// Ends a transaction: nothing of it is left.
    fn roll_back(&self) -> Result<(), Error>;
    /// Overwrites what was deleted, also in journals, as far as the database can.
    fn scrub(&self) -> Result<(), Error>;
    /// Whether it can still be used; one whose database went away cannot.
    fn is_usable(&self) -> bool {
        true
    }
    /// Whether other processes may write to the database, too.
    fn is_shared(&self) -> bool {
        false
    }
    /// Waits until no other process writes that must not, and keeps them from it.
    fn keep_others_out(&self, _: Sharing) -> Result<(), Error> {
        Ok(())
    }
    /// Ends [`Driver::keep_others_out`].
    fn let_others_in(&self, _: Sharing) -> Result<(), Error> {
        Ok(())
    }
}

/// Which other processes may write meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// None.
    Alone,
    /// Those that append to logs, each holding the heads of its logs, or write small rows whole.
    WithAppenders,
    /// All, but none reads a record to decide about it.
    WithAllButDeciders,
    /// All, but none reads logs into tables.
    WithAllButProjectors,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To write.
    Write,
    /// To read several things of one moment.
    Snapshot,
}

/// Why a database did not do something. No variant holds what rows hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query that gives one row gave none.
    #[error("expected a row, found none")]
    NoRow,
    /// A column is not there, or is of another kind.
    #[error("column {column}: expected {expected}, found {found}")]
    Column {
        /// Its place, from 0.
        column: usize,
        /// What was asked for.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// SQLite failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused a statement: its code, and the table or constraint.
    #[error("PostgreSQL says {0}")]
    Postgres(String),
    /// The database does not answer, or cannot now: the same may go well in a while.
    #[error("the database is away: {0}")]
    Away(String),
    /// Whoever answers at the database's address is not known for it, or would be spoken to plainly.
    #[error(transparent)]
    Unsafe(#[from] Refused),
}

/// A connection.
pub struct Connection {
    driver: Box<dyn Driver>,
}

impl Connection {
    /// A connection over this driver.
    pub fn over(driver: impl Driver + 'static) -> Self {
        Self { driver: Box::new(driver) }
    }

    /// A statement to be run now or several times; what can be prepared once for all times is.
    pub fn prepare(&self, text: impl Into<String>) -> Statement<'_> {
        Statement { connection: self, text: text.into() }
    }

    /// Runs a statement; gives how many rows it changed.
    pub fn execute(&self, text: &str, parameters: impl Parameters) -> Result<usize, Error> {
        self.driver.execute(text, &parameters.values())
    }

    /// As [`Driver::put`].
    pub fn put(&self, text: &str, parameters: impl Parameters) -> Result<(), Error> {
        self.driver.put(text, &parameters.values())
    }

    /// The first row of a query.
    pub fn query_row<T>(
        &self,
        text: &str,
        parameters: impl Parameters,
        read: impl FnOnce(&Row) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(self.driver.query(text, &parameters.values(), 1)?.first().ok_or(Error::NoRow)?)
    }

    /// Begins to write; what is not committed is undone.
    pub fn transaction(&self) -> Result<Transaction<'_>, Error> {
        Transaction::begin(self, Scope::Write)
    }

    /// Begins to read several things of one moment.
    pub fn snapshot(&self) -> Result<Transaction<'_>, Error> {
        Transaction::begin(self, Scope::Snapshot)
    }

    /// As [`Driver::is_usable`].
    pub fn is_usable(&self) -> bool {
        self.driver.is_usable()
    }

    /// As [`Driver::is_shared`].
    pub fn is_shared(&self) -> bool {
        self.driver.is_shared()
    }

    /// As [`Driver::keep_others_out`].
    pub fn keep_others_out(&self, sharing: Sharing) -> Result<(), Error> {
        self.driver.keep_others_out(sharing)
    }

    /// As [`Driver::let_others_in`].
    pub fn let_others_in(&self, sharing: Sharing) -> Result<(), Error> {
        self.driver.let_others_in(sharing)
    }

    /// Overwrites what was deleted, also in journals, as far as the database can.
    pub fn scrub(&self) -> Result<(), Error> {
        self.driver.scrub()
    }
}

/// A statement on a connection.
pub struct Statement<'c> {
    connection: &'c Connection,
    text: String,
}

impl Statement<'_> {
    /// Runs it; gives how many rows it changed.
    pub fn execute(&self, parameters: impl Parameters) -> Result<usize, Error> {
        self.connection.execute(&self.text, parameters)
    }

    /// As [`Driver::put`].
    pub fn put(&self, parameters: impl Parameters) -> Result<(), Error> {
        self.connection.put(&self.text, parameters)
    }

    /// The first row.
    pub fn query_row<T>(&self, parameters: impl Parameters, read: impl FnOnce(&Row) -> Result<T, Error>) -> Result<T, Error> {
        self.connection.query_row(&self.text, parameters, read)
    }

    /// All rows, each as `read` reads it.
    pub fn query_map<T, R: FnMut(&Row) -> Result<T, Error>>(
        &self,
        parameters: impl Parameters,
        read: R,
    ) -> Result<Mapped<R>, Error> {
        Ok(Mapped { rows: self.query(parameters)?, read })
    }

    /// All rows.
    pub fn query(&self, parameters: impl Parameters) -> Result<std::vec::IntoIter<Row>, Error> {
        Ok(self.connection.driver.query(&self.text, &parameters.values(), usize::MAX)?.into_iter())
    }

    /// Whether there is a row.
    pub fn exists(&self, parameters: impl Parameters) -> Result<bool, Error> {
        Ok(!self.connection.driver.query(&self.text, &parameters.values(), 1)?.is_empty())
    }
}

/// Rows, each as `read` reads it.
pub struct Mapped<R> {
    rows: std::vec::IntoIter<Row>,
    read: R,
}

impl<T, R: FnMut(&Row) -> Result<T, Error>> Iterator for Mapped<R> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next().map(|row| (self.read)(&row))
    }
}

/// A row that was read.
#[derive(Debug, Clone)]
pub struct Row {
    values: Vec<Value>,
}

impl Row {
    /// A row of these values.
    pub(crate) fn of(values: Vec<Value>) -> Self {
        Self { values }
    }

    /// Its values.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// All values.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// The text of a column, from 0.
    pub fn text(&self, column: usize) -> Result<&str, Error> {
        match self.values.get(column) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(Error::Column { column, expected: "text", found: other.map_or("no column", Value::kind) }),
        }
    }

    /// The value of a column, from 0.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, Error> {
        let value = self.values.get(column).ok_or(Error::Column { column, expected: "a column", found: "none" })?;
        T::from_value(value).ok_or(Error::Column { column, expected: std::any::type_name::<T>(), found: value.kind() })
    }
}

/// What is done all or not at all. Undone where it is dropped before [`Transaction::commit`].
pub struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    fn begin(connection: &'c Connection, scope: Scope) -> Result<Self, Error> {
        connection.driver.begin(scope)?;
        Ok(Self { connection, open: true })
    }

    /// Makes it durable.
    pub fn commit(mut self) -> Result<(), Error> {
        self.connection.driver.commit()?;
        self.open = false;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.connection.driver.roll_back()
        {
            // A connection that is gone has undone it.
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
    }
}

/// A row that may not be there.
pub trait OptionalExtension<T> {
    /// `None` where there is no row.
    fn optional(self) -> Result<Option<T>, Error>;
}

impl<T> OptionalExtension<T> for Result<T, Error> {
    fn optional(self) -> Result<Option<T>, Error> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
