//! Simulated worlds, in short: `simulate` and `figures -- sim_device_days` run as many as one likes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::home::Template;
use karwan_tests::simulation::canary::{CANARIES, is_caught};
use karwan_tests::simulation::line::{Harm, Line};
use karwan_tests::simulation::schedule::{Pace, Step, schedule};
use karwan_tests::simulation::world::{run, template};

/// Worlds with a comparison each; `simulate` runs longer ones.
const WORLDS: [(u64, u64, Pace); 4] =
    [(101, 3, Pace::Busy), (102, 3, Pace::Busy), (103, 28, Pace::Usual), (104, 28, Pace::Meeting)];

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

/// A schedule of a world that lost something once, as short as it was found, with the seed of its identifiers.
type Found = (u64, Vec<Step>);

fn sync(phone: usize) -> Step {
    Step::Sync { phone, line: Line::Good }
}

/// What restored servers and copies of phones had lost.
fn found_after_restores() -> Vec<Found> {
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
        // Seeds 156 and 208: two restores within a second, and the phone that was revoked between them comes home first.
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
        // Seed 2438: a phone that was put back syncs with a server that recovers, keeps its edits back and says so, and is put back again.
        (
            2438,
            vec![
                Step::Create { phone: 0 },
                Step::Backup,
                Step::CopyPhone { phone: 0 },
                edit,
                Step::Restore,
                Step::RestorePhone { phone: 0 },
                edit,
                sync(0),
                Step::RestorePhone { phone: 0 },
                Step::Settle,
            ],
        ),
    ]
}

/// What was lost where records moved, with the record beginning in either caseload: phones read the two logs in the order of their names, and every
/// third step begins a record in the second.
fn found_where_records_move() -> Vec<Found> {
    let mut found = Vec::new();
    let (create, moved) = (Step::Create { phone: 0 }, Step::Move { record: 0 });
    let edit = Step::Edit { phone: 0, record: 0, question: "phone" };
    // Seeds 66 and 1 with moves: one log says that an edit waits, and the other, which phones read first, that it counts.
    let mut waits = vec![create, sync(0), sync(1), create, sync(0), sync(1), create, sync(0), Step::Settle, Step::Backup];
    waits.extend([edit, sync(0), moved, sync(0), edit, sync(0), sync(1), moved, Step::Settle, Step::Restore, Step::Settle]);
    // Seeds 12 and 98: a copy of a phone was brought, by the log to which a record moved, that record's part of an envelope of its own, and took it for
    // the whole.
    let mut copied = vec![Step::CopyPhone { phone: 0 }, create, create, create, create, create, create, sync(0)];
    copied.extend([moved, Step::Move { record: 2 }, Step::ClonePhone { phone: 0, with_witness: true }, Step::Settle]);
    for before in [&[][..], &[Step::KillServer]] {
        found.push((66, [before, &waits].concat()));
        found.push((98, [before, &copied].concat()));
        // Seeds 205 and 622 with moves: the frame with a record's move is lost, and what the logs say of the record after it comes.
        for frame in 1..5 {
            let mut unheard = vec![create, Step::Create { phone: 1 }, sync(1), Step::Move { record: 1 }];
            unheard.extend([Step::Sync { phone: 0, line: Line::Down(Harm::Lost, frame) }, Step::Settle]);
            found.push((205, [before, &unheard].concat()));
        }
    }
    found
}

/// Meetings: what is given comes home with whoever comes home, and waits where its author has lost the right before.
fn where_phones_meet() -> Vec<Found> {
    let meet = |guest, host| Step::Meet { guest, host, session: 0, line: Line::Good };
    let edit = |phone| Step::Edit { phone, record: 0, question: "phone" };
    let create = Step::Create { phone: 2 };
    let given = vec![Step::CopyPhone { phone: 2 }, create, meet(2, 1), edit(1), Step::RestorePhone { phone: 2 }, Step::Settle];
    // Seed 34 of the pace with meetings.
    let waiting = vec![create, meet(2, 1), edit(1), Step::Revoke { phone: 2 }, Step::Settle];
    let known = vec![create, Step::Settle, edit(2), meet(2, 1), edit(1), Step::Revoke { phone: 2 }, meet(1, 0), Step::Settle];
    // Seed 265: one phone hears of a revocation in a session after which something of another's waits, and the server forgets it.
    let harmed = Step::Meet { guest: 0, host: 2, session: 2, line: Line::Up(Harm::Twice, 2) };
    let forgotten = vec![Step::Backup, create, Step::Revoke { phone: 2 }, harmed, sync(0), Step::Restore, Step::Settle];
    vec![(0, given), (34, waiting), (34, known), (265, forgotten)]
}

#[test]
fn what_was_lost_once_is_not_lost_again() {
    let template = template();
    let found = found_after_restores().into_iter().chain(found_where_records_move()).chain(where_phones_meet());
    for (seed, steps) in found {
        let steps: Vec<(usize, Step)> = steps.into_iter().enumerate().collect();
        let outcome = run(&template, seed, &steps, None);
        assert!(outcome.broken.is_empty(), "seed {seed}, {steps:?}:\n{}", outcome.broken.join("\n"));
    }
}
