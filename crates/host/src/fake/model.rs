//! The kernel's side of binding: devices, drivers, modules, groups, and the files that show them.
//!
//! Rules and their sources: a device matches a driver by `driver_override` alone if that is set, else by id
//! (`drivers/pci/pci-driver.c:pci_match_device`); `unbind` wants the driver that has the device, else `ENODEV`
//! (`drivers/base/bus.c:unbind_store`); `bind` gives `ENODEV` without a match and `EBUSY` for a bound device
//! (`bind_store`, `device_driver_attach`); `drivers_probe` succeeds even when nothing was bound
//! (`drivers_probe_store`); a driver that appears takes the driverless devices that match (`driver_attach`);
//! `/dev/vfio/N` appears with the first device of group N on vfio-pci and goes with the last
//! (`drivers/vfio/group.c`).

use std::collections::{BTreeMap, BTreeSet};

use slotwise_core::pci::{PciAddress, PciId};

use crate::kernel::WriteErrorKind;

/// A PCI device as the driver core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) id: PciId,
    pub(super) group: Option<u32>,
    pub(super) driver: Option<String>,
    pub(super) driver_override: Option<String>,
    /// Drivers whose probe fails for this device.
    pub(super) refuses: BTreeSet<String>,
}

/// A driver that is registered, or that a module would register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Driver {
    /// The module it comes with; none if it is part of the kernel.
    pub(super) module: Option<String>,
    pub(super) ids: BTreeSet<PciId>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(Vec<u8>),
    Link(String),
    Directory,
    /// An attribute that can be written and not read.
    WriteOnly,
}

/// The whole state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Model {
    pub(super) devices: BTreeMap<PciAddress, Device>,
    pub(super) drivers: BTreeMap<String, Driver>,
    /// Modules that can be loaded, and whether they are.
    pub(super) modules: BTreeMap<String, bool>,
    /// Text and permission bits.
    pub(super) files: BTreeMap<String, (Vec<u8>, u32)>,
    pub(super) directories: BTreeSet<String>,
}

type Answer = Result<(), WriteErrorKind>;

impl Model {
    fn registered(&self, driver: &Driver) -> bool {
        driver.module.as_ref().is_none_or(|module| self.modules.get(module) == Some(&true))
    }

    fn matches(&self, name: &str, device: &Device) -> bool {
        let Some(driver) = self.drivers.get(name) else { return false };
        let by_id = || driver.ids.contains(&device.id);
        self.registered(driver) && device.driver_override.as_deref().map_or_else(by_id, |only| only == name)
    }

    /// Offers a driverless device to the drivers in turn, as `device_attach` does.
    pub(super) fn attach(&mut self, address: PciAddress) {
        let Some(device) = self.devices.get(&address) else { return };
        if device.driver.is_some() {
            return;
        }
        let fits = |name: &&String| self.matches(name, device) && !device.refuses.contains(name.as_str());
        let found = self.drivers.keys().find(fits).cloned();
        if let Some(device) = self.devices.get_mut(&address) {
            device.driver = found;
        }
    }

    fn attach_all(&mut self) {
        let all: Vec<PciAddress> = self.devices.keys().copied().collect();
        all.into_iter().for_each(|address| self.attach(address));
    }

    /// Sets up what a boot would: driverless devices get the drivers that match.
    pub(super) fn boot(&mut self) {
        for device in self.devices.values_mut() {
            device.driver = None;
        }
        self.attach_all();
    }

    pub(super) fn load(&mut self, name: &str) -> Answer {
        *self.modules.get_mut(name).ok_or(WriteErrorKind::NotFound)? = true;
        self.attach_all();
        Ok(())
    }

    pub(super) fn unload(&mut self, name: &str) -> Answer {
        let of_module = |driver: &String| {
            self.drivers.get(driver).is_some_and(|driver| driver.module.as_deref() == Some(name))
        };
        if self.devices.values().filter_map(|device| device.driver.as_ref()).any(of_module) {
            return Err(WriteErrorKind::Busy);
        }
        *self.modules.get_mut(name).ok_or(WriteErrorKind::NotFound)? = false;
        Ok(())
    }

    /// A write to a sysfs attribute; none if there is no model for it.
    pub(super) fn store(&mut self, path: &str, text: &str) -> Option<Answer> {
        // The driver core ends the text at a newline (`sysfs_streq`, `driver_set_override`).
        let text = text.split('\n').next().unwrap_or_default();
        if path == "/sys/bus/pci/drivers_probe" {
            let address = text.parse().ok().filter(|address| self.devices.contains_key(address));
            let Some(address) = address else { return Some(Err(WriteErrorKind::Vanished)) };
            self.attach(address);
            return Some(Ok(()));
        }
        if let Some(rest) = path.strip_prefix("/sys/bus/pci/devices/") {
            let address = rest.strip_suffix("/driver_override")?.parse().ok()?;
            let Some(device) = self.devices.get_mut(&address) else {
                return Some(Err(WriteErrorKind::NotFound));
            };
            device.driver_override = Some(text.to_owned()).filter(|text| !text.is_empty());
            return Some(Ok(()));
        }
        let (driver, attribute) = path.strip_prefix("/sys/bus/pci/drivers/")?.rsplit_once('/')?;
        if !self.drivers.get(driver).is_some_and(|found| self.registered(found)) {
            return Some(Err(WriteErrorKind::NotFound));
        }
        match attribute {
            "unbind" => Some(self.unbind(driver, text)),
            "bind" => Some(self.bind(driver, text)),
            _ => None,
        }
    }

