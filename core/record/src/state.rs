//! What a record says at some point of its history, read from the document once: registers with every value that stands, sets,
//! instances, events, reviews and notes.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{ChangeHash, ObjId, ReadDoc, ScalarValueRef, Value, ValueRef};
use karwan_form::answers::{Answer, Answers, Instance};
use karwan_proto::Hash;

use crate::document::{Record, root};
use crate::entities::EntityNote;
use crate::events::{self, Event, EventBody};
use crate::place::{self, Key};
use crate::review::{ReviewBody, ReviewEntry};
use crate::shape::Shape;

/// A value and the change that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its text.
    pub value: String,
    /// The change.
    pub change: Hash,
}

/// An instance of a repeat that is not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceState {
    /// Order key.
    pub order: String,
    /// Changes whose removal marks stand.
    pub removals: BTreeSet<Hash>,
    /// Changes that made it.
    pub made: BTreeSet<Hash>,
    /// Changes whose values stand in it.
    pub touched: BTreeSet<Hash>,
    /// The maps that hold it: more than one where it was made twice.
    pub(crate) maps: Vec<ObjId>,
}

/// A record at some heads.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Values by path, the one shown first, equal ones once.
    pub registers: BTreeMap<String, Vec<Written>>,
    /// Members of sets by path and choice.
    pub members: BTreeMap<String, BTreeMap<String, Hash>>,
    /// Instances by path (`member[0b7e…]`), removed ones included.
    pub instances: BTreeMap<String, InstanceState>,
    /// Events by path.
    pub events: BTreeMap<String, Vec<Event>>,
    /// Reviews, in causal order.
    pub reviews: Vec<ReviewEntry>,
    /// Notes by `list:id`.
    pub notes: BTreeMap<String, EntityNote>,
    /// The newest form in the record's own changes.
    pub form: Option<Hash>,
    /// Maps of the answers' root.
    pub(crate) answer_maps: Vec<ObjId>,
    /// Whether any instance is removed.
    has_removals: bool,
}

struct Reading<'a> {
    record: &'a Record,
    heads: Option<Vec<ChangeHash>>,
    /// What is under the root.
    root: Vec<(String, ObjId)>,
}

/// What is under a key.
enum Found {
    Text(String, ObjId),
    Flag(ObjId),
    Map(ObjId),
}

impl<'a> Reading<'a> {
    fn of(record: &'a Record, heads: Option<Vec<ChangeHash>>) -> Self {
        let mut reading = Self { record, heads, root: Vec::new() };
        let mut root = Vec::new();
        reading.each(&ObjId::Root, |key, found| {
            if let Found::Map(id) = found {
                root.push((key.to_owned(), id));
            }
        });
        reading.root = root;
        reading
    }

    /// Everything that stands in a map, key by key, of each the winner first.
    fn each(&self, map: &ObjId, mut take: impl FnMut(&str, Found)) {
        let doc = &self.record.doc;
        let range = match &self.heads {
            Some(heads) => doc.map_range_at(map, .., heads),
            None => doc.map_range(map, ..),
        };
        for item in range {
            if !item.conflict {
                let id = item.id();
                let found = match &item.value {
                    ValueRef::Object(_) => Found::Map(id),
                    ValueRef::Scalar(ScalarValueRef::Str(text)) => Found::Text(text.to_string(), id),
                    ValueRef::Scalar(_) => Found::Flag(id),
                };
                take(&item.key, found);
                continue;
            }
            let values = match &self.heads {
                Some(heads) => doc.get_all_at(map, item.key.as_ref(), heads),
                None => doc.get_all(map, item.key.as_ref()),
            };
            for (value, id) in values.unwrap_or_default().into_iter().rev() {
                let found = match value {
                    Value::Object(_) => Found::Map(id),
                    Value::Scalar(scalar) => match scalar.as_str() {
                        Some(text) => Found::Text(text.to_owned(), id),
                        None => Found::Flag(id),
                    },
                };
                take(&item.key, found);
            }
        }
    }

    fn maps(&self, name: &str) -> Vec<ObjId> {
        self.root.iter().filter(|(key, _)| key == name).map(|(_, id)| id.clone()).collect()
    }

