//! How an envelope's body is packed. Nothing here is signed: the leaves are, so this encoding can change while old signatures hold.
//!
//! `[version, salts kind, salts, pruned leaves, record ids, dependency hashes, identifiers, codec, raw length, payload]`. The payload is
//! what [`super::columns`] makes. Identifiers and hashes, which no compressor can shorten, stand outside it.

use super::columns::{self, Aside, Known, Payload};
use super::{Item, Salts};
use crate::codec::{Extra, Reader, Writer};
pub use crate::dictionary::Effort;
use crate::dictionary::{self, NUMBER};
use crate::error::{CodecError, EnvelopeError};
use crate::limits::{MAX_BODY_RAW_BYTES, MAX_CHANGES_PER_ENVELOPE, MAX_ENVELOPE_BYTES, MAX_SPLIT_DEPENDENCIES};

/// Version of the body's encoding.
const VERSION: u64 = 1;
const SALTS_SECRET: u64 = 0;
const SALTS_REMAINING: u64 = 1;
const CODEC_STORED: u64 = 0;

pub(super) fn encode(items: &[Item], salts: &Salts, known: &Known, effort: Effort) -> Vec<u8> {
    let Payload { records, hashes, identifiers, bytes } = columns::write(items, known);
    let leaves: Vec<u8> = items.iter().filter_map(Item::pruned_leaf).flat_map(|leaf| leaf.0).collect();
    let mut writer = Writer::new();
    writer.array(10).uint(VERSION);
    match salts {
        Salts::Secret(secret) => writer.uint(SALTS_SECRET).bytes(secret),
        Salts::Remaining(salts) => {
            writer.uint(SALTS_REMAINING).bytes(&salts.iter().flatten().flatten().copied().collect::<Vec<u8>>())
        }
    };
    writer.bytes(&leaves).bytes(&records).bytes(&hashes).bytes(&identifiers);
    match dictionary::compress(&bytes, effort) {
        Some(packed) => writer.uint(NUMBER).uint(bytes.len() as u64).bytes(&packed),
        None => writer.uint(CODEC_STORED).uint(bytes.len() as u64).bytes(&bytes),
    };
    writer.finish()
}

pub(super) fn decode(packed: &[u8], count: usize, known: &Known) -> Result<(Vec<Item>, Salts), EnvelopeError> {
    let mut reader = Reader::new(packed, "envelope body");
    let more = reader.record(10)?;
    let version = reader.uint()?;
    if version != VERSION {
        return Err(CodecError::Unknown { what: "envelope body", expected: "versions", came: version }.into());
    }
    let salts_kind = reader.uint_up_to(SALTS_REMAINING)?;
    let salts = reader.bytes(16 * MAX_CHANGES_PER_ENVELOPE)?;
    let leaves = reader.bytes(32 * MAX_CHANGES_PER_ENVELOPE)?;
    let records = reader.bytes(16 * MAX_CHANGES_PER_ENVELOPE)?.to_vec();
    let hashes = reader.bytes(32 * MAX_CHANGES_PER_ENVELOPE * MAX_SPLIT_DEPENDENCIES)?.to_vec();
    let identifiers = reader.bytes(MAX_BODY_RAW_BYTES)?.to_vec();
    let codec = reader.uint_up_to(NUMBER)?;
    let raw_length = reader.uint_up_to(MAX_BODY_RAW_BYTES as u64)? as usize;
    let content = reader.bytes(MAX_ENVELOPE_BYTES)?;
    let _: Extra = reader.extra(more)?;
    reader.end()?;
    let bytes = if codec == CODEC_STORED {
        if content.len() != raw_length {
            return Err(EnvelopeError::Body { expected: "a payload of the length announced" });
        }
        content.to_vec()
    } else {
        dictionary::decompress(content, raw_length)
            .ok_or(EnvelopeError::Body { expected: "a payload that unpacks to the length announced" })?
    };
    let items = columns::read(&Payload { records, hashes, identifiers, bytes }, leaves, count, known)?;
    let salts = read_salts(salts_kind, salts, &items)?;
    Ok((items, salts))
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
