//! The QUIC listener: proves the server's key, learns the device's, and drives one [`ServerSession`] a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use karwan_client::sync::tls::{ALPN, transport};
use karwan_proto::error::NotEntitled;
use karwan_proto::limits::MAX_DIRECTORY_PER_PAGE;
use karwan_proto::session::{Admission, Ingested, Refusal, ServerEffect, Welcome};
use karwan_proto::{CaseloadId, DeviceId, Hash, PublicKey, ServerSession, SigningKey};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::connections::{Connections, address_of};
use crate::log::ingest::Ingest;
use crate::organisation::Organisation;
use crate::pace::Pace;
use crate::problem::Problem;
use crate::quotas::Quotas;

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
/// Length of a connection's identifier.
const CONNECTION_ID_BYTES: usize = 8;
/// Bytes read from a stream at a time.
const READ_BYTES: usize = 64 * 1024;
/// How long a finished session's last bytes may take to reach the device.
const CLOSE_WAIT: Duration = Duration::from_secs(20);

/// Any device may connect: who it is is decided by its key when it says hello.
#[derive(Debug)]
struct AnyDevice(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyDevice {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        PublicKey::from_spki_der(key.as_ref())
            .map(|_| ClientCertVerified::assertion())
            .map_err(|_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(certificate.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn config(server: &SigningKey) -> Result<quinn::ServerConfig, Problem> {
    let fault =
        |_: Error| Problem::new(Problem::FAILED, "transport", "setting up TLS failed", "Report this with the version of karwan.");
    let provider = Arc::new(ring::default_provider());
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server.pkcs8_der()));
    let key = provider.key_provider.load_private_key(der).map_err(fault)?;
    let certified = Arc::new(rustls::sign::CertifiedKey::new(vec![CertificateDer::from(server.public().spki_der())], key));
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(fault)?
        .with_client_cert_verifier(Arc::new(AnyDevice(provider)))
        .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    let unsuitable =
        |_| Problem::new(Problem::FAILED, "transport", "setting up QUIC failed", "Report this with the version of karwan.");
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(config).map_err(unsuitable)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport =
        transport().map_err(|error| Problem::new(Problem::FAILED, "transport", error.to_string(), error.mend()))?;
    transport.max_concurrent_bidi_streams(4u8.into()).max_concurrent_uni_streams(0u8.into());
    server.transport_config(Arc::new(transport));
    Ok(server)
}

/// Signs what tells a device that its connection was to a process that is no more. Made of the server's key, so that the next
/// process can say so at once, and the device need not wait until it has heard nothing for minutes.
struct ResetKey([u8; 32]);

impl quinn::crypto::HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        let hash = blake3::keyed_hash(&self.0, data);
        signature.iter_mut().zip(hash.as_bytes()).for_each(|(into, byte)| *into = *byte);
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), quinn::crypto::CryptoError> {
        // Compared in constant time by blake3.
        let given: [u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| quinn::crypto::CryptoError)?;
        let holds = blake3::keyed_hash(&self.0, data) == blake3::Hash::from_bytes(given);
        holds.then_some(()).ok_or(quinn::crypto::CryptoError)
    }
}

/// Random connection identifiers: any process of this server may have given one, so none is dropped unanswered.
struct ConnectionIds;

