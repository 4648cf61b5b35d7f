//! The one table of capabilities: id, name, what lspci calls it, and which function decodes it.
//!
//! Ids: PCI Code and ID Assignment 1.16 §2 (standard) and §3 (extended), pciutils `lib/header.h`; from 0x37 on PCI
//! Express Base 7.0 §7.9. Phrases: how the line of `lspci -v` starts behind `Capabilities: [40] `, in pciutils 3.0 to
//! 3.14 (`ls-caps.c`, `ls-ecaps.c`); older spellings stand behind newer ones.

use super::{
    Block, Body, Space, advanced_features, agp, enhanced_allocation, error_reporting, express,
    hypertransport, isolation, latency, msi, msix, pci_x, power_management, resizable_bar, small, sriov,
    translation,
};

/// A decoder; none if not even its first register could be read.
type Decode = fn(&mut Block<'_, '_>) -> Option<Body>;

/// What is known of one capability id.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) id: u16,
    pub(super) name: &'static str,
    phrases: &'static [&'static str],
    pub(super) decode: Decode,
}

const fn named(id: u16, name: &'static str, phrases: &'static [&'static str]) -> Row {
    decoded(id, name, phrases, |_| Some(Body::Opaque))
}

const fn decoded(id: u16, name: &'static str, phrases: &'static [&'static str], decode: Decode) -> Row {
    Row { id, name, phrases, decode }
}

const STANDARD: &[Row] = &[
    named(0x00, "null", &["Null"]),
    decoded(0x01, "power-management", &["Power Management version"], power_management::decode),
    decoded(0x02, "agp", &["AGP version"], agp::decode),
    decoded(0x03, "vital-product-data", &["Vital Product Data"], small::vital_product_data),
    decoded(0x04, "slot-identification", &["Slot ID:"], small::slot_identification),
    decoded(0x05, "msi", &["MSI: ", "Message Signalled Interrupts:"], msi::decode),
    named(0x06, "compactpci-hot-swap", &["CompactPCI hot-swap"]),
    decoded(0x07, "pci-x", &["PCI-X "], pci_x::decode),
    decoded(0x08, "hypertransport", &["HyperTransport:"], hypertransport::decode),
    decoded(0x09, "vendor-specific", &["Vendor Specific Information"], small::vendor_specific),
    decoded(0x0a, "debug-port", &["Debug port"], small::debug_port),
    named(0x0b, "compactpci-resource-control", &["CompactPCI central resource control"]),
    named(0x0c, "hot-plug", &["Hot-plug capable"]),
    decoded(0x0d, "subsystem-ids", &["Subsystem:"], small::subsystem),
    named(0x0e, "agp-8x", &["AGP3"]),
    named(0x0f, "secure-device", &["Secure device"]),
    decoded(0x10, "pci-express", &["Express "], express::decode),
    decoded(0x11, "msi-x", &["MSI-X:"], msix::decode),
    decoded(0x12, "sata", &["SATA HBA"], small::sata_hba),
    decoded(0x13, "advanced-features", &["PCI Advanced Features"], advanced_features::decode),
    decoded(0x14, "enhanced-allocation", &["Enhanced Allocation (EA)"], enhanced_allocation::decode),
    named(0x15, "flattening-portal-bridge", &["Flattening Portal Bridge"]),
];

const EXTENDED: &[Row] = &[
    named(0x00, "null", &["Null"]),
    decoded(0x01, "advanced-error-reporting", &["Advanced Error Reporting"], error_reporting::decode_aer),
    // 0x09 is the same structure where a multi-function device has MFVC too, and lspci calls both by one name.
    named(0x02, "virtual-channel", &["Virtual Channel"]),
    decoded(0x03, "device-serial-number", &["Device Serial Number"], small::serial_number),
    named(0x04, "power-budgeting", &["Power Budgeting"]),
    named(0x05, "root-complex-link-declaration", &["Root Complex Link"]),
    named(0x06, "root-complex-internal-link-control", &["Root Complex Internal Link"]),
    named(0x07, "root-complex-event-collector", &["Root Complex Event Collector"]),
    named(0x08, "multi-function-virtual-channel", &["Multi-Function Virtual Channel"]),
    named(0x09, "virtual-channel", &["Virtual Channel"]),
    named(0x0a, "root-complex-register-block", &["Root Complex Register Block", "Root Bridge Control"]),
    decoded(0x0b, "vendor-specific", &["Vendor Specific Information"], small::extended_vendor),
    named(0x0c, "configuration-access-correlation", &["Configuration Access Correlation"]),
    decoded(0x0d, "access-control-services", &["Access Control Services"], isolation::decode_acs),
    decoded(
        0x0e,
        "alternative-routing-id",
        &["Alternative Routing-ID Interpretation"],
        isolation::decode_ari,
    ),
    decoded(0x0f, "address-translation-service", &["Address Translation Service"], translation::decode_ats),
    decoded(0x10, "sr-iov", &["Single Root I/O Virtualization"], sriov::decode),
    named(0x11, "mr-iov", &["Multi-Root I/O Virtualization"]),
    named(0x12, "multicast", &["Multicast"]),
    decoded(0x13, "page-request-interface", &["Page Request Interface"], translation::decode_pri),
    decoded(0x15, "resizable-bar", &["Physical Resizable BAR", "Resizable BAR"], resizable_bar::decode),
    named(0x16, "dynamic-power-allocation", &["Dynamic Power Allocation"]),
    named(0x17, "tph-requester", &["Transaction Processing Hints"]),
    decoded(0x18, "latency-tolerance-reporting", &["Latency Tolerance Reporting"], latency::decode_ltr),
    named(0x19, "secondary-pci-express", &["Secondary PCI Express"]),
    named(0x1a, "protocol-multiplexing", &["Protocol Multiplexing"]),
    decoded(0x1b, "process-address-space-id", &["Process Address Space ID"], translation::decode_pasid),
    named(0x1c, "ln-requester", &["LN Requester"]),
    decoded(
        0x1d,
        "downstream-port-containment",
        &["Downstream Port Containment"],
        error_reporting::decode_dpc,
    ),
    decoded(0x1e, "l1-pm-substates", &["L1 PM Substates"], latency::decode_l1ss),
    named(0x1f, "precision-time-measurement", &["Precision Time Measurement"]),
    named(0x20, "pcie-over-m-phy", &["PCI Express over M_PHY"]),
    named(0x21, "frs-queueing", &["FRS Queueing"]),
    named(0x22, "readiness-time-reporting", &["Readiness Time Reporting"]),
    decoded(0x23, "designated-vendor-specific", &["Designated Vendor-Specific"], small::designated_vendor),
    decoded(0x24, "vf-resizable-bar", &["Virtual Resizable BAR"], resizable_bar::decode),
    named(0x25, "data-link-feature", &["Data Link Feature"]),
    named(0x26, "physical-layer-16gt", &["Physical Layer 16.0 GT/s"]),
    named(0x27, "lane-margining", &["Lane Margining at the Receiver"]),
    named(0x28, "hierarchy-id", &["Hierarchy ID"]),
    named(0x29, "native-pcie-enclosure-management", &["Native PCIe Enclosure Management"]),
    named(0x2a, "physical-layer-32gt", &["Physical Layer 32.0 GT/s"]),
    named(0x2b, "alternate-protocol", &["Alternate Protocol"]),
    named(0x2c, "system-firmware-intermediary", &["System Firmware Intermediary"]),
    named(0x2d, "shadow-functions", &["Shadow Functions"]),
    named(0x2e, "data-object-exchange", &["Data Object Exchange"]),
    named(0x2f, "device-3", &["Device 3"]),
    named(0x30, "integrity-and-data-encryption", &["Integrity & Data Encryption"]),
    named(0x31, "physical-layer-64gt", &["Physical Layer 64.0 GT/s"]),
    named(0x32, "flit-logging", &["Flit Logging"]),
    named(0x33, "flit-performance-measurement", &["Flit Performance Measurement"]),
    named(0x34, "flit-error-injection", &["Flit Error Injection"]),
    named(0x35, "streamlined-virtual-channel", &["Streamlined Virtual Channel"]),
    named(0x36, "mmio-register-block-locator", &["MMIO Register Block Locator"]),
    // These lspci 3.14 does not name yet.
    named(0x37, "nop-flit", &["NOP Flit"]),
    named(0x38, "scalable-iov", &["Scalable I/O Virtualization"]),
    named(0x39, "physical-layer-128gt", &["Physical Layer 128.0 GT/s"]),
    named(0x3a, "captured-data", &["Captured Data"]),
];

/// How lspci spells a capability that it has no name for, before its number.
const UNNAMED: &[&str] = &["Capability ID ", "Extended Capability ID ", "Unknown (", "#"];

const UNKNOWN: Row = named(0xffff, "unknown", &[]);

const fn rows(space: Space) -> &'static [Row] {
    match space {
        Space::Standard => STANDARD,
        Space::Extended => EXTENDED,
    }
}

/// The row of an id, or that of ids without a name.
pub(super) fn row(space: Space, id: u16) -> Row {
    rows(space).iter().copied().find(|row| row.id == id).unwrap_or(UNKNOWN)
}

/// The name of a capability id in kebab case, `unknown` if it has none.
#[must_use]
pub fn capability_name(space: Space, id: u16) -> &'static str {
    row(space, id).name
}

