//! Attachments over lines that break and lines that are slow: what is sent in all until a large one is over, and what a record waits for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use karwan_client::{
    AttachmentName, Clock, Device, EnrolRequest, Filling, Folder, Listener, Phase, Progress, Quiet, SystemClock,
};
use karwan_client::{DatabaseKey, MemoryKey};
use karwan_proto::Role;
use karwan_server::organisation::Organisation;
use karwan_server::serve::Running;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Figure, Gate, Scale};
use crate::relay::{Direction, Line, Relay};
use crate::workbook::photo_form;
use crate::world::CASELOAD;

/// How often the line breaks in each direction.
const CUTS_FULL: u64 = 200;
const CUTS_SHORT: u64 = 12;
/// Bytes of the attachment for each time: 50 MB in full.
const BYTES_PER_CUT: u64 = 250_000;
/// The line that breaks: slower than what stands at its ends, and short, so that little is on its way when it does.
const BROKEN: Line = Line { one_way: Duration::from_millis(1), bytes_per_s: Some(2_500_000), queue: Duration::from_millis(200) };
/// The line that a record shares with an upload: a satellite's.
const SATELLITE: Line =
    Line { one_way: Duration::from_millis(300), bytes_per_s: Some(250_000), queue: Duration::from_millis(500) };
/// Records that are finished during the upload.
const RECORDS: usize = 5;
/// How long the upload runs before the first of them.
const UNDER_WAY: Duration = Duration::from_secs(6);
/// Pause between two records.
const RECORD_PAUSE: Duration = Duration::from_secs(3);
const INVITATION_MS: i64 = 3_600_000;
const SEED: u64 = 20_261_128;

/// An organisation with its server, and two devices that know it only through a line.
struct World {
    folder: TempDir,
    running: Running,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let place = folder.path().join("org");
        Organisation::init(&place, "Lines").expect("an organisation");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = Running::start(&place, any, any).await.expect("the server starts");
        let organisation = running.host.organisation.clone();
        organisation.add_caseload(CASELOAD).expect("a caseload");
        organisation.publish("person.xlsx", &photo_form().expect("a form"), Vec::new(), CASELOAD).expect("a published form");
        Self { folder, running }
    }

    async fn device(&self, name: &str) -> Device {
        let address = vec![self.running.ready.sync.clone()];
        let invitation = self.running.host.organisation.invite(Role::Enumerator, &[CASELOAD.to_owned()], INVITATION_MS, address);
        let request = EnrolRequest {
            folder: Folder::new(self.folder.path().join(name)),
            key: Arc::new(MemoryKey(DatabaseKey::new([7; 32]))),
            clock: Arc::new(SystemClock::default()) as Arc<dyn Clock>,
            invitation: invitation.expect("an invitation").to_text(),
            name: name.to_owned(),
            person: None,
        };
        let device = Device::enrol(request).await.expect("the device joins");
        device.sync(None, &Quiet).await.expect("it syncs");
        device
    }

    async fn line(&self, line: Line) -> Relay {
        Relay::to(self.running.ready.sync.parse().expect("an address"), line).await.expect("a line")
    }

    fn file(&self, bytes: u64, random: &mut StdRng) -> PathBuf {
        let mut content = vec![0; usize::try_from(bytes).expect("a length")];
        random.fill_bytes(&mut content);
        let path = self.folder.path().join("film.mp4");
        std::fs::write(&path, content).expect("the file is written");
        path
    }
}

fn collect(device: &Device, name: &str, file: Option<&Path>) -> Option<AttachmentName> {
    let person = device.person().expect("a person");
    let mut collect = device.start("person", None, person, Filling::AtOnce).expect("an interview");
    collect.set("/data/name", name).expect("an answer");
    let attached = file.map(|file| collect.attach("/data/paper", file).expect("the file is attached"));
    collect.finalize().expect("a record");
    attached
}

