//! The frames of a stream of attachments, as those of a session are: an array that begins with its kind, with what is not known passed over.

use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::error::CodecError;
use crate::ids::{Hash, OrganisationId};
use crate::limits::{MAX_ATTACHMENT_BYTES, MAX_PIECE_BYTES};
use crate::session::Refusal;

/// The protocol that this version speaks on such a stream.
pub(super) const PROTOCOL: u64 = 1;
/// Kinds of these frames begin here.
pub const FIRST_KIND: u64 = 64;

/// Why a server does not take an attachment now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decline {
    /// It is larger than the server takes.
    TooLarge,
    /// The device has brought its share of the day; try again after so many milliseconds.
    ShareUsed {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// What came is not what the name says.
    Damaged,
    /// A reason of a newer version.
    Other(u64),
}

impl Decline {
    fn numbers(self) -> (u64, u64) {
        match self {
            Self::TooLarge => (1, 0),
            Self::ShareUsed { retry_after_ms } => (2, retry_after_ms),
            Self::Damaged => (3, 0),
            Self::Other(reason) => (reason, 0),
        }
    }

    fn of_numbers(reason: u64, number: u64) -> Self {
        match reason {
            1 => Self::TooLarge,
            2 => Self::ShareUsed { retry_after_ms: number },
            3 => Self::Damaged,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for Decline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge => f.write_str("it is larger than the server takes"),
            Self::ShareUsed { .. } => f.write_str("the device's share of the day is used up"),
            Self::Damaged => f.write_str("what came is not what its name says"),
            Self::Other(reason) => write!(f, "reason {reason}"),
        }
    }
}

/// A frame. Numbers count the attachments brought, and those fetched, from 0 in each stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferFrame {
    /// Device: this stream carries attachments. Always first.
    Carry {
        /// The organisation that it takes itself to belong to.
        organisation: OrganisationId,
    },
    /// Device: an attachment that it can give.
    Bring {
        /// Its number among those brought.
        number: u64,
        /// The attachment.
        hash: Hash,
        /// Its length.
        length: u64,
    },
    /// Device: an attachment that it wants.
    Fetch {
        /// Its number among those fetched.
        number: u64,
        /// The attachment.
        hash: Hash,
        /// From where.
        offset: u64,
        /// At most so many bytes.
        limit: u64,
    },
    /// Both: the next bytes of one that the sender gives.
    Piece {
        /// The number under which it was brought or fetched.
        number: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// Server: send one that was brought from this byte on.
    GoOn {
        /// Its number.
        number: u64,
        /// From where.
        offset: u64,
    },
    /// Server: one that was brought is here whole, checked and durable.
    Kept {
        /// Its number.
        number: u64,
    },
    /// Server: one that was brought is not taken now.
    Declined {
        /// Its number.
        number: u64,
        /// Why.
        decline: Decline,
    },
    /// Server: one that was fetched comes, in pieces that follow.
    Coming {
        /// Its number.
        number: u64,
        /// The attachment's length.
        length: u64,
    },
    /// Server: one that was fetched is not to be had now.
    Absent {
        /// Its number.
        number: u64,
    },
    /// Server: not you, or not now.
    Refused(Refusal),
    /// A frame of a newer version: passed over.
    Other {
        /// Its kind.
        kind: u64,
    },
}

const CARRY: u64 = 64;
const BRING: u64 = 65;
const FETCH: u64 = 66;
const PIECE: u64 = 67;
const GO_ON: u64 = 68;
const KEPT: u64 = 69;
const DECLINED: u64 = 70;
const COMING: u64 = 71;
const ABSENT: u64 = 72;
const REFUSED: u64 = 73;

impl TransferFrame {
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
            Self::Carry { .. } => "Carry",
            Self::Bring { .. } => "Bring",
            Self::Fetch { .. } => "Fetch",
            Self::Piece { .. } => "Piece",
            Self::GoOn { .. } => "GoOn",
            Self::Kept { .. } => "Kept",
            Self::Declined { .. } => "Declined",
            Self::Coming { .. } => "Coming",
            Self::Absent { .. } => "Absent",
            Self::Refused(_) => "Refused",
            Self::Other { .. } => "of a newer version",
        }
    }
}

impl Wire for TransferFrame {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Carry { organisation } => {
                writer.array(3).uint(CARRY).uint(PROTOCOL).value(organisation);
            }
            Self::Bring { number, hash, length } => {
                writer.array(4).uint(BRING).uint(*number).value(hash).uint(*length);
            }
            Self::Fetch { number, hash, offset, limit } => {
                writer.array(5).uint(FETCH).uint(*number).value(hash).uint(*offset).uint(*limit);
            }
            Self::Piece { number, offset, bytes } => {
                writer.array(4).uint(PIECE).uint(*number).uint(*offset).bytes(bytes);
            }
            Self::GoOn { number, offset } => {
                writer.array(3).uint(GO_ON).uint(*number).uint(*offset);
            }
            Self::Kept { number } => {
                writer.array(2).uint(KEPT).uint(*number);
            }
            Self::Declined { number, decline } => {
                let (reason, detail) = decline.numbers();
                writer.array(4).uint(DECLINED).uint(*number).uint(reason).uint(detail);
            }
            Self::Coming { number, length } => {
                writer.array(3).uint(COMING).uint(*number).uint(*length);
            }
            Self::Absent { number } => {
                writer.array(2).uint(ABSENT).uint(*number);
            }
            Self::Refused(refusal) => {
                let (code, detail) = refusal.numbers();
                writer.array(3).uint(REFUSED).uint(code).uint(detail);
            }
            Self::Other { kind } => {
                writer.array(1).uint(*kind);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        // How many elements this version reads after the kind.
        let known = |kind| match kind {
            FETCH => 4,
            BRING | PIECE | DECLINED => 3,
            CARRY | GO_ON | COMING | REFUSED => 2,
            KEPT | ABSENT => 1,
            _ => 0,
        };
        let (kind, more) = reader.kind(known)?;
        let frame = match kind {
            CARRY => {
                reader.protocol(PROTOCOL, "frame Carry")?;
                Self::Carry { organisation: reader.value()? }
            }
            BRING => {
                Self::Bring { number: reader.uint()?, hash: reader.value()?, length: reader.uint_up_to(MAX_ATTACHMENT_BYTES)? }
            }
            FETCH => Self::Fetch {
                number: reader.uint()?,
                hash: reader.value()?,
                offset: reader.uint_up_to(MAX_ATTACHMENT_BYTES)?,
                limit: reader.uint()?,
            },
            PIECE => Self::Piece {
                number: reader.uint()?,
                offset: reader.uint_up_to(MAX_ATTACHMENT_BYTES)?,
                bytes: reader.bytes(MAX_PIECE_BYTES)?.to_vec(),
            },
            GO_ON => Self::GoOn { number: reader.uint()?, offset: reader.uint_up_to(MAX_ATTACHMENT_BYTES)? },
            KEPT => Self::Kept { number: reader.uint()? },
            DECLINED => Self::Declined { number: reader.uint()?, decline: Decline::of_numbers(reader.uint()?, reader.uint()?) },
            COMING => Self::Coming { number: reader.uint()?, length: reader.uint_up_to(MAX_ATTACHMENT_BYTES)? },
            ABSENT => Self::Absent { number: reader.uint()? },
            REFUSED => Self::Refused(Refusal::of_numbers(reader.uint()?, reader.uint()?)),
            kind => Self::Other { kind },
        };
        let _: Extra = reader.extra(more)?;
        Ok(frame)
    }
}
