//! From a record's changes to its rows, and from writes to the rows of entities.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use karwan_linkage::{fold_key, search_text};
use karwan_proto::{CaseloadId, Hash, Reason, RecordId, Verdict};
use karwan_record::entities::{self, ENTITY_FORM, EntityWriteBody};
use karwan_record::{ItemKind, ItemValue, Projection, Record, ReviewItem, ReviewState, Shape, project_read, state::State};
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::people;
use super::{Batch, Index, KnownForm, Projector};
use crate::database::{Connection, OptionalExtension, Transaction, params};
use crate::log::JudgedRow;
use crate::organisation::Organisation;
use crate::problem::Problem;

/// What reviews say, as rows say it.
pub(crate) const RETURNED: &str = "returned";
/// As [`RETURNED`].
pub(crate) const APPROVED: &str = "approved";
/// What a decision about an entity is listed under.
pub(crate) const ENTITY_SOURCE: &str = "entity";

/// An item as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredItem {
    /// The item.
    pub item: ReviewItem,
    /// Of a duplicate: the record of each value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordId>,
}

/// A record as its changes make it.
pub(crate) struct Loaded {
    pub record: Arc<Record>,
    pub known: Option<Arc<KnownForm>>,
    pub projection: Projection,
}

/// Loads a record and says what it comes to; `None` where nothing of it counts.
pub(crate) fn load(
    projector: &Projector,
    organisation: &Organisation,
    caseload: CaseloadId,
    id: RecordId,
) -> Result<Option<Loaded>, Problem> {
    let changes = organisation.changes_of(caseload, id)?;
    if changes.is_empty() {
        return Ok(None);
    }
    Ok(Some(loaded(projector, organisation, Arc::new(Record::load(id, changes)?))?))
}

/// Says what a record comes to.
fn loaded(projector: &Projector, organisation: &Organisation, record: Arc<Record>) -> Result<Loaded, Problem> {
    let state = State::read(&record, None);
    let known = match state.form.filter(|form| *form != ENTITY_FORM) {
        Some(form) => projector.form(organisation, form)?,
        None => None,
    };
    let projection = match &known {
        Some(known) => project_read(&record, &state, Some(&known.form), &known.shape),
        None => project_read(&record, &state, None, &Shape::unknown()),
    };
    Ok(Loaded { record, known, projection })
}

/// A record that entries touch, and the entry that brought it, where nothing else touches it.
type Touched = BTreeMap<(CaseloadId, RecordId), Option<u64>>;

/// Writes the rows of these records, of the entities that they write to, and of who was registered twice in them.
pub(super) fn put_all(batch: &mut Batch<'_>, touched: Touched) -> Result<(), Problem> {
    let Batch { transaction, projector, organisation, .. } = *batch;
    let index = &mut batch.index;
    let mut entities: BTreeSet<(CaseloadId, String, String)> = BTreeSet::new();
    let mut registered: BTreeSet<(CaseloadId, RecordId)> = BTreeSet::new();
    let mut here = BTreeMap::new();
    for ((caseload, id), brought) in touched {
        let fresh = if batch.fresh { organisation.recent().take_record(caseload, id, brought) } else { None };
        if fresh.is_some() {
            here.insert((caseload, id), fresh);
            continue;
        }
        let stands = organisation.caseload_of(id)?.unwrap_or(caseload);
        if stands != caseload {
            // It moved: what it was here goes, and its rows are those of where it is.
            remove_listed(transaction, caseload, &id.to_string(), index)?;
            let items = "DELETE FROM item WHERE caseload = ?1 AND (owner = ?2 OR other = ?2)";
            transaction.prepare(items).put(params![caseload.0, id.to_string()])?;
        }
        here.insert((stands, id), None);
    }
    organisation.recent_taken.notify_all();
    let has_judged = organisation.has_judged()?;
    for ((caseload, id), fresh) in &here {
        // What the gate let in may still be something that this version cannot read: it must not stop everything after it.
        let loaded = catch_unwind(AssertUnwindSafe(|| match fresh {
            Some(record) => loaded(projector, organisation, record.clone()).map(Some),
            None => load(projector, organisation, *caseload, *id),
        }));
        let loaded = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problem)) if problem.code == "record" => {
                tracing::error!(record = %id, error = problem.error, "a record cannot be projected");
                None
            }
            Ok(Err(problem)) => return Err(problem),
            Err(_) => {
                tracing::error!(record = %id, "projecting a record panicked");
                None
            }
        };
        let owner = id.to_string();
        let judged = if has_judged { organisation.judged(*id)? } else { Vec::new() };
        let quarantined = quarantined(*id, &judged);
        let (items, writes, closed) = if let Some(loaded) = &loaded {
            put_interview(transaction, *caseload, &owner, loaded, index)?;
            let projection = &loaded.projection;
            (projection.items.as_slice(), projection.entity_writes.as_slice(), Some(&projection.closed))
        } else {
            remove_listed(transaction, *caseload, &owner, index)?;
            (&[][..], &[][..], None)
        };
        let open = quarantined.iter().filter(|item| closed.is_none_or(|closed| !closed.contains(&item.id)));
        // Of a record that begins here no table has anything yet.
        let before = if fresh.is_some() { Before::Nothing } else { Before::Unknown };
        put_items(transaction, before, *caseload, &owner, items.iter().chain(open))?;
        entities.extend(put_writes(transaction, before, *caseload, *id, writes)?);
        let projection = loaded.as_ref().map(|loaded| &loaded.projection);
        registered.extend(people::put(transaction, before, *caseload, *id, projection)?);
    }
    for (caseload, list, entity) in &entities {
        put_entity(transaction, *caseload, list, entity, index)?;
    }
    for (caseload, record) in &registered {
        people::pair(transaction, *caseload, *record)?;
    }
    Ok(())
}

