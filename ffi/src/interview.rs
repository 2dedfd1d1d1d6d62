//! An interview on a screen: its questions as they stand, answers, repeats, its end. Each answer is on disk before the call
//! returns, so an app may be killed at any moment and go on with [`crate::Device::resume`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use karwan_client::interview::{DisplayValue, NodeState, StateKind};
use karwan_client::{ClientError, Collect};

use crate::error::{KarwanError, Violation, guarded};

/// What a question is on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum QuestionKind {
    /// A heading over what follows.
    Group,
    /// The place of a repeat, before its instances: here one is added.
    Repeat,
    /// One instance of a repeat.
    RepeatInstance,
    /// Something is typed or captured, by the data type.
    Input,
    /// One or several choices.
    Select,
    /// Choices in an order.
    Rank,
    /// A number on a scale.
    Range,
    /// Something is acknowledged.
    Trigger,
    /// A picture or file.
    Upload,
    /// Something to read.
    Note,
    /// Held and never asked.
    Hidden,
}

/// One offered choice.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Choice {
    /// What is stored.
    pub value: String,
    /// What is shown.
    pub label: String,
}

/// One question, group or repeat as it stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Question {
    /// By this it is answered. Stays the same while instances of repeats come and go.
    pub place: String,
    /// The same with positions, to show.
    pub reference: String,
    /// What it is on a screen.
    pub kind: QuestionKind,
    /// `string`, `int`, `decimal`, `date`, `select_one`, ….
    pub data_type: String,
    /// The answer's text; empty where there is none.
    pub value: String,
    /// In the language shown.
    pub label: String,
    /// In the language shown.
    pub hint: String,
    /// Longer words for whoever asks.
    pub guidance: String,
    /// It is asked now, as the answers stand.
    pub relevant: bool,
    /// It is shown and takes no answer.
    pub readonly: bool,
    /// An answer is needed.
    pub required: bool,
    /// Why the answer does not stand: `constraint` or `required`.
    pub violation: Option<String>,
    /// The form's own words about that.
    pub message: String,
    /// What is offered now, in order.
    pub choices: Vec<Choice>,
    /// Several choices may be taken; the value has them separated by spaces.
    pub multiple: bool,
    /// How the form wishes it to look.
    pub appearance: String,
    /// An instance may be added here.
    pub may_add: bool,
}

impl From<NodeState> for Question {
    fn from(node: NodeState) -> Self {
        let kind = match node.kind {
            StateKind::Group => QuestionKind::Group,
            StateKind::Repeat => QuestionKind::Repeat,
            StateKind::RepeatInstance => QuestionKind::RepeatInstance,
            StateKind::Input => QuestionKind::Input,
            StateKind::Select => QuestionKind::Select,
            StateKind::Rank => QuestionKind::Rank,
            StateKind::Range => QuestionKind::Range,
            StateKind::Trigger => QuestionKind::Trigger,
            StateKind::Upload => QuestionKind::Upload,
            StateKind::Note => QuestionKind::Note,
            StateKind::ModelValue => QuestionKind::Hidden,
        };
        let choices = node.choices.unwrap_or_default().into_iter();
        Self {
            kind,
            data_type: node.data_type.word().to_owned(),
            value: node.value.unwrap_or_default(),
            label: node.label.unwrap_or_default(),
            hint: node.hint.unwrap_or_default(),
            guidance: node.guidance.unwrap_or_default(),
            relevant: node.relevant,
            readonly: node.readonly,
            required: node.required,
            violation: node.violation.map(|violation| violation.word().to_owned()),
            message: node.message.unwrap_or_default(),
            choices: choices.map(|choice| Choice { value: choice.value, label: choice.label }).collect(),
            multiple: node.multiple,
            appearance: node.appearance,
            may_add: node.may_add,
            place: node.place,
            reference: node.reference,
        }
    }
}

/// One answer as a person reads it over, in the form's order and words.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ReviewLine {
    /// The question.
    pub place: String,
    /// Labels of the groups and repeat instances around it, outermost first.
    pub groups: Vec<String>,
    /// The question's label.
    pub label: String,
    /// The answer, choices by their labels.
    pub display: String,
    /// Nobody was asked: the form calculated it.
    pub calculated: bool,
}

impl From<DisplayValue> for ReviewLine {
    fn from(line: DisplayValue) -> Self {
        Self { place: line.place, groups: line.groups, label: line.label, display: line.display, calculated: line.calculated }
    }
}

