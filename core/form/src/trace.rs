//! The form trace: events in, states out, one JSON line each. How any form engine is asked what it thinks of a form.

use std::io::{BufRead, Write};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::interview::{Context, Interview, InterviewError, NodeState, StateKind};
use crate::model::Form;

/// Longest line of events, in bytes.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Why a trace stops.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line is no event.
    #[error("line {line}: expected one JSON event: {message}")]
    Event {
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Reading or writing failed.
    #[error("cannot read events or write states: {0}")]
    Io(#[from] std::io::Error),
    /// The interview cannot start.
    #[error(transparent)]
    Interview(#[from] InterviewError),
    /// The form has no such language.
    #[error("no language {0}")]
    Language(String),
}

/// Runs events through a new interview; writes the state after loading and after each event.
/// `language`: shown first, where it is not the form's default.
pub fn trace(
    form: Arc<Form>,
    context: Context,
    language: Option<&str>,
    events: impl BufRead,
    mut out: impl Write,
) -> Result<(), TraceError> {
    let mut interview = Interview::start(form, context)?;
    if let Some(language) = language {
        interview.set_language(language).map_err(|_| TraceError::Language(language.to_owned()))?;
    }
    write(&mut out, &json!({"event": null, "accepted": true, "nodes": nodes(&interview)}))?;
    for (number, line) in events.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let fault = |message: String| TraceError::Event { line: number + 1, message };
        if line.len() > EVENT_BYTES_MAX {
            return Err(fault(format!("longer than {EVENT_BYTES_MAX} bytes")));
        }
        let event: Value = serde_json::from_str(&line).map_err(|error| fault(error.to_string()))?;
        let state = step(&mut interview, &event).ok_or_else(|| fault("set, add, remove, language or finalize".to_owned()))?;
        write(&mut out, &state)?;
    }
    Ok(())
}

fn write(out: &mut impl Write, state: &Value) -> Result<(), TraceError> {
    writeln!(out, "{state}")?;
    Ok(out.flush()?)
}

fn step(interview: &mut Interview, event: &Value) -> Option<Value> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    if event.get("finalize").is_some() {
        return Some(finalize(interview, event));
    }
    let outcome = if let Some(place) = text("set") {
        interview.set(place, text("value")?)
    } else if let Some(repeat) = text("add") {
        interview.add(repeat).map(|_| ())
    } else if let Some(instance) = text("remove") {
        interview.remove(instance)
    } else {
        interview.set_language(text("language")?)
    };
    let mut state = Map::new();
    state.insert("event".to_owned(), event.clone());
    state.insert("accepted".to_owned(), outcome.is_ok().into());
    if let Err(refused) = outcome {
        state.insert("error".to_owned(), refused.to_string().into());
    }
    state.insert("nodes".to_owned(), nodes(interview));
    Some(Value::Object(state))
}

fn finalize(interview: &mut Interview, event: &Value) -> Value {
    match interview.finalize() {
        Ok(submission) => json!({"event": event, "accepted": true, "violations": [], "submission": submission.xml}),
        Err(violations) => {
            let violations: Vec<Value> = violations
                .into_iter()
                .map(|violation| json!({"ref": violation.reference, "kind": violation.kind.word(), "message": violation.message}))
                .collect();
            json!({"event": event, "accepted": false, "violations": violations})
        }
    }
}

fn nodes(interview: &Interview) -> Value {
    interview.all_nodes().into_iter().filter(|node| node.kind != StateKind::Repeat).map(node).collect()
}

fn node(state: NodeState) -> Value {
    let mut object = Map::new();
    object.insert("ref".to_owned(), state.reference.into());
    object.insert("type".to_owned(), state.kind.word().into());
    if let Some(value) = &state.value {
        // What is not relevant has no value, though it is kept.
        object.insert("value".to_owned(), if state.relevant { value.as_str() } else { "" }.into());
    }
    object.insert("relevant".to_owned(), state.relevant.into());
    object.insert("readonly".to_owned(), state.readonly.into());
    object.insert("required".to_owned(), state.required.into());
    if state.value.is_some() {
        object.insert("valid".to_owned(), state.violation.is_none().into());
        if let Some(violation) = state.violation {
            object.insert("violation".to_owned(), violation.word().into());
        }
    }
    if let Some(label) = state.label {
        object.insert("label".to_owned(), label.into());
    }
    if let Some(choices) = state.choices {
        let values: Vec<Value> = choices.into_iter().map(|choice| choice.value.into()).collect();
        object.insert("choices".to_owned(), values.into());
    }
    Value::Object(object)
}
