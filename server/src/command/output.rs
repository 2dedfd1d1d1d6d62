//! What a command says: one JSON value for scripts, text and tables for people, problems in two lines.

use std::io::Write;

use serde_json::{Value, json};

use crate::problem::Problem;

/// Widest column of a table, in characters.
const COLUMN_MAX: usize = 48;

/// What a command answers.
pub(super) struct Answer {
    /// For scripts; nothing where the command has printed everything itself.
    pub value: Value,
    /// For people.
    pub text: String,
    /// What nevertheless went wrong: it decides the exit status.
    pub problem: Option<Problem>,
}

impl Answer {
    /// An answer.
    pub fn new(value: Value, text: impl Into<String>) -> Self {
        Self { value, text: text.into(), problem: None }
    }

    /// Everything has been printed.
    pub fn nothing() -> Self {
        Self::new(Value::Null, "")
    }

    /// Prints it.
    pub fn print(&self, json: bool) {
        if json && !self.value.is_null() {
            say(&self.value.to_string());
        } else if !json && !self.text.is_empty() {
            say(self.text.trim_end());
        }
    }
}

/// A line on standard output. Whoever reads may have gone.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// A line on standard error: hints, progress, questions.
pub(super) fn hint(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// A problem on standard error.
pub(super) fn complain(problem: &Problem, json: bool) {
    if json {
        hint(&json!({"error": problem.error, "code": problem.code, "mend": problem.mend}).to_string());
    } else {
        hint(&format!("error: {}\nmend: {}", problem.error, problem.mend));
    }
}

/// A value between other text: right-to-left words are kept from reordering what stands around them.
pub(crate) fn isolated(text: &str) -> String {
    let right_to_left =
        |character: char| matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}');
    if text.chars().any(right_to_left) { format!("\u{2068}{text}\u{2069}") } else { text.to_owned() }
}

/// Columns that a text takes in a terminal: marks and joiners take none.
fn width(text: &str) -> usize {
    let marks = |character: &char| {
        matches!(character, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
    };
    text.chars().filter(|character| !marks(character)).count()
}

fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if width(&line) <= COLUMN_MAX {
        return isolated(&line);
    }
    isolated(&format!("{}…", line.chars().take(COLUMN_MAX - 1).collect::<String>()))
}

/// Aligned columns under their heads.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|text| width(text));
            cells.chain([width(head)]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded =
            cells.iter().zip(&widths).map(|(text, wide)| format!("{text}{}", " ".repeat(wide.saturating_sub(width(text)))));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = line(heads.to_vec());
    for row in &rows {
        text.push('\n');
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// A table of JSON objects: each column is a key and its head. Where there is none, what to do next.
pub(super) fn listed(value: &Value, columns: &[(&str, &str)], counted: &str, next: &str) -> String {
    let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return format!("No {counted}. {next}");
    }
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|(key, _)| plain(row.get(*key).unwrap_or(&Value::Null))).collect()).collect();
    let heads: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
    format!("{}\n{counted}: {}", table(&heads, &cells), rows.len())
}

/// A value without the marks of JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_right_to_left_words_isolated() {
        let rows = [vec!["علی".to_owned(), "sent".to_owned()], vec!["Karim".to_owned(), "draft".to_owned()]];
        assert_eq!(table(&["TITLE", "STATUS"], &rows), "TITLE  STATUS\n\u{2068}علی\u{2069}    sent\nKarim  draft");
    }

    #[test]
    fn joiners_take_no_room() {
        assert_eq!(width("قربان\u{200c}علی"), 8);
    }

    #[test]
    fn an_empty_list_says_what_to_do_next() {
        assert_eq!(listed(&json!([]), &[("name", "NAME")], "caseloads", "Add one."), "No caseloads. Add one.");
    }
}
