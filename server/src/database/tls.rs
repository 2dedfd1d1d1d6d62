//! TLS to a PostgreSQL on another machine: the certificate and the host's name are always checked, and there is no way around it.
//!
//! The password is bound to the certificate (`tls-server-end-point`, RFC 5929) where the certificate's signature says by which hash, so that
//! nobody between who holds another valid certificate can pass on who asks.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use crate::problem::Problem;

/// Most authorities in a file.
const ROOTS_MAX: usize = 1_000;
/// Longest certificate of a server, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Makes TLS to servers that one of these authorities vouches for.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    roots: Arc<PathBuf>,
}

impl Tls {
    /// Trusts the certificates in a PEM file, and no others.
    pub(super) fn trusting(file: &Path) -> Result<Self, Problem> {
        let unusable = |what: &str| {
            let error = format!("the file of sslrootcert, {}, {what}", file.display());
            let mend = "Give the certificate of the authority that signed the database's, as PEM (-----BEGIN CERTIFICATE-----).";
            Problem::input("database-roots", error, mend)
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|_| unusable("cannot be read"))?.take(ROOTS_MAX) {
            let certificate = certificate.map_err(|_| unusable("is no PEM"))?;
            roots.add(certificate).map_err(|_| unusable("holds a certificate that cannot be used"))?;
        }
        if roots.is_empty() {
            return Err(unusable("holds no certificate"));
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| unusable("cannot be used"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { config: Arc::new(config), roots: Arc::new(file.to_path_buf()) })
    }
}

/// Why there is no TLS to a database: what is wrong, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no safe connection to the database: {error}")]
pub struct Refused {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub mend: String,
}

impl Refused {
    fn of(error: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { error: error.into(), mend: mend.into() }
    }

    /// The server answered that it has no TLS.
    pub(super) fn none() -> Self {
        Self::of("it offers no TLS", "Set ssl = on in its postgresql.conf, with a certificate; nothing is sent to it without.")
    }

    fn to(host: &str, roots: &Path, error: &rustls::Error) -> Self {
        let sign = format!("Give {host} a new certificate (ssl_cert_file), and reload PostgreSQL.");
        match error {
            rustls::Error::InvalidCertificate(wrong) => match wrong {
                // Somebody may call himself as the authority does: then it is the signature that is wrong.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::of(
                    format!("the certificate of {host} is signed by nobody in {}", roots.display()),
                    "Put the certificate of who signed it into the file of sslrootcert. If nobody changed it, somebody stands between.",
                ),
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::of(
                    format!("the certificate is not for {host}"),
                    "Write the host as the certificate's subject alternative names have it, with hostaddr=NUMBER beside it if need be. \
                     If that is how it is written, somebody stands between.",
                ),
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::of(format!("the certificate of {host} has expired"), sign)
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::of(format!("the certificate of {host} is not valid yet"), "Look at the clocks of both machines.")
                }
                other => Self::of(
                    format!("the certificate of {host} cannot be used: {other}"),
                    format!("{sign} It must be a server's, of version 3, signed by an authority and not one itself."),
                ),
            },
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::of(
                format!("{host} does not speak TLS 1.3"),
                "Take ssl_max_protocol_version out of its settings, or a newer OpenSSL.",
            ),
            other => Self::of(format!("{host}: {other}"), "Look whether a PostgreSQL with TLS 1.3 listens there."),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Secured<S>;
    type TlsConnect = Connecting;
    type Error = Refused;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connecting, Refused> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Refused::of(
                "there is no host name that a certificate could be for",
                "Give the host's name: over a socket there is no TLS.",
            )
        })?;
        Ok(Connecting { tls: self.clone(), host: host.to_owned(), name })
    }
}

/// One handshake.
pub(super) struct Connecting {
    tls: Tls,
    host: String,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Connecting {
    type Stream = Secured<S>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Secured<S>, Refused>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let made = TlsConnector::from(self.tls.config.clone()).connect(self.name, stream).await;
            made.map(Secured).map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => Refused::to(&self.host, &self.tls.roots, error),
                None => Refused::of(format!("{} ended the handshake", self.host), "Look at the log of its PostgreSQL."),
            })
        })
    }
}

/// A connection of which every byte is encrypted, to whom its certificate says.
pub(super) struct Secured<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificate = self.0.get_ref().1.peer_certificates().and_then(|all| all.first());
        certificate.and_then(|first| end_point(first)).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The hash that stands for a certificate (RFC 5929, section 4.1), by the hash of its signature; `None` where that names none, as Ed25519 does.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, … } (RFC 5280, section 4.1).
    let (whole, _) = content(certificate, 0x30)?;
    let (_, after) = content(whole, 0x30)?;
    let (algorithm, _) = content(after, 0x30)?;
    let (name, _) = content(algorithm, 0x06)?;
    match name {
        // sha256WithRSAEncryption and ecdsa-with-SHA256, then the same with SHA-384 and SHA-512.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] => {
            Some(Sha256::digest(certificate).to_vec())
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => {
            Some(Sha384::digest(certificate).to_vec())
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

/// What a DER value of this tag holds, and what comes after it.
fn content(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (found == tag && length <= CERTIFICATE_BYTES_MAX).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The skeleton of a certificate whose signature has this algorithm.
    fn skeleton(name: &[u8]) -> Vec<u8> {
        let value = |tag: u8, inside: &[u8]| [&[tag, 0x81, u8::try_from(inside.len()).unwrap()], inside].concat();
        let algorithm = value(0x30, &value(0x06, name));
        value(0x30, &[value(0x30, &[0; 130]), algorithm, value(0x03, &[0])].concat())
    }

    #[test]
    fn a_certificate_is_named_by_the_hash_of_its_signature_and_a_cut_one_by_none() {
        let rsa = skeleton(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]);
        assert_eq!(end_point(&rsa), Some(Sha256::digest(&rsa).to_vec()));
        let ecdsa = skeleton(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]);
        assert_eq!(end_point(&ecdsa), Some(Sha384::digest(&ecdsa).to_vec()));
        assert_eq!(end_point(&skeleton(&[0x2b, 0x65, 0x70])), None, "Ed25519 names no hash");
        for length in 0..rsa.len() {
            assert_eq!(end_point(&rsa[..length]), None, "{length} bytes");
        }
        assert_eq!(end_point(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
