//! Devices whose network blocks UDP: the same streams over TCP and TLS, with the same keys on both sides. Each connection is one stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use karwan_proto::{PublicKey, SigningKey};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{CLOSE_WAIT, Counted, HANDSHAKE_WAIT, HANDSHAKES_MAX, House, Peer, SESSIONS_MAX, TURN_AWAY_WAIT, tls};
use crate::connections::{Line, network_of};
use crate::problem::Problem;

/// How long to wait where the system takes no connection, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes read at a time from a stream of which nothing more is wanted.
const REST_BYTES: usize = 4 * 1024;

/// Takes connections of the server with this key; what it takes.
pub(super) fn acceptor(server: &SigningKey) -> Result<TlsAcceptor, Problem> {
    Ok(TlsAcceptor::from(Arc::new(tls(server)?)))
}

/// Accepts connections until this is dropped, which ends them.
pub(super) async fn accept(listener: TcpListener, acceptor: TlsAcceptor, house: House) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            came = listener.accept() => match came {
                Ok((stream, from)) => {
                    if house.handshakes.load(Ordering::Relaxed) < HANDSHAKES_MAX {
                        let handshake = Counted::one_more(&house.handshakes);
                        open.spawn(serve(house.clone(), acceptor.clone(), stream, from, handshake));
                    }
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn serve(house: House, acceptor: TlsAcceptor, stream: TcpStream, from: SocketAddr, handshake: Counted) {
    stream.set_nodelay(true).ok();
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await else { return };
    drop(handshake);
    let Some(key) = peer(&stream) else { return };
    let address = network_of(from.ip());
    let ended = Arc::new(Notify::new());
    let line = Line::Tcp(ended.clone());
    let (mut receive, mut send) = tokio::io::split(stream);
    let mut converse = async |busy: bool| {
        Peer::of(&house, key).converse(&mut send, &mut receive, busy).await;
        // Closed with bytes unread, the last of ours would be lost on the way.
        tokio::time::timeout(CLOSE_WAIT, read_rest(&mut receive)).await.ok();
    };
    if !house.connections.add(key.device(), address, line.clone()) {
        if let Some(_told) = house.connections.turn_away(address) {
            tokio::time::timeout(TURN_AWAY_WAIT, converse(true)).await.ok();
        }
        return;
    }
    let counted = Counted::one_more(&house.sessions);
    let conversation = converse(counted.before >= SESSIONS_MAX);
    tokio::select! {
        () = conversation => {}
        () = ended.notified() => {}
    }
    house.connections.remove(key.device(), address, &line);
}

async fn read_rest(receive: &mut (impl AsyncRead + Unpin)) {
    let mut rest = vec![0u8; REST_BYTES];
    while matches!(receive.read(&mut rest).await, Ok(1..)) {}
}

fn peer(stream: &TlsStream<TcpStream>) -> Option<PublicKey> {
    let (_, session) = stream.get_ref();
    PublicKey::from_spki_der(session.peer_certificates()?.first()?.as_ref()).ok()
}
