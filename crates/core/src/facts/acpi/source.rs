//! Firmware's tables as a source of facts: the text of `acpidump`, alone or beside another text, and a table's own bytes.
//!
//! Tables say what firmware asks for, not what the kernel did: whose IOMMU it is and which memory devices need, never
//! whether it is in use.

use super::{AcpiError, Dmar, DumpedTable, Ivrs, from_acpidump, u32_at};
use crate::facts::{Facts, FaultKind, Origin, ReadFault, ReservedRegion, SourceKind};
use crate::pci::PciAddress;

/// Tables that tell of an IOMMU.
const TABLES: [&str; 4] = ["DMAR", "IVRS", "IORT", "VIOT"];

/// What a saved table tells, given by its bytes (`/sys/firmware/acpi/tables/DMAR`, `acpidump -b`) or as the text of
/// `acpidump`; `name` is what the user calls it.
///
/// ```
/// use slotwise_core::facts::acpi::from_acpi;
/// let facts = from_acpi(b"DMAR @ 0x00000000BF79E0C0\n    0000: 44 4D 41 52\n", "dump");
/// assert_eq!(facts.iommu.tables, ["DMAR"]);
/// assert_eq!(facts.faults.len(), 1, "the table is cut");
/// ```
#[must_use]
pub fn from_acpi(bytes: &[u8], name: &str) -> Facts {
    let origin = Origin::Saved { kind: SourceKind::Acpi, name: name.to_owned() };
    let mut facts = Facts::untold(origin, "ACPI tables");
    if is_table(bytes) {
        let signature = bytes.get(..4).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let table = DumpedTable { signature: signature.unwrap_or_default(), bytes: bytes.to_vec() };
        join(&mut facts, &[table]);
    } else {
        join(&mut facts, &from_acpidump(&String::from_utf8_lossy(bytes)));
    }
    facts
}

/// Whether `bytes` are one of the tables as firmware has it: its signature, and the length that its header tells.
pub(in crate::facts) fn is_table(bytes: &[u8]) -> bool {
    let length = u32_at(bytes, 4).and_then(|length| usize::try_from(length).ok());
    TABLES.iter().any(|signature| bytes.starts_with(signature.as_bytes())) && length == Some(bytes.len())
}

/// Adds what `tables` tell to `facts`, which may come from a text beside them: paths are resolved by its bridges.
pub(in crate::facts) fn join(facts: &mut Facts, tables: &[DumpedTable]) {
    for table in tables.iter().filter(|table| TABLES.contains(&table.signature.as_str())) {
        if facts.iommu.tables.contains(&table.signature) {
            continue;
        }
        facts.iommu.tables.push(table.signature.clone());
        match reserved(facts, table) {
            Ok((regions, None)) => add(facts, regions),
            Ok((regions, Some(offset))) => {
                add(facts, regions);
                facts.faults.push(malformed(&table.signature, format!("table is broken at byte {offset}")));
            }
            Err(error) => facts.faults.push(malformed(&table.signature, error.to_string())),
        }
    }
}

fn malformed(table: &str, what: String) -> ReadFault {
    ReadFault::new(format!("ACPI table {table}"), FaultKind::Malformed(what))
}

/// Reserved ranges of a table, and where it is broken.
fn reserved(
    facts: &mut Facts,
    table: &DumpedTable,
) -> Result<(Vec<ReservedRegion>, Option<usize>), AcpiError> {
    let iommu = &mut facts.iommu;
    let vendor = |iommu: &mut crate::facts::IommuFacts, vendor| {
        if iommu.vendor == crate::facts::IommuVendor::Unknown {
            iommu.vendor = vendor;
        }
    };
    match table.signature.as_str() {
        "DMAR" => {
            let dmar = Dmar::parse(&table.bytes)?;
            vendor(iommu, crate::facts::IommuVendor::Intel);
            let words = if dmar.interrupt_remapping() { "offers" } else { "does not offer" };
            iommu
                .evidence
                .push(("ACPI table DMAR".to_owned(), format!("firmware {words} interrupt remapping")));
            Ok((dmar.reserved(&|bridge| secondary_bus(facts, bridge)), dmar.broken_at.or(short(table))))
        }
        "IVRS" => {
            let ivrs = Ivrs::parse(&table.bytes)?;
            vendor(iommu, crate::facts::IommuVendor::Amd);
            let there: Vec<PciAddress> = facts.functions.keys().copied().collect();
            Ok((ivrs.reserved(&there), ivrs.broken_at.or(short(table))))
        }
        "IORT" => {
            vendor(iommu, crate::facts::IommuVendor::Smmu);
            Ok((Vec::new(), short(table)))
        }
        _ => {
            vendor(iommu, crate::facts::IommuVendor::Virtio);
            Ok((Vec::new(), short(table)))
        }
    }
}

