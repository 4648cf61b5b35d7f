//! `management-nic`: the host is reached, or reaches the world, through this network card.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, missing, word,
};
use crate::facts::NetworkInterface;
use crate::pci::PciAddress;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "management-nic",
    page: Page {
        what: "The network card carries the remote login that is in use, or the default route. When it is unbound, \
              the login hangs and the host cannot be reached.",
        why: "Unbinding a network driver takes its interface away, out of bonds and bridges too, and with it every \
              route that leaves through it.",
        fix: "Hand over another card, move the management network to a card that stays, or work at the console; use \
              a trial that undoes itself.",
        source: "net/core/dev.c: unregister_netdevice_many_notify; /proc/net/route, /proc/net/tcp followed through \
              /sys/class/net/*/upper_* down to the PCI function",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let usage = &topology.facts().usage;
    let is_network = |address: PciAddress| {
        let class = topology.function(address).and_then(|f| f.class.known());
        class.is_none_or(|class| class.base() == 0x02)
    };
    for address in assignment.devices() {
        if !is_network(address) {
            let class = topology.function(address).map_or_else(String::new, |f| word(&f.class));
            findings.skip(address, format!("it is no network card (class {class})"));
            continue;
        }
        let Some(interfaces) = usage.network.known() else {
            let needs = "whether the host is reached through this card";
            let unread = missing(&usage.network, "/sys/class/net");
            findings.push(cannot_know(Subject::Device(address), needs, unread.as_ref()));
            continue;
        };
        let own = interfaces.iter().filter(|interface| interface.function == Some(address));
        let names: Vec<&str> = own.map(|interface| interface.name.as_str()).collect();
        let names = if names.is_empty() { "it has no interface".to_owned() } else { names.join(", ") };
        let logins = usage.sessions.known().map_or_else(|| "unknown".to_owned(), |s| s.len().to_string());
        findings.fine(address, format!("{names}: no default route, none of the remote logins ({logins})"));
        for interface in interfaces.iter().filter(|interface| interface.function == Some(address)) {
            findings.push_all(of_interface(topology, interfaces, interface, address));
        }
    }
}

fn of_interface(
    topology: &Topology,
    interfaces: &[NetworkInterface],
    interface: &NetworkInterface,
    address: PciAddress,
) -> Option<Finding> {
    let name = &interface.name;
    let carried = carried_by(interfaces, name);
    let sessions = topology.facts().usage.sessions.known().map_or(&[][..], Vec::as_slice);
    let in_use = sessions.iter().find(|session| carried.contains(&session.interface.as_str()));
    let finding = if let Some(session) = in_use {
        let summary = format!("the login from {} comes through {name}: it is cut off", session.peer);
        Finding::new(&RULE, Severity::Blocks, address, summary)
            .shown("/proc/net/tcp, /proc/net/route", format!("{} by {}", session.peer, session.interface))
    } else if interface.default_route {
        let summary = format!("the host's default route leaves through {name}");
        Finding::new(&RULE, Severity::Warns, address, summary)
            .shown("/proc/net/route", format!("default by {name}"))
    } else {
        return None;
    };
    let elsewhere = interfaces.iter().find(|other| {
        other.function.is_some() && other.function != Some(address) && other.up.known() == Some(&true)
    });
    let text = match elsewhere {
        Some(other) => format!("move the management network to {} first", other.name),
        None => "leave the host a network card for its management".to_owned(),
    };
    Some(
        finding.remedy(RemedyKind::HostChange, text).remedy(RemedyKind::SpecChange, "hand over another card"),
    )
}

/// An interface and what is built on it: bonds, bridges, VLANs.
fn carried_by<'a>(interfaces: &'a [NetworkInterface], name: &'a str) -> Vec<&'a str> {
    let mut carried = vec![name];
    let mut next = 0;
    while let Some(at) = carried.get(next).copied() {
        next += 1;
        let uppers = interfaces.iter().filter(|i| i.name == at).flat_map(|i| &i.upper);
        for upper in uppers {
            if !carried.contains(&upper.as_str()) {
                carried.push(upper);
            }
        }
    }
    carried
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:02:00.0 class=020000
        device 0000:03:00.0 class=020000
        net eth0 function=0000:02:00.0 upper=br0
        net br0 default
        net eth1 function=0000:03:00.0";

    #[test]
    fn the_session_in_use_blocks_through_a_bridge() {
        let host = format!("{HOST}\nsession 192.0.2.7 br0");
        let said = check_rule(&RULE, &host, "0000:02:00.0");
        assert_eq!(said, ["blocks 0000:02:00.0: the login from 192.0.2.7 comes through eth0: it is cut off"]);
    }

    #[test]
    fn the_default_route_is_warned_about() {
        let host = HOST.replace("upper=br0", "upper=br0 default");
        let said = check_rule(&RULE, &host, "0000:02:00.0");
        assert_eq!(said, ["warns 0000:02:00.0: the host's default route leaves through eth0"]);
    }

    #[test]
    fn a_spare_card_is_quiet() {
        let host = format!("{HOST}\nsession 192.0.2.7 br0");
        assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty());
    }

    #[test]
    fn unread_interfaces_are_noted_for_network_cards_only() {
        let host = "device 0000:02:00.0 class=020000\ndevice 0000:03:00.0 class=010000\nunread network";
        let said = check_rule(&RULE, host, "0000:02:00.0 0000:03:00.0");
        assert_eq!(said, ["notes 0000:02:00.0: cannot tell: whether the host is reached through this card"]);
    }
}
