//! How an envelope's body is packed. Nothing here is signed: the leaves are, so this encoding can change while old signatures hold.
//!
//! `[version, salts kind, salts, pruned leaves, record ids, dependency hashes, codec, raw length, payload]`. The payload is columns, one after
//! another: a kind for each item, then for each change its record, generation, dependencies and length, then the changes' bytes.
//! Identifiers and hashes, which no compressor can shorten, stand outside the payload.

use super::split::{self, put_number, take_number};
use super::{Item, Salts};
use crate::codec::{Extra, Reader, Writer};
pub use crate::dictionary::Effort;
use crate::dictionary::{self, NUMBER};
use crate::error::{CodecError, EnvelopeError};
use crate::ids::{Hash, RecordId};
use crate::limits::{MAX_BODY_RAW_BYTES, MAX_CHANGE_BYTES, MAX_CHANGES_PER_ENVELOPE, MAX_ENVELOPE_BYTES, MAX_SPLIT_DEPENDENCIES};
use std::collections::BTreeMap;

/// Version of the body's encoding.
const VERSION: u64 = 1;
const SALTS_SECRET: u64 = 0;
const SALTS_REMAINING: u64 = 1;
const CODEC_STORED: u64 = 0;

const KIND_PRUNED: u8 = 0;
const KIND_WHOLE: u8 = 1;
const KIND_SPLIT: u8 = 2;

/// Columns, in their order in the payload.
#[derive(Default)]
struct Columns {
    kinds: Vec<u8>,
    records: Vec<u8>,
    generations: Vec<u8>,
    dependencies: Vec<u8>,
    lengths: Vec<u8>,
    contents: Vec<u8>,
}

pub(super) fn encode(items: &[Item], salts: &Salts, effort: Effort) -> Vec<u8> {
    let mut columns = Columns::default();
    let mut ids: Vec<u8> = Vec::new();
    let mut hashes: Vec<u8> = Vec::new();
    let mut leaves: Vec<u8> = Vec::new();
    let mut known_records: BTreeMap<RecordId, u64> = BTreeMap::new();
    let mut known_changes: BTreeMap<Hash, u64> = BTreeMap::new();
    for (position, item) in (0u64..).zip(items) {
        let Item::Change { record, generation, change } = item else {
            if let Item::Pruned { leaf } = item {
                leaves.extend_from_slice(&leaf.0);
            }
            columns.kinds.push(KIND_PRUNED);
            continue;
        };
        // A record is 0 when it is the next new one, else its place among those already met, counted from 1.
        let next = known_records.len() as u64 + 1;
        match known_records.get(record) {
            Some(place) => put_number(&mut columns.records, *place),
            None => {
                known_records.insert(*record, next);
                ids.extend_from_slice(&record.0);
                put_number(&mut columns.records, 0);
            }
        }
        put_number(&mut columns.generations, u64::from(*generation));
        let Some(parts) = split::split(change) else {
            columns.kinds.push(KIND_WHOLE);
            put_number(&mut columns.lengths, change.len() as u64);
            columns.contents.extend_from_slice(change);
            continue;
        };
        columns.kinds.push(KIND_SPLIT);
        put_number(&mut columns.dependencies, parts.dependencies.len() as u64);
        for dependency in &parts.dependencies {
            // A dependency is 0 when its hash stands outside, else how many items before it is in this envelope.
            match known_changes.get(dependency) {
                Some(earlier) => put_number(&mut columns.dependencies, position - earlier),
                None => {
                    hashes.extend_from_slice(&dependency.0);
                    put_number(&mut columns.dependencies, 0);
                }
            }
        }
        put_number(&mut columns.lengths, parts.rest.len() as u64);
        columns.contents.extend_from_slice(parts.rest);
        known_changes.insert(parts.name, position);
    }
    let Columns { kinds, records, generations, dependencies, lengths, contents } = columns;
    let raw = [kinds, records, generations, dependencies, lengths, contents].concat();

    let mut writer = Writer::new();
    writer.array(9).uint(VERSION);
    match salts {
        Salts::Secret(secret) => writer.uint(SALTS_SECRET).bytes(secret),
        Salts::Remaining(salts) => {
            writer.uint(SALTS_REMAINING).bytes(&salts.iter().flatten().flatten().copied().collect::<Vec<u8>>())
        }
    };
    writer.bytes(&leaves).bytes(&ids).bytes(&hashes);
    match dictionary::compress(&raw, effort) {
        Some(packed) => writer.uint(NUMBER).uint(raw.len() as u64).bytes(&packed),
        None => writer.uint(CODEC_STORED).uint(raw.len() as u64).bytes(&raw),
    };
    writer.finish()
}

