//! A device's folder is copied and both copies are used: no edit is lost, nothing is said twice, no record is blocked, and all come to the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use karwan_tests::workbook::household_form;
use karwan_tests::world::{Device, World};
use serde_json::Value;

const HOUSEHOLD: &str = "head_name=Rahimi\nfather_name=محمد\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food\ndestination=herat\nstatus=registered\n";

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

/// Copies a device's folder with its key file; without its witness where a backup would leave that out.
fn copy(world: &World, device: &Device, name: &str, with_witness: bool) -> Device {
    let folder = world.path(name);
    let done = |from: &Path, to: &Path| {
        let status = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
        assert!(status.success());
    };
    done(&device.folder, &folder);
    done(&device.folder.with_extension("key"), &folder.with_extension("key"));
    if !with_witness {
        std::fs::remove_file(folder.join("witness")).unwrap();
    }
    Device { folder }
}

fn sync(device: &Device) -> Value {
    let report = device.sync();
    assert_eq!(report["refused"], serde_json::json!([]), "{report}");
    assert_eq!(report["not_applied"], Value::Null, "{report}");
    report
}

fn shown(device: &Device, record: &str) -> Value {
    device.json(&["show"], &[record])["values"].clone()
}

/// Both copies and the server hold the same of each record.
fn agree(world: &World, devices: &[&Device], records: &[&str]) {
    for device in devices {
        sync(device);
    }
    for device in devices {
        sync(device);
    }
    for record in records {
        let server = world.org_json(&["records", "show"], &[record])["values"].clone();
        for device in devices {
            assert_eq!(shown(device, record), server, "{record} on {}", device.folder.display());
        }
    }
    let quarantined = world.org_json(&["review", "list"], &[]);
    let kinds: Vec<&Value> = quarantined.as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert!(kinds.iter().all(|kind| *kind != "quarantined"), "{quarantined}");
}

/// What is done with one device; the copy is made after a number of these steps.
fn step(device: &Device, record: &mut Option<String>, number: usize) {
    match number {
        0 => *record = Some(device.fill("household", HOUSEHOLD)),
        2 => drop(device.edit(record.as_deref().unwrap(), "/data/phone=0711111111").done()),
        3 => drop(
            device
                .run(&["edit"], &[record.as_deref().unwrap(), "--add", "/data/member", "--set", "/data/member[1]/m_name=Zahra"])
                .done(),
        ),
        5 => drop(device.edit(record.as_deref().unwrap(), "/data/status=booked").done()),
        _ => drop(sync(device)),
    }
}

const STEPS: usize = 7;

fn copied_at_every_step(with_witness: bool) {
    let world = world();
    for copied_after in 1..=STEPS {
        let phone = world.device(&format!("phone-{copied_after}"), "Laila");
        let mut record = None;
        for number in 0..copied_after {
            step(&phone, &mut record, number);
        }
        let twin = copy(&world, &phone, &format!("twin-{copied_after}"), with_witness);
        for number in copied_after..STEPS {
            step(&phone, &mut record, number);
        }
        let record = record.unwrap();
        // Both go on: each writes something of its own, in the same record and in a new one.
        twin.edit(&record, "/data/rooms=9").done();
        let by_twin = twin.fill("household", &HOUSEHOLD.replace("Rahimi", "Twin"));
        phone.edit(&record, "/data/destination=kabul").done();
        let by_phone = phone.fill("household", &HOUSEHOLD.replace("Rahimi", "Phone"));
        sync(&phone);
        let report = sync(&twin);
        agree(&world, &[&phone, &twin], &[&record, &by_twin, &by_phone]);
        let what = format!("copied after step {copied_after}, with witness {with_witness}: {report}");
        for (reference, value) in
            [("/data/rooms", "9"), ("/data/destination", "kabul"), ("/data/phone", "0711111111"), ("/data/status", "booked")]
        {
            assert_eq!(phone.values(&record, reference), [value], "{reference}, {what}");
        }
        let values = shown(&phone, &record);
        let members = values.as_object().unwrap().keys().filter(|key| key.ends_with("/m_name")).count();
        assert_eq!(members, 1, "{what}: {values}");
        let held = twin.json(&["list"], &["--kind", "interview"]);
        assert_eq!(held.as_array().map(Vec::len), Some(3 * copied_after), "{what}");
    }
}

