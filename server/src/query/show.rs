//! One record or entity with all that is known of it.

use std::collections::BTreeMap;

use karwan_client::query::{RecordListed, RecordShown, ShownEvent, ShownItem, ShownPayable, ShownStep};
use karwan_proto::{CaseloadId, RecordId};
use karwan_record::entities::{self, EntityWriteBody};

use super::items::{shown, stored_of};
use super::records::{COLUMNS, listed};
use super::{Names, Scope};
use crate::clock::{offset_text, rfc3339};
use crate::database::{Connection, OptionalExtension, Value};
use crate::host::Host;
use crate::problem::Problem;
use crate::projector::body::{Body, By};
use crate::projector::rows::writes_to;

/// A record by its identifier, or an entity by its identifier or `LIST:ID`.
pub fn show(host: &Host, scope: &Scope, record: &str) -> Result<RecordShown, Problem> {
    if *scope == Scope::Health {
        let error = "an operator sees no personal data";
        return Err(Problem::refused("no-personal-data", error, "Sign in as somebody who works with this caseload."));
    }
    let names = Names::of(&host.organisation);
    host.projector.read(|db| {
        let found = find(db, scope, &names, record)?;
        let Found { caseload, owner, row, returned, body } = found.ok_or_else(|| no_such_record(record))?;
        let items = shown_items(db, &names, caseload, &owner)?;
        match row.list.clone() {
            Some(list) => Ok(entity(&names, row, &writes_of(db, caseload, &list, &owner)?, items)),
            None => Ok(interview(&names, row, returned, &serde_json::from_str(&body)?, items)),
        }
    })
}

/// A record that nobody knows, or that is not for these eyes.
pub(crate) fn no_such_record(record: &str) -> Problem {
    Problem::input("no-such-record", format!("no record {record}"), "See the records: karwan records ORG.")
}

/// A row with what only one record's page needs.
struct Found {
    caseload: CaseloadId,
    owner: String,
    row: RecordListed,
    returned: String,
    body: String,
}

fn find(db: &Connection, scope: &Scope, names: &Names<'_>, record: &str) -> Result<Option<Found>, Problem> {
    let mut parameters = Vec::new();
    let condition = scope.condition("record.caseload", &mut parameters);
    // Identifiers are accepted without hyphens and in capitals too.
    let id = record.parse::<RecordId>().map_or_else(|_| record.to_owned(), |id| id.to_string());
    parameters.extend([&id, &id, &record.to_owned()].map(|text| Value::Text(text.clone())));
    let text = format!(
        "SELECT {COLUMNS} FROM record WHERE {condition} AND (id = ? OR owner = ? OR owner = ?) ORDER BY kind, source LIMIT 1"
    );
    let statement = db.prepare(&text);
    let found = statement.query_row(parameters, |row| {
        Ok(Found {
            caseload: CaseloadId(row.get(2)?),
            owner: row.get(11)?,
            row: listed(row, names)?,
            returned: row.get(12)?,
            body: row.get(13)?,
        })
    });
    Ok(found.optional()?)
}

fn shown_items(db: &Connection, names: &Names<'_>, caseload: CaseloadId, owner: &str) -> Result<Vec<ShownItem>, Problem> {
    let shown = |stored: crate::projector::rows::StoredItem| {
        let listed = shown(names, &stored);
        ShownItem {
            item: stored.item.id,
            kind: stored.item.kind.as_str().to_owned(),
            reference: stored.item.reference,
            values: listed.into_iter().map(|value| value.shown).collect(),
            since: rfc3339(stored.item.since_ms),
        }
    };
    Ok(stored_of(db, caseload, owner)?.into_iter().map(shown).collect())
}

fn interview(names: &Names<'_>, row: RecordListed, returned: String, body: &Body, items: Vec<ShownItem>) -> RecordShown {
    let values = body.values.iter().map(|(reference, values)| {
        let shown = values.iter().filter_map(|value| body.value(value)).map(|value| names.value(&value));
        (reference.clone(), shown.collect())
    });
    let history = body.history.iter().filter_map(|line| {
        let By(device, person, at_ms, offset_minutes) = *body.by.get(line.by)?;
        Some(ShownEvent {
            time: rfc3339(at_ms),
            offset: offset_text(offset_minutes),
            device: names.device(device),
            author: names.person(person),
            what: line.what.clone(),
            note: line.note.clone(),
            record: None,
            events: line.events.iter().map(ShownStep::from).collect(),
        })
    });
    RecordShown {
        values: values.collect(),
        history: history.collect(),
        provisional: false,
        returned: (row.status == crate::projector::rows::RETURNED).then_some(returned),
        payable: body.payable.iter().map(ShownPayable::from).collect(),
        record: row.record,
        kind: row.kind,
        form: row.form,
        list: None,
        title: row.title,
        status: row.status,
        items,
    }
}

fn writes_of(db: &Connection, caseload: CaseloadId, list: &str, owner: &str) -> Result<Vec<EntityWriteBody>, Problem> {
    let entity = owner.strip_prefix(&entities::key(list, "")).unwrap_or(owner);
    writes_to(db, caseload, list, entity)
}

fn entity(names: &Names<'_>, row: RecordListed, writes: &[EntityWriteBody], items: Vec<ShownItem>) -> RecordShown {
    let list = row.list.clone().unwrap_or_default();
    let state = entities::fold(&list, &row.record, writes);
    let mut values: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (property, found) in &state.properties {
        let shown = found.iter().map(|value| {
            names.value(&karwan_record::ItemValue {
                value: value.value.clone(),
                device: value.device,
                person: value.person,
                at_ms: value.at_ms,
                offset_minutes: value.offset_minutes,
            })
        });
        values.insert(property.clone(), shown.collect());
    }
    let mut writes: Vec<&EntityWriteBody> = writes.iter().collect();
    entities::in_order(&mut writes);
    let history = writes.iter().map(|write| ShownEvent {
        time: rfc3339(write.at_ms),
        offset: offset_text(write.offset_minutes),
        device: names.device(write.device),
        author: names.person(write.person),
        what: if write.create { "registered" } else { "updated" }.to_owned(),
        note: write.note.clone(),
        record: Some(write.record.to_string()),
        events: Vec::new(),
    });
    RecordShown {
        history: history.collect(),
        record: row.record,
        kind: row.kind,
        form: None,
        list: row.list,
        title: state.label,
        status: row.status,
        provisional: false,
        returned: None,
        values,
        items,
        payable: Vec::new(),
    }
}
