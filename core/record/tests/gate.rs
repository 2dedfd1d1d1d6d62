//! Changes that a device could sign and that no record may take: each is refused for its own reason, and the record stays as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use common::{FORM, author, stamp, text};
use karwan_form::answers::Answers;
use karwan_proto::{Reason, RecordId, Role};
use karwan_record::document::root;
use karwan_record::place::{MAX_DEPTH, MAX_PATH_BYTES};
use karwan_record::{Provenance, Record, Shape, SourcedChange, gate};

const RECORD: RecordId = RecordId([1; 16]);
const LAILA: [u8; 16] = [0xaa; 16];
const KARIM: [u8; 16] = [0xbb; 16];

fn provenance(role: Role) -> Provenance {
    Provenance { role, ..author(0xaa).provenance }
}

fn answers(phone: &str) -> Answers {
    let mut answers = Answers::default();
    answers.values.insert("phone".to_owned(), text(phone));
    answers.values.insert("name".to_owned(), text("قربان‌علی"));
    answers
}

/// A record of one change by Laila, as its reader has it, and that change.
fn record() -> (Record, Vec<u8>) {
    let shape = Shape::unknown();
    Record::create(RECORD, &shape, FORM, &answers("0700000001"), &[], &author(0xaa), &stamp(4)).unwrap()
}

/// What somebody writes with automerge on top of these changes, without Karwan.
fn forged(below: &[&[u8]], actor: [u8; 16], write: impl FnOnce(&mut AutoCommit)) -> Vec<u8> {
    let mut doc = AutoCommit::new();
    doc.apply_changes(below.iter().map(|bytes| Change::from_bytes(bytes.to_vec()).unwrap())).unwrap();
    doc.set_actor(ActorId::from(actor));
    write(&mut doc);
    let made = doc.commit_with(CommitOptions::default().with_time(1_779_235_200_000)).expect("something was written");
    doc.get_change_by_hash(&made).unwrap().raw_bytes().to_vec()
}

fn map(doc: &AutoCommit, name: &str) -> ObjId {
    doc.get(ROOT, name).unwrap().unwrap().1
}

fn admitted(record: &mut Record, bytes: Vec<u8>, actor: [u8; 16], role: Role) -> Result<(), Reason> {
    let change = SourcedChange { bytes, provenance: provenance(role) };
    gate::admit(record, change, actor).map(|_| ()).map_err(|failure| failure.reason)
}

#[track_caller]
fn refused(bytes: Vec<u8>, expected: Reason) {
    let (mut record, _) = record();
    let before = record.heads();
    assert_eq!(admitted(&mut record, bytes, KARIM, Role::Enumerator), Err(expected));
    assert_eq!(record.heads(), before, "the record is as it was");
}

#[test]
fn an_edit_of_an_answer_passes_and_again_too() {
    let (mut record, first) = record();
    let edit = forged(&[&first], KARIM, |doc| {
        let map = map(doc, "a");
        doc.put(map, "phone", "0799999999").unwrap();
    });
    assert_eq!(admitted(&mut record, edit.clone(), KARIM, Role::Enumerator), Ok(()));
    assert_eq!(admitted(&mut record, edit, KARIM, Role::Enumerator), Ok(()), "the same change again changes nothing");
    assert_eq!(record.len(), 2);
    assert_eq!(record.answers(&Shape::unknown()), answers("0799999999"));
}

#[test]
fn an_actor_that_is_not_the_signers_is_refused() {
    let (mut record, first) = record();
    let edit = forged(&[&first], [0xcc; 16], |doc| {
        let map = map(doc, "a");
        doc.put(map, "phone", "1").unwrap();
    });
    assert_eq!(admitted(&mut record, edit, KARIM, Role::Enumerator), Err(Reason::Author));
}

