//! What the driver of a [`ServerSession`] answers when it was asked to read: logs, names, envelopes, blobs.

use super::{Asked, Page, Progress, ServerSession, Stage, Wish};
use crate::directory::DirectoryRow;
use crate::error::{LogError, SessionError};
use crate::ids::{CaseloadId, Hash};
use crate::limits::{BLOB_CHUNK_BYTES, MAX_DEFINITION_BYTES, MAX_FRAME_BYTES, MAX_MEMBERSHIP_PER_PAGE};
use crate::log::Cursor;
use crate::membership::SignedEntry;
use crate::session::frame::{Delivered, Frame};

impl ServerSession {
    /// Before the admission: another copy of the device's database is in use, which is told after Welcome.
    pub fn tell_of_copy(&mut self) {
        self.copied = true;
    }

    /// Answers `ServerEffect::ReadMembership`: entries from `first` on, none when the device holds all. `more` says that there are others.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn membership(&mut self, first: u64, entries: Vec<SignedEntry>, more: bool) -> Result<(), SessionError> {
        self.take_answer("membership", |asked| *asked == Asked::Membership)?;
        if entries.len() > MAX_MEMBERSHIP_PER_PAGE {
            return Err(SessionError::TooMany { what: "membership entries", limit: MAX_MEMBERSHIP_PER_PAGE });
        }
        if first != self.membership.sequence + 1 {
            // The device's entries are not ours: it takes in what it lacks, and the chain is not followed.
            self.membership.sequence = first.saturating_sub(1);
        }
        for entry in &entries {
            self.membership = self.membership.after(&entry.encode());
        }
        if !entries.is_empty() {
            self.send(&Frame::Membership { first, entries });
            if !more {
                self.send(&Frame::MembershipTold { last: self.membership.sequence });
            }
        }
        self.membership_told = !more;
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::ReadDirectory`: the rows changed since, none when there are none. `more` says that others follow after this version.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn directory(&mut self, version: u64, reset: bool, rows: Vec<DirectoryRow>, more: bool) -> Result<(), SessionError> {
        self.take_answer("a directory", |asked| *asked == Asked::Directory)?;
        if reset || !rows.is_empty() {
            self.send(&Frame::Directory { version, reset, rows });
        }
        self.directory_version = version;
        self.directory_told = !more;
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::ReadEntries`: the next entries, none when the device holds all; the number of the log's last entry and up to which it is
    /// backed up; and how long the membership log was when they were read.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn entries(
        &mut self,
        caseload: CaseloadId,
        entries: Vec<Delivered>,
        head: u64,
        backed_up: u64,
        membership_length: u64,
    ) -> Result<(), SessionError> {
        self.take_answer("entries", |asked| *asked == Asked::Entries(caseload))?;
        if membership_length > self.membership.sequence {
            self.membership_told = false;
        }
        self.held_page = Some(Page { caseload, entries, head, backed_up });
        self.advance();
        Ok(())
    }

    /// Before the answer to `ServerEffect::ReadEntries`: definitions of forms that its entries name, so that the device need not take in
    /// records before it has their form. Those that are larger than [`MAX_DEFINITION_BYTES`] are left for the device to ask for.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when no entries were asked for.
    pub fn definitions(&mut self, definitions: Vec<Vec<u8>>) -> Result<(), SessionError> {
        if !matches!(self.asked, Some(Asked::Entries(_))) {
            return Err(SessionError::Driver("definitions"));
        }
        for bytes in definitions.into_iter().filter(|bytes| bytes.len() <= MAX_DEFINITION_BYTES) {
            self.send(&Frame::Definition { bytes });
        }
        Ok(())
    }

    /// Answers `ServerEffect::ReadEntries` when the log has not the chain that the device claims.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked; [`SessionError::Log`] when the device was given this point by this very log.
    pub fn cursor_unknown(&mut self, caseload: CaseloadId) -> Result<(), SessionError> {
        self.take_answer("an unknown cursor", |asked| *asked == Asked::Entries(caseload))?;
        if !self.rewound.insert(caseload) {
            return self.fail(LogError::Chain { sequence: 0 }.into());
        }
        self.progress.insert(caseload, Progress::AwaitPoints);
        self.send(&Frame::ChainMismatch { caseload });
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::FindCommon`: the newest of the points that the log has; its start when it has none.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn common(&mut self, caseload: CaseloadId, cursor: Cursor) -> Result<(), SessionError> {
        self.take_answer("a common point", |asked| *asked == Asked::Common(caseload))?;
        self.progress.insert(caseload, Progress::At(cursor));
        self.ends_awaited += 1;
        self.stage = Stage::Taking;
        self.send(&Frame::Common { caseload, cursor });
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::ReadEnvelopes` with those that there are.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn envelopes(&mut self, caseload: CaseloadId, envelopes: Vec<Vec<u8>>) -> Result<(), SessionError> {
        self.take_answer("envelopes", |asked| *asked == Asked::Envelopes(caseload))?;
        // One answer a wish, so that the device can count: what does not fit a frame is asked for again.
        let mut bytes = 0;
        let mut fits = Vec::new();
        for envelope in envelopes {
            bytes += envelope.len() + 8;
            if bytes > MAX_FRAME_BYTES - 64 {
                break;
            }
            fits.push(envelope);
        }
        self.send(&Frame::Envelopes { caseload, envelopes: fits });
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::BlobOffered`: the device is to give this blob from here on.
    ///
    /// # Errors
    /// None now; kept for limits.
    pub fn blob_wanted(&mut self, hash: Hash, offset: u64) -> Result<(), SessionError> {
        self.uploads.insert(hash, offset);
        self.send(&Frame::BlobWanted { hash, offset });
        Ok(())
    }

    /// Answers `ServerEffect::BlobOffered` or the last `ServerEffect::StoreBlob`: the whole blob is here, durably.
    ///
    /// # Errors
    /// None now; kept for limits.
    pub fn blob_stored(&mut self, hash: Hash) -> Result<(), SessionError> {
        self.uploads.remove(&hash);
        self.send(&Frame::BlobStored { hash });
        Ok(())
    }

    /// Answers `ServerEffect::ReadBlob`. The session asks for the next piece by itself.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked, or the piece is empty before the end or too long.
    pub fn blob_chunk(&mut self, hash: Hash, length: u64, offset: u64, bytes: Vec<u8>) -> Result<(), SessionError> {
        self.take_answer("a piece of a blob", |asked| *asked == Asked::Blob(hash, offset))?;
        let end = offset.saturating_add(bytes.len() as u64);
        if bytes.len() > BLOB_CHUNK_BYTES || end > length || (bytes.is_empty() && end < length) {
            return Err(SessionError::Driver("a piece of a blob of another length"));
        }
        self.send(&Frame::BlobChunk { hash, length, offset, bytes });
        if end < length {
            self.wishes.push_front(Wish::Blob(hash, end));
        }
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::ReadBlob` when the blob is not here, or not for this device.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn no_blob(&mut self, hash: Hash) -> Result<(), SessionError> {
        self.take_answer("a missing blob", |asked| matches!(asked, Asked::Blob(wanted, _) if *wanted == hash))?;
        self.send(&Frame::NoBlob { hash });
        self.advance();
        Ok(())
    }
}
