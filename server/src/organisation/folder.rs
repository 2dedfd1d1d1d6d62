//! The organisation's folder: where everything is, and the lock that lets one process write.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::problem::Problem;

/// How long a command waits for the folder.
pub const LOCK_WAIT_S: u64 = 30;

/// Paths in the folder.
#[derive(Debug, Clone)]
pub struct Folder(pub PathBuf);

impl Folder {
    /// The database of logs, membership and names.
    pub fn database(&self) -> PathBuf {
        self.0.join("karwan.db")
    }
    /// The address of the database, where that is none of this folder's files.
    pub fn database_address(&self) -> Result<Option<String>, Problem> {
        match std::fs::read_to_string(self.address_file()) {
            Ok(address) => Ok(Some(address.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
    /// Where that address stands; it may hold a password.
    pub fn address_file(&self) -> PathBuf {
        self.0.join("database")
    }
    /// Keys of records: back it up apart, and for a shorter time.
    pub fn keys_database(&self) -> PathBuf {
        self.0.join("keys.db")
    }
    /// Tables that can be dropped.
    pub fn projection(&self) -> PathBuf {
        self.0.join("projection.db")
    }
    /// Files that answers refer to, encrypted.
    pub fn attachments(&self) -> PathBuf {
        self.0.join("attachments")
    }
    /// Definitions and media of forms by hash.
    pub fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }
    /// A key of the server or of the administrator.
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join("keys").join(name)
    }
    /// Where a running server takes commands.
    pub fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }
    /// Where the root key is put at the beginning, beside the folder, to be taken away.
    pub fn root_key(&self) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push("-root.key");
        self.0.with_file_name(name)
    }
    /// Whether there is an organisation here.
    pub fn exists(&self) -> bool {
        self.database().exists() || self.address_file().exists()
    }
    /// Refuses where there is none.
    pub fn require(&self) -> Result<(), Problem> {
        if self.exists() {
            return Ok(());
        }
        Err(Problem::input("no-organisation", format!("no organisation at {}", self.0.display()), "Make one: karwan init ORG."))
    }
}

/// Held while a process writes.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "the file is locked while it is open")] File);

impl Lock {
    /// Takes the lock, or gives `None` where another process has it.
    pub fn attempt(folder: &Folder) -> Result<Option<Self>, Problem> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Waits for the lock.
    pub fn wait(folder: &Folder) -> Result<Self, Problem> {
        let until = Instant::now() + Duration::from_secs(LOCK_WAIT_S);
        loop {
            if let Some(lock) = Self::attempt(folder)? {
                return Ok(lock);
            }
            if Instant::now() >= until {
                return Err(Problem::new(
                    Problem::FOLDER,
                    "locked",
                    format!("another process has used the folder for {LOCK_WAIT_S} s"),
                    "Wait until it ends, or end it.",
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Writes a file that only its owner may read, durably.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}
