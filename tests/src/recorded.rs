//! What a version of the program wrote to disks and to the wire, kept from then on, so that each later version is tried against it.
//!
//! A folder of `tests/recorded` is one version: `world.zip` is an organisation and two phones as they lay on their disks, `session.jsonl` the
//! frames of two sessions between them. `record` makes one for the version that stands. One that is not released yet is recorded again when what it
//! writes changes; one that is released never is.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use karwan_client::sync::report::Quiet;
use karwan_client::{Device, Filling, SyncReport};
use karwan_proto::wire::FrameReader;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, duplex, split};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::home::{GivenClock, Server, Template, open_phone, organisation_in, phone_in, quick_folder, quiesce, runtime};

/// Phones of a recorded world: the first has everything at the server, the second has read it and has an edit of its own that is unsent.
pub const PHONES: usize = 2;
/// When a recorded world is.
pub const NOW_MS: i64 = 1_795_428_000_000;
/// What the first phone wrote, by question.
pub const WRITTEN: [(&str, &str); 2] = [("/data/head_name", "غلام‌رضا"), ("/data/phone", "0700000001")];
/// What the second phone wrote on top, and nobody else has.
pub const UNSENT: (&str, &str) = ("/data/phone", "0711111111");
const PIPE_BYTES: usize = 1 << 20;

/// Where the versions are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// All versions that were recorded.
pub fn versions() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder()).expect("the folder is read").map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

/// Records a world and two sessions into a folder that is not there.
pub fn record(into: &Path) {
    fs::create_dir(into).expect("a version is recorded once");
    let world = quick_folder();
    Template::make(PHONES).unpack(world.path());
    let mut frames = Vec::new();
    let server = Server::open(&organisation_in(world.path())).expect("the server opens");
    let first = open_phone(&phone_in(world.path(), 0), 0, GivenClock::at(NOW_MS)).expect("the phone opens");
    let mut collect =
        first.start("household", None, first.person().expect("a person"), Filling::AtOnce).expect("an interview begins");
    let id = collect.record();
    for (question, value) in WRITTEN {
        collect.set(question, value).expect("an answer");
    }
    collect.finalize().expect("an interview ends");
    session(&first, &server, "first", &mut frames);
    first.close().expect("the phone closes");
    let second = open_phone(&phone_in(world.path(), 1), 1, GivenClock::at(NOW_MS)).expect("the phone opens");
    session(&second, &server, "second", &mut frames);
    let mut collect = second.edit(id, second.person().expect("a person"), Filling::AtOnce).expect("an edit begins");
    collect.set(UNSENT.0, UNSENT.1).expect("an answer");
    collect.finalize().expect("an edit ends");
    second.close().expect("the phone closes");
    server.close();
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    pack(world.path(), Path::new(""), &mut archive);
    let bytes = archive.finish().expect("an archive").into_inner();
    fs::write(into.join("world.zip"), bytes).expect("the world is written");
    let lines: String = frames.iter().map(|frame| format!("{frame}\n")).collect();
    fs::write(into.join("session.jsonl"), lines).expect("the frames are written");
    fs::write(into.join("record"), id.to_string()).expect("the record's name is written");
}

fn pack(root: &Path, below: &Path, archive: &mut ZipWriter<Cursor<Vec<u8>>>) {
    let mut entries: Vec<_> = fs::read_dir(root.join(below)).expect("a folder").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            pack(root, &path, archive);
        } else if kind.is_file() && !path.to_string_lossy().ends_with("-shm") {
            // SQLite's shared memory is of one machine and one moment.
            archive.start_file(path.to_string_lossy(), SimpleFileOptions::default()).expect("a file begins");
            archive.write_all(&fs::read(root.join(&path)).expect("a file")).expect("a file ends");
        }
    }
}

/// Lays a recorded world into a folder.
pub fn unpack(version: &Path, into: &Path) {
    let bytes = fs::read(version.join("world.zip")).expect("the world is read");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    for number in 0..archive.len() {
        let mut file = archive.by_index(number).expect("a file");
        let path = into.join(file.enclosed_name().expect("a path within"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("its content");
        fs::write(path, content).expect("a file is written");
    }
}

/// The frames of a version's sessions, in the order in which they were sent on each way.
pub fn frames(version: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(version.join("session.jsonl")).expect("the frames are read");
    let bytes = |line: &str| {
        let frame: Value = serde_json::from_str(line).expect("a frame");
        let hex = frame["bytes"].as_str().expect("bytes").to_owned();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
    };
    text.lines().map(bytes).collect()
}

/// One session, of which all frames are kept.
fn session(phone: &Device, server: &Server, whose: &str, frames: &mut Vec<Value>) {
    let (phone_end, near) = duplex(PIPE_BYTES);
    let (far, server_end) = duplex(PIPE_BYTES);
    let (receive, send) = split(phone_end);
    let report: SyncReport = runtime().block_on(async {
        let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
        let between = async { tokio::join!(carry(near_in, far_out), carry(far_in, near_out)) };
        let (outcome, (up, down), ()) =
            tokio::join!(phone.sync_over(send, receive, &Quiet), between, server.serve(phone.id(), server_end));
        quiesce().await;
        for (way, bytes) in [("up", up), ("down", down)] {
            let mut reader = FrameReader::new();
            reader.push(&bytes);
            while let Some(payload) = reader.next_payload().expect("a frame") {
                let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
                frames.push(json!({"session": whose, "way": way, "bytes": hex}));
            }
        }
        outcome.expect("the phone syncs")
    });
    assert!(report.refused.is_empty(), "{:?}", report.refused);
}

/// Carries one way, and gives all that went there.
async fn carry(mut from: ReadHalf<tokio::io::DuplexStream>, mut to: WriteHalf<tokio::io::DuplexStream>) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0u8; 64 * 1024]);
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..length]);
        to.write_all(&buffer[..length]).await.ok();
    }
    to.shutdown().await.ok();
    all
}
