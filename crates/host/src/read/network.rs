//! Network interfaces: which PCI function each hangs under, what it is part of, and where default routes leave.
//!
//! `/sys/class/net` (`Documentation/ABI/testing/sysfs-class-net`; `upper_*` links: `net/core/dev.c`), `/proc/net/route`
//! (`net/ipv4/fib_trie.c: fib_route_seq_show`), `/proc/net/ipv6_route` (`net/ipv6/route.c: rt6_info_route`). Routes of
//! other tables than main and local, and of other network name spaces, are not told there.

use std::collections::BTreeSet;

use slotwise_core::facts::{Fact, NetworkInterface, ReadFault};

use super::attributes::hex;
use super::block::{function_below, or_none};
use super::{ATTRIBUTE_BYTES, TEXT_BYTES, fact, fault, malformed, text};
use crate::kernel::ReadHost;

const NET: &str = "/sys/class/net";

/// `RTF_UP` (`include/uapi/linux/route.h`).
const ROUTE_UP: u64 = 0x0001;
/// `RTF_REJECT`: the route leads nowhere.
const ROUTE_REJECT: u64 = 0x0200;
/// `IFF_UP` (`include/uapi/linux/if.h`).
const INTERFACE_UP: u64 = 0x1;

pub(super) fn interfaces(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<NetworkInterface>> {
    let mut leaving = BTreeSet::new();
    for (path, parse) in [
        ("/proc/net/route", ipv4_default as fn(&str) -> Option<&str>),
        ("/proc/net/ipv6_route", ipv6_default),
    ] {
        match text(host, path, TEXT_BYTES) {
            Ok(text) => leaving.extend(text.lines().filter_map(parse).map(str::to_owned)),
            // A kernel without that protocol has no such file.
            Err(error) if error.is_not_found() => {}
            Err(error) => faults.push(fault(&error)),
        }
    }
    fact(host.list(NET)).map(|names| {
        let mut interfaces: Vec<_> = names
            .into_iter()
            // The module `bonding` puts a control file among them.
            .filter(|name| name != "bonding_masters")
            .map(|name| interface(host, name, &leaving, faults))
            .collect();
        routes_through_upper(&mut interfaces);
        interfaces
    })
}

fn interface(
    host: &dyn ReadHost,
    name: String,
    leaving: &BTreeSet<String>,
    faults: &mut Vec<ReadFault>,
) -> NetworkInterface {
    let path = format!("{NET}/{name}");
    let names = or_none(host.list(&path), faults);
    let upper: Vec<String> =
        names.iter().filter_map(|file| file.strip_prefix("upper_")).map(str::to_owned).collect();
    let up = match fact(text(host, &format!("{path}/flags"), ATTRIBUTE_BYTES)) {
        Fact::Known(text) => match hex(text.trim()) {
            Some(flags) => Fact::Known(flags & INTERFACE_UP != 0),
            None => Fact::Unreadable(malformed(&format!("{path}/flags"), "expected a hexadecimal number")),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    };
    NetworkInterface {
        function: function_below(&or_none(host.link(&path), faults)),
        default_route: leaving.contains(&name),
        name,
        upper,
        up,
    }
}

/// A default route of a bond, bridge or VLAN leaves through what is below.
fn routes_through_upper(interfaces: &mut [NetworkInterface]) {
    // Each round reaches one level; nesting deeper than 8 is refused by the kernel (MAX_NEST_DEV).
    for _ in 0..8 {
        let leaving: BTreeSet<String> =
            interfaces.iter().filter(|i| i.default_route).map(|i| i.name.clone()).collect();
        for interface in interfaces.iter_mut() {
            interface.default_route |= interface.upper.iter().any(|upper| leaving.contains(upper));
        }
    }
}

/// Interface, destination, gateway, flags, reference count, use, metric, mask …
fn ipv4_default(row: &str) -> Option<&str> {
    let columns: Vec<&str> = row.split_ascii_whitespace().collect();
    let [name, "00000000", _, flags, _, _, _, "00000000", ..] = columns.as_slice() else { return None };
    let flags = hex(flags)?;
    (flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0).then_some(*name)
}

/// Destination, its prefix length, source, its prefix length, next hop, metric, reference count, use, flags, interface.
fn ipv6_default(row: &str) -> Option<&str> {
    let columns: Vec<&str> = row.split_ascii_whitespace().collect();
    let [destination, "00", _, _, _, _, _, _, flags, name] = columns.as_slice() else { return None };
    let flags = hex(flags)?;
    let any = destination.bytes().all(|b| b == b'0');
    (any && flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0).then_some(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_found() {
        assert_eq!(ipv4_default("br0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"), Some("br0"));
        assert_eq!(ipv4_default("br0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0"), None);
        let zero = "0".repeat(32);
        let row = |flags: &str, name: &str| {
            format!(
                "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 {flags} {name}"
            )
        };
        assert_eq!(ipv6_default(&row("00000003", "eth0")), Some("eth0"));
        assert_eq!(ipv6_default(&row("00200200", "lo")), None);
    }

    #[test]
    fn route_of_a_bridge_leaves_through_its_port() {
        let interface = |name: &str, upper: &[&str], default_route| NetworkInterface {
            name: name.to_owned(),
            function: None,
            upper: upper.iter().map(|name| (*name).to_owned()).collect(),
            up: Fact::Known(true),
            default_route,
        };
        let mut all = [
            interface("eth0", &["bond0"], false),
            interface("bond0", &["br0"], false),
            interface("br0", &[], true),
            interface("eth1", &[], false),
        ];
        routes_through_upper(&mut all);
        assert_eq!(all.map(|interface| interface.default_route), [true, true, true, false]);
    }
}
