//! Decisions about records that change who has them: erasing, moving, adopting what a device brought without a right to. Each is signed into
//! the membership log and carried out in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use karwan_form::answers::Answers;
use karwan_proto::membership::Adopted;
use karwan_proto::{CaseloadId, Hash, PersonId, RecordId, Role};
use karwan_record::generation::{self, LeftOut, is_part};
use karwan_record::{Record, ReviewItem, SourcedChange, entities, place, project_with, state::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::database::params;
use crate::host::Host;
use crate::log::decided::{Shown, Why};
use crate::problem::Problem;
use crate::projector::rows::{self, Loaded};
use crate::query::no_such_record;

/// A decision to be carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decide {
    /// What is decided.
    pub act: DecideAct,
    /// Who decides: a name or identifier. Without one, the administrator, whose key the folder holds.
    pub person: Option<String>,
}

/// What is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum DecideAct {
    /// A record is erased, or a part of it.
    Erase {
        /// The record.
        record: String,
        /// Reference of a question or repeat instance.
        part: Option<String>,
        /// Why: kept in this server's audit only.
        reason: String,
    },
    /// A record goes to another caseload.
    Move {
        /// The record.
        record: String,
        /// Name or identifier of the caseload.
        to: String,
    },
    /// What waits from a device counts.
    Adopt {
        /// Name or identifier.
        device: String,
    },
}

/// Carries out a decision. It is durable and projected when this returns.
#[allow(clippy::needless_pass_by_value, reason = "a command is carried out once")]
pub fn run(host: &Host, command: Decide) -> Result<Value, Problem> {
    host.decide(command.person.as_deref(), |person| match &command.act {
        DecideAct::Erase { record, part: None, reason } => erase(host, record, &Why { person, note: reason }),
        DecideAct::Erase { record, part: Some(part), reason } => erase_part(host, record, part, &Why { person, note: reason }),
        DecideAct::Move { record, to } => move_to(host, record, to, &Why { person, note: "" }),
        DecideAct::Adopt { device } => adopt(host, device, &Why { person, note: "" }),
    })
}

/// Refuses where this person may not decide this.
fn need(host: &Host, person: PersonId, least: Role) -> Result<(), Problem> {
    match host.organisation.person_role(person)? {
        Some(role) if role >= least => Ok(()),
        role => {
            let came = role.map_or_else(|| "somebody who may do nothing here".to_owned(), |role| format!("the role {role}"));
            let error = format!("expected at least the role {least}, came {came}");
            Err(Problem::refused("role", error, "Ask somebody who may: karwan user list ORG."))
        }
    }
}

fn found(host: &Host, name: &str) -> Result<(CaseloadId, RecordId), Problem> {
    let missing = || no_such_record(name);
    let record: RecordId = name.parse().map_err(|_| missing())?;
    if host.organisation.membership()?.records().is_erased(record) {
        return Err(Problem::input("erased", format!("record {name} is erased"), "There is nothing left to decide."));
    }
    Ok((host.organisation.caseload_of(record)?.ok_or_else(missing)?, record))
}

fn erase(host: &Host, name: &str, why: &Why<'_>) -> Result<Value, Problem> {
    need(host, why.person, Role::DataManager)?;
    let (_, record) = found(host, name)?;
    let own: Vec<entities::EntityWriteBody> = host.projector.read(|db| {
        let statement = db.prepare("SELECT body FROM entity_write WHERE record = ?1 ORDER BY list, entity");
        let rows = statement.query_map([record.0], |row| row.get::<String>(0))?;
        rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    })?;
    let shown = shown_of(host, record, &own, &[])?;
    host.organisation.erase_record(record, &shown, why)?;
    host.organisation.let_attachments_go()?;
    // Other interviews tell of the same people: who asked for the erasure must hear of them.
    let also: BTreeSet<String> = shown.iter().map(|shown| shown.record.to_string()).collect();
    Ok(json!({"erased": record, "also": also}))
}

