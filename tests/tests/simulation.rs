//! Simulated worlds, in short: `simulate` and `figures -- sim_device_days` run as many as one likes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::home::Template;
use karwan_tests::simulation::canary::{CANARIES, is_caught};
use karwan_tests::simulation::schedule::{PHONES, schedule};
use karwan_tests::simulation::world::run;

/// Worlds with a comparison each; the figure runs longer ones.
const SEEDS: [u64; 2] = [101, 102];
const DAYS: u64 = 3;

#[test]
fn simulation() {
    // One after the other: on the process's default file system there is one disk that fails.
    let template = Template::make(PHONES);
    a_world_with_faults_loses_nothing_and_the_same_seed_is_the_same_world(&template);
    every_planted_fault_is_found(&template);
}

fn every_planted_fault_is_found(template: &Template) {
    for canary in CANARIES {
        assert!(is_caught(template, canary), "{canary:?}");
    }
}

fn a_world_with_faults_loses_nothing_and_the_same_seed_is_the_same_world(template: &Template) {
    for seed in SEEDS {
        let steps = schedule(seed, DAYS);
        let outcome = run(template, &steps, None);
        assert!(outcome.broken.is_empty(), "seed {seed}:\n{}", outcome.broken.join("\n"));
        assert_eq!(run(template, &steps, None).trace, outcome.trace, "seed {seed}");
    }
}
