//! One conversation over a form: a tree of answers in which an answer re-evaluates what depends on it and nothing else.
//!
//! Start one with [`Interview::start`] or go on with stored answers with [`Interview::open`]; answer with
//! [`Interview::set`], [`Interview::add`], [`Interview::remove`]; look with [`Interview::nodes`]; end with
//! [`Interview::finalize`]. [`Interview::answers`] gives what is worth storing at any time.

pub(crate) mod complete;
pub mod context;
mod entity;
mod host;
mod last_saved;
pub mod plan;
pub(crate) mod reading;
mod references;
mod search;
mod settle;
mod show;
pub mod state;
mod store;
mod submit;
mod tree;
pub(crate) mod values;

pub use context::{Context, Lists, Mode, NoLists};
pub use state::{
    ChoiceState, DisplayValue, EntityOperation, EntityWrite, InterviewError, NodeState, Refused, ShownValue, StateKind,
    Submission, Violation, ViolationKind,
};
pub(crate) use submit::Submitting;

use std::sync::Arc;

use crate::answers::Answers;
use crate::model::{Form, NodeKind};
use crate::submission;
use host::{World, uuid};
use plan::Plan;
use settle::Engine;
use store::Kept;
use tree::{DEFAULT_BYTES_MAX, ELEMENTS_MAX};

/// Most instances that one repeat takes from a person.
pub const INSTANCES_MAX: usize = 10_000;

/// A form being filled or filled.
pub struct Interview {
    engine: Engine,
    form: Arc<Form>,
    kept: Vec<Kept>,
}

impl Interview {
    /// A new interview: defaults, first-load actions and preloads have run.
    pub fn start(form: Arc<Form>, context: Context) -> Result<Self, InterviewError> {
        let plan = Plan::of(&form);
        let world = World::new(&plan, context);
        let mut engine = Engine::new(plan, world, Mode::Fill);
        engine.begin(0, &form.initial);
        engine.preload();
        engine.queue_all(0);
        engine.settle();
        engine.event("odk-instance-first-load", 0);
        engine.event("odk-instance-load", 0);
        Self { engine, form, kept: Vec::new() }.checked()
    }

    /// Goes on with stored answers. `Mode::Fill` behaves as `Mode::Edit` here.
    pub fn open(form: Arc<Form>, answers: &Answers, context: Context, mode: Mode) -> Result<Self, InterviewError> {
        let plan = Plan::of(&form);
        let world = World::new(&plan, context);
        let mode = if mode == Mode::Judge { Mode::Judge } else { Mode::Edit };
        let mut engine = Engine::new(plan, world, mode);
        let kept = engine.open(answers);
        if mode == Mode::Edit {
            engine.event("odk-instance-load", 0);
        }
        Self { engine, form, kept }.checked()
    }

    fn checked(self) -> Result<Self, InterviewError> {
        if self.engine.tree.elements.len() > ELEMENTS_MAX {
            return Err(InterviewError::Limit { limit: ELEMENTS_MAX, what: "nodes" });
        }
        if self.engine.tree.default_bytes > DEFAULT_BYTES_MAX {
            return Err(InterviewError::Limit { limit: DEFAULT_BYTES_MAX, what: "bytes of defaults" });
        }
        Ok(self)
    }

    /// The form of this interview.
    pub fn form(&self) -> &Arc<Form> {
        &self.form
    }

    /// Answers one question in the value's XForms text form; `""` clears it. A value that breaks a constraint is kept and
    /// shown invalid. Refused: no such question, not relevant, read-only, or not a value of its type.
    pub fn set(&mut self, place: &str, value: &str) -> Result<(), Refused> {
        let engine = &mut self.engine;
        engine.world.rested();
        let element = engine.tree.find(&engine.plan, place).ok_or_else(|| Refused::NoSuchNode(place.to_owned()))?;
        let node =
            engine.plan.form.nodes.get(engine.tree.node_of(element)).ok_or_else(|| Refused::NoSuchNode(place.to_owned()))?;
        let kind = show::kind(node);
        if node.kind != NodeKind::Value || matches!(kind, StateKind::Note) {
            return Err(Refused::TakesNoAnswer(place.to_owned(), kind.word()));
        }
        if engine.tree.element(element).is_none_or(|element| !element.relevant) {
            return Err(Refused::NotRelevant(place.to_owned()));
        }
        if engine.is_readonly_now(element) || (node.control.is_none() && node.bind.calculate.is_some()) {
            return Err(Refused::ReadOnly(place.to_owned()));
        }
        let offset = engine.world.context.offset_minutes;
        let value = values::typed(node.bind.data_type, value, offset)
            .map_err(|expected| Refused::WrongType { place: place.to_owned(), expected })?;
        engine.put(element, value);
        engine.settle();
        Ok(())
    }

    /// Appends an instance to the repeat whose path is `repeat` (`/data/member`, `/data/house[2]/member`); gives its id.
    pub fn add(&mut self, repeat: &str) -> Result<String, Refused> {
        let id = uuid(self.engine.world.draw());
        self.add_as(repeat, &id)?;
        Ok(id)
    }

