//! What people decide: each decision is a change in the name of who decided it, written through the same ingest as a device's.

use std::collections::BTreeMap;
use std::sync::Arc;

use karwan_form::interview::{Interview, Mode, Refused, ViolationKind};
use karwan_proto::{CaseloadId, PersonId, RecordId, Role};
use karwan_record::{Author, Decision, ItemKind, Record, RecordError, Review, ReviewItem, Stamp, judge};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::random;
use crate::decisions;
use crate::host::Host;
use crate::log::decided::Why;
use crate::problem::Problem;
use crate::projector::rows::{self, Loaded};
use crate::query::{FoundItem, Scope, find_item, no_such_item, no_such_record};

/// Choices that a refused value's error names.
const CHOICES_TOLD: usize = 20;

/// A decision to be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewCommand {
    /// What is decided.
    pub act: ReviewAct,
    /// Why.
    pub note: String,
    /// Who decides: a name or identifier. Without one, the administrator, whose key the folder holds.
    pub person: Option<String>,
}

/// What is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ReviewAct {
    /// A review item.
    Resolve {
        /// The item, as it was listed: one that changed meanwhile is another one, and the decision is refused.
        item: String,
        /// How.
        decision: ItemDecision,
    },
    /// A record goes back to who made it.
    Return {
        /// The record.
        record: String,
    },
    /// A record stands.
    Approve {
        /// The record.
        record: String,
    },
    /// Somebody is to go on with records.
    Assign {
        /// The records.
        records: Vec<String>,
        /// Name or identifier of a person.
        to: String,
        /// Until when, as a date.
        due: Option<String>,
    },
}

/// How an item is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ItemDecision {
    /// This text.
    Value(String),
    /// What came from this device: a name or identifier.
    Keep(String),
    /// It stands as it is; of a duplicate: it is one person.
    Accept,
    /// It does not stand; of a duplicate: they are different people.
    Reject,
}

/// Carries out a decision. It is durable and projected when this returns.
#[allow(clippy::needless_pass_by_value, reason = "a command is carried out once")]
pub fn run(host: &Host, command: ReviewCommand) -> Result<Value, Problem> {
    host.decide(command.person.as_deref(), |person| {
        let decider = Decider { host, person, scope: Scope::of(host, person)?, note: command.note.trim() };
        match &command.act {
            ReviewAct::Resolve { item, decision } => decider.resolve(item, decision),
            ReviewAct::Return { record } => decider.review(record, &Review::Return { note: decider.note.to_owned() }),
            ReviewAct::Approve { record } => decider.review(record, &Review::Approve { note: decider.note.to_owned() }),
            ReviewAct::Assign { records, to, due } => decider.assign(records, to, due.as_deref()),
        }
    })
}

/// Somebody who decides now.
struct Decider<'a> {
    host: &'a Host,
    person: PersonId,
    scope: Scope,
    note: &'a str,
}

