//! One conversation over a form: a tree of answers in which an answer re-evaluates what depends on it and nothing else.
//!
//! Start one with [`Interview::start`] or go on with stored answers with [`Interview::open`]; answer with
//! [`Interview::set`], [`Interview::add`], [`Interview::remove`]; look with [`Interview::nodes`]; end with
//! [`Interview::finalize`]. [`Interview::answers`] gives what is worth storing at any time.

pub mod context;
pub mod state;

pub use context::{Context, Lists, Mode, NoLists};
pub use state::{
    ChoiceState, DisplayValue, EntityOperation, EntityWrite, InterviewError, NodeState, Refused, StateKind, Submission, Violation,
    ViolationKind,
};

use std::sync::Arc;

use crate::answers::Answers;
use crate::model::Form;

/// A form being filled or filled.
pub struct Interview {
    form: Arc<Form>,
}

impl Interview {
    /// A new interview: defaults, first-load actions and preloads have run.
    pub fn start(form: Arc<Form>, context: Context) -> Result<Self, InterviewError> {
        let _ = context;
        Ok(Self { form })
    }

    /// Goes on with stored answers. `Mode::Fill` behaves as `Mode::Edit` here.
    pub fn open(form: Arc<Form>, answers: &Answers, context: Context, mode: Mode) -> Result<Self, InterviewError> {
        let _ = (answers, context, mode);
        Ok(Self { form })
    }

    /// The form of this interview.
    pub fn form(&self) -> &Arc<Form> {
        &self.form
    }

    /// Answers one question in the value's XForms text form; `""` clears it. A value that breaks a constraint is kept and
    /// shown invalid. Refused: no such question, not relevant, read-only, or not a value of its type.
    pub fn set(&mut self, place: &str, value: &str) -> Result<(), Refused> {
        let _ = (place, value);
        unimplemented!()
    }

    /// Appends an instance to the repeat whose path is `repeat` (`/data/member`, `/data/house[2]/member`); gives its id.
    pub fn add(&mut self, repeat: &str) -> Result<String, Refused> {
        let _ = repeat;
        unimplemented!()
    }

    /// Removes one instance (`/data/member[2]` or `/data/member[ID]`).
    pub fn remove(&mut self, instance: &str) -> Result<(), Refused> {
        let _ = instance;
        unimplemented!()
    }

    /// Shows labels in this language, as the form names it.
    pub fn set_language(&mut self, name: &str) -> Result<(), Refused> {
        let _ = name;
        unimplemented!()
    }

    /// The language shown; empty where nothing is translated.
    pub fn language(&self) -> &str {
        unimplemented!()
    }

    /// Everything that a screen needs, in document order, without the root.
    pub fn nodes(&self) -> Vec<NodeState> {
        unimplemented!()
    }

    /// One node by place or reference.
    pub fn node(&self, place: &str) -> Option<NodeState> {
        let _ = place;
        unimplemented!()
    }

    /// What is stored: entered and captured values and preloads, the non-relevant ones and keys of other versions
    /// included; plain calculations are left out.
    pub fn answers(&self) -> Answers {
        unimplemented!()
    }

    /// What keeps the interview from being accepted, in document order.
    pub fn violations(&self) -> Vec<Violation> {
        unimplemented!()
    }

    /// Ends the interview: `end` is stamped, everything is judged, the submission is written.
    pub fn finalize(&mut self) -> Result<Submission, Vec<Violation>> {
        unimplemented!()
    }

    /// What the interview is called in lists; empty where the form gives no name.
    pub fn instance_name(&self) -> String {
        unimplemented!()
    }

    /// Entities that this interview creates or updates as it stands.
    pub fn entity_writes(&self) -> Vec<EntityWrite> {
        unimplemented!()
    }

    /// Relevant questions and calculations with a value, in the form's order and words.
    pub fn display_values(&self) -> Vec<DisplayValue> {
        unimplemented!()
    }
}
