//! The forms of a device: which there are, and each one read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use karwan_form::model::Form;

use karwan_proto::ids::{CaseloadId, Hash};
use karwan_record::Shape;
use karwan_store::View;
use karwan_store::form::FormRow;

use crate::device::{Device, Inner, locked};
use crate::error::ClientError;

/// Name under which a definition is read: the log names no files.
const FILE_NAME: &str = "form.xlsx";

/// A form as read.
#[derive(Debug)]
pub(crate) struct LoadedForm {
    pub(crate) form: Arc<Form>,
    pub(crate) shape: Shape,
    pub(crate) row: FormRow,
}

/// A form that may be filled here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormListed {
    /// `form_id`.
    pub form: String,
    /// Its newest version.
    pub version: String,
    /// What people call it; its identifier while its definition is not here.
    pub title: String,
    /// Its languages.
    pub languages: Vec<String>,
    /// Its caseload.
    pub caseload: CaseloadId,
    /// The caseload's name.
    pub caseload_name: String,
    /// The definition.
    pub hash: Hash,
    /// Definition and media are here.
    pub ready: bool,
}

impl Device {
    /// The forms that may be filled, the newest version of each.
    pub fn forms(&self) -> Result<Vec<FormListed>, ClientError> {
        let store = locked(&self.inner.store);
        let view = store.view()?;
        let mut listed = Vec::new();
        for row in offered(&view)? {
            let mut ready = view.has_blob(row.hash)?;
            for (_, media) in &row.media {
                ready = ready && view.has_blob(*media)?;
            }
            let loaded = if ready { self.inner.loaded(&view, row.hash)? } else { None };
            let title = loaded.as_ref().map(|loaded| loaded.form.title.clone()).filter(|title| !title.is_empty());
            listed.push(FormListed {
                title: title.unwrap_or_else(|| row.form_id.clone()),
                languages: loaded.map(|loaded| loaded.form.languages.clone()).unwrap_or_default(),
                caseload_name: view.name("caseload", row.caseload.0)?.unwrap_or_default(),
                caseload: row.caseload,
                hash: row.hash,
                form: row.form_id,
                version: row.version,
                ready,
            });
        }
        Ok(listed)
    }
}

/// The newest version of every form of every caseload, retired ones left out.
fn offered(view: &View<'_>) -> Result<Vec<FormRow>, ClientError> {
    let mut newest: BTreeMap<(String, CaseloadId), FormRow> = BTreeMap::new();
    for row in view.forms()? {
        newest.insert((row.form_id.clone(), row.caseload), row);
    }
    Ok(newest.into_values().filter(|row| !row.retired).collect())
}

impl Inner {
    /// The newest version of the form of this name, to begin an interview with.
    pub(crate) fn form_named(
        &self,
        view: &View<'_>,
        name: &str,
        caseload: Option<CaseloadId>,
    ) -> Result<Arc<LoadedForm>, ClientError> {
        let mut rows = offered(view)?;
        rows.retain(|row| row.form_id == name && caseload.is_none_or(|caseload| row.caseload == caseload));
        if rows.len() > 1 {
            return Err(ClientError::SeveralCaseloads(name.to_owned()));
        }
        let row = rows.pop().ok_or_else(|| ClientError::NoSuchForm(name.to_owned()))?;
        let loaded = self.needed(view, row.hash)?;
        if loaded.row.caseload == row.caseload && loaded.row.media == row.media {
            return Ok(loaded);
        }
        // The same definition in another caseload.
        Ok(Arc::new(LoadedForm { form: loaded.form.clone(), shape: loaded.shape.clone(), row }))
    }

    /// A form that must be here.
    pub(crate) fn needed(&self, view: &View<'_>, hash: Hash) -> Result<Arc<LoadedForm>, ClientError> {
        if let Some(loaded) = self.loaded(view, hash)? {
            return Ok(loaded);
        }
        let row = view.form(hash)?.ok_or_else(|| ClientError::NoSuchForm(hash.to_string()))?;
        let Some(bytes) = view.blob(hash)? else { return Err(ClientError::FormNotHere(row.form_id)) };
        let fault = karwan_form::read(&bytes, FILE_NAME).err().and_then(|faults| faults.first().map(ToString::to_string));
        Err(ClientError::FormFault { form: row.form_id, fault: fault.unwrap_or_default() })
    }

    /// A form, where its definition is here and this version can read it.
    pub(crate) fn loaded(&self, view: &View<'_>, hash: Hash) -> Result<Option<Arc<LoadedForm>>, ClientError> {
        if let Some(known) = locked(&self.forms).get(&hash) {
            return Ok(known.clone());
        }
        let Some(row) = view.form(hash)? else { return Ok(None) };
        let Some(bytes) = view.blob(hash)? else { return Ok(None) };
        let read = karwan_form::read(&bytes, FILE_NAME).ok().map(|form| {
            let shape = Shape::of(&form);
            Arc::new(LoadedForm { form: Arc::new(form), shape, row })
        });
        locked(&self.forms).insert(hash, read.clone());
        Ok(read)
    }

    /// Forgets what was read, after the log told of forms.
    pub(crate) fn forget_forms(&self) {
        locked(&self.forms).clear();
    }
}
