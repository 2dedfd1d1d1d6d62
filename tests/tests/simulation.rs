//! Simulated worlds, in short: `simulate` and `figures -- sim_device_days` run as many as one likes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::home::Template;
use karwan_tests::simulation::canary::{CANARIES, is_caught};
use karwan_tests::simulation::line::Line;
use karwan_tests::simulation::schedule::{Pace, Step, schedule};
use karwan_tests::simulation::world::{run, template};

/// Worlds with a comparison each; `simulate` runs longer ones.
const WORLDS: [(u64, u64, Pace); 3] = [(101, 3, Pace::Busy), (102, 3, Pace::Busy), (103, 28, Pace::Usual)];

#[test]
fn simulation() {
    // One after the other: on the process's default file system there is one disk that fails.
    let template = template();
    a_world_with_faults_loses_nothing_and_the_same_seed_is_the_same_world(&template);
    every_planted_fault_is_found(&template);
}

fn every_planted_fault_is_found(template: &Template) {
    for canary in CANARIES {
        assert!(is_caught(template, canary), "{canary:?}");
    }
}

fn a_world_with_faults_loses_nothing_and_the_same_seed_is_the_same_world(template: &Template) {
    for (seed, days, pace) in WORLDS {
        let steps = schedule(seed, days, pace);
        let outcome = run(template, seed, &steps, None);
        assert!(outcome.broken.is_empty(), "seed {seed}:\n{}", outcome.broken.join("\n"));
        assert_eq!(run(template, seed, &steps, None).trace, outcome.trace, "seed {seed}");
    }
}

/// Shortest schedules of worlds that lost something once, each with the seed of its identifiers.
fn found() -> Vec<(u64, Vec<Step>)> {
    let sync = |phone| Step::Sync { phone, line: Line::Good };
    let edit = Step::Edit { phone: 0, record: 0, question: "phone" };
    let copy = Step::ClonePhone { phone: 0, with_witness: true };
    vec![
        // Seed 361: a copy has its origin's incarnation, and what both are told of comes after a restored server.
        (
            0,
            vec![
                Step::CopyPhone { phone: 0 },
                Step::Create { phone: 0 },
                Step::Backup,
                sync(0),
                Step::Restore,
                copy,
                edit,
                Step::Settle,
            ],
        ),
        // Seed 208: two restores within a second, and the phone that was revoked between them comes home first.
        (
            0,
            vec![
                Step::Backup,
                Step::Create { phone: 2 },
                Step::Settle,
                Step::Revoke { phone: 2 },
                sync(0),
                Step::Restore,
                sync(1),
                sync(0),
                Step::Restore,
                sync(2),
                Step::Settle,
            ],
        ),
    ]
}

#[test]
fn what_was_lost_once_is_not_lost_again() {
    let template = template();
    for (seed, steps) in found() {
        let steps: Vec<(usize, Step)> = steps.into_iter().enumerate().collect();
        let outcome = run(&template, seed, &steps, None);
        assert!(outcome.broken.is_empty(), "seed {seed}, {steps:?}:\n{}", outcome.broken.join("\n"));
    }
}
