//! What somebody sent who might not any more: it waits, is listed, and counts once a supervisor takes it in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::workbook::household_form;
use karwan_tests::world::{CASELOAD, Device, World};
use serde_json::Value;

const REFUSED: i32 = 4;

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

fn household(name: &str) -> String {
    format!("head_name={name}\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\n")
}

fn row(world: &World, name: &str) -> Value {
    let devices = world.org_json(&["devices"], &[]);
    devices.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
}

fn items(world: &World) -> Vec<Value> {
    world.org_json(&["review", "list"], &[]).as_array().unwrap().clone()
}

/// A revoked device with an edit of a known record and a record of its own, both brought.
fn backlog(world: &World, device: &Device, known: &str) -> String {
    world.org(&["devices", "revoke"], &["omid"]).done();
    device.edit(known, "/data/phone=0799999999").done();
    let own = device.fill("household", &household("Wahid"));
    let refused = device.run(&["sync"], &["--json"]).refused(REFUSED);
    assert!(refused.stderr.contains("revoked"), "{refused:?}");
    own
}

#[test]
fn what_a_revoked_device_brings_waits_and_counts_everywhere_once_it_is_adopted() {
    let mut world = world();
    let (laila, omid) = (world.device("laila", "Laila"), world.device("omid", "Omid"));
    let known = laila.fill("household", &household("Qurban"));
    laila.sync();
    omid.sync();
    omid.edit(&known, "/data/adults=1").done();
    omid.sync();
    let own = backlog(&world, &omid, &known);

    laila.sync();
    assert_eq!(laila.values(&known, "/data/adults"), ["1"], "what came before counts");
    assert_eq!(laila.values(&known, "/data/phone"), ["0700000001"]);
    let listed = items(&world);
    assert_eq!(listed.len(), 2, "{listed:?}");
    for item in &listed {
        assert_eq!(item["kind"], "quarantined");
        assert_eq!(item["message"], "revoked");
        assert_eq!(item["values"][0]["device"], "omid");
        assert_eq!(item["values"][0]["author"], "Omid");
        assert!(item["values"][0]["time"].as_str().unwrap().contains('T'));
    }
    assert_eq!(row(&world, "omid")["unsent"], 1, "one envelope with both");
    world.kill_and_serve();

    let adopted = world.org_json(&["review", "adopt"], &["omid"]);
    assert_eq!(adopted["adopted"], 2, "{adopted}");
    assert!(items(&world).is_empty());
    laila.sync();
    assert_eq!(laila.values(&known, "/data/phone"), ["0799999999"]);
    assert_eq!(laila.values(&own, "/data/head_name"), ["Wahid"]);
    let newcomer = world.device("zahra", "Zahra");
    assert_eq!(newcomer.values(&own, "/data/head_name"), ["Wahid"]);
    let before = world.org_json(&["records"], &[]);
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(world.org_json(&["records"], &[]), before);
    // The device itself stays out.
    omid.run(&["sync"], &["--json"]).refused(REFUSED);
    assert_eq!(row(&world, "omid")["revoked"], true);
}

#[test]
fn single_items_are_accepted_or_rejected_also_of_a_record_of_which_nothing_counts() {
    let world = world();
    let (laila, omid) = (world.device("laila", "Laila"), world.device("omid", "Omid"));
    let known = laila.fill("household", &household("Qurban"));
    laila.sync();
    omid.sync();
    let own = backlog(&world, &omid, &known);
    let listed = items(&world);
    let of = |record: &str| {
        let item = listed.iter().find(|item| item["record"] == record).unwrap();
        item["item"].as_str().unwrap().to_owned()
    };
    world.org(&["review", "resolve"], &[&of(&own), "--accept", "--note", "Called the family."]).done();
    world.org(&["review", "resolve"], &[&of(&known), "--reject"]).done();
    assert!(items(&world).is_empty());
    laila.sync();
    assert_eq!(laila.values(&own, "/data/head_name"), ["Wahid"]);
    assert_eq!(laila.values(&known, "/data/phone"), ["0700000001"]);
    world.org(&["review", "adopt"], &["omid"]).done();
    laila.sync();
    assert_eq!(laila.values(&known, "/data/phone"), ["0700000001"], "what was declined stays so");
}

