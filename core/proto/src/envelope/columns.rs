//! The payload of an envelope's body, arranged so that a compressor finds like beside like.
//!
//! First the *head*: a kind for each item (one byte); for each change that is there its record, and then for each its generation; for
//! each that travels whole its length; for each that is taken apart its dependencies, then for each its actor, then the unit of time and for each how much
//! later it was made than the one before it (the first: than the envelope was sealed); then the length of the contents. After the head the *contents*, with identifiers taken out ([`super::identifiers`]): a row for each
//! change that is taken apart, then the changes that travel whole.
//!
//! A row is: sequence, first operation, message, number of other actors and each of them, layout, tail, then for each column of the layout
//! its length and its bytes. The columns of values stand together ([`super::values`]) as the one with the number of the second. In a layout
//! the columns ascend, but those that differ most from edit to edit come last ([`LAST`]): two edits of one question have rows that are equal
//! up to there. All numbers are unsigned LEB128.

use super::identifiers::{self, unzigzag, zigzag};
use super::split::{self, Parts, put_bytes, put_number, take_number};
use super::{EnvelopeHeader, Item, values};
use crate::error::EnvelopeError;
use crate::ids::{Hash, IncarnationId, RecordId};
use crate::limits::{
    MAX_BODY_RAW_BYTES, MAX_CHANGE_BYTES, MAX_CHANGES_PER_ENVELOPE, MAX_SPLIT_ACTOR_BYTES, MAX_SPLIT_ACTORS, MAX_SPLIT_COLUMNS,
    MAX_SPLIT_DEPENDENCIES,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

const KIND_PRUNED: u8 = 0;
const KIND_WHOLE: u8 = 1;
const KIND_SPLIT: u8 = 2;

/// Columns that come last in a row, in this order: the counters of the map written into and of the value replaced, and the values.
const LAST: [u64; 3] = [2, 115, values::BYTES];

/// The unit of times that are whole seconds, as Karwan's changes are: the other is the millisecond.
const SECOND_MS: i64 = 1000;

/// What a header tells beforehand: the actor of most changes and about when they were made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    incarnation: IncarnationId,
    clock_ms: i64,
}

impl Known {
    /// Nothing.
    pub(super) const NOTHING: Self = Self { incarnation: IncarnationId([0; 16]), clock_ms: 0 };

    /// What this header tells.
    pub(super) fn of(header: &EnvelopeHeader) -> Self {
        Self { incarnation: header.incarnation, clock_ms: header.clock_ms }
    }
}

/// A payload, and what stands beside it because no compressor can shorten it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Payload {
    /// Ids of the records, each once.
    pub records: Vec<u8>,
    /// Hashes of dependencies that are not in this envelope.
    pub hashes: Vec<u8>,
    /// Identifiers within the contents, each once.
    pub identifiers: Vec<u8>,
    /// Head and contents.
    pub bytes: Vec<u8>,
}

/// A change that was taken apart, with its place and its name.
struct Row<'a> {
    position: u64,
    parts: Parts<'a>,
    name: Hash,
}

/// Values met before, by their place counted from 1. A new one is 0 and then itself.
struct Places<T>(BTreeMap<T, u64>);

impl<T: Ord> Places<T> {
    fn put(&mut self, column: &mut Vec<u8>, value: T) -> bool {
        let next = self.0.len() as u64 + 1;
        let known = *self.0.entry(value).or_insert(next);
        put_number(column, if known == next { 0 } else { known });
        known == next
    }
}

/// Packs items.
pub(super) fn write(items: &[Item], known: &Known) -> Payload {
    let mut payload = Payload::default();
    let (mut kinds, mut records, mut generations, mut lengths) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut met_records: Places<RecordId> = Places(BTreeMap::new());
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut whole: Vec<&[u8]> = Vec::new();
    for (position, item) in (0u64..).zip(items) {
        let Item::Change { record, generation, change } = item else {
            kinds.push(KIND_PRUNED);
            continue;
        };
        if met_records.put(&mut records, *record) {
            payload.records.extend_from_slice(&record.0);
        }
        put_number(&mut generations, u64::from(*generation));
        if let Some((parts, name)) = split::split(change) {
            kinds.push(KIND_SPLIT);
            rows.push(Row { position, parts, name });
        } else {
            kinds.push(KIND_WHOLE);
            put_number(&mut lengths, change.len() as u64);
            whole.push(change);
        }
    }
    let (fields, mut contents) = write_rows(&rows, known, &mut payload.hashes);
    contents.extend(whole.concat());
    let mut length = Vec::new();
    put_number(&mut length, contents.len() as u64);
    let taken = identifiers::take_out(&contents, payload.records.as_chunks::<16>().0);
    payload.identifiers = taken.aside;
    payload.bytes = [kinds, records, generations, lengths, fields, length, taken.text].concat();
    payload
}

