//! Takes a CRDT change apart for the body's encoding: what can be computed again (the chunk's head with its checksum) is left
//! out, and what no compressor can shorten (the hashes of dependencies) is put aside.
//!
//! A chunk is `85 6f 4a 83 ‖ checksum(4) ‖ 01 ‖ length ‖ content`, where the checksum is the beginning of SHA-256 over
//! `01 ‖ length ‖ content` (that whole hash is the change's name), and the content begins with the number of dependencies and their
//! hashes. Anything that is not exactly so travels whole.

use crate::ids::Hash;
use crate::limits::MAX_SPLIT_DEPENDENCIES;
use sha2::{Digest, Sha256};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;

/// A change in two parts, with the name that follows from them.
pub(super) struct Parts<'a> {
    pub dependencies: Vec<Hash>,
    pub rest: &'a [u8],
    pub name: Hash,
}

/// Takes a change apart, if it can be put together again byte for byte.
pub(super) fn split(change: &[u8]) -> Option<Parts<'_>> {
    let body = change.strip_prefix(&MAGIC)?;
    let (checksum, named) = body.split_at_checked(4)?;
    let after_kind = named.strip_prefix(&[CHANGE_CHUNK])?;
    let (length, content) = take_number(after_kind)?;
    if length != content.len() as u64 {
        return None;
    }
    let name = Hash(Sha256::digest(named).into());
    if !name.0.starts_with(checksum) {
        return None;
    }
    let (count, mut rest) = take_number(content)?;
    if count > MAX_SPLIT_DEPENDENCIES as u64 {
        return None;
    }
    let mut dependencies = Vec::new();
    for _ in 0..count {
        let (hash, after) = rest.split_at_checked(32)?;
        dependencies.push(Hash(hash.try_into().ok()?));
        rest = after;
    }
    let parts = Parts { dependencies, rest, name };
    let (again, _) = join(&parts.dependencies, rest);
    (again == change).then_some(parts)
}

/// Puts a change together and gives its name.
pub(super) fn join(dependencies: &[Hash], rest: &[u8]) -> (Vec<u8>, Hash) {
    let mut content = Vec::with_capacity(rest.len() + 32 * dependencies.len() + 1);
    put_number(&mut content, dependencies.len() as u64);
    for dependency in dependencies {
        content.extend_from_slice(&dependency.0);
    }
    content.extend_from_slice(rest);
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

/// Takes an unsigned LEB128 number in its shortest form from the front.
pub(super) fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (position, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || position == 0;
            return shortest.then(|| (value, bytes.get(position + 1..).unwrap_or_default()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_change_is_put_together_as_it_was() {
        let dependencies = [Hash([3; 32]), Hash([4; 32])];
        let (change, name) = join(&dependencies, b"actor and operations");
        let parts = split(&change).unwrap();
        assert_eq!(
            (parts.dependencies.as_slice(), parts.rest, parts.name),
            (&dependencies[..], &b"actor and operations"[..], name)
        );
    }

    #[test]
    fn what_is_not_exactly_a_change_travels_whole() {
        let (change, _) = join(&[Hash([3; 32])], b"rest");
        for position in 0..change.len() {
            let mut broken = change.clone();
            broken[position] ^= 1;
            assert!(split(&broken).is_none(), "byte {position}");
        }
        assert!(split(b"").is_none());
        assert!(split(&change[..change.len() - 1]).is_none());
    }

    #[test]
    fn numbers_are_read_in_their_shortest_form_only() {
        for value in [0, 1, 127, 128, 16_384, u64::from(u32::MAX)] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            assert_eq!(take_number(&bytes), Some((value, &[][..])));
        }
        assert_eq!(take_number(&[0x80, 0x00]), None);
        assert_eq!(take_number(&[0xff; 12]), None);
    }
}