#[test]
fn a_sequence_used_before_is_refused() {
    let (mut record, first) = record();
    let edit = |value: &str| {
        forged(&[&first], KARIM, |doc| {
            let map = map(doc, "a");
            doc.put(map, "phone", value).unwrap();
        })
    };
    assert_eq!(admitted(&mut record, edit("1"), KARIM, Role::Enumerator), Ok(()));
    // The same database in two phones writes another first change.
    assert_eq!(admitted(&mut record, edit("2"), KARIM, Role::Enumerator), Err(Reason::Sequence));
}

#[test]
fn what_stands_on_a_change_that_is_not_here_is_refused_until_it_is() {
    let (mut record, first) = record();
    let put = |value: &'static str| {
        move |doc: &mut AutoCommit| {
            let map = map(doc, "a");
            doc.put(map, "phone", value).unwrap();
        }
    };
    let second = forged(&[&first], KARIM, put("1"));
    let third = forged(&[&first, &second], KARIM, put("2"));
    assert_eq!(admitted(&mut record, third.clone(), KARIM, Role::Enumerator), Err(Reason::Dependency));
    assert_eq!(admitted(&mut record, second, KARIM, Role::Enumerator), Ok(()));
    assert_eq!(admitted(&mut record, third, KARIM, Role::Enumerator), Ok(()));
}

#[test]
fn containers_stand_only_where_they_may() {
    let (_, first) = record();
    let make = |kind: ObjType, root: &'static str, key: &'static str| {
        forged(&[&first], KARIM, move |doc| {
            let map = map(doc, root);
            doc.put_object(map, key, kind).unwrap();
        })
    };
    refused(make(ObjType::List, "a", "member[x]"), Reason::Shape);
    refused(make(ObjType::Text, "a", "name"), Reason::Shape);
    refused(make(ObjType::Map, "a", "visit"), Reason::Shape);
    refused(make(ObjType::Map, "e", "status"), Reason::Shape);
    refused(forged(&[&first], KARIM, |doc| drop(doc.put_object(ROOT, "a", ObjType::Map).unwrap())), Reason::Shape);
}

#[test]
fn values_that_no_record_holds_are_refused() {
    let (_, first) = record();
    let put = |root: &'static str, value: ScalarValue| {
        forged(&[&first], KARIM, move |doc| {
            let map = map(doc, root);
            doc.put(map, "x", value).unwrap();
        })
    };
    refused(put("a", ScalarValue::Int(1)), Reason::Shape);
    refused(put("a", ScalarValue::counter(1)), Reason::Shape);
    refused(put("e", ScalarValue::Boolean(true)), Reason::Shape);
    refused(put("a", ScalarValue::Str("x".repeat(gate::MAX_TEXT_BYTES + 1).into())), Reason::TooLarge);
    refused(forged(&[&first], KARIM, |doc| doc.put(ROOT, "x", "y").unwrap()), Reason::Shape);
    refused(
        forged(&[&first], KARIM, |doc| {
            let map = map(doc, "m");
            doc.delete(map, "form").unwrap();
        }),
        Reason::Shape,
    );
}

/// Said here once more: whoever changes the limit changes what others' records may hold.
const TEXT_BYTES: usize = 262_144;

#[test]
fn texts_and_keys_may_be_as_long_as_an_answer_needs_and_no_longer() {
    let (whole, first) = record();
    let put = |key: String, text: String| {
        let edit = forged(&[&first], KARIM, |doc| {
            let map = map(doc, "a");
            doc.put(map, key, text).unwrap();
        });
        admitted(&mut whole.clone(), edit, KARIM, Role::Enumerator)
    };
    assert_eq!(put("x".to_owned(), "y".repeat(TEXT_BYTES)), Ok(()));
    assert_eq!(put("x".to_owned(), "y".repeat(TEXT_BYTES + 1)), Err(Reason::TooLarge));
    assert_eq!(put("x".repeat(MAX_PATH_BYTES), "y".to_owned()), Ok(()));
    assert_eq!(put("x".repeat(MAX_PATH_BYTES + 1), "y".to_owned()), Err(Reason::Shape));
}