/// The head's part of changes that are taken apart, and their rows; hashes that stand aside go into `hashes`.
fn write_rows(rows: &[Row<'_>], known: &Known, hashes: &mut Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let (mut dependencies, mut actors, mut times, mut contents) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut met_changes: BTreeMap<Hash, u64> = BTreeMap::new();
    let mut met_actors: Places<&[u8]> = Places(BTreeMap::from([(&known.incarnation.0[..], 1)]));
    let mut met_layouts: Places<Vec<u64>> = Places(BTreeMap::new());
    for Row { position, parts, name } in rows {
        put_number(&mut dependencies, parts.dependencies.len() as u64);
        for dependency in &parts.dependencies {
            // A dependency is 0 when its hash stands aside, else how many items before it is in this envelope.
            if let Some(earlier) = met_changes.get(dependency) {
                put_number(&mut dependencies, position - earlier);
            } else {
                hashes.extend_from_slice(&dependency.0);
                put_number(&mut dependencies, 0);
            }
        }
        met_changes.insert(*name, *position);
        if met_actors.put(&mut actors, parts.actor) {
            put_bytes(&mut actors, parts.actor);
        }
    }
    let unit = unit_of(rows.iter().map(|row| row.parts.time));
    put_number(&mut times, unit as u64);
    let mut time = known.clock_ms.div_euclid(unit);
    for Row { parts, .. } in rows {
        let next = parts.time / unit;
        put_number(&mut times, zigzag(next.wrapping_sub(time)));
        time = next;
    }
    for Row { parts, .. } in rows {
        put_number(&mut contents, parts.sequence);
        put_number(&mut contents, parts.first_operation);
        put_bytes(&mut contents, parts.message);
        put_number(&mut contents, parts.other_actors.len() as u64);
        for actor in &parts.other_actors {
            if met_actors.put(&mut contents, actor) {
                put_bytes(&mut contents, actor);
            }
        }
        let columns = values_together(parts);
        let layout: Vec<u64> = columns.iter().map(|column| column.0).collect();
        if met_layouts.put(&mut contents, layout.clone()) {
            put_number(&mut contents, layout.len() as u64);
            for number in &layout {
                put_number(&mut contents, *number);
            }
        }
        put_bytes(&mut contents, parts.tail);
        for (_, bytes) in &columns {
            put_bytes(&mut contents, bytes);
        }
    }
    ([dependencies, actors, times].concat(), contents)
}

/// The longest unit that all these times are whole numbers of.
fn unit_of(mut times: impl Iterator<Item = i64>) -> i64 {
    if times.all(|time| time % SECOND_MS == 0) { SECOND_MS } else { 1 }
}

/// The columns of a change, those of its values as one where they can be.
fn values_together<'a>(parts: &'a Parts<'_>) -> Vec<(u64, Cow<'a, [u8]>)> {
    let column = |number: u64| parts.columns.iter().find(|column| column.0 == number).map(|column| &*column.1);
    let both = match (column(values::DESCRIPTIONS), column(values::BYTES)) {
        (Some(descriptions), Some(bytes)) => values::together(descriptions, bytes),
        _ => None,
    };
    let mut columns = Vec::with_capacity(parts.columns.len());
    for (number, bytes) in &parts.columns {
        match (*number, &both) {
            (values::DESCRIPTIONS, Some(_)) => {}
            (values::BYTES, Some(both)) => columns.push((*number, Cow::Owned(both.clone()))),
            _ => columns.push((*number, Cow::Borrowed(&**bytes))),
        }
    }
    columns.sort_by_key(|column| (LAST.iter().position(|last| *last == column.0), column.0));
    columns
}

/// Bytes still to be read.
struct Reading<'a>(&'a [u8]);

impl<'a> Reading<'a> {
    fn number(&mut self, limit: u64, expected: &'static str) -> Result<u64, EnvelopeError> {
        let (value, rest) = take_number(self.0).ok_or(EnvelopeError::Body { expected })?;
        self.0 = rest;
        if value <= limit { Ok(value) } else { Err(EnvelopeError::Body { expected }) }
    }

    fn take(&mut self, length: usize, expected: &'static str) -> Result<&'a [u8], EnvelopeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(EnvelopeError::Body { expected })?;
        self.0 = rest;
        Ok(taken)
    }

    fn prefixed(&mut self, expected: &'static str) -> Result<&'a [u8], EnvelopeError> {
        let length = self.number(MAX_CHANGE_BYTES as u64, expected)? as usize;
        self.take(length, expected)
    }

    fn actor(&mut self) -> Result<&'a [u8], EnvelopeError> {
        let length = self.number(MAX_SPLIT_ACTOR_BYTES as u64, "an actor")? as usize;
        self.take(length, "an actor")
    }

