//! What both databases must do alike, and what only PostgreSQL is for: several server processes over one database, killed and cut off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use karwan_server::database::{Connection, OptionalExtension, Value, postgres, sqlite};
use karwan_tests::postgres::Cluster;
use karwan_tests::workbook::{household_form, tally_form};
use karwan_tests::world::{CASELOAD, Device, Server, World};

const TABLE: &str = "CREATE TABLE thing(name TEXT PRIMARY KEY, size INTEGER, bytes BLOB)";
const TABLE_POSTGRES: &str = "CREATE TABLE thing(name TEXT PRIMARY KEY, size BIGINT, bytes BYTEA)";

/// The contract of `database::Driver`, on whichever database this is; `beside` is another connection to it.
fn keeps_the_contract(db: &Connection, beside: &Connection) {
    let put = "INSERT INTO thing(name, size, bytes) VALUES(?1, ?2, ?3) ON CONFLICT(name) DO UPDATE SET size = excluded.size";
    let size = |db: &Connection, name: &str| {
        db.query_row("SELECT size FROM thing WHERE name = ?1", [name], |row| row.get::<Option<i64>>(0)).optional().unwrap()
    };
    // Values come back as they went in.
    let row = vec![Value::Text("خانوار".to_owned()), Value::Integer(i64::MIN), Value::Blob(vec![0, 255, 0])];
    assert_eq!(db.execute(put, &row).unwrap(), 1);
    let read = db.query_row("SELECT name, size, bytes FROM thing", (), |row| {
        Ok((row.get::<String>(0)?, row.get::<i64>(1)?, row.get::<Vec<u8>>(2)?))
    });
    assert_eq!(read.unwrap(), ("خانوار".to_owned(), i64::MIN, vec![0, 255, 0]));
    assert!(db.query_row("SELECT name FROM thing", (), |row| row.get::<i64>(0)).is_err(), "a text is no number");
    assert_eq!(size(db, "nobody"), None);
    // A mark without a number follows the largest, and truth is a number.
    let both = db.query_row(
        "SELECT ?1 < size, name = ? FROM thing WHERE size < ?1",
        vec![Value::Integer(0), Value::Text("خانوار".into())],
        |row| Ok((row.get::<bool>(0)?, row.get::<bool>(1)?)),
    );
    assert_eq!(both.unwrap(), (false, true));
    // What is not committed is not there; others see all of a transaction or nothing.
    for commits in [false, true] {
        let transaction = db.transaction().unwrap();
        for name in ["a", "b"] {
            transaction.execute(put, vec![Value::Text(name.into()), Value::Integer(1), Value::Null]).unwrap();
        }
        assert_eq!((size(&transaction, "a"), size(beside, "a")), (Some(Some(1)), None));
        if commits {
            transaction.commit().unwrap();
        }
    }
    assert_eq!((size(beside, "a"), size(beside, "b")), (Some(Some(1)), Some(Some(1))));
    // What is put is seen by what follows in its transaction, and a failure is told at the latest when that is committed.
    let transaction = db.transaction().unwrap();
    transaction.put("UPDATE thing SET size = 5 WHERE name = 'a'", ()).unwrap();
    assert_eq!((size(&transaction, "a"), size(beside, "a")), (Some(Some(5)), Some(Some(1))));
    transaction.put("UPDATE thing SET size = 1 WHERE name = 'a'", ()).unwrap();
    transaction.commit().unwrap();
    let transaction = db.transaction().unwrap();
    transaction.put("UPDATE thing SET size = 6 WHERE name = 'a'", ()).unwrap();
    let told = transaction.put("INSERT INTO thing(name) VALUES('a')", ()).and_then(|()| transaction.commit());
    let told = told.unwrap_err().to_string();
    assert!(told.contains("UNIQUE") || told.contains("23505"), "{told}");
    assert_eq!((size(db, "a"), size(beside, "a")), (Some(Some(1)), Some(Some(1))));
    // A snapshot does not see what came after it began.
    let snapshot = beside.snapshot().unwrap();
    assert_eq!(size(&snapshot, "b"), Some(Some(1)));
    assert_eq!(db.execute("UPDATE thing SET size = 2 WHERE name = ?1", ["b"]).unwrap(), 1);
    assert_eq!(size(&snapshot, "b"), Some(Some(1)));
    drop(snapshot);
    assert_eq!(size(beside, "b"), Some(Some(2)));
    // Rows come in the order that was asked for, and no more than were asked for.
    let names = db.prepare("SELECT name FROM thing WHERE name IN (?1, ?2) ORDER BY name DESC LIMIT ?3");
    let names =
        names.query_map(vec![Value::Text("a".into()), Value::Text("b".into()), Value::Integer(1)], |row| row.get::<String>(0));
    assert_eq!(names.unwrap().collect::<Result<Vec<_>, _>>().unwrap(), ["b"]);
    assert!(db.prepare("SELECT 1 FROM thing WHERE name = ?1").exists(["a"]).unwrap());
    // After an error the connection goes on.
    let transaction = db.transaction().unwrap();
    assert!(transaction.execute("INSERT INTO thing(name) VALUES('a')", ()).is_err());
    drop(transaction);
    assert_eq!(size(db, "a"), Some(Some(1)));
}

