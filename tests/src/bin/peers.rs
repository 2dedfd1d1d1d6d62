//! Big forms in this engine and in ODK's two, JavaRosa and `@getodk/xforms-engine`, in one run: the same forms, the same answers in the
//! same order, each engine and form in a process of its own. Prints a table in Markdown and how many times faster this engine is; ends
//! with an error where that is less than ten times, or where two engines came to another last value.
//!
//!     cargo run --release -p karwan-tests --bin peers -- [--limit SECONDS]
//!
//! Needs Java (a JDK), Node, and pyxform's package, which carries JavaRosa; what is absent is said and left out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use karwan_tests::figures::forms;
use karwan_tests::form_oracle::{Oracle, shared};
use karwan_tests::form_speed::{self, Cost, SHAPES};

/// So many times faster than each peer is what is promised.
const TIMES: f64 = 10.0;
/// A peer that has not ended by then is stopped, and counts as having taken so long to begin.
const LIMIT_S: u64 = 120;
/// The version of pyxform whose package is asked for JavaRosa.
const PYXFORM: &str = "pyxform==4.5.0";

/// What one engine did with one form.
enum Outcome {
    Done(Box<Cost>),
    /// Stopped after so many seconds.
    Stopped(u64),
}

/// One other engine: the command that measures a form in it.
struct Peer {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if forms::answered_alone() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut limit_s = LIMIT_S;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--limit" => limit_s = arguments.next().ok_or("--limit needs a number of seconds")?.parse()?,
            other => return Err(format!("no option {other}; there is --limit SECONDS").into()),
        }
    }
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/form-peers"));
    std::fs::create_dir_all(&folder)?;
    for shape in SHAPES {
        std::fs::write(folder.join(format!("{shape}.xml")), form_speed::text(shape).unwrap_or_default())?;
    }
    std::fs::write(folder.join("places.csv"), form_speed::places())?;
    let peers: Vec<Peer> = [javarosa(&folder)?, xforms_engine()?].into_iter().flatten().collect();

    let mut table = String::from(
        "| form | engine | parse ms | start ms | answer p50 ms | p95 ms | max ms | peak MiB |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut failures = Vec::new();
    for shape in SHAPES {
        eprintln!("{shape}: karwan");
        let own = forms::alone(shape).ok_or_else(|| format!("the form {shape} was not measured"))?;
        row(&mut table, shape, "karwan", &Outcome::Done(Box::new(own.clone())));
        for peer in &peers {
            eprintln!("{shape}: {}", peer.name);
            let outcome = peer.measure(shape, &folder, limit_s)?;
            row(&mut table, shape, peer.name, &outcome);
            for (what, times) in ratios(shape, &own, &outcome) {
                println!("{shape}, {what}: {times:.0} times faster than {}", peer.name);
                if times < TIMES {
                    failures.push(format!("{shape}, {what}: {times:.1} times faster than {}, promised {TIMES}", peer.name));
                }
            }
            if let Outcome::Done(cost) = &outcome
                && cost.last != own.last
            {
                failures.push(format!("{shape}: the last value is {} here and {} in {}", own.last, cost.last, peer.name));
            }
        }
    }
    println!("\n{table}");
    for failure in &failures {
        println!("falls short: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many times longer a peer takes, for what is promised of a form. One that was stopped took at least its limit to begin.
fn ratios(shape: &str, own: &Cost, peer: &Outcome) -> Vec<(&'static str, f64)> {
    let begin = |cost: &Cost| cost.parse_ms + cost.start_ms;
    match peer {
        Outcome::Done(peer) => {
            let mut found = vec![("an answer (p95)", peer.p95_ms / own.p95_ms)];
            if shape == "external" {
                found.push(("loading", begin(peer) / begin(own)));
            }
            found
        }
        Outcome::Stopped(seconds) => {
            vec![("all of it, at least", *seconds as f64 * 1000.0 / (begin(own) + own.walk_ms + own.max_ms))]
        }
    }
}

fn row(table: &mut String, shape: &str, engine: &str, outcome: &Outcome) {
    let _ = match outcome {
        Outcome::Done(cost) => writeln!(
            table,
            "| {shape} | {engine} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} |",
            cost.parse_ms, cost.start_ms, cost.p50_ms, cost.p95_ms, cost.max_ms, cost.rss_mb
        ),
        Outcome::Stopped(seconds) => writeln!(table, "| {shape} | {engine} | stopped after {seconds} s | | | | | |"),
    };
}

impl Peer {
    fn measure(&self, shape: &str, folder: &Path, limit_s: u64) -> Result<Outcome, Box<dyn std::error::Error>> {
        let out = folder.join("out.json");
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(folder.join(format!("{shape}.xml")))
            .arg(folder)
            .arg(shape)
            .current_dir(&self.folder)
            .stdout(std::fs::File::create(&out)?)
            .stderr(Stdio::inherit())
            .spawn()?;
        let began = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if began.elapsed() > Duration::from_secs(limit_s) => {
                    child.kill()?;
                    child.wait()?;
                    return Ok(Outcome::Stopped(limit_s));
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        if !status.success() {
            return Err(format!("{} failed on {shape}: {status}", self.name).into());
        }
        let text = std::fs::read_to_string(&out)?;
        let line = text.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        Ok(Outcome::Done(serde_json::from_str(line)?))
    }
}

fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// JavaRosa out of pyxform's package, with the bench compiled against it.
fn javarosa(folder: &Path) -> Result<Option<Peer>, Box<dyn std::error::Error>> {
    let Some(shared) = shared() else { return Ok(None) };
    let source = shared.join("tools/form-peers/JavaRosaBench.java");
    if !ran(Command::new("javac").arg("-version")) {
        println!("skipped: JavaRosa, no javac");
        return Ok(None);
    }
    let venv = folder.join("venv");
    if !venv.join("bin/pip").exists() && !ran(Command::new("python3").args(["-m", "venv"]).arg(&venv)) {
        println!("skipped: JavaRosa, no python3 with venv");
        return Ok(None);
    }
    if !ran(Command::new(venv.join("bin/pip")).args(["install", "-q", PYXFORM])) {
        println!("skipped: JavaRosa, {PYXFORM} could not be installed");
        return Ok(None);
    }
    let found = Command::new(venv.join("bin/python"))
        .args([
            "-c",
            "import pyxform.validators as v, os; print(os.path.join(v.__path__[0], 'odk_validate/bin/ODK_Validate.jar'))",
        ])
        .output()?;
    let jar = PathBuf::from(String::from_utf8(found.stdout)?.trim());
    let classes = folder.join("classes");
    if !ran(Command::new("javac").arg("-cp").arg(&jar).arg("-d").arg(&classes).arg(&source)) {
        return Err(format!("{} does not compile against {}", source.display(), jar.display()).into());
    }
    let path = format!("{}:{}", classes.display(), jar.display());
    let arguments = vec!["-cp".to_owned(), path, "JavaRosaBench".to_owned()];
    Ok(Some(Peer { name: "JavaRosa", program: "java".into(), arguments, folder: folder.to_owned() }))
}

/// `@getodk/xforms-engine`, installed where the comparison of states has it.
fn xforms_engine() -> Result<Option<Peer>, Box<dyn std::error::Error>> {
    let (Some(shared), Some(oracle)) = (shared(), Oracle::find()) else { return Ok(None) };
    let bench = oracle.folder().join("engine-bench.mjs");
    std::fs::copy(shared.join("tools/form-peers/engine-bench.mjs"), &bench)?;
    let arguments = vec![bench.display().to_string()];
    Ok(Some(Peer { name: "xforms-engine", program: "node".into(), arguments, folder: oracle.folder().to_owned() }))
}
