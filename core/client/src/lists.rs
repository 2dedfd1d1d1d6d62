//! External data of interviews: the device's own entity lists, and the CSV files that came with a form.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use karwan_form::external;
use karwan_form::interview::Lists;
use karwan_form::model::Table;
use karwan_proto::ids::Hash;

use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::forms::LoadedForm;

/// Columns of an entity list before its properties.
const ENTITY_COLUMNS: [&str; 2] = ["name", "label"];

/// Tables made of entity lists, as long as no entity changes, and of media, which never change.
#[derive(Default)]
pub(crate) struct ListCache {
    generation: AtomicU64,
    tables: Mutex<BTreeMap<String, (u64, Arc<Table>)>>,
    media: Mutex<BTreeMap<Hash, Arc<Table>>>,
}

impl ListCache {
    /// Entities changed.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

/// The lists that interviews of one form see.
pub(crate) struct DeviceLists {
    inner: Arc<Inner>,
    media: Vec<(String, Hash)>,
    declared: Vec<String>,
}

impl DeviceLists {
    /// Lists for interviews of this form.
    pub(crate) fn of(inner: &Arc<Inner>, loaded: &LoadedForm) -> Self {
        let declared = loaded.form.entities.iter().map(|declaration| declaration.list.clone()).collect();
        Self { inner: inner.clone(), media: loaded.row.media.clone(), declared }
    }

    fn find(&self, file: &str) -> Result<Option<Arc<Table>>, ClientError> {
        let file = file.rsplit('/').next().unwrap_or(file);
        let list = file.strip_suffix(".csv").unwrap_or(file);
        if let Some(table) = self.entities(list)? {
            return Ok(Some(table));
        }
        let named = |name: &str| self.media.iter().find(|(known, _)| known == name).map(|(_, hash)| *hash);
        let Some(hash) = named(file).or_else(|| named(&format!("{list}.csv"))) else { return Ok(None) };
        if let Some(table) = locked(&self.inner.lists.media).get(&hash) {
            return Ok(Some(table.clone()));
        }
        let Some(bytes) = locked(&self.inner.store).view()?.blob(hash)? else { return Ok(None) };
        let table = Arc::new(external::read(&bytes, file));
        locked(&self.inner.lists.media).insert(hash, table.clone());
        Ok(Some(table))
    }

    fn entities(&self, list: &str) -> Result<Option<Arc<Table>>, ClientError> {
        let generation = self.inner.lists.generation.load(Ordering::SeqCst);
        if let Some((made, table)) = locked(&self.inner.lists.tables).get(list)
            && *made == generation
        {
            return Ok(Some(table.clone()));
        }
        let table = {
            let store = locked(&self.inner.store);
            let view = store.view()?;
            if !self.declared.iter().any(|declared| declared == list) && !view.has_list(list)? {
                return Ok(None);
            }
            entity_table(&view, list)?
        };
        let table = Arc::new(table);
        locked(&self.inner.lists.tables).insert(list.to_owned(), (generation, table.clone()));
        Ok(Some(table))
    }
}

impl Lists for DeviceLists {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        // A list that cannot be read reads as an empty one; the database's trouble shows at the next write.
        self.find(file).unwrap_or_default()
    }
}

fn entity_table(view: &karwan_store::View<'_>, list: &str) -> Result<Table, ClientError> {
    let mut columns: Vec<String> = ENTITY_COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut by_entity: BTreeMap<String, usize> = BTreeMap::new();
    for (entity, label) in view.entity_labels(list)? {
        by_entity.insert(entity.clone(), rows.len());
        rows.push(vec![entity, label]);
    }
    for value in view.list_values(list)? {
        let Some(row) = by_entity.get(&value.entity).and_then(|number| rows.get_mut(*number)) else { continue };
        let column = *place.entry(value.property.clone()).or_insert_with(|| {
            columns.push(value.property.clone());
            columns.len() - 1
        });
        if row.len() <= column {
            row.resize(column + 1, String::new());
        }
        // The first value is the one shown.
        if let Some(cell) = row.get_mut(column).filter(|cell| cell.is_empty()) {
            *cell = value.value;
        }
    }
    for row in &mut rows {
        row.resize(columns.len(), String::new());
    }
    Ok(Table::new(columns, rows))
}
