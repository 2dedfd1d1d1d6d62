//! The server's side of a session: [`ServerSession`]. It takes in what a device offers, confirms only what its driver says is durable, and
//! then tells what is new: membership before entries, always.

mod answers;
mod repair;

use super::frame::{Delivered, Enrolment, Frame, Head, Hello, Introduction, PROTOCOL, Rejection, Welcome};
use super::repair::{Prefix, Testimony};
use super::{Refusal, Traffic};
use crate::directory::DirectoryRow;
use crate::envelope::SignedHeader;
use crate::error::{CodecError, FrameError, SessionError};
use crate::ids::{CaseloadId, Hash, IncarnationId};
use crate::limits::{
    BLOB_CHUNK_BYTES, MAX_ENTRIES_PER_PAGE, MAX_FRAME_BYTES, MAX_INGESTS_OUTSTANDING, MAX_MEMBERSHIP_PER_PAGE, PAGE_TARGET_BYTES,
    SESSION_IDLE_MS,
};
use crate::log::Cursor;
use crate::membership::SignedEntry;
use crate::wire::{FrameReader, write_frame};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the driver of a [`ServerSession`] has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEffect {
    /// Write these bytes to the stream.
    Send(Vec<u8>),
    /// Who is this? The transport knows the peer's key. Answer with [`ServerSession::admit`] (after the device stands durably in the
    /// membership log, where it enrols) or [`ServerSession::refuse`].
    Admit {
        /// What the device says of itself.
        hello: Hello,
        /// What it says to join.
        enrolment: Option<Enrolment>,
    },
    /// Add these people to membership and directory, durably; then [`ServerSession::introduced`].
    Introduce(Vec<Introduction>),
    /// Verify, judge and keep this envelope; when that is durable, [`ServerSession::ingested`]. Several may be under way, and answers may
    /// come in any order.
    Ingest {
        /// Its number in this session, for the answer.
        number: u64,
        /// Its header; the signature is not checked yet.
        signed: SignedHeader,
        /// Its bytes.
        envelope: Vec<u8>,
        /// What the device remembers of it, where it offers again what another log had.
        testimony: Option<Testimony>,
    },
    /// Answer with [`ServerSession::membership_common`]: the newest of these points that the membership log has.
    FindMembershipCommon {
        /// What the device holds, newest first.
        points: Vec<Cursor>,
    },
    /// Take in those of these membership entries that are not in the log and hold, in order and durably; then
    /// [`ServerSession::membership_taken`].
    TakeMembership {
        /// The entries.
        entries: Vec<SignedEntry>,
    },
    /// The membership log has what the device brought: answer with [`ServerSession::readmit`] or [`ServerSession::refuse`].
    Readmit,
    /// Answer with [`ServerSession::lacking`]: those that the server wants to be offered.
    FindLacking {
        /// The caseload.
        caseload: CaseloadId,
        /// Beginnings of envelopes' names.
        prefixes: Vec<Prefix>,
    },
    /// While the server recovers: form entries of a log that is no more. There is no answer.
    FormsOffered {
        /// The caseload.
        caseload: CaseloadId,
        /// Their bytes.
        entries: Vec<Vec<u8>>,
    },
    /// While the server recovers: names that a device knows. There is no answer.
    NamesOffered(Vec<DirectoryRow>),
    /// Answer with [`ServerSession::membership`].
    ReadMembership {
        /// What the device holds.
        after: Cursor,
        /// At most so many entries.
        limit: usize,
    },
    /// Answer with [`ServerSession::directory`].
    ReadDirectory {
        /// What the device holds.
        after_version: u64,
    },
    /// Answer with [`ServerSession::entries`], after [`ServerSession::definitions`], or [`ServerSession::cursor_unknown`] when the log has not this chain there.
    ReadEntries {
        /// The caseload.
        caseload: CaseloadId,
        /// What the device holds.
        after: Cursor,
        /// Envelopes of this device in this incarnation need no content.
        incarnation: IncarnationId,
        /// At most about so many bytes, and at least one entry.
        limit_bytes: usize,
        /// At most so many entries.
        limit: usize,
    },
    /// Answer with [`ServerSession::common`].
    FindCommon {
        /// The caseload.
        caseload: CaseloadId,
        /// What the device holds, newest first.
        points: Vec<Cursor>,
    },
    /// Answer with [`ServerSession::envelopes`].
    ReadEnvelopes {
        /// The caseload, which the device may read.
        caseload: CaseloadId,
        /// Their names.
        envelopes: Vec<Hash>,
    },
    /// The device can give this blob: answer with [`ServerSession::blob_wanted`] or [`ServerSession::blob_stored`], or not at all.
    BlobOffered {
        /// The blob.
        hash: Hash,
        /// Its length.
        length: u64,
    },
    /// Keep this piece. After the last one, check the hash and answer [`ServerSession::blob_stored`] when it is durable, or
    /// [`ServerSession::blob_wanted`] with offset 0 when the hash is wrong.
    StoreBlob {
        /// The blob.
        hash: Hash,
        /// The blob's length.
        length: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// Answer with [`ServerSession::blob_chunk`] or, when the device may not read it, [`ServerSession::no_blob`].
    ReadBlob {
        /// The blob.
        hash: Hash,
        /// From where.
        offset: u64,
        /// At most so many bytes.
        limit: usize,
    },
    /// Nothing of a caseload that the device may not read any more is left on it: note that.
    Evicted {
        /// The caseload.
        caseload: CaseloadId,
    },
    /// The device has heard everything: note its sync.
    Settled,
    /// The session is over.
    Finished(Traffic),
}

/// What a device may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// What the server says of itself.
    pub welcome: Welcome,
    /// The caseloads that the device may read.
    pub caseloads: BTreeSet<CaseloadId>,
}

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingested {
    /// It is durable, now or since before, whatever the verdict: at this place of its caseload's log.
    Durable {
        /// The place.
        sequence: u64,
    },
    /// Nothing of it is kept.
    Rejected(Rejection),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has come.
    Beginning,
    /// The driver decides who it is.
    Admitting,
    /// Taking in what is offered.
    Taking,
    /// Saying what is new.
    Telling,
    /// Everything was said; wishes are served.
    Serving,
    /// Over.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Entries after this point are to be sent.
    At(Cursor),
    /// The device is to send older points.
    AwaitPoints,
    /// Everything was sent.
    Complete { sequence: u64, backed_up: u64 },
}

