//! Backups of an organisation in PostgreSQL: copied out of it as of one moment, and filled into one that has none.

use std::path::Path;

use karwan_proto::Hash;

use super::Snapshot;
use super::tables::{self, Table};
use crate::database::{Connection, address, params, sqlite};
use crate::organisation::Databases;
use crate::organisation::folder::{Folder, write_secret};
use crate::organisation::tables_postgres::GO_ON_COUNTING;
use crate::problem::Problem;

/// Copies these tables, as they are at one moment, into a file as an organisation's folder has it.
pub(super) fn copy_out(
    from: &Connection,
    tables: &[Table],
    migrations: &'static [&'static str],
    into: Snapshot,
) -> Result<Snapshot, Problem> {
    let file = sqlite::open_file(&into.0, migrations)?;
    // It counts for nothing before it is whole, and is removed where it does not become so.
    file.pragma_update(None, "journal_mode", "OFF")?;
    file.pragma_update(None, "synchronous", "OFF")?;
    let (file, moment) = (sqlite::over(file), from.snapshot()?);
    for table in tables {
        let filling = file.transaction()?;
        tables::copy(&moment, &filling, table)?;
        filling.commit()?;
    }
    Ok(into)
}

/// Moves what stands in a folder's own files into the PostgreSQL of this address, which has no organisation: all of it or nothing.
pub(super) fn move_into(folder: &Folder, address: &str) -> Result<(), Problem> {
    let address = address::absolute(address)?;
    let founded = Databases::found_at(&address)?;
    let file = sqlite::open_to_read(&folder.keys_database())?;
    // Keys are committed before what they encrypt. Any that stand there were left by a restore that was cut off.
    let (moment, filling) = (file.snapshot()?, founded.keys.transaction()?);
    for table in tables::KEYS {
        filling.execute(&format!("DELETE FROM {}", table.name), ())?;
        tables::copy(&moment, &filling, table)?;
    }
    filling.commit()?;
    let file = sqlite::open_to_read(&folder.database())?;
    let (moment, filling) = (file.snapshot()?, founded.main.transaction()?);
    for table in tables::MAIN {
        tables::copy(&moment, &filling, table)?;
    }
    for entry in std::fs::read_dir(folder.blobs())? {
        let path = entry?.path();
        if let Some(hash) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Hash>().ok()) {
            filling.execute("INSERT INTO blob(hash, bytes) VALUES(?1, ?2)", params![hash.0, std::fs::read(&path)?])?;
        }
    }
    for text in GO_ON_COUNTING {
        filling.execute(text, ())?;
    }
    filling.commit()?;
    drop(moment);
    drop(file);
    write_secret(&folder.address_file(), address.as_bytes())?;
    for database in [folder.database(), folder.keys_database()] {
        remove_database(&database);
    }
    Ok(())
}

/// Removes a database's file with what SQLite keeps beside it.
pub(super) fn remove_database(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::remove_file(name).ok();
    }
}
