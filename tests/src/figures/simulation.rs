//! Simulated worlds with faults, and the planted faults that must be found.
//!
//! In full it counts what `simulate --sum target/simulation.sum` has run already, and runs what is missing.

use std::time::{Duration, Instant};

use super::{Figure, Gate, Scale};
use crate::simulation::canary::{CANARIES, is_caught};
use crate::simulation::schedule::{PHONES, Pace, schedule};
use crate::simulation::tally::{Span, Tally, total};
use crate::simulation::world::{run, template};
use crate::sum;

const DEVICE_DAYS_FULL: u64 = 1_000_000;
const DEVICE_DAYS_SHORT: u64 = 504;
/// Where runs of several days add up.
const SUM: &str = "simulation";
const TOLD_EVERY: Duration = Duration::from_secs(20);

/// Worlds that ran before; a file that cannot be used is told and counts nothing.
fn ran_before() -> (Tally, u64) {
    let spans = sum::read(&sum::file(SUM)).and_then(|spans| Ok((total(&spans)?, spans)));
    match spans {
        Ok((total, spans)) => {
            let commits: std::collections::BTreeSet<&str> = spans.iter().map(|span| span.commit.as_str()).collect();
            if !spans.is_empty() {
                eprintln!("{} device-days ran before, at {commits:?}", total.device_days);
            }
            (total, spans.iter().map(|span| span.end_seed).max().unwrap_or(1))
        }
        Err(error) => {
            eprintln!("{error}");
            (Tally::default(), 1)
        }
    }
}

/// Worlds one after another, and all planted faults.
pub fn measure(scale: Scale) -> Vec<Figure> {
    let template = template();
    let wanted = scale.of(DEVICE_DAYS_SHORT, DEVICE_DAYS_FULL);
    let (mut all, first) = if scale == Scale::Full { ran_before() } else { (Tally::default(), 1) };
    let (began, mut told, before) = (Instant::now(), Instant::now(), all.device_days);
    let (pace, commit) = (Pace::Usual, sum::commit());
    let days = pace.days();
    for seed in first.. {
        if all.device_days >= wanted {
            break;
        }
        let outcome = run(&template, seed, &schedule(seed, days, pace), None);
        outcome.broken.iter().for_each(|broken| eprintln!("seed {seed}: {broken}"));
        let mut world = Tally { worlds: 1, device_days: days * PHONES as u64, ..outcome.tally };
        world.judge(seed, &outcome.broken);
        all.add(&world);
        if scale == Scale::Full {
            let span = Span { commit: commit.clone(), pace, days, first_seed: seed, end_seed: seed + 1, tally: world };
            sum::append(&sum::file(SUM), &span).unwrap_or_else(|error| eprintln!("{error}"));
        }
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            let rate = (all.device_days - before) as f64 / began.elapsed().as_secs_f64();
            eprintln!("{all}; {rate:.0} device-days a second");
        }
    }
    eprintln!("{all}");
    let mut caught = 0;
    for canary in CANARIES {
        let found = is_caught(&template, canary);
        eprintln!("{canary:?}: {}", if found { "found" } else { "not found" });
        caught += u64::from(found);
    }
    let figure = |name, value: u64, gate, correctness| Figure { name, value: value as f64, unit: "", gate, correctness, scale };
    vec![
        figure("sim_device_days", all.device_days, Gate::AtLeast(DEVICE_DAYS_FULL as f64), false),
        figure("sim_diverged", all.diverged, Gate::Exactly(0.0), true),
        figure("sim_lost", all.lost, Gate::Exactly(0.0), true),
        figure("sim_canaries_caught", caught, Gate::Exactly(CANARIES.len() as f64), true),
    ]
}
