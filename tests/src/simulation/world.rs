//! A world in which a schedule happens: real phones and a real server in folders of their own, and beside them the model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karwan_client::query::RecordShown;
use karwan_client::{ClientError, Device, Filling, Folder, RecordId};
use karwan_proto::CaseloadId;
use karwan_server::backup;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::canary::Canary;
use super::decide::{Decided, Known};
use super::entropy::Seeded;
use super::line::{Line, sync_over};
use super::model::{Model, Question, WriteId};
use super::schedule::{PHONES, Step, Whose};
use super::tally::Tally;
use crate::faults::disk::{self, Counted, Fault, Plan};
use crate::home::{
    CASELOAD, GivenClock, Server, Template, copy_folder, organisation_in, phone_in, phone_key, quick_folder, restore_folder,
    runtime,
};

/// When a world begins.
const NOW_MS: i64 = 1_795_428_000_000;
/// Phones of a world, copies included.
const PHONES_MAX: usize = PHONES + 2;
/// Interviews of a world; more would only make its comparison slower.
const RECORDS_MAX: usize = 12;
/// Writes that one step makes at most.
const WRITES_A_STEP: usize = 4;

/// Caseloads of a world; every phone has all of them.
const CASELOADS: [&str; 2] = [CASELOAD, "tehran"];

/// What worlds begin with.
pub fn template() -> Template {
    let _seeded = Seeded::begin(0);
    Template::with_caseloads(PHONES, &CASELOADS)
}

/// One phone.
pub(super) struct Phone {
    pub(super) folder: PathBuf,
    /// Beside the folder, as on a phone whose backups leave it out.
    pub(super) witness: PathBuf,
    pub(super) key: usize,
    pub(super) device: Option<Device>,
    clock: Arc<GivenClock>,
    /// Has lost every right.
    pub(super) outlaw: bool,
    /// Decisions that it knows of.
    pub(super) knows: Known,
    pub(super) held: BTreeSet<WriteId>,
    pub(super) unsent: BTreeSet<WriteId>,
    copy: Option<Copy>,
}

/// A phone's database as it once was.
#[derive(Clone)]
struct Copy {
    knows: Known,
    held: BTreeSet<WriteId>,
    unsent: BTreeSet<WriteId>,
}

/// The world.
pub struct World {
    folder: TempDir,
    pub(super) runtime: Runtime,
    pub(super) canary: Option<Canary>,
    pub(super) phones: Vec<Phone>,
    pub(super) server: Option<Server>,
    pub(super) server_held: BTreeSet<WriteId>,
    pub(super) server_knows: Known,
    backup: Option<(PathBuf, BTreeSet<WriteId>, Known)>,
    pub(super) decided: Decided,
    /// Where interviews are made, and where records are moved to and from.
    pub(super) caseloads: Vec<CaseloadId>,
    backups: u32,
    pub(super) records: Vec<RecordId>,
    pub(super) model: Model,
    armed: Option<Whose>,
    pub(super) broken: Vec<String>,
    pub(super) tally: Tally,
    trace: blake3::Hasher,
    seeded: Seeded,
}

/// What a world came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What did not hold: the first moment of comparison at which something did not.
    pub broken: Vec<String>,
    /// Hash of everything that happened and was seen.
    pub trace: String,
    /// Edits, syncs and faults.
    pub tally: Tally,
}

/// Runs steps in a fresh world, which draws its identifiers from a seed.
pub fn run(template: &Template, seed: u64, steps: &[(usize, Step)], canary: Option<Canary>) -> Outcome {
    let mut world = World::new(template, seed, canary);
    for (number, step) in steps {
        world.step(*number, *step);
        if !world.broken.is_empty() {
            break;
        }
    }
    world.disarm();
    let trace = world.trace.finalize().to_hex().to_string();
    let broken = std::mem::take(&mut world.broken);
    let tally = std::mem::take(&mut world.tally);
    world.end();
    Outcome { broken, trace, tally }
}

