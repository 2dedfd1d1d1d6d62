//! Entities on the device: what each record writes, and the folded values that lists and forms read.

use karwan_proto::ids::RecordId;
use rusqlite::params;

use crate::error::StoreError;
use crate::store::Batch;
use crate::view::View;

/// What one record writes to one entity; the body is the record layer's, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityWriteRow {
    /// The record.
    pub record: RecordId,
    /// Entity list.
    pub list: String,
    /// The entity.
    pub entity: String,
    /// Its write.
    pub body: String,
}

/// One value of an entity's property; more than one of the same property is a conflict, and the first is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityValueRow {
    /// The entity.
    pub entity: String,
    /// The property.
    pub property: String,
    /// The value.
    pub value: String,
    /// The record that wrote it.
    pub record: RecordId,
}

impl View<'_> {
    /// What records write to one entity.
    pub fn writes_to(&self, list: &str, entity: &str) -> Result<Vec<EntityWriteRow>, StoreError> {
        self.writes("WHERE list = ?1 AND entity = ?2 ORDER BY record", params![list, entity])
    }

    /// What one record writes.
    pub fn writes_of(&self, record: RecordId) -> Result<Vec<EntityWriteRow>, StoreError> {
        self.writes("WHERE record = ?1 ORDER BY list, entity", params![record.0])
    }

    fn writes(&self, tail: &str, parameters: impl rusqlite::Params) -> Result<Vec<EntityWriteRow>, StoreError> {
        let mut statement = self.sql.prepare_cached(&format!("SELECT record, list, entity, body FROM entity_write {tail}"))?;
        let rows = statement.query_map(parameters, |row| {
            Ok(EntityWriteRow { record: RecordId(row.get(0)?), list: row.get(1)?, entity: row.get(2)?, body: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The values of one entity.
    pub fn entity_values(&self, list: &str, entity: &str) -> Result<Vec<EntityValueRow>, StoreError> {
        self.values("WHERE list = ?1 AND entity = ?2 ORDER BY property, position", params![list, entity])
    }

    /// The values of all entities of a list, entity by entity.
    pub fn list_values(&self, list: &str) -> Result<Vec<EntityValueRow>, StoreError> {
        self.values("WHERE list = ?1 ORDER BY entity, property, position", params![list])
    }

    fn values(&self, tail: &str, parameters: impl rusqlite::Params) -> Result<Vec<EntityValueRow>, StoreError> {
        let mut statement =
            self.sql.prepare_cached(&format!("SELECT entity, property, value, record FROM entity_value {tail}"))?;
        let rows = statement.query_map(parameters, |row| {
            Ok(EntityValueRow { entity: row.get(0)?, property: row.get(1)?, value: row.get(2)?, record: RecordId(row.get(3)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Entities of a list with their labels, in the order in which they came.
    pub fn entity_labels(&self, list: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement =
            self.sql.prepare_cached("SELECT id, title FROM listing WHERE kind = 1 AND source = ?1 ORDER BY number")?;
        Ok(statement.query_map([list], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }

    /// Whether this device has entities of a list.
    pub fn has_list(&self, list: &str) -> Result<bool, StoreError> {
        let mut statement = self.sql.prepare_cached("SELECT 1 FROM listing WHERE kind = 1 AND source = ?1")?;
        Ok(statement.exists([list])?)
    }
}

impl Batch<'_> {
    /// Replaces what a record writes; gives every (list, entity) that it wrote before or writes now.
    pub fn put_writes(&self, record: RecordId, writes: &[EntityWriteRow]) -> Result<Vec<(String, String)>, StoreError> {
        let before = self.view().writes_of(record)?;
        if before.as_slice() == writes {
            return Ok(Vec::new());
        }
        let mut touched: Vec<(String, String)> = before.into_iter().map(|write| (write.list, write.entity)).collect();
        self.transaction.prepare_cached("DELETE FROM entity_write WHERE record = ?1")?.execute([record.0])?;
        let text = "INSERT INTO entity_write(record, list, entity, body) VALUES(?1, ?2, ?3, ?4)";
        let mut statement = self.transaction.prepare_cached(text)?;
        for write in writes {
            statement.execute(params![record.0, write.list, write.entity, write.body])?;
            touched.push((write.list.clone(), write.entity.clone()));
        }
        touched.sort();
        touched.dedup();
        Ok(touched)
    }

    /// Replaces an entity's values.
    pub fn put_entity_values(&self, list: &str, entity: &str, values: &[EntityValueRow]) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM entity_value WHERE list = ?1 AND entity = ?2")?.execute([list, entity])?;
        let text = "INSERT INTO entity_value(list, entity, property, position, value, record) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.transaction.prepare_cached(text)?;
        for (position, value) in values.iter().enumerate() {
            statement.execute(params![list, entity, value.property, position as i64, value.value, value.record.0])?;
        }
        Ok(())
    }
}
