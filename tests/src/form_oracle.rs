//! ODK's own engine beside ours, over the contract of the form trace: it invents events for a form and answers them, ours answers
//! the same events, and the states are compared node by node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use karwan_form::external;
use karwan_form::interview::{Context, Lists};
use karwan_form::model::{Form, NodeKind, Table};
use karwan_form::xpath::functions::TABLE;
use serde_json::Value;

use crate::form_made;

/// The clock of both engines: 2026-11-23T10:00:00Z.
const NOW: &str = "2026-11-23T10:00:00Z";
const NOW_MS: i64 = 1_795_428_000_000;
/// How the reference begins to say that it refuses an event; anything else is a failure of its own, and what it shows after one is
/// what it had shown before.
const REFUSALS: [&str; 9] = [
    "no node ",
    "not relevant",
    "read-only",
    "a ",
    "not a value of type",
    "no repeat to add to",
    "nothing to remove",
    "no language",
    "Cannot write to readonly",
];
/// Most differences that are told.
const TOLD_MAX: usize = 20;

/// The reference engine, installed in the build's folder.
pub struct Oracle {
    folder: PathBuf,
}

/// How two engines agree.
#[derive(Debug, Default)]
pub struct Compared {
    /// Forms compared, and those among them in which the reference failed before the end.
    pub forms: usize,
    pub failed: usize,
    /// States after events that change something besides the answered question, and how many of them are identical.
    pub changing: usize,
    pub changing_identical: usize,
    /// All states.
    pub states: usize,
    pub identical: usize,
    /// States that were not compared, because a counted repeat had shrunk and grown again: our instances come back with their answers,
    /// the reference's are blank.
    pub aside: usize,
    /// The first differences.
    pub differences: Vec<String>,
}

impl fmt::Display for Compared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { forms, failed, states, identical, aside, changing, changing_identical, .. } = self;
        write!(
            formatter,
            "{forms} forms ({failed} until the reference failed), {states} states, {identical} identical; {changing} where more changed, {changing_identical} identical; {aside} not compared, after a counted repeat grew again"
        )
    }
}

impl Compared {
    /// Share of identical states over events that change something else too; none where nothing was compared: a reference that fails
    /// does not agree.
    pub fn share(&self) -> f64 {
        if self.changing == 0 { 0.0 } else { self.changing_identical as f64 / self.changing as f64 }
    }

    /// Adds another comparison.
    pub fn add(&mut self, other: Self) {
        self.forms += other.forms;
        self.failed += other.failed;
        self.changing += other.changing;
        self.changing_identical += other.changing_identical;
        self.states += other.states;
        self.identical += other.identical;
        self.aside += other.aside;
        self.differences.extend(other.differences);
        self.differences.truncate(TOLD_MAX);
    }
}

/// The folder with forms and tools that are not part of the project, if there is one.
pub fn shared() -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let shared = std::env::var_os("KARWAN_SHARED").map_or_else(beside, PathBuf::from);
    if shared.join("tools/form-oracle").is_dir() {
        return Some(shared);
    }
    println!("skipped: no form oracle under {}", shared.display());
    None
}

impl Oracle {
    /// Where the engine is installed.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The engine, where its folder, Node and its packages are at hand; installed once, whoever asks first.
    pub fn find() -> Option<Self> {
        static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
        FOLDER.get_or_init(Self::install).clone().map(|folder| Self { folder })
    }

