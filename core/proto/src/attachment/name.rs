//! What an attachment is called: the BLAKE3 hash of its content, and an ending that says what it is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::ids::Hash;
use crate::limits::MAX_ATTACHMENT_ENDING_BYTES;

const HASH_DIGITS: usize = 64;
/// The ending where a file's name has none that can be kept.
const UNKNOWN_ENDING: &str = "bin";

/// Why a text names no attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, a dot and an ending of 1 to {MAX_ATTACHMENT_ENDING_BYTES} letters or digits")]
pub struct AttachmentNameError;

/// The name of an attachment, which is the answer to the question that asks for it: `<64 hexadecimal digits>.<ending>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentName {
    hash: Hash,
    ending: String,
}

impl AttachmentName {
    /// The name of content with this hash that came in a file of this name.
    pub fn of_file(hash: Hash, file_name: &str) -> Self {
        let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let ending = if is_ending(ending.as_bytes()) { ending } else { UNKNOWN_ENDING.to_owned() };
        Self { hash, ending }
    }

    /// Hash of the content.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// What the content is, such as `jpg`.
    pub fn ending(&self) -> &str {
        &self.ending
    }
}

fn is_ending(bytes: &[u8]) -> bool {
    (1..=MAX_ATTACHMENT_ENDING_BYTES).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_hash(bytes: &[u8]) -> bool {
    bytes.len() == HASH_DIGITS && bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for AttachmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.hash, self.ending)
    }
}

impl FromStr for AttachmentName {
    type Err = AttachmentNameError;

    fn from_str(text: &str) -> Result<Self, AttachmentNameError> {
        let (digits, ending) = text.split_once('.').ok_or(AttachmentNameError)?;
        if !is_hash(digits.as_bytes()) || !is_ending(ending.as_bytes()) {
            return Err(AttachmentNameError);
        }
        Ok(Self { hash: digits.parse().map_err(|_| AttachmentNameError)?, ending: ending.to_owned() })
    }
}

/// Attachments of which a change speaks, found in its bytes as they are: a change keeps texts whole, and whoever holds a change must hold
/// what it refers to whatever the form says of it, or a form that comes later would find the photograph thrown away.
pub fn references_in(change: &[u8]) -> BTreeSet<Hash> {
    let mut found = BTreeSet::new();
    for (dot, _) in change.iter().enumerate().filter(|(_, byte)| **byte == b'.') {
        let Some(digits) = dot.checked_sub(HASH_DIGITS).and_then(|start| change.get(start..dot)) else { continue };
        let follows = change.get(dot + 1..dot + 2).unwrap_or_default();
        if is_hash(digits)
            && is_ending(follows)
            && let Some(hash) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
        {
            found.insert(hash);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_name_says_the_content_and_its_kind() {
        let name = AttachmentName::of_file(Hash([0xab; 32]), "Photo of 3.5.JPG");
        assert_eq!(name.to_string(), format!("{}.jpg", "ab".repeat(32)));
        assert_eq!(name.to_string().parse(), Ok(name));
        for odd in ["photo", "photo.", "photo.j/pg", "photo.averylongending", "عکس.تصویر"] {
            assert_eq!(AttachmentName::of_file(Hash([1; 32]), odd).ending(), "bin", "{odd}");
        }
        for other in ["photo.jpg", &format!("{}.jpg", "AB".repeat(32)), &"ab".repeat(32), &format!("{}.jp g", "ab".repeat(32))] {
            assert_eq!(other.parse::<AttachmentName>(), Err(AttachmentNameError), "{other}");
        }
    }

    #[test]
    fn references_are_found_whatever_stands_around_them() {
        let (first, second) = ("0123456789abcdef".repeat(4), "fe".repeat(32));
        let text = format!("0700{first}.jpgKabul.{second}.png{}.jpg {}.-", "ab".repeat(31), "ab".repeat(32));
        let wanted = [&first, &second].map(|digits| digits.parse::<Hash>().unwrap());
        assert_eq!(references_in(text.as_bytes()), wanted.into_iter().collect());
        assert!(references_in(b"....").is_empty());
        assert!(references_in(format!("{first}.").as_bytes()).is_empty());
    }
}
