//! Open review items.

use karwan_proto::CaseloadId;

use super::{ItemListed, ItemListedValue, Names, Scope};
use crate::clock::rfc3339;
use crate::database::{Connection, OptionalExtension, Row, Value, params};
use crate::host::Host;
use crate::problem::Problem;
use crate::projector::rows::StoredItem;

/// An item with where it stands.
pub(crate) struct FoundItem {
    /// Its caseload.
    pub caseload: CaseloadId,
    /// The item.
    pub stored: StoredItem,
    /// Of an entity: its list.
    pub list: Option<String>,
    title: String,
    source: String,
}

const COLUMNS: &str = "SELECT item.caseload, item.body, record.kind, record.title, record.source FROM item \
    LEFT JOIN record ON record.caseload = item.caseload AND record.owner = item.owner";

fn found(row: &Row) -> Result<FoundItem, Problem> {
    // Of what is quarantined there may be no record yet.
    let is_entity: bool = row.get::<Option<bool>>(2)?.unwrap_or(false);
    let source: String = row.get::<Option<String>>(4)?.unwrap_or_default();
    Ok(FoundItem {
        caseload: CaseloadId(row.get(0)?),
        stored: serde_json::from_str(row.text(1)?)?,
        list: is_entity.then(|| source.clone()),
        title: row.get::<Option<String>>(3)?.unwrap_or_default(),
        source,
    })
}

/// The values of an item as people see them.
pub(super) fn shown(names: &Names<'_>, stored: &StoredItem) -> Vec<ItemListedValue> {
    let records = stored.records.iter().map(|record| Some(record.to_string())).chain(std::iter::repeat(None));
    let values = stored.item.values.iter().zip(records);
    values.map(|(value, record)| ItemListedValue { shown: names.value(value), record }).collect()
}

/// The items of a record or entity, duplicates with another record included.
pub(super) fn stored_of(db: &Connection, caseload: CaseloadId, owner: &str) -> Result<Vec<StoredItem>, Problem> {
    let statement =
        db.prepare("SELECT body FROM item WHERE caseload = ?1 AND (owner = ?2 OR other = ?2) ORDER BY kind, since_ms, owner, id");
    let rows = statement.query(params![caseload.0, owner])?;
    let mut items = Vec::new();
    for row in rows {
        items.push(serde_json::from_str(row.text(0)?)?);
    }
    Ok(items)
}

fn item_listed(names: &Names<'_>, found: FoundItem) -> ItemListed {
    let values = shown(names, &found.stored);
    let item = found.stored.item;
    ItemListed {
        item: item.id,
        kind: item.kind.as_str().to_owned(),
        record: item.record,
        record_kind: if found.list.is_some() { "entity" } else { "interview" }.to_owned(),
        title: found.title,
        source: found.source,
        caseload: names.caseload(found.caseload),
        reference: item.reference,
        values,
        message: item.message,
        since: rfc3339(item.since_ms),
    }
}

/// Open review items, the newest first.
pub fn items(host: &Host, scope: &Scope) -> Result<Vec<ItemListed>, Problem> {
    let names = Names::of(&host.organisation);
    let mut parameters = Vec::new();
    let condition = scope.condition("item.caseload", &mut parameters);
    host.projector.read(|db| {
        let statement = db.prepare(format!("{COLUMNS} WHERE {condition} ORDER BY item.since_ms DESC, item.owner, item.id"));
        let rows = statement.query(parameters)?;
        let mut items = Vec::new();
        for row in rows {
            items.push(item_listed(&names, found(&row)?));
        }
        Ok(items)
    })
}

/// One open review item.
pub fn item(host: &Host, scope: &Scope, item: &str) -> Result<ItemListed, Problem> {
    let names = Names::of(&host.organisation);
    Ok(item_listed(&names, find(host, scope, item)?))
}

/// The item of this name, where it is open.
pub(crate) fn find(host: &Host, scope: &Scope, item: &str) -> Result<FoundItem, Problem> {
    let mut parameters = Vec::new();
    let condition = scope.condition("item.caseload", &mut parameters);
    parameters.push(Value::Text(item.to_owned()));
    let row = host.projector.read(|db| {
        let statement = db.prepare(format!("{COLUMNS} WHERE {condition} AND item.id = ? LIMIT 1"));
        Ok(statement.query_row(parameters, |row| Ok(found(row))).optional()?)
    })?;
    row.ok_or_else(|| no_such_item(item))?
}

/// An item that is not open: it was decided, or something in it changed, or it is not for these eyes.
pub(crate) fn no_such_item(item: &str) -> Problem {
    Problem::input(
        "no-such-item",
        format!("no open item {item}: it was decided, or something in it changed since it was listed"),
        "See what is open now: karwan review list ORG.",
    )
}
