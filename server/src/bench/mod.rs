//! `karwan bench`: many simulated devices come home to a server, with honest pauses, and a table says what it took in and how long a device
//! waited.
//!
//! [`made`] makes up what they bring, before the clock runs; [`device`] is one of them; [`home`] is where they go; [`tally`] counts.

mod device;
mod home;
mod made;
mod tally;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use karwan_client::Backoff;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock::random;
use crate::demo::progress::{Bar, Stage};
use crate::problem::Problem;
use device::{Device, End, Known, known};
use home::Home;
use made::Dice;
use tally::{Core, Report, Tally};

/// Devices that join at the same time: joining is not measured.
const JOINING: usize = 16;
/// How often one tries to join.
const JOIN_TRIES: u32 = 8;
/// How often one tries to bring its work.
const TRIES: u32 = 30;
/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the tables may take to catch up at the end before they are no longer waited for.
const CATCH_UP_WAIT: Duration = Duration::from_mins(2);
/// How long the last words of connections may take.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// Most devices.
const DEVICES_MAX: usize = 20_000;

/// How a benchmark is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST:PORT` of a server, or a folder to make.
    pub target: String,
    /// For a server: a file with an invitation a line.
    pub invitations: Option<PathBuf>,
    /// For a folder: the address of the PostgreSQL that the organisation is to be in.
    pub database: Option<String>,
    /// Devices.
    pub devices: usize,
    /// Records, of all devices together.
    pub records: u64,
    /// Devices that share a caseload, where the organisation is made here.
    pub team: usize,
    /// Sessions in which a device brings its records.
    pub sessions: usize,
    /// Seconds between two sessions of a device, about.
    pub pause_s: f64,
    /// Seconds within which devices come home.
    pub within_s: f64,
    /// Also write the figures, as JSON.
    pub report: Option<PathBuf>,
}

/// What a benchmark says: as JSON and for people.
pub struct Told {
    /// The figures.
    pub value: Value,
    /// The table.
    pub text: String,
}

