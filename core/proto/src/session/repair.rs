//! The frames of repair: a server that was restored from a backup, or lost its place in any other way, gets back what its devices hold.
//! Membership first, then what the logs lacked, found by the first bytes of envelopes' names.

use crate::codec::{Reader, Wire, Writer};
use crate::directory::DirectoryRow;
use crate::error::CodecError;
use crate::ids::{CaseloadId, Hash};
use crate::limits::{
    MAX_DIRECTORY_PER_PAGE, MAX_ENTRY_BYTES, MAX_ENVELOPE_BYTES, MAX_FORMS_PER_FRAME, MAX_MEMBERSHIP_PER_PAGE, MAX_POINTS,
    MAX_PREFIXES_PER_FRAME, MAX_VERDICTS_PER_ENTRY,
};
use crate::log::{Cursor, RecordVerdict};
use crate::membership::{Role, SignedEntry};

/// Length of a [`Prefix`].
pub const PREFIX_BYTES: usize = 8;

/// The first bytes of an envelope's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(pub [u8; PREFIX_BYTES]);

impl Prefix {
    /// Of this envelope.
    pub fn of(envelope: Hash) -> Self {
        let mut prefix = [0u8; PREFIX_BYTES];
        prefix.iter_mut().zip(envelope.0).for_each(|(into, byte)| *into = byte);
        Self(prefix)
    }
}

/// What a log that is no more said of an envelope, as a device remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// Its place in that log.
    pub sequence: u64,
    /// In which role its author wrote.
    pub role: Role,
    /// What was not accepted of it.
    pub refused: Vec<RecordVerdict>,
}

impl Wire for Testimony {
    fn write(&self, writer: &mut Writer) {
        writer.array(3).uint(self.sequence).value(&self.role).list(&self.refused);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(3, 3)?;
        let sequence = reader.uint()?;
        // A role of a newer version has no rights here.
        let role = Role::of_number(reader.uint()?).unwrap_or(Role::Enumerator);
        Ok(Self { sequence, role, refused: reader.list(MAX_VERDICTS_PER_ENTRY)? })
    }
}

/// A frame of repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepairFrame {
    /// Device: points of the membership log that it holds, newest first, after [`RepairFrame::MembershipMismatch`].
    MembershipPoints(Vec<Cursor>),
    /// Device: entries of the membership log after the common point, in order.
    OfferMembership {
        /// The entries.
        entries: Vec<SignedEntry>,
        /// No others follow.
        last: bool,
    },
    /// Device: envelopes of a caseload that it holds and this log may lack.
    Prefixes {
        /// The caseload.
        caseload: CaseloadId,
        /// The beginnings of their names.
        prefixes: Vec<Prefix>,
    },
    /// Device: an envelope that another log had, numbered as an offer.
    Reoffer {
        /// Its number in this session.
        number: u64,
        /// Its bytes.
        envelope: Vec<u8>,
        /// What that log said of it.
        testimony: Testimony,
    },
    /// Device: the form entries of a caseload's log, while the server recovers.
    OfferForms {
        /// The caseload.
        caseload: CaseloadId,
        /// The entries' bytes.
        entries: Vec<Vec<u8>>,
    },
    /// Device: names that it knows, while the server recovers.
    OfferNames(Vec<DirectoryRow>),
    /// Server: the device holds membership entries that are not in this log; send points.
    MembershipMismatch,
    /// Server: the last point of the membership log in common; send what follows it.
    MembershipCommon(Cursor),
    /// Server: nothing is kept of this offer yet; offer it again after the membership entries.
    Deferred {
        /// Its number in this session.
        number: u64,
    },
    /// Server: those of the prefixes asked about that it wants to have.
    Lacking {
        /// The caseload.
        caseload: CaseloadId,
        /// The prefixes.
        prefixes: Vec<Prefix>,
    },
}

const MEMBERSHIP_POINTS: u64 = 12;
const OFFER_MEMBERSHIP: u64 = 13;
const PREFIXES: u64 = 14;
const REOFFER: u64 = 15;
const OFFER_FORMS: u64 = 16;
const OFFER_NAMES: u64 = 17;
const MEMBERSHIP_MISMATCH: u64 = 45;
const MEMBERSHIP_COMMON: u64 = 46;
const DEFERRED: u64 = 47;
const LACKING: u64 = 48;

fn write_prefixes(writer: &mut Writer, prefixes: &[Prefix]) {
    let bytes: Vec<u8> = prefixes.iter().flat_map(|prefix| prefix.0).collect();
    writer.bytes(&bytes);
}

