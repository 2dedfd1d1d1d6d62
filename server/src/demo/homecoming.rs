//! A team comes home: its phones sync at once, and may lose the server in the middle of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use karwan_client::sync::report::{Listener, Progress, SyncReport};
use karwan_client::{ClientError, Device};
use tokio::sync::watch;

use super::progress::Bar;
use crate::problem::Problem;
use crate::process::Server;

/// How often a phone tries again after the server was lost.
const TRIES_MAX: usize = 5;
/// How long a phone that hears nothing waits, once the server is back, before its person presses the button again.
const PATIENCE: Duration = Duration::from_secs(3);

/// When the server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillAt {
    /// It is not.
    Never,
    /// When the first of the team is told that something of its work is safe.
    FirstReceipt,
    /// When the first of the team has begun to send.
    FirstBytes,
}

/// What a team's homecoming came to.
#[derive(Debug, Clone, Default)]
pub struct Homecoming {
    /// One report a phone, of the sync that went through.
    pub reports: Vec<SyncReport>,
    /// Syncs that the server's death ended.
    pub interrupted: usize,
}

impl Homecoming {
    /// Adds another team's.
    pub fn join(&mut self, other: Self) {
        self.reports.extend(other.reports);
        self.interrupted += other.interrupted;
    }
}

/// Kills the server once.
#[derive(Clone)]
struct Fuse {
    at: KillAt,
    burnt: Arc<AtomicBool>,
    server: Arc<Mutex<Server>>,
    back: watch::Sender<bool>,
}

/// Follows one sync.
struct Watch {
    bar: Bar,
    fuse: Fuse,
}

impl Listener for Watch {
    fn progress(&self, progress: &Progress) -> bool {
        self.bar.message(&format!("{} B up, {} B down", progress.bytes_up, progress.bytes_down));
        let now = match self.fuse.at {
            KillAt::Never => false,
            KillAt::FirstReceipt => progress.envelopes_up > 0,
            KillAt::FirstBytes => progress.bytes_up > 0,
        };
        if now && !self.fuse.burnt.swap(true, Ordering::SeqCst) {
            self.fuse.server.lock().unwrap_or_else(PoisonError::into_inner).kill();
            let (server, back) = (self.fuse.server.clone(), self.fuse.back.clone());
            std::thread::spawn(move || {
                let started = server.lock().unwrap_or_else(PoisonError::into_inner).start_again();
                // A server that does not come back shows as a phone that finds nobody.
                back.send(started.is_ok()).ok();
            });
        }
        true
    }
}

/// Syncs all phones of a team at once, each until it is through.
pub async fn sync(devices: Vec<(Device, Bar)>, server: &Arc<Mutex<Server>>, at: KillAt) -> Result<Homecoming, Problem> {
    let (back, _) = watch::channel(at == KillAt::Never);
    let fuse = Fuse { at, burnt: Arc::default(), server: server.clone(), back };
    let mut under_way = Vec::new();
    for (device, bar) in devices {
        let fuse = fuse.clone();
        under_way.push(tokio::spawn(async move { through(&device, &bar, fuse).await }));
    }
    let mut home = Homecoming::default();
    for phone in under_way {
        let (report, interrupted) = phone.await.map_err(|_| {
            Problem::new(Problem::FAILED, "panicked", "a phone's sync failed in the middle", "Report it with what was printed.")
        })??;
        home.reports.push(report);
        home.interrupted += interrupted;
    }
    Ok(home)
}

async fn through(device: &Device, bar: &Bar, fuse: Fuse) -> Result<(SyncReport, usize), Problem> {
    let mut interrupted = 0;
    loop {
        let burnt_before = fuse.burnt.load(Ordering::SeqCst);
        let listener = Watch { bar: bar.clone(), fuse: fuse.clone() };
        let mut back = fuse.back.subscribe();
        let patience = async {
            if burnt_before || fuse.at == KillAt::Never {
                return std::future::pending::<()>().await;
            }
            back.changed().await.ok();
            tokio::time::sleep(PATIENCE).await;
        };
        let outcome = tokio::select! {
            outcome = device.sync(None, &listener) => outcome,
            () = patience => Err(ClientError::Cancelled),
        };
        let error = match outcome {
            Ok(report) => {
                bar.done(&format!("{} changes up, {} down, {} ms", report.changes_up, report.changes_down, report.ms));
                return Ok((report, interrupted));
            }
            Err(error) => error,
        };
        if !fuse.burnt.load(Ordering::SeqCst) || interrupted == TRIES_MAX {
            return Err(error.into());
        }
        interrupted += 1;
        bar.message("the server is gone");
        let mut back = fuse.back.subscribe();
        // Ends as well when nobody will say anything any more.
        back.wait_for(|back| *back).await.ok();
    }
}