#[test]
fn sqlite_keeps_the_contract_of_a_database() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("contract.db");
    keeps_the_contract(&sqlite::open(&path, &[TABLE]).unwrap(), &sqlite::open_to_read(&path).unwrap());
}

#[test]
fn postgresql_keeps_the_contract_of_a_database() {
    let Some(mut cluster) = Cluster::start() else { return };
    let place = postgres::Place::of(&cluster.database(), "contract").unwrap();
    let db = place.open(&[TABLE_POSTGRES]).unwrap();
    // Opened again, steps that were made are not made again.
    drop(place.open(&[TABLE_POSTGRES]).unwrap());
    assert_eq!(place.open(&[]).err().map(|problem| problem.code).as_deref(), Some("newer-database"));
    keeps_the_contract(&db, &place.connect().unwrap());
    // A transaction of which a statement failed is not committed, whoever overlooked the failure.
    let transaction = db.transaction().unwrap();
    transaction.execute("UPDATE thing SET size = 7 WHERE name = 'a'", ()).unwrap();
    assert!(transaction.execute("INSERT INTO thing(name) VALUES('a')", ()).is_err());
    assert!(transaction.commit().is_err());
    // A zero byte, which PostgreSQL keeps in no text, does not stop a row.
    db.execute("INSERT INTO thing(name) VALUES(?1)", ["a\0b"]).unwrap();
    // Its errors quote no row.
    let error = db.execute("INSERT INTO thing(name) VALUES(?1)", ["a\0b"]).unwrap_err().to_string();
    assert!(error.contains("23505") && !error.contains('\u{fffd}'), "{error}");
    cluster.go_away();
    assert!(db.query_row("SELECT 1", (), |row| row.get::<i64>(0)).is_err());
    assert!(!db.is_usable());
    cluster.go_on();
    assert_eq!(place.connect().unwrap().query_row("SELECT count(*) FROM thing", (), |row| row.get::<i64>(0)).unwrap(), 4);
}

/// Writers at once.
const WRITERS: u64 = 8;
/// Interviews that one writer makes between two syncs.
const AT_ONCE: u64 = 10;
/// How often a server is killed, and how many times.
const KILL_EVERY: Duration = Duration::from_secs(10);
const KILLS: u32 = 3;

/// What one writer made: how many interviews, and the sum of what they count.
fn write_until(over: &AtomicBool, device: &Device, writer: u64, servers: &[String; 2]) -> (u64, u64) {
    let (mut made, mut sum, mut round) = (0, 0, writer);
    while !over.load(Ordering::Relaxed) {
        let lines: Vec<String> = (0..AT_ONCE)
            .map(|number| {
                let adults = (writer * 31 + made + number) % 17;
                sum += adults;
                format!("{{\"/data/head_name\":\"Head {writer} {}\",\"/data/adults\":\"{adults}\"}}", made + number)
            })
            .collect();
        device.run_with_input(&["fill"], &["tally", "--answers", "-"], &lines.join("\n")).done();
        made += AT_ONCE;
        round += 1;
        // One that was killed a moment ago does not answer: the next round tries the other.
        device.run(&["sync"], &["--with", &servers[(round % 2) as usize]]);
    }
    (made, sum)
}

