//! Who was registered twice: registrations of one caseload that share a document, or names and birth year, become one item a pair. A
//! decision on either of the two records closes it.

use std::collections::{BTreeMap, BTreeSet};

use karwan_linkage::{Identity, link_keys};
use karwan_proto::{CaseloadId, DeviceId, PersonId, RecordId};
use karwan_record::{ItemKind, ItemValue, Projection, ReviewItem, place};
use serde::{Deserialize, Serialize};

use super::rows::{Before, StoredItem, put_item};
use crate::database::{OptionalExtension, Transaction, params};
use crate::problem::Problem;

/// Registrations that may share a key. One that more share (a document of zeros) tells nobody apart and pairs nobody.
const SHARED_MAX: i64 = 20;

/// What is kept of the people in a record.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct People {
    registrations: Vec<Registration>,
    /// Duplicates that were decided in this record.
    closed: BTreeSet<String>,
}

/// One person in a record.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Registration {
    /// The repeat instance around; empty at the root.
    place: String,
    /// What the person is called, with who said so.
    called: ItemValue,
    /// What another registration of the same person would share.
    keys: Vec<String>,
}

impl People {
    fn of(projection: &Projection) -> Self {
        let mut people = Self { registrations: Vec::new(), closed: projection.closed.clone() };
        for (place, values) in &projection.identities {
            let identity = Identity::of(values);
            let keys = link_keys(&identity);
            if !keys.is_empty() {
                people.registrations.push(Registration {
                    place: place.clone(),
                    called: called(projection, place, &identity),
                    keys,
                });
            }
        }
        people
    }
}

/// What a person is called, by whom and when.
fn called(projection: &Projection, at: &str, identity: &Identity) -> ItemValue {
    let name = format!("{} {}", identity.given_name, identity.surname).trim().to_owned();
    let name = if name.is_empty() { identity.document.clone() } else { name };
    let said = [&identity.given_name, &identity.surname, &identity.document].into_iter().find(|said| !said.is_empty());
    let is_it = |reference: &str, value: &ItemValue| Some(&value.value) == said && place::instance_of(reference) == at;
    let value = projection.values.iter().find_map(|(reference, values)| values.first().filter(|value| is_it(reference, value)));
    if let Some(value) = value {
        return ItemValue { value: name, ..value.clone() };
    }
    let (device, person) = projection.made_by.unwrap_or((DeviceId([0; 16]), PersonId([0; 16])));
    ItemValue { value: name, device, person, at_ms: projection.made_ms, offset_minutes: projection.offset_minutes }
}

/// Writes who is in a record; gives the records whose pairs may differ now.
pub(super) fn put(
    transaction: &Transaction<'_>,
    tables: Before,
    caseload: CaseloadId,
    record: RecordId,
    projection: Option<&Projection>,
) -> Result<BTreeSet<(CaseloadId, RecordId)>, Problem> {
    let now = projection.map(People::of).unwrap_or_default();
    let before = match tables {
        Before::Nothing => People::default(),
        Before::Unknown => read(transaction, record)?.unwrap_or_default(),
    };
    let mut affected = BTreeSet::new();
    if before == now {
        return Ok(affected);
    }
    affected.insert((caseload, record));
    let keys = |people: &People| {
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        for key in people.registrations.iter().flat_map(|registration| &registration.keys) {
            *counted.entry(key.clone()).or_default() += 1;
        }
        counted
    };
    let (old, new) = (keys(&before), keys(&now));
    if now == People::default() {
        transaction.prepare("DELETE FROM people WHERE record = ?1").put([record.0])?;
    } else {
        transaction
            .prepare(
                "INSERT INTO people(record, caseload, body) VALUES(?1, ?2, ?3) \
                ON CONFLICT(record) DO UPDATE SET caseload = excluded.caseload, body = excluded.body",
            )
            .put(params![record.0, caseload.0, serde_json::to_string(&now)?])?;
    }
    if !old.is_empty() {
        transaction.prepare("DELETE FROM link WHERE record = ?1").put([record.0])?;
    }
    let statement =
        transaction.prepare("INSERT INTO link(caseload, key, record, place) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING");
    for registration in &now.registrations {
        for key in &registration.keys {
            statement.put(params![caseload.0, key, record.0, registration.place])?;
        }
    }
    // A key that has become too common, or is it no more, changes the pairs of everybody who shares it.
    for key in old.keys().chain(new.keys()) {
        let count = shared(transaction, caseload, key)?;
        let before = count - new.get(key).unwrap_or(&0) + old.get(key).unwrap_or(&0);
        if (count > SHARED_MAX) != (before > SHARED_MAX) {
            affected.extend(sharers(transaction, caseload, key, i64::MAX)?.into_iter().map(|(record, _)| (caseload, record)));
        }
    }
    Ok(affected)
}

