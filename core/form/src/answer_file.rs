//! Answers as text, one a line: what scripts and golden tests feed to an interview.
//!
//! `name=value` answers the question of that name; `name@2=value` in the second repeat instance, `name@1.3=value` nested;
//! `repeat member=5` (or `repeat dose@2=3`) makes that many instances; `bad||good` gives `bad`, which must be found
//! invalid, and then `good`; lines that begin with `#` or `!` and empty lines say nothing to the interview.

use crate::interview::{Interview, Refused};

/// One line of an answer file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerLine {
    /// `name@1.2=value`, with the values that must be rejected before it.
    Set { name: String, instances: Vec<usize>, rejected: Vec<String>, value: String },
    /// `repeat member@1=5`.
    Repeat { name: String, instances: Vec<usize>, count: usize },
}

/// Why an answer file cannot be read or applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFileError {
    #[error("line {line}: expected name=value or repeat name=count")]
    Line { line: usize },
    #[error("no question named {0}")]
    NoSuchName(String),
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("the value that {0} must reject was accepted")]
    NotRejected(String),
}

/// Reads an answer file.
pub fn parse(text: &str) -> Result<Vec<AnswerLine>, AnswerFileError> {
    let _ = text;
    unimplemented!()
}

/// Applies lines in order.
pub fn apply(interview: &mut Interview, lines: &[AnswerLine]) -> Result<(), AnswerFileError> {
    lines.iter().try_for_each(|line| apply_line(interview, line))
}

/// Applies one line.
pub fn apply_line(interview: &mut Interview, line: &AnswerLine) -> Result<(), AnswerFileError> {
    let _ = (interview, line);
    unimplemented!()
}