fn read_prefixes(reader: &mut Reader<'_>) -> Result<Vec<Prefix>, CodecError> {
    let bytes = reader.bytes(MAX_PREFIXES_PER_FRAME * PREFIX_BYTES)?;
    let (whole, rest) = bytes.as_chunks::<PREFIX_BYTES>();
    if !rest.is_empty() {
        return Err(CodecError::TooShort { what: "prefixes", least: PREFIX_BYTES, came: rest.len() as u64 });
    }
    Ok(whole.iter().copied().map(Prefix).collect())
}

impl RepairFrame {
    /// How many elements after the kind this version reads; `None` where the kind is no repair's.
    pub(super) fn elements(kind: u64) -> Option<usize> {
        Some(match kind {
            MEMBERSHIP_MISMATCH => 0,
            MEMBERSHIP_POINTS | OFFER_NAMES | MEMBERSHIP_COMMON | DEFERRED => 1,
            OFFER_MEMBERSHIP | PREFIXES | OFFER_FORMS | LACKING => 2,
            REOFFER => 3,
            _ => return None,
        })
    }

    /// What the frame is called, for a message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MembershipPoints(_) => "MembershipPoints",
            Self::OfferMembership { .. } => "OfferMembership",
            Self::Prefixes { .. } => "Prefixes",
            Self::Reoffer { .. } => "Reoffer",
            Self::OfferForms { .. } => "OfferForms",
            Self::OfferNames(_) => "OfferNames",
            Self::MembershipMismatch => "MembershipMismatch",
            Self::MembershipCommon(_) => "MembershipCommon",
            Self::Deferred { .. } => "Deferred",
            Self::Lacking { .. } => "Lacking",
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::MembershipPoints(points) => {
                writer.array(2).uint(MEMBERSHIP_POINTS).list(points);
            }
            Self::OfferMembership { entries, last } => {
                writer.array(3).uint(OFFER_MEMBERSHIP).list(entries).boolean(*last);
            }
            Self::Prefixes { caseload, prefixes } => {
                writer.array(3).uint(PREFIXES).value(caseload);
                write_prefixes(writer, prefixes);
            }
            Self::Reoffer { number, envelope, testimony } => {
                writer.array(4).uint(REOFFER).uint(*number).bytes(envelope).value(testimony);
            }
            Self::OfferForms { caseload, entries } => {
                writer.array(3).uint(OFFER_FORMS).value(caseload).array(entries.len());
                for entry in entries {
                    writer.bytes(entry);
                }
            }
            Self::OfferNames(rows) => {
                writer.array(2).uint(OFFER_NAMES).list(rows);
            }
            Self::MembershipMismatch => {
                writer.array(1).uint(MEMBERSHIP_MISMATCH);
            }
            Self::MembershipCommon(cursor) => {
                writer.array(2).uint(MEMBERSHIP_COMMON).value(cursor);
            }
            Self::Deferred { number } => {
                writer.array(2).uint(DEFERRED).uint(*number);
            }
            Self::Lacking { caseload, prefixes } => {
                writer.array(3).uint(LACKING).value(caseload);
                write_prefixes(writer, prefixes);
            }
        }
    }

    /// Reads what follows the kind.
    pub(super) fn read(kind: u64, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match kind {
            MEMBERSHIP_POINTS => Self::MembershipPoints(reader.list(MAX_POINTS)?),
            OFFER_MEMBERSHIP => Self::OfferMembership { entries: reader.list(MAX_MEMBERSHIP_PER_PAGE)?, last: reader.boolean()? },
            PREFIXES => Self::Prefixes { caseload: reader.value()?, prefixes: read_prefixes(reader)? },
            REOFFER => Self::Reoffer {
                number: reader.uint()?,
                envelope: reader.bytes(MAX_ENVELOPE_BYTES)?.to_vec(),
                testimony: reader.value()?,
            },
            OFFER_FORMS => {
                let caseload = reader.value()?;
                let count = reader.array(0, MAX_FORMS_PER_FRAME)?;
                let mut entries = Vec::new();
                for _ in 0..count {
                    entries.push(reader.bytes(MAX_ENTRY_BYTES)?.to_vec());
                }
                Self::OfferForms { caseload, entries }
            }
            OFFER_NAMES => Self::OfferNames(reader.list(MAX_DIRECTORY_PER_PAGE)?),
            MEMBERSHIP_COMMON => Self::MembershipCommon(reader.value()?),
            DEFERRED => Self::Deferred { number: reader.uint()? },
            LACKING => Self::Lacking { caseload: reader.value()?, prefixes: read_prefixes(reader)? },
            _ => Self::MembershipMismatch,
        })
    }
}