    fn install() -> Option<PathBuf> {
        let source = shared()?.join("tools/form-oracle");
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/form-oracle"));
        std::fs::create_dir_all(&folder).ok()?;
        for file in ["oracle.mjs", "package.json"] {
            std::fs::copy(source.join(file), folder.join(file)).ok()?;
        }
        let ran = |command: &mut Command| {
            command.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        if !ran(Command::new("node").arg("--version")) {
            println!("skipped: no node");
            return None;
        }
        // Written after the last package, so that an installation that was broken off is made again.
        let whole = folder.join("installed");
        if !whole.exists() {
            std::fs::remove_dir_all(folder.join("node_modules")).ok();
            if !ran(Command::new("npm").args(["install", "--no-audit", "--no-fund"])) {
                println!("skipped: npm cannot install the form oracle");
                return None;
            }
            std::fs::write(&whole, "").ok()?;
        }
        Some(folder)
    }

    /// Lets the reference invent events for a form and compares. `xform` is what the reference reads, `form` what we read;
    /// `masked`: words that differ from run to run begin so.
    pub fn compare(&self, xform: &Path, form: Form, media: &Path, run: Run, masked: &[&str]) -> Option<Compared> {
        // Several forms may be compared at once.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.join(format!("events-{}-{number}.jsonl", std::process::id()));
        let output = Command::new("node")
            .current_dir(&self.folder)
            .arg("oracle.mjs")
            .arg(xform)
            .arg("--media")
            .arg(media)
            .args(["--now", NOW, "--invent", &run.seed.to_string(), &run.events.to_string(), "--events"])
            .arg(&file)
            .output()
            .ok()?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            println!("passed over: {}: the reference gave {}", xform.display(), told.lines().next().unwrap_or_default());
            return None;
        }
        let events = std::fs::read(&file).ok()?;
        std::fs::remove_file(&file).ok();
        let context = Context { lists: Arc::new(Folder(media.to_owned())), ..Context::at(NOW_MS, [7; 32]) };
        let counted = counted_repeats(&form);
        let mut ours = Vec::new();
        karwan_form::trace::trace(Arc::new(form), context, None, events.as_slice(), &mut ours)
            .unwrap_or_else(|error| panic!("{error}"));
        Some(compare(&output.stdout, &ours, masked, &counted))
    }
}

/// Which events the reference invents, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub seed: u64,
    pub events: usize,
}

/// The folder in which the workbooks `from..=to` of the generator, their files and their XForms lie. The XForms are pyxform's where it is
/// installed (`KARWAN_PYTHON`, or the environment of `tests/run`), and otherwise our own.
pub fn workbooks(from: u64, to: u64) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/form-oracle/made"));
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).unwrap_or_else(|error| panic!("{error}"));
    };
    for (name, text) in form_made::media() {
        write(name, text.as_bytes());
    }
    for seed in from..=to {
        let bytes = form_made::form(seed).bytes().unwrap_or_else(|error| panic!("{error}"));
        write(&format!("{seed}.xlsx"), &bytes);
    }
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tests/venv/bin/python"));
    let python = std::env::var_os("KARWAN_PYTHON").map_or(own, PathBuf::from);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/steps/convert_forms.py");
    let converted = Command::new(python).arg(script).arg(&folder).stderr(Stdio::null()).status();
    if !converted.is_ok_and(|status| status.success()) {
        println!("pyxform is not installed: the reference reads XForms that we wrote");
        for seed in from..=to {
            if let Ok(form) = read(&folder.join(format!("{seed}.xlsx"))) {
                write(&format!("{seed}.xml"), karwan_form::xform::write(&form).as_bytes());
            }
        }
    }
    folder
}