#[test]
fn instances_may_stand_in_each_other_so_deep_and_no_deeper() {
    let (whole, first) = record();
    let innermost =
        |doc: &AutoCommit, depth: usize| (0..depth).fold(map(doc, "a"), |at, _| doc.get(at, "member[x]").unwrap().unwrap().1);
    let nested = |depth: usize| {
        let made = forged(&[&first], KARIM, |doc| {
            let mut at = map(doc, "a");
            for _ in 0..depth {
                at = doc.put_object(at, "member[x]", ObjType::Map).unwrap();
            }
            doc.put(at, "name", "Zahra").unwrap();
        });
        let mut record = whole.clone();
        admitted(&mut record, made.clone(), KARIM, Role::Enumerator)?;
        // An answer may be taken back in an instance as well as outside.
        let taken_back = forged(&[&first, &made], KARIM, |doc| doc.delete(innermost(doc, depth), "name").unwrap());
        admitted(&mut record, taken_back, KARIM, Role::Enumerator)
    };
    assert_eq!(nested(1), Ok(()));
    assert_eq!(nested(MAX_DEPTH), Ok(()));
    assert_eq!(nested(MAX_DEPTH + 1), Err(Reason::Shape));
}

#[test]
fn a_review_needs_a_supervisor() {
    let (mut record, first) = record();
    let review = forged(&[&first], KARIM, |doc| {
        let map = map(doc, "r");
        doc.put(map, "x", "{}").unwrap();
    });
    assert_eq!(admitted(&mut record, review.clone(), KARIM, Role::Enumerator), Err(Reason::Role));
    assert_eq!(admitted(&mut record, review, KARIM, Role::Supervisor), Ok(()));
    let begun_with_one = forged(&[], KARIM, |doc| {
        let maps: Vec<ObjId> = root::ALL.iter().map(|name| doc.put_object(ROOT, *name, ObjType::Map).unwrap()).collect();
        let reviews = root::ALL.iter().position(|name| *name == root::REVIEWS).unwrap();
        doc.put(&maps[reviews], "x", "{}").unwrap();
    });
    let begin = |role| admitted(&mut Record::empty(RECORD), begun_with_one.clone(), KARIM, role);
    assert_eq!((begin(Role::Enumerator), begin(Role::Supervisor)), (Err(Reason::Role), Ok(())));
}

#[test]
fn an_event_of_a_later_change_needs_no_supervisor() {
    let (mut record, first) = record();
    let event = forged(&[&first], KARIM, |doc| {
        let map = map(doc, "e");
        doc.put(map, "status!1", "{}").unwrap();
    });
    assert_eq!(admitted(&mut record, event, KARIM, Role::Enumerator), Ok(()));
}

#[test]
fn a_record_begins_once_and_with_its_maps() {
    let (_, first) = record();
    let (_, second) = Record::create(RECORD, &Shape::unknown(), FORM, &answers("2"), &[], &author(0xbb), &stamp(4)).unwrap();
    refused(second, Reason::Shape);
    let mut empty = Record::empty(RECORD);
    let bare = forged(&[], KARIM, |doc| drop(doc.put_object(ROOT, "a", ObjType::Map).unwrap()));
    assert_eq!(admitted(&mut empty, bare, KARIM, Role::Enumerator), Err(Reason::Shape));
    assert_eq!(admitted(&mut empty, first, LAILA, Role::Enumerator), Ok(()));
}

#[test]
fn every_flipped_bit_of_a_change_is_refused() {
    let (_, first) = record();
    let edit = forged(&[&first], KARIM, |doc| {
        let map = map(doc, "a");
        doc.put(map, "phone", "0799999999").unwrap();
    });
    let (whole, _) = record();
    for position in 0..edit.len() {
        for bit in 0..8 {
            let mut broken = edit.clone();
            broken[position] ^= 1 << bit;
            let mut record = whole.clone();
            let outcome = admitted(&mut record, broken, KARIM, Role::Enumerator);
            assert!(outcome.is_err(), "bit {bit} of byte {position}");
            assert_eq!(record.heads(), whole.heads());
        }
    }
    refused([edit, vec![0]].concat(), Reason::Malformed);
}
