//! Devices that the log itself shows to be passed to a VM.
//!
//! A machine prints lines of one kind about all its devices. Where it says which of them VFIO or Xen has, a line about a
//! device on another bus tells nothing of the passthrough: an IOMMU reports the requester ID of who asked for the DMA, which is
//! the passed function, a sibling in its slot or the bridge in front of it (`<bus>:00.0`, PCIe to PCI Bridge 1.0, 2.3).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::scan::{Scan, Seen, build};
use crate::pci::PciAddress;

/// Rows that a host prints with the requester's address, and that guests do not print of devices passed to them.
const BY_REQUESTER: &[&str] = &[
    "dma-fault-intel",
    "dma-fault-amd",
    "dma-fault-smmu",
    "ats-timeout-intel",
    "ats-timeout-amd",
    "aer-norecover",
];

/// What stands before the address of a passed device: a driver of VFIO's or Xen's in the kernel's log, or an option of QEMU's or
/// Proxmox VE's.
const BEFORE: &str = r"(?:\b(?:vfio-pci|vfio|pciback|xen-pciback|pci-stub) |vfio-pci,host=|hostpci\d+: ?|host=)(?P<device>(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\b";

/// Buses with a device that VFIO or Xen is seen to have.
#[derive(Debug, Default)]
pub(super) struct Passed {
    buses: BTreeSet<(u32, u8)>,
}

impl Passed {
    /// Reads them from the lines that were kept.
    pub(super) fn of(scan: &Scan) -> Self {
        static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| build(BEFORE).ok());
        let Some(regex) = REGEX.as_ref() else { return Self::default() };
        let mut buses = BTreeSet::new();
        for hit in scan.hits() {
            let text = hit.text.to_ascii_lowercase();
            let found = regex.captures_iter(text.as_bytes()).filter_map(|found| found.name("device"));
            let addresses = found.filter_map(|address| std::str::from_utf8(address.as_bytes()).ok());
            buses.extend(addresses.filter_map(|text| text.parse().ok()).map(bus));
        }
        Self { buses }
    }

    /// Whether all lines kept of the row called `id` name devices of other buses.
    pub(super) fn is_beside(&self, id: &str, seen: &Seen) -> bool {
        !self.buses.is_empty()
            && BY_REQUESTER.contains(&id)
            && seen.hits.iter().all(|hit| {
                !hit.devices.is_empty()
                    && !hit.devices.iter().any(|device| self.buses.contains(&bus(*device)))
            })
    }
}

fn bus(device: PciAddress) -> (u32, u8) {
    (device.domain(), device.bus())
}

#[cfg(test)]
mod tests {
    use crate::diagnose::{Input, Verdict, diagnose};

    const PASSED: &str = "[ 9.1] vfio-pci 0000:0b:00.0: vfio_ecap_init: hiding ecap 0x19@0x270\n";

    fn fault(faults: &str) -> Option<&'static str> {
        let log = format!("{PASSED}{faults}");
        let diagnosis = diagnose(&[Input { name: "-", bytes: log.as_bytes() }]);
        (diagnosis.verdict == Verdict::Fault).then(|| diagnosis.findings[0].cause.id)
    }

    #[test]
    fn a_requester_on_another_bus_tells_nothing_of_the_passed_device() {
        let read = "[ 9.2] DMAR: [DMA Read] Request device [00:12.0] fault addr 0 [fault reason 05] PTE Write access is not set";
        assert_eq!(fault(read), None);
        assert_eq!(fault(&read.replace("00:12.0", "0b:00.1")), Some("dma-fault-sibling"));
    }

    #[test]
    fn one_on_its_bus_among_others_counts() {
        let line = |device: &str| {
            format!(
                "[ 9.2] AMD-Vi: Event logged [IO_PAGE_FAULT device={device} domain=0x0012 address=0xff6101b0 flags=0x0070]\n"
            )
        };
        assert_eq!(fault(&line("05:00.0")), None);
        assert_eq!(fault(&(line("05:00.0") + &line("0b:00.1"))), Some("dma-fault-sibling"));
    }
}
