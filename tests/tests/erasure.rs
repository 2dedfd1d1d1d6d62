//! A record is erased, or a part of it: everywhere it syncs to, for ever, and nothing else with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::secrets::{decrypted, needles, search};
use karwan_tests::workbook::{household_form, visit_form};
use karwan_tests::world::{Device, World, values};

/// What only the erased record says.
const PLANTED: [&str; 2] = ["عليرضا كريمي‌نژاد", "Zarnigar-Sentinel"];
const BAD_INPUT: i32 = 3;

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

fn household(name: &str, father: &str) -> String {
    format!("head_name={name}\nfather_name={father}\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\n")
}

fn interviews(device: &Device) -> usize {
    device.json(&["list"], &["--kind", "interview"]).as_array().unwrap().len()
}

/// The lines of a history; what happened at once has no order.
fn told(shown: &serde_json::Value) -> Vec<String> {
    let mut lines: Vec<String> = shown["history"].as_array().unwrap().iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}

/// No planted value is in any file of the server, nor in what is inside the encryption of these devices.
fn nothing_left(world: &World, devices: &[&Device], planted: &[&str]) {
    let needles = needles(planted);
    let hits = search(&world.organisation(), &needles);
    assert!(hits.is_empty(), "on the server: {hits:?}");
    for device in devices {
        let plain = decrypted(&device.folder);
        let hits = search(plain.path(), &needles);
        assert!(hits.is_empty(), "on a device: {hits:?}");
    }
}

#[test]
fn an_erased_record_is_in_no_file_and_a_device_that_was_away_brings_it_not_back() {
    let mut world = world();
    let (first, second, away) = (world.device("one", "Laila"), world.device("two", "Karim"), world.device("three", "Zahra"));
    let record = first.fill("household", &household(PLANTED[0], PLANTED[1]));
    let neighbour = first.fill("household", &household("Qurban", "Sabir"));
    for device in [&first, &second, &away] {
        device.sync();
    }
    let planted = needles(&PLANTED);
    let held = search(decrypted(&second.folder).path(), &planted);
    assert!(!held.is_empty(), "the search finds what is there");
    // Unsent edits and drafts, here and on the device that stays away.
    second.edit(&record, "/data/father_name=Zarnigar-Sentinel two").done();
    away.edit(&record, "/data/father_name=Zarnigar-Sentinel three").done();
    away.run(&["edit"], &[&record, "--set", "/data/phone=0733333333", "--draft"]).done();
    away.edit(&neighbour, "/data/phone=0744444444").done();

    world.org(&["erase"], &[&record, "--reason", "Asked for by the family."]).done();
    world.org(&["records", "show"], &[&record]).refused(BAD_INPUT);
    let listed = world.org_json(&["records"], &[]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "the neighbour and its household: {listed}");
    let hits = search(&world.organisation(), &planted);
    assert!(hits.is_empty(), "on the server: {hits:?}");
    first.sync();
    second.sync();
    nothing_left(&world, &[&first, &second], &PLANTED);
    assert_eq!(interviews(&first), 1);

    world.kill_and_serve();
    away.sync();
    assert_eq!(interviews(&away), 1);
    first.sync();
    assert_eq!(first.values(&neighbour, "/data/phone"), ["0744444444"], "the neighbour's edit came through");
    nothing_left(&world, &[&first, &second, &away], &PLANTED);
    world.org(&["projection", "rebuild"], &[]).done();
    world.org(&["records", "show"], &[&record]).refused(BAD_INPUT);
    world.org(&["erase"], &[&record, "--reason", "Again."]).refused(BAD_INPUT);
    // A newcomer gets the log with the leaf, and nothing of the record.
    let newcomer = world.device("four", "Omid");
    assert_eq!(interviews(&newcomer), 1);
    nothing_left(&world, &[&newcomer], &PLANTED);
}

