//! The choices sheet: lists of choices with their labels and with whatever other columns choice filters look at.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{MISSING, Sheet};
use super::draft::Words;
use super::references::is_name;
use super::report::{Place, Report};

/// One list.
#[derive(Debug, Default)]
pub struct ChoiceList {
    /// Names of the other columns that some row fills, in the order of the sheet.
    pub columns: Vec<String>,
    pub rows: Vec<Choice>,
}

impl ChoiceList {
    /// Whether the labels need a language: some have one, or a picture, or `${}` in them.
    pub fn is_spoken(&self) -> bool {
        self.rows.iter().any(|choice| {
            !choice.media.is_empty() || choice.label.iter().any(|(language, text)| language.is_some() || text.contains("${"))
        })
    }
}

/// One choice.
#[derive(Debug, Default, Clone)]
pub struct Choice {
    pub row: u32,
    pub name: String,
    pub label: Words,
    pub media: BTreeMap<String, Words>,
    /// Column and value.
    pub extras: Vec<(String, String)>,
}

/// Reads all lists, by name and in no order that matters.
pub fn read(sheet: &Sheet, allow_duplicates: bool, report: &mut Report) -> BTreeMap<String, ChoiceList> {
    let mut lists: BTreeMap<String, ChoiceList> = BTreeMap::new();
    if sheet.rows.is_empty() {
        return lists;
    }
    for (key, header) in [("list_name", "list_name"), ("name", "name")] {
        if !sheet.has(key) {
            report.fault(Place { sheet: "choices", row: 1, column: header }, MISSING, sheet.add(header, ""));
        }
    }
    if !sheet.has("list_name") || !sheet.has("name") {
        return lists;
    }
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let extras: Vec<String> = extra_columns(sheet, report);
    let label_column = sheet.header_text("label");
    for row in &sheet.rows {
        // As a list's name is read back from an XForm, where it stands in an attribute.
        let list_name = sheet.text(row, "list_name").replace(char::is_whitespace, " ");
        let list_name = list_name.as_str();
        let name = sheet.text(row, "name");
        let place = |column| Place { sheet: "choices", row: row.number, column };
        if list_name.is_empty() {
            // Notes below a list are customary.
            if !name.is_empty() {
                report.warn(place("list_name"), "this choice belongs to no list and is ignored");
            }
            continue;
        }
        if name.is_empty() {
            report.fault(
                place("name"),
                format!("a choice of `{list_name}` has no name"),
                "give it a name: what is stored when it is chosen",
            );
            continue;
        }
        if !seen.entry(list_name.to_owned()).or_default().insert(name.to_owned()) && !allow_duplicates {
            report.fault(
                place("name"),
                format!("`{list_name}` has the choice `{name}` twice"),
                "rename one, or set `allow_choice_duplicates` to `yes` in the settings where this is meant",
            );
        }
        let label: Words = own(sheet.texts(row, "label"));
        if label.is_empty() {
            let renamed = sheet.lookalike("label").map(|text| format!(": rename the column `{text}` to `label`"));
            report.warn(place(&label_column), &format!("this choice has no label{}", renamed.unwrap_or_default()));
        }
        let media = ["image", "audio", "video", "big-image"]
            .iter()
            .map(|medium| ((*medium).to_owned(), own(sheet.texts(row, &format!("media::{medium}")))))
            .filter(|(_, words)| !words.is_empty())
            .collect();
        let list = lists.entry(list_name.to_owned()).or_default();
        let mut choice = Choice { row: row.number, name: name.to_owned(), label, media, extras: Vec::new() };
        for column in &extras {
            let value = sheet.text(row, column);
            if !value.is_empty() {
                if !list.columns.contains(column) {
                    list.columns.push(column.clone());
                }
                choice.extras.push((column.clone(), value.to_owned()));
            }
        }
        list.rows.push(choice);
    }
    lists
}

fn own(texts: Vec<(Option<&str>, &str)>) -> Words {
    texts.into_iter().map(|(language, text)| (language.map(str::to_owned), text.to_owned())).collect()
}

/// Columns that a choice filter can name.
fn extra_columns(sheet: &Sheet, report: &mut Report) -> Vec<String> {
    let mut extras = Vec::new();
    for header in sheet.headers.values() {
        let key = header.key.as_str();
        if matches!(key, "list_name" | "name" | "label") || key.starts_with("media::") {
            continue;
        }
        if is_name(key) {
            extras.push(key.to_owned());
        } else {
            report.warn(
                Place { sheet: "choices", row: 1, column: &header.text },
                "this column cannot be used in a choice filter and is ignored",
            );
        }
    }
    extras
}

/// `or_other` puts a last choice into the list, where it has none.
pub fn add_other(list: &mut ChoiceList) {
    if list.rows.iter().any(|choice| choice.name == "other") {
        return;
    }
    let mut label: Words = Vec::new();
    for (language, _) in list.rows.iter().flat_map(|choice| &choice.label) {
        if !label.iter().any(|(other, _)| other == language) {
            label.push((language.clone(), "Other".to_owned()));
        }
    }
    if label.is_empty() {
        label.push((None, "Other".to_owned()));
    }
    let row = list.rows.last().map_or(0, |choice| choice.row);
    list.rows.push(Choice { row, name: "other".to_owned(), label, ..Choice::default() });
}
