//! Two devices answer one question of one record differently, offline: both values stay, a person decides, both devices see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, Ordering};

use karwan_tests::workbook::household_form;
use karwan_tests::world::{World, values};

const HOUSEHOLD: &str = "head_name=غلام‌رضا\nfather_name=محمدحسین\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food\ndestination=herat\nstatus=registered\n";

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

#[test]
fn both_answers_stay_until_a_person_decides_and_both_devices_see_the_decision() {
    let world = world();
    let (mashhad, tehran) = (world.device("phone-m", "Laila"), world.device("phone-t", "Karim"));
    let record = mashhad.fill("household", HOUSEHOLD);
    mashhad.sync();
    tehran.sync();
    mashhad.edit(&record, "/data/phone=0711111111").done();
    tehran.edit(&record, "/data/phone=0722222222").done();
    mashhad.sync();
    tehran.sync();
    mashhad.sync();

    let both = vec!["0711111111".to_owned(), "0722222222".to_owned()];
    assert_eq!(mashhad.values(&record, "/data/phone"), both);
    assert_eq!(tehran.values(&record, "/data/phone"), both);
    assert_eq!(values(&world.org_json(&["records", "show"], &[&record]), "/data/phone"), both);

    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    let item = &items[0];
    assert_eq!(item["kind"], "conflict");
    assert_eq!(item["record"], record.as_str());
    assert_eq!(item["ref"], "/data/phone");
    let mut told: Vec<(String, String, String)> = item["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| {
            assert!(value["time"].as_str().is_some_and(|time| time.contains('T')), "{value}");
            let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            (text("value"), text("author"), text("device"))
        })
        .collect();
    told.sort();
    assert_eq!(told[0].0, "0711111111");
    assert!(told[0].1.contains("Laila"), "{told:?}");
    assert_eq!(told[1].0, "0722222222");
    assert!(told[1].1.contains("Karim"), "{told:?}");
    assert_ne!(told[0].2, told[1].2, "each value names its device");

    world
        .org(&["review", "resolve"], &[item["item"].as_str().unwrap(), "--value", "0722222222", "--note", "Called the family."])
        .done();
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().map(Vec::len), Some(0));
    mashhad.sync();
    tehran.sync();
    assert_eq!(mashhad.values(&record, "/data/phone"), ["0722222222"]);
    assert_eq!(tehran.values(&record, "/data/phone"), ["0722222222"]);
}

#[test]
fn a_decision_leaves_a_value_that_it_did_not_know_as_a_new_disagreement() {
    let world = world();
    let (first, second, third) = (world.device("one", "Laila"), world.device("two", "Karim"), world.device("three", "Zahra"));
    let record = first.fill("household", HOUSEHOLD);
    for device in [&first, &second, &third] {
        device.sync();
    }
    first.edit(&record, "/data/phone=0711111111").done();
    second.edit(&record, "/data/phone=0722222222").done();
    third.edit(&record, "/data/phone=0733333333").done();
    first.sync();
    second.sync();
    let items = world.org_json(&["review", "list"], &[]);
    world.org(&["review", "resolve"], &[items[0]["item"].as_str().unwrap(), "--value", "0711111111"]).done();
    third.sync();

    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(values(&world.org_json(&["records", "show"], &[&record]), "/data/phone"), ["0711111111", "0733333333"]);
}

#[test]
fn an_item_that_is_decided_already_is_refused_by_name() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("household", HOUSEHOLD);
    first.sync();
    second.sync();
    first.edit(&record, "/data/phone=0711111111").done();
    second.edit(&record, "/data/phone=0722222222").done();
    first.sync();
    second.sync();
    let items = world.org_json(&["review", "list"], &[]);
    let item = items[0]["item"].as_str().unwrap();
    world.org(&["review", "resolve"], &[item, "--value", "0711111111"]).done();
    let again = world.org(&["review", "resolve"], &[item, "--value", "0722222222"]);
    assert_ne!(again.status, 0, "{again:?}");
    assert_eq!(values(&world.org_json(&["records", "show"], &[&record]), "/data/phone"), ["0711111111"]);
}

