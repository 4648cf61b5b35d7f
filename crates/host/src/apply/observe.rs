//! What a resource is at this moment, read from the host.
//!
//! Sources: `driver_override` reads `(null)` when it is not set (`Documentation/ABI/testing/sysfs-bus-pci`), on
//! some kernels an empty line; `driver` is a link only while the device is bound; `/sys/module/NAME/initstate` is
//! `live` for a loaded module and absent for a part of the kernel (`kernel/module/sysfs.c`), which without
//! parameters has no directory either and is then found in `modules.builtin` (`Documentation/kbuild/kbuild.rst`).

use slotwise_core::action::{Resource, State};
use slotwise_core::facts::{DriverName, ModuleName};
use slotwise_core::pci::PciAddress;

use crate::kernel::{ReadError, ReadErrorKind, ReadHost};

/// The longest file that an action replaces, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// A sysfs attribute is a page at most.
const MAX_ATTRIBUTE_BYTES: usize = 4096;
/// `modules.builtin` has some tens of bytes for each of some thousand modules.
const MAX_BUILTIN_BYTES: usize = 4 << 20;

/// The state of `resource`.
///
/// # Errors
/// If it cannot be read; [`ReadErrorKind::NotFound`] for a device that is not there.
pub(crate) fn observe(host: &dyn ReadHost, resource: &Resource) -> Result<State, ReadError> {
    match resource {
        Resource::Module(module) => module_state(host, module),
        Resource::DriverOverride(device) => driver_override(host, *device).map(State::DriverOverride),
        Resource::Driver(device) => driver(host, *device).map(State::Driver),
        Resource::File(path) => file(host, path.as_str()).map(State::File),
    }
}

/// Where the files of a device are.
pub(super) fn device_path(device: PciAddress) -> String {
    format!("/sys/bus/pci/devices/{device}")
}

fn missing<T>(answer: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn driver_name(path: &str, text: &str) -> Result<DriverName, ReadError> {
    DriverName::new(text).map_err(|error| ReadError::new(path, ReadErrorKind::Other(error.to_string())))
}

fn driver_override(host: &dyn ReadHost, device: PciAddress) -> Result<Option<DriverName>, ReadError> {
    let path = format!("{}/driver_override", device_path(device));
    let content = host.read(&path, MAX_ATTRIBUTE_BYTES)?;
    match String::from_utf8_lossy(&content).trim_end_matches('\n') {
        "" | "(null)" => Ok(None),
        text => driver_name(&path, text).map(Some),
    }
}

fn driver(host: &dyn ReadHost, device: PciAddress) -> Result<Option<DriverName>, ReadError> {
    let path = format!("{}/driver", device_path(device));
    let Some(target) = missing(host.link(&path))? else {
        // Bound to none, or not there at all: the device's own link tells.
        host.link(&device_path(device))?;
        return Ok(None);
    };
    driver_name(&path, target.rsplit('/').next().unwrap_or_default()).map(Some)
}

fn file(host: &dyn ReadHost, path: &str) -> Result<Option<String>, ReadError> {
    let Some(content) = missing(host.read(path, MAX_FILE_BYTES))? else { return Ok(None) };
    let text = String::from_utf8(content);
    text.map(Some).map_err(|_| ReadError::new(path, ReadErrorKind::Other("not UTF-8".to_owned())))
}

fn module_state(host: &dyn ReadHost, module: &ModuleName) -> Result<State, ReadError> {
    let path = format!("/sys/module/{module}");
    let state = |loaded: bool| if loaded { State::ModuleLoaded } else { State::ModuleAbsent };
    if let Some(names) = missing(host.list(&path))? {
        if !names.iter().any(|name| name == "initstate") {
            return Ok(State::ModuleLoaded);
        }
        let content = missing(host.read(&format!("{path}/initstate"), MAX_ATTRIBUTE_BYTES))?;
        return Ok(state(content.is_some_and(|content| content.starts_with(b"live"))));
    }
    let Some(release) = missing(host.read("/proc/sys/kernel/osrelease", MAX_ATTRIBUTE_BYTES))? else {
        return Ok(State::ModuleAbsent);
    };
    let release = String::from_utf8_lossy(&release);
    let builtin = format!("/lib/modules/{}/modules.builtin", release.trim());
    let list = missing(host.read(&builtin, MAX_BUILTIN_BYTES))?.unwrap_or_default();
    let is_it = |line: &str| {
        let file = line.rsplit('/').next().unwrap_or_default();
        file.strip_suffix(".ko").is_some_and(|name| name.replace('-', "_") == module.as_str())
    };
    Ok(state(String::from_utf8_lossy(&list).lines().any(is_it)))
}

/// The devices on the drivers of `module` (`drivers/base/module.c: module_add_driver` makes the links).
pub(super) fn users(host: &dyn ReadHost, module: &ModuleName) -> Vec<PciAddress> {
    let drivers = host.list(&format!("/sys/module/{module}/drivers")).unwrap_or_default();
    let drivers = drivers.iter().filter_map(|name| name.strip_prefix("pci:"));
    let names =
        drivers.flat_map(|driver| host.list(&format!("/sys/bus/pci/drivers/{driver}")).unwrap_or_default());
    names.filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    fn module(host: &FakeKernel, name: &str) -> State {
        observe(host, &Resource::Module(ModuleName::new(name).unwrap())).unwrap()
    }

    #[test]
    fn module_is_loaded_when_live_or_built_in() {
        let host = FakeKernel::parse(
            "module vfio_pci loaded
             module vfio
             file /sys/module/pci_stub/parameters/ids x
             file /sys/module/iommufd/initstate coming
             file /proc/sys/kernel/osrelease 6.1.0
             file /lib/modules/6.1.0/modules.builtin kernel/drivers/ata/sata-nv.ko",
        )
        .unwrap();
        for name in ["vfio-pci", "pci-stub", "sata_nv"] {
            assert_eq!(module(&host, name), State::ModuleLoaded, "{name}");
        }
        for name in ["vfio", "iommufd", "sata", "nv"] {
            assert_eq!(module(&host, name), State::ModuleAbsent, "{name}");
        }
    }

    #[test]
    fn device_that_is_not_there_is_an_error_and_one_without_driver_is_not() {
        let host = FakeKernel::parse("device 0000:03:04.0 9004:5078").unwrap();
        let at = |text: &str| Resource::Driver(text.parse().unwrap());
        assert_eq!(observe(&host, &at("03:04.0")), Ok(State::Driver(None)));
        assert!(observe(&host, &at("03:05.0")).unwrap_err().is_not_found());
    }

    #[test]
    fn file_that_is_no_text_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/a"), [0xff]).unwrap();
        let host = crate::live::LiveHost::at(dir.path()).unwrap();
        let at = |text: &str| Resource::File(slotwise_core::action::FilePath::new(text).unwrap());
        assert!(observe(&host, &at("/etc/a")).is_err());
        assert_eq!(observe(&host, &at("/etc/b")), Ok(State::File(None)));
    }
}