fn put_interview(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    owner: &str,
    loaded: &Loaded,
    index: &mut Index,
) -> Result<(), Problem> {
    let projection = &loaded.projection;
    let (source, version) = match (&loaded.known, projection.form) {
        (Some(known), _) => (known.form.id.clone(), known.form.version.clone()),
        (None, Some(ENTITY_FORM)) => (ENTITY_SOURCE.to_owned(), String::new()),
        // Listed under its hash until the form comes.
        (None, form) => (form.map(|form| form.to_string()).unwrap_or_default(), String::new()),
    };
    let (status, returned) = match &projection.review {
        ReviewState::None => ("", ""),
        ReviewState::Returned { note } => (RETURNED, note.as_str()),
        ReviewState::Approved => (APPROVED, ""),
    };
    let (device, person) = projection.made_by.unzip();
    let root = loaded.known.as_ref().map_or("data", |known| known.shape.root());
    put_listed(
        transaction,
        &Listed {
            caseload,
            is_entity: false,
            owner,
            id: owner,
            source: &source,
            version: &version,
            form: projection.form,
            form_known: loaded.known.is_some() || projection.form == Some(ENTITY_FORM),
            title: &projection.title,
            status,
            returned,
            person: person.map(|person| person.0),
            device: device.map(|device| device.0),
            assigned: projection.assigned_to.map(|person| person.0),
            due: projection.due.as_deref(),
            made_ms: projection.made_ms,
            updated_ms: projection.updated_ms,
            offset_minutes: projection.offset_minutes,
            consent_withdrawn: projection.consent_withdrawn,
            body: &serde_json::to_string(&Body::of(projection, root))?,
        },
        search_text(projection.search_text.split('\n')),
        index,
    )
}

/// Folds an entity again.
fn put_entity(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    list: &str,
    entity: &str,
    index: &mut Index,
) -> Result<(), Problem> {
    let writes = writes_to(transaction, caseload, list, entity)?;
    let owner = entities::key(list, entity);
    let Some(origin) = entities::origin(&writes) else {
        put_items(transaction, Before::Unknown, caseload, &owner, std::iter::empty())?;
        return remove_listed(transaction, caseload, &owner, index);
    };
    let state = entities::fold(list, entity, &writes);
    put_items(transaction, Before::Unknown, caseload, &owner, state.items.iter())?;
    let values = state.properties.values().flatten().map(|value| value.value.as_str());
    let text = search_text(values.chain([state.label.as_str(), entity]));
    put_listed(
        transaction,
        &Listed {
            caseload,
            is_entity: true,
            owner: &owner,
            id: entity,
            source: list,
            version: "",
            form: None,
            form_known: true,
            title: &state.label,
            status: "",
            returned: "",
            person: Some(origin.made.person.0),
            device: Some(origin.made.device.0),
            assigned: None,
            due: None,
            made_ms: origin.made.at_ms,
            updated_ms: origin.newest.at_ms,
            offset_minutes: origin.newest.offset_minutes,
            consent_withdrawn: false,
            body: "",
        },
        text,
        index,
    )
}

