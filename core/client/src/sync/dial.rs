//! Reaching the server: over QUIC, or over TCP and TLS where a network blocks UDP. What worked in this network before goes first, the other
//! a little later, and the first that proves the server's key is taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use karwan_link::{Known, SteadyFactory};
use karwan_proto::keys::{PublicKey, SigningKey};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::networks::{Networks, Place, Remembered};
use super::report::Over;
use super::tls::{SERVER_NAME, client_config, client_tls, transport};
use super::transport::{Connection, Link, Stream};
use crate::error::ClientError;

/// How long one address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// By how much what is tried first is ahead: a handshake over a 2G line that loses nothing.
const HEAD_START: Duration = Duration::from_secs(2);
/// QUIC's code of the TLS alert for a certificate that is not believed (0x100 + 42) and its neighbours.
const CERTIFICATE_ALERTS: std::ops::RangeInclusive<u64> = 0x100 + 41..=0x100 + 49;

/// Connects to the first address that answers.
pub(crate) async fn connect(
    device: &SigningKey,
    servers: &[PublicKey],
    addresses: &[String],
    networks: &Networks,
) -> Result<Connection, ClientError> {
    let mut failure = None;
    for address in addresses {
        match attempt(device, servers, address, networks).await {
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

async fn attempt(
    device: &SigningKey,
    servers: &[PublicKey],
    address: &str,
    networks: &Networks,
) -> Result<Connection, ClientError> {
    let found = tokio::net::lookup_host(address).await.map_err(|error| unreachable(address, &error))?;
    let mut failure = None;
    for socket in found {
        let place = own_address(socket).map(|own| Place::of(own, socket));
        let remembered = place.and_then(|place| networks.get(place));
        let known = remembered.and_then(Remembered::known);
        let target = Target { address, socket, device, servers };
        let first = remembered.map_or(Over::Quic, Remembered::first);
        match race(first, target.quic(known), target.tcp()).await {
            Ok((link, stream)) => return Ok(Connection { address: address.to_owned(), place, stream, link }),
            Err(error @ ClientError::WrongServer { .. }) => failure = Some(error),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| ClientError::Unreachable {
        address: address.to_owned(),
        reason: "the name has no address".to_owned(),
    }))
}

type Reached = Result<(Link, Stream), ClientError>;

/// Both, one ahead; the first that arrives. Where neither does, what QUIC says.
async fn race(first: Over, quic: impl Future<Output = Reached>, tcp: impl Future<Output = Reached>) -> Reached {
    let after = |over| if first == over { Duration::ZERO } else { HEAD_START };
    let mut quic = pin!(async {
        tokio::time::sleep(after(Over::Quic)).await;
        quic.await
    });
    let mut tcp = pin!(async {
        tokio::time::sleep(after(Over::Tcp)).await;
        tcp.await
    });
    let (mut quic_failed, mut tcp_failed) = (None, None);
    loop {
        let failed = tokio::select! {
            reached = &mut quic, if quic_failed.is_none() => match reached {
                Ok(reached) => return Ok(reached),
                // Whoever answers there is not the server: its TCP port is no better.
                Err(error @ ClientError::WrongServer { .. }) => return Err(error),
                Err(error) => quic_failed.insert(error),
            },
            reached = &mut tcp, if tcp_failed.is_none() => match reached {
                Ok(reached) => return Ok(reached),
                Err(error) => tcp_failed.insert(error),
            },
        };
        tracing::debug!(error = %failed, "one way to the server failed");
        match (&quic_failed, &tcp_failed) {
            (Some(_), Some(ClientError::WrongServer { .. })) => {
                return tcp_failed.map_or_else(|| Err(ClientError::Cancelled), Err);
            }
            (Some(_), Some(_)) => return quic_failed.map_or_else(|| Err(ClientError::Cancelled), Err),
            _ => {}
        }
    }
}

/// One socket of a server.
#[derive(Clone, Copy)]
struct Target<'a> {
    address: &'a str,
    socket: SocketAddr,
    device: &'a SigningKey,
    servers: &'a [PublicKey],
}

impl Target<'_> {
    async fn quic(self, known: Option<Known>) -> Reached {
        let mut config = client_config(self.device, self.servers)?;
        let mut settings = transport()?;
        settings.congestion_controller_factory(Arc::new(SteadyFactory::after(known)));
        config.transport_config(Arc::new(settings));
        let endpoint = quinn::Endpoint::client(any_address(self.socket)).map_err(|error| unreachable(self.address, &error))?;
        let connecting =
            endpoint.connect_with(config, self.socket, SERVER_NAME).map_err(|error| unreachable(self.address, &error))?;
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| unreachable(self.address, &format!("nothing came for {} s", CONNECT_TIMEOUT.as_secs())))?
            .map_err(|error| if is_wrong_key(&error) { wrong(self.address) } else { unreachable(self.address, &error) })?;
        let link = Link::Quic { connection, endpoint, tcp: self.tcp_line()? };
        let stream = link.open().await?;
        Ok((link, stream))
    }

    async fn tcp(self) -> Reached {
        let line = self.tcp_line()?;
        let stream = line.open().await?;
        Ok((Link::Tcp(line), stream))
    }

    fn tcp_line(self) -> Result<Arc<TcpLine>, ClientError> {
        let connector = TlsConnector::from(Arc::new(client_tls(self.device, self.servers)?));
        Ok(Arc::new(TcpLine { connector, socket: self.socket, address: self.address.to_owned() }))
    }
}

/// Makes TCP connections to one socket: each is one stream.
pub(crate) struct TcpLine {
    connector: TlsConnector,
    socket: SocketAddr,
    address: String,
}

impl TcpLine {
    /// A stream.
    pub(crate) async fn open(&self) -> Result<Stream, ClientError> {
        let name = ServerName::try_from(SERVER_NAME).map_err(|_| ClientError::Transport { what: "setting up TLS" })?;
        let opening = async {
            let stream = TcpStream::connect(self.socket).await?;
            stream.set_nodelay(true)?;
            self.connector.connect(name, stream).await
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, opening)
            .await
            .map_err(|_| unreachable(&self.address, &format!("nothing came for {} s", CONNECT_TIMEOUT.as_secs())))?
            .map_err(|error| if is_not_believed(&error) { wrong(&self.address) } else { unreachable(&self.address, &error) })?;
        let (receive, send) = tokio::io::split(stream);
        Ok(Stream::over(send, receive))
    }
}

/// Any address of this device, of the same version.
pub(crate) fn any_address(of: SocketAddr) -> SocketAddr {
    if of.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() }
}

/// By which of its addresses this device would reach the server; nothing is sent.
fn own_address(server: SocketAddr) -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind(any_address(server)).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn unreachable(address: &str, error: &impl ToString) -> ClientError {
    ClientError::Unreachable { address: address.to_owned(), reason: error.to_string() }
}

fn wrong(address: &str) -> ClientError {
    ClientError::WrongServer { address: address.to_owned() }
}

/// Our own verifier's refusal comes back as a transport error with a TLS alert.
pub(crate) fn is_wrong_key(error: &quinn::ConnectionError) -> bool {
    match error {
        quinn::ConnectionError::TransportError(error) => CERTIFICATE_ALERTS.contains(&u64::from(error.code)),
        _ => false,
    }
}

/// The same over TCP, where it is an error of rustls within one of the system.
fn is_not_believed(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