fn read(file: &Path) -> Result<Form, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    karwan_form::read(&bytes, name).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Generated forms compared, with so many events each; their differences and what occurred in them are printed.
pub fn generated(oracle: &Oracle, from: u64, to: u64, events: usize) -> Compared {
    let folder = workbooks(from, to);
    let (mut types, mut functions) = (BTreeMap::new(), BTreeMap::new());
    let mut all = Compared::default();
    for seed in from..=to {
        let xform = folder.join(format!("{seed}.xml"));
        let form = match (read(&folder.join(format!("{seed}.xlsx"))), xform.exists()) {
            (Ok(form), true) => form,
            (Err(faults), false) => {
                println!("generated form {seed} is read by nobody: {faults}");
                continue;
            }
            (Err(faults), true) => {
                all.differences.push(format!("form {seed}: pyxform reads it and we do not: {faults}"));
                continue;
            }
            (Ok(_), false) => {
                let reason = std::fs::read_to_string(folder.join(format!("{seed}.refused"))).unwrap_or_default();
                all.differences.push(format!("form {seed}: we read it and pyxform does not: {reason}"));
                continue;
            }
        };
        if let Some(compared) = oracle.compare(&xform, form, &folder, Run { seed, events }, &[]) {
            for difference in &compared.differences {
                println!("generated form {seed}: {difference}");
            }
            form_made::form(seed).count(&mut types, &mut functions);
            all.add(compared);
        }
    }
    let told = |counts: &BTreeMap<String, usize>| {
        let mut counts: Vec<(&String, &usize)> = counts.iter().collect();
        counts.sort_by_key(|(name, count)| (**count, (*name).clone()));
        counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    println!("question types compared: {}", told(&types));
    println!("functions compared: {}", told(&functions));
    println!("compared less than {TIMES_LEAST} times: {}", rare(&types, &functions).join(", "));
    all
}

/// How often each question type and each function of ODK's engine occurs in a run of the size of the gate, at least.
pub const TIMES_LEAST: usize = 100;

/// Question types and functions that occurred less often than that; functions that ODK's engine does not have are left out.
pub fn rare(types: &BTreeMap<String, usize>, functions: &BTreeMap<String, usize>) -> Vec<String> {
    let known = TABLE.iter().map(|function| function.name).filter(|name| !form_made::NOT_ODKS.contains(name));
    let functions = known.map(|name| (format!("{name}()"), functions.get(name)));
    let types = types.iter().map(|(name, count)| (name.clone(), Some(count)));
    let counted = types.chain(functions).map(|(name, count)| (name, count.copied().unwrap_or_default()));
    counted.filter(|(_, count)| *count < TIMES_LEAST).map(|(name, count)| format!("{name} {count}")).collect()
}

struct Folder(PathBuf);

impl Lists for Folder {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        let bytes = std::fs::read(self.0.join(file)).ok()?;
        Some(Arc::new(external::read(&bytes, file)))
    }
}

type Nodes = BTreeMap<String, Value>;

fn nodes(state: &Value) -> Nodes {
    let nodes = state["nodes"].as_array().cloned().unwrap_or_default();
    nodes.into_iter().map(|node| (node["ref"].as_str().unwrap_or_default().to_owned(), node)).collect()
}

/// Paths of the repeats that have a count.
fn counted_repeats(form: &Form) -> Vec<String> {
    let counted = form.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Repeat { count: Some(_) }));
    counted.map(|node| node.path.clone()).collect()
}

/// A reference without its positions.
fn without_positions(reference: &str) -> String {
    reference.split('/').map(|step| step.split('[').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

/// Instances of counted repeats that a form lost: when one is there again, each engine shows another thing in it.
struct Shrunk<'a> {
    counted: &'a [String],
    lost: BTreeSet<String>,
}

impl Shrunk<'_> {
    /// Whether an instance that was lost is there again.
    fn grows_again(&mut self, before: &Nodes, after: &Nodes) -> bool {
        let instances = |nodes: &Nodes| -> BTreeSet<String> {
            let instances = nodes.iter().filter(|(_, node)| node["type"] == "repeat-instance");
            let ours = instances.filter(|(reference, _)| self.counted.contains(&without_positions(reference)));
            ours.map(|(reference, _)| reference.clone()).collect()
        };
        let (before, after) = (instances(before), instances(after));
        self.lost.extend(before.difference(&after).cloned());
        after.difference(&before).any(|reference| self.lost.contains(reference))
    }
}

