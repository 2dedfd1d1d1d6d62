//! `kill -9` of real processes: a device inside an interview and in a sync, and a server while devices sync. What was acknowledged must be
//! there afterwards; how many died before, during and after a commit is told by a [`Witness`].

mod witness;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::witness::{Death, Witness, sees_commits};
use super::{Figure, Gate, Scale};
use crate::command::karwan;
use crate::corpus::Dice;
use crate::sum::{self, run_parts};
use crate::workbook::household_form;
use crate::world::{Device, Server, World};

/// Cycles of each kind in the tests.
pub const CYCLES_SHORT: u64 = 40;
/// Cycles of all kinds at the size of the gate, and of one part of that run, which goes on where it was stopped.
const CYCLES_FULL: u64 = 50_000;
const CYCLES_PART: u64 = 100;
/// How long a process may take to answer before the harness gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// What became of killed processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toll {
    pub cycles: u64,
    /// Died before anything was committed.
    pub before: u64,
    /// Died while a commit was written or made durable.
    pub during: u64,
    /// Died after a commit, acknowledged or not.
    pub after: u64,
    /// Acknowledged and gone.
    pub lost: u64,
    /// Whether a commit takes long enough on this disk to be seen.
    pub seen: bool,
}

impl Toll {
    /// Of processes that write into this world.
    fn of(world: &World) -> Self {
        Self { seen: sees_commits(&world.path("")), ..Self::default() }
    }

    /// The share that died during a commit.
    pub fn during_share(&self) -> f64 {
        self.during as f64 / (self.cycles.max(1)) as f64
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cycles: self.cycles + other.cycles,
            before: self.before + other.before,
            during: self.during + other.during,
            after: self.after + other.after,
            lost: self.lost + other.lost,
            seen: self.seen || other.seen,
        }
    }

    fn count(&mut self, death: Death) {
        self.cycles += 1;
        match death {
            Death::Before => self.before += 1,
            Death::During => self.during += 1,
            Death::After => self.after += 1,
        }
    }
}

/// When a process is killed: while it makes so many-th write durable, or after a while.
#[derive(Debug, Clone, Copy)]
enum Aim {
    AtWrite(u64),
    After(Duration),
}

impl Aim {
    /// Two of three in one of the first writes, one at any moment of what an acknowledgement takes.
    fn next(dice: &mut Dice, writes: u64, span: Duration) -> Self {
        if dice.below(3) > 0 {
            return Self::AtWrite(1 + dice.below(writes));
        }
        Self::After(span.mul_f64(dice.below(1100) as f64 / 1000.0))
    }
}

/// Waits for the moment to kill, and looks on meanwhile; ends early when `over` says so.
fn take_aim(aim: Aim, process: u32, witness: &mut Witness, mut over: impl FnMut() -> bool) {
    let since = Instant::now();
    let mut writes = 0;
    loop {
        let was_writing = witness.writing();
        if witness.look(process) && !was_writing {
            writes += 1;
        }
        if over() || since.elapsed() > PATIENCE {
            return;
        }
        match aim {
            Aim::AtWrite(wanted) if writes >= wanted => return,
            Aim::After(delay) if since.elapsed() >= delay => return,
            _ => {}
        }
    }
}

/// An interview in a terminal that nobody sees.
struct Interview {
    child: Child,
    input: ChildStdin,
    prompts: Receiver<()>,
}

