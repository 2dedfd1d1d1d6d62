//! Lists of interviews and entities.

use karwan_client::query::RecordListed;
use karwan_linkage::search_words;
use karwan_proto::{CaseloadId, PersonId};

use super::{Names, RecordsQuery, Scope};
use crate::clock::{offset_text, rfc3339};
use crate::database::{Row, Value};
use crate::host::Host;
use crate::problem::Problem;
use crate::projector::rows::{APPROVED, RETURNED};
use crate::projector::search;

/// Words of a search that are used.
const SEARCH_WORDS_MAX: usize = 16;
/// Characters that the index needs to find a word.
const TRIGRAM: usize = 3;

/// Columns that [`listed`] reads. Duplicates belong to both of their records.
pub(super) const COLUMNS: &str = "record.kind, record.id, record.caseload, record.source, record.title, record.status, record.person, \
    record.assigned, record.updated_ms, record.offset_minutes, \
    (SELECT count(*) FROM item WHERE item.caseload = record.caseload AND item.owner = record.owner) + \
    (SELECT count(*) FROM item WHERE item.caseload = record.caseload AND item.other = record.owner), record.owner, record.returned, \
    record.body";

/// Reads a row of [`COLUMNS`].
pub(super) fn listed(row: &Row, names: &Names<'_>) -> Result<RecordListed, crate::database::Error> {
    let is_entity: bool = row.get(0)?;
    let source: String = row.get(3)?;
    let (form, list) = if is_entity { (None, Some(source)) } else { (Some(source), None) };
    let person: Option<[u8; 16]> = row.get(6)?;
    let assigned: Option<[u8; 16]> = row.get(7)?;
    Ok(RecordListed {
        record: row.get(1)?,
        kind: if is_entity { "entity" } else { "interview" },
        form,
        list,
        title: row.get(4)?,
        status: match row.text(5)? {
            RETURNED => RETURNED,
            APPROVED => APPROVED,
            _ => "sent",
        },
        assigned_to: assigned.map(|person| names.person(PersonId(person))),
        made_by: person.map(|person| names.person(PersonId(person))),
        caseload: names.caseload(CaseloadId(row.get(2)?)),
        updated: rfc3339(row.get(8)?),
        offset: offset_text(row.get(9)?),
        open_items: row.get(10)?,
        provisional: false,
    })
}

/// Interviews and entities, the newest first.
pub fn records(host: &Host, scope: &Scope, query: &RecordsQuery) -> Result<Vec<RecordListed>, Problem> {
    let (conditions, mut parameters) = conditions(host, scope, query)?;
    let limit = if query.limit == 0 { i64::MAX } else { i64::try_from(query.limit).unwrap_or(i64::MAX) };
    parameters.push(Value::Integer(limit));
    parameters.push(Value::Integer(i64::try_from(query.offset).unwrap_or(i64::MAX)));
    let names = Names::of(&host.organisation);
    host.projector.read(|db| {
        let text = format!("SELECT {COLUMNS} FROM record WHERE {conditions} ORDER BY updated_ms DESC, owner LIMIT ? OFFSET ?");
        let statement = db.prepare(&text);
        let rows = statement.query_map(parameters, |row| listed(row, &names))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// How many there are, whatever the limit.
pub fn count(host: &Host, scope: &Scope, query: &RecordsQuery) -> Result<u64, Problem> {
    let (conditions, parameters) = conditions(host, scope, query)?;
    host.projector.read(|db| {
        let statement = db.prepare(format!("SELECT count(*) FROM record WHERE {conditions}"));
        Ok(statement.query_row(parameters, |row| row.get::<i64>(0))? as u64)
    })
}

fn conditions(host: &Host, scope: &Scope, query: &RecordsQuery) -> Result<(String, Vec<Value>), Problem> {
    let mut parameters = Vec::new();
    let mut text = scope.condition("record.caseload", &mut parameters);
    if let Some(form) = &query.form {
        text.push_str(" AND source = ?");
        parameters.push(Value::Text(form.clone()));
    }
    if let Some(caseload) = &query.caseload {
        text.push_str(" AND record.caseload = ?");
        parameters.push(Value::Blob(host.organisation.caseload_named(caseload)?.0.to_vec()));
    }
    match query.kind.as_deref() {
        None => {}
        Some("interview") => text.push_str(" AND kind = 0"),
        Some("entity") => text.push_str(" AND kind = 1"),
        Some(other) => return Err(unknown("kind", other, "interview or entity")),
    }
    match query.status.as_deref() {
        None => {}
        Some("sent") => text.push_str(" AND status = ''"),
        Some(status @ (RETURNED | APPROVED)) => {
            text.push_str(" AND status = ?");
            parameters.push(Value::Text(status.to_owned()));
        }
        // What is not sent is not here.
        Some("draft" | "finalised") => text.push_str(" AND 1 = 0"),
        Some(other) => return Err(unknown("status", other, "sent, returned or approved")),
    }
    let words = search_words(&query.search).into_iter().take(SEARCH_WORDS_MAX);
    let (long, short): (Vec<String>, Vec<String>) = words.partition(|word| word.chars().count() >= TRIGRAM);
    if !long.is_empty() {
        let found = search::condition("number", &long, host.projector.is_shared(), &mut parameters);
        text.push_str(&format!(" AND {found}"));
    }
    for word in short {
        // Too short for the index: looked for in titles.
        text.push_str(" AND instr(title_key, ?) > 0");
        parameters.push(Value::Text(word));
    }
    Ok((text, parameters))
}

fn unknown(what: &str, came: &str, known: &str) -> Problem {
    Problem::new(Problem::USAGE, what, format!("no {what} {came}"), format!("Give {known}."))
}
