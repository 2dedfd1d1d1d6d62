//! What can go wrong, one enum a room. None holds a value, a name or an answer: positions, counts, kinds and identifiers only.

use crate::ids::Hash;
use crate::membership::Role;
use crate::text::TextError;

/// Bytes that are not the CBOR expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Another kind of item stands there, or the bytes end.
    #[error("{what}: expected {expected} at byte {at}")]
    Expected {
        /// What was being read.
        what: &'static str,
        /// The kind of item.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// An item could have been written shorter.
    #[error("{what}: the item at byte {at} is not in its shortest form")]
    NotShortest {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// More than a limit allows.
    #[error("{what}: at most {limit} expected, {came} came")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// The length, count or number that came.
        came: u64,
    },
    /// Less than needed.
    #[error("{what}: at least {least} expected, {came} came")]
    TooShort {
        /// What was being read.
        what: &'static str,
        /// What is needed.
        least: usize,
        /// What came.
        came: u64,
    },
    /// Nested too deeply.
    #[error("{what}: nested deeper than {limit}")]
    TooDeep {
        /// What was being read.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Bytes after the end.
    #[error("{what}: {bytes} bytes after its end")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many.
        bytes: usize,
    },
    /// A number that names none of the known things, where only known ones are allowed.
    #[error("{what}: {came} is none of the known {expected}")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// What it should name.
        expected: &'static str,
        /// The number.
        came: u64,
    },
}

/// A key or signature that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no ed25519 key.
    #[error("expected an ed25519 public key")]
    NotAKey,
    /// The signature is not of this key over these bytes.
    #[error("the signature does not hold")]
    BadSignature,
}

/// An envelope that cannot be sealed, read or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the CBOR expected.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The signature does not hold.
    #[error("envelope: {0}")]
    Key(#[from] KeyError),
    /// A format or set of algorithms of another version.
    #[error("envelope: format {format} with algorithms {algorithms}, of which this version knows format 1 with algorithms 1")]
    Version {
        /// The format that came.
        format: u64,
        /// The algorithms that came.
        algorithms: u64,
    },
    /// The key that signs is not the key of the device that the header names.
    #[error("envelope: the header names another device than the key that signs")]
    WrongDevice,
    /// The body does not hold what the header signs.
    #[error("envelope: the body is not the one that the header signs")]
    WrongBody,
    /// The body has another number of changes than the header says.
    #[error("envelope: the header signs {expected} changes, the body holds {came}")]
    WrongCount {
        /// Signed.
        expected: usize,
        /// In the body.
        came: usize,
    },
    /// No change at all.
    #[error("envelope: expected at least one change")]
    Empty,
    /// More changes or bytes than a limit allows.
    #[error("envelope: {what} must be at most {limit}, {came} came")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What came.
        came: usize,
    },
    /// The body's inner lengths do not add up, or its encoding is unknown.
    #[error("envelope body: expected {expected}")]
    Body {
        /// What was expected.
        expected: &'static str,
    },
    /// A pruned change was asked for by a number that the envelope does not have.
    #[error("envelope: no change number {0}")]
    NoSuchChange(usize),
}

/// A log that does not follow from itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not the CBOR expected.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A page does not begin where the one before ended.
    #[error("log: expected entry {expected}, {came} came")]
    Gap {
        /// The next sequence number.
        expected: u64,
        /// The one that came.
        came: u64,
    },
    /// The chain over the entries is not the one announced.
    #[error("log: the chain at entry {sequence} is not the one announced")]
    Chain {
        /// Where.
        sequence: u64,
    },
    /// Of the membership log less came than was told. What was written under the rest may not be taken in.
    #[error("membership log: told to entry {told}, of which {came} came")]
    Membership {
        /// The number of the last entry told.
        told: u64,
        /// The number of the last one that came.
        came: u64,
    },
    /// An envelope was delivered that its entry does not name.
    #[error("log: the envelope delivered with entry {sequence} is not the one that it names")]
    WrongEnvelope {
        /// Where.
        sequence: u64,
    },
}

/// A membership entry that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Not the CBOR expected.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The signature does not hold.
    #[error("membership: {0}")]
    Key(#[from] KeyError),
    /// A version of the entry that is not known.
    #[error("membership: entry of version {came}, of which this version knows 1")]
    Version {
        /// What came.
        came: u64,
    },
    /// The log does not begin with the root, or has a second one.
    #[error("membership: the root must be the first entry and the only root")]
    Root,
    /// An entry of another organisation.
    #[error("membership: the entry is of another organisation")]
    WrongOrganisation,
    /// The signer has no right to decide this.
    #[error("membership: the signer may not decide {what}")]
    NotAllowed {
        /// What was decided.
        what: &'static str,
    },
    /// What the entry names does not exist.
    #[error("membership: the {what} that the entry names is unknown")]
    Unknown {
        /// What was named.
        what: &'static str,
    },
    /// What the entry makes exists already.
    #[error("membership: the {what} exists already")]
    Exists {
        /// What was made.
        what: &'static str,
    },
    /// An invitation that was used before.
    #[error("membership: the invitation was used before")]
    InvitationUsed,
    /// More than an invitation gives.
    #[error("membership: the device would get more than its invitation gives")]
    BeyondInvitation,
}

