//! The tables of an organisation, copied row by row from one database into another, whichever databases they are.
//!
//! A table is walked in the order of its key, a page at a time, so that a country's log is never in memory; what reads and what writes must each be
//! one transaction. That no column is forgotten is tested against the tables themselves.

use crate::database::{Connection, Transaction, Value};
use crate::problem::Problem;

/// Rows of a table's first page, before it is known how long they are.
const ROWS_FIRST: usize = 64;
/// Most rows of a page.
const ROWS_MAX: usize = 4_096;
/// Bytes that a page is to have, about.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A table with its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns that name a row.
    key: &'static [&'static str],
    /// The others. `rowid` is among them where the order in which rows came is gone by.
    rest: &'static [&'static str],
}

const fn table(name: &'static str, key: &'static [&'static str], rest: &'static [&'static str]) -> Table {
    Table { name, key, rest }
}

/// Everything but keys and projections.
pub(super) const MAIN: &[Table] = &[
    table("setting", &["name"], &["value"]),
    table("membership", &["position"], &["bytes", "chain"]),
    table("directory", &["version"], &["kind", "id", "name"]),
    table("account", &["person"], &["name", "password", "disabled"]),
    table("device_state", &["device"], &["last_sync_ms"]),
    table("caseload", &["id"], &["rowid", "head", "chain", "backed_up", "restored_head"]),
    table("entry", &["caseload", "sequence"], &["bytes", "chain", "envelope"]),
    table(
        "envelope",
        &["hash", "caseload"],
        &["rowid", "sequence", "device", "incarnation", "counter", "header", "signature", "role", "testified"],
    ),
    table("change", &["envelope", "position", "caseload"], &["record", "generation", "payload"]),
    table("verdict", &["envelope", "record"], &["verdict", "reason"]),
    table("form", &["hash", "caseload"], &["rowid", "form_id", "version", "title", "file_name", "media", "retired"]),
    table("recovered", &["hash"], &["rowid", "caseload", "bearer", "sealed", "earlier", "testimony", "partial"]),
    table("recovered_form", &["caseload", "hash"], &["rowid", "entry", "bearer"]),
    table("pruned", &["envelope", "position"], &["leaf"]),
    table("audit", &["number"], &["at_ms", "person", "act", "subject", "note"]),
    table("held", &["device", "caseload"], &[]),
    table("attachment", &["hash"], &["length", "kept_at_ms"]),
    table("attachment_reference", &["attachment", "envelope", "position"], &[]),
    table("attachment_let_go", &["hash"], &[]),
    table("device_life", &["device", "incarnation"], &["number"]),
    table("device_copied", &["device"], &["at_ms"]),
];

/// Keys.
pub(super) const KEYS: &[Table] = &[
    table("record_key", &["record", "generation"], &["key"]),
    table("envelope_salt", &["envelope"], &["secret"]),
    table("attachment_key", &["name"], &["key"]),
];

/// Copies all rows of a table into one that has none; gives how many.
pub(super) fn copy(from: &Transaction<'_>, to: &Connection, table: &Table) -> Result<u64, Problem> {
    let columns: Vec<&str> = table.key.iter().chain(table.rest).copied().collect();
    let marks = |count: usize| (1..=count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ");
    let (name, key, all) = (table.name, table.key.join(", "), columns.join(", "));
    let put = format!("INSERT INTO {name}({all}) VALUES({})", marks(columns.len()));
    let (keys, limit) = (table.key.len(), table.key.len() + 1);
    let first_page = format!("SELECT {all} FROM {name} ORDER BY {key} LIMIT ?1");
    let next_page = format!("SELECT {all} FROM {name} WHERE ({key}) > ({}) ORDER BY {key} LIMIT ?{limit}", marks(keys));
    let (mut copied, mut rows_max, mut last) = (0, ROWS_FIRST, Vec::<Value>::new());
    loop {
        let page = if last.is_empty() { &first_page } else { &next_page };
        last.push(Value::Integer(rows_max as i64));
        let rows = from.prepare(page.as_str()).query(&last)?;
        let (found, mut bytes) = (rows.len(), 0);
        for row in rows {
            let mut values = row.into_values();
            bytes += values.iter().map(length).sum::<usize>();
            to.put(&put, &values)?;
            values.truncate(keys);
            last = values;
        }
        copied += found as u64;
        if found < rows_max {
            return Ok(copied);
        }
        rows_max = (PAGE_BYTES / (bytes / found.max(1)).max(1)).clamp(1, ROWS_MAX);
    }
}

fn length(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Integer(_) => size_of::<i64>(),
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::database::sqlite;
    use crate::organisation::schema;

    #[test]
    fn every_column_of_every_table_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        for (name, migrations, tables) in [("main", schema::MAIN, MAIN), ("keys", schema::KEYS, KEYS)] {
            let db = sqlite::open(&folder.path().join(name), migrations).unwrap();
            let text = "SELECT entry.name, field.name FROM sqlite_schema AS entry, pragma_table_info(entry.name) AS field \
                        WHERE entry.type = 'table' AND entry.name NOT LIKE 'sqlite_%'";
            let rows = db.prepare(text).query_map((), |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?))).unwrap();
            let there: BTreeSet<(String, String)> = rows.map(Result::unwrap).collect();
            let copied = tables.iter().flat_map(|table| table.key.iter().chain(table.rest).map(|column| (table.name, *column)));
            let copied: BTreeSet<(String, String)> =
                copied.filter(|(_, column)| *column != "rowid").map(|(table, column)| (table.into(), column.into())).collect();
            assert_eq!(copied, there);
        }
    }

    #[test]
    fn rows_of_every_length_arrive_once_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let (from, to) = (sqlite::open(&from, schema::KEYS).unwrap(), sqlite::open(&to, schema::KEYS).unwrap());
        let table = KEYS.first().unwrap();
        // Around the ends of pages, and longer than a page.
        for count in [0, 1, ROWS_FIRST, ROWS_FIRST + 1, 3 * ROWS_FIRST] {
            from.execute("DELETE FROM record_key", ()).unwrap();
            to.execute("DELETE FROM record_key", ()).unwrap();
            for number in 0..count {
                let long = if number == 5 { PAGE_BYTES + 1 } else { 3 };
                let row =
                    vec![Value::Blob(vec![0, (number % 7) as u8]), Value::Integer(number as i64), Value::Blob(vec![1; long])];
                from.execute("INSERT INTO record_key(record, generation, key) VALUES(?1, ?2, ?3)", &row).unwrap();
            }
            assert_eq!(copy(&from.snapshot().unwrap(), &to, table).unwrap(), count as u64);
            let rows = |db: &Connection| -> Vec<Vec<Value>> {
                let rows = db.prepare("SELECT * FROM record_key ORDER BY record, generation").query(()).unwrap();
                rows.map(crate::database::Row::into_values).collect()
            };
            assert_eq!(rows(&from), rows(&to));
        }
    }
}