    /// A value met before, or a new one, which `read` reads.
    fn place<T: Clone>(
        &mut self,
        met: &mut Vec<T>,
        expected: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, EnvelopeError>,
    ) -> Result<T, EnvelopeError> {
        let place = self.number(u64::from(u16::MAX), expected)? as usize;
        if let Some(place) = place.checked_sub(1) {
            return met.get(place).cloned().ok_or(EnvelopeError::Body { expected });
        }
        let value = read(self)?;
        met.push(value.clone());
        Ok(value)
    }
}

/// Sixteen or thirty-two bytes at a time, used in their order and all of them.
pub(super) struct Aside<'a, const N: usize>(std::slice::Iter<'a, [u8; N]>);

impl<'a, const N: usize> Aside<'a, N> {
    pub fn new(bytes: &'a [u8], expected: &'static str) -> Result<Self, EnvelopeError> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        if rest.is_empty() { Ok(Self(chunks.iter())) } else { Err(EnvelopeError::Body { expected }) }
    }

    pub fn next(&mut self, expected: &'static str) -> Result<[u8; N], EnvelopeError> {
        self.0.next().copied().ok_or(EnvelopeError::Body { expected })
    }

    pub fn end(&mut self, expected: &'static str) -> Result<(), EnvelopeError> {
        if self.0.next().is_none() { Ok(()) } else { Err(EnvelopeError::Body { expected }) }
    }
}

/// How a change's fields are read: dependencies are 0 for a hash that stands aside, else how many items before.
#[derive(Default)]
struct Fields<'a> {
    dependencies: Vec<usize>,
    parts: Parts<'a>,
}

/// Unpacks items; pruned ones take their leaves from `leaves`.
pub(super) fn read(payload: &Payload, leaves: &[u8], count: usize, known: &Known) -> Result<Vec<Item>, EnvelopeError> {
    let mut reading = Reading(&payload.bytes);
    let kinds = reading.take(count, "a kind for every item")?;
    if kinds.iter().any(|kind| !matches!(*kind, KIND_PRUNED | KIND_WHOLE | KIND_SPLIT)) {
        return Err(EnvelopeError::Body { expected: "a known kind of item" });
    }
    #[allow(clippy::naive_bytecount, reason = "at most 256 kinds")]
    let of_kind = |wanted: u8| kinds.iter().filter(|kind| **kind == wanted).count();
    let (whole, split) = (of_kind(KIND_WHOLE), of_kind(KIND_SPLIT));
    let records = read_records(&mut reading, &payload.records, whole + split)?;
    let mut generations = Vec::with_capacity(whole + split);
    for _ in 0..whole + split {
        generations.push(reading.number(u64::from(u32::MAX), "a generation for every change")? as u32);
    }
    let mut lengths = Vec::with_capacity(whole);
    for _ in 0..whole {
        lengths.push(reading.number(MAX_CHANGE_BYTES as u64, "a length for every change")? as usize);
    }
    let mut actors: Vec<&[u8]> = vec![&known.incarnation.0];
    let mut rows = read_fields(&mut reading, split, &mut actors, known.clock_ms)?;
    let length = reading.number(MAX_BODY_RAW_BYTES as u64, "the length of the contents")? as usize;
    let contents = identifiers::put_back(reading.0, &payload.identifiers, payload.records.as_chunks::<16>().0, length)?;
    let mut contents = Reading(&contents);
    read_rows(&mut contents, &mut rows, &mut actors)?;

    let mut described = records.into_iter().zip(generations);
    let mut changes =
        Changes { rows: rows.into_iter(), hashes: Aside::new(&payload.hashes, "whole dependency hashes")?, names: Vec::new() };
    let mut leaves = Aside::<32>::new(leaves, "whole leaves")?;
    let mut lengths = lengths.into_iter();
    let mut items = Vec::with_capacity(count);
    for kind in kinds {
        if *kind == KIND_PRUNED {
            items.push(Item::Pruned { leaf: Hash(leaves.next("a leaf for every pruned change")?) });
            changes.names.push(None);
            continue;
        }
        let change = if *kind == KIND_WHOLE {
            changes.names.push(None);
            contents.take(lengths.next().unwrap_or(0), "the bytes of every change")?.to_vec()
        } else {
            changes.next()?
        };
        let (record, generation) = described.next().ok_or(EnvelopeError::Body { expected: "a record for every change" })?;
        items.push(Item::Change { record, generation, change });
    }
    if !contents.0.is_empty() {
        return Err(EnvelopeError::Body { expected: "nothing after the last change" });
    }
    leaves.end("no more leaves than pruned changes")?;
    changes.hashes.end("no more hashes than dependencies")?;
    Ok(items)
}

