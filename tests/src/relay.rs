//! A line between a device and a server inside this process: it delays, is as slow as it is told, counts, breaks after so many bytes, and stops letting
//! datagrams through. It forwards them as they are and knows nothing of what is in them. TCP beside it goes through as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Largest datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// What a line is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// How long a datagram is on its way in one direction.
    pub one_way: Duration,
    /// What crosses in a second in one direction; without one, whatever comes.
    pub bytes_per_s: Option<u64>,
    /// How long a datagram waits for its turn at most before it is dropped.
    pub queue: Duration,
}

/// A direction of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// A running line.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    up: AtomicU64,
    down: AtomicU64,
    /// Bytes in a direction after which the line breaks.
    cut_at: Mutex<Option<(Direction, u64)>>,
    /// How often it broke.
    cuts: watch::Sender<u64>,
    /// Devices' sockets that have used the line since it was whole, and those whose line broke.
    known: Mutex<BTreeMap<SocketAddr, Arc<UdpSocket>>>,
    dead: Mutex<BTreeSet<SocketAddr>>,
    /// Nothing gets through any more.
    blocked: AtomicBool,
    /// Bytes of datagrams from devices that went nowhere for that.
    lost: AtomicU64,
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Counts a datagram that crosses; whether the line is whole after it.
    fn count(&self, direction: Direction, bytes: usize) -> bool {
        let counter = if direction == Direction::Up { &self.up } else { &self.down };
        let crossed = counter.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let mut cut_at = held(&self.cut_at);
        if cut_at.is_none_or(|(where_to, at)| where_to != direction || crossed < at) {
            return true;
        }
        *cut_at = None;
        held(&self.dead).extend(std::mem::take(&mut *held(&self.known)).into_keys());
        self.cuts.send_modify(|cuts| *cuts += 1);
        false
    }

    fn is_dead(&self, device: SocketAddr) -> bool {
        held(&self.dead).contains(&device)
    }
}

impl Relay {
    /// A line to this server.
    ///
    /// # Errors
    /// Where there is no socket to be had.
    pub async fn to(server: SocketAddr, line: Line) -> std::io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = socket.local_addr()?;
        let state = Arc::new(State {
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            cut_at: Mutex::new(None),
            cuts: watch::Sender::new(0),
            known: Mutex::default(),
            dead: Mutex::default(),
            blocked: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        });
        tokio::spawn(serve(socket, server, line, state.clone()));
        Ok(Self { address, state })
    }

    /// Where devices reach the server through it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Bytes of datagrams that crossed so far.
    pub fn bytes(&self, direction: Direction) -> u64 {
        if direction == Direction::Up { &self.state.up } else { &self.state.down }.load(Ordering::Relaxed)
    }

    /// Breaks after so many more bytes in a direction; who connects anew finds it whole. Returns when it has broken.
    pub async fn broken_after(&self, direction: Direction, bytes: u64) {
        let mut cuts = self.state.cuts.subscribe();
        *held(&self.state.cut_at) = Some((direction, self.bytes(direction) + bytes));
        cuts.changed().await.ok();
    }

    /// From now on no datagram gets through, in either direction.
    pub fn block(&self) {
        self.state.blocked.store(true, Ordering::Relaxed);
    }

    /// Bytes of datagrams from devices that went nowhere since.
    pub fn lost_bytes(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// Lets TCP through at the same address; gives the count of the bytes that devices send that way.
    ///
    /// # Errors
    /// Where the port is taken.
    pub async fn let_tcp_through(&self, server: SocketAddr) -> std::io::Result<Arc<AtomicU64>> {
        Ok(forward_tcp(TcpListener::bind(self.address).await?, server))
    }

    /// It does not break any more.
    pub fn mend(&self) {
        *held(&self.state.cut_at) = None;
    }
}

/// Lets connections through to the server; gives the count of the bytes that devices send.
pub fn forward_tcp(listener: TcpListener, server: SocketAddr) -> Arc<AtomicU64> {
    let counted = Arc::new(AtomicU64::new(0));
    let counter = counted.clone();
    tokio::spawn(async move {
        while let Ok((device, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(server).await else { return };
                let (mut from_device, mut to_device) = device.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_server, &mut to_device).await });
                let mut buffer = vec![0; DATAGRAM_BYTES];
                while let Ok(length @ 1..) = from_device.read(&mut buffer).await {
                    counter.fetch_add(length as u64, Ordering::Relaxed);
                    if to_server.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    counted
}

async fn serve(socket: Arc<UdpSocket>, server: SocketAddr, line: Line, state: Arc<State>) {
    let (up, down) = (queue(line), queue(line));
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok((length, device)) = socket.recv_from(&mut buffer).await else { continue };
        if state.is_dead(device) {
            continue;
        }
        if state.blocked.load(Ordering::Relaxed) {
            state.lost.fetch_add(length as u64, Ordering::Relaxed);
            continue;
        }
        let known = held(&state.known).get(&device).cloned();
        let towards = if let Some(towards) = known {
            towards
        } else {
            let Ok(towards) = UdpSocket::bind("127.0.0.1:0").await else { continue };
            let towards = Arc::new(towards);
            held(&state.known).insert(device, towards.clone());
            tokio::spawn(back(towards.clone(), socket.clone(), device, down.clone(), state.clone()));
            towards
        };
        if state.count(Direction::Up, length) {
            up.send(Datagram { bytes: buffer.get(..length).unwrap_or_default().to_vec(), socket: towards, to: server }).ok();
        }
    }
}

/// What the server says to one device.
async fn back(
    from: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    device: SocketAddr,
    down: mpsc::UnboundedSender<Datagram>,
    state: Arc<State>,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok(length) = from.recv(&mut buffer).await else { continue };
        if state.is_dead(device) {
            return;
        }
        if !state.blocked.load(Ordering::Relaxed) && state.count(Direction::Down, length) {
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            down.send(Datagram { bytes, socket: socket.clone(), to: device }).ok();
        }
    }
}

struct Datagram {
    bytes: Vec<u8>,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

/// One direction: datagrams leave one after the other at the line's rate, and arrive after its delay.
fn queue(line: Line) -> mpsc::UnboundedSender<Datagram> {
    let (give, mut take) = mpsc::unbounded_channel::<Datagram>();
    let (leave, mut arrive) = mpsc::unbounded_channel::<(Instant, Datagram)>();
    tokio::spawn(async move {
        let mut free = Instant::now();
        while let Some(datagram) = take.recv().await {
            let now = Instant::now();
            free = free.max(now);
            if let Some(rate) = line.bytes_per_s {
                if free - now > line.queue {
                    continue;
                }
                free += Duration::from_secs_f64(datagram.bytes.len() as f64 / rate as f64);
            }
            leave.send((free + line.one_way, datagram)).ok();
        }
    });
    tokio::spawn(async move {
        while let Some((at, datagram)) = arrive.recv().await {
            if at > Instant::now() {
                tokio::time::sleep_until(at).await;
            }
            datagram.socket.send_to(&datagram.bytes, datagram.to).await.ok();
        }
    });
    give
}