/// What other records note of what this one writes to entities and will not write any more: an interview about a household had been shown what
/// the ones before it wrote.
fn shown_of(
    host: &Host,
    record: RecordId,
    before: &[entities::EntityWriteBody],
    after: &[entities::EntityWriteBody],
) -> Result<Vec<Shown>, Problem> {
    let mut shown = Vec::new();
    for own in before {
        let stays = after.iter().find(|write| (&write.list, &write.id) == (&own.list, &own.id));
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, value) in &own.properties {
            if stays.is_none_or(|write| write.properties.get(name) != Some(value)) {
                values.entry(name.clone()).or_default().insert(value.clone());
            }
        }
        if stays.is_none_or(|write| write.label != own.label) {
            values.entry(entities::LABEL.to_owned()).or_default().extend(own.label.clone());
        }
        if values.is_empty() {
            continue;
        }
        let others: Vec<RecordId> = host.projector.read(|db| {
            let statement = db.prepare(
                "SELECT DISTINCT record FROM entity_write WHERE list = ?1 AND entity = ?2 AND record != ?3 ORDER BY record",
            );
            let rows = statement.query_map(params![own.list, own.id, record.0], |row| row.get(0).map(RecordId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        for other in others {
            let Some(caseload) = host.organisation.caseload_of(other)? else { continue };
            let part = generation::shown_of(&own.list, &own.id);
            let left_out = LeftOut { part, values: values.clone(), ..LeftOut::default() };
            shown.push(Shown { record: other, caseload, left_out });
        }
    }
    Ok(shown)
}

fn erase_part(host: &Host, name: &str, reference: &str, why: &Why<'_>) -> Result<Value, Problem> {
    need(host, why.person, Role::DataManager)?;
    let (caseload, record) = found(host, name)?;
    let loaded = rows::load(&host.projector, &host.organisation, caseload, record)?;
    let loaded = loaded.ok_or_else(|| no_such_record(name))?;
    let part = part_of(&loaded, reference).ok_or_else(|| {
        let error = format!("the record has no part {reference}");
        Problem::input("no-such-part", error, "See its questions: karwan records show ORG RECORD.")
    })?;
    let after = writes_without(&loaded, &host.organisation.standing(caseload, record)?, &part)?;
    let before = &loaded.projection.entity_writes;
    let shown = shown_of(host, record, before, &after)?;
    let keys = |writes: &[entities::EntityWriteBody]| -> BTreeSet<String> {
        writes.iter().map(|write| entities::key(&write.list, &write.id)).collect()
    };
    let notes = keys(before).difference(&keys(&after)).cloned().collect();
    let left_out = LeftOut { notes, ..LeftOut::part(&part) };
    let generation = host.organisation.erase_part(caseload, record, &left_out, &shown, why)?;
    host.organisation.let_attachments_go()?;
    let root = loaded.known.as_ref().map_or("data", |known| known.shape.root());
    Ok(json!({"record": record, "erased": place::reference(root, &part), "generation": generation}))
}

/// The path of a reference, positions resolved to identifiers, where the record holds something there or ever held something.
fn part_of(loaded: &Loaded, reference: &str) -> Option<String> {
    let (steps, leaf) = place::steps(place::of_reference(reference));
    let mut path = String::new();
    let mut around: Option<&Answers> = Some(&loaded.projection.answers);
    for (repeat, id) in steps {
        let instances = around.and_then(|answers| answers.repeats.get(repeat)).map_or(&[][..], Vec::as_slice);
        let by_id = instances.iter().find(|instance| instance.id == id);
        let by_position = || id.parse::<usize>().ok().and_then(|at| instances.get(at.checked_sub(1)?));
        let instance = by_id.or_else(by_position);
        let id = instance.map_or(id, |instance| instance.id.as_str());
        path = format!("{}[{id}]", place::join(&path, repeat));
        around = instance.map(|instance| &instance.answers);
    }
    if !leaf.is_empty() {
        path = place::join(&path, leaf);
    }
    if path.is_empty() {
        return None;
    }
    let state = State::read(&loaded.record, None);
    let mut all = state.registers.keys().chain(state.members.keys()).chain(state.instances.keys()).chain(state.events.keys());
    all.any(|held| is_part(held, &path)).then_some(path)
}

/// What the record writes to entities without the part.
fn writes_without(
    loaded: &Loaded,
    standing: &[generation::Standing],
    part: &str,
) -> Result<Vec<entities::EntityWriteBody>, Problem> {
    let Some(known) = &loaded.known else { return Ok(loaded.projection.entity_writes.clone()) };
    let changes = generation::without(standing, &LeftOut::part(part), [0; 16])?;
    let sourced = changes.into_iter().filter_map(|bytes| {
        let provenance = generation::carried(&bytes)?.provenance;
        Some(SourcedChange { bytes, provenance })
    });
    let after = Record::load(loaded.record.id(), sourced.collect())?;
    Ok(project_with(&after, Some(&known.form), &known.shape).entity_writes)
}

fn move_to(host: &Host, name: &str, to: &str, why: &Why<'_>) -> Result<Value, Problem> {
    need(host, why.person, Role::DataManager)?;
    let organisation = &host.organisation;
    let target = organisation.caseload_named(to)?;
    if !organisation.membership()?.caseloads().contains(&target) {
        return Err(Problem::input("no-such-caseload", format!("no caseload {to}"), "See them: karwan caseload list ORG."));
    }
    let (from, record) = found(host, name)?;
    if from == target {
        let error = format!("record {name} is in {to} already");
        return Err(Problem::input("same-caseload", error, "Give another caseload: karwan caseload list ORG."));
    }
    organisation.move_record(record, from, target, why)?;
    Ok(json!({"record": record, "from": organisation.caseload_name(from), "to": organisation.caseload_name(target)}))
}

fn adopt(host: &Host, name: &str, why: &Why<'_>) -> Result<Value, Problem> {
    need(host, why.person, Role::Supervisor)?;
    let device = host.organisation.device_named(name)?;
    if host.organisation.membership()?.device(device).is_none() {
        return Err(Problem::input("no-such-device", format!("no device {name}"), "See the names: karwan devices ORG."));
    }
    let (adopted, left) = host.organisation.adopt(device, why)?;
    Ok(json!({"device": device, "adopted": adopted, "left": left}))
}

/// Decides an item about changes that do not count: they do from here on, or never.
pub(crate) fn quarantined(host: &Host, item: &ReviewItem, accept: bool, why: &Why<'_>) -> Result<Value, Problem> {
    let record: RecordId = item.record.parse().map_err(|_| no_such_record(&item.record))?;
    let envelopes: Vec<Hash> = item.values.iter().filter_map(|value| value.value.parse().ok()).collect();
    if !accept {
        host.organisation.decline(record, &envelopes, why)?;
        return Ok(json!({"record": record, "item": item.id, "adopted": 0}));
    }
    let mut counted = 0;
    for value in &item.values {
        let Ok(envelope) = value.value.parse() else { continue };
        let adopted = [Adopted { envelope, record: Some(record) }];
        counted += host.organisation.adopt_these(value.device, &adopted, why)?.0;
    }
    if counted == 0 {
        let error = format!("the changes cannot count: {}", item.message);
        return Err(Problem::input("still-quarantined", error, "Decline them: karwan review resolve ORG ITEM --reject."));
    }
    Ok(json!({"record": record, "item": item.id, "adopted": counted}))
}
