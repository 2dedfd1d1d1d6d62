//! An organisation in PostgreSQL is backed up while devices write, and comes back as a folder or in another database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use karwan_tests::command::{Answer, run};
use karwan_tests::postgres::Cluster;
use karwan_tests::workbook::tally_form;
use karwan_tests::world::{CASELOAD, Device, World};
use rusqlite::Connection;

/// Writers at once.
const WRITERS: u64 = 8;
/// Interviews that one writer makes between two syncs.
const AT_ONCE: u64 = 10;
/// Backups while they write, and how long after one another.
const BACKUPS: usize = 3;
const EVERY: Duration = Duration::from_secs(3);
const INPUT: i32 = 3;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn restore(file: &Path, to: &Path, rest: &[&str]) -> Answer {
    run(&[&["restore", text(file), text(to)], rest].concat())
}

/// Fills and syncs until it is over; gives how many interviews it made.
fn write_until(over: &AtomicBool, device: &Device, writer: u64) -> u64 {
    let mut made = 0;
    while !over.load(Ordering::Relaxed) {
        let lines: Vec<String> = (made..made + AT_ONCE)
            .map(|number| format!("{{\"/data/head_name\":\"Head {writer} {number}\",\"/data/adults\":\"{}\"}}", number % 9))
            .collect();
        device.run_with_input(&["fill"], &["tally", "--answers", "-"], &lines.join("\n")).done();
        made += AT_ONCE;
        device.run(&["sync"], &["--tries", "3"]).done();
    }
    made
}

