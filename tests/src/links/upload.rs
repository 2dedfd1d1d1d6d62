//! One upload from the field to the base, over QUIC with a controller or over TCP with TLS, with Karwan's own keys and settings.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use karwan_client::sync::tls::{SERVER_NAME, client_config, client_tls, transport};
use karwan_proto::SigningKey;
use karwan_server::listener::tls;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::emulator::{BASE, Emulator, FIELD, choose_tcp_controller};

/// How bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// QUIC as Karwan sets it up.
    Karwan,
    QuicNewReno,
    QuicCubic,
    QuicBbr,
    /// The kernel's TCP with one of its own controllers, and TLS.
    TcpCubic,
    TcpBbr,
}

impl Way {
    /// All, ours first.
    pub const ALL: [Self; 6] = [Self::Karwan, Self::QuicNewReno, Self::QuicCubic, Self::QuicBbr, Self::TcpCubic, Self::TcpBbr];

    /// As a table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Karwan => "Karwan",
            Self::QuicNewReno => "quinn, NewReno",
            Self::QuicCubic => "quinn, Cubic",
            Self::QuicBbr => "quinn, BBR",
            Self::TcpCubic => "TCP and TLS, Cubic",
            Self::TcpBbr => "TCP and TLS, BBR",
        }
    }
}

/// An upload that arrived.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// From before the first packet until the last byte arrived.
    pub took: Duration,
    /// Bytes of packets sent for each byte that arrived.
    pub bytes_ratio: f64,
}

/// What has arrived.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// So many bytes; `None` where they had not arrived when the time was up.
pub async fn upload(emulator: &Emulator, way: Way, bytes: u64, limit: Duration) -> Option<Outcome> {
    let (before, began) = (emulator.bytes_up(), Instant::now());
    let arrived = tokio::time::timeout(limit, go(emulator, way, bytes, Count::default())).await.ok()??;
    let took = arrived.duration_since(began);
    Some(Outcome { took, bytes_ratio: (emulator.bytes_up() - before) as f64 / bytes as f64 })
}

/// Bytes without end.
pub async fn endless(emulator: &Emulator, way: Way, count: Count) {
    go(emulator, way, u64::MAX, count).await;
}

async fn go(emulator: &Emulator, way: Way, bytes: u64, count: Count) -> Option<Instant> {
    match way {
        Way::Karwan => quic(emulator, None, bytes, count).await,
        Way::QuicNewReno => quic(emulator, Some(Arc::new(NewRenoConfig::default())), bytes, count).await,
        Way::QuicCubic => quic(emulator, Some(Arc::new(CubicConfig::default())), bytes, count).await,
        Way::QuicBbr => quic(emulator, Some(Arc::new(BbrConfig::default())), bytes, count).await,
        Way::TcpCubic => tcp(emulator, "cubic", bytes, count).await,
        Way::TcpBbr => tcp(emulator, "bbr", bytes, count).await,
    }
}

fn keys() -> (SigningKey, SigningKey) {
    (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]))
}

type Factory = Arc<dyn ControllerFactory + Send + Sync>;

async fn quic(emulator: &Emulator, controller: Option<Factory>, bytes: u64, count: Count) -> Option<Instant> {
    let settings = || {
        let mut transport = transport().unwrap();
        if let Some(controller) = &controller {
            transport.congestion_controller_factory(controller.clone());
        }
        Arc::new(transport)
    };
    let (server_key, device_key) = keys();
    let socket = |address: SocketAddr| move || UdpSocket::bind(address).unwrap();
    let base = emulator.in_base(socket((BASE, 0).into()));
    let address = base.local_addr().unwrap();
    let field = emulator.in_field(socket((FIELD, 0).into()));
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls(&server_key).unwrap()).unwrap();
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(settings());
    let runtime = || quinn::default_runtime().unwrap();
    let server = quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(server), base, runtime()).unwrap();
    let client = quinn::Endpoint::new(quinn::EndpointConfig::default(), None, field, runtime()).unwrap();
    let mut config = client_config(&device_key, &[server_key.public()]).unwrap();
    config.transport_config(settings());
    let sending = async {
        let connection = client.connect_with(config, address, SERVER_NAME).ok()?.await.ok()?;
        let (mut stream, _) = connection.open_bi().await.ok()?;
        fill(&mut stream, bytes).await?;
        stream.finish().ok()?;
        stream.stopped().await.ok()?;
        Some(())
    };
    let receiving = async {
        let connection = server.accept().await?.await.ok()?;
        let (_stream, mut stream) = connection.accept_bi().await.ok()?;
        let arrived = empty(&mut stream, count).await;
        // Until the sender knows it.
        connection.closed().await;
        arrived
    };
    tokio::pin!(receiving);
    tokio::select! {
        // The connection is dropped when all is known to have arrived: the other side hears of it.
        sent = sending => { sent?; receiving.await }
        arrived = &mut receiving => arrived,
    }
}

async fn tcp(emulator: &Emulator, controller: &'static str, bytes: u64, count: Count) -> Option<Instant> {
    let (server_key, device_key) = keys();
    let listener = emulator.in_base(|| TcpListener::bind((BASE, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls(&server_key).unwrap()));
    let connector = TlsConnector::from(Arc::new(client_tls(&device_key, &[server_key.public()]).unwrap()));
    let socket = emulator.in_field(|| TcpSocket::new_v4().unwrap());
    // A kernel may lack one.
    choose_tcp_controller(&socket, controller).ok()?;
    let sending = async {
        let stream = socket.connect(address).await.ok()?;
        let mut stream = connector.connect(ServerName::try_from(SERVER_NAME).ok()?, stream).await.ok()?;
        fill(&mut stream, bytes).await?;
        stream.shutdown().await.ok()?;
        // Held open until the other side has ended it.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
        Some(())
    };
    let receiving = async {
        let (stream, _): (TcpStream, _) = listener.accept().await.ok()?;
        let mut stream = acceptor.accept(stream).await.ok()?;
        empty(&mut stream, count).await
    };
    let (_, arrived) = tokio::join!(sending, receiving);
    arrived
}

async fn fill(stream: &mut (impl AsyncWrite + Unpin), bytes: u64) -> Option<()> {
    let piece = vec![7u8; 16 * 1024];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(piece.len() as u64);
        stream.write_all(&piece[..length as usize]).await.ok()?;
        left -= length;
    }
    stream.flush().await.ok()
}

async fn empty(stream: &mut (impl AsyncRead + Unpin), count: Count) -> Option<Instant> {
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        match stream.read(&mut buffer).await.ok()? {
            0 => return Some(Instant::now()),
            length => {
                count.0.fetch_add(length as u64, Ordering::Relaxed);
            }
        }
    }
}
