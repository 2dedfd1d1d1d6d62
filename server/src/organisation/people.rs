//! People and caseloads: accounts with roles and passwords, and what they are granted.

use std::collections::BTreeSet;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use karwan_proto::membership::{Act, Subject};
use karwan_proto::{CaseloadId, PersonId, Role};
use serde::Serialize;

use super::Organisation;
use super::directory::{self, Named};
use crate::clock::random;
use crate::database::{Connection, OptionalExtension, params};
use crate::problem::Problem;

/// Longest name of a person, device or caseload, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Shortest password, in characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 10;

/// One account as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct PersonRow {
    /// The person.
    pub person: PersonId,
    /// The name.
    pub name: String,
    /// The role.
    pub role: String,
    /// Names of caseloads.
    pub caseloads: Vec<String>,
    /// May do nothing more.
    pub disabled: bool,
    /// May sign in to the console.
    pub signs_in: bool,
}

/// One caseload as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct CaseloadRow {
    /// The caseload.
    pub caseload: CaseloadId,
    /// Its name.
    pub name: String,
    /// Entries in its log.
    pub entries: u64,
}

/// Checks a name that somebody gave.
pub(crate) fn checked_name(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Problem::input(
            "name",
            format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters"),
            "Give another name.",
        ));
    }
    Ok(name)
}

fn hashed(password: &str) -> Result<String, Problem> {
    let failed = |_| Problem::new(Problem::FAILED, "password", "the password cannot be hashed", "Give another password.");
    let salt = SaltString::encode_b64(&random::<16>()).map_err(failed)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

pub(crate) fn put_account(db: &Connection, person: PersonId, name: &str, password: Option<&str>) -> Result<(), Problem> {
    let password = password.map(hashed).transpose()?;
    db.execute("INSERT INTO account(person, name, password) VALUES(?1, ?2, ?3)", params![person.0, name, password])?;
    Ok(())
}

impl Organisation {
    /// Adds a person.
    pub fn add_person(&self, name: &str, role: Role, caseloads: &[String], password: Option<&str>) -> Result<PersonId, Problem> {
        let name = checked_name(name)?;
        if password.is_some_and(|password| password.chars().count() < PASSWORD_CHARACTERS_MIN) {
            let error = format!("a password has at least {PASSWORD_CHARACTERS_MIN} characters");
            return Err(Problem::input("password", error, "Give a longer one."));
        }
        let caseloads = caseloads.iter().map(|name| self.caseload_named(name)).collect::<Result<BTreeSet<_>, _>>()?;
        let taken =
            self.read(|db| Ok(db.query_row("SELECT 1 FROM account WHERE name = ?1", [name], |_| Ok(())).optional()?.is_some()))?;
        if taken {
            return Err(Problem::input("exists", format!("there is a person {name}"), "Give another name."));
        }
        let person = PersonId::from_random(random());
        let mut core = self.writing()?;
        self.decide(&mut core, Act::Person { person, role, caseloads, cuts: Vec::new() })?;
        directory::put(&core.db, Named::Person, person.0, name)?;
        put_account(&core.db, person, name, password)?;
        Ok(person)
    }

    /// Takes everything from a person from here on.
    pub fn disable_person(&self, name: &str) -> Result<(), Problem> {
        let person = self.person_named(name)?;
        let mut core = self.writing()?;
        let cuts = crate::log::cuts(&core.db)?;
        self.decide(&mut core, Act::Revoke { subject: Subject::Person(person), cuts })?;
        core.db.execute("UPDATE account SET disabled = 1 WHERE person = ?1", params![person.0])?;
        Ok(())
    }

    /// All people.
    pub fn people(&self) -> Result<Vec<PersonRow>, Problem> {
        let membership = self.membership()?;
        let accounts: std::collections::BTreeMap<PersonId, bool> = self.read(|db| {
            let statement = db.prepare("SELECT person, password IS NOT NULL AND disabled = 0 FROM account");
            Ok(statement.query_map((), |row| Ok((PersonId(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?)
        })?;
        let mut people: Vec<PersonRow> = membership
            .people()
            .iter()
            .map(|(person, known)| PersonRow {
                person: *person,
                name: self.person_name(*person),
                role: known.role.to_string(),
                caseloads: known.caseloads.iter().map(|caseload| self.caseload_name(*caseload)).collect(),
                disabled: known.revoked,
                signs_in: accounts.get(person).copied().unwrap_or(false),
            })
            .collect();
        people.sort_by(|a, b| (&a.name, a.person).cmp(&(&b.name, b.person)));
        Ok(people)
    }

    /// The role of a person who may still do something.
    pub fn person_role(&self, person: PersonId) -> Result<Option<Role>, Problem> {
        Ok(self.person_standing(person)?.map(|(role, _)| role))
    }

    /// The role and caseloads of a person who may still do something.
    pub fn person_standing(&self, person: PersonId) -> Result<Option<(Role, BTreeSet<CaseloadId>)>, Problem> {
        let core = self.current()?;
        let known = core.membership.person(person).filter(|known| !known.revoked);
        Ok(known.map(|known| (known.role, known.caseloads.clone())))
    }

    /// Who signs in with this name and password.
    pub fn sign_in(&self, name: &str, password: &str) -> Result<Option<(PersonId, Role)>, Problem> {
        let found: Option<([u8; 16], Option<String>)> = self.read(|db| {
            let statement = db.prepare("SELECT person, password FROM account WHERE name = ?1 AND disabled = 0");
            Ok(statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })?;
        let (person, hash) = match found {
            Some((person, Some(hash))) => (Some(PersonId(person)), hash),
            // The same work for a name that is not there: its absence must not show in time.
            _ => (None, DECOY_HASH.to_owned()),
        };
        let holds =
            PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        let Some(person) = person.filter(|_| holds) else { return Ok(None) };
        Ok(self.person_role(person)?.map(|role| (person, role)))
    }

    /// Adds a caseload, granted to every administrator by being one.
    pub fn add_caseload(&self, name: &str) -> Result<CaseloadId, Problem> {
        let name = checked_name(name)?;
        if self.caseload_named(name).is_ok() {
            return Err(Problem::input("exists", format!("there is a caseload {name}"), "Give another name."));
        }
        let caseload = CaseloadId::from_random(random());
        let mut core = self.writing()?;
        self.decide(&mut core, Act::Caseload { caseload })?;
        crate::log::begin(&core.db, caseload)?;
        directory::put(&core.db, Named::Caseload, caseload.0, name)?;
        Ok(caseload)
    }

    /// All caseloads.
    pub fn caseloads(&self) -> Result<Vec<CaseloadRow>, Problem> {
        let rows: Vec<([u8; 16], i64)> = self.read(|db| {
            let statement = db.prepare("SELECT id, head FROM caseload ORDER BY rowid");
            Ok(statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })?;
        let row =
            |(id, head)| CaseloadRow { caseload: CaseloadId(id), name: self.caseload_name(CaseloadId(id)), entries: head as u64 };
        Ok(rows.into_iter().map(row).collect())
    }
}

/// A hash of a password that nobody knows, with the parameters of ours.
const DECOY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RkVxNfEXBTmXlwJ9hbKQM4Lx4QhFgVYR8S6VqMWeY1k";
