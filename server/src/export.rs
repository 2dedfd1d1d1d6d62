//! A form's records as CSV files: one for the form and one for each repeat, for spreadsheets and statistics.
//!
//! Columns are in the form's order, the newest version's first. A row of a repeat names its own key and that of what it stands in. Of a
//! disagreement the value shown is written, and the last column names the question. Left out are records whose consent was withdrawn, and
//! answers that the form does not ask for as things stand.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use karwan_form::model::{ControlKind, Form, NodeKind};
use karwan_proto::{DeviceId, PersonId};
use karwan_record::place;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::host::Host;
use crate::problem::Problem;
use crate::projector::body::Body;
use crate::query::{Names, Scope};

/// Columns before the form's own, of the form's file.
const RECORD_COLUMNS: [&str; 5] = ["record_id", "record_device", "record_author", "record_time", "record_status"];
/// Columns before the form's own, of a repeat's file.
const INSTANCE_COLUMNS: [&str; 3] = ["record_id", "parent_key", "instance_key"];
/// The last column: questions of which there are several values.
const CONFLICTS_COLUMN: &str = "record_conflicts";
/// Spreadsheets know UTF-8 by it.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Rows below the head.
    pub rows: usize,
}

/// A form's records as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The form's file, then one a repeat.
    pub files: Vec<CsvFile>,
    /// Records left out because consent was withdrawn.
    pub withdrawn: usize,
}

/// Writes the files; the answer names them and how many rows each has.
pub fn run(host: &Host, form: &str, folder: &Path) -> Result<Value, Problem> {
    let exported = export(host, &Scope::Everything, form)?;
    std::fs::create_dir_all(folder)?;
    let mut told = Vec::new();
    for file in &exported.files {
        let path = folder.join(&file.name);
        // Personal data: for the owner's eyes.
        let mut open = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        open.write_all(&file.bytes)?;
        told.push(json!({"file": path, "rows": file.rows}));
    }
    Ok(json!({"form": form, "files": told, "withdrawn": exported.withdrawn}))
}

/// A form's records as files, for these eyes.
pub fn export(host: &Host, scope: &Scope, form: &str) -> Result<Exported, Problem> {
    host.projector.catch_up(&host.organisation)?;
    let mut tables = tables(&versions(host, form)?);
    let names = Names::of(&host.organisation);
    let mut withdrawn = 0;
    let mut parameters = vec![crate::database::Value::Text(form.to_owned())];
    let condition = scope.condition("caseload", &mut parameters);
    host.projector.read(|db| {
        let statement = db.prepare(format!(
            "SELECT id, device, person, updated_ms, status, consent_withdrawn, body FROM record \
             WHERE kind = 0 AND source = ? AND {condition} ORDER BY made_ms, owner"
        ));
        let rows = statement.query(parameters)?;
        for row in rows {
            if row.get(5)? {
                withdrawn += 1;
                continue;
            }
            let id: String = row.get(0)?;
            let device: Option<[u8; 16]> = row.get(1)?;
            let person: Option<[u8; 16]> = row.get(2)?;
            let status: String = row.get(4)?;
            let head = [
                id.clone(),
                device.map_or_else(String::new, |device| names.device(DeviceId(device))),
                person.map_or_else(String::new, |person| names.person(PersonId(person))),
                rfc3339(row.get(3)?),
                if status.is_empty() { "sent".to_owned() } else { status },
            ];
            let body: Body = serde_json::from_str(row.text(6)?)?;
            put_record(&mut tables, &id, head.to_vec(), &body);
        }
        Ok(())
    })?;
    let files = tables.into_values().map(|table| table.file(form)).collect::<Result<_, _>>()?;
    Ok(Exported { files, withdrawn })
}

/// The versions of a form, the newest first.
fn versions(host: &Host, form: &str) -> Result<Vec<Arc<Form>>, Problem> {
    let mut hashes: Vec<karwan_proto::Hash> = Vec::new();
    for row in host.organisation.forms()?.into_iter().rev().filter(|row| row.form == form) {
        if !hashes.contains(&row.hash) {
            hashes.push(row.hash);
        }
    }
    let mut versions = Vec::new();
    for hash in hashes {
        versions.extend(host.organisation.form(hash)?);
    }
    if versions.is_empty() {
        return Err(Problem::input("no-such-form", format!("no form {form}"), "See the forms: karwan form list ORG."));
    }
    Ok(versions)
}

/// One file as it grows.
struct Table {
    /// The repeat's path below the root; empty for the form itself.
    repeat: String,
    /// Columns: paths below the repeat, with their place.
    columns: BTreeMap<String, usize>,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The tables of a form by the repeat's path below the root.
fn tables(versions: &[Arc<Form>]) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for form in versions {
        let prefix = format!("/{}/", form.root_name);
        table(&mut tables, "");
        for node in &form.nodes {
            let Some(path) = node.path.strip_prefix(&prefix) else { continue };
            let is_note = node.control.as_ref().is_some_and(|control| control.kind == ControlKind::Note);
            match node.kind {
                NodeKind::Repeat { .. } => drop(table(&mut tables, path)),
                NodeKind::Value if !is_note => {
                    let repeat = repeat_around(form, node.parent, &prefix);
                    let name = path.strip_prefix(repeat.as_str()).unwrap_or(path).trim_start_matches('/').to_owned();
                    // What names the interview is in the columns before.
                    if name.starts_with("meta/") {
                        continue;
                    }
                    let table = table(&mut tables, &repeat);
                    let next = table.names.len();
                    if !table.columns.contains_key(&name) {
                        table.columns.insert(name.clone(), next);
                        table.names.push(name);
                    }
                }
                NodeKind::Value | NodeKind::Group => {}
            }
        }
    }
    tables
}

