//! A decision of a disagreement passes the gate, whichever value it is for, and a concurrent edit stands beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_form::answers::{Answer, Answers};
use karwan_proto::{DeviceId, Hash, PersonId, RecordId, Role};
use karwan_record::{Author, Decision, Provenance, Record, Shape, SourcedChange, Stamp, gate, project};

const FORM: Hash = Hash([3; 32]);

fn author(number: u8) -> Author {
    let provenance = Provenance {
        device: DeviceId([number; 16]),
        person: PersonId([number; 16]),
        role: Role::Supervisor,
        at_ms: 1_000 * i64::from(number),
        offset_minutes: 0,
    };
    Author { actor: [number; 16], provenance }
}

fn stamp(number: u8) -> Stamp {
    Stamp { at_ms: 1_000 * i64::from(number), offset_minutes: 0, random: [number; 32] }
}

fn phone(value: &str) -> Answers {
    let mut answers = Answers::default();
    answers.values.insert("phone".to_owned(), Answer::Text(value.to_owned()));
    answers
}

/// Takes in what somebody else wrote, as a server would.
fn admit(record: &mut Record, change: &[u8], by: &Author) {
    gate::admit(record, SourcedChange { bytes: change.to_vec(), provenance: by.provenance }, by.actor).unwrap();
}

fn edit(record: &Record, value: &str, by: &Author, number: u8) -> Vec<u8> {
    let mut copy = record.clone();
    let heads = copy.heads();
    copy.edit(&Shape::unknown(), &heads, FORM, &phone(value), &[], by, &stamp(number)).unwrap().unwrap()
}

fn values(record: &Record) -> Vec<String> {
    let mut values: Vec<String> = project(record, None).values["/data/phone"].iter().map(|value| value.value.clone()).collect();
    values.sort();
    values
}

#[test]
fn either_value_may_be_decided_and_an_edit_that_did_not_know_it_stays() {
    let (first, second, third, decider) = (author(1), author(2), author(3), author(9));
    let (record, _) = Record::create(RecordId([5; 16]), &Shape::unknown(), FORM, &phone("0700"), &[], &first, &stamp(1)).unwrap();
    let (one, two) = (edit(&record, "0711", &first, 2), edit(&record, "0722", &second, 3));
    let mut merged = record.clone();
    admit(&mut merged, &one, &first);
    admit(&mut merged, &two, &second);
    assert_eq!(values(&merged), ["0711", "0722"]);
    let item = project(&merged, None).items[0].clone();
    // Somebody edits the value that shows while it is decided.
    let late = edit(&merged, "0733", &third, 4);
    for decided in ["0711", "0722", "0744"] {
        let mut console = merged.clone();
        let change = console.resolve(&item, &Decision::Value(decided.to_owned()), "", &decider, &stamp(5)).unwrap();
        let mut server = merged.clone();
        admit(&mut server, &change, &decider);
        assert_eq!(values(&server), [decided]);
        admit(&mut server, &late, &third);
        let mut both = [decided, "0733"];
        both.sort_unstable();
        assert_eq!(values(&server), both);
    }
}
