//! What logs say of the IOMMU, and what they do not.

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
    let facts =
        read("iommu: Adding device 0000:00:1f.2 to group 7\niommu: Adding device 0000:00:1f.3 to group 7\n");
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
fn what_amd_prints_after_setting_up_its_units_shows_them_in_use() {
    for words in [
        "AMD-Vi: Extended features (0x246577efa2254afa, 0x0): PPR NX GT [5] IA GA PC GA_vAPIC",
        "AMD-Vi: Interrupt remapping enabled",
        "pci 0000:00:00.2: AMD-Vi: IOMMU performance counters supported",
        "perf/amd_iommu: Detected AMD IOMMU #0 (2 banks, 4 counters/bank).",
        "AMD IOMMU: Enabling IOMMU at 00:00.2 cap 0x40",
    ] {
        let facts = from_log(words, "test");
        assert_eq!((facts.iommu.state, facts.iommu.vendor), (Switch::On, IommuVendor::Amd), "{words}");
    }
    let facts = from_log("AMD-Vi: Using global IVHD EFR:0x246577efa2254afa, EFR2:0x0", "test");
    assert_eq!(facts.iommu.state, Switch::Unknown);
}

#[test]
fn parameters_switch_off_unless_the_driver_says_otherwise() {
    for (line, state) in [
        ("root=/dev/sda1 iommu=off", Switch::Off),
        ("intel_iommu=on,sm_on intel_iommu=off", Switch::Off),
        ("amd_iommu=off", Switch::Off),
        ("intel_iommu=off intel_iommu=on iommu=pt", Switch::Unknown),
        ("intel_iommu=igfx_off", Switch::Unknown),
    ] {
        let text = format!("Command line: {line}\nACPI: DMAR 0x000000008C544C70 0000C8 (v01 INTEL)\n");
        assert_eq!(from_log(&text, "test").iommu.state, state, "{line}");
    }
    let forced = "Command line: intel_iommu=off\nDMAR: Intel-IOMMU force enabled due to platform opt in\nDMAR: Intel(R) Virtualization Technology for Directed I/O\n";
    assert_eq!(from_log(forced, "test").iommu.state, Switch::On);
    let facts = from_log("Kernel command line: intremap=off\n", "test");
    assert_eq!(facts.iommu.interrupt_remapping, Switch::Off);
}

#[test]
fn domain_zero_does_not_know_what_xen_does() {
    let domain = "Booting paravirtualized kernel on Xen\nXen version: 4.11.4 (preserve-AD)\n";
    let facts = read(domain);
    let told = |facts: &Facts| (facts.iommu.state, facts.iommu.interrupt_remapping);
    assert_eq!(told(&facts), (Switch::Unknown, Switch::Unknown));
    let guest = read("Booting paravirtualized kernel on Xen HVM\n");
    assert_eq!(told(&guest), (Switch::Off, Switch::Off));
}

#[test]
fn log_of_xen_belongs_to_the_linux_that_it_starts() {
    for stamp in ["", "[    0.100000] "] {
        let xen = [
            "Xen version 4.17.3",
            "Intel VT-d iommu 0 supported page sizes: 4kB",
            "I/O virtualisation enabled",
            "Interrupt remapping enabled",
        ];
        let xen: String = xen.iter().map(|line| format!("(XEN) {stamp}{line}\n")).collect();
        let linux = format!("{START}Booting paravirtualized kernel on Xen\n{END}");
        for text in [format!("{xen}{linux}"), format!("{linux}{xen}"), format!("{START}{END}{xen}{linux}")] {
            let facts = from_log(&text, "test");
            assert_eq!((facts.iommu.state, facts.iommu.vendor), (Switch::On, IommuVendor::Intel), "{text}");
            assert_eq!(facts.iommu.interrupt_remapping, Switch::On, "{text}");
        }
        assert_eq!(from_log(&format!("{xen}{linux}{START}{END}"), "test").iommu.state, Switch::Off);
    }
}

