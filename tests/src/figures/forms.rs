//! Forms: how fast an answer takes effect in three big ones, and how many states are those of ODK's engine in random ones.

use std::process::Command;

use super::{Figure, Gate, Scale};
use crate::form_oracle::{Oracle, generated};
use crate::form_speed::{self, Cost};

/// Generated forms of the full run, and of every run; each with so many events.
pub const FORMS_FULL: u64 = 300;
const FORMS_SHORT: u64 = 8;
const EVENTS: usize = 60;

/// The first argument of a process that measures one big form and prints its cost: memory is a process's own.
pub const ALONE: &str = "--alone";

/// States of generated forms that are those of ODK's engine, over events that change something else too.
pub fn identical(scale: Scale) -> Vec<Figure> {
    let Some(oracle) = Oracle::find() else { return Vec::new() };
    let compared = generated(&oracle, 1, scale.of(FORMS_SHORT, FORMS_FULL), EVENTS);
    println!("{compared}");
    let (value, gate) = (compared.share(), Gate::AtLeast(0.98));
    vec![Figure { name: "form_states_identical", value, unit: "share", gate, correctness: true, scale }]
}

/// An answer among 5,000 questions.
pub fn flat(_: Scale) -> Vec<Figure> {
    speeds("flat", |cost| vec![speed("answer_ms_flat5000_p95", cost.p95_ms, "ms", 5.0)])
}

/// An answer in one of 500 instances.
pub fn repeat(_: Scale) -> Vec<Figure> {
    speeds("repeat", |cost| vec![speed("answer_ms_repeat500_p95", cost.p95_ms, "ms", 1.0)])
}

/// 100,000 external choices.
pub fn choices(_: Scale) -> Vec<Figure> {
    speeds("external", |cost| {
        vec![
            speed("choices_100k_filter_ms_p95", cost.p95_ms, "ms", 10.0),
            speed("choices_100k_load_s", (cost.parse_ms + cost.start_ms) / 1000.0, "s", 0.5),
            speed("choices_100k_rss_mib", cost.rss_mb, "MiB", 150.0),
        ]
    })
}

/// The forms have the size of the gate at every scale: they take seconds.
fn speed(name: &'static str, value: f64, unit: &'static str, limit: f64) -> Figure {
    Figure { name, value, unit, gate: Gate::AtMost(limit), correctness: false, scale: Scale::Full }
}

fn speeds(shape: &str, figures: impl Fn(&Cost) -> Vec<Figure>) -> Vec<Figure> {
    alone(shape).map(|cost| figures(&cost)).unwrap_or_default()
}

/// What a shape costs, measured by this program in a process of its own.
pub fn alone(shape: &str) -> Option<Cost> {
    let output = std::env::current_exe().ok().and_then(|program| Command::new(program).args([ALONE, shape]).output().ok())?;
    let cost = serde_json::from_slice(&output.stdout).ok();
    if cost.is_none() {
        println!("the form {shape} was not measured: {}", String::from_utf8_lossy(&output.stderr));
    }
    cost
}

/// Where the arguments ask for it, measures one form and prints its cost as JSON.
pub fn answered_alone() -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(ALONE) {
        return false;
    }
    let cost = arguments.next().and_then(|shape| form_speed::measure(&shape));
    println!("{}", cost.and_then(|cost| serde_json::to_string(&cost).ok()).unwrap_or_default());
    true
}
