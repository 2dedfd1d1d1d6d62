//! Two devices side by side, with no server: what one made comes home with another, both hear the verdict, and nobody gets what is not theirs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};
use std::time::Duration;

use karwan_tests::command::karwan;
use karwan_tests::meeting::{Listening, meet};
use karwan_tests::secrets::{decrypted, needles, search};
use karwan_tests::workbook::{household_form, photo_form};
use karwan_tests::world::{CASELOAD, Device, World, values};
use serde_json::{Value, json};

const OTHER: &str = "tehran";
const REFUSED: i32 = 4;
const UNREACHABLE: i32 = 5;
const BAD_INPUT: i32 = 3;
/// Only one record says this.
const PLANTED: &str = "Zarnigar-Sentinel";

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

fn household(name: &str) -> String {
    format!("head_name={name}\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\n")
}

/// A device of these caseloads that has not synced since it was enrolled.
fn enrolled(world: &World, name: &str, person: &str, caseloads: &[&str]) -> Device {
    let rest: Vec<&str> = ["--role", "enumerator", "--caseload"].iter().chain(caseloads).copied().collect();
    let invitation = world.org_json(&["invite"], &rest)["invitation"].as_str().unwrap().to_owned();
    let device = Device { folder: world.path(name) };
    device.run(&["enrol"], &[&invitation, "--name", name, "--person", person]).done();
    device
}

/// A copy of a device's folder with its key file.
fn copy(world: &World, device: &Device, name: &str) -> Device {
    let folder = world.path(name);
    for (from, to) in
        [(device.folder.clone(), folder.clone()), (device.folder.with_extension("key"), folder.with_extension("key"))]
    {
        assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
    }
    Device { folder }
}

fn row(device: &Device, record: &str) -> Value {
    let listed = device.json(&["list"], &["--kind", "interview"]);
    listed.as_array().unwrap().iter().find(|row| row["record"] == record).cloned().unwrap_or(Value::Null)
}

fn interviews(device: &Device) -> usize {
    device.json(&["list"], &["--kind", "interview"]).as_array().unwrap().len()
}

fn at_server(world: &World, record: &str) -> Value {
    world.org_json(&["records", "show"], &[record])
}

fn holds(device: &Device, text: &str) -> bool {
    !search(decrypted(&device.folder).path(), &needles(&[text])).is_empty()
}

