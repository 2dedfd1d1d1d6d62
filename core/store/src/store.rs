//! The open database: making it, opening it, pausing it, and the one transaction through which everything is written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use karwan_proto::ids::IncarnationId;
use karwan_proto::keys::PublicKey;
use rand::Rng;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::error::{DiskContext, StoreError};
use crate::folder::{Folder, FolderLock, LOCK_WAIT_S};
use crate::identity::{self, Identity};
use crate::key::{DatabaseKey, KeyProvider};
use crate::recovery;
use crate::salvage::{self, Salvaged};
use crate::schema;
use crate::witness::Witness;

const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Pages of the page cache, negative: in KiB.
const CACHE_KIB: i64 = -16_384;
/// Pages of the write-ahead log at which it is written back: a page that changes with every commit is written back once for many.
const WRITE_BACK_PAGES: i64 = 4_000;
/// Prepared statements that are kept: more than there are.
const STATEMENTS_KEPT: usize = 128;

/// What opening found.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The database is not the one that wrote last (a restored or copied one, or a commit was cut off): it began a new
    /// incarnation, and its unsealed edits must be written again ([`Store::rewrite_pending`]).
    pub new_incarnation: bool,
    /// The file was damaged, was moved aside, and this is what was saved from it.
    pub salvaged: Option<Salvaged>,
}

