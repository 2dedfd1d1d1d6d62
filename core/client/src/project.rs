//! From a record to what lists, searches and forms read: written in the transaction that writes the record's change.

use std::collections::BTreeSet;
use std::sync::Arc;

use karwan_linkage::search_text;
use karwan_proto::ids::{CaseloadId, Hash, PersonId, RecordId};
use karwan_record::entities::{self, ENTITY_FORM, EntityWriteBody};
use karwan_record::{Projection, Record, ReviewItem, ReviewState, Shape, project_for_lists, project_with};
use karwan_store::entity::{EntityValueRow, EntityWriteRow};
use karwan_store::listing::{Item, Kind, Listed};
use karwan_store::{Batch, StoreError, View};

use crate::device::Inner;
use crate::error::ClientError;
use crate::forms::LoadedForm;
use crate::records;

/// Review states as rows say them.
pub(crate) const RETURNED: &str = "returned";
/// As [`RETURNED`].
pub(crate) const APPROVED: &str = "approved";
/// What a decision about an entity, made in the console, is listed under.
pub(crate) const ENTITY_SOURCE: &str = "entity";

impl Inner {
    /// Writes what a record comes to; gives the ids of its open review items.
    pub(crate) fn project(
        &self,
        batch: &Batch<'_>,
        record: &Record,
        caseload: CaseloadId,
    ) -> Result<BTreeSet<String>, ClientError> {
        let loaded = self.form_of(&batch.view(), record)?;
        let projection = match loaded {
            Some(loaded) => project_for_lists(record, Some(&loaded.form), &loaded.shape),
            None => project_for_lists(record, None, &Shape::unknown()),
        };
        let folded = search_text(projection.search_text.split('\n'));
        self.write_projection(batch, &projection, &folded, caseload, false)
    }

    /// Writes a projection, with its text to be found by, folded; gives the ids of its open review items. Of a record that is new here there
    /// is nothing to replace.
    pub(crate) fn write_projection(
        &self,
        batch: &Batch<'_>,
        projection: &Projection,
        folded: &str,
        caseload: CaseloadId,
        is_new: bool,
    ) -> Result<BTreeSet<String>, ClientError> {
        let view = batch.view();
        let id = projection.record;
        let (source, version) = source_of(self, &view, projection.form)?;
        if !is_new && view.listed(&id.to_string())?.iter().any(|row| row.kind == Kind::Interview && row.source != source) {
            batch.remove_interview(id)?;
        }
        let items = open_items(projection);
        let (device, person) = projection.made_by.map_or((None, None), |(device, person)| (Some(device), Some(person)));
        let row = Listed {
            kind: Kind::Interview,
            id: id.to_string(),
            caseload,
            source,
            version,
            title: projection.title.clone(),
            status: match projection.review {
                ReviewState::None => String::new(),
                ReviewState::Returned { .. } => RETURNED.to_owned(),
                ReviewState::Approved => APPROVED.to_owned(),
            },
            person,
            device,
            assigned: projection.assigned_to.map(|person: PersonId| person.to_string()).unwrap_or_default(),
            updated_ms: projection.updated_ms,
            offset_minutes: projection.offset_minutes,
            open_items: u32::try_from(items.len()).unwrap_or(u32::MAX),
            unsent: !is_new && view.is_unsent(id)?,
            provisional: !is_new && view.is_provisional(id)?,
        };
        batch.put_listed(&row, folded)?;
        if !is_new || !items.is_empty() {
            batch.put_items(&row.id, &items.iter().map(stored).collect::<Result<Vec<_>, _>>()?)?;
        }
        if is_new && projection.entity_writes.is_empty() {
            return Ok(items.into_iter().map(|item| item.id).collect());
        }
        let writes = projection.entity_writes.iter().map(write_row).collect::<Result<Vec<_>, _>>()?;
        let touched = batch.put_writes(id, &writes)?;
        for (list, entity) in &touched {
            fold_entity(batch, list, entity, caseload)?;
        }
        if !touched.is_empty() {
            self.lists.forget();
        }
        Ok(items.into_iter().map(|item| item.id).collect())
    }

    /// What a record comes to under its form, as far as the form is here.
    pub(crate) fn projection(&self, view: &View<'_>, record: &Record) -> Result<Projection, ClientError> {
        Ok(match self.form_of(view, record)? {
            Some(loaded) => project_with(record, Some(&loaded.form), &loaded.shape),
            None => project_with(record, None, &Shape::unknown()),
        })
    }

    /// A record's form, as far as it is here.
    fn form_of(&self, view: &View<'_>, record: &Record) -> Result<Option<Arc<LoadedForm>>, ClientError> {
        let form = record.form().filter(|form| *form != ENTITY_FORM);
        Ok(form.map(|form| self.loaded(view, form)).transpose()?.flatten())
    }

