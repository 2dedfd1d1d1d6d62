//! One entry of the membership log: who decided what, signed. [`SignedEntry::sign`] makes one; [`super::Membership::apply`] believes one.

use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::error::{CodecError, KeyError, MembershipError};
use crate::ids::{CaseloadId, DeviceId, Hash, OrganisationId, PersonId, RecordId};
use crate::keys::{Namespace, PublicKey, Signature, SigningKey};
use crate::limits::{MAX_ADOPTED_PER_ENTRY, MAX_CASELOADS, MAX_MEMBERSHIP_ENTRY_BYTES, MAX_PART_BYTES};
use std::collections::BTreeSet;

const VERSION: u64 = 1;

/// What somebody is there for. The order is that of rights over records; an operator has none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees that the machines are well, and no personal data.
    Operator,
    /// Collects.
    Enumerator,
    /// Reconciles, reviews, approves.
    Supervisor,
    /// Moves, erases, exports.
    DataManager,
    /// Decides who may do what.
    Administrator,
}

impl Role {
    /// The number on the wire.
    pub fn number(self) -> u64 {
        match self {
            Self::Enumerator => 1,
            Self::Supervisor => 2,
            Self::DataManager => 3,
            Self::Operator => 4,
            Self::Administrator => 5,
        }
    }

    /// The role with this number.
    pub fn of_number(number: u64) -> Option<Self> {
        [Self::Enumerator, Self::Supervisor, Self::DataManager, Self::Operator, Self::Administrator]
            .into_iter()
            .find(|role| role.number() == number)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Enumerator => "enumerator",
            Self::Supervisor => "supervisor",
            Self::DataManager => "data-manager",
            Self::Administrator => "administrator",
        })
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    /// Reads what is printed: `enumerator`, `supervisor`, `data-manager`, `operator`, `administrator`.
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Enumerator, Self::Supervisor, Self::DataManager, Self::Operator, Self::Administrator]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or(UnknownRole)
    }
}

/// A text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of enumerator, supervisor, data-manager, operator, administrator")]
pub struct UnknownRole;

impl Wire for Role {
    fn write(&self, writer: &mut Writer) {
        writer.uint(self.number());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let came = reader.uint()?;
        Self::of_number(came).ok_or(CodecError::Unknown { what: reader.what(), expected: "roles", came })
    }
}

/// Up to where what somebody sent to a caseload counts: the number of the last log entry before the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// The caseload.
    pub caseload: CaseloadId,
    /// The last entry that counts.
    pub sequence: u64,
}

impl Wire for Cut {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).value(&self.caseload).uint(self.sequence);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { caseload: reader.value()?, sequence: reader.uint()? })
    }
}

/// A person or a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A person.
    Person(PersonId),
    /// A device.
    Device(DeviceId),
}

