//! The transport: QUIC with raw public keys (RFC 7250). The server proves the key that the organisation's root certified, the
//! device proves its own, and so do two devices that meet; no public name or certificate authority is needed, and nothing expires.

use std::sync::Arc;
use std::time::Duration;

use karwan_link::SteadyFactory;
use karwan_proto::keys::{PublicKey, SigningKey};
use karwan_proto::limits::SESSION_IDLE_MS;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::error::ClientError;

/// What both sides say that they speak.
pub const ALPN: &[u8] = b"karwan/1";
/// Valid as a name and resolved by nobody: the key is what is checked.
pub const SERVER_NAME: &str = "karwan.invalid";
/// Shorter than the half minute for which many networks remember a quiet connection.
const KEEP_ALIVE_MS: u64 = 20_000;
/// Bytes kept until the peer has them, for each connection: a satellite's round trip at 25 Mbit/s. A thousand connections are then 2 GiB at
/// worst, not ten.
const SEND_WINDOW_BYTES: u64 = 2 * 1024 * 1024;

/// What both sides ask of a signature: TLS 1.3, and a raw ed25519 key that made it.
macro_rules! raw_keys {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.3 only".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let key = SubjectPublicKeyInfoDer::from(certificate.as_ref());
            verify_tls13_signature_with_raw_key(message, &key, signature, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

#[derive(Debug)]
struct Pin {
    allowed: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.allowed.iter().any(|allowed| allowed.as_slice() == end_entity.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    raw_keys!();
}

fn fault() -> ClientError {
    ClientError::Transport { what: "setting up TLS" }
}

/// A key as TLS shows it.
fn certified(provider: &CryptoProvider, own: &SigningKey) -> Result<Arc<CertifiedKey>, ClientError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.pkcs8_der()));
    let key = provider.key_provider.load_private_key(der).map_err(|_| fault())?;
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(own.public().spki_der())], key)))
}

/// How a device proves itself, and believes a server that holds one of these keys: over QUIC and over TCP.
pub fn client_tls(device: &SigningKey, servers: &[PublicKey]) -> Result<rustls::ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let certified = certified(&provider, device)?;
    let pin = Arc::new(Pin { allowed: servers.iter().map(PublicKey::spki_der).collect(), provider: provider.clone() });
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| fault())?
        .dangerous()
        .with_custom_certificate_verifier(pin)
        .with_client_cert_resolver(Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Any device may connect: who it is is decided by its key when it says hello.
#[derive(Debug)]
struct AnyDevice {
    provider: Arc<CryptoProvider>,
}

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
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
    }

    raw_keys!();
}

/// How somebody who listens proves itself, and what it takes for a device: over QUIC and over TCP.
pub fn listening_tls(own: &SigningKey) -> Result<rustls::ServerConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let certified = certified(&provider, own)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| fault())?
        .with_client_cert_verifier(Arc::new(AnyDevice { provider }))
        .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The key that a connection's other side has proved.
pub fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    PublicKey::from_spki_der(identity.first()?.as_ref()).ok()
}

/// How a device connects over QUIC.
pub fn client_config(device: &SigningKey, servers: &[PublicKey]) -> Result<quinn::ClientConfig, ClientError> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(client_tls(device, servers)?).map_err(|_| fault())?;
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    client.transport_config(Arc::new(transport()?));
    Ok(client)
}

/// What both sides set: our own congestion controller, and idle times for satellite and 2G lines.
pub fn transport() -> Result<quinn::TransportConfig, ClientError> {
    let mut transport = quinn::TransportConfig::default();
    let idle = quinn::IdleTimeout::try_from(Duration::from_millis(SESSION_IDLE_MS));
    transport.max_idle_timeout(Some(idle.map_err(|_| ClientError::Transport { what: "setting the idle time" })?));
    transport.keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)));
    transport.send_window(SEND_WINDOW_BYTES);
    transport.congestion_controller_factory(Arc::new(SteadyFactory::default()));
    Ok(transport)
}