/// Where a table ends before its header says that it does.
fn short(table: &DumpedTable) -> Option<usize> {
    let length = u32_at(&table.bytes, 4).and_then(|length| usize::try_from(length).ok());
    length.is_none_or(|length| length > table.bytes.len()).then_some(table.bytes.len())
}

/// The bus below a bridge, where the facts tell it.
fn secondary_bus(facts: &Facts, bridge: PciAddress) -> Option<u8> {
    let function = facts.functions.get(&bridge)?;
    function.buses.known().map(|buses| buses.secondary).filter(|bus| *bus != 0)
}

/// Ranges that a log beside the table names are the same ones; the table knows more of their devices.
fn add(facts: &mut Facts, regions: Vec<ReservedRegion>) {
    for region in regions {
        let same = |known: &&mut ReservedRegion| {
            (known.kind, known.start, known.end) == (region.kind, region.start, region.end)
        };
        match facts.iommu.reserved.iter_mut().find(same) {
            Some(known) => {
                let new: Vec<_> =
                    region.devices.iter().filter(|d| !known.devices.contains(d)).copied().collect();
                known.devices.extend(new);
            }
            None => facts.iommu.reserved.push(region),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{IommuVendor, Switch, from_text, recognise};

    /// A DMAR with one RMRR for 00:1d.0 and one for a function below 00:1e.0 (Intel VT-d 4.1 §8.1, §8.4).
    fn dump() -> (String, Vec<u8>) {
        let mut bytes = b"DMAR".to_vec();
        bytes.resize(48, 0);
        for path in [&[0x1d, 0][..], &[0x1e, 0, 4, 0]] {
            let scope = 6 + path.len() as u8;
            bytes.extend([1, 0, 24 + scope, 0, 0, 0, 0, 0]);
            bytes.extend(0xbf7d_c000u64.to_le_bytes());
            bytes.extend((0xbf7d_ffffu64 + u64::from(scope - 8) * 0x1000).to_le_bytes());
            bytes.extend([1, scope, 0, 0, 0, 0]);
            bytes.extend(path);
        }
        let length = u32::try_from(bytes.len()).expect("short");
        bytes.splice(4..8, length.to_le_bytes());
        let row = |(number, row): (usize, &[u8])| {
            let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("    {:04X}: {:<47}  ......\n", number * 16, hex.join(" "))
        };
        let rows: String = bytes.chunks(16).enumerate().map(row).collect();
        (format!("DMAR @ 0x00000000BF79E0C0\n{rows}\n"), bytes)
    }

    fn named(facts: &Facts) -> Vec<Vec<String>> {
        let row = |region: &ReservedRegion| region.devices.iter().map(ToString::to_string).collect();
        facts.iommu.reserved.iter().map(row).collect()
    }

    #[test]
    fn dump_and_table_are_recognised_and_say_the_same() {
        let (text, bytes) = dump();
        for source in [text.as_bytes(), &bytes] {
            assert_eq!(recognise(source), Some(SourceKind::Acpi));
            let facts = from_text(source, "dump").expect("facts");
            assert_eq!((facts.iommu.vendor, facts.iommu.state), (IommuVendor::Intel, Switch::Unknown));
            // Without the bridge above, who is behind it is not known.
            assert_eq!(named(&facts), [vec!["0000:00:1d.0".to_owned()], vec![]]);
            assert!(facts.faults.is_empty(), "{:?}", facts.faults);
        }
    }

    #[test]
    fn dump_beside_lspci_joins_its_facts_and_its_paths_are_resolved() {
        let lspci = "00:1d.0 USB controller [0c03]: Intel [8086:2934]\n\n\
            00:1e.0 PCI bridge [0604]: Intel [8086:244e]\n\
            \tBus: primary=00, secondary=05, subordinate=06, sec-latency=32\n\n\
            05:04.0 SCSI storage controller [0100]: Adaptec [9004:5078]\n";
        let facts = from_text(format!("{lspci}\n{}", dump().0).as_bytes(), "both").expect("facts");
        assert_eq!(facts.functions.len(), 3);
        assert_eq!(facts.iommu.tables, ["DMAR"]);
        assert_eq!(named(&facts), [["0000:00:1d.0"], ["0000:05:04.0"]]);
    }

    #[test]
    fn cut_dump_is_told_and_used_as_far_as_it_goes() {
        let (text, _) = dump();
        let cut: String = text.lines().take(6).map(|line| format!("{line}\n")).collect();
        let facts = from_text(cut.as_bytes(), "cut").expect("facts");
        assert_eq!(named(&facts), [["0000:00:1d.0"]]);
        assert_eq!(facts.faults.len(), 1, "{:?}", facts.faults);
    }
}
