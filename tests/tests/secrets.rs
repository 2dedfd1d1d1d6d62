//! Planted names, numbers and words of an interview are in no file of a device but inside the encryption; the search that
//! says so is shown to find them in a plain copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use karwan_tests::command::karwan;
use karwan_tests::secrets::{Needle, needles, search};
use karwan_tests::workbook::household_form;
use karwan_tests::world::World;

/// What is planted: a name with Arabic letters, a phone in Persian digits, a Latin word.
const PLANTED: [&str; 3] = ["عليرضا كريمي‌نژاد", "۰۹۱۲۳۴۵۶۷۸۹", "Zarnigar-Sentinel"];

fn planted_needles() -> Vec<Needle> {
    needles(&PLANTED)
}

#[test]
fn the_search_finds_planted_values_in_a_plain_copy() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("plain.txt"), "head: عليرضا كريمي‌نژاد; phone ۰۹۱۲۳۴۵۶۷۸۹").unwrap();
    let utf16: Vec<u8> = "xx Zarnigar-Sentinel".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(folder.path().join("utf16.bin"), utf16).unwrap();
    // Folded letters and digits, as a search index would hold them.
    std::fs::write(folder.path().join("folded.txt"), "علیرضاکریمینژاد 09123456789").unwrap();
    let found = search(folder.path(), &planted_needles());
    for (file, least) in [("plain.txt", 2), ("utf16.bin", 1), ("folded.txt", 2)] {
        let hits = found.iter().filter(|hit| hit.file.ends_with(file)).count();
        assert!(hits >= least, "{file}: {found:?}");
    }
}

#[test]
fn a_device_and_its_surroundings_hold_no_planted_value_in_the_clear() {
    let world = World::new(&[("household.xlsx", household_form().unwrap())]);
    let device = world.device("phone", "Laila");
    let temporary = world.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    // A draft, a finished interview, a search: each may leave something behind, also in temporary files and in logs.
    let answers = world.path("answers");
    std::fs::write(
        &answers,
        format!("head_name={}\nphone={}\nfather_name={}\nadults=1\nchildren=0\nrooms=1\n", PLANTED[0], PLANTED[1], PLANTED[2]),
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(karwan())
            .args(arguments)
            .env("TMPDIR", &temporary)
            .env("SQLITE_TMPDIR", &temporary)
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        std::fs::write(
            temporary.join(format!("log-{}", arguments.join("-").replace('/', "_").chars().take(60).collect::<String>())),
            &output.stderr,
        )
        .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let folder = device.folder.to_str().unwrap();
    let answers_path = answers.to_str().unwrap();
    run(&["device", "fill", folder, "household", "--answers", answers_path]);
    run(&["device", "fill", folder, "household", "--answers", answers_path, "--draft"]);
    run(&["device", "list", folder, "--search", PLANTED[2], "--json"]);
    run(&["device", "sync", folder]);
    std::fs::remove_file(&answers).unwrap();
    let hits = search(&device.folder, &planted_needles());
    assert!(hits.is_empty(), "in the device's files: {hits:?}");
    let hits = search(&temporary, &planted_needles());
    assert!(hits.is_empty(), "in temporary files or logs: {hits:?}");
}

#[test]
fn a_device_database_opened_without_its_key_shows_nothing() {
    let world = World::new(&[("household.xlsx", household_form().unwrap())]);
    let device = world.device("phone", "Laila");
    device.fill("household", &format!("head_name={}\nadults=1\nchildren=0\nrooms=1\n", PLANTED[0]));
    let mut databases = 0;
    for entry in walk(&device.folder) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.starts_with(b"SQLite format 3"), "{} is a plain database", entry.display());
        if entry.extension().is_some_and(|extension| extension == "db") {
            databases += 1;
            let plain = rusqlite::Connection::open(&entry).unwrap();
            let read = plain.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0));
            assert!(read.is_err(), "{} opens without its key", entry.display());
        }
    }
    assert!(databases > 0, "no database in {}", device.folder.display());
    // Without its key the device says so, and how to mend it.
    let key = device.folder.with_extension("key");
    std::fs::rename(&key, world.path("elsewhere")).unwrap();
    device.run(&["list"], &["--json"]).refused(4);
    std::fs::rename(world.path("elsewhere"), &key).unwrap();
    assert_eq!(device.json(&["list"], &[]).as_array().map(Vec::len), Some(2), "the interview and the household");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
