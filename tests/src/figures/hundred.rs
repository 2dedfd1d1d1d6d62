//! A device that holds a hundred thousand records: how long its first sync takes over loopback, one with nothing new after it, opening it and
//! finding somebody. The server is the real one in a process of its own, and so is the device while it syncs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use karwan_client::{Clock, Device as Opened, FileKey, Folder, ListQuery, SystemClock};

use super::{Figure, Gate, Scale};
use crate::command::karwan;
use crate::corpus::Dice;
use crate::home::quick_folder;
use crate::workbook::workbook;
use crate::world::{Device, World};

const RECORDS_FULL: u64 = 100_000;
const RECORDS_SHORT: u64 = 500;
/// Phones that fill the server, at the same time.
const FILLING: u64 = 2;
/// Questions of a household, members in it, questions of each: eighty values.
const QUESTIONS: u64 = 40;
const MEMBERS: u64 = 5;
const MEMBER_QUESTIONS: u64 = 8;
/// Rows that a screen asks for.
const SCREEN: usize = 50;
/// What opening and searching are measured so often, of which the middle one counts.
const ROUNDS: usize = 5;
/// How often a process's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A server that used fewer ticks than these in so long has nothing to do; how long that is waited for.
const IDLE_TICKS: u64 = 3;
const IDLE_WHILE: Duration = Duration::from_secs(1);
const IDLE_PATIENCE: Duration = Duration::from_mins(10);
/// Memory that a device may take while it syncs.
const SYNC_MIB_MAX: f64 = 300.0;

const GIVEN: [&str; 8] = ["غلام‌رضا", "فاطمه", "Mohammad", "زهرا", "Abdul Karim", "نورالله", "Shirin", "گل‌بی‌بی"];
const FAMILY: [&str; 8] = ["احمدی", "Rahimi", "نظری", "Hosseini", "موسوی", "Sharifi", "یوسفی", "Karimi"];
const WORDS: [&str; 6] = ["rented", "well", "with relatives", "مسجد", "none", "daily labour"];

/// The form: names, a document, and questions as such forms have them.
fn form() -> Vec<u8> {
    let household: Vec<String> = (0..QUESTIONS - 3).map(|number| format!("h{number}")).collect();
    let member: Vec<String> = (0..MEMBER_QUESTIONS - 1).map(|number| format!("m{number}")).collect();
    let mut rows: Vec<Vec<&str>> = vec![
        vec!["type", "name", "label", "bind::karwan:identity"],
        vec!["text", "head_name", "Name of the head", "given_name"],
        vec!["text", "document_no", "Document number", "document"],
        vec!["text", "phone", "Phone"],
    ];
    rows.extend(household.iter().map(|name| vec!["text", name.as_str(), "Question"]));
    rows.push(vec!["begin_repeat", "member", "Member"]);
    rows.push(vec!["text", "m_name", "Name"]);
    rows.extend(member.iter().map(|name| vec!["text", name.as_str(), "Question"]));
    rows.push(vec!["end_repeat", "member"]);
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let settings: &[&[&str]] =
        &[&["form_title", "form_id", "version", "instance_name"], &["Census", "census", "1", "${head_name}"]];
    workbook(&[("survey", &rows), ("settings", settings)]).unwrap_or_default()
}

fn document(number: u64) -> String {
    format!("AF-{:07}", number * 37 % 10_000_000)
}

/// One interview's answers, as a line of JSON.
fn answers(number: u64) -> String {
    let mut dice = Dice::new(number);
    let name = |dice: &mut Dice| format!("{} {}", dice.of(&GIVEN), dice.of(&FAMILY));
    let mut line = format!(
        "{{\"/data/head_name\":\"{} {number}\",\"/data/document_no\":\"{}\",\"/data/phone\":\"079{:07}\"",
        name(&mut dice),
        document(number),
        dice.below(10_000_000)
    );
    let mut tell = |reference: String, value: String| line.push_str(&format!(",\"{reference}\":\"{value}\""));
    for question in 0..QUESTIONS - 3 {
        let value = if question % 2 == 0 { dice.below(90).to_string() } else { dice.of(&WORDS).to_owned() };
        tell(format!("/data/h{question}"), value);
    }
    for member in 1..=MEMBERS {
        tell(format!("/data/member[{member}]/m_name"), name(&mut dice));
        for question in 0..MEMBER_QUESTIONS - 1 {
            tell(format!("/data/member[{member}]/m{question}"), dice.below(90).to_string());
        }
    }
    line + "}\n"
}

