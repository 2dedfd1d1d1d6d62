//! The database's key, wrapped to the organisation's root key: phones lose their keys, and unsent interviews must survive that. The wrapped key
//! lies in a file beside the database; only who holds the root key can read it.

use std::fs;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use karwan_proto::keys::{PublicKey, SigningKey};
use rand::Rng;
use zeroize::Zeroizing;

use crate::error::{DiskContext, StoreError};
use crate::folder::Folder;
use crate::key::{DatabaseKey, KEY_BYTES};

const EPHEMERAL_BYTES: usize = 32;
/// Each wrapping has a key of its own, so its number is always the first.
const NONCE: [u8; 12] = [0; 12];

/// Wraps the key to this root, where that was not done before.
pub(crate) fn wrap(folder: &Folder, key: &DatabaseKey, root: PublicKey) -> Result<(), StoreError> {
    if folder.recovery().exists() {
        return Ok(());
    }
    let mut seed = Zeroizing::new([0u8; 32]);
    rand::rng().fill_bytes(seed.as_mut_slice());
    let ephemeral = SigningKey::from_seed(&seed);
    let sealed = cipher(&ephemeral, &root)?
        .encrypt(&Nonce::from(NONCE), key.bytes())
        .map_err(|_| StoreError::Content { what: "wrapped key" })?;
    folder.replace(&folder.recovery(), &[ephemeral.public().0.as_slice(), &sealed].concat())
}

/// The key of a device's database, by the organisation's root key.
pub fn unwrap(folder: &Folder, root: &SigningKey) -> Result<DatabaseKey, StoreError> {
    let bytes = match fs::read(folder.recovery()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(StoreError::Missing(folder.recovery())),
        read => read.during("reading the wrapped key")?,
    };
    let (ephemeral, sealed) = bytes.split_at_checked(EPHEMERAL_BYTES).ok_or(StoreError::Content { what: "wrapped key" })?;
    let ephemeral = ephemeral.try_into().map(PublicKey).map_err(|_| StoreError::Content { what: "wrapped key" })?;
    let plain = cipher(root, &ephemeral)?.decrypt(&Nonce::from(NONCE), sealed).map(Zeroizing::new);
    let Ok(plain) = plain else { return Err(StoreError::WrongKey) };
    <[u8; KEY_BYTES]>::try_from(plain.as_slice()).map(DatabaseKey::new).map_err(|_| StoreError::Content { what: "wrapped key" })
}

fn cipher(own: &SigningKey, other: &PublicKey) -> Result<ChaCha20Poly1305, StoreError> {
    let shared = own.agree(other).map_err(|_| StoreError::Content { what: "wrapped key" })?;
    ChaCha20Poly1305::new_from_slice(&shared).map_err(|_| StoreError::Content { what: "wrapped key" })
}
