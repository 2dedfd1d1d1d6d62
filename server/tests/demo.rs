//! What the demo does when it may not run, and when it is ended in the middle. That it runs to its end is a step of `tests/run`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_karwan"));
    command.arg("demo").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_folder_that_is_not_empty_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "kept").unwrap();
    let output = demo().arg(folder.path()).arg("--exit").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_demo_that_is_ended_in_the_middle_leaves_no_server_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo().arg(folder.path().join("demo")).spawn().unwrap();
    let lines = BufReader::new(demo.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut console = String::new();
    for line in lines {
        if let Some((_, address)) = line.split_once("the console on http://") {
            console = address.to_owned();
        }
        // The phones are on their way, and the server runs.
        if line.starts_with("First journey") {
            break;
        }
    }
    TcpStream::connect(&console).expect("the console answers while the demo runs");
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", demo.id())]).status().unwrap();
    assert!(told.success());
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    assert!(TcpStream::connect(&console).is_err(), "the server outlived the demo");
}