/// A row of lists.
struct Listed<'a> {
    caseload: CaseloadId,
    is_entity: bool,
    owner: &'a str,
    id: &'a str,
    source: &'a str,
    version: &'a str,
    form: Option<Hash>,
    form_known: bool,
    title: &'a str,
    status: &'a str,
    returned: &'a str,
    person: Option<[u8; 16]>,
    device: Option<[u8; 16]>,
    assigned: Option<[u8; 16]>,
    due: Option<&'a str>,
    made_ms: i64,
    updated_ms: i64,
    offset_minutes: i32,
    consent_withdrawn: bool,
    body: &'a str,
}

fn put_listed(transaction: &Transaction<'_>, row: &Listed<'_>, folded: String, index: &mut Index) -> Result<(), Problem> {
    let statement = transaction.prepare(
        "INSERT INTO record(caseload, kind, owner, id, source, version, form, form_known, title, title_key, status, returned, person, \
         device, assigned, due, made_ms, updated_ms, offset_minutes, consent_withdrawn, body) \
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) \
         ON CONFLICT(caseload, owner) DO UPDATE SET source = excluded.source, version = excluded.version, form = excluded.form, \
         form_known = excluded.form_known, title = excluded.title, title_key = excluded.title_key, status = excluded.status, \
         returned = excluded.returned, person = excluded.person, device = excluded.device, assigned = excluded.assigned, \
         due = excluded.due, made_ms = excluded.made_ms, updated_ms = excluded.updated_ms, offset_minutes = excluded.offset_minutes, \
         consent_withdrawn = excluded.consent_withdrawn, body = excluded.body RETURNING number",
    );
    let title_key = fold_key(row.title).replace(' ', "");
    let parameters = params![
        row.caseload.0,
        row.is_entity,
        row.owner,
        row.id,
        row.source,
        row.version,
        row.form.map(|form| form.0),
        row.form_known,
        row.title,
        title_key,
        row.status,
        row.returned,
        row.person,
        row.device,
        row.assigned,
        row.due,
        row.made_ms,
        row.updated_ms,
        row.offset_minutes,
        row.consent_withdrawn,
        row.body,
    ];
    if transaction.is_shared() {
        // Neither waits for an answer.
        statement.put(parameters)?;
        return super::search::write_of(transaction, row.caseload, row.owner, &folded);
    }
    let number: i64 = statement.query_row(parameters, |row| row.get(0))?;
    index.insert(number, Some(folded));
    Ok(())
}

fn remove_listed(transaction: &Transaction<'_>, caseload: CaseloadId, owner: &str, index: &mut Index) -> Result<(), Problem> {
    let statement = transaction.prepare("DELETE FROM record WHERE caseload = ?1 AND owner = ?2 RETURNING number");
    let number: Option<i64> = statement.query_row(params![caseload.0, owner], |row| row.get(0)).optional()?;
    if let Some(number) = number {
        index.insert(number, None);
    }
    Ok(())
}

/// What tables have of a record before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    Unknown,
}

/// Replaces the items of a record or entity, duplicates aside.
fn put_items<'a>(
    transaction: &Transaction<'_>,
    before: Before,
    caseload: CaseloadId,
    owner: &str,
    items: impl Iterator<Item = &'a ReviewItem>,
) -> Result<(), Problem> {
    if before == Before::Unknown {
        let statement = transaction.prepare("DELETE FROM item WHERE caseload = ?1 AND owner = ?2 AND kind != 'duplicate'");
        statement.put(params![caseload.0, owner])?;
    }
    for item in items {
        put_item(transaction, caseload, owner, None, &StoredItem { item: item.clone(), records: Vec::new() })?;
    }
    Ok(())
}

