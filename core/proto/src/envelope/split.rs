//! Takes a CRDT change apart for the body's encoding, which keeps like with like: the same field of all changes stands together.
//! What can be computed again (the chunk's head with its checksum) is left out.
//!
//! A chunk is `85 6f 4a 83 ‖ checksum(4) ‖ 01 ‖ length ‖ content`, where the checksum is the beginning of SHA-256 over
//! `01 ‖ length ‖ content` (that whole hash is the change's name). The content is: dependencies (number, then 32 bytes each), actor,
//! sequence, first operation, time, message, other actors, columns (number, then number and length of each, then their bytes), and
//! what a newer version added. Anything that is not exactly so travels whole.

use crate::ids::Hash;
use crate::limits::{MAX_SPLIT_ACTOR_BYTES, MAX_SPLIT_ACTORS, MAX_SPLIT_COLUMNS, MAX_SPLIT_DEPENDENCIES};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;

/// A change field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub dependencies: Vec<Hash>,
    pub actor: &'a [u8],
    pub sequence: u64,
    pub first_operation: u64,
    pub time: i64,
    pub message: &'a [u8],
    pub other_actors: Vec<&'a [u8]>,
    /// Number and bytes of each column, in ascending order of the numbers.
    pub columns: Vec<(u64, Cow<'a, [u8]>)>,
    pub tail: &'a [u8],
}

/// Takes a change apart, if it can be put together again byte for byte; gives its name too.
pub(super) fn split(change: &[u8]) -> Option<(Parts<'_>, Hash)> {
    let content = content(change)?;
    let (count, mut rest) = take_count(content, MAX_SPLIT_DEPENDENCIES)?;
    let mut parts = Parts::default();
    for _ in 0..count {
        let (hash, after) = rest.split_at_checked(32)?;
        parts.dependencies.push(Hash(hash.try_into().ok()?));
        rest = after;
    }
    (parts.actor, rest) = take_bytes(rest, MAX_SPLIT_ACTOR_BYTES)?;
    (parts.sequence, rest) = take_number(rest)?;
    (parts.first_operation, rest) = take_number(rest)?;
    (parts.time, rest) = take_signed(rest)?;
    (parts.message, rest) = take_bytes(rest, usize::MAX)?;
    let (count, mut rest) = take_count(rest, MAX_SPLIT_ACTORS)?;
    for _ in 0..count {
        let (actor, after) = take_bytes(rest, MAX_SPLIT_ACTOR_BYTES)?;
        parts.other_actors.push(actor);
        rest = after;
    }
    let (count, mut rest) = take_count(rest, MAX_SPLIT_COLUMNS)?;
    let mut heads = Vec::new();
    for _ in 0..count {
        let (number, after) = take_number(rest)?;
        let (length, after) = take_number(after)?;
        if heads.last().is_some_and(|(last, _)| *last >= number) {
            return None;
        }
        heads.push((number, usize::try_from(length).ok()?));
        rest = after;
    }
    for (number, length) in heads {
        let (bytes, after) = rest.split_at_checked(length)?;
        parts.columns.push((number, Cow::Borrowed(bytes)));
        rest = after;
    }
    parts.tail = rest;
    // The columns of values as one have the number of the second: a change that has only that would be read as both.
    let has = |number: u64| parts.columns.iter().any(|column| column.0 == number);
    if has(super::values::BYTES) && !has(super::values::DESCRIPTIONS) {
        return None;
    }
    let (again, name) = join(&parts);
    (again == change).then_some((parts, name))
}

fn content(change: &[u8]) -> Option<&[u8]> {
    let named = change.strip_prefix(&MAGIC)?.get(4..)?;
    let (length, content) = take_number(named.strip_prefix(&[CHANGE_CHUNK])?)?;
    (length == content.len() as u64).then_some(content)
}

