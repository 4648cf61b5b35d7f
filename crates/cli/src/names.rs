//! Names from the system's `pci.ids`, with the list that is built in where there is none.
//!
//! Format: <https://pci-ids.ucw.cz/> (header of the file itself).

use std::collections::HashMap;
use std::path::Path;

use pci_ids::FromId as _;
use slotwise_core::pci::{ClassCode, PciId};
use slotwise_core::report::Names;
use slotwise_core::topology::Topology;

/// Where distributions keep the list.
const PLACES: [&str; 4] = [
    "/usr/share/misc/pci.ids",
    "/usr/share/hwdata/pci.ids",
    "/usr/share/pci.ids",
    "/var/lib/pciutils/pci.ids",
];

/// Names of what is on one host.
pub(crate) struct PciNames {
    vendors: HashMap<u16, String>,
    devices: HashMap<PciId, String>,
}

impl PciNames {
    /// The names of everything in `topology`; only those are kept.
    pub(crate) fn of(topology: &Topology) -> Self {
        let mut names = Self { vendors: HashMap::new(), devices: HashMap::new() };
        let wanted: Vec<PciId> = topology.functions().filter_map(|f| f.id.known().copied()).collect();
        if let Some(text) = PLACES.iter().find_map(|place| std::fs::read(Path::new(place)).ok()) {
            names.read(&String::from_utf8_lossy(&text), &wanted);
        }
        names
    }

    fn read(&mut self, text: &str, wanted: &[PciId]) {
        let mut vendor = None;
        for line in text.lines() {
            if line.starts_with("C ") {
                break;
            }
            if let Some(device) = line.strip_prefix('\t') {
                let Some(vendor) = vendor else { continue };
                if device.starts_with('\t') {
                    continue;
                }
                if let Some((device, name)) = entry(device) {
                    let id = PciId { vendor, device };
                    if wanted.contains(&id) {
                        self.devices.insert(id, name.to_owned());
                    }
                }
            } else if let Some((id, name)) = entry(line) {
                vendor = wanted.iter().any(|w| w.vendor == id).then_some(id);
                if vendor.is_some() {
                    self.vendors.insert(id, name.to_owned());
                }
            }
        }
    }
}

/// `vvvv  Name`.
fn entry(line: &str) -> Option<(u16, &str)> {
    let (id, name) = line.split_once("  ")?;
    Some((u16::from_str_radix(id, 16).ok()?, name))
}

impl Names for PciNames {
    fn vendor(&self, vendor: u16) -> Option<String> {
        self.vendors
            .get(&vendor)
            .cloned()
            .or_else(|| pci_ids::Vendor::from_id(vendor).map(|v| v.name().to_owned()))
    }

    fn device(&self, id: PciId) -> Option<String> {
        let built_in = || pci_ids::Device::from_vid_pid(id.vendor, id.device).map(|d| d.name().to_owned());
        self.devices.get(&id).cloned().or_else(built_in)
    }

    fn class(&self, class: ClassCode) -> Option<String> {
        let sub = pci_ids::Subclass::from_cid_sid(class.base(), class.sub()).map(|s| s.name().to_owned());
        sub.or_else(|| pci_ids::Class::from_id(class.base()).map(|c| c.name().to_owned()))
    }
}
