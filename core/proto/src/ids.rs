//! Names of things: 16-byte identifiers printed as UUIDs, and 32-byte hashes printed in hexadecimal.

use std::fmt;
use std::str::FromStr;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits, hyphens aside, and {came} came")]
pub struct IdError {
    /// Digits that such an identifier has.
    pub expected: usize,
    /// Characters that came, hyphens not counted.
    pub came: usize,
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let mut bytes = [0u8; N];
    let mut count = 0usize;
    let mut clean = true;
    for character in text.chars().filter(|character| *character != '-') {
        match (character.to_digit(16), bytes.get_mut(count / 2)) {
            (Some(digit), Some(byte)) => *byte = (*byte << 4) | digit as u8,
            _ => clean = false,
        }
        count += 1;
    }
    if clean && count == 2 * N { Ok(bytes) } else { Err(IdError { expected: 2 * N, came: count }) }
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (position, byte) in self.0.iter().enumerate() {
                    if matches!(position, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads 32 hexadecimal digits, with or without hyphens.
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }

        impl $name {
            /// An identifier of version 4 (RFC 9562) from 16 random bytes.
            #[must_use]
            pub fn from_random(mut bytes: [u8; 16]) -> Self {
                bytes[6] = (bytes[6] & 0x0f) | 0x40;
                bytes[8] = (bytes[8] & 0x3f) | 0x80;
                Self(bytes)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

identifiers! {
    /// One CRDT document: an interview and its reviews.
    RecordId;
    /// A device, derived from its public key: see [`DeviceId::of_key`].
    DeviceId;
    /// A person who collects, reviews or administers; says nothing of who they are.
    PersonId;
    /// Records that replicate together.
    CaseloadId;
    /// One life of a device's database.
    IncarnationId;
    /// An organisation, derived from its root key: see [`OrganisationId::of_key`].
    OrganisationId;
}

impl DeviceId {
    /// The device that holds this ed25519 public key.
    #[must_use]
    pub fn of_key(public_key: &[u8; 32]) -> Self {
        Self(first_half(blake3::derive_key("karwan 2026 device id", public_key)))
    }
}

impl OrganisationId {
    /// The organisation whose root has this ed25519 public key.
    #[must_use]
    pub fn of_key(root_public_key: &[u8; 32]) -> Self {
        Self(first_half(blake3::derive_key("karwan 2026 organisation id", root_public_key)))
    }
}

fn first_half(whole: [u8; 32]) -> [u8; 16] {
    let mut half = [0u8; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// A 32-byte hash: BLAKE3 of ours, SHA-256 where automerge names a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_read_as_it_is_printed() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(text.parse::<RecordId>().map(|id| id.to_string()), Ok(text.to_owned()));
        assert_eq!("xyz".parse::<RecordId>(), Err(IdError { expected: 32, came: 3 }));
    }
}
