//! `karwan bench`: simulated devices bring everything that they have, and the table says what was seen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use karwan_tests::command::run;
use karwan_tests::workbook::household_form;
use karwan_tests::world::World;
use tempfile::TempDir;

#[test]
fn every_record_of_every_device_is_durable_and_judged_and_counted_once() {
    let folder = TempDir::new().unwrap();
    let (organisation, report) = (folder.path().join("org"), folder.path().join("report.json"));
    let organisation = organisation.to_str().unwrap();
    let sizes = ["--devices", "6", "--records", "62", "--team", "3", "--sessions", "2", "--pause", "0.1", "--within", "0.1"];
    let arguments = [&["bench", organisation], &sizes[..], &["--report", report.to_str().unwrap(), "--json"]].concat();
    let told = run(&arguments).done().json();
    assert_eq!(told["durable"], 62, "{told}");
    assert_eq!(told["judged"], 62, "{told}");
    assert_eq!(told["not_accepted"], 0, "{told}");
    assert_eq!(told["sessions"], 12, "two of each device: {told}");
    assert!(told["session_ms_p50"].as_f64() <= told["session_ms_p99"].as_f64(), "{told}");
    assert!(told["records_per_s"].as_f64().unwrap() > 0.0 && told["server_mib"].as_f64().unwrap() > 1.0, "{told}");
    assert!(told["behind_s"].is_number() && told["kept_up_per_s"].is_number(), "{told}");
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(written, told);
    let listed = run(&["records", organisation, "--json"]).done().json();
    assert_eq!(listed.as_array().unwrap().len(), 62, "and they are records like any other");
    // What is there already is not written into.
    run(&arguments).refused(3);
}

#[test]
fn a_server_that_runs_is_measured_with_invitations_to_it() {
    let world = World::new(&[("household.xlsx", household_form().unwrap())]);
    let address = world.server.as_ref().unwrap().sync.clone();
    run(&["bench", &address, "--devices", "2", "--records", "4"]).refused(2);
    let invitations: Vec<String> = (0..2).map(|_| world.invitation("enumerator")).collect();
    let file = world.path("invitations");
    std::fs::write(&file, invitations.join("\n")).unwrap();
    let arguments = ["bench", &address, "--invitations", file.to_str().unwrap(), "--devices", "2", "--records", "4", "--json"];
    let told = run(&arguments).done().json();
    assert_eq!(told["judged"], 4, "{told}");
    assert!(told["server_mib"].is_null() && told["behind_s"].is_null(), "nobody looks into a process that is not ours: {told}");
    let listed = world.org_json(&["records"], &[]);
    // The form registers households beside them, as its answers have it.
    let interviews = listed.as_array().unwrap().iter().filter(|record| record["kind"] == "interview");
    assert_eq!(interviews.count(), 4, "{listed:#}");
    let too_many = ["bench", &address, "--invitations", file.to_str().unwrap(), "--devices", "3", "--records", "4"];
    run(&too_many).refused(3);
}