/// Changes that were taken apart, put together one after another.
struct Changes<'a, 'b> {
    rows: std::vec::IntoIter<Fields<'b>>,
    hashes: Aside<'a, 32>,
    /// Names of the items before, where they are known.
    names: Vec<Option<Hash>>,
}

impl Changes<'_, '_> {
    fn next(&mut self) -> Result<Vec<u8>, EnvelopeError> {
        let mut row = self.rows.next().ok_or(EnvelopeError::Body { expected: "fields for every change" })?;
        for back in &row.dependencies {
            row.parts.dependencies.push(if *back == 0 {
                Hash(self.hashes.next("a hash for every dependency")?)
            } else {
                let earlier = self.names.len().checked_sub(*back).and_then(|place| self.names.get(place).copied().flatten());
                earlier.ok_or(EnvelopeError::Body { expected: "a dependency on an earlier change" })?
            });
        }
        let (change, name) = split::join(&row.parts);
        self.names.push(Some(name));
        Ok(change)
    }
}

fn read_records(reading: &mut Reading<'_>, ids: &[u8], count: usize) -> Result<Vec<RecordId>, EnvelopeError> {
    let mut ids = Aside::<16>::new(ids, "whole record ids")?;
    let mut met = Vec::new();
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        records.push(reading.place(&mut met, "a record met before", |_| Ok(RecordId(ids.next("an id for every record")?)))?);
    }
    ids.end("no more record ids than records")?;
    Ok(records)
}

fn read_fields<'a>(
    reading: &mut Reading<'a>,
    count: usize,
    actors: &mut Vec<&'a [u8]>,
    clock_ms: i64,
) -> Result<Vec<Fields<'a>>, EnvelopeError> {
    let mut rows: Vec<Fields<'a>> = Vec::new();
    rows.resize_with(count, Fields::default);
    for row in &mut rows {
        for _ in 0..reading.number(MAX_SPLIT_DEPENDENCIES as u64, "a number of dependencies")? {
            row.dependencies.push(reading.number(MAX_CHANGES_PER_ENVELOPE as u64, "a dependency")? as usize);
        }
    }
    for row in &mut rows {
        row.parts.actor = reading.place(actors, "an actor met before", Reading::actor)?;
    }
    let unit @ (1 | SECOND_MS) = reading.number(SECOND_MS as u64, "a unit of time")? as i64 else {
        return Err(EnvelopeError::Body { expected: "a unit of time" });
    };
    let mut time = clock_ms.div_euclid(unit);
    for row in &mut rows {
        time = time.wrapping_add(unzigzag(reading.number(u64::MAX, "a time for every change")?));
        row.parts.time = time.checked_mul(unit).ok_or(EnvelopeError::Body { expected: "a time for every change" })?;
    }
    Ok(rows)
}

fn read_rows<'a>(reading: &mut Reading<'a>, rows: &mut [Fields<'a>], actors: &mut Vec<&'a [u8]>) -> Result<(), EnvelopeError> {
    let mut layouts: Vec<Vec<u64>> = Vec::new();
    for Fields { parts, .. } in rows {
        parts.sequence = reading.number(u64::MAX, "a sequence for every change")?;
        parts.first_operation = reading.number(u64::MAX, "a first operation for every change")?;
        parts.message = reading.prefixed("a message for every change")?;
        for _ in 0..reading.number(MAX_SPLIT_ACTORS as u64, "a number of other actors")? {
            parts.other_actors.push(reading.place(actors, "an actor met before", Reading::actor)?);
        }
        let layout = reading.place(&mut layouts, "a layout met before", |reading| {
            let columns = reading.number(MAX_SPLIT_COLUMNS as u64, "a number of columns")?;
            (0..columns).map(|_| reading.number(u64::MAX, "the number of a column")).collect()
        })?;
        parts.tail = reading.prefixed("a tail for every change")?;
        let together = layout.contains(&values::BYTES) && !layout.contains(&values::DESCRIPTIONS);
        for number in layout {
            let bytes = reading.prefixed("the bytes of every column")?;
            if number == values::BYTES && together {
                let expected = "values beside their lengths";
                let (descriptions, bytes) = values::apart(bytes).ok_or(EnvelopeError::Body { expected })?;
                parts.columns.push((values::DESCRIPTIONS, Cow::Owned(descriptions)));
                parts.columns.push((values::BYTES, Cow::Owned(bytes)));
            } else {
                parts.columns.push((number, Cow::Borrowed(bytes)));
            }
        }
        parts.columns.sort_by_key(|column| column.0);
    }
    Ok(())
}
