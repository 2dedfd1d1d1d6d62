//! Connections that read beside a writer, kept open.

use std::path::PathBuf;
use std::sync::Mutex;

use crate::database::{Connection, sqlite};
use crate::problem::Problem;

/// Connections kept.
const READERS_MAX: usize = 16;

/// Readers of one database.
pub(crate) struct Readers {
    path: PathBuf,
    kept: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Readers of the database at this path.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, kept: Mutex::default() }
    }

    /// Reads, beside the writer and other readers.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        let kept = self.kept.lock().ok().and_then(|mut kept| kept.pop());
        let connection = if let Some(connection) = kept { connection } else { sqlite::open_to_read(&self.path)? };
        let outcome = work(&connection);
        if let Ok(mut kept) = self.kept.lock()
            && kept.len() < READERS_MAX
        {
            kept.push(connection);
        }
        outcome
    }
}
