//! The projection that lists, searches and counts without loading a document: one row an interview or entity, and an index of
//! folded text; and the review items.
//!
//! Search is by trigrams of folded text without spaces, so that `علی رضا` finds `عليرضا` and part of a document number finds it.

use std::collections::BTreeSet;

use karwan_proto::ids::{CaseloadId, DeviceId, PersonId, RecordId};
use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};

use crate::error::StoreError;
use crate::store::Batch;
use crate::view::View;

/// Words of a search that are used.
pub const SEARCH_WORDS_MAX: usize = 16;
/// Characters that the index needs to find a word.
const TRIGRAM: usize = 3;
/// Rows that a query gives unless told otherwise.
pub const ROWS_MAX: usize = 1_000_000;
/// An interview's rows. Without the `+` SQLite takes the index that begins with the kind, and reads every interview there is.
pub(crate) const OF_INTERVIEW: &str = "+kind = 0 AND id = ?1";
/// Stands between values in the folded text, so that a word is not found across two of them.
const BETWEEN: &str = "\n";

/// An interview or an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A form filled.
    Interview = 0,
    /// A person, household or case that interviews write to.
    Entity = 1,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub kind: Kind,
    /// A record's identifier, or an entity's.
    pub id: String,
    /// Its caseload.
    pub caseload: CaseloadId,
    /// Its form, or its entity list.
    pub source: String,
    /// The form's version.
    pub version: String,
    /// The instance name, or the entity's label.
    pub title: String,
    /// What reviews say (`returned`, `approved`); empty where they say nothing.
    pub status: String,
    /// Who made it.
    pub person: Option<PersonId>,
    /// On which device.
    pub device: Option<DeviceId>,
    /// Whom it is assigned to.
    pub assigned: String,
    /// Last change, milliseconds since 1970, by the clock of who made it.
    pub updated_ms: i64,
    /// Offset of that clock, in minutes.
    pub offset_minutes: i32,
    /// Review items that nobody has decided.
    pub open_items: u32,
    /// Has changes that the server has not accepted.
    pub unsent: bool,
    /// Something of it came from another device and waits for the server's verdict.
    pub provisional: bool,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Interviews or entities only.
    pub kind: Option<Kind>,
    /// A form or an entity list.
    pub source: Option<String>,
    /// Made by this person.
    pub person: Option<PersonId>,
    /// Folded words, all of which must be in it.
    pub words: Vec<String>,
    /// At most so many rows; 0 for all.
    pub limit: usize,
    /// Rows to leave out at the beginning.
    pub offset: usize,
}

/// A review item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The same on every replica.
    pub id: String,
    /// A record's identifier, or an entity's.
    pub record: String,
    /// `conflict`, `invalid`, ….
    pub kind: String,
    /// The question, or the entity's property.
    pub reference: String,
    /// The values with who gave them, as JSON.
    pub body: String,
    /// When it arose.
    pub since_ms: i64,
}

const COLUMNS: &str = "kind, id, caseload, source, version, title, status, person, device, assigned, updated_ms, offset_minutes, open_items, unsent, provisional";

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        kind: if row.get::<_, i64>(0)? == 0 { Kind::Interview } else { Kind::Entity },
        id: row.get(1)?,
        caseload: CaseloadId(row.get(2)?),
        source: row.get(3)?,
        version: row.get(4)?,
        title: row.get(5)?,
        status: row.get(6)?,
        person: row.get::<_, Option<[u8; 16]>>(7)?.map(PersonId),
        device: row.get::<_, Option<[u8; 16]>>(8)?.map(DeviceId),
        assigned: row.get(9)?,
        updated_ms: row.get(10)?,
        offset_minutes: row.get(11)?,
        open_items: row.get(12)?,
        unsent: row.get(13)?,
        provisional: row.get(14)?,
    })
}

/// The index's text of some values, each folded by the caller.
pub fn folded_text<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for value in values.into_iter().filter(|value| !value.is_empty()) {
        text.push_str(value);
        text.push_str(BETWEEN);
    }
    text
}