impl quinn::ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> quinn::ConnectionId {
        quinn::ConnectionId::new(&crate::clock::random::<CONNECTION_ID_BYTES>())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Binds the socket.
fn endpoint(server: &SigningKey, config: quinn::ServerConfig, address: SocketAddr) -> std::io::Result<quinn::Endpoint> {
    let resets = ResetKey(blake3::derive_key("karwan 2026 connection resets", &server.seed()));
    let mut endpoint = quinn::EndpointConfig::new(Arc::new(resets));
    endpoint.cid_generator(|| Box::new(ConnectionIds));
    let runtime = quinn::default_runtime().ok_or_else(|| std::io::Error::other("no asynchronous runtime"))?;
    quinn::Endpoint::new(endpoint, Some(config), std::net::UdpSocket::bind(address)?, runtime)
}

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
        let config = config(&organisation.server_key)?;
        let endpoint = endpoint(&organisation.server_key, config, address).map_err(|error| {
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
                while let Ok(opened) = tokio::time::timeout(HELLO_WAIT, connection.accept_bi()).await {
                    let Ok((mut send, mut receive)) = opened else { break };
                    let counted = Counted::one_more(&sessions);
                    let driver = Driver {
                        organisation: organisation.clone(),
                        ingest: ingest.clone(),
                        quotas: quotas.clone(),
                        key,
                        device: key.device(),
                        files: tokio::sync::Mutex::default(),
                    };
                    driver.run(&mut send, &mut receive, counted.before >= SESSIONS_MAX).await;
                    tokio::time::timeout(CLOSE_WAIT, send.stopped()).await.ok();
                }
                // Who is gone hears nothing of it.
                connection.close(SILENT.into(), b"nothing was said");
                connections.remove(key.device(), address, &connection);
            });
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
    let quotas = Arc::default();
    let driver = Driver { organisation, ingest, quotas, key, device: key.device(), files: tokio::sync::Mutex::default() };
    driver.run(send, receive, false).await;
}

fn peer(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    PublicKey::from_spki_der(identity.first()?.as_ref()).ok()
}

struct Driver {
    organisation: Arc<Organisation>,
    ingest: Ingest,
    quotas: Arc<Quotas>,
    key: PublicKey,
    device: DeviceId,
    /// Files that come in pieces, as far as they have come.
    files: tokio::sync::Mutex<BTreeMap<Hash, Vec<u8>>>,
}

/// What a device may read, or why it is turned away.
fn entitled(organisation: &Organisation, device: DeviceId) -> Result<Result<BTreeSet<CaseloadId>, Refusal>, Problem> {
    Ok(organisation.membership()?.readable(device).map_err(|reason| match reason {
        NotEntitled::DeviceRevoked => Refusal::Revoked,
        _ => Refusal::UnknownDevice,
    }))
}

impl Driver {
    async fn run(self, send: &mut (impl AsyncWrite + Unpin), receive: &mut (impl AsyncRead + Unpin), busy: bool) {
        let began = Instant::now();
        let clock = move || began.elapsed().as_millis() as u64;
        let mut session = ServerSession::new(clock());
        if busy {
            session.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        let (told, mut tells) = mpsc::unbounded_channel::<(u64, Option<Ingested>)>();
        let mut outstanding = 0usize;
        let mut buffer = vec![0u8; READ_BYTES];
        let mut ended = false;
        let mut greeted = false;
        let mut pace = Pace::default();
        'session: loop {
            let mut finished = false;
            while let Some(effect) = session.poll() {
                match effect {
                    ServerEffect::Send(bytes) => {
                        if send.write_all(&bytes).await.is_err() {
                            break 'session;
                        }
                    }
                    ServerEffect::Ingest { number, envelope, testimony, .. } => {
                        if let Err(retry_after_ms) = self.quotas.count(self.device, envelope.len(), self.organisation.now_ms()) {
                            tracing::warn!(device = %self.device, "its share of the day is used up");
                            session.refuse(Refusal::Busy { retry_after_ms });
                            continue;
                        }
                        outstanding += 1;
                        let (ingest, device, told) = (self.ingest.clone(), self.device, told.clone());
                        tokio::spawn(async move {
                            let answered = tokio::task::spawn_blocking(move || ingest.offer(device, envelope, testimony)).await;
                            let outcome = match answered {
                                Ok(answered) => answered.await.ok().flatten(),
                                Err(_) => None,
                            };
                            told.send((number, outcome)).ok();
                        });
                    }
                    ServerEffect::Finished(_) => finished = true,
                    other => {
                        greeted |= matches!(other, ServerEffect::Admit { .. });
                        if let Err(problem) = self.answer(&mut session, other).await {
                            tracing::error!(code = problem.code, error = problem.error, "session failed");
                            session.refuse(Refusal::Failed);
                        }
                    }
                }
            }
            if finished {
                break;
            }
            let mut wait = Duration::from_millis(session.deadline_ms().saturating_sub(clock()));
            if !greeted {
                wait = wait.min(HELLO_WAIT.saturating_sub(began.elapsed()));
            }
            tokio::select! {
                Some((number, outcome)) = tells.recv(), if outstanding > 0 => {
                    outstanding -= 1;
                    match outcome {
                        Some(outcome) => {
                            session.ingested(number, outcome).ok();
                        }
                        None => session.refuse(Refusal::Failed),
                    }
                }
                read = receive.read(&mut buffer), if session.wants_input() && !ended => match read {
                    Ok(0) => {
                        ended = true;
                        session.ended().ok();
                    }
                    Ok(length) => {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        if let Err(error) = session.receive(clock(), bytes) {
                            tracing::warn!(device = %self.device, %error, "session ended");
                        } else if outstanding == 0 && pace.is_slow(length, session.traffic().frames_in, Instant::now()) {
                            tracing::warn!(device = %self.device, "it says a byte now and then: session ended");
                            break;
                        }
                    }
                    Err(_) => break,
                },
                () = tokio::time::sleep(wait), if outstanding == 0 => {
                    if !greeted && began.elapsed() >= HELLO_WAIT {
                        tracing::warn!(device = %self.device, "it did not say hello: session ended");
                        break;
                    }
                    session.tick(clock()).ok();
                }
            }
        }
        send.shutdown().await.ok();
    }