#[test]
fn what_a_device_made_that_met_no_server_comes_home_with_another_and_both_hear_the_verdict() {
    let mut world = world();
    let omid = world.device("omid", "Omid");
    let known = omid.fill("household", &household("Qurban"));
    omid.sync();
    let laila = enrolled(&world, "laila", "Laila", &[CASELOAD]);
    // From here on there is no server.
    world.server = None;
    laila.run(&["fill"], &["household", "--answers", "-"]).refused(BAD_INPUT);
    let (gave, took) = meet(&omid, &laila);
    assert_eq!((&gave["with"], &took["with"]), (&json!("laila"), &json!("omid")), "{gave} {took}");
    assert_eq!(
        (&gave["envelopes_up"], &took["envelopes_down"], &took["envelopes_up"]),
        (&json!(1), &json!(1), &json!(0)),
        "{took}"
    );
    assert_eq!(laila.values(&known, "/data/head_name"), ["Qurban"]);
    assert_eq!((&row(&laila, &known)["status"], &row(&laila, &known)["provisional"]), (&json!("finalised"), &json!(true)));
    assert_eq!(row(&laila, &known)["made_by"], "Omid", "names come along");

    // The form came along too: both work, on one record also.
    let own = laila.fill("household", &household("Rahimi"));
    laila.edit(&known, "/data/phone=0711111111").done();
    omid.edit(&known, "/data/phone=0722222222").done();
    let (took, gave) = meet(&laila, &omid);
    assert_eq!((&took["refused"], &gave["refused"]), (&json!([]), &json!([])));
    for device in [&laila, &omid] {
        assert_eq!(device.values(&known, "/data/phone"), ["0711111111", "0722222222"]);
        assert_eq!(device.values(&own, "/data/head_name"), ["Rahimi"]);
        assert_eq!(row(device, &own)["status"], "finalised");
    }
    assert_eq!(row(&omid, &own)["provisional"], true);
    assert_eq!(row(&laila, &own)["provisional"], Value::Null, "its own work is its own");
    // Meeting again costs nothing.
    let (again, same) = meet(&omid, &laila);
    for report in [&again, &same] {
        assert_eq!((&report["envelopes_up"], &report["envelopes_down"]), (&json!(0), &json!(0)), "{report}");
    }

    world.serve();
    let home = omid.sync();
    assert_eq!(home["refused"], json!([]), "{home}");
    let server = at_server(&world, &own);
    assert_eq!(values(&server, "/data/head_name"), ["Rahimi"]);
    assert_eq!(
        (&server["values"]["/data/head_name"][0]["device"], &server["values"]["/data/head_name"][0]["author"]),
        (&json!("laila"), &json!("Laila"))
    );
    assert_eq!(values(&at_server(&world, &known), "/data/phone"), ["0711111111", "0722222222"]);
    for record in [&known, &own] {
        assert_eq!((&row(&omid, record)["status"], &row(&omid, record)["provisional"]), (&json!("sent"), &Value::Null));
    }
    // And the one that was never home hears it when it comes; of its work nothing is sent a second time.
    assert_eq!(row(&laila, &own)["status"], "finalised");
    let home = laila.sync();
    assert_eq!((&home["envelopes_up"], &home["refused"]), (&json!(0), &json!([])), "{home}");
    for record in [&known, &own] {
        assert_eq!((&row(&laila, record)["status"], &row(&laila, record)["provisional"]), (&json!("sent"), &Value::Null));
        assert_eq!(laila.json(&["show"], &[record])["values"], at_server(&world, record)["values"]);
        assert_eq!(omid.json(&["show"], &[record])["values"], at_server(&world, record)["values"]);
    }
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().unwrap().len(), 1, "the disagreement about the phone");
}

#[test]
fn work_goes_through_a_chain_of_three_with_people_met_on_the_way() {
    let mut world = world();
    let devices = ["first", "second", "third"].map(|name| world.device(name, name));
    let [first, second, third] = &devices;
    world.server = None;
    let file = world.path("answers.txt");
    std::fs::write(&file, household("Rahimi")).unwrap();
    let answers = file.to_str().unwrap();
    let record =
        first.json(&["fill"], &["household", "--answers", answers, "--as", "Nasrin"])["record"].as_str().unwrap().to_owned();
    let many: Vec<String> = (0..30).map(|number| first.fill("household", &household(&format!("Number {number}")))).collect();
    meet(second, first);
    second.edit(&record, "/data/adults=3").done();
    meet(second, third);
    third.edit(&record, "/data/phone=0733333333").done();
    assert_eq!(third.values(&record, "/data/adults"), ["3"]);
    assert_eq!(row(third, &record)["made_by"], "Nasrin");
    assert_eq!(interviews(third), 31);

    world.serve();
    third.sync();
    let server = at_server(&world, &record);
    for (reference, value) in [("/data/head_name", "Rahimi"), ("/data/adults", "3"), ("/data/phone", "0733333333")] {
        assert_eq!(values(&server, reference), [value], "{server}");
    }
    assert_eq!(server["values"]["/data/head_name"][0]["author"], "Nasrin");
    assert_eq!(server["values"]["/data/adults"][0]["device"], "second");
    assert!(many.iter().all(|record| at_server(&world, record)["status"] == "sent"));
    for device in &devices {
        let report = device.sync();
        assert_eq!((&report["envelopes_up"], &report["refused"]), (&json!(0), &json!([])), "{report}");
        assert!(device.json(&["list"], &["--kind", "interview"]).as_array().unwrap().iter().all(|row| row["status"] == "sent"));
        assert_eq!(device.json(&["show"], &[&record])["values"], server["values"]);
    }
}

