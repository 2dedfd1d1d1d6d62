//! Envelopes from outside: every damaged byte is refused, pruning takes out what it should and nothing else passes, limits hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{change, envelope, header};
use karwan_proto::envelope::{Effort, Envelope, Item, Salts, fitting, seal};
use karwan_proto::error::EnvelopeError;
use karwan_proto::limits::{MAX_CHANGE_BYTES, MAX_CHANGES_PER_ENVELOPE};
use karwan_proto::{RecordId, SigningKey};
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn family() -> Envelope {
    envelope(&key(), 1, vec![change(1, b"the Karimi family"), change(2, b"the Noori family"), change(1, b"Karimi again")])
}

/// Whether a device that receives these bytes believes them.
fn believed(bytes: &[u8]) -> bool {
    Envelope::decode(bytes).is_ok_and(|envelope| envelope.verify(&key().public()).is_ok())
}

#[test]
fn every_flipped_bit_of_an_envelope_is_refused() {
    for effort in [Effort::Quick, Effort::Thorough] {
        let bytes = family().encode_with(effort);
        assert!(believed(&bytes));
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[position] ^= 1 << bit;
                assert!(!believed(&broken), "bit {bit} of byte {position}");
            }
        }
    }
}

#[test]
fn an_envelope_that_is_cut_or_longer_is_refused() {
    let bytes = family().encode();
    for length in 0..bytes.len() {
        assert!(!believed(&bytes[..length]), "{length} bytes");
    }
    assert!(!believed(&[bytes, vec![0]].concat()));
}

#[test]
fn a_pruned_envelope_still_verifies_and_holds_nothing_of_what_was_taken_out() {
    let whole = family();
    let mut pruned = whole.clone();
    pruned.prune(&[0, 2]).unwrap();
    let bytes = pruned.encode();
    let read = Envelope::decode(&bytes).unwrap();
    assert_eq!(read.hash(), whole.hash());
    assert!(read.verify(&key().public()).is_ok());
    assert_eq!(read.items()[1], change(2, b"the Noori family"));
    assert!(matches!((&read.items()[0], &read.items()[2]), (Item::Pruned { .. }, Item::Pruned { .. })));
    assert!(!bytes.windows(6).any(|window| window == b"Karimi"));
    assert!(read.salts().salt(0).is_none(), "the salt of what was taken out is gone: nobody can guess what it was");
    assert!(read.salts().salt(1).is_some());
    assert_eq!(read.leaf(0).unwrap(), whole.leaf(0).unwrap());
}

#[test]
fn nothing_but_what_was_signed_can_stand_in_a_pruned_envelope() {
    let whole = family();
    let mut pruned = whole.clone();
    pruned.prune(&[0]).unwrap();
    let signed = pruned.signed().clone();
    let assemble = |items: Vec<Item>, salts: &Salts| Envelope::assemble(signed.clone(), items, salts.clone());
    assert!(assemble(pruned.items().to_vec(), pruned.salts()).is_ok());
    let refused = |change: &dyn Fn(&mut Vec<Item>)| {
        let mut items = pruned.items().to_vec();
        change(&mut items);
        assemble(items, pruned.salts()).is_err()
    };
    assert!(refused(&|items| items[1] = change(2, b"the Noori Family")), "another content");
    assert!(refused(&|items| items[1] = change(3, b"the Noori family")), "another record");
    let newer = Item::Change { record: RecordId([2; 16]), generation: 1, change: b"the Noori family".to_vec() };
    assert!(refused(&|items| items[1] = newer.clone()), "another generation");
    assert!(refused(&|items| items.swap(1, 2)), "another order");
    assert!(refused(&|items| items[0] = Item::Pruned { leaf: whole.leaf(1).unwrap() }), "another leaf");
    assert!(refused(&|items| items[0] = change(1, b"the Karimi family")), "a change back without its salt");
    assert!(refused(&|items| drop(items.pop())), "one fewer");
    let other = SigningKey::from_seed(&[2; 32]);
    assert!(matches!(pruned.verify(&other.public()), Err(EnvelopeError::WrongDevice)));
}

#[test]
fn limits_of_an_envelope_hold() {
    let sealed = |items| seal(header(&key(), 1), items, [5; 16], &key());
    assert!(matches!(sealed(Vec::new()), Err(EnvelopeError::Empty)));
    assert!(matches!(
        sealed(vec![change(1, b"x"); MAX_CHANGES_PER_ENVELOPE + 1]),
        Err(EnvelopeError::TooLarge { limit: 256, came: 257, .. })
    ));
    assert!(sealed(vec![change(1, b"x"); MAX_CHANGES_PER_ENVELOPE]).is_ok());
    assert!(sealed(vec![change(1, &vec![7; MAX_CHANGE_BYTES])]).is_ok());
    assert!(matches!(sealed(vec![change(1, &vec![7; MAX_CHANGE_BYTES + 1])]), Err(EnvelopeError::TooLarge { .. })));
    assert_eq!(fitting(&vec![change(1, b"x"); 1000]).unwrap(), 256);
    let other = SigningKey::from_seed(&[2; 32]);
    assert!(matches!(seal(header(&other, 1), vec![change(1, b"x")], [5; 16], &key()), Err(EnvelopeError::WrongDevice)));
}

prop_compose! {
    fn some_item()(
        kind in 0..4u8,
        record in 0..3u8,
        generation in 0..3u32,
        text in "[a-f0-9é-]{0,40}",
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> Item {
        let uuid = format!("member[00112233-4455-6677-8899-aabbccddee{record:02x}]{text}");
        let change = match kind {
            0 => bytes,
            1 => uuid.into_bytes(),
            2 => [uuid.as_bytes(), &bytes, uuid.as_bytes()].concat(),
            _ => vec![0xff; bytes.len()],
        };
        Item::Change { record: RecordId([record; 16]), generation, change }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sealed_comes_back(items in proptest::collection::vec(some_item(), 1..12), pruned in any::<[bool; 12]>()) {
        let mut sealed = envelope(&key(), 1, items);
        for effort in [Effort::Quick, Effort::Thorough] {
            prop_assert_eq!(&Envelope::decode(&sealed.encode_with(effort)).unwrap(), &sealed);
        }
        let positions: Vec<usize> = (0..sealed.items().len()).filter(|place| pruned[*place]).collect();
        sealed.prune(&positions).unwrap();
        let read = Envelope::decode(&sealed.encode()).unwrap();
        prop_assert_eq!(&read, &sealed);
        prop_assert!(read.verify(&key().public()).is_ok());
    }
}
