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
use crate::facts::line::{about_function, full_address};
use crate::facts::{Fact, Facts, FunctionFacts, GroupId, IommuVendor, ReservedKind, ReservedRegion, Switch};
use crate::pci::PciAddress;

/// The most reserved ranges that a log is believed to have.
const MOST_REGIONS: usize = 4096;

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
    no_iommu: BTreeSet<PciAddress>,
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
        self.vendor(facts, message);
        self.remapping(message);
        if facts.iommu.reserved.len() >= MOST_REGIONS {
            return None;
        }
        rmrr(facts, message).or_else(|| identity_map(facts, message)).or_else(|| ivmd(facts, message))
    }

    fn progress(&mut self, message: &str) {
        self.began |= EARLY.iter().any(|words| message.starts_with(words));
        self.late |= LATE.iter().any(|words| message.starts_with(words));
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
        let says = |words: &str| message.contains(words);
        // Intel: the end of intel_iommu_init. AMD: print_iommu_info after all units are enabled; before Linux 3.x
        // enable_iommus named each. A fault (`intel/dmar.c: dmar_fault_do_one`, `amd/iommu.c: iommu_print_event`) and a
        // device that is mapped (`intel/iommu.c: iommu_need_mapping`, Linux 4.x to 5.8) need translation at work.
        let on = says("Intel(R) Virtualization Technology for Directed I/O")
            || says("AMD-Vi: Found IOMMU ")
            || says("AMD-Vi: Enabling IOMMU at ")
            || says("AMD-Vi: Initialized for Passthrough Mode")
            || says("AMD-Vi: Event logged [IO_PAGE_FAULT")
            || says("DMAR:[DMA ") && says("fault addr")
            || says("DMAR: [DMA ") && says("fault addr")
            || says("DMAR: 32bit DMA uses non-identity mapping")
            || says("DMAR: Using iommu dma mapping")
            || says("(XEN) I/O virtualisation enabled");
        if on {
            self.on.get_or_insert_with(|| message.to_owned());
        }
        // `intel/iommu.c: intel_iommu_init` behind the test of `dmar_disabled`, and `init_dmars`, which says so if it fails.
        let begun = ["DMAR: No RMRR found", "DMAR: No ATSR found", "DMAR: No SATC found", "Setting RMRR:"]
            .iter()
            .any(|words| says(words))
            || says("sing Queued invalidation")
            || says("sing Register based invalidation")
            || says("Setting identity map ")
            // The graphics driver asks whether its device is mapped (`i915_utils.c: i915_vtd_active`).
            || says("VT-d active for gfx access")
            || says("DMAR active, disabling use of stolen memory");
        if begun {
            self.begun.get_or_insert_with(|| message.to_owned());
        }
        let intel = ["DMAR: ", "Intel-IOMMU: ", "IOMMU: "].iter().any(|head| message.starts_with(head));
        let off = intel
            && [
                "IOMMU disabled",
                "disabled",
                "Initialization failed",
                "dmar init failed",
                "No DMAR devices found",
                "Parse DMAR table failure",
            ]
            .iter()
            .any(|words| message.split_once(": ").is_some_and(|(_, rest)| rest.starts_with(words)))
            || says("AMD-Vi: Disable IOMMU on Stoney Ridge")
            || says("IOMMU not currently supported when SME is active")
            || says("AMD-Vi: AMD IOMMU disabled on kernel command-line")
            || says("(XEN) I/O virtualisation disabled")
            || says("(XEN) AMD-Vi: Error initialization");
        if off {
            self.off.get_or_insert_with(|| message.to_owned());
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
            || starts("(XEN) Intel VT-d ")
            || starts("(XEN) [VT-D]")
        {
            Hint::Intel
        } else if table("IVRS") || (message.contains("AMD-Vi: ") && !about_v2) {
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
        let switch = if says("Enabled IRQ remapping in ")
            // Linux 2.6.28 to 2.6.39 (`arch/x86/kernel/apic/apic.c: enable_IR`).
            || message == "Enabled Interrupt-remapping"
            || says("AMD-Vi: Interrupt remapping enabled")
            || says("(XEN) Interrupt remapping enabled")
        {
            Switch::On
        } else if says("Failed to enable irq remapping")
            || says("AMD-Vi: Disabling interrupt remapping")
            || says("interrupt remapping is being disabled")
            || says("interrupt remapping will be disabled")
            || says("(XEN) Interrupt remapping disabled")
        {
            Switch::Off
        } else {
            return;
        };
        self.remapping = Some((switch, message.to_owned()));
    }

    pub(super) fn finish(mut self, facts: &mut Facts) {
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
            (None, None) if whole => (Switch::Off, "a whole boot without a function in a group".to_owned()),
            (None, None) if self.begun.is_some() => (Switch::On, self.begun.unwrap_or_default()),
            (None, None) => (
                Switch::Unknown,
                "not a whole boot, and no word of an IOMMU that was started or refused".to_owned(),
            ),
        };
        facts.iommu.state = state;
        facts.iommu.evidence.push((LOG.to_owned(), words));
        if let Some((switch, words)) = self.remapping {
            facts.iommu.interrupt_remapping = switch;
            facts.iommu.evidence.push((LOG.to_owned(), words));
        } else if whole && self.x86 {
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

fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// `DMAR: RMRR base: 0x0000007f22d000 end: 0x0000007f23bfff` (`dmar.c: dmar_table_print_dmar_entry`).
fn rmrr(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let (head, rest) = message.split_once("RMRR base: ")?;
    if !head.trim_end().trim_end_matches(':').eq_ignore_ascii_case("dmar") {
        return None;
    }
    let mut words = rest.split_ascii_whitespace();
    let range = match (words.next(), words.next(), words.next()) {
        (Some(start), Some("end:"), Some(end)) => hex(start).zip(hex(end)),
        _ => None,
    };
    let Some((start, end)) = range else { return Some("expected RMRR base: 0x… end: 0x…") };
    region(facts, ReservedKind::Rmrr, start, end);
    None
}

/// `DMAR: Setting identity map for device 0000:00:1d.0 [0xdacd5000 - 0xdacebfff]` (`IOMMU:` before Linux 4.1), and in 5.2
/// `pci 0000:00:1d.0: DMAR: Setting identity map [0x… - 0x…]`; later kernels print nothing. A range that is no RMRR is the
/// one for the floppy controller behind the LPC bridge.
fn identity_map(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let (head, rest) = message.split_once("Setting identity map ")?;
    let before = || {
        let head = head.trim_end().trim_end_matches("DMAR:").trim_end();
        head.rsplit(' ').next().unwrap_or_default().trim_end_matches(':')
    };
    let parsed = rest.split_once('[').and_then(|(device, range)| {
        let (start, end) = range.split(']').next()?.split_once('-')?;
        let device = device.strip_prefix("for device ").map_or_else(before, str::trim);
        Some((full_address(device)?, hex(start.trim())?, hex(end.trim())?))
    });
    let Some((address, start, end)) = parsed else {
        return Some("expected identity map for device DDDD:BB:DD.F [0x… - 0x…]");
    };
    let known = |region: &ReservedRegion| (region.start, region.end) == (start, end);
    if !facts.iommu.reserved.iter().any(known) {
        region(facts, ReservedKind::Direct, start, end);
    }
    if let Some(region) = facts.iommu.reserved.iter_mut().find(|region| known(region))
        && !region.devices.contains(&address)
    {
        region.devices.push(address);
    }
    None
}

/// `IVMD_TYPE_RANGE devid_start: 0000:03:00.0 devid_end: 0000:03:00.7 range_start: … range_end: … flags: 7`, with
/// `amd_iommu_dump` (`amd/init.c: init_unity_map_range`); without the segment before Linux 6.0.
fn ivmd(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let (_, rest) = message.split_once("IVMD_TYPE")?;
    let field = |name: &str| rest.split_once(name)?.1.split_ascii_whitespace().next();
    let range = field("range_start: ").and_then(hex).zip(field("range_end: ").and_then(hex));
    let ids = field("devid_start: ").zip(field("devid_end: "));
    let (Some((start, end)), Some((first, last))) = (range, ids) else {
        return Some("expected the range of an IVMD");
    };
    // The printed end is the first byte behind the range.
    region(facts, ReservedKind::Ivmd, start, end.saturating_sub(1));
    let devices: Vec<PciAddress> =
        if first == last { first.parse().into_iter().collect() } else { Vec::new() };
    if let Some(region) = facts.iommu.reserved.last_mut() {
        region.devices = devices;
    }
    None
}

fn region(facts: &mut Facts, kind: ReservedKind, start: u64, end: u64) {
    let there = |region: &ReservedRegion| (region.kind, region.start, region.end) == (kind, start, end);
    if start <= end && !facts.iommu.reserved.iter().any(there) {
        facts.iommu.reserved.push(ReservedRegion { kind, start, end, devices: Vec::new() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_log;
    use super::*;

    const START: &str = "Linux version 6.1.0 (x)\nBIOS-provided physical RAM map:\n";
    const END: &str = "Freeing unused kernel image (initmem) memory: 1K\n";

    fn read(middle: &str) -> Facts {
        from_log(&format!("{START}{middle}{END}"), "test")
    }

    #[test]
    fn parameter_and_table_prove_nothing() {
        let facts = read(
            "DMAR: IOMMU enabled\nDMAR: DRHD base: 0x000000fed90000 flags: 0x0\niommu: Default domain type: Translated\n",
        );
        assert_eq!((facts.iommu.state, facts.iommu.vendor), (Switch::Off, IommuVendor::Intel));
        assert_eq!(facts.iommu.interrupt_remapping, Switch::Off);
    }

    #[test]
    fn failure_after_enabled_is_off() {
        let facts = from_log("DMAR: IOMMU enabled\nDMAR: Initialization failed\n", "test");
        assert_eq!(facts.iommu.state, Switch::Off);
        assert_eq!(facts.iommu.interrupt_remapping, Switch::Unknown);
    }

    #[test]
    fn fragment_without_word_is_unknown() {
        let facts = from_log("pci 0000:00:02.0: [8086:1234] type 00 class 0x030000\n", "test");
        assert_eq!((facts.iommu.state, facts.iommu.vendor), (Switch::Unknown, IommuVendor::Unknown));
        assert!(facts.functions.values().all(|function| function.group.is_unreadable()));
    }

    #[test]
    fn groups_of_old_kernels_are_read() {
        let facts = read(
            "iommu: Adding device 0000:00:1f.2 to group 7\niommu: Adding device 0000:00:1f.3 to group 7\n",
        );
        let groups: Vec<_> = facts.functions.values().map(|function| function.group.clone()).collect();
        assert_eq!(groups, [Fact::Known(GroupId(7)), Fact::Known(GroupId(7))]);
        assert_eq!(facts.iommu.state, Switch::On);
    }

    #[test]
    fn group_without_iommu_protects_from_nothing() {
        let facts = read(
            "vfio-pci 0000:01:00.0: Adding to iommu group 0\nvfio-pci 0000:01:00.0: Adding kernel taint for vfio-noiommu group on device\n",
        );
        assert_eq!(facts.iommu.state, Switch::Off);
    }

    #[test]
    fn second_boot_in_a_log_counts() {
        let first = "DMAR: Intel(R) Virtualization Technology for Directed I/O\npci 0000:00:02.0: Adding to iommu group 0\n";
        let facts = from_log(&format!("{START}{first}{END}{START}{END}"), "test");
        assert_eq!(facts.iommu.state, Switch::Off);
        assert!(facts.functions.is_empty());
    }

    #[test]
    fn identity_maps_name_the_devices_of_an_rmrr() {
        let facts = read(
            "DMAR: RMRR base: 0x000000dacd5000 end: 0x000000dacebfff\nIOMMU: Setting identity map for device 0000:00:1d.0 [0xdacd5000 - 0xdacebfff]\npci 0000:00:1f.0: DMAR: Setting identity map [0x0 - 0xffffff]\n",
        );
        let seen: Vec<_> =
            facts.iommu.reserved.iter().map(|r| (r.kind, r.start, r.end, r.devices.len())).collect();
        assert_eq!(
            seen,
            [(ReservedKind::Rmrr, 0xdacd_5000, 0xdace_bfff, 1), (ReservedKind::Direct, 0, 0xff_ffff, 1)]
        );
    }

    #[test]
    fn words_that_need_translation_show_it_in_a_fragment() {
        for words in [
            "DMAR: [DMA Read] Request device [03:00.0] fault addr 7f61e000 [fault reason 06] PTE Read access is not set",
            "DMAR:[DMA Write] Request device [02:00.0] fault addr ffe00000",
            "nvidia 0000:07:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0002 address=0xfffffff00 flags=0x0000]",
            "ehci-pci 0000:00:1a.0: DMAR: 32bit DMA uses non-identity mapping",
        ] {
            assert_eq!(from_log(words, "test").iommu.state, Switch::On, "{words}");
        }
    }

    #[test]
    fn what_was_begun_is_in_use_unless_it_failed() {
        for words in [
            "IOMMU 0 0xfed90000: using Queued invalidation\n",
            "DMAR: No ATSR found\n",
            "IOMMU: Setting identity map for device 0000:00:1d.0 [0xdacd5000 - 0xdacebfff]\n",
        ] {
            assert_eq!(from_log(words, "test").iommu.state, Switch::On, "{words}");
            let failed = format!("{words}DMAR: Initialization failed\n");
            assert_eq!(from_log(&failed, "test").iommu.state, Switch::Off, "{failed}");
            assert_eq!(read(words).iommu.state, Switch::Off, "a whole boot: {words}");
        }
    }

    #[test]
    fn remapping_of_old_kernels_is_read() {
        let facts = from_log(
            "IOAPIC id 0 under DRHD base  0xe7ffe000 IOMMU 0\nEnabled Interrupt-remapping\n",
            "test",
        );
        assert_eq!(facts.iommu.interrupt_remapping, Switch::On);
    }

    #[test]
    fn damaged_rmrr_is_told_with_its_line() {
        let facts = from_log("DMAR: RMRR base: 0x00zz end:\n", "test");
        assert_eq!(facts.faults.first().map(|fault| fault.place.as_str()), Some("line 1"));
    }
}
