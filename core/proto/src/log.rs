//! The log of a caseload: a dense sequence of entries, each chained to the one before. [`entry_hash`] and [`chain`] are how a device
//! knows that it holds the same prefix as the server; [`Cursor`] is that prefix in 40 bytes.

use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::error::{CodecError, LogError};
use crate::ids::{CaseloadId, Hash, RecordId};
use crate::limits::{MAX_ENTRY_BYTES, MAX_MEDIA_PER_FORM, MAX_NAME_BYTES, MAX_VERDICTS_PER_ENTRY};
use crate::membership::Role;

/// Why a change is not accepted (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It cannot be read, or is damaged.
    Malformed,
    /// Its actor or author is not the one who may have made it.
    Author,
    /// Its actor's sequence number was used before, or does not follow.
    Sequence,
    /// What it depends on is missing.
    Dependency,
    /// It has more operations, or is larger, than a change may.
    TooLarge,
    /// It makes a container where none may be, or of another kind.
    Shape,
    /// It replaces values that its author cannot have seen.
    Predecessor,
    /// It is not encoded in the one canonical way.
    NotCanonical,
    /// The author's role may not write what it writes.
    Role,
    /// The device or person was revoked, or lost the caseload, before it came.
    Revoked,
    /// The device or person was not granted the caseload.
    NotGranted,
    /// Another device's database has the same incarnation.
    Clone,
    /// The record was moved to another caseload.
    Moved,
    /// The record is of an older generation than the one that stands.
    Generation,
    /// It depends on a change that was not accepted.
    DependsOnRefused,
    /// Somebody decided that it does not count.
    Declined,
    /// A reason of a newer version.
    Other(u64),
}

const REASONS: [Reason; 16] = [
    Reason::Malformed,
    Reason::Author,
    Reason::Sequence,
    Reason::Dependency,
    Reason::TooLarge,
    Reason::Shape,
    Reason::Predecessor,
    Reason::NotCanonical,
    Reason::Role,
    Reason::Revoked,
    Reason::NotGranted,
    Reason::Clone,
    Reason::Moved,
    Reason::Generation,
    Reason::DependsOnRefused,
    Reason::Declined,
];

impl Reason {
    /// The number on the wire.
    pub fn number(self) -> u64 {
        match self {
            Self::Other(number) => number,
            known => REASONS.iter().position(|reason| *reason == known).map_or(u64::MAX, |position| position as u64 + 1),
        }
    }

    /// The reason with this number.
    pub fn of_number(number: u64) -> Self {
        let known = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).and_then(|place| REASONS.get(place));
        known.copied().unwrap_or(Self::Other(number))
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::Author => "wrong author",
            Self::Sequence => "wrong sequence",
            Self::Dependency => "missing dependency",
            Self::TooLarge => "too large",
            Self::Shape => "wrong shape",
            Self::Predecessor => "wrong predecessor",
            Self::NotCanonical => "not canonical",
            Self::Role => "not allowed by the role",
            Self::Revoked => "revoked",
            Self::NotGranted => "not granted",
            Self::Clone => "cloned device",
            Self::Moved => "record moved",
            Self::Generation => "older generation",
            Self::DependsOnRefused => "depends on what was refused",
            Self::Declined => "declined",
            Self::Other(number) => return write!(f, "reason {number}"),
        })
    }
}

/// What the server decided of one record's changes in an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// They count.
    Accepted,
    /// Something is missing; they count when it has come.
    Waiting(Reason),
    /// Somebody must decide; they do not count.
    Quarantined(Reason),
    /// The record was erased.
    Erased,
    /// A verdict of a newer version, which does not count as accepted.
    Other(u64, u64),
}

impl Verdict {
    /// Whether the changes count.
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }

    fn numbers(self) -> (u64, u64) {
        match self {
            Self::Accepted => (0, 0),
            Self::Waiting(reason) => (1, reason.number()),
            Self::Quarantined(reason) => (2, reason.number()),
            Self::Erased => (3, 0),
            Self::Other(kind, reason) => (kind, reason),
        }
    }
}