fn conditions(question: &Question) -> (String, Vec<Value>) {
    let mut text = String::from("WHERE 1 = 1");
    let mut parameters = Vec::new();
    if let Some(kind) = question.kind {
        text.push_str(" AND kind = ?");
        parameters.push(Value::Integer(kind as i64));
    }
    if let Some(source) = &question.source {
        text.push_str(" AND source = ?");
        parameters.push(Value::Text(source.clone()));
    }
    if let Some(person) = question.person {
        text.push_str(" AND person = ?");
        parameters.push(Value::Blob(person.0.to_vec()));
    }
    let words: Vec<&String> = question.words.iter().filter(|word| !word.is_empty()).take(SEARCH_WORDS_MAX).collect();
    let (long, short): (Vec<&String>, Vec<&String>) = words.iter().copied().partition(|word| word.chars().count() >= TRIGRAM);
    let quoted = |word: &str| format!("\"{}\"", word.replace('"', "\"\""));
    let mut each = Vec::new();
    if !long.is_empty() {
        let query: Vec<String> = long.iter().map(|word| quoted(word)).collect();
        // With the plus the newest rows are looked at first until a screen is full: of a word that is in half of all rows the others are never
        // read. Where a title must be read too the index goes first.
        let plus = if short.is_empty() { "+" } else { "" };
        each.push(format!("{plus}number IN (SELECT rowid FROM search WHERE search MATCH ?)"));
        parameters.push(Value::Text(query.join(" AND ")));
    }
    for word in &short {
        // Too short for the index: looked for in titles.
        each.push("instr(replace(title, ' ', ''), ?) > 0".to_owned());
        parameters.push(Value::Text((*word).clone()));
    }
    if !each.is_empty() {
        text.push_str(&format!(" AND (({})", each.join(" AND ")));
        let joined: String = words.iter().map(|word| word.as_str()).collect();
        if !short.is_empty() && joined.chars().count() >= TRIGRAM {
            // Or they are one value, as the letters and digits of a document's number are.
            text.push_str(" OR number IN (SELECT rowid FROM search WHERE search MATCH ?)");
            parameters.push(Value::Text(quoted(&joined)));
        }
        text.push(')');
    }
    (text, parameters)
}

