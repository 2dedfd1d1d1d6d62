//! One bad week, told step by step over the command line: a phone is copied, another revoked, a record moved, one member of a family
//! erased, a disagreement decided; then the server is lost and comes back from a backup that knows nothing of it.
//!
//! `cargo run --release -p karwan-tests --bin scenario` tells it; a test runs the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::secrets::{needles, search};
use crate::workbook::household_form;
use crate::world::{CASELOAD, Device, World, values};

/// The second caseload: its devices see nothing of the first.
const OTHER: &str = "tehran";
/// The name of the child that is erased: it must be in no file afterwards.
const ERASED: &str = "گل‌چهره‌یازدهم";

/// What was checked, and what did not hold.
#[derive(Debug, Default)]
pub struct Told {
    pub checks: u32,
    pub broken: Vec<String>,
}

impl Told {
    fn check(&mut self, what: &str, holds: bool, seen: &str) {
        self.checks += 1;
        println!("  {} {what}{}", if holds { "ok  " } else { "FAIL" }, if holds { String::new() } else { format!(": {seen}") });
        if !holds {
            self.broken.push(format!("{what}: {seen}"));
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, came: &T, expected: &T) {
        self.check(what, came == expected, &format!("expected {expected:?}, came {came:?}"));
    }
}

/// The people and phones of the story.
struct Story {
    world: World,
    laila: Device,
    karim: Device,
    /// Karim's phone, copied.
    copy: Device,
    /// A phone that falls into wrong hands.
    stolen: Device,
    /// Works in the other caseload.
    nadia: Device,
    /// A family with two members, one that moves, one about which two disagree.
    family: String,
    mover: String,
    disputed: String,
}

/// Runs the whole story.
pub fn run() -> Told {
    let mut told = Told::default();
    let mut story = begin(&mut told);
    let backup = story.world.path("last-week.karwan");
    step("The operator writes a backup.");
    story.world.org(&["backup"], &[text(&backup)]).done();
    clone(&mut told, &mut story);
    let stolen_record = revoke(&mut told, &mut story);
    move_and_erase(&mut told, &story);
    decide(&mut told, &story);
    let before = seen(&story);
    restore(&mut told, &mut story, &backup);
    homecoming(&mut told, &story);
    after(&mut told, &story, &before, &stolen_record);
    told
}

fn step(text: &str) {
    println!("\n{text}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn household(name: &str) -> String {
    format!("head_name={name}\nphone=0700000001\nadults=2\nchildren=1\nrooms=6\n")
}

fn begin(told: &mut Told) -> Story {
    step("Two caseloads, five phones; Laila registers three families, and everybody syncs.");
    let world = World::new(&[("household.xlsx", household_form().unwrap_or_default())]);
    world.org(&["caseload", "add"], &[OTHER]).done();
    world.org(&["form", "add"], &[text(&world.path("household.xlsx")), "--caseload", OTHER]).done();
    let (laila, karim, stolen) = (world.device("laila", "Laila"), world.device("karim", "Karim"), world.device("omid", "Omid"));
    let nadia = Device { folder: world.path("nadia") };
    let invitation = world.org_json(&["invite"], &["--role", "enumerator", "--caseload", OTHER]);
    nadia
        .run(&["enrol"], &[invitation["invitation"].as_str().unwrap_or_default(), "--name", "nadia", "--person", "Nadia"])
        .done();
    let family = laila.fill(
        "household",
        &format!("{}repeat member=2\nm_name@1=زهرا\nm_age@1=30\nm_name@2={ERASED}\nm_age@2=4\n", household("Qurban")),
    );
    let mover = laila.fill("household", &household("Rajab"));
    let disputed = laila.fill("household", &household("Sabir"));
    for device in [&laila, &karim, &stolen, &nadia] {
        device.sync();
    }
    told.equal("Karim's phone has the three families", &interviews(&karim), &3);
    told.equal("Nadia's phone, of another caseload, has none", &interviews(&nadia), &0);
    let copy = Device { folder: world.path("karim-copy") };
    Story { world, laila, karim, copy, stolen, nadia, family, mover, disputed }
}

fn interviews(device: &Device) -> usize {
    device.json(&["list"], &["--kind", "interview"]).as_array().map_or(0, Vec::len)
}

/// Both lives of a copied phone go on working.
fn clone(told: &mut Told, story: &mut Story) {
    step("Karim's phone is copied with everything on it; both copies edit the family, register one each, and sync.");
    copy(&story.karim.folder, &story.copy.folder);
    copy(&key_of(&story.karim.folder), &key_of(&story.copy.folder));
    story.karim.edit(&story.family, "/data/adults=3").done();
    story.copy.edit(&story.family, "/data/children=2").done();
    let by_first = story.karim.fill("household", &household("Tahir"));
    let by_copy = story.copy.fill("household", &household("Wahid"));
    story.karim.sync();
    // The copy may be told to begin a new life; then it offers its work again.
    for _ in 0..3 {
        story.copy.run(&["sync"], &["--json"]);
    }
    story.karim.sync();
    story.laila.sync();
    for (whose, device) in [("Laila's phone", &story.laila), ("the copied phone", &story.karim), ("the copy", &story.copy)] {
        told.equal(
            &format!("{whose} shows the edit of the one"),
            &device.values(&story.family, "/data/adults"),
            &vec!["3".to_owned()],
        );
        told.equal(
            &format!("{whose} shows the edit of the other"),
            &device.values(&story.family, "/data/children"),
            &vec!["2".to_owned()],
        );
        told.check(
            &format!("{whose} has what each registered"),
            [&by_first, &by_copy].iter().all(|record| device.run(&["show"], &[record]).status == 0),
            "a record is missing",
        );
    }
    told.equal("nothing of either waits to be sent", &unsent(&story.copy), &0);
}

fn copy(from: &Path, to: &Path) {
    Command::new("cp").arg("-r").arg(from).arg(to).status().ok();
}

fn key_of(folder: &Path) -> PathBuf {
    folder.with_extension("key")
}

fn unsent(device: &Device) -> usize {
    let listed = device.json(&["list"], &["--kind", "interview"]);
    listed.as_array().into_iter().flatten().filter(|row| row["status"] == "finalised").count()
}

/// A phone is stolen, revoked, and used all the same.
fn revoke(told: &mut Told, story: &mut Story) -> String {
    step("Omid's phone is stolen and revoked; the thief edits a family, registers another, and syncs.");
    let devices = story.world.org_json(&["devices"], &[]);
    let id = devices.as_array().into_iter().flatten().find(|row| row["name"] == "omid").map(|row| row["device"].clone());
    let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
    story.world.org(&["devices", "revoke"], &[id]).done();
    let record = story.stolen.fill("household", &household("Thief"));
    story.stolen.edit(&story.disputed, "/data/head_name=Stolen").done();
    let refused = story.stolen.run(&["sync"], &["--json"]);
    told.equal("its sync is refused, with the exit status of the contract", &refused.status, &4);
    story.laila.sync();
    told.equal("its edit counts nowhere", &story.laila.values(&story.disputed, "/data/head_name"), &vec!["Sabir".to_owned()]);
    told.check("its family counts nowhere", story.world.org(&["records", "show"], &[&record]).status != 0, "it is shown");
    record
}

/// A record changes its caseload, and a child leaves the data.
fn move_and_erase(told: &mut Told, story: &Story) {
    step("Rajab's family moves to the other caseload; one child of Qurban's is erased.");
    story.world.org(&["move"], &[&story.mover, "--to", OTHER]).done();
    story.world.org(&["erase"], &[&story.family, "--part", "/data/member[2]", "--reason", "Asked for by the parents."]).done();
    for device in [&story.laila, &story.karim, &story.copy, &story.nadia] {
        device.sync();
    }
    moved_and_erased(told, story);
}

fn moved_and_erased(told: &mut Told, story: &Story) {
    told.equal(
        "Nadia's phone shows the family that moved",
        &story.nadia.values(&story.mover, "/data/head_name"),
        &vec!["Rajab".to_owned()],
    );
    for (whose, device) in [("Laila's phone", &story.laila), ("Karim's phone", &story.karim), ("the copy", &story.copy)] {
        told.check(&format!("{whose} has it no more"), device.run(&["show"], &[&story.mover]).status != 0, "it is shown");
        let shown = device.json(&["show"], &[&story.family]);
        told.check(
            &format!("{whose} shows Qurban's family without the child"),
            !shown.to_string().contains(ERASED),
            "it is shown",
        );
        told.check(&format!("{whose} shows the other member"), shown.to_string().contains("زهرا"), "it is gone");
    }
    let shown = story.world.org_json(&["records", "show"], &[&story.family]);
    told.check("the server shows the family without the child", !shown.to_string().contains(ERASED), "it is shown");
    let hits = search(&story.world.organisation(), &needles(&[ERASED]));
    told.check("the child's name is in no file of the server", hits.is_empty(), &format!("{hits:?}"));
}

/// Two disagree, and a person decides.
fn decide(told: &mut Told, story: &Story) {
    step("Two teams give Sabir's family another telephone each; a supervisor decides.");
    story.laila.edit(&story.disputed, "/data/phone=0711111111").done();
    story.karim.edit(&story.disputed, "/data/phone=0722222222").done();
    story.laila.sync();
    story.karim.sync();
    let items = story.world.org_json(&["review", "list"], &[]);
    let item = items.as_array().into_iter().flatten().find(|item| item["ref"] == "/data/phone").cloned().unwrap_or_default();
    told.equal("both values are there", &item["values"].as_array().map_or(0, Vec::len), &2);
    story
        .world
        .org(&["review", "resolve"], &[item["item"].as_str().unwrap_or_default(), "--value", "0722222222", "--note", "Called."])
        .done();
    for device in [&story.laila, &story.karim, &story.copy] {
        device.sync();
    }
    told.equal(
        "the decision is on Laila's phone",
        &story.laila.values(&story.disputed, "/data/phone"),
        &vec!["0722222222".to_owned()],
    );
}

/// What every replica shows, to compare with later: by device and record, the values.
fn seen(story: &Story) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (device, own) in [(&story.laila, "laila"), (&story.karim, "karim"), (&story.copy, "copy"), (&story.nadia, "nadia")] {
        let listed = device.json(&["list"], &["--kind", "interview"]);
        let mut records: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|row| row["record"].as_str()).collect();
        records.sort_unstable();
        for record in records {
            all.push((format!("{own} {record}"), plain(&device.json(&["show"], &[record]))));
        }
    }
    all
}