#[test]
fn a_copied_device_loses_no_edit_wherever_it_was_copied() {
    copied_at_every_step(true);
}

#[test]
fn a_copy_without_its_witness_loses_no_edit_either() {
    copied_at_every_step(false);
}

#[test]
fn two_copies_that_answer_one_question_disagree_as_two_devices_do() {
    let world = world();
    let phone = world.device("phone", "Laila");
    let record = phone.fill("household", HOUSEHOLD);
    sync(&phone);
    let twin = copy(&world, &phone, "twin", true);
    phone.edit(&record, "/data/phone=0711111111").done();
    twin.edit(&record, "/data/phone=0722222222").done();
    twin.edit(&record, "/data/rooms=9").done();
    sync(&phone);
    let answer = twin.run(&["sync"], &[]).done();
    assert!(answer.stderr.contains("Another copy of this device's folder"), "{answer:?}");
    agree(&world, &[&phone, &twin], &[&record]);
    assert_eq!(phone.values(&record, "/data/phone"), ["0711111111", "0722222222"]);
    assert_eq!(twin.values(&record, "/data/rooms"), ["9"]);
    // From here on they are two: nothing is written again any more.
    twin.edit(&record, "/data/rooms=8").done();
    let report = sync(&twin);
    assert_eq!((&report["copied"], &report["round_trips"]), (&Value::Null, &Value::from(1)), "{report}");
}

#[test]
fn two_copies_in_use_are_told_to_whoever_holds_one_and_to_the_administrator() {
    let world = world();
    let (phone, other) = (world.device("phone", "Laila"), world.device("other", "Omid"));
    let copied = |name: &str| {
        let devices = world.org_json(&["devices"], &[]);
        devices.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()["copied"].clone()
    };
    phone.fill("household", HOUSEHOLD);
    sync(&phone);
    // A phone that was put back to a backup and is the only one that goes on is nobody's copy.
    let twin = copy(&world, &phone, "twin", false);
    for _ in 0..2 {
        assert_eq!(sync(&twin)["copy_in_use"], Value::Null);
        assert_eq!(sync(&other)["copy_in_use"], Value::Null);
    }
    assert_eq!(copied("phone"), Value::Null);
    assert_eq!(sync(&phone)["copy_in_use"], true);
    assert!(copied("phone").is_string());
    let answer = twin.run(&["sync"], &[]).done();
    assert!(answer.stderr.contains("Another copy of this device's folder is in use"), "{answer:?}");
    assert_eq!(sync(&twin)["copy_in_use"], Value::Null, "it is told once for each time");
    assert_eq!(copied("other"), Value::Null);
}

#[test]
fn an_instalment_that_was_requested_before_the_copy_is_requested_once() {
    let world = world();
    let phone = world.device("phone", "Laila");
    let record = phone.fill("household", HOUSEHOLD);
    sync(&phone);
    phone.edit(&record, "/data/instalment[1]/decision=requested").done();
    for (name, with_witness) in [("twin", true), ("other-twin", false)] {
        let twin = copy(&world, &phone, name, with_witness);
        if name == "twin" {
            sync(&phone);
        }
        sync(&twin);
        agree(&world, &[&phone, &twin], &[&record]);
        assert_eq!(twin.values(&record, "/data/instalment[1]/decision"), ["requested"], "{name}");
        let history = world.org_json(&["records", "show"], &[&record])["history"].clone();
        let requests = history.to_string().matches("requested").count();
        assert_eq!(requests, 1, "{name}: {history}");
    }
}
