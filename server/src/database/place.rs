//! Where an organisation's databases are: two files in its folder, or two schemas of one PostgreSQL.

use std::path::PathBuf;

use super::{Connection, Error, postgres, sqlite};
use crate::problem::Problem;

/// Where a database is, and the steps that make its tables.
pub(crate) enum Place {
    File(PathBuf, &'static [&'static str]),
    Server(Box<postgres::Place>, &'static [&'static str]),
}

impl Place {
    /// Opens it for writing and brings it to the newest schema.
    pub(crate) fn open(&self) -> Result<Connection, Problem> {
        match self {
            Self::File(path, migrations) => sqlite::open(path, migrations),
            Self::Server(place, migrations) => place.open(migrations),
        }
    }

    /// Opens it for reading.
    pub(crate) fn open_to_read(&self) -> Result<Connection, Error> {
        match self {
            Self::File(path, _) => sqlite::open_to_read(path),
            Self::Server(place, _) => place.connect(),
        }
    }
}
