//! Forms: read and checked before anything is written, kept as blobs by hash, published as entries of a caseload's log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karwan_form::fault::Fault;
use karwan_form::model::Form;

use karwan_proto::log::MediaFile;
use karwan_proto::{CaseloadId, DeviceId, Hash, LogEntry};
use serde::Serialize;

use super::Organisation;
use super::folder::write_secret;
use crate::clock::random;
use crate::database::{OptionalExtension, params};
use crate::problem::Problem;

/// Largest media file, in bytes.
pub const MEDIA_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One form of one caseload.
#[derive(Debug, Clone, Serialize)]
pub struct FormRow {
    /// The form's name everywhere: the hash of its definition.
    pub hash: Hash,
    /// The form's identifier.
    pub form: String,
    /// Its version.
    pub version: String,
    /// Its title.
    pub title: String,
    /// Name of the caseload.
    pub caseload: String,
    /// No new interviews with it.
    pub retired: bool,
    /// Identifier of the caseload.
    #[serde(skip)]
    pub caseload_id: CaseloadId,
}

/// Reads a definition; faults as one problem.
pub fn read_form(bytes: &[u8], file_name: &str) -> Result<Form, Problem> {
    karwan_form::read(bytes, file_name).map_err(|faults| faults_problem(file_name, &faults))
}

/// All faults of a form as one problem.
pub fn faults_problem(file_name: &str, faults: &[Fault]) -> Problem {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let count = if faults.len() == 1 { "a fault".to_owned() } else { format!("{} faults", faults.len()) };
    let error = format!("{file_name} has {count}:\n{}", lines.join("\n"));
    Problem::input("form-faults", error, "Mend the workbook and try again: karwan form check FILE.")
}

impl Organisation {
    /// Publishes a form in a caseload.
    pub fn add_form(&self, file: &Path, caseload: &str, media: Option<&Path>) -> Result<FormRow, Problem> {
        let file_name = file.file_name().and_then(|name| name.to_str()).unwrap_or("form.xlsx").to_owned();
        let unreadable = |error: std::io::Error| {
            Problem::input(
                "unreadable",
                format!("{} cannot be read: {error}", file.display()),
                "Give the path of a workbook (.xlsx).",
            )
        };
        let bytes = std::fs::read(file).map_err(unreadable)?;
        let media = match media {
            Some(folder) => read_media(folder)?,
            None => Vec::new(),
        };
        self.publish(&file_name, &bytes, media, caseload)
    }

    /// Publishes a form whose bytes are at hand.
    pub fn publish(
        &self,
        file_name: &str,
        bytes: &[u8],
        media: Vec<(String, Vec<u8>)>,
        caseload: &str,
    ) -> Result<FormRow, Problem> {
        let caseload_id = self.caseload_named(caseload)?;
        let form = read_form(bytes, file_name)?;
        let definition = Hash(*blake3::hash(bytes).as_bytes());
        for known in self.forms()? {
            if known.caseload_id != caseload_id || known.form != form.id || known.version != form.version {
                continue;
            }
            if known.hash == definition && !known.retired {
                return Ok(known);
            }
            if known.hash != definition {
                return Err(Problem::input(
                    "same-version",
                    format!("version {} of {} is published with another content", form.version, form.id),
                    "Give the changed form a new version in its settings sheet.",
                ));
            }
        }
        self.put_blob(bytes)?;
        let mut files = Vec::new();
        for (name, content) in media {
            files.push(MediaFile { name, hash: self.put_blob(&content)? });
        }
        files.sort();
        let entry = LogEntry::Form {
            form_id: form.id.clone(),
            version: form.version.clone(),
            definition,
            media: files.clone(),
            retired: false,
            extra: karwan_proto::codec::Extra::default(),
        };
        let names: Vec<(String, Hash)> = files.into_iter().map(|file| (file.name, file.hash)).collect();
        let core = self.writing()?;
        core.not_recovering()?;
        let transaction = core.db.transaction()?;
        transaction.execute(
            "INSERT INTO form(hash, caseload, form_id, version, title, file_name, media, retired) VALUES(?1,?2,?3,?4,?5,?6,?7,0) \
             ON CONFLICT(hash, caseload) DO UPDATE SET title = excluded.title, file_name = excluded.file_name, \
             media = excluded.media, retired = 0",
            params![definition.0, caseload_id.0, form.id, form.version, form.title, file_name, serde_json::to_string(&names)?],
        )?;
        crate::log::append(&transaction, caseload_id, &entry, None)?;
        transaction.commit()?;
        drop(core);
        self.grown.notify_waiters();
        let row = FormRow {
            hash: definition,
            form: form.id.clone(),
            version: form.version.clone(),
            title: form.title.clone(),
            caseload: self.caseload_name(caseload_id),
            retired: false,
            caseload_id,
        };
        Ok(row)
    }