fn compare(reference: &[u8], ours: &[u8], masked: &[&str], counted: &[String]) -> Compared {
    let lines = |bytes: &[u8]| -> Vec<Value> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(|line| serde_json::from_str(&whole(line)).unwrap_or_else(|error| panic!("{error}"))).collect()
    };
    let (reference, ours) = (lines(reference), lines(ours));
    assert_eq!(reference.len(), ours.len(), "one state for each event");
    let mut compared = Compared { forms: 1, ..Compared::default() };
    let mut before: Option<Nodes> = None;
    let mut shrunk = Shrunk { counted, lost: BTreeSet::new() };
    for (at, (theirs, own)) in reference.iter().zip(&ours).enumerate() {
        let event = &theirs["event"];
        if let Some(error) = theirs["error"].as_str().filter(|error| !REFUSALS.iter().any(|refusal| error.starts_with(refusal))) {
            println!("the reference failed at {event} and is not compared after it: {error}");
            compared.failed += 1;
            break;
        }
        let mut differences = Vec::new();
        if theirs["accepted"] != own["accepted"] {
            differences
                .push(format!("accepted {} {} and {} {}", theirs["accepted"], theirs["error"], own["accepted"], own["error"]));
        }
        if theirs.get("nodes").is_none() {
            if theirs["violations"] != own["violations"] {
                differences.push(format!("violations {} and {}", theirs["violations"], own["violations"]));
            }
        } else {
            let (their_nodes, own_nodes) = (nodes(theirs), nodes(own));
            if before.as_ref().is_some_and(|before| shrunk.grows_again(before, &their_nodes)) {
                compared.aside = reference.len() - at;
                break;
            }
            difference(&their_nodes, &own_nodes, masked, &mut differences);
            let changes = before.as_ref().is_some_and(|before| changes_more(before, &their_nodes, event));
            if changes {
                compared.changing += 1;
                compared.changing_identical += usize::from(differences.is_empty());
            }
            before = Some(their_nodes);
        }
        compared.states += 1;
        compared.identical += usize::from(differences.is_empty());
        let room = TOLD_MAX.saturating_sub(compared.differences.len());
        compared.differences.extend(differences.into_iter().take(room).map(|difference| format!("{event}: {difference}")));
    }
    compared
}

/// A line of JSON in which half a character (a surrogate without its other half, as the reference writes one that it cut in two) is the
/// replacement character.
fn whole(line: &str) -> String {
    let unit = |at: usize| {
        let digits = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut whole = String::with_capacity(line.len());
    let mut at = 0;
    while let Some(character) = line.get(at..).and_then(|rest| rest.chars().next()) {
        let mut taken = character.len_utf8();
        match unit(at) {
            Some(0xd800..0xdc00) if unit(at + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low)) => taken = 12,
            Some(0xd800..0xe000) => {
                whole.push('\u{fffd}');
                at += 6;
                continue;
            }
            Some(_) => taken = 6,
            // A backslash and what it stands before are one.
            None if character == '\\' => taken = 2,
            None => {}
        }
        whole.push_str(line.get(at..at + taken).unwrap_or_default());
        at += taken;
    }
    whole
}

fn difference(theirs: &Nodes, own: &Nodes, masked: &[&str], into: &mut Vec<String>) {
    for missing in theirs.keys().filter(|key| !own.contains_key(*key)) {
        into.push(format!("{missing} is missing"));
    }
    for extra in own.keys().filter(|key| !theirs.contains_key(*key)) {
        into.push(format!("{extra} is too many"));
    }
    for (reference, node) in theirs {
        let Some(other) = own.get(reference) else { continue };
        let device = form_made::DEVICE.iter().any(|name| reference.ends_with(name));
        for key in ["type", "value", "relevant", "readonly", "required", "valid", "violation", "label", "choices"] {
            let (left, right) = (plain(&node[key], masked), plain(&other[key], masked));
            if left != right && !(device && key == "value") {
                into.push(format!("{reference} {key}: {left} and {right}"));
            }
        }
    }
}

/// Something besides the answered question's own value changed.
fn changes_more(before: &Nodes, after: &Nodes, event: &Value) -> bool {
    if before.len() != after.len() {
        return true;
    }
    let answered = event["set"].as_str().unwrap_or_default();
    after.iter().any(|(reference, node)| {
        let Some(earlier) = before.get(reference) else { return true };
        if reference != answered {
            return earlier != node;
        }
        ["relevant", "readonly", "required", "label", "choices"].iter().any(|key| earlier[key] != node[key])
    })
}

/// A value without what differs from run to run; date-times as instants in UTC.
fn plain(value: &Value, masked: &[&str]) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    let mut words = Vec::new();
    for word in text.split(' ') {
        let bare = word.trim_start_matches("uuid:");
        let is_uuid = bare.len() == 36 && bare.bytes().filter(|byte| *byte == b'-').count() == 4;
        let hidden = is_uuid || masked.iter().any(|begin| word.starts_with(begin));
        words.push(if hidden { "…".to_owned() } else { word.to_owned() });
    }
    let text = words.join(" ");
    let is_moment = text.len() > 19 && text.as_bytes().get(10) == Some(&b'T') && text.as_bytes().get(4) == Some(&b'-');
    if is_moment { text.replace("+00:00", "Z") } else { text }
}