/// Id of the capability that lspci describes with `text`, the rest of the line behind `Capabilities: [40] `.
///
/// None for a text that names none, such as `<access denied>`. The two virtual channel ids have one phrase: the answer
/// is 0x02.
#[must_use]
pub fn from_lspci(space: Space, text: &str) -> Option<u16> {
    let text = text.trim_start();
    let hex = |digits: &str| {
        let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        u16::from_str_radix(digits.get(..end)?, 16).ok()
    };
    // `%#02x`: 0x2f, and 00 for zero.
    let unnamed = UNNAMED
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .and_then(|rest| hex(rest.trim_start_matches("0x")));
    let by_phrase =
        || rows(space).iter().find(|row| row.phrases.iter().any(|phrase| text.starts_with(phrase)));
    unnamed.or_else(|| by_phrase().map(|row| row.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_names_are_kebab_case() {
        for space in [Space::Standard, Space::Extended] {
            let ids: BTreeSet<u16> = rows(space).iter().map(|row| row.id).collect();
            assert_eq!(ids.len(), rows(space).len(), "{space}");
            for row in rows(space) {
                let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(row.name.chars().all(kebab) && !row.phrases.is_empty(), "{}", row.name);
            }
        }
    }

    #[test]
    fn every_phrase_leads_back_to_its_row() {
        for space in [Space::Standard, Space::Extended] {
            for row in rows(space) {
                for phrase in row.phrases {
                    let found = from_lspci(space, phrase).map(|id| capability_name(space, id));
                    assert_eq!(found, Some(row.name), "{phrase}");
                }
            }
        }
    }

    #[test]
    fn unnamed_ids_are_read_from_their_number() {
        assert_eq!(from_lspci(Space::Standard, "#15 [0004]"), Some(0x15));
        assert_eq!(from_lspci(Space::Standard, "Capability ID 0x80 [0000]"), Some(0x80));
        assert_eq!(from_lspci(Space::Extended, "Extended Capability ID 0x2f"), Some(0x2f));
        assert_eq!(from_lspci(Space::Extended, "#19"), Some(0x19));
        assert_eq!(from_lspci(Space::Standard, "<access denied>"), None);
        assert_eq!(from_lspci(Space::Standard, "#"), None);
    }
}
