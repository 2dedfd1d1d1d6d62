//! A record goes to another caseload: with its entities and its late edits, without its neighbours, and away from whoever may not read there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::secrets::{decrypted, needles, search};
use karwan_tests::workbook::household_form;
use karwan_tests::world::{CASELOAD, Device, World, values};

const OTHER: &str = "tehran";
const BAD_INPUT: i32 = 3;
/// Only the record that moves says this, and only its neighbour that.
const MOVER: &str = "Zarnigar-Sentinel";
const NEIGHBOUR: &str = "Qurban-Sentinel";

fn household(name: &str) -> String {
    format!("head_name={name}\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\n")
}

/// An organisation with two caseloads.
fn world() -> World {
    let world = World::new(&[("household.xlsx", household_form().unwrap())]);
    world.org(&["caseload", "add"], &[OTHER]).done();
    world.org(&["form", "add"], &[world.path("household.xlsx").to_str().unwrap(), "--caseload", OTHER]).done();
    world
}

/// A device of these caseloads.
fn device(world: &World, name: &str, caseloads: &[&str]) -> Device {
    let rest: Vec<&str> = ["--role", "enumerator", "--caseload"].iter().chain(caseloads).copied().collect();
    let invitation = world.org_json(&["invite"], &rest)["invitation"].as_str().unwrap().to_owned();
    let device = Device { folder: world.path(name) };
    device.run(&["enrol"], &[&invitation, "--name", name]).done();
    device.sync();
    device
}

fn holds(device: &Device, text: &str) -> bool {
    !search(decrypted(&device.folder).path(), &needles(&[text])).is_empty()
}

fn listed(device: &Device) -> usize {
    device.json(&["list"], &[]).as_array().unwrap().len()
}

#[test]
fn a_record_moves_with_its_household_and_without_its_neighbours() {
    let mut world = world();
    let (here, there, both) =
        (device(&world, "here", &[CASELOAD]), device(&world, "there", &[OTHER]), device(&world, "both", &[CASELOAD, OTHER]));
    let record = here.fill("household", &household(MOVER));
    let neighbour = here.fill("household", &household(NEIGHBOUR));
    here.sync();
    both.sync();
    both.edit(&record, "/data/adults=1").done();

    world.org(&["move"], &[&record, "--to", "nowhere"]).refused(BAD_INPUT);
    world.org(&["move"], &[&record, "--to", CASELOAD]).refused(BAD_INPUT);
    world.org(&["move"], &["00000000-0000-4000-8000-000000000000", "--to", OTHER]).refused(BAD_INPUT);
    world.org(&["move"], &[&record, "--to", OTHER]).done();
    let rows = world.org_json(&["records"], &["--search", MOVER]);
    assert_eq!(rows.as_array().unwrap().len(), 2, "the interview and its household: {rows}");
    assert!(rows.as_array().unwrap().iter().all(|row| row["caseload"] == OTHER), "{rows}");
    world.kill_and_serve();

    for device in [&both, &here, &there, &both] {
        device.sync();
    }
    assert_eq!(listed(&here), 2, "the neighbour and its household");
    here.run(&["show"], &[&record]).refused(BAD_INPUT);
    assert!(!holds(&here, MOVER) && holds(&here, NEIGHBOUR));
    assert_eq!(there.values(&record, "/data/head_name"), [MOVER]);
    assert_eq!(there.values(&record, "/data/adults"), ["1"]);
    assert_eq!(listed(&there), 2);
    assert!(!holds(&there, NEIGHBOUR), "a neighbour came along");
    assert_eq!(both.values(&record, "/data/adults"), ["1"]);
    assert_eq!(both.values(&neighbour, "/data/head_name"), [NEIGHBOUR]);

    // Work goes on there, from both sides.
    there.edit(&record, "/data/phone=0711111111").done();
    there.sync();
    both.sync();
    assert_eq!(both.values(&record, "/data/phone"), ["0711111111"]);
    both.edit(&record, "/data/phone=0722222222").done();
    both.sync();
    there.sync();
    assert_eq!(there.values(&record, "/data/phone"), ["0722222222"]);
    let before = world.org_json(&["records"], &[]);
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(world.org_json(&["records"], &[]), before);
    // And back.
    world.org(&["move"], &[&record, "--to", CASELOAD]).done();
    for device in [&here, &there, &both] {
        device.sync();
    }
    assert_eq!(here.values(&record, "/data/phone"), ["0722222222"]);
    there.run(&["show"], &[&record]).refused(BAD_INPUT);
    assert!(!holds(&there, MOVER));
}

#[test]
fn a_late_edit_follows_the_record_and_goes_from_the_device_once_it_is_there() {
    let world = world();
    let (first, late, there) =
        (device(&world, "first", &[CASELOAD]), device(&world, "late", &[CASELOAD]), device(&world, "there", &[OTHER]));
    let record = first.fill("household", &household(MOVER));
    first.sync();
    late.sync();
    first.edit(&record, "/data/phone=0711111111").done();
    first.sync();
    late.edit(&record, "/data/phone=0722222222").done();
    late.run(&["edit"], &[&record, "--set", "/data/adults=1", "--draft"]).done();

    world.org(&["move"], &[&record, "--to", OTHER]).done();
    late.sync();
    there.sync();
    let both = ["0711111111".to_owned(), "0722222222".to_owned()];
    assert_eq!(there.values(&record, "/data/phone"), both);
    assert_eq!(values(&world.org_json(&["records", "show"], &[&record]), "/data/phone"), both);
    // A draft is somebody's work: it stays, and what becomes of it follows too.
    late.run(&["finalize"], &[&record]).done();
    late.sync();
    there.sync();
    assert_eq!(there.values(&record, "/data/adults"), ["1"]);
    late.run(&["show"], &[&record]).refused(BAD_INPUT);
    assert!(!holds(&late, MOVER));
    // What it is in its new caseload is decided there.
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().unwrap().len(), 1, "{items}");
    assert_eq!(items[0]["caseload"], OTHER);
    world.org(&["review", "resolve"], &[items[0]["item"].as_str().unwrap(), "--value", "0722222222"]).done();
    there.sync();
    assert_eq!(there.values(&record, "/data/phone"), ["0722222222"]);
    first.sync();
    first.run(&["show"], &[&record]).refused(BAD_INPUT);
}

#[test]
fn a_record_of_which_a_part_was_erased_moves_and_is_erased_in_its_new_caseload() {
    let world = world();
    let (here, there) = (device(&world, "here", &[CASELOAD]), device(&world, "there", &[OTHER]));
    let record = here.fill("household", &household(MOVER));
    here.sync();
    world.org(&["erase"], &[&record, "--part", "/data/phone", "--reason", "Wrong family."]).done();
    world.org(&["move"], &[&record, "--to", OTHER]).done();
    here.sync();
    there.sync();
    assert_eq!(there.values(&record, "/data/head_name"), [MOVER]);
    assert!(there.values(&record, "/data/phone").is_empty());
    there.edit(&record, "/data/phone=0733333333").done();
    there.sync();
    world.org(&["erase"], &[&record, "--part", "/data/phone", "--reason", "Wrong again."]).done();
    there.sync();
    assert!(there.values(&record, "/data/phone").is_empty());
    world.org(&["erase"], &[&record, "--reason", "All of it."]).done();
    there.sync();
    assert_eq!(listed(&there), 0);
    for device in [&here, &there] {
        assert!(!holds(device, MOVER));
    }
}
