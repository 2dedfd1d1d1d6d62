//! What can go wrong with a device's database. Each variant names a state that a person can act on: [`StoreError::mend`]
//! tells how. No value that anybody entered is ever in a message.

use std::path::PathBuf;

use crate::key::KeyError;

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no device in the folder.
    #[error("expected a device in {0}, and there is none")]
    Missing(PathBuf),
    /// A device is there already.
    #[error("expected an empty folder, and {0} holds a device already")]
    Exists(PathBuf),
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key was found, and it is not the one that this database was made with.
    #[error("the key does not open this database: it belongs to another one")]
    WrongKey,
    /// Somebody else holds the folder.
    #[error("the folder is in use by another process, also after {waited_s} s")]
    Locked {
        /// How long was waited.
        waited_s: u64,
    },
    /// The file is damaged; the next opening moves it aside and salvages what it holds.
    #[error("the database file is damaged")]
    Damaged,
    /// The database was made by a later version of this program.
    #[error("the database has schema {found}, and this program knows schemas up to {known}")]
    Newer {
        /// Schema of the file.
        found: i64,
        /// Newest schema that this program knows.
        known: i64,
    },
    /// [`crate::Store::pause`] was called and [`crate::Store::resume`] was not.
    #[error("the store is paused")]
    Paused,
    /// The SQLite that was linked has no encryption.
    #[error("this program was built without database encryption and refuses to write plain text")]
    NoEncryption,
    /// What was asked for is not there.
    #[error("no {what} of that name")]
    NotFound {
        /// A record, a draft, a form, ….
        what: &'static str,
    },
    /// Stored content that this program cannot read.
    #[error("a stored {what} cannot be read")]
    Content {
        /// What it should have been.
        what: &'static str,
    },
    /// A length or count beyond its limit.
    #[error("{what} has {came}, and the limit is {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How much came.
        came: usize,
        /// How much may.
        limit: usize,
    },
    /// The disk refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the database refused: {}", sqlite_words(.0))]
    Sql(rusqlite::Error),
}

/// SQLite's error without any value in it.
fn sqlite_words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => failure.to_string(),
        rusqlite::Error::QueryReturnedNoRows => "no such row".to_owned(),
        _ => "a stored value has another type than expected".to_owned(),
    }
}

impl StoreError {
    /// What a person can do about it, in one line.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Missing(_) => "Enrol a device there first: karwan device enrol DEV INVITATION --name NAME.",
            Self::Exists(_) => "Name another folder, or wipe this one first: karwan device wipe DEV.",
            Self::Key(KeyError::Lost { .. }) => {
                "Put the key file back (DEV.key, --key-file or KARWAN_KEY_FILE), or take this folder to who holds the root key: karwan device recover."
            }
            Self::Key(_) | Self::WrongKey => {
                "Give the key file that was made when this device enrolled (--key-file or KARWAN_KEY_FILE)."
            }
            Self::Locked { .. } => "Wait until the other command ends, or end it, and try again.",
            Self::Damaged => "Run the command again: the damaged file is moved aside, kept, and what it holds is salvaged.",
            Self::Newer { .. } => "Use the newer version of karwan that this folder was last used with.",
            Self::Paused => "Resume the store first.",
            Self::NoEncryption => "Build karwan with SQLCipher.",
            Self::NotFound { .. } => "List what there is: karwan device list DEV, karwan device forms DEV.",
            Self::Content { .. } => "Sync, and report this with the version of karwan.",
            Self::Limit { .. } => "Make it smaller.",
            Self::Io { .. } => "Look at the disk's free space and at the folder's permissions.",
            Self::Sql(_) => "Look at the disk's free space, and try again.",
        }
    }

    /// Whether the file itself is broken.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged => true,
            Self::Sql(error) => is_damage(error),
            _ => false,
        }
    }
}

/// Whether SQLite says that the file is broken.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged } else { Self::Sql(error) }
    }
}

/// Names what was tried when the disk refused.
pub(crate) trait DiskContext<T> {
    fn during(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T> DiskContext<T> for std::io::Result<T> {
    fn during(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io { what, source })
    }
}