#[test]
fn what_was_erased_is_not_brought_back_by_a_device_that_had_not_heard() {
    let world = world();
    let (omid, away) = (world.device("omid", "Omid"), world.device("away", "Zahra"));
    let record = omid.fill("household", &household(PLANTED));
    let neighbour = omid.fill("household", &household("Qurban"));
    omid.sync();
    away.sync();
    away.edit(&record, &format!("/data/father_name={PLANTED}")).done();
    away.edit(&neighbour, "/data/adults=3").done();
    world.org(&["erase"], &[&record, "--reason", "asked"]).done();
    omid.sync();
    for device in [&omid, &away] {
        assert_eq!(holds(device, PLANTED), device.folder == away.folder, "the search finds what is there");
    }
    meet(&omid, &away);
    for device in [&omid, &away] {
        assert!(!holds(device, PLANTED), "it is in {}", device.folder.display());
        assert_eq!(device.values(&neighbour, "/data/adults"), ["3"]);
        device.run(&["show"], &[&record]).refused(BAD_INPUT);
    }
    omid.sync();
    away.sync();
    assert_eq!(values(&at_server(&world, &neighbour), "/data/adults"), ["3"]);
    assert!(search(&world.organisation(), &needles(&[PLANTED])).is_empty());
}

#[test]
fn a_device_gets_nothing_of_a_caseload_that_it_is_not_granted() {
    let world = world();
    world.org(&["caseload", "add"], &[OTHER]).done();
    world.org(&["form", "add"], &[world.path("household.xlsx").to_str().unwrap(), "--caseload", OTHER]).done();
    let both = enrolled(&world, "both", "Karim", &[CASELOAD, OTHER]);
    let here = enrolled(&world, "here", "Laila", &[CASELOAD]);
    let there = enrolled(&world, "there", "Omid", &[OTHER]);
    for device in [&both, &here, &there] {
        device.sync();
    }
    let secret = there.fill("household", &household(PLANTED));
    let open = here.fill("household", &household("Qurban"));
    meet(&both, &there);
    meet(&here, &both);
    assert_eq!(both.values(&secret, "/data/head_name"), [PLANTED]);
    assert_eq!(both.values(&open, "/data/head_name"), ["Qurban"]);
    assert!(!holds(&here, PLANTED) && interviews(&here) == 1);
    // Two that have nothing in common say so, on both sides.
    let listening = Listening::start(&there, &[]);
    let refused = here.run(&["sync"], &["--with", &listening.text]).refused(REFUSED);
    assert!(refused.stderr.contains("no caseload in common"), "{refused:?}");
    assert!(listening.end().refused(REFUSED).stderr.contains("no caseload in common"));
    // A record that moved out of what the other has does not go there, nor what was said of it since.
    here.sync();
    both.sync();
    both.edit(&open, &format!("/data/father_name={PLANTED}")).done();
    world.org(&["move"], &[&open, "--to", OTHER]).done();
    both.sync();
    meet(&here, &both);
    assert!(!holds(&here, PLANTED) && interviews(&here) == 0);
}

