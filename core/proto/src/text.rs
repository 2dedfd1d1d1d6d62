//! Bytes as a text that people copy and cameras read: a prefix, base32 without padding, and a check at its end.

/// RFC 4648: letters and digits that a QR code packs densely.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CHECK_BYTES: usize = 4;

/// Why a text is not one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextError {
    /// It does not begin as expected.
    Prefix,
    /// A character that the alphabet lacks; counted from the prefix, beginning with 1.
    Character { at: usize },
    /// It was changed or cut off.
    Mistyped,
}

/// Writes bytes.
pub(crate) fn write(prefix: &str, bytes: &[u8]) -> String {
    let check = blake3::hash(bytes);
    let mut text = prefix.to_owned();
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in bytes.iter().chain(check.as_bytes().iter().take(CHECK_BYTES)) {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

/// Reads what [`write`] wrote: case does not matter, white space and hyphens are passed over. At most so many bytes.
pub(crate) fn read(prefix: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>, TextError> {
    let text = text.trim();
    let start = text.get(..prefix.len()).ok_or(TextError::Prefix)?;
    if !start.eq_ignore_ascii_case(prefix) {
        return Err(TextError::Prefix);
    }
    let letters = text.get(prefix.len()..).unwrap_or_default();
    if letters.len() > 2 * bytes_max {
        return Err(TextError::Mistyped);
    }
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0u32, 0u32);
    for (place, character) in (1..).zip(letters.chars()) {
        if character.is_whitespace() || character == '-' {
            continue;
        }
        let upper = character.to_ascii_uppercase();
        let value = ALPHABET.iter().position(|letter| char::from(*letter) == upper);
        let value = value.ok_or(TextError::Character { at: place })?;
        held = ((held << 5) | value as u32) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    // The bits that fill up the last letter are zeros, and fewer than a letter.
    if bits >= 5 || held & ((1 << bits) - 1) != 0 {
        return Err(TextError::Mistyped);
    }
    let cut = bytes.len().checked_sub(CHECK_BYTES).ok_or(TextError::Mistyped)?;
    let (content, check) = bytes.split_at(cut);
    if !blake3::hash(content).as_bytes().starts_with(check) {
        return Err(TextError::Mistyped);
    }
    Ok(content.to_vec())
}

fn letter(value: u32) -> char {
    ALPHABET.get((value & 31) as usize).map_or('A', |letter| char::from(*letter))
}
