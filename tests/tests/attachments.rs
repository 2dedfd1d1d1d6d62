//! Files that answers refer to: they reach the server behind their records and other devices on demand, go with an erasure, and outlive a
//! restored server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use karwan_client::{AttachmentName, FileKey, Folder, Quiet, SystemClock};
use karwan_tests::secrets::{decrypted, needles, search};
use karwan_tests::workbook::photo_form;
use karwan_tests::world::{CASELOAD, Device, World};
use serde_json::Value;

/// What only the file says.
const PLANTED: &str = "Zarnigar-Sentinel on paper";
const BAD_INPUT: i32 = 3;
const REFUSED: i32 = 4;
const UNREACHABLE: i32 = 5;

fn world() -> World {
    World::new(&[("person.xlsx", photo_form().unwrap())])
}

/// A file with a planted text at its beginning and end; no two of the same seed and length differ.
fn file(world: &World, name: &str, seed: u8, length: usize) -> PathBuf {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_derive_key("test file").update(&[seed]).finalize_xof().fill(&mut bytes);
    let content = [PLANTED.as_bytes(), &bytes, PLANTED.as_bytes()].concat();
    let path = world.path(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn attach(device: &Device, record: &str, reference: &str, file: &Path) -> String {
    let answer = device.json(&["attach"], &[record, reference, file.to_str().unwrap()]);
    answer["attachment"].as_str().unwrap().to_owned()
}

/// The device through the library.
fn opened(device: &Device) -> karwan_client::Device {
    let key = FileKey::beside(&device.folder);
    karwan_client::Device::open(Folder::new(&device.folder), &key, std::sync::Arc::new(SystemClock::default())).unwrap()
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no {key} in {report}"))
}

#[test]
fn a_file_reaches_the_server_behind_its_record_and_another_device_on_demand() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("person", "name=Qurban\n");
    let (paper, photo) = (file(&world, "paper.PDF", 1, 200_000), file(&world, "photo.gif", 2, 3_000));
    let name = attach(&first, &record, "/data/paper", &paper);
    assert_eq!(name.parse::<AttachmentName>().unwrap().ending(), "pdf");
    attach(&first, &record, "/data/photo", &photo);
    first.run(&["attach"], &[&record, "/data/name", paper.to_str().unwrap()]).refused(BAD_INPUT);
    first.run(&["attach"], &[&record, "/data/paper", "/nowhere"]).refused(BAD_INPUT);
    let report = first.sync();
    assert_eq!((count(&report, "attachments_up"), count(&report, "attachments_waiting")), (2, 0), "{report}");
    assert!(count(&report, "attachment_bytes_up") > 203_000, "{report}");
    assert_eq!(count(&first.sync(), "attachments_up"), 0, "once is enough");

    let report = second.sync();
    assert_eq!(second.values(&record, "/data/paper"), [name]);
    assert_eq!(count(&report, "attachment_bytes_down"), 0, "nobody asked for it: {report}");
    let saved = world.path("saved.pdf");
    second.run(&["save"], &[&record, "/data/paper", saved.to_str().unwrap()]).done();
    assert_eq!(std::fs::read(&saved).unwrap(), std::fs::read(&paper).unwrap());
    second.run(&["save"], &[&record, "/data/paper", saved.to_str().unwrap()]).refused(BAD_INPUT);
    second.run(&["save"], &[&record, "/data/name", world.path("n").to_str().unwrap()]).refused(BAD_INPUT);
    // Encrypted where it lies, here and there.
    for folder in [world.organisation(), first.folder.clone(), second.folder.clone()] {
        assert!(search(&folder, &needles(&[PLANTED])).is_empty());
    }
    assert!(!search(decrypted(&second.folder).path(), &needles(&[PLANTED])).is_empty(), "the search finds what is there");
}

#[test]
fn the_file_of_a_draft_waits_with_it_and_one_that_is_nowhere_else_is_not_wiped() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("person", "name=Qurban\n");
    first.run(&["edit"], &[&record, "--set", "/data/name=Qurban Ali", "--draft"]).done();
    let (old, paper) = (file(&world, "old.pdf", 1, 10_000), file(&world, "paper.pdf", 2, 20_000));
    attach(&first, &record, "/data/paper", &old);
    attach(&first, &record, "/data/paper", &paper);
    assert_eq!(count(&first.sync(), "attachments_up"), 0);
    first.run(&["finalize"], &[&record]).done();
    // The record goes, the file does not: a device may be killed in between.
    first.run(&["wipe"], &[]).refused(REFUSED);
    let report = first.sync();
    assert_eq!(count(&report, "attachments_up"), 1, "the one that was replaced in the draft is gone: {report}");
    // What somebody refers to and nobody has brought.
    second.sync();
    let record = second.fill("person", &format!("name=Omid\npaper={}.jpg\n", "ab".repeat(32)));
    second.sync();
    second.run(&["save"], &[&record, "/data/paper", world.path("none").to_str().unwrap()]).refused(UNREACHABLE);
}