#[test]
fn a_device_that_a_caseload_is_taken_from_drops_it_and_says_so() {
    let world = world();
    let (laila, omid) = (world.device("laila", "Laila"), world.device("omid", "Omid"));
    let known = laila.fill("household", &household("Qurban"));
    laila.sync();
    omid.sync();
    omid.sync();
    assert_eq!(row(&world, "omid")["held"], serde_json::json!([CASELOAD]));
    let own = omid.fill("household", &household("Wahid"));
    world.org(&["devices", "withdraw"], &["omid", "--caseload", CASELOAD]).done();
    let before = row(&world, "omid");
    assert_eq!((&before["caseloads"], &before["held"]), (&serde_json::json!([]), &serde_json::json!([CASELOAD])));
    // What it had not sent is brought first, and waits.
    omid.run(&["sync"], &["--json"]);
    omid.sync();
    assert_eq!(row(&world, "omid")["held"], serde_json::json!([]));
    assert_eq!(omid.json(&["list"], &[]).as_array().unwrap().len(), 0);
    omid.run(&["show"], &[&known]).refused(3);
    let listed = items(&world);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["record"], own.as_str());
    world.org(&["review", "adopt"], &["omid"]).done();
    laila.sync();
    assert_eq!(laila.values(&own, "/data/head_name"), ["Wahid"]);
    // And given again.
    world.org(&["devices", "grant"], &["omid", "--caseload", CASELOAD]).done();
    omid.sync();
    assert_eq!(omid.values(&known, "/data/head_name"), ["Qurban"]);
    assert_eq!(omid.values(&own, "/data/head_name"), ["Wahid"]);
}

#[test]
fn a_wipe_refuses_to_take_the_only_copy_of_work_and_then_leaves_no_file() {
    let world = world();
    let device = world.device("phone", "Laila");
    let draft =
        device.json(&["fill"], &["household", "--answers", "/dev/null", "--draft"])["record"].as_str().unwrap().to_owned();
    let refused = device.run(&["wipe"], &["--json"]).refused(REFUSED);
    assert!(refused.stderr.contains("1 drafts"), "{refused:?}");
    device.run(&["discard"], &[&draft]).done();
    device.fill("household", &household("Qurban"));
    let refused = device.run(&["wipe"], &["--json"]).refused(REFUSED);
    assert!(refused.stderr.contains("1 unsent"), "{refused:?}");
    device.sync();
    let refused = device.run(&["wipe"], &["--json"]).refused(REFUSED);
    assert!(refused.stderr.contains("1 envelopes that no backup has"), "{refused:?}");
    world.org(&["backup"], &[world.path("backup").to_str().unwrap()]).done();
    device.sync();
    device.run(&["wipe"], &[]).done();
    assert!(!device.folder.exists() && !device.folder.with_extension("key").exists());
    device.run(&["list"], &[]).refused(3);

    let lost = world.device("lost", "Karim");
    lost.fill("household", &household("Sabir"));
    lost.run(&["wipe"], &["--force"]).done();
    assert!(!lost.folder.exists());
}

#[test]
fn a_device_whose_key_file_is_lost_is_read_again_by_who_holds_the_root_key() {
    let world = world();
    let device = world.device("phone", "Laila");
    let record = device.fill("household", &household("Qurban"));
    let key = device.folder.with_extension("key");
    let before = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    device.run(&["show"], &[&record]).refused(REFUSED);
    let other = world.path("other-root.key");
    std::fs::write(&other, "11".repeat(32)).unwrap();
    device.run(&["recover"], &["--root-key", other.to_str().unwrap()]).refused(REFUSED);
    assert!(!key.exists());
    device.run(&["recover"], &["--root-key", world.path("org-root.key").to_str().unwrap()]).done();
    assert_eq!(std::fs::read(&key).unwrap(), before);
    assert_eq!(device.values(&record, "/data/head_name"), ["Qurban"], "what was unsent is still there");
    device.sync();
}

#[test]
fn a_device_that_may_do_more_shows_the_code_that_the_server_shows() {
    let world = world();
    let device = Device { folder: world.path("tablet") };
    let enrolled = device.json(&["enrol"], &[&world.invitation("supervisor"), "--name", "tablet"]);
    let code = enrolled["short_code"].as_str().unwrap();
    assert_eq!(code.len(), 6);
    assert_eq!(row(&world, "tablet")["short_code"], code);
    world.device("phone", "Laila");
    assert!(row(&world, "phone")["short_code"].is_null());
}
