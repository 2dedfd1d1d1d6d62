//! The frames of a session. Each is an array that begins with its kind; elements that a reader does not know are passed over, and so
//! are whole frames of an unknown kind.

use super::Refusal;
use super::repair::RepairFrame;
use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::directory::DirectoryRow;
use crate::error::CodecError;
use crate::ids::{CaseloadId, Hash, IncarnationId, OrganisationId, PersonId, RecordId};
use crate::limits::{
    BLOB_CHUNK_BYTES, MAX_BLOB_BYTES, MAX_BLOBS_PER_FRAME, MAX_CASELOADS, MAX_DEFINITION_BYTES, MAX_DIRECTORY_PER_PAGE,
    MAX_ENTRIES_PER_PAGE, MAX_ENTRY_BYTES, MAX_ENVELOPE_BYTES, MAX_INTRODUCTIONS, MAX_MEMBERSHIP_PER_PAGE, MAX_NAME_BYTES,
    MAX_POINTS,
};
use crate::log::{Cursor, Reason};
use crate::membership::SignedEntry;

/// The protocol that this version speaks.
pub const PROTOCOL: u64 = 1;

/// How far a device is in one caseload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseloadCursor {
    /// The caseload.
    pub caseload: CaseloadId,
    /// How far.
    pub cursor: Cursor,
}

/// What a device says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The organisation that it takes itself to belong to.
    pub organisation: OrganisationId,
    /// The server's epoch as it knows it; 0 before the first session.
    pub epoch: u64,
    /// The incarnation of its database: envelopes of this one come back by name only.
    pub incarnation: IncarnationId,
    /// How much of the membership log it holds.
    pub membership: Cursor,
    /// The version of the directory that it holds.
    pub directory_version: u64,
    /// Its clock, in milliseconds since 1970.
    pub clock_ms: i64,
    /// How far it is in each caseload that it holds.
    pub caseloads: Vec<CaseloadCursor>,
}

/// A person whom a device introduces.
#[derive(Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The identifier that the device drew.
    pub person: PersonId,
    /// The name.
    pub name: String,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Introduction of {}", self.person)
    }
}

/// What a device says to join.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The invitation's secret.
    pub secret: [u8; 16],
    /// What the device is called.
    pub device_name: String,
    /// Who enrols it.
    pub person: Introduction,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolment by {}", self.person.person)
    }
}

/// An entry of a log with the envelope that it names, where the reader needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The entry's bytes: see [`crate::log::LogEntry`].
    pub entry: Vec<u8>,
    /// The envelope's bytes; absent when the entry names none or the reader made it.
    pub envelope: Option<Vec<u8>>,
}

/// Where a caseload's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The caseload.
    pub caseload: CaseloadId,
    /// Its last entry.
    pub sequence: u64,
    /// Up to which entry the server has been backed up: a device keeps its own envelopes after it.
    pub backed_up: u64,
}

/// What the server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The server's epoch: a restore begins a new one.
    pub epoch: u64,
    /// The server's clock, in milliseconds since 1970.
    pub clock_ms: i64,
    /// Whether the server takes in but gives out nothing, because it was restored and nobody has closed recovery.
    pub recovering: bool,
}

/// Why the server keeps nothing of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// The bytes are no envelope.
    Malformed,
    /// The signature does not hold.
    Signature,
    /// The device that signed is unknown.
    UnknownDevice,
    /// The caseload is unknown, or the device that brings it may not write there.
    Caseload,
    /// The same device, incarnation and counter came before with another content.
    Equivocation,
    /// A reason of a newer version, or one that a verdict has too.
    Other(Reason),
}

impl Rejection {
    fn number(self) -> u64 {
        match self {
            Self::Malformed => 1,
            Self::Signature => 2,
            Self::UnknownDevice => 3,
            Self::Caseload => 4,
            Self::Equivocation => 5,
            Self::Other(reason) => reason.number().saturating_add(16),
        }
    }