    fn unbind(&mut self, driver: &str, device: &str) -> Answer {
        let address: PciAddress = device.parse().map_err(|_| WriteErrorKind::Vanished)?;
        let device = self.devices.get_mut(&address).ok_or(WriteErrorKind::Vanished)?;
        if device.driver.as_deref() != Some(driver) {
            return Err(WriteErrorKind::Vanished);
        }
        device.driver = None;
        Ok(())
    }

    fn bind(&mut self, driver: &str, device: &str) -> Answer {
        let address: PciAddress = device.parse().map_err(|_| WriteErrorKind::Vanished)?;
        let device = self.devices.get(&address).ok_or(WriteErrorKind::Vanished)?;
        if !self.matches(driver, device) {
            return Err(WriteErrorKind::Vanished);
        }
        if device.driver.is_some() {
            return Err(WriteErrorKind::Busy);
        }
        if device.refuses.contains(driver) {
            return Err(WriteErrorKind::Other("Invalid argument (os error 22)".to_owned()));
        }
        if let Some(device) = self.devices.get_mut(&address) {
            device.driver = Some(driver.to_owned());
        }
        Ok(())
    }

    /// Everything that can be seen, by absolute path, parents included.
    pub(super) fn tree(&self) -> BTreeMap<String, Node> {
        let mut tree = BTreeMap::new();
        for (address, device) in &self.devices {
            device_nodes(&mut tree, *address, device);
        }
        tree.insert("/sys/bus/pci/drivers_probe".to_owned(), Node::WriteOnly);
        for (name, driver) in self.drivers.iter().filter(|(_, driver)| self.registered(driver)) {
            if let Some(module) = &driver.module {
                let target = format!("../../../bus/pci/drivers/{name}");
                tree.insert(format!("/sys/module/{module}/drivers/pci:{name}"), Node::Link(target));
            }
            for attribute in ["bind", "unbind"] {
                tree.insert(format!("/sys/bus/pci/drivers/{name}/{attribute}"), Node::WriteOnly);
            }
        }
        for (name, _) in self.modules.iter().filter(|(_, loaded)| **loaded) {
            tree.insert(format!("/sys/module/{name}/initstate"), Node::File(b"live\n".to_vec()));
        }
        for (path, (content, _)) in &self.files {
            tree.insert(path.clone(), Node::File(content.clone()));
        }
        for path in &self.directories {
            tree.insert(path.clone(), Node::Directory);
        }
        add_parents(&mut tree);
        tree
    }
}

fn device_nodes(tree: &mut BTreeMap<String, Node>, address: PciAddress, device: &Device) {
    let root = format!("/sys/devices/pci{:04x}:{:02x}/{address}", address.domain(), address.bus());
    let file = |text: String| Node::File(text.into_bytes());
    let link = |target: &str| Node::Link(format!("../../..{target}"));
    tree.insert(format!("{root}/vendor"), file(format!("0x{:04x}\n", device.id.vendor)));
    tree.insert(format!("{root}/device"), file(format!("0x{:04x}\n", device.id.device)));
    let only = device.driver_override.as_deref().unwrap_or("(null)");
    tree.insert(format!("{root}/driver_override"), file(format!("{only}\n")));
    let short = root.trim_start_matches("/sys");
    tree.insert(format!("/sys/bus/pci/devices/{address}"), link(short));
    if let Some(driver) = &device.driver {
        tree.insert(format!("{root}/driver"), link(&format!("/bus/pci/drivers/{driver}")));
        tree.insert(
            format!("/sys/bus/pci/drivers/{driver}/{address}"),
            Node::Link(format!("../../../..{short}")),
        );
    }
    if let Some(group) = device.group {
        tree.insert(format!("{root}/iommu_group"), link(&format!("/kernel/iommu_groups/{group}")));
        let member = format!("/sys/kernel/iommu_groups/{group}/devices/{address}");
        tree.insert(member, Node::Link(format!("../../../..{short}")));
        if device.driver.as_deref() == Some("vfio-pci") {
            tree.insert(format!("/dev/vfio/{group}"), Node::WriteOnly);
        }
    }
}

fn add_parents(tree: &mut BTreeMap<String, Node>) {
    let mut parents = BTreeSet::from(["/".to_owned()]);
    for path in tree.keys() {
        let mut path = path.as_str();
        while let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            parents.insert(parent.to_owned());
            path = parent;
        }
    }
    for parent in parents {
        tree.entry(parent).or_insert(Node::Directory);
    }
}
