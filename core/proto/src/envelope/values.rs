//! The values of a change beside their lengths. A change keeps the kinds and lengths of its values in one column (run-length encoded)
//! and their bytes in another; together they are words that a compressor has met.
//!
//! For each value `length × 16 + type` as unsigned LEB128, then the value's bytes. What does not come out the same again stays as it is.

use super::split::{put_number, take_number};

/// The column of kinds and lengths, and that of bytes.
pub(super) const DESCRIPTIONS: u64 = 86;
/// The column of bytes; alone, it holds both.
pub(super) const BYTES: u64 = 87;
/// Bits of a description that are the value's type.
const TYPE_BITS: u32 = 4;
/// Values in one change.
const MAX_VALUES: usize = 1 << 20;

/// Puts the two columns together.
pub(super) fn together(descriptions: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let described = read_runs(descriptions)?;
    let mut both = Vec::with_capacity(descriptions.len() + bytes.len());
    let mut rest = bytes;
    for description in &described {
        let (value, after) = rest.split_at_checked(usize::try_from(description >> TYPE_BITS).ok()?)?;
        put_number(&mut both, *description);
        both.extend_from_slice(value);
        rest = after;
    }
    (rest.is_empty() && write_runs(&described) == descriptions).then_some(both)
}

/// Takes them apart again.
pub(super) fn apart(both: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut described = Vec::new();
    let mut bytes = Vec::with_capacity(both.len());
    let mut rest = both;
    while !rest.is_empty() {
        let (description, after) = take_number(rest)?;
        let (value, after) = after.split_at_checked(usize::try_from(description >> TYPE_BITS).ok()?)?;
        described.push(description);
        bytes.extend_from_slice(value);
        rest = after;
    }
    Some((write_runs(&described), bytes))
}

/// Reads runs: a positive number and the value that is repeated so often, or a negative one and so many values.
fn read_runs(column: &[u8]) -> Option<Vec<u64>> {
    let mut values = Vec::new();
    let mut rest = column;
    while !rest.is_empty() {
        let (count, after) = super::split::take_signed(rest)?;
        rest = after;
        let length = usize::try_from(count.unsigned_abs()).ok()?;
        if count == 0 || length > MAX_VALUES || values.len() + length > MAX_VALUES {
            return None;
        }
        if count > 0 {
            let (value, after) = take_number(rest)?;
            values.resize(values.len() + length, value);
            rest = after;
        } else {
            for _ in 0..length {
                let (value, after) = take_number(rest)?;
                values.push(value);
                rest = after;
            }
        }
    }
    Some(values)
}

/// Writes runs in the one way that changes do: equal neighbours are a run, all others stand together.
fn write_runs(values: &[u64]) -> Vec<u8> {
    let mut column = Vec::new();
    let mut alone: Vec<u64> = Vec::new();
    let flush = |alone: &mut Vec<u64>, column: &mut Vec<u8>| {
        if !alone.is_empty() {
            super::split::put_signed(column, -(alone.len() as i64));
            alone.drain(..).for_each(|value| put_number(column, value));
        }
    };
    for run in values.chunk_by(|one, next| one == next) {
        match run {
            [value] => alone.push(*value),
            [value, ..] => {
                flush(&mut alone, &mut column);
                super::split::put_signed(&mut column, run.len() as i64);
                put_number(&mut column, *value);
            }
            [] => {}
        }
    }
    flush(&mut alone, &mut column);
    column
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn values_stand_beside_their_lengths_and_come_apart_again() {
        // Two texts of one byte, then one of two bytes and `true`.
        let descriptions = [0x02, 0x16, 0x7e, 0x26, 0x02];
        let both = together(&descriptions, b"abcd").unwrap();
        assert_eq!(both, b"\x16a\x16b\x26cd\x02");
        assert_eq!(apart(&both), Some((descriptions.to_vec(), b"abcd".to_vec())));
    }

    #[test]
    fn what_would_come_out_otherwise_stays_as_it_is() {
        assert_eq!(together(&[0x7e, 0x16, 0x16], b"ab"), None, "a run that is not written as one");
        assert_eq!(together(&[0x02, 0x16], b"abc"), None, "bytes left over");
        assert_eq!(together(&[0x02, 0x16], b"a"), None, "bytes missing");
        assert_eq!(together(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x16], b""), None, "more values than a change has");
        assert_eq!(apart(&[0x26, b'a']), None);
    }
}