    fn of_number(number: u64) -> Self {
        match number {
            1 => Self::Malformed,
            2 => Self::Signature,
            3 => Self::UnknownDevice,
            4 => Self::Caseload,
            5 => Self::Equivocation,
            other => Self::Other(Reason::of_number(other.saturating_sub(16))),
        }
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed"),
            Self::Signature => f.write_str("the signature does not hold"),
            Self::UnknownDevice => f.write_str("unknown device"),
            Self::Caseload => f.write_str("caseload not granted"),
            Self::Equivocation => f.write_str("another envelope with the same number came before"),
            Self::Other(reason) => reason.fmt(f),
        }
    }
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Device: where it stands. Always first.
    Hello(Hello),
    /// Device: let me join.
    Enrol(Enrolment),
    /// Device: people unknown to it before.
    Introduce(Vec<Introduction>),
    /// Device: an envelope, numbered from 0 in this session.
    Offer {
        /// Its number in this session.
        number: u64,
        /// Its bytes.
        envelope: Vec<u8>,
    },
    /// Device: no more envelopes; answer.
    OffersEnd,
    /// Device: blobs that it can give, with their lengths.
    OfferBlobs(Vec<(Hash, u64)>),
    /// Device: older points of a caseload, after [`Frame::ChainMismatch`].
    Points {
        /// The caseload.
        caseload: CaseloadId,
        /// Newest first.
        points: Vec<Cursor>,
    },
    /// Device: blobs that it wants, each from an offset.
    WantBlobs(Vec<(Hash, u64)>),
    /// Device: envelopes of a caseload that it lacks the content of.
    WantEnvelopes {
        /// The caseload.
        caseload: CaseloadId,
        /// Their names.
        envelopes: Vec<Hash>,
    },
    /// Device: nothing of a caseload that it may not read any more is left on it.
    Evicted {
        /// The caseload.
        caseload: CaseloadId,
    },
    /// Device: the session is over. Its records that it could not use can be named.
    Bye,

    /// Server: you are known.
    Welcome(Welcome),
    /// Server, after Welcome: another copy of the device's database, with the same key, was here since the device was.
    Copied,
    /// Server: not you, or not now.
    Refused(Refusal),
    /// Server: an envelope is durable.
    Receipt {
        /// Its number in this session.
        number: u64,
        /// Its name.
        envelope: Hash,
        /// Its place in the caseload's log.
        sequence: u64,
    },
    /// Server: nothing is kept of an envelope.
    Rejected {
        /// Its number in this session.
        number: u64,
        /// Why.
        rejection: Rejection,
    },
    /// Server: entries of the membership log, in order.
    Membership {
        /// The number of the first of them.
        first: u64,
        /// The entries.
        entries: Vec<SignedEntry>,
    },
    /// Server: the membership log was told up to here; nothing that was written under it comes before. A device that has less ends the session.
    MembershipTold {
        /// The number of its last entry.
        last: u64,
    },
    /// Server: rows of the directory.
    Directory {
        /// The version that the device holds once it has taken them in.
        version: u64,
        /// Whether all rows held before are to be dropped first.
        reset: bool,
        /// The rows.
        rows: Vec<DirectoryRow>,
    },
    /// Server: entries of a caseload's log, in order.
    Entries {
        /// The caseload.
        caseload: CaseloadId,
        /// The number of the first of them.
        first: u64,
        /// The entries.
        entries: Vec<Delivered>,
        /// The chain after the last of them.
        chain: Hash,
    },
    /// Server: this log has not the chain that the device claims; send older points.
    ChainMismatch {
        /// The caseload.
        caseload: CaseloadId,
    },
    /// Server: the last point in common; go back to it and offer again what came after.
    Common {
        /// The caseload.
        caseload: CaseloadId,
        /// The point.
        cursor: Cursor,
    },
    /// Server: the device may not read this caseload any more.
    Withdrawn {
        /// The caseload.
        caseload: CaseloadId,
    },
    /// Server: these records left the caseload (moved or erased): drop them.
    Evict {
        /// The caseload.
        caseload: CaseloadId,
        /// The records.
        records: Vec<RecordId>,
    },
    /// Server: envelopes asked for; those missing are not to be had.
    Envelopes {
        /// The caseload.
        caseload: CaseloadId,
        /// Their bytes.
        envelopes: Vec<Vec<u8>>,
    },
    /// Server: a blob that it wants, from an offset.
    BlobWanted {
        /// The blob.
        hash: Hash,
        /// From where.
        offset: u64,
    },
    /// Server: it has the whole blob, durably.
    BlobStored {
        /// The blob.
        hash: Hash,
    },
    /// Server: the definition of a form that entries of the next page name. A device that does not know this frame asks for it later.
    Definition {
        /// Its bytes; their hash is its name.
        bytes: Vec<u8>,
    },
    /// Server: everything there is has been said.
    Done {
        /// Where the logs end.
        heads: Vec<Head>,
    },

    /// Both: a piece of a blob.
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
    /// Both: this blob is not to be had.
    NoBlob {
        /// The blob.
        hash: Hash,
    },
    /// Both: repair.
    Repair(RepairFrame),
    /// A frame of a newer version: passed over.
    Other {
        /// Its kind.
        kind: u64,
    },
}

