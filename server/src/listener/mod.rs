//! The QUIC listener: [`transport`] proves the server's key and learns the device's; each stream of a connection is a conversation of its
//! own, and several run at once: [`session`] is one about records,
//! [`transfer`] one about attachments, and what a device says first tells which. [`tcp`] takes the same streams where UDP is blocked.

mod session;
mod tcp;
mod transfer;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use karwan_client::sync::tls::peer_key;
use karwan_proto::{PublicKey, attachment};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::connections::{Connections, Line, network_of};
use crate::log::queue::Ingest;
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
/// When a device is to come again while the database cannot be reached.
pub const DATABASE_RETRY_MS: u64 = 10_000;
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
/// How long a device of an address that has too many connections may take until it has heard when to come back.
const TURN_AWAY_WAIT: Duration = Duration::from_secs(5);
/// How long a finished session's last bytes may take to reach the device.
const CLOSE_WAIT: Duration = Duration::from_secs(20);

/// Free ports tried for one that is free for UDP and for TCP.
const PORTS_TRIED: usize = 16;

/// Listens until it is closed: over QUIC, and over TCP at the same port for networks that block UDP.
pub struct Listener {
    endpoint: quinn::Endpoint,
    tcp: std::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    house: House,
}

/// What every connection is served from and counted by.
#[derive(Clone)]
struct House {
    organisation: Arc<Organisation>,
    ingest: Ingest,
    handshakes: Arc<AtomicUsize>,
    sessions: Arc<AtomicUsize>,
    connections: Arc<Connections>,
    quotas: Arc<Quotas>,
}

impl Listener {
    /// Binds the address.
    pub fn bind(organisation: Arc<Organisation>, ingest: Ingest, address: SocketAddr) -> Result<Self, Problem> {
        let taken = |error: std::io::Error| {
            let what = format!("cannot listen for devices at {address}: {error}");
            Problem::new(Problem::FAILED, "port-taken", what, "Give another port: --listen HOST:PORT; port 0 takes a free one.")
        };
        let mut tries = if address.port() == 0 { PORTS_TRIED } else { 1 };
        let (endpoint, tcp) = loop {
            let config = transport::config(&organisation.server_key)?;
            let endpoint = transport::endpoint(&organisation.server_key, config, address).map_err(taken)?;
            tries -= 1;
            match std::net::TcpListener::bind(endpoint.local_addr()?) {
                Ok(tcp) => break (endpoint, tcp),
                // Free for UDP and not for TCP: another one.
                Err(_) if tries > 0 => {}
                Err(error) => return Err(taken(error)),
            }
        };
        tcp.set_nonblocking(true)?;
        let acceptor = tcp::acceptor(&organisation.server_key)?;
        let house = House {
            organisation,
            ingest,
            handshakes: Arc::default(),
            sessions: Arc::default(),
            connections: Arc::default(),
            quotas: Arc::default(),
        };
        Ok(Self { endpoint, tcp, acceptor, house })
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
        let Self { endpoint, tcp, acceptor, house } = self;
        match tokio::net::TcpListener::from_std(tcp) {
            Ok(tcp) => tokio::select! {
                () = accept(endpoint, house.clone()) => {}
                () = tcp::accept(tcp, acceptor, house) => {}
            },
            Err(error) => {
                tracing::error!(%error, "no TCP: where UDP is blocked, devices do not reach this server");
                accept(endpoint, house).await;
            }
        }
    }
}

/// Accepts QUIC connections until the endpoint is closed.
async fn accept(endpoint: quinn::Endpoint, house: House) {
    while let Some(incoming) = endpoint.accept().await {
        let under_way = house.handshakes.load(Ordering::Relaxed);
        if under_way >= HANDSHAKES_MAX {
            incoming.ignore();
            continue;
        }
        let loaded = under_way >= HANDSHAKES_UNPROVED_MAX || house.sessions.load(Ordering::Relaxed) > SESSIONS_MAX / 2;
        if loaded && !incoming.remote_address_validated() {
            // Under load an address is proved before anything is kept for it.
            incoming.retry().ok();
            continue;
        }
        let house = house.clone();
        let handshake = Counted::one_more(&house.handshakes);
        tokio::spawn(async move {
            let Ok(Ok(connection)) = tokio::time::timeout(HANDSHAKE_WAIT, incoming).await else { return };
            drop(handshake);
            let Some(key) = peer_key(&connection) else { return };
            // It may move to another address: it counts where it came from.
            let address = network_of(connection.remote_address().ip());
            let line = Line::Quic(connection.clone());
            if !house.connections.add(key.device(), address, line.clone()) {
                if let Some(_told) = house.connections.turn_away(address) {
                    tokio::time::timeout(TURN_AWAY_WAIT, Peer::of(&house, key).turn_away(&connection)).await.ok();
                }
                connection.close(CROWDED.into(), b"too many connections of this address");
                return;
            }
            Peer::of(&house, key).serve(&connection, &house.sessions).await;
            // Who is gone hears nothing of it.
            connection.close(SILENT.into(), b"nothing was said");
            house.connections.remove(key.device(), address, &line);
        });
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
    fn of(house: &House, key: PublicKey) -> Self {
        Self { organisation: house.organisation.clone(), ingest: house.ingest.clone(), quotas: house.quotas.clone(), key }
    }

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

    /// Tells it, on its first stream, when to come back.
    async fn turn_away(self, connection: &quinn::Connection) {
        if let Ok((mut send, mut receive)) = connection.accept_bi().await {
            self.converse(&mut send, &mut receive, true).await;
            send.stopped().await.ok();
        }
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