/// The bytes of the columns still to be read.
struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
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
}

/// Identifiers, hashes or salts that stand outside the payload, used in their order and all of them.
struct Aside<'a, const N: usize>(std::slice::Iter<'a, [u8; N]>);

impl<'a, const N: usize> Aside<'a, N> {
    fn new(bytes: &'a [u8], expected: &'static str) -> Result<Self, EnvelopeError> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        if rest.is_empty() { Ok(Self(chunks.iter())) } else { Err(EnvelopeError::Body { expected }) }
    }

    fn next(&mut self, expected: &'static str) -> Result<[u8; N], EnvelopeError> {
        self.0.next().copied().ok_or(EnvelopeError::Body { expected })
    }

    fn end(&mut self, expected: &'static str) -> Result<(), EnvelopeError> {
        if self.0.next().is_none() { Ok(()) } else { Err(EnvelopeError::Body { expected }) }
    }
}

/// What a change is made of, column by column.
struct Row {
    kind: u8,
    record: RecordId,
    generation: u32,
    /// 0 for a hash that stands outside, else how many items before.
    dependencies: Vec<usize>,
    length: usize,
}

pub(super) fn decode(packed: &[u8], count: usize) -> Result<(Vec<Item>, Salts), EnvelopeError> {
    let mut reader = Reader::new(packed, "envelope body");
    let more = reader.record(9)?;
    let version = reader.uint()?;
    if version != VERSION {
        return Err(CodecError::Unknown { what: "envelope body", expected: "versions", came: version }.into());
    }
    let salts_kind = reader.uint_up_to(SALTS_REMAINING)?;
    let salt_bytes = reader.bytes(16 * MAX_CHANGES_PER_ENVELOPE)?;
    let leaf_bytes = reader.bytes(32 * MAX_CHANGES_PER_ENVELOPE)?;
    let id_bytes = reader.bytes(16 * MAX_CHANGES_PER_ENVELOPE)?;
    let hash_bytes = reader.bytes(32 * MAX_CHANGES_PER_ENVELOPE * MAX_SPLIT_DEPENDENCIES)?;
    let codec = reader.uint_up_to(NUMBER)?;
    let raw_length = reader.uint_up_to(MAX_BODY_RAW_BYTES as u64)? as usize;
    let payload = reader.bytes(MAX_ENVELOPE_BYTES)?;
    let _: Extra = reader.extra(more)?;
    reader.end()?;
    let raw = if codec == CODEC_STORED {
        if payload.len() != raw_length {
            return Err(EnvelopeError::Body { expected: "a payload of the length announced" });
        }
        payload.to_vec()
    } else {
        dictionary::decompress(payload, raw_length)
            .ok_or(EnvelopeError::Body { expected: "a payload that unpacks to the length announced" })?
    };
    let mut payload = Payload(&raw);
    let rows = read_rows(&mut payload, id_bytes, count)?;
    let items = read_items(&mut payload, &rows, leaf_bytes, hash_bytes)?;
    if !payload.0.is_empty() {
        return Err(EnvelopeError::Body { expected: "nothing after the last change" });
    }
    let salts = read_salts(salts_kind, salt_bytes, &items)?;
    Ok((items, salts))
}

