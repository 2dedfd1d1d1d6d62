//! Makes sense of a sheet's first row: headers in any case, with spaces or underscores, with their many older names, and
//! with a language or a group (`label::فارسی (fa)`, `media::image::English`, `bind::relevant`, `instance::hxl`).

use std::collections::BTreeMap;

use super::references::distance;
use super::report::{Place, Report};
use super::workbook::{CELL_ERRORS, RawSheet};

/// A sheet whose columns are known by one name each.
#[derive(Debug, Default)]
pub struct Sheet {
    pub name: String,
    /// By column of the workbook.
    pub headers: BTreeMap<u32, Header>,
    pub rows: Vec<Row>,
    columns: BTreeMap<(String, Option<String>), u32>,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Header {
    /// As the author wrote it.
    pub text: String,
    /// The one name that the reader uses: `label`, `relevant`, `media::image`, `bind::x`, `instance::hxl`; blank for a
    /// column of the author's own.
    pub key: String,
    pub language: Option<String>,
}

/// A row below the header that holds something.
#[derive(Debug)]
pub struct Row {
    /// As the spreadsheet shows it.
    pub number: u32,
    cells: Vec<(u32, String)>,
}

/// Which sheet's names apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Survey,
    Choices,
    Settings,
    Entities,
    Status,
}

/// Media that a label can have.
const MEDIA: [&str; 4] = ["image", "audio", "video", "big-image"];

/// Columns that may have a language, in the order in which messages name them.
pub const TRANSLATED: [&str; 9] = [
    "label",
    "hint",
    "guidance_hint",
    "constraint_message",
    "required_message",
    "media::image",
    "media::big-image",
    "media::audio",
    "media::video",
];

const SURVEY: &[(&str, &str)] = &[
    ("caption", "label"),
    ("relevance", "relevant"),
    ("readonly", "read_only"),
    ("calculate", "calculation"),
    ("constraining_message", "constraint_message"),
    ("constraintmsg", "constraint_message"),
    ("jr:constraintmsg", "constraint_message"),
    ("jr:requiredmsg", "required_message"),
    ("requiredmsg", "required_message"),
    ("noapperrorstring", "bind::jr:noAppErrorString"),
    ("no_app_error_string", "bind::jr:noAppErrorString"),
    ("command", "type"),
    ("tag", "name"),
    ("value", "name"),
    ("count", "repeat_count"),
    ("jr:count", "repeat_count"),
    ("image", "media::image"),
    ("audio", "media::audio"),
    ("video", "media::video"),
    ("big-image", "media::big-image"),
    ("big_image", "media::big-image"),
    ("guidance", "guidance_hint"),
    ("compact_tag", "instance::odk:tag"),
];

const SURVEY_KNOWN: [&str; 23] = [
    "type",
    "name",
    "label",
    "hint",
    "guidance_hint",
    "required",
    "required_message",
    "relevant",
    "constraint",
    "constraint_message",
    "calculation",
    "appearance",
    "choice_filter",
    "default",
    "repeat_count",
    "parameters",
    "save_to",
    "read_only",
    "trigger",
    "autoplay",
    "rows",
    "disabled",
    "intent",
];

const GROUPED: &[(&str, &str)] = &[
    ("bind::relevant", "relevant"),
    ("bind::constraint", "constraint"),
    ("bind::required", "required"),
    ("bind::readonly", "read_only"),
    ("bind::calculate", "calculation"),
    ("bind::jr:constraintMsg", "constraint_message"),
    ("bind::jr:requiredMsg", "required_message"),
    ("bind::entities:saveto", "save_to"),
    ("body::appearance", "appearance"),
    ("body::jr:count", "repeat_count"),
    ("body::autoplay", "autoplay"),
    ("body::rows", "rows"),
    ("body::intent", "intent"),
];

const CHOICES: &[(&str, &str)] = &[
    ("caption", "label"),
    ("value", "name"),
    ("image", "media::image"),
    ("audio", "media::audio"),
    ("video", "media::video"),
    ("big-image", "media::big-image"),
];

const SETTINGS: &[(&str, &str)] =
    &[("title", "form_title"), ("set_form_title", "form_title"), ("id_string", "form_id"), ("set_form_id", "form_id")];

/// What is said of a column that must be there.
pub const MISSING: &str = "the column is missing";

/// Empty columns after which nothing more is a header.
const EMPTY_COLUMNS_MAX: u32 = 20;
/// Empty rows after which nothing more is read.
const EMPTY_ROWS_MAX: u32 = 60;

