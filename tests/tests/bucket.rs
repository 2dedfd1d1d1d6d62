//! Attachments in a bucket: a server speaks S3's protocol to one (moto's, a process of its own on the loopback), two servers of one database share
//! it, and what is erased leaves it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use karwan_tests::ports::steady_port;
use karwan_tests::postgres::Cluster;
use karwan_tests::workbook::photo_form;
use karwan_tests::world::{Device, Server, World};

/// How long the bucket's server may take to answer after it was started.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_mins(1);
const BAD_INPUT: i32 = 3;
const UNREACHABLE: i32 = 5;

/// A server for S3's protocol with one bucket in memory.
struct S3 {
    child: Option<Child>,
    program: PathBuf,
    port: u16,
}

impl S3 {
    /// Starts it; `None`, with a line that says so, where it is not installed.
    fn start() -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tests/venv/bin/moto_server");
        if !program.exists() {
            println!("skipped: no moto_server in target/tests/venv (tests/run installs it)");
            return None;
        }
        let mut s3 = Self { child: None, program, port: steady_port() };
        s3.go_on();
        s3.ask("PUT", "/files");
        Some(s3)
    }

    fn go_on(&mut self) {
        let child = Command::new(&self.program)
            .args(["-H", "127.0.0.1", "-p", &self.port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(since.elapsed() < START_PATIENCE, "the bucket's server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn go_away(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// It answers nobody, and forgets nothing.
    fn hold(&self) {
        self.signal("STOP");
    }

    /// It answers again.
    fn let_go(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &process]).status().unwrap().success());
    }

    /// An answer to a bare request.
    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let key = "AWS4-HMAC-SHA256 Credential=tests/20261101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.port
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Names of the objects.
    fn objects(&self) -> Vec<String> {
        let listed = self.ask("GET", "/files?list-type=2&prefix=org/");
        listed.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
    }

    fn address(&self) -> String {
        format!("s3://files/org?endpoint=http://127.0.0.1:{}&region=us-east-1", self.port)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.go_away();
    }
}

