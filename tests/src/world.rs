//! An organisation with a server and devices, in a temporary folder, all through the real command.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Answer, program, run, run_with_input};
use crate::ports::steady_port;
use crate::postgres::{self, Cluster};

/// Name of the caseload that every device of a [`World`] is granted.
pub const CASELOAD: &str = "mashhad";

/// A running `karwan serve`; ended with it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where devices sync.
    pub sync: String,
    /// Where people look.
    pub console: String,
}

impl Server {
    /// Starts a server on the organisation's folder and waits until it is ready. Port 0 takes a free one, which nobody else takes while it is killed.
    ///
    /// # Panics
    /// Where it does not start.
    #[allow(clippy::expect_used, clippy::panic)]
    pub fn start(organisation: &Path, listen: &str) -> Self {
        let steady = listen.strip_suffix(":0").map(|host| format!("{host}:{}", steady_port()));
        let listen = steady.as_deref().unwrap_or(listen);
        let mut child = program()
            .args(["serve", organisation.to_str().expect("UTF-8"), "--listen", listen, "--console", "127.0.0.1:0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("the server says that it is ready");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("no ready line ({error}): {line:?}"));
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Self { child, sync: text("sync"), console: text("console") }
    }

    /// The server's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An organisation, its server and a folder for devices.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    pub server: Option<Server>,
    /// Its database, where that is PostgreSQL; ended after the server.
    pub cluster: Option<Cluster>,
    listen: String,
}

impl World {
    /// An organisation with one caseload, these forms in it, and a server on a free port.
    ///
    /// # Panics
    /// Where any of it fails.
    #[allow(clippy::expect_used)]
    pub fn new(forms: &[(&str, Vec<u8>)]) -> Self {
        Self::within(TempDir::new().expect("a temporary folder"), forms)
    }

    /// The same in the build's folder: the one for temporary files may lie in memory, where a commit takes no time.
    ///
    /// # Panics
    /// Where any of it fails.
    #[allow(clippy::expect_used)]
    pub fn on_disk(forms: &[(&str, Vec<u8>)]) -> Self {
        let disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tests");
        std::fs::create_dir_all(&disk)
            .and_then(|()| disk.canonicalize())
            .and_then(TempDir::new_in)
            .map_or_else(|error| panic!("no temporary folder in the build's: {error}"), |folder| Self::within(folder, forms))
    }

    /// The same over this PostgreSQL.
    ///
    /// # Panics
    /// Where any of it fails.
    #[allow(clippy::expect_used)]
    pub fn over(cluster: Cluster, forms: &[(&str, Vec<u8>)]) -> Self {
        Self::made(TempDir::new().expect("a temporary folder"), forms, Some(cluster))
    }

    fn within(folder: TempDir, forms: &[(&str, Vec<u8>)]) -> Self {
        Self::made(folder, forms, postgres::asked_for())
    }

    fn made(folder: TempDir, forms: &[(&str, Vec<u8>)], cluster: Option<Cluster>) -> Self {
        let database = cluster.as_ref().map(Cluster::database);
        let mut world = Self { folder, server: None, cluster, listen: "127.0.0.1:0".to_owned() };
        let mut rest = vec!["--name", "Test organisation"];
        rest.extend(database.iter().flat_map(|address| ["--database", address.as_str()]));
        world.org(&["init"], &rest).done();
        world.org(&["caseload", "add"], &[CASELOAD]).done();
        for (name, bytes) in forms {
            let file = world.path(name);
            std::fs::write(&file, bytes).expect("the form is written");
            world.org(&["form", "add"], &[file.to_str().expect("UTF-8"), "--caseload", CASELOAD]).done();
        }
        world.serve();
        world
    }

    /// A path in the world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The organisation's folder.
    pub fn organisation(&self) -> PathBuf {
        self.path("org")
    }

    /// A second folder of the same organisation in a database, as an operator makes one for a second server.
    pub fn second_folder(&self) -> PathBuf {
        let (from, to) = (self.organisation(), self.path("org-2"));
        for folder in ["keys", "blobs", "attachments"] {
            std::fs::create_dir_all(to.join(folder)).expect("a folder");
        }
        for name in ["database", "keys/server.key", "keys/administrator.key"] {
            std::fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
        to
    }

    /// Starts the server, on the port that it had before if there was one: devices remember it.
    pub fn serve(&mut self) {
        let server = Server::start(&self.organisation(), &self.listen);
        self.listen.clone_from(&server.sync);
        self.server = Some(server);
    }

    /// Kills the server and starts it again.
    pub fn kill_and_serve(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
        self.serve();
    }

    /// Runs `karwan WORDS ORG REST`.
    pub fn org(&self, words: &[&str], rest: &[&str]) -> Answer {
        let organisation = self.organisation();
        let mut arguments = words.to_vec();
        arguments.push(organisation.to_str().unwrap_or_default());
        arguments.extend(rest);
        run(&arguments)
    }

    /// Runs `karwan WORDS ORG REST --json` and reads its answer.
    pub fn org_json(&self, words: &[&str], rest: &[&str]) -> Value {
        let rest: Vec<&str> = rest.iter().copied().chain(["--json"]).collect();
        self.org(words, &rest).done().json()
    }

    /// An invitation for this role.
    #[allow(clippy::expect_used)]
    pub fn invitation(&self, role: &str) -> String {
        let answer = self.org_json(&["invite"], &["--role", role, "--caseload", CASELOAD]);
        answer["invitation"].as_str().expect("an invitation").to_owned()
    }

    /// A device of this name, enrolled as an enumerator and used by the person named.
    pub fn device(&self, name: &str, person: &str) -> Device {
        let device = Device { folder: self.path(name) };
        device.run(&["enrol"], &[&self.invitation("enumerator"), "--name", name, "--person", person]).done();
        device.sync();
        device
    }
}

/// A field device's folder.
#[derive(Debug, Clone)]
pub struct Device {
    pub folder: PathBuf,
}

impl Device {
    /// Runs `karwan device WORDS DEV REST`.
    pub fn run(&self, words: &[&str], rest: &[&str]) -> Answer {
        self.run_with_input(words, rest, "")
    }

    /// The same with a text on standard input.
    pub fn run_with_input(&self, words: &[&str], rest: &[&str], input: &str) -> Answer {
        let mut arguments = vec!["device"];
        arguments.extend(words);
        arguments.push(self.folder.to_str().unwrap_or_default());
        arguments.extend(rest);
        run_with_input(&arguments, input)
    }

    /// The same, with `--json` and its answer.
    pub fn json(&self, words: &[&str], rest: &[&str]) -> Value {
        let rest: Vec<&str> = rest.iter().copied().chain(["--json"]).collect();
        self.run(words, &rest).done().json()
    }

    /// Fills a form with these `name=value` lines; gives the record.
    #[allow(clippy::expect_used)]
    pub fn fill(&self, form: &str, answers: &str) -> String {
        let file = self.folder.with_extension("answers.txt");
        std::fs::write(&file, answers).expect("the answers are written");
        let answer = self.json(&["fill"], &[form, "--answers", file.to_str().expect("UTF-8")]);
        answer["record"].as_str().expect("a record").to_owned()
    }

    /// Sets one question of a record.
    pub fn edit(&self, record: &str, set: &str) -> Answer {
        self.run(&["edit"], &[record, "--set", set])
    }

    /// Syncs with the server; gives the report.
    pub fn sync(&self) -> Value {
        self.json(&["sync"], &[])
    }

    /// The values of one question of a record, as this device shows them.
    pub fn values(&self, record: &str, reference: &str) -> Vec<String> {
        values(&self.json(&["show"], &[record]), reference)
    }
}

/// The values of one question in an answer of `records show` or `device show`, sorted.
pub fn values(shown: &Value, reference: &str) -> Vec<String> {
    let entries = shown["values"][reference].as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = entries.iter().map(|entry| entry["value"].as_str().unwrap_or_default().to_owned()).collect();
    found.sort();
    found
}
