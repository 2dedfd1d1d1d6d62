//! The device's side of a session: [`DeviceSession`]. It says hello, offers what is unsent, checks that what comes back continues the logs that the
//! device holds, and counts what it costs.

mod blobs;
mod repair;

use super::Traffic;
use super::frame::{CaseloadCursor, Delivered, Enrolment, Frame, Head, Hello, Introduction, Rejection};
use super::repair::Prefix;
use crate::directory::DirectoryRow;
use crate::envelope::SignedHeader;
use crate::error::{FrameError, LogError, SessionError};
use crate::ids::{CaseloadId, Hash, RecordId};
use crate::limits::{
    BLOB_CHUNK_BYTES, CLOCK_TOLERANCE_MS, MAX_BLOBS_PER_FRAME, MAX_ENTRIES_PER_PAGE, MAX_INTRODUCTIONS, MAX_OFFERS_OUTSTANDING,
    MAX_POINTS, SESSION_IDLE_MS,
};
use crate::log::{Cursor, LogEntry};
use crate::membership::SignedEntry;
use crate::wire::{FrameReader, write_frame};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a device brings to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStart {
    /// Where it stands.
    pub hello: Hello,
    /// What it says to join, in its first session. Such a session brings membership and directory, no entries.
    pub enrolment: Option<Enrolment>,
    /// People whom the server does not know yet.
    pub introductions: Vec<Introduction>,
    /// Blobs that records refer to and the server may lack, with their lengths.
    pub blobs: Vec<(Hash, u64)>,
}

/// What the driver of a [`DeviceSession`] has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEffect {
    /// Write these bytes to the stream.
    Send(Vec<u8>),
    /// Answer with [`DeviceSession::offer`] (the next envelope that has no receipt, oldest first) or [`DeviceSession::offers_end`].
    NextOffer,
    /// The server knows the device.
    Welcome {
        /// The server's epoch. Another than before: the server was restored.
        epoch: u64,
        /// The server takes in but gives out nothing.
        recovering: bool,
        /// How far the server's clock is ahead of the device's, in milliseconds.
        clock_ahead_ms: i64,
    },
    /// Another copy of the device's database, with the same key, was at the server since the device was.
    Copied,
    /// Check and keep these entries of the membership log, before anything that follows. Where `first` is not the next one, entries
    /// that are held already are to be passed over.
    Membership {
        /// The number of the first of them.
        first: u64,
        /// The entries.
        entries: Vec<SignedEntry>,
    },
    /// Keep these names.
    Directory {
        /// The version that is held afterwards.
        version: u64,
        /// Drop all names first.
        reset: bool,
        /// The names.
        rows: Vec<DirectoryRow>,
    },
    /// An envelope is durable at the server.
    Receipt {
        /// The envelope.
        envelope: Hash,
        /// Its caseload.
        caseload: CaseloadId,
        /// The server's epoch.
        epoch: u64,
        /// Its place in the caseload's log.
        sequence: u64,
    },
    /// The server keeps nothing of an envelope: it stays unsent, visibly.
    Rejected {
        /// The envelope.
        envelope: Hash,
        /// Why.
        rejection: Rejection,
    },
    /// Take in these entries and commit the cursor with them, in one transaction. Chain and envelope names are checked; signatures are
    /// for the driver to check.
    Entries {
        /// The caseload.
        caseload: CaseloadId,
        /// The number of the first of them.
        first: u64,
        /// The entries. One that names an envelope without bringing it is of this device's own incarnation.
        entries: Vec<Delivered>,
        /// The point after the last of them.
        cursor: Cursor,
    },
    /// Answer with [`DeviceSession::points`]: the log's points at [`crate::log::point_sequences`], newest first.
    ReadPoints {
        /// The caseload.
        caseload: CaseloadId,
    },
    /// Go back to this point: forget the log after it, keep every envelope, and offer again all that came after it, other devices'
    /// too; [`DeviceEffect::NextOffer`] follows.
    Rewind {
        /// The caseload.
        caseload: CaseloadId,
        /// The point.
        cursor: Cursor,
    },
    /// The server lacks membership entries that the device holds: answer with [`DeviceSession::membership_points`].
    ReadMembershipPoints,
    /// Answer with [`DeviceSession::offer_membership`].
    OfferMembership {
        /// The last point in common.
        after: Cursor,
    },
    /// Nothing is kept of an offer yet: offer it again when [`DeviceEffect::NextOffer`] comes.
    Deferred {
        /// The envelope.
        envelope: Hash,
    },
    /// Of the envelopes asked about by [`DeviceSession::prefixes`] the server wants these; the others are durable there.
    Lacking {
        /// The caseload.
        caseload: CaseloadId,
        /// The beginnings of their names.
        prefixes: Vec<Prefix>,
    },
    /// The device may not read this caseload any more.
    Withdrawn {
        /// The caseload.
        caseload: CaseloadId,
    },
    /// These records left the caseload: drop them.
    Evict {
        /// The caseload.
        caseload: CaseloadId,
        /// The records.
        records: Vec<RecordId>,
    },
    /// Envelopes that were asked for with [`DeviceSession::want_envelopes`].
    Envelopes {
        /// The caseload.
        caseload: CaseloadId,
        /// Their bytes.
        envelopes: Vec<Vec<u8>>,
    },
    /// The definition of a form that entries which follow may name: keep it with them.
    Definition {
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Keep this piece of a blob that was asked for; the last one ends at `length`, and then the whole must have its hash.
    BlobChunk {
        /// The blob.
        hash: Hash,
        /// The blob's length.
        length: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// A blob that was asked for is not to be had now.
    NoBlob {
        /// The blob.
        hash: Hash,
    },
    /// Answer with [`DeviceSession::blob_chunk`] or [`DeviceSession::no_blob`].
    ReadBlob {
        /// The blob.
        hash: Hash,
        /// From where.
        offset: u64,
        /// At most so many bytes.
        limit: usize,
    },
    /// The server has the whole blob, durably.
    BlobStored {
        /// The blob.
        hash: Hash,
    },
    /// Everything there is was said. Call [`DeviceSession::want_blobs`] and [`DeviceSession::want_envelopes`] as needed, then
    /// [`DeviceSession::finish`].
    Settled {
        /// Where the logs end, and up to where the server is backed up.
        heads: Vec<Head>,
    },
    /// The session is over: close the stream.
    Finished(Summary),
}

/// What a session did and cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes and frames.
    pub traffic: Traffic,
    /// How often the device had to wait for an answer to something.
    pub round_trips: u64,
    /// Envelopes offered.
    pub offered: u64,
    /// Envelopes with a receipt.
    pub receipts: u64,
    /// Envelopes of which the server keeps nothing.
    pub rejected: Vec<(Hash, Rejection)>,
    /// Log entries received.
    pub entries: u64,
    /// Envelopes received with their content.
    pub envelopes: u64,
    /// How far the server's clock is ahead of the device's, in milliseconds.
    pub clock_ahead_ms: i64,
    /// The server's epoch.
    pub epoch: u64,
}