/// Measures all four.
///
/// # Panics
/// Where a command fails, a record is missing, or a search does not find what is there.
#[allow(clippy::expect_used)]
pub fn measure(scale: Scale) -> Vec<Figure> {
    let many = scale.of(RECORDS_SHORT, RECORDS_FULL);
    let world = World::new(&[("census.xlsx", form())]);
    // Who fills is not measured, and waits for no disk.
    let quick = quick_folder();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for part in 0..FILLING {
            let (world, quick) = (&world, &quick);
            scope.spawn(move || {
                let device = Device { folder: quick.path().join(part.to_string()) };
                let name = format!("filling-{part}");
                device.run(&["enrol"], &[&world.invitation("enumerator"), "--name", &name, "--person", &name]).done();
                device.sync();
                let lines: String = (part * many / FILLING..(part + 1) * many / FILLING).map(answers).collect();
                device.run_with_input(&["fill"], &["census", "--answers", "-"], &lines).done();
                eprintln!("filled after {:.1} s", began.elapsed().as_secs_f64());
                device.sync();
            });
        }
    });
    eprintln!("{many} records are at the server after {:.1} s", began.elapsed().as_secs_f64());
    // The first sync is of a server that has nothing else to do: it may be making its tables of what came.
    if let Some(server) = &world.server {
        wait_until_idle(server.id());
        eprintln!("and its tables after {:.1} s", began.elapsed().as_secs_f64());
    }

    let device = Device { folder: world.path("phone") };
    device.run(&["enrol"], &[&world.invitation("enumerator"), "--name", "phone", "--person", "Laila"]).done();
    let (first_s, first_mib) = sync(&device.folder);
    let (idle_s, idle_mib) = sync(&device.folder);
    eprintln!("first sync {first_s:.1} s, idle sync {idle_s:.2} s");
    eprintln!("memory: first sync {first_mib:.0} MiB, idle {idle_mib:.0} MiB");
    assert!(first_mib <= SYNC_MIB_MAX, "a device takes {first_mib:.0} MiB while it syncs, at most {SYNC_MIB_MAX}");

    let mut open_s = Vec::new();
    for _ in 0..ROUNDS {
        let (took, opened) = timed(|| open(&device.folder));
        open_s.push(took);
        opened.close().expect("the device closes");
    }
    let opened = open(&device.folder);
    let held = opened.list(&ListQuery::default()).expect("the list");
    assert_eq!(held.len() as u64, many, "every record is in the list");
    assert!(held.iter().all(|row| row.form.as_deref() == Some("census")), "and under its form");
    drop(held);
    let middle = many / 2;
    let mut dearest = 0.0f64;
    for (what, search, least) in [
        ("a document number", document(middle), 1),
        ("a name in another spelling", "غلام رضا".to_owned(), SCREEN.min(many as usize / 40)),
        ("a family name", "hosseini".to_owned(), SCREEN.min(many as usize / 40)),
        ("two letters", "ah".to_owned(), 0),
        ("no word", String::new(), SCREEN.min(many as usize)),
    ] {
        let query = ListQuery { search, limit: SCREEN, ..ListQuery::default() };
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let (seconds, rows) = timed(|| opened.list(&query).expect("a search"));
            assert!(rows.len() >= least, "{what} finds {} of at least {least}", rows.len());
            took.push(seconds);
        }
        eprintln!("search for {what}: {:.4} s", median(&mut took));
        dearest = dearest.max(median(&mut took));
    }
    let figure = |name, value, most| Figure { name, value, unit: "s", gate: Gate::AtMost(most), correctness: false, scale };
    vec![
        figure("first_sync_100k_s", first_s, 40.0),
        figure("idle_sync_100k_s", idle_s, 1.0),
        figure("open_100k_s", median(&mut open_s), 0.2),
        figure("search_100k_s", dearest, 0.1),
    ]
}

/// Waits until a process has hardly used the processor for a while.
fn wait_until_idle(process: u32) {
    let since = Instant::now();
    let mut before = processor_ticks(process);
    while since.elapsed() < IDLE_PATIENCE {
        std::thread::sleep(IDLE_WHILE);
        let now = processor_ticks(process);
        if now.saturating_sub(before) <= IDLE_TICKS {
            return;
        }
        before = now;
    }
    eprintln!("the server did not come to rest within {} s", IDLE_PATIENCE.as_secs());
}

/// What a process has used of the processor, in ticks of 10 ms (proc(5), `stat`: `utime` and `stime`, counted behind the name).
fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed().as_secs_f64(), done)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[allow(clippy::expect_used)]
fn open(folder: &Path) -> Opened {
    let key = FileKey::beside(folder);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Opened::open(Folder::new(folder), &key, clock).expect("the device opens")
}

/// A sync in a process of its own: seconds from its start to its end, and its largest memory in MiB.
#[allow(clippy::expect_used)]
fn sync(folder: &Path) -> (f64, f64) {
    let began = Instant::now();
    let mut child = Command::new(karwan())
        .args(["device", "sync"])
        .arg(folder)
        .arg("--json")
        .stdout(Stdio::null())
        .spawn()
        .expect("the karwan command starts");
    let status = format!("/proc/{}/status", child.id());
    let mut largest_mib = 0.0f64;
    let ended = loop {
        if let Some(ended) = child.try_wait().expect("the child is asked") {
            break ended;
        }
        largest_mib = largest_mib.max(crate::form_speed::peak_mib(&status));
        std::thread::sleep(LOOK_EVERY);
    };
    assert!(ended.success(), "the sync succeeds");
    (began.elapsed().as_secs_f64(), largest_mib)
}
