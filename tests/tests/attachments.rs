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

#[test]
fn a_sweep_takes_only_what_no_change_speaks_of_and_only_after_its_time() {
    let mut world = world();
    let device = world.device("one", "Laila");
    let (record, neighbour) = (device.fill("person", "name=Qurban\n"), device.fill("person", "name=Omid\n"));
    attach(&device, &record, "/data/paper", &file(&world, "one.pdf", 1, 10_000));
    attach(&device, &neighbour, "/data/paper", &file(&world, "two.pdf", 2, 20_000));
    device.sync();
    world.server.take().unwrap().kill();
    // As a device leaves it that was killed before its record came.
    let database = rusqlite::Connection::open(world.organisation().join("karwan.db")).unwrap();
    let text = "DELETE FROM attachment_reference WHERE attachment = (SELECT hash FROM attachment ORDER BY length LIMIT 1)";
    assert_eq!(database.execute(text, []).unwrap(), 1);
    drop(database);
    std::fs::write(world.organisation().join("attachments").join("ab.unfinished"), b"begun").unwrap();
    let host = karwan_server::host::Host::open(&world.organisation()).unwrap();
    let now_ms = host.organisation.now_ms() + 1_000;
    let kept = host.organisation.sweep_attachments(now_ms, karwan_server::attachments::GRACE_MS).unwrap();
    assert_eq!(kept, karwan_server::attachments::Swept::default(), "its record may come");
    let swept = host.organisation.sweep_attachments(now_ms, 0).unwrap();
    assert_eq!((swept.attachments, swept.begun), (1, 1));
    assert_eq!(host.organisation.sweep_attachments(now_ms, 0).unwrap(), karwan_server::attachments::Swept::default());
    drop(host);
    let files = std::fs::read_dir(world.organisation().join("attachments")).unwrap().count();
    assert_eq!(files, 1, "the other is spoken of");
}

#[test]
fn a_paid_network_and_a_day_that_is_used_up_let_large_files_wait() {
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let record = first.fill("person", "name=Qurban\n");
    let (film, small) = (file(&world, "film.mp4", 1, 400_000), file(&world, "small.pdf", 2, 50_000));
    attach(&first, &record, "/data/paper", &film);
    attach(&first, &record, "/data/photo", &small);
    let report = first.json(&["sync"], &["--metered"]);
    assert_eq!((count(&report, "attachments_up"), count(&report, "attachments_waiting")), (1, 1), "{report}");
    let saver = first.json(&["data-saver"], &["150000"]);
    assert_eq!(count(&saver, "left_today"), 150_000);
    let report = first.sync();
    assert_eq!((count(&report, "attachments_up"), count(&report, "attachments_waiting")), (0, 1), "{report}");
    let sent = count(&report, "attachment_bytes_up");
    assert!((140_000..=150_000).contains(&sent), "{report}");
    assert!(count(&first.json(&["data-saver"], &[]), "left_today") <= 150_000 - sent);
    first.json(&["data-saver"], &["off"]);
    let report = first.sync();
    assert_eq!(count(&report, "attachments_up"), 1);
    assert!(count(&report, "attachment_bytes_up") <= 400_100 - sent, "it goes on where it was: {report}");
    // Down too: what is held stays, and the rest comes another day.
    second.sync();
    second.json(&["data-saver"], &["100000"]);
    let saved = world.path("saved");
    second.run(&["save"], &[&record, "/data/paper", saved.to_str().unwrap()]).refused(UNREACHABLE);
    let saver = second.json(&["data-saver"], &[]);
    assert_eq!(count(&saver, "left_today"), 0);
    second.json(&["data-saver"], &["off"]);
    second.run(&["save"], &[&record, "/data/paper", saved.to_str().unwrap()]).done();
    assert_eq!(std::fs::read(&saved).unwrap(), std::fs::read(&film).unwrap());
}

