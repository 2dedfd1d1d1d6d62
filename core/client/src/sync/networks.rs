//! What each network was like: over what the server was reached and how fast, so that the next sync begins with what worked.
//!
//! A network is known by the part of this device's address that its neighbours share, and the server: a hash of both. Where two
//! networks look alike, the first try may be the wrong one and costs two seconds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use karwan_link::Known;
use serde::{Deserialize, Serialize};

use super::report::Over;

/// Networks that are remembered; the one not used for longest is forgotten.
const NETWORKS_MAX: usize = 16;
/// Syncs over TCP after which QUIC goes first once more: whoever blocked UDP may have stopped.
const TCP_SYNCS_MAX: u32 = 16;
/// Bits of an address that neighbours share.
const PREFIX_BITS_V4: u32 = 24;
const PREFIX_BITS_V6: u32 = 64;

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place(u64);

impl Place {
    /// In which this device has that address, to that server.
    pub(crate) fn of(own: IpAddr, server: SocketAddr) -> Self {
        let shared = match own.to_canonical() {
            IpAddr::V4(own) => u128::from(own.to_bits() >> (32 - PREFIX_BITS_V4)),
            IpAddr::V6(own) => own.to_bits() >> (128 - PREFIX_BITS_V6),
        };
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 network");
        hasher.update(&shared.to_be_bytes());
        hasher.update(server.to_string().as_bytes());
        let mut first = [0u8; 8];
        hasher.finalize_xof().fill(&mut first);
        Self(u64::from_be_bytes(first))
    }
}

/// What is remembered of one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    place: Place,
    over: Over,
    /// One after the other.
    tcp_syncs: u32,
    round_trip_ms: Option<u64>,
    bytes_per_s: Option<u64>,
}

impl Remembered {
    /// What goes first.
    pub(crate) fn first(&self) -> Over {
        if self.tcp_syncs.is_multiple_of(TCP_SYNCS_MAX) { Over::Quic } else { self.over }
    }

    /// What the line carried.
    pub(crate) fn known(&self) -> Option<Known> {
        let (round_trip_ms, bytes_per_s) = (self.round_trip_ms?, self.bytes_per_s?);
        Some(Known { round_trip: Duration::from_millis(round_trip_ms), bytes_per_s: bytes_per_s as f64 })
    }
}

/// All of them, the last used first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Networks(Vec<Remembered>);

impl Networks {
    /// As they were kept; what cannot be read is forgotten.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// To be kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// What is remembered of one.
    pub(crate) fn get(&self, place: Place) -> Option<&Remembered> {
        self.0.iter().find(|remembered| remembered.place == place)
    }

    /// It was used. What the line carried stays remembered where this time says nothing of it.
    pub(crate) fn used(&mut self, place: Place, over: Over, known: Option<Known>) {
        let before = self.get(place).copied();
        let known = known.or_else(|| before?.known());
        let tcp_syncs = match over {
            Over::Quic => 0,
            Over::Tcp => before.map_or(0, |before| before.tcp_syncs).saturating_add(1),
        };
        self.0.retain(|remembered| remembered.place != place);
        let round_trip_ms = known.map(|known| known.round_trip.as_millis() as u64);
        let bytes_per_s = known.map(|known| known.bytes_per_s as u64);
        self.0.insert(0, Remembered { place, over, tcp_syncs, round_trip_ms, bytes_per_s });
        self.0.truncate(NETWORKS_MAX);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn place(own: &str) -> Place {
        Place::of(own.parse().unwrap(), "203.0.113.7:7447".parse().unwrap())
    }

    #[test]
    fn another_address_of_the_same_network_is_the_same_network() {
        assert_eq!(place("192.168.1.7"), place("192.168.1.200"));
        assert_ne!(place("192.168.1.7"), place("192.168.2.7"));
        assert_eq!(place("2001:db8:1:2::7"), place("2001:db8:1:2:9::1"));
    }

    #[test]
    fn quic_goes_first_again_after_sixteen_syncs_over_tcp() {
        let (mut networks, here) = (Networks::default(), place("192.168.0.1"));
        let firsts: Vec<Over> = (0..17)
            .map(|_| {
                networks.used(here, Over::Tcp, None);
                networks.get(here).unwrap().first()
            })
            .collect();
        assert!(firsts.iter().enumerate().all(|(sync, first)| *first == if sync == 15 { Over::Quic } else { Over::Tcp }));
        networks.used(here, Over::Quic, None);
        assert_eq!(networks.get(here).unwrap().first(), Over::Quic);
    }

    #[test]
    fn the_last_sixteen_networks_are_remembered_as_they_were_kept() {
        let mut networks = Networks::default();
        let known = Known { round_trip: Duration::from_millis(600), bytes_per_s: 240_000.0 };
        networks.used(place("192.168.0.1"), Over::Tcp, None);
        networks.used(place("192.168.1.1"), Over::Quic, Some(known));
        networks.used(place("192.168.1.1"), Over::Quic, None);
        let read = Networks::from_bytes(&networks.to_bytes());
        assert_eq!(read, networks);
        assert_eq!(read.get(place("192.168.0.1")).unwrap().first(), Over::Tcp);
        assert_eq!(read.get(place("192.168.1.1")).unwrap().known(), Some(known), "a sync of nothing forgets nothing");
        for third in 2..18 {
            networks.used(place(&format!("192.168.{third}.1")), Over::Quic, None);
        }
        assert!(networks.get(place("192.168.0.1")).is_none() && networks.get(place("192.168.17.1")).is_some());
        assert_eq!(Networks::from_bytes(b"nothing of ours"), Networks::default());
    }
}
