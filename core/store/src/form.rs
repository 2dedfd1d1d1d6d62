//! Forms as the caseloads' logs name them, and the blobs (definitions, media) that they consist of.

use karwan_proto::ids::{CaseloadId, Hash};
use rusqlite::{OptionalExtension, Row, params};

use crate::error::StoreError;
use crate::store::Batch;
use crate::view::View;

/// One form version of a caseload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormRow {
    /// BLAKE3 of the definition.
    pub hash: Hash,
    /// The caseload.
    pub caseload: CaseloadId,
    /// `form_id` of its settings.
    pub form_id: String,
    /// `version` of its settings.
    pub version: String,
    /// Name of the definition's file: its ending says how to read it.
    pub file_name: String,
    /// Media by name.
    pub media: Vec<(String, Hash)>,
    /// No new interviews.
    pub retired: bool,
    /// Entry of the log that said so.
    pub sequence: u64,
}

const COLUMNS: &str = "hash, caseload, form_id, version, file_name, media, retired, sequence";

fn form_row(row: &Row<'_>) -> rusqlite::Result<(FormRow, String)> {
    let form = FormRow {
        hash: Hash(row.get(0)?),
        caseload: CaseloadId(row.get(1)?),
        form_id: row.get(2)?,
        version: row.get(3)?,
        file_name: row.get(4)?,
        media: Vec::new(),
        retired: row.get(6)?,
        sequence: row.get::<_, i64>(7)? as u64,
    };
    Ok((form, row.get(5)?))
}

impl View<'_> {
    /// All form versions, of all caseloads, the newest last.
    pub fn forms(&self) -> Result<Vec<FormRow>, StoreError> {
        let mut statement = self.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM form ORDER BY sequence"))?;
        let rows = statement.query_map([], form_row)?;
        rows.map(|row| {
            let (mut form, media) = row?;
            form.media = serde_json::from_str(&media).map_err(|_| StoreError::Content { what: "form" })?;
            Ok(form)
        })
        .collect()
    }

    /// One form version, of whichever caseload.
    pub fn form(&self, hash: Hash) -> Result<Option<FormRow>, StoreError> {
        Ok(self.forms()?.into_iter().find(|form| form.hash == hash))
    }

    /// A blob's bytes.
    pub fn blob(&self, hash: Hash) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.sql.query_row("SELECT bytes FROM blob WHERE hash = ?1", [hash.0], |row| row.get(0)).optional()?)
    }

    /// Whether a blob is here.
    pub fn has_blob(&self, hash: Hash) -> Result<bool, StoreError> {
        Ok(self.sql.prepare_cached("SELECT 1 FROM blob WHERE hash = ?1")?.exists([hash.0])?)
    }

    /// Blobs that forms name and that are not here.
    pub fn missing_blobs(&self) -> Result<Vec<Hash>, StoreError> {
        let mut missing = Vec::new();
        for form in self.forms()? {
            // Records of a retired form are still shown in its words; nobody fills it, so its media are not needed.
            let media = if form.retired { &[] } else { form.media.as_slice() };
            for hash in std::iter::once(form.hash).chain(media.iter().map(|(_, hash)| *hash)) {
                if !missing.contains(&hash) && !self.has_blob(hash)? {
                    missing.push(hash);
                }
            }
        }
        Ok(missing)
    }
}

impl Batch<'_> {
    /// Keeps a form version; a later entry about the same one replaces it.
    pub fn put_form(&self, form: &FormRow) -> Result<(), StoreError> {
        let media = serde_json::to_string(&form.media).map_err(|_| StoreError::Content { what: "form" })?;
        let text = "INSERT OR REPLACE INTO form(hash, caseload, form_id, version, file_name, media, retired, sequence)
                    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.transaction.prepare_cached(text)?.execute(params![
            form.hash.0,
            form.caseload.0,
            form.form_id,
            form.version,
            form.file_name,
            media,
            form.retired,
            form.sequence as i64
        ])?;
        Ok(())
    }

    /// Keeps a blob under the name that its bytes give it.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Hash, StoreError> {
        let hash = Hash(*blake3::hash(bytes).as_bytes());
        let mut statement = self.transaction.prepare_cached("INSERT OR IGNORE INTO blob(hash, bytes) VALUES(?1, ?2)")?;
        statement.execute(params![hash.0, bytes])?;
        Ok(hash)
    }
}