impl Summary {
    /// Whether the device's clock is so far off that its person should know.
    pub fn clock_is_off(&self) -> bool {
        self.clock_ahead_ms.saturating_abs() > CLOCK_TOLERANCE_MS
    }
}

struct Upload {
    hash: Hash,
    offset: u64,
}

/// A device's side of one session.
pub struct DeviceSession {
    reader: FrameReader,
    effects: VecDeque<DeviceEffect>,
    cursors: BTreeMap<CaseloadId, Cursor>,
    /// The last entry of the membership log that is here.
    membership: u64,
    clock_ms: i64,
    started_at_ms: u64,
    heard_at_ms: u64,
    /// Offers without an answer, by their number.
    offered: BTreeMap<u64, (Hash, CaseloadId)>,
    next_number: u64,
    /// How many `OffersEnd` the server waits for.
    ends_owed: u64,
    asked_for_offer: bool,
    points_asked: Vec<CaseloadId>,
    repairing: repair::Repairing,
    welcomed: bool,
    settled: bool,
    finishing: bool,
    finished: bool,
    wanted_blobs: BTreeMap<Hash, u64>,
    wanted_envelopes: u64,
    uploads: VecDeque<Upload>,
    uploading: Option<Hash>,
    stored_awaited: BTreeSet<Hash>,
    summary: Summary,
    failure: Option<SessionError>,
}

