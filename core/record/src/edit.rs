//! Writing answers: the first change of a record, and an edit as the difference between what was shown and what is now.
//!
//! A cleared answer is written as empty text, so that a concurrent answer meets it as a conflict instead of silently standing
//! alone. Removal of an instance is a mark. Everything that differs goes into one change on top of what its author had seen.

use std::collections::{BTreeMap, BTreeSet};

use automerge::hydrate;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, ReadDoc};
use karwan_form::answers::{Answer, Answers};
use karwan_proto::{Hash, RecordId};

use crate::document::{Record, root};
use crate::entities::EntityNote;
use crate::error::RecordError;
use crate::events::{self, EventBody};
use crate::place::{self, MAX_DEPTH, MAX_PATH_BYTES, ORDER, REMOVED};
use crate::provenance::{Author, Stamp};
use crate::shape::Shape;
use crate::state::State;

/// Most answers of one record.
pub const MAX_ANSWERS: usize = 50_000;

/// Answers by path, as the document keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flat {
    pub(crate) registers: BTreeMap<String, String>,
    pub(crate) members: BTreeMap<String, BTreeSet<String>>,
    /// Instances that have maps, with their order keys.
    pub(crate) instances: BTreeMap<String, String>,
    pub(crate) events: BTreeMap<String, String>,
}

/// Events to be put, by their whole key, as JSON.
pub(crate) type EventTexts = BTreeMap<String, String>;

impl Flat {
    pub(crate) fn of(answers: &Answers, shape: &Shape) -> Result<Self, RecordError> {
        let mut flat = Self::default();
        flat.add(answers, "", "", shape, 0)?;
        let count = flat.registers.len() + flat.members.len() + flat.instances.len() + flat.events.len();
        if count > MAX_ANSWERS {
            return Err(RecordError::Limit { what: "answers", limit: MAX_ANSWERS, came: count });
        }
        Ok(flat)
    }

    fn add(
        &mut self,
        answers: &Answers,
        parent: &str,
        form_parent: &str,
        shape: &Shape,
        depth: usize,
    ) -> Result<(), RecordError> {
        if depth > MAX_DEPTH {
            return Err(RecordError::Limit { what: "depth of repeats", limit: MAX_DEPTH, came: depth });
        }
        for (key, answer) in &answers.values {
            let path = place::join(parent, key);
            if path.len() > MAX_PATH_BYTES {
                return Err(RecordError::Limit { what: "length of a path", limit: MAX_PATH_BYTES, came: path.len() });
            }
            let form_path = place::join(form_parent, key);
            match answer {
                Answer::Text(text) if shape.rules(&form_path).is_some() => {
                    self.events.insert(path, text.clone());
                }
                Answer::Text(text) if shape.is_union(&form_path) => {
                    self.members.insert(path, text.split_whitespace().map(str::to_owned).collect());
                }
                Answer::Text(text) => {
                    self.registers.insert(path, text.clone());
                }
                Answer::Set(members) => {
                    self.members.insert(path, members.clone());
                }
            }
        }
        for (repeat, instances) in &answers.repeats {
            let form_path = place::join(form_parent, repeat);
            for instance in instances {
                let path = format!("{}[{}]", place::join(parent, repeat), instance.id);
                if !place::is_ordinal(&instance.id) {
                    self.instances.insert(path.clone(), instance.order.clone());
                }
                self.add(&instance.answers, &path, &form_path, shape, depth + 1)?;
            }
        }
        Ok(())
    }
}

impl Record {
    /// The first change of a record. `notes` say what its entity writes had been shown.
    pub fn create(
        id: RecordId,
        shape: &Shape,
        form: Hash,
        answers: &Answers,
        notes: &[EntityNote],
        author: &Author,
        stamp: &Stamp,
    ) -> Result<(Self, Vec<u8>), RecordError> {
        let flat = Flat::of(answers, shape)?;
        let mut entries = EventTexts::new();
        for (number, (path, value)) in flat.events.iter().enumerate() {
            let body = EventBody { value: value.clone(), seen: Vec::new(), decision: false };
            entries.insert(format!("{path}!{}", stamp.identifier(number)), json(&body)?);
        }
        Self::begin(id, form, &flat, entries, notes, author, stamp)
    }

