//! Who made a change, when, and in which role: what the envelope that carried it says, passed in beside the change.

use karwan_proto::{DeviceId, PersonId, Role};

/// Who, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The device.
    pub device: DeviceId,
    /// The person.
    pub person: PersonId,
    /// What the person may do.
    pub role: Role,
    /// The device's clock, in milliseconds since 1970. A change that carries its own time is shown with that.
    pub at_ms: i64,
    /// The device's offset from UTC, in minutes.
    pub offset_minutes: i32,
}

/// A change with its provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedChange {
    /// Automerge's uncompressed bytes of one change.
    pub bytes: Vec<u8>,
    /// Who made it.
    pub provenance: Provenance,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// The incarnation that writes: the actor of its changes.
    pub actor: [u8; 16],
    /// Who, where and when.
    pub provenance: Provenance,
}

/// The moment and the randomness of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The clock, in milliseconds since 1970.
    pub at_ms: i64,
    /// Offset of local time from UTC, in minutes.
    pub offset_minutes: i32,
    /// Identifiers of events and reviews are drawn from this.
    pub random: [u8; 32],
}

impl Stamp {
    /// The `number`th identifier that this moment gives.
    pub(crate) fn identifier(&self, number: usize) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 event id");
        hasher.update(&self.random).update(&(number as u64).to_le_bytes());
        let mut bytes = [0u8; 16];
        hasher.finalize_xof().fill(&mut bytes);
        karwan_proto::RecordId::from_random(bytes).to_string()
    }
}