impl Wire for Subject {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Person(person) => writer.array(2).uint(1).value(person),
            Self::Device(device) => writer.array(2).uint(2).value(device),
        };
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        match reader.uint()? {
            1 => Ok(Self::Person(reader.value()?)),
            2 => Ok(Self::Device(reader.value()?)),
            came => Err(CodecError::Unknown { what: reader.what(), expected: "subjects", came }),
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The organisation begins: its root key, which signs this itself.
    Root {
        /// The root's public key.
        key: PublicKey,
    },
    /// A key that decides for the organisation from now on, and the person who holds it. Decided by the root.
    Administrator {
        /// The administrator's public key.
        key: PublicKey,
        /// Who holds it.
        person: PersonId,
    },
    /// A key that a server of the organisation has. Decided by the root.
    ServerKey {
        /// The server's public key.
        key: PublicKey,
    },
    /// A server's key that counts no more. Decided by the root or an administrator.
    RetireServerKey {
        /// The server's public key.
        key: PublicKey,
    },
    /// A new caseload. Decided by an administrator.
    Caseload {
        /// Its identifier.
        caseload: CaseloadId,
    },
    /// A new person, or the role of a known one from now on. Decided by an administrator; a server may add enumerators that a device
    /// introduces.
    Person {
        /// The person.
        person: PersonId,
        /// The role.
        role: Role,
        /// The caseloads granted; of a known person, all of them from now on.
        caseloads: BTreeSet<CaseloadId>,
        /// Where a demotion takes effect.
        cuts: Vec<Cut>,
    },
    /// An invitation for one device. Decided by an administrator.
    Invitation {
        /// Hash of its secret.
        secret_hash: Hash,
        /// The role that the device and its person get.
        role: Role,
        /// The caseloads that it gives.
        caseloads: BTreeSet<CaseloadId>,
        /// When it expires, in milliseconds since 1970.
        expires_at_ms: i64,
    },
    /// A device. Decided by an administrator, or by a server on an invitation; a person not known before comes to be with it, in the
    /// invitation's role and caseloads.
    Device {
        /// The device's public key.
        key: PublicKey,
        /// Who enrolled it.
        person: PersonId,
        /// The most that anybody may do on it.
        role: Role,
        /// The caseloads granted.
        caseloads: BTreeSet<CaseloadId>,
        /// Hash of the invitation's secret.
        invitation: Option<Hash>,
    },
    /// A caseload is granted. Decided by an administrator.
    Grant {
        /// To whom.
        subject: Subject,
        /// The caseload.
        caseload: CaseloadId,
    },
    /// A grant is withdrawn. Decided by an administrator.
    Withdraw {
        /// From whom.
        subject: Subject,
        /// The caseload, and where it takes effect.
        cut: Cut,
    },
    /// A device or person may do nothing more. Decided by an administrator.
    Revoke {
        /// Who.
        subject: Subject,
        /// Where it takes effect.
        cuts: Vec<Cut>,
    },
    /// A record is erased, for ever. Decided by an administrator, or by a server for a data manager.
    Erase {
        /// The record.
        record: RecordId,
        /// Who decided.
        person: PersonId,
    },
    /// A part of a record is erased: the next generation of the record stands, without it. Decided as [`Act::Erase`].
    ErasePart {
        /// The record.
        record: RecordId,
        /// The generation that stands from here on; one that is not the next has no effect.
        generation: u32,
        /// The path of the question or instance below the record's root, instances by their identifiers.
        part: String,
        /// Who decided.
        person: PersonId,
    },
    /// A record goes to another caseload. Decided as [`Act::Erase`].
    Move {
        /// The record.
        record: RecordId,
        /// Where it stands; from anywhere else the decision has no effect: of two the first in the log wins.
        from: CaseloadId,
        /// Where it goes.
        to: CaseloadId,
        /// Who decided.
        person: PersonId,
    },
    /// What a device sent without a right to counts all the same. Decided by an administrator, or by a server for a supervisor.
    Adopt {
        /// The device.
        device: DeviceId,
        /// What counts.
        adopted: Vec<Adopted>,
        /// Who decided.
        person: PersonId,
    },
    /// A decision of a newer version: kept, without effect here.
    Other {
        /// Its kind.
        kind: u64,
        /// What follows the kind.
        content: Extra,
    },
}

/// Changes that somebody let count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Adopted {
    /// Their envelope.
    pub envelope: Hash,
    /// Their record; all records of the envelope where none is named.
    pub record: Option<RecordId>,
}

impl Wire for Adopted {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).value(&self.envelope).optional_bytes(self.record.as_ref().map(|record| &record.0[..]));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { envelope: reader.value()?, record: reader.optional(Reader::value)? })
    }
}

fn write_caseloads(writer: &mut Writer, caseloads: &BTreeSet<CaseloadId>) {
    writer.array(caseloads.len());
    for caseload in caseloads {
        writer.value(caseload);
    }
}

fn read_caseloads(reader: &mut Reader<'_>) -> Result<BTreeSet<CaseloadId>, CodecError> {
    let listed: Vec<CaseloadId> = reader.list(MAX_CASELOADS)?;
    if listed.is_sorted_by(|one, next| one < next) {
        return Ok(listed.into_iter().collect());
    }
    Err(CodecError::Expected { what: reader.what(), expected: "caseloads in ascending order, each once", at: 0 })
}