#[test]
fn a_revoked_device_and_strangers_are_refused_with_the_reason_and_give_nothing() {
    let mut world = world();
    let (laila, omid) = (world.device("laila", "Laila"), world.device("omid", "Omid"));
    let before = omid.fill("household", &household("Before"));
    world.org(&["devices", "revoke"], &["omid"]).done();
    let server = world.server.take();
    // Nobody knows yet: it comes along provisionally.
    meet(&laila, &omid);
    assert_eq!(row(&laila, &before)["provisional"], true);
    drop(server);
    world.serve();
    // The server does: it counts nowhere, and that is told.
    let told = laila.run(&["sync"], &["--json"]);
    assert_eq!(told.status, REFUSED, "{told:?}");
    assert!(told.json()["refused"][0]["reason"].as_str().unwrap().contains("revoked"), "{told:?}");
    assert_eq!(row(&laila, &before), Value::Null);
    assert_eq!(world.org_json(&["review", "list"], &[])[0]["kind"], "quarantined");
    // From here on laila knows, and lets it in no more, whoever calls.
    let after = omid.fill("household", &household("After"));
    let listening = Listening::start(&laila, &[]);
    let refused = omid.run(&["sync"], &["--with", &listening.text]).refused(REFUSED);
    assert!(refused.stderr.contains("revoked"), "{refused:?}");
    assert!(listening.end().refused(REFUSED).stderr.contains("revoked"));
    let listening = Listening::start(&omid, &[]);
    assert!(laila.run(&["sync"], &["--with", &listening.text]).refused(REFUSED).stderr.contains("revoked"));
    drop(listening);
    assert_eq!(interviews(&laila), 0);
    assert_eq!(omid.values(&after, "/data/head_name"), ["After"], "what is unsent stays");
    // A supervisor takes in what it had made.
    world.org(&["review", "adopt"], &["omid"]).done();
    laila.sync();
    assert_eq!(laila.values(&before, "/data/head_name"), ["Before"]);
    assert_eq!(row(&laila, &before)["status"], "sent");

    let elsewhere = World::new(&[]);
    let stranger = elsewhere.device("stranger", "Somebody");
    let listening = Listening::start(&laila, &[]);
    assert!(stranger.run(&["sync"], &["--with", &listening.text]).refused(REFUSED).stderr.contains("another organisation"));
}

#[test]
fn two_copies_of_a_device_do_not_meet_and_what_both_wrote_comes_home_whole() {
    let world = world();
    let (phone, omid) = (world.device("phone", "Laila"), world.device("omid", "Omid"));
    let record = phone.fill("household", &household("Rahimi"));
    phone.sync();
    omid.sync();
    let twin = copy(&world, &phone, "twin");
    let listening = Listening::start(&phone, &[]);
    let refused = twin.run(&["sync"], &["--with", &listening.text]).refused(REFUSED);
    assert!(refused.stderr.contains("copy of this one"), "{refused:?}");
    drop(listening);
    phone.edit(&record, "/data/adults=3").done();
    let by_phone = phone.fill("household", &household("Phone"));
    twin.edit(&record, "/data/rooms=9").done();
    let by_twin = twin.fill("household", &household("Twin"));
    meet(&omid, &phone);
    // The other copy used the same numbers: the first that came stays.
    let listening = Listening::start(&omid, &[]);
    let refused = twin.run(&["sync"], &["--with", &listening.text]).refused(REFUSED);
    assert!(refused.stderr.contains("refused"), "{refused:?}");
    listening.end().done();
    assert_eq!(omid.values(&by_phone, "/data/head_name"), ["Phone"]);
    // Whoever comes home first: nothing is lost, and nothing blocks.
    for device in [&twin, &omid, &phone, &twin, &omid, &phone] {
        device.run(&["sync"], &["--json"]);
    }
    for device in [&omid, &phone, &twin] {
        let report = device.sync();
        assert_eq!(report["refused"], json!([]), "{report}");
        for (record, reference, value) in [
            (&record, "/data/adults", "3"),
            (&record, "/data/rooms", "9"),
            (&by_phone, "/data/head_name", "Phone"),
            (&by_twin, "/data/head_name", "Twin"),
        ] {
            assert_eq!(device.values(record, reference), [value], "{reference} on {}", device.folder.display());
            assert_eq!(row(device, record)["status"], "sent");
        }
        assert_eq!(interviews(device), 3);
    }
    assert_eq!(world.org_json(&["review", "list"], &[]), json!([]));
}

#[test]
fn a_text_is_for_one_device_once() {
    let world = world();
    let devices = ["host", "one", "two"].map(|name| world.device(name, name));
    let [host, one, two] = &devices;
    let record = host.fill("household", &household("Rahimi"));
    let mut listening = Listening::start(host, &["--many"]);
    let first = listening.text.clone();
    // Whoever mistypes it hears so, and may try again.
    let mistyped = format!("{}A", &first[..first.len() - 1]);
    if mistyped != first {
        one.run(&["sync"], &["--with", &mistyped]).refused(BAD_INPUT);
    }
    one.run(&["sync"], &["--with", &first]).done();
    listening.line();
    let refused = two.run(&["sync"], &["--with", &first]).refused(REFUSED);
    assert!(refused.stderr.contains("not what the other device shows now"), "{refused:?}");
    assert_eq!(interviews(two), 0);
    let second = listening.line()["text"].as_str().unwrap().to_owned();
    two.run(&["sync"], &["--with", &second]).done();
    assert_eq!(two.values(&record, "/data/head_name"), ["Rahimi"]);
}

