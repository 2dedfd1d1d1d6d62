//! Connections of each device and of each address: a few at once. A phone that was killed leaves one behind that nobody closes for minutes, so it is the oldest that
//! goes when there are too many, and whoever opens a flood with one key shuts out nobody but itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use karwan_proto::DeviceId;
use tokio::sync::Notify;

/// Connections of one device at once.
pub const CONNECTIONS_PER_DEVICE: usize = 4;
/// Connections from one address at once: whole towns stand behind one address of a mobile network.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;
/// What a device is told whose older connection was closed.
const SUPERSEDED: u32 = 1;

/// A connection, and what ends it.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    Quic(quinn::Connection),
    /// Whoever serves it waits for this.
    Tcp(Arc<Notify>),
}

impl Line {
    /// Ends it because the device has newer ones.
    fn supersede(&self) {
        match self {
            Self::Quic(connection) => connection.close(SUPERSEDED.into(), b"too many connections of this device"),
            Self::Tcp(ended) => ended.notify_one(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Quic(one), Self::Quic(other)) => one.stable_id() == other.stable_id(),
            (Self::Tcp(one), Self::Tcp(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    devices: BTreeMap<DeviceId, VecDeque<Line>>,
    /// How many there are from each address.
    addresses: BTreeMap<IpAddr, usize>,
}

impl Connections {
    /// Notes a connection; closes the device's oldest where there are too many. False where its address has too many already: it is not noted.
    pub(crate) fn add(&self, device: DeviceId, address: IpAddr, line: Line) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from = open.addresses.entry(address).or_default();
        if *from >= CONNECTIONS_PER_ADDRESS {
            return false;
        }
        *from += 1;
        let own = open.devices.entry(device).or_default();
        own.push_back(line);
        if own.len() > CONNECTIONS_PER_DEVICE
            && let Some(oldest) = own.pop_front()
        {
            // Its own task takes it out of the count.
            oldest.supersede();
        }
        true
    }

    /// It is over.
    pub(crate) fn remove(&self, device: DeviceId, address: IpAddr, line: &Line) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = open.addresses.get_mut(&address) {
            *from = from.saturating_sub(1);
            if *from == 0 {
                open.addresses.remove(&address);
            }
        }
        if let Some(own) = open.devices.get_mut(&device) {
            own.retain(|known| !known.is(line));
            if own.is_empty() {
                open.devices.remove(&device);
            }
        }
    }
}

/// Where a connection comes from; a host has a whole network of version 6 and counts once.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