/// Bytes that cross the line in all for each byte of an attachment whose line breaks all the time, the worse of both directions.
///
/// # Panics
/// Where a sync does not go on, or the attachment does not arrive as it was.
pub fn resume(scale: Scale) -> Vec<Figure> {
    let cuts = scale.of(CUTS_SHORT, CUTS_FULL);
    let runtime = Runtime::new().expect("a runtime");
    let value = runtime.block_on(async {
        let mut random = StdRng::seed_from_u64(SEED);
        let (world, size) = (World::new().await, cuts * BYTES_PER_CUT);
        let (first, second) = (world.device("first").await, world.device("second").await);
        let line = world.line(BROKEN).await;
        let file = world.file(size, &mut random);
        let name = collect(&first, "Qurban", Some(&file)).expect("an attachment");
        let up = broken_syncs(&first, &line, Direction::Up, cuts, size, &mut random).await;
        second.sync(None, &Quiet).await.expect("the record comes");
        second.want_attachment(&name).expect("it is asked for");
        let down = broken_syncs(&second, &line, Direction::Down, cuts, size, &mut random).await;
        let mut came = Vec::new();
        second.read_attachment(&name, &mut came).expect("it is here");
        assert!(came == std::fs::read(&file).expect("the file is read"), "it is what it was");
        world.running.stop().await;
        up.max(down)
    });
    let gate = Gate::AtMost(1.1);
    vec![Figure { name: "attachment_resume_bytes_ratio", value, unit: "", gate, correctness: false, scale }]
}

/// Syncs over a line that breaks so often, at random bytes, then once over one that does not; gives what crossed it for each byte of `size`.
async fn broken_syncs(device: &Device, line: &Relay, direction: Direction, cuts: u64, size: u64, random: &mut StdRng) -> f64 {
    let before = line.bytes(direction);
    let (address, mut broke, mut whole) = (line.address(), 0, false);
    while broke < cuts && !whole {
        let after = random.random_range(1..2 * BYTES_PER_CUT);
        tokio::select! {
            synced = device.sync(Some(&address), &Quiet) => match synced {
                Ok(report) => whole = report.attachments.waiting == 0,
                Err(error) => eprintln!("a sync that was not broken ended: {error}"),
            },
            // The app ends with its line: what was not kept by then is lost.
            () = line.broken_after(direction, after) => broke += 1,
        }
    }
    line.mend();
    if !whole {
        device.sync(Some(&address), &Quiet).await.expect("the sync goes on");
    }
    let ratio = (line.bytes(direction) - before) as f64 / size as f64;
    eprintln!("{direction:?}: {size} B, {broke} breaks, {ratio:.4} times the size crossed the line");
    ratio
}

/// Notes when envelopes become durable, and ends the sync once all did.
struct Watch {
    durable: Mutex<Vec<Instant>>,
    until: usize,
}

impl Listener for Watch {
    fn progress(&self, progress: &Progress) -> bool {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = durable.last().is_none_or(|last| last.elapsed() > RECORD_PAUSE / 2);
        if progress.phase != Phase::Carrying && progress.envelopes_up > 0 && pause {
            durable.push(Instant::now());
        }
        durable.len() < self.until
    }
}

/// By how many round trips the receipt of a record is later than one round trip, while a large upload uses the same line: the worst of several.
///
/// # Panics
/// Where a record does not become durable.
pub fn record_delay(scale: Scale) -> Vec<Figure> {
    let runtime = Runtime::new().expect("a runtime");
    let value = runtime.block_on(async {
        let mut random = StdRng::seed_from_u64(SEED);
        let world = World::new().await;
        let device = world.device("first").await;
        let line = world.line(SATELLITE).await;
        let file = world.file(CUTS_FULL * BYTES_PER_CUT, &mut random);
        // The first record goes with the film.
        collect(&device, "Qurban", Some(&file));
        let watch = Arc::new(Watch { durable: Mutex::default(), until: RECORDS + 1 });
        let syncing = {
            let (device, watch, address) = (device.clone(), watch.clone(), line.address());
            tokio::spawn(async move { device.sync(Some(&address), watch.as_ref()).await.is_ok() })
        };
        tokio::time::sleep(UNDER_WAY).await;
        let mut finished = Vec::new();
        for number in 0..RECORDS {
            collect(&device, &format!("Omid {number}"), None);
            finished.push(Instant::now());
            tokio::time::sleep(RECORD_PAUSE).await;
        }
        // The listener ends the sync; the film is far from whole.
        syncing.await.expect("the sync ends");
        let crossed = line.bytes(Direction::Up);
        let durable = watch.durable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(durable.len(), RECORDS + 1, "each record became durable");
        let round_trip = 2.0 * SATELLITE.one_way.as_secs_f64();
        let delays: Vec<f64> = finished
            .iter()
            .zip(durable.iter().skip(1))
            .map(|(finished, durable)| durable.duration_since(*finished).as_secs_f64() / round_trip - 1.0)
            .collect();
        eprintln!("records behind {crossed} B of an upload: {delays:.2?} round trips later than one");
        world.running.stop().await;
        delays.into_iter().fold(f64::NEG_INFINITY, f64::max)
    });
    let gate = Gate::AtMost(1.0);
    vec![Figure { name: "record_delay_under_upload_rtt", value, unit: "rtt", gate, correctness: false, scale }]
}
