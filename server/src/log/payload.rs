//! Changes at rest: each encrypted under the key of its record, which is kept apart so that a backup of it can expire sooner.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use karwan_proto::envelope::Salts;
use karwan_proto::{Hash, RecordId};

use crate::clock::random;
use crate::database::{Connection, OptionalExtension, params};
use crate::organisation::Organisation;
use crate::problem::Problem;

const NONCE_BYTES: usize = 24;

fn broken() -> Problem {
    Problem::new(
        Problem::FOLDER,
        "record-key",
        "a change cannot be decrypted: its record's key is missing or another",
        "Restore keys.db from the same backup as karwan.db.",
    )
}

/// The key of a generation of a record, made where there is none.
pub(super) fn key_for(keys: &Connection, record: RecordId, generation: u32) -> Result<[u8; 32], Problem> {
    match kept_key(keys, record, generation)? {
        Some(key) => Ok(key),
        None => new_key_for(keys, record, generation),
    }
}

/// As [`key_for`], where there hardly is one yet.
pub(super) fn new_key_for(keys: &Connection, record: RecordId, generation: u32) -> Result<[u8; 32], Problem> {
    let key: [u8; 32] = random();
    let text = "INSERT INTO record_key(record, generation, key) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
    if keys.prepare(text).execute(params![record.0, generation, key])? == 1 {
        return Ok(key);
    }
    // Of changes that were not committed, or another server's.
    kept_key(keys, record, generation)?.ok_or_else(broken)
}

fn kept_key(keys: &Connection, record: RecordId, generation: u32) -> Result<Option<[u8; 32]>, Problem> {
    let statement = keys.prepare("SELECT key FROM record_key WHERE record = ?1 AND generation = ?2");
    Ok(statement.query_row(params![record.0, generation], |row| row.get(0)).optional()?)
}

/// Forgets the keys of a record's generations below this one.
pub(super) fn forget_keys(keys: &Connection, record: RecordId, below: u32) -> Result<(), Problem> {
    keys.prepare("DELETE FROM record_key WHERE record = ?1 AND generation < ?2").execute(params![record.0, below])?;
    Ok(())
}

/// Encrypts a change.
pub(super) fn close(key: &[u8; 32], record: RecordId, change: &[u8]) -> Result<Vec<u8>, Problem> {
    let nonce: [u8; NONCE_BYTES] = random();
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    let sealed = cipher.encrypt(XNonce::from_slice(&nonce), Payload { msg: change, aad: &record.0 }).map_err(|_| broken())?;
    Ok([&nonce[..], &sealed].concat())
}

/// Decrypts a change.
pub(super) fn open(key: &[u8; 32], record: RecordId, payload: &[u8]) -> Result<Vec<u8>, Problem> {
    let (nonce, sealed) = payload.split_at_checked(NONCE_BYTES).ok_or_else(broken)?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &record.0 }).map_err(|_| broken())
}

/// Keeps what makes an envelope's leaves unguessable, with the keys.
pub(super) fn keep_salts(keys: &Connection, envelope: Hash, salts: &Salts) -> Result<(), Problem> {
    let mut bytes = Vec::new();
    match salts {
        Salts::Secret(secret) => bytes.extend(secret),
        Salts::Remaining(salts) => {
            for salt in salts {
                bytes.push(u8::from(salt.is_some()));
                bytes.extend(salt.unwrap_or_default());
            }
        }
    }
    keys.prepare(
        "INSERT INTO envelope_salt(envelope, secret) VALUES(?1, ?2) ON CONFLICT(envelope) DO UPDATE SET secret = excluded.secret",
    )
    .put(params![envelope.0, bytes])?;
    Ok(())
}

impl Organisation {
    /// Reads the keys beside the writer.
    pub(crate) fn read_keys<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        self.key_readers.read(work)
    }

    /// Decrypts a change of a record.
    pub(crate) fn open_payload(&self, record: RecordId, generation: u32, payload: &[u8]) -> Result<Vec<u8>, Problem> {
        let key = self.read_keys(|keys| kept_key(keys, record, generation))?;
        open(&key.ok_or_else(broken)?, record, payload)
    }

    /// What makes an envelope's leaves unguessable.
    pub(super) fn salts(&self, envelope: Hash) -> Result<Salts, Problem> {
        self.read_keys(|keys| salts_of(keys, envelope))
    }
}

/// What makes an envelope's leaves unguessable.
pub(super) fn salts_of(keys: &Connection, envelope: Hash) -> Result<Salts, Problem> {
    let statement = keys.prepare("SELECT secret FROM envelope_salt WHERE envelope = ?1");
    let bytes: Option<Vec<u8>> = statement.query_row([envelope.0], |row| row.get(0)).optional()?;
    let bytes = bytes.ok_or_else(broken)?;
    if let Ok(secret) = <[u8; 16]>::try_from(bytes.as_slice()) {
        return Ok(Salts::Secret(secret));
    }
    let salts = bytes.chunks_exact(17).map(|chunk| match chunk.split_first() {
        Some((1, salt)) => salt.try_into().ok(),
        _ => None,
    });
    Ok(Salts::Remaining(salts.collect()))
}
