//! The PCI functions of the guest, from sysfs.

use std::fs;
use std::path::Path;

use slotwise_testbench::wire::PciFunction;

pub(crate) fn functions() -> Result<Vec<PciFunction>, String> {
    let directory = "/sys/bus/pci/devices";
    let entries = fs::read_dir(directory).map_err(|error| format!("cannot list {directory}: {error}"))?;
    let mut functions: Vec<_> = entries.flatten().map(|entry| function(&entry.path())).collect();
    functions.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(functions)
}

fn function(path: &Path) -> PciFunction {
    let id = |file: &str| {
        let text = fs::read_to_string(path.join(file)).unwrap_or_default();
        text.trim().trim_start_matches("0x").to_owned()
    };
    PciFunction {
        address: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        vendor: id("vendor"),
        device: id("device"),
        class: id("class"),
        driver: bound(path),
    }
}

/// The driver that has taken a function. One is linked before it is asked to take it, and `driver_override` is read under
/// the lock that is held meanwhile (`drivers/base/dd.c`, `really_probe`; `drivers/pci/pci-sysfs.c`,
/// `driver_override_show`; Linux 6.1): what is still linked after that read has taken it.
fn bound(path: &Path) -> Option<String> {
    link_name(&path.join("driver"))?;
    // What it says does not matter.
    let _ = fs::read(path.join("driver_override"));
    link_name(&path.join("driver"))
}

/// The last part of where a link points to.
pub(crate) fn link_name(link: &Path) -> Option<String> {
    Some(fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// Whether a name has the form of an address, `dddd:bb:dd.f`.
pub(crate) fn is_address(name: &str) -> bool {
    let parts: Vec<_> = name.split([':', '.']).collect();
    let lengths_fit = matches!(parts.as_slice(), [domain, bus, device, function]
        if domain.len() >= 4 && bus.len() == 2 && device.len() == 2 && function.len() == 1);
    lengths_fit && parts.iter().all(|part| part.bytes().all(|digit| digit.is_ascii_hexdigit()))
}