/// What was asked of the driver and is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Membership,
    Directory,
    Entries(CaseloadId),
    Common(CaseloadId),
    Envelopes(CaseloadId),
    Blob(Hash, u64),
}

enum Wish {
    Blob(Hash, u64),
    Envelopes(CaseloadId, Vec<Hash>),
}

struct Page {
    caseload: CaseloadId,
    entries: Vec<Delivered>,
    head: u64,
    backed_up: u64,
}

/// A server's side of one session.
pub struct ServerSession {
    reader: FrameReader,
    effects: VecDeque<ServerEffect>,
    stage: Stage,
    hello: Option<Hello>,
    enrolment: Option<Enrolment>,
    enrolling: bool,
    recovering: bool,
    introducing: bool,
    repairing: repair::Repairing,
    ingesting: BTreeMap<u64, Hash>,
    next_number: u64,
    ends_awaited: u64,
    membership: Cursor,
    membership_told: bool,
    directory_told: bool,
    directory_version: u64,
    progress: BTreeMap<CaseloadId, Progress>,
    rewound: BTreeSet<CaseloadId>,
    points: VecDeque<(CaseloadId, Vec<Cursor>)>,
    held_page: Option<Page>,
    asked: Option<Asked>,
    wishes: VecDeque<Wish>,
    uploads: BTreeMap<Hash, u64>,
    heard_at_ms: u64,
    traffic: Traffic,
    /// What the device hears when it has brought what it has.
    last_word: Option<Refusal>,
    /// Another copy of the device's database is in use.
    copied: bool,
    failure: Option<SessionError>,
}

