//! `host-driver-in-use`: a process uses the device through its host driver, and unbinding would wait for it.

use super::{
    Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, Subject, cannot_know, fault, word,
};
use crate::facts::FunctionFacts;
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "host-driver-in-use",
    page: Page {
        what: "Unbinding hangs or the driver crashes: \"NVRM: Attempting to remove device … with non-zero usage \
              count!\". A compositor, nvidia-persistenced, a sound server or a compute job has the device open.",
        why: "Writing to unbind waits in the driver until its last user is gone. The NVIDIA driver waits for good; \
              graphics drivers of the kernel let go but leave their users without a device.",
        fix: "Stop the display manager and other users first (fuser -v /dev/nvidia* /dev/dri/* /dev/snd/*), or let \
              vfio-pci take the device at boot, before anyone opens it.",
        source: "drivers/base/dd.c: device_release_driver_internal; drivers/gpu/drm/drm_drv.c: drm_dev_unplug; \
              NVIDIA open-gpu-kernel-modules kernel-open/nvidia/nv-pci.c: nv_pci_remove",
    },
    predicts: &["host-driver-in-use"],
    check,
};

/// Device nodes by which a class of functions is used.
fn nodes(function: &FunctionFacts) -> &'static [&'static str] {
    let driver = function.driver.known().map_or("", |driver| driver.as_str());
    match (driver, function.class.known().map(|class| class.base())) {
        ("nvidia", _) => &["/dev/nvidia", "/dev/dri/"],
        (_, Some(0x03)) => &["/dev/dri/", "/dev/kfd"],
        (_, Some(0x04)) => &["/dev/snd/"],
        _ => &[],
    }
}

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let handles = &topology.facts().usage.open_handles;
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let address = function.address;
        let Some(driver) = function.driver.known().filter(|d| !d.is_vfio()) else {
            findings.skip(address, format!("no host driver has it: {}", word(&function.driver)));
            continue;
        };
        let nodes = nodes(function);
        if nodes.is_empty() {
            let text = format!(
                "processes do not use {driver} by nodes of its own (class {})",
                word(&function.class)
            );
            findings.skip(address, text);
            continue;
        }
        let held = topology.facts().usage.held();
        // A node that is known to be another function's is not this one's, whatever its class.
        let users: Vec<_> = held
            .filter(|held| held.function.is_none_or(|other| other == address))
            .filter(|held| nodes.iter().any(|node| held.path.starts_with(node)))
            .collect();
        if users.is_empty() && handles.is_unreadable() && driver.as_str() == "nvidia" {
            let needs = "whether a process has the graphics card open, which unbinding would wait for";
            findings.push(cannot_know(Subject::Device(address), needs, fault(handles)));
            continue;
        }
        let Some(first) = users.first() else {
            let whole =
                if handles.known().is_some() { "every process" } else { "the processes that could be read" };
            findings.fine(address, format!("of {whole}, none has {} open", nodes.join("* or ")));
            continue;
        };
        let summary =
            format!("{} (process {}) and others may have it open through {driver}", first.name, first.pid);
        let summary = if users.len() == 1 { summary.replace(" and others", "") } else { summary };
        let finding = Finding::new(&RULE, Severity::Warns, address, summary);
        let finding = users.iter().take(8).fold(finding, |finding, user| {
            finding.shown(format!("/proc/{}/fd ({})", user.pid, user.name), user.path.clone())
        });
        findings.push(
            finding.remedy(RemedyKind::HostChange, "stop what uses the device before it is handed over"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000 driver=nvidia
        device 0000:03:00.0 class=010802 driver=nvme
        holds 812 Xorg /dev/nvidia0";

    #[test]
    fn an_open_graphics_card_is_warned_about() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0");
        assert_eq!(said, ["warns 0000:01:00.0: Xorg (process 812) may have it open through nvidia"]);
    }

    #[test]
    fn what_nobody_looked_for_is_noted_where_it_would_hang() {
        let host = HOST.replace("holds 812 Xorg /dev/nvidia0", "unread handles");
        assert!(check_rule(&RULE, &host, "0000:01:00.0")[0].starts_with("notes 0000:01:00.0: cannot tell"));
        assert!(check_rule(&RULE, &host, "0000:03:00.0").is_empty());
    }

    #[test]
    fn a_card_that_left_its_host_driver_is_quiet() {
        assert!(
            check_rule(&RULE, &HOST.replace("driver=nvidia", "driver=vfio-pci"), "0000:01:00.0").is_empty()
        );
    }
}
