//! The client for Kotlin, Swift and Python, through uniffi.
//!
//! An app enrols with [`enrol`] or opens its folder with [`open_device`], and works with a [`Device`] and its [`Interview`]s. What
//! comes back are plain values; what goes wrong is a [`KarwanError`] with a reason and a mend. Nothing here decides anything: it
//! is [`karwan_client`] in words that other languages have. No panic crosses, and no exception of the app's own code does harm.

// What crosses is lifted out of the other language's memory and handed over: there is nothing to borrow from.
#![allow(clippy::needless_pass_by_value)]

mod device;
mod error;
mod interview;
mod listener;
mod meeting;
mod runtime;
mod shown;

pub use device::{Device, enrol, open_device};
pub use error::{KarwanError, Violation};
pub use interview::{Choice, Interview, Question, QuestionKind, ReviewLine};
pub use listener::{Changes, Observation, Observer, SyncListener, SyncPhase, SyncProgress};
pub use meeting::Listening;
pub use shown::{
    FormSummary, HistoryLine, OpenItem, RecordDetail, RecordSummary, RefusedEnvelope, Salvage, ShownQuestion, ShownValue,
    SyncSummary, SyncWay,
};

uniffi::setup_scaffolding!();