/// The values of a record, without what tells who gave them and when.
fn plain(shown: &Value) -> Value {
    let questions = shown["values"].as_object().cloned().unwrap_or_default();
    questions.keys().map(|question| (question.clone(), Value::from(values(shown, question)))).collect()
}

fn restore(told: &mut Told, story: &mut Story, backup: &Path) {
    step("The server's disk dies; last week's backup is put in its place.");
    if let Some(server) = story.world.server.take() {
        server.kill();
    }
    std::fs::remove_dir_all(story.world.organisation()).ok();
    crate::command::run(&["restore", text(backup), text(&story.world.organisation())]).done();
    story.world.serve();
    let shown = story.world.org_json(&["records", "show"], &[&story.disputed]);
    told.equal(
        "the restored server knows nothing of the decision",
        &values(&shown, "/data/phone"),
        &vec!["0700000001".to_owned()],
    );
    let invited = story.world.org(&["invite"], &["--role", "enumerator", "--caseload", CASELOAD]);
    told.check("it invites nobody until recovery is closed", invited.status != 0, "it did");
}

/// Everybody comes home, the thief first; then an administrator closes recovery.
fn homecoming(told: &mut Told, story: &Story) {
    step("The phones come home, the stolen one first; then the administrator closes recovery.");
    story.stolen.run(&["sync"], &["--json"]);
    for device in [&story.karim, &story.laila, &story.nadia, &story.copy] {
        let came = device.run(&["sync"], &["--json"]);
        told.check("a phone's sync with the recovering server ends well", came.status == 0, &came.stderr);
    }
    story.world.org(&["recovery", "close"], &[]).done();
    for device in [&story.laila, &story.karim, &story.copy, &story.nadia, &story.laila, &story.karim] {
        device.sync();
    }
    told.equal("the stolen phone is refused again", &story.stolen.run(&["sync"], &["--json"]).status, &4);
}