impl Decider<'_> {
    /// Who writes, if this person may decide in this caseload.
    fn author(&self, caseload: CaseloadId) -> Result<(Author, Stamp), Problem> {
        let organisation = &self.host.organisation;
        let entitled = organisation.membership()?.may_write(self.person, organisation.server_key.public().device(), caseload);
        let mend = "Ask a supervisor of the caseload: karwan user list ORG.";
        let role = entitled.map_err(|reason| Problem::refused("not-entitled", reason.to_string(), mend))?;
        if role < Role::Supervisor {
            return Err(Problem::refused("role", format!("a person with the role {role} decides nothing"), mend));
        }
        let author = organisation.server_author(self.person)?;
        Ok((author, Stamp { at_ms: author.provenance.at_ms, offset_minutes: 0, random: random() }))
    }

    fn load(&self, caseload: CaseloadId, record: RecordId) -> Result<Loaded, Problem> {
        let loaded = rows::load(&self.host.projector, &self.host.organisation, caseload, record)?;
        loaded.ok_or_else(|| no_such_record(&record.to_string()))
    }

    /// The record of this name and its caseload, if it is for these eyes.
    fn record(&self, name: &str) -> Result<(CaseloadId, RecordId), Problem> {
        let missing = || no_such_record(name);
        let record: RecordId = name.parse().map_err(|_| missing())?;
        let caseload = self.host.organisation.caseload_of(record)?.filter(|caseload| self.scope.sees(*caseload));
        Ok((caseload.ok_or_else(missing)?, record))
    }

    fn review(&self, name: &str, review: &Review) -> Result<Value, Problem> {
        let (caseload, id) = self.record(name)?;
        let (author, stamp) = self.author(caseload)?;
        let mut loaded = self.load(caseload, id)?;
        let change = Arc::make_mut(&mut loaded.record).review(review, &author, &stamp).map_err(refused)?;
        let sequence = self.host.organisation.write(caseload, self.person, vec![(id, change)])?;
        Ok(json!({"record": id, "sequence": sequence}))
    }

    fn assign(&self, names: &[String], to: &str, due: Option<&str>) -> Result<Value, Problem> {
        let organisation = &self.host.organisation;
        let person = organisation.person_named(to)?;
        if let Some(due) = due {
            check_date(due)?;
        }
        let membership = organisation.membership()?;
        let known = membership.person(person).filter(|known| !known.revoked);
        let mut changes: BTreeMap<CaseloadId, Vec<(RecordId, Vec<u8>)>> = BTreeMap::new();
        for name in names {
            let (caseload, id) = self.record(name)?;
            let holds = known.is_some_and(|known| known.role == Role::Administrator || known.caseloads.contains(&caseload));
            if !holds {
                let error = format!("{to} does not work with the caseload of record {name}");
                return Err(Problem::input("not-entitled", error, "See who does: karwan user list ORG."));
            }
            let (author, stamp) = self.author(caseload)?;
            let review = Review::Assign { to: person, due: due.map(str::to_owned) };
            let change = Arc::make_mut(&mut self.load(caseload, id)?.record).review(&review, &author, &stamp).map_err(refused)?;
            changes.entry(caseload).or_default().push((id, change));
        }
        let mut sequence = 0;
        for (caseload, changes) in changes {
            sequence = organisation.write(caseload, self.person, changes)?;
        }
        Ok(json!({"records": names, "assigned_to": person, "sequence": sequence}))
    }

    fn resolve(&self, name: &str, decision: &ItemDecision) -> Result<Value, Problem> {
        let found = find_item(self.host, &self.scope, name)?;
        let (author, stamp) = self.author(found.caseload)?;
        let decision = match decision {
            ItemDecision::Value(text) => Decision::Value(text.clone()),
            ItemDecision::Keep(device) => Decision::Keep(self.host.organisation.device_named(device)?),
            ItemDecision::Accept => Decision::Accept,
            ItemDecision::Reject => Decision::Reject,
        };
        let item = &found.stored.item;
        if item.kind == ItemKind::Quarantined {
            let accept = match decision {
                Decision::Accept => true,
                Decision::Reject => false,
                Decision::Value(_) | Decision::Keep(_) => {
                    return Err(refused(RecordError::Decision { item: item.kind.as_str(), decision: "giving a value" }));
                }
            };
            return decisions::quarantined(self.host, item, accept, &Why { person: self.person, note: self.note });
        }
        let (record, change) = match &found.list {
            Some(list) => self.entity(&found, list, &decision, &author, &stamp)?,
            None => self.interview(&found, decision, &author, &stamp)?,
        };
        let sequence = self.host.organisation.write(found.caseload, self.person, vec![(record, change)])?;
        Ok(json!({"record": item.record, "item": item.id, "sequence": sequence}))
    }

    /// A decision in the record that has the item.
    fn interview(
        &self,
        found: &FoundItem,
        decision: Decision,
        author: &Author,
        stamp: &Stamp,
    ) -> Result<(RecordId, Vec<u8>), Problem> {
        let item = &found.stored.item;
        let id: RecordId = item.record.parse().map_err(|_| no_such_record(&item.record))?;
        let Some(mut loaded) = rows::load(&self.host.projector, &self.host.organisation, found.caseload, id)? else {
            return Err(no_such_record(&item.record));
        };
        let of_record = item.kind != ItemKind::Duplicate;
        // As it is at this moment: what came after it was listed makes it another item.
        if of_record && !loaded.projection.items.iter().any(|now| now.id == item.id) {
            return Err(no_such_item(&item.id));
        }
        let decision = match decision {
            Decision::Value(text) if of_record => Decision::Value(checked(&loaded, item, text)?),
            other => other,
        };
        let change = Arc::make_mut(&mut loaded.record).resolve(item, &decision, self.note, author, stamp).map_err(refused)?;
        Ok((id, change))
    }

    /// A decision about an entity is a record of its own, which had seen all that was written to it.
    fn entity(
        &self,
        found: &FoundItem,
        list: &str,
        decision: &Decision,
        author: &Author,
        stamp: &Stamp,
    ) -> Result<(RecordId, Vec<u8>), Problem> {
        let item = &found.stored.item;
        let writes = self.host.projector.read(|db| rows::writes_to(db, found.caseload, list, &item.record))?;
        let value = match decision {
            Decision::Value(text) => text.clone(),
            Decision::Keep(device) => {
                let kept = item.values.iter().find(|value| value.device == *device);
                kept.ok_or_else(|| refused(RecordError::NoSuchDevice))?.value.clone()
            }
            Decision::Accept | Decision::Reject => {
                return Err(refused(RecordError::Decision { item: item.kind.as_str(), decision: "accepting or rejecting" }));
            }
        };
        let id = RecordId::from_random(random());
        let values = BTreeMap::from([(item.reference.clone(), value)]);
        let made = Record::create_entity_write(id, list, &item.record, &values, &writes, self.note, author, stamp);
        Ok((id, made.map_err(refused)?.1))
    }
}