    /// No new interviews with a form.
    pub fn retire_form(&self, name: &str) -> Result<(), Problem> {
        let forms: Vec<FormRow> =
            self.forms()?.into_iter().filter(|form| form.form == name || form.hash.to_string() == name).collect();
        if forms.is_empty() {
            return Err(Problem::input("no-such-form", format!("no form {name}"), "See the forms: karwan form list ORG."));
        }
        for form in forms {
            let entry = LogEntry::Form {
                form_id: form.form.clone(),
                version: form.version.clone(),
                definition: form.hash,
                media: Vec::new(),
                retired: true,
                extra: karwan_proto::codec::Extra::default(),
            };
            let core = self.writing()?;
            core.not_recovering()?;
            let transaction = core.db.transaction()?;
            transaction.execute(
                "UPDATE form SET retired = 1 WHERE hash = ?1 AND caseload = ?2",
                params![form.hash.0, form.caseload_id.0],
            )?;
            crate::log::append(&transaction, form.caseload_id, &entry, None)?;
            transaction.commit()?;
        }
        self.grown.notify_waiters();
        Ok(())
    }

    /// All forms, retired ones too, in the order in which they came.
    pub fn forms(&self) -> Result<Vec<FormRow>, Problem> {
        let rows: Vec<FormRow> = self.read(|db| {
            let statement = db.prepare("SELECT hash, form_id, version, title, caseload, retired FROM form ORDER BY rowid");
            let rows = statement.query_map((), |row| {
                Ok(FormRow {
                    hash: Hash(row.get(0)?),
                    form: row.get(1)?,
                    version: row.get(2)?,
                    title: row.get(3)?,
                    caseload: String::new(),
                    retired: row.get(5)?,
                    caseload_id: CaseloadId(row.get(4)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        Ok(rows.into_iter().map(|row| FormRow { caseload: self.caseload_name(row.caseload_id), ..row }).collect())
    }

    /// A form by the hash of its definition; read once.
    pub fn form(&self, hash: Hash) -> Result<Option<Arc<Form>>, Problem> {
        if let Some(form) = self.forms.lock().ok().and_then(|forms| forms.get(&hash).cloned()) {
            return Ok(Some(form));
        }
        let name: Option<String> = self.read(|db| {
            let found = db.query_row("SELECT file_name FROM form WHERE hash = ?1 LIMIT 1", params![hash.0], |row| row.get(0));
            Ok(found.optional()?)
        })?;
        let Some(name) = name else { return Ok(None) };
        let Some(bytes) = self.blob(hash)? else { return Ok(None) };
        // A form that an older version accepted and this one does not is shown without its words.
        let Ok(form) = karwan_form::read(&bytes, &name) else { return Ok(None) };
        let form = Arc::new(form);
        if let Ok(mut forms) = self.forms.lock() {
            forms.insert(hash, form.clone());
        }
        Ok(Some(form))
    }

    fn blob_path(&self, hash: Hash) -> PathBuf {
        self.folder.blobs().join(hash.to_string())
    }

    /// Keeps bytes under their hash, durably.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<Hash, Problem> {
        let hash = Hash(*blake3::hash(bytes).as_bytes());
        let path = self.blob_path(hash);
        if !path.exists() {
            let unfinished = path.with_extension("unfinished");
            std::fs::remove_file(&unfinished).ok();
            write_secret(&unfinished, bytes)?;
            std::fs::rename(&unfinished, &path)?;
        }
        if self.databases.are_shared() {
            let core = self.writing_beside_others()?;
            core.db.execute("INSERT INTO blob(hash, bytes) VALUES(?1, ?2) ON CONFLICT DO NOTHING", params![hash.0, bytes])?;
        }
        Ok(hash)
    }

    /// Whether bytes with this hash are here.
    pub(crate) fn blob_exists(&self, hash: Hash) -> Result<bool, Problem> {
        if self.blob_path(hash).exists() || !self.databases.are_shared() {
            return Ok(self.blob_path(hash).exists());
        }
        self.read(|db| Ok(db.prepare("SELECT 1 FROM blob WHERE hash = ?1").exists([hash.0])?))
    }

    /// Bytes by their hash.
    pub fn blob(&self, hash: Hash) -> Result<Option<Vec<u8>>, Problem> {
        match std::fs::read(self.blob_path(hash)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.blob_of_others(hash),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes that another process put into the database; kept in this folder, too.
    fn blob_of_others(&self, hash: Hash) -> Result<Option<Vec<u8>>, Problem> {
        if !self.databases.are_shared() {
            return Ok(None);
        }
        let bytes: Option<Vec<u8>> =
            self.read(|db| Ok(db.query_row("SELECT bytes FROM blob WHERE hash = ?1", [hash.0], |row| row.get(0)).optional()?))?;
        let Some(bytes) = bytes.filter(|bytes| *blake3::hash(bytes).as_bytes() == hash.0) else { return Ok(None) };
        let path = self.blob_path(hash);
        let unfinished = path.with_extension(format!("{}.unfinished", crate::organisation::hex(&random::<8>())));
        write_secret(&unfinished, &bytes)?;
        std::fs::rename(&unfinished, &path)?;
        Ok(Some(bytes))
    }

    /// Has in the folder, one at a time, what other processes put into the database.
    pub(crate) fn gather_blobs(&self) -> Result<(), Problem> {
        let all: Vec<[u8; 32]> = self.read(|db| {
            let hashes = db.prepare("SELECT hash FROM blob").query_map((), |row| row.get(0))?;
            Ok(hashes.collect::<Result<_, _>>()?)
        })?;
        for hash in all.into_iter().map(Hash).filter(|hash| !self.blob_path(*hash).exists()) {
            self.blob_of_others(hash)?;
        }
        Ok(())
    }

    /// A blob that belongs to a form of a caseload that the device may read.
    pub(crate) fn blob_for(&self, device: DeviceId, hash: Hash) -> Result<Option<Vec<u8>>, Problem> {
        let Ok(readable) = self.current()?.membership.readable(device) else { return Ok(None) };
        let named = self.read(|db| {
            let statement = db.prepare("SELECT hash, caseload, media FROM form");
            let rows = statement.query(())?;
            for row in rows {
                let (definition, caseload, media): ([u8; 32], [u8; 16], String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let media: Vec<(String, Hash)> = serde_json::from_str(&media).unwrap_or_default();
                let has = Hash(definition) == hash || media.iter().any(|(_, file)| *file == hash);
                if has && readable.contains(&CaseloadId(caseload)) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        if named { self.blob(hash) } else { Ok(None) }
    }
}

fn read_media(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Problem::input(
            "unreadable",
            format!("{} cannot be read: {error}", folder.display()),
            "Give the folder of the form's media.",
        )
    })?;
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if !metadata.is_file() {
            continue;
        }
        if metadata.len() > MEDIA_BYTES_MAX {
            let error = format!("a media file is larger than {MEDIA_BYTES_MAX} bytes");
            return Err(Problem::input("too-large", error, "Make it smaller."));
        }
        let name = entry.file_name().into_string().unwrap_or_default();
        files.push((name, std::fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}
