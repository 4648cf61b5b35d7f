//! The `ids` parameter of vfio-pci: asked by the rules about what happens at boot.
//!
//! `ids=vvvv:dddd[:ssss:ssss[:class[:mask]]],…`, hexadecimal (`drivers/vfio/pci/vfio_pci.c: vfio_pci_fill_ids`). Class and
//! mask are not looked at here: nobody writes them beside an id.

use crate::facts::{FunctionFacts, ParameterValue};
use crate::pci::PciId;
use crate::topology::Topology;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    id: PciId,
    subsystem: Option<PciId>,
}

impl Entry {
    /// Whether vfio-pci would take the function by this entry.
    pub(super) fn matches(&self, function: &FunctionFacts) -> bool {
        let subsystem = || function.subsystem.known().copied();
        function.id.known() == Some(&self.id)
            && self.subsystem.is_none_or(|wanted| subsystem() == Some(wanted))
    }
}

/// The parameter as configured, with its entries; what is no entry is left out, as the kernel does.
pub(super) fn configured(topology: &Topology) -> Option<(&ParameterValue, Vec<Entry>)> {
    let parameter = topology.facts().kernel.parameter("vfio_pci", "ids")?;
    Some((parameter, parameter.value.split(',').filter_map(entry).collect()))
}

fn entry(text: &str) -> Option<Entry> {
    let mut parts = text.trim().split(':').map(|part| u32::from_str_radix(part, 16).ok());
    let half = |value: Option<Option<u32>>| u16::try_from(value??).ok();
    let id = PciId { vendor: half(parts.next())?, device: half(parts.next())? };
    // ffffffff stands for any.
    let subsystem = match (half(parts.next()), half(parts.next())) {
        (Some(vendor), Some(device)) => Some(PciId { vendor, device }),
        _ => None,
    };
    Some(Entry { id, subsystem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_the_kernel_reads_them() {
        let id = PciId { vendor: 0x10de, device: 0x1c03 };
        let subsystem = Some(PciId { vendor: 0x1462, device: 0x3282 });
        assert_eq!(entry("10de:1c03"), Some(Entry { id, subsystem: None }));
        assert_eq!(entry(" 10de:1c03:1462:3282"), Some(Entry { id, subsystem }));
        assert_eq!(entry("10de:1c03:ffffffff:ffffffff"), Some(Entry { id, subsystem: None }));
        for bad in ["", "10de", "x:y", "10de1c03"] {
            assert_eq!(entry(bad), None, "{bad}");
        }
    }
}
