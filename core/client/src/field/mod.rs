//! Two devices that meet where no server is: one listens and shows a text, as a QR code; the other reads it. They sync what both may have over the
//! protocol that a server speaks, each giving in turn, and what came is provisional until the server's verdict.
//!
//! [`greet`] carries no record: it proves who has come and brings both to the same decisions of the organisation. Then [`give`] and [`take`], first
//! from who listens, then from who came; and [`files`] in the same order. [`who`] says who may have what, [`addresses`] where this device may be found.

mod addresses;
mod files;
mod give;
mod greet;
mod take;
pub(crate) mod who;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use karwan_proto::ids::{CaseloadId, DeviceId};
use karwan_proto::limits::MAX_ADDRESSES;
use karwan_proto::log::Cursor;
use karwan_proto::meeting::Meeting;
use karwan_proto::session::frame::CaseloadCursor;
use karwan_proto::session::{Hello, Refusal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::device::{Device, Inner, locked, random};
use crate::error::ClientError;
use crate::sync::dial::{any_address, is_wrong_key};
use crate::sync::incoming::given::Giver;
use crate::sync::report::{Carried, Listener, Over, Phase, Progress, SyncReport};
use crate::sync::tls::{SERVER_NAME, client_config, listening_tls, peer_key, transport};
use crate::sync::transport::{Sending, Stream};
use give::{Giving, Taker};
use greet::Greeted;
use take::Taking;

/// How long the two may not hear of each other before they give up: somebody walked away.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often they say that they are there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long reaching the other, or its handshake, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a greeting may take: whoever comes and says nothing keeps others waiting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often who waits looks whether it is still to wait.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long the last word may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Streams that the other side may open: one for each session in which it gives.
const STREAMS_MAX: u8 = 4;

/// A device that waits for others.
pub struct Listening {
    inner: Arc<Inner>,
    endpoint: quinn::Endpoint,
    meeting: Meeting,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("addresses", &self.meeting.addresses).finish_non_exhaustive()
    }
}

impl Device {
    /// Begins to listen for another device, at this address and port (port 0 takes a free one). `addresses` are those under which others may
    /// reach this device, best first; where none are given they are looked for. To be called on a tokio runtime.
    pub fn listen(&self, at: SocketAddr, addresses: &[IpAddr]) -> Result<Listening, ClientError> {
        let key = &self.inner.key;
        let failed = |_| ClientError::Transport { what: "setting up TLS" };
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(listening_tls(key)?).map_err(failed)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(near()?));
        let taken = |error: std::io::Error| ClientError::CannotListen { address: at.to_string(), reason: error.to_string() };
        let endpoint = quinn::Endpoint::server(config, at).map_err(taken)?;
        let bound = endpoint.local_addr().map_err(taken)?;
        let found = if bound.ip().is_unspecified() { addresses::of(addresses) } else { vec![bound.ip()] };
        let mut addresses: Vec<String> = found.into_iter().map(|ip| SocketAddr::new(ip, bound.port()).to_string()).collect();
        addresses.truncate(MAX_ADDRESSES);
        let meeting = Meeting {
            organisation: self.inner.identity()?.organisation,
            key: key.public(),
            addresses,
            secret: random(),
            extra: karwan_proto::codec::Extra::default(),
        };
        Ok(Listening { inner: self.inner.clone(), endpoint, meeting })
    }

    /// Syncs with the device that shows this text. What comes is provisional until the server's verdict, and what goes stays here to be
    /// offered to the server too.
    pub async fn sync_with(&self, text: &str, listener: &dyn Listener) -> Result<SyncReport, ClientError> {
        let began = Instant::now();
        let inner = &self.inner;
        let meeting = Meeting::from_text(text)?;
        let host = meeting.key.device();
        if meeting.organisation != inner.identity()?.organisation {
            return Err(ClientError::OtherDevice(Refusal::WrongOrganisation));
        }
        {
            let membership = locked(&inner.membership);
            if let Err(refusal @ (Refusal::Revoked | Refusal::CloneSuspected)) = who::shared(&membership, inner.device, host) {
                return Err(ClientError::OtherDevice(refusal));
            }
        }
        if !listener.progress(&Progress::at(Phase::Connecting)) {
            return Err(ClientError::Cancelled);
        }
        crate::rewrite::settle(inner)?;
        let (connection, endpoint) = reach(inner, &meeting).await?;
        let outcome = come(inner, &mut Way::Network(&connection), (host, meeting.secret), listener).await;
        let last = if outcome.is_ok() { "done" } else { "given up" };
        connection.close(0u32.into(), last.as_bytes());
        // A peer that does not hear of the end finds out by itself.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await;
        finish(inner, outcome?, (host, Some(Over::Quic)), began)
    }

    /// As [`Device::sync_with`], over streams that the caller made to a device whose key the caller has proved: a tunnel, or a test without a
    /// network. Three streams are needed, five where files are to go too, which the other takes in the same order in [`Device::meet_over`].
    pub async fn sync_with_over(
        &self,
        host: DeviceId,
        secret: [u8; 16],
        streams: Vec<(impl AsyncWrite + Send + Unpin + 'static, impl AsyncRead + Send + Unpin + 'static)>,
        listener: &dyn Listener,
    ) -> Result<SyncReport, ClientError> {
        let began = Instant::now();
        crate::rewrite::settle(&self.inner)?;
        let report = come(&self.inner, &mut Way::made(streams), (host, secret), listener).await?;
        finish(&self.inner, report, (host, None), began)
    }

    /// As [`Listening::meet`], over the same streams, with a device whose key the caller has proved.
    pub async fn meet_over(
        &self,
        guest: DeviceId,
        secret: [u8; 16],
        streams: Vec<(impl AsyncWrite + Send + Unpin + 'static, impl AsyncRead + Send + Unpin + 'static)>,
        listener: &dyn Listener,
    ) -> Result<SyncReport, ClientError> {
        let began = Instant::now();
        crate::rewrite::settle(&self.inner)?;
        let report = host(&self.inner, &mut Way::made(streams), (guest, secret), listener).await?;
        let report = report.ok_or(ClientError::OtherDevice(Refusal::SecretUnknown))?;
        finish(&self.inner, report, (guest, None), began)
    }
}

