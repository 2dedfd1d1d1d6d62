//! The directory: what people call the organisation, its people, devices and caseloads.

use karwan_proto::directory::DirectoryRow;
pub use karwan_proto::directory::Named;
use karwan_proto::{CaseloadId, DeviceId, PersonId};

use super::Organisation;
use crate::database::{Connection, OptionalExtension, params};
use crate::problem::Problem;

fn kind(named: Named) -> i64 {
    match named {
        Named::Organisation => 1,
        Named::Person => 2,
        Named::Device => 3,
        Named::Caseload => 4,
        Named::Other(number) => number as i64,
    }
}

fn named(kind: i64) -> Named {
    match kind {
        1 => Named::Organisation,
        2 => Named::Person,
        3 => Named::Device,
        4 => Named::Caseload,
        other => Named::Other(other as u64),
    }
}

/// Names something; a new name is a new version of the row.
pub(crate) fn put(db: &Connection, named: Named, id: [u8; 16], name: &str) -> Result<(), Problem> {
    db.execute(
        "INSERT INTO directory(version, kind, id, name) SELECT coalesce(max(version), 0) + 1, ?1, ?2, ?3 FROM directory WHERE true \
         ON CONFLICT(kind, id) DO UPDATE SET version = excluded.version, name = excluded.name",
        params![kind(named), id, name],
    )?;
    Ok(())
}

/// Names something that has no name yet.
pub(crate) fn fill(db: &Connection, named: Named, id: [u8; 16], name: &str) -> Result<(), Problem> {
    db.execute(
        "INSERT INTO directory(version, kind, id, name) SELECT coalesce(max(version), 0) + 1, ?1, ?2, ?3 FROM directory WHERE true \
         ON CONFLICT(kind, id) DO NOTHING",
        params![kind(named), id, name],
    )?;
    Ok(())
}

impl Organisation {
    /// Rows after a version: the version of the last, the rows, and whether there are more.
    pub fn directory_after(&self, version: u64, limit: usize) -> Result<(u64, Vec<DirectoryRow>, bool), Problem> {
        self.read(|db| {
            let statement =
                db.prepare("SELECT version, kind, id, name FROM directory WHERE version > ?1 ORDER BY version LIMIT ?2");
            let rows = statement.query(params![version as i64, (limit as i64).saturating_add(1)])?;
            let (mut last, mut found) = (version, Vec::new());
            for row in rows {
                if found.len() == limit {
                    return Ok((last, found, true));
                }
                last = row.get::<i64>(0)? as u64;
                found.push(DirectoryRow::new(named(row.get(1)?), row.get(2)?, row.get::<String>(3)?));
            }
            Ok((last, found, false))
        })
    }

    fn name_of(&self, named: Named, id: [u8; 16]) -> String {
        let found = self.read(|db| {
            let statement = db.prepare("SELECT name FROM directory WHERE kind = ?1 AND id = ?2");
            Ok(statement.query_row(params![kind(named), id], |row| row.get::<String>(0)).optional()?)
        });
        found.ok().flatten().filter(|name| !name.is_empty()).unwrap_or_else(|| PersonId(id).to_string())
    }

    /// What a person is called.
    pub fn person_name(&self, person: PersonId) -> String {
        self.name_of(Named::Person, person.0)
    }

    /// What a device is called; the server's own writing is called `console`.
    pub fn device_name(&self, device: DeviceId) -> String {
        if device == self.server_key.public().device() {
            return "console".to_owned();
        }
        self.name_of(Named::Device, device.0)
    }

    /// What a caseload is called.
    pub fn caseload_name(&self, caseload: CaseloadId) -> String {
        self.name_of(Named::Caseload, caseload.0)
    }

    fn ids_named(&self, named: Named, name: &str) -> Result<Vec<[u8; 16]>, Problem> {
        self.read(|db| {
            let statement = db.prepare("SELECT id FROM directory WHERE kind = ?1 AND name = ?2 ORDER BY version");
            Ok(statement.query_map(params![kind(named), name], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
    }

    /// A person by name or identifier.
    pub fn person_named(&self, name: &str) -> Result<PersonId, Problem> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        // Who has an account comes before namesakes that devices introduced.
        let account: Option<[u8; 16]> = self.read(|db| {
            let statement = db.prepare("SELECT person FROM account WHERE name = ?1");
            Ok(statement.query_row([name], |row| row.get(0)).optional()?)
        })?;
        if let Some(person) = account {
            return Ok(PersonId(person));
        }
        match self.ids_named(Named::Person, name)?.as_slice() {
            [one] => Ok(PersonId(*one)),
            [] => Err(Problem::input("no-such-person", format!("no person {name}"), "See the names: karwan user list ORG.")),
            _ => {
                Err(Problem::input("several-people", format!("several people are called {name}"), "Give the identifier instead."))
            }
        }
    }

    /// A device by name or identifier.
    pub fn device_named(&self, name: &str) -> Result<DeviceId, Problem> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        if name == "console" {
            return Ok(self.server_key.public().device());
        }
        match self.ids_named(Named::Device, name)?.as_slice() {
            [one] => Ok(DeviceId(*one)),
            [] => Err(Problem::input("no-such-device", format!("no device {name}"), "See the names: karwan devices ORG.")),
            _ => Err(Problem::input(
                "several-devices",
                format!("several devices are called {name}"),
                "Give the identifier instead.",
            )),
        }
    }

    /// A caseload by name or identifier.
    pub fn caseload_named(&self, name: &str) -> Result<CaseloadId, Problem> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        match self.ids_named(Named::Caseload, name)?.as_slice() {
            [one, ..] => Ok(CaseloadId(*one)),
            [] => {
                Err(Problem::input("no-such-caseload", format!("no caseload {name}"), "Make it: karwan caseload add ORG NAME."))
            }
        }
    }
}