fn table<'a>(tables: &'a mut BTreeMap<String, Table>, repeat: &str) -> &'a mut Table {
    tables.entry(repeat.to_owned()).or_insert_with(|| Table {
        repeat: repeat.to_owned(),
        columns: BTreeMap::new(),
        names: Vec::new(),
        rows: Vec::new(),
    })
}

/// Path below the root of the innermost repeat around a node.
fn repeat_around(form: &Form, mut parent: Option<usize>, prefix: &str) -> String {
    while let Some(node) = parent.and_then(|id| form.nodes.get(id)) {
        if matches!(node.kind, NodeKind::Repeat { .. }) {
            return node.path.strip_prefix(prefix).unwrap_or_default().to_owned();
        }
        parent = node.parent;
    }
    String::new()
}

/// Adds a record's rows.
fn put_record(tables: &mut BTreeMap<String, Table>, id: &str, head: Vec<String>, body: &Body) {
    // What stands in each instance, by its path; the root's under the empty path.
    let mut cells: BTreeMap<&str, Vec<(&str, &str, bool)>> = BTreeMap::new();
    let shown = body.values.iter().filter(|(reference, _)| !body.hidden.contains(*reference));
    let entered = shown.filter_map(|(reference, values)| Some((reference, &values.first()?.0, values.len() > 1)));
    let derived = body.derived.iter().map(|(reference, value)| (reference, value, false));
    for (reference, value, conflict) in entered.chain(derived) {
        let path = place::of_reference(reference);
        let instance = place::instance_of(path);
        let name = path.get(instance.len()..).unwrap_or_default().trim_start_matches('/');
        cells.entry(instance).or_default().push((name, value, conflict));
    }
    if let Some(table) = tables.get_mut("") {
        table.put(head, cells.get("").map_or(&[], Vec::as_slice));
    }
    for reference in &body.instances {
        let path = place::of_reference(reference);
        let Some(table) = tables.get_mut(place::form_path(path).as_ref()) else { continue };
        let Some(cells) = cells.get(path) else { continue };
        let above = place::instance_of(path.trim_end_matches(|character| character != '[').trim_end_matches('['));
        let key = |path: &str| if path.is_empty() { id.to_owned() } else { format!("{id}/{path}") };
        table.put(vec![id.to_owned(), key(above), key(path)], cells);
    }
}

impl Table {
    fn put(&mut self, head: Vec<String>, cells: &[(&str, &str, bool)]) {
        let mut row = vec![String::new(); self.names.len()];
        let mut conflicts = Vec::new();
        for (name, value, conflict) in cells {
            let Some(cell) = self.columns.get(*name).and_then(|at| row.get_mut(*at)) else { continue };
            (*value).clone_into(cell);
            if *conflict {
                conflicts.push(*name);
            }
        }
        let conflicts = conflicts.join(" ");
        self.rows.push(head.into_iter().chain(row).chain([conflicts]).collect());
    }

    fn file(self, form: &str) -> Result<CsvFile, Problem> {
        let unwritten = |_| Problem::new(Problem::FAILED, "export", "a line of the export cannot be written", "Report this.");
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(BYTE_ORDER_MARK.as_bytes().to_vec());
        let own = if self.repeat.is_empty() { &RECORD_COLUMNS[..] } else { &INSTANCE_COLUMNS[..] };
        let names = own.iter().copied().chain(self.names.iter().map(String::as_str)).chain([CONFLICTS_COLUMN]);
        writer.write_record(names.map(guarded)).map_err(unwritten)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| guarded(cell))).map_err(unwritten)?;
        }
        let bytes = writer.into_inner().map_err(|_| unwritten(csv::Error::from(std::io::Error::other(""))))?;
        let name = if self.repeat.is_empty() { form.to_owned() } else { format!("{form}.{}", self.repeat.replace('/', ".")) };
        let letter = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
        let name: String = name.chars().map(|character| if letter(character) { character } else { '_' }).collect();
        Ok(CsvFile { name: format!("{}.csv", name.trim_start_matches('.')), bytes, rows: self.rows.len() })
    }
}

/// A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe, numbers and places are left alone.
fn guarded(cell: &str) -> String {
    let begins = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = cell.strip_prefix('-').is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|character| character.is_ascii_digit() || matches!(character, '.' | '-' | ' ' | ';'))
    });
    if begins && !is_number { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay_numbers() {
        assert_eq!(guarded("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(guarded("+93700000001"), "'+93700000001");
        assert_eq!(guarded("@sum"), "'@sum");
        assert_eq!(guarded("-2+cmd|x"), "'-2+cmd|x");
        assert_eq!(guarded("-12.5"), "-12.5");
        assert_eq!(guarded("-33.1 60.2 0 0"), "-33.1 60.2 0 0");
        assert_eq!(guarded("-"), "'-");
        assert_eq!(guarded("غلام‌رضا"), "غلام‌رضا");
        assert_eq!(guarded(""), "");
    }
}
