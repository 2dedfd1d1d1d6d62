//! Backups of an organisation: writing them while a server runs, and making a folder from one.
//!
//! Two files. FILE holds the logs, names, forms, media and the keys of server and administrator; FILE.keys holds the keys of records,
//! without which no answer in FILE can be read. Whoever erases a record deletes its key: once the last FILE.keys with it is gone, the record is
//! unreadable in every FILE, however old. So keep FILE as long as you like, and FILE.keys for [`KEYS_KEPT_DAYS`] days.
//!
//! A restored server has forgotten what came after the backup, authority included. It begins a new epoch and is in recovery: see
//! [`crate::log::recovery`].

pub mod container;
mod shared;
mod tables;

use std::path::{Path, PathBuf};

use karwan_proto::CaseloadId;
use serde_json::{Value, json};

use crate::clock::{now_ms, rfc3339};
use crate::database::{params, sqlite};
use crate::log::recovery;
use crate::organisation::folder::{Folder, Lock};
use crate::organisation::{Organisation, hex, schema};
use crate::problem::Problem;
use container::{Head, Part, Whole, Writing};
use shared::{copy_out, move_into, remove_database};

/// For how long a file of record keys is to be kept.
pub const KEYS_KEPT_DAYS: u32 = 30;

/// The file of the record keys beside a backup.
pub fn keys_file(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".keys");
    file.with_file_name(name)
}

/// Where the logs are copied to before they are put into the backup of the organisation in this folder.
pub(crate) fn copy_of_logs(organisation: &Path) -> PathBuf {
    organisation.join("backup-karwan.db")
}

/// A copy of a database while it is in use, gone when this is dropped.
struct Snapshot(PathBuf);

impl Snapshot {
    /// A place for one, where one that was cut off may lie.
    fn at(path: PathBuf) -> Self {
        remove_database(&path);
        Self(path)
    }

    fn of(database: &Path, to: PathBuf) -> Result<Self, Problem> {
        let snapshot = Self::at(to);
        let connection = sqlite::open_to_read(database)?;
        let text = snapshot.0.to_str().ok_or_else(|| {
            Problem::input("path", "the folder's path is not UTF-8", "Move the organisation to another folder.")
        })?;
        // One read transaction: a consistent moment, beside whoever writes.
        connection.execute("VACUUM INTO ?1", params![text])?;
        Ok(snapshot)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        remove_database(&self.0);
    }
}

/// Writes a backup of an organisation in use, and notes up to where its logs are in it.
pub fn write(organisation: &Organisation, file: &Path) -> Result<Value, Problem> {
    let folder = Folder(organisation.folder().to_path_buf());
    let keys_file = keys_file(file);
    for path in [file, keys_file.as_path()] {
        if path.exists() {
            let error = format!("{} exists", path.display());
            return Err(Problem::input("exists", error, "Give another name: no backup is written over."));
        }
    }
    let made_at_ms = now_ms();
    let head = |part| Head { part, organisation: hex(&organisation.id().0), made_at_ms };
    // Keys are committed before what they encrypt: taken after it, they are all there.
    let (of_logs, of_keys) = (copy_of_logs(&folder.0), folder.0.join("backup-keys.db"));
    let (main, keys) = if folder.database_address()?.is_some() {
        let (of_logs, of_keys) = (Snapshot::at(of_logs), Snapshot::at(of_keys));
        let main = organisation.read(|db| copy_out(db, tables::MAIN, schema::MAIN, of_logs))?;
        let keys = organisation.read_keys(|db| copy_out(db, tables::KEYS, schema::KEYS, of_keys))?;
        organisation.gather_blobs()?;
        (main, keys)
    } else {
        let main = Snapshot::of(&folder.database(), of_logs)?;
        (main, Snapshot::of(&folder.keys_database(), of_keys)?)
    };
    let mut writing = Writing::begin(file, &head(Part::Organisation))?;
    writing.add("karwan.db", &main.0)?;
    for (name, within) in [("keys", folder.0.join("keys")), ("blobs", folder.blobs()), ("attachments", folder.attachments())] {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(within)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        entries.sort();
        for path in entries {
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            // What is being written now belongs to nothing in the snapshot.
            if path.is_file() && !file_name.ends_with(".unfinished") {
                writing.add(&format!("{name}/{file_name}"), &path)?;
            }
        }
    }
    let mut writing_keys = Writing::begin(&keys_file, &head(Part::RecordKeys))?;
    writing_keys.add("keys.db", &keys.0)?;
    // Keys first: a backup whose name is there is never without them.
    let keys_bytes = writing_keys.finish()?;
    let bytes = writing.finish()?;
    let heads = heads(&main.0)?;
    organisation.note_backup(&heads, made_at_ms)?;
    Ok(json!({
        "file": file, "keys_file": keys_file, "bytes": bytes, "keys_bytes": keys_bytes, "made": rfc3339(made_at_ms),
        "entries": heads.iter().map(|(_, sequence)| *sequence).sum::<u64>(), "keep_keys_days": KEYS_KEPT_DAYS,
        "attachments_in": organisation.attachment_store()?.store,
    }))
}

