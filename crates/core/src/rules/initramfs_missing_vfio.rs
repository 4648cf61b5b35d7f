//! `initramfs-missing-vfio`: ids are configured for vfio-pci in modprobe.d, and the boot did not heed them.

use super::vfio_ids;
use super::{Assignment, Finding, Findings, Page, RemedyKind, Rule, Severity, word};
use crate::facts::{ModuleName, ModuleState};
use crate::topology::Topology;

pub(super) const RULE: Rule = Rule {
    id: "initramfs-missing-vfio",
    page: Page {
        what: "modprobe.d tells vfio-pci to take this id, the host driver is a module, and after boot the host \
              driver has the function. Most likely the initramfs holds that driver, but neither vfio-pci nor the new \
              configuration.",
        why: "Graphics and storage drivers are loaded from the initramfs, an archive with its own copy of modprobe.d \
              from the time it was made. What was written since has no effect there.",
        fix: "Add vfio-pci to the initramfs and make it anew: update-initramfs -u (Debian), dracut -f (Fedora), \
              mkinitcpio -P (Arch), with vfio-pci before the graphics driver or a softdep in modprobe.d.",
        source: "initramfs-tools(7), dracut.modules(7), mkinitcpio.conf(5), modprobe.d(5); \
              drivers/vfio/pci/vfio_pci.c: vfio_pci_fill_ids",
    },
    predicts: &["driver-autobind-race", "device-not-bound"],
    check,
};

fn check(topology: &Topology, assignment: &Assignment, findings: &mut Findings) {
    let Some((parameter, entries)) = vfio_ids::configured(topology) else {
        findings.skip(super::Subject::Host, "vfio-pci was told no ids");
        return;
    };
    if !parameter.place.contains("modprobe.d") {
        findings.skip(super::Subject::Host, format!("the ids come from {}, not modprobe.d", parameter.place));
        return;
    }
    let modules = topology.facts().kernel.modules.known();
    for function in assignment.devices().filter_map(|device| topology.function(device)) {
        let Some(driver) = function.driver.known().filter(|d| !d.is_vfio()) else {
            findings.fine(function.address, format!("no host driver has it: {}", word(&function.driver)));
            continue;
        };
        let state = ModuleName::new(driver.as_str()).ok().and_then(|name| modules?.get(&name));
        if state != Some(&ModuleState::Loaded) || !entries.iter().any(|entry| entry.matches(function)) {
            let id = word(&function.id);
            let text = format!("{driver} is no loaded module, or ids={} does not name {id}", parameter.value);
            findings.skip(function.address, text);
            continue;
        }
        let address = function.address;
        findings.push(
            Finding::new(
                &RULE,
                Severity::Notes,
                address,
                format!("{driver} has it, although modprobe.d gives it to vfio-pci"),
            )
            .shown(parameter.place.clone(), format!("options vfio-pci ids={}", parameter.value))
            .shown(format!("/sys/bus/pci/devices/{address}/driver"), driver.to_string())
            .remedy(
                RemedyKind::HostChange,
                "put vfio-pci into the initramfs and make it anew (update-initramfs -u, dracut -f)",
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::check_rule;
    use super::*;

    const HOST: &str = "device 0000:01:00.0 class=030000 id=10de:1c03 driver=nouveau
        module nouveau loaded
        configured /etc/modprobe.d/vfio.conf vfio_pci.ids=10de:1c03,10de:10f1";

    #[test]
    fn ids_that_the_boot_did_not_heed_are_noted() {
        let said = check_rule(&RULE, HOST, "0000:01:00.0");
        assert_eq!(said, ["notes 0000:01:00.0: nouveau has it, although modprobe.d gives it to vfio-pci"]);
    }

    #[test]
    fn ids_that_were_heeded_are_quiet() {
        assert!(
            check_rule(&RULE, &HOST.replace("driver=nouveau", "driver=vfio-pci"), "0000:01:00.0").is_empty()
        );
    }

    #[test]
    fn ids_on_the_command_line_are_left_to_their_own_rule() {
        let host = HOST.replace("configured /etc/modprobe.d/vfio.conf", "param");
        assert!(check_rule(&RULE, &host, "0000:01:00.0").is_empty());
    }
}