// Kinds 12 to 19 and 45 to 59 are repair's: see `RepairFrame`.
const HELLO: u64 = 1;
const ENROL: u64 = 2;
const INTRODUCE: u64 = 3;
const OFFER: u64 = 4;
const OFFERS_END: u64 = 5;
const OFFER_BLOBS: u64 = 6;
const POINTS: u64 = 7;
const WANT_BLOBS: u64 = 8;
const WANT_ENVELOPES: u64 = 9;
const BYE: u64 = 10;
const EVICTED: u64 = 11;
const BLOB_CHUNK: u64 = 20;
const NO_BLOB: u64 = 21;
const WELCOME: u64 = 32;
const REFUSED: u64 = 33;
const RECEIPT: u64 = 34;
const REJECTED: u64 = 35;
const MEMBERSHIP: u64 = 36;
const DIRECTORY: u64 = 37;
const ENTRIES: u64 = 38;
const CHAIN_MISMATCH: u64 = 39;
const COMMON: u64 = 40;
const WITHDRAWN: u64 = 41;
const EVICT: u64 = 42;
const ENVELOPES: u64 = 43;
const DONE: u64 = 44;
const BLOB_WANTED: u64 = 60;
const BLOB_STORED: u64 = 61;
const DEFINITION: u64 = 62;
const MEMBERSHIP_TOLD: u64 = 63;
const COPIED: u64 = 59;

impl Wire for CaseloadCursor {
    fn write(&self, writer: &mut Writer) {
        writer.array(3).value(&self.caseload).uint(self.cursor.sequence).value(&self.cursor.chain);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(3, 3)?;
        let caseload = reader.value()?;
        Ok(Self { caseload, cursor: Cursor { sequence: reader.uint()?, chain: reader.value()? } })
    }
}

impl Wire for Head {
    fn write(&self, writer: &mut Writer) {
        writer.array(3).value(&self.caseload).uint(self.sequence).uint(self.backed_up);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(3, 3)?;
        Ok(Self { caseload: reader.value()?, sequence: reader.uint()?, backed_up: reader.uint()? })
    }
}

impl Wire for Introduction {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).value(&self.person).text(&self.name);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { person: reader.value()?, name: reader.text(MAX_NAME_BYTES)? })
    }
}

impl Wire for Delivered {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).bytes(&self.entry).optional_bytes(self.envelope.as_deref());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        let entry = reader.bytes(MAX_ENTRY_BYTES)?.to_vec();
        Ok(Self { entry, envelope: reader.optional(|reader| Ok(reader.bytes(MAX_ENVELOPE_BYTES)?.to_vec()))? })
    }
}

fn write_blobs(writer: &mut Writer, blobs: &[(Hash, u64)]) {
    writer.array(blobs.len());
    for (hash, number) in blobs {
        writer.array(2).value(hash).uint(*number);
    }
}