impl View<'_> {
    /// Rows, the newest first.
    pub fn list(&self, question: &Question) -> Result<Vec<Listed>, StoreError> {
        let (conditions, mut parameters) = conditions(question);
        let limit = if question.limit == 0 { ROWS_MAX } else { question.limit.min(ROWS_MAX) };
        let text = format!("SELECT {COLUMNS} FROM listing {conditions} ORDER BY updated_ms DESC, number DESC LIMIT ? OFFSET ?");
        parameters.push(Value::Integer(limit as i64));
        parameters.push(Value::Integer(question.offset as i64));
        let mut statement = self.sql.prepare_cached(&text)?;
        Ok(statement.query_map(params_from_iter(parameters), listed)?.collect::<Result<_, _>>()?)
    }

    /// How many rows there are.
    pub fn count(&self, question: &Question) -> Result<u64, StoreError> {
        let (conditions, parameters) = conditions(question);
        let mut statement = self.sql.prepare_cached(&format!("SELECT count(*) FROM listing {conditions}"))?;
        Ok(statement.query_row(params_from_iter(parameters), |row| row.get::<_, i64>(0))? as u64)
    }

    /// Rows with this identifier (an entity's may be in several lists).
    pub fn listed(&self, id: &str) -> Result<Vec<Listed>, StoreError> {
        let mut statement =
            self.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM listing WHERE id = ?1 ORDER BY kind, source"))?;
        Ok(statement.query_map([id], listed)?.collect::<Result<_, _>>()?)
    }

    /// Review items, the oldest first, of one record or of all.
    pub fn items(&self, record: Option<&str>) -> Result<Vec<Item>, StoreError> {
        let text =
            "SELECT id, record, kind, reference, body, since_ms FROM item WHERE ?1 IS NULL OR record = ?1 ORDER BY since_ms, id";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows = statement.query_map([record], |row| {
            Ok(Item {
                id: row.get(0)?,
                record: row.get(1)?,
                kind: row.get(2)?,
                reference: row.get(3)?,
                body: row.get(4)?,
                since_ms: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The identifiers of all review items.
    pub fn item_ids(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT id FROM item")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Interviews that are listed under this source, so many after a row's number, with their rows' numbers.
    pub fn interviews_under(&self, source: &str, after: i64, limit: usize) -> Result<Vec<(i64, RecordId)>, StoreError> {
        let text = "SELECT number, id FROM listing WHERE kind = 0 AND source = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let mut statement = self.sql.prepare_cached(text)?;
        let rows =
            statement.query_map(params![source, after, limit as i64], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (number, id) = row?;
            found.push((number, id.parse().map_err(|_| StoreError::Content { what: "list" })?));
        }
        Ok(found)
    }

    /// How many review items there are.
    pub fn open_items(&self) -> Result<u64, StoreError> {
        Ok(self.sql.query_row("SELECT count(*) FROM item", [], |row| row.get::<_, i64>(0))? as u64)
    }
}

impl Batch<'_> {
    /// Writes a row with its search text (see [`folded_text`]).
    pub fn put_listed(&self, row: &Listed, folded: &str) -> Result<(), StoreError> {
        let text = "INSERT INTO listing(kind, id, caseload, source, version, title, status, person, device, assigned, updated_ms, offset_minutes, open_items, unsent, provisional)
                    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                    ON CONFLICT(kind, source, id) DO UPDATE SET caseload = excluded.caseload, version = excluded.version,
                        title = excluded.title, status = excluded.status, person = excluded.person, device = excluded.device,
                        assigned = excluded.assigned, updated_ms = excluded.updated_ms, offset_minutes = excluded.offset_minutes,
                        open_items = excluded.open_items, unsent = excluded.unsent, provisional = excluded.provisional
                    RETURNING number";
        let mut statement = self.transaction.prepare_cached(text)?;
        let parameters = params![
            row.kind as i64,
            row.id,
            row.caseload.0,
            row.source,
            row.version,
            row.title,
            row.status,
            row.person.map(|person| person.0),
            row.device.map(|device| device.0),
            row.assigned,
            row.updated_ms,
            row.offset_minutes,
            row.open_items,
            row.unsent,
            row.provisional,
        ];
        let number: i64 = statement.query_row(parameters, |row| row.get(0))?;
        // The index finds no value that is shorter than what it is made of, and most answers of a survey are.
        let found = folded_text(folded.split(BETWEEN).filter(|value| value.chars().nth(TRIGRAM - 1).is_some()));
        self.index.borrow_mut().insert(number, Some(found));
        Ok(())
    }

    /// Writes what the transaction makes of the search index. At its end: each statement that may have to be taken back by itself makes
    /// the index write out what it holds so far, and hundreds of small pieces are then merged again and again.
    pub(crate) fn write_index(&self) -> Result<(), StoreError> {
        let mut put = self.transaction.prepare_cached("INSERT OR REPLACE INTO search(rowid, folded) VALUES(?1, ?2)")?;
        let mut take = self.transaction.prepare_cached("DELETE FROM search WHERE rowid = ?1")?;
        for (number, folded) in self.index.take() {
            match folded {
                Some(folded) => put.execute(params![number, folded])?,
                None => take.execute([number])?,
            };
        }
        Ok(())
    }

    /// Takes rows away, and what the index holds of them.
    fn remove_rows(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        let mut statement =
            self.transaction.prepare_cached(&format!("DELETE FROM listing WHERE {condition} RETURNING number"))?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            self.index.borrow_mut().insert(row.get(0)?, None);
        }
        Ok(())
    }

    /// Takes a row away.
    pub fn remove_listed(&self, kind: Kind, source: &str, id: &str) -> Result<(), StoreError> {
        self.remove_rows("kind = ?1 AND source = ?2 AND id = ?3", params![kind as i64, source, id])
    }

    /// Takes an interview's rows away, whichever form they name.
    pub fn remove_interview(&self, record: RecordId) -> Result<(), StoreError> {
        self.remove_rows(OF_INTERVIEW, [record.to_string()])
    }

    /// Notes whether an interview has changes that the server has not accepted.
    pub fn set_unsent(&self, record: RecordId, unsent: bool, provisional: bool) -> Result<(), StoreError> {
        let text = format!("UPDATE listing SET unsent = ?2, provisional = ?3 WHERE {OF_INTERVIEW}");
        self.transaction.prepare_cached(&text)?.execute(params![record.to_string(), unsent, provisional])?;
        Ok(())
    }

    /// Replaces the review items of a record or entity.
    pub fn put_items(&self, record: &str, items: &[Item]) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM item WHERE record = ?1")?.execute([record])?;
        let text = "INSERT OR REPLACE INTO item(id, record, kind, reference, body, since_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.transaction.prepare_cached(text)?;
        for item in items {
            statement.execute(params![item.id, record, item.kind, item.reference, item.body, item.since_ms])?;
        }
        Ok(())
    }

    /// Empties all projections, so that they can be made again.
    pub fn drop_projections(&self) -> Result<(), StoreError> {
        self.index.borrow_mut().clear();
        self.transaction.execute_batch(
            "DELETE FROM listing; INSERT INTO search(search) VALUES('delete-all'); DELETE FROM entity_write; DELETE FROM entity_value; DELETE FROM item;",
        )?;
        Ok(())
    }
}
