//! What an interview shows: node states, violations, entity writes, display values, and why it refuses.

use std::collections::BTreeMap;

use crate::model::{DataType, NodeId};

/// One node as a screen needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeState {
    /// Path with instance ids: `/data/member[0b7e…]/m_name`. Stays the same while instances come and go.
    pub place: String,
    /// Path with positions: `/data/member[1]/m_name`.
    pub reference: String,
    /// Node of the form; `None` for what every form has (`meta` and what is in it) where the form does not say it.
    pub node: Option<NodeId>,
    /// What the node is on a screen.
    pub kind: StateKind,
    /// Data type of a value.
    pub data_type: DataType,
    /// Text form of the value; `None` for groups and repeats.
    pub value: Option<String>,
    /// Inherited from groups.
    pub relevant: bool,
    /// Inherited from groups.
    pub readonly: bool,
    /// An answer is needed.
    pub required: bool,
    /// Why the value does not stand, where it does not.
    pub violation: Option<ViolationKind>,
    /// The form's own words about the violation, where it has some.
    pub message: Option<String>,
    /// In the active language, outputs filled in.
    pub label: Option<String>,
    /// In the active language, outputs filled in.
    pub hint: Option<String>,
    /// In the active language, outputs filled in.
    pub guidance: Option<String>,
    /// Selects and ranks: what is offered now, in order.
    pub choices: Option<Vec<ChoiceState>>,
    /// Several choices may be taken.
    pub multiple: bool,
    /// The control's appearance, empty where it has none.
    pub appearance: String,
    /// Repeats only: a person may add an instance.
    pub may_add: bool,
}

/// What a node is on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum StateKind {
    Group,
    /// The range of a repeat, before its instances.
    Repeat,
    RepeatInstance,
    Input,
    Select,
    Rank,
    Range,
    Trigger,
    Upload,
    Note,
    /// Bound and never asked.
    ModelValue,
}

impl StateKind {
    /// The word of the form trace.
    pub fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Repeat => "repeat",
            Self::RepeatInstance => "repeat-instance",
            Self::Input => "input",
            Self::Select => "select",
            Self::Rank => "rank",
            Self::Range => "range",
            Self::Trigger => "trigger",
            Self::Upload => "upload",
            Self::Note => "note",
            Self::ModelValue => "model-value",
        }
    }
}

/// One offered choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceState {
    /// What is stored.
    pub value: String,
    /// What is shown.
    pub label: String,
}

/// An answer that does not stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path with instance ids.
    pub place: String,
    /// Path with positions.
    pub reference: String,
    /// What is broken.
    pub kind: ViolationKind,
    /// The form's own words in the active language; empty where it has none.
    pub message: String,
}

/// Which rule an answer breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ViolationKind {
    Constraint,
    Required,
}

impl ViolationKind {
    /// The word of the form trace.
    pub fn word(self) -> &'static str {
        match self {
            Self::Constraint => "constraint",
            Self::Required => "required",
        }
    }
}

/// Why an event could not be applied. No values in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Refused {
    #[error("no node {0}")]
    NoSuchNode(String),
    #[error("{0} is not relevant")]
    NotRelevant(String),
    #[error("{0} is read-only")]
    ReadOnly(String),
    #[error("{0} takes no answer: it is a {1}")]
    TakesNoAnswer(String, &'static str),
    #[error("{place} expects {expected}")]
    WrongType { place: String, expected: &'static str },
    #[error("no repeat to add to at {0}")]
    NoSuchRepeat(String),
    #[error("{0} has as many instances as its count says: a person adds and removes none")]
    CountedRepeat(String),
    #[error("nothing to remove at {0}")]
    NothingToRemove(String),
    #[error("no language {0}")]
    NoLanguage(String),
    #[error("the limit of {limit} {what} is reached")]
    Limit { limit: usize, what: &'static str },
}

/// Why an interview cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum InterviewError {
    #[error("the limit of {limit} {what} is passed")]
    Limit { limit: usize, what: &'static str },
}

/// What leaves a finished interview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// OpenRosa submission; non-relevant nodes are left out.
    pub xml: String,
    /// What the interview is called.
    pub instance_name: String,
}

/// A write to an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityWrite {
    /// Entity list.
    pub list: String,
    /// Entity's id.
    pub id: String,
    /// Make it or change it.
    pub operation: EntityOperation,
    /// Label, where the declaration gives one.
    pub label: Option<String>,
    /// Relevant properties by name; blank ones too, since a blank clears.
    pub properties: BTreeMap<String, String>,
    /// Where it was declared: the root or a repeat instance, with ids.
    pub place: String,
}

/// Make or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum EntityOperation {
    Create,
    Update,
}

/// One answer or result that shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownValue<'a> {
    /// Path with instance ids.
    pub place: String,
    /// Stored text.
    pub value: &'a str,
    /// What it says of a person, where the form says so: `given_name`, `document`, ….
    pub identity: Option<&'a str>,
}

/// One line of an interview as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayValue {
    /// Path with instance ids.
    pub place: String,
    /// Path with positions.
    pub reference: String,
    /// Path without instances: the form's node.
    pub path: String,
    /// Label in the active language; empty where there is none.
    pub label: String,
    /// Stored text.
    pub value: String,
    /// Choice labels instead of names; else the value.
    pub display: String,
    /// Labels of the groups and repeat instances around it, outermost first.
    pub groups: Vec<String>,
    /// Nobody is asked: a calculation or metadata.
    pub calculated: bool,
    /// The value's type.
    pub data_type: DataType,
}
