//! Connections of each device and of each address: a few at once. A phone that was killed leaves one behind that nobody closes for minutes, so it is the oldest that
//! goes when there are too many, and whoever opens a flood with one key shuts out nobody but itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use karwan_proto::DeviceId;
use tokio::sync::Notify;

/// Connections of one device at once.
pub const CONNECTIONS_PER_DEVICE: usize = 4;
/// Connections from one address at once: whole towns stand behind one address of a mobile network.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;
/// Connections beyond these that are kept for a moment, to tell each when to come back.
pub const TURNED_AWAY_PER_ADDRESS: usize = 64;
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
    addresses: BTreeMap<IpAddr, Here>,
}

/// How many there are from an address.
#[derive(Debug, Default)]
struct Here {
    held: usize,
    turned_away: usize,
}

/// A connection that is being turned away; it counts until this is dropped.
pub(crate) struct TurnedAway<'c> {
    connections: &'c Connections,
    address: IpAddr,
}

impl Drop for TurnedAway<'_> {
    fn drop(&mut self) {
        self.connections.open().count_out(self.address, |from| &mut from.turned_away);
    }
}

impl Open {
    fn count_out(&mut self, address: IpAddr, of: impl FnOnce(&mut Here) -> &mut usize) {
        if let Some(from) = self.addresses.get_mut(&address) {
            let count = of(from);
            *count = count.saturating_sub(1);
            if from.held == 0 && from.turned_away == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

impl Connections {
    /// Notes a connection; closes the device's oldest where there are too many. False where its address has too many already: it is not noted.
    pub(crate) fn add(&self, device: DeviceId, address: IpAddr, line: Line) -> bool {
        let mut open = self.open();
        let from = open.addresses.entry(address).or_default();
        if from.held >= CONNECTIONS_PER_ADDRESS {
            return false;
        }
        from.held += 1;
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

    /// A moment for a connection that was not noted, to tell it when to come back; none where many are told already.
    pub(crate) fn turn_away(&self, address: IpAddr) -> Option<TurnedAway<'_>> {
        let mut open = self.open();
        let from = open.addresses.entry(address).or_default();
        if from.turned_away >= TURNED_AWAY_PER_ADDRESS {
            return None;
        }
        from.turned_away += 1;
        Some(TurnedAway { connections: self, address })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is over.
    pub(crate) fn remove(&self, device: DeviceId, address: IpAddr, line: &Line) {
        let mut open = self.open();
        open.count_out(address, |from| &mut from.held);
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