impl World {
    fn new(template: &Template, seed: u64, canary: Option<Canary>) -> Self {
        let seeded = Seeded::begin(seed);
        let folder = quick_folder();
        template.unpack(folder.path());
        let phones = (0..PHONES).map(|number| Phone::new(folder.path(), number, number)).collect();
        let mut world = Self {
            folder,
            runtime: runtime(),
            canary,
            phones,
            server: None,
            server_held: BTreeSet::new(),
            server_knows: Known::new(),
            backup: None,
            decided: Decided::default(),
            caseloads: Vec::new(),
            backups: 0,
            records: Vec::new(),
            model: Model::default(),
            armed: None,
            broken: Vec::new(),
            tally: Tally::default(),
            trace: blake3::Hasher::new(),
            seeded,
        };
        for phone in &world.phones {
            std::fs::rename(phone.folder.join("witness"), &phone.witness).expect("the witness is put beside");
        }
        world.open_server();
        let caseloads = world.server.as_ref().and_then(|server| server.host.organisation.caseloads().ok());
        world.caseloads = caseloads.into_iter().flatten().map(|row| row.caseload).collect();
        (0..PHONES).for_each(|number| world.open_phone(number));
        world
    }

    fn end(mut self) {
        self.phones.clear();
        self.server.take().into_iter().for_each(Server::close);
    }

    fn organisation(&self) -> PathBuf {
        organisation_in(self.folder.path())
    }

    pub(super) fn note(&mut self, line: &str) {
        self.trace.update(line.as_bytes());
        self.trace.update(b"\n");
        if std::env::var_os("KARWAN_SIMULATION_TRACE").is_some() {
            eprintln!("{line}");
        }
    }

    fn step(&mut self, number: usize, step: Step) {
        let phones = self.phones.len();
        // A step draws the same, whichever others were left out.
        self.seeded.turn(number as u64);
        match step {
            Step::Create { phone } => self.create(number, phone),
            Step::Edit { phone, record, question } => self.edit(number, phone, record, question),
            Step::Member { phone, record } => self.member(number, phone, record),
            Step::Sync { phone, line } => drop(self.sync(phone, line)),
            Step::Meet { guest, host, session, line } => self.meet(guest, host, (session, line)),
            Step::KillPhone { phone } => {
                self.disarm();
                self.phones[phone].device = None;
                self.open_phone(phone);
                self.tally.fault("app killed");
            }
            Step::KillServer => {
                self.disarm();
                self.tally.fault("server killed");
                self.close_server();
                self.open_server();
            }
            Step::PowerCut { whose, after } => {
                let lies = self.canary == Some(Canary::LyingDisk);
                self.arm(whose, after, if lies { Fault::PowerCutAfterLies } else { Fault::PowerCut });
            }
            Step::Killed { whose, after } => self.arm(whose, after, Fault::Killed),
            Step::Backup => self.back_up(),
            Step::Restore => self.restore(),
            Step::CopyPhone { phone } => self.copy_phone(phone),
            Step::RestorePhone { phone } => self.restore_phone(phone),
            Step::ClonePhone { phone, with_witness } => self.clone_phone(phone, with_witness),
            Step::Revoke { phone } => self.revoke(number, phone),
            Step::Move { record } => self.move_record(record),
            Step::Erase { record } => self.erase(number, record),
            Step::Clock { phone, ms } => {
                self.phones[phone].clock.set(ms);
                self.tally.fault("clock set");
            }
            Step::Settle => self.settle(),
        }
        self.revive();
        let changed = if self.phones.len() == phones { "" } else { " and one phone more" };
        self.note(&format!("{number} {step:?}{changed}"));
    }

    /// A fault that was ordered has ended a process: it begins again on a good disk.
    pub(super) fn revive(&mut self) {
        if disk::is_dead() {
            let fault = if disk::is_power_cut() { "power cut in a commit" } else { "killed in a commit" };
            self.tally.fault(fault);
            self.note(fault);
            self.disarm();
        }
    }

    pub(super) fn disarm(&mut self) {
        let Some(whose) = self.armed.take() else { return };
        match whose {
            Whose::Phone(phone) => {
                self.phones[phone].device = None;
                disk::end();
                self.open_phone(phone);
            }
            Whose::Server => {
                self.close_server();
                disk::end();
                self.open_server();
            }
        }
    }

