//! What driverctl keeps: a driver for a device, set again at each boot.
//!
//! `/etc/driverctl.d/pci-DDDD:BB:DD.F` holds the driver's name and a newline; `none` keeps the device without a
//! driver (`driverctl`, functions `save_override` and `set_override`; its udev rule loads it when the device
//! appears). Only read here: who changes it for good uses an action of the plan.

use slotwise_core::facts::DriverName;
use slotwise_core::pci::PciAddress;

use crate::kernel::{ReadError, ReadErrorKind, ReadHost};

/// The longest override file that is believed, in bytes.
const MAX_OVERRIDE_BYTES: usize = 256;

/// The driver that driverctl gives `device` at boot; none if it leaves it alone.
///
/// # Errors
/// If there is a file and it cannot be read or names no driver.
pub fn driverctl_override(host: &dyn ReadHost, device: PciAddress) -> Result<Option<DriverName>, ReadError> {
    let path = format!("/etc/driverctl.d/pci-{device}");
    let content = match host.read(&path, MAX_OVERRIDE_BYTES) {
        Err(error) if error.is_not_found() => return Ok(None),
        answer => answer?,
    };
    let text = String::from_utf8_lossy(&content);
    // driverctl itself takes an empty file for no override (`[ -s … ]`).
    if text.trim().is_empty() {
        return Ok(None);
    }
    let name = DriverName::new(text.trim());
    name.map(Some).map_err(|error| ReadError::new(path, ReadErrorKind::Other(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    #[test]
    fn override_is_read_and_its_absence_is_an_answer() {
        let host = FakeKernel::parse("file /etc/driverctl.d/pci-0000:03:04.0 vfio-pci").unwrap();
        let device = |text: &str| text.parse().unwrap();
        assert_eq!(driverctl_override(&host, device("03:04.0")), Ok(Some(DriverName::vfio_pci())));
        assert_eq!(driverctl_override(&host, device("03:05.0")), Ok(None));
        host.write_by_hand("/etc/driverctl.d/pci-0000:03:05.0", "\n");
        assert_eq!(driverctl_override(&host, device("03:05.0")), Ok(None));
    }

    #[test]
    fn override_that_names_no_driver_is_an_error() {
        let host = FakeKernel::parse("file /etc/driverctl.d/pci-0000:03:04.0 ../../x").unwrap();
        let error = driverctl_override(&host, "03:04.0".parse().unwrap()).unwrap_err();
        assert_eq!(error.path, "/etc/driverctl.d/pci-0000:03:04.0");
    }
}
