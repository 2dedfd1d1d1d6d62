//! Signing keys: ed25519, with a namespace for each kind of thing that is signed, so that a signature over one thing never
//! passes for another. Keys are made from 32 random bytes that the caller brings.

use crate::error::KeyError;
use crate::ids::{DeviceId, OrganisationId};
use ed25519_dalek::Signer as _;
use std::fmt;

/// What a signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// The header of an envelope.
    Envelope,
    /// An entry of the organisation's membership log.
    Membership,
    /// The statement with which a device proves, beside the transport, that it holds its key.
    Possession,
}

impl Namespace {
    fn text(self) -> &'static [u8] {
        match self {
            Self::Envelope => b"karwan 2026 envelope\0",
            Self::Membership => b"karwan 2026 membership\0",
            Self::Possession => b"karwan 2026 possession\0",
        }
    }

    fn message(self, bytes: &[u8]) -> Vec<u8> {
        [self.text(), bytes].concat()
    }
}

/// An ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

/// An ed25519 key that signs. Its memory is cleared when it is dropped; it prints as its public key.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// DER before the 32 bytes of a public key (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER before the 32 bytes of a private key (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

impl SigningKey {
    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 bytes that the key is made from: secret.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes as a thing of this kind.
    pub fn sign(&self, namespace: Namespace, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(&namespace.message(bytes)).to_bytes())
    }

    /// A secret that only this key and the other one come to: X25519 over the same points, its result hashed with both public keys.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`] when the other is no point of the curve, or one of the few that agree with everybody.
    pub fn agree(&self, other: &PublicKey) -> Result<[u8; 32], KeyError> {
        let point = ed25519_dalek::VerifyingKey::from_bytes(&other.0).map_err(|_| KeyError::NotAKey)?;
        if point.is_weak() {
            return Err(KeyError::NotAKey);
        }
        let shared = point.to_montgomery().mul_clamped(self.0.to_scalar_bytes());
        let mut keys = [self.public().0, other.0];
        keys.sort_unstable();
        Ok(blake3::derive_key("karwan 2026 key agreement", &[&shared.to_bytes()[..], &keys.concat()].concat()))
    }

    /// The key as PKCS #8 in DER, as TLS libraries read it: secret.
    pub fn pkcs8_der(&self) -> Vec<u8> {
        [&PKCS8_PREFIX[..], &self.seed()].concat()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey of {:?}", self.public())
    }
}

impl PublicKey {
    /// Checks a signature over bytes of this kind, strictly: weak keys and malleable signatures are refused.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`] when the bytes are no point of the curve, [`KeyError::BadSignature`] when the signature is not of
    /// this key, this kind and these bytes.
    pub fn verify(&self, namespace: Namespace, bytes: &[u8], signature: &Signature) -> Result<(), KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotAKey)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&namespace.message(bytes), &signature).map_err(|_| KeyError::BadSignature)
    }

    /// The device that holds this key.
    pub fn device(&self) -> DeviceId {
        DeviceId::of_key(&self.0)
    }

    /// The organisation whose root this is.
    pub fn organisation(&self) -> OrganisationId {
        OrganisationId::of_key(&self.0)
    }

    /// The key as a `SubjectPublicKeyInfo` in DER, as TLS carries raw public keys (RFC 7250).
    pub fn spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    /// Reads what [`PublicKey::spki_der`] writes.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`] when the bytes are anything else.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = der.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::NotAKey)?;
        key.try_into().map(Self).map_err(|_| KeyError::NotAKey)
    }

    /// Six digits that two people compare before a device gets a role above enumerator: both keys go into them.
    pub fn short_code(&self, other: &Self) -> String {
        let mut keys = [self.0, other.0];
        keys.sort_unstable();
        let hash = blake3::derive_key("karwan 2026 short code", &keys.concat());
        let number = hash.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        format!("{:06}", number % 1_000_000)
    }
}

macro_rules! hexadecimal {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    )*};
}

hexadecimal!(PublicKey, Signature);

impl std::str::FromStr for PublicKey {
    type Err = crate::ids::IdError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<crate::ids::Hash>().map(|hash| Self(hash.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_signature_over_one_kind_is_no_signature_over_another() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign(Namespace::Envelope, b"bytes");
        assert_eq!(key.public().verify(Namespace::Envelope, b"bytes", &signature), Ok(()));
        assert_eq!(key.public().verify(Namespace::Membership, b"bytes", &signature), Err(KeyError::BadSignature));
        assert_eq!(key.public().verify(Namespace::Envelope, b"byteS", &signature), Err(KeyError::BadSignature));
    }

    #[test]
    fn a_weak_key_verifies_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let answer = PublicKey(identity).verify(Namespace::Envelope, b"any", &Signature(signature));
        assert_eq!(answer, Err(KeyError::BadSignature));
    }

    #[test]
    fn a_public_key_is_read_as_it_is_written() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".parse::<crate::ids::Hash>().unwrap();
        let key = SigningKey::from_seed(&seed.0);
        assert_eq!(key.public().to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(PublicKey::from_spki_der(&key.public().spki_der()), Ok(key.public()));
        assert_eq!(PublicKey::from_spki_der(b"short"), Err(KeyError::NotAKey));
        assert_eq!(key.pkcs8_der().len(), 48);
        assert_eq!(format!("{key:?}").matches("9d61").count(), 0);
    }

    #[test]
    fn two_keys_agree_on_a_secret_that_a_third_does_not_come_to() {
        let [one, other, third] = [1, 2, 3].map(|seed| SigningKey::from_seed(&[seed; 32]));
        assert_eq!(one.agree(&other.public()), other.agree(&one.public()));
        assert_ne!(one.agree(&other.public()), third.agree(&other.public()));
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(one.agree(&PublicKey(identity)), Err(KeyError::NotAKey));
    }

    #[test]
    fn both_sides_see_the_same_short_code() {
        let (one, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        assert_eq!(one.short_code(&other), other.short_code(&one));
        assert_eq!(one.short_code(&other).len(), 6);
    }
}