#[test]
fn one_member_goes_and_the_family_its_disagreement_and_its_history_stay() {
    let world = world();
    let (first, second, away) = (world.device("one", "Laila"), world.device("two", "Karim"), world.device("three", "Zahra"));
    let members = format!("repeat member=2\nm_name@1=زهرا\nm_age@1=30\nm_name@2={}\nm_age@2=4\n", PLANTED[0]);
    let record = first.fill("household", &format!("{}{members}", household("Qurban", "Sabir")));
    for device in [&first, &second, &away] {
        device.sync();
    }
    first.edit(&record, "/data/phone=0711111111").done();
    second.edit(&record, "/data/phone=0722222222").done();
    first.sync();
    second.sync();
    // Of what is unsent, what is said of the member goes, the rest is written again.
    away.run(&["edit"], &[&record, "--set", "/data/member[2]/m_name=Zarnigar-Sentinel", "/data/adults=3"]).done();
    let before = world.org_json(&["records", "show"], &[&record]);

    world.org(&["erase"], &[&record, "--part", "/data/member[9]", "--reason", "No such."]).refused(BAD_INPUT);
    world.org(&["erase"], &[&record, "--part", "/data/member[2]", "--reason", "Asked for by the parents."]).done();
    let after = world.org_json(&["records", "show"], &[&record]);
    assert_eq!(values(&after, "/data/phone"), ["0711111111", "0722222222"]);
    assert_eq!(after["values"]["/data/phone"], before["values"]["/data/phone"], "who gave which value when");
    assert_eq!(told(&after), told(&before), "who did what when");
    assert_eq!(after["title"], before["title"]);
    let hits = search(&world.organisation(), &needles(&PLANTED));
    assert!(hits.is_empty(), "on the server: {hits:?}");

    for device in [&first, &second, &away, &away, &first, &second] {
        device.sync();
    }
    for device in [&first, &second, &away] {
        assert_eq!(device.values(&record, "/data/adults"), ["3"]);
        assert_eq!(device.values(&record, "/data/phone"), ["0711111111", "0722222222"]);
    }
    nothing_left(&world, &[&first, &second, &away], &PLANTED);
    let items = world.org_json(&["review", "list"], &[]);
    assert_eq!(items.as_array().unwrap().len(), 1, "{items}");
    let item = items[0]["item"].as_str().unwrap();
    world.org(&["review", "resolve"], &[item, "--value", "0722222222"]).done();
    first.sync();
    assert_eq!(first.values(&record, "/data/phone"), ["0722222222"]);
    first.edit(&record, "/data/rooms=5").done();
    first.sync();
    let listed = world.org_json(&["records"], &[]);
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(world.org_json(&["records"], &[]), listed);
    let newcomer = world.device("four", "Omid");
    assert_eq!(newcomer.values(&record, "/data/rooms"), ["5"]);
}

#[test]
fn an_edit_made_without_seeing_another_stays_a_disagreement_across_an_erasure() {
    let world = world();
    let (first, away) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("household", &household("Qurban", PLANTED[1]));
    first.sync();
    away.sync();
    first.edit(&record, "/data/phone=0711111111").done();
    first.sync();
    away.edit(&record, "/data/phone=0722222222").done();
    world.org(&["erase"], &[&record, "--part", "/data/father_name", "--reason", "Asked for."]).done();
    for device in [&away, &away, &first] {
        device.sync();
    }
    assert_eq!(first.values(&record, "/data/phone"), ["0711111111", "0722222222"]);
    assert_eq!(values(&world.org_json(&["records", "show"], &[&record]), "/data/phone"), ["0711111111", "0722222222"]);
    assert!(first.values(&record, "/data/father_name").is_empty());
    nothing_left(&world, &[&first, &away], &PLANTED[1..]);
}

#[test]
fn what_a_visit_had_been_shown_of_an_erased_registration_goes_too_and_the_visit_stays() {
    let world = World::new(&[("household.xlsx", household_form().unwrap()), ("visit.xlsx", visit_form().unwrap())]);
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("household", &household(PLANTED[0], PLANTED[1]));
    first.sync();
    second.sync();
    let household = second.json(&["list"], &["--kind", "entity"])[0]["record"].as_str().unwrap().to_owned();
    let visit = second.fill("visit", &format!("household={household}\nphone=0722222222\nremarks=moved\n"));
    second.sync();
    first.sync();
    // One answer first, then all of it.
    world.org(&["erase"], &[&record, "--part", "/data/head_name", "--reason", "Wrong name."]).done();
    for device in [&first, &second] {
        device.sync();
        assert_eq!(device.values(&household, "phone"), ["0722222222"], "the household stays");
    }
    nothing_left(&world, &[&first, &second], &PLANTED[..1]);
    let erased = world.org_json(&["erase"], &[&record, "--reason", "Asked for by the family."]);
    assert_eq!(erased["also"], serde_json::json!([visit]), "{erased}");
    for device in [&first, &second] {
        device.sync();
        assert_eq!(device.values(&visit, "/data/remarks"), ["moved"]);
        assert_eq!(device.json(&["list"], &["--kind", "entity"]).as_array().unwrap().len(), 0, "nobody made the household");
    }
    nothing_left(&world, &[&first, &second], &PLANTED);
    let shown = world.org_json(&["records", "show"], &[&visit]);
    assert_eq!(shown["history"][0]["author"], "Karim");
    first.edit(&visit, "/data/remarks=moved again").done();
    first.sync();
    second.sync();
    assert_eq!(second.values(&visit, "/data/remarks"), ["moved again"]);
}
