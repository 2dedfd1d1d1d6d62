//! Connections of each device and of each address: a few at once. A phone that was killed leaves one behind that nobody closes for minutes, so it is the oldest that
//! goes when there are too many, and whoever opens a flood with one key shuts out nobody but itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use karwan_proto::DeviceId;

/// Connections of one device at once.
pub const CONNECTIONS_PER_DEVICE: usize = 4;
/// Connections from one address at once: whole towns stand behind one address of a mobile network.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;
/// What a device is told whose older connection was closed.
const SUPERSEDED: u32 = 1;

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    devices: BTreeMap<DeviceId, VecDeque<quinn::Connection>>,
    /// How many there are from each address.
    addresses: BTreeMap<IpAddr, usize>,
}

impl Connections {
    /// Notes a connection; closes the device's oldest where there are too many. False where its address has too many already: it is not noted.
    pub(crate) fn add(&self, device: DeviceId, address: IpAddr, connection: quinn::Connection) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from = open.addresses.entry(address).or_default();
        if *from >= CONNECTIONS_PER_ADDRESS {
            return false;
        }
        *from += 1;
        let own = open.devices.entry(device).or_default();
        own.push_back(connection);
        if own.len() > CONNECTIONS_PER_DEVICE
            && let Some(oldest) = own.pop_front()
        {
            // Its own task takes it out of the count.
            oldest.close(SUPERSEDED.into(), b"too many connections of this device");
        }
        true
    }

    /// It is over.
    pub(crate) fn remove(&self, device: DeviceId, address: IpAddr, connection: &quinn::Connection) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = open.addresses.get_mut(&address) {
            *from = from.saturating_sub(1);
            if *from == 0 {
                open.addresses.remove(&address);
            }
        }
        if let Some(own) = open.devices.get_mut(&device) {
            own.retain(|known| known.stable_id() != connection.stable_id());
            if own.is_empty() {
                open.devices.remove(&device);
            }
        }
    }
}

/// Where a connection comes from; a host has a whole network of version 6 and counts once.
pub(crate) fn address_of(connection: &quinn::Connection) -> IpAddr {
    match connection.remote_address().ip().to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