impl Wire for Verdict {
    fn write(&self, writer: &mut Writer) {
        let (kind, reason) = self.numbers();
        writer.array(2).uint(kind).uint(reason);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(match (reader.uint()?, reader.uint()?) {
            (0, 0) => Self::Accepted,
            (1, reason) => Self::Waiting(Reason::of_number(reason)),
            (2, reason) => Self::Quarantined(Reason::of_number(reason)),
            (3, 0) => Self::Erased,
            (kind, reason) => Self::Other(kind, reason),
        })
    }
}

/// The verdict on one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordVerdict {
    /// The record.
    pub record: RecordId,
    /// What was decided.
    pub verdict: Verdict,
}

impl Wire for RecordVerdict {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).value(&self.record).value(&self.verdict);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { record: reader.value()?, verdict: reader.value()? })
    }
}

/// A file that belongs to a form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaFile {
    /// Its name, as the form refers to it.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub hash: Hash,
}

impl Wire for MediaFile {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).text(&self.name).value(&self.hash);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { name: reader.text(MAX_NAME_BYTES)?, hash: reader.value()? })
    }
}

/// One entry of a caseload's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// An envelope came in.
    Envelope {
        /// Its name.
        envelope: Hash,
        /// When the server took it in, by the server's clock, in milliseconds since 1970.
        received_at_ms: i64,
        /// Version of the rules that judged it.
        gate_version: u64,
        /// In which role its author wrote, when it came in: nobody computes that again from what stands later.
        role: Role,
        /// The records whose changes are not accepted; all others are.
        refused: Vec<RecordVerdict>,
        /// What a newer version added.
        extra: Extra,
    },
    /// A later change of mind about one record's changes in an envelope.
    Verdict {
        /// The envelope.
        envelope: Hash,
        /// The record.
        record: RecordId,
        /// What counts from here on.
        verdict: Verdict,
        /// When it was decided, by the server's clock, in milliseconds since 1970.
        decided_at_ms: i64,
        /// What a newer version added.
        extra: Extra,
    },
    /// A form is published, or retired.
    Form {
        /// The form's identifier.
        form_id: String,
        /// The form's version.
        version: String,
        /// BLAKE3 of its definition.
        definition: Hash,
        /// The files that belong to it.
        media: Vec<MediaFile>,
        /// No new interviews with it.
        retired: bool,
        /// What a newer version added.
        extra: Extra,
    },
    /// Changes of a record in an envelope that has no entry of its own here, or not for them, are in this log from here on: the record
    /// moved here. The envelope comes with all but this record pruned.
    Opened {
        /// The envelope, whose header may name another caseload.
        envelope: Hash,
        /// The record.
        record: RecordId,
        /// When the server took the envelope in, by the server's clock, in milliseconds since 1970.
        received_at_ms: i64,
        /// In which role its author wrote.
        role: Role,
        /// What counts of them.
        verdict: Verdict,
        /// What a newer version added.
        extra: Extra,
    },
    /// A record is in this log no more: it was erased, or moved elsewhere.
    Closed {
        /// The record.
        record: RecordId,
        /// What a newer version added.
        extra: Extra,
    },
    /// This generation of a record stands from here on; what was written to an older one does not count any more.
    Generation {
        /// The record.
        record: RecordId,
        /// The generation.
        generation: u32,
        /// What a newer version added.
        extra: Extra,
    },
    /// An entry of a newer version: counted in the chain and kept.
    Other {
        /// Its kind.
        kind: u64,
        /// What follows the kind.
        content: Extra,
    },
}

const ENTRY_ENVELOPE: u64 = 1;
const ENTRY_VERDICT: u64 = 2;
const ENTRY_FORM: u64 = 3;
const ENTRY_OPENED: u64 = 4;
const ENTRY_CLOSED: u64 = 5;
const ENTRY_GENERATION: u64 = 6;