impl DeviceSession {
    /// Begins a session at this moment of a clock that only goes forward.
    ///
    /// # Errors
    /// [`SessionError::TooMany`] when more people or blobs are brought than a session takes.
    pub fn new(start: DeviceStart, now_ms: u64) -> Result<Self, SessionError> {
        if start.introductions.len() > MAX_INTRODUCTIONS {
            return Err(SessionError::TooMany { what: "introductions", limit: MAX_INTRODUCTIONS });
        }
        let mut session = Self {
            reader: FrameReader::new(),
            effects: VecDeque::new(),
            cursors: start.hello.caseloads.iter().map(|held| (held.caseload, held.cursor)).collect(),
            membership: start.hello.membership.sequence,
            clock_ms: start.hello.clock_ms,
            started_at_ms: now_ms,
            heard_at_ms: now_ms,
            offered: BTreeMap::new(),
            next_number: 0,
            ends_owed: 1,
            asked_for_offer: false,
            points_asked: Vec::new(),
            repairing: repair::Repairing::default(),
            welcomed: false,
            settled: false,
            finishing: false,
            finished: false,
            wanted_blobs: BTreeMap::new(),
            wanted_envelopes: 0,
            uploads: VecDeque::new(),
            uploading: None,
            stored_awaited: BTreeSet::new(),
            summary: Summary::default(),
            failure: None,
        };
        if let Some(enrolment) = start.enrolment {
            session.send(&Frame::Enrol(enrolment));
        }
        session.send(&Frame::Hello(start.hello));
        if !start.introductions.is_empty() {
            session.send(&Frame::Introduce(start.introductions));
        }
        for blobs in start.blobs.chunks(MAX_BLOBS_PER_FRAME) {
            session.send(&Frame::OfferBlobs(blobs.to_vec()));
        }
        Ok(session)
    }