    /// Projects a record again from its stored changes; takes it out of the lists where nothing of it counts any more.
    pub(crate) fn project_again(&self, batch: &Batch<'_>, record: RecordId) -> Result<BTreeSet<String>, ClientError> {
        let view = batch.view();
        let Some(place) = view.record_place(record)? else { return Ok(BTreeSet::new()) };
        let loaded = records::load(&view, record)?;
        if !loaded.is_empty() {
            return self.project(batch, &loaded, place.caseload);
        }
        self.unproject(batch, record, place.caseload)?;
        Ok(BTreeSet::new())
    }

    /// Takes a record out of all lists.
    pub(crate) fn unproject(&self, batch: &Batch<'_>, record: RecordId, caseload: CaseloadId) -> Result<(), ClientError> {
        batch.remove_interview(record)?;
        batch.put_items(&record.to_string(), &[])?;
        for (list, entity) in batch.put_writes(record, &[])? {
            fold_entity(batch, &list, &entity, caseload)?;
        }
        self.lists.forget();
        Ok(())
    }
}

/// Items that nobody has closed.
fn open_items(projection: &Projection) -> Vec<ReviewItem> {
    projection.items.iter().filter(|item| !projection.closed.contains(&item.id)).cloned().collect()
}

/// The form's identifier and version; while its entry has not come, its hash.
fn source_of(inner: &Inner, view: &View<'_>, form: Option<Hash>) -> Result<(String, String), ClientError> {
    let Some(form) = form else { return Ok((String::new(), String::new())) };
    if form == ENTITY_FORM {
        return Ok((ENTITY_SOURCE.to_owned(), String::new()));
    }
    // A form whose definition is not here or not readable: listed under its hash, so that it is found when that changes.
    let loaded = inner.loaded(view, form)?;
    Ok(loaded
        .map_or_else(|| (form.to_string(), String::new()), |loaded| (loaded.row.form_id.clone(), loaded.row.version.clone())))
}

fn stored(item: &ReviewItem) -> Result<Item, ClientError> {
    Ok(Item {
        id: item.id.clone(),
        record: item.record.clone(),
        kind: item.kind.as_str().to_owned(),
        reference: item.reference.clone(),
        body: json(item)?,
        since_ms: item.since_ms,
    })
}

fn write_row(body: &EntityWriteBody) -> Result<EntityWriteRow, ClientError> {
    Ok(EntityWriteRow { record: body.record, list: body.list.clone(), entity: body.id.clone(), body: json(body)? })
}

fn json(value: &impl serde::Serialize) -> Result<String, ClientError> {
    serde_json::to_string(value).map_err(|_| ClientError::Store(StoreError::Content { what: "projection" }))
}

/// All that records on this device write to an entity.
pub(crate) fn writes_to(view: &View<'_>, list: &str, entity: &str) -> Result<Vec<EntityWriteBody>, ClientError> {
    let rows = view.writes_to(list, entity)?;
    rows.iter()
        .map(|row| serde_json::from_str(&row.body).map_err(|_| ClientError::Store(StoreError::Content { what: "entity write" })))
        .collect()
}

/// Folds an entity again and writes what forms and lists read of it.
fn fold_entity(batch: &Batch<'_>, list: &str, entity: &str, caseload: CaseloadId) -> Result<(), ClientError> {
    let view = batch.view();
    let writes = writes_to(&view, list, entity)?;
    let item_key = entities::key(list, entity);
    let Some(origin) = entities::origin(&writes) else {
        batch.put_entity_values(list, entity, &[])?;
        batch.put_items(&item_key, &[])?;
        batch.remove_listed(Kind::Entity, list, entity)?;
        return Ok(());
    };
    let state = entities::fold(list, entity, &writes);
    let mut values = Vec::new();
    for (property, found) in &state.properties {
        values.extend(found.iter().map(|value| EntityValueRow {
            entity: entity.to_owned(),
            property: property.clone(),
            value: value.value.clone(),
            record: value.record,
        }));
    }
    batch.put_entity_values(list, entity, &values)?;
    batch.put_items(&item_key, &state.items.iter().map(stored).collect::<Result<Vec<_>, _>>()?)?;
    let place = view.record_place(origin.made.record)?;
    let row = Listed {
        kind: Kind::Entity,
        id: entity.to_owned(),
        caseload: place.map_or(caseload, |place| place.caseload),
        source: list.to_owned(),
        version: String::new(),
        title: state.label.clone(),
        status: String::new(),
        person: Some(origin.made.person),
        device: Some(origin.made.device),
        assigned: String::new(),
        updated_ms: origin.newest.at_ms,
        offset_minutes: origin.newest.offset_minutes,
        open_items: u32::try_from(state.items.len()).unwrap_or(u32::MAX),
        unsent: false,
        provisional: false,
    };
    let texts = values.iter().map(|value| value.value.as_str()).chain([state.label.as_str()]);
    batch.put_listed(&row, &search_text(texts))?;
    Ok(())
}