/// A value as its question takes it: of its type, among its choices, and not against its rule.
fn checked(loaded: &Loaded, item: &ReviewItem, text: String) -> Result<String, Problem> {
    let Some(known) = &loaded.known else { return Ok(text) };
    if item.values.iter().any(|value| value.value == text) {
        return Ok(text);
    }
    let context = judge::context_at(&loaded.record, &loaded.record.heads());
    let opened = Interview::open(known.form.clone(), &loaded.projection.answers, context, Mode::Judge);
    let Ok(mut interview) = opened else { return Ok(text) };
    let fit = |error: String| Problem::input("value", error, "Give a value that the question takes: karwan form show FORM.");
    match interview.set(&item.reference, &text) {
        Ok(()) => {}
        Err(refused @ Refused::WrongType { .. }) => return Err(fit(refused.to_string())),
        // Not asked as things stand, or calculated: the record keeps it all the same.
        Err(_) => return Ok(text),
    }
    let Some(node) = interview.node(&item.reference) else { return Ok(text) };
    let offered = node.choices.unwrap_or_default();
    let value = node.value.unwrap_or(text);
    if !value.is_empty() && !offered.is_empty() && !node.multiple && !offered.iter().any(|choice| choice.value == value) {
        let names: Vec<&str> = offered.iter().map(|choice| choice.value.as_str()).take(CHOICES_TOLD).collect();
        return Err(fit(format!("{} takes one of: {}", item.reference, names.join(", "))));
    }
    if node.violation == Some(ViolationKind::Constraint) {
        return Err(fit(format!("{} breaks its rule: {}", item.reference, node.message.unwrap_or_default())));
    }
    Ok(value)
}

fn check_date(text: &str) -> Result<(), Problem> {
    let parts: Vec<u16> = text.split('-').filter_map(|part| part.parse().ok()).collect();
    let date = match parts.as_slice() {
        [year, month, day] if text.len() == 10 => time::Month::try_from(*month as u8)
            .ok()
            .and_then(|month| time::Date::from_calendar_date(i32::from(*year), month, *day as u8).ok()),
        _ => None,
    };
    match date {
        Some(_) => Ok(()),
        None => Err(Problem::input("date", format!("{text} is no date"), "Give a date such as 2026-11-30.")),
    }
}

/// Why a record does not take a decision.
fn refused(error: RecordError) -> Problem {
    let mend = match &error {
        RecordError::Decision { item: "conflict", .. } => "Give --value TEXT or --keep DEVICE.",
        RecordError::Decision { .. } => "Give --accept or --reject.",
        RecordError::NoSuchDevice => "See the item's devices: karwan review list ORG.",
        RecordError::Limit { .. } => "Give a shorter one.",
        _ => return error.into(),
    };
    Problem::input("decision", error.to_string(), mend)
}
