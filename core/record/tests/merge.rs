//! Merging: whatever the order in which changes come, however often, a record comes to the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{FORM, author, stamp, text};
use karwan_form::answers::{Answer, Answers, Instance};
use karwan_proto::{Hash, RecordId};
use karwan_record::state::State;
use karwan_record::{Record, Shape, SourcedChange};

fn family() -> Answers {
    let mut answers = Answers::default();
    answers.values.insert("name".to_owned(), text("قربان‌علی"));
    answers.values.insert("phone".to_owned(), text("0700000001"));
    answers.values.insert("needs".to_owned(), Answer::Set(["food".to_owned()].into()));
    answers
}

fn member(id: u8, name: &str) -> Instance {
    let mut answers = Answers::default();
    answers.values.insert("m_name".to_owned(), text(name));
    Instance { id: RecordId([id; 16]).to_string(), order: id.to_string(), answers }
}

/// Four changes: the registration, two edits that had not seen each other, and one that had seen both.
fn history() -> Vec<SourcedChange> {
    let shape = Shape::unknown();
    let (first, registration) = Record::create(RecordId([1; 16]), &shape, FORM, &family(), &[], &author(1), &stamp(0)).unwrap();
    let edit = |record: &mut Record, device: u8, change: &dyn Fn(&mut Answers)| {
        let mut after = record.answers(&shape);
        change(&mut after);
        let seen = record.heads();
        record.edit(&shape, &seen, FORM, &after, &[], &author(device), &stamp(device)).unwrap().unwrap()
    };
    let by_laila = edit(&mut first.clone(), 2, &|after| {
        after.values.insert("phone".to_owned(), text("0711111111"));
        after.values.insert("needs".to_owned(), Answer::Set(["food".to_owned(), "health".to_owned()].into()));
        after.repeats.insert("member".to_owned(), vec![member(5, "Zahra")]);
    });
    let by_karim = edit(&mut first.clone(), 3, &|after| {
        after.values.insert("phone".to_owned(), text("0722222222"));
        after.values.insert("needs".to_owned(), Answer::Set(["food".to_owned(), "shelter".to_owned()].into()));
        after.repeats.insert("member".to_owned(), vec![member(6, "Reza")]);
    });
    let sourced = |bytes: &[u8], device| SourcedChange { bytes: bytes.to_vec(), provenance: author(device).provenance };
    let mut changes = vec![sourced(&registration, 1), sourced(&by_laila, 2), sourced(&by_karim, 3)];
    let mut merged = Record::load(RecordId([1; 16]), changes.clone()).unwrap();
    let last = edit(&mut merged, 4, &|after| {
        after.values.insert("name".to_owned(), text("قربانعلی"));
    });
    changes.push(sourced(&last, 4));
    changes
}

fn load(changes: Vec<SourcedChange>) -> Record {
    Record::load(RecordId([1; 16]), changes).unwrap()
}

fn values(record: &Record, path: &str) -> Vec<String> {
    State::read(record, None).registers[path].iter().map(|written| written.value.clone()).collect()
}

fn permutations(changes: &[SourcedChange]) -> Vec<Vec<SourcedChange>> {
    if changes.len() < 2 {
        return vec![changes.to_vec()];
    }
    let mut all = Vec::new();
    for place in 0..changes.len() {
        let mut rest = changes.to_vec();
        let chosen = rest.remove(place);
        all.extend(permutations(&rest).into_iter().map(|order| [vec![chosen.clone()], order].concat()));
    }
    all
}

#[test]
fn any_order_and_any_repetition_come_to_the_same() {
    let changes = history();
    let expected = State::read(&load(changes.clone()), None);
    for order in permutations(&changes) {
        for again in [order.clone(), [order.clone(), order.clone()].concat()] {
            let record = load(again);
            let state = State::read(&record, None);
            assert_eq!(record.len(), 4);
            assert_eq!(state.registers, expected.registers);
            assert_eq!(state.members, expected.members);
            assert_eq!(state.instances.keys().collect::<Vec<_>>(), expected.instances.keys().collect::<Vec<_>>());
            assert_eq!(record.answers(&Shape::unknown()), load(changes.clone()).answers(&Shape::unknown()));
        }
    }
}

#[test]
fn both_values_of_one_question_stay_and_sets_and_members_add_up() {
    let record = load(history());
    let mut phones = values(&record, "phone");
    phones.sort();
    assert_eq!(phones, ["0711111111", "0722222222"]);
    assert_eq!(values(&record, "name"), ["قربانعلی"], "an edit that had seen all of it stands alone");
    let answers = record.answers(&Shape::unknown());
    let needs = ["food", "health", "shelter"].map(str::to_owned);
    assert_eq!(answers.values["needs"], Answer::Set(needs.into()));
    let names: Vec<&Answer> = answers.repeats["member"].iter().map(|member| &member.answers.values["m_name"]).collect();
    assert_eq!(names, [&text("Zahra"), &text("Reza")]);
}

#[test]
fn what_stands_on_a_change_that_does_not_count_is_left_out() {
    let changes = history();
    assert!(Record::load(RecordId([1; 16]), changes[1..].to_vec()).unwrap().is_empty());
    assert_eq!(Record::load(RecordId([1; 16]), vec![changes[0].clone(), changes[3].clone()]).unwrap().len(), 1);
}

#[test]
fn an_edit_of_what_was_shown_before_others_wrote_passes_the_gate_everywhere() {
    let shape = Shape::unknown();
    let id = RecordId([1; 16]);
    let (mut record, first) = Record::create(id, &shape, FORM, &family(), &[], &author(1), &stamp(0)).unwrap();
    let seen = record.heads();
    let edit = |record: &mut Record, seen: &[Hash], device: u8, phone: &str, members: Vec<Instance>| {
        let mut after = record.answers_at(&shape, seen);
        after.values.insert("phone".to_owned(), text(phone));
        after.repeats.insert("member".to_owned(), members);
        record.edit(&shape, seen, FORM, &after, &[], &author(device), &stamp(device)).unwrap().unwrap()
    };
    let others = edit(&mut record, &seen, 2, "0711111111", vec![member(5, "Zahra"), member(6, "Ali")]);
    let own = edit(&mut record, &seen, 1, "0722222222", Vec::new());
    // Once more on the same: the device goes on from what it had seen then, not from its own edit.
    let again = edit(&mut record, &seen, 1, "0733333333", Vec::new());
    assert_eq!(values(&record, "phone").len(), 3);
    for order in [[&others, &own, &again], [&own, &again, &others]] {
        let mut came = Record::empty(id);
        for (bytes, device) in [(&first, 1)].into_iter().chain(order.map(|bytes| (bytes, if bytes == &others { 2 } else { 1 }))) {
            let change = SourcedChange { bytes: bytes.clone(), provenance: author(device).provenance };
            karwan_record::gate::admit(&mut came, change, [device; 16]).unwrap();
        }
        assert_eq!(values(&came, "phone"), values(&record, "phone"));
    }
}
