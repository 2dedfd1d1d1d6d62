//! `kill -9` of devices and servers: nothing acknowledged is lost, both start again by themselves, and enough of them died in a commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::figures::kills::{CYCLES_SHORT, Toll, interviews, servers, syncs};

fn holds(what: &str, toll: Toll) {
    println!(
        "{what}: {} killed, {} before, {} during, {} after a commit; {} lost",
        toll.cycles, toll.before, toll.during, toll.after, toll.lost
    );
    assert_eq!(toll.lost, 0, "{toll:?}");
    if !toll.seen {
        println!("skipped: commits are too quick on this disk to be seen, so how many died in one is not judged");
        return;
    }
    assert!(toll.during_share() >= 0.2, "too few died during a commit to tell anything: {toll:?}");
}

#[test]
fn a_device_killed_inside_an_interview_keeps_every_answer_after_which_it_asked_on() {
    holds("interviews", interviews(11, CYCLES_SHORT));
}

#[test]
fn a_device_killed_in_its_sync_brings_everything_home_with_the_next() {
    holds("syncs", syncs(12, CYCLES_SHORT));
}

#[test]
fn a_server_killed_while_a_device_syncs_keeps_what_it_acknowledged() {
    holds("servers", servers(13, CYCLES_SHORT));
}