fn read_blobs(reader: &mut Reader<'_>) -> Result<Vec<(Hash, u64)>, CodecError> {
    let count = reader.array(0, MAX_BLOBS_PER_FRAME)?;
    let mut blobs = Vec::new();
    for _ in 0..count {
        reader.array(2, 2)?;
        blobs.push((reader.value()?, reader.uint_up_to(MAX_BLOB_BYTES)?));
    }
    Ok(blobs)
}

impl Frame {
    /// The frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(payload: &[u8]) -> Result<Self, CodecError> {
        codec::decode(payload, "frame")
    }

    /// What the frame is called, for a message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Enrol(_) => "Enrol",
            Self::Introduce(_) => "Introduce",
            Self::Offer { .. } => "Offer",
            Self::OffersEnd => "OffersEnd",
            Self::OfferBlobs(_) => "OfferBlobs",
            Self::Points { .. } => "Points",
            Self::WantBlobs(_) => "WantBlobs",
            Self::WantEnvelopes { .. } => "WantEnvelopes",
            Self::Bye => "Bye",
            Self::Evicted { .. } => "Evicted",
            Self::Welcome(_) => "Welcome",
            Self::Copied => "Copied",
            Self::Refused(_) => "Refused",
            Self::Receipt { .. } => "Receipt",
            Self::Rejected { .. } => "Rejected",
            Self::Membership { .. } => "Membership",
            Self::MembershipTold { .. } => "MembershipTold",
            Self::Directory { .. } => "Directory",
            Self::Entries { .. } => "Entries",
            Self::ChainMismatch { .. } => "ChainMismatch",
            Self::Common { .. } => "Common",
            Self::Withdrawn { .. } => "Withdrawn",
            Self::Evict { .. } => "Evict",
            Self::Envelopes { .. } => "Envelopes",
            Self::BlobWanted { .. } => "BlobWanted",
            Self::BlobStored { .. } => "BlobStored",
            Self::Definition { .. } => "Definition",
            Self::Done { .. } => "Done",
            Self::BlobChunk { .. } => "BlobChunk",
            Self::NoBlob { .. } => "NoBlob",
            Self::Repair(frame) => frame.name(),
            Self::Other { .. } => "of a newer version",
        }
    }
}

