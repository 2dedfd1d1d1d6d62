//! Simulates worlds; `--help` tells how.
//!
//! Without more it prints each world's trace. With `--sum` each hundred worlds are a line of that file, so that runs of several processes and
//! days add up; what the file holds together is printed at the end. A failing world is told with its seed, and the others go on; with `--shrink` also
//! by the shortest schedule that fails alike. `KARWAN_SIMULATION_TRACE=1` prints every step.

use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use karwan_tests::home::Template;
use karwan_tests::simulation::canary::{CANARIES, Canary};
use karwan_tests::simulation::schedule::{PHONES, Pace, Step, schedule};
use karwan_tests::simulation::shrink::shrink;
use karwan_tests::simulation::tally::{Span, Tally, total};
use karwan_tests::simulation::world::{run, template};
use karwan_tests::sum;

/// What `--help` prints.
const USAGE: &str = "\
Simulates worlds: devices, servers, links, clocks and disks that fail by a schedule which a seed makes. A world that lost something, or whose
replicas differ, is told with its seed, and the exit status is 1.

simulate [--seed N] [--worlds N] [--seeds A..B] [--pace usual|decided|meeting|busy] [--days N] [--processes N] [--sum FILE]
         [--canary NAME] [--without KIND]... [--shrink]

  --seeds A..B      these worlds, B not; or --seed N and --worlds N
  --pace PACE       decided: records are moved and erased, too; meeting: phones meet besides; busy: many interviews and faults
  --days N          days of each world
  --processes N     in so many processes at once, which need --sum
  --sum FILE        a line for each hundred worlds, so that runs add up and the same command goes on where it was stopped: target/simulation.sum is what figures -- sim_device_days counts
  --canary NAME     plants a fault that must be found
  --without KIND    leaves steps of this kind out
  --shrink          finds a short schedule that fails alike
KARWAN_SIMULATION_TRACE=1 prints every step.";
/// Runs that shrinking may take.
const SHRINK_TRIES: usize = 120;
/// Worlds of one line of the sum.
const SPAN_WORLDS: u64 = 100;

type Failure = Box<dyn std::error::Error>;

struct Wanted {
    seeds: Range<u64>,
    pace: Pace,
    days: u64,
    processes: u64,
    sum: Option<PathBuf>,
    canary: Option<Canary>,
    without: Vec<String>,
    shrinks: bool,
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, Failure> {
    let (mut seed, mut worlds, mut seeds, mut days) = (1u64, 1u64, None, None);
    let mut wanted = Wanted {
        seeds: 0..0,
        pace: Pace::Usual,
        days: 0,
        processes: 1,
        sum: None,
        canary: None,
        without: Vec::new(),
        shrinks: false,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seed" => seed = value()?.parse()?,
            "--worlds" => worlds = value()?.parse()?,
            "--seeds" => {
                let range = value()?;
                let (from, to) = range.split_once("..").ok_or(format!("--seeds takes A..B, not {range}"))?;
                seeds = Some(from.parse()?..to.parse()?);
            }
            "--pace" => {
                wanted.pace = match value()?.as_str() {
                    "usual" => Pace::Usual,
                    "decided" => Pace::Decided,
                    "meeting" => Pace::Meeting,
                    "busy" => Pace::Busy,
                    other => return Err(format!("no pace {other}; they are usual, decided, meeting and busy").into()),
                }
            }
            "--days" => days = Some(value()?.parse()?),
            "--processes" => wanted.processes = value()?.parse()?,
            "--sum" => wanted.sum = Some(value()?.into()),
            "--canary" => {
                let name = value()?;
                let known = CANARIES.into_iter().find(|known| format!("{known:?}") == name);
                wanted.canary = Some(known.ok_or(format!("no canary {name}; they are {CANARIES:?}"))?);
            }
            "--without" => wanted.without.push(value()?),
            "--shrink" => wanted.shrinks = true,
            _ => return Err(format!("no option {argument}; --help tells what there is").into()),
        }
    }
    wanted.seeds = seeds.unwrap_or(seed..seed + worlds);
    wanted.days = days.unwrap_or(wanted.pace.days());
    Ok(wanted)
}