/// Writes the pairs that a record is in.
pub(super) fn pair(transaction: &Transaction<'_>, caseload: CaseloadId, record: RecordId) -> Result<(), Problem> {
    let owner = record.to_string();
    let statement = transaction.prepare("DELETE FROM item WHERE caseload = ?1 AND owner = ?2 AND kind = 'duplicate'");
    statement.put(params![caseload.0, owner])?;
    let statement = transaction.prepare("DELETE FROM item WHERE caseload = ?1 AND other = ?2");
    statement.put(params![caseload.0, owner])?;
    let Some(people) = read(transaction, record)? else { return Ok(()) };
    let mut pairs: BTreeMap<[(RecordId, String); 2], BTreeSet<String>> = BTreeMap::new();
    for registration in &people.registrations {
        let own = (record, registration.place.clone());
        for key in &registration.keys {
            let sharing = sharers(transaction, caseload, key, SHARED_MAX + 1)?;
            if sharing.len() as i64 > SHARED_MAX {
                continue;
            }
            for other in sharing {
                if other != own {
                    let mut both = [own.clone(), other];
                    both.sort();
                    pairs.entry(both).or_default().insert(key.clone());
                }
            }
        }
    }
    let mut known: BTreeMap<RecordId, People> = BTreeMap::from([(record, people)]);
    let mut open = Vec::new();
    for (both, keys) in &pairs {
        for (record, _) in both {
            if !known.contains_key(record) {
                known.insert(*record, read(transaction, *record)?.unwrap_or_default());
            }
        }
        let registered = |at: usize| {
            let (record, place) = both.get(at)?;
            let people = known.get(record)?;
            people.registrations.iter().find(|registration| registration.place == *place).map(|found| (people, found))
        };
        let (Some((one, first)), Some((two, second))) = (registered(0), registered(1)) else { continue };
        let item = item(both, keys, [first, second]);
        if !one.closed.contains(&item.id) && !two.closed.contains(&item.id) {
            open.push(StoredItem { item, records: both.iter().map(|(record, _)| *record).collect() });
        }
    }
    for stored in open {
        let [first, second] = stored.records.as_slice() else { continue };
        let other = (first != second).then(|| second.to_string());
        put_item(transaction, caseload, &first.to_string(), other.as_deref(), &stored)?;
    }
    Ok(())
}

/// The item of a pair. Its name hangs on the two places and on what they share, so that a corrected spelling does not ask again.
fn item(both: &[(RecordId, String); 2], keys: &BTreeSet<String>, people: [&Registration; 2]) -> ReviewItem {
    let [(record, place), (other, other_place)] = both;
    let nobody = |key: &String| ItemValue {
        value: key.clone(),
        device: DeviceId([0; 16]),
        person: PersonId([0; 16]),
        at_ms: 0,
        offset_minutes: 0,
    };
    let named = format!("{place} {other} {other_place}");
    let shared = keys.iter().map(nobody).collect();
    let mut item = ReviewItem::new(ItemKind::Duplicate, record.to_string(), named, shared, String::new(), 0);
    item.reference.clone_from(place);
    item.values = people.iter().map(|person| person.called.clone()).collect();
    item.since_ms = people.iter().map(|person| person.called.at_ms).max().unwrap_or(0);
    item
}

fn read(transaction: &Transaction<'_>, record: RecordId) -> Result<Option<People>, Problem> {
    let statement = transaction.prepare("SELECT body FROM people WHERE record = ?1");
    let body: Option<String> = statement.query_row([record.0], |row| row.get(0)).optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
}

/// How many registrations share a key.
fn shared(transaction: &Transaction<'_>, caseload: CaseloadId, key: &str) -> Result<i64, Problem> {
    let statement = transaction.prepare("SELECT count(*) FROM link WHERE caseload = ?1 AND key = ?2");
    Ok(statement.query_row(params![caseload.0, key], |row| row.get(0))?)
}

/// Registrations that share a key, so many at most.
fn sharers(
    transaction: &Transaction<'_>,
    caseload: CaseloadId,
    key: &str,
    limit: i64,
) -> Result<Vec<(RecordId, String)>, Problem> {
    let statement = transaction.prepare("SELECT record, place FROM link WHERE caseload = ?1 AND key = ?2 LIMIT ?3");
    let rows = statement.query_map(params![caseload.0, key, limit], |row| Ok((RecordId(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