#[test]
fn a_device_lets_go_of_what_is_safe_at_the_server_and_fetches_it_again() {
    const OLD: usize = 400_000;
    let world = world();
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let free = |device: &Device, keep: usize| device.json(&["free-space"], &["--keep", &keep.to_string()]);
    let old = first.fill("person", "name=Qurban\n");
    attach(&first, &old, "/data/paper", &file(&world, "old.pdf", 1, OLD));
    let unsent = free(&first, 0);
    assert_eq!((count(&unsent, "freed"), count(&unsent, "needed")), (0, 1), "{unsent}");
    first.sync();
    let kept = free(&first, 0);
    assert_eq!((count(&kept, "freed"), count(&kept, "not_backed_up")), (0, 1), "it is in no backup: {kept}");
    // The first backup after it may have been made while the file was on its way.
    for (number, freed_by_then) in [(1, 0), (2, 1)] {
        world.org(&["backup"], &[world.path(&format!("backup-{number}")).to_str().unwrap()]).done();
        let later = first.fill("person", &format!("name=Later {number}\n"));
        attach(&first, &later, "/data/photo", &file(&world, &format!("later-{number}.gif"), 10 + number, 50_000));
        first.sync();
        let before = std::fs::metadata(first.folder.join("device.db")).unwrap().len();
        let freed = free(&first, 0);
        assert_eq!(count(&freed, "freed"), freed_by_then, "after backup {number}: {freed}");
        if freed_by_then == 1 {
            let after = std::fs::metadata(first.folder.join("device.db")).unwrap().len();
            assert!(count(&freed, "freed_bytes") >= OLD as u64 && before - after >= OLD as u64, "{before} and {after}: {freed}");
            assert_eq!(count(&freed, "not_backed_up"), 2, "the later ones stay: {freed}");
        }
    }
    let saved = world.path("saved.pdf");
    first.run(&["save"], &[&old, "/data/paper", saved.to_str().unwrap()]).done();
    assert_eq!(std::fs::read(&saved).unwrap(), std::fs::read(world.path("old.pdf")).unwrap());

    // What came from the server is there in any case: the oldest go until the rest is small enough.
    second.sync();
    second.run(&["save"], &[&old, "/data/paper", world.path("again.pdf").to_str().unwrap()]).done();
    assert_eq!(count(&free(&second, OLD * 2), "freed"), 0, "it is small enough");
    second.run(&["edit"], &[&old, "--set", "/data/name=Qurban Ali", "--draft"]).done();
    assert_eq!(count(&free(&second, 0), "freed"), 0, "a draft shows it");
    second.run(&["finalize"], &[&old]).done();
    assert_eq!(count(&free(&second, 0), "freed"), 0, "its record is not sent");
    second.sync();
    let freed = free(&second, 0);
    assert_eq!((count(&freed, "freed"), count(&freed, "bytes")), (1, 0), "{freed}");
    assert!(search(decrypted(&second.folder).path(), &needles(&[PLANTED])).is_empty());
    second.run(&["save"], &[&old, "/data/paper", world.path("once-more.pdf").to_str().unwrap()]).done();
    assert_eq!(std::fs::read(world.path("once-more.pdf")).unwrap(), std::fs::read(&saved).unwrap());
}

#[test]
fn a_photograph_is_made_as_small_as_the_form_asks() {
    let world = world();
    let device = world.device("one", "Laila");
    let record = device.fill("person", "name=Qurban\n");
    let path = world.path("photo.png");
    let photo = image::RgbImage::from_fn(1_000, 500, |x, y| image::Rgb([(x % 256) as u8, (y % 256) as u8, 90]));
    photo.save(&path).unwrap();
    attach(&device, &record, "/data/photo", &path);
    let saved = world.path("saved.png");
    device.run(&["save"], &[&record, "/data/photo", saved.to_str().unwrap()]).done();
    let smaller = image::open(&saved).unwrap();
    assert_eq!((smaller.width(), smaller.height()), (320, 160));
    // A question that asks for no size gets the file as it is.
    attach(&device, &record, "/data/paper", &path);
    let whole = world.path("whole.png");
    device.run(&["save"], &[&record, "/data/paper", whole.to_str().unwrap()]).done();
    assert_eq!(std::fs::read(&whole).unwrap(), std::fs::read(&path).unwrap());
}
