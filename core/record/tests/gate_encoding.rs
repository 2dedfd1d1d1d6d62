//! Changes that automerge would never write: encoded in another way, numbered otherwise, replacing what their author had not seen, or larger than a
//! record takes. They are made byte by byte, with the checksum that they should have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use automerge::Change;
use common::{FORM, author, stamp, text};
use karwan_form::answers::Answers;
use karwan_proto::limits::MAX_CHANGE_BYTES;
use karwan_proto::{Reason, RecordId};
use karwan_record::{Record, Shape, SourcedChange, gate};

const RECORD: RecordId = RecordId([1; 16]);
const LAILA: [u8; 16] = [0xaa; 16];
/// Columns of operations, by their number in the format: <https://automerge.org/automerge-binary-format-spec/#operation-columns>.
const OBJECT_ACTOR: u64 = 0x01;
const KEY: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_METADATA: u64 = 0x56;
const VALUE: u64 = 0x57;
const PREDECESSOR_COUNT: u64 = 0x70;
const PREDECESSOR_ACTOR: u64 = 0x71;
const PREDECESSOR_COUNTER: u64 = 0x73;

/// A change as its chunk has it: <https://automerge.org/automerge-binary-format-spec/#change-chunks>.
#[derive(Clone)]
struct Raw {
    deps: Vec<[u8; 32]>,
    actor: Vec<u8>,
    sequence: u64,
    start_operation: u64,
    time: Vec<u8>,
    message: Vec<u8>,
    others: Vec<Vec<u8>>,
    columns: Vec<(u64, Vec<u8>)>,
    extra: Vec<u8>,
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: u64) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(usize::try_from(count).unwrap());
        self.0 = rest;
        taken
    }

    fn leb(&mut self) -> Vec<u8> {
        let length = self.0.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        self.take(length as u64).to_vec()
    }

    fn number(&mut self) -> u64 {
        self.leb().iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
    }

    fn text(&mut self) -> Vec<u8> {
        let length = self.number();
        self.take(length).to_vec()
    }
}

fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len() as u64), bytes.to_vec()].concat()
}

impl Raw {
    fn of(change: &[u8]) -> Self {
        let mut bytes = Bytes(&change[9..]);
        bytes.number();
        let deps = (0..bytes.number()).map(|_| bytes.take(32).try_into().unwrap()).collect();
        let (actor, sequence, start_operation) = (bytes.text(), bytes.number(), bytes.number());
        let (time, message) = (bytes.leb(), bytes.text());
        let others = (0..bytes.number()).map(|_| bytes.text()).collect();
        let layout: Vec<(u64, u64)> = (0..bytes.number()).map(|_| (bytes.number(), bytes.number())).collect();
        let columns = layout.into_iter().map(|(column, length)| (column, bytes.take(length).to_vec())).collect();
        Self { deps, actor, sequence, start_operation, time, message, others, columns, extra: bytes.0.to_vec() }
    }

    fn column(&mut self, number: u64) -> &mut Vec<u8> {
        &mut self.columns.iter_mut().find(|(column, _)| *column == number).expect("the column is there").1
    }

    /// The chunk, with the checksum that it should have.
    fn bytes(&self) -> Vec<u8> {
        let mut data = number(self.deps.len() as u64);
        self.deps.iter().for_each(|dep| data.extend(dep));
        data.extend(counted(&self.actor));
        data.extend(number(self.sequence));
        data.extend(number(self.start_operation));
        data.extend(&self.time);
        data.extend(counted(&self.message));
        data.extend(number(self.others.len() as u64));
        self.others.iter().for_each(|other| data.extend(counted(other)));
        data.extend(number(self.columns.len() as u64));
        for (column, content) in &self.columns {
            data.extend(number(*column));
            data.extend(number(content.len() as u64));
        }
        self.columns.iter().for_each(|(_, content)| data.extend(content));
        data.extend(&self.extra);
        let mut chunk = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
        chunk.extend(number(data.len() as u64));
        chunk.extend(data);
        let hash = Change::try_from(chunk.as_slice()).expect("automerge reads it").hash();
        chunk[4..8].copy_from_slice(&hash.0[..4]);
        chunk
    }
}

fn answers(phone: &str) -> Answers {
    Answers { values: [("phone".to_owned(), text(phone))].into(), ..Answers::default() }
}

/// A record of one change, and an edit of it that was not taken in yet.
fn record_and_edit() -> (Record, Raw) {
    let shape = Shape::unknown();
    let (record, _) = Record::create(RECORD, &shape, FORM, &answers("0700000001"), &[], &author(0xaa), &stamp(4)).unwrap();
    let mut other = record.clone();
    let seen = record.heads();
    let edit = other.edit(&shape, &seen, FORM, &answers("0799999999"), &[], &author(0xaa), &stamp(4)).unwrap().unwrap();
    (record, Raw::of(&edit))
}

fn admitted(record: &Record, bytes: Vec<u8>) -> Result<(), Reason> {
    let mut record = record.clone();
    let before = record.heads();
    let change = SourcedChange { bytes, provenance: author(0xaa).provenance };
    let outcome = gate::admit(&mut record, change, LAILA).map(drop).map_err(|failure| failure.reason);
    if outcome.is_err() {
        assert_eq!(record.heads(), before, "the record is as it was");
    }
    outcome
}

#[test]
fn a_change_put_together_again_is_the_same_and_passes() {
    let (record, raw) = record_and_edit();
    assert_eq!(Raw::of(&raw.bytes()).bytes(), raw.bytes());
    assert_eq!(admitted(&record, raw.bytes()), Ok(()));
}

