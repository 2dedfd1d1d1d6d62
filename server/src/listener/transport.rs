//! Setting up QUIC for devices: the server proves its key, a device proves its own, and who is told of a connection's end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use karwan_client::sync::tls::{ALPN, transport};
use karwan_proto::{PublicKey, SigningKey};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::problem::Problem;

/// Length of a connection's identifier.
const CONNECTION_ID_BYTES: usize = 8;
/// Streams of one connection at once.
pub(super) const STREAMS_MAX: u8 = 4;

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

/// How the server proves itself, and what it takes for a device: over QUIC and over TCP.
pub fn tls(server: &SigningKey) -> Result<rustls::ServerConfig, Problem> {
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
    Ok(config)
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

/// Binds the socket.
pub(super) fn endpoint(
    server: &SigningKey,
    config: quinn::ServerConfig,
    address: SocketAddr,
) -> std::io::Result<quinn::Endpoint> {
    let resets = ResetKey(blake3::derive_key("karwan 2026 connection resets", &server.seed()));
    let mut endpoint = quinn::EndpointConfig::new(Arc::new(resets));
    endpoint.cid_generator(|| Box::new(ConnectionIds));
    let runtime = quinn::default_runtime().ok_or_else(|| std::io::Error::other("no asynchronous runtime"))?;
    quinn::Endpoint::new(endpoint, Some(config), std::net::UdpSocket::bind(address)?, runtime)
}