/// Runs it to its end, or until Ctrl-C.
pub fn run(options: &Options) -> Result<Told, Problem> {
    if options.devices == 0 || options.devices > DEVICES_MAX || options.team == 0 || options.sessions == 0 {
        let error = format!("expected 1 to {DEVICES_MAX} devices, and at least one in a team and one session");
        return Err(Problem::new(Problem::USAGE, "usage", error, "See karwan bench --help."));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(perform(options))?;
    let value = serde_json::to_value(&report)?;
    if let Some(file) = &options.report {
        std::fs::write(file, serde_json::to_vec_pretty(&value)?)?;
    }
    runtime.shutdown_background();
    Ok(Told { value, text: report.text() })
}

/// The organisation, where it is made here, is there while the devices are.
async fn perform(options: &Options) -> Result<Report, Problem> {
    let stage = Stage::on_stderr();
    let ending = crate::serve::asked_to_end();
    let home = at_home(options)?;
    if home.invitations.len() < options.devices {
        let error = format!("{} invitations for {} devices", home.invitations.len(), options.devices);
        return Err(Problem::input("invitations", error, "Invite as many: karwan invite ORG --role enumerator --caseload NAME."));
    }
    let stopped = AtomicBool::new(false);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let endpoints = device::endpoints(options.devices, home.address)?;
    let measured = async {
        let devices = join(&home, options, &endpoints, &stage).await?;
        let devices = prepare(devices, options, &stage).await?;
        locked(&tally).begin(Core::of(&home));
        come_home(devices, options, &tally, &stage).await;
        for endpoint in &endpoints {
            // What says that a connection is over is on its way.
            tokio::time::timeout(LEAVE_WAIT, endpoint.wait_idle()).await.ok();
        }
        Ok::<_, Problem>(())
    };
    let watched = watch(&home, &tally, &stopped);
    tokio::pin!(measured, watched, ending);
    let mut interrupted = false;
    loop {
        tokio::select! {
            done = &mut measured, if !stopped.load(Ordering::Relaxed) => {
                done?;
                stopped.store(true, Ordering::Relaxed);
            }
            () = &mut watched => break,
            () = &mut ending => {
                interrupted = true;
                break;
            }
        }
    }
    let core = Core::of(&home);
    Ok(locked(&tally).report(options, core, interrupted))
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at_home(options: &Options) -> Result<Home, Problem> {
    match &options.invitations {
        Some(invitations) => Home::at(&options.target, invitations),
        None if options.target.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            let error = "expected invitations to that server";
            let mend = "Give --invitations FILE with one a line, or a folder that is not there yet instead of an address.";
            Err(Problem::new(Problem::USAGE, "usage", error, mend))
        }
        None => Home::make(Path::new(&options.target), options.devices, options.team, options.database.as_deref()),
    }
}

/// A device, and the form that it fills.
type Ready = (Device, Arc<Known>);

/// All devices join, and then hear of each other.
async fn join(home: &Home, options: &Options, endpoints: &[quinn::Endpoint], stage: &Stage) -> Result<Vec<Ready>, Problem> {
    let invited = home.invitations.iter().take(options.devices).enumerate();
    let sockets = endpoints.iter().flat_map(|endpoint| std::iter::repeat_n(endpoint, device::DEVICES_PER_SOCKET));
    let devices = invited
        .zip(sockets)
        .map(|((number, invitation), endpoint)| Device::new(number, invitation.clone(), home.address, endpoint.clone()));
    let devices = devices.collect::<Result<Vec<_>, _>>()?;
    let joined = rounds(devices, &stage.bar("join", options.devices as u64)).await?;
    let forms: Arc<Mutex<Vec<Arc<Known>>>> = Arc::default();
    let bar = stage.bar("first sync", options.devices as u64);
    let synced = rounds(joined.into_iter().map(|(device, _)| device).collect(), &bar).await?;
    let mut ready = Vec::new();
    for (device, told) in synced {
        let mut forms = forms.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, definition) in &told.definitions {
            if !forms.iter().any(|form| form.hash == *hash) {
                forms.extend(known(*hash, definition));
            }
        }
        let form = device.form.and_then(|wanted| forms.iter().find(|form| form.hash == wanted).cloned());
        let form = form.ok_or_else(|| {
            Problem::input(
                "no-form",
                "the invitations' caseload has no form to fill",
                "Publish one: karwan form add ORG FILE --caseload NAME.",
            )
        })?;
        ready.push((device, form));
    }
    Ok(ready)
}

/// One session of each device, a few at a time.
async fn rounds(devices: Vec<Device>, bar: &Bar) -> Result<Vec<(Device, device::Session)>, Problem> {
    let places = Arc::new(Semaphore::new(JOINING));
    let mut joining = JoinSet::new();
    for mut device in devices {
        let (places, bar) = (places.clone(), bar.clone());
        joining.spawn(async move {
            let _place = places.acquire().await.ok();
            let mut backoff = Backoff::default();
            for _ in 0..JOIN_TRIES {
                let (end, told) = device.sync(0).await;
                match end {
                    End::Done => {
                        bar.step();
                        return Some((device, told));
                    }
                    End::Refused(told) => tokio::time::sleep(backoff.after_failure(chance(), told)).await,
                    End::Broken => tokio::time::sleep(backoff.after_failure(chance(), None)).await,
                }
            }
            None
        });
    }
    let mut joined = Vec::new();
    while let Some(outcome) = joining.join_next().await {
        joined.extend(outcome.ok().flatten().map(Some).unwrap_or_default());
        if joined.is_empty() {
            break;
        }
    }
    bar.done(&format!("{} devices", joined.len()));
    if joined.is_empty() {
        let mend = "Look whether the server listens there and the invitations are unused.";
        return Err(Problem::new(Problem::UNREACHABLE, "join", "no device could join", mend));
    }
    Ok(joined)
}

fn chance() -> u32 {
    u32::from_le_bytes(random())
}