fn after(told: &mut Told, story: &Story, before: &[(String, Value)], stolen_record: &str) {
    step("What was decided holds, and nothing is lost.");
    let now = seen(story);
    let names = |all: &[(String, Value)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    told.equal("every phone has the records that it had", &names(&now), &names(before));
    for ((name, now), (_, before)) in now.iter().zip(before) {
        told.equal(&format!("{name} shows the same values"), now, before);
    }
    let devices = story.world.org_json(&["devices"], &[]);
    let revoked = devices.as_array().into_iter().flatten().any(|row| row["name"] == "omid" && row["revoked"] == true);
    told.check("the revocation holds", revoked, &devices.to_string());
    told.check(
        "what the thief made counts nowhere",
        story.world.org(&["records", "show"], &[stolen_record]).status != 0,
        "it is shown",
    );
    moved_and_erased(told, story);
    let shown = story.world.org_json(&["records", "show"], &[&story.disputed]);
    told.equal("the decision holds on the server", &values(&shown, "/data/phone"), &vec!["0722222222".to_owned()]);
    told.equal("no edit of the thief", &values(&shown, "/data/head_name"), &vec!["Sabir".to_owned()]);
    for record in before.iter().filter_map(|(name, _)| name.split(' ').nth(1)) {
        let on_server = story.world.org(&["records", "show"], &[record, "--json"]);
        told.check(&format!("the server has {record}"), on_server.status == 0, &on_server.stderr);
    }
    let listed = |world: &World| world.org_json(&["records"], &[]);
    let as_it_was = listed(&story.world);
    story.world.org(&["projection", "rebuild"], &[]).done();
    told.equal("a rebuilt projection lists the same", &listed(&story.world), &as_it_was);
}