    /// The first change, from answers and events as the document keeps them.
    pub(crate) fn begin(
        id: RecordId,
        form: Hash,
        flat: &Flat,
        entries: EventTexts,
        notes: &[EntityNote],
        author: &Author,
        stamp: &Stamp,
    ) -> Result<(Self, Vec<u8>), RecordError> {
        let mut maps: BTreeMap<String, Map> = BTreeMap::new();
        maps.insert(String::new(), Map::default());
        for (path, order) in &flat.instances {
            let map = maps.entry(path.clone()).or_default();
            map.texts.insert(ORDER.to_owned(), order.clone());
        }
        for (path, value) in &flat.registers {
            let (container, key) = place::container(path);
            maps.entry(container.to_owned()).or_default().texts.insert(key.to_owned(), value.clone());
        }
        for (path, members) in &flat.members {
            let (container, key) = place::container(path);
            let map = maps.entry(container.to_owned()).or_default();
            map.flags.extend(members.iter().map(|choice| format!("{key}{{{choice}}}")));
        }
        let seen = notes.iter().map(|note| Ok((note.key(), json(note)?))).collect::<Result<BTreeMap<_, _>, RecordError>>()?;
        let meta = BTreeMap::from([(root::FORM.to_owned(), form.to_string())]);
        let tree = hydrate_map([
            (root::ANSWERS.to_owned(), hydrate_answers("", &maps, 0)),
            (root::META.to_owned(), hydrate_texts(meta)),
            (root::EVENTS.to_owned(), hydrate_texts(entries)),
            (root::REVIEWS.to_owned(), hydrate_texts(BTreeMap::new())),
            (root::SEEN.to_owned(), hydrate_texts(seen)),
        ]);
        let mut record = Self::empty(id);
        let change = record.write(&[], author, stamp.at_ms, |doc| Ok(doc.init_root_from_hydrate(&tree)?))?;
        Ok((record, change.ok_or(RecordError::Empty)?))
    }

    /// What shows now.
    pub fn answers(&self, shape: &Shape) -> Answers {
        State::read(self, None).answers(shape)
    }

    /// What showed at these heads.
    pub fn answers_at(&self, shape: &Shape, heads: &[Hash]) -> Answers {
        State::read(self, Some(heads)).answers(shape)
    }

    /// The newest form version in its own changes.
    pub fn form(&self) -> Option<Hash> {
        State::form_of(self)
    }

    /// An edit by somebody who had seen `seen`, which left the answers `after`; `None` where nothing differs.
    #[allow(clippy::too_many_arguments, reason = "each is another thing that an edit needs to be told")]
    pub fn edit(
        &mut self,
        shape: &Shape,
        seen: &[Hash],
        form: Hash,
        after: &Answers,
        notes: &[EntityNote],
        author: &Author,
        stamp: &Stamp,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let state = State::read(self, Some(seen));
        let before = Flat::of(&state.answers(shape), shape)?;
        let after = Flat::of(after, shape)?;
        let mut texts = EventTexts::new();
        for (number, (path, value)) in
            after.events.iter().filter(|(path, value)| before.events.get(*path) != Some(*value)).enumerate()
        {
            let recorded = state.events.get(path).map_or(&[][..], Vec::as_slice);
            let rules = shape.rules(&place::form_path(path)).unwrap_or(&[]);
            let body = EventBody { value: value.clone(), seen: events::fold(recorded, rules).tips, decision: false };
            texts.insert(format!("{path}!{}", stamp.identifier(number)), json(&body)?);
        }
        self.write_difference(&state, seen, form, (&before, &after), &texts, notes, author, stamp)
    }