impl ServerSession {
    /// Begins a session at this moment of a clock that only goes forward.
    pub fn new(now_ms: u64) -> Self {
        Self {
            reader: FrameReader::new(),
            effects: VecDeque::new(),
            stage: Stage::Beginning,
            hello: None,
            enrolment: None,
            enrolling: false,
            recovering: false,
            introducing: false,
            repairing: repair::Repairing::default(),
            ingesting: BTreeMap::new(),
            next_number: 0,
            ends_awaited: 1,
            membership: Cursor { sequence: 0, chain: Hash([0; 32]) },
            membership_told: false,
            directory_told: false,
            directory_version: 0,
            progress: BTreeMap::new(),
            rewound: BTreeSet::new(),
            points: VecDeque::new(),
            held_page: None,
            asked: None,
            wishes: VecDeque::new(),
            uploads: BTreeMap::new(),
            heard_at_ms: now_ms,
            traffic: Traffic::default(),
            last_word: None,
            copied: false,
            failure: None,
        }
    }

    /// The next thing to do, if there is one now.
    pub fn poll(&mut self) -> Option<ServerEffect> {
        self.advance();
        self.effects.pop_front()
    }

    /// Whether to read from the stream: false while enough is under way.
    pub fn wants_input(&self) -> bool {
        self.stage != Stage::Over && (self.may_handle() || self.reader.pending_bytes() < MAX_FRAME_BYTES)
    }

