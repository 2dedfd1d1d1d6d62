//! The files of attachments, in the folder or a bucket: encrypted as they come, so that they can be read and written from any byte on. ChaCha20
//! alone: that the content is what it should be is told by its name, and nothing is given out of a file whose key is not this one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::PoisonError;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use karwan_proto::{DeviceId, Hash};

use super::bucket::{Object, missing};
use crate::clock::random;
use crate::database::{Connection, OptionalExtension, params};
use crate::organisation::Organisation;
use crate::problem::Problem;

/// Bytes that are read at a time to check a whole file.
const READ_BYTES: usize = 64 * 1024;
/// What the file of an attachment that is coming ends with.
const UNFINISHED: &str = ".unfinished";

/// The name of a file and of its key: an attachment, or what one device has brought of it.
fn begun_name(device: DeviceId, hash: Hash) -> String {
    format!("{hash}-{device}{UNFINISHED}")
}

fn broken() -> Problem {
    Problem::new(
        Problem::FOLDER,
        "attachment-key",
        "an attachment cannot be decrypted: its key is missing",
        "Restore keys.db from the same backup as the folder `attachments`.",
    )
}

fn key_of(keys: &Connection, name: &str) -> Result<Option<[u8; 32]>, Problem> {
    let statement = keys.prepare("SELECT key FROM attachment_key WHERE name = ?1");
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Encrypts or decrypts what stands at an offset of a file. Each key is drawn for one file, whose bytes are written once, so the nonce is
/// always the same.
fn apply(key: &[u8; 32], offset: u64, bytes: &mut [u8]) -> Result<(), Problem> {
    let mut cipher = ChaCha20::new(key.into(), &[0; 12].into());
    cipher.try_seek(offset).map_err(|_| broken())?;
    cipher.try_apply_keystream(bytes).map_err(|_| broken())
}

impl Organisation {
    fn attachment_path(&self, name: &str) -> PathBuf {
        self.folder.attachments().join(name)
    }

    /// Bytes that are here of what a device brings.
    pub(super) fn begun_bytes(&self, device: DeviceId, hash: Hash, length: u64) -> Result<u64, Problem> {
        let name = begun_name(device, hash);
        let held = std::fs::metadata(self.attachment_path(&name)).map_or(0, |file| file.len());
        let core = self.writing_beside_others()?;
        if held <= length && key_of(&core.keys, &name)?.is_some() {
            return Ok(held);
        }
        drop(core);
        self.forget_begun(device, hash)?;
        let core = self.writing_beside_others()?;
        core.keys.prepare("INSERT INTO attachment_key(name, key) VALUES(?1, ?2)").execute(params![name, random::<32>()])?;
        Ok(0)
    }

    /// Appends to what a device brings. Of bytes that are here already, which an earlier connection of the device brought meanwhile, only what
    /// follows on is written.
    pub(super) fn append_begun(&self, device: DeviceId, hash: Hash, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        let name = begun_name(device, hash);
        let key = self.attachment_key(&name)?;
        // Two connections of one device may bring the same: each byte is written once.
        let _appending = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = OpenOptions::new().create(true).append(true).open(self.attachment_path(&name))?;
        let held = file.metadata()?.len();
        let known = held.checked_sub(offset).and_then(|known| usize::try_from(known).ok());
        let Some(new) = known.and_then(|known| bytes.get(known..)) else { return Ok(()) };
        let mut sealed = new.to_vec();
        apply(&key, held, &mut sealed)?;
        Ok(file.write_all(&sealed)?)
    }

    /// What a device brought becomes the attachment, durably, where it is what its name says: gives its length. Else it is thrown away.
    pub(super) fn finish_begun(&self, device: DeviceId, hash: Hash) -> Result<Option<u64>, Problem> {
        let begun = begun_name(device, hash);
        let key = self.attachment_key(&begun)?;
        let mut file = File::open(self.attachment_path(&begun))?;
        let (found, length) = hash_of(&mut file, &key)?;
        if found != hash {
            self.forget_begun(device, hash)?;
            return Ok(None);
        }
        if let Some(bucket) = self.bucket()? {
            // The object first: whichever key stays in the table, what it decrypts is there.
            bucket.put(Object::of(hash, &key), File::open(self.attachment_path(&begun))?, length)?;
            self.keep_attachment_key(hash, &key)?;
            return Ok(Some(length));
        }
        file.sync_all()?;
        // Two devices may bring the same at one time: the key that stays is the one of the file that stays.
        let _finishing = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        // The key first: a key without a file harms nobody.
        self.keep_attachment_key(hash, &key)?;
        std::fs::rename(self.attachment_path(&begun), self.attachment_path(&hash.to_string()))?;
        File::open(self.folder.attachments())?.sync_all()?;
        Ok(Some(length))
    }

    fn keep_attachment_key(&self, hash: Hash, key: &[u8; 32]) -> Result<(), Problem> {
        self.writing_beside_others()?.keys.execute(
            "INSERT INTO attachment_key(name, key) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET key = excluded.key",
            params![hash.to_string(), key],
        )?;
        Ok(())
    }

    /// What stands in the folder goes to the bucket. Gives its bytes.
    pub(super) fn move_to_bucket(&self, hash: Hash) -> Result<u64, Problem> {
        let name = hash.to_string();
        let (Some(key), Some(bucket)) = (self.read_keys(|keys| key_of(keys, &name))?, self.bucket()?) else { return Ok(0) };
        let path = self.attachment_path(&name);
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        bucket.put(Object::of(hash, &key), file, length)?;
        std::fs::remove_file(path)?;
        Ok(length)
    }

    /// Throws away what a device brought.
    pub(super) fn forget_begun(&self, device: DeviceId, hash: Hash) -> Result<(), Problem> {
        self.forget_file(&begun_name(device, hash))
    }

    /// A file goes, and its key before it.
    pub(super) fn forget_file(&self, name: &str) -> Result<(), Problem> {
        self.forget_key(name)?;
        match std::fs::remove_file(self.attachment_path(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn forget_key(&self, name: &str) -> Result<(), Problem> {
        self.writing_beside_others()?.keys.prepare("DELETE FROM attachment_key WHERE name = ?1").execute([name])?;
        Ok(())
    }

    fn attachment_key(&self, name: &str) -> Result<[u8; 32], Problem> {
        self.read_keys(|keys| key_of(keys, name))?.ok_or_else(broken)
    }

    /// Bytes of an attachment that is here whole.
    pub(crate) fn attachment_piece(&self, hash: Hash, offset: u64, length: usize) -> Result<Vec<u8>, Problem> {
        let name = hash.to_string();
        let key = self.attachment_key(&name)?;
        let mut bytes = match File::open(self.attachment_path(&name)) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset))?;
                let mut bytes = Vec::new();
                file.take(length as u64).read_to_end(&mut bytes)?;
                bytes
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (Some(bucket), Some(whole)) = (self.bucket()?, self.attachment_length(hash)?) else { return Err(missing()) };
                bucket.read(Object::of(hash, &key), whole, offset, length)?
            }
            Err(error) => return Err(error.into()),
        };
        apply(&key, offset, &mut bytes)?;
        Ok(bytes)
    }
}

fn hash_of(file: &mut File, key: &[u8; 32]) -> Result<(Hash, u64), Problem> {
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        let mut bytes = Vec::new();
        file.take(READ_BYTES as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok((Hash(*hasher.finalize().as_bytes()), length));
        }
        apply(key, length, &mut bytes)?;
        hasher.update(&bytes);
        length += bytes.len() as u64;
    }
}
