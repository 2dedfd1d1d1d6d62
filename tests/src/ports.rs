//! Ports for servers that are started, killed and started again while other tests run.

use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports that a system gives to nobody by itself: who is started again finds its own still free, and who waits for it does not meet itself.
const STEADY_PORTS: Range<u16> = 10_000..30_000;

/// A free port of this machine, another one at each call; 0, any that is free, where there is none.
pub fn steady_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let span = u32::from(STEADY_PORTS.end - STEADY_PORTS.start);
    // Other processes begin elsewhere.
    let first = std::process::id().wrapping_mul(7_919);
    let ports = (0..span).map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % span);
    let mut ports = ports.filter_map(|number| u16::try_from(number).ok()).map(|number| STEADY_PORTS.start + number);
    let is_free = |port: &u16| UdpSocket::bind(("127.0.0.1", *port)).is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).unwrap_or(0)
}
