//! Where another device on the same network may find this one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The addresses given; where none are, those of this machine, as far as it tells; where it tells none, itself alone.
pub(super) fn of(given: &[IpAddr]) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = given.to_vec();
    if found.is_empty() {
        // The way to everywhere first: it is the network that people mean.
        found.extend(towards_everywhere());
        let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        found.extend(in_table(&table).into_iter().map(IpAddr::from));
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !address.is_loopback() && !address.is_unspecified() && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

/// By which of its addresses this device would reach an address of the documentation's (RFC 5737); nothing is sent.
fn towards_everywhere() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9))).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Own addresses in Linux's table of routes: each stands in the line above one that says `/32 host LOCAL`.
fn in_table(table: &str) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut above = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            above = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = above.take()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_found_in_the_table_of_routes_each_once() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n\
            \x20          |-- 127.0.0.1\n              /32 host LOCAL\n     +-- 192.168.43.0/24 2 0 1\n        |-- 192.168.43.0\n\
            \x20          /24 link UNICAST\n        |-- 192.168.43.7\n           /32 host LOCAL\n        |-- 192.168.43.255\n\
            \x20          /32 link BROADCAST\nLocal:\n        |-- 192.168.43.7\n           /32 host LOCAL\n";
        assert_eq!(in_table(table), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 168, 43, 7)]);
    }

    #[test]
    fn a_device_says_those_that_it_was_given_and_never_one_that_only_it_can_reach() {
        let given = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 168, 43, 7]), IpAddr::from([192, 168, 43, 7])];
        assert_eq!(of(&given), [IpAddr::from([192, 168, 43, 7])]);
        assert!(!of(&[]).is_empty());
    }
}