/// Reads the header row and names every column.
pub fn read(raw: RawSheet, kind: Kind, report: &mut Report) -> Sheet {
    let mut sheet = Sheet { name: raw.name, ..Sheet::default() };
    let mut rows = raw.rows.into_iter();
    let Some(first) = rows.next() else { return sheet };
    if first.number != 1 {
        report.fault(
            Place { sheet: &sheet.name, row: 1, column: "" },
            "the first row is empty, and it names the columns",
            format!("move the table up, so that its header (now in row {}) is the first row", first.number),
        );
        return sheet;
    }
    let double = first.cells.iter().any(|(_, text)| text.contains("::"));
    let mut next = 0;
    for (column, text) in &first.cells {
        if *column > next + EMPTY_COLUMNS_MAX {
            break;
        }
        next = column + 1;
        let text = &text.split_whitespace().collect::<Vec<_>>().join(" ");
        if sheet.headers.values().any(|other| other.text == *text) {
            report.fault(
                Place { sheet: &sheet.name, row: 1, column: text },
                format!("there are two columns `{text}`"),
                "rename or remove one of them",
            );
            continue;
        }
        let mut header = header(text, kind, double);
        if kind == Kind::Survey && header.key.strip_prefix("media::").is_some_and(|medium| !MEDIA.contains(&medium)) {
            report.fault(
                Place { sheet: &sheet.name, row: 1, column: text },
                format!("`{text}` names no medium"),
                format!("use one of {}, with the language after it: `media::image::English (en)`", MEDIA.join(", ")),
            );
            continue;
        }
        if kind == Kind::Survey && !is_known(&header.key) {
            if let Some(meant) = meant(text, double) {
                let place = Place { sheet: &sheet.name, row: 1, column: text };
                report.warn(place, &format!("this column is not read; is it meant to be `{meant}`?"));
            }
            header.key.clear();
            sheet.headers.insert(*column, header);
            continue;
        }
        let place = (header.key.clone(), header.language.clone());
        if let Some(other) = sheet.columns.get(&place).and_then(|other| sheet.headers.get(other)).cloned() {
            let ids = kind == Kind::Settings && header.key == "form_id";
            if ids {
                let place = Place { sheet: &sheet.name, row: 1, column: text };
                report.warn(place, "both `form_id` and `id_string` are here; `form_id` counts: keep only that");
                if *text != "form_id" {
                    continue;
                }
            } else if !is_plain(text) {
                report.fault(
                    Place { sheet: &sheet.name, row: 1, column: text },
                    format!("columns `{}` and `{text}` mean the same", other.text),
                    "keep one of them",
                );
                continue;
            }
        }
        sheet.columns.insert(place, *column);
        sheet.headers.insert(*column, header);
    }
    let mut last = 1;
    for row in rows {
        let cells: Vec<(u32, String)> = row
            .cells
            .into_iter()
            .filter(|(column, _)| sheet.headers.contains_key(column))
            .map(|(column, text)| (column, plain_quotes(text)))
            .collect();
        if cells.is_empty() {
            continue;
        }
        if row.number > last + EMPTY_ROWS_MAX + 1 {
            report.warn(
                Place { sheet: &sheet.name, row: row.number, column: "" },
                &format!("this row and what is below it is not read: more than {EMPTY_ROWS_MAX} empty rows are above it"),
            );
            break;
        }
        last = row.number;
        for (column, text) in cells.iter().filter(|(_, text)| CELL_ERRORS.contains(&text.as_str())) {
            let header = sheet.headers.get(column).map(|header| header.text.as_str()).unwrap_or_default();
            let message = format!("the formula in this cell has failed and gives `{text}`: mend it, or write the text itself");
            report.warn(Place { sheet: &sheet.name, row: row.number, column: header }, &message);
        }
        sheet.rows.push(Row { number: row.number, cells });
    }
    sheet
}

/// The name of a column as pyxform itself calls it: it may stand beside another name for the same, and counts.
fn is_plain(text: &str) -> bool {
    matches!(
        text,
        "type"
            | "name"
            | "label"
            | "hint"
            | "guidance_hint"
            | "default"
            | "parameters"
            | "trigger"
            | "choice_filter"
            | "title"
            | "list name"
            | "dataset"
    )
}

fn first_part(text: &str) -> &str {
    text.split(':').next().unwrap_or_default().trim()
}

