//! The search index, which each database has in its own way: a full-text table of trigrams in SQLite, a text with an index of its trigrams in
//! PostgreSQL. Both find a word anywhere in a row.

use karwan_proto::CaseloadId;

use crate::database::{Connection, Transaction, Value, params};
use crate::problem::Problem;

/// Puts a row's text into the index, or takes the row out.
pub(super) fn write(transaction: &Transaction<'_>, number: i64, folded: Option<&str>) -> Result<(), Problem> {
    let Some(folded) = folded else {
        return Ok(transaction.put("DELETE FROM search WHERE rowid = ?1", [number])?);
    };
    let text = if transaction.is_shared() {
        "INSERT INTO search(rowid, folded) VALUES(?1, ?2) ON CONFLICT(rowid) DO UPDATE SET folded = excluded.folded"
    } else {
        "INSERT OR REPLACE INTO search(rowid, folded) VALUES(?1, ?2)"
    };
    Ok(transaction.put(text, params![number, folded])?)
}

/// Puts the text of a record's row into an index that needs no other order than that of the rows.
pub(super) fn write_of(transaction: &Transaction<'_>, caseload: CaseloadId, owner: &str, folded: &str) -> Result<(), Problem> {
    let text = "INSERT INTO search(rowid, folded) SELECT number, CAST(?3 AS TEXT) FROM record WHERE caseload = ?1 AND owner = ?2 \
                ON CONFLICT(rowid) DO UPDATE SET folded = excluded.folded";
    Ok(transaction.put(text, params![caseload.0, owner, folded])?)
}

/// Empties the index.
pub(super) fn clear(transaction: &Transaction<'_>) -> Result<(), Problem> {
    let text = if transaction.is_shared() { "DELETE FROM search" } else { "INSERT INTO search(search) VALUES('delete-all')" };
    transaction.execute(text, ())?;
    Ok(())
}

/// Leaves nothing in the index of what was deleted.
pub(super) fn optimise(connection: &Connection) -> Result<(), Problem> {
    if !connection.is_shared() {
        connection.execute("INSERT INTO search(search) VALUES('optimize')", ())?;
    }
    Ok(())
}

/// The condition on a column of row numbers that every word, of three letters at least, is in the row.
pub(crate) fn condition(column: &str, words: &[String], is_shared: bool, parameters: &mut Vec<Value>) -> String {
    if is_shared {
        let escaped = |word: &str| word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        parameters.extend(words.iter().map(|word| Value::Text(format!("%{}%", escaped(word)))));
        let each = vec!["folded LIKE ?"; words.len()].join(" AND ");
        return format!("{column} IN (SELECT rowid FROM search WHERE {each})");
    }
    let matched: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
    parameters.push(Value::Text(matched.join(" AND ")));
    format!("{column} IN (SELECT rowid FROM search WHERE search MATCH ?)")
}
