//! The IOMMU in a kernel log: in use or not, whose, interrupt remapping, reserved ranges, groups.
//!
//! What decides and what misleads. In use: a function was put into a group (`drivers/iommu/iommu.c:
//! iommu_group_add_device`), or the driver's last word of success. A parameter (`DMAR: IOMMU enabled` only echoes
//! `intel_iommu=on`: `intel/iommu.c: intel_iommu_setup`), a parsed table (`DMAR: DRHD base …`), `Default domain type` and
//! `DMAR-IR` lines prove nothing of it. Not in use: the driver says so, or a log that holds a whole boot has no word of
//! success. A log that begins late or ends early leaves open what it does not say, but that what was begun without a word of
//! failure went on.

use std::collections::BTreeSet;

use super::LOG;
use super::reserved::{self, Ranges};
use crate::facts::line::{about_function, full_address};
use crate::facts::{Fact, Facts, FunctionFacts, GroupId, IommuVendor, Switch};
use crate::pci::PciAddress;

/// Words that come only once the IOMMU's initcall is over (`rootfs_initcall(pci_iommu_init)`): initcalls of levels 6 and
/// 7, and user space.
const LATE: [&str; 26] = [
    "PCI-DMA: Using software bounce buffering",
    "Trying to unpack rootfs image",
    "Unpacking initramfs",
    "Freeing initrd memory",
    "Freeing unused kernel",
    "Write protecting the kernel",
    "Run /init as init process",
    "Run /sbin/init as init process",
    "Serial: 8250/16550 driver",
    "workingset: timestamp_bits",
    "io scheduler ",
    "Key type asymmetric registered",
    "usbcore: registered new interface driver usb-storage",
    "i8042: ",
    "rtc_cmos ",
    "scsi host",
    "scsi0 :",
    "ata1: ",
    "nvme nvme0: ",
    "clk: Disabling unused clocks",
    "ALSA device list:",
    "VFS: Mounted root",
    "systemd[1]: ",
    "EXT4-fs (",
    "XFS (",
    "BTRFS: device ",
];

/// Words that come before anything else of interest.
const EARLY: [&str; 5] = [
    "Linux version ",
    "Command line: ",
    "BIOS-provided physical RAM map:",
    "Booting Linux on physical CPU",
    "KERNEL supported cpus:",
];

/// Words of success. Intel: the end of `intel_iommu_init`. AMD: `print_iommu_info` after all units are enabled; before Linux
/// 3.x `enable_iommus` named each, by another name before 2.6.32. A fault (`intel/dmar.c: dmar_fault_do_one`,
/// `amd/iommu.c: iommu_print_event`) and a device that is mapped (`intel/iommu.c: iommu_need_mapping`, Linux 4.x to 5.8) need
/// translation at work. Xen: `xen/drivers/passthrough/iommu.c: iommu_setup`, and with `iommu=verbose`
/// `vtd/iommu.c: iommu_enable_translation`; each unit of AMD's is found by [`is_unit_enabled`].
const ON: [&str; 10] = [
    "Intel(R) Virtualization Technology for Directed I/O",
    "AMD-Vi: Found IOMMU ",
    "AMD-Vi: Enabling IOMMU at ",
    "AMD IOMMU: Enabling IOMMU at ",
    "AMD-Vi: Initialized for Passthrough Mode",
    "AMD-Vi: Event logged [IO_PAGE_FAULT",
    "DMAR: 32bit DMA uses non-identity mapping",
    "DMAR: Using iommu dma mapping",
    "I/O virtualisation enabled",
    "[VT-D]iommu_enable_translation: iommu->reg",
];

/// Words that come when nobody has switched the IOMMU off. Intel: `intel/iommu.c: intel_iommu_init` behind the test of
/// `dmar_disabled`, and `init_dmars`, which says so if it fails; the graphics driver asks whether its device is mapped
/// (`i915_utils.c: i915_vtd_active`). AMD: `amd/init.c: amd_iommu_init_pci`, and the counters of a unit that it has set up
/// (`arch/x86/events/amd/iommu.c: init_one_iommu`).
const BEGUN: [&str; 15] = [
    "DMAR: No RMRR found",
    "DMAR: No ATSR found",
    "DMAR: No SATC found",
    "Setting RMRR:",
    "sing Queued invalidation",
    "sing Register based invalidation",
    "Setting identity map ",
    "ardware identity mapping for device ",
    "oftware identity mapping for device ",
    "VT-d active for gfx access",
    "DMAR active, disabling use of stolen memory",
    "AMD-Vi: Extended features",
    "AMD-Vi: Interrupt remapping enabled",
    "AMD-Vi: IOMMU performance counters supported",
    "Detected AMD IOMMU #",
];

