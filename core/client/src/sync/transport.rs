//! Making the QUIC connection and its streams, or taking a stream that somebody else has made.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use karwan_proto::keys::{PublicKey, SigningKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::tls::{SERVER_NAME, client_config};
use crate::error::ClientError;

/// How long one address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last bytes may take on their way out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Priority of a stream of attachments; that of others is 0.
pub(crate) const ATTACHMENT_PRIORITY: i32 = -1;
/// QUIC's code of the TLS alert for a certificate that is not believed (0x100 + 42) and its neighbours.
const CERTIFICATE_ALERTS: std::ops::RangeInclusive<u64> = 0x100 + 41..=0x100 + 49;

/// A connection to a server that proved its key, with its first stream.
pub(crate) struct Connection {
    pub(crate) address: String,
    pub(crate) stream: Stream,
    pub(crate) link: Link,
}

/// An open stream with a server that proved its key.
pub(crate) struct Stream {
    pub(crate) send: Sending,
    pub(crate) receive: Box<dyn AsyncRead + Send + Unpin>,
}

impl Stream {
    /// One whose peer the caller has proved.
    pub(crate) fn over(send: impl AsyncWrite + Send + Unpin + 'static, receive: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self { send: Sending::Given(Box::new(send)), receive: Box::new(receive) }
    }
}

/// The stream's way out.
pub(crate) enum Sending {
    Quic(quinn::SendStream),
    Given(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Sending {
    /// Writes; says whether the stream still takes anything.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Quic(stream) => stream.write_all(bytes).await.is_ok(),
            Self::Given(stream) => stream.write_all(bytes).await.is_ok(),
        }
    }

    /// Writes as much as the stream takes now; says how much. Nothing is lost where this is given up.
    pub(crate) async fn write_some(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Quic(stream) => Ok(stream.write(bytes).await?),
            Self::Given(stream) => stream.write(bytes).await,
        }
    }

    /// Ends the stream; returns when the peer has everything or is gone.
    pub(crate) async fn finish(&mut self) {
        match self {
            Self::Quic(stream) => {
                let _ = stream.finish();
                let _ = stream.stopped().await;
            }
            Self::Given(stream) => drop(stream.shutdown().await),
        }
    }
}

/// What streams run over.
#[derive(Clone)]
pub(crate) struct Link {
    connection: quinn::Connection,
    endpoint: quinn::Endpoint,
}

impl Link {
    /// Another stream for records.
    pub(crate) async fn open(&self) -> Result<Stream, ClientError> {
        let (send, receive) = self.connection.open_bi().await.map_err(|error| interrupted(&error))?;
        Ok(Stream { send: Sending::Quic(send), receive: Box::new(receive) })
    }

    /// A stream for attachments: what is on others goes first.
    pub(crate) async fn open_behind(&self) -> Result<Stream, ClientError> {
        let (send, receive) = self.connection.open_bi().await.map_err(|error| interrupted(&error))?;
        send.set_priority(ATTACHMENT_PRIORITY).map_err(|error| ClientError::Interrupted(error.to_string()))?;
        Ok(Stream { send: Sending::Quic(send), receive: Box::new(receive) })
    }

    /// Ends it in good order.
    pub(crate) async fn close(self) {
        self.connection.close(0u32.into(), b"done");
        // A peer that does not hear of the end finds out by itself.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.endpoint.wait_idle()).await;
    }
}

/// Connects to the first address that answers.
pub(crate) async fn connect(device: &SigningKey, servers: &[PublicKey], addresses: &[String]) -> Result<Connection, ClientError> {
    let config = client_config(device, servers)?;
    let mut failure = None;
    for address in addresses {
        match attempt(&config, address).await {
            Ok(connection) => return Ok(connection),
            // Somebody who pretends to be the server matters more than one who does not answer.
            Err(error @ ClientError::WrongServer { .. }) => failure = Some(error),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| ClientError::Unreachable { address: String::new(), reason: "no address is known".to_owned() }))
}

async fn attempt(config: &quinn::ClientConfig, address: &str) -> Result<Connection, ClientError> {
    let unreachable = |reason: String| ClientError::Unreachable { address: address.to_owned(), reason };
    let found = tokio::net::lookup_host(address).await.map_err(|error| unreachable(error.to_string()))?;
    let mut failure = None;
    for socket in found {
        match attempt_socket(config, address, socket).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| unreachable("the name has no address".to_owned())))
}

async fn attempt_socket(config: &quinn::ClientConfig, address: &str, socket: SocketAddr) -> Result<Connection, ClientError> {
    let unreachable = |reason: String| ClientError::Unreachable { address: address.to_owned(), reason };
    let local: SocketAddr = if socket.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let endpoint = quinn::Endpoint::client(local).map_err(|error| unreachable(error.to_string()))?;
    let connecting =
        endpoint.connect_with(config.clone(), socket, SERVER_NAME).map_err(|error| unreachable(error.to_string()))?;
    let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| unreachable(format!("nothing came for {} s", CONNECT_TIMEOUT.as_secs())))?
        .map_err(|error| if is_wrong_key(&error) { wrong(address) } else { unreachable(error.to_string()) })?;
    let link = Link { connection, endpoint };
    Ok(Connection { address: address.to_owned(), stream: link.open().await?, link })
}

fn wrong(address: &str) -> ClientError {
    ClientError::WrongServer { address: address.to_owned() }
}

fn interrupted(error: &quinn::ConnectionError) -> ClientError {
    ClientError::Interrupted(error.to_string())
}

/// Our own verifier's refusal comes back as a transport error with a TLS alert.
fn is_wrong_key(error: &quinn::ConnectionError) -> bool {
    match error {
        quinn::ConnectionError::TransportError(error) => CERTIFICATE_ALERTS.contains(&u64::from(error.code)),
        _ => false,
    }
}
