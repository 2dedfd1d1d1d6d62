//! Writing an edit again, by value, where the change that carried it does not count: it stood on one that was refused, or another copy of its
//! device's database wrote under the same actor. What the edit changed is changed again on top of what stands; an event keeps its identifier
//! and an instance its own, so that what was said twice is one thing.

use std::collections::BTreeSet;

use karwan_proto::{Hash, RecordId};

use crate::document::Record;
use crate::edit::{EventTexts, Flat, json};
use crate::entities::EntityNote;
use crate::error::RecordError;
use crate::generation::is_part;
use crate::place;
use crate::provenance::{Author, Stamp};
use crate::shape::Shape;
use crate::state::State;

/// An edit as it was made: a change with everything that it stands on.
#[derive(Debug)]
pub struct Made<'a> {
    /// The record as its author had it.
    pub record: &'a Record,
    /// The change.
    pub change: Hash,
    /// Paths of parts that were erased since: nothing is written there again.
    pub erased: &'a [String],
}

impl Made<'_> {
    fn is_erased(&self, path: &str) -> bool {
        self.erased.iter().any(|part| is_part(path, part))
    }

    fn events(&self, state: &State) -> Result<EventTexts, RecordError> {
        let mut texts = EventTexts::new();
        for (path, recorded) in state.events.iter().filter(|(path, _)| !self.is_erased(path)) {
            for event in recorded.iter().filter(|event| event.change == self.change) {
                texts.insert(format!("{path}!{}", event.id), json(&event.body)?);
            }
        }
        Ok(texts)
    }
}

impl Record {
    /// Writes the first change of a record again, by another author.
    pub fn create_again(
        id: RecordId,
        shape: &Shape,
        form: Hash,
        made: &Made<'_>,
        author: &Author,
        stamp: &Stamp,
    ) -> Result<(Self, Vec<u8>), RecordError> {
        let state = State::read(made.record, Some(&[made.change]));
        let flat = Flat::of(&state.answers(shape), shape)?;
        let mut texts = EventTexts::new();
        for (path, recorded) in &state.events {
            for event in recorded {
                texts.insert(format!("{path}!{}", event.id), json(&event.body)?);
            }
        }
        let notes: Vec<EntityNote> = state.notes.into_values().collect();
        Self::begin(id, form, &flat, texts, &notes, author, stamp)
    }

    /// Writes an edit again on top of `seen`; `None` where that has all of it.
    pub fn edit_again(
        &mut self,
        shape: &Shape,
        seen: &[Hash],
        form: Hash,
        made: &Made<'_>,
        author: &Author,
        stamp: &Stamp,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let deps = made.record.node(made.change).map(|node| node.deps.clone()).unwrap_or_default();
        let made_state = State::read(made.record, Some(&[made.change]));
        let mut from = if deps.is_empty() {
            Flat::default()
        } else {
            Flat::of(&State::read(made.record, Some(&deps)).answers(shape), shape)?
        };
        let mut to = Flat::of(&made_state.answers(shape), shape)?;
        for flat in [&mut from, &mut to] {
            flat.leave_out(&|path| made.is_erased(path));
        }
        let state = State::read(self, Some(seen));
        let before = Flat::of(&state.answers(shape), shape)?;
        let mut after = before.clone();
        after.follow(&from, &to);
        let mut texts = made.events(&made_state)?;
        let known: BTreeSet<String> = state
            .events
            .iter()
            .flat_map(|(path, events)| events.iter().map(move |event| format!("{path}!{}", event.id)))
            .collect();
        texts.retain(|key, _| !known.contains(key));
        let mut notes = made_state.notes;
        if !made.erased.is_empty() {
            // Those from before stand where they still belong.
            let known = State::read(made.record, Some(&deps)).notes;
            notes.retain(|key, _| !known.contains_key(key));
        }
        let notes: Vec<EntityNote> = notes.into_values().collect();
        self.write_difference(&state, seen, form, (&before, &after), &texts, &notes, author, stamp)
    }
}

impl Flat {
    fn leave_out(&mut self, gone: &dyn Fn(&str) -> bool) {
        self.registers.retain(|path, _| !gone(path));
        self.members.retain(|path, _| !gone(path));
        self.instances.retain(|path, _| !gone(path));
    }

    /// Changes here what differs between two sets of answers. Events are told apart by their identifiers, and not here.
    fn follow(&mut self, from: &Self, to: &Self) {
        for (path, order) in &to.instances {
            if from.instances.get(path) != Some(order) {
                self.instances.insert(path.clone(), order.clone());
            }
        }
        for path in from.instances.keys().filter(|path| !to.instances.contains_key(*path)) {
            self.instances.remove(path);
        }
        for (path, value) in &to.registers {
            if from.registers.get(path) != Some(value) {
                self.registers.insert(path.clone(), value.clone());
                self.hold(path, to);
            }
        }
        for path in from.registers.keys().filter(|path| !to.registers.contains_key(*path)) {
            self.registers.remove(path);
        }
        let none = BTreeSet::new();
        for path in from.members.keys().chain(to.members.keys()) {
            let (old, new) = (from.members.get(path).unwrap_or(&none), to.members.get(path).unwrap_or(&none));
            if old == new {
                continue;
            }
            let members = self.members.entry(path.clone()).or_default();
            members.extend(new.difference(old).cloned());
            members.retain(|choice| new.contains(choice) || !old.contains(choice));
            self.hold(path, to);
        }
    }

    /// Makes the instances around a path, with all that is in them, where they are not here: what was refused had made them.
    fn hold(&mut self, path: &str, to: &Self) {
        let mut container = place::container(path).0.to_owned();
        while !container.is_empty() {
            if let Some(order) = to.instances.get(&container).filter(|_| !self.instances.contains_key(&container)) {
                self.instances.insert(container.clone(), order.clone());
                let within = format!("{container}/");
                for (inside, value) in to.registers.iter().filter(|(inside, _)| inside.starts_with(&within)) {
                    self.registers.entry(inside.clone()).or_insert_with(|| value.clone());
                }
                for (inside, members) in to.members.iter().filter(|(inside, _)| inside.starts_with(&within)) {
                    self.members.entry(inside.clone()).or_insert_with(|| members.clone());
                }
                for (inside, order) in to.instances.iter().filter(|(inside, _)| inside.starts_with(&within)) {
                    self.instances.entry(inside.clone()).or_insert_with(|| order.clone());
                }
            }
            container = place::container(&container).0.to_owned();
        }
    }
}