#[test]
fn a_device_gets_no_file_of_a_record_that_it_may_not_read() {
    let world = world();
    world.org(&["caseload", "add"], &["tehran"]).done();
    let first = world.device("one", "Laila");
    let record = first.fill("person", "name=Qurban\n");
    let name = attach(&first, &record, "/data/paper", &file(&world, "paper.pdf", 1, 10_000));
    first.sync();
    let invitation = world.org_json(&["invite"], &["--role", "enumerator", "--caseload", "tehran"]);
    let other = Device { folder: world.path("other") };
    other.run(&["enrol"], &[invitation["invitation"].as_str().unwrap(), "--name", "other", "--person", "Omid"]).done();
    other.sync();
    let ask = |device: &Device| {
        let (device, name): (_, AttachmentName) = (opened(device), name.parse().unwrap());
        device.want_attachment(&name).unwrap();
        let report = tokio::runtime::Runtime::new().unwrap().block_on(device.sync(None, &Quiet)).unwrap();
        (report.attachments.down, report.attachments.waiting)
    };
    assert_eq!(ask(&other), (0, 1));
    world.org(&["move"], &[&record, "--to", "tehran"]).done();
    assert_eq!(ask(&other), (1, 0), "it comes with the record");
    let away = world.device("two", "Karim");
    assert_eq!(ask(&away), (0, 1), "the record is in {CASELOAD} no more");
}

#[test]
fn an_erased_record_takes_its_files_along_and_one_that_two_records_share_stays() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let (record, neighbour) = (first.fill("person", "name=Qurban\n"), first.fill("person", "name=Omid\n"));
    let (own, shared) = (file(&world, "own.pdf", 1, 150_000), file(&world, "shared.gif", 2, 5_000));
    attach(&first, &record, "/data/paper", &own);
    let shared_name = attach(&first, &record, "/data/photo", &shared);
    attach(&first, &neighbour, "/data/photo", &shared);
    first.sync();
    second.sync();
    second.run(&["save"], &[&record, "/data/paper", world.path("a").to_str().unwrap()]).done();
    let files = || {
        let entries = std::fs::read_dir(world.organisation().join("attachments")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(files().len(), 2);
    let planted = needles(&[PLANTED]);
    assert_eq!(search(decrypted(&second.folder).path(), &planted).len(), 1);
    world.org(&["erase"], &[&record, "--reason", "Asked for by the family."]).done();
    assert_eq!(files(), [shared_name.split_once('.').unwrap().0]);
    for device in [&first, &second] {
        device.sync();
    }
    assert!(search(decrypted(&second.folder).path(), &planted).is_empty());
    second.run(&["save"], &[&neighbour, "/data/photo", world.path("b").to_str().unwrap()]).done();
    assert_eq!(std::fs::read(world.path("b")).unwrap(), std::fs::read(&shared).unwrap());
    // One answer of the other: the photograph goes and the person stays.
    world.org(&["erase"], &[&neighbour, "--part", "/data/photo", "--reason", "Wrong photograph."]).done();
    assert!(files().is_empty());
    for device in [&first, &second] {
        device.sync();
        assert!(search(decrypted(&device.folder).path(), &planted).is_empty());
    }
    assert_eq!(second.values(&neighbour, "/data/name"), ["Omid"]);
}

#[test]
fn a_restored_server_has_the_files_of_its_backup_and_is_brought_the_later_ones() {
    let mut world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("person", "name=Qurban\n");
    let (before, after) = (file(&world, "before.pdf", 1, 50_000), file(&world, "after.gif", 2, 60_000));
    attach(&first, &record, "/data/paper", &before);
    first.sync();
    let backup = world.path("backup");
    world.org(&["backup"], &[backup.to_str().unwrap()]).done();
    attach(&first, &record, "/data/photo", &after);
    first.sync();
    world.server.take().unwrap().kill();
    std::fs::remove_dir_all(world.organisation()).unwrap();
    karwan_tests::command::run(&["restore", backup.to_str().unwrap(), world.organisation().to_str().unwrap()]).done();
    world.serve();
    let report = first.sync();
    assert_eq!(count(&report, "attachments_up"), 2, "both are offered, one is sent: {report}");
    let bytes = count(&report, "attachment_bytes_up");
    assert!((60_000..61_000).contains(&bytes), "{report}");
    world.org(&["recovery", "close"], &[]).done();
    first.sync();
    second.sync();
    for (reference, file) in [("/data/paper", &before), ("/data/photo", &after)] {
        let saved = world.path(&format!("saved{}", reference.replace('/', "-")));
        second.run(&["save"], &[&record, reference, saved.to_str().unwrap()]).done();
        assert_eq!(std::fs::read(&saved).unwrap(), std::fs::read(file).unwrap());
    }
}
