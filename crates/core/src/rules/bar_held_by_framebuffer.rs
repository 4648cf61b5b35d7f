//! `bar-held-by-framebuffer`: the firmware's picture still owns a BAR of the function.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, by_vfio, cannot_know, fault,
    word,
};
use crate::facts::{Fact, FunctionFacts, MemoryClaim, Origin, SourceKind};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "bar-held-by-framebuffer",
    page: Page {
        what: "The host's boot framebuffer lies in a BAR of this display function. vfio-pci binds, the VM starts, \
              and the guest's driver finds a dead BAR: \"BAR N: can't reserve [mem …]\" again and again, \"Failed to \
              mmap … BAR N. Performance may be slow\".",
        why: "Firmware set up a picture, and the kernel claims its memory (BOOTFB, efifb, vesafb, simplefb). A \
              graphics driver of the kernel would evict that claim; vfio-pci does not, and reserves a BAR only when \
              it is first used.",
        fix: "Boot the host on another display function, let the card's own driver load before it is handed over, or \
              add initcall_blacklist=sysfb_init to the kernel command line. video=efifb:off does not reach newer \
              framebuffers.",
        source: "drivers/firmware/sysfb_simplefb.c: sysfb_create_simplefb; drivers/video/aperture.c; \
              drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_setup_barmap; /proc/iomem",
    },
    predicts: &["bar-held-by-framebuffer"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let claims = &topology.facts().platform.framebuffers;
    for (_, function) in by_vfio(topology, assignment, findings) {
        if function.class.known().is_none_or(|class| class.base() != 0x03) {
            findings.skip(function.address, format!("it is no display (class {})", word(&function.class)));
            continue;
        }
        let address = function.address;
        let held = claims
            .known()
            .into_iter()
            .flatten()
            .find_map(|claim| overlap(function, claim).map(|bar| (claim, bar)));
        if let Some((claim, bar)) = held {
            let text = format!("{:08x}-{:08x} : {}", claim.start, claim.end, claim.owner);
            let finding = Finding::new(
                &RULE,
                Severity::Blocks,
                address,
                format!("{} holds BAR {bar} for the host's picture", claim.owner),
            );
            findings.push(
                finding
                    .shown(place(topology), text)
                    .remedy(
                        RemedyKind::HostChange,
                        "add initcall_blacklist=sysfb_init to the kernel command line and reboot",
                    )
                    .remedy(
                        RemedyKind::Firmware,
                        "make another display function the first one in the firmware setup",
                    ),
            );
        } else if claims.is_unreadable() && may_hold(topology, function) {
            let needs = "whether the boot framebuffer holds a BAR of this display";
            findings.push(cannot_know(Subject::Device(address), needs, fault(claims)));
        } else if let Some(claims) = claims.known() {
            let text = format!("none of {} claims of boot framebuffers lies in its BARs", claims.len());
            findings.fine(address, text);
        } else {
            findings.fine(address, "it is not the boot display, or a graphics driver has it");
        }
    }
}

/// Where claims are told: a kernel log prints them when they are made.
fn place(topology: &Topology) -> &'static str {
    match topology.facts().origin {
        Origin::Saved { kind: SourceKind::Log, .. } => "kernel log",
        _ => "/proc/iomem",
    }
}

fn overlap(function: &FunctionFacts, claim: &MemoryClaim) -> Option<u8> {
    let resources = function.resources.known()?;
    let bars = resources.iter().filter(|r| r.index <= 5 && r.flags.is_memory() && r.start != 0);
    let meets = |r: &&crate::facts::Resource| {
        r.start <= claim.end && claim.start <= r.start.saturating_add(r.size.saturating_sub(1))
    };
    bars.into_iter().find(meets).map(|bar| bar.index)
}

/// Only the boot display, which may be any VGA where nothing tells, and only before a graphics driver of the kernel had it.
fn may_hold(topology: &Topology, function: &FunctionFacts) -> bool {
    let stub = function.driver.known().is_none_or(crate::facts::DriverName::is_vfio);
    let off = topology.facts().kernel.words("initcall_blacklist").any(|word| word.contains("sysfb_init"));
    let boot = match &function.boot_vga {
        Fact::Known(boot) => *boot,
        Fact::Absent => false,
        Fact::Unreadable(_) => function.class.known().is_some_and(|class| class.base_and_sub() == 0x0300),
    };
    boot && stub && !off
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str =
        "device 0000:01:00.0 class=030000 boot_vga driver=vfio-pci bars=1:e0000000:10000000:14220c
        device 0000:02:00.0 class=030000 bars=1:d0000000:10000000:14220c
        claim BOOTFB e0000000 e02fffff";

    #[test]
    fn a_picture_in_a_bar_blocks() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0 0000:02:00.0");
        assert_eq!(said, ["blocks 0000:01:00.0: BOOTFB holds BAR 1 for the host's picture"]);
    }

    #[test]
    fn without_root_the_boot_display_is_noted() {
        let host = HOST.replace("claim BOOTFB e0000000 e02fffff", "unread framebuffers");
        let said = check_rule(&RULE, &host, "0000:01:00.0 0000:02:00.0");
        assert_eq!(
            said,
            ["notes 0000:01:00.0: cannot tell: whether the boot framebuffer holds a BAR of this display"]
        );
        let host = format!("{host}\ncmdline initcall_blacklist=sysfb_init");
        assert!(check_rule(&RULE, &host, "0000:01:00.0").is_empty());
    }

    #[test]
    fn a_vga_of_which_nothing_tells_whether_it_is_the_boot_display_may_be_it() {
        let host = "device 0000:01:00.0 class=030000 unread=boot_vga driver=vfio-pci\nunread framebuffers";
        assert_eq!(check_rule(&RULE, host, "0000:01:00.0").len(), 1);
        assert!(check_rule(&RULE, &host.replace("vfio-pci", "amdgpu"), "0000:01:00.0").is_empty());
        assert!(check_rule(&RULE, &host.replace("030000", "030200"), "0000:01:00.0").is_empty());
    }

    #[test]
    fn a_native_driver_has_evicted_it() {
        let host = HOST
            .replace("claim BOOTFB e0000000 e02fffff", "unread framebuffers")
            .replace("vfio-pci", "amdgpu");
        assert!(check_rule(&RULE, &host, "0000:01:00.0").is_empty());
    }
}