    /// As [`Interview::add`], with an id that was given before: a journal of answers is played again.
    pub fn add_as(&mut self, repeat: &str, id: &str) -> Result<(), Refused> {
        let engine = &mut self.engine;
        engine.world.rested();
        let (parent, node) =
            engine.tree.find_repeat(&engine.plan, repeat).ok_or_else(|| Refused::NoSuchRepeat(repeat.to_owned()))?;
        let counted =
            engine.plan.form.nodes.get(node).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { count: Some(_) }));
        if counted {
            return Err(Refused::CountedRepeat(repeat.to_owned()));
        }
        if engine.tree.element(parent).is_none_or(|parent| !parent.relevant) {
            return Err(Refused::NotRelevant(repeat.to_owned()));
        }
        let slot = engine.plan.nodes.get(node).map_or(0, |node| node.slot);
        if engine.tree.instances(parent, slot).len() >= INSTANCES_MAX || engine.tree.is_full() {
            return Err(Refused::Limit { limit: INSTANCES_MAX, what: "instances" });
        }
        let element = engine.instance(node, parent, id.to_owned(), None);
        engine.settle();
        engine.event("odk-instance-first-load", element);
        engine.event("odk-new-repeat", element);
        Ok(())
    }

    /// Removes one instance (`/data/member[2]` or `/data/member[ID]`).
    pub fn remove(&mut self, instance: &str) -> Result<(), Refused> {
        let engine = &mut self.engine;
        engine.world.rested();
        let found = engine.tree.find(&engine.plan, instance).filter(|id| engine.tree.is_instance(&engine.plan, *id));
        let element = found.ok_or_else(|| Refused::NothingToRemove(instance.to_owned()))?;
        let node = engine.tree.node_of(element);
        let counted =
            engine.plan.form.nodes.get(node).is_some_and(|node| matches!(node.kind, NodeKind::Repeat { count: Some(_) }));
        if counted {
            return Err(Refused::CountedRepeat(instance.to_owned()));
        }
        let parent = engine.tree.parent(element).unwrap_or(0);
        let slot = engine.plan.nodes.get(node).map_or(0, |node| node.slot);
        engine.leave(element);
        engine.tree.detach(parent, slot, element);
        let mut below = Vec::new();
        engine.tree.below(element, &mut below);
        for id in below {
            if let Some(element) = engine.tree.element_mut(id) {
                element.gone = true;
            }
        }
        engine.settle();
        Ok(())
    }

    /// Shows labels in this language, as the form names it.
    pub fn set_language(&mut self, name: &str) -> Result<(), Refused> {
        let engine = &mut self.engine;
        let index = engine.plan.form.languages.iter().position(|language| language == name);
        engine.world.language = index.ok_or_else(|| Refused::NoLanguage(name.to_owned()))?;
        engine.world.rested();
        engine.speak_again();
        engine.settle();
        Ok(())
    }

    /// The language shown; empty where nothing is translated.
    pub fn language(&self) -> &str {
        self.engine.plan.form.languages.get(self.engine.world.language).map_or("", String::as_str)
    }

    /// Everything that a screen needs, in document order, without the root.
    pub fn nodes(&self) -> Vec<NodeState> {
        self.engine.world.rested();
        self.engine.nodes(false)
    }

    /// As [`Interview::nodes`], with what every form has though it may not say it (`meta` and what is in it).
    pub fn all_nodes(&self) -> Vec<NodeState> {
        self.engine.world.rested();
        self.engine.nodes(true)
    }

    /// One node by place or reference.
    pub fn node(&self, place: &str) -> Option<NodeState> {
        self.engine.world.rested();
        let id = self.engine.tree.find(&self.engine.plan, place)?;
        let above = self.engine.tree.parent(id).is_some_and(|parent| self.engine.is_readonly_now(parent));
        Some(self.engine.state(id, above))
    }

    /// Whether there is such a node or instance.
    pub fn has(&self, place: &str) -> bool {
        self.engine.tree.find(&self.engine.plan, place).is_some()
    }

    /// What is stored: entered and captured values and preloads, the non-relevant ones and keys of other versions
    /// included; plain calculations are left out.
    pub fn answers(&self) -> Answers {
        self.engine.answers(0, &self.kept)
    }

    /// What keeps the interview from being accepted, in document order.
    pub fn violations(&self) -> Vec<Violation> {
        self.engine.world.rested();
        self.engine.violations()
    }

    /// Ends the interview: `end` is stamped, everything is judged, the submission is written.
    pub fn finalize(&mut self) -> Result<Submission, Vec<Violation>> {
        self.engine.world.rested();
        self.engine.stamp_end();
        let violations = self.engine.violations();
        if !violations.is_empty() {
            return Err(violations);
        }
        Ok(Submission { xml: submission::write(&self.engine), instance_name: self.instance_name() })
    }

    /// As [`Interview::finalize`], for an interview that was submitted before under the id `earlier` and edited since: the submission has
    /// an id of its own, and `meta/deprecatedID` names the one that it replaces.
    pub fn finalize_edited(&mut self, earlier: &str) -> Result<Submission, Vec<Violation>> {
        let mut finished = self.finalize()?;
        let id = format!("uuid:{}", uuid(self.engine.world.draw()));
        finished.xml = submission::write_edited(&self.engine, &id, earlier);
        Ok(finished)
    }

    /// What the interview is called in lists; empty where the form gives no name.
    pub fn instance_name(&self) -> String {
        let path = format!("/{}/meta/instanceName", self.engine.plan.form.root_name);
        let id = self.engine.tree.find(&self.engine.plan, &path);
        id.and_then(|id| self.engine.tree.element(id)).map(|element| element.value.clone()).unwrap_or_default()
    }

    /// Entities that this interview creates or updates as it stands.
    pub fn entity_writes(&self) -> Vec<EntityWrite> {
        self.engine.world.rested();
        self.engine.entity_writes()
    }

    /// Every answer and result that shows, in document order, without what a person reads around it.
    pub fn shown_values(&self) -> Vec<ShownValue<'_>> {
        self.engine.shown_values()
    }

    /// Relevant questions and calculations with a value, in the form's order and words.
    pub fn display_values(&self) -> Vec<DisplayValue> {
        self.engine.world.rested();
        self.engine.display_values()
    }
}
