//! Real forms, where they are at hand: answers that ODK's engine took give the submission that it made.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karwan_form::answer_file;
use karwan_form::interview::{Context, Interview, Lists};
use karwan_form::model::Table;
use karwan_form::xlsform;

/// 2026-11-23T10:00:00Z, the clock of the golden submissions.
const GOLDEN_NOW_MS: i64 = 1_795_428_000_000;

struct Folder(PathBuf);

impl Lists for Folder {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        let mut reader = csv::Reader::from_path(self.0.join(file)).ok()?;
        let columns = reader.headers().ok()?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        Some(Arc::new(Table::new(columns, rows)))
    }
}

fn shared_forms() -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let forms = std::env::var_os("KARWAN_SHARED").map_or_else(beside, PathBuf::from).join("forms");
    if forms.is_dir() {
        return Some(forms);
    }
    println!("skipped: no forms at {}", forms.display());
    None
}

/// Leaves of a submission as `path=text`; what differs from run to run is masked.
fn leaves(xml: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let masked = |path: &str| {
        let name = path.rsplit(['/', '@']).next().unwrap_or(path);
        matches!(
            name,
            "start"
                | "end"
                | "instanceID"
                | "new_uuid"
                | "m_uuid"
                | "m_entity_id"
                | "id"
                | "case_id"
                | "deviceid"
                | "username"
                | "site_id"
        ) || ["_uuid", "_entity_id", "baseVersion"].iter().any(|tail| name.ends_with(tail))
    };
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut text = String::new();
    let mut inner = false;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return found,
            event @ (Event::Start(_) | Event::Empty(_)) => {
                let (element, empty) = match &event {
                    Event::Start(element) => (element, false),
                    Event::Empty(element) => (element, true),
                    _ => unreachable!(),
                };
                path.push(String::from_utf8(element.name().as_ref().to_vec()).unwrap());
                for attribute in element.attributes() {
                    let attribute = attribute.unwrap();
                    let name = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    if !name.starts_with("xmlns") && path.len() > 1 {
                        let place = format!("{}@{name}", path.join("/"));
                        let value = if masked(&place) { "*".into() } else { attribute.unescape_value().unwrap().into_owned() };
                        found.push(format!("{place}={value}"));
                    }
                }
                text.clear();
                inner = false;
                if empty {
                    path.pop();
                    inner = true;
                }
            }
            Event::Text(piece) => text.push_str(&piece.decode().unwrap()),
            Event::GeneralRef(name) => {
                text.push_str(match name.decode().unwrap().as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    _ => "\"",
                });
            }
            Event::End(_) => {
                let place = path.join("/");
                // Empty notes and blanks are written by some engines and not by others.
                if !inner && !text.is_empty() {
                    let value = if masked(&place) { "*".to_owned() } else { plain(&masked_number(&text)) };
                    found.push(format!("{place}={value}"));
                }
                inner = true;
                path.pop();
            }
            _ => {}
        }
    }
}

/// Engines write large numbers and times of day in different ways that mean the same.
fn plain(text: &str) -> String {
    let time = text.strip_suffix('Z').filter(|time| time.len() == 12 && time.as_bytes()[2] == b':');
    let number =
        text.parse::<f64>().ok().filter(|_| text.contains('.') && text.starts_with(|first: char| first.is_ascii_digit()));
    number.map_or_else(|| time.unwrap_or(text).to_owned(), |number| number.to_string())
}

/// The last four characters of a case number made today come from a random identifier.
fn masked_number(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("VR-") {
        let Some(end) = rest.get(at + 16..at + 20).map(|_| at + 20) else { break };
        masked.push_str(&rest[..at + 16]);
        masked.push_str("****");
        rest = &rest[end..];
    }
    masked + rest
}

fn compare(folder: &Path, name: &str, answers: &str) -> Vec<String> {
    let bytes = std::fs::read(folder.join(name).join(format!("{name}.xlsx"))).unwrap();
    let form = Arc::new(xlsform::read(&bytes, &format!("{name}.xlsx")).unwrap());
    let golden = folder.join(name).join("golden");
    let lines = answer_file::parse(&std::fs::read_to_string(golden.join(format!("{answers}.answers.txt"))).unwrap()).unwrap();
    let mut context = Context::at(GOLDEN_NOW_MS, [7; 32]);
    "golden:device".clone_into(&mut context.device_id);
    "golden".clone_into(&mut context.username);
    context.lists = Arc::new(Folder(folder.join("_attachments")));
    let mut interview = Interview::start(form, context).unwrap();
    for line in &lines {
        answer_file::apply_line(&mut interview, line).unwrap_or_else(|error| panic!("{name} {answers}: {line:?}: {error}"));
    }
    let submission = interview.finalize().unwrap_or_else(|violations| panic!("{name} {answers}: {violations:#?}"));
    let expected = leaves(&std::fs::read_to_string(golden.join(format!("{answers}.submission.xml"))).unwrap());
    let came = leaves(&submission.xml);
    let mut differences = Vec::new();
    differences.extend(expected.iter().filter(|line| !came.contains(line)).map(|line| format!("{name} {answers} lacks {line}")));
    differences.extend(came.iter().filter(|line| !expected.contains(line)).map(|line| format!("{name} {answers} has {line}")));
    differences
}

#[test]
fn golden_answers_give_golden_submissions() {
    let Some(folder) = shared_forms() else { return };
    let mut differences = Vec::new();
    let mut compared = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Ok(golden) = std::fs::read_dir(folder.join(&name).join("golden")) else { continue };
        for file in golden {
            let file = file.unwrap().file_name().into_string().unwrap();
            if let Some(answers) = file.strip_suffix(".answers.txt") {
                differences.extend(compare(&folder, &name, answers));
                compared += 1;
            }
        }
    }
    println!("{compared} golden submissions compared");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
