//! Answers as text, one a line: what scripts and golden tests feed to an interview.
//!
//! `name=value` answers the question of that name; `name@2=value` in the second repeat instance, `name@1.3=value` nested;
//! `repeat member=5` (or `repeat dose@2=3`) makes that many instances; `bad||good` gives `bad`, which must be found
//! invalid, and then `good`; lines that begin with `#` or `!` and empty lines say nothing to the interview. A question may
//! also be named by its reference (`/data/member[2]/m_name`). [`parse_json`] reads an interview as one JSON object instead.

use std::cmp::Ordering;

use crate::interview::{Interview, Refused};
use crate::model::{NodeId, NodeKind};

/// Most instances that a line may ask for.
pub const INSTANCES_MAX: usize = 10_000;

/// One line of an answer file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerLine {
    /// `name@1.2=value`, with the values that must be rejected before it.
    Set {
        /// The question's name or reference.
        name: String,
        /// Positions, outermost first.
        instances: Vec<usize>,
        /// Values that must be rejected.
        rejected: Vec<String>,
        /// The value that stays.
        value: String,
    },
    /// `repeat member@1=5`.
    Repeat {
        /// The repeat's name or path.
        name: String,
        /// Positions of the repeats around it, outermost first.
        instances: Vec<usize>,
        /// How many instances there are to be.
        count: usize,
    },
}

/// Why an answer file cannot be read or applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFileError {
    /// The line says nothing that is known.
    #[error("line {line}: expected name=value or repeat name=count")]
    Line {
        /// From 1.
        line: usize,
    },
    /// No JSON object of texts.
    #[error("expected one JSON object of references and texts: {0}")]
    Json(String),
    /// The form has no such question.
    #[error("no question named {0}")]
    NoSuchName(String),
    /// Several questions have that name.
    #[error("several questions are named {0}: give the whole path")]
    SeveralNames(String),
    /// The interview refuses.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The form accepts what the file says that it must not.
    #[error("the value that {0} must reject was accepted")]
    NotRejected(String),
}

/// Reads an answer file.
pub fn parse(text: &str) -> Result<Vec<AnswerLine>, AnswerFileError> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}');
        if line.trim().is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let bad = || AnswerFileError::Line { line: number + 1 };
        let (name, value) = line.split_once('=').ok_or_else(bad)?;
        let (name, instances) = addressed(name.trim()).ok_or_else(bad)?;
        lines.push(if let Some(repeat) = name.strip_prefix("repeat ") {
            let count = value.trim().parse().ok().filter(|count| *count <= INSTANCES_MAX).ok_or_else(bad)?;
            AnswerLine::Repeat { name: repeat.trim().to_owned(), instances, count }
        } else {
            let mut values: Vec<String> = value.split("||").map(str::to_owned).collect();
            let value = values.pop().unwrap_or_default();
            AnswerLine::Set { name: name.to_owned(), instances, rejected: values, value }
        });
    }
    Ok(lines)
}

/// Reads one interview as a JSON object: references and texts, in order. Instances are made as they are named.
pub fn parse_json(text: &str) -> Result<Vec<AnswerLine>, AnswerFileError> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| AnswerFileError::Json(error.to_string()))?;
    object
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Bool(truth) => truth.to_string(),
                serde_json::Value::Null => String::new(),
                serde_json::Value::Array(choices) => choices
                    .iter()
                    .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
                    .collect::<Vec<_>>()
                    .join(" "),
                serde_json::Value::Object(_) => return Err(AnswerFileError::Json(format!("{name} is no text"))),
            };
            Ok(AnswerLine::Set { name, instances: Vec::new(), rejected: Vec::new(), value })
        })
        .collect()
}

fn addressed(name: &str) -> Option<(&str, Vec<usize>)> {
    let Some((name, positions)) = name.split_once('@') else { return Some((name, Vec::new())) };
    let positions =
        positions.split('.').map(|position| position.parse().ok().filter(|position| (1..=INSTANCES_MAX).contains(position)));
    Some((name, positions.collect::<Option<_>>()?))
}

/// Applies lines in order.
pub fn apply(interview: &mut Interview, lines: &[AnswerLine]) -> Result<(), AnswerFileError> {
    lines.iter().try_for_each(|line| apply_line(interview, line))
}

