//! What of an interview is read as a whole and not searched by column, as JSON: values, history, what may be paid. Who gave a value is
//! written once and referred to by its number.

use std::collections::{BTreeMap, BTreeSet};

use karwan_form::answers::Answers;
use karwan_proto::{DeviceId, PersonId};
use karwan_record::{HistoryEvent, ItemValue, Payable, Projection};
use serde::{Deserialize, Serialize};

/// Who, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct By(pub DeviceId, pub PersonId, pub i64, pub i32);

/// One line of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Who: see [`Body::by`].
    pub by: usize,
    /// What happened.
    pub what: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Events that it carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<HistoryEvent>,
}

/// An interview's body.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Body {
    /// Everybody who is named below.
    pub by: Vec<By>,
    /// Values by reference with who gave them, the one shown first.
    pub values: BTreeMap<String, Vec<(String, usize)>>,
    /// References that the form does not ask for as things stand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hidden: BTreeSet<String>,
    /// Repeat instances in their order, by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// What the form calculates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub derived: BTreeMap<String, String>,
    /// What happened, oldest first.
    pub history: Vec<Line>,
    /// What may be paid, once each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payable: Vec<Payable>,
}

impl Body {
    /// The body of what a record comes to.
    pub(crate) fn of(projection: &Projection, root: &str) -> Self {
        let mut instances = Vec::new();
        gather(&projection.answers, &format!("/{root}"), &mut instances);
        let mut known = Known::default();
        let values = projection.values.iter().map(|(reference, values)| {
            let values = values.iter().map(|value| {
                (value.value.clone(), known.number(By(value.device, value.person, value.at_ms, value.offset_minutes)))
            });
            (reference.clone(), values.collect())
        });
        let values = values.collect();
        let history = projection.history.iter().map(|entry| Line {
            by: known.number(By(entry.device, entry.person, entry.at_ms, entry.offset_minutes)),
            what: entry.what.clone(),
            note: entry.note.clone(),
            events: entry.events.clone(),
        });
        let history = history.collect();
        Self {
            values,
            history,
            instances,
            hidden: projection.hidden.clone(),
            derived: projection.derived.clone(),
            payable: projection.payable.clone(),
            by: known.by,
        }
    }

    /// A value with who gave it.
    pub(crate) fn value(&self, value: &(String, usize)) -> Option<ItemValue> {
        let By(device, person, at_ms, offset_minutes) = *self.by.get(value.1)?;
        Some(ItemValue { value: value.0.clone(), device, person, at_ms, offset_minutes })
    }
}

fn gather(answers: &Answers, above: &str, found: &mut Vec<String>) {
    for (repeat, instances) in &answers.repeats {
        for instance in instances {
            let reference = format!("{above}/{repeat}[{}]", instance.id);
            found.push(reference.clone());
            gather(&instance.answers, &reference, found);
        }
    }
}

/// Everybody who was named so far.
#[derive(Default)]
struct Known {
    by: Vec<By>,
    numbers: BTreeMap<By, usize>,
}

impl Known {
    fn number(&mut self, by: By) -> usize {
        *self.numbers.entry(by).or_insert_with(|| {
            self.by.push(by);
            self.by.len() - 1
        })
    }
}
