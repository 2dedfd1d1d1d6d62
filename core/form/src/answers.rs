//! Answers as a tree: what a person entered or a device captured, without anything that a form calculates.
//!
//! This is the seam between an interview and a record. Groups are no level of their own: a key is the path of names below
//! the root or below the repeat instance, joined by `/` (`visit/team`, `m_identity/m_given_name`). Text is the value's
//! XForms form. Non-relevant answers stay in the tree; removed instances are not in it (the record remembers them).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Answers of one interview, or of one repeat instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// By key. Blank answers are absent.
    pub values: BTreeMap<String, Answer>,
    /// Instances by the repeat's key, in order.
    pub repeats: BTreeMap<String, Vec<Instance>>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// The value's XForms text form.
    Text(String),
    /// Chosen names of a several-choice question (merge rule `union`); shown in the order of the choice list.
    Set(BTreeSet<String>),
}

/// One repeat instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// A UUID, or the ordinal (`1`, `2`, …) in a counted repeat.
    pub id: String,
    /// Position among its siblings is by (order, id). A fractional key: see [`order_between`].
    pub order: String,
    /// What was answered in it.
    pub answers: Answers,
}

/// Digits of order keys: their ASCII order is their order.
const ORDER_DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key that sorts between two others (`None`: before the first, after the last). Keys never end in the lowest digit, so
/// there is always room; two devices that choose the same key are told apart by the instance's id.
pub fn order_between(before: Option<&str>, after: Option<&str>) -> String {
    let low: Vec<usize> = before.unwrap_or("").bytes().map(order_digit).collect();
    let high: Option<Vec<usize>> = after.map(|key| key.bytes().map(order_digit).collect());
    let mut key = Vec::new();
    let mut high_open = high.is_none();
    let mut position = 0;
    loop {
        let from = low.get(position).copied().unwrap_or(0);
        let to = if high_open {
            ORDER_DIGITS.len()
        } else {
            high.as_ref().and_then(|high| high.get(position)).copied().unwrap_or(ORDER_DIGITS.len())
        };
        // Appending is by far the commonest: step by one, so that keys stay short.
        let step = if high_open && position + 1 >= low.len() && from + 1 < ORDER_DIGITS.len() {
            from + 1
        } else {
            usize::midpoint(from, to)
        };
        if to > from && step > from && step < to {
            key.push(step);
            break;
        }
        key.push(from);
        if to > from {
            high_open = true;
        }
        position += 1;
        if position > ORDER_KEY_MAX {
            // Two equal or reversed keys: whatever follows the first is as good as anything.
            key.push(ORDER_DIGITS.len() / 2);
            break;
        }
    }
    key.into_iter().filter_map(|digit| ORDER_DIGITS.get(digit)).map(|digit| char::from(*digit)).collect()
}

/// Longest order key that is built.
pub const ORDER_KEY_MAX: usize = 200;

fn order_digit(byte: u8) -> usize {
    ORDER_DIGITS.iter().position(|digit| *digit == byte).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_key_sorts_between_its_neighbours() {
        let first = order_between(None, None);
        let second = order_between(Some(&first), None);
        assert!(first < second);
        let middle = order_between(Some(&first), Some(&second));
        assert!(first < middle && middle < second, "{first} {middle} {second}");
        let before = order_between(None, Some(&first));
        assert!(before < first, "{before} {first}");
    }

    #[test]
    fn a_thousand_appended_keys_stay_in_order_and_short() {
        let mut last = order_between(None, None);
        for _ in 0..1000 {
            let next = order_between(Some(&last), None);
            assert!(last < next, "{last} {next}");
            last = next;
        }
        assert!(last.len() < 40, "{last}");
    }

    #[test]
    fn there_is_room_before_the_first_again_and_again() {
        let mut first = order_between(None, None);
        for _ in 0..100 {
            let earlier = order_between(None, Some(&first));
            assert!(earlier < first, "{earlier} {first}");
            first = earlier;
        }
    }
}
