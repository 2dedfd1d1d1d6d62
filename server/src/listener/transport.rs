//! Setting up QUIC for devices: the server proves its key, a device proves its own, and who is told of a connection's end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use karwan_client::sync::tls::{listening_tls, transport};
use karwan_proto::SigningKey;

use crate::problem::Problem;

/// What the system may keep of datagrams while the server is busy; it may give less (Linux: `net.core.rmem_max`). What does not fit is lost, and a
/// device that loses several in a row waits for seconds: with the usual 208 KiB one of 500 that came at once did, every other time.
const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Length of a connection's identifier.
const CONNECTION_ID_BYTES: usize = 8;
/// Streams of one connection at once.
pub(super) const STREAMS_MAX: u8 = 4;

/// How the server proves itself, and what it takes for a device: over QUIC and over TCP.
pub fn tls(server: &SigningKey) -> Result<rustls::ServerConfig, Problem> {
    listening_tls(server).map_err(|error| Problem::new(Problem::FAILED, "transport", error.to_string(), error.mend()))
}

/// How the server lets devices connect over QUIC.
pub(super) fn config(server: &SigningKey) -> Result<quinn::ServerConfig, Problem> {
    let unsuitable =
        |_| Problem::new(Problem::FAILED, "transport", "setting up QUIC failed", "Report this with the version of karwan.");
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls(server)?).map_err(unsuitable)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport =
        transport().map_err(|error| Problem::new(Problem::FAILED, "transport", error.to_string(), error.mend()))?;
    transport.max_concurrent_bidi_streams(STREAMS_MAX.into()).max_concurrent_uni_streams(0u8.into());
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

/// Binds the socket, with room for what many devices say at once.
pub(super) fn endpoint(
    server: &SigningKey,
    config: quinn::ServerConfig,
    address: SocketAddr,
) -> std::io::Result<quinn::Endpoint> {
    let resets = ResetKey(blake3::derive_key("karwan 2026 connection resets", &server.seed()));
    let mut endpoint = quinn::EndpointConfig::new(Arc::new(resets));
    endpoint.cid_generator(|| Box::new(ConnectionIds));
    let runtime = quinn::default_runtime().ok_or_else(|| std::io::Error::other("no asynchronous runtime"))?;
    let socket = std::net::UdpSocket::bind(address)?;
    if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
        tracing::warn!(%error, "the system gives the socket no larger buffer: when many devices come at once some have to say things twice");
    }
    quinn::Endpoint::new(endpoint, Some(config), socket, runtime)
}
