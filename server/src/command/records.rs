//! Commands about records and what must be decided of them, and how a record is shown, here and on a device.

use std::path::Path;

use serde_json::Value;

use super::arguments::{RecordsArguments, RecordsCommand, ReviewCommand};
use super::output::{Answer, isolated, listed, plain, table};
use crate::control::ask;
use crate::decisions::{Decide, DecideAct};
use crate::problem::Problem;
use crate::query::{Query, RecordsQuery};
use crate::request::Request;
use crate::review::{ItemDecision, ReviewAct, ReviewCommand as Decision};

/// Columns of a list of records.
const COLUMNS: [(&str, &str); 7] = [
    ("title", "TITLE"),
    ("kind", "KIND"),
    ("status", "STATUS"),
    ("made_by", "MADE BY"),
    ("updated", "UPDATED"),
    ("open_items", "TO DECIDE"),
    ("record", "RECORD"),
];

/// Lists records, or shows one.
pub(super) fn records(arguments: RecordsArguments) -> Result<Answer, Problem> {
    if let Some(RecordsCommand::Show { organisation, record }) = arguments.command {
        let value = ask(&organisation, &Request::Query(Query::Show { record }))?;
        let text = shown(&value);
        return Ok(Answer::new(value, text));
    }
    let query = RecordsQuery {
        form: arguments.form,
        caseload: arguments.caseload,
        kind: arguments.kind,
        status: arguments.status,
        search: arguments.search.unwrap_or_default(),
        limit: 0,
        offset: 0,
    };
    let value = ask(&arguments.organisation.unwrap_or_default(), &Request::Query(Query::Records(query)))?;
    let text = records_text(&value, "They come when devices sync: karwan devices ORG tells which have.");
    Ok(Answer::new(value, text))
}

/// A list of records as a person reads it.
pub(super) fn records_text(value: &Value, next: &str) -> String {
    let mut value = value.clone();
    for row in value.as_array_mut().into_iter().flatten().filter(|row| row["provisional"] == true) {
        row["status"] = format!("{}, provisional", row["status"].as_str().unwrap_or_default()).into();
    }
    listed(&value, &COLUMNS, "records", next)
}

/// A record as a person reads it.
pub(super) fn shown(value: &Value) -> String {
    let of = ["form", "list"].iter().find_map(|key| value[*key].as_str()).unwrap_or_default();
    let told = |key: &str| value[key].as_str().unwrap_or_default();
    let mut text = format!("{}\n{} of {of}, {}, {}", isolated(told("title")), told("kind"), told("status"), told("record"));
    if value["provisional"] == true {
        text.push_str("\nProvisional: something of it came from another device, and the server has not judged it.");
    }
    if let Some(note) = value["returned"].as_str() {
        text.push_str(&format!("\nReturned: {}", isolated(note)));
    }
    let mut rows = Vec::new();
    for (reference, values) in value["values"].as_object().into_iter().flatten() {
        for (index, entry) in values.as_array().into_iter().flatten().enumerate() {
            let name = if index == 0 { reference.clone() } else { "  or".to_owned() };
            let [shown, author, device, time] = ["value", "author", "device", "time"].map(|key| plain(&entry[key]));
            rows.push(vec![name, shown, author, device, time]);
        }
    }
    text.push_str(&format!("\n\n{}", table(&["QUESTION", "VALUE", "BY", "DEVICE", "TIME"], &rows)));
    let events = |key: &str, keys: [&str; 5]| -> Vec<Vec<String>> {
        let list = value[key].as_array().into_iter().flatten();
        list.map(|event| keys.iter().map(|key| event.get(*key).map(plain).unwrap_or_default()).collect()).collect()
    };
    let history = events("history", ["time", "what", "author", "device", "note"]);
    if !history.is_empty() {
        text.push_str(&format!("\n\n{}", table(&["TIME", "WHAT", "BY", "DEVICE", "NOTE"], &history)));
    }
    let items = events("items", ["kind", "ref", "since", "item", "message"]);
    if !items.is_empty() {
        text.push_str(&format!("\n\n{}", table(&["TO DECIDE", "QUESTION", "SINCE", "ITEM", ""], &items)));
    }
    text
}

