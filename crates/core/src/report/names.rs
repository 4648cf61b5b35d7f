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

/// A function's vendor name: the source's own word, else the list's.
pub(super) fn vendor_name(function: &FunctionFacts, names: &dyn Names) -> Option<String> {
    function.vendor_name.clone().or_else(|| names.vendor(function.id.known()?.vendor))
}

/// A function's device name: the source's own word, else the list's.
pub(super) fn device_name(function: &FunctionFacts, names: &dyn Names) -> Option<String> {
    function.device_name.clone().or_else(|| names.device(*function.id.known()?))
}
