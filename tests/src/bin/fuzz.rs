//! Fuzzes karwan-form: `fuzz TARGET… [--seconds N] [--seed S] [--corpus DIR] [--findings DIR] [--save]`, `fuzz --list`,
//! `fuzz TARGET --run FILE…`. `--save` writes what was worth keeping into the corpus. Ends with 1 where something was found.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use karwan_tests::fuzzing::memory::{Counting, live_bytes};
use karwan_tests::fuzzing::run::{BEGAN_MS, LIMITS, Options, in_progress, now_ms, on_a_small_stack, one, quiet_panics, run};
use karwan_tests::fuzzing::target::{TARGETS, Target, named};
use karwan_tests::fuzzing::{corpus, run::Outcome};

#[global_allocator]
static MEMORY: Counting = Counting;

/// What ends the process: an input that does not end, and one that would take all memory.
const HANGS_MS: u64 = 60_000;
const EXHAUSTS_BYTES: usize = 6 << 30;

struct Wanted {
    targets: Vec<Target>,
    corpus: PathBuf,
    saves: bool,
    files: Vec<PathBuf>,
    options: Options,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(wanted) = wanted()? else { return Ok(ExitCode::SUCCESS) };
    std::fs::create_dir_all(&wanted.options.findings)?;
    quiet_panics();
    let mut failed = false;
    for target in &wanted.targets {
        watch(in_progress(&wanted.options.findings, target));
        failed |=
            on_a_small_stack(|| if wanted.files.is_empty() { fuzz(target, &wanted) } else { run_files(target, &wanted.files) })?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn wanted() -> Result<Option<Wanted>, Box<dyn std::error::Error>> {
    let (mut seconds, mut seed, mut targets, mut files) = (60, 1, Vec::new(), Vec::new());
    let (mut corpus, mut findings, mut saves) = (corpus::home(), PathBuf::from("target/fuzz-findings"), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--list" => {
                for target in TARGETS {
                    println!("{:12} {}", target.name, target.about);
                }
                return Ok(None);
            }
            "--seconds" => seconds = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--corpus" => corpus = value()?.into(),
            "--findings" => findings = value()?.into(),
            "--save" => saves = true,
            "--run" => files.extend(arguments.by_ref().map(PathBuf::from)),
            name => targets.push(named(name).ok_or(format!("no target or option {name}: see --list"))?),
        }
    }
    if targets.is_empty() {
        return Err("which target? See --list".into());
    }
    let options = Options { time: Duration::from_secs(seconds), seed, findings, limits: LIMITS, tells: true };
    Ok(Some(Wanted { targets, corpus, saves, files, options }))
}

/// Whether something was found.
fn fuzz(target: &Target, wanted: &Wanted) -> std::io::Result<bool> {
    let inputs = corpus::read(&wanted.corpus, target).unwrap_or_default();
    let Outcome { pool, findings, .. } = run(target, inputs.into_iter().map(|(_, input)| input).collect(), &wanted.options)?;
    if wanted.saves {
        println!("{}: {} files in the corpus", target.name, corpus::save(&wanted.corpus, target, &pool.kept)?);
    }
    Ok(!findings.is_empty())
}

fn run_files(target: &Target, files: &[PathBuf]) -> std::io::Result<bool> {
    let mut failed = false;
    for file in files {
        let (outcome, time, bytes) = one(target, &std::fs::read(file)?, LIMITS);
        failed |= outcome.is_err();
        let told = outcome.map_or_else(|failure| failure.to_string(), |marks| format!("{} marks", marks.seen.len()));
        println!("{}: {told} in {} ms, {} MiB", file.display(), time.as_millis(), bytes >> 20);
    }
    Ok(failed)
}

/// Ends the process where an input does not end by itself; the input stays in a file.
fn watch(input: PathBuf) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let began = BEGAN_MS.load(std::sync::atomic::Ordering::Relaxed);
            let hangs = began > 0 && now_ms().saturating_sub(began) > HANGS_MS;
            if hangs || live_bytes() > EXHAUSTS_BYTES {
                println!("FINDING: {} {}", if hangs { "no end of" } else { "no memory left for" }, input.display());
                std::process::exit(1);
            }
        }
    });
}
