//! A small file outside the database that tells a database from its own earlier copy.
//!
//! It holds a nonce that the database holds too, and a counter that is reserved *before* each commit that authors something.
//! A database that was restored, or copied into another folder, has another counter or nonce than the file: it starts a new
//! incarnation and never again writes under the old one. Two slots are written in turn, so that a power cut spoils at most
//! the newer one. The file also holds a fingerprint of the key, to tell a wrong key from a damaged database.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{DiskContext, StoreError};
use crate::key::DatabaseKey;

const MAGIC: &[u8; 8] = b"KARWITN1";
const CHECKSUM_BYTES: usize = 16;
const SLOT_BYTES: usize = 8 + 16 + 8 + 8 + 16 + CHECKSUM_BYTES;
const SLOTS: usize = 2;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witnessed {
    /// Shared with the database.
    pub nonce: [u8; 16],
    /// Highest commit that was ever begun.
    pub reserved: u64,
    fingerprint: [u8; 16],
    turn: u64,
}

/// The open file.
#[derive(Debug)]
pub struct Witness {
    path: PathBuf,
    now: Option<Witnessed>,
}

impl Witness {
    /// Reads the file; an absent or unreadable one has nothing to say.
    pub fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take((SLOT_BYTES * SLOTS) as u64).read_to_end(&mut bytes));
        let now = read.ok().and_then(|_| bytes.chunks_exact(SLOT_BYTES).filter_map(decode).max_by_key(|slot| slot.turn));
        Self { path: path.to_owned(), now }
    }

    /// What it says.
    pub fn says(&self) -> Option<Witnessed> {
        self.now
    }

    /// Whether this is the key that the database was made with; `None` where the file does not tell.
    pub fn knows_key(&self, key: &DatabaseKey) -> Option<bool> {
        self.now.map(|now| now.fingerprint == fingerprint(key))
    }

    /// Begins to witness a new incarnation.
    pub fn begin(&mut self, nonce: [u8; 16], key: &DatabaseKey) -> Result<(), StoreError> {
        let turn = self.now.map_or(0, |now| now.turn + 1);
        self.write(Witnessed { nonce, reserved: 0, fingerprint: fingerprint(key), turn })
    }

    /// Reserves a counter; durable when this returns.
    pub fn reserve(&mut self, counter: u64) -> Result<(), StoreError> {
        match self.now {
            Some(now) if now.reserved >= counter => Ok(()),
            Some(now) => self.write(Witnessed { reserved: counter, turn: now.turn + 1, ..now }),
            None => Err(StoreError::Content { what: "witness" }),
        }
    }

    fn write(&mut self, slot: Witnessed) -> Result<(), StoreError> {
        let place = (slot.turn as usize % SLOTS) * SLOT_BYTES;
        let mut file = File::options().create(true).truncate(false).write(true).open(&self.path).during("opening the witness")?;
        let written = file.seek(SeekFrom::Start(place as u64)).and_then(|_| file.write_all(&encode(&slot)));
        written.and_then(|()| file.sync_all()).during("writing the witness")?;
        self.now = Some(slot);
        Ok(())
    }
}

fn fingerprint(key: &DatabaseKey) -> [u8; 16] {
    let mut half = [0u8; 16];
    half.copy_from_slice(&key.derived("karwan 2026 key fingerprint")[..16]);
    half
}

fn encode(slot: &Witnessed) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&slot.nonce);
    bytes.extend_from_slice(&slot.reserved.to_be_bytes());
    bytes.extend_from_slice(&slot.turn.to_be_bytes());
    bytes.extend_from_slice(&slot.fingerprint);
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(&checksum.as_bytes()[..CHECKSUM_BYTES]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Witnessed> {
    let (body, checksum) = bytes.split_at_checked(SLOT_BYTES - CHECKSUM_BYTES)?;
    if !body.starts_with(MAGIC) || blake3::hash(body).as_bytes().get(..CHECKSUM_BYTES)? != checksum {
        return None;
    }
    let number = |from: usize| body.get(from..from + 8).and_then(|part| part.try_into().ok()).map(u64::from_be_bytes);
    let half = |from: usize| body.get(from..from + 16).and_then(|part| <[u8; 16]>::try_from(part).ok());
    Some(Witnessed { nonce: half(8)?, reserved: number(24)?, turn: number(32)?, fingerprint: half(40)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let folder = std::env::temp_dir().join(format!("karwan-witness-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("witness");
        std::fs::remove_file(&path).ok();
        let key = DatabaseKey::new([7; 32]);
        let mut witness = Witness::read(&path);
        assert_eq!(witness.says(), None);
        witness.begin([1; 16], &key).unwrap();
        witness.reserve(1).unwrap();
        witness.reserve(2).unwrap();
        let again = Witness::read(&path);
        assert_eq!(again.says().unwrap().reserved, 2);
        assert_eq!(again.knows_key(&key), Some(true));
        assert_eq!(again.knows_key(&DatabaseKey::new([8; 32])), Some(false));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1; // the slot of the newest turn (turn 2 lies in slot 0)
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Witness::read(&path).says().unwrap().reserved, 1);
        std::fs::remove_dir_all(&folder).ok();
    }
}
