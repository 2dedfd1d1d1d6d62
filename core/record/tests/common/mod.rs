//! Who writes what and when, in tests of records.

use karwan_form::answers::Answer;
use karwan_proto::{DeviceId, Hash, PersonId, Role};
use karwan_record::{Author, Provenance, Stamp};

pub const FORM: Hash = Hash([3; 32]);

pub fn author(device: u8) -> Author {
    let provenance = Provenance {
        device: DeviceId([device; 16]),
        person: PersonId([device; 16]),
        role: Role::Enumerator,
        at_ms: 1_779_235_200_000,
        offset_minutes: 210,
    };
    Author { actor: [device; 16], provenance }
}

pub fn stamp(moment: u8) -> Stamp {
    Stamp { at_ms: 1_779_235_200_000 + i64::from(moment) * 1000, offset_minutes: 210, random: [moment; 32] }
}

pub fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}
