//! The form's logic after a merge: answers that were valid apart and are invalid together.
//!
//! A violation is a merge's doing where it holds in what was merged and in none of the sides alone. A change on top of it that
//! leaves it standing does not make it its author's: the rule goes down the graph of changes until it finds who or what made it.
//! The clock and offset are those of the newest change below the point that is judged, never the wall clock, so that a merge a year
//! later gives the same items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_form::interview::{Context, Interview, Mode};
use karwan_form::model::Form;
use karwan_proto::Hash;

use crate::document::Record;
use crate::items::{ItemKind, ItemValue, ReviewItem};
use crate::place;
use crate::shape::Shape;
use crate::state::State;

/// Most points of one record's history that are judged: beyond it the oldest merges are taken as judged by their authors.
pub const MAX_POINTS: usize = 512;

/// A broken rule: place and kind.
type Broken = (String, &'static str);

/// The world of an interview opened to show or judge stored answers at these heads.
pub fn context_at(record: &Record, heads: &[Hash]) -> Context {
    let below = record.ancestors(heads);
    let newest = below.iter().filter_map(|hash| record.node(*hash)).max_by_key(|node| (node.provenance.at_ms, node.order));
    let (at_ms, offset) = newest.map_or((0, 0), |node| (node.provenance.at_ms, node.provenance.offset_minutes));
    Context { offset_minutes: offset, ..Context::at(at_ms, [0; 32]) }
}

struct Judge<'a> {
    record: &'a Record,
    form: &'a Arc<Form>,
    shape: &'a Shape,
    known: BTreeMap<Vec<Hash>, BTreeMap<Broken, String>>,
}

impl Judge<'_> {
    /// What is broken at these heads, with the form's own words.
    fn broken(&mut self, heads: &[Hash]) -> BTreeMap<Broken, String> {
        if let Some(known) = self.known.get(heads) {
            return known.clone();
        }
        if self.known.len() >= MAX_POINTS {
            return BTreeMap::new();
        }
        let answers = State::read(self.record, Some(heads)).answers(self.shape);
        let opened = Interview::open(self.form.clone(), &answers, context_at(self.record, heads), Mode::Judge);
        let found: BTreeMap<Broken, String> = opened.map_or_else(
            |_| BTreeMap::new(),
            |interview| {
                let violations = interview.violations().into_iter();
                violations.map(|violation| ((violation.place, violation.kind.word()), violation.message)).collect()
            },
        );
        self.known.insert(heads.to_vec(), found.clone());
        found
    }

    /// Whether a merge made this violation, which holds at these heads.
    fn by_merge(&mut self, broken: &Broken, heads: &[Hash]) -> bool {
        let mut heads = heads.to_vec();
        let mut visited = BTreeSet::new();
        loop {
            if !visited.insert(heads.clone()) || self.known.len() >= MAX_POINTS {
                return false;
            }
            if heads.len() >= 2 {
                let holding: Vec<Hash> =
                    heads.iter().filter(|head| self.broken(&[**head]).contains_key(broken)).copied().collect();
                if holding.is_empty() {
                    return true;
                }
                return holding.iter().any(|head| self.by_merge(broken, &[*head]));
            }
            let Some(deps) = heads.first().and_then(|head| self.record.node(*head)).map(|node| node.deps.clone()) else {
                return false;
            };
            if deps.is_empty() || !self.broken(&deps).contains_key(broken) {
                return false;
            }
            heads = deps;
        }
    }
}

/// Items for what a merge broke.
pub(crate) fn invalid(record: &Record, form: &Arc<Form>, shape: &Shape, state: &State) -> Vec<ReviewItem> {
    if record.is_linear() {
        return Vec::new();
    }
    let heads = record.heads();
    let mut judge = Judge { record, form, shape, known: BTreeMap::new() };
    let broken = judge.broken(&heads);
    let mut items = Vec::new();
    for ((reference, kind), message) in broken {
        if !judge.by_merge(&(reference.clone(), kind), &heads) {
            continue;
        }
        let path = place::of_reference(&reference);
        let written = state.registers.get(path).map_or(&[][..], Vec::as_slice);
        let values: Vec<ItemValue> = written
            .iter()
            .filter_map(|written| record.node(written.change).map(|node| ItemValue::new(&written.value, &node.provenance)))
            .collect();
        let since = record.in_order().iter().map(|(_, node)| node.provenance.at_ms).max().unwrap_or(0);
        let message = if message.is_empty() { kind.to_owned() } else { message };
        items.push(ReviewItem::new(ItemKind::Invalid, record.id().to_string(), reference, values, message, since));
    }
    items
}