    /// Writes what differs between two sets of answers, and events, on top of `seen`; `None` where nothing differs.
    #[allow(clippy::too_many_arguments, reason = "each is another thing that an edit needs to be told")]
    pub(crate) fn write_difference(
        &mut self,
        state: &State,
        seen: &[Hash],
        form: Hash,
        (before, after): (&Flat, &Flat),
        event_texts: &EventTexts,
        notes: &[EntityNote],
        author: &Author,
        stamp: &Stamp,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let new_notes: Vec<&EntityNote> = notes.iter().filter(|note| !state.notes.contains_key(&note.key())).collect();
        let form_differs = state.form != Some(form);
        if before == after && event_texts.is_empty() && new_notes.is_empty() && !form_differs {
            return Ok(None);
        }
        let meta_maps = self.root_maps(root::META)?;
        let event_maps = self.root_maps(root::EVENTS)?;
        let seen_maps = self.root_maps(root::SEEN)?;
        self.write(seen, author, stamp.at_ms, |doc| {
            let mut writer = Writer { doc, maps: BTreeMap::from([(String::new(), state.answer_maps.clone())]) };
            for (path, instance) in &state.instances {
                writer.maps.insert(path.clone(), instance.maps.clone());
            }
            writer.instances(before, after)?;
            writer.registers(before, after)?;
            writer.members(before, after)?;
            for (key, text) in event_texts {
                put_all(writer.doc, &event_maps, key, text)?;
            }
            for note in new_notes {
                put_all(writer.doc, &seen_maps, &note.key(), &json(note)?)?;
            }
            if form_differs {
                put_all(writer.doc, &meta_maps, root::FORM, &form.to_string())?;
            }
            Ok(())
        })
    }

    /// Maps of the root by name.
    pub(crate) fn root_maps(&self, name: &str) -> Result<Vec<ObjId>, RecordError> {
        use automerge::Value;
        let found = self.doc.get_all(ObjId::Root, name)?;
        let maps: Vec<ObjId> =
            found.into_iter().filter(|(value, _)| matches!(value, Value::Object(_))).map(|(_, id)| id).collect();
        if maps.is_empty() { Err(RecordError::Empty) } else { Ok(maps) }
    }
}

/// Puts a text into every copy of a map.
pub(crate) fn put_all(doc: &mut AutoCommit, maps: &[ObjId], key: &str, value: &str) -> Result<(), RecordError> {
    maps.iter().try_for_each(|map| Ok(doc.put(map, key, value)?))
}

/// JSON of a small body.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, RecordError> {
    serde_json::to_string(value).map_err(|error| RecordError::Document(error.to_string()))
}

/// Writes into the maps that hold the answers.
pub(crate) struct Writer<'a> {
    pub(crate) doc: &'a mut AutoCommit,
    /// Maps by path of the instance; the root's under the empty path.
    pub(crate) maps: BTreeMap<String, Vec<ObjId>>,
}