impl Wire for LogEntry {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Envelope { envelope, received_at_ms, gate_version, role, refused, extra } => {
                writer.array(6 + extra.count()).uint(ENTRY_ENVELOPE).value(envelope).int(*received_at_ms);
                writer.uint(*gate_version).value(role).list(refused).extra(extra);
            }
            Self::Verdict { envelope, record, verdict, decided_at_ms, extra } => {
                writer.array(5 + extra.count()).uint(ENTRY_VERDICT).value(envelope).value(record).value(verdict);
                writer.int(*decided_at_ms).extra(extra);
            }
            Self::Form { form_id, version, definition, media, retired, extra } => {
                writer.array(6 + extra.count()).uint(ENTRY_FORM).text(form_id).text(version).value(definition);
                writer.list(media).boolean(*retired).extra(extra);
            }
            Self::Opened { envelope, record, received_at_ms, role, verdict, extra } => {
                writer.array(6 + extra.count()).uint(ENTRY_OPENED).value(envelope).value(record).int(*received_at_ms);
                writer.value(role).value(verdict).extra(extra);
            }
            Self::Closed { record, extra } => {
                writer.array(2 + extra.count()).uint(ENTRY_CLOSED).value(record).extra(extra);
            }
            Self::Generation { record, generation, extra } => {
                writer.array(3 + extra.count()).uint(ENTRY_GENERATION).value(record).uint(u64::from(*generation)).extra(extra);
            }
            Self::Other { kind, content } => {
                writer.array(1 + content.count()).uint(*kind).extra(content);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let after_kind = reader.record(1)?;
        let kind = reader.uint()?;
        let more = |known: usize| {
            after_kind.checked_sub(known).ok_or(CodecError::TooShort {
                what: "log entry",
                least: known + 1,
                came: after_kind as u64 + 1,
            })
        };
        Ok(match kind {
            ENTRY_ENVELOPE => Self::Envelope {
                envelope: reader.value()?,
                received_at_ms: reader.int()?,
                gate_version: reader.uint()?,
                // A role of a newer version has no rights here.
                role: Role::of_number(reader.uint()?).unwrap_or(Role::Enumerator),
                refused: reader.list(MAX_VERDICTS_PER_ENTRY)?,
                extra: reader.extra(more(5)?)?,
            },
            ENTRY_VERDICT => Self::Verdict {
                envelope: reader.value()?,
                record: reader.value()?,
                verdict: reader.value()?,
                decided_at_ms: reader.int()?,
                extra: reader.extra(more(4)?)?,
            },
            ENTRY_FORM => Self::Form {
                form_id: reader.text(MAX_NAME_BYTES)?,
                version: reader.text(MAX_NAME_BYTES)?,
                definition: reader.value()?,
                media: reader.list(MAX_MEDIA_PER_FORM)?,
                retired: reader.boolean()?,
                extra: reader.extra(more(5)?)?,
            },
            ENTRY_OPENED => Self::Opened {
                envelope: reader.value()?,
                record: reader.value()?,
                received_at_ms: reader.int()?,
                role: Role::of_number(reader.uint()?).unwrap_or(Role::Enumerator),
                verdict: reader.value()?,
                extra: reader.extra(more(5)?)?,
            },
            ENTRY_CLOSED => Self::Closed { record: reader.value()?, extra: reader.extra(more(1)?)? },
            ENTRY_GENERATION => Self::Generation {
                record: reader.value()?,
                generation: reader.uint_up_to(u64::from(u32::MAX))? as u32,
                extra: reader.extra(more(2)?)?,
            },
            kind => Self::Other { kind, content: reader.extra(after_kind)? },
        })
    }
}

impl LogEntry {
    /// The bytes that are stored, sent and hashed.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The envelope that is delivered with the entry, where there is one.
    pub fn envelope(&self) -> Option<Hash> {
        match self {
            Self::Envelope { envelope, .. } | Self::Opened { envelope, .. } => Some(*envelope),
            _ => None,
        }
    }

