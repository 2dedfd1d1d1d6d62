//! Simulates worlds: `simulate [--seed N] [--worlds N] [--days N] [--canary NAME] [--without KIND]… [--shrink]`. A failing world is told with its seed; with
//! `--shrink` also by the shortest schedule that fails alike. `KARWAN_SIMULATION_TRACE=1` prints every step.

use std::process::ExitCode;
use std::time::Instant;

use karwan_tests::home::Template;
use karwan_tests::simulation::canary::CANARIES;
use karwan_tests::simulation::schedule::{PHONES, schedule};
use karwan_tests::simulation::shrink::shrink;
use karwan_tests::simulation::world::run;

/// Runs that shrinking may take.
const SHRINK_TRIES: usize = 120;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut seed, mut worlds, mut days, mut canary, mut shrinks) = (1u64, 1u64, 6u64, None, false);
    let mut without = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seed" => seed = value()?.parse()?,
            "--worlds" => worlds = value()?.parse()?,
            "--days" => days = value()?.parse()?,
            "--canary" => {
                let name = value()?;
                let known = CANARIES.into_iter().find(|known| format!("{known:?}") == name);
                canary = Some(known.ok_or(format!("no canary {name}; they are {CANARIES:?}"))?);
            }
            "--without" => without.push(value()?),
            "--shrink" => shrinks = true,
            _ => return Err(format!("no option {argument}").into()),
        }
    }
    let template = Template::make(PHONES);
    let began = Instant::now();
    for seed in seed..seed + worlds {
        let mut steps = schedule(seed, days);
        steps.retain(|(_, step)| !without.iter().any(|kind| format!("{step:?}").starts_with(kind.as_str())));
        let outcome = run(&template, &steps, canary);
        println!("seed {seed}: {} steps, trace {}, {:.1} s", steps.len(), outcome.trace, began.elapsed().as_secs_f64());
        if outcome.broken.is_empty() {
            continue;
        }
        outcome.broken.iter().for_each(|broken| println!("  {broken}"));
        if shrinks {
            let shortest = shrink(&steps, SHRINK_TRIES, |some| !run(&template, some, canary).broken.is_empty());
            println!("the shortest schedule that still fails:");
            for (number, step) in &shortest {
                println!("  {number} {step:?}");
            }
            run(&template, &shortest, canary).broken.iter().for_each(|broken| println!("  {broken}"));
        }
        return Ok(ExitCode::FAILURE);
    }
    println!("{} device-days, nothing lost, nothing diverged", worlds * days * PHONES as u64);
    Ok(ExitCode::SUCCESS)
}
