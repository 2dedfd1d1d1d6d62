//! A server comes back from a backup that knows nothing of what was decided since: the erasure, the move, the adoption hold as soon as the
//! devices that heard of them have come home.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::command::run;
use karwan_tests::secrets::{decrypted, needles, search};
use karwan_tests::workbook::household_form;
use karwan_tests::world::{CASELOAD, Device, World, values};
use serde_json::Value;

const OTHER: &str = "tehran";
const BAD_INPUT: i32 = 3;
const ERASED: &str = "Zarnigar-Sentinel";
const CHILD: &str = "Gulchehra-Sentinel";
const MOVER: &str = "Rajab-Sentinel";

fn household(name: &str) -> String {
    format!("head_name={name}\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\n")
}

fn restored(world: &mut World, backup: &str) {
    world.server.take().unwrap().kill();
    std::fs::remove_dir_all(world.organisation()).unwrap();
    run(&["restore", backup, world.organisation().to_str().unwrap()]).done();
    world.serve();
}

/// What a device lists and shows of its interviews: values by question.
fn seen(device: &Device) -> Vec<(String, Value)> {
    let listed = device.json(&["list"], &["--kind", "interview"]);
    let mut all: Vec<(String, Value)> = Vec::new();
    for row in listed.as_array().unwrap() {
        let record = row["record"].as_str().unwrap();
        let shown = device.json(&["show"], &[record]);
        let questions = shown["values"].as_object().unwrap();
        let plain: Value = questions.keys().map(|question| (question.clone(), Value::from(values(&shown, question)))).collect();
        all.push((record.to_owned(), plain));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn story(order: [usize; 3]) {
    let mut world = World::new(&[("household.xlsx", household_form().unwrap())]);
    world.org(&["caseload", "add"], &[OTHER]).done();
    world.org(&["form", "add"], &[world.path("household.xlsx").to_str().unwrap(), "--caseload", OTHER]).done();
    let (laila, karim, omid) = (world.device("laila", "Laila"), world.device("karim", "Karim"), world.device("omid", "Omid"));
    let nadia = Device { folder: world.path("nadia") };
    let invitation = world.org_json(&["invite"], &["--role", "enumerator", "--caseload", OTHER]);
    nadia.run(&["enrol"], &[invitation["invitation"].as_str().unwrap(), "--name", "nadia"]).done();
    let members = format!("repeat member=2\nm_name@1=Zahra\nm_age@1=30\nm_name@2={CHILD}\nm_age@2=4\n");
    let family = laila.fill("household", &format!("{}{members}", household("Qurban")));
    let mover = laila.fill("household", &household(MOVER));
    let erased = laila.fill("household", &household(ERASED));
    for device in [&laila, &karim, &omid, &nadia] {
        device.sync();
    }
    let backup = world.path("backup");
    world.org(&["backup"], &[backup.to_str().unwrap()]).done();

    // After it: edits, decisions, and edits after those.
    karim.edit(&family, "/data/phone=0711111111").done();
    karim.edit(&mover, "/data/phone=0722222222").done();
    karim.sync();
    world.org(&["devices", "revoke"], &["omid"]).done();
    let adopted = omid.fill("household", &household("Wahid"));
    omid.run(&["sync"], &[]).refused(4);
    world.org(&["review", "adopt"], &["omid"]).done();
    world.org(&["erase"], &[&erased, "--reason", "Asked for."]).done();
    world.org(&["erase"], &[&family, "--part", "/data/member[2]", "--reason", "Asked for."]).done();
    world.org(&["move"], &[&mover, "--to", OTHER]).done();
    for device in [&laila, &karim, &nadia] {
        device.sync();
    }
    laila.edit(&family, "/data/adults=1").done();
    nadia.edit(&mover, "/data/adults=1").done();
    for device in [&laila, &nadia, &karim] {
        device.sync();
    }
    let homes = [&laila, &karim, &nadia];
    let before = homes.map(seen);
    assert_eq!(before[0].iter().map(|(record, _)| record).collect::<Vec<_>>().len(), 2, "the family and the adopted one");

    restored(&mut world, backup.to_str().unwrap());
    world.org(&["erase"], &[&family, "--reason", "Not now."]).refused(4);
    for at in order {
        homes[at].sync();
    }
    world.org(&["recovery", "close"], &[]).done();
    for device in [&laila, &karim, &nadia, &laila, &karim] {
        device.sync();
    }
    for (device, before) in homes.iter().zip(&before) {
        assert_eq!(&seen(device), before);
    }
    assert_eq!(values(&world.org_json(&["records", "show"], &[&family]), "/data/adults"), ["1"]);
    assert_eq!(values(&world.org_json(&["records", "show"], &[&family]), "/data/phone"), ["0711111111"]);
    let shown = world.org_json(&["records", "show"], &[&mover]);
    assert_eq!(
        (values(&shown, "/data/adults"), values(&shown, "/data/phone")),
        (vec!["1".to_owned()], vec!["0722222222".to_owned()])
    );
    world.org(&["records", "show"], &[&adopted]).done();
    world.org(&["records", "show"], &[&erased]).refused(BAD_INPUT);
    omid.run(&["sync"], &[]).refused(4);
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().unwrap().len(), 0);
    let hits = search(&world.organisation(), &needles(&[ERASED, CHILD]));
    assert!(hits.is_empty(), "on the server: {hits:?}");
    for device in homes {
        assert!(search(decrypted(&device.folder).path(), &needles(&[ERASED, CHILD])).is_empty());
    }
    let rows = world.org_json(&["records"], &["--search", MOVER]);
    assert!(rows.as_array().unwrap().iter().all(|row| row["caseload"] == OTHER), "{rows}");
    let newcomer = world.device("zahra", "Zahra");
    assert_eq!(seen(&newcomer), before[0]);
    assert_eq!(world.org_json(&["devices"], &[]).as_array().unwrap().iter().filter(|row| row["revoked"] == true).count(), 1);
    let listed = world.org_json(&["records"], &[]);
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(world.org_json(&["records"], &[]), listed);
    assert!(listed.as_array().unwrap().iter().any(|row| row["caseload"] == CASELOAD));
}

#[test]
fn decisions_hold_when_the_devices_of_the_first_caseload_come_home_first() {
    story([0, 1, 2]);
}

#[test]
fn decisions_hold_when_the_device_of_the_other_caseload_comes_home_first() {
    story([2, 1, 0]);
}
