//! Simulated worlds with a fault for every day of every phone, and the planted faults that must be found.

use std::time::{Duration, Instant};

use super::{Figure, Gate, Scale};
use crate::home::Template;
use crate::simulation::canary::{CANARIES, is_caught};
use crate::simulation::schedule::{PHONES, schedule};
use crate::simulation::world::run;

const DEVICE_DAYS_FULL: u64 = 1_000_000;
const DEVICE_DAYS_SHORT: u64 = 36;
/// Days of one world.
pub const DAYS: u64 = 6;
const TOLD_EVERY: Duration = Duration::from_secs(20);

/// Worlds one after another, and all planted faults.
pub fn measure(scale: Scale) -> Vec<Figure> {
    let template = Template::make(PHONES);
    let wanted = scale.of(DEVICE_DAYS_SHORT, DEVICE_DAYS_FULL);
    let (mut device_days, mut lost, mut diverged) = (0u64, 0u64, 0u64);
    let (began, mut told) = (Instant::now(), Instant::now());
    for seed in 1.. {
        if device_days >= wanted {
            break;
        }
        let outcome = run(&template, &schedule(seed, DAYS), None);
        device_days += DAYS * PHONES as u64;
        for broken in &outcome.broken {
            eprintln!("seed {seed}: {broken}");
            if broken.starts_with("lost") { lost += 1 } else { diverged += 1 }
        }
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            let seconds = began.elapsed().as_secs_f64();
            let rate = device_days as f64 / seconds;
            eprintln!("{device_days} device-days in {seconds:.0} s, {rate:.1} a second; {lost} lost, {diverged} diverged");
        }
    }
    let mut caught = 0;
    for canary in CANARIES {
        let found = is_caught(&template, canary);
        eprintln!("{canary:?}: {}", if found { "found" } else { "not found" });
        caught += u64::from(found);
    }
    let figure = |name, value: u64, gate, correctness| Figure { name, value: value as f64, unit: "", gate, correctness, scale };
    vec![
        figure("sim_device_days", device_days, Gate::AtLeast(DEVICE_DAYS_FULL as f64), false),
        figure("sim_diverged", diverged, Gate::Exactly(0.0), true),
        figure("sim_lost", lost, Gate::Exactly(0.0), true),
        figure("sim_canaries_caught", caught, Gate::Exactly(CANARIES.len() as f64), true),
    ]
}
