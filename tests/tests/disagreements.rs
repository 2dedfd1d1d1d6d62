//! Two devices answer one question of one record differently, offline: both values stay, a person decides, both devices see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

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

#[test]
fn a_hundred_decisions_while_five_devices_sync_are_all_kept_and_block_nobody() {
    const RECORDS: usize = 20;
    const DEVICES: usize = 5;
    let world = world();
    let devices: Vec<_> =
        (0..DEVICES).map(|number| world.device(&format!("phone-{number}"), &format!("Person {number}"))).collect();
    let records: Vec<String> = (0..RECORDS).map(|_| devices[0].fill("household", HOUSEHOLD)).collect();
    for device in &devices {
        device.sync();
    }
    // Every device gives another phone to every record: five values a record, one item a record.
    for record in &records {
        for (number, device) in devices.iter().enumerate() {
            device.edit(record, &format!("/data/phone=070000000{number}")).done();
        }
    }
    for device in &devices {
        device.sync();
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut decided = 0;
    std::thread::scope(|scope| {
        for device in &devices {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    device.sync();
                }
            });
        }
        // Five rounds of twenty decisions; between rounds every device disagrees again.
        for round in 0..5 {
            let items = world.org_json(&["review", "list"], &[]);
            for item in items.as_array().unwrap().iter().take(RECORDS) {
                let value = format!("07999999{round}");
                world.org(&["review", "resolve"], &[item["item"].as_str().unwrap(), "--value", &value]).done();
                decided += 1;
            }
            if round < 4 {
                for record in &records {
                    for (number, device) in devices.iter().take(2).enumerate() {
                        device.edit(record, &format!("/data/phone=07{round}000010{number}")).done();
                    }
                }
                // Both edits of each record must be home before the next round can decide them.
                while world.org_json(&["review", "list"], &[]).as_array().unwrap().len() < RECORDS {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(decided, 100);
    for device in &devices {
        device.sync();
        for record in &records {
            assert_eq!(device.values(record, "/data/phone"), ["079999994"]);
        }
    }
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().map(Vec::len), Some(0));
}