/// What Intel's driver says behind its name when it gives up (`intel/dmar.c: dmar_table_init`, `intel/iommu.c:
/// intel_iommu_setup, intel_iommu_init`).
const REFUSED: [&str; 7] = [
    "IOMMU disabled",
    "disabled",
    "Initialization failed",
    "dmar init failed",
    "No DMAR devices found",
    "Parse DMAR table failure",
    "parse DMAR table failure",
];

/// Other words of failure: `amd/init.c: state_next, early_amd_iommu_init` and, before 2.6.32, `amd_iommu_init`; Xen; and
/// a unit that is not where the table says it is, after which Intel's driver is not started (`intel/dmar.c:
/// dmar_validate_one_drhd, detect_intel_iommu`).
const OFF: [&str; 6] = [
    "AMD-Vi: Disable IOMMU on Stoney Ridge",
    "IOMMU not currently supported when SME is active",
    "AMD IOMMU disabled",
    "I/O virtualisation disabled",
    "(XEN) AMD-Vi: Error initialization",
    "Your BIOS is broken; DMAR reported at address",
];

#[derive(Debug, Default)]
pub(super) struct State {
    on: Option<String>,
    /// A word that comes when nobody has switched the IOMMU off, before it is known whether it can be started.
    begun: Option<String>,
    off: Option<String>,
    remapping: Option<(Switch, String)>,
    hints: BTreeSet<Hint>,
    began: bool,
    late: bool,
    x86: bool,
    /// Whether this Linux runs where a hypervisor has the IOMMU, and shows it none.
    under_xen: bool,
    /// Whether a unit of Intel's was found, and whether drivers were loaded later: AMD's IOMMUv2 module says so by words that
    /// whoever looks for IOMMUs finds.
    unit: bool,
    modules: bool,
    no_iommu: BTreeSet<PciAddress>,
    ranges: Ranges,
    /// What the kernel says against the firmware's table.
    broken: Vec<String>,
}

/// Whom the log speaks of, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    Intel,
    Amd,
    Smmu,
    Virtio,
    Power,
    Gart,
    IntelParameter,
    AmdParameter,
}