    /// Reads the maps of one place; gives the changes whose values stand in them or below.
    fn answers(&self, maps: &[ObjId], parent: &str, depth: usize, state: &mut State) -> BTreeSet<Hash> {
        let mut touched = BTreeSet::new();
        if depth > place::MAX_DEPTH {
            return touched;
        }
        let mut inner: BTreeMap<String, Vec<ObjId>> = BTreeMap::new();
        for map in maps {
            self.each(map, |key, found| {
                let (text, id) = match found {
                    Found::Map(id) => {
                        let path = place::join(parent, key);
                        if let Some(made) = self.record.change_of(&id) {
                            state.instances.entry(path.clone()).or_default().made.insert(made);
                        }
                        inner.entry(path).or_default().push(id);
                        return;
                    }
                    Found::Text(text, id) => (text, id),
                    Found::Flag(id) => (String::new(), id),
                };
                let Some(change) = self.record.change_of(&id) else { return };
                match Key::of(key) {
                    Key::Order => {
                        let instance = state.instances.entry(parent.to_owned()).or_default();
                        if instance.order.is_empty() {
                            instance.order = text;
                        }
                        return;
                    }
                    Key::Removed => {
                        state.has_removals = true;
                        state.instances.entry(parent.to_owned()).or_default().removals.insert(change);
                        return;
                    }
                    Key::Member { path: question, choice } => {
                        state.members.entry(place::join(parent, question)).or_default().insert(choice.to_owned(), change);
                    }
                    Key::Instance | Key::Register => {
                        let written = state.registers.entry(place::join(parent, key)).or_default();
                        if !written.iter().any(|written| written.value == text) {
                            written.push(Written { value: text, change });
                        }
                    }
                }
                touched.insert(change);
            });
        }
        for (path, maps) in inner {
            let below = self.answers(&maps, &path, depth + 1, state);
            if let Some(instance) = state.instances.get_mut(&path) {
                instance.touched.extend(&below);
                instance.maps = maps;
            }
            touched.extend(below);
        }
        touched
    }

    fn form(&self) -> Option<Hash> {
        self.texts(root::META).into_iter().find(|(key, ..)| key == root::FORM).and_then(|(_, text, _)| text.parse().ok())
    }

    fn texts(&self, name: &str) -> Vec<(String, String, Hash)> {
        let mut texts = Vec::new();
        for map in self.maps(name) {
            self.each(&map, |key, found| {
                if let Found::Text(text, id) = found
                    && let Some(change) = self.record.change_of(&id)
                {
                    texts.push((key.to_owned(), text, change));
                }
            });
        }
        texts
    }
}

impl State {
    /// The newest form in the record's own changes, without reading the rest.
    pub fn form_of(record: &Record) -> Option<Hash> {
        Reading::of(record, None).form()
    }

    /// Reads a record at these heads; `None`: as it is now.
    pub fn read(record: &Record, heads: Option<&[Hash]>) -> Self {
        let heads = heads.filter(|heads| *heads != record.heads().as_slice());
        let reading = Reading::of(record, heads.map(|heads| heads.iter().map(|hash| ChangeHash(hash.0)).collect()));
        let mut state = Self { answer_maps: reading.maps(root::ANSWERS), ..Self::default() };
        let maps = state.answer_maps.clone();
        reading.answers(&maps, "", 0, &mut state);
        state.form = reading.form();
        for (key, text, change) in reading.texts(root::EVENTS) {
            let Some((path, id)) = key.rsplit_once('!') else { continue };
            let Ok(body) = serde_json::from_str::<EventBody>(&text) else { continue };
            let Some(node) = record.node(change) else { continue };
            let events = state.events.entry(path.to_owned()).or_default();
            if !events.iter().any(|event| event.id == id) {
                events.push(Event { id: id.to_owned(), body, change, provenance: node.provenance });
            }
        }
        for (key, text, change) in reading.texts(root::REVIEWS) {
            let Ok(body) = serde_json::from_str::<ReviewBody>(&text) else { continue };
            let Some(node) = record.node(change) else { continue };
            state.reviews.push(ReviewEntry { id: key, body, change, provenance: node.provenance });
        }
        // Causal: every replica orders by depth below, then by name.
        let depths = depths(record);
        state.reviews.sort_by(|a, b| (depths.get(&a.change), &a.id).cmp(&(depths.get(&b.change), &b.id)));
        for (key, text, _) in reading.texts(root::SEEN) {
            let Ok(note) = serde_json::from_str::<EntityNote>(&text) else { continue };
            match state.notes.get_mut(&key) {
                Some(known) => known.seen.extend(note.seen),
                None => {
                    state.notes.insert(key, note);
                }
            }
        }
        state
    }

