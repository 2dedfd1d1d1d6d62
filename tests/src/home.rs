//! An organisation and its phones inside this process: the real server and the real devices in folders of their own, their sessions over
//! streams in memory. What simulation and disk faults drive.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use karwan_client::sync::report::Quiet;
use karwan_client::{ClientError, DatabaseKey, MemoryKey};
use karwan_client::{Clock, Device, EnrolRequest, Folder, SyncReport};
use karwan_proto::Role;
use karwan_server::host::Host;
use karwan_server::listener;
use karwan_server::log::queue::Ingest;
use karwan_server::organisation::{self, Organisation};
use karwan_server::problem::Problem;
use karwan_server::serve::Running;
use tempfile::TempDir;
use tokio::io::{DuplexStream, duplex, split};
use tokio::runtime::Runtime;

use crate::workbook::household_form;

/// The caseload that every phone has.
pub const CASELOAD: &str = "mashhad";
/// What a stream in memory holds before its writer waits.
const PIPE_BYTES: usize = 1 << 20;
/// How long a server that was let go may take to close its files.
const CLOSE_PATIENCE: Duration = Duration::from_secs(20);
/// More than what a session began takes to end when nobody waits for it any more.
const ROUNDS_TO_QUIESCE: usize = 8;
const INVITATION_MS: i64 = 3_600_000;

/// A clock that shows what it is told.
#[derive(Debug)]
pub struct GivenClock(AtomicI64);

impl GivenClock {
    /// Shows this time, in milliseconds since 1970.
    pub fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    /// From now on shows this one.
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl Clock for GivenClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn offset_minutes(&self) -> i32 {
        210
    }
}

/// A folder in memory where the system has one: many small worlds are made and thrown away.
pub fn quick_folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { TempDir::new_in(shared).or_else(|_| TempDir::new()) } else { TempDir::new() }
        .expect("a temporary folder")
}

/// Copies a folder as it lies there.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder is made");
    for entry in std::fs::read_dir(from).expect("the folder is read") {
        let entry = entry.expect("an entry is read");
        let kind = entry.file_type().expect("its kind is known");
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target).expect("a file is copied");
        }
    }
}

/// Replaces a folder by a copy of another.
pub fn restore_folder(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).ok();
    copy_folder(from, to);
}

/// An organisation with the household form and enrolled phones, closed, to be copied.
#[derive(Debug)]
pub struct Template {
    folder: TempDir,
}

impl Template {
    /// Makes it with one caseload, over the real network on this machine.
    pub fn make(phones: usize) -> Self {
        Self::with_caseloads(phones, &[CASELOAD])
    }

    /// The same with several caseloads, of which every phone has all.
    pub fn with_caseloads(phones: usize, caseloads: &[&str]) -> Self {
        let names: Vec<String> = caseloads.iter().map(|name| (*name).to_owned()).collect();
        let template = Self { folder: quick_folder() };
        let path = template.folder.path();
        let runtime = Runtime::new().expect("a runtime");
        Organisation::init(&organisation_in(path), "Simulated").expect("an organisation");
        runtime.block_on(async {
            let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            let running = Running::start(&organisation_in(path), any, any).await.expect("the server starts");
            let organisation = running.host.organisation.clone();
            let form = household_form().expect("a form");
            for caseload in caseloads {
                organisation.add_caseload(caseload).expect("a caseload");
                organisation.publish("household.xlsx", &form, Vec::new(), caseload).expect("the form is published");
            }
            for number in 0..phones {
                let address = vec![running.ready.sync.clone()];
                let invitation = organisation.invite(Role::Enumerator, &names, INVITATION_MS, address);
                let request = EnrolRequest {
                    folder: Folder::new(phone_in(path, number)),
                    key: Arc::new(phone_key(number)),
                    clock: GivenClock::at(1_795_428_000_000),
                    invitation: invitation.expect("an invitation").to_text(),
                    name: format!("phone-{number}"),
                    person: Some(format!("Person {number}")),
                };
                let device = Device::enrol(request).await.expect("the phone joins");
                device.sync(None, &Quiet).await.expect("the phone syncs");
                device.close().expect("the phone closes");
            }
            running.stop().await;
        });
        runtime.shutdown_timeout(CLOSE_PATIENCE);
        template
    }

    /// Puts a copy into a folder.
    pub fn unpack(&self, into: &Path) {
        copy_folder(self.folder.path(), into);
    }
}

/// Where the organisation is in a world's folder.
pub fn organisation_in(world: &Path) -> PathBuf {
    world.join("org")
}

/// Where a phone is in a world's folder.
pub fn phone_in(world: &Path, number: usize) -> PathBuf {
    world.join(format!("phone-{number}"))
}

/// What the platform keeps for a phone: its key, also when the phone's files are copied.
pub fn phone_key(number: usize) -> MemoryKey {
    MemoryKey(DatabaseKey::new([number as u8 + 1; 32]))
}

/// Opens the phone in a folder.
pub fn open_phone(folder: &Path, number: usize, clock: Arc<dyn Clock>) -> Result<Device, ClientError> {
    Device::open(Folder::new(folder), &phone_key(number), clock)
}

/// A server that serves streams in memory, all in the thread of whoever polls it: what happens first is no matter of who is quicker.
pub struct Server {
    pub host: Host,
    ingest: Ingest,
}

impl Server {
    /// Opens the organisation in a folder.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        let host = Host::open(folder)?;
        let ingest = Ingest::here(host.organisation.clone());
        Ok(Self { host, ingest })
    }

    /// Lets everything go, as the end of its process would; the files are closed when this returns.
    pub fn close(self) {
        let folder = organisation::folder::Folder(self.host.organisation.folder().to_owned());
        drop(self);
        assert!(matches!(organisation::folder::Lock::attempt(&folder), Ok(Some(_))), "somebody still holds the organisation");
    }

    /// Serves one device on its end of a stream.
    pub async fn serve(&self, device: karwan_proto::DeviceId, stream: DuplexStream) {
        let membership = self.host.organisation.membership().expect("the membership is read");
        let key = membership.key_of(device).expect("the device is known");
        let (mut receive, mut send) = split(stream);
        listener::converse(self.host.organisation.clone(), self.ingest.clone(), key, &mut send, &mut receive).await;
    }
}

/// One thread and a clock.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// One session over a stream that loses nothing.
pub fn sync(runtime: &Runtime, phone: &Device, server: &Server) -> Result<SyncReport, ClientError> {
    let (here, there) = duplex(PIPE_BYTES);
    let (receive, send) = split(here);
    runtime.block_on(async {
        let outcome = tokio::join!(phone.sync_over(send, receive, &Quiet), server.serve(phone.id(), there)).0;
        quiesce().await;
        outcome
    })
}

/// Lets everything that a session began in a [`runtime`] come to its end: what it still holds would keep the server from closing.
pub async fn quiesce() {
    for _ in 0..ROUNDS_TO_QUIESCE {
        tokio::task::yield_now().await;
    }
}
