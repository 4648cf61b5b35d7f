//! `last-console`: no display is left for the host.

use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::facts::FunctionFacts;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "last-console",
    page: Page {
        what: "The host's only display function is handed over. Its screen goes dark, and with it the way to log in \
              locally.",
        why: "A display function that is bound to vfio-pci has no console and no graphics driver. If the network \
              fails too, nobody gets in.",
        fix: "Keep another display function, put a serial console on the kernel command line (console=ttyS0,115200), \
              or make sure of a second way in, such as a management controller; use a trial that undoes itself.",
        source: "drivers/video/fbdev/core/fbcon.c: fbcon_fb_unregistered; drivers/pci/vgaarb.c: \
              vga_arbiter_del_pci_device; Documentation/admin-guide/serial-console.rst",
    },
    predicts: &[],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let is_display = |f: &&FunctionFacts| shows_a_picture(topology, f);
    let leaving: Vec<&FunctionFacts> =
        topology.functions().filter(is_display).filter(|f| assignment.takes(f.address)).collect();
    let stays = topology.functions().filter(is_display).map(|f| f.address).find(|a| !assignment.takes(*a));
    let Some(first) = leaving.iter().find(|f| f.boot_vga.known() == Some(&true)).or(leaving.first()) else {
        for address in assignment.devices() {
            let class = topology.function(address).map_or_else(String::new, |f| word(&f.class));
            findings.skip(address, format!("no screen can be at it (class {class})"));
        }
        return;
    };
    let others = assignment.devices().filter(|address| *address != first.address);
    others.for_each(|address| findings.skip(address, format!("told of with the display {}", first.address)));
    if let Some(stays) = stays {
        findings.fine(first.address, format!("the display {stays} stays with the host"));
        return;
    }
    let serial: Vec<&str> =
        topology.facts().kernel.words("console").filter(|word| !word.contains("=tty0")).collect();
    let finding = Finding::new(&RULE, Severity::Warns, first.address, "the host keeps no display of its own")
        .shown("/sys/bus/pci/devices", "no other function that a screen can be at stays with the host");
    if let [.., serial] = serial[..] {
        findings.push(Finding { severity: Severity::Notes, ..finding }.shown("/proc/cmdline", serial));
        return;
    }
    findings.push(
        finding
            .remedy(
                RemedyKind::HostChange,
                "add a serial console to the kernel command line: console=ttyS0,115200",
            )
            .remedy(RemedyKind::Hardware, "leave the host another display function, however small"),
    );
}

/// Whether a screen can be at the function: a VGA controller (class 0300), or another display with a connector. Compute cards
/// and the second chip of a laptop (0302, 0380) have none.
fn shows_a_picture(topology: &Topology, function: &FunctionFacts) -> bool {
    let Some(class) = function.class.known().filter(|class| class.base() == 0x03) else { return false };
    let screens = topology.facts().usage.attached.screens.known().map_or(&[][..], Vec::as_slice);
    class.base_and_sub() == 0x0300 || screens.iter().any(|screen| screen.function == Some(function.address))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:00:02.0 class=030000
        device 0000:01:00.0 class=030000 boot_vga
        device 0000:01:00.1 class=040300";

    #[test]
    fn the_only_display_is_warned_about() {
        let said = check_rule(&RULE, "device 0000:01:00.0 class=030000 boot_vga", "0000:01:00.0");
        assert_eq!(said, ["warns 0000:01:00.0: the host keeps no display of its own"]);
    }

    #[test]
    fn handing_over_every_display_counts_as_the_only_one() {
        let said = check_rule(&RULE, HOST, "0000:00:02.0 | 0000:01:00.0");
        assert_eq!(said, ["warns 0000:01:00.0: the host keeps no display of its own"]);
    }

    #[test]
    fn what_no_screen_can_be_at_is_no_display() {
        let laptop = "device 0000:00:02.0 class=030000 boot_vga\ndevice 0000:01:00.0 class=030200";
        assert_eq!(
            check_rule(&RULE, laptop, "0000:00:02.0"),
            ["warns 0000:00:02.0: the host keeps no display of its own"]
        );
        assert!(check_rule(&RULE, laptop, "0000:01:00.0").is_empty());
        assert!(check_rule(&RULE, "device 0000:3b:00.0 class=030200", "0000:3b:00.0").is_empty());
    }

    #[test]
    fn a_serial_console_makes_it_a_note() {
        let host = "device 0000:01:00.0 class=030000\ncmdline quiet console=tty0 console=ttyS0,115200";
        assert!(check_rule(&RULE, host, "0000:01:00.0")[0].starts_with("notes"));
    }

    #[test]
    fn a_second_display_that_stays_is_enough() {
        assert!(check_rule(&RULE, HOST, "0000:01:00.0 0000:01:00.1").is_empty());
    }
}
