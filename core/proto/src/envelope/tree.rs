//! The hash tree under an envelope's signature: one salted leaf a change, shaped as in RFC 6962 (each node splits its leaves at
//! the largest power of two below their number).

use crate::ids::{Hash, RecordId};

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The salt of the change at this place, expanded from the envelope's secret.
pub fn salt(secret: &[u8; 16], position: usize) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 leaf salt");
    hasher.update(secret).update(&(position as u32).to_le_bytes());
    let mut salt = [0; 16];
    hasher.finalize_xof().fill(&mut salt);
    salt
}

/// `BLAKE3(0x00 ‖ salt ‖ record ‖ generation as 4 bytes, little-endian ‖ change)`.
pub fn leaf(salt: &[u8; 16], record: RecordId, generation: u32, change: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[LEAF]).update(salt).update(&record.0).update(&generation.to_le_bytes()).update(change);
    Hash(*hasher.finalize().as_bytes())
}

/// The root over leaves in order; of no leaves, zeros.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash([0; 32]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let mut hasher = blake3::Hasher::new();
            hasher.update(&[NODE]).update(&root(left).0).update(&root(right).0);
            Hash(*hasher.finalize().as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_three_splits_after_two() {
        let leaves = [Hash([1; 32]), Hash([2; 32]), Hash([3; 32])];
        let node = |left: &Hash, right: &Hash| Hash(*blake3::hash(&[&[1][..], &left.0, &right.0].concat()).as_bytes());
        let expected = node(&node(&leaves[0], &leaves[1]), &leaves[2]);
        assert_eq!(root(&leaves), expected);
        assert_eq!(root(&leaves[..1]), leaves[0]);
    }

    #[test]
    fn the_record_and_the_generation_are_in_the_leaf() {
        let base = leaf(&[0; 16], RecordId([0; 16]), 0, b"change");
        assert_ne!(base, leaf(&[1; 16], RecordId([0; 16]), 0, b"change"));
        assert_ne!(base, leaf(&[0; 16], RecordId([1; 16]), 0, b"change"));
        assert_ne!(base, leaf(&[0; 16], RecordId([0; 16]), 1, b"change"));
        assert_ne!(base, leaf(&[0; 16], RecordId([0; 16]), 0, b"Change"));
    }
}
