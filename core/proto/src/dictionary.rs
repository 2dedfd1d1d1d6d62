//! The zstd dictionary that is shipped with every Karwan, and compression with it, bounded both ways.
//!
//! The dictionary is `assets/changes-1.dict`, made from synthetic records by the program `train_dictionary` of the tests' crate, which
//! this crate may not depend on. A body names the dictionary that it was packed with by number, so that a later one can be added beside it; a dictionary that was shipped is never
//! changed.

use std::sync::OnceLock;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// Number of the dictionary that this version packs with.
pub const NUMBER: u64 = 1;

/// Level for what is packed once and often travels over a slow line.
const THOROUGH_LEVEL: i32 = 15;
/// Level for what is packed for each reader.
const QUICK_LEVEL: i32 = 3;

/// The dictionary with number [`NUMBER`].
pub const BYTES: &[u8] = include_bytes!("../assets/changes-1.dict");

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For what is packed for each reader, as a server does.
    Quick,
    /// For what is packed once, as a device does.
    Thorough,
}

/// Packs bytes, if that makes them shorter.
pub fn compress(bytes: &[u8], effort: Effort) -> Option<Vec<u8>> {
    static QUICK: OnceLock<EncoderDictionary<'static>> = OnceLock::new();
    static THOROUGH: OnceLock<EncoderDictionary<'static>> = OnceLock::new();
    let prepared = match effort {
        Effort::Quick => QUICK.get_or_init(|| EncoderDictionary::copy(BYTES, QUICK_LEVEL)),
        Effort::Thorough => THOROUGH.get_or_init(|| EncoderDictionary::copy(BYTES, THOROUGH_LEVEL)),
    };
    let mut compressor = Compressor::with_prepared_dictionary(prepared).ok()?;
    // The length stands in the body and the body is hashed: the frame needs neither, nor the dictionary's number.
    let leave_out = [
        zstd::zstd_safe::CParameter::ContentSizeFlag(false),
        zstd::zstd_safe::CParameter::ChecksumFlag(false),
        zstd::zstd_safe::CParameter::DictIdFlag(false),
    ];
    for parameter in leave_out {
        compressor.set_parameter(parameter).ok()?;
    }
    let packed = compressor.compress(bytes).ok()?;
    (packed.len() < bytes.len()).then_some(packed)
}

/// Unpacks bytes that must come to exactly `length`; takes no more memory than that.
pub fn decompress(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    static PREPARED: OnceLock<DecoderDictionary<'static>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| DecoderDictionary::copy(BYTES));
    let mut decompressor = Decompressor::with_prepared_dictionary(prepared).ok()?;
    let mut bytes = Vec::with_capacity(length);
    let written = decompressor.decompress_to_buffer(packed, &mut bytes).ok()?;
    (written == length && bytes.len() == length).then_some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_to_its_exact_length_only() {
        let bytes = b"return and reintegration ".repeat(100);
        for effort in [Effort::Quick, Effort::Thorough] {
            let packed = compress(&bytes, effort).unwrap();
            assert!(packed.len() < 200);
            assert_eq!(decompress(&packed, bytes.len()), Some(bytes.clone()));
            assert_eq!(decompress(&packed, bytes.len() - 1), None);
            assert_eq!(decompress(&packed, bytes.len() + 1), None);
        }
    }

    #[test]
    fn a_bomb_takes_no_more_than_it_may() {
        let packed = compress(&vec![0; 1 << 24], Effort::Thorough).unwrap();
        assert_eq!(decompress(&packed, 1000), None);
    }
}
