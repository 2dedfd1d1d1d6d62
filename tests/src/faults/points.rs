//! A phone and its server on a disk that fails at one operation: a short script of interviews, edits and syncs, run again for every
//! operation and every fault, with a ledger of what was acknowledged.
//!
//! After the fault the phone or the server is opened again, the script goes on, and a second phone on a good disk tells what the server has.
//! What the script was told is done must be there; what it was told is not done may be there or not, but whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karwan_client::{ClientError, Device, Filling, ListQuery, RecordId};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::disk::{self, Counted, Fault, Plan};
use crate::home::{GivenClock, Server, Template, open_phone, organisation_in, phone_in, quick_folder, runtime, sync};

/// Whose disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Phone,
    Server,
}

/// What the points came to.
#[derive(Debug, Clone, Default)]
pub struct Toll {
    pub points: u64,
    /// Points at which the process was killed or the power went.
    pub died: u64,
    /// Databases that were damaged and salvaged.
    pub salvaged: u64,
    /// What did not hold.
    pub broken: Vec<String>,
}

const NOW_MS: i64 = 1_795_428_000_000;
/// Times that a sync is tried before it counts as impossible.
const SYNCS_MAX: usize = 4;

/// What a script was told.
#[derive(Debug, Default)]
struct Ledger {
    /// Acknowledged answers of finished interviews, the newest last; after it what was tried and not acknowledged.
    answers: BTreeMap<(RecordId, &'static str), Vec<(&'static str, bool)>>,
    /// Acknowledged answers of interviews that were not finished.
    drafts: BTreeMap<RecordId, BTreeMap<&'static str, &'static str>>,
    /// Records whose answers a sync has said are durable at the server.
    home: BTreeSet<(RecordId, &'static str, &'static str)>,
}

impl Ledger {
    fn note(&mut self, record: RecordId, question: &'static str, value: &'static str, acknowledged: bool) {
        self.answers.entry((record, question)).or_default().push((value, acknowledged));
    }

