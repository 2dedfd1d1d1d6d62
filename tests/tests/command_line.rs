//! The command line as people and scripts meet it: help, exit statuses, errors as JSON, interviews from a pipe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use karwan_tests::command::{Answer, karwan, run};
use karwan_tests::workbook::household_form;
use karwan_tests::world::{CASELOAD, Device, World};
use serde_json::{Value, json};

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;
const FOLDER: i32 = 6;

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

/// The JSON error of an answer, which has nothing else on standard error.
fn error(answer: &Answer) -> Value {
    let value: Value = serde_json::from_str(answer.stderr.trim()).unwrap_or_else(|_| panic!("no JSON error: {answer:?}"));
    for key in ["error", "code", "mend"] {
        assert!(value[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {value}");
    }
    value
}

/// The names under `Commands:` in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let named =
        lines.take_while(|line| !line.trim().is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Asks for the help of a command and of everything below it; gives how many commands that were.
fn look_at_help(words: &[String]) -> usize {
    let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    arguments.push("--help");
    let answer = run(&arguments).done();
    assert!(answer.stdout.contains("Example"), "no example in the help of {words:?}:\n{}", answer.stdout);
    let below = subcommands(&answer.stdout).into_iter();
    1 + below.map(|word| look_at_help(&[words, &[word]].concat())).sum::<usize>()
}

#[test]
fn every_command_has_a_help_with_an_example() {
    // The contract names 46 commands that do something; more may be added.
    assert!(look_at_help(&[]) >= 50);
}

#[test]
fn what_is_no_command_is_a_usage_error_with_a_mend() {
    for arguments in [&["frobnicate"][..], &["init"], &["review", "resolve", "org", "item"], &["invite", "org", "--role", "king"]]
    {
        run(arguments).refused(USAGE);
        let with_json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        assert_eq!(error(&run(&with_json).refused(USAGE))["code"], "usage");
    }
}

#[test]
fn an_error_is_a_line_and_a_mend_or_one_json_value() {
    let answer = run(&["records", "/nowhere/at/all"]).refused(BAD_INPUT);
    let lines: Vec<&str> = answer.stderr.trim().lines().collect();
    assert_eq!(lines.len(), 2, "{answer:?}");
    assert!(lines[0].starts_with("error: ") && lines[1].starts_with("mend: "), "{answer:?}");
    assert_eq!(error(&run(&["records", "/nowhere/at/all", "--json"]).refused(BAD_INPUT))["code"], "no-organisation");
    assert_eq!(error(&run(&["device", "list", "/nowhere/at/all", "--json"]).refused(BAD_INPUT))["code"], "no-device");
}

#[test]
fn what_is_not_there_is_bad_input_on_both_sides() {
    let world = world();
    let device = world.device("phone", "Laila");
    let unknown = "00112233445566778899aabbccddeeff";
    for words in [&["show"][..], &["edit"], &["finalize"], &["discard"]] {
        let rest = if words == ["edit"] { vec![unknown, "--set", "/data/phone=1"] } else { vec![unknown] };
        device.run(words, &rest).refused(BAD_INPUT);
    }
    device.run(&["fill"], &["no-such-form"]).refused(BAD_INPUT);
    world.org(&["records", "show"], &[unknown]).refused(BAD_INPUT);
    world.org(&["devices", "revoke"], &[unknown]).refused(BAD_INPUT);
    world.org(&["user", "add"], &["Zahra", "--role", "supervisor", "--caseload", "atlantis"]).refused(BAD_INPUT);
}

#[test]
fn people_are_added_with_a_password_and_listed() {
    let world = world();
    let organisation = world.organisation();
    let arguments = ["user", "add", organisation.to_str().unwrap(), "زهرا", "--role", "supervisor", "--caseload", CASELOAD];
    let with_password: Vec<&str> = arguments.iter().copied().chain(["--password-stdin", "--json"]).collect();
    karwan_tests::command::run_with_input(&with_password, "short\n").refused(BAD_INPUT);
    karwan_tests::command::run_with_input(&with_password, "long enough for anybody\n").done();
    let people = world.org_json(&["user", "list"], &[]);
    let zahra = people.as_array().unwrap().iter().find(|person| person["name"] == "زهرا").unwrap();
    assert_eq!(zahra["role"], "supervisor");
    assert_eq!(zahra["signs_in"], true);
    assert_eq!(zahra["caseloads"], json!([CASELOAD]));
    world.org(&["user", "disable"], &["زهرا"]).done();
}

/// One member, no second; two instalments without a decision.
const PIPED: &str = "قربان‌علی\n\n\n\n0700000001\n2\n1\n2\n4\n1 3\nHerat\nRegistered\n";

#[test]
fn an_interview_is_filled_from_a_pipe_question_by_question() {
    let world = world();
    let device = world.device("phone", "Laila");
    // Two sleeping places for three people do not stand: asked again. Then members until there is no other, and the instalments.
    let answer =
        device.run_with_input(&["fill"], &["household", "--json"], &format!("{PIPED}زهرا\n۳۰\ny\nعلی\n4\n\n\n\n")).done();
    assert!(answer.stderr.contains("Fewer places than people."), "{answer:?}");
    let record = answer.json()["record"].as_str().unwrap().to_owned();
    for (reference, value) in [
        ("/data/head_name", "قربان‌علی"),
        ("/data/phone", "0700000001"),
        ("/data/rooms", "4"),
        ("/data/needs", "food health"),
        ("/data/destination", "herat"),
        ("/data/status", "registered"),
    ] {
        assert_eq!(device.values(&record, reference), [value], "{reference}");
    }
    let shown = device.json(&["show"], &[&record]);
    let ages: Vec<&str> = shown["values"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(reference, _)| reference.ends_with("/m_age"))
        .map(|(_, entries)| entries[0]["value"].as_str().unwrap())
        .collect();
    assert_eq!(ages.len(), 2, "{shown}");
    assert!(ages.contains(&"30") && ages.contains(&"4"), "{shown}");
}

#[test]
fn an_interview_that_is_cut_short_keeps_its_answers_and_is_gone_on_with() {
    let world = world();
    let device = world.device("phone", "Laila");
    let answer = device.run_with_input(&["fill"], &["household"], "Qurban\nMohammad\n").refused(FAILED);
    let drafts = device.json(&["list"], &[]);
    assert_eq!(drafts[0]["status"], "draft", "{drafts}");
    let record = drafts[0]["record"].as_str().unwrap().to_owned();
    assert!(answer.stderr.contains(&format!("--resume {record}")), "it says how to go on: {answer:?}");
    assert_eq!(device.values(&record, "/data/father_name"), ["Mohammad"]);
    // It goes on at the first question without an answer.
    let answers = "1370\n\n0700000001\n2\n1\n4\n!draft\n";
    device.run_with_input(&["fill"], &["--resume", &record, "--json"], answers).done();
    assert_eq!(device.values(&record, "/data/birth_year"), ["1370"]);
    assert_eq!(device.values(&record, "/data/rooms"), ["4"]);
    device.run(&["finalize"], &[&record]).done();
    assert_eq!(device.values(&record, "/data/head_name"), ["Qurban"]);
    device.run(&["finalize"], &[&record]).refused(BAD_INPUT);
}

#[test]
fn a_killed_interview_has_lost_no_answer_that_was_followed_by_a_question() {
    let world = world();
    let device = world.device("phone", "Laila");
    let mut child = Command::new(karwan())
        .args(["device", "fill", device.folder.to_str().unwrap(), "household"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"Qurban\nMohammad\n").unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    // The third question is put: the first two answers are on disk.
    assert!(told.any(|line| line.unwrap().contains("Year of birth")));
    child.kill().unwrap();
    child.wait().unwrap();
    let drafts = device.json(&["list"], &[]);
    let record = drafts[0]["record"].as_str().unwrap();
    assert_eq!(device.values(record, "/data/head_name"), ["Qurban"]);
    assert_eq!(device.values(record, "/data/father_name"), ["Mohammad"]);
    device.run(&["discard"], &[record]).done();
    assert_eq!(device.json(&["list"], &[]), json!([]));
}

#[test]
fn an_answer_can_be_gone_back_to_emptied_and_given_again() {
    let world = world();
    let device = world.device("phone", "Laila");
    let answer =
        device.run_with_input(&["fill"], &["household", "--json"], "Qurban\nMohammad\n<\n<\nMorad\n!clear\n!draft\n").done();
    let record = answer.json()["record"].as_str().unwrap().to_owned();
    assert_eq!(device.values(&record, "/data/head_name"), ["Morad"]);
    assert!(device.values(&record, "/data/father_name").is_empty());
}

#[test]
fn several_interviews_come_as_json_lines_and_each_gives_its_record() {
    let world = world();
    let device = world.device("phone", "Laila");
    let lines = [
        json!({"head_name": "Qurban", "adults": "1", "children": "0", "rooms": "1"}),
        json!({"/data/head_name": "Zahra", "adults": "2", "children": "1", "rooms": "3", "/data/member[2]/m_name": "Ali"}),
    ];
    let input = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let answer = device.run_with_input(&["fill"], &["household", "--answers", "-", "--json"], &input).done();
    let records: Vec<Value> = answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{answer:?}");
    assert_eq!(device.values(records[1]["record"].as_str().unwrap(), "/data/head_name"), ["Zahra"]);
    // The second of these does not stand: the first is written, and the error names which.
    let bad = format!("{}\n{}\n", lines[0], json!({"head_name": "Karim", "adults": "-1"}));
    let answer = device.run_with_input(&["fill"], &["household", "--answers", "-", "--json"], &bad).refused(BAD_INPUT);
    assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
    assert!(error(&answer)["error"].as_str().unwrap().starts_with("interview 2"), "{answer:?}");
    assert!(!answer.stderr.contains("Karim"), "no answers in errors: {answer:?}");
}

#[test]
fn an_edit_that_makes_a_record_invalid_exits_3_and_writes_nothing() {
    let world = world();
    let device = world.device("phone", "Laila");
    let record = device.fill("household", "head_name=Qurban\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\n");
    let before = device.json(&["show"], &[&record]);
    let answer =
        device.run(&["edit"], &[&record, "--set", "/data/phone=0799999999", "/data/rooms=1", "--json"]).refused(BAD_INPUT);
    assert_eq!(error(&answer)["code"], "invalid");
    device.run(&["edit"], &[&record, "--set", "/data/adults=many"]).refused(BAD_INPUT);
    device.run(&["edit"], &[&record, "--set", "/data/nothing=1"]).refused(BAD_INPUT);
    assert_eq!(device.json(&["show"], &[&record]), before);
    // As a draft it is kept, and the record itself does not change until it is finished.
    device.run(&["edit"], &[&record, "--set", "/data/rooms=1", "--draft"]).done();
    device.run(&["finalize"], &[&record]).refused(BAD_INPUT);
    device.run(&["discard"], &[&record]).done();
    assert_eq!(device.json(&["show"], &[&record]), before);
}

#[test]
fn instances_are_added_first_and_removed_last_so_positions_are_those_before_the_edit() {
    let world = world();
    let device = world.device("phone", "Laila");
    let members = "repeat member=2\nm_name@1=Zahra\nm_name@2=Ali\n";
    let record = device.fill("household", &format!("head_name=Qurban\nadults=2\nchildren=1\nrooms=4\n{members}"));
    let edit = [&record, "--add", "/data/member", "--set", "/data/member[3]/m_name=Morad", "--remove", "/data/member[1]"];
    device.run(&["edit"], &edit).done();
    let shown = device.json(&["show"], &[&record]);
    let names: Vec<&str> = shown["values"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(reference, _)| reference.ends_with("/m_name"))
        .map(|(_, entries)| entries[0]["value"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{shown}");
    assert!(names.contains(&"Ali") && names.contains(&"Morad"), "{shown}");
}

#[test]
fn a_folder_in_use_is_waited_for_and_then_said_to_be_locked() {
    let world = world();
    let device = world.device("phone", "Laila");
    // An interview that waits for an answer has the device's folder.
    let mut interview = Command::new(karwan())
        .args(["device", "fill", device.folder.to_str().unwrap(), "household"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(interview.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("Name of the head")));
    let began = std::time::Instant::now();
    let answer = device.run(&["list"], &["--json"]).refused(FOLDER);
    assert_eq!(error(&answer)["code"], "locked");
    assert!(began.elapsed().as_secs() >= 25, "it waited for the folder");
    interview.kill().unwrap();
    interview.wait().unwrap();
    device.run(&["list"], &["--json"]).done();
}

#[test]
fn a_server_ends_cleanly_when_it_is_asked_to() {
    let mut world = world();
    let server = world.server.take().unwrap();
    Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    // It takes its socket away, which a server that is killed leaves behind.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while world.organisation().join("control.sock").exists() {
        assert!(std::time::Instant::now() < until, "the server did not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // The folder is free again without anybody's help.
    assert_eq!(world.org_json(&["caseload", "list"], &[])[0]["name"], CASELOAD);
    drop(server);
}

#[test]
fn an_invitation_is_a_code_to_scan_and_a_text_to_copy() {
    let world = world();
    let answer = world.org(&["invite"], &["--role", "enumerator", "--caseload", CASELOAD, "--address", "192.0.2.7:7447"]).done();
    assert!(answer.stdout.contains('▀') || answer.stdout.contains('█'), "{answer:?}");
    let text = answer.stdout.lines().find(|line| line.starts_with("karwan1:")).expect("the text stands alone on a line");
    assert!(text.len() > 100);
    assert!(answer.stdout.contains("192.0.2.7:7447"), "{answer:?}");
}

#[test]
fn a_form_is_read_out_and_has_a_template_that_fills_it() {
    let world = world();
    let form = world.path("household.xlsx");
    let shown = run(&["form", "show", form.to_str().unwrap(), "--language", "fa"]).done();
    assert!(shown.stdout.contains("نام سرپرست"), "{shown:?}");
    run(&["form", "show", form.to_str().unwrap(), "--language", "Klingon"]).refused(BAD_INPUT);
    let template = run(&["form", "template", form.to_str().unwrap()]).done().stdout;
    assert!(template.contains("Name of the head") && template.contains("herat: Herat"), "{template}");
    assert!(
        template.contains("[text, required]") && template.contains("[select_one") && !template.contains("selectone"),
        "{template}"
    );
    let given = [("head_name=", "Qurban"), ("adults=", "1"), ("children=", "0"), ("rooms=", "2"), ("m_name@1=", "Ali")];
    let filled = given.iter().fold(template, |text, (name, value)| text.replace(&format!("# {name}"), &format!("{name}{value}")));
    let device = world.device("phone", "Laila");
    let record = device.fill("household", &filled);
    assert_eq!(device.values(&record, "/data/rooms"), ["2"]);
}

#[test]
fn a_trace_answers_each_event_with_a_state() {
    let world = world();
    let form = world.path("household.xlsx");
    let arguments = ["form", "trace", form.to_str().unwrap(), "--now", "2026-11-23T10:00:00Z"];
    let events =
        "{\"set\": \"/data/adults\", \"value\": \"2\"}\n{\"set\": \"/data/nobody\", \"value\": \"1\"}\n{\"finalize\": true}\n";
    let answer = karwan_tests::command::run_with_input(&arguments, events).done();
    let states: Vec<Value> = answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accepted: Vec<bool> = states.iter().map(|state| state["accepted"].as_bool().unwrap()).collect();
    assert_eq!(accepted, [true, true, false, false]);
    let people = states[1]["nodes"].as_array().unwrap().iter().find(|node| node["ref"] == "/data/people").unwrap();
    assert_eq!(people["value"], "2");
    assert_eq!(states[3]["violations"][0], json!({"ref": "/data/head_name", "kind": "required", "message": ""}));
    karwan_tests::command::run_with_input(&arguments, "no event\n").refused(BAD_INPUT);
}

#[test]
fn a_device_enrols_once_and_keeps_its_key_where_it_is_told() {
    let world = world();
    let device = Device { folder: world.path("phone") };
    let key = world.path("elsewhere.key");
    let key = key.to_str().unwrap();
    let answer = device.run(&["enrol"], &[&world.invitation("enumerator"), "--name", "phone", "--key-file", key]).done();
    assert!(answer.stderr.contains(key), "it says where the key is: {answer:?}");
    device.run(&["sync"], &["--key-file", key, "--json"]).done();
    // Without the key nothing opens, and a second enrolment does not overwrite the device.
    device.run(&["list"], &["--json"]).refused(4);
    let again = device.run(&["enrol"], &[&world.invitation("enumerator"), "--name", "phone", "--key-file", key, "--json"]);
    assert_eq!(error(&again.refused(BAD_INPUT))["code"], "device-exists");
}
