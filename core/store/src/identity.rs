//! Who a device is: its signing key, its organisation, its people's default. Kept in the database, and sealed in a file beside
//! it, so that a device whose database is damaged is still itself.

use std::fs;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use karwan_proto::ids::{OrganisationId, PersonId};
use rand::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::error::{DiskContext, StoreError};
use crate::folder::Folder;
use crate::key::DatabaseKey;

const PURPOSE: &str = "karwan 2026 sealed identity";
const NONCE_BYTES: usize = 12;

/// What makes this device this device.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Seed of the device's ed25519 key.
    pub signing_seed: [u8; 32],
    /// What the device was named at enrolment.
    pub device_name: String,
    /// The organisation.
    pub organisation: OrganisationId,
    /// Its name.
    pub organisation_name: String,
    /// The root key that everything is checked against.
    pub root_key: [u8; 32],
    /// The server's key as the root certified it, encoded as it came.
    pub server_certificate: Vec<u8>,
    /// Where the server is.
    pub addresses: Vec<String>,
    /// Who uses the device unless somebody else is named.
    pub person: PersonId,
    /// Offset of local time that was last used, in minutes.
    pub offset_minutes: i32,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("organisation", &self.organisation).finish_non_exhaustive()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.signing_seed.zeroize();
    }
}

impl Identity {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|_| StoreError::Content { what: "identity" })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes).map_err(|_| StoreError::Content { what: "identity" })
    }
}

fn cipher(key: &DatabaseKey) -> Result<ChaCha20Poly1305, StoreError> {
    ChaCha20Poly1305::new_from_slice(key.derived(PURPOSE).as_slice()).map_err(|_| StoreError::Content { what: "key" })
}

/// Writes the sealed copy.
pub(crate) fn seal(folder: &Folder, key: &DatabaseKey, identity: &Identity) -> Result<(), StoreError> {
    let mut nonce = [0u8; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let nonce = Nonce::from(nonce);
    let sealed =
        cipher(key)?.encrypt(&nonce, identity.encode()?.as_slice()).map_err(|_| StoreError::Content { what: "identity" })?;
    folder.replace(&folder.identity(), &[nonce.as_slice(), sealed.as_slice()].concat())
}

/// Reads the sealed copy; `None` where there is none.
pub(crate) fn unseal(folder: &Folder, key: &DatabaseKey) -> Result<Option<Identity>, StoreError> {
    let bytes = match fs::read(folder.identity()) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).during("reading the identity"),
    };
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or(StoreError::Content { what: "identity" })?;
    let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| StoreError::Content { what: "identity" })?;
    let plain = cipher(key)?.decrypt(&Nonce::from(nonce), sealed).map_err(|_| StoreError::Content { what: "identity" })?;
    Identity::decode(&plain).map(Some)
}