impl Listening {
    /// What the other device is to read: as a QR code, or typed. Another one after each meeting.
    pub fn text(&self) -> String {
        self.meeting.to_text()
    }

    /// Where it listens, `host:port`.
    pub fn addresses(&self) -> &[String] {
        &self.meeting.addresses
    }

    /// Waits for one device and syncs with it. Who does not know the text is passed over, and so is a connection that breaks: the other may try
    /// again. Ends when the listener says so.
    pub async fn meet(&mut self, listener: &dyn Listener) -> Result<SyncReport, ClientError> {
        crate::rewrite::settle(&self.inner)?;
        loop {
            let incoming = tokio::select! {
                incoming = self.endpoint.accept() => incoming.ok_or(ClientError::Cancelled)?,
                () = tokio::time::sleep(LOOK_INTERVAL) => {
                    if !listener.progress(&Progress::at(Phase::Connecting)) {
                        return Err(ClientError::Cancelled);
                    }
                    continue;
                }
            };
            let began = Instant::now();
            let Ok(Ok(connection)) = tokio::time::timeout(CONNECT_TIMEOUT, incoming).await else { continue };
            let Some(key) = peer_key(&connection) else { continue };
            match host(&self.inner, &mut Way::Network(&connection), (key.device(), self.meeting.secret), listener).await {
                Ok(Some(report)) => {
                    // Who came closes, when it has heard everything.
                    let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection.closed()).await;
                    self.meeting.secret = random();
                    return finish(&self.inner, report, (key.device(), Some(Over::Quic)), began);
                }
                Ok(None) => tracing::warn!(device = %key.device(), "it does not know what this device shows"),
                Err(ClientError::Interrupted(reason)) => tracing::warn!(device = %key.device(), reason, "it is gone"),
                Err(error) => {
                    // What is said last is to arrive.
                    let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection.closed()).await;
                    return Err(error);
                }
            }
            connection.close(0u32.into(), b"not now");
        }
    }

    /// Ends the listening: nobody is let in any more.
    pub fn close(self) {
        self.endpoint.close(0u32.into(), b"done");
    }
}

/// What both sides of a meeting set: the network is near, and who walks away is missed soon.
fn near() -> Result<quinn::TransportConfig, ClientError> {
    let mut settings = transport()?;
    let idle = quinn::IdleTimeout::try_from(IDLE_TIMEOUT);
    settings.max_idle_timeout(Some(idle.map_err(|_| ClientError::Transport { what: "setting the idle time" })?));
    settings.keep_alive_interval(Some(KEEP_ALIVE));
    settings.max_concurrent_bidi_streams(STREAMS_MAX.into()).max_concurrent_uni_streams(0u8.into());
    Ok(settings)
}