    /// The answers that show: removed instances are left out, events are folded.
    pub fn answers(&self, shape: &Shape) -> Answers {
        let mut answers = Answers::default();
        for (path, instance) in &self.instances {
            if instance.removals.is_empty()
                && !self.is_below_removed(path)
                && let Some(made) = enter(&mut answers, path, self)
            {
                made.order.clone_from(&instance.order);
            }
        }
        for (path, written) in &self.registers {
            let Some(value) = written.first().map(|written| written.value.clone()).filter(|value| !value.is_empty()) else {
                continue;
            };
            self.put(&mut answers, path, Answer::Text(value));
        }
        for (path, members) in &self.members {
            if !members.is_empty() {
                self.put(&mut answers, path, Answer::Set(members.keys().cloned().collect()));
            }
        }
        for (path, recorded) in &self.events {
            let rules = shape.rules(&place::form_path(path)).unwrap_or(&[]);
            if let Some(value) = events::fold(recorded, rules).shown {
                self.put(&mut answers, path, Answer::Text(value));
            }
        }
        sort(&mut answers);
        answers
    }

    fn put(&self, answers: &mut Answers, path: &str, answer: Answer) {
        if self.is_below_removed(path) {
            return;
        }
        let (steps, leaf) = place::steps(path);
        let mut at = answers;
        for (repeat, id) in steps {
            at = &mut instance(at, repeat, id).answers;
        }
        at.values.insert(leaf.to_owned(), answer);
    }

    /// Whether an instance on the way to this path is removed.
    pub fn is_below_removed(&self, path: &str) -> bool {
        if !self.has_removals {
            return false;
        }
        let mut end = 0;
        while let Some(close) = path.get(end..).and_then(|rest| rest.find(']')) {
            end += close + 1;
            let step = path.get(..end).unwrap_or("");
            if step.len() < path.len() && self.instances.get(step).is_some_and(|instance| !instance.removals.is_empty()) {
                return true;
            }
        }
        false
    }
}

fn enter<'a>(answers: &'a mut Answers, path: &str, _state: &State) -> Option<&'a mut Instance> {
    let (steps, rest) = place::steps(path);
    if !rest.is_empty() {
        return None;
    }
    let (last, before) = steps.split_last()?;
    let mut at = answers;
    for (repeat, id) in before {
        at = &mut instance(at, repeat, id).answers;
    }
    Some(instance(at, last.0, last.1))
}

fn instance<'a>(answers: &'a mut Answers, repeat: &str, id: &str) -> &'a mut Instance {
    let instances = answers.repeats.entry(repeat.to_owned()).or_default();
    let at = if let Some(at) = instances.iter().position(|instance| instance.id == id) {
        at
    } else {
        // An ordinal orders itself: `00000010` follows `00000002`.
        let order = if place::is_ordinal(id) { format!("{id:0>9}") } else { String::new() };
        instances.push(Instance { id: id.to_owned(), order, answers: Answers::default() });
        instances.len() - 1
    };
    &mut instances[at]
}

fn sort(answers: &mut Answers) {
    for instances in answers.repeats.values_mut() {
        instances.sort_by(|a, b| (&a.order, &a.id).cmp(&(&b.order, &b.id)));
        for instance in instances.iter_mut() {
            sort(&mut instance.answers);
        }
    }
}

/// Longest way from each change down to the first: equal on every replica.
pub(crate) fn depths(record: &Record) -> BTreeMap<Hash, usize> {
    let mut depths: BTreeMap<Hash, usize> = BTreeMap::new();
    for (hash, node) in record.in_order() {
        let below = node.deps.iter().filter_map(|dep| depths.get(dep)).max().copied().unwrap_or(0);
        depths.insert(hash, below + 1);
    }
    depths
}