    /// The next thing to do, if there is one now.
    pub fn poll(&mut self) -> Option<DeviceEffect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.failure.is_some() || self.finished {
            return None;
        }
        let repairing = self.repairing.membership || self.repairing.asked.is_some();
        if self.ends_owed > 0 && !self.asked_for_offer && !repairing && self.offered.len() < MAX_OFFERS_OUTSTANDING {
            self.asked_for_offer = true;
            return Some(DeviceEffect::NextOffer);
        }
        if self.settled && self.uploading.is_none() {
            if let Some(upload) = self.uploads.front() {
                self.uploading = Some(upload.hash);
                return Some(DeviceEffect::ReadBlob { hash: upload.hash, offset: upload.offset, limit: BLOB_CHUNK_BYTES });
            }
            let waiting = !self.wanted_blobs.is_empty() || self.wanted_envelopes > 0 || !self.stored_awaited.is_empty();
            if self.finishing && !waiting {
                self.finished = true;
                return Some(DeviceEffect::Finished(self.summary.clone()));
            }
        }
        None
    }

    /// Offers an envelope, given as its bytes.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when none was asked for or the bytes are no envelope.
    pub fn offer(&mut self, envelope: Vec<u8>) -> Result<(), SessionError> {
        let number = self.numbered(&envelope)?;
        self.send(&Frame::Offer { number, envelope });
        Ok(())
    }

    /// Takes the question for an offer, and numbers the envelope that answers it.
    fn numbered(&mut self, envelope: &[u8]) -> Result<u64, SessionError> {
        self.take_offer_question()?;
        let signed = SignedHeader::peek(envelope).map_err(|_| SessionError::Driver("an offer that is no envelope"))?;
        let number = self.next_number;
        self.next_number += 1;
        self.offered.insert(number, (signed.hash(), signed.header().caseload));
        self.summary.offered += 1;
        Ok(number)
    }

    /// Says that there is nothing more to offer.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when nothing was asked.
    pub fn offers_end(&mut self) -> Result<(), SessionError> {
        self.take_offer_question()?;
        for _ in 0..std::mem::take(&mut self.ends_owed) {
            self.send(&Frame::OffersEnd);
        }
        self.summary.round_trips += 1;
        Ok(())
    }

    fn take_offer_question(&mut self) -> Result<(), SessionError> {
        if std::mem::take(&mut self.asked_for_offer) { Ok(()) } else { Err(SessionError::Driver("an offer")) }
    }

    /// Answers [`DeviceEffect::ReadPoints`].
    ///
    /// # Errors
    /// [`SessionError::Driver`] when they were not asked for, [`SessionError::TooMany`].
    pub fn points(&mut self, caseload: CaseloadId, points: Vec<Cursor>) -> Result<(), SessionError> {
        if !self.points_asked.contains(&caseload) {
            return Err(SessionError::Driver("points"));
        }
        if points.len() > MAX_POINTS {
            return Err(SessionError::TooMany { what: "points", limit: MAX_POINTS });
        }
        self.summary.round_trips += 1;
        self.send(&Frame::Points { caseload, points });
        Ok(())
    }

    /// Asks for blobs, each from an offset (0, or where an earlier session was cut off).
    ///
    /// # Errors
    /// [`SessionError::Driver`] before [`DeviceEffect::Settled`] or after [`DeviceSession::finish`].
    pub fn want_blobs(&mut self, blobs: &[(Hash, u64)]) -> Result<(), SessionError> {
        self.must_be_settled("a wish for blobs")?;
        for page in blobs.chunks(MAX_BLOBS_PER_FRAME) {
            self.wanted_blobs.extend(page.iter().copied());
            self.send(&Frame::WantBlobs(page.to_vec()));
        }
        self.summary.round_trips += u64::from(!blobs.is_empty());
        Ok(())
    }

    /// Asks for envelopes that a log entry named and this device lacks, as a copied database may.
    ///
    /// # Errors
    /// [`SessionError::Driver`] before [`DeviceEffect::Settled`] or after [`DeviceSession::finish`].
    pub fn want_envelopes(&mut self, caseload: CaseloadId, envelopes: &[Hash]) -> Result<(), SessionError> {
        self.must_be_settled("a wish for envelopes")?;
        for page in envelopes.chunks(MAX_ENTRIES_PER_PAGE) {
            self.wanted_envelopes += 1;
            self.send(&Frame::WantEnvelopes { caseload, envelopes: page.to_vec() });
        }
        self.summary.round_trips += u64::from(!envelopes.is_empty());
        Ok(())
    }

    /// Says that nothing is left here of a caseload that was withdrawn.
    pub fn evicted(&mut self, caseload: CaseloadId) {
        self.send(&Frame::Evicted { caseload });
    }

    /// Says that no wish follows. [`DeviceEffect::Finished`] comes when all earlier ones are answered.
    ///
    /// # Errors
    /// [`SessionError::Driver`] before [`DeviceEffect::Settled`].
    pub fn finish(&mut self) -> Result<(), SessionError> {
        self.must_be_settled("the end")?;
        self.finishing = true;
        self.summary.round_trips += u64::from(!self.uploads.is_empty());
        Ok(())
    }

    fn must_be_settled(&self, answer: &'static str) -> Result<(), SessionError> {
        if self.settled && !self.finishing { Ok(()) } else { Err(SessionError::Driver(answer)) }
    }

    /// Takes in bytes from the stream.
    ///
    /// # Errors
    /// [`SessionError`] when the session cannot go on; the same again each time after. What was handed out before stands.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) -> Result<(), SessionError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.heard_at_ms = now_ms;
        self.summary.traffic.bytes_in += bytes.len() as u64;
        self.reader.push(bytes);
        loop {
            let result = match self.reader.next_payload() {
                Ok(None) => return Ok(()),
                Ok(Some(payload)) => {
                    self.summary.traffic.frames_in += 1;
                    let number = self.reader.frames();
                    Frame::decode(&payload)
                        .map_err(|cause| FrameError::Codec { number, cause }.into())
                        .and_then(|frame| self.handle(now_ms, frame))
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                self.failure = Some(error.clone());
                return Err(error);
            }
        }
    }

    /// Says that the other side ended the stream.
    ///
    /// # Errors
    /// [`SessionError::CutOff`] or [`SessionError::Frame`] when the session was not over; [`SessionError::Refused`] when it was refused.
    pub fn ended(&mut self) -> Result<(), SessionError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.finished {
            return Ok(());
        }
        let failure = self.reader.end().map_or_else(SessionError::Frame, |()| SessionError::CutOff);
        self.failure = Some(failure.clone());
        Err(failure)
    }

    /// When to call [`DeviceSession::tick`] if nothing comes before.
    pub fn deadline_ms(&self) -> u64 {
        self.heard_at_ms.saturating_add(SESSION_IDLE_MS)
    }

    /// Looks at the clock.
    ///
    /// # Errors
    /// [`SessionError::Idle`] when nothing came for [`SESSION_IDLE_MS`].
    pub fn tick(&mut self, now_ms: u64) -> Result<(), SessionError> {
        if now_ms >= self.deadline_ms() && !self.finished {
            let failure = SessionError::Idle { idle_ms: SESSION_IDLE_MS };
            return Err(self.failure.get_or_insert(failure).clone());
        }
        Ok(())
    }

    /// What the session did so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Where the device stands in its caseloads, with all that was handed out.
    pub fn cursors(&self) -> Vec<CaseloadCursor> {
        self.cursors.iter().map(|(caseload, cursor)| CaseloadCursor { caseload: *caseload, cursor: *cursor }).collect()
    }

    fn send(&mut self, frame: &Frame) {
        let bytes = write_frame(&frame.encode());
        self.summary.traffic.frames_out += 1;
        self.summary.traffic.bytes_out += bytes.len() as u64;
        self.effects.push_back(DeviceEffect::Send(bytes));
    }

    fn handle(&mut self, now_ms: u64, frame: Frame) -> Result<(), SessionError> {
        if !self.welcomed && !matches!(frame, Frame::Welcome(_) | Frame::Refused(_) | Frame::Other { .. }) {
            return Err(SessionError::OutOfPlace { expected: "Welcome", came: frame.name() });
        }
        match frame {
            Frame::Refused(refusal) => return Err(SessionError::Refused(refusal)),
            Frame::Welcome(welcome) => {
                if std::mem::replace(&mut self.welcomed, true) {
                    return Err(SessionError::OutOfPlace { expected: "one Welcome", came: "Welcome" });
                }
                // The server read its clock about half a round trip ago.
                let half_way_ms = (now_ms.saturating_sub(self.started_at_ms) / 2) as i64;
                self.summary.clock_ahead_ms = welcome.clock_ms.saturating_sub(self.clock_ms.saturating_add(half_way_ms));
                self.summary.epoch = welcome.epoch;
                // What the server has forgotten besides is brought back in another round.
                self.ends_owed += u64::from(welcome.recovering);
                self.effects.push_back(DeviceEffect::Welcome {
                    epoch: welcome.epoch,
                    recovering: welcome.recovering,
                    clock_ahead_ms: self.summary.clock_ahead_ms,
                });
            }
            Frame::Copied => self.effects.push_back(DeviceEffect::Copied),
            Frame::Receipt { number, envelope, sequence } => {
                let Some((offered, caseload)) = self.offered.remove(&number).filter(|(hash, _)| *hash == envelope) else {
                    return Err(SessionError::WrongReceipt(envelope));
                };
                self.summary.receipts += 1;
                let epoch = self.summary.epoch;
                self.effects.push_back(DeviceEffect::Receipt { envelope: offered, caseload, epoch, sequence });
            }
            Frame::Rejected { number, rejection } => {
                let Some((envelope, _)) = self.offered.remove(&number) else {
                    return Err(SessionError::OutOfPlace { expected: "an answer to an offer", came: "Rejected" });
                };
                self.summary.rejected.push((envelope, rejection));
                self.effects.push_back(DeviceEffect::Rejected { envelope, rejection });
            }
            Frame::Membership { first, entries } => {
                // Whether it goes on from what is here is the driver's to check, with the entries.
                self.membership = first.saturating_sub(1).saturating_add(entries.len() as u64);
                self.effects.push_back(DeviceEffect::Membership { first, entries });
            }
            Frame::MembershipTold { last } if last > self.membership => {
                return Err(LogError::Membership { told: last, came: self.membership }.into());
            }
            Frame::MembershipTold { .. } => {}
            Frame::Directory { version, reset, rows } => {
                self.effects.push_back(DeviceEffect::Directory { version, reset, rows });
            }
            Frame::Entries { caseload, first, entries, chain } => self.take_entries(caseload, first, entries, chain)?,
            Frame::ChainMismatch { caseload } => {
                if self.points_asked.contains(&caseload) {
                    return Err(SessionError::OutOfPlace { expected: "one mismatch a caseload", came: "ChainMismatch" });
                }
                self.points_asked.push(caseload);
                self.effects.push_back(DeviceEffect::ReadPoints { caseload });
            }
            Frame::Common { caseload, cursor } => {
                if !self.points_asked.contains(&caseload) {
                    return Err(SessionError::OutOfPlace { expected: "ChainMismatch before", came: "Common" });
                }
                self.cursors.insert(caseload, cursor);
                self.ends_owed += 1;
                self.effects.push_back(DeviceEffect::Rewind { caseload, cursor });
            }
            Frame::Withdrawn { caseload } => {
                self.cursors.remove(&caseload);
                self.effects.push_back(DeviceEffect::Withdrawn { caseload });
            }
            Frame::Evict { caseload, records } => self.effects.push_back(DeviceEffect::Evict { caseload, records }),
            Frame::Envelopes { caseload, envelopes } => {
                self.wanted_envelopes = self
                    .wanted_envelopes
                    .checked_sub(1)
                    .ok_or(SessionError::OutOfPlace { expected: "a wish for envelopes before", came: "Envelopes" })?;
                self.summary.envelopes += envelopes.len() as u64;
                self.effects.push_back(DeviceEffect::Envelopes { caseload, envelopes });
            }
            Frame::BlobWanted { hash, offset } => {
                self.stored_awaited.remove(&hash);
                self.uploads.push_back(Upload { hash, offset });
            }
            Frame::BlobStored { hash } => {
                self.stored_awaited.remove(&hash);
                self.effects.push_back(DeviceEffect::BlobStored { hash });
            }
            Frame::Done { heads } => {
                if !self.offered.is_empty() || self.ends_owed > 0 {
                    return Err(SessionError::OutOfPlace { expected: "an answer to every offer", came: "Done" });
                }
                self.settled = true;
                self.effects.push_back(DeviceEffect::Settled { heads });
            }
            Frame::BlobChunk { hash, length, offset, bytes } => {
                let expected = self.wanted_blobs.get_mut(&hash);
                let Some(next) = expected.filter(|next| **next == offset) else {
                    return Err(SessionError::OutOfPlace { expected: "the next piece of a blob wanted", came: "BlobChunk" });
                };
                *next += bytes.len() as u64;
                if *next > length || (bytes.is_empty() && *next < length) {
                    return Err(SessionError::OutOfPlace { expected: "a piece within its blob", came: "BlobChunk" });
                }
                if *next == length {
                    self.wanted_blobs.remove(&hash);
                }
                self.effects.push_back(DeviceEffect::BlobChunk { hash, length, offset, bytes });
            }
            Frame::Definition { bytes } => self.effects.push_back(DeviceEffect::Definition { bytes }),
            Frame::NoBlob { hash } => {
                self.wanted_blobs.remove(&hash);
                self.effects.push_back(DeviceEffect::NoBlob { hash });
            }
            Frame::Repair(frame) => self.repair(frame)?,
            Frame::Other { .. } => {}
            ours @ (Frame::Hello(_)
            | Frame::Enrol(_)
            | Frame::Introduce(_)
            | Frame::Offer { .. }
            | Frame::OffersEnd
            | Frame::OfferBlobs(_)
            | Frame::Points { .. }
            | Frame::WantBlobs(_)
            | Frame::WantEnvelopes { .. }
            | Frame::Evicted { .. }
            | Frame::Bye) => {
                return Err(SessionError::OutOfPlace { expected: "a frame of a server", came: ours.name() });
            }
        }
        Ok(())
    }

    fn take_entries(
        &mut self,
        caseload: CaseloadId,
        first: u64,
        entries: Vec<Delivered>,
        chain: Hash,
    ) -> Result<(), SessionError> {
        let mut cursor = self.cursors.get(&caseload).copied().unwrap_or_else(|| Cursor::start_of(caseload));
        if first != cursor.sequence + 1 {
            return Err(LogError::Gap { expected: cursor.sequence + 1, came: first }.into());
        }
        for delivered in &entries {
            cursor = cursor.after(&delivered.entry);
            let entry = LogEntry::decode(&delivered.entry)?;
            let Some(bytes) = &delivered.envelope else { continue };
            let named = entry.envelope();
            // A record that moved brings envelopes of the caseload that it came from.
            let moved = matches!(entry, LogEntry::Opened { .. });
            let came = SignedHeader::peek(bytes).ok().filter(|signed| moved || signed.header().caseload == caseload);
            if named.is_none() || came.map(|signed| signed.hash()) != named {
                return Err(LogError::WrongEnvelope { sequence: cursor.sequence }.into());
            }
            self.summary.envelopes += 1;
        }
        if cursor.chain != chain {
            return Err(LogError::Chain { sequence: cursor.sequence }.into());
        }
        self.cursors.insert(caseload, cursor);
        self.summary.entries += entries.len() as u64;
        self.effects.push_back(DeviceEffect::Entries { caseload, first, entries, cursor });
        Ok(())
    }
}
