//! The sync session between a device and a server, as two state machines without I/O.
//!
//! A driver gives bytes to `receive`, takes effects from `poll` until there is none, does them, and answers those that ask for
//! something with the method that the effect names. [`Effect::Send`]-like effects hold bytes to be written as they are. One session
//! uses one bidirectional stream; the transport has proved the peer's key before.
//!
//! One round trip when nothing is wrong: the device sends `Hello`, `Introduce`, `Offer`s, `OffersEnd`; the server answers `Welcome`,
//! receipts after durability, membership, directory, entries, `Done`.
//!
//! [`Effect::Send`]: DeviceEffect::Send

mod device;
pub mod frame;
pub mod repair;
mod server;

pub use device::{DeviceEffect, DeviceSession, DeviceStart, Summary};
pub use frame::{CaseloadCursor, Delivered, Enrolment, Frame, Head, Hello, Introduction, Rejection, Welcome};
pub use repair::{Prefix, RepairFrame, Testimony};
pub use server::{Admission, Ingested, ServerEffect, ServerSession};

/// Why a server ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The bytes that came are damaged or no frames of this protocol.
    Malformed,
    /// The protocol is another; the number is the one that the server speaks.
    ProtocolVersion(u64),
    /// The key is no device's of this organisation.
    UnknownDevice,
    /// The device was revoked.
    Revoked,
    /// The device belongs to another organisation.
    WrongOrganisation,
    /// No such invitation.
    InvitationUnknown,
    /// The invitation was used before.
    InvitationUsed,
    /// The invitation's time is over.
    InvitationExpired,
    /// The server was restored and accepts no invitation until recovery is closed.
    Recovering,
    /// Another device's database has the same incarnation: start a new one and write unsent work again.
    CloneSuspected,
    /// Too much at once; try again after so many milliseconds.
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// More than a limit allows.
    TooMuch,
    /// The server failed; nothing that it did not confirm is to be taken for done.
    Failed,
    /// A device that listens for others: this is not the secret that it shows.
    SecretUnknown,
    /// A device that listens for others: no caseload is granted to both.
    NothingShared,
    /// A device that listens for others: each of the two knows decisions of the organisation that the other has not.
    MembershipDiverged,
    /// A reason of a newer version.
    Other(u64),
}

impl Refusal {
    pub(crate) fn numbers(self) -> (u64, u64) {
        match self {
            Self::Malformed => (1, 0),
            Self::ProtocolVersion(version) => (2, version),
            Self::UnknownDevice => (3, 0),
            Self::Revoked => (4, 0),
            Self::WrongOrganisation => (5, 0),
            Self::InvitationUnknown => (6, 0),
            Self::InvitationUsed => (7, 0),
            Self::InvitationExpired => (8, 0),
            Self::Recovering => (9, 0),
            Self::CloneSuspected => (10, 0),
            Self::Busy { retry_after_ms } => (11, retry_after_ms),
            Self::TooMuch => (12, 0),
            Self::Failed => (13, 0),
            Self::SecretUnknown => (14, 0),
            Self::NothingShared => (15, 0),
            Self::MembershipDiverged => (16, 0),
            Self::Other(code) => (code, 0),
        }
    }

    pub(crate) fn of_numbers(code: u64, number: u64) -> Self {
        match code {
            1 => Self::Malformed,
            2 => Self::ProtocolVersion(number),
            3 => Self::UnknownDevice,
            4 => Self::Revoked,
            5 => Self::WrongOrganisation,
            6 => Self::InvitationUnknown,
            7 => Self::InvitationUsed,
            8 => Self::InvitationExpired,
            9 => Self::Recovering,
            10 => Self::CloneSuspected,
            11 => Self::Busy { retry_after_ms: number },
            12 => Self::TooMuch,
            13 => Self::Failed,
            14 => Self::SecretUnknown,
            15 => Self::NothingShared,
            16 => Self::MembershipDiverged,
            other => Self::Other(other),
        }
    }

    /// A name for scripts, such as `InvitationUsed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "Malformed",
            Self::ProtocolVersion(_) => "ProtocolVersion",
            Self::UnknownDevice => "UnknownDevice",
            Self::Revoked => "Revoked",
            Self::WrongOrganisation => "WrongOrganisation",
            Self::InvitationUnknown => "InvitationUnknown",
            Self::InvitationUsed => "InvitationUsed",
            Self::InvitationExpired => "InvitationExpired",
            Self::Recovering => "Recovering",
            Self::CloneSuspected => "CloneSuspected",
            Self::Busy { .. } => "Busy",
            Self::TooMuch => "TooMuch",
            Self::Failed => "Failed",
            Self::SecretUnknown => "SecretUnknown",
            Self::NothingShared => "NothingShared",
            Self::MembershipDiverged => "MembershipDiverged",
            Self::Other(_) => "Other",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => f.write_str("what came was damaged or not understood"),
            Self::ProtocolVersion(version) => write!(f, "the server speaks protocol {version}"),
            Self::UnknownDevice => f.write_str("the device is unknown to this organisation"),
            Self::Revoked => f.write_str("the device was revoked"),
            Self::WrongOrganisation => f.write_str("the device belongs to another organisation"),
            Self::InvitationUnknown => f.write_str("the invitation is unknown"),
            Self::InvitationUsed => f.write_str("the invitation was used before"),
            Self::InvitationExpired => f.write_str("the invitation expired"),
            Self::Recovering => f.write_str("the server was restored and its recovery is not closed"),
            Self::CloneSuspected => f.write_str("another copy of this device's database is in use"),
            Self::Busy { retry_after_ms } => write!(f, "the server is busy, try again in {retry_after_ms} ms"),
            Self::TooMuch => f.write_str("more came than a session may bring"),
            Self::Failed => f.write_str("the server failed"),
            Self::SecretUnknown => f.write_str("this is not what the other device shows now"),
            Self::NothingShared => f.write_str("the two devices have no caseload in common"),
            Self::MembershipDiverged => {
                f.write_str("each of the two devices knows decisions of the organisation that the other has not")
            }
            Self::Other(code) => write!(f, "refusal {code}"),
        }
    }
}

/// What crossed the stream, counted in this session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of frames sent, heads included.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Frames received.
    pub frames_in: u64,
}
