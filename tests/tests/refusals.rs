//! Whoever does not belong is refused by name, with the exit status of the contract, and loses nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::workbook::household_form;
use karwan_tests::world::{CASELOAD, Device, World};

const REFUSED: i32 = 4;
const UNREACHABLE: i32 = 5;

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

fn address(world: &World) -> String {
    world.server.as_ref().unwrap().sync.clone()
}

#[test]
fn a_device_of_another_organisation_is_refused_and_keeps_its_work() {
    let (ours, theirs) = (world(), world());
    let stranger = theirs.device("stranger", "Karim");
    stranger.fill("household", "head_name=x\nadults=1\nchildren=0\nrooms=1\n");
    let answer = stranger.run(&["sync"], &["--with", &address(&ours), "--json"]).refused(REFUSED);
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    // Its own server takes the work.
    assert_eq!(stranger.sync()["envelopes_up"], 1);
}

#[test]
fn an_invitation_of_a_wrong_root_is_refused() {
    let (ours, theirs) = (world(), world());
    // The server of another organisation answers at the address of ours.
    let invitation = ours.invitation("enumerator");
    let (our_port, organisation) = (address(&ours), theirs.organisation());
    drop(ours);
    let impostor = karwan_tests::world::Server::start(&copied(&theirs, &organisation), &our_port);
    let device = Device { folder: theirs.path("device") };
    let answer = device.run(&["enrol"], &[&invitation, "--name", "phone", "--json"]).refused(REFUSED);
    assert!(answer.stderr.contains("\"code\""), "{answer:?}");
    drop(impostor);
}

/// A copy of an organisation's folder, so that a second server can run on it.
fn copied(world: &World, organisation: &std::path::Path) -> std::path::PathBuf {
    let copy = world.path("copy");
    let status = std::process::Command::new("cp").arg("-r").arg(organisation).arg(&copy).status().unwrap();
    assert!(status.success());
    for leftover in ["control.sock", "lock"] {
        std::fs::remove_file(copy.join(leftover)).ok();
    }
    copy
}

#[test]
fn an_invitation_is_used_once_and_not_after_its_time() {
    let world = world();
    let invitation = world.invitation("enumerator");
    let first = Device { folder: world.path("first") };
    first.run(&["enrol"], &[&invitation, "--name", "first"]).done();
    let second = Device { folder: world.path("second") };
    let used = second.run(&["enrol"], &[&invitation, "--name", "second", "--json"]).refused(REFUSED);
    assert!(used.stderr.contains("used"), "{used:?}");

    let expired = world.org_json(&["invite"], &["--role", "enumerator", "--caseload", CASELOAD, "--expires", "1s"]);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let late = second.run(&["enrol"], &[expired["invitation"].as_str().unwrap(), "--name", "second", "--json"]).refused(REFUSED);
    assert!(late.stderr.contains("expired"), "{late:?}");
}

#[test]
fn a_text_that_is_no_invitation_is_bad_input() {
    let world = world();
    let device = Device { folder: world.path("device") };
    device.run(&["enrol"], &["karwan1:nonsense", "--name", "phone", "--json"]).refused(3);
}

#[test]
fn a_revoked_device_is_refused_and_told_so() {
    let world = world();
    let device = world.device("phone", "Laila");
    let devices = world.org_json(&["devices"], &[]);
    let identifier =
        devices.as_array().unwrap().iter().find(|row| row["name"] == "phone").unwrap()["device"].as_str().unwrap().to_owned();
    world.org(&["devices", "revoke"], &[&identifier]).done();
    device.fill("household", "head_name=x\nadults=1\nchildren=0\nrooms=1\n");
    let answer = device.run(&["sync"], &["--json"]).refused(REFUSED);
    assert!(answer.stderr.contains("revoked"), "{answer:?}");
    let records = device.json(&["list"], &["--kind", "interview"]);
    assert_eq!(records.as_array().map(Vec::len), Some(1), "unsent work is never deleted: {records}");
}

#[test]
fn a_server_that_is_away_is_said_to_be_not_reachable() {
    let mut world = world();
    let device = world.device("phone", "Laila");
    world.server.take().unwrap().kill();
    device.run(&["sync"], &["--json"]).refused(UNREACHABLE);
    world.serve();
    device.sync();
}