impl Writer<'_> {
    fn instances(&mut self, before: &Flat, after: &Flat) -> Result<(), RecordError> {
        for (path, order) in &after.instances {
            match before.instances.get(path) {
                Some(known) if known == order => {}
                Some(_) => put_all(self.doc, self.maps.get(path).map_or(&[], Vec::as_slice), ORDER, order)?,
                None => {
                    let (container, key) = place::container(path);
                    let parents = self.maps.get(container).cloned().unwrap_or_default();
                    let Some(parent) = parents.first() else { continue };
                    let map = self.doc.put_object(parent, key, ObjType::Map)?;
                    self.doc.put(&map, ORDER, order.as_str())?;
                    self.maps.insert(path.clone(), vec![map]);
                }
            }
        }
        for path in before.instances.keys() {
            if !after.instances.contains_key(path) {
                // What is inside a removed instance needs no mark of its own.
                let inside = before.instances.keys().any(|other| {
                    !after.instances.contains_key(other) && path.len() > other.len() && path.starts_with(&format!("{other}/"))
                });
                if !inside {
                    self.maps
                        .get(path)
                        .map_or(&[][..], Vec::as_slice)
                        .iter()
                        .try_for_each(|map| self.doc.put(map, REMOVED, true))?;
                }
            }
        }
        Ok(())
    }

    fn registers(&mut self, before: &Flat, after: &Flat) -> Result<(), RecordError> {
        for (path, value) in &after.registers {
            if before.registers.get(path) != Some(value) {
                self.put(path, value)?;
            }
        }
        for path in before.registers.keys() {
            if !after.registers.contains_key(path) && after.keeps(path) {
                self.put(path, "")?;
            }
        }
        Ok(())
    }

    fn members(&mut self, before: &Flat, after: &Flat) -> Result<(), RecordError> {
        let none = BTreeSet::new();
        for (path, members) in &after.members {
            let known = before.members.get(path).unwrap_or(&none);
            for choice in members.difference(known) {
                self.each(path, |doc, map, key| Ok(doc.put(map, format!("{key}{{{choice}}}"), true)?))?;
            }
        }
        for (path, known) in &before.members {
            if !after.keeps(path) {
                continue;
            }
            let members = after.members.get(path).unwrap_or(&none);
            for choice in known.difference(members) {
                self.each(path, |doc, map, key| Ok(doc.delete(map, format!("{key}{{{choice}}}"))?))?;
            }
        }
        Ok(())
    }

    /// Puts a register into every copy of its map.
    pub(crate) fn put(&mut self, path: &str, value: &str) -> Result<(), RecordError> {
        self.each(path, |doc, map, key| Ok(doc.put(map, key, value)?))
    }

    /// As [`Writer::put`], for a decision: the value that shows is written anew too, so that a concurrent edit of it stands beside it.
    pub(crate) fn decide(&mut self, path: &str, value: &str) -> Result<(), RecordError> {
        self.each(path, |doc, map, key| {
            let standing = doc.get_all(map, key)?;
            if standing.len() > 1 && standing.last().is_some_and(|(shown, _)| shown.as_str() == Some(value)) {
                doc.delete(map, key)?;
            }
            Ok(doc.put(map, key, value)?)
        })
    }

    fn each(
        &mut self,
        path: &str,
        mut write: impl FnMut(&mut AutoCommit, &ObjId, &str) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let (container, key) = place::container(path);
        let maps = self.maps.get(container).cloned().unwrap_or_default();
        maps.iter().try_for_each(|map| write(self.doc, map, key))
    }
}

impl Flat {
    /// Whether the instance around a path is still there: nothing is cleared inside one that was removed.
    fn keeps(&self, path: &str) -> bool {
        let (container, _) = place::container(path);
        container.is_empty() || self.instances.contains_key(container)
    }
}

#[derive(Default)]
struct Map {
    texts: BTreeMap<String, String>,
    flags: BTreeSet<String>,
}

fn hydrate_answers(path: &str, maps: &BTreeMap<String, Map>, depth: usize) -> hydrate::Value {
    let mut entries: Vec<(String, hydrate::Value)> = Vec::new();
    if let Some(map) = maps.get(path) {
        entries.extend(map.texts.iter().map(|(key, text)| (key.clone(), text.as_str().into())));
        entries.extend(map.flags.iter().map(|key| (key.clone(), hydrate::Value::scalar(true))));
    }
    if depth <= MAX_DEPTH {
        for inner in maps.keys() {
            let (container, key) = place::container(inner);
            if !inner.is_empty() && container == path {
                entries.push((key.to_owned(), hydrate_answers(inner, maps, depth + 1)));
            }
        }
    }
    hydrate::Value::Map(hydrate_map(entries))
}

fn hydrate_texts(texts: BTreeMap<String, String>) -> hydrate::Value {
    hydrate::Value::Map(hydrate_map(texts.into_iter().map(|(key, text)| (key, hydrate::Value::scalar(text)))))
}

#[allow(clippy::disallowed_types, reason = "automerge takes a HashMap here and sorts it by key itself")]
fn hydrate_map(entries: impl IntoIterator<Item = (String, hydrate::Value)>) -> hydrate::Map {
    entries.into_iter().collect::<std::collections::HashMap<_, _>>().into()
}
