//! The key of a device's database, and who keeps it. On a phone the platform's key store implements [`KeyProvider`]; the
//! command line uses [`FileKey`]; tests use [`MemoryKey`].

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::Rng;
use zeroize::Zeroizing;

/// Bytes of a raw key.
pub const KEY_BYTES: usize = 32;

/// A raw database key; wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct DatabaseKey(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

impl DatabaseKey {
    /// A key from its bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// A new key from the system's random source.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0u8; KEY_BYTES]);
        rand::rng().fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    /// SQLCipher's notation of a raw key.
    pub(crate) fn pragma(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("x'{}'", *self.hexadecimal()))
    }

    /// Another key, for another purpose, that tells nothing of this one.
    pub(crate) fn derived(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(blake3::derive_key(purpose, self.0.as_slice()))
    }

    fn hexadecimal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text
    }

    fn from_hexadecimal(text: &str) -> Option<Self> {
        let digits: Zeroizing<Vec<u8>> =
            Zeroizing::new(text.trim().chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?);
        if digits.len() != 2 * KEY_BYTES {
            return None;
        }
        let mut bytes = Zeroizing::new([0u8; KEY_BYTES]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |whole, digit| (whole << 4) | digit);
        }
        Some(Self(bytes))
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The keeper answers, and has no key for this device.
    #[error("the key of this device is lost: expected it in {place}")]
    Lost {
        /// Where it should be.
        place: String,
    },
    /// What the keeper holds is no key.
    #[error("expected 64 hexadecimal digits in {place}, and something else is there")]
    NotAKey {
        /// Where it is.
        place: String,
    },
    /// A key is there already: it is never replaced.
    #[error("expected no key in {place} yet, and there is one")]
    Exists {
        /// Where it is.
        place: String,
    },
    /// The keeper does not answer (locked screen, no permission, disk).
    #[error("the key in {place} cannot be reached: {reason}")]
    Unreachable {
        /// Where it is.
        place: String,
        /// What the keeper said.
        reason: String,
    },
}

/// Keeps the key of one device's database.
pub trait KeyProvider: Send + Sync {
    /// The key made earlier.
    fn key(&self) -> Result<DatabaseKey, KeyError>;

    /// Makes and keeps a new key, or gives the one that is there and was never used.
    fn create(&self) -> Result<DatabaseKey, KeyError>;

    /// Where the key is, for messages.
    fn place(&self) -> String;

    /// Forgets the key: what it protected is unreadable from then on.
    fn forget(&self) -> Result<(), KeyError>;
}

/// A key in a file of its own, 64 hexadecimal digits, readable by its owner only.
#[derive(Debug, Clone)]
pub struct FileKey {
    path: PathBuf,
}

impl FileKey {
    /// The key in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// `DEV.key` next to the folder `DEV`: beside, not inside, what it protects.
    pub fn beside(folder: &Path) -> Self {
        let mut name = folder.file_name().unwrap_or_default().to_os_string();
        name.push(".key");
        Self { path: folder.with_file_name(name) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a key that was found again; a file that is there is left alone.
    pub fn keep(&self, key: &DatabaseKey) -> Result<(), KeyError> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|error| self.unreachable(&error))?;
        }
        let mut file = options.open(&self.path).map_err(|error| self.unreachable(&error))?;
        let written =
            file.write_all(key.hexadecimal().as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
        written.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &std::io::Error) -> KeyError {
        KeyError::Unreachable { place: self.place(), reason: error.kind().to_string() }
    }
}

impl KeyProvider for FileKey {
    fn key(&self) -> Result<DatabaseKey, KeyError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeyError::Lost { place: self.place() }),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(KeyError::NotAKey { place: self.place() });
            }
            Err(error) => return Err(self.unreachable(&error)),
        };
        DatabaseKey::from_hexadecimal(&text).ok_or_else(|| KeyError::NotAKey { place: self.place() })
    }

    fn create(&self) -> Result<DatabaseKey, KeyError> {
        if self.path.exists() {
            return self.key();
        }
        let key = DatabaseKey::random();
        self.keep(&key)?;
        Ok(key)
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn forget(&self) -> Result<(), KeyError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.unreachable(&error)),
            _ => Ok(()),
        }
    }
}

/// A key that lives as long as its holder: for tests, and for hosts that keep keys themselves.
#[derive(Debug, Clone)]
pub struct MemoryKey(pub DatabaseKey);

impl KeyProvider for MemoryKey {
    fn key(&self) -> Result<DatabaseKey, KeyError> {
        Ok(self.0.clone())
    }

    fn create(&self) -> Result<DatabaseKey, KeyError> {
        Ok(self.0.clone())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn forget(&self) -> Result<(), KeyError> {
        Ok(())
    }
}
