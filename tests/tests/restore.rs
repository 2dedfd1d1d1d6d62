//! A server is lost and made again from a backup: what came after it comes back from the devices, authority before records, and nothing
//! that was acknowledged is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::workbook::{household_form, workbook};
use karwan_tests::world::{CASELOAD, Device, World, values};
use serde_json::Value;

const REFUSED: i32 = 4;
const INPUT: i32 = 3;
const FOLDER: i32 = 6;

fn household(name: &str) -> String {
    format!(
        "head_name={name}\nfather_name=محمد\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food\ndestination=herat\nstatus=registered\n"
    )
}

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

fn second_form() -> Vec<u8> {
    workbook(&[
        ("survey", &[&["type", "name", "label"], &["text", "remarks", "Remarks"]]),
        ("settings", &[&["form_title", "form_id", "version"], &["Second", "second", "1"]]),
    ])
    .unwrap()
}

fn backup(world: &World) {
    let file = world.path("backup");
    let written = world.org_json(&["backup"], &[file.to_str().unwrap()]);
    assert!(written["bytes"].as_u64().unwrap() > 1_000, "{written}");
}

/// Takes the server away with its folder, and makes it again from the backup.
fn restore(world: &mut World) {
    drop(world.server.take());
    std::fs::remove_dir_all(world.organisation()).unwrap();
    let (file, organisation) = (world.path("backup"), world.organisation());
    // Where it was in a database it goes into another.
    let database = world.cluster.as_ref().map(karwan_tests::postgres::Cluster::database);
    let mut arguments = vec!["restore", file.to_str().unwrap(), organisation.to_str().unwrap(), "--json"];
    arguments.extend(database.iter().flat_map(|address| ["--database", address.as_str()]));
    let answer = karwan_tests::command::run(&arguments);
    assert_eq!(answer.done().json()["recovering"], true);
    world.serve();
}

fn close(world: &World) -> Value {
    world.org_json(&["recovery", "close"], &[])
}

/// Records by identifier and title, sorted, as the server or a device lists them.
fn titles(listed: &Value) -> Vec<(String, String)> {
    let rows = listed.as_array().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = rows.iter().map(|row| (text(row, "record"), text(row, "title"))).collect();
    found.sort();
    found
}

fn of_server(world: &World) -> Vec<(String, String)> {
    titles(&world.org_json(&["records"], &["--kind", "interview"]))
}

fn of_device(device: &Device) -> Vec<(String, String)> {
    titles(&device.json(&["list"], &["--kind", "interview"]))
}

#[test]
fn what_came_after_the_backup_comes_back_from_the_devices() {
    let mut world = world();
    let (laila, karim) = (world.device("phone-l", "Laila"), world.device("phone-k", "Karim"));
    let before = laila.fill("household", &household("before"));
    laila.sync();
    karim.sync();
    backup(&world);

    // Work goes on: a new record, a disagreement that is decided, a second form, a device that joins.
    laila.fill("household", &household("after"));
    laila.edit(&before, "/data/phone=0711111111").done();
    karim.edit(&before, "/data/phone=0722222222").done();
    laila.sync();
    karim.sync();
    let items = world.org_json(&["review", "list"], &[]);
    world.org(&["review", "resolve"], &[items[0]["item"].as_str().unwrap(), "--value", "0722222222"]).done();
    let second = world.path("second.xlsx");
    std::fs::write(&second, second_form()).unwrap();
    world.org(&["form", "add"], &[second.to_str().unwrap(), "--caseload", CASELOAD]).done();
    let zahra = world.device("phone-z", "Zahra");
    zahra.fill("household", &household("by one who joined later"));
    zahra.sync();
    laila.sync();
    karim.sync();
    let (expected, dump) = (of_server(&world), shown(&world));
    assert_eq!(expected.len(), 3);

    restore(&mut world);
    let refused = world.org(&["caseload", "add"], &["other"]).refused(REFUSED);
    assert!(refused.stderr.contains("recovery close"), "{refused:?}");
    assert_eq!(of_server(&world).len(), 1);
    // The one who joined after the backup comes first: the server learns of it by what it brings.
    for device in [&zahra, &karim, &laila] {
        let report = device.sync();
        assert_eq!(report["recovering"], true, "{report}");
        assert_eq!(report["refused"], serde_json::json!([]), "{report}");
        assert_eq!(of_device(device), expected, "nothing is taken from a device meanwhile");
        // What was held is held on the disk.
        world.kill_and_serve();
    }
    assert_eq!(of_server(&world).len(), 1, "nothing counts before recovery is closed");
    let status = world.org_json(&["recovery", "status"], &[]);
    assert_eq!(status["devices_away"], serde_json::json!([]), "{status}");
    let closed = close(&world);
    assert_eq!(closed["rejected"], 0, "{closed}");
    assert_eq!(closed["forms"], serde_json::json!(["second 1"]), "{closed}");
    assert_eq!(of_server(&world), expected);
    assert_eq!(shown(&world), dump, "values, authors and decisions are what they were");
    assert_eq!(world.org_json(&["review", "list"], &[]), serde_json::json!([]));
    for device in [&laila, &karim, &zahra] {
        let report = device.sync();
        assert_eq!(report["not_applied"], Value::Null, "{report}");
        assert_eq!(of_device(device), expected);
        assert_eq!(device.values(&before, "/data/phone"), ["0722222222"]);
        let idle = device.sync();
        assert_eq!((idle["round_trips"].as_u64(), idle["envelopes_up"].as_u64()), (Some(1), Some(0)), "{idle}");
    }
    let names: Vec<Value> = world.org_json(&["devices"], &[]).as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["phone-l", "phone-k", "phone-z"]);
    world.org(&["projection", "rebuild"], &[]).done();
    assert_eq!(shown(&world), dump);
    // And the organisation lives on.
    zahra.fill("second", "remarks=in the form that came back\n");
    zahra.sync();
    assert_eq!(of_server(&world).len(), 4);
}