/// Tries all addresses at once; the first at which the right key answers is taken.
async fn reach(inner: &Inner, meeting: &Meeting) -> Result<(quinn::Connection, quinn::Endpoint), ClientError> {
    let mut tries = JoinSet::new();
    for address in &meeting.addresses {
        let mut config = client_config(&inner.key, &[meeting.key])?;
        config.transport_config(Arc::new(near()?));
        tries.spawn(attempt(config, address.clone()));
    }
    let mut failure = ClientError::NotMet { reason: "it says no address".to_owned() };
    while let Some(tried) = tries.join_next().await {
        match tried {
            Ok(Ok(reached)) => return Ok(reached),
            // Somebody else who answers there matters more than nobody.
            Ok(Err(error @ ClientError::NotTheOther { .. })) => failure = error,
            Ok(Err(error)) if !matches!(failure, ClientError::NotTheOther { .. }) => failure = error,
            _ => {}
        }
    }
    Err(failure)
}

async fn attempt(config: quinn::ClientConfig, address: String) -> Result<(quinn::Connection, quinn::Endpoint), ClientError> {
    let not_met = |reason: String| ClientError::NotMet { reason: format!("{address}: {reason}") };
    let socket: SocketAddr = address.parse().map_err(|_| not_met("not an address".to_owned()))?;
    let endpoint = quinn::Endpoint::client(any_address(socket)).map_err(|error| not_met(error.to_string()))?;
    let connecting = endpoint.connect_with(config, socket, SERVER_NAME).map_err(|error| not_met(error.to_string()))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok((connection, endpoint)),
        Ok(Err(error)) if is_wrong_key(&error) => Err(ClientError::NotTheOther { address }),
        Ok(Err(error)) => Err(not_met(error.to_string())),
        Err(_) => Err(not_met(format!("nothing came for {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// Where a meeting's streams come from, one for each of its sessions.
enum Way<'a> {
    Network(&'a quinn::Connection),
    /// Made by the caller, the first session's first.
    Made(VecDeque<Stream>),
}

impl Way<'_> {
    fn made(streams: Vec<(impl AsyncWrite + Send + Unpin + 'static, impl AsyncRead + Send + Unpin + 'static)>) -> Self {
        Self::Made(streams.into_iter().map(|(send, receive)| Stream::over(send, receive)).collect())
    }

    /// A stream for a session in which this device is the device.
    async fn opened(&mut self) -> Result<Stream, ClientError> {
        match self {
            Self::Network(connection) => opened(connection).await,
            Self::Made(streams) => next_of(streams),
        }
    }

    /// A stream for a session in which the other is.
    async fn accepted(&mut self) -> Result<Stream, ClientError> {
        match self {
            Self::Network(connection) => accepted(connection).await,
            Self::Made(streams) => next_of(streams),
        }
    }
}

fn next_of(streams: &mut VecDeque<Stream>) -> Result<Stream, ClientError> {
    streams.pop_front().ok_or_else(|| ClientError::Interrupted("there is no further stream".to_owned()))
}

/// The meeting, for the device that came: greet, take, give.
async fn come(
    inner: &Arc<Inner>,
    way: &mut Way<'_>,
    (device, secret): (DeviceId, [u8; 16]),
    listener: &dyn Listener,
) -> Result<SyncReport, ClientError> {
    let shared = greet::come(inner, device, secret, way.opened().await?).await?;
    let giver = Giver { device, shared: shared.clone() };
    let (mut report, cursors) = take(inner, listener, giver, way.accepted().await?).await?;
    let given = give(inner, listener, Taker { device, shared: shared.clone(), cursors }, way.opened().await?).await?;
    report.add(given);
    let (mut taken, mut given) = (Carried::default(), Carried::default());
    let outcome = async {
        files::take(inner, listener, &shared, way.accepted().await?, &mut taken).await?;
        files::give(inner, listener, &shared, way.opened().await?, &mut given).await
    };
    after_records(outcome.await)?;
    report.add_carried(taken);
    report.add_carried(given);
    Ok(report)
}

/// The same for the device that listens: is greeted, gives, takes. `None` where the other does not know what this device shows.
async fn host(
    inner: &Arc<Inner>,
    way: &mut Way<'_>,
    (guest, secret): (DeviceId, [u8; 16]),
    listener: &dyn Listener,
) -> Result<Option<SyncReport>, ClientError> {
    let greeting = async { greet::host(inner, guest, secret, way.accepted().await?).await };
    let greeted = tokio::time::timeout(GREETING_TIMEOUT, greeting).await;
    let greeted = greeted.map_err(|_| ClientError::Interrupted("it says nothing".to_owned()))??;
    let taker = match greeted {
        Greeted::Welcome(taker) => taker,
        Greeted::Stranger => return Ok(None),
        Greeted::Refused(refusal) => return Err(ClientError::OtherDevice(refusal)),
    };
    let shared = taker.shared.clone();
    let giver = Giver { device: taker.device, shared: shared.clone() };
    let mut report = give(inner, listener, taker, way.opened().await?).await?;
    let (taken, _) = take(inner, listener, giver, way.accepted().await?).await?;
    report.add(taken);
    let (mut taken, mut given) = (Carried::default(), Carried::default());
    let outcome = async {
        files::give(inner, listener, &shared, way.opened().await?, &mut given).await?;
        files::take(inner, listener, &shared, way.accepted().await?, &mut taken).await
    };
    after_records(outcome.await)?;
    report.add_carried(taken);
    report.add_carried(given);
    Ok(Some(report))
}

/// A line that breaks among the files has taken nothing back: the records are with both, and the files go on at the next meeting or at the server.
fn after_records(outcome: Result<(), ClientError>) -> Result<(), ClientError> {
    match outcome {
        Err(ClientError::Interrupted(reason)) => {
            tracing::warn!(reason, "the files of the meeting are not through");
            Ok(())
        }
        other => other,
    }
}

async fn give(inner: &Arc<Inner>, listener: &dyn Listener, to: Taker, stream: Stream) -> Result<SyncReport, ClientError> {
    let mut giving = Giving::new(inner, listener, to);
    let outcome = giving.run(stream).await;
    let report = giving.into_report();
    outcome.map(|()| report)
}

async fn take(
    inner: &Arc<Inner>,
    listener: &dyn Listener,
    giver: Giver,
    stream: Stream,
) -> Result<(SyncReport, BTreeMap<CaseloadId, Cursor>), ClientError> {
    let mut taking = Taking::new(inner, listener, giver)?;
    let outcome = taking.run(stream).await;
    let told = taking.into_report();
    outcome.map(|()| told)
}

async fn opened(connection: &quinn::Connection) -> Result<Stream, ClientError> {
    let (send, receive) = connection.open_bi().await.map_err(|error| broken(&error))?;
    Ok(Stream { send: Sending::Quic(send), receive: Box::new(receive) })
}

async fn accepted(connection: &quinn::Connection) -> Result<Stream, ClientError> {
    let opening = tokio::time::timeout(IDLE_TIMEOUT, connection.accept_bi());
    let (send, receive) = opening
        .await
        .map_err(|_| ClientError::Interrupted(format!("nothing came for {} s", IDLE_TIMEOUT.as_secs())))?
        .map_err(|error| broken(&error))?;
    Ok(Stream { send: Sending::Quic(send), receive: Box::new(receive) })
}

fn broken(error: &quinn::ConnectionError) -> ClientError {
    ClientError::Interrupted(error.to_string())
}

/// Where this device stands, as it says first.
fn hello(inner: &Inner) -> Result<Hello, ClientError> {
    let store = locked(&inner.store);
    let caseloads = store.view()?.caseloads()?;
    Ok(Hello {
        organisation: store.identity()?.organisation,
        epoch: 0,
        incarnation: store.incarnation(),
        membership: locked(&inner.membership).cursor(),
        directory_version: 0,
        clock_ms: inner.clock.now_ms(),
        caseloads: caseloads
            .into_iter()
            .map(|state| CaseloadCursor {
                caseload: state.caseload,
                cursor: Cursor { sequence: state.sequence, chain: state.chain },
            })
            .collect(),
    })
}

/// What is told of a meeting that ended well.
fn finish(
    inner: &Inner,
    mut report: SyncReport,
    (with, over): (DeviceId, Option<Over>),
    began: Instant,
) -> Result<SyncReport, ClientError> {
    if report.changes_down > 0 {
        inner.lists.forget();
    }
    if let Some(over) = over {
        report.goes_over(over);
    }
    {
        // Only a server can say what of it is known already.
        let store = locked(&inner.store);
        let waits = store.rewrite_pending()? || store.begin_again_asked()?;
        report.kept_back = if waits { store.view()?.all_unsealed()?.len() as u64 } else { 0 };
    }
    let name = locked(&inner.store).view()?.name("device", with.0)?;
    report.with = Some(name.filter(|name| !name.is_empty()).unwrap_or_else(|| with.to_string()));
    report.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        envelopes_up = report.envelopes_up,
        envelopes_down = report.envelopes_down,
        refused = report.refused.len(),
        "meeting ended"
    );
    Ok(report)
}