    /// Values that may be shown: the last that was acknowledged, and those tried after it.
    fn possible(tried: &[(&'static str, bool)]) -> BTreeSet<&'static str> {
        let from = tried.iter().rposition(|(_, acknowledged)| *acknowledged).unwrap_or(0);
        tried[from..].iter().map(|(value, _)| *value).collect()
    }

    fn must_show(tried: &[(&'static str, bool)]) -> bool {
        tried.iter().any(|(_, acknowledged)| *acknowledged)
    }

    fn everything_is_home(&mut self) {
        for ((record, question), tried) in &self.answers {
            if let Some((value, true)) = tried.last() {
                self.home.insert((*record, question, value));
            }
        }
    }
}

/// One run of the script.
struct Run<'a> {
    folder: TempDir,
    runtime: &'a Runtime,
    whose: Whose,
    clock: Arc<GivenClock>,
    phone: Option<Device>,
    server: Option<Server>,
    ledger: Ledger,
    first: Option<RecordId>,
    toll: &'a mut Toll,
    at: String,
}

impl Run<'_> {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn broken(&mut self, what: &str) {
        self.toll.broken.push(format!("{}: {what}", self.at));
    }

    fn failing(&self) -> PathBuf {
        match self.whose {
            Whose::Phone => phone_in(self.path(), 0),
            Whose::Server => organisation_in(self.path()),
        }
    }

    fn open_phone(&mut self) {
        if self.phone.is_some() {
            return;
        }
        match open_phone(&phone_in(self.path(), 0), 0, self.clock.clone()) {
            Ok(phone) => {
                self.toll.salvaged += u64::from(phone.salvaged().is_some());
                self.phone = Some(phone);
            }
            Err(_) if self.stands_in_the_way() => {}
            Err(error) => self.broken(&format!("the phone does not open: {error}")),
        }
    }

    fn open_server(&mut self) {
        if self.server.is_some() {
            return;
        }
        match Server::open(&organisation_in(self.path())) {
            Ok(server) => self.server = Some(server),
            Err(_) if self.stands_in_the_way() => {}
            Err(problem) => self.broken(&format!("the server does not open: {}", problem.error)),
        }
    }

    /// A fault that was ordered explains an error. Where the process counts as killed it is opened again on a good disk.
    fn stands_in_the_way(&mut self) -> bool {
        if !disk::is_active() {
            return false;
        }
        if disk::is_dead() {
            self.toll.died += 1;
        }
        self.let_go();
        disk::end();
        self.open_server();
        self.open_phone();
        true
    }

    /// What uses the failing disk ends.
    fn let_go(&mut self) {
        match self.whose {
            Whose::Phone => self.phone = None,
            Whose::Server => self.server.take().into_iter().for_each(Server::close),
        }
    }

    /// An interview; gives whether it was finished.
    fn interview(&mut self, answers: &[(&'static str, &'static str)], finish: bool) -> Option<RecordId> {
        let phone = self.phone.clone()?;
        let person = phone.person().ok()?;
        let mut begun = None;
        let outcome = (|| -> Result<(), ClientError> {
            let mut collect = phone.start("household", None, person, Filling::Journalled)?;
            let record = collect.record();
            begun = Some(record);
            self.ledger.drafts.insert(record, BTreeMap::new());
            for (question, value) in answers {
                collect.set(&format!("/data/{question}"), value)?;
                self.ledger.drafts.entry(record).or_default().insert(question, value);
            }
            if finish {
                let finished = collect.finalize();
                for (question, value) in answers {
                    self.ledger.note(record, question, value, finished.is_ok());
                }
                finished?;
                self.ledger.drafts.remove(&record);
            }
            Ok(())
        })();
        drop(phone);
        self.after(outcome.is_err());
        outcome.ok().and(begun)
    }

    fn edit(&mut self, question: &'static str, value: &'static str) {
        let (Some(phone), Some(record)) = (self.phone.clone(), self.first) else { return };
        let outcome = (|| -> Result<(), ClientError> {
            let mut collect = phone.edit(record, phone.person()?, Filling::AtOnce)?;
            collect.set(&format!("/data/{question}"), value)?;
            collect.finalize().map(|_| ())
        })();
        drop(phone);
        self.ledger.note(record, question, value, outcome.is_ok());
        self.after(outcome.is_err());
    }

    fn sync(&mut self) -> bool {
        let (Some(phone), Some(server)) = (&self.phone, &self.server) else { return false };
        let outcome = sync(self.runtime, phone, server);
        // What had to be written again goes with the next session: that is no failure.
        let failed = outcome.as_ref().map_or(true, |report| !report.refused.is_empty());
        let done = outcome.is_ok_and(|report| report.refused.is_empty() && !report.unfinished);
        if done {
            self.ledger.everything_is_home();
        }
        self.after(failed);
        done
    }

    /// After each step: an error needs a fault, and who was killed is opened again.
    fn after(&mut self, failed: bool) {
        if disk::is_dead() {
            self.stands_in_the_way();
        } else if failed && !disk::is_active() {
            self.broken("a step failed and no fault was left to explain it");
        }
    }

    fn script(&mut self) {
        self.open_server();
        self.open_phone();
        self.first = self.interview(&[("head_name", "Karim"), ("phone", "0700000001"), ("adults", "2")], true);
        self.edit("phone", "0700000002");
        self.sync();
        self.edit("father_name", "Rajab");
        self.interview(&[("head_name", "Maryam"), ("phone", "0700000003")], false);
        self.edit("phone", "0700000004");
        self.sync();
        // Both end and begin again, as they do every day.
        self.phone.take().into_iter().for_each(|phone| drop(phone.close()));
        self.open_phone();
        self.edit("document_no", "TZ-4410");
    }

    /// Everything that must hold, on good disks.
    fn check(&mut self) {
        self.let_go();
        if disk::is_active() {
            if disk::is_dead() {
                self.toll.died += 1;
            }
            disk::end();
        }
        self.open_server();
        self.open_phone();
        let other = open_phone(&phone_in(self.path(), 1), 1, self.clock.clone());
        let (Ok(other), Some(phone), Some(server)) = (other, self.phone.clone(), self.server.take()) else {
            return self.broken("not everybody opens");
        };
        // What was said to be durable at the server is there, before the phone says it again.
        if let Err(error) = sync(self.runtime, &other, &server) {
            self.broken(&format!("the other phone cannot sync: {error}"));
        }
        for (record, question, value) in self.ledger.home.clone() {
            let newer = self.ledger.answers[&(record, question)].iter().any(|(known, _)| *known != value);
            let shown = values(&other, record, question);
            if (shown.is_empty() || !newer) && !shown.iter().any(|known| known == value) {
                self.broken(&format!("{question} was durable at the server and is not there"));
            }
        }
        if !(0..SYNCS_MAX)
            .any(|_| sync(self.runtime, &phone, &server).is_ok_and(|report| report.refused.is_empty() && !report.unfinished))
        {
            self.broken("the phone cannot sync any more");
        }
        sync(self.runtime, &other, &server).ok();
        for ((record, question), tried) in std::mem::take(&mut self.ledger.answers) {
            let (ours, theirs) = (values(&phone, record, question), values(&other, record, question));
            let possible = Ledger::possible(&tried);
            let whole = ours.len() == 1 && ours.iter().all(|value| possible.contains(value.as_str()));
            if Ledger::must_show(&tried) && !whole {
                self.broken(&format!("{question} was acknowledged: expected one of {possible:?}, the phone shows {ours:?}"));
            }
            if Ledger::must_show(&tried) && ours != theirs {
                self.broken(&format!("{question}: the phone shows {ours:?}, another {theirs:?}"));
            }
        }
        for (record, answers) in std::mem::take(&mut self.ledger.drafts) {
            for (question, value) in answers {
                if values(&phone, record, question) != [value] {
                    self.broken(&format!("{question} was answered in a draft and is not there"));
                }
            }
        }
        self.check_whole(&phone, &other);
        server.close();
    }

    /// Nothing half: a record has all that its interview said, and both phones show the same.
    fn check_whole(&mut self, phone: &Device, other: &Device) {
        let listed = |device: &Device| -> BTreeSet<String> {
            let query = ListQuery { entities: Some(false), ..ListQuery::default() };
            let rows = device.list(&query).unwrap_or_default();
            rows.into_iter().filter(|row| row.status != "draft").map(|row| row.record).collect()
        };
        let (ours, theirs) = (listed(phone), listed(other));
        if ours != theirs {
            self.broken(&format!("one phone lists {} records, the other {}", ours.len(), theirs.len()));
        }
        for id in ours {
            let (Ok(here), Ok(there)) = (phone.show(&id), other.show(&id)) else {
                self.broken("a record that is listed cannot be shown");
                continue;
            };
            if here.values != there.values || here.items != there.items {
                self.broken("two phones show one record differently");
            }
            for question in ["/data/head_name", "/data/phone"] {
                if !here.values.contains_key(question) {
                    self.broken(&format!("a record is there without its {question}"));
                }
            }
        }
    }
}

fn values(device: &Device, record: RecordId, question: &str) -> Vec<String> {
    let shown = device.show(&record.to_string()).ok();
    let held = shown.and_then(|mut shown| shown.values.remove(&format!("/data/{question}"))).unwrap_or_default();
    held.into_iter().map(|value| value.value).collect()
}

/// What the points share.
pub struct Field {
    template: Template,
    runtime: Runtime,
}

impl Field {
    /// An organisation and two phones, enrolled.
    pub fn prepare() -> Self {
        Self { template: Template::make(2), runtime: runtime() }
    }

    /// Runs the script with one fault, or with none; gives the number of operations that the disk counted.
    pub fn point(&self, whose: Whose, plan: Option<Plan>, toll: &mut Toll) -> u64 {
        let folder = quick_folder();
        self.template.unpack(folder.path());
        toll.points += 1;
        let at = plan.map_or_else(|| format!("{whose:?} without a fault"), |plan| format!("{whose:?} {plan:?}"));
        let mut run = Run {
            folder,
            runtime: &self.runtime,
            whose,
            clock: GivenClock::at(NOW_MS),
            phone: None,
            server: None,
            ledger: Ledger::default(),
            first: None,
            toll,
            at,
        };
        disk::begin(&run.failing(), plan);
        run.script();
        let operations = disk::operations();
        run.check();
        operations
    }

    /// At least so many points, spread evenly over all operations and faults of both.
    pub fn sweep(&self, points: u64, mut progress: impl FnMut(&Toll)) -> Toll {
        let mut toll = Toll::default();
        let lengths = [Whose::Phone, Whose::Server].map(|whose| (whose, self.point(whose, None, &mut toll)));
        let all: Vec<(Whose, Plan)> = (0u64..)
            .flat_map(|round| {
                lengths.into_iter().flat_map(move |(whose, length)| {
                    (0..length).flat_map(move |at| {
                        faults(round).into_iter().map(move |fault| (whose, Plan { counted: Counted::Operations, at, fault }))
                    })
                })
            })
            .take(usize::try_from(points.max(1)).unwrap_or(usize::MAX).max(whole(&lengths)))
            .collect();
        // Fewer than all: every so-manieth, so that each part of the script and each fault has its share.
        let step = (all.len() as f64 / points as f64).max(1.0);
        let mut next = 0.0;
        for (number, (whose, plan)) in all.into_iter().enumerate() {
            if (number as f64) < next {
                continue;
            }
            next += step;
            self.point(whose, Some(plan), &mut toll);
            progress(&toll);
        }
        toll
    }
}

/// All faults in the first round; in later ones only those whose outcome depends on a seed.
fn faults(round: u64) -> Vec<Fault> {
    if round > 0 {
        return vec![Fault::PowerCutSome(round)];
    }
    vec![Fault::Refused, Fault::Full, Fault::Killed, Fault::Torn, Fault::PowerCut, Fault::PowerCutSome(0)]
}

fn whole(lengths: &[(Whose, u64)]) -> usize {
    lengths.iter().map(|(_, length)| *length as usize * faults(0).len()).sum()
}