/// A file of which each seed has another.
fn file(world: &World, name: &str, seed: u8, length: usize) -> PathBuf {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_derive_key("test file").update(&[seed]).finalize_xof().fill(&mut bytes);
    let path = world.path(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn attach(device: &Device, record: &str, file: &Path) {
    device.json(&["attach"], &[record, "/data/paper", file.to_str().unwrap()]);
}

fn saved(world: &World, device: &Device, record: &str) -> Vec<u8> {
    let to = world.path(&format!("saved-{}", rand::random::<u64>()));
    device.run(&["save"], &[record, "/data/paper", to.to_str().unwrap()]).done();
    std::fs::read(to).unwrap()
}

/// Waits until this is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn files_go_to_the_bucket_come_back_from_it_and_leave_it_with_an_erasure() {
    let Some(mut s3) = S3::start() else { return };
    let mut world = World::new(&[("person.xlsx", photo_form().unwrap())]);
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    // Before there is a bucket.
    let old = first.fill("person", "name=Qurban\n");
    let old_file = file(&world, "old.pdf", 1, 70_000);
    attach(&first, &old, &old_file);
    assert_eq!(first.sync()["attachments_up"], 1);

    world.org(&["attachments"], &["--store", "files/org"]).refused(BAD_INPUT);
    let nowhere = format!("s3://files/org?endpoint=http://127.0.0.1:{}", steady_port());
    world.org(&["attachments"], &["--store", &nowhere]).refused(UNREACHABLE);
    assert_eq!(world.org_json(&["attachments"], &[])["store"], serde_json::Value::Null, "what failed is not set");
    world.org(&["attachments"], &["--store", &s3.address()]).done();
    assert_eq!(s3.objects(), Vec::<String>::new(), "a trial leaves nothing");

    // Larger than a part, so that it goes in several.
    let (record, large) = (first.fill("person", "name=Zahra\n"), file(&world, "large.pdf", 2, 9_000_000));
    attach(&first, &record, &large);
    assert_eq!(first.sync()["attachments_up"], 1);
    assert_eq!(s3.objects().len(), 1);
    second.sync();
    assert_eq!(saved(&world, &second, &record), std::fs::read(&large).unwrap());
    assert_eq!(saved(&world, &second, &old), std::fs::read(&old_file).unwrap(), "what was in the folder before");
    let kept = world.org_json(&["attachments"], &[]);
    assert_eq!((&kept["attachments"], &kept["bytes"], &kept["in_folder"]), (&2.into(), &9_070_000.into(), &1.into()), "{kept}");

    // What was in the folder goes to the bucket when the server starts again.
    world.kill_and_serve();
    until("the file in the folder goes to the bucket", || world.org_json(&["attachments"], &[])["in_folder"] == 0);
    assert_eq!(s3.objects().len(), 2);
    let third = world.device("three", "Omid");
    third.sync();
    assert_eq!(saved(&world, &third, &old), std::fs::read(&old_file).unwrap());

    let backup = world.path("backup");
    let backup = world.org(&["backup"], &[backup.to_str().unwrap()]).done();
    assert!(backup.stdout.contains(&s3.address()), "a backup says what is not in it: {backup:?}");

    // While the bucket is away a device is told to come again, and its file waits; records go on.
    let (later, small) = (first.fill("person", "name=Farid\n"), file(&world, "small.pdf", 3, 5_000));
    attach(&first, &later, &small);
    s3.go_away();
    let told = first.run(&["sync"], &["--json"]);
    assert!(told.status == UNREACHABLE && told.stderr.contains("try again in"), "expected a time to come again: {told:?}");
    second.sync();
    assert_eq!(second.values(&later, "/data/name"), ["Farid"]);
    s3.go_on();
    s3.ask("PUT", "/files");
    until("the file comes home", || {
        first.run(&["sync"], &[]);
        !s3.objects().is_empty()
    });
    assert_eq!(saved(&world, &second, &later), std::fs::read(&small).unwrap());

    // An erasure takes it out of the bucket, now or once the bucket is back.
    world.org(&["erase"], &[&later, "--reason", "Asked for by the family."]).done();
    assert_eq!(s3.objects(), Vec::<String>::new());
    let (last, last_file) = (first.fill("person", "name=Nadia\n"), file(&world, "last.pdf", 5, 4_000));
    attach(&first, &last, &last_file);
    first.sync();
    assert_eq!(s3.objects().len(), 1);
    s3.hold();
    world.org(&["erase"], &[&last, "--reason", "Asked for by the family."]).done();
    s3.let_go();
    assert_eq!(s3.objects().len(), 1, "it was away");
    world.kill_and_serve();
    until("an erased file leaves the bucket once that is back", || s3.objects().is_empty());
}

#[test]
fn two_servers_of_one_database_share_the_bucket() {
    let Some(s3) = S3::start() else { return };
    let Some(cluster) = Cluster::start() else { return };
    let mut world = World::over(cluster, &[("person.xlsx", photo_form().unwrap())]);
    world.org(&["attachments"], &["--store", &s3.address()]).done();
    let other = Server::start(&world.second_folder(), "127.0.0.1:0");
    let (first, second) = (world.device("one", "Laila"), world.device("two", "Karim"));
    let (record, paper) = (first.fill("person", "name=Qurban\n"), file(&world, "paper.pdf", 4, 300_000));
    attach(&first, &record, &paper);
    first.json(&["sync"], &["--with", &world.server.as_ref().unwrap().sync]);
    assert_eq!(s3.objects().len(), 1);
    second.json(&["sync"], &["--with", &other.sync]);
    // The other has it from the bucket alone.
    drop(world.server.take());
    assert_eq!(saved(&world, &second, &record), std::fs::read(&paper).unwrap());
}
