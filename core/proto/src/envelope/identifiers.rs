//! Identifiers within texts. A UUID written out is 36 characters of which a compressor keeps more than twenty; here sixteen bytes
//! stand aside for each new one, and two bytes in the text, which the same two bytes before it make shorter still.
//!
//! `ff 00` is the byte `ff`; `ff 01` the next identifier that stands aside; `ff 02 ‖ number` one that was met before: the number is
//! how far it is from the one last met or referred to, as zigzag. The envelope's record ids count as met, in their order.

use super::split::{put_number, take_number};
use crate::error::EnvelopeError;
use std::collections::BTreeMap;

const MARK: u8 = 0xff;
const LITERAL: u8 = 0;
const NEXT: u8 = 1;
const MET: u8 = 2;
/// Characters of a UUID that is written out.
const TEXT_BYTES: usize = 36;

/// Takes identifiers out of a text.
pub(super) struct Taken {
    /// What is left.
    pub text: Vec<u8>,
    /// Identifiers that were not met before, sixteen bytes each.
    pub aside: Vec<u8>,
}

/// Takes the identifiers out; `met` are those that the reader knows already.
pub(super) fn take_out(text: &[u8], met: &[[u8; 16]]) -> Taken {
    let mut places: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    for (place, identifier) in met.iter().enumerate() {
        places.entry(*identifier).or_insert(place);
    }
    let mut known = met.len();
    let mut last = 0usize;
    let mut taken = Taken { text: Vec::with_capacity(text.len()), aside: Vec::new() };
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        if let Some(identifier) = identifier_at(rest) {
            rest = rest.get(TEXT_BYTES..).unwrap_or_default();
            if let Some(place) = places.get(&identifier) {
                taken.text.extend([MARK, MET]);
                put_number(&mut taken.text, zigzag(*place as i64 - last as i64));
                last = *place;
            } else {
                taken.text.extend([MARK, NEXT]);
                taken.aside.extend_from_slice(&identifier);
                places.insert(identifier, known);
                last = known;
                known += 1;
            }
            continue;
        }
        taken.text.push(*byte);
        if *byte == MARK {
            taken.text.push(LITERAL);
        }
        rest = after;
    }
    taken
}

/// Puts the identifiers back; the text must come to exactly `length` bytes.
pub(super) fn put_back(text: &[u8], aside: &[u8], met: &[[u8; 16]], length: usize) -> Result<Vec<u8>, EnvelopeError> {
    let wrong = |expected| EnvelopeError::Body { expected };
    let (chunks, odd) = aside.as_chunks::<16>();
    if !odd.is_empty() {
        return Err(wrong("whole identifiers"));
    }
    let mut next = chunks.iter();
    let mut known: Vec<[u8; 16]> = met.to_vec();
    let mut last = 0usize;
    let mut bytes = Vec::with_capacity(length);
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == MARK {
            let (kind, after) = rest.split_first().ok_or(wrong("something after a mark"))?;
            rest = after;
            match *kind {
                LITERAL => bytes.push(MARK),
                NEXT => {
                    let identifier = next.next().ok_or(wrong("an identifier for every mark"))?;
                    last = known.len();
                    known.push(*identifier);
                    write_out(identifier, &mut bytes);
                }
                MET => {
                    let (number, after) = take_number(rest).ok_or(wrong("the place of an identifier"))?;
                    rest = after;
                    let place = (last as i64).checked_add(unzigzag(number)).and_then(|place| usize::try_from(place).ok());
                    last = place.ok_or(wrong("an identifier met before"))?;
                    write_out(known.get(last).ok_or(wrong("an identifier met before"))?, &mut bytes);
                }
                _ => return Err(wrong("a known mark")),
            }
        } else {
            bytes.push(*byte);
        }
        if bytes.len() > length {
            return Err(wrong("changes of the lengths announced"));
        }
    }
    if next.next().is_some() {
        return Err(wrong("no more identifiers than marks"));
    }
    if bytes.len() == length { Ok(bytes) } else { Err(wrong("changes of the lengths announced")) }
}

/// A difference of any sign as a number that is small where the difference is.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The difference again.
pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// The UUID that is written out at the beginning, in lower case.
fn identifier_at(text: &[u8]) -> Option<[u8; 16]> {
    let text = text.get(..TEXT_BYTES)?;
    // The hyphens first: they tell most texts apart at once.
    if text.get(8) != Some(&b'-') {
        return None;
    }
    let mut identifier = [0u8; 16];
    let mut digits = 0usize;
    for (position, byte) in text.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let place = identifier.get_mut(digits / 2)?;
        *place = (*place << 4) | digit;
        digits += 1;
    }
    Some(identifier)
}

fn write_out(identifier: &[u8; 16], bytes: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (position, byte) in identifier.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            bytes.push(b'-');
        }
        bytes.extend([byte >> 4, byte & 0x0f].iter().filter_map(|digit| DIGITS.get(usize::from(*digit))));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const FIRST: &str = "00112233-4455-6677-8899-aabbccddeeff";
    const SECOND: &str = "0f112233-4455-6677-8899-aabbccddeef0";

    #[test]
    fn an_identifier_stands_aside_once_and_is_put_back() {
        let text = format!("member[{FIRST}]a{SECOND}{FIRST}00112233-4455-6677-8899-AABBCCDDEEFF\u{ff}").into_bytes();
        let text = [text, vec![0xff, 0x01]].concat();
        let taken = take_out(&text, &[]);
        assert_eq!(taken.aside.len(), 32);
        assert_eq!(&taken.text[..10], b"member[\xff\x01]");
        assert_eq!(put_back(&taken.text, &taken.aside, &[], text.len()).unwrap(), text);
        assert!(put_back(&taken.text, &taken.aside, &[], text.len() - 1).is_err());
        assert!(put_back(&taken.text, &taken.aside[..16], &[], text.len()).is_err());
    }

    #[test]
    fn a_record_id_in_a_text_costs_three_bytes() {
        let met: [[u8; 16]; 2] = [[0xaa; 16], identifier_at(FIRST.as_bytes()).unwrap()];
        let taken = take_out(FIRST.as_bytes(), &met);
        assert_eq!((taken.text, taken.aside), (vec![0xff, 0x02, 0x02], Vec::new()));
    }

    #[test]
    fn a_short_text_cannot_grow_beyond_what_it_announces() {
        let bomb = [0xff, 0x02, 0x00].repeat(10_000);
        assert!(put_back(&bomb, &[], &[[1; 16]], 1000).is_err());
    }

    #[test]
    fn differences_of_any_sign_are_kept() {
        for value in [0, 1, -1, 300, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
