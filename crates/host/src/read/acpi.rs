//! The firmware's IOMMU tables: `/sys/firmware/acpi/tables`, readable by root.

use slotwise_core::facts::acpi::{Dmar, Ivrs};
use slotwise_core::facts::{ReadFault, ReservedRegion};
use slotwise_core::pci::PciAddress;

use super::{fault, malformed, names};
use crate::kernel::ReadHost;

const TABLES: &str = "/sys/firmware/acpi/tables";

/// The largest table that is read; an IOMMU table of the largest hosts has some tens of KiB.
const TABLE_BYTES: usize = 1 << 20;

/// Names of the IOMMU tables that are there, and whether the directory could be listed.
pub(super) fn tables(host: &dyn ReadHost) -> (Vec<String>, bool) {
    let Ok(mut found) = host.list(TABLES) else { return (Vec::new(), false) };
    found.retain(|name| matches!(name.as_str(), "DMAR" | "IVRS" | "IORT" | "VIOT"));
    (found, true)
}

/// Reserved ranges of the DMAR or IVRS table. That only root may read it is told as a fault.
pub(super) fn reserved(
    host: &dyn ReadHost,
    tables: &[String],
    faults: &mut Vec<ReadFault>,
) -> Vec<ReservedRegion> {
    let mut regions = Vec::new();
    for table in tables {
        let path = format!("{TABLES}/{table}");
        let read = |bytes: &[u8]| match table.as_str() {
            "DMAR" => Dmar::parse(bytes)
                .map(|dmar| (dmar.reserved(&|bridge| secondary_bus(host, bridge)), dmar.broken_at)),
            "IVRS" => Ivrs::parse(bytes).map(|ivrs| (ivrs.reserved(&addresses(host)), ivrs.broken_at)),
            _ => Ok((Vec::new(), None)),
        };
        match host.read(&path, TABLE_BYTES) {
            Ok(bytes) => match read(&bytes) {
                Ok((found, broken_at)) => {
                    regions.extend(found);
                    if let Some(offset) = broken_at {
                        faults.push(malformed(&path, &format!("table is broken at byte {offset}")));
                    }
                }
                Err(error) => faults.push(malformed(&path, &error.to_string())),
            },
            Err(error) => faults.push(fault(&error)),
        }
    }
    regions
}

/// The bus below a bridge, from byte 0x19 of its configuration space (PCI-to-PCI Bridge 1.2 §3.2.5.4).
fn secondary_bus(host: &dyn ReadHost, bridge: PciAddress) -> Option<u8> {
    let directory = host.open_dir(&format!("/sys/bus/pci/devices/{bridge}")).ok()?;
    let mut bus = [0];
    let count = directory.open_file("config").ok()?.read_at(0x19, &mut bus).ok()?;
    (count == 1 && bus != [0]).then_some(bus[0])
}

fn addresses(host: &dyn ReadHost) -> Vec<PciAddress> {
    let listed = names(host, "/sys/bus/pci/devices", &mut Vec::new());
    listed.iter().filter_map(|name| name.parse().ok()).collect()
}