/// What a column of the survey sheet that is not read could be meant to be.
fn meant(text: &str, double: bool) -> Option<String> {
    let (first, rest) = text.split_at(first_part(text).len());
    let key = snake(first);
    if let (true, Some(language)) = (double && TRANSLATED.contains(&key.as_str()), rest.strip_prefix(':')) {
        return Some(format!("{first}::{}", language.trim()));
    }
    SURVEY_KNOWN.iter().find(|known| known.len() > 3 && is_like(&key, known)).map(|known| format!("{known}{rest}"))
}

/// Whether a word is a slip of another: letters in another order, one letter more, less or changed, or two of a long word.
fn is_like(word: &str, other: &str) -> bool {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().filter(|letter| *letter != '_').collect();
        letters.sort_unstable();
        letters
    };
    let bound = if other.len() >= 8 { 2 } else { 1 };
    word.len() > 2 && word != other && (sorted(word) == sorted(other) || distance(word, other, bound) <= bound)
}

fn header(text: &str, kind: Kind, double: bool) -> Header {
    let whole = snake(text);
    let aliases = match kind {
        Kind::Survey => SURVEY,
        Kind::Choices => CHOICES,
        Kind::Settings => SETTINGS,
        Kind::Entities => &[("dataset", "list_name")][..],
        Kind::Status => &[],
    };
    let alias = |name: &str| aliases.iter().find(|(other, _)| *other == name).map(|(_, to)| (*to).to_owned());
    let plain = |key: String| Header { text: text.to_owned(), key, language: None };
    if let Some(key) = alias(&whole) {
        return plain(key);
    }
    let mut tokens: Vec<String> = if double || text.contains("::") {
        text.split("::").map(|token| token.trim().to_owned()).collect()
    } else {
        text.split(':').map(|token| token.trim().to_owned()).collect()
    };
    if let Some(at) = tokens.iter().position(|token| matches!(token.as_str(), "jr" | "odk" | "orx" | "karwan" | "entities"))
        && !double
        && at + 1 < tokens.len()
    {
        let name = tokens.remove(at + 1);
        if let Some(prefix) = tokens.get_mut(at) {
            *prefix = format!("{prefix}:{name}");
        }
    }
    let Some(first) = tokens.first().map(|token| snake(token)) else { return plain(whole) };
    let group = match first.as_str() {
        "control" => "body".to_owned(),
        other => other.to_owned(),
    };
    let mut rest = tokens.iter().skip(1).cloned();
    let key = match (kind, group.as_str()) {
        (Kind::Survey | Kind::Choices, "media") => rest.next().map(|medium| format!("media::{medium}")),
        (Kind::Survey, "bind" | "body" | "instance") => rest.next().map(|name| {
            let key = format!("{group}::{name}");
            GROUPED.iter().find(|(other, _)| other.eq_ignore_ascii_case(&key)).map_or(key, |(_, to)| (*to).to_owned())
        }),
        _ => None,
    };
    let key = key.or_else(|| alias(&group)).unwrap_or_else(|| {
        let known = match kind {
            Kind::Survey => SURVEY_KNOWN.contains(&group.as_str()),
            Kind::Choices => matches!(group.as_str(), "list_name" | "name" | "label"),
            Kind::Settings | Kind::Entities | Kind::Status => true,
        };
        // A choice filter may name any other column of the choices, so those keep their spelling.
        if known || kind != Kind::Choices { group.clone() } else { text.trim().to_owned() }
    });
    let language = if TRANSLATED.contains(&key.as_str()) { rest.next().filter(|language| !language.is_empty()) } else { None };
    if kind == Kind::Survey && !is_known(&key) {
        return plain(whole);
    }
    Header { text: text.to_owned(), key, language }
}

/// Other columns of the survey sheet are the author's own notes.
fn is_known(key: &str) -> bool {
    SURVEY_KNOWN.contains(&key) || key.contains("::")
}

/// `List Name` → `list_name`.
fn snake(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("_").to_lowercase()
}

/// Spreadsheet programs turn quotes into curly ones, which no expression understands.
fn plain_quotes(text: String) -> String {
    if text.contains(['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}']) {
        text.replace(['\u{2018}', '\u{2019}'], "'").replace(['\u{201c}', '\u{201d}'], "\"")
    } else {
        text
    }
}