    async fn answer(&self, session: &mut ServerSession, effect: ServerEffect) -> Result<(), Problem> {
        let organisation = self.organisation.clone();
        let (key, device) = (self.key, self.device);
        let driver_fault = |_| Problem::new(Problem::FAILED, "session", "the session took another course", "Sync again.");
        match effect {
            ServerEffect::Admit { hello, enrolment } => {
                let admission = blocking(move || {
                    if hello.organisation != organisation.id() {
                        return Ok(Err((Refusal::WrongOrganisation, None)));
                    }
                    if let Some(enrolment) = enrolment
                        && let Err(refusal) = organisation.enrol(key, &enrolment)?
                    {
                        return Ok(Err((refusal, None)));
                    }
                    let welcome = Welcome {
                        epoch: organisation.epoch()?,
                        clock_ms: organisation.now_ms(),
                        recovering: organisation.recovering_since()?.is_some(),
                    };
                    let repairs = !organisation.knows_membership(hello.membership)?;
                    Ok(match entitled(&organisation, device)? {
                        Ok(caseloads) => {
                            organisation.note_held(device, hello.caseloads.iter().map(|held| held.caseload).collect())?;
                            Ok((Admission { welcome, caseloads }, repairs))
                        }
                        // What it made before it knew waits for a supervisor.
                        Err(Refusal::Revoked) if !repairs => return Ok(Err((Refusal::Revoked, Some(welcome)))),
                        // It may have joined after the backup that this server was restored from.
                        Err(Refusal::UnknownDevice) if repairs => Ok((Admission { welcome, caseloads: BTreeSet::new() }, true)),
                        Err(refusal) => Err((refusal, None)),
                    })
                })
                .await?;
                match admission {
                    Ok((admission, true)) => session.admit_to_repair(admission.welcome).map_err(driver_fault)?,
                    Ok((admission, false)) => session.admit(admission).map_err(driver_fault)?,
                    Err((refusal, Some(welcome))) => session.admit_to_bring(welcome, refusal).map_err(driver_fault)?,
                    Err((refusal, None)) => session.refuse(refusal),
                }
            }
            ServerEffect::FindMembershipCommon { points } => {
                let cursor = blocking(move || organisation.membership_common(&points)).await?;
                session.membership_common(cursor).map_err(driver_fault)?;
            }
            ServerEffect::TakeMembership { entries } => {
                blocking(move || organisation.take_back_membership(&entries)).await?;
                session.membership_taken().map_err(driver_fault)?;
            }
            ServerEffect::Readmit => match blocking(move || entitled(&organisation, device)).await? {
                Ok(caseloads) => session.readmit(caseloads).map_err(driver_fault)?,
                Err(refusal) => session.refuse(refusal),
            },
            ServerEffect::FindLacking { caseload, prefixes } => {
                let lacking = blocking(move || organisation.lacking(device, caseload, &prefixes)).await?;
                session.lacking(caseload, lacking).map_err(driver_fault)?;
            }
            ServerEffect::FormsOffered { caseload, entries } => {
                blocking(move || organisation.hold_forms(device, caseload, &entries)).await?;
            }
            ServerEffect::NamesOffered(rows) => blocking(move || organisation.take_back_names(&rows)).await?,
            ServerEffect::Introduce(people) => {
                blocking(move || organisation.introduce(device, &people)).await?;
                session.introduced().map_err(driver_fault)?;
            }
            ServerEffect::ReadMembership { after, limit } => {
                let (first, entries, more) = blocking(move || organisation.membership_after(after, limit)).await?;
                session.membership(first, entries, more).map_err(driver_fault)?;
            }
            ServerEffect::ReadDirectory { after_version } => {
                let (version, rows, more) =
                    blocking(move || organisation.directory_after(after_version, MAX_DIRECTORY_PER_PAGE)).await?;
                session.directory(version, false, rows, more).map_err(driver_fault)?;
            }
            ServerEffect::ReadEntries { caseload, after, incarnation, limit_bytes, limit } => {
                let page =
                    blocking(move || organisation.page(caseload, after, (device, incarnation), (limit_bytes, limit))).await?;
                match page {
                    Some(page) => session
                        .entries(caseload, page.entries, page.head, page.backed_up, page.membership_length)
                        .map_err(driver_fault)?,
                    None => session.cursor_unknown(caseload).map_err(driver_fault)?,
                }
            }
            ServerEffect::FindCommon { caseload, points } => {
                let cursor = blocking(move || organisation.common(caseload, &points)).await?;
                session.common(caseload, cursor).map_err(driver_fault)?;
            }
            ServerEffect::ReadEnvelopes { caseload, envelopes } => {
                let found = blocking(move || organisation.envelopes(caseload, &envelopes)).await?;
                session.envelopes(caseload, found).map_err(driver_fault)?;
            }
            ServerEffect::ReadBlob { hash, offset, limit } => {
                match blocking(move || organisation.blob_for(device, hash)).await? {
                    Some(bytes) => {
                        let length = bytes.len();
                        let from = usize::try_from(offset).unwrap_or(length).min(length);
                        let piece = bytes.get(from..length.min(from + limit)).unwrap_or_default().to_vec();
                        session.blob_chunk(hash, length as u64, offset, piece).map_err(driver_fault)?;
                    }
                    None => session.no_blob(hash).map_err(driver_fault)?,
                }
            }
            ServerEffect::Evicted { caseload } => blocking(move || organisation.note_evicted(device, caseload)).await?,
            ServerEffect::Settled => blocking(move || organisation.note_sync(device)).await?,
            // Attachments come with a later version: a device that offers one keeps it.
            ServerEffect::BlobOffered { hash, length } => {
                if blocking(move || organisation.wants_file(hash, length)).await? {
                    self.files.lock().await.insert(hash, Vec::new());
                    session.blob_wanted(hash, 0).map_err(driver_fault)?;
                }
            }
            ServerEffect::StoreBlob { hash, length, bytes, .. } => {
                let mut files = self.files.lock().await;
                let Some(file) = files.get_mut(&hash) else { return Ok(()) };
                file.extend_from_slice(&bytes);
                if file.len() as u64 >= length {
                    let whole = files.remove(&hash).unwrap_or_default();
                    drop(files);
                    // One that is not what it was called is not kept, and not asked for again in this session.
                    if *blake3::hash(&whole).as_bytes() == hash.0 {
                        blocking(move || organisation.put_blob(&whole)).await?;
                        session.blob_stored(hash).map_err(driver_fault)?;
                    }
                }
            }
            ServerEffect::Send(_) | ServerEffect::Ingest { .. } | ServerEffect::Finished(_) => {}
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Problem::new(Problem::FAILED, "panicked", "the work failed in the middle", "Try again; report it if it stays."))
    })
}
