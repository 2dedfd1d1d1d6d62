//! Damages bytes and texts: the steps that know nothing of what a target reads, besides its words.

use crate::corpus::Dice;

/// Longest input that is made, in bytes.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Longest piece that is deleted, doubled or brought from elsewhere, in bytes.
const PIECE_BYTES_MAX: usize = 400;
/// How deep brackets are nested at once.
const NESTED_MAX: u64 = 600;

/// Numbers that break what does not expect them.
pub const NUMBERS: [&str; 22] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "9999",
    "10000",
    "10001",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "18446744073709551615",
    "-9223372036854775808",
    "1e308",
    "1e-320",
    "0.1",
    "NaN",
    "99999999999999999999999",
];
const BRACKETS: [(&str, &str); 8] =
    [("(", ")"), ("[", "]"), ("not(", ")"), ("<a>", "</a>"), ("{\"a\":", "}"), ("-", ""), ("'", "'"), ("if(1,", ",0)")];

/// A place in the bytes, the end included.
fn place(dice: &mut Dice, bytes: &[u8]) -> usize {
    dice.below(bytes.len() as u64 + 1) as usize
}

/// A piece of the bytes.
fn piece(dice: &mut Dice, bytes: &[u8]) -> std::ops::Range<usize> {
    let from = place(dice, bytes);
    let longest = if dice.below(4) == 0 { PIECE_BYTES_MAX } else { 16 };
    from..(from + dice.below(longest as u64 + 1) as usize).min(bytes.len())
}

/// Where a run of bytes of one kind stands, from some place on.
fn run_of(dice: &mut Dice, bytes: &[u8], is: impl Fn(&u8) -> bool) -> Option<std::ops::Range<usize>> {
    let from = place(dice, bytes);
    let start = from + bytes.get(from..)?.iter().position(&is)?;
    let length = bytes.get(start..)?.iter().position(|byte| !is(byte)).unwrap_or(bytes.len() - start);
    Some(start..start + length)
}

/// One to four steps of damage; `other` is another input of the corpus, `words` are the words of what is read.
pub fn bytes(dice: &mut Dice, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut damaged = input.to_vec();
    for _ in 0..=dice.below(4) {
        step(dice, &mut damaged, other, words);
        damaged.truncate(INPUT_BYTES_MAX);
    }
    damaged
}

fn step(dice: &mut Dice, damaged: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = place(dice, damaged);
    match dice.below(15) {
        0 => damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
        1 => damaged
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|byte| *byte = [0, 0xff, 0x7f, 0x80, b'\n', b'\t'][dice.below(6) as usize]),
        2 | 3 => drop(damaged.drain(piece(dice, damaged))),
        4 => {
            let copied = damaged[piece(dice, damaged)].to_vec();
            let times = if dice.below(6) == 0 { dice.below(200) + 1 } else { 1 };
            splice(damaged, at..at, &copied.repeat(times as usize));
        }
        5 | 6 => splice(damaged, at..at, dice.of(words).as_bytes()),
        7 | 8 => {
            if let Some(word) =
                run_of(dice, damaged, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | 0x80..))
            {
                splice(damaged, word, dice.of(words).as_bytes());
            }
        }
        9 => {
            // The beginning of this one and the end of the other.
            let from = place(dice, other);
            damaged.truncate(at);
            damaged.extend_from_slice(&other[from..]);
        }
        10 => {
            let brought = other[piece(dice, other)].to_vec();
            splice(damaged, at..at, &brought);
        }
        11 => {
            if let Some(number) = run_of(dice, damaged, u8::is_ascii_digit) {
                splice(damaged, number, dice.of(&NUMBERS).as_bytes());
            }
        }
        12 => {
            let (open, close) = BRACKETS[dice.below(BRACKETS.len() as u64) as usize];
            let inner = piece(dice, damaged);
            let times = if dice.below(8) == 0 { dice.below(NESTED_MAX) } else { dice.below(3) + 1 } as usize;
            splice(damaged, inner.end..inner.end, close.repeat(times).as_bytes());
            splice(damaged, inner.start..inner.start, open.repeat(times).as_bytes());
        }
        13 => {
            let (left, right) = (piece(dice, damaged), damaged[piece(dice, damaged)].to_vec());
            splice(damaged, left, &right);
        }
        _ => {
            let character = char::from_u32(dice.below(0x1_1000) as u32).unwrap_or('\u{fffd}');
            splice(damaged, at..at, character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn splice(bytes: &mut Vec<u8>, range: std::ops::Range<usize>, with: &[u8]) {
    let room = INPUT_BYTES_MAX.saturating_sub(bytes.len() - range.len());
    bytes.splice(range, with.iter().copied().take(room));
}

/// As [`bytes`], for what must be text: what is none any more is replaced.
pub fn text(dice: &mut Dice, input: &str, other: &str, words: &[&str]) -> String {
    String::from_utf8_lossy(&bytes(dice, input.as_bytes(), other.as_bytes(), words)).into_owned()
}

/// Swaps, doubles, deletes and brings whole lines.
pub fn lines(dice: &mut Dice, input: &str, other: &str) -> String {
    let mut lines: Vec<&str> = input.lines().collect();
    let others: Vec<&str> = other.lines().collect();
    for _ in 0..=dice.below(3) {
        let at = dice.below(lines.len() as u64 + 1) as usize;
        let end = (at + 1 + dice.below(4) as usize).min(lines.len());
        match dice.below(4) {
            0 if at < end => drop(lines.drain(at..end)),
            1 if at < end => {
                let copied = lines[at..end].repeat(1 + dice.below(4) as usize);
                lines.splice(at..at, copied);
            }
            2 if at < end => lines[at..end].reverse(),
            _ => {
                let from = dice.below(others.len() as u64 + 1) as usize;
                let brought = others.iter().skip(from).take(1 + dice.below(5) as usize);
                lines.splice(at..at, brought.copied());
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{INPUT_BYTES_MAX, bytes};
    use crate::corpus::Dice;

    #[test]
    fn a_seed_gives_the_same_damage_and_never_too_much() {
        let made = |seed| {
            let mut dice = Dice::new(seed);
            let mut input = b"sum(/data/r/x) + 12".to_vec();
            for _ in 0..200 {
                input = bytes(&mut dice, &input, b"concat('a', 'b')", &["count(", "9"]);
                assert!(input.len() <= INPUT_BYTES_MAX);
            }
            input
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }
}
