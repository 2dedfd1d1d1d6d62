//! Two QUIC endpoints for each flow, over one bottleneck, under virtual time: quinn's own protocol and an emulated link, no socket and no
//! clock. The same seed gives the same run.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics, and has to begin at some time"
)]

mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::congestion::ControllerFactory;
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ServerConfig, StreamEvent, StreamId,
    TransportConfig,
};

/// IPv4 and UDP headers.
const HEADER_BYTES: usize = 28;

/// One direction of a link.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    pub one_way: Duration,
    pub loss: f64,
    pub bits_per_s: f64,
    /// What waits for longer is dropped at the end of the queue.
    pub queue: Duration,
    /// Largest datagram, headers included.
    pub mtu: usize,
}

impl Link {
    pub fn satellite() -> Self {
        let one_way = Duration::from_millis(300);
        Self { one_way, loss: 0.05, bits_per_s: 2e6, queue: Duration::from_millis(500), mtu: 1400 }
    }

    pub fn second_generation() -> Self {
        let one_way = Duration::from_millis(750);
        Self { one_way, loss: 0.1, bits_per_s: 1e5, queue: Duration::from_millis(500), mtu: 1400 }
    }
}

/// What went through one direction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    pub offered_bytes: u64,
    pub queue_dropped: u64,
    pub queue_longest: Duration,
    pub queue_sum_s: f64,
    pub packets: u64,
}

struct Wire {
    link: Link,
    free: Instant,
    passed: Passed,
}

/// A seeded dice (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Wire {
    /// When it arrives, or `None` where it is dropped.
    fn carry(&mut self, now: Instant, bytes: usize, dice: &mut Dice) -> Option<Instant> {
        if bytes > self.link.mtu {
            return None;
        }
        self.free = self.free.max(now);
        let waits = self.free - now;
        self.passed.offered_bytes += bytes as u64;
        if waits > self.link.queue {
            self.passed.queue_dropped += 1;
            return None;
        }
        self.passed.packets += 1;
        self.passed.queue_longest = self.passed.queue_longest.max(waits);
        self.passed.queue_sum_s += waits.as_secs_f64();
        self.free += Duration::from_secs_f64(bytes as f64 * 8.0 / self.link.bits_per_s);
        (dice.share() >= self.link.loss).then(|| self.free + self.link.one_way)
    }
}

/// One end of a flow.
struct End {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
}

/// One upload.
pub struct Flow {
    ends: [End; 2],
    addresses: [SocketAddr; 2],
    starts: Instant,
    started: bool,
    total_bytes: u64,
    written_bytes: u64,
    stream: Option<StreamId>,
    receiving: Option<StreamId>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub finished: Option<Duration>,
    client: quinn_proto::ClientConfig,
}

/// Everything, and the time.
pub struct World {
    pub now: Instant,
    pub began: Instant,
    wires: [Wire; 2],
    pub flows: Vec<Flow>,
    arrivals: BTreeMap<(Instant, u64), (usize, usize, Vec<u8>)>,
    numbered: u64,
    dice: Dice,
}

fn transport(factory: Arc<dyn ControllerFactory + Send + Sync>) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.congestion_controller_factory(factory);
    transport.max_idle_timeout(Some(Duration::from_mins(2).try_into().unwrap()));
    Arc::new(transport)
}

impl World {
    pub fn new(seed: u64, up: Link, down: Link) -> Self {
        println!("seed {seed}");
        let now = Instant::now();
        let wire = |link| Wire { link, free: now, passed: Passed::default() };
        let (wires, dice) = ([wire(up), wire(down)], Dice(seed));
        Self { now, began: now, wires, flows: Vec::new(), arrivals: BTreeMap::new(), numbered: 0, dice }
    }

    /// An upload that starts after a while.
    pub fn upload(&mut self, after: Duration, bytes: u64, factory: Arc<dyn ControllerFactory + Send + Sync>) -> usize {
        let number = self.flows.len();
        let mut seed = [0u8; 32];
        seed[..8].copy_from_slice(&self.dice.next().to_le_bytes());
        let mut config = EndpointConfig::new(tls::resets());
        config.rng_seed(Some(seed));
        let config = Arc::new(config);
        let mut server = ServerConfig::with_crypto(tls::server());
        server.transport_config(transport(factory.clone()));
        let mut client = quinn_proto::ClientConfig::new(tls::client());
        client.transport_config(transport(factory));
        let end = |server| End { endpoint: Endpoint::new(config.clone(), server, true, None), connection: None };
        let port = 1_000 + number as u16;
        self.flows.push(Flow {
            ends: [end(None), end(Some(Arc::new(server)))],
            addresses: [([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], port).into()],
            starts: self.began + after,
            started: false,
            total_bytes: bytes,
            written_bytes: 0,
            stream: None,
            receiving: None,
            sent_bytes: 0,
            received_bytes: 0,
            finished: None,
            client,
        });
        number
    }

    /// The way up, and the way down.
    pub fn passed(&self, way: usize) -> Passed {
        self.wires[way].passed
    }

    /// The link changes.
    pub fn become_link(&mut self, link: Link) {
        self.wires.iter_mut().for_each(|wire| wire.link = link);
    }

    /// The controller of a flow's sender.
    pub fn controller(&self, flow: usize) -> Option<karwan_link::Steady> {
        let (_, connection) = self.flows[flow].ends[0].connection.as_ref()?;
        connection.congestion_state().clone_box().into_any().downcast().ok().map(|steady| *steady)
    }