/// Why somebody may not write to a caseload, or read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEntitled {
    /// No such device.
    #[error("the device is not known")]
    UnknownDevice,
    /// The device was revoked.
    #[error("the device was revoked")]
    DeviceRevoked,
    /// No such person.
    #[error("the person is not known")]
    UnknownPerson,
    /// The person was disabled.
    #[error("the person was disabled")]
    PersonDisabled,
    /// No such caseload.
    #[error("the caseload is not known")]
    UnknownCaseload,
    /// The device was not granted the caseload.
    #[error("the device is not entitled to the caseload")]
    DeviceNotGranted,
    /// The person was not granted the caseload.
    #[error("the person is not entitled to the caseload")]
    PersonNotGranted,
    /// The role writes nothing.
    #[error("the role {0} writes no records")]
    Role(Role),
}

/// An invitation that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Not the CBOR expected.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The text does not begin as invitations do.
    #[error("expected an invitation, a text that begins with karwan1:")]
    NotAnInvitation,
    /// A character that the alphabet lacks.
    #[error("the invitation has a wrong character at place {at}")]
    Character {
        /// Counted from the colon, beginning with 1.
        at: usize,
    },
    /// The text was changed or cut off.
    #[error("the invitation is incomplete or mistyped")]
    Mistyped,
    /// The certificate of the server is not by the root of the same invitation.
    #[error("the invitation's server is not certified by its root: {0}")]
    Certificate(MembershipError),
    /// Its time is over.
    #[error("the invitation expired at {expired_at_ms} ms, and it is {now_ms} ms")]
    Expired {
        /// Milliseconds since 1970.
        expired_at_ms: i64,
        /// Milliseconds since 1970.
        now_ms: i64,
    },
}

/// A text that is not what a device shows to another that it is to meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeetingError {
    /// Not the CBOR expected.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The text does not begin as these do.
    #[error("expected what another device shows, a text that begins with karwan-meet1:")]
    NotAMeeting,
    /// A character that the alphabet lacks.
    #[error("the other device's text has a wrong character at place {at}")]
    Character {
        /// Counted from the colon, beginning with 1.
        at: usize,
    },
    /// The text was changed or cut off.
    #[error("the other device's text is incomplete or mistyped")]
    Mistyped,
}

impl From<TextError> for MeetingError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Prefix => Self::NotAMeeting,
            TextError::Character { at } => Self::Character { at },
            TextError::Mistyped => Self::Mistyped,
        }
    }
}

impl From<TextError> for InvitationError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Prefix => Self::NotAnInvitation,
            TextError::Character { at } => Self::Character { at },
            TextError::Mistyped => Self::Mistyped,
        }
    }
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The head of a frame is damaged.
    #[error("frame {number}: its head is damaged")]
    Head {
        /// Counted from 1 in this direction.
        number: u64,
    },
    /// Longer than a frame may be.
    #[error("frame {number}: at most {limit} bytes expected, {came} announced")]
    TooLong {
        /// Counted from 1 in this direction.
        number: u64,
        /// The limit.
        limit: usize,
        /// Announced.
        came: u64,
    },
    /// The payload is damaged.
    #[error("frame {number}: its payload is damaged")]
    Payload {
        /// Counted from 1 in this direction.
        number: u64,
    },
    /// The stream ended within a frame.
    #[error("frame {number}: the stream ended after {came} of its bytes")]
    CutOff {
        /// Counted from 1 in this direction.
        number: u64,
        /// Bytes that came.
        came: usize,
    },
    /// The payload is none of the known frames.
    #[error("frame {number}: {cause}")]
    Codec {
        /// Counted from 1 in this direction.
        number: u64,
        /// Why.
        cause: CodecError,
    },
}

/// A session that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The bytes are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The log that came does not follow from itself.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The other side refused.
    #[error("refused: {0}")]
    Refused(crate::session::Refusal),
    /// A frame that does not belong there.
    #[error("expected {expected}, a frame {came} came")]
    OutOfPlace {
        /// What belongs there.
        expected: &'static str,
        /// The kind of the frame.
        came: &'static str,
    },
    /// A receipt for something else than was offered.
    #[error("a receipt came for an envelope {0} that was not offered")]
    WrongReceipt(Hash),
    /// More than a limit allows.
    #[error("{what}: at most {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Nothing came for too long.
    #[error("nothing came for {idle_ms} ms")]
    Idle {
        /// How long.
        idle_ms: u64,
    },
    /// The stream ended before the session did.
    #[error("the stream ended before the session did")]
    CutOff,
    /// The driver answered what was not asked.
    #[error("the driver answered {0}, which was not asked for")]
    Driver(&'static str),
}
