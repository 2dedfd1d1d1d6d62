//! The files that a form names, out of a folder: lists for an interview without a device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use karwan_form::external;
use karwan_form::interview::Lists;
use karwan_form::model::Table;

/// A folder of media, each file read once.
pub(super) struct MediaFolder {
    folder: PathBuf,
    read: Mutex<BTreeMap<String, Option<Arc<Table>>>>,
}

impl MediaFolder {
    /// The files in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), read: Mutex::default() }
    }
}

impl Lists for MediaFolder {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        // A form names files, not paths: nothing outside the folder is read.
        let name = Path::new(file).file_name()?.to_str()?.to_owned();
        let mut read = self.read.lock().ok()?;
        read.entry(name.clone())
            .or_insert_with(|| std::fs::read(self.folder.join(&name)).ok().map(|bytes| Arc::new(external::read(&bytes, &name))))
            .clone()
    }
}