    fn arm(&mut self, whose: Whose, at: u64, fault: Fault) {
        self.disarm();
        let plan = Plan { counted: Counted::Commits, at, fault };
        match whose {
            Whose::Phone(phone) => {
                self.phones[phone].device = None;
                disk::begin(&self.phones[phone].folder, Some(plan));
                self.armed = Some(whose);
                self.open_phone(phone);
            }
            Whose::Server => {
                self.close_server();
                disk::begin(&self.organisation(), Some(plan));
                self.armed = Some(whose);
                self.open_server();
            }
        }
    }

    fn close_server(&mut self) {
        self.server.take().into_iter().for_each(Server::close);
    }

    fn open_server(&mut self) {
        match Server::open(&self.organisation()) {
            Ok(server) => self.server = Some(server),
            Err(_) if disk::is_dead() => self.revive(),
            Err(problem) => self.broken.push(format!("the server does not open: {}", problem.error)),
        }
    }

    pub(super) fn open_phone(&mut self, number: usize) {
        let phone = &self.phones[number];
        let folder = Folder::new(&phone.folder).with_witness(&phone.witness);
        match Device::open(folder, &phone_key(phone.key), phone.clock.clone()) {
            Ok(device) => self.phones[number].device = Some(device),
            Err(_) if disk::is_dead() => self.revive(),
            Err(error) => self.broken.push(format!("phone {number} does not open: {error}")),
        }
    }

    /// The values that a phone shows of a question.
    pub(super) fn values(shown: &RecordShown, question: &str) -> BTreeSet<String> {
        let is_asked = |reference: &str| reference.rsplit('/').next() == Some(question);
        let asked = shown.values.iter().filter(|(reference, _)| is_asked(reference));
        asked.flat_map(|(_, held)| held.iter().map(|value| value.value.clone())).filter(|value| !value.is_empty()).collect()
    }

