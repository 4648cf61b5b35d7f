//! Remote logins in use: established connections to this host's port 22, and the interface that the way back takes.
//!
//! `/proc/net/tcp`, `/proc/net/tcp6` (`net/ipv4/tcp_ipv4.c: get_tcp4_sock`, `net/ipv6/tcp_ipv6.c: get_tcp6_sock`);
//! routes as in `network.rs`. A login daemon on another port is not found, nor routes of other tables than main and local.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use slotwise_core::facts::{Fact, ReadFault, RemoteSession};

use super::attributes::hex;
use super::{TEXT_BYTES, fact, fault, text};
use crate::kernel::ReadHost;

/// Port of SSH (RFC 4253 §4.1).
const SSH: u64 = 22;
/// `TCP_ESTABLISHED` (`include/net/tcp_states.h`).
const ESTABLISHED: &str = "01";
/// `RTF_UP` (`include/uapi/linux/route.h`).
const ROUTE_UP: u64 = 0x0001;
/// `RTF_REJECT`: the route leads nowhere.
const ROUTE_REJECT: u64 = 0x0200;

/// A route: destination, length of its prefix in bits, interface.
type Route = (IpAddr, u32, String);

pub(super) fn sessions(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<RemoteSession>> {
    let mut peers: Vec<IpAddr> = Vec::new();
    match fact(text(host, "/proc/net/tcp", TEXT_BYTES)) {
        Fact::Known(text) => peers.extend(text.lines().filter_map(peer)),
        // Every kernel with a network has the file; a saved tree may lack it.
        Fact::Absent => return Fact::Absent,
        Fact::Unreadable(fault) => return Fact::Unreadable(fault),
    }
    let mut optional = |path: &str| match text(host, path, TEXT_BYTES) {
        Ok(text) => text,
        Err(error) => {
            if !error.is_not_found() {
                faults.push(fault(&error));
            }
            String::new()
        }
    };
    peers.extend(optional("/proc/net/tcp6").lines().filter_map(peer));
    peers.sort_unstable();
    peers.dedup();
    if peers.is_empty() {
        return Fact::Known(Vec::new());
    }
    let mut routes: Vec<Route> = optional("/proc/net/route").lines().filter_map(route_ipv4).collect();
    routes.extend(optional("/proc/net/ipv6_route").lines().filter_map(route_ipv6));
    let session = |peer: IpAddr| {
        let interface = way_to(&routes, peer)?.to_owned();
        Some(RemoteSession { peer: peer.to_string(), interface })
    };
    Fact::Known(peers.into_iter().filter_map(session).collect())
}

/// The other end of an established connection to SSH: number, local address, remote address, state …
fn peer(row: &str) -> Option<IpAddr> {
    let mut columns = row.split_ascii_whitespace().skip(1);
    let (_, port) = columns.next()?.split_once(':')?;
    let (remote, _) = columns.next()?.split_once(':')?;
    if hex(port)? != SSH || columns.next()? != ESTABLISHED {
        return None;
    }
    address(remote)
}

/// 8 or 32 hexadecimal digits: words of 32 bits in the host's byte order.
fn address(text: &str) -> Option<IpAddr> {
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(text)?))),
        32 => {
            let mut bytes = [0; 16];
            for (number, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(text.get(number * 8..number * 8 + 8)?)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn word(text: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
}

const fn leads_somewhere(flags: u64) -> bool {
    flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0
}

/// Interface, destination, gateway, flags, reference count, use, metric, mask …
fn route_ipv4(row: &str) -> Option<Route> {
    let columns: Vec<&str> = row.split_ascii_whitespace().collect();
    let [name, destination, _, flags, _, _, _, mask, ..] = columns.as_slice() else { return None };
    let mask = u32::from_be_bytes(word(mask)?);
    leads_somewhere(hex(flags)?).then_some(())?;
    Some((IpAddr::V4(Ipv4Addr::from(word(destination)?)), mask.count_ones(), (*name).to_owned()))
}

/// Destination, its prefix length, source, its prefix length, next hop, metric, reference count, use, flags, interface.
fn route_ipv6(row: &str) -> Option<Route> {
    let columns: Vec<&str> = row.split_ascii_whitespace().collect();
    let [destination, length, _, _, _, _, _, _, flags, name] = columns.as_slice() else { return None };
    leads_somewhere(hex(flags)?).then_some(())?;
    let destination = u128::from_str_radix(destination, 16).ok()?;
    let length = u32::from_str_radix(length, 16).ok().filter(|length| *length <= 128)?;
    Some((IpAddr::V6(Ipv6Addr::from(destination)), length, (*name).to_owned()))
}

/// The interface of the route with the longest prefix that holds `peer`.
fn way_to(routes: &[Route], peer: IpAddr) -> Option<&str> {
    let holds = |(destination, length, _): &&Route| match (destination, peer) {
        (IpAddr::V4(destination), IpAddr::V4(peer)) => {
            (u32::from(*destination) ^ u32::from(peer)).leading_zeros() >= *length
        }
        (IpAddr::V6(destination), IpAddr::V6(peer)) => {
            (u128::from(*destination) ^ u128::from(peer)).leading_zeros() >= *length
        }
        _ => false,
    };
    routes.iter().filter(holds).max_by_key(|(_, length, _)| *length).map(|(_, _, name)| name.as_str())
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn the_login_in_use_is_found_with_its_way_back() {
        let row = "   1: 0A0200C0:0016 070200C0:D431 01 00000000:00000000 02:000A 00000000 0 0 1 2";
        let peer = peer(row).expect("a peer");
        assert_eq!(peer.to_string(), "192.0.2.7");
        let routes: Vec<Route> = [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
            "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
            "br0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
        ]
        .into_iter()
        .filter_map(route_ipv4)
        .collect();
        assert_eq!(way_to(&routes, peer), Some("br0"));
        assert_eq!(way_to(&routes, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1))), Some("eth0"));
    }

    #[test]
    fn listeners_and_other_ports_are_no_logins() {
        assert_eq!(peer("   0: 00000000:0016 00000000:0000 0A 00000000:00000000"), None);
        assert_eq!(peer("   1: 0A0200C0:01BB 070200C0:D431 01 00000000:00000000"), None);
        assert_eq!(peer("  sl  local_address rem_address   st tx_queue rx_queue"), None);
    }

    #[test]
    fn addresses_of_both_protocols_are_read() {
        let shown = |text| address(text).map(|address| address.to_string());
        assert_eq!(shown("0000000000000000FFFF0000070200C0").as_deref(), Some("192.0.2.7"));
        assert_eq!(shown("B80D0120000000000000000001000000").as_deref(), Some("2001:db8::1"));
        assert_eq!(shown("0102"), None);
    }

    #[test]
    fn a_longer_prefix_wins_for_ipv6_too() {
        let zero = "0".repeat(32);
        let row = |to: &str, length: &str, name: &str| {
            format!("{to} {length} {zero} 00 {zero} 00000400 1 0 00000001 {name}")
        };
        let routes: Vec<Route> =
            [row(&zero, "00", "eth0"), row("20010db8000000000000000000000000", "20", "eth1")]
                .iter()
                .filter_map(|row| route_ipv6(row))
                .collect();
        assert_eq!(way_to(&routes, "2001:db8::1".parse().expect("address")), Some("eth1"));
        assert_eq!(way_to(&routes, "2001:db9::1".parse().expect("address")), Some("eth0"));
    }
}