    /// Until all have finished, or the time is up.
    pub fn run(&mut self, limit: Duration) {
        let end = self.began + limit;
        while self.flows.iter().any(|flow| flow.finished.is_none()) && self.step(end) {}
    }

    /// Until then.
    pub fn run_until(&mut self, when: Duration) {
        let end = self.began + when;
        while self.step(end) {}
        self.now = self.now.max(end);
    }

    /// The next thing that happens before the end; says whether there was one.
    fn step(&mut self, end: Instant) -> bool {
        let mut next = self.arrivals.first_key_value().map(|((when, _), _)| *when);
        for flow in &mut self.flows {
            let due = if flow.started { None } else { Some(flow.starts) };
            let timers = flow.ends.iter_mut().filter_map(|end| end.connection.as_mut()?.1.poll_timeout());
            next = timers.chain(due).chain(next).min();
        }
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        let mut touched = vec![false; self.flows.len()];
        while let Some(entry) = self.arrivals.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (flow, side, datagram) = entry.remove();
            self.arrive(flow, side, &datagram);
            touched[flow] = true;
        }
        for (number, touched) in touched.iter_mut().enumerate() {
            let now = self.now;
            let flow = &mut self.flows[number];
            if !flow.started && flow.starts <= now {
                flow.started = true;
                let begun = flow.ends[0].endpoint.connect(now, flow.client.clone(), flow.addresses[1], "karwan.invalid");
                flow.ends[0].connection = Some(begun.unwrap());
                *touched = true;
            }
            for end in &mut flow.ends {
                if let Some((_, connection)) = &mut end.connection
                    && connection.poll_timeout().is_some_and(|due| due <= now)
                {
                    connection.handle_timeout(now);
                    *touched = true;
                }
            }
            if *touched {
                self.drive(number);
            }
        }
        true
    }

    fn arrive(&mut self, flow: usize, side: usize, datagram: &[u8]) {
        let now = self.now;
        let Flow { ends, addresses, .. } = &mut self.flows[flow];
        let end = &mut ends[side];
        let mut answer = Vec::new();
        match end.endpoint.handle(now, addresses[1 - side], None, None, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => end.connection.as_mut().unwrap().1.handle_event(event),
            Some(DatagramEvent::NewConnection(incoming)) => {
                end.connection = Some(end.endpoint.accept(incoming, now, &mut answer, None).map_err(|_| "refused").unwrap());
            }
            _ => {}
        }
    }

    fn drive(&mut self, number: usize) {
        let now = self.now;
        for side in 0..2 {
            loop {
                let flow = &mut self.flows[number];
                let Some((handle, connection)) = &mut flow.ends[side].connection else { break };
                while let Some(event) = connection.poll_endpoint_events() {
                    if let Some(event) = flow.ends[side].endpoint.handle_event(*handle, event) {
                        connection.handle_event(event);
                    }
                }
                while let Some(event) = connection.poll() {
                    if let Event::Stream(StreamEvent::Opened { dir: Dir::Uni }) = event {
                        flow.receiving = connection.streams().accept(Dir::Uni);
                    }
                }
                if side == 0 {
                    flow.write();
                } else {
                    flow.read(now, self.began);
                }
                let Some((_, connection)) = &mut flow.ends[side].connection else { break };
                let mut buffer = Vec::new();
                let Some(transmit) = connection.poll_transmit(now, 10, &mut buffer) else { break };
                for datagram in buffer[..transmit.size].chunks(transmit.segment_size.unwrap_or(transmit.size)) {
                    if side == 0 {
                        flow.sent_bytes += (datagram.len() + HEADER_BYTES) as u64;
                    }
                    if let Some(when) = self.wires[side].carry(now, datagram.len() + HEADER_BYTES, &mut self.dice) {
                        self.numbered += 1;
                        self.arrivals.insert((when, self.numbered), (number, 1 - side, datagram.to_vec()));
                    }
                }
            }
        }
    }
}

impl Flow {
    fn write(&mut self) {
        let Some((_, connection)) = &mut self.ends[0].connection else { return };
        if connection.is_handshaking() {
            return;
        }
        if self.stream.is_none() {
            self.stream = connection.streams().open(Dir::Uni);
        }
        let Some(stream) = self.stream else { return };
        let piece = [7u8; 16 * 1024];
        while self.written_bytes < self.total_bytes {
            let length = (self.total_bytes - self.written_bytes).min(piece.len() as u64) as usize;
            let Ok(written) = connection.send_stream(stream).write(&piece[..length]) else { break };
            self.written_bytes += written as u64;
            if self.written_bytes == self.total_bytes {
                connection.send_stream(stream).finish().unwrap();
            }
        }
    }

    fn read(&mut self, now: Instant, began: Instant) {
        let Some((_, connection)) = &mut self.ends[1].connection else { return };
        let Some(stream) = self.receiving else { return };
        let mut receiving = connection.recv_stream(stream);
        let Ok(mut chunks) = receiving.read(true) else { return };
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => self.received_bytes += chunk.bytes.len() as u64,
                Ok(None) => {
                    self.finished.get_or_insert(now - began);
                    break;
                }
                Err(_) => break,
            }
        }
        let _ = chunks.finalize();
    }
}