    /// Tries to write; `work` says which record it was.
    fn write(
        &mut self,
        number: usize,
        phone: usize,
        questions: &[(&'static str, String, BTreeSet<WriteId>)],
        record: usize,
        work: impl FnOnce(&Device) -> Result<(), ClientError>,
    ) {
        let Some(device) = self.phones[phone].device.clone() else { return };
        let ids: Vec<WriteId> = (0..questions.len()).map(|write| number * WRITES_A_STEP + write).collect();
        for (id, (question, value, seen)) in ids.iter().zip(questions) {
            self.model.try_write(*id, (record, question), value, seen.clone());
            for earlier in seen {
                // It was shown, so it is there.
                self.model.is_sure(*earlier);
                self.phones[phone].held.insert(*earlier);
            }
        }
        let done = work(&device);
        self.tally.edits += u64::from(done.is_ok());
        drop(device);
        let seen: Vec<&BTreeSet<WriteId>> = questions.iter().map(|(_, _, seen)| seen).collect();
        self.note(&format!("  record {record}: {} over {seen:?}", if done.is_ok() { "written" } else { "not written" }));
        let is_dead = disk::is_dead();
        if let Err(error) = &done
            && !is_dead
        {
            self.broken.push(format!("phone {phone} cannot write: {error}"));
        }
        for id in ids {
            if self.phones[phone].outlaw {
                self.model.forbid(id);
            } else if done.is_ok() {
                self.model.is_sure(id);
                self.phones[phone].held.insert(id);
            }
            self.phones[phone].unsent.insert(id);
        }
    }

    fn create(&mut self, number: usize, phone: usize) {
        if self.records.len() >= RECORDS_MAX || self.phones[phone].device.is_none() {
            return;
        }
        let record = self.records.len();
        let (name, telephone) = (format!("head_name-{number}"), format!("phone-{number}"));
        let questions = [("head_name", name.clone(), BTreeSet::new()), ("phone", telephone.clone(), BTreeSet::new())];
        let mut made = None;
        // Every third in the second caseload.
        let caseload = self.caseloads.get(usize::from(number.is_multiple_of(3))).copied();
        self.write(number, phone, &questions, record, |device| {
            let mut collect = device.start("household", caseload, device.person()?, Filling::AtOnce)?;
            made = Some(collect.record());
            collect.set("/data/head_name", &name)?;
            collect.set("/data/phone", &telephone)?;
            collect.finalize().map(|_| ())
        });
        self.records.extend(made);
    }

    /// A record, by a number that may be beyond them.
    pub(super) fn record_at(&self, wanted: u64) -> Option<(usize, RecordId)> {
        let record = (wanted % self.records.len().max(1) as u64) as usize;
        Some((record, *self.records.get(record)?))
    }

    /// A record that this phone has, by a number that may be beyond them.
    fn record_on(&self, phone: usize, wanted: u64) -> Option<(usize, RecordId, RecordShown)> {
        let device = self.phones[phone].device.as_ref()?;
        let (record, id) = self.record_at(wanted)?;
        Some((record, id, device.show(&id.to_string()).ok()?))
    }

    fn edit(&mut self, number: usize, phone: usize, wanted: u64, question: &'static str) {
        let Some((record, id, shown)) = self.record_on(phone, wanted) else { return };
        let seen = self.model.of_values(&Self::values(&shown, question));
        let value = format!("{question}-{number}");
        self.write(number, phone, &[(question, value.clone(), seen)], record, |device| {
            let mut collect = device.edit(id, device.person()?, Filling::AtOnce)?;
            collect.set(&format!("/data/{question}"), &value)?;
            collect.finalize().map(|_| ())
        });
    }

    fn member(&mut self, number: usize, phone: usize, wanted: u64) {
        let Some((record, id, _)) = self.record_on(phone, wanted) else { return };
        let value = format!("m_name-{number}");
        self.write(number, phone, &[("m_name", value.clone(), BTreeSet::new())], record, |device| {
            let mut collect = device.edit(id, device.person()?, Filling::AtOnce)?;
            let member = collect.add("/data/member")?;
            collect.set(&format!("/data/member[{member}]/m_name"), &value)?;
            collect.finalize().map(|_| ())
        });
    }

    /// Writes of records that a phone shows as not sent: what it said that it keeps back is among them.
    fn shown_as_unsent(&self, number: usize) -> BTreeSet<WriteId> {
        let phone = &self.phones[number];
        let is_unsent = |record: usize| {
            let id = self.records[record].to_string();
            let shown = phone.device.as_ref().and_then(|device| device.show(&id).ok());
            shown.is_some_and(|shown| matches!(shown.status, "finalised" | "draft"))
        };
        phone.unsent.iter().copied().filter(|write| self.model.record_of(*write).is_some_and(is_unsent)).collect()
    }

    /// One session; says whether all that was offered is durable at the server.
    pub(super) fn sync(&mut self, number: usize, line: Line) -> Result<(), String> {
        let line = match (self.canary, line) {
            (Some(Canary::EarlyAcknowledgement), Line::Good) => Line::Boastful,
            _ => line,
        };
        self.plant_before_sync(number);
        let (Some(device), Some(server)) = (self.phones[number].device.clone(), self.server.as_ref()) else {
            return Err("closed".to_owned());
        };
        let (outcome, struck) = sync_over(&self.runtime, &device, server, line);
        drop(device);
        self.tally.syncs += 1;
        if let (true, Line::Up(harm, _) | Line::Down(harm, _)) = (struck, line) {
            self.tally.fault(harm.kind());
        }
        if let Ok(report) = &outcome {
            self.told_decisions(number, report.recovering);
        }
        let done = match outcome {
            // What had to be written again goes with the next session.
            Ok(report) if report.unfinished => Err("not finished".to_owned()),
            Ok(report) if report.refused.is_empty() => Ok((report.recovering, report.kept_back > 0)),
            Ok(report) => Err(format!("{} refused: {}", report.refused.len(), report.refused[0].reason)),
            Err(error) => Err(error.to_string()),
        };
        self.note(&format!("  sync of {number}: {}", if done.is_ok() { "done" } else { "not done" }));
        if let Ok((recovering, keeps_back)) = done {
            let kept_back = if keeps_back { self.shown_as_unsent(number) } else { BTreeSet::new() };
            let phone = &mut self.phones[number];
            if !phone.outlaw {
                self.server_held.extend(phone.held.difference(&kept_back));
                phone.unsent = kept_back;
                if !recovering {
                    phone.held.extend(self.server_held.iter().copied());
                }
            }
        }
        self.plant_after_sync(number, done.is_ok());
        self.revive();
        done.map(|_| ())
    }

    fn back_up(&mut self) {
        let Some(server) = &self.server else { return };
        if server.host.organisation.recovering_since().is_ok_and(|since| since.is_some()) {
            return;
        }
        self.backups += 1;
        let file = self.folder.path().join(format!("backup-{}", self.backups));
        match backup::write(&server.host.organisation, &file) {
            Ok(_) => self.backup = Some((file, self.server_held.clone(), self.server_knows.clone())),
            Err(_) if disk::is_dead() => {}
            Err(problem) => self.broken.push(format!("no backup: {}", problem.error)),
        }
    }

    fn restore(&mut self) {
        let Some((file, held, knows)) = self.backup.clone() else { return };
        self.disarm();
        self.close_server();
        std::fs::remove_dir_all(self.organisation()).expect("the server is lost");
        if let Err(problem) = backup::restore(&file, &backup::keys_file(&file), &self.organisation(), None) {
            self.broken.push(format!("no restore: {}", problem.error));
            return;
        }
        self.tally.fault("server restored");
        (self.server_held, self.server_knows) = (held, knows);
        self.open_server();
        self.forget_decisions();
    }

    fn copy_of(&self, phone: usize) -> PathBuf {
        self.folder.path().join(format!("copy-{phone}"))
    }

    fn copy_phone(&mut self, number: usize) {
        self.disarm();
        let to = self.copy_of(number);
        let phone = &mut self.phones[number];
        phone.device = None;
        restore_folder(&phone.folder, &to);
        std::fs::copy(&phone.witness, to.with_extension("witness")).expect("the witness is copied");
        phone.copy = Some(Copy { knows: phone.knows.clone(), held: phone.held.clone(), unsent: phone.unsent.clone() });
        self.open_phone(number);
    }

    fn restore_phone(&mut self, number: usize) {
        let Some(copy) = self.phones[number].copy.clone() else { return };
        self.disarm();
        let from = self.copy_of(number);
        let phone = &mut self.phones[number];
        phone.device = None;
        restore_folder(&from, &phone.folder);
        self.tally.fault("phone put back");
        self.model.may_come_again(copy.unsent.iter().copied());
        (phone.held, phone.unsent, phone.knows) = (copy.held, copy.unsent, copy.knows);
        self.plant_in_copy(number);
        self.open_phone(number);
        self.forget_decisions();
    }

    fn clone_phone(&mut self, number: usize, with_witness: bool) {
        let Some(copy) = self.phones[number].copy.clone() else { return };
        if self.phones.len() >= PHONES_MAX {
            return;
        }
        let fresh = self.phones.len();
        let mut phone = Phone::new(self.folder.path(), fresh, self.phones[number].key);
        copy_folder(&self.copy_of(number), &phone.folder);
        if with_witness {
            std::fs::copy(self.copy_of(number).with_extension("witness"), &phone.witness).expect("the witness is copied");
        }
        self.model.may_come_again(copy.unsent.iter().copied());
        phone.outlaw = self.phones[number].outlaw;
        (phone.held, phone.unsent, phone.knows) = (copy.held, copy.unsent, copy.knows);
        self.phones.push(phone);
        self.tally.fault("phone copied");
        self.plant_in_copy(fresh);
        self.open_phone(fresh);
    }

    /// Questions of which anybody must see the same.
    pub(super) fn questions(&self) -> BTreeSet<Question> {
        self.model.questions()
    }
}

impl Phone {
    fn new(world: &Path, number: usize, key: usize) -> Self {
        let folder = phone_in(world, number);
        Self {
            witness: world.join(format!("witness-{number}")),
            folder,
            key,
            device: None,
            clock: GivenClock::at(NOW_MS),
            outlaw: false,
            knows: Known::new(),
            held: BTreeSet::new(),
            unsent: BTreeSet::new(),
            copy: None,
        }
    }

    /// What it has of these writes does not count, neither here nor in its copy.
    pub(super) fn holds_no_more(&mut self, writes: &BTreeSet<WriteId>) {
        let copied = self.copy.as_mut().map(|copy| &mut copy.held);
        for held in std::iter::once(&mut self.held).chain(copied) {
            held.retain(|write| !writes.contains(write));
        }
    }
}
