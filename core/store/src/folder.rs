//! A device's folder: which file is where, and the lock that lets one process at a time in.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{DiskContext, StoreError};

/// How long a command waits for the folder.
pub const LOCK_WAIT_S: u64 = 30;
/// Short, so that who waits gets a turn between commands that follow each other at once.
const LOCK_RETRY_MS: u64 = 2;

/// Where a device's files are.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    witness: PathBuf,
}

impl Folder {
    /// The folder of a device.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { witness: root.join("witness"), root }
    }

    /// The same with the witness in another folder: on a phone, one that backups leave out.
    #[must_use]
    pub fn with_witness(self, witness: impl Into<PathBuf>) -> Self {
        Self { witness: witness.into(), ..self }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The encrypted database.
    pub fn database(&self) -> PathBuf {
        self.root.join("device.db")
    }

    /// The nonce and the high-water counter, outside the database.
    pub fn witness(&self) -> PathBuf {
        self.witness.clone()
    }

    /// The sealed copy of what identifies the device.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The database's key, wrapped to the organisation's root key.
    pub fn recovery(&self) -> PathBuf {
        self.root.join("recovery")
    }

    /// Present when the database was found damaged in use.
    pub fn damage_mark(&self) -> PathBuf {
        self.root.join("damaged")
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Whether a device lives here.
    pub fn holds_device(&self) -> bool {
        self.database().exists() || self.identity().exists()
    }

    /// Waits up to `wait_s` seconds for the folder.
    pub fn lock(&self, wait_s: u64) -> Result<FolderLock, StoreError> {
        let file = File::options().create(true).truncate(false).write(true).open(self.lock_file()).during("opening the lock")?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(FolderLock { _file: file }),
                Err(TryLockError::WouldBlock) if began.elapsed() < Duration::from_secs(wait_s) => {
                    std::thread::sleep(Duration::from_millis(LOCK_RETRY_MS));
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { waited_s: wait_s }),
                Err(TryLockError::Error(source)) => return Err(StoreError::Io { what: "locking the folder", source }),
            }
        }
    }

    /// Makes what was written to the folder's listing durable.
    pub(crate) fn sync_listing(&self) -> Result<(), StoreError> {
        File::open(&self.root).and_then(|folder| folder.sync_all()).during("syncing the folder")
    }

    /// Writes a file so that either the old or the new content is there after a power cut.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        use std::io::Write;
        let fresh = path.with_extension("new");
        let mut file = File::create(&fresh).during("writing a file")?;
        file.write_all(content).and_then(|()| file.sync_all()).during("writing a file")?;
        fs::rename(&fresh, path).during("replacing a file")?;
        self.sync_listing()
    }
}

/// Holds the folder until dropped.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}