/// Gives records to somebody.
pub(super) fn assign(folder: &Path, records: Vec<String>, to: String, due: Option<String>) -> Result<Answer, Problem> {
    let text = format!("{} records are assigned to {}.", records.len(), isolated(&to));
    let act = ReviewAct::Assign { records, to, due };
    let value = ask(folder, &Request::Review(Decision { act, note: String::new(), person: None }))?;
    Ok(Answer::new(value, text))
}

/// Lists review items, or decides.
pub(super) fn review(command: ReviewCommand) -> Result<Answer, Problem> {
    let (organisation, decision, text) = match command {
        ReviewCommand::List { organisation } => return items(&organisation),
        ReviewCommand::Resolve { organisation, item, value, keep, accept, reject: _, note, person } => {
            let decision = match (value, keep) {
                (Some(value), _) => ItemDecision::Value(value),
                (None, Some(device)) => ItemDecision::Keep(device),
                (None, None) if accept => ItemDecision::Accept,
                (None, None) => ItemDecision::Reject,
            };
            let act = ReviewAct::Resolve { item, decision };
            (
                organisation,
                Decision { act, note: note.unwrap_or_default(), person },
                "Decided. Devices see it at their next sync.",
            )
        }
        ReviewCommand::Return { organisation, record, note, person } => {
            let act = ReviewAct::Return { record };
            (organisation, Decision { act, note, person }, "Returned. Its device sees it at its next sync.")
        }
        ReviewCommand::Approve { organisation, record, person } => {
            let act = ReviewAct::Approve { record };
            (organisation, Decision { act, note: String::new(), person }, "Approved.")
        }
        ReviewCommand::Adopt { organisation, device, person } => return adopt(&organisation, device, person),
    };
    Ok(Answer::new(ask(&organisation, &Request::Review(decision))?, text))
}

fn adopt(folder: &Path, device: String, person: Option<String>) -> Result<Answer, Problem> {
    let value = ask(folder, &Request::Decide(Decide { act: DecideAct::Adopt { device }, person }))?;
    let text = format!("{} of its records' changes count from now on; {} still do not.", value["adopted"], value["left"]);
    Ok(Answer::new(value, text))
}

/// Erases a record or a part of it.
pub(super) fn erase(
    folder: &Path,
    record: String,
    part: Option<String>,
    reason: String,
    person: Option<String>,
) -> Result<Answer, Problem> {
    let value = ask(folder, &Request::Decide(Decide { act: DecideAct::Erase { record, part, reason }, person }))?;
    let also: Vec<&str> = value["also"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = "Erased here. Each device erases it at its next sync.".to_owned();
    if !also.is_empty() {
        text.push_str(&format!("\nOther interviews tell of the same people, and stay: {}", also.join(", ")));
    }
    Ok(Answer::new(value, text))
}

/// Moves a record to another caseload.
pub(super) fn move_to(folder: &Path, record: String, to: String, person: Option<String>) -> Result<Answer, Problem> {
    let text = format!("It is in {} now. Devices see it at their next sync.", isolated(&to));
    Ok(Answer::new(ask(folder, &Request::Decide(Decide { act: DecideAct::Move { record, to }, person }))?, text))
}

fn items(folder: &Path) -> Result<Answer, Problem> {
    let value = ask(folder, &Request::Query(Query::Items))?;
    let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    for item in rows {
        let told = |key: &str| item[key].as_str().unwrap_or_default();
        text.push_str(&format!("{}: {} {}, since {}\n", told("kind"), isolated(told("title")), told("ref"), told("since")));
        for entry in item["values"].as_array().into_iter().flatten() {
            let [value, author, device, time] = ["value", "author", "device", "time"].map(|key| isolated(&plain(&entry[key])));
            text.push_str(&format!("    {value}  by {author} on {device}, {time}\n"));
        }
        if !told("message").is_empty() {
            text.push_str(&format!("    {}\n", isolated(told("message"))));
        }
        text.push_str(&format!("    item {}  record {}\n", told("item"), told("record")));
    }
    if rows.is_empty() {
        text.push_str("Nothing is to be decided.");
    } else {
        text.push_str(&format!("{} to decide. Decide one: karwan review resolve ORG ITEM --value TEXT", rows.len()));
    }
    Ok(Answer::new(value, text))
}

/// Writes a form's records as CSV.
pub(super) fn export(folder: &Path, form: String, csv: &Path) -> Result<Answer, Problem> {
    let target = std::path::absolute(csv)?;
    let text = format!("Written to {}.", target.display());
    Ok(Answer::new(ask(folder, &Request::Export { form, folder: target })?, text))
}