/// Writes an item.
pub(super) fn put_item(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    owner: &str,
    other: Option<&str>,
    stored: &StoredItem,
) -> Result<(), Problem> {
    let item = &stored.item;
    transaction
        .prepare(
            "INSERT INTO item(caseload, owner, id, other, kind, since_ms, body) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT(caseload, owner, id) DO UPDATE SET other = excluded.other, kind = excluded.kind, \
             since_ms = excluded.since_ms, body = excluded.body",
        )
        .put(params![caseload.0, owner, item.id, other, item.kind.as_str(), item.since_ms, serde_json::to_string(stored)?])?;
    Ok(())
}

/// Replaces what a record writes to entities; gives those that it wrote to before or writes to now, where anything differs.
fn put_writes(
    transaction: &Transaction<'_>,
    before: Before,
    caseload: CaseloadId,
    record: RecordId,
    writes: &[EntityWriteBody],
) -> Result<Vec<(CaseloadId, String, String)>, Problem> {
    let before: Vec<(CaseloadId, String, String, String)> = match before {
        Before::Nothing => Vec::new(),
        Before::Unknown => transaction
            .prepare("SELECT caseload, list, entity, body FROM entity_write WHERE record = ?1 ORDER BY list, entity")
            .query_map([record.0], |row| Ok((CaseloadId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect::<Result<_, _>>()?,
    };
    let mut now = writes
        .iter()
        .map(|write| Ok((caseload, write.list.clone(), write.id.clone(), serde_json::to_string(write)?)))
        .collect::<Result<Vec<_>, Problem>>()?;
    now.sort();
    // One record that names an entity twice: the first write counts, here as in a rebuilt table.
    now.dedup_by(|later, first| (later.0, &later.1, &later.2) == (first.0, &first.1, &first.2));
    if before == now {
        return Ok(Vec::new());
    }
    if !before.is_empty() {
        transaction.prepare("DELETE FROM entity_write WHERE record = ?1").put([record.0])?;
    }
    let statement =
        transaction.prepare("INSERT INTO entity_write(caseload, list, entity, record, body) VALUES(?1, ?2, ?3, ?4, ?5)");
    for (caseload, list, entity, body) in &now {
        statement.put(params![caseload.0, list, entity, record.0, body])?;
    }
    Ok(before.into_iter().chain(now).map(|(caseload, list, entity, _)| (caseload, list, entity)).collect())
}

/// All that records write to an entity.
pub(crate) fn writes_to(
    connection: &Connection,
    caseload: CaseloadId,
    list: &str,
    entity: &str,
) -> Result<Vec<EntityWriteBody>, Problem> {
    let statement =
        connection.prepare("SELECT body FROM entity_write WHERE caseload = ?1 AND list = ?2 AND entity = ?3 ORDER BY record");
    let rows = statement.query(params![caseload.0, list, entity])?;
    let mut writes = Vec::new();
    for row in rows {
        writes.push(serde_json::from_str(row.text(0)?)?);
    }
    Ok(writes)
}

/// One item a reason for which something of a record does not count.
fn quarantined(record: RecordId, judged: &[JudgedRow]) -> Vec<ReviewItem> {
    let mut by_reason: std::collections::BTreeMap<String, Vec<&JudgedRow>> = std::collections::BTreeMap::new();
    for row in judged {
        match row.verdict {
            // Somebody decided, or its author writes it again.
            Verdict::Quarantined(Reason::Declined | Reason::Generation) => {}
            Verdict::Waiting(reason) | Verdict::Quarantined(reason) => {
                by_reason.entry(reason.to_string()).or_default().push(row);
            }
            Verdict::Other(kind, reason) => by_reason.entry(format!("verdict {kind}, reason {reason}")).or_default().push(row),
            Verdict::Accepted | Verdict::Erased => {}
        }
    }
    let item = |(reason, rows): (String, Vec<&JudgedRow>)| {
        let values: Vec<ItemValue> = rows
            .iter()
            .map(|row| ItemValue {
                // The envelope: more of the same is another item.
                value: row.envelope.to_string(),
                device: row.device,
                person: row.person,
                at_ms: row.at_ms,
                offset_minutes: row.offset_minutes,
            })
            .collect();
        let since = values.iter().map(|value| value.at_ms).max().unwrap_or(0);
        ReviewItem::new(ItemKind::Quarantined, record.to_string(), String::new(), values, reason, since)
    };
    by_reason.into_iter().map(item).collect()
}
