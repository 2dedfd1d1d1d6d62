//! Two devices that meet: one listens in a process of its own, the other syncs with what that shows.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::command::{Answer, karwan};
use crate::world::Device;

/// A `karwan device listen` at work; ended with it.
#[derive(Debug)]
pub struct Listening {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    /// What the other device is to read.
    pub text: String,
}

impl Listening {
    /// Begins to listen on this machine alone, with these arguments besides.
    pub fn start(device: &Device, rest: &[&str]) -> Self {
        let mut child = Command::new(karwan())
            .args(["device", "listen", device.folder.to_str().expect("UTF-8"), "--listen", "127.0.0.1:0", "--json"])
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the device listens");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut listening = Self { child, out, text: String::new() };
        listening.line()["text"].as_str().expect("a text").clone_into(&mut listening.text);
        listening
    }

    /// The next line that it says.
    pub fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("its answer is read");
        serde_json::from_str(&line).unwrap_or_else(|error| {
            let mut said = String::new();
            self.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            panic!("no line of JSON ({error}): {line:?} {said}")
        })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Answer {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.out.read_to_string(&mut stdout).expect("its answer is read");
        self.child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("its errors are read");
        let status = self.child.wait().expect("it ends").code().unwrap_or(-1);
        Answer { status, stdout, stderr }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One listens, the other syncs with it; gives the reports of who listened and of who came.
pub fn meet(host: &Device, guest: &Device) -> (Value, Value) {
    let listening = Listening::start(host, &[]);
    let came = guest.json(&["sync"], &["--with", &listening.text]);
    (listening.end().done().json(), came)
}