#[test]
fn devices_that_do_not_find_each_other_say_what_to_do() {
    let world = world();
    let (host, guest) = (world.device("host", "Laila"), world.device("guest", "Omid"));
    let nobody = host.run(&["listen"], &["--listen", "127.0.0.1:0", "--minutes", "0"]).refused(UNREACHABLE);
    assert!(nobody.stdout.contains("karwan-meet1:") && nobody.stderr.contains("hotspot"), "{nobody:?}");
    let listening = Listening::start(&host, &[]);
    let text = listening.text.clone();
    // Ctrl-C ends it in order, and the folder is free at once.
    assert!(Command::new("kill").args(["-INT", &listening.id().to_string()]).status().unwrap().success());
    assert_eq!(listening.end().refused(1).status, 1);
    host.fill("household", &household("Rahimi"));
    let gone = guest.run(&["sync"], &["--with", &text]).refused(UNREACHABLE);
    assert!(gone.stderr.contains("hotspot") && gone.stderr.contains("does not answer"), "{gone:?}");
    guest.run(&["sync"], &["--with", "karwan-meet1:AAAA"]).refused(BAD_INPUT);
}

#[test]
fn a_device_that_dies_in_the_middle_of_a_meeting_loses_nothing_and_goes_on_at_the_next() {
    const RECORDS: usize = 300;
    let world = world();
    let (host, guest) = (world.device("host", "Laila"), world.device("guest", "Omid"));
    let line = |number: usize| {
        json!({"/data/head_name": format!("Head {number}"), "/data/phone": "0700000001", "/data/adults": "2", "/data/children": "1",
            "/data/rooms": "4"})
    };
    let lines = (0..RECORDS).map(|number| line(number).to_string()).collect::<Vec<_>>().join("\n");
    host.run_with_input(&["fill"], &["household", "--answers", "-"], &lines).done();
    guest.run_with_input(&["fill"], &["household", "--answers", "-"], &lines).done();
    for (round, pause_ms) in [50, 100, 200, 400, 600, 800].into_iter().enumerate() {
        let listening = Listening::start(&host, &[]);
        let mut coming = Command::new(karwan())
            .args(["device", "sync", guest.folder.to_str().unwrap(), "--with", &listening.text])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause_ms));
        if round % 2 == 0 {
            // Dropped, it is killed; the other finds out by itself.
            drop(listening);
            coming.kill().unwrap();
        } else {
            coming.kill().unwrap();
            drop(listening);
        }
        coming.wait().unwrap();
    }
    let (met, came) = meet(&host, &guest);
    // Killed in the middle of a commit, a device cannot tell itself from a copy: what it had not sealed waits for the server, and it says so.
    let waiting = |report: &Value| usize::try_from(report["kept_back"].as_u64().unwrap_or(0)).unwrap();
    assert_eq!(
        (interviews(&guest), interviews(&host)),
        (2 * RECORDS - waiting(&met), 2 * RECORDS - waiting(&came)),
        "{met} {came}"
    );
    let (again, same) = meet(&guest, &host);
    assert_eq!((&again["envelopes_up"], &same["envelopes_up"]), (&json!(0), &json!(0)));
    for device in [&guest, &host, &guest] {
        let home = device.sync();
        assert_eq!((&home["refused"], &home["kept_back"]), (&json!([]), &Value::Null), "{home}");
    }
    for device in [&host, &guest] {
        let listed = device.json(&["list"], &["--kind", "interview"]);
        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), 2 * RECORDS);
        assert!(listed.iter().all(|row| row["status"] == "sent"), "{listed:?}");
    }
    assert_eq!(world.org_json(&["records"], &["--kind", "interview"]).as_array().unwrap().len(), 2 * RECORDS);
}