/// A form being filled, or a finished record being changed.
#[derive(uniffi::Object)]
pub struct Interview {
    record: String,
    /// Gone when the interview is over, and after a fault of the library: what was answered is on disk then, and only that counts.
    collect: Mutex<Option<Collect>>,
}

impl From<Collect> for Interview {
    fn from(collect: Collect) -> Self {
        Self { record: collect.record().to_string(), collect: Mutex::new(Some(collect)) }
    }
}

impl Interview {
    fn slot(&self) -> MutexGuard<'_, Option<Collect>> {
        self.collect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the interview. Where the library fails in the middle, the interview is over rather than half changed.
    fn with<T>(&self, work: impl FnOnce(&mut Collect) -> Result<T, ClientError>) -> Result<T, KarwanError> {
        let mut slot = self.slot();
        let mut collect = slot.take().ok_or_else(KarwanError::interview_over)?;
        match catch_unwind(AssertUnwindSafe(|| work(&mut collect))) {
            Ok(outcome) => {
                *slot = Some(collect);
                outcome.map_err(KarwanError::from)
            }
            Err(_) => Err(KarwanError::panicked()),
        }
    }
}

#[uniffi::export]
impl Interview {
    /// The record that it becomes, or that it changes.
    pub fn record(&self) -> String {
        self.record.clone()
    }

    /// What it is called in lists, as the answers stand.
    pub fn title(&self) -> Result<String, KarwanError> {
        self.with(|collect| Ok(collect.interview().instance_name()))
    }

    /// All questions, groups and repeats, in the form's order.
    pub fn questions(&self) -> Result<Vec<Question>, KarwanError> {
        self.with(|collect| Ok(collect.interview().nodes().into_iter().map(Question::from).collect()))
    }

    /// One of them; nothing where there is none at that place.
    pub fn question(&self, place: String) -> Result<Option<Question>, KarwanError> {
        self.with(|collect| Ok(collect.interview().node(&place).map(Question::from)))
    }

    /// Answers one question; an empty text takes the answer back. An answer that breaks a rule of the form is kept and shown as not
    /// standing. Digits may be typed as ۰-۹ and ٠-٩.
    pub fn answer(&self, place: String, value: String) -> Result<(), KarwanError> {
        self.with(|collect| collect.set(&place, &value))
    }

    /// Answers a question of the kind `Upload` with a copy of this file; gives the answer. A photograph is made smaller where the form asks for
    /// that. The copy is encrypted; the file itself is the app's to delete.
    pub fn attach(&self, place: String, file: String) -> Result<String, KarwanError> {
        self.with(|collect| Ok(collect.attach(&place, std::path::Path::new(&file))?.to_string()))
    }

    /// Adds an instance to a repeat; gives the place of the new instance.
    pub fn add(&self, repeat: String) -> Result<String, KarwanError> {
        self.with(|collect| collect.add(&repeat).map(|id| format!("{repeat}[{id}]")))
    }

    /// Removes an instance.
    pub fn remove(&self, instance: String) -> Result<(), KarwanError> {
        self.with(|collect| collect.remove(&instance))
    }

    /// What keeps the interview from being finished.
    pub fn violations(&self) -> Result<Vec<Violation>, KarwanError> {
        self.with(|collect| Ok(collect.interview().violations().into_iter().map(Violation::from).collect()))
    }

    /// What was answered, to read over.
    pub fn review(&self) -> Result<Vec<ReviewLine>, KarwanError> {
        self.with(|collect| Ok(collect.interview().display_values().into_iter().map(ReviewLine::from).collect()))
    }

    /// The form's languages.
    pub fn languages(&self) -> Result<Vec<String>, KarwanError> {
        self.with(|collect| Ok(collect.interview().form().languages.clone()))
    }

    /// The language shown; empty where the form has one only.
    pub fn language(&self) -> Result<String, KarwanError> {
        self.with(|collect| Ok(collect.interview().language().to_owned()))
    }

    /// Shows the form in another of its languages.
    pub fn set_language(&self, language: String) -> Result<(), KarwanError> {
        self.with(|collect| collect.set_language(&language))
    }

    /// Ends the interview: it waits to be sent. Where an answer does not stand nothing is written and it goes on.
    pub fn finish(&self) -> Result<String, KarwanError> {
        let record = self.with(Collect::finalize)?;
        *self.slot() = None;
        Ok(record.to_string())
    }

    /// Throws it away; a record that it would have changed stays as it is.
    pub fn discard(&self) -> Result<(), KarwanError> {
        let collect = self.slot().take().ok_or_else(KarwanError::interview_over)?;
        guarded(|| collect.discard())
    }
}
