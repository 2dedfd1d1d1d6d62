//! The QUIC listener: [`transport`] proves the server's key and learns the device's; each stream of a connection is a conversation of its
//! own, and several run at once: [`session`] is one about records,
//! [`transfer`] one about attachments, and what a device says first tells which.

mod session;
mod transfer;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use karwan_proto::{PublicKey, attachment};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::connections::{Connections, address_of};
use crate::log::ingest::Ingest;
use crate::organisation::Organisation;
use crate::problem::Problem;
use crate::quotas::Quotas;
use session::Session;
use transfer::Transfer;
pub use transport::tls;

/// Sessions at once; a device beyond is told when to come back.
pub const SESSIONS_MAX: usize = 1_024;
/// When a device that was turned away is to come back.
pub const RETRY_AFTER_MS: u64 = 3_000;
/// Handshakes under way above which an address must be proved before anything is kept for it.
pub const HANDSHAKES_UNPROVED_MAX: usize = 64;
/// Handshakes under way at once; what comes beyond is not answered.
pub const HANDSHAKES_MAX: usize = 1_024;
/// How long a handshake may take.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(30);
/// How long a connection may be without a session, and a session without its whole first frame.
pub const HELLO_WAIT: Duration = Duration::from_secs(10);
/// What a device is told that said nothing for too long.
const SILENT: u32 = 2;
/// What an address is told that has too many connections.
const CROWDED: u32 = 3;
/// How long a finished session's last bytes may take to reach the device.
const CLOSE_WAIT: Duration = Duration::from_secs(20);

/// Listens until it is closed.
pub struct Listener {
    endpoint: quinn::Endpoint,
    organisation: Arc<Organisation>,
    ingest: Ingest,
    sessions: Arc<AtomicUsize>,
    connections: Arc<Connections>,
    quotas: Arc<Quotas>,
}

impl Listener {
    /// Binds the address.
    pub fn bind(organisation: Arc<Organisation>, ingest: Ingest, address: SocketAddr) -> Result<Self, Problem> {
        let config = transport::config(&organisation.server_key)?;
        let endpoint = transport::endpoint(&organisation.server_key, config, address).map_err(|error| {
            let what = format!("cannot listen for devices at {address}: {error}");
            Problem::new(Problem::FAILED, "port-taken", what, "Give another port: --listen HOST:PORT; port 0 takes a free one.")
        })?;
        Ok(Self { endpoint, organisation, ingest, sessions: Arc::default(), connections: Arc::default(), quotas: Arc::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, Problem> {
        Ok(self.endpoint.local_addr()?)
    }

    /// A handle to close it with.
    pub fn endpoint(&self) -> quinn::Endpoint {
        self.endpoint.clone()
    }

    /// Accepts connections until the endpoint is closed.
    pub async fn run(self) {
        let handshakes = Arc::new(AtomicUsize::new(0));
        while let Some(incoming) = self.endpoint.accept().await {
            let under_way = handshakes.load(Ordering::Relaxed);
            if under_way >= HANDSHAKES_MAX {
                incoming.ignore();
                continue;
            }
            let loaded = under_way >= HANDSHAKES_UNPROVED_MAX || self.sessions.load(Ordering::Relaxed) > SESSIONS_MAX / 2;
            if loaded && !incoming.remote_address_validated() {
                // Under load an address is proved before anything is kept for it.
                incoming.retry().ok();
                continue;
            }
            let (organisation, ingest, sessions) = (self.organisation.clone(), self.ingest.clone(), self.sessions.clone());
            let (connections, quotas) = (self.connections.clone(), self.quotas.clone());
            let handshake = Counted::one_more(&handshakes);
            tokio::spawn(async move {
                let Ok(Ok(connection)) = tokio::time::timeout(HANDSHAKE_WAIT, incoming).await else { return };
                drop(handshake);
                let Some(key) = peer(&connection) else { return };
                // It may move to another address: it counts where it came from.
                let address = address_of(&connection);
                if !connections.add(key.device(), address, connection.clone()) {
                    connection.close(CROWDED.into(), b"too many connections of this address");
                    return;
                }
                Peer { organisation, ingest, quotas, key }.serve(&connection, &sessions).await;
                // Who is gone hears nothing of it.
                connection.close(SILENT.into(), b"nothing was said");
                connections.remove(key.device(), address, &connection);
            });
        }
    }
}

/// A device that has proved its key, and what it is served from.
#[derive(Clone)]
struct Peer {
    organisation: Arc<Organisation>,
    ingest: Ingest,
    quotas: Arc<Quotas>,
    key: PublicKey,
}

impl Peer {
    /// Serves its streams, several at once, until the connection ends or is silent for too long.
    async fn serve(&self, connection: &quinn::Connection, sessions: &Arc<AtomicUsize>) {
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                opened = connection.accept_bi() => {
                    let Ok((mut send, mut receive)) = opened else { break };
                    let (peer, counted) = (self.clone(), Counted::one_more(sessions));
                    streams.spawn(async move {
                        peer.converse(&mut send, &mut receive, counted.before >= SESSIONS_MAX).await;
                        tokio::time::timeout(CLOSE_WAIT, send.stopped()).await.ok();
                    });
                }
                Some(_) = streams.join_next() => {}
                () = tokio::time::sleep(HELLO_WAIT), if streams.is_empty() => break,
            }
        }
        // The connection is gone: each finds that out by itself.
        while streams.join_next().await.is_some() {}
    }

    /// One stream; one that is too much at once is told when to come back.
    async fn converse(self, send: &mut (impl AsyncWrite + Unpin), receive: &mut (impl AsyncRead + Unpin), busy: bool) {
        let mut first = Vec::new();
        let kind = tokio::time::timeout(HELLO_WAIT, async {
            while attachment::opens(&first).is_none() {
                if receive.read_buf(&mut first).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(attachment::opens(&first))
        });
        match kind.await {
            Ok(Ok(Some(true))) if !busy => Transfer::of(self).run(send, receive, &first).await,
            Ok(Ok(_)) => Session::of(self).run(send, &mut first.as_slice().chain(receive), busy).await,
            // The device is gone, or says nothing.
            Ok(Err(_)) | Err(_) => drop(send.shutdown().await),
        }
    }
}

/// One of those that are counted, until it is dropped, however its task ends.
struct Counted {
    count: Arc<AtomicUsize>,
    before: usize,
}

impl Counted {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        Self { count: count.clone(), before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One session over a stream that the caller made, with a device that has proved this key to it.
pub async fn converse(
    organisation: Arc<Organisation>,
    ingest: Ingest,
    key: PublicKey,
    send: &mut (impl AsyncWrite + Unpin),
    receive: &mut (impl AsyncRead + Unpin),
) {
    let peer = Peer { organisation, ingest, quotas: Arc::default(), key };
    peer.converse(send, receive, false).await;
}

fn peer(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    PublicKey::from_spki_der(identity.first()?.as_ref()).ok()
}
