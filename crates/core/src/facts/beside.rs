//! What stands in one text beside what it mostly is: a post with a kernel log, `lspci` and a listing of groups tells of one
//! host with all three.
//!
//! What the main part says stays; another part tells what it leaves open. Nothing is concluded from one part about what
//! another does not show.

use super::{Fact, Facts, FunctionFacts, IommuVendor, SourceKind, Switch};

/// The most faults that are kept of what stands beside.
const MOST_FAULTS: usize = 200;

/// Adds to `facts` what `other`, read from another part of the same text, tells more.
pub(super) fn join(facts: &mut Facts, other: Facts) {
    // A log names a few functions in passing; a listing is the list of them.
    let listed = other.origin.kind() != SourceKind::Log;
    for (address, told) in other.functions {
        match facts.functions.get_mut(&address) {
            Some(function) => complete(function, told),
            None if listed => {
                facts.functions.insert(address, told);
            }
            None => {}
        }
    }
    let (ours, theirs) = (&mut facts.iommu, other.iommu);
    if ours.state == Switch::Unknown {
        ours.state = theirs.state;
    }
    if matches!(ours.vendor, IommuVendor::Unknown) {
        ours.vendor = theirs.vendor;
    }
    if ours.interrupt_remapping == Switch::Unknown {
        ours.interrupt_remapping = theirs.interrupt_remapping;
    }
    if ours.reserved.is_empty() {
        ours.reserved = theirs.reserved;
    }
    if ours.one_to_one.is_empty() {
        ours.one_to_one = theirs.one_to_one;
    }
    for table in theirs.tables {
        if !ours.tables.contains(&table) {
            ours.tables.push(table);
        }
    }
    ours.evidence.extend(theirs.evidence);
    fill(&mut facts.kernel.release, other.kernel.release);
    fill(&mut facts.kernel.command_line, other.kernel.command_line);
    let room = MOST_FAULTS.saturating_sub(facts.faults.len());
    facts.faults.extend(other.faults.into_iter().take(room));
}

/// What `told` says of a function that `ours` leaves open.
fn complete(ours: &mut FunctionFacts, told: FunctionFacts) {
    fill(&mut ours.id, told.id);
    fill(&mut ours.subsystem, told.subsystem);
    fill(&mut ours.class, told.class);
    fill(&mut ours.revision, told.revision);
    fill(&mut ours.driver, told.driver);
    fill(&mut ours.group, told.group);
    fill(&mut ours.numa_node, told.numa_node);
    fill(&mut ours.parent, told.parent);
    fill(&mut ours.express, told.express);
    fill(&mut ours.buses, told.buses);
    fill(&mut ours.physical_slot, told.physical_slot);
    fill(&mut ours.irq, told.irq);
    fill(&mut ours.interrupt_pin, told.interrupt_pin);
    fill(&mut ours.interrupt_line, told.interrupt_line);
    fill(&mut ours.config, told.config);
    fill(&mut ours.resources, told.resources);
    if ours.modules.is_empty() {
        ours.modules = told.modules;
    }
    // What is printed of configuration space is one reading: the fuller one counts.
    let lines = |printed: &Option<Box<super::PrintedConfig>>| {
        printed.as_ref().map_or(0, |printed| printed.capabilities.len() + printed.regions.len())
    };
    if lines(&told.printed) > lines(&ours.printed) {
        ours.printed = told.printed;
    }
    ours.printed_name = ours.printed_name.take().or(told.printed_name);
    ours.vendor_name = ours.vendor_name.take().or(told.vendor_name);
    ours.device_name = ours.device_name.take().or(told.device_name);
}

fn fill<T>(ours: &mut Fact<T>, theirs: Fact<T>) {
    if ours.is_unreadable() && !theirs.is_unreadable() {
        *ours = theirs;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GroupId, from_text};
    use super::*;
    use crate::pci::ClassCode;

    #[test]
    fn log_listing_and_groups_of_one_post_make_one_host() {
        let facts = from_text(
            b"$ dmesg | grep DMAR\n[    0.1] DMAR: IOMMU enabled\n[    0.200000] DMAR: RMRR base: 0x0000007a000000 end: 0x0000007c7fffff\n\
              [    0.300000] DMAR-IR: Enabled IRQ remapping in x2apic mode\n[    0.400000] DMAR: Intel(R) Virtualization Technology for Directed I/O\n\
              $ lspci -nnk -s 01:00.0\n01:00.0 VGA compatible controller [0300]: Maker Card [1234:1111] (rev a1)\n\tKernel driver in use: vfio-pci\n\
              $ ./groups.sh\nIOMMU Group 7:\n\t01:00.0 VGA compatible controller [0300]: Maker Card [1234:1111] (rev a1)\n\
              \t01:00.1 Audio device [0403]: Maker Sound [1234:2222]\nIOMMU Group 8:\n\t02:00.0 USB controller [0c03]: Maker USB [1234:3333]\n\
              IOMMU Group 9:\n\t03:00.0 USB controller [0c03]: Maker USB [1234:3333]\n",
            "post",
        )
        .expect("a source");
        assert_eq!(facts.origin.kind(), SourceKind::Groups);
        assert_eq!((facts.iommu.state, facts.iommu.vendor), (Switch::On, IommuVendor::Intel));
        assert_eq!((facts.iommu.interrupt_remapping, facts.iommu.reserved.len()), (Switch::On, 1));
        let functions: Vec<_> = facts.functions.values().collect();
        let [vga, sound, usb, _] = functions.as_slice() else { panic!("four functions") };
        assert_eq!(vga.driver.known().map(super::super::DriverName::as_str), Some("vfio-pci"));
        assert_eq!((&vga.group, &sound.group), (&Fact::Known(GroupId(7)), &Fact::Known(GroupId(7))));
        assert_eq!(usb.class, Fact::Known(ClassCode::from_bits(0x0c_0300)));
        assert_eq!(facts.faults, []);
    }

    #[test]
    fn function_that_only_the_log_names_is_not_added_to_a_listing() {
        let facts = from_text(
            b"[    0.5] pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40\n\
              $ find /sys/kernel/iommu_groups -type l\n/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n\
              /sys/kernel/iommu_groups/2/devices/0000:00:02.0\n/sys/kernel/iommu_groups/3/devices/0000:00:03.0\n",
            "post",
        )
        .expect("a source");
        assert_eq!((facts.origin.kind(), facts.functions.len()), (SourceKind::Groups, 3));
        assert_eq!(facts.iommu.vendor, IommuVendor::Amd);
    }

    #[test]
    fn log_with_ids_below_tells_both() {
        let log =
            (0..6).map(|n| format!("[    0.10000{n}] DMAR: DRHD base: 0x000000fed9{n}000 flags: 0x0\n"));
        let text = format!(
            "{}$ lspci -nn\n00:00.0 Host bridge [0600]: Maker [8086:31f0] (rev 03)\n",
            log.collect::<String>()
        );
        let facts = from_text(text.as_bytes(), "post").expect("a source");
        assert_eq!(facts.origin.kind(), SourceKind::Log);
        let id = facts.functions.values().next().and_then(|function| function.id.known());
        assert_eq!(id.map(ToString::to_string).as_deref(), Some("8086:31f0"));
        assert_eq!(facts.iommu.state, Switch::Unknown);
    }
}