    /// Reads [`LogEntry::encode`]; an entry of a newer version becomes [`LogEntry::Other`].
    ///
    /// # Errors
    /// [`LogError::Codec`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > MAX_ENTRY_BYTES {
            let cause = CodecError::TooLong { what: "log entry", limit: MAX_ENTRY_BYTES, came: bytes.len() as u64 };
            return Err(cause.into());
        }
        Ok(codec::decode(bytes, "log entry")?)
    }
}

/// BLAKE3 of an entry's bytes.
pub fn entry_hash(entry: &[u8]) -> Hash {
    Hash(*blake3::hash(entry).as_bytes())
}

/// `chain(n) = BLAKE3(chain(n-1) ‖ entry hash)`.
pub fn chain(previous: Hash, entry: Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&previous.0).update(&entry.0);
    Hash(*hasher.finalize().as_bytes())
}

/// A point of a log: how many entries there are up to it, and the chain over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The last entry's number; the first entry is 1.
    pub sequence: u64,
    /// The chain up to and with it.
    pub chain: Hash,
}

impl Cursor {
    /// Before the first entry of a caseload's log.
    pub fn start_of(caseload: CaseloadId) -> Self {
        Self { sequence: 0, chain: Hash(blake3::derive_key("karwan 2026 caseload log", &caseload.0)) }
    }

    /// The point after one more entry, given as its bytes.
    #[must_use]
    pub fn after(self, entry: &[u8]) -> Self {
        Self { sequence: self.sequence.saturating_add(1), chain: chain(self.chain, entry_hash(entry)) }
    }
}

impl Wire for Cursor {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).uint(self.sequence).value(&self.chain);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { sequence: reader.uint()?, chain: reader.value()? })
    }
}

/// Which of a log's points a device sends after a mismatch: dense near the end, then twice as far each time, the start always.
pub fn point_sequences(head: u64) -> Vec<u64> {
    let mut sequences = Vec::new();
    let mut back = 0;
    while back < head {
        sequences.push(head - back);
        back = if back < 8 { back + 1 } else { back * 2 };
    }
    sequences.push(0);
    sequences
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_entry_of_a_newer_version_is_kept_and_counts_in_the_chain() {
        // [77, "new", [1, 2]]
        let bytes = [0x83, 0x18, 77, 0x63, b'n', b'e', b'w', 0x82, 1, 2];
        let entry = LogEntry::decode(&bytes).unwrap();
        assert!(matches!(entry, LogEntry::Other { kind: 77, .. }));
        assert_eq!(entry.encode(), bytes);
        // A verdict with one element more than this version knows.
        let verdict = LogEntry::Verdict {
            envelope: Hash([1; 32]),
            record: RecordId([2; 16]),
            verdict: Verdict::Quarantined(Reason::Shape),
            decided_at_ms: 5,
            extra: Extra::default(),
        };
        let mut longer = verdict.encode();
        longer[0] += 1;
        longer.push(0x07);
        assert_eq!(LogEntry::decode(&longer).unwrap().encode(), longer);
    }

    #[test]
    fn reasons_keep_their_numbers() {
        assert_eq!(Reason::Malformed.number(), 1);
        assert_eq!(Reason::DependsOnRefused.number(), 15);
        for number in [0, 1, 9, 15, 16, 17, u64::MAX] {
            assert_eq!(Reason::of_number(number).number(), number);
        }
    }

    #[test]
    fn the_chain_depends_on_order_and_on_the_caseload() {
        let start = Cursor::start_of(CaseloadId([1; 16]));
        let (one, other) = (start.after(b"a").after(b"b"), start.after(b"b").after(b"a"));
        assert_eq!((one.sequence, other.sequence), (2, 2));
        assert_ne!(one.chain, other.chain);
        assert_ne!(start, Cursor::start_of(CaseloadId([2; 16])));
    }

    #[test]
    fn points_reach_back_to_the_start_and_stay_few() {
        assert_eq!(point_sequences(0), [0]);
        assert_eq!(point_sequences(3), [3, 2, 1, 0]);
        let points = point_sequences(1 << 40);
        assert!(points.len() <= crate::limits::MAX_POINTS, "{}", points.len());
        assert_eq!(points.last(), Some(&0));
    }
}
