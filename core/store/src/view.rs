//! Reading. A [`View`] is had from a store or from a transaction in progress; every question that a caller may ask is a method
//! of it, by subject in the modules [`crate::change`], [`crate::draft`], [`crate::log`], [`crate::form`], [`crate::listing`]
//! and [`crate::entity`].

use rusqlite::Connection;

use crate::error::StoreError;
use crate::store::{Batch, Store};

/// Reads the database, or what a transaction in progress would make of it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) sql: &'a Connection,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

impl Store {
    /// Reads.
    pub fn view(&self) -> Result<View<'_>, StoreError> {
        Ok(View { sql: self.reading()? })
    }
}

impl Batch<'_> {
    /// Reads what is written so far in this transaction.
    pub fn view(&self) -> View<'_> {
        View { sql: &self.transaction }
    }
}