impl Act {
    fn kind(&self) -> u64 {
        match self {
            Self::Root { .. } => 1,
            Self::Administrator { .. } => 2,
            Self::ServerKey { .. } => 3,
            Self::RetireServerKey { .. } => 4,
            Self::Caseload { .. } => 5,
            Self::Person { .. } => 6,
            Self::Invitation { .. } => 7,
            Self::Device { .. } => 8,
            Self::Grant { .. } => 9,
            Self::Withdraw { .. } => 10,
            Self::Revoke { .. } => 11,
            Self::Erase { .. } => 12,
            Self::ErasePart { .. } => 13,
            Self::Move { .. } => 14,
            Self::Adopt { .. } => 15,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// What the decision is about, for a message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Root { .. } => "the root",
            Self::Administrator { .. } => "an administrator",
            Self::ServerKey { .. } | Self::RetireServerKey { .. } => "a server's key",
            Self::Caseload { .. } => "a caseload",
            Self::Person { .. } => "a person",
            Self::Invitation { .. } => "an invitation",
            Self::Device { .. } => "a device",
            Self::Grant { .. } => "a grant",
            Self::Withdraw { .. } => "a withdrawal",
            Self::Revoke { .. } => "a revocation",
            Self::Erase { .. } | Self::ErasePart { .. } => "an erasure",
            Self::Move { .. } => "a move",
            Self::Adopt { .. } => "an adoption",
            Self::Other { .. } => "something of a newer version",
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Root { .. } | Self::ServerKey { .. } | Self::RetireServerKey { .. } | Self::Caseload { .. } => 2,
            Self::Administrator { .. }
            | Self::Grant { .. }
            | Self::Withdraw { .. }
            | Self::Revoke { .. }
            | Self::Erase { .. } => 3,
            Self::Adopt { .. } => 4,
            Self::Person { .. } | Self::Invitation { .. } | Self::ErasePart { .. } | Self::Move { .. } => 5,
            Self::Device { .. } => 6,
            Self::Other { content, .. } => 1 + content.count(),
        }
    }
}

impl Wire for Act {
    fn write(&self, writer: &mut Writer) {
        writer.array(self.length()).uint(self.kind());
        match self {
            Self::Root { key } | Self::ServerKey { key } | Self::RetireServerKey { key } => {
                writer.value(key);
            }
            Self::Administrator { key, person } => {
                writer.value(key).value(person);
            }
            Self::Caseload { caseload } => {
                writer.value(caseload);
            }
            Self::Person { person, role, caseloads, cuts } => {
                writer.value(person).value(role);
                write_caseloads(writer, caseloads);
                writer.list(cuts);
            }
            Self::Invitation { secret_hash, role, caseloads, expires_at_ms } => {
                writer.value(secret_hash).value(role);
                write_caseloads(writer, caseloads);
                writer.int(*expires_at_ms);
            }
            Self::Device { key, person, role, caseloads, invitation } => {
                writer.value(key).value(person).value(role);
                write_caseloads(writer, caseloads);
                writer.optional_bytes(invitation.as_ref().map(|hash| &hash.0[..]));
            }
            Self::Grant { subject, caseload } => {
                writer.value(subject).value(caseload);
            }
            Self::Withdraw { subject, cut } => {
                writer.value(subject).value(cut);
            }
            Self::Revoke { subject, cuts } => {
                writer.value(subject).list(cuts);
            }
            Self::Erase { record, person } => {
                writer.value(record).value(person);
            }
            Self::ErasePart { record, generation, part, person } => {
                writer.value(record).uint(u64::from(*generation)).text(part).value(person);
            }
            Self::Move { record, from, to, person } => {
                writer.value(record).value(from).value(to).value(person);
            }
            Self::Adopt { device, adopted, person } => {
                writer.value(device).list(adopted).value(person);
            }
            Self::Other { content, .. } => {
                writer.extra(content);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let after_kind = reader.record(1)?;
        let act = match reader.uint()? {
            1 => Self::Root { key: reader.value()? },
            2 => Self::Administrator { key: reader.value()?, person: reader.value()? },
            3 => Self::ServerKey { key: reader.value()? },
            4 => Self::RetireServerKey { key: reader.value()? },
            5 => Self::Caseload { caseload: reader.value()? },
            6 => Self::Person {
                person: reader.value()?,
                role: reader.value()?,
                caseloads: read_caseloads(reader)?,
                cuts: reader.list(MAX_CASELOADS)?,
            },
            7 => Self::Invitation {
                secret_hash: reader.value()?,
                role: reader.value()?,
                caseloads: read_caseloads(reader)?,
                expires_at_ms: reader.int()?,
            },
            8 => Self::Device {
                key: reader.value()?,
                person: reader.value()?,
                role: reader.value()?,
                caseloads: read_caseloads(reader)?,
                invitation: reader.optional(Reader::value)?,
            },
            9 => Self::Grant { subject: reader.value()?, caseload: reader.value()? },
            10 => Self::Withdraw { subject: reader.value()?, cut: reader.value()? },
            11 => Self::Revoke { subject: reader.value()?, cuts: reader.list(MAX_CASELOADS)? },
            12 => Self::Erase { record: reader.value()?, person: reader.value()? },
            13 => Self::ErasePart {
                record: reader.value()?,
                generation: reader.uint_up_to(u64::from(u32::MAX))? as u32,
                part: reader.text(MAX_PART_BYTES)?,
                person: reader.value()?,
            },
            14 => Self::Move { record: reader.value()?, from: reader.value()?, to: reader.value()?, person: reader.value()? },
            15 => Self::Adopt { device: reader.value()?, adopted: reader.list(MAX_ADOPTED_PER_ENTRY)?, person: reader.value()? },
            kind => return Ok(Self::Other { kind, content: reader.extra(after_kind)? }),
        };
        if act.length() == after_kind + 1 {
            return Ok(act);
        }
        Err(CodecError::Expected { what: reader.what(), expected: "as many elements as the decision has", at: 0 })
    }
}

/// One entry: who decided what, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipEntry {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The key that signs.
    pub signer: PublicKey,
    /// The last entry that the signer had seen: information, and it keeps two equal decisions apart.
    pub seen: Option<Hash>,
    /// The signer's clock, in milliseconds since 1970.
    pub decided_at_ms: i64,
    /// What was decided.
    pub act: Act,
    /// What a newer version added.
    pub extra: Extra,
}

impl Wire for MembershipEntry {
    fn write(&self, writer: &mut Writer) {
        writer.array(6 + self.extra.count()).uint(VERSION).value(&self.organisation).value(&self.signer);
        writer.optional_bytes(self.seen.as_ref().map(|hash| &hash.0[..]));
        writer.int(self.decided_at_ms).value(&self.act).extra(&self.extra);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let more = reader.record(6)?;
        let came = reader.uint()?;
        if came != VERSION {
            return Err(CodecError::Unknown { what: reader.what(), expected: "versions", came });
        }
        Ok(Self {
            organisation: reader.value()?,
            signer: reader.value()?,
            seen: reader.optional(Reader::value)?,
            decided_at_ms: reader.int()?,
            act: reader.value()?,
            extra: reader.extra(more)?,
        })
    }
}

/// An entry as it was signed, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    bytes: Vec<u8>,
    signature: Signature,
}

