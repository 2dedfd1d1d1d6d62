//! The form trace: events in, states out, one JSON line each. How any form engine is asked what it thinks of a form.

use std::io::{BufRead, Write};
use std::sync::Arc;

use crate::interview::{Context, InterviewError};
use crate::model::Form;

/// Why a trace stops.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("line {line}: expected one JSON event: {message}")]
    Event { line: usize, message: String },
    #[error("cannot read events or write states: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Interview(#[from] InterviewError),
}

/// Runs events through a new interview; writes the state after loading and after each event.
/// `language`: shown first, where it is not the form's default.
pub fn trace(form: Arc<Form>, context: Context, language: Option<&str>, events: impl BufRead, out: impl Write) -> Result<(), TraceError> {
    let _ = (form, context, language, events, out);
    unimplemented!()
}
