//! Names of vendors, devices and classes: looked up by whoever has a list of them.

use crate::facts::FunctionFacts;
use crate::pci::{ClassCode, PciId};

/// A list of names, as `pci.ids` is one.
pub trait Names {
    /// Name of a vendor.
    fn vendor(&self, vendor: u16) -> Option<String>;
    /// Name of a device.
    fn device(&self, id: PciId) -> Option<String>;
    /// Name of a class, the most specific that is known.
    fn class(&self, class: ClassCode) -> Option<String>;
    /// Name of a class's programming interface.
    fn interface(&self, _: ClassCode) -> Option<String> {
        None
    }
}

/// No names at all.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Names for NoNames {
    fn vendor(&self, _: u16) -> Option<String> {
        None
    }

    fn device(&self, _: PciId) -> Option<String> {
        None
    }

    fn class(&self, _: ClassCode) -> Option<String> {
        None
    }
}

/// A function's vendor and device name: the source's own words, else the list's.
pub(super) fn vendor_and_device(
    function: &FunctionFacts,
    names: &dyn Names,
) -> (Option<String>, Option<String>) {
    let id = function.id.known().copied();
    let vendor = function.vendor_name.clone().or_else(|| names.vendor(id?.vendor));
    let listed = || names.device(id?);
    if let Some(device) = &function.device_name {
        return (vendor, Some(device.clone()));
    }
    let Some(printed) = &function.printed_name else { return (vendor, listed()) };
    let Some(vendor) = vendor else {
        // Without an id the list does not say where the vendor's name ends.
        return (None, listed().or_else(|| Some(printed.clone())));
    };
    match printed.strip_prefix(&vendor).map(str::trim_start) {
        // What lspci prints for a device that its list has not.
        Some("") | Some("Device") => (Some(vendor), listed()),
        Some(device) if !device.starts_with("Device ") => (Some(vendor), Some(device.to_owned())),
        // A device without a name, or a vendor that another list spells in another way.
        _ => (Some(vendor), listed().or_else(|| Some(printed.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    struct List;

    impl Names for List {
        fn vendor(&self, _: u16) -> Option<String> {
            Some("NVIDIA Corporation".to_owned())
        }

        fn device(&self, id: PciId) -> Option<String> {
            (id.device == 1).then(|| "Listed".to_owned())
        }

        fn class(&self, _: ClassCode) -> Option<String> {
            None
        }
    }

    fn device(printed: &str, device: u16) -> Option<String> {
        let mut function = FunctionFacts::at("01:00.0".parse().expect("an address"));
        function.id = Fact::Known(PciId { vendor: 0x10de, device });
        function.printed_name = Some(printed.to_owned());
        vendor_and_device(&function, &List).1
    }

    #[test]
    fn printed_names_are_split_at_the_vendor() {
        let printed = "NVIDIA Corporation GM206 [GeForce GTX 960]";
        assert_eq!(device(printed, 2).as_deref(), Some("GM206 [GeForce GTX 960]"));
        assert_eq!(device("NVIDIA Corporation Device", 2), None);
        assert_eq!(device("NVIDIA Corporation Device 1401", 1).as_deref(), Some("Listed"));
        assert_eq!(device("nVidia Corp. Thing", 2).as_deref(), Some("nVidia Corp. Thing"));
    }
}
