//! Every input of the fuzz corpus runs within its bounds, and so does a short run from a seed that is always the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;
use std::time::Duration;

use karwan_tests::fuzzing::corpus::{self, FILE_BYTES_MAX, FILES_MAX, FOLDER_BYTES_MAX};
use karwan_tests::fuzzing::memory::Counting;
use karwan_tests::fuzzing::run::{LIMITS, Limits, Options, on_a_small_stack, quiet_panics, replay, run};
use karwan_tests::fuzzing::target::{TARGETS, Target, named};

#[global_allocator]
static MEMORY: Counting = Counting;

/// Memory is counted for the whole process: one target at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// The program may not be optimised.
const PATIENT: Limits = Limits { time: Duration::from_mins(1), ..LIMITS };
const SHORT_RUN: Duration = Duration::from_secs(4);
const SEED: u64 = 4;

fn holds(name: &str) {
    let target: Target = named(name).unwrap();
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let inputs = corpus::read(&corpus::home(), &target).unwrap();
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    quiet_panics();
    let failed = on_a_small_stack(|| replay(&target, &inputs, PATIENT));
    let folder = tempfile::TempDir::new().unwrap();
    let options = Options { time: SHORT_RUN, seed: SEED, findings: folder.path().to_owned(), limits: PATIENT, tells: false };
    let inputs = inputs.into_iter().map(|(_, input)| input).collect();
    let outcome = on_a_small_stack(|| run(&target, inputs, &options)).unwrap();
    drop(std::panic::take_hook());
    drop(guard);
    println!("{name}: seed {SEED}, {} inputs, {} marks", outcome.inputs, outcome.pool.marks());
    assert!(failed.is_empty(), "{failed:?}");
    assert!(outcome.findings.is_empty(), "seed {SEED}: {:?}", outcome.findings);
    assert!(outcome.pool.marks() > 100, "seed {SEED}: the inputs of {name} do next to nothing");
}

#[test]
fn workbooks_are_read_or_refused_within_bounds() {
    holds("xlsform");
}

#[test]
fn xforms_are_read_or_refused_within_bounds() {
    holds("xform");
}

#[test]
fn expressions_are_evaluated_or_refused_within_bounds() {
    holds("expression");
}

#[test]
fn interviews_take_any_events_within_bounds() {
    holds("answers");
}

#[test]
fn attached_lists_are_read_within_bounds() {
    holds("external");
}

#[test]
fn the_corpus_stays_small() {
    for target in TARGETS {
        let inputs = corpus::read(&corpus::home(), &target).unwrap();
        let sum: usize = inputs.iter().map(|(_, input)| input.len()).sum();
        assert!(inputs.len() <= FILES_MAX && sum <= FOLDER_BYTES_MAX, "{}: {} files, {sum} bytes", target.name, inputs.len());
        let large = inputs.iter().find(|(_, input)| input.len() > FILE_BYTES_MAX);
        assert!(large.is_none(), "{}: {} is large", target.name, large.map_or("", |(name, _)| name));
    }
}