impl Wire for Frame {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Hello(hello) => {
                writer.array(9).uint(HELLO).uint(PROTOCOL).value(&hello.organisation).uint(hello.epoch);
                writer.value(&hello.incarnation).value(&hello.membership).uint(hello.directory_version);
                writer.int(hello.clock_ms).list(&hello.caseloads);
            }
            Self::Enrol(enrolment) => {
                writer.array(4).uint(ENROL).bytes(&enrolment.secret).text(&enrolment.device_name).value(&enrolment.person);
            }
            Self::Introduce(introductions) => {
                writer.array(2).uint(INTRODUCE).list(introductions);
            }
            Self::Offer { number, envelope } => {
                writer.array(3).uint(OFFER).uint(*number).bytes(envelope);
            }
            Self::OffersEnd => {
                writer.array(1).uint(OFFERS_END);
            }
            Self::OfferBlobs(blobs) => {
                writer.array(2).uint(OFFER_BLOBS);
                write_blobs(writer, blobs);
            }
            Self::Points { caseload, points } => {
                writer.array(3).uint(POINTS).value(caseload).list(points);
            }
            Self::WantBlobs(blobs) => {
                writer.array(2).uint(WANT_BLOBS);
                write_blobs(writer, blobs);
            }
            Self::WantEnvelopes { caseload, envelopes } => {
                writer.array(3).uint(WANT_ENVELOPES).value(caseload).list(envelopes);
            }
            Self::Bye => {
                writer.array(1).uint(BYE);
            }
            Self::Evicted { caseload } => {
                writer.array(2).uint(EVICTED).value(caseload);
            }
            Self::Welcome(welcome) => {
                writer.array(5).uint(WELCOME).uint(PROTOCOL).uint(welcome.epoch).int(welcome.clock_ms);
                writer.boolean(welcome.recovering);
            }
            Self::Copied => {
                writer.array(1).uint(COPIED);
            }
            Self::Refused(refusal) => {
                let (code, number) = refusal.numbers();
                writer.array(3).uint(REFUSED).uint(code).uint(number);
            }
            Self::Receipt { number, envelope, sequence } => {
                writer.array(4).uint(RECEIPT).uint(*number).value(envelope).uint(*sequence);
            }
            Self::Rejected { number, rejection } => {
                writer.array(3).uint(REJECTED).uint(*number).uint(rejection.number());
            }
            Self::Membership { first, entries } => {
                writer.array(3).uint(MEMBERSHIP).uint(*first).list(entries);
            }
            Self::MembershipTold { last } => {
                writer.array(2).uint(MEMBERSHIP_TOLD).uint(*last);
            }
            Self::Directory { version, reset, rows } => {
                writer.array(4).uint(DIRECTORY).uint(*version).boolean(*reset).list(rows);
            }
            Self::Entries { caseload, first, entries, chain } => {
                writer.array(5).uint(ENTRIES).value(caseload).uint(*first).list(entries).value(chain);
            }
            Self::ChainMismatch { caseload } => {
                writer.array(2).uint(CHAIN_MISMATCH).value(caseload);
            }
            Self::Common { caseload, cursor } => {
                writer.array(3).uint(COMMON).value(caseload).value(cursor);
            }
            Self::Withdrawn { caseload } => {
                writer.array(2).uint(WITHDRAWN).value(caseload);
            }
            Self::Evict { caseload, records } => {
                writer.array(3).uint(EVICT).value(caseload).list(records);
            }
            Self::Envelopes { caseload, envelopes } => {
                writer.array(3).uint(ENVELOPES).value(caseload).array(envelopes.len());
                for envelope in envelopes {
                    writer.bytes(envelope);
                }
            }
            Self::BlobWanted { hash, offset } => {
                writer.array(3).uint(BLOB_WANTED).value(hash).uint(*offset);
            }
            Self::BlobStored { hash } => {
                writer.array(2).uint(BLOB_STORED).value(hash);
            }
            Self::Definition { bytes } => {
                writer.array(2).uint(DEFINITION).bytes(bytes);
            }
            Self::Done { heads } => {
                writer.array(2).uint(DONE).list(heads);
            }
            Self::BlobChunk { hash, length, offset, bytes } => {
                writer.array(5).uint(BLOB_CHUNK).value(hash).uint(*length).uint(*offset).bytes(bytes);
            }
            Self::NoBlob { hash } => {
                writer.array(2).uint(NO_BLOB).value(hash);
            }
            Self::Repair(frame) => frame.write(writer),
            Self::Other { kind } => {
                writer.array(1).uint(*kind);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        // How many elements this version reads after the kind.
        let known = |kind| match kind {
            HELLO => 8,
            ENTRIES | WELCOME | BLOB_CHUNK => 4,
            ENROL | RECEIPT | DIRECTORY => 3,
            OFFER | POINTS | WANT_ENVELOPES | REFUSED | REJECTED | MEMBERSHIP | COMMON | EVICT | ENVELOPES | BLOB_WANTED => 2,
            INTRODUCE | OFFER_BLOBS | WANT_BLOBS | CHAIN_MISMATCH | WITHDRAWN | EVICTED | DONE | NO_BLOB | BLOB_STORED
            | DEFINITION | MEMBERSHIP_TOLD => 1,
            other => RepairFrame::elements(other).unwrap_or(0),
        };
        let (kind, more) = reader.kind(known)?;
        let frame = match kind {
            HELLO => {
                reader.protocol(PROTOCOL, "frame Hello")?;
                Self::Hello(Hello {
                    organisation: reader.value()?,
                    epoch: reader.uint()?,
                    incarnation: reader.value()?,
                    membership: reader.value()?,
                    directory_version: reader.uint()?,
                    clock_ms: reader.int()?,
                    caseloads: reader.list(MAX_CASELOADS)?,
                })
            }
            ENROL => Self::Enrol(Enrolment {
                secret: reader.fixed()?,
                device_name: reader.text(MAX_NAME_BYTES)?,
                person: reader.value()?,
            }),
            INTRODUCE => Self::Introduce(reader.list(MAX_INTRODUCTIONS)?),
            OFFER => Self::Offer { number: reader.uint()?, envelope: reader.bytes(MAX_ENVELOPE_BYTES)?.to_vec() },
            OFFERS_END => Self::OffersEnd,
            OFFER_BLOBS => Self::OfferBlobs(read_blobs(reader)?),
            POINTS => Self::Points { caseload: reader.value()?, points: reader.list(MAX_POINTS)? },
            WANT_BLOBS => Self::WantBlobs(read_blobs(reader)?),
            WANT_ENVELOPES => Self::WantEnvelopes { caseload: reader.value()?, envelopes: reader.list(MAX_ENTRIES_PER_PAGE)? },
            BYE => Self::Bye,
            EVICTED => Self::Evicted { caseload: reader.value()? },
            WELCOME => {
                reader.protocol(PROTOCOL, "frame Welcome")?;
                Self::Welcome(Welcome { epoch: reader.uint()?, clock_ms: reader.int()?, recovering: reader.boolean()? })
            }
            COPIED => Self::Copied,
            REFUSED => Self::Refused(Refusal::of_numbers(reader.uint()?, reader.uint()?)),
            RECEIPT => Self::Receipt { number: reader.uint()?, envelope: reader.value()?, sequence: reader.uint()? },
            REJECTED => Self::Rejected { number: reader.uint()?, rejection: Rejection::of_number(reader.uint()?) },
            MEMBERSHIP => Self::Membership { first: reader.uint()?, entries: reader.list(MAX_MEMBERSHIP_PER_PAGE)? },
            MEMBERSHIP_TOLD => Self::MembershipTold { last: reader.uint()? },
            DIRECTORY => {
                Self::Directory { version: reader.uint()?, reset: reader.boolean()?, rows: reader.list(MAX_DIRECTORY_PER_PAGE)? }
            }
            ENTRIES => Self::Entries {
                caseload: reader.value()?,
                first: reader.uint()?,
                entries: reader.list(MAX_ENTRIES_PER_PAGE)?,
                chain: reader.value()?,
            },
            CHAIN_MISMATCH => Self::ChainMismatch { caseload: reader.value()? },
            COMMON => Self::Common { caseload: reader.value()?, cursor: reader.value()? },
            WITHDRAWN => Self::Withdrawn { caseload: reader.value()? },
            EVICT => Self::Evict { caseload: reader.value()?, records: reader.list(MAX_ENTRIES_PER_PAGE)? },
            ENVELOPES => {
                let caseload = reader.value()?;
                let count = reader.array(0, MAX_ENTRIES_PER_PAGE)?;
                let mut envelopes = Vec::new();
                for _ in 0..count {
                    envelopes.push(reader.bytes(MAX_ENVELOPE_BYTES)?.to_vec());
                }
                Self::Envelopes { caseload, envelopes }
            }
            BLOB_WANTED => Self::BlobWanted { hash: reader.value()?, offset: reader.uint_up_to(MAX_BLOB_BYTES)? },
            BLOB_STORED => Self::BlobStored { hash: reader.value()? },
            DEFINITION => Self::Definition { bytes: reader.bytes(MAX_DEFINITION_BYTES)?.to_vec() },
            DONE => Self::Done { heads: reader.list(MAX_CASELOADS)? },
            BLOB_CHUNK => Self::BlobChunk {
                hash: reader.value()?,
                length: reader.uint_up_to(MAX_BLOB_BYTES)?,
                offset: reader.uint_up_to(MAX_BLOB_BYTES)?,
                bytes: reader.bytes(BLOB_CHUNK_BYTES)?.to_vec(),
            },
            NO_BLOB => Self::NoBlob { hash: reader.value()? },
            kind if RepairFrame::elements(kind).is_some() => Self::Repair(RepairFrame::read(kind, reader)?),
            kind => Self::Other { kind },
        };
        let _: Extra = reader.extra(more)?;
        Ok(frame)
    }
}