/// Makes and seals what the devices will bring, on every core.
async fn prepare(devices: Vec<Ready>, options: &Options, stage: &Stage) -> Result<Vec<Device>, Problem> {
    let bar = stage.bar("records", devices.len() as u64);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let many = devices.len() as u64;
    let mut parts: Vec<Vec<(u64, Ready)>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, ready) in devices.into_iter().enumerate() {
        if let Some(part) = parts.get_mut(number % threads) {
            // What cannot be divided goes to the first ones.
            let records = options.records / many + u64::from((number as u64) < options.records % many);
            part.push((records, ready));
        }
    }
    let mut making = JoinSet::new();
    for part in parts {
        let (bar, sessions) = (bar.clone(), options.sessions as u64);
        making.spawn_blocking(move || {
            let mut made = Vec::new();
            for (records, (mut device, form)) in part {
                let mut dice = Dice::new(u64::from_le_bytes(random()));
                for session in 0..sessions {
                    let share = records / sessions + u64::from(session < records % sessions);
                    device.prepare(share, &form, &mut dice)?;
                }
                bar.step();
                made.push(device);
            }
            Ok::<_, Problem>(made)
        });
    }
    let mut prepared = Vec::new();
    while let Some(made) = making.join_next().await {
        let failed = |_| Problem::new(Problem::FAILED, "panicked", "making records failed in the middle", "Report it.");
        prepared.extend(made.map_err(failed)??);
    }
    bar.done(&format!("{} made", options.records));
    Ok(prepared)
}

/// The measurement: every device brings what it has.
async fn come_home(devices: Vec<Device>, options: &Options, tally: &Arc<Mutex<Tally>>, stage: &Stage) {
    let bar = stage.bar("come home", devices.len() as u64);
    let mut homecoming = JoinSet::new();
    for device in devices {
        let (tally, options, bar) = (tally.clone(), options.clone(), bar.clone());
        homecoming.spawn(async move {
            bring(device, &options, &tally).await;
            let (sessions, judged) = locked(&tally).so_far();
            bar.message(&format!("{judged} records in {sessions} sessions"));
            bar.step();
        });
    }
    while homecoming.join_next().await.is_some() {}
    let (sessions, judged) = locked(tally).so_far();
    bar.done(&format!("{judged} records in {sessions} sessions"));
}

/// What one device does: it comes when it comes, and once more after a pause until it has brought everything.
async fn bring(mut device: Device, options: &Options, tally: &Mutex<Tally>) {
    let mut dice = Dice::new(u64::from_le_bytes(random()));
    tokio::time::sleep(Duration::from_secs_f64(options.within_s.max(0.0) * dice.share())).await;
    let share = device.waiting().div_ceil(options.sessions);
    let mut backoff = Backoff::default();
    let mut failures = 0;
    while !device.is_empty() && failures < TRIES {
        let began = Instant::now();
        let (end, told) = device.sync(share).await;
        locked(tally).session(end, began.elapsed(), &told);
        let wait = match end {
            // Half of the pause to one and a half: nobody is a clock.
            End::Done => Duration::from_secs_f64(options.pause_s.max(0.0) * (0.5 + dice.share())),
            End::Refused(told) => backoff.after_failure(chance(), told),
            End::Broken => backoff.after_failure(chance(), None),
        };
        failures += u32::from(end != End::Done);
        if !device.is_empty() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Looks at the server until it is told that the devices are done, and then until its tables have caught up.
async fn watch(home: &Home, tally: &Mutex<Tally>, stopped: &AtomicBool) {
    let mut until: Option<Instant> = None;
    loop {
        let (behind_ms, peak_mib) = tokio::task::block_in_place(|| (home.behind_ms(), home.peak_mib()));
        locked(tally).server(behind_ms, peak_mib);
        if stopped.load(Ordering::Relaxed) {
            let until = *until.get_or_insert_with(|| Instant::now() + CATCH_UP_WAIT);
            if behind_ms == Some(0.0) {
                locked(tally).caught_up();
            }
            if behind_ms.is_none_or(|behind_ms| behind_ms <= 0.0) || Instant::now() >= until {
                return;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