/// A device's database.
pub struct Store {
    folder: Folder,
    key: DatabaseKey,
    lock: Option<FolderLock>,
    connection: Option<Connection>,
    witness: Witness,
    counter: u64,
    incarnation: IncarnationId,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("folder", &self.folder.root())
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Makes the database of a newly enrolled device.
    pub fn create(folder: Folder, keys: &dyn KeyProvider, identity: &Identity) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder.root()).during("making the folder")?;
        let lock = folder.lock(LOCK_WAIT_S)?;
        if folder.holds_device() {
            return Err(StoreError::Exists(folder.root().to_owned()));
        }
        let key = keys.create()?;
        let mut connection = connect(&folder.database(), &key)?;
        schema::migrate(&mut connection)?;
        let mut witness = Witness::read(&folder.witness());
        let (incarnation, counter) = begin_incarnation(&mut connection, &mut witness, &key, false)?;
        let mut store = Self { folder, key, lock: Some(lock), connection: Some(connection), witness, counter, incarnation };
        store.set_identity(identity)?;
        store.folder.sync_listing()?;
        Ok(store)
    }

    /// Opens the database; waits for the folder; salvages a damaged file; begins a new incarnation where it must.
    pub fn open(folder: Folder, keys: &dyn KeyProvider) -> Result<(Self, Opened), StoreError> {
        if !folder.holds_device() {
            return Err(StoreError::Missing(folder.root().to_owned()));
        }
        let lock = folder.lock(LOCK_WAIT_S)?;
        let key = keys.key()?;
        let mut witness = Witness::read(&folder.witness());
        if witness.knows_key(&key) == Some(false) {
            return Err(StoreError::WrongKey);
        }
        let mut opened = Opened::default();
        let connection = if folder.damage_mark().exists() { Err(StoreError::Damaged) } else { open_and_migrate(&folder, &key) };
        let mut connection = match connection {
            Ok(connection) => connection,
            // Without the witness nobody can say whether the key or the file is at fault: the file stays where it is.
            Err(StoreError::Damaged) if witness.knows_key(&key).is_none() => return Err(StoreError::WrongKey),
            Err(StoreError::Damaged) => {
                let (connection, salvaged) = salvage::salvage(&folder, &key)?;
                opened.salvaged = Some(salvaged);
                connection
            }
            Err(error) => return Err(error),
        };
        let (nonce, counter, incarnation) = life(&connection)?;
        let same = witness.says().is_some_and(|says| Some(says.nonce) == nonce && says.reserved == counter);
        let (incarnation, counter) = match incarnation {
            Some(incarnation) if same && opened.salvaged.is_none() => (incarnation, counter),
            _ => {
                opened.new_incarnation = true;
                begin_incarnation(&mut connection, &mut witness, &key, true)?
            }
        };
        let mut store = Self { folder, key, lock: Some(lock), connection: Some(connection), witness, counter, incarnation };
        if store.identity_in_database()?.is_none() {
            let sealed = identity::unseal(&store.folder, &store.key)?.ok_or(StoreError::Content { what: "identity" })?;
            store.set_identity(&sealed)?;
        }
        Ok((store, opened))
    }

    /// Closes the file and lets the folder go, so that a suspended process holds no lock.
    pub fn pause(&mut self) -> Result<(), StoreError> {
        if let Some(connection) = self.connection.take() {
            // A checkpoint that cannot run leaves the write-ahead log, which the next opening reads.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok();
            connection.close().map_err(|(_, error)| StoreError::from(error))?;
        }
        self.lock = None;
        Ok(())
    }

    /// Takes the folder and the file again. Another process may have written meanwhile.
    pub fn resume(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let lock = self.folder.lock(LOCK_WAIT_S)?;
        let mut connection = open_and_migrate(&self.folder, &self.key)?;
        self.witness = Witness::read(&self.folder.witness());
        let (nonce, counter, incarnation) = life(&connection)?;
        let same = self.witness.says().is_some_and(|says| Some(says.nonce) == nonce && says.reserved == counter);
        (self.incarnation, self.counter) = match incarnation {
            Some(incarnation) if same => (incarnation, counter),
            _ => begin_incarnation(&mut connection, &mut self.witness, &self.key, true)?,
        };
        self.lock = Some(lock);
        self.connection = Some(connection);
        Ok(())
    }

    /// Whether [`Store::pause`] was called last.
    pub fn is_paused(&self) -> bool {
        self.connection.is_none()
    }

    /// Deletes the device's files. What was set aside as damaged goes too. The store can do nothing more.
    pub fn wipe(&mut self, keys: &dyn KeyProvider) -> Result<(), StoreError> {
        let root = self.folder.root().to_owned();
        self.connection = None;
        // The key first: what the disk keeps of the rest is unreadable without it.
        keys.forget()?;
        std::fs::remove_file(self.folder.witness()).ok();
        std::fs::remove_dir_all(&root).during("deleting the folder")?;
        Ok(())
    }

    /// The folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// This life of the database.
    pub fn incarnation(&self) -> IncarnationId {
        self.incarnation
    }

    /// Whether a new incarnation's unsealed edits still have to be written again.
    pub fn rewrite_pending(&self) -> Result<bool, StoreError> {
        Ok(self.setting("rewrite_pending")?.is_some())
    }

    /// Begins another incarnation now: the server suspects that another copy of this database is in use.
    pub fn begin_again(&mut self) -> Result<(), StoreError> {
        let connection = self.connection.as_mut().ok_or(StoreError::Paused)?;
        (self.incarnation, self.counter) = begin_incarnation(connection, &mut self.witness, &self.key, true)?;
        Ok(())
    }

    /// Reads, in one snapshot where it matters to the caller.
    pub(crate) fn reading(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Paused)
    }

    /// Writes in one transaction that authors nothing: drafts, what a server sent, projections.
    pub fn write<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Batch<'_>) -> Result<T, E>) -> Result<T, E> {
        let done = self.attempt(work, None);
        self.notice(done)
    }

    /// Writes in one transaction that authors changes or seals envelopes: its counter is reserved in the witness before the
    /// commit.
    pub fn author<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Batch<'_>) -> Result<T, E>) -> Result<T, E> {
        let next = self.counter + 1;
        let done = self.attempt(work, Some(next));
        self.notice(done)
    }

    fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Batch<'_>) -> Result<T, E>,
        counter: Option<u64>,
    ) -> Result<T, E> {
        let connection = self.connection.as_mut().ok_or(StoreError::Paused)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let batch = Batch::of(transaction);
        let result = work(&batch)?;
        batch.write_index()?;
        if let Some(counter) = counter {
            batch.set("counter", &counter.to_be_bytes())?;
            self.witness.reserve(counter)?;
        }
        batch.transaction.commit().map_err(StoreError::from)?;
        if let Some(counter) = counter {
            self.counter = counter;
        }
        Ok(result)
    }

    /// Leaves a mark when the file turns out to be damaged, so that the next opening salvages it.
    fn notice<T, E: From<StoreError>>(&self, done: Result<T, E>) -> Result<T, E> {
        if done.is_err()
            && self.connection.as_ref().is_some_and(|connection| first_read(connection).is_err_and(|error| error.is_damage()))
        {
            self.mark_damaged();
        }
        done
    }

    /// Says that the file is damaged: the next opening moves it aside and salvages it.
    pub fn mark_damaged(&self) {
        std::fs::write(self.folder.damage_mark(), b"").ok();
    }

    /// Copies the whole database into another file with the same key, while it is in use. A test of restored copies, and the
    /// beginning of a backup.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let text = path.to_str().ok_or(StoreError::Content { what: "path" })?;
        self.reading()?.execute("VACUUM INTO ?1", params![text])?;
        Ok(())
    }

    /// A small value by name.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.reading()?.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0)).optional()?)
    }

    /// The server's epoch, as the device has heard of it last.
    pub fn epoch(&self) -> Result<u64, StoreError> {
        self.number("epoch")
    }

    /// A setting that is a number, eight bytes with the highest first; 0 where it was never set.
    pub fn number(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.setting(name)?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    fn identity_in_database(&self) -> Result<Option<Identity>, StoreError> {
        self.setting("identity")?.map(|bytes| Identity::decode(&bytes)).transpose()
    }

    /// Who this device is.
    pub fn identity(&self) -> Result<Identity, StoreError> {
        self.identity_in_database()?.ok_or(StoreError::Content { what: "identity" })
    }

    /// Keeps who this device is, in the database and in a sealed file beside it that outlives a damaged database.
    pub fn set_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let bytes = identity.encode()?;
        self.write(|batch| batch.set("identity", &bytes))?;
        recovery::wrap(&self.folder, &self.key, PublicKey(identity.root_key))?;
        identity::seal(&self.folder, &self.key, identity)
    }
}

