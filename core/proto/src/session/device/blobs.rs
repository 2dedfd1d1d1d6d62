//! What the driver of a [`DeviceSession`] answers when the server wants a blob of the device.

use super::DeviceSession;
use crate::error::SessionError;
use crate::ids::Hash;
use crate::limits::BLOB_CHUNK_BYTES;
use crate::session::frame::Frame;

impl DeviceSession {
    /// Answers `DeviceEffect::ReadBlob`.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when it was not asked for or does not begin where it was.
    pub fn blob_chunk(&mut self, hash: Hash, length: u64, offset: u64, bytes: Vec<u8>) -> Result<(), SessionError> {
        let (Some(asked), Some(upload)) = (self.uploading.take(), self.uploads.front_mut()) else {
            return Err(SessionError::Driver("a piece of a blob"));
        };
        if asked != hash || upload.offset != offset || bytes.len() > BLOB_CHUNK_BYTES || (bytes.is_empty() && offset < length) {
            return Err(SessionError::Driver("another piece of a blob"));
        }
        upload.offset += bytes.len() as u64;
        if upload.offset >= length {
            self.uploads.pop_front();
            self.stored_awaited.insert(hash);
        }
        self.send(&Frame::BlobChunk { hash, length, offset, bytes });
        Ok(())
    }

    /// Answers `DeviceEffect::ReadBlob` when the blob is not there.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when it was not asked for.
    pub fn no_blob(&mut self, hash: Hash) -> Result<(), SessionError> {
        if self.uploading.take() != Some(hash) {
            return Err(SessionError::Driver("a missing blob"));
        }
        self.uploads.pop_front();
        self.send(&Frame::NoBlob { hash });
        Ok(())
    }
}
