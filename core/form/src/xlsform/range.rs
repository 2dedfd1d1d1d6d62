//! The type `range`: bounds, step, ticks with their labels, and where the slider stands before it is moved.

use super::check::Lists;
use super::columns::Row;
use super::draft::Draft;
use super::report::{Place, Report};
use super::survey::Reader;
use crate::model::{Control, ControlKind, DataType, NodeId};

/// Parameters that say more than bounds and step; pickers and ratings cannot show them.
const TICKS: [&str; 3] = ["tick_interval", "placeholder", "tick_labelset"];
/// How far a multiple of a fraction may be from where it should be.
const TOLERANCE: f64 = 1e-9;

impl Reader<'_> {
    /// Bounds and step of a range, with their defaults.
    pub fn range(&mut self, row: &Row, id: NodeId) {
        let Some(control) = self.draft.nodes.get(id).and_then(|node| node.control.clone()) else { return };
        let mut filled = control.parameters;
        for (key, default) in [("start", "1"), ("end", "10"), ("step", "1")] {
            filled.entry(key.to_owned()).or_insert_with(|| default.to_owned());
        }
        let mut whole = true;
        for key in ["start", "end", "step", "tick_interval", "placeholder"] {
            let Some(text) = filled.get(key) else { continue };
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => whole &= number.fract() == 0.0,
                _ => {
                    let message = format!("`{key}` of the range is `{text}`, not a number");
                    self.fault(row, "parameters", message, "write a number");
                    return;
                }
            }
        }
        if !whole {
            self.bind(id, |bind| bind.data_type = DataType::Decimal);
        }
        self.control(id, |control| control.parameters = filled);
    }
}

/// Faults of all ranges, now that the lists are known.
pub fn check(draft: &Draft, column: &str, lists: &Lists, report: &mut Report) {
    for (node, pending) in draft.nodes.iter().zip(&draft.pending) {
        let Some(control) = node.control.as_ref().filter(|control| control.kind == ControlKind::Range) else { continue };
        if let Some((message, mend)) = fault(control, lists) {
            report.fault(Place { sheet: "survey", row: pending.row, column }, message, mend);
        }
    }
}

/// The first thing that is wrong with a range.
fn fault(control: &Control, lists: &Lists) -> Option<(String, String)> {
    let told = |message: String, mend: &str| Some((message, mend.to_owned()));
    let shown = control.appearance.is_empty() || ["vertical", "no-ticks"].iter().any(|word| control.appearance.contains(word));
    if !shown && let Some(name) = TICKS.iter().find(|name| control.parameters.contains_key(**name)) {
        let message = format!("`{name}` is shown by a plain slider only, not with the appearance `{}`", control.appearance);
        return told(message, "use the appearance `vertical` or `no-ticks`, or none");
    }
    let number = |name: &str| control.parameters.get(name).and_then(|text| text.parse::<f64>().ok());
    let (start, end, step) = (number("start")?, number("end")?, number("step")?);
    let width = (end - start).abs();
    for name in ["step", "tick_interval"] {
        let Some(value) = number(name) else { continue };
        if value == 0.0 {
            return told(format!("`{name}` of the range is 0"), "write a number above 0");
        }
        if value > width {
            return told(format!("`{name}` is larger than the range"), "write a smaller number");
        }
        if name == "tick_interval" && !is_multiple(value, step) {
            return told("`tick_interval` is not a multiple of `step`".to_owned(), "write a multiple of the step");
        }
    }
    let outside = |value: f64| value < start.min(end) || value > start.max(end);
    if let Some(placeholder) = number("placeholder") {
        if !is_multiple(placeholder - start, step) {
            return told("`placeholder` is no step of the range".to_owned(), "write `start` plus a multiple of `step`");
        }
        if outside(placeholder) {
            return told("`placeholder` is outside of the range".to_owned(), "write a number from `start` to `end`");
        }
    }
    let name = control.parameters.get("tick_labelset")?;
    let Some(list) = lists.choices.get(name) else {
        return told(
            format!("the choices sheet has no list `{name}` for the labels of the ticks"),
            "name a list of the choices sheet",
        );
    };
    let every = number("tick_interval").unwrap_or(step);
    let mut labelled = Vec::new();
    for choice in &list.rows {
        let Some(value) = choice.name.parse::<f64>().ok().filter(|value| value.is_finite()) else {
            return told(
                format!("`{name}` labels ticks, and its choice `{}` is not a number", choice.name),
                "name each choice by a number",
            );
        };
        if outside(value) {
            return told(
                format!("the choice `{}` of `{name}` is outside of the range", choice.name),
                "label numbers from `start` to `end`",
            );
        }
        if !is_multiple(value - start, every) || !is_multiple(value - start, step) {
            return told(
                format!("the choice `{}` of `{name}` is at no tick", choice.name),
                "label `start` plus a multiple of the ticks' interval",
            );
        }
        if !labelled.contains(&value) {
            labelled.push(value);
        }
    }
    let ends = labelled.len() == 2 && labelled.contains(&start) && labelled.contains(&end);
    if control.appearance.contains("no-ticks") && !ends {
        return told(
            format!("without ticks only the ends can be labelled, and `{name}` labels others"),
            "label `start` and `end` only",
        );
    }
    None
}

fn is_multiple(value: f64, step: f64) -> bool {
    let steps = value / step;
    (steps - steps.round()).abs() < TOLERANCE * steps.abs().max(1.0)
}
