//! `karwan serve`: the listener, the writer, the projector, the control socket and the console of one folder.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::attachments::{GRACE_MS, Swept};
use crate::host::Host;
use crate::listener::Listener;
use crate::log::queue::Ingest;
use crate::organisation::{Organisation, hex};
use crate::problem::Problem;

/// Pause between two sweeps of attachments.
const SWEEP_PAUSE: std::time::Duration = std::time::Duration::from_hours(1);

/// Where a server listens.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// For devices.
    pub sync: String,
    /// For people.
    pub console: String,
    /// The server's public key.
    pub server_key: String,
}

/// A running server.
pub struct Running {
    /// Where.
    pub ready: Ready,
    /// What it serves.
    pub host: Host,
    endpoint: quinn::Endpoint,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Running {
    /// Starts everything; ready when this returns.
    pub async fn start(folder: &Path, listen: SocketAddr, console: SocketAddr) -> Result<Self, Problem> {
        let folder = folder.to_path_buf();
        let opened = tokio::task::spawn_blocking(move || Host::of(Organisation::open(&folder)?)).await;
        let host = opened.map_err(|_| Problem::new(Problem::FAILED, "panicked", "opening the folder failed", "Report it."))??;
        let organisation = host.organisation.clone();
        let ingest = Ingest::start(organisation.clone());
        let listener = Listener::bind(organisation.clone(), ingest, listen)?;
        let sync = listener.address()?;
        let endpoint = listener.endpoint();
        let web = tokio::net::TcpListener::bind(console).await.map_err(|error| {
            let what = format!("cannot listen for the console at {console}: {error}");
            Problem::new(Problem::FAILED, "port-taken", what, "Give another port: --console HOST:PORT; port 0 takes a free one.")
        })?;
        let console_address = web.local_addr()?;
        organisation.set_setting("addresses", reachable(sync).join("\n").as_bytes())?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(listener.run());
        crate::projector::follow::start(host.clone(), stopped.clone());
        tokio::spawn(sweep(organisation.clone()));
        let control = host.clone();
        tokio::spawn(async move {
            if let Err(problem) = crate::control::serve(control).await {
                tracing::error!(code = problem.code, error = problem.error, "no control socket");
            }
        });
        let socket = crate::organisation::folder::Folder(organisation.folder().to_path_buf()).socket();
        // Commands that come right after the ready line find the socket.
        for _ in 0..200 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let web_host = Arc::new(host.clone());
        let mut web_stopped = stopped.clone();
        tokio::spawn(async move {
            let stopping = async move {
                web_stopped.wait_for(|stop| *stop).await.ok();
            };
            if let Err(problem) = crate::console::serve(web_host, web, stopping).await {
                tracing::error!(code = problem.code, error = problem.error, "the console ended");
            }
        });
        let ready = Ready {
            sync: sync.to_string(),
            console: format!("http://{console_address}"),
            server_key: hex(&organisation.server_key.public().0),
        };
        Ok(Self { ready, host, endpoint, stop })
    }

    /// Ends it cleanly: what is under way is finished, what is new is turned away.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        self.endpoint.close(0u8.into(), b"the server ends");
        tokio::time::timeout(std::time::Duration::from_secs(5), self.endpoint.wait_idle()).await.ok();
        let folder = crate::organisation::folder::Folder(self.host.organisation.folder().to_path_buf());
        std::fs::remove_file(folder.socket()).ok();
    }
}

/// Takes away attachments that nothing needs, now and then.
async fn sweep(organisation: Arc<Organisation>) {
    loop {
        let work = organisation.clone();
        let swept = tokio::task::spawn_blocking(move || work.sweep_attachments(work.now_ms(), GRACE_MS)).await;
        match swept {
            Ok(Ok(swept)) if swept != Swept::default() => {
                tracing::info!(
                    attachments = swept.attachments,
                    begun = swept.begun,
                    bytes = swept.bytes,
                    moved = swept.moved,
                    "attachments swept"
                );
            }
            Ok(Err(problem)) => tracing::error!(code = problem.code, error = problem.error, "sweeping attachments failed"),
            _ => {}
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}

/// Addresses under which devices may find this machine.
fn reachable(bound: SocketAddr) -> Vec<String> {
    if !bound.ip().is_unspecified() {
        return vec![bound.to_string()];
    }
    // The address of the interface that leads outside; nothing is sent.
    let outside = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let mut found = Vec::new();
    if let Ok(outside) = outside
        && !outside.ip().is_unspecified()
        && !outside.ip().is_loopback()
    {
        found.push(SocketAddr::new(outside.ip(), bound.port()).to_string());
    }
    found.push(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), bound.port()).to_string());
    found
}

/// Waits for Ctrl-C or SIGTERM. It listens from the call on, not only once it is awaited: who is told that a server is ready may ask it
/// to end at once.
pub fn asked_to_end() -> impl Future<Output = ()> {
    let listening = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        if let (Ok(mut interrupt), Ok(mut terminate)) = listening {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        } else {
            tokio::signal::ctrl_c().await.ok();
        }
    }
}