    /// Takes in bytes from the stream.
    ///
    /// # Errors
    /// [`SessionError`] when the session cannot go on: poll once more for what is to be sent, then close.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) -> Result<(), SessionError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.heard_at_ms = now_ms;
        self.traffic.bytes_in += bytes.len() as u64;
        self.reader.push(bytes);
        self.advance();
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Says that the device ended its side of the stream.
    ///
    /// # Errors
    /// [`SessionError`] when that was before everything was said.
    pub fn ended(&mut self) -> Result<(), SessionError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match (self.stage, self.reader.end()) {
            (Stage::Over, _) => Ok(()),
            (_, Err(error)) => self.fail(error.into()),
            (Stage::Serving, Ok(())) if self.wishes.is_empty() && self.asked.is_none() => {
                self.finish();
                Ok(())
            }
            _ => self.fail(SessionError::CutOff),
        }
    }

    /// When to call [`ServerSession::tick`] if nothing comes before.
    pub fn deadline_ms(&self) -> u64 {
        self.heard_at_ms.saturating_add(SESSION_IDLE_MS)
    }

    /// Says that the stream took what was to be sent, at this moment. A device that takes pages for minutes is there, and says nothing meanwhile.
    pub fn sent(&mut self, now_ms: u64) {
        self.heard_at_ms = self.heard_at_ms.max(now_ms);
    }

    /// Looks at the clock. Not to be called while the driver itself keeps the device waiting.
    ///
    /// # Errors
    /// [`SessionError::Idle`] when nothing came for [`SESSION_IDLE_MS`].
    pub fn tick(&mut self, now_ms: u64) -> Result<(), SessionError> {
        if now_ms < self.deadline_ms() || self.stage == Stage::Over {
            return self.failure.clone().map_or(Ok(()), Err);
        }
        self.fail(SessionError::Idle { idle_ms: SESSION_IDLE_MS })
    }

    /// What crossed the stream so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Answers [`ServerEffect::Admit`].
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn admit(&mut self, admission: Admission) -> Result<(), SessionError> {
        self.welcome(admission.welcome)?;
        self.admit_to(admission.caseloads);
        self.advance();
        Ok(())
    }

    /// Answers [`ServerEffect::Admit`] where the device claims membership entries that this server's log has not, even if it does not know
    /// the device: they are asked for before anything else, and then [`ServerEffect::Readmit`] comes.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn admit_to_repair(&mut self, welcome: Welcome) -> Result<(), SessionError> {
        self.welcome(welcome)?;
        self.ask_for_membership();
        self.advance();
        Ok(())
    }

    /// Answers [`ServerEffect::Admit`] where the device may bring what it has, and hears nothing but this refusal then.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn admit_to_bring(&mut self, welcome: Welcome, refusal: Refusal) -> Result<(), SessionError> {
        self.welcome(Welcome { recovering: false, ..welcome })?;
        self.last_word = Some(refusal);
        self.advance();
        Ok(())
    }

    fn welcome(&mut self, welcome: Welcome) -> Result<(), SessionError> {
        let Some(hello) = self.hello.as_ref().filter(|_| self.stage == Stage::Admitting) else {
            return Err(SessionError::Driver("an admission"));
        };
        self.stage = Stage::Taking;
        self.recovering = welcome.recovering;
        // What the server has forgotten besides is brought in another round.
        self.ends_awaited += u64::from(welcome.recovering);
        self.membership = hello.membership;
        // In another epoch versions say nothing.
        self.directory_version = if hello.epoch == welcome.epoch { hello.directory_version } else { 0 };
        self.send(&Frame::Welcome(welcome));
        if self.copied {
            self.send(&Frame::Copied);
        }
        Ok(())
    }

    /// Ends the session with a reason, at any time.
    pub fn refuse(&mut self, refusal: Refusal) {
        if self.stage != Stage::Over {
            self.send(&Frame::Refused(refusal));
            self.finish();
        }
    }

    /// Answers [`ServerEffect::Introduce`].
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn introduced(&mut self) -> Result<(), SessionError> {
        if !std::mem::take(&mut self.introducing) {
            return Err(SessionError::Driver("an introduction"));
        }
        self.advance();
        Ok(())
    }

    /// Answers [`ServerEffect::Ingest`].
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn ingested(&mut self, number: u64, outcome: Ingested) -> Result<(), SessionError> {
        let envelope = self.ingesting.remove(&number).ok_or(SessionError::Driver("an ingest"))?;
        match outcome {
            Ingested::Durable { sequence } => self.send(&Frame::Receipt { number, envelope, sequence }),
            Ingested::Rejected(rejection) => self.send(&Frame::Rejected { number, rejection }),
        }
        self.advance();
        Ok(())
    }

    fn take_answer(&mut self, what: &'static str, fits: impl FnOnce(&Asked) -> bool) -> Result<(), SessionError> {
        if self.asked.as_ref().is_some_and(fits) {
            self.asked = None;
            return Ok(());
        }
        Err(SessionError::Driver(what))
    }

    fn send(&mut self, frame: &Frame) {
        let bytes = write_frame(&frame.encode());
        self.traffic.frames_out += 1;
        self.traffic.bytes_out += bytes.len() as u64;
        self.effects.push_back(ServerEffect::Send(bytes));
    }

    fn finish(&mut self) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.effects.push_back(ServerEffect::Finished(self.traffic));
        }
    }

    fn fail(&mut self, error: SessionError) -> Result<(), SessionError> {
        let refusal = match &error {
            SessionError::Frame(FrameError::Codec { cause: CodecError::Unknown { expected: "protocols", .. }, .. }) => {
                Refusal::ProtocolVersion(PROTOCOL)
            }
            SessionError::TooMany { .. } => Refusal::TooMuch,
            SessionError::Log(_) => Refusal::Failed,
            _ => Refusal::Malformed,
        };
        if self.stage != Stage::Over {
            self.send(&Frame::Refused(refusal));
        }
        self.failure = Some(error.clone());
        self.finish();
        Err(error)
    }

    fn may_handle(&self) -> bool {
        let waiting = matches!(self.stage, Stage::Admitting | Stage::Over) || self.introducing || self.repairing.is_busy();
        !waiting && self.ingesting.len() < MAX_INGESTS_OUTSTANDING && self.wishes.len() < MAX_INGESTS_OUTSTANDING
    }

    /// Handles frames that came and asks the driver the next thing, as far as that goes.
    fn advance(&mut self) {
        while self.may_handle() {
            let result = match self.reader.next_payload() {
                Ok(None) => break,
                Ok(Some(payload)) => {
                    self.traffic.frames_in += 1;
                    let number = self.reader.frames();
                    let frame = Frame::decode(&payload).map_err(|cause| FrameError::Codec { number, cause }.into());
                    frame.and_then(|frame| self.handle(frame))
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                // The failure is kept; `receive` gives it to the driver.
                let _ = self.fail(error);
                return;
            }
        }
        // Effects wait for the driver: asking for more only when they are done bounds what is held.
        if self.effects.is_empty() && self.asked.is_none() {
            self.ask_next();
        }
    }

    fn handle(&mut self, frame: Frame) -> Result<(), SessionError> {
        let out_of_place = |expected, frame: &Frame| Err(SessionError::OutOfPlace { expected, came: frame.name() });
        if self.stage == Stage::Beginning {
            match frame {
                Frame::Enrol(enrolment) if self.enrolment.is_none() => self.enrolment = Some(enrolment),
                Frame::Hello(hello) => {
                    self.hello = Some(hello.clone());
                    self.stage = Stage::Admitting;
                    let enrolment = self.enrolment.take();
                    self.enrolling = enrolment.is_some();
                    self.effects.push_back(ServerEffect::Admit { hello, enrolment });
                }
                Frame::Other { .. } => {}
                other => return out_of_place("Hello", &other),
            }
            return Ok(());
        }
        match frame {
            Frame::Introduce(people) if self.stage == Stage::Taking => self.introduce(people),
            Frame::Offer { number, envelope } if self.ends_awaited > 0 => self.offered(number, envelope, None)?,
            Frame::Repair(frame) => self.repair(frame)?,
            Frame::OffersEnd if self.ends_awaited > 0 => self.ends_awaited -= 1,
            Frame::OfferBlobs(blobs) if self.stage == Stage::Taking => {
                for (hash, length) in blobs {
                    self.effects.push_back(ServerEffect::BlobOffered { hash, length });
                }
            }
            Frame::Points { caseload, points } if self.progress.get(&caseload) == Some(&Progress::AwaitPoints) => {
                self.points.push_back((caseload, points));
            }
            Frame::WantBlobs(blobs) => self.wishes.extend(blobs.into_iter().map(|(hash, offset)| Wish::Blob(hash, offset))),
            Frame::WantEnvelopes { caseload, envelopes } if self.progress.contains_key(&caseload) => {
                self.wishes.push_back(Wish::Envelopes(caseload, envelopes));
            }
            Frame::BlobChunk { hash, length, offset, bytes } => {
                let Some(next) = self.uploads.get_mut(&hash).filter(|next| **next == offset) else {
                    return Err(SessionError::OutOfPlace { expected: "the next piece of a blob wanted", came: "BlobChunk" });
                };
                *next += bytes.len() as u64;
                if *next > length {
                    return Err(SessionError::OutOfPlace { expected: "a piece within its blob", came: "BlobChunk" });
                }
                self.effects.push_back(ServerEffect::StoreBlob { hash, length, offset, bytes });
            }
            Frame::NoBlob { hash } => {
                self.uploads.remove(&hash);
            }
            Frame::Evicted { caseload } => self.effects.push_back(ServerEffect::Evicted { caseload }),
            Frame::Bye if self.stage == Stage::Serving => self.finish(),
            Frame::Other { .. } => {}
            other => return out_of_place("another frame here", &other),
        }
        Ok(())
    }

    fn ask_next(&mut self) {
        match self.stage {
            Stage::Taking
                if self.ends_awaited == 0 && self.ingesting.is_empty() && !self.introducing && self.repairing.stage.is_none() =>
            {
                if let Some(refusal) = self.last_word.take() {
                    return self.refuse(refusal);
                }
                self.stage = Stage::Telling;
                // What was taken in may have changed what there is to tell.
                self.membership_told = false;
                self.directory_told = false;
                self.ask_next();
            }
            Stage::Taking | Stage::Telling if !self.points.is_empty() => {
                if let Some((caseload, points)) = self.points.pop_front() {
                    self.ask(Asked::Common(caseload), ServerEffect::FindCommon { caseload, points });
                }
            }
            Stage::Telling => self.tell_next(),
            Stage::Serving => self.serve_next(),
            Stage::Beginning | Stage::Admitting | Stage::Taking | Stage::Over => {}
        }
    }

    fn ask(&mut self, asked: Asked, effect: ServerEffect) {
        self.asked = Some(asked);
        self.effects.push_back(effect);
    }

    fn tell_next(&mut self) {
        // A server that recovers only looks where the device stands.
        let tells = !self.recovering;
        if tells && !self.membership_told {
            let effect = ServerEffect::ReadMembership { after: self.membership, limit: MAX_MEMBERSHIP_PER_PAGE };
            return self.ask(Asked::Membership, effect);
        }
        if tells && !self.directory_told {
            let effect = ServerEffect::ReadDirectory { after_version: self.directory_version };
            return self.ask(Asked::Directory, effect);
        }
        if let Some(page) = self.held_page.take() {
            self.tell_page(page);
            return;
        }
        let next = self.progress.iter().find_map(|(caseload, progress)| match progress {
            Progress::At(cursor) => Some((*caseload, *cursor)),
            _ => None,
        });
        if let (Some((caseload, after)), Some(hello)) = (next, &self.hello) {
            let effect = ServerEffect::ReadEntries {
                caseload,
                after,
                incarnation: hello.incarnation,
                limit_bytes: PAGE_TARGET_BYTES,
                limit: if tells { MAX_ENTRIES_PER_PAGE } else { 0 },
            };
            return self.ask(Asked::Entries(caseload), effect);
        }
        let mut heads = Vec::new();
        for (caseload, progress) in &self.progress {
            match progress {
                Progress::Complete { .. } if !tells => {}
                Progress::Complete { sequence, backed_up } => {
                    heads.push(Head { caseload: *caseload, sequence: *sequence, backed_up: *backed_up });
                }
                _ => return,
            }
        }
        self.stage = Stage::Serving;
        self.send(&Frame::Done { heads });
        self.effects.push_back(ServerEffect::Settled);
    }

    /// Sends a page in as many frames as its size asks for.
    fn tell_page(&mut self, page: Page) {
        let Some(Progress::At(mut cursor)) = self.progress.get(&page.caseload).copied() else { return };
        let nothing_new = page.entries.is_empty();
        let mut first = cursor.sequence + 1;
        let mut entries: Vec<Delivered> = Vec::new();
        let mut bytes = 0;
        let mut frames = Vec::new();
        for delivered in page.entries {
            let size = delivered.entry.len() + delivered.envelope.as_ref().map_or(0, Vec::len) + 16;
            if !entries.is_empty() && (bytes + size > PAGE_TARGET_BYTES || entries.len() == MAX_ENTRIES_PER_PAGE) {
                let entries = std::mem::take(&mut entries);
                frames.push(Frame::Entries { caseload: page.caseload, first, entries, chain: cursor.chain });
                first = cursor.sequence + 1;
                bytes = 0;
            }
            bytes += size;
            cursor = cursor.after(&delivered.entry);
            entries.push(delivered);
        }
        if !entries.is_empty() {
            frames.push(Frame::Entries { caseload: page.caseload, first, entries, chain: cursor.chain });
        }
        for frame in frames {
            self.send(&frame);
        }
        let progress = if nothing_new || cursor.sequence >= page.head {
            Progress::Complete { sequence: cursor.sequence, backed_up: page.backed_up }
        } else {
            Progress::At(cursor)
        };
        self.progress.insert(page.caseload, progress);
        if self.effects.is_empty() {
            self.ask_next();
        }
    }

    fn serve_next(&mut self) {
        match self.wishes.pop_front() {
            Some(Wish::Blob(hash, offset)) => {
                self.ask(Asked::Blob(hash, offset), ServerEffect::ReadBlob { hash, offset, limit: BLOB_CHUNK_BYTES });
            }
            Some(Wish::Envelopes(caseload, envelopes)) => {
                self.ask(Asked::Envelopes(caseload), ServerEffect::ReadEnvelopes { caseload, envelopes });
            }
            None => {}
        }
    }
}
