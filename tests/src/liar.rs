//! A phone that was let in and lies: it holds a key that the organisation certified, and signs whatever it likes.

use std::path::Path;
use std::sync::Arc;

use karwan_form::answers::{Answer, Answers};
use karwan_proto::codec::Extra;
use karwan_proto::envelope::{EnvelopeHeader, Item, seal};
use karwan_proto::session::Ingested;
use karwan_proto::{CaseloadId, DeviceId, Hash, IncarnationId, PersonId, RecordId, Role, SigningKey, Verdict};
use karwan_record::{Author, Provenance, Record, Shape, Stamp};
use karwan_server::log::ingest::Brought;
use karwan_server::organisation::Organisation;
use karwan_store::{Folder, Store};

use crate::corpus::Dice;
use crate::home::phone_key;

/// A form that nobody has: the server judges no form.
const FORM: Hash = Hash([3; 32]);

/// Who lies.
pub struct Liar {
    pub key: SigningKey,
    pub person: PersonId,
    pub caseload: CaseloadId,
    pub incarnation: IncarnationId,
    pub counter: u64,
    pub previous: Option<Hash>,
    pub clock_ms: i64,
    pub membership_position: u64,
    pub dice: Dice,
}

impl Liar {
    /// Takes the key of the phone in a folder.
    pub fn of_phone(folder: &Path, number: usize, organisation: &Organisation, seed: u64) -> Self {
        let (store, _) = Store::open(Folder::new(folder), &phone_key(number)).expect("the phone opens");
        let identity = store.identity().expect("it knows who it is");
        let key = SigningKey::from_seed(&identity.signing_seed);
        let membership = organisation.membership().expect("the membership is read");
        let caseloads = membership.readable(key.public().device()).expect("the phone is entitled");
        let mut dice = Dice::new(seed);
        Self {
            key,
            person: identity.person,
            caseload: *caseloads.first().expect("a caseload"),
            incarnation: IncarnationId::from_random(dice.bytes()),
            counter: 0,
            previous: None,
            clock_ms: 1_795_428_000_000,
            membership_position: 0,
            dice,
        }
    }

    fn author(&self) -> (Author, Provenance) {
        let provenance = Provenance {
            device: self.key.public().device(),
            person: self.person,
            role: Role::Enumerator,
            at_ms: self.clock_ms,
            offset_minutes: 0,
        };
        (Author { actor: self.incarnation.0, provenance }, provenance)
    }

    fn stamp(&mut self) -> Stamp {
        Stamp { at_ms: self.clock_ms, offset_minutes: 0, random: self.dice.bytes() }
    }

    /// An honest new record and the change that makes it.
    pub fn record(&mut self, name: &str) -> (Record, Vec<u8>) {
        let id = RecordId::from_random(self.dice.bytes());
        let (author, stamp) = (self.author().0, self.stamp());
        Record::create(id, &Shape::unknown(), FORM, &answers(name), &[], &author, &stamp).expect("a record")
    }

    /// An honest edit of a record.
    pub fn edit(&mut self, record: &mut Record, name: &str) -> Vec<u8> {
        let (author, stamp, seen) = (self.author().0, self.stamp(), record.heads());
        let edit = record.edit(&Shape::unknown(), &seen, FORM, &answers(name), &[], &author, &stamp);
        edit.expect("an edit").expect("something changed")
    }

    /// These changes in its next envelope, validly signed.
    pub fn sign(&mut self, changes: Vec<(RecordId, Vec<u8>)>) -> Vec<u8> {
        self.sign_with(&self.key.clone(), changes)
    }

    /// The same signed by another key, in that key's name.
    pub fn sign_with(&mut self, key: &SigningKey, changes: Vec<(RecordId, Vec<u8>)>) -> Vec<u8> {
        self.counter += 1;
        let header = EnvelopeHeader {
            caseload: self.caseload,
            device: key.public().device(),
            incarnation: self.incarnation,
            counter: self.counter,
            previous: self.previous,
            person: self.person,
            membership_position: self.membership_position,
            clock_ms: self.clock_ms,
            offset_minutes: 0,
            change_count: 0,
            root: Hash([0; 32]),
            extra: Extra::default(),
        };
        let items = changes.into_iter().map(|(record, change)| Item::Change { record, generation: 0, change }).collect();
        let envelope = seal(header, items, self.dice.bytes(), key).expect("an envelope");
        self.previous = Some(envelope.hash());
        envelope.encode()
    }

    /// Brings an envelope to the server.
    pub fn bring(&self, organisation: &Arc<Organisation>, envelope: &[u8]) -> Ingested {
        let brought = Brought { bearer: self.key.public().device(), envelope, testimony: None };
        organisation.take_in(&[brought]).expect("the server goes on")[0]
    }
}

fn answers(name: &str) -> Answers {
    let mut answers = Answers::default();
    answers.values.insert("head_name".to_owned(), Answer::Text(name.to_owned()));
    answers
}

/// What the server decided of a record's changes that do not count.
pub fn verdicts(organisation: &Organisation, record: RecordId) -> Vec<Verdict> {
    organisation.judged(record).expect("verdicts are read").into_iter().map(|row| row.verdict).collect()
}

/// An envelope that says that it is another device's.
pub fn renamed(envelope: &[u8], from: DeviceId, to: DeviceId) -> Vec<u8> {
    let place = envelope.windows(from.0.len()).position(|window| window == from.0).expect("the envelope names its device");
    let mut forged = envelope.to_vec();
    forged[place..place + to.0.len()].copy_from_slice(&to.0);
    forged
}