/// All records with their values, and who wrote them, as the server shows them.
fn shown(world: &World) -> Vec<Value> {
    let mut records: Vec<String> = of_server(world).into_iter().map(|(record, _)| record).collect();
    records.sort();
    records.iter().map(|record| world.org_json(&["records", "show"], &[record])["values"].clone()).collect()
}

#[test]
fn a_revocation_that_the_server_forgot_holds_whoever_comes_home_first() {
    for revoked_comes_first in [true, false] {
        let mut world = world();
        let (thief, honest) = (world.device("stolen", "Nobody"), world.device("phone", "Laila"));
        backup(&world);
        let counted = thief.fill("household", &household("before it was stolen"));
        thief.sync();
        honest.sync();
        world.org(&["devices", "revoke"], &["stolen"]).done();
        honest.sync();
        let planted = thief.fill("household", &household("after it was stolen"));

        restore(&mut world);
        if revoked_comes_first {
            thief.sync();
            honest.sync();
        } else {
            honest.sync();
            thief.run(&["sync"], &[]);
        }
        close(&world);
        honest.sync();
        let listed: Vec<String> = of_server(&world).into_iter().map(|(record, _)| record).collect();
        assert!(listed.contains(&counted), "what counted before the revocation counts: {listed:?}");
        assert!(!listed.contains(&planted), "first {revoked_comes_first}: {listed:?}");
        assert_eq!(of_device(&honest), of_server(&world));
        let devices = world.org_json(&["devices"], &[]);
        assert!(devices.as_array().unwrap().iter().any(|row| row["name"] == "stolen" && row["revoked"] == true), "{devices}");
    }
}

#[test]
fn a_device_that_comes_home_after_recovery_was_closed_still_brings_back_what_is_lacking() {
    let mut world = world();
    let (early, late) = (world.device("early", "Laila"), world.device("late", "Karim"));
    backup(&world);
    let lost = early.fill("household", &household("known to one other device only"));
    early.sync();
    late.sync();
    // The device that made it is lost with the server.
    std::fs::remove_dir_all(&early.folder).unwrap();
    let (third, fourth) = (world.device("third", "Zahra"), world.device("fourth", "Omid"));
    world.org(&["devices", "revoke"], &["third"]).done();
    late.sync();

    restore(&mut world);
    // Nobody is home yet. The revoked device comes, and its work counts as long as nobody knows better.
    let planted = third.fill("household", &household("by a revoked device"));
    third.sync();
    close(&world);
    assert!(of_server(&world).iter().any(|(record, _)| *record == planted));
    // Somebody honest goes on from it.
    fourth.sync();
    fourth.edit(&planted, "/data/rooms=9").done();
    fourth.sync();
    let report = late.sync();
    assert_eq!(report["refused"], serde_json::json!([]), "{report}");
    let listed: Vec<String> = of_server(&world).into_iter().map(|(record, _)| record).collect();
    assert_eq!(listed, [lost], "the revocation holds as soon as one who held it has come");
    assert_eq!(of_device(&late), of_server(&world));
    fourth.run(&["sync"], &[]);
    assert_eq!(of_device(&fourth), of_server(&world), "what stood on it waits with it");
    // Adopted, both count.
    world.org(&["review", "adopt"], &["third"]).done();
    assert_eq!(values(&world.org_json(&["records", "show"], &[&planted]), "/data/rooms"), ["9"]);
    late.sync();
    fourth.sync();
    assert_eq!(of_device(&late), of_server(&world));
    assert_eq!(of_device(&fourth), of_server(&world));
}

