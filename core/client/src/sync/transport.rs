//! A connection's streams, whatever they run over: QUIC, TCP and TLS, or what somebody else has made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use karwan_link::{Known, Phase, Steady};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;

use super::dial::TcpLine;
use super::networks::Place;
use super::report::Over;
use crate::error::ClientError;

/// How long the last bytes may take on their way out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Priority of a stream of attachments; that of others is 0.
pub(crate) const ATTACHMENT_PRIORITY: i32 = -1;

/// A connection to a server that proved its key, with its first stream.
pub(crate) struct Connection {
    pub(crate) address: String,
    /// `None` where this device's own address is not known.
    pub(crate) place: Option<Place>,
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
pub(crate) enum Link {
    Quic {
        connection: quinn::Connection,
        endpoint: quinn::Endpoint,
        /// The same server, where the network stops letting UDP through.
        tcp: Arc<TcpLine>,
    },
    /// Each stream is a connection of its own.
    Tcp(Arc<TcpLine>),
}

impl Link {
    /// Another stream for records.
    pub(crate) async fn open(&self) -> Result<Stream, ClientError> {
        match self {
            Self::Quic { connection, .. } => {
                let (send, receive) = connection.open_bi().await.map_err(|error| interrupted(&error))?;
                Ok(Stream { send: Sending::Quic(send), receive: Box::new(receive) })
            }
            Self::Tcp(line) => line.open().await,
        }
    }

    /// A stream for attachments: what is on others goes first, as far as the transport can tell.
    pub(crate) async fn open_behind(&self) -> Result<Stream, ClientError> {
        let stream = self.open().await?;
        if let Sending::Quic(send) = &stream.send {
            send.set_priority(ATTACHMENT_PRIORITY).map_err(|error| ClientError::Interrupted(error.to_string()))?;
        }
        Ok(stream)
    }

    /// What moves to another network.
    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        let Self::Quic { endpoint, .. } = self else { return None };
        Some(UnderWay { endpoint: endpoint.clone(), runtime: Handle::current(), changes: Arc::default() })
    }

    /// What it is.
    pub(crate) fn over(&self) -> Over {
        match self {
            Self::Quic { .. } => Over::Quic,
            Self::Tcp(_) => Over::Tcp,
        }
    }

    /// What was learnt of the line.
    pub(crate) fn known(&self) -> Option<Known> {
        let Self::Quic { connection, .. } = self else { return None };
        let steady = connection.congestion_state().into_any().downcast::<Steady>().ok()?;
        // A session of a few packets has not seen what the line carries.
        if steady.phase() == Phase::Start { None } else { steady.known() }
    }

    /// Ends it at once: whoever reads or writes hears of that.
    pub(crate) fn give_up(&self) {
        if let Self::Quic { connection, .. } = self {
            connection.close(0u32.into(), b"over TCP instead");
        }
    }

    /// Ends it in good order.
    pub(crate) async fn close(self) {
        let Self::Quic { connection, endpoint, .. } = self else { return };
        connection.close(0u32.into(), b"done");
        // A peer that does not hear of the end finds out by itself.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await;
    }
}

/// A sync over QUIC that can go on in another network.
#[derive(Clone)]
pub(crate) struct UnderWay {
    endpoint: quinn::Endpoint,
    /// Whoever says that the network changed is a thread of the app's.
    runtime: Handle,
    /// How often it changed.
    changes: Arc<AtomicU64>,
}

impl UnderWay {
    /// Goes on with a new socket.
    pub(crate) fn change_network(&self) -> std::io::Result<()> {
        let _runtime = self.runtime.enter();
        let any = if self.endpoint.local_addr()?.is_ipv4() {
            IpAddr::from(Ipv4Addr::UNSPECIFIED)
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        self.endpoint.rebind(UdpSocket::bind((any, 0))?)?;
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How often the network changed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

fn interrupted(error: &quinn::ConnectionError) -> ClientError {
    ClientError::Interrupted(error.to_string())
}