impl State {
    /// Takes one message; says what was expected if it should have been understood and was not.
    pub(super) fn line(&mut self, facts: &mut Facts, message: &str) -> Option<&'static str> {
        self.progress(message);
        if let Some(expected) = self.group(facts, message) {
            return Some(expected);
        }
        self.state(message);
        self.parameters(message);
        self.vendor(facts, message);
        self.remapping(message);
        self.broken(message);
        reserved::refused(facts, message);
        self.ranges.line(facts, message)
    }

    fn progress(&mut self, message: &str) {
        self.began |= EARLY.iter().any(|words| message.starts_with(words));
        self.late |= LATE.iter().any(|words| message.starts_with(words));
        self.unit |= message.contains("reg_base_addr");
        self.modules |= message.starts_with("AMD IOMMUv2 ");
        self.x86 |= ["BIOS-e820", "BIOS-provided physical RAM map", "x86/", "smpboot:", "e820:"]
            .iter()
            .any(|words| message.starts_with(words));
    }

    /// `pci 0000:00:02.0: Adding to iommu group 0` (Linux 5.3 and later), `iommu: Adding device 0000:00:02.0 to group 0`
    /// (before).
    fn group(&mut self, facts: &mut Facts, message: &str) -> Option<&'static str> {
        let (address, rest) = if let Some((head, rest)) = message.split_once(": Adding to iommu group ") {
            let word = head.rsplit(' ').next().unwrap_or_default();
            (full_address(word), rest)
        } else if let Some(rest) = message.strip_prefix("iommu: Adding device ") {
            let (device, rest) = rest.split_once(" to group ")?;
            (full_address(device), rest)
        } else {
            if message.contains("Adding kernel taint for vfio-noiommu group") {
                self.no_iommu.extend(about_function(message).map(|about| about.address));
            }
            return None;
        };
        let number = rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse().ok());
        let Some(number) = number else { return Some("expected the number of an IOMMU group") };
        match address {
            Some(address) => {
                let function =
                    facts.functions.entry(address).or_insert_with(|| FunctionFacts::untold(address, LOG));
                function.group = Fact::Known(GroupId(number));
            }
            // Another bus's device; its group shows that an IOMMU is at work all the same.
            None => {
                self.on.get_or_insert_with(|| message.to_owned());
            }
        }
        None
    }

    fn state(&mut self, message: &str) {
        let has = |words: &[&str]| words.iter().any(|words| message.contains(words));
        let fault = (message.contains("DMAR:[DMA ") || message.contains("DMAR: [DMA "))
            && message.contains("fault addr");
        if fault || has(&ON) || is_unit_enabled(message) {
            self.on.get_or_insert_with(|| message.to_owned());
        }
        if has(&BEGUN) {
            self.begun.get_or_insert_with(|| message.to_owned());
        }
        let intel = ["DMAR:", "Intel-IOMMU:", "IOMMU:"].iter().find_map(|head| message.strip_prefix(head));
        let refused =
            intel.is_some_and(|rest| REFUSED.iter().any(|words| rest.trim_start().starts_with(words)));
        if refused || has(&OFF) {
            self.off.get_or_insert_with(|| message.to_owned());
        }
        // `arch/x86/xen/enlighten.c: xen_hvm_guest_init` names its machines otherwise: those have no IOMMU of their own.
        let xen = message.strip_prefix("Booting paravirtualized kernel ");
        self.under_xen |= xen
            .is_some_and(|rest| rest.contains("on Xen") && !rest.trim_end().ends_with("HVM"))
            || message.starts_with("Xen version: ");
    }

    /// `iommu=off` (`arch/x86/kernel/pci-dma.c: iommu_setup`), the drivers' own, and `intremap=off`, of which the last counts.
    /// A driver that firmware or tboot forces on says so, and that outweighs them.
    fn parameters(&mut self, message: &str) {
        let line =
            ["Kernel command line: ", "Command line: "].iter().find_map(|head| message.strip_prefix(head));
        let Some(line) = line else { return };
        let off = |names: &[&str]| {
            let mut told = line.split_ascii_whitespace().filter_map(|word| {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                names.contains(&name).then_some((value, word))
            });
            told.next_back()
                .filter(|(value, _)| value.split(',').any(|value| value == "off"))
                .map(|(_, word)| word)
        };
        if let Some(word) = ["iommu", "intel_iommu", "amd_iommu"].iter().find_map(|name| off(&[name])) {
            self.off.get_or_insert_with(|| word.to_owned());
        }
        if let Some(word) = off(&["intremap"]) {
            self.remapping.get_or_insert_with(|| (Switch::Off, word.to_owned()));
        }
    }

    fn vendor(&mut self, facts: &mut Facts, message: &str) {
        let starts = |words: &str| message.starts_with(words);
        let table = |name: &str| {
            message.strip_prefix("ACPI: ").is_some_and(|rest| {
                rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(" 0x") || rest.starts_with(" 00"))
            })
        };
        for name in ["DMAR", "IVRS", "IORT", "VIOT"] {
            if table(name) && !facts.iommu.tables.iter().any(|known| known == name) {
                facts.iommu.tables.push(name.to_owned());
            }
        }
        // The IOMMUv2 module says on every host without AMD's that there is none.
        let about_v2 = message.contains("AMD IOMMUv2");
        let hint = if table("DMAR")
            || starts("DMAR: ")
            || starts("DMAR:")
            || starts("DMAR-IR: ")
            || starts("dmar: ")
            || starts("Intel-IOMMU: ")
            || starts("IOMMU: ")
            || message.contains("Intel VT-d iommu ")
            || message.contains("Intel VT-d Interrupt Remapping ")
            || message.contains("[VT-D]")
            || message.contains("Your BIOS is broken; DMAR reported")
        {
            Hint::Intel
        } else if table("IVRS")
            || (message.contains("AMD-Vi: ") && !about_v2)
            || starts("AMD IOMMU: ")
            || starts("AMD IOMMU disabled")
            || message.contains("Detected AMD IOMMU #")
        {
            Hint::Amd
        } else if starts("arm-smmu") {
            Hint::Smmu
        } else if starts("virtio_iommu ") || table("VIOT") {
            Hint::Virtio
        } else if starts("IOMMU table initialized")
            || starts("pnv-pci")
            || starts("pci_bus ") && message.contains("Configuring PE for bus")
        {
            Hint::Power
        } else if starts("PCI-DMA: using GART IOMMU")
            || message.contains("Please enable the IOMMU option in the BIOS setup")
        {
            Hint::Gart
        } else if starts("Kernel command line: ") || starts("Command line: ") {
            if message.contains(" intel_iommu=") {
                Hint::IntelParameter
            } else if message.contains(" amd_iommu=") {
                Hint::AmdParameter
            } else {
                return;
            }
        } else {
            return;
        };
        self.hints.insert(hint);
    }

    /// `intel/irq_remapping.c: intel_enable_irq_remapping` (with and without its head), `amd/init.c: print_iommu_info`.
    fn remapping(&mut self, message: &str) {
        let says = |words: &str| message.contains(words);
        // Xen's stamp, if it has one, is the kernel's, and is gone with what stood before it.
        let plain = message.strip_prefix("(XEN) ").unwrap_or(message);
        let xen = Some(plain).filter(|text| text.starts_with("Interrupt remapping "));
        let switch = if says("Enabled IRQ remapping in ")
            // Linux 2.6.28 to 2.6.39 (`arch/x86/kernel/apic/apic.c: enable_IR`).
            || message == "Enabled Interrupt-remapping"
            || says("AMD-Vi: Interrupt remapping enabled")
            || xen == Some("Interrupt remapping enabled")
            // A fault of the remapping hardware (`intel/dmar.c: dmar_fault_do_one`), whatever surrounds it.
            || says("INTR-REMAP") && says("fault index")
        {
            Switch::On
        } else if says("Failed to enable irq remapping")
            || says("Disabling interrupt remapping")
            || says("interrupt remapping is being disabled")
            || says("interrupt remapping will be disabled")
            || xen == Some("Interrupt remapping disabled")
            || says("Not enabling interrupt remapping")
            || says("Skipped enabling intr-remap")
            // VFIO asks when a group is attached (`drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group`).
            || says("No interrupt remapping support")
        {
            Switch::Off
        } else {
            return;
        };
        self.remapping = Some((switch, message.to_owned()));
    }

    /// `intel/dmar.c: warn_invalid_dmar, dmar_table_init, dmar_walk_remapping_entries`; `amd/init.c: check_ivrs_checksum`.
    fn broken(&mut self, message: &str) {
        const WORDS: [&str; 6] = [
            "Your BIOS is broken; DMAR reported",
            "Parse DMAR table failure",
            "No DRHD structure found in DMAR table",
            "Record passes table end",
            "IVRS table error",
            "IVRS invalid checksum",
        ];
        if self.broken.len() < WORDS.len() && WORDS.iter().any(|words| message.contains(words)) {
            self.broken.push(message.to_owned());
        }
    }

    pub(super) fn finish(mut self, facts: &mut Facts) {
        std::mem::take(&mut self.ranges).finish(facts);
        for address in &self.no_iommu {
            if let Some(function) = facts.functions.get_mut(address) {
                function.group = Fact::Absent;
            }
        }
        let grouped = facts.functions.values().find(|function| function.group.known().is_some());
        if let Some(function) = grouped {
            self.on.get_or_insert_with(|| format!("{}: Adding to iommu group", function.address));
        }
        let whole = self.began && self.late;
        let (state, words) = match (self.on, self.off) {
            (Some(words), _) => (Switch::On, words),
            (None, Some(words)) => (Switch::Off, words),
            (None, None) if self.under_xen => (
                Switch::Unknown,
                "Linux under Xen: the hypervisor has the IOMMU, and its log is not here".to_owned(),
            ),
            (None, None) if whole => (Switch::Off, "a whole boot without a function in a group".to_owned()),
            (None, None) if self.begun.is_none() && self.unit && self.modules => {
                (Switch::Off, "units were found, and modules loaded before any was started".to_owned())
            }
            (None, None) if self.begun.is_some() => (Switch::On, self.begun.unwrap_or_default()),
            (None, None) => (
                Switch::Unknown,
                "not a whole boot, and no word of an IOMMU that was started or refused".to_owned(),
            ),
        };
        facts.iommu.state = state;
        facts.iommu.evidence.push((LOG.to_owned(), words));
        facts.iommu.evidence.extend(self.broken.into_iter().map(|words| (LOG.to_owned(), words)));
        if let Some((switch, words)) = self.remapping {
            facts.iommu.interrupt_remapping = switch;
            facts.iommu.evidence.push((LOG.to_owned(), words));
        } else if whole && self.x86 && !self.under_xen {
            facts.iommu.interrupt_remapping = Switch::Off;
            let words = "a whole boot without a word of interrupt remapping";
            facts.iommu.evidence.push((LOG.to_owned(), words.to_owned()));
        }
        if state == Switch::Off {
            for function in facts.functions.values_mut().filter(|function| function.group.is_unreadable()) {
                function.group = Fact::Absent;
            }
        }
        facts.iommu.vendor = match self.hints.first() {
            Some(Hint::Intel | Hint::IntelParameter) => IommuVendor::Intel,
            Some(Hint::Amd | Hint::Gart | Hint::AmdParameter) => IommuVendor::Amd,
            Some(Hint::Smmu) => IommuVendor::Smmu,
            Some(Hint::Virtio) => IommuVendor::Virtio,
            Some(Hint::Power) => IommuVendor::Power,
            None if state == Switch::Off => IommuVendor::None,
            None => IommuVendor::Unknown,
        };
    }
}

/// `(XEN) AMD-Vi: IOMMU 0 Enabled.` (`xen/drivers/passthrough/amd/iommu_init.c: enable_iommu`).
fn is_unit_enabled(message: &str) -> bool {
    let unit = message.split_once("AMD-Vi: IOMMU ").and_then(|(_, rest)| rest.split_once(' '));
    unit.is_some_and(|(number, rest)| {
        rest.starts_with("Enabled") && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;
