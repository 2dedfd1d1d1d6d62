//! The real `karwan` command: where it is, how it is run, what it answered.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The command's program, built if it is older than its source.
///
/// # Panics
/// Where it cannot be built: no test can go on.
#[allow(clippy::expect_used, clippy::panic)]
pub fn karwan() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("KARWAN_PROGRAM") {
            return given.into();
        }
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--release", "--quiet", "--bin", "karwan"]).current_dir(&root).status();
        assert!(built.expect("cargo runs").success(), "the karwan command does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        target.join("release/karwan").canonicalize().expect("the command is where cargo puts it")
    })
}

/// The command with an access key for object storage, which the tests' own does not look at.
pub fn program() -> Command {
    let mut command = Command::new(karwan());
    command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
    command
}

/// What a run of the command answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit status; -1 where a signal ended it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// The one JSON value on standard output.
    ///
    /// # Panics
    /// Where there is none: the message shows what came instead.
    #[allow(clippy::panic)]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|error| panic!("no JSON on standard output ({error}): {self:?}"))
    }

    /// This answer, if it is a success.
    ///
    /// # Panics
    /// Where it is not.
    pub fn done(self) -> Self {
        assert_eq!(self.status, 0, "expected status 0: {self:?}");
        self
    }

    /// This answer, if its exit status is the one expected and it says how to mend what is wrong.
    ///
    /// # Panics
    /// Where it is not.
    pub fn refused(self, status: i32) -> Self {
        assert_eq!(self.status, status, "expected status {status}: {self:?}");
        assert!(self.stderr.trim().lines().count() >= 2 || self.stderr.contains("\"mend\""), "an error has a mend: {self:?}");
        self
    }
}

/// Runs the command with these arguments.
pub fn run(arguments: &[&str]) -> Answer {
    run_with_input(arguments, "")
}

/// Runs the command with these arguments and this text on its standard input.
///
/// # Panics
/// Where the program cannot be started.
#[allow(clippy::expect_used)]
pub fn run_with_input(arguments: &[&str], input: &str) -> Answer {
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the karwan command starts");
    let stdin = child.stdin.take();
    // Written while the answer is read: a command that answers line by line waits for who reads.
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(mut stdin) = stdin {
                // A command that reads no input may have ended already: its answer tells.
                stdin.write_all(input.as_bytes()).ok();
            }
        });
        child.wait_with_output().expect("the karwan command ends")
    });
    Answer {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
