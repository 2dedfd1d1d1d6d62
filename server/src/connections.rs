//! Connections of each device: a few at once. A phone that was killed leaves one behind that nobody closes for minutes, so it is the oldest that
//! goes when there are too many, and whoever opens a flood with one key shuts out nobody but itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use karwan_proto::DeviceId;

/// Connections of one device at once.
pub const CONNECTIONS_PER_DEVICE: usize = 4;
/// What a device is told whose older connection was closed.
const SUPERSEDED: u32 = 1;

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<BTreeMap<DeviceId, VecDeque<quinn::Connection>>>,
}

impl Connections {
    /// Notes a connection; closes the device's oldest where there are too many.
    pub(crate) fn add(&self, device: DeviceId, connection: quinn::Connection) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.entry(device).or_default();
        own.push_back(connection);
        if own.len() > CONNECTIONS_PER_DEVICE
            && let Some(oldest) = own.pop_front()
        {
            oldest.close(SUPERSEDED.into(), b"too many connections of this device");
        }
    }

    /// It is over.
    pub(crate) fn remove(&self, device: DeviceId, connection: &quinn::Connection) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&device) {
            own.retain(|known| known.stable_id() != connection.stable_id());
            if own.is_empty() {
                open.remove(&device);
            }
        }
    }
}