fn titles(listed: &serde_json::Value) -> BTreeSet<String> {
    listed.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

/// The database of a restored folder, with the keys beside it.
fn opened(folder: &Path) -> Connection {
    let db = Connection::open(folder.join("karwan.db")).unwrap();
    db.execute("ATTACH ?1 AS keys", [text(&folder.join("keys.db"))]).unwrap();
    db
}

/// How many entries the logs of a restored folder have, of which none is lacking and none cannot be read.
fn whole(folder: &Path) -> u64 {
    let db = opened(folder);
    let count = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
    for lacking in [
        "SELECT count(*) FROM caseload WHERE head <> (SELECT count(*) FROM entry WHERE caseload = id)",
        "SELECT count(*) FROM caseload WHERE head <> (SELECT coalesce(max(sequence), 0) FROM entry WHERE caseload = id)",
        "SELECT count(*) FROM entry WHERE envelope NOT IN (SELECT hash FROM envelope)",
        "SELECT count(*) FROM envelope WHERE hash NOT IN (SELECT envelope FROM change UNION SELECT envelope FROM pruned)",
        "SELECT count(*) FROM change WHERE (record, generation) NOT IN (SELECT record, generation FROM keys.record_key)",
    ] {
        assert_eq!(count(lacking), 0, "{lacking}");
    }
    count("SELECT sum(head) FROM caseload")
}

/// What of a table is compared, in the words of both databases: bytes as hexadecimal digits.
const COMPARED: [(&str, &str, &str); 8] = [
    ("membership", "position", "bytes chain"),
    ("entry", "sequence", "caseload bytes chain envelope"),
    ("envelope", "sequence counter role testified rowid", "hash caseload device incarnation header signature"),
    ("change", "position generation", "envelope caseload record payload"),
    ("verdict", "verdict reason", "envelope record"),
    ("directory", "version kind name", "id"),
    ("form", "rowid form_id version title file_name media retired", "hash caseload"),
    ("record_key", "generation", "record key"),
];

fn rows(of_folder: &Connection, cluster: &Cluster, address: &str) -> [Vec<String>; 2] {
    let [mut folder, mut database] = [Vec::new(), Vec::new()];
    for (table, plain, bytes) in COMPARED {
        let columns = |bytes_as: &dyn Fn(&str) -> String| {
            let plain = plain.split(' ').map(str::to_owned);
            plain.chain(bytes.split(' ').map(bytes_as)).collect::<Vec<_>>().join(" || '|' || ")
        };
        let query = format!("SELECT {} FROM {table}", columns(&|column| format!("coalesce(lower(hex({column})), '')")));
        let mut statement = of_folder.prepare(&query).unwrap();
        folder.extend(
            statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(|row| format!("{table} {}", row.unwrap())),
        );
        let schema = if table == "record_key" { "karwan_keys" } else { "karwan" };
        let columns = columns(&|column| format!("coalesce(encode({column}, 'hex'), '')"));
        database.extend(
            cluster.ask(address, &format!("SELECT {columns} FROM {schema}.{table}")).iter().map(|row| format!("{table} {row}")),
        );
    }
    folder.sort();
    database.sort();
    [folder, database]
}

#[test]
fn a_backup_taken_while_devices_write_is_whole_and_what_came_after_it_comes_back() {
    let Some(cluster) = Cluster::start() else { return };
    let mut world = World::over(cluster, &[("tally.xlsx", tally_form())]);
    let devices: Vec<Device> =
        (0..WRITERS).map(|writer| world.device(&format!("phone-{writer}"), &format!("Person {writer}"))).collect();
    let over = AtomicBool::new(false);
    let mut backups: Vec<PathBuf> = Vec::new();
    let back_up = |number: usize| {
        let file = world.path(&format!("backup-{number}"));
        let told = world.org_json(&["backup"], &[text(&file)]);
        println!("{told}");
        file
    };
    let made: u64 = std::thread::scope(|scope| {
        let over = &over;
        let write = |(writer, device)| scope.spawn(move || write_until(over, device, writer));
        let writers: Vec<_> = (0..WRITERS).zip(&devices).map(write).collect();
        for number in 0..BACKUPS {
            std::thread::sleep(EVERY);
            backups.push(back_up(number));
        }
        over.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let entries: Vec<u64> = backups
        .iter()
        .enumerate()
        .map(|(number, file)| {
            let folder = world.path(&format!("restored-{number}"));
            restore(file, &folder, &[]).done();
            whole(&folder)
        })
        .collect();
    println!("{made} interviews by {WRITERS} writers, entries in each backup: {entries:?}");
    assert!(entries.is_sorted() && entries.first() < entries.last(), "{entries:?}");

    // Of an organisation at rest all is in it, as it is.
    for device in devices.iter().chain(&devices) {
        device.sync();
    }
    let last = back_up(BACKUPS);
    let restored = world.path("restored-last");
    restore(&last, &restored, &[]).done();
    whole(&restored);
    let address = std::fs::read_to_string(world.organisation().join("database")).unwrap();
    let [folder, database] = rows(&opened(&restored), world.cluster.as_ref().unwrap(), &address);
    assert!(folder.len() as u64 > made && folder == database, "{} and {} rows differ", folder.len(), database.len());
    let expected = titles(&world.org_json(&["records"], &["--kind", "interview"]));

    // The database is lost; what came after the first backup comes home.
    drop(world.server.take());
    std::fs::remove_dir_all(world.organisation()).unwrap();
    restore(&backups[0], &world.organisation(), &[]).done();
    world.cluster = None;
    world.serve();
    for device in &devices {
        device.sync();
    }
    let closed = world.org_json(&["recovery", "close"], &[]);
    assert_eq!(closed["rejected"], 0, "{closed}");
    let (found, devices) = (titles(&world.org_json(&["records"], &["--kind", "interview"])), &devices);
    assert_eq!((found.len() as u64, found == expected), (made, true));
    devices[0].sync();
    assert_eq!(titles(&devices[0].json(&["list"], &["--kind", "interview"])), expected);
}

#[test]
fn a_backup_comes_back_in_another_database_where_its_numbers_go_on() {
    let Some(cluster) = Cluster::start() else { return };
    let mut world = World::over(cluster, &[("tally.xlsx", tally_form())]);
    let device = world.device("phone", "Laila");
    let erased = device.fill("tally", "head_name=Erased\nadults=1\n");
    device.fill("tally", "head_name=Before\nadults=2\n");
    device.sync();
    world.org(&["erase"], &[&erased, "--reason", "asked for"]).done();
    device.sync();
    let file = world.path("backup");
    world.org(&["backup"], &[text(&file)]).done();
    device.fill("tally", "head_name=After\nadults=3\n");
    device.sync();
    let taken = std::fs::read_to_string(world.organisation().join("database")).unwrap();
    drop(world.server.take());
    std::fs::remove_dir_all(world.organisation()).unwrap();

    let organisation = world.organisation();
    let refused = restore(&file, &organisation, &["--database", &taken]).refused(INPUT);
    assert!(refused.stderr.contains("there is an organisation"), "{refused:?}");
    assert!(!organisation.exists(), "nothing is left of a restore that was refused");
    let other = world.cluster.as_ref().unwrap().database();
    restore(&file, &organisation, &["--database", &other]).done();
    assert!(!organisation.join("karwan.db").exists() && !organisation.join("keys.db").exists());
    world.serve();
    device.sync();
    let second = world.path("second.xlsx");
    world.org(&["recovery", "close"], &[]).done();
    // Whatever counts its rows goes on: people, caseloads, forms, envelopes, decisions.
    world.org(&["caseload", "add"], &["another"]).done();
    std::fs::write(&second, tally_form()).unwrap();
    world.org(&["form", "add"], &[text(&second), "--caseload", "another"]).done();
    let joined = world.device("phone-2", "Zahra");
    let kept = joined.fill("tally", "head_name=Later\nadults=4\n");
    joined.sync();
    device.sync();
    let gone = device.fill("tally", "head_name=Gone\nadults=5\n");
    device.sync();
    world.org(&["erase"], &[&gone, "--reason", "asked for, too"]).done();
    let expected: BTreeSet<String> = ["Before", "After", "Later"].map(str::to_owned).into();
    assert_eq!(titles(&world.org_json(&["records"], &["--kind", "interview"])), expected);
    for device in [&device, &joined] {
        device.sync();
        assert_eq!(titles(&device.json(&["list"], &["--kind", "interview"])), expected, "in {CASELOAD}");
    }
    assert_eq!(world.org_json(&["records", "show"], &[&kept])["status"], "sent");
    // And a backup of it is one again.
    let again = world.path("again");
    world.org(&["backup"], &[text(&again)]).done();
    restore(&again, &world.path("folder"), &[]).done();
    whole(&world.path("folder"));
}
