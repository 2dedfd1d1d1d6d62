//! A part is erased from a record: the changes of the next generation pass the gate, hold nothing of the part, and leave the rest as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use karwan_form::answers::{Answer, Answers, Instance};
use karwan_proto::{DeviceId, Hash, PersonId, RecordId, Role};
use karwan_record::generation::{LeftOut, Standing, carried, whose, without};
use karwan_record::{Author, Provenance, Record, Shape, SourcedChange, Stamp, gate, project_with};

const RECORD: RecordId = RecordId([7; 16]);
const SERVER: [u8; 16] = [0xaa; 16];

fn author(number: u8) -> Author {
    let provenance = Provenance {
        device: DeviceId([number; 16]),
        person: PersonId([number + 100; 16]),
        role: Role::Enumerator,
        at_ms: 1_000_000 * i64::from(number),
        offset_minutes: 210,
    };
    Author { actor: [number; 16], provenance }
}

fn stamp(number: u8) -> Stamp {
    Stamp { at_ms: 1_000_000 * i64::from(number), offset_minutes: 210, random: [number; 32] }
}

fn answers(phone: &str, members: &[(&str, &str)]) -> Answers {
    let instance = |(id, name): &(&str, &str)| Instance {
        id: (*id).to_owned(),
        order: format!("V{id}"),
        answers: Answers { values: [("m_name".to_owned(), Answer::Text((*name).to_owned()))].into(), ..Answers::default() },
    };
    Answers {
        values: [
            ("phone".to_owned(), Answer::Text(phone.to_owned())),
            ("needs".to_owned(), Answer::Set(["food".to_owned()].into())),
        ]
        .into(),
        repeats: [("member".to_owned(), members.iter().map(instance).collect())].into(),
    }
}

/// A household that two devices edited at once: two phones, and a member renamed.
fn standing() -> Vec<Standing> {
    let (shape, form) = (Shape::unknown(), Hash([9; 32]));
    let members = [("id-one", "Zahra"), ("id-two", "Zarnigar")];
    let (mut record, first) = Record::create(RECORD, &shape, form, &answers("1", &members), &[], &author(1), &stamp(1)).unwrap();
    let seen = record.heads();
    let mut edit = |phone: &str, members: &[(&str, &str)], number: u8| {
        record.edit(&shape, &seen, form, &answers(phone, members), &[], &author(number), &stamp(number)).unwrap().unwrap()
    };
    let second = edit("2", &[("id-one", "Zahra"), ("id-two", "Zarnigar-Gul")], 2);
    let third = edit("3", &members, 3);
    let fourth = edit("1", &[("id-one", "Zahra"), ("id-two", "Gul")], 4);
    let all = [(first, 1), (second, 2), (third, 3), (fourth, 4)];
    let standing = |(bytes, number): (Vec<u8>, u8)| Standing {
        bytes,
        provenance: author(number).provenance,
        envelope: Hash([number; 32]),
        position: u32::from(number),
    };
    all.map(standing).into()
}

fn taken_in(changes: &[Vec<u8>]) -> Record {
    let server = Provenance { device: DeviceId([0xbb; 16]), ..author(9).provenance };
    let mut record = Record::empty(RECORD);
    for bytes in changes {
        let change = SourcedChange { bytes: bytes.clone(), provenance: whose(bytes, server) };
        gate::admit(&mut record, change, SERVER).unwrap();
    }
    record
}

fn holds(changes: &[Vec<u8>], text: &str) -> bool {
    changes.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[test]
fn a_member_goes_and_the_rest_stays_as_it_was() {
    let changes = without(&standing(), &LeftOut::part("member[id-two]"), SERVER).unwrap();
    // The fourth said nothing but the member's name.
    assert_eq!(changes.len(), 3);
    for gone in ["Zarnigar", "Gul", "id-two"] {
        assert!(!holds(&changes, gone), "{gone}");
    }
    assert!(holds(&changes, "Zahra") && holds(&changes, "id-one"));
    let record = taken_in(&changes);
    let projection = project_with(&record, None, &Shape::unknown());
    let phones: BTreeSet<&str> = projection.values["/data/phone"].iter().map(|value| value.value.as_str()).collect();
    assert_eq!(phones, BTreeSet::from(["2", "3"]));
    assert_eq!(projection.items.len(), 1, "{:?}", projection.items);
    assert_eq!(projection.values["/data/needs"][0].value, "food");
    let by: Vec<(DeviceId, i64)> = projection.history.iter().map(|line| (line.device, line.at_ms)).collect();
    let (one, two, three) = (DeviceId([1; 16]), DeviceId([2; 16]), DeviceId([3; 16]));
    assert_eq!(by[0], (one, 1_000_000));
    assert!(by[1..].contains(&(two, 2_000_000)) && by[1..].contains(&(three, 3_000_000)), "{by:?}");
    let origin = carried(&changes[1]).unwrap();
    assert_eq!((origin.envelope, origin.position), (Hash([2; 32]), 2));
}

#[test]
fn an_answer_goes_with_its_disagreement_and_everybody_makes_the_same_of_it() {
    let changes = without(&standing(), &LeftOut::part("phone"), SERVER).unwrap();
    let projection = project_with(&taken_in(&changes), None, &Shape::unknown());
    assert!(!projection.values.contains_key("/data/phone"));
    assert!(projection.items.iter().all(|item| item.reference != "/data/phone"), "{:?}", projection.items);
    assert!(projection.values.contains_key("/data/member[id-two]/m_name"));
    assert_eq!(changes, without(&standing(), &LeftOut::part("phone"), SERVER).unwrap());
}

#[test]
fn a_second_part_goes_from_the_generation_after_the_first() {
    let first = without(&standing(), &LeftOut::part("phone"), SERVER).unwrap();
    let again: Vec<Standing> = first
        .iter()
        .zip(0u32..)
        .map(|(bytes, position)| Standing {
            bytes: bytes.clone(),
            provenance: carried(bytes).unwrap().provenance,
            envelope: Hash([50; 32]),
            position,
        })
        .collect();
    let second = without(&again, &LeftOut::part("member[id-two]"), [0xcc; 16]).unwrap();
    assert!(!holds(&second, "Zarnigar") && holds(&second, "Zahra"));
    assert_eq!(carried(&second[0]).unwrap().provenance.device, DeviceId([1; 16]));
}
