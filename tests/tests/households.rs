//! A family that one team registered and another visits: one entity, both interviews behind it; and what events decide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::workbook::{household_form, visit_form};
use karwan_tests::world::{Device, World, values};
use serde_json::Value;

const HOUSEHOLD: &str =
    "head_name=قربان‌علی\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food\ndestination=herat\nstatus=registered\n";

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap()), ("visit.xlsx", visit_form().unwrap())])
}

fn entities(world: &World) -> Vec<Value> {
    world.org_json(&["records"], &["--kind", "entity"]).as_array().unwrap().clone()
}

fn only_entity(world: &World) -> Value {
    let found = entities(world);
    assert_eq!(found.len(), 1, "{found:?}");
    world.org_json(&["records", "show"], &[found[0]["record"].as_str().unwrap()])
}

fn entity_id(device: &Device) -> String {
    device.json(&["list"], &["--kind", "entity"])[0]["record"].as_str().unwrap().to_owned()
}

#[test]
fn a_family_registered_by_one_team_is_updated_by_another_and_correcting_the_first_interview_does_not_undo_it() {
    let world = world();
    let (mashhad, tehran) = (world.device("phone-m", "Laila"), world.device("phone-t", "Karim"));
    let registration = mashhad.fill("household", HOUSEHOLD);
    mashhad.sync();
    tehran.sync();
    let household = entity_id(&tehran);
    tehran.fill("visit", &format!("household={household}\nphone=0722222222\nremarks=moved\n"));
    tehran.sync();
    mashhad.sync();

    assert_eq!(mashhad.json(&["list"], &["--kind", "entity"]).as_array().map(Vec::len), Some(1));
    assert_eq!(mashhad.values(&household, "phone"), ["0722222222"]);
    let shown = only_entity(&world);
    assert_eq!(values(&shown, "phone"), ["0722222222"]);
    assert_eq!(values(&shown, "head_name"), ["قربان‌علی"]);
    assert_eq!(shown["history"].as_array().map(Vec::len), Some(2), "both interviews are behind it: {shown}");

    // January's interview is corrected in March: February's visit stands.
    mashhad.edit(&registration, "/data/phone=0733333333").done();
    mashhad.edit(&registration, "/data/head_name=قربانعلی").done();
    mashhad.sync();
    tehran.sync();
    let shown = only_entity(&world);
    assert_eq!(values(&shown, "phone"), ["0722222222"]);
    assert_eq!(values(&shown, "head_name"), ["قربانعلی"], "what the visit did not write follows the correction");
    assert_eq!(tehran.values(&household, "phone"), ["0722222222"]);
}

#[test]
fn a_family_registered_a_minute_ago_is_in_the_list_of_the_same_device() {
    let world = world();
    let device = world.device("phone", "Laila");
    device.fill("household", HOUSEHOLD);
    let household = entity_id(&device);
    device.fill("visit", &format!("household={household}\nphone=0744444444\n"));
    assert_eq!(device.values(&household, "phone"), ["0744444444"]);
}

#[test]
fn two_visits_that_did_not_see_each_other_disagree_once() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    first.fill("household", HOUSEHOLD);
    first.sync();
    second.sync();
    let household = entity_id(&second);
    first.fill("visit", &format!("household={household}\nphone=0711111111\n"));
    second.fill("visit", &format!("household={household}\nphone=0722222222\n"));
    first.sync();
    second.sync();
    first.sync();
    let both = ["0711111111", "0722222222"];
    assert_eq!(values(&only_entity(&world), "phone"), both);
    assert_eq!(first.values(&household, "phone"), both);
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "one disagreement is one item: {items}");
}

#[test]
fn a_withdrawal_beats_a_booking_made_at_the_same_time() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("household", HOUSEHOLD);
    first.sync();
    second.sync();
    first.edit(&record, "/data/status=withdrawn").done();
    second.edit(&record, "/data/status=booked").done();
    for device in [&first, &second, &first] {
        device.sync();
    }
    assert_eq!(first.values(&record, "/data/status"), ["withdrawn"]);
    assert_eq!(second.values(&record, "/data/status"), ["withdrawn"]);
    let shown = world.org_json(&["records", "show"], &[&record]);
    assert_eq!(values(&shown, "/data/status"), ["withdrawn"]);
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().map(Vec::len), Some(0), "the table decides, not a person");
    let told = shown["history"].to_string();
    assert!(told.contains("booked"), "the event that was beaten is kept: {told}");
}

#[test]
fn two_offline_approvals_of_one_instalment_are_a_disagreement_and_are_payable_once() {
    let world = world();
    let (first, second) = (supervisor(&world, "one", "Zahra"), supervisor(&world, "two", "Hamid"));
    let record = first.fill("household", &format!("{HOUSEHOLD}decision@1=requested\n"));
    first.sync();
    second.sync();
    first.edit(&record, "/data/instalment[1]/decision=approved").done();
    second.edit(&record, "/data/instalment[1]/decision=approved").done();
    for device in [&first, &second, &first] {
        device.sync();
    }
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(items[0]["kind"], "conflict");
    assert_eq!(items[0]["values"].as_array().map(Vec::len), Some(2), "{items}");
    let shown = world.org_json(&["records", "show"], &[&record]);
    assert_eq!(shown["payable"].as_array().map(Vec::len), Some(1), "payable once: {shown}");
}

/// A device above enumerator: an administrator compares its short code, where the command asks for that.
fn supervisor(world: &World, name: &str, person: &str) -> Device {
    let device = Device { folder: world.path(name) };
    device.run(&["enrol"], &[&world.invitation("supervisor"), "--name", name, "--person", person]).done();
    device.sync();
    device
}