#[test]
fn a_backup_is_whole_or_refused_and_writes_over_nothing() {
    let mut world = world();
    let device = world.device("phone", "Laila");
    device.fill("household", &household("kept"));
    device.sync();
    backup(&world);
    let (file, keys) = (world.path("backup"), world.path("backup.keys"));
    let file_text = file.to_str().unwrap().to_owned();
    world.org(&["backup"], &[&file_text]).refused(INPUT);
    // Where a server runs; where there is something else; a changed byte; keys that are missing.
    let organisation = world.organisation();
    let restore_to = |from: &std::path::Path, to: &std::path::Path| {
        karwan_tests::command::run(&["restore", from.to_str().unwrap(), to.to_str().unwrap()])
    };
    restore_to(&file, &organisation).refused(FOLDER);
    drop(world.server.take());
    restore_to(&file, &organisation).refused(INPUT);
    let elsewhere = world.path("elsewhere");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = world.path("damaged");
    std::fs::write(&damaged, &bytes).unwrap();
    std::fs::copy(&keys, world.path("damaged.keys")).unwrap();
    restore_to(&damaged, &elsewhere).refused(INPUT);
    std::fs::remove_file(&keys).unwrap();
    restore_to(&file, &elsewhere).refused(INPUT);
    assert!(!elsewhere.exists(), "nothing is left of a restore that was refused");
    std::fs::rename(world.path("damaged.keys"), &keys).unwrap();
    restore_to(&file, &elsewhere).done();
    let listed =
        karwan_tests::command::run(&["records", elsewhere.to_str().unwrap(), "--kind", "interview", "--json"]).done().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

/// Copies a folder; what is there before goes.
fn put(from: &std::path::Path, to: &std::path::Path) {
    std::fs::remove_dir_all(to).ok();
    let status = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_older_copy_of_the_folder_that_nobody_restored_gets_back_what_it_lacks() {
    let mut world = world();
    if world.cluster.is_some() {
        println!("skipped: no copy of the folder holds what is in PostgreSQL");
        return;
    }
    let (laila, karim) = (world.device("phone-l", "Laila"), world.device("phone-k", "Karim"));
    let record = laila.fill("household", &household("first"));
    laila.sync();
    karim.sync();
    let (copy, organisation) = (world.path("copy"), world.organisation());
    drop(world.server.take());
    put(&organisation, &copy);
    world.serve();
    karim.edit(&record, "/data/rooms=9").done();
    karim.fill("household", &household("second"));
    karim.sync();
    laila.sync();
    world.org(&["devices", "revoke"], &["phone-k"]).done();
    laila.sync();
    let (expected, dump) = (of_server(&world), shown(&world));

    drop(world.server.take());
    put(&copy, &organisation);
    for leftover in ["control.sock", "lock"] {
        std::fs::remove_file(organisation.join(leftover)).ok();
    }
    world.serve();
    assert_eq!(of_server(&world).len(), 1);
    // Laila has all that Karim sent, and the entry that revoked his phone.
    let report = laila.sync();
    assert_eq!(report["refused"], serde_json::json!([]), "{report}");
    assert_eq!(of_server(&world), expected);
    assert_eq!(shown(&world), dump);
    karim.run(&["sync"], &[]).refused(REFUSED);
    assert_eq!(of_device(&laila), expected);
    let idle = laila.sync();
    assert_eq!((idle["round_trips"].as_u64(), idle["envelopes_up"].as_u64()), (Some(1), Some(0)), "{idle}");
}

#[test]
fn a_device_put_back_to_an_older_copy_or_without_its_database_loses_nothing() {
    let world = world();
    let (phone, other) = (world.device("phone", "Laila"), world.device("other", "Karim"));
    let sent = phone.fill("household", &household("sent"));
    phone.sync();
    let unsent = phone.fill("household", &household("unsent when it was copied"));
    phone.edit(&sent, "/data/rooms=7").done();
    let older = world.path("older.db");
    std::fs::copy(phone.folder.join("device.db"), &older).unwrap();
    phone.edit(&sent, "/data/rooms=8").done();
    phone.sync();
    other.sync();
    other.edit(&sent, "/data/phone=0722222222").done();
    other.sync();
    let put_back = |database: Option<&std::path::Path>| {
        for name in ["device.db", "device.db-wal", "device.db-shm"] {
            std::fs::remove_file(phone.folder.join(name)).ok();
        }
        if let Some(database) = database {
            std::fs::copy(database, phone.folder.join("device.db")).unwrap();
        }
    };
    for (database, rooms) in [(Some(older.as_path()), "9"), (None, "10")] {
        put_back(database);
        if database.is_some() {
            phone.edit(&sent, &format!("/data/rooms={rooms}")).done();
        } else {
            phone.sync();
            phone.edit(&sent, &format!("/data/rooms={rooms}")).done();
        }
        let report = phone.sync();
        assert_eq!(report["refused"], serde_json::json!([]), "{report}");
        assert_eq!(report["not_applied"], Value::Null, "{report}");
        other.sync();
        assert_eq!(of_device(&phone), of_server(&world));
        assert!(of_device(&phone).iter().any(|(record, _)| *record == unsent));
        for record in [&sent, &unsent] {
            let values = |device: &Device| device.json(&["show"], &[record])["values"].clone();
            assert_eq!(values(&phone), values(&other));
        }
        assert!(phone.values(&sent, "/data/rooms").contains(&rooms.to_owned()));
        assert_eq!(phone.values(&sent, "/data/phone"), ["0722222222"]);
        let items = world.org_json(&["review", "list"], &[]);
        assert!(!items.to_string().contains("quarantined"), "{items}");
    }
}
