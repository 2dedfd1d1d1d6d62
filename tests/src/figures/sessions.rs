//! A device and a server over loopback, through the real command: what a session with nothing new costs, and what lies in the files.

use super::{Figure, Gate, Scale};
use crate::secrets::{needles, search};
use crate::workbook::household_form;
use crate::world::{CASELOAD, Device, World};

/// Records of the larger of the two measurements.
const RECORDS_FULL: u64 = 10_000;
const RECORDS_SHORT: u64 = 1_000;
/// Caseloads beside the world's own.
const MORE_CASELOADS: [&str; 3] = ["tehran", "herat", "kabul"];
/// Values that are planted.
const PLANTED: [&str; 3] = ["غلام‌نبی سرپرست‌زاده", "07001234987", "TZ-7719-4401"];

/// A session with nothing new, with ten records and with many: the dearer of both.
///
/// # Panics
/// Where a command fails.
#[allow(clippy::expect_used)]
pub fn idle(scale: Scale) -> Vec<Figure> {
    let many = scale.of(RECORDS_SHORT, RECORDS_FULL);
    let world = World::new(&[("household.xlsx", household_form().expect("a form"))]);
    for caseload in MORE_CASELOADS {
        world.org(&["caseload", "add"], &[caseload]).done();
    }
    let caseloads: Vec<&str> = std::iter::once(CASELOAD).chain(MORE_CASELOADS).flat_map(|name| ["--caseload", name]).collect();
    let answer = world.org_json(&["invite"], &[&["--role", "enumerator"], &caseloads[..]].concat());
    let device = Device { folder: world.path("phone") };
    let invitation = answer["invitation"].as_str().expect("an invitation");
    device.run(&["enrol"], &[invitation, "--name", "phone", "--person", "Laila"]).done();
    device.sync();
    let (mut bytes, mut round_trips) = (0.0f64, 0.0f64);
    for records in [10, many] {
        let line = |number: u64| format!("{{\"/data/head_name\":\"Karim {number}\",\"/data/phone\":\"07{number:08}\"}}\n");
        let lines: String = (0..records).map(line).collect();
        device.run_with_input(&["fill"], &["household", "--answers", "-", "--json"], &lines).done();
        device.sync();
        // The entries of what was just sent come back by name; after that there is nothing new.
        device.sync();
        let report = device.sync();
        let count = |key: &str| report[key].as_f64().expect("a number");
        let spent = count("bytes_up") + count("bytes_down");
        eprintln!("idle session with {records} records more: {spent} B, {} round trips", count("round_trips"));
        (bytes, round_trips) = (bytes.max(spent), round_trips.max(count("round_trips")));
    }
    let figure = |name, value, unit, gate| Figure { name, value, unit, gate, correctness: false, scale };
    vec![
        figure("idle_session_bytes", bytes, "B", Gate::Below(600.0)),
        figure("idle_session_round_trips", round_trips, "", Gate::Exactly(1.0)),
    ]
}

/// Planted values in the files of a device that has collected, edited and synced.
///
/// # Panics
/// Where a command fails, or where the search finds nothing in a plain copy either.
#[allow(clippy::expect_used)]
pub fn secrets(scale: Scale) -> Vec<Figure> {
    let world = World::new(&[("household.xlsx", household_form().expect("a form"))]);
    let device = world.device("phone", "Laila");
    let [name, phone, document] = PLANTED;
    let answers =
        format!("{{\"/data/head_name\":\"{name}\",\"/data/phone\":\"{phone}\",\"/data/document_no\":\"{document}\"}}\n");
    let written = device.run_with_input(&["fill"], &["household", "--answers", "-", "--json"], &answers).done().json();
    device.edit(written["record"].as_str().expect("a record"), "/data/adults=3").done();
    device.sync();
    let wanted = needles(&PLANTED);
    let value = search(&device.folder, &wanted).len() as f64;
    let plain = world.path("plain");
    std::fs::create_dir(&plain).and_then(|()| std::fs::write(plain.join("copy"), &answers)).expect("a plain copy is written");
    assert!(!search(&plain, &wanted).is_empty(), "the search finds a planted plain copy");
    vec![Figure { name: "secrets_found", value, unit: "", gate: Gate::Exactly(0.0), correctness: true, scale }]
}