#[test]
fn equal_answers_and_additions_to_several_choices_are_no_disagreement() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("household", HOUSEHOLD);
    first.sync();
    second.sync();
    first.run(&["edit"], &[&record, "--set", "/data/phone=0711111111", "--set", "/data/needs=food shelter"]).done();
    second.run(&["edit"], &[&record, "--set", "/data/phone=0711111111", "--set", "/data/needs=food health"]).done();
    first.sync();
    second.sync();
    first.sync();
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().map(Vec::len), Some(0));
    assert_eq!(first.values(&record, "/data/needs"), ["food shelter health"]);
    assert_eq!(second.values(&record, "/data/needs"), ["food shelter health"]);
}

#[test]
fn an_edit_of_a_member_that_another_team_removed_becomes_an_item() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record =
        first.fill("household", &format!("{HOUSEHOLD}repeat member=2\nm_name@1=زهرا\nm_age@1=30\nm_name@2=علی\nm_age@2=4\n"));
    first.sync();
    second.sync();
    first.run(&["edit"], &[&record, "--remove", "/data/member[2]"]).done();
    second.edit(&record, "/data/member[2]/m_age=5").done();
    first.sync();
    second.sync();
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(items[0]["kind"], "removed-but-edited");
}

#[test]
fn two_edits_valid_alone_and_invalid_together_make_one_item_also_in_a_rebuilt_projection() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("household", HOUSEHOLD);
    first.sync();
    second.sync();
    // 2 + 1 people and 4 places: each adds one person, which alone fits.
    first.edit(&record, "/data/adults=3").done();
    second.edit(&record, "/data/children=2").done();
    first.sync();
    second.sync();
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(items[0]["kind"], "invalid");
    assert_eq!(items[0]["ref"], "/data/rooms");
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(world.org_json(&["review", "list"], &[]), items);
}

/// Ends the devices' syncing also where the test fails, so that it ends.
struct Stop<'flag>(&'flag AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_hundred_decisions_while_five_devices_sync_are_all_kept_and_block_nobody() {
    const RECORDS: usize = 100;
    const DEVICES: usize = 5;
    let world = world();
    let devices: Vec<_> =
        (0..DEVICES).map(|number| world.device(&format!("phone-{number}"), &format!("Person {number}"))).collect();
    let interview =
        "{\"head_name\": \"Qurban\", \"phone\": \"0700000001\", \"adults\": \"1\", \"children\": \"0\", \"rooms\": \"1\"}\n";
    let filled = devices[0].run_with_input(&["fill"], &["household", "--answers", "-"], &interview.repeat(RECORDS)).done();
    let records: Vec<&str> = filled.stdout.lines().collect();
    assert_eq!(records.len(), RECORDS);
    devices[0].sync();
    devices[1].sync();
    // Two devices give another phone to every record: two values and one item each.
    std::thread::scope(|scope| {
        for (number, device) in devices.iter().take(2).enumerate() {
            let records = &records;
            scope.spawn(move || {
                for record in records {
                    device.edit(record, &format!("/data/phone=071111111{number}")).done();
                }
            });
        }
    });
    devices[0].sync();
    devices[1].sync();
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().map(Vec::len), Some(RECORDS));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = Stop(&stop);
        for device in &devices {
            let flag = stop.0;
            scope.spawn(move || {
                while !flag.load(Ordering::Relaxed) {
                    device.sync();
                }
            });
        }
        for item in items.as_array().unwrap() {
            world.org(&["review", "resolve"], &[item["item"].as_str().unwrap(), "--value", "0799999999"]).done();
        }
    });
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().map(Vec::len), Some(0));
    for device in &devices {
        device.sync();
        for record in records.iter().step_by(10) {
            assert_eq!(device.values(record, "/data/phone"), ["0799999999"]);
        }
    }
    let listed = world.org_json(&["records"], &["--kind", "interview"]);
    let settled = listed.as_array().unwrap().iter().filter(|row| row["open_items"] == 0).count();
    assert_eq!(settled, RECORDS);
}