#[test]
fn what_a_device_killed_in_a_commit_had_not_sealed_waits_for_the_server_and_is_told() {
    let world = world();
    let (host, guest) = (world.device("host", "Laila"), world.device("guest", "Omid"));
    let record = host.fill("household", &household("Rahimi"));
    // The witness has the counter of a commit that the database has not: as after a kill between the two.
    let before = copy(&world, &host, "before");
    host.fill("household", &household("Never committed"));
    std::fs::copy(host.folder.join("witness"), before.folder.join("witness")).unwrap();
    let listening = Listening::start(&before, &[]);
    let said = guest.run(&["sync"], &["--with", &listening.text]).done();
    assert!(!said.stdout.contains("stay here"), "it keeps nothing back itself: {said:?}");
    assert_eq!(listening.end().done().json()["kept_back"], 1);
    assert_eq!(interviews(&guest), 0);
    let listening = Listening::start(&guest, &[]);
    let said = before.run(&["sync"], &["--with", &listening.text]).done();
    assert!(said.stdout.contains("1 edits stay here"), "{said:?}");
    drop(listening);
    let home = before.sync();
    assert_eq!((&home["kept_back"], &home["written_again"]), (&Value::Null, &json!(1)), "{home}");
    meet(&before, &guest);
    for device in [&before, &guest] {
        assert_eq!(device.values(&record, "/data/head_name"), ["Rahimi"]);
        assert_eq!(interviews(device), 1);
    }
}

#[test]
fn a_photograph_comes_home_with_the_device_that_was_met_and_goes_to_nobody_else() {
    let world = World::new(&[("person.xlsx", photo_form().unwrap())]);
    world.org(&["caseload", "add"], &[OTHER]).done();
    let maker = enrolled(&world, "maker", "Laila", &[CASELOAD, OTHER]);
    let (carrier, stranger) = (world.device("carrier", "Omid"), enrolled(&world, "stranger", "Karim", &[OTHER]));
    for device in [&maker, &stranger] {
        device.sync();
    }
    let record = maker.fill("person", "name=Qurban\n");
    let photo = world.path("photo.gif");
    let content = [PLANTED.as_bytes(), &vec![7; 300_000], PLANTED.as_bytes()].concat();
    std::fs::write(&photo, &content).unwrap();
    maker.json(&["attach"], &[&record, "/data/photo", photo.to_str().unwrap()]);

    let (gave, came) = meet(&maker, &stranger);
    assert_eq!((&gave["attachments_up"], &came["attachments_down"]), (&json!(0), &json!(0)), "{gave} {came}");
    assert!(search(decrypted(&stranger.folder).path(), &needles(&[PLANTED])).is_empty());

    let (gave, came) = meet(&maker, &carrier);
    assert_eq!((&gave["attachments_up"], &came["attachments_down"]), (&json!(1), &json!(1)), "{gave} {came}");
    let (again, same) = meet(&carrier, &maker);
    assert_eq!((&again["attachment_bytes_up"], &same["attachment_bytes_up"]), (&json!(0), &json!(0)), "{again} {same}");
    let saved = world.path("saved.gif");
    carrier.run(&["save"], &[&record, "/data/photo", saved.to_str().unwrap()]).done();
    assert_eq!(std::fs::read(&saved).unwrap(), content);

    let home = carrier.sync();
    assert_eq!(home["attachments_up"], 1, "{home}");
    let maker_home = maker.sync();
    assert_eq!((&maker_home["attachments_up"], &maker_home["attachment_bytes_up"]), (&json!(1), &json!(0)), "{maker_home}");
    let third = world.device("third", "Zahra");
    third.sync();
    third.run(&["save"], &[&record, "/data/photo", world.path("third.gif").to_str().unwrap()]).done();
    assert_eq!(std::fs::read(world.path("third.gif")).unwrap(), content);
}