/// A transaction in progress; everything in it is written together or not at all.
pub struct Batch<'a> {
    pub(crate) transaction: Transaction<'a>,
    /// What the search index is to hold under a row's number, nothing where the row goes; written last, all at once.
    pub(crate) index: RefCell<BTreeMap<i64, Option<String>>>,
}

impl std::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batch")
    }
}

impl<'a> Batch<'a> {
    fn of(transaction: Transaction<'a>) -> Self {
        Self { transaction, index: RefCell::default() }
    }
}

impl Batch<'_> {
    /// Keeps a small value by name.
    pub fn set(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.transaction.execute("INSERT OR REPLACE INTO setting(name, value) VALUES(?1, ?2)", params![name, value])?;
        Ok(())
    }

    /// Forgets a small value.
    pub fn unset(&self, name: &str) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM setting WHERE name = ?1", [name])?;
        Ok(())
    }

    /// The edits of an earlier incarnation have been written again.
    pub fn rewrite_done(&self) -> Result<(), StoreError> {
        self.unset("rewrite_pending")
    }
}

fn open_and_migrate(folder: &Folder, key: &DatabaseKey) -> Result<Connection, StoreError> {
    if !folder.database().exists() {
        return Err(StoreError::Damaged);
    }
    let mut connection = connect(&folder.database(), key)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a file with its key; a missing or wrong key shows at the first read.
pub(crate) fn connect(path: &Path, key: &DatabaseKey) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "key", key.pragma().as_str())?;
    let cipher: Option<String> = connection.query_row("PRAGMA cipher_version", [], |row| row.get(0)).optional()?;
    if cipher.is_none() {
        return Err(StoreError::NoEncryption);
    }
    connection.query_row("PRAGMA cipher_log_level = NONE", [], |_| Ok(())).optional()?;
    first_read(&connection)?;
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", WRITE_BACK_PAGES, |_| Ok(()))?;
    // Without this every binding of a value that an index is searched for makes SQLite compile the statement again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

fn first_read(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    Ok(())
}

type Life = (Option<[u8; 16]>, u64, Option<IncarnationId>);

fn life(connection: &Connection) -> Result<Life, StoreError> {
    let get = |name: &str| {
        connection.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get::<_, Vec<u8>>(0)).optional()
    };
    let half = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let counter = get("counter")?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map_or(0, u64::from_be_bytes);
    Ok((half(get("nonce")?), counter, half(get("incarnation")?).map(IncarnationId)))
}

/// A new life: new nonce, new name, envelope counters from the beginning. Database first: if the power goes before the witness
/// is written they differ again, and the next opening begins another one.
fn begin_incarnation(
    connection: &mut Connection,
    witness: &mut Witness,
    key: &DatabaseKey,
    rewrite: bool,
) -> Result<(IncarnationId, u64), StoreError> {
    let (mut nonce, mut name) = ([0u8; 16], [0u8; 16]);
    rand::rng().fill_bytes(&mut nonce);
    rand::rng().fill_bytes(&mut name);
    let incarnation = IncarnationId::from_random(name);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let batch = Batch::of(transaction);
    batch.set("nonce", &nonce)?;
    batch.set("counter", &0u64.to_be_bytes())?;
    batch.set("incarnation", &incarnation.0)?;
    if rewrite {
        batch.set("rewrite_pending", &[1])?;
    }
    batch.unset("begin_again")?;
    batch.transaction.execute("UPDATE caseload SET counter = 0, previous = NULL", [])?;
    batch.transaction.commit()?;
    witness.begin(nonce, key)?;
    Ok((incarnation, 0))
}