#[test]
fn a_change_encoded_in_another_way_is_refused() {
    let (record, raw) = record_and_edit();
    // One value: a literal of one (-1), or a run of one.
    let mut run_of_one = raw.clone();
    let action = run_of_one.column(ACTION);
    assert_eq!(*action, [0x7f, 1], "one operation, which writes a value");
    *action = vec![1, 1];
    assert_ne!(run_of_one.bytes(), raw.bytes());
    assert_eq!(admitted(&record, run_of_one.bytes()), Err(Reason::NotCanonical));
    let mut followed = raw;
    followed.extra = vec![0];
    assert_eq!(admitted(&record, followed.bytes()), Err(Reason::NotCanonical));
}

#[test]
fn numbers_that_do_not_follow_are_refused() {
    let (record, raw) = record_and_edit();
    for sequence in [raw.sequence - 1, raw.sequence + 1] {
        let bytes = Raw { sequence, ..raw.clone() }.bytes();
        assert_eq!(admitted(&record, bytes), Err(Reason::Sequence), "sequence {sequence}");
    }
    for start_operation in [raw.start_operation - 1, raw.start_operation + 1, raw.start_operation + 7] {
        let bytes = Raw { start_operation, ..raw.clone() }.bytes();
        assert_eq!(admitted(&record, bytes), Err(Reason::Sequence), "operation {start_operation}");
    }
}

#[test]
fn an_edit_that_replaces_another_value_than_its_author_saw_is_refused() {
    let (record, raw) = record_and_edit();
    let mut other = raw.clone();
    let counter = other.column(PREDECESSOR_COUNTER);
    assert_eq!((counter.len(), counter[0]), (2, 0x7f), "one predecessor");
    counter[1] -= 1;
    assert_eq!(admitted(&record, other.bytes()), Err(Reason::Predecessor));
}

#[test]
fn an_operation_that_inserts_or_has_no_key_is_refused() {
    let (record, raw) = record_and_edit();
    let mut nameless = raw.clone();
    assert_eq!(*nameless.column(KEY), [&[0x7f, 5], &b"phone"[..]].concat());
    *nameless.column(KEY) = vec![0x7f, 0];
    let mut inserted = raw;
    // Runs that take turns, of operations that do not insert and of those that do.
    *inserted.column(INSERT) = vec![0, 1];
    for bytes in [nameless.bytes(), inserted.bytes()] {
        assert_eq!(admitted(&record, bytes), Err(Reason::Shape));
    }
}

#[test]
fn a_fork_of_the_signers_actor_passes_and_a_longer_one_does_not() {
    let (record, raw) = record_and_edit();
    for (suffix, expected) in [(4, Ok(())), (5, Err(Reason::Author))] {
        let actor = [&LAILA[..], &vec![7; suffix]].concat();
        // What it replaces was written by the actor of the incarnation itself.
        let mut fork = Raw { actor, sequence: 1, others: vec![LAILA.to_vec()], ..raw.clone() };
        for (column, content) in &mut fork.columns {
            // Actors of objects and of predecessors: number 1 is now the other one.
            if matches!(*column, OBJECT_ACTOR | PREDECESSOR_ACTOR) && content.first() == Some(&0x7f) {
                content[1] = 1;
            }
        }
        assert_eq!(admitted(&record, fork.bytes()), expected, "{suffix} bytes more");
    }
}

/// So many operations that write nothing under the key of the one that there is.
fn repeated(raw: &Raw, count: usize) -> Raw {
    // A run: its length as a signed number, then what is repeated.
    let length = [(count & 0x7f) as u8 | 0x80, (count >> 7 & 0x7f) as u8 | 0x80, (count >> 14) as u8];
    assert!(count >> 14 < 0x40, "the length of a run is signed");
    let run = |content: &[u8]| [&length[..], content].concat();
    let columns = raw.columns.iter().filter_map(|(column, content)| match *column {
        INSERT => Some((INSERT, number(count as u64))),
        VALUE_METADATA | PREDECESSOR_COUNT => Some((*column, run(&[0]))),
        VALUE | PREDECESSOR_ACTOR | PREDECESSOR_COUNTER => None,
        other => Some((other, run(&content[1..]))),
    });
    Raw { columns: columns.collect(), ..raw.clone() }
}

#[test]
fn what_is_as_large_as_a_record_takes_is_looked_at_and_what_is_larger_is_not() {
    let (record, raw) = record_and_edit();
    assert_eq!(admitted(&record, vec![0; MAX_CHANGE_BYTES]), Err(Reason::Malformed));
    assert_eq!(admitted(&record, vec![0; MAX_CHANGE_BYTES + 1]), Err(Reason::TooLarge));
    let deps = |count: usize| {
        (0..u16::try_from(count).unwrap()).map(|at| {
            let mut dep = [0; 32];
            dep[..2].copy_from_slice(&at.to_be_bytes());
            dep
        })
    };
    for (count, expected) in [(gate::MAX_OPERATIONS, Reason::Shape), (gate::MAX_OPERATIONS + 1, Reason::TooLarge)] {
        assert_eq!(admitted(&record, repeated(&raw, count).bytes()), Err(expected), "{count} operations");
    }
    for (count, expected) in [(gate::MAX_DEPENDENCIES, Reason::Dependency), (gate::MAX_DEPENDENCIES + 1, Reason::TooLarge)] {
        let bytes = Raw { deps: deps(count).collect(), ..raw.clone() }.bytes();
        assert_eq!(admitted(&record, bytes), Err(expected), "{count} dependencies");
    }
}