#[test]
fn eight_writers_through_two_servers_of_one_database_leave_no_gap_while_one_is_killed() {
    let Some(cluster) = Cluster::start() else { return };
    let mut world = World::over(cluster, &[("tally.xlsx", tally_form())]);
    let second = world.second_folder();
    let folders = [world.organisation(), second];
    let devices: Vec<Device> =
        (0..WRITERS).map(|writer| world.device(&format!("phone-{writer}"), &format!("Person {writer}"))).collect();
    let mut servers = [world.server.take(), Some(Server::start(&folders[1], "127.0.0.1:0"))];
    let addresses = [0, 1].map(|number: usize| servers[number].as_ref().unwrap().sync.clone());
    let over = AtomicBool::new(false);
    let written: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let writers: Vec<_> = devices
            .iter()
            .enumerate()
            .map(|(writer, device)| {
                let (over, addresses) = (&over, &addresses);
                scope.spawn(move || write_until(over, device, writer as u64, addresses))
            })
            .collect();
        for kill in 0..KILLS {
            std::thread::sleep(KILL_EVERY);
            let killed = kill as usize % 2;
            servers[killed].take().unwrap().kill();
            servers[killed] = Some(Server::start(&folders[killed], &addresses[killed]));
        }
        over.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let (made, sum) = written.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    println!("{WRITERS} writers, 2 servers, {KILLS} kills: {made} interviews, sum {sum}");
    assert!(made > 0);
    // Everything comes home, and to everybody, whichever server is asked.
    for round in 0..2usize {
        for (writer, device) in devices.iter().enumerate() {
            device.run(&["sync"], &["--with", &addresses[(writer + round) % 2], "--tries", "3"]).done();
        }
    }
    for (writer, device) in devices.iter().enumerate() {
        let synced = device.json(&["sync"], &["--with", &addresses[writer % 2], "--tries", "3"]);
        let listed = device.json(&["list"], &["--kind", "interview"]);
        let names: BTreeSet<&str> = listed.as_array().unwrap().iter().filter_map(|row| row["title"].as_str()).collect();
        assert_eq!(names.len() as u64, made, "phone-{writer} has not all: {synced}");
    }
    // No number of the log is lacking, and both servers read the same out of it.
    let address = std::fs::read_to_string(folders[0].join("database")).unwrap();
    let gaps = "SELECT count(*) - max(sequence), max(sequence) - (SELECT head FROM karwan.caseload) FROM karwan.entry";
    assert_eq!(world.cluster.as_ref().unwrap().ask(&address, gaps), ["0|0"]);
    for (number, folder) in folders.iter().enumerate() {
        let csv = world.path(&format!("csv-{number}"));
        let exported = ["export", folder.to_str().unwrap(), "--form", "tally", "--csv", csv.to_str().unwrap()];
        karwan_tests::command::run(&exported).done();
        let text = std::fs::read_to_string(csv.join("tally.csv")).unwrap();
        let mut rows = text.trim_start_matches('\u{feff}').lines();
        let column = rows.next().unwrap().split(',').position(|name| name == "adults").unwrap();
        let adults: Vec<u64> = rows.map(|row| row.split(',').nth(column).unwrap().parse().unwrap()).collect();
        assert_eq!((adults.len() as u64, adults.iter().sum::<u64>()), (made, sum), "server {number}");
    }
}

#[test]
fn a_server_whose_database_goes_away_says_when_to_come_again_and_loses_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let mut world = World::over(cluster, &[("household.xlsx", household_form().unwrap())]);
    let device = world.device("phone", "Farida");
    let before = device.fill("household", "head_name=Karim\nadults=2\n");
    device.sync();
    let process = world.server.as_ref().unwrap().id();
    world.cluster.as_mut().unwrap().go_away();
    let meanwhile = device.fill("household", "head_name=Zahra\nadults=3\n");
    let told = device.run(&["sync"], &["--json"]);
    println!("while the database is away: {told:?}");
    assert_ne!(told.status, 0);
    assert!(told.stderr.contains("busy") || told.stdout.contains("retry"), "expected a time to come again: {told:?}");
    world.cluster.as_mut().unwrap().go_on();
    let since = Instant::now();
    while device.run(&["sync"], &[]).status != 0 {
        assert!(since.elapsed() < Duration::from_secs(30), "the server does not find its database again");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(world.server.as_ref().unwrap().id(), process);
    for record in [before, meanwhile] {
        let shown = world.org_json(&["records", "show"], &[&record]);
        assert_eq!(shown["status"], "sent", "{shown}");
    }
    println!("in the caseload {CASELOAD}: all there");
}
