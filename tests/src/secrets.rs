//! Looks for planted values in every file of a folder: as UTF-8, as UTF-16, and folded as a search index would hold them.

use std::path::{Path, PathBuf};

use karwan_linkage::fold::fold_key;

/// One way in which a planted value could lie in a file.
#[derive(Debug, Clone)]
pub struct Needle {
    /// Which value, by position, and how it is written.
    pub name: String,
    bytes: Vec<u8>,
}

/// A needle found in a file.
#[derive(Debug)]
pub struct Hit {
    pub file: PathBuf,
    pub needle: String,
}

/// Every way in which these values could be written.
pub fn needles(values: &[&str]) -> Vec<Needle> {
    let mut found = Vec::new();
    for (position, value) in values.iter().enumerate() {
        let folded = fold_key(value);
        // An index may hold words apart or together.
        let together = folded.replace(' ', "");
        let forms = [
            ("typed", (*value).to_owned()),
            ("folded", folded),
            ("folded together", together),
            ("lower case", value.to_lowercase()),
        ];
        for (form, text) in forms {
            let mut add = |encoding: &str, bytes: Vec<u8>| {
                found.push(Needle { name: format!("value {position}, {form}, {encoding}"), bytes });
            };
            add("UTF-8", text.as_bytes().to_vec());
            add("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect());
            add("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
    }
    found
}

/// Every needle in every file under a folder.
pub fn search(folder: &Path, needles: &[Needle]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return hits };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            hits.extend(search(&path, needles));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let found = needles.iter().filter(|needle| bytes.windows(needle.bytes.len()).any(|window| window == needle.bytes));
            hits.extend(found.map(|needle| Hit { file: path.clone(), needle: needle.name.clone() }));
        }
    }
    hits
}

/// What is inside the encryption of a device's database, as a plain database in a folder of its own.
///
/// # Panics
/// Where the device's key does not open it.
#[allow(clippy::expect_used)]
pub fn decrypted(device: &Path) -> tempfile::TempDir {
    let key = std::fs::read_to_string(karwan_store::FileKey::beside(device).path()).expect("the device has its key");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let copy = folder.path().join("encrypted.db");
    for side in ["", "-wal"] {
        let name = device.join(format!("device.db{side}"));
        std::fs::copy(name, folder.path().join(format!("encrypted.db{side}"))).ok();
    }
    let database = rusqlite::Connection::open(&copy).expect("the copy opens");
    database.pragma_update(None, "key", format!("x'{}'", key.trim())).expect("the key is taken");
    let plain = folder.path().join("plain.db");
    database.execute("ATTACH DATABASE ?1 AS plain KEY ''", [plain.to_str().expect("UTF-8")]).expect("a plain database beside it");
    database.query_row("SELECT sqlcipher_export('plain')", [], |_| Ok(())).expect("what is inside comes out");
    folder
}
