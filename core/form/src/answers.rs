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
    pub answers: Answers,
}