#[test]
fn fault_of_interrupt_remapping_shows_it_in_use() {
    for words in [
        "DMAR: [INTR-REMAP] Request device [03:00.0] fault index 0x20 [fault reason 0x22] Present field in the IRTE entry is clear",
        "INTR-REMAP: Request device [[f0:1f.0] fault index 2c",
    ] {
        assert_eq!(from_log(words, "test").iommu.interrupt_remapping, Switch::On, "{words}");
    }
}

#[test]
fn remapping_of_old_kernels_is_read() {
    let facts =
        from_log("IOAPIC id 0 under DRHD base  0xe7ffe000 IOMMU 0\nEnabled Interrupt-remapping\n", "test");
    assert_eq!(facts.iommu.interrupt_remapping, Switch::On);
}

#[test]
fn what_the_kernel_refused_and_complained_of_is_kept() {
    let log = "vfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring \
        the device without a 1:1 mapping. Contact your platform vendor.\n\
        vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param \"allow_unsafe_interrupts\"\n\
        [Firmware Bug]: Your BIOS is broken; DMAR reported at address 0!\n";
    let iommu = from_log(log, "test").iommu;
    assert_eq!(iommu.one_to_one.len(), 1);
    assert_eq!(iommu.interrupt_remapping, Switch::Off);
    assert!(iommu.evidence.iter().any(|(_, words)| words.contains("Your BIOS is broken")), "{iommu:?}");
}

#[test]
fn units_that_xen_started_are_on() {
    for words in [
        "(XEN) AMD-Vi: IOMMU 0 Enabled.",
        "(XEN) [VT-D]iommu_enable_translation: iommu->reg = ffff82c0001a6000",
    ] {
        assert_eq!(from_log(words, "test").iommu.state, Switch::On, "{words}");
    }
    let facts = from_log("(XEN) [VT-D]  RMRR address range 8d800000..8fffffff not in reserved\n", "test");
    let range = facts.iommu.reserved.first().map(|region| (region.start, region.end));
    assert_eq!(range, Some((0x8d80_0000, 0x8fff_ffff)));
}

#[test]
fn unit_that_is_not_there_keeps_the_driver_off() {
    let text = "Your BIOS is broken; DMAR reported at address fed64000 returns all ones!\n";
    let facts = super::super::super::from_text(text.as_bytes(), "test").expect("a log");
    assert_eq!((facts.iommu.state, facts.iommu.vendor), (Switch::Off, IommuVendor::Intel));
}

#[test]
fn units_found_and_none_started_before_modules_is_off() {
    let unit = "dmar: IOMMU 0: reg_base_addr fbffc000 ver 1:0 cap d2078c106f0466 ecap f020de\n";
    let modules = "AMD IOMMUv2 functionality not available on this system\n";
    assert_eq!(from_log(&format!("{unit}{modules}"), "test").iommu.state, Switch::Off);
    assert_eq!(from_log(unit, "test").iommu.state, Switch::Unknown);
    let begun = "IOMMU 0 0xfbffc000: using Queued invalidation\n";
    assert_eq!(from_log(&format!("{unit}{begun}{modules}"), "test").iommu.state, Switch::On);
}

#[test]
fn mark_that_closes_a_quotation_is_no_part_of_a_range() {
    let facts = from_log("DMAR: RMRR base: 0x0000007a000000 end: 0x0000007c7fffff`\n", "test");
    assert_eq!((facts.iommu.reserved.len(), facts.faults.len()), (1, 0));
}

#[test]
fn bars_of_quotation_are_no_part_of_a_message() {
    let facts = from_log(
        "> |DMAR: Setting RMRR:\n> |DMAR: Setting identity map for device 0000:00:1a.0 [0x1000 - 0x1fff]\n",
        "test",
    );
    assert_eq!((facts.iommu.state, facts.iommu.reserved.len()), (Switch::On, 1));
}