/// Puts a change together and gives its name.
pub(super) fn join(parts: &Parts<'_>) -> (Vec<u8>, Hash) {
    let mut content = Vec::new();
    put_number(&mut content, parts.dependencies.len() as u64);
    for dependency in &parts.dependencies {
        content.extend_from_slice(&dependency.0);
    }
    put_bytes(&mut content, parts.actor);
    put_number(&mut content, parts.sequence);
    put_number(&mut content, parts.first_operation);
    put_signed(&mut content, parts.time);
    put_bytes(&mut content, parts.message);
    put_number(&mut content, parts.other_actors.len() as u64);
    for actor in &parts.other_actors {
        put_bytes(&mut content, actor);
    }
    put_number(&mut content, parts.columns.len() as u64);
    for (number, bytes) in &parts.columns {
        put_number(&mut content, *number);
        put_number(&mut content, bytes.len() as u64);
    }
    for (_, bytes) in &parts.columns {
        content.extend_from_slice(bytes);
    }
    content.extend_from_slice(parts.tail);

    let mut named = vec![CHANGE_CHUNK];
    put_number(&mut named, content.len() as u64);
    named.extend_from_slice(&content);
    let name = Hash(Sha256::digest(&named).into());
    let change = [&MAGIC[..], name.0.get(..4).unwrap_or_default(), &named].concat();
    (change, name)
}

/// Appends an unsigned LEB128 number.
pub(super) fn put_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends a signed LEB128 number.
pub(super) fn put_signed(bytes: &mut Vec<u8>, mut value: i64) {
    while !(-0x40..0x40).contains(&value) {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8 & 0x7f);
}

/// Appends bytes after their number.
pub(super) fn put_bytes(bytes: &mut Vec<u8>, value: &[u8]) {
    put_number(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

/// Takes an unsigned LEB128 number in its shortest form from the front.
pub(super) fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (position, byte) in bytes.iter().enumerate().take(10) {
        // The tenth byte has room for one bit.
        if position == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || position == 0;
            return shortest.then(|| (value, bytes.get(position + 1..).unwrap_or_default()));
        }
    }
    None
}

/// Takes a signed LEB128 number of at most nine bytes from the front.
pub(super) fn take_signed(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0i64;
    for (position, byte) in bytes.iter().enumerate().take(9) {
        value |= i64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            let unused = 64 - 7 * (position as u32 + 1);
            return Some(((value << unused) >> unused, bytes.get(position + 1..).unwrap_or_default()));
        }
    }
    None
}

fn take_count(bytes: &[u8], most: usize) -> Option<(usize, &[u8])> {
    let (count, rest) = take_number(bytes)?;
    (count <= most as u64).then_some((count as usize, rest))
}

fn take_bytes(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_count(bytes, most)?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn parts() -> Parts<'static> {
        Parts {
            dependencies: vec![Hash([3; 32]), Hash([4; 32])],
            actor: &[7; 16],
            sequence: 2,
            first_operation: 300,
            time: -1_700_000_000_000,
            message: b"",
            other_actors: vec![&[8; 20]],
            columns: [(1, &b"one"[..]), (21, b"twenty-one"), (200, b"")].map(|(number, bytes)| (number, bytes.into())).into(),
            tail: b"newer",
        }
    }

    #[test]
    fn a_change_is_put_together_as_it_was() {
        let (change, name) = join(&parts());
        assert_eq!(split(&change), Some((parts(), name)));
    }

    #[test]
    fn what_is_not_exactly_a_change_travels_whole() {
        let (change, _) = join(&parts());
        for position in 0..change.len() {
            let mut broken = change.clone();
            broken[position] ^= 1;
            assert!(split(&broken).is_none(), "byte {position}");
        }
        assert!(split(b"").is_none());
        assert!(split(&change[..change.len() - 1]).is_none());
        let reversed = Parts { columns: vec![(21, b"a"[..].into()), (1, b"b"[..].into())], ..parts() };
        assert!(split(&join(&reversed).0).is_none());
    }

    #[test]
    fn numbers_are_read_in_their_shortest_form_only() {
        for value in [0, 1, 127, 128, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            assert_eq!(take_number(&bytes), Some((value, &[][..])));
        }
        assert_eq!(take_number(&[0x80, 0x00]), None);
        assert_eq!(take_number(&[0xff; 12]), None);
        for value in [0, 63, 64, -1, -64, -65, 1_700_000_000_000, -(1 << 40)] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            assert_eq!(take_signed(&bytes), Some((value, &[][..])));
        }
    }
}
