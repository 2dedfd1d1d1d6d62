//! An edit is written again by value where the change that carried it does not count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{FORM, author, stamp, text};
use karwan_form::answers::{Answer, Answers, Instance};
use karwan_proto::{Hash, RecordId};
use karwan_record::{Made, Record, Shape, SourcedChange, gate};

const RECORD: RecordId = RecordId([1; 16]);

fn sourced(bytes: &[u8], device: u8) -> SourcedChange {
    SourcedChange { bytes: bytes.to_vec(), provenance: author(device).provenance }
}

fn value(record: &Record, name: &str) -> Option<Answer> {
    record.answers(&Shape::unknown()).values.get(name).cloned()
}

/// A family by device 1; then by device 2 an edit of the phone, and on top of it one of the name inside a new member.
struct Story {
    first: Vec<u8>,
    phone: Vec<u8>,
    member: Vec<u8>,
    whole: Record,
}

fn last(record: &Record) -> Hash {
    record.in_order().last().unwrap().0
}

fn story() -> Story {
    let shape = Shape::unknown();
    let mut answers = Answers::default();
    answers.values.insert("name".to_owned(), text("Rahimi"));
    answers.values.insert("phone".to_owned(), text("0700000001"));
    let (mut whole, first) = Record::create(RECORD, &shape, FORM, &answers, &[], &author(1), &stamp(0)).unwrap();
    answers.values.insert("phone".to_owned(), text("0711111111"));
    let seen = whole.heads();
    let phone = whole.edit(&shape, &seen, FORM, &answers, &[], &author(2), &stamp(1)).unwrap().unwrap();
    let mut inside = Answers::default();
    inside.values.insert("m_name".to_owned(), text("Zahra"));
    let member = Instance { id: RecordId([9; 16]).to_string(), order: "5".to_owned(), answers: inside };
    answers.repeats.insert("member".to_owned(), vec![member]);
    let seen = whole.heads();
    let member = whole.edit(&shape, &seen, FORM, &answers, &[], &author(2), &stamp(2)).unwrap().unwrap();
    Story { first, phone, member, whole }
}

#[test]
fn what_stood_on_a_refused_edit_is_written_again_without_it() {
    let Story { first, member, whole, .. } = story();
    // The edit of the phone was refused; what stands on it is left out.
    let mut kept = Record::load(RECORD, vec![sourced(&first, 1), sourced(&member, 2)]).unwrap();
    assert_eq!(kept.len(), 1);
    let made = Made { record: &whole, change: last(&whole), erased: &[] };
    let seen = kept.heads();
    let again = kept.edit_again(&Shape::unknown(), &seen, FORM, &made, &author(4), &stamp(2)).unwrap().unwrap();
    assert_eq!(value(&kept, "phone"), Some(text("0700000001")), "the refused value does not come back");
    let members = kept.answers(&Shape::unknown()).repeats["member"].clone();
    assert_eq!((members.len(), members[0].id.clone()), (1, RecordId([9; 16]).to_string()), "the same instance");
    // Others take it from the wire, and later the refused edits after all: nothing is doubled.
    let mut other = Record::load(RECORD, vec![sourced(&first, 1)]).unwrap();
    gate::admit(&mut other, sourced(&again, 2), [4; 16]).unwrap();
    let Story { phone, .. } = story();
    gate::admit(&mut other, sourced(&phone, 2), [2; 16]).unwrap();
    gate::admit(&mut other, sourced(&member, 2), [2; 16]).unwrap();
    assert_eq!(other.answers(&Shape::unknown()).repeats["member"].len(), 1);
    assert_eq!(value(&other, "phone"), Some(text("0711111111")));
}

#[test]
fn an_edit_written_again_stands_beside_what_its_author_had_not_seen() {
    let Story { first, phone, .. } = story();
    let mut made = Record::load(RECORD, vec![sourced(&first, 1)]).unwrap();
    gate::admit(&mut made, sourced(&phone, 2), [2; 16]).unwrap();
    // Meanwhile somebody else wrote the name and another phone.
    let shape = Shape::unknown();
    let mut kept = Record::load(RECORD, vec![sourced(&first, 1)]).unwrap();
    let root = kept.heads();
    let mut theirs = kept.answers(&shape);
    theirs.values.insert("name".to_owned(), text("Karimi"));
    theirs.values.insert("phone".to_owned(), text("0722222222"));
    kept.edit(&shape, &root, FORM, &theirs, &[], &author(3), &stamp(3)).unwrap().unwrap();
    let edit = Made { record: &made, change: last(&made), erased: &[] };
    kept.edit_again(&shape, &root, FORM, &edit, &author(4), &stamp(1)).unwrap().unwrap();
    assert_eq!(value(&kept, "name"), Some(text("Karimi")), "what somebody else wrote is not taken back");
    let mut phones: Vec<String> =
        karwan_record::state::State::read(&kept, None).registers["phone"].iter().map(|written| written.value.clone()).collect();
    phones.sort();
    assert_eq!(phones, ["0711111111", "0722222222"]);
}

#[test]
fn a_record_begun_twice_with_the_same_answers_needs_nothing_more() {
    let Story { first, .. } = story();
    let made = Record::load(RECORD, vec![sourced(&first, 1)]).unwrap();
    let edit = Made { record: &made, change: last(&made), erased: &[] };
    let shape = Shape::unknown();
    let (mut again, bytes) = Record::create_again(RECORD, &shape, FORM, &edit, &author(4), &stamp(0)).unwrap();
    assert_ne!(bytes, first);
    assert_eq!(again.answers(&shape), made.answers(&shape));
    let seen = again.heads();
    assert_eq!(again.edit_again(&shape, &seen, FORM, &edit, &author(5), &stamp(0)).unwrap(), None);
}