/// Applies one line.
pub fn apply_line(interview: &mut Interview, line: &AnswerLine) -> Result<(), AnswerFileError> {
    match line {
        AnswerLine::Repeat { name, instances, count } => {
            let path = repeat_path(interview, name, instances)?;
            loop {
                let present = count_instances(interview, &path);
                match present.cmp(count) {
                    Ordering::Less => interview.add(&path).map(|_| ())?,
                    Ordering::Greater => interview.remove(&format!("{path}[{present}]"))?,
                    Ordering::Equal => return Ok(()),
                }
            }
        }
        AnswerLine::Set { name, instances, rejected, value } => {
            let place = place_of(interview, name, instances)?;
            make_way(interview, &place)?;
            for bad in rejected {
                let refused = interview.set(&place, bad).is_err();
                let invalid = interview.node(&place).is_some_and(|node| node.violation.is_some());
                if !refused && !invalid {
                    return Err(AnswerFileError::NotRejected(name.clone()));
                }
            }
            Ok(interview.set(&place, value)?)
        }
    }
}

/// The place that a name or reference means.
pub fn place_of(interview: &Interview, name: &str, instances: &[usize]) -> Result<String, AnswerFileError> {
    if name.starts_with('/') && instances.is_empty() {
        return Ok(name.to_owned());
    }
    let node = named(interview, name, |kind| *kind == NodeKind::Value)?;
    Ok(with_positions(interview, node, instances))
}

fn repeat_path(interview: &Interview, name: &str, instances: &[usize]) -> Result<String, AnswerFileError> {
    if name.starts_with('/') && instances.is_empty() {
        return Ok(name.to_owned());
    }
    let node = named(interview, name, |kind| matches!(kind, NodeKind::Repeat { .. }))?;
    let path = with_positions(interview, node, instances);
    Ok(path.strip_suffix("[1]").map_or(path.clone(), str::to_owned))
}

fn named(interview: &Interview, name: &str, fits: impl Fn(&NodeKind) -> bool) -> Result<NodeId, AnswerFileError> {
    let form = interview.form();
    if let Some(node) = form.by_path.get(name) {
        return Ok(*node);
    }
    let mut found = form.nodes.iter().enumerate().filter(|(_, node)| node.name == name && fits(&node.kind));
    let (node, _) = found.next().ok_or_else(|| AnswerFileError::NoSuchName(name.to_owned()))?;
    if found.next().is_some() { Err(AnswerFileError::SeveralNames(name.to_owned())) } else { Ok(node) }
}

/// A node's path with positions put on its repeats, 1 where none is given.
fn with_positions(interview: &Interview, node: NodeId, instances: &[usize]) -> String {
    let form = interview.form();
    let mut chain = Vec::new();
    let mut at = Some(node);
    while let Some(id) = at {
        chain.push(id);
        at = form.nodes.get(id).and_then(|node| node.parent);
    }
    let mut positions = instances.iter();
    let mut path = String::new();
    for id in chain.into_iter().rev() {
        let Some(node) = form.nodes.get(id) else { continue };
        path.push('/');
        path.push_str(&node.name);
        if matches!(node.kind, NodeKind::Repeat { .. }) {
            path.push_str(&format!("[{}]", positions.next().copied().unwrap_or(1)));
        }
    }
    path
}

/// Makes the instances that a reference names by position and that are not there yet.
fn make_way(interview: &mut Interview, place: &str) -> Result<(), AnswerFileError> {
    let mut from = 0;
    while let Some(open) = place.get(from..).and_then(|rest| rest.find('[')).map(|open| open + from) {
        let Some(close) = place.get(open..).and_then(|rest| rest.find(']')).map(|close| close + open) else { break };
        let position: Option<usize> = place.get(open + 1..close).and_then(|inside| inside.parse().ok());
        let repeat = place.get(..open).unwrap_or_default();
        if let Some(position) = position.filter(|position| *position <= INSTANCES_MAX) {
            while count_instances(interview, repeat) < position {
                interview.add(repeat)?;
            }
        }
        from = close + 1;
    }
    Ok(())
}

fn count_instances(interview: &Interview, repeat: &str) -> usize {
    (1..=INSTANCES_MAX).take_while(|position| interview.has(&format!("{repeat}[{position}]"))).count()
}