impl Interview {
    #[allow(clippy::expect_used)]
    fn begin(device: &Device, rest: &[&str]) -> Self {
        let mut child = Command::new(karwan())
            .args(["device", "fill", device.folder.to_str().expect("UTF-8")])
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the karwan command starts");
        let input = child.stdin.take().expect("piped");
        let mut stderr = child.stderr.take().expect("piped");
        let (told, prompts) = channel();
        std::thread::spawn(move || {
            let (mut bytes, mut last) = ([0u8; 4096], b'\n');
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                for byte in bytes.iter().take(count) {
                    // A question is put: a line that begins with `> `.
                    if *byte == b'>' && last == b'\n' && told.send(()).is_err() {
                        return;
                    }
                    last = *byte;
                }
            }
        });
        Self { child, input, prompts }
    }

    fn asked(&self) -> bool {
        self.prompts.recv_timeout(PATIENCE).is_ok()
    }

    fn answer(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.input.flush()).ok();
    }

    fn kill(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Answers of the household form, in the order of its questions.
const ANSWERS: [(&str, &str); 7] = [
    ("head_name", "قربان‌علی"),
    ("father_name", "رجب"),
    ("birth_year", "1360"),
    ("document_no", "TZ-4410"),
    ("phone", "0700000001"),
    ("adults", "2"),
    ("children", "3"),
];

fn one_form() -> World {
    World::on_disk(&[("household.xlsx", household_form().unwrap_or_default())])
}

fn drafts(device: &Device) -> BTreeSet<String> {
    let listed = device.json(&["list"], &[]);
    let rows = listed.as_array().cloned().unwrap_or_default();
    let draft = |row: &Value| row["status"] == "draft";
    rows.iter().filter(|row| draft(row)).filter_map(|row| row["record"].as_str().map(str::to_owned)).collect()
}

/// Kills a device inside interviews, at any question; goes on with each draft afterwards.
pub fn interviews(seed: u64, cycles: u64) -> Toll {
    let world = one_form();
    let device = world.device("phone", "Laila");
    let mut dice = Dice::new(seed);
    let mut toll = Toll::of(&world);
    let mut span = Duration::from_millis(5);
    for _ in 0..cycles {
        let known = drafts(&device);
        let mut interview = Interview::begin(&device, &["household"]);
        if !interview.asked() {
            interview.kill();
            toll.lost += 1;
            continue;
        }
        let last = dice.below(ANSWERS.len() as u64) as usize;
        for (_, value) in &ANSWERS[..last] {
            let since = Instant::now();
            interview.answer(value);
            interview.asked();
            span = since.elapsed();
        }
        let mut witness = Witness::of(&device.folder);
        interview.answer(ANSWERS[last].1);
        let mut acknowledged = false;
        take_aim(Aim::next(&mut dice, 2, span), interview.child.id(), &mut witness, || {
            acknowledged = acknowledged || interview.prompts.try_recv().is_ok();
            acknowledged
        });
        acknowledged = acknowledged || interview.prompts.try_recv().is_ok();
        interview.kill();
        toll.count(witness.death(acknowledged));
        let must_be_there = last + usize::from(acknowledged);
        let new: Vec<String> = drafts(&device).difference(&known).cloned().collect();
        let Some(record) = new.first() else {
            toll.lost += u64::from(must_be_there > 0);
            continue;
        };
        for (question, value) in &ANSWERS[..must_be_there] {
            toll.lost += u64::from(device.values(record, &format!("/data/{question}")) != [(*value).to_owned()]);
        }
        // It starts again by itself, at the question that was not answered.
        let mut again = Interview::begin(&device, &["--resume", record]);
        toll.lost += u64::from(!again.asked());
        again.answer("!draft");
        again.child.wait().ok();
        device.run(&["discard"], &[record]).done();
    }
    toll
}

fn spawn_sync(device: &Device) -> Option<Child> {
    Command::new(karwan())
        .args(["device", "sync", device.folder.to_str()?, "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

fn arrived(world: &World) -> BTreeSet<String> {
    let listed = world.org_json(&["records"], &["--kind", "interview"]);
    let rows = listed.as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|row| row["record"].as_str().map(str::to_owned)).collect()
}

fn fill(device: &Device, number: u64) -> String {
    device.fill("household", &format!("head_name=Karim {number}\nphone=07{number:08}\nadults=1\nchildren=1\nrooms=4\n"))
}

/// Kills a device in its sync; a later one brings everything home.
pub fn syncs(seed: u64, cycles: u64) -> Toll {
    let world = one_form();
    let device = world.device("phone", "Laila");
    let mut dice = Dice::new(seed);
    let mut toll = Toll::of(&world);
    let mut written = BTreeSet::new();
    let mut span = Duration::from_millis(50);
    for number in 0..cycles {
        written.insert(fill(&device, number));
        let mut witness = Witness::of(&device.folder);
        let Some(mut child) = spawn_sync(&device) else { continue };
        let since = Instant::now();
        let mut ended = false;
        take_aim(Aim::next(&mut dice, 8, span), child.id(), &mut witness, || {
            ended = ended || child.try_wait().is_ok_and(|status| status.is_some());
            ended
        });
        if ended {
            span = since.elapsed();
        }
        child.kill().ok();
        child.wait().ok();
        toll.count(witness.death(ended));
    }
    device.sync();
    toll.lost += written.difference(&arrived(&world)).count() as u64;
    toll
}

/// Kills the server while a device syncs; what was acknowledged is there when it is back, and the rest comes with the next sync.
pub fn servers(seed: u64, cycles: u64) -> Toll {
    let mut world = one_form();
    let device = world.device("phone", "Laila");
    let mut dice = Dice::new(seed);
    let mut toll = Toll::of(&world);
    let mut written = BTreeSet::new();
    let mut acknowledged = BTreeSet::new();
    let mut span = Duration::from_millis(50);
    for number in 0..cycles {
        let record = fill(&device, number);
        written.insert(record.clone());
        let mut witness = Witness::of(&world.organisation());
        let Some(mut child) = spawn_sync(&device) else { continue };
        let since = Instant::now();
        let server = world.server.as_ref().map_or(0, Server::id);
        let mut done = false;
        take_aim(Aim::next(&mut dice, 3, span), server, &mut witness, || {
            done = done || child.try_wait().is_ok_and(|status| status.is_some_and(|status| status.success()));
            done
        });
        if done {
            span = since.elapsed();
            acknowledged.extend(written.iter().cloned());
        }
        if let Some(server) = world.server.take() {
            server.kill();
        }
        toll.count(witness.death(done));
        // Without its server the device would wait for it.
        child.kill().ok();
        child.wait().ok();
        world.serve();
        if done {
            toll.lost += acknowledged.difference(&arrived(&world)).count() as u64;
        }
    }
    device.sync();
    toll.lost += written.difference(&arrived(&world)).count() as u64;
    toll
}

/// A way to kill, a seed and cycles.
type Kind = fn(u64, u64) -> Toll;
const KINDS: [(&str, Kind); 3] = [("interviews", interviews), ("syncs", syncs), ("servers", servers)];

/// All three, as figures.
///
/// # Panics
/// Where the file in which parts add up cannot be used.
#[allow(clippy::expect_used)]
pub fn measure(scale: Scale) -> Vec<Figure> {
    let all = match scale {
        // Each part is of one kind, in a world of its own.
        Scale::Full => run_parts(&sum::file("kills"), CYCLES_FULL / CYCLES_PART, |part| {
            KINDS[part as usize % KINDS.len()].1(part, CYCLES_PART)
        }),
        _ => Ok(KINDS
            .iter()
            .map(|(what, kill)| {
                let toll = kill(11, scale.of(CYCLES_SHORT / 4, CYCLES_FULL));
                eprintln!("{what}: {toll:?}");
                toll
            })
            .collect()),
    };
    let all = all.expect("the file of the sum can be used").into_iter().fold(Toll::default(), Toll::and);
    let figure = |name, value, gate, correctness| Figure { name, value, unit: "", gate, correctness, scale };
    vec![
        figure("kill_cycles", all.cycles as f64, Gate::AtLeast(50_000.0), false),
        figure("kill_acknowledged_lost", all.lost as f64, Gate::Exactly(0.0), true),
        figure("kill_during_commit_share", all.during_share(), Gate::AtLeast(0.2), false),
    ]
}