impl Sheet {
    /// The cell of a column without a language; empty where there is none.
    pub fn text<'row>(&self, row: &'row Row, key: &str) -> &'row str {
        self.columns.get(&(key.to_owned(), None)).map_or("", |column| row.cell(*column))
    }

    /// The cells of a column in all its languages, in the order of the sheet.
    pub fn texts<'sheet>(&'sheet self, row: &'sheet Row, key: &str) -> Vec<(Option<&'sheet str>, &'sheet str)> {
        row.cells
            .iter()
            .filter_map(|(column, text)| {
                let header = self.headers.get(column)?;
                (header.key == key).then_some((header.language.as_deref(), text.as_str()))
            })
            .collect()
    }

    /// Whether the sheet has the column, in any language.
    pub fn has(&self, key: &str) -> bool {
        self.headers.values().any(|header| header.key == key)
    }

    /// What to do where a column is missing: rename the one that is like it, or add it, which is `for_what`.
    pub fn add(&self, key: &str, for_what: &str) -> String {
        match self.lookalike(key) {
            Some(text) => format!("rename the column `{text}` to `{key}`"),
            None => format!("add a column `{key}`{for_what}"),
        }
    }

    /// A header that is hardly meant as anything but the column `key`, which the sheet does not have.
    pub fn lookalike(&self, key: &str) -> Option<&str> {
        let unread = |header: &&Header| header.key.is_empty() || header.key == header.text || header.key == snake(&header.text);
        let headers = self.headers.values().filter(unread).filter(|header| header.key != key);
        headers.map(|header| header.text.as_str()).find(|text| !self.has(key) && is_like(&snake(first_part(text)), key))
    }

    /// The header as the author wrote it, for messages.
    pub fn header_text(&self, key: &str) -> String {
        self.headers.values().find(|header| header.key == key).map_or_else(|| key.to_owned(), |header| header.text.clone())
    }

    /// All cells of a row with their columns' headers as the author wrote them.
    pub fn cells<'sheet>(&'sheet self, row: &'sheet Row) -> impl Iterator<Item = (&'sheet Header, &'sheet str)> {
        row.cells.iter().filter_map(|(column, text)| Some((self.headers.get(column)?, text.as_str())))
    }

    /// Cells whose key begins with a prefix, with the rest of the key.
    pub fn with_prefix<'sheet>(&'sheet self, row: &'sheet Row, prefix: &str) -> Vec<(&'sheet str, &'sheet str)> {
        row.cells
            .iter()
            .filter_map(|(column, text)| Some((self.headers.get(column)?.key.strip_prefix(prefix)?, text.as_str())))
            .collect()
    }
}

impl Row {
    fn cell(&self, column: u32) -> &str {
        self.cells.iter().find(|(other, _)| *other == column).map_or("", |(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn survey(text: &str) -> (String, Option<String>) {
        let header = header(text, Kind::Survey, text.contains("::"));
        (header.key, header.language)
    }

    #[test]
    fn headers_have_one_name() {
        for (written, key) in [
            ("Relevant", "relevant"),
            ("relevance", "relevant"),
            ("constraint message", "constraint_message"),
            ("Constraint_Message", "constraint_message"),
            ("bind::relevant", "relevant"),
            ("bind:relevant", "relevant"),
            ("bind:jr:constraintMsg", "constraint_message"),
            ("calculate", "calculation"),
            ("read_only", "read_only"),
            ("readonly", "read_only"),
            ("jr:count", "repeat_count"),
            ("body::jr:count", "repeat_count"),
            ("repeat count", "repeat_count"),
            ("control::appearance", "appearance"),
            ("image", "media::image"),
            ("instance::hxl", "instance::hxl"),
            ("bind::karwan:merge", "bind::karwan:merge"),
            ("bind::odk:length", "bind::odk:length"),
        ] {
            assert_eq!(survey(written), (key.to_owned(), None), "{written}");
        }
        assert_eq!(survey("label::فارسی (fa)"), ("label".to_owned(), Some("فارسی (fa)".to_owned())));
        assert_eq!(survey("Label :: English (en)"), ("label".to_owned(), Some("English (en)".to_owned())));
        assert_eq!(survey("label:French"), ("label".to_owned(), Some("French".to_owned())));
        assert_eq!(survey("caption::fr"), ("label".to_owned(), Some("fr".to_owned())));
        assert_eq!(survey("media::image::English"), ("media::image".to_owned(), Some("English".to_owned())));
        assert_eq!(survey("image::English"), ("media::image".to_owned(), Some("English".to_owned())));
        assert_eq!(survey("bind::jr:constraintMsg::fa"), ("constraint_message".to_owned(), Some("fa".to_owned())));
        assert_eq!(header("list name", Kind::Choices, false).key, "list_name");
        assert_eq!(header("Adm1 Code", Kind::Choices, false).key, "Adm1 Code");
        assert_eq!(header("form id", Kind::Settings, false).key, "form_id");
        assert_eq!(header("dataset", Kind::Entities, false).key, "list_name");
    }
}