fn heads(database: &Path) -> Result<Vec<(CaseloadId, u64)>, Problem> {
    let connection = sqlite::open_to_read(database)?;
    let statement = connection.prepare("SELECT id, head FROM caseload");
    let rows = statement.query_map((), |row| Ok((CaseloadId(row.get(0)?), row.get::<i64>(1)? as u64)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Organisation {
    /// Notes up to where each log is in a backup: devices are told.
    fn note_backup(&self, heads: &[(CaseloadId, u64)], at_ms: i64) -> Result<(), Problem> {
        let core = self.writing()?;
        let transaction = core.db.transaction()?;
        for (caseload, sequence) in heads {
            let text = "UPDATE caseload SET backed_up = ?2 WHERE id = ?1 AND backed_up < ?2";
            transaction.execute(text, params![caseload.0, *sequence as i64])?;
        }
        transaction.execute(
            "INSERT INTO setting(name, value) VALUES('backed_up_at', ?1) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
            [at_ms.to_le_bytes()],
        )?;
        Ok(transaction.commit()?)
    }
}

/// Makes an organisation's folder from a backup, or fills the PostgreSQL of an address that has none: all of it or nothing.
pub fn restore(file: &Path, keys: &Path, to: &Path, database: Option<&str>) -> Result<Value, Problem> {
    let folder = Folder(to.to_path_buf());
    if folder.exists() && Lock::attempt(&folder)?.is_none() {
        let error = format!("a server or command is using {}", to.display());
        return Err(Problem::new(Problem::FOLDER, "in-use", error, "End it, and give a folder that does not exist yet."));
    }
    if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        let error = format!("{} is not empty", to.display());
        return Err(Problem::input("exists", error, "Give a folder that does not exist yet: nothing is written over."));
    }
    let (main, record_keys) = (Whole::open(file)?, Whole::open(keys)?);
    check_parts(&main.head, &record_keys.head)?;
    let made_at_ms = main.head.made_at_ms;
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = to.with_file_name(name);
    if unfinished.exists() {
        // Left by a restore that was cut off: the name is ours.
        std::fs::remove_dir_all(&unfinished)?;
    }
    let made = unpack(main, record_keys, &unfinished).and_then(|epoch| {
        database.map_or(Ok(()), |address| move_into(&Folder(unfinished.clone()), address))?;
        Ok(epoch)
    });
    let epoch = match made {
        Ok(epoch) => epoch,
        Err(problem) => {
            std::fs::remove_dir_all(&unfinished).ok();
            return Err(problem);
        }
    };
    std::fs::remove_dir(to).ok();
    std::fs::rename(&unfinished, to)?;
    Ok(json!({"organisation": to, "backup_made": rfc3339(made_at_ms), "epoch": epoch, "recovering": true}))
}

fn check_parts(main: &Head, keys: &Head) -> Result<(), Problem> {
    if main.part != Part::Organisation || keys.part != Part::RecordKeys {
        let error = "the files of the backup are exchanged: one holds the organisation, the other the keys of its records";
        return Err(Problem::input("other-part", error, "karwan restore FILE ORG --keys FILE.keys"));
    }
    if main.organisation != keys.organisation {
        let error = "the keys are of another organisation than the backup";
        return Err(Problem::input("other-organisation", error, "Give the FILE.keys that was written with it, or a later one."));
    }
    if keys.made_at_ms < main.made_at_ms {
        let error = "the keys are older than the backup: records made between them could not be read";
        return Err(Problem::input("older-keys", error, "Give the FILE.keys that was written with it, or a later one."));
    }
    Ok(())
}

fn unpack(main: Whole, record_keys: Whole, to: &Path) -> Result<u64, Problem> {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder(to.to_path_buf());
    std::fs::create_dir_all(folder.blobs())?;
    std::fs::create_dir_all(folder.attachments())?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700))?;
    main.unpack(to)?;
    record_keys.unpack(to)?;
    let unusable = || Problem::input("damaged-backup", "the backup lacks its database", "Give another backup.");
    if !folder.database().exists() || !folder.keys_database().exists() {
        return Err(unusable());
    }
    let db = sqlite::open(&folder.database(), schema::MAIN)?;
    sqlite::open(&folder.keys_database(), schema::KEYS)?;
    let sound: String = db.query_row("PRAGMA quick_check", (), |row| row.get(0))?;
    if sound != "ok" {
        return Err(unusable());
    }
    let transaction = db.transaction()?;
    let epoch = recovery::begin(&transaction, now_ms())?;
    transaction.commit()?;
    drop(db);
    std::fs::File::open(to)?.sync_all()?;
    Ok(epoch)
}