impl Wanted {
    fn steps(&self, seed: u64) -> Vec<(usize, Step)> {
        let mut steps = schedule(seed, self.days, self.pace);
        steps.retain(|(_, step)| !self.without.iter().any(|kind| format!("{step:?}").starts_with(kind.as_str())));
        steps
    }

    /// Runs the worlds of these seeds, one after the other.
    fn run(&self, template: &Template, seeds: Range<u64>) -> Tally {
        let mut all = Tally::default();
        for seed in seeds {
            let (steps, began) = (self.steps(seed), Instant::now());
            let outcome = run(template, seed, &steps, self.canary);
            all.add(&outcome.tally);
            all.worlds += 1;
            all.device_days += self.days * PHONES as u64;
            all.judge(seed, &outcome.broken);
            if self.sum.is_none() || !outcome.broken.is_empty() {
                let ms = began.elapsed().as_millis();
                println!("seed {seed}: {} steps, trace {}, {ms} ms", steps.len(), outcome.trace);
            }
            outcome.broken.iter().for_each(|broken| println!("  {broken}"));
            if self.shrinks && !outcome.broken.is_empty() {
                let shortest = shrink(&steps, SHRINK_TRIES, |some| !run(template, seed, some, self.canary).broken.is_empty());
                println!("the shortest schedule that still fails:");
                for (number, step) in &shortest {
                    println!("  {number} {step:?}");
                }
                run(template, seed, &shortest, self.canary).broken.iter().for_each(|broken| println!("  {broken}"));
                break;
            }
        }
        all
    }

    /// The same, and a line of the sum for each span.
    fn run_spans(&self) -> Result<Tally, Failure> {
        let template = template();
        let Some(path) = &self.sum else { return Ok(self.run(&template, self.seeds.clone())) };
        let (commit, mut all) = (sum::commit(), Tally::default());
        let before: Vec<Span> = sum::read(path)?;
        let ran = |first, end| {
            before.iter().any(|span| (span.pace, span.days, span.first_seed, span.end_seed) == (self.pace, self.days, first, end))
        };
        let mut first_seed = self.seeds.start;
        while first_seed < self.seeds.end {
            let end_seed = self.seeds.end.min(first_seed + SPAN_WORLDS);
            // The same command goes on where it was stopped.
            if ran(first_seed, end_seed) {
                first_seed = end_seed;
                continue;
            }
            let tally = self.run(&template, first_seed..end_seed);
            all.add(&tally);
            let span = Span { commit: commit.clone(), pace: self.pace, days: self.days, first_seed, end_seed, tally };
            sum::append(path, &span)?;
            first_seed = end_seed;
        }
        Ok(all)
    }
}

/// Lets so many processes run a part each: a disk that fails is a whole process's.
fn share(processes: u64, wanted: &Wanted, arguments: &[String]) -> Result<bool, Failure> {
    if wanted.sum.is_none() {
        return Err("several processes need a --sum in which they add up".into());
    }
    let Range { start, end } = wanted.seeds;
    let part = (end - start).div_ceil(processes);
    let mut children = Vec::new();
    for from in (start..end).step_by(usize::try_from(part)?) {
        let mut command = Command::new(std::env::current_exe()?);
        let seeds = format!("{from}..{}", end.min(from + part));
        children.push(command.args(arguments).args(["--processes", "1", "--seeds", &seeds]).spawn()?);
    }
    let mut well = true;
    for mut child in children {
        well &= child.wait()?.success();
    }
    Ok(well)
}

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| ["--help", "-h"].contains(&argument.as_str())) {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = wanted(arguments.iter().cloned())?;
    let began = Instant::now();
    let well = if wanted.processes > 1 {
        share(wanted.processes, &wanted, &arguments)?
    } else {
        let all = wanted.run_spans()?;
        let (Range { start, end }, days, pace) = (&wanted.seeds, wanted.days, wanted.pace);
        let ms = began.elapsed().as_secs_f64() * 1000.0 / all.device_days.max(1) as f64;
        println!("seeds {start}..{end}, {days} days of the {pace:?} pace, {ms:.1} ms for a device-day: {all}");
        all.failed.is_empty()
    };
    if let Some(path) = &wanted.sum {
        let spans = sum::read(path)?;
        println!("{} holds together {}", path.display(), total(&spans)?);
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