impl SignedEntry {
    /// Signs a decision. The entry's `signer` is set to the key's.
    pub fn sign(mut entry: MembershipEntry, key: &SigningKey) -> Self {
        entry.signer = key.public();
        let bytes = codec::encode(&entry);
        let signature = key.sign(Namespace::Membership, &bytes);
        Self { bytes, signature }
    }

    /// What the entry says, its signature checked.
    ///
    /// # Errors
    /// [`MembershipError::Codec`], [`MembershipError::Key`].
    pub fn open(&self) -> Result<MembershipEntry, MembershipError> {
        let entry = self.open_unchecked()?;
        match entry.signer.verify(Namespace::Membership, &self.bytes, &self.signature) {
            Ok(()) => Ok(entry),
            Err(cause @ (KeyError::NotAKey | KeyError::BadSignature)) => Err(cause.into()),
        }
    }

    /// What the entry says, its signature not checked: for entries that this replica checked before and kept.
    ///
    /// # Errors
    /// [`MembershipError::Codec`].
    pub fn open_unchecked(&self) -> Result<MembershipEntry, MembershipError> {
        Ok(codec::decode(&self.bytes, "membership entry")?)
    }

    /// The entry's name: BLAKE3 of its bytes and signature.
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.bytes).update(&self.signature.0);
        Hash(*hasher.finalize().as_bytes())
    }

    /// The entry as it is stored and sent.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads [`SignedEntry::encode`].
    ///
    /// # Errors
    /// [`MembershipError::Codec`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MembershipError> {
        Ok(codec::decode(bytes, "signed membership entry")?)
    }
}

impl Wire for SignedEntry {
    fn write(&self, writer: &mut Writer) {
        writer.array(2).bytes(&self.bytes).value(&self.signature);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.array(2, 2)?;
        Ok(Self { bytes: reader.bytes(MAX_MEMBERSHIP_ENTRY_BYTES)?.to_vec(), signature: reader.value()? })
    }
}