fn read_rows(payload: &mut Payload<'_>, id_bytes: &[u8], count: usize) -> Result<Vec<Row>, EnvelopeError> {
    let kinds = payload.take(count, "a kind for every item")?;
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    for kind in kinds {
        if !matches!(*kind, KIND_PRUNED | KIND_WHOLE | KIND_SPLIT) {
            return Err(EnvelopeError::Body { expected: "a known kind of item" });
        }
        rows.push(Row { kind: *kind, record: RecordId([0; 16]), generation: 0, dependencies: Vec::new(), length: 0 });
    }
    let mut ids = Aside::<16>::new(id_bytes, "whole record ids")?;
    let mut met: Vec<RecordId> = Vec::new();
    for row in rows.iter_mut().filter(|row| row.kind != KIND_PRUNED) {
        row.record = match payload.number(MAX_CHANGES_PER_ENVELOPE as u64, "a record for every change")? {
            0 => {
                let record = RecordId(ids.next("a record id for every record")?);
                met.push(record);
                record
            }
            place => *met.get(place as usize - 1).ok_or(EnvelopeError::Body { expected: "a record met before" })?,
        };
    }
    ids.end("no more record ids than records")?;
    for row in rows.iter_mut().filter(|row| row.kind != KIND_PRUNED) {
        row.generation = payload.number(u64::from(u32::MAX), "a generation for every change")? as u32;
    }
    for row in rows.iter_mut().filter(|row| row.kind == KIND_SPLIT) {
        let dependencies = payload.number(MAX_SPLIT_DEPENDENCIES as u64, "a number of dependencies")?;
        for _ in 0..dependencies {
            row.dependencies.push(payload.number(MAX_CHANGES_PER_ENVELOPE as u64, "a dependency")? as usize);
        }
    }
    for row in rows.iter_mut().filter(|row| row.kind != KIND_PRUNED) {
        row.length = payload.number(MAX_CHANGE_BYTES as u64, "a length for every change")? as usize;
    }
    Ok(rows)
}

fn read_items(payload: &mut Payload<'_>, rows: &[Row], leaf_bytes: &[u8], hash_bytes: &[u8]) -> Result<Vec<Item>, EnvelopeError> {
    let mut leaves = Aside::<32>::new(leaf_bytes, "whole leaves")?;
    let mut hashes = Aside::<32>::new(hash_bytes, "whole dependency hashes")?;
    let mut items = Vec::with_capacity(rows.len());
    let mut names: Vec<Option<Hash>> = Vec::with_capacity(rows.len());
    for (position, row) in rows.iter().enumerate() {
        if row.kind == KIND_PRUNED {
            items.push(Item::Pruned { leaf: Hash(leaves.next("a leaf for every pruned change")?) });
            names.push(None);
            continue;
        }
        let content = payload.take(row.length, "the bytes of every change")?;
        let change = if row.kind == KIND_WHOLE {
            names.push(None);
            content.to_vec()
        } else {
            let mut dependencies = Vec::with_capacity(row.dependencies.len());
            for back in &row.dependencies {
                dependencies.push(if *back == 0 {
                    Hash(hashes.next("a hash for every dependency")?)
                } else {
                    let earlier = position.checked_sub(*back).and_then(|place| names.get(place).copied().flatten());
                    earlier.ok_or(EnvelopeError::Body { expected: "a dependency on an earlier change" })?
                });
            }
            let (change, name) = split::join(&dependencies, content);
            names.push(Some(name));
            change
        };
        items.push(Item::Change { record: row.record, generation: row.generation, change });
    }
    leaves.end("no more leaves than pruned changes")?;
    hashes.end("no more hashes than dependencies")?;
    Ok(items)
}

fn read_salts(kind: u64, bytes: &[u8], items: &[Item]) -> Result<Salts, EnvelopeError> {
    let mut salts = Aside::<16>::new(bytes, "whole salts")?;
    if kind == SALTS_SECRET {
        let secret = salts.next("the secret of the salts")?;
        salts.end("one secret only")?;
        if items.iter().any(|item| item.record().is_none()) {
            return Err(EnvelopeError::Body { expected: "no secret beside a pruned change" });
        }
        return Ok(Salts::Secret(secret));
    }
    let mut remaining = Vec::with_capacity(items.len());
    for item in items {
        remaining.push(match item {
            Item::Pruned { .. } => None,
            Item::Change { .. } => Some(salts.next("a salt for every change")?),
        });
    }
    salts.end("no more salts than changes")?;
    Ok(Salts::Remaining(remaining))
}
