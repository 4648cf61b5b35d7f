//! From the TOML form to a machine that is consistent.
//!
//! The first thing found wrong is reported, at its place, with what would be right.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_spanned::Spanned;

use super::error::{Location, MachineError};
use super::model::{DeviceModel, Role};
use super::qemu::LAB_SLOTS;
use super::{Bus, Bytes, Device, Disk, Iommu, Kernel, wire};

/// Longest list of any kind in a description; a machine has 32 slots on its root bus.
const MAX_ENTRIES: usize = 256;

/// What a description says, before faults.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) cpu: String,
    pub(super) processors: u8,
    pub(super) memory: Bytes,
    pub(super) nodes: u8,
    pub(super) iommu: Iommu,
    pub(super) kernel: Kernel,
    pub(super) devices: Vec<Device>,
    pub(super) disks: Vec<Disk>,
    pub(super) faults: std::collections::BTreeMap<String, wire::Fault>,
}

/// Checks a text.
pub(super) fn parse(text: &str) -> Result<Checked, MachineError> {
    let wire: wire::Machine = toml::from_str(text)
        .map_err(|error| MachineError::syntax(Some(text), error.span(), error.message()))?;
    Checker { text }.machine(wire)
}

/// Checks a tree, by way of its text; places in that text mean nothing to anybody and are not reported.
pub(super) fn table(table: &wire::Table) -> Result<Checked, MachineError> {
    let text =
        toml::to_string(table).map_err(|error| MachineError::syntax(None, None, &error.to_string()))?;
    parse(&text)
}

struct Checker<'a> {
    text: &'a str,
}

impl Checker<'_> {
    fn wrong<T>(&self, span: Range<usize>, message: String, hint: &str) -> Result<T, MachineError> {
        let location = Some(Location::of(self.text, span.start));
        Err(MachineError::Value { location, message, hint: hint.to_owned() })
    }

    fn machine(&self, wire: wire::Machine) -> Result<Checked, MachineError> {
        self.kebab(&wire.name)?;
        let memory = self.size(&wire.host.memory)?;
        if !(1 << 30..=1 << 38).contains(&memory.0) {
            return self.wrong(
                wire.host.memory.span(),
                format!("memory of {}", wire.host.memory.get_ref()),
                "a lab host needs 1G to 256G; guests in it need theirs on top",
            );
        }
        let processors = wire.host.processors;
        if !(1..=64).contains(processors.get_ref()) {
            return self.wrong(processors.span(), format!("{} processors", processors.get_ref()), "1 to 64");
        }
        let nodes = wire.host.nodes.as_ref().map_or(1, |nodes| *nodes.get_ref());
        if let Some(wrong) =
            wire.host.nodes.as_ref().filter(|_| !(1..=*processors.get_ref()).contains(&nodes))
        {
            let message = format!("{nodes} memory nodes");
            return self.wrong(wrong.span(), message, "1, or up to as many as there are processors");
        }
        self.word(&wire.host.cpu, "a CPU model is letters, digits, and - + . _ , =")?;
        if wire.device.len().max(wire.disk.len()).max(wire.fault.len()) > MAX_ENTRIES {
            return self.wrong(0..0, "too many entries".to_owned(), "at most 256 of a kind");
        }
        let iommu = self.iommu(&wire.iommu)?;
        let devices = self.devices(wire.device)?;
        let disks = self.disks(wire.disk, &devices)?;
        Ok(Checked {
            name: wire.name.into_inner(),
            summary: wire.summary,
            cpu: wire.host.cpu.into_inner(),
            processors: processors.into_inner(),
            memory,
            nodes,
            iommu,
            kernel: self.kernel(wire.kernel)?,
            devices,
            disks,
            faults: wire.fault,
        })
    }

    fn iommu(&self, wire: &wire::Iommu) -> Result<Iommu, MachineError> {
        let interrupt_remapping = wire.interrupt_remapping.unwrap_or(true);
        match wire.kind.get_ref().as_str() {
            "none" => Ok(Iommu::None),
            "amd" => Ok(Iommu::Amd { interrupt_remapping }),
            "intel" => {
                let address_bits = wire.address_bits.as_ref().map_or(48, |bits| *bits.get_ref());
                if let Some(bits) = wire.address_bits.as_ref().filter(|_| !matches!(address_bits, 39 | 48)) {
                    let message = format!("an address width of {address_bits} bits");
                    return self.wrong(bits.span(), message, "39 (three-level tables) or 48 (four-level)");
                }
                let caching_mode = wire.caching_mode.unwrap_or(true);
                Ok(Iommu::Intel { interrupt_remapping, caching_mode, address_bits })
            }
            other => self.wrong(wire.kind.span(), format!("unknown IOMMU {other}"), "intel, amd or none"),
        }
    }

    fn kernel(&self, wire: wire::Kernel) -> Result<Kernel, MachineError> {
        let words = |list: Vec<Spanned<String>>, hint: &str| -> Result<Vec<String>, MachineError> {
            list.iter().try_for_each(|word| self.word(word, hint))?;
            Ok(list.into_iter().map(Spanned::into_inner).collect())
        };
        for line in &wire.modprobe {
            if line.get_ref().contains('\n') {
                return self.wrong(
                    line.span(),
                    "a line break in a modprobe line".to_owned(),
                    "one line each",
                );
            }
        }
        for path in &wire.wait_for {
            if !path.get_ref().starts_with('/') {
                return self.wrong(
                    path.span(),
                    format!("{} is relative", path.get_ref()),
                    "an absolute path",
                );
            }
        }
        Ok(Kernel {
            parameters: words(wire.parameters, "one parameter each, without spaces")?,
            modules: words(wire.modules, "a module's name, as modprobe takes it")?,
            modprobe: wire.modprobe.into_iter().map(Spanned::into_inner).collect(),
            wait_for: wire.wait_for.into_iter().map(Spanned::into_inner).collect(),
        })
    }

    fn devices(&self, wire: Vec<wire::Device>) -> Result<Vec<Device>, MachineError> {
        let mut devices: Vec<Device> = Vec::new();
        let mut taken: BTreeSet<(String, u8)> = BTreeSet::new();
        for device in wire {
            self.unique(&device.name, devices.iter().map(|device| device.name.as_str()))?;
            let model = self.model(&device.model)?;
            let (bus, last_slot) = self.bus(&device.bus, &devices)?;
            let slot = *device.slot.get_ref();
            if slot > last_slot {
                let hint = format!("slots 0 to {last_slot} on {}", device.bus.get_ref());
                return self.wrong(device.slot.span(), format!("slot {slot}"), &hint);
            }
            if bus == Bus::Root && (matches!(slot, 0 | 0x1f) || LAB_SLOTS.contains(&slot)) {
                return self.wrong(
                    device.slot.span(),
                    format!("slot {slot:#x} of pcie.0 is not free"),
                    "0 and 0x1f are the chipset's, 0x1b to 0x1d the lab's own; take one of 1 to 0x1a",
                );
            }
            if !taken.insert((device.bus.get_ref().clone(), slot)) {
                let message = format!("slot {slot:#x} of {} is taken", device.bus.get_ref());
                return self.wrong(device.slot.span(), message, "one device for each slot");
            }
            let size = self.device_size(&device, model)?;
            let up = device.up.as_ref().is_some_and(|up| *up.get_ref());
            if let Some(up) = device.up.as_ref().filter(|_| model.role() != Role::Network) {
                let message = format!("{} has no interface", model.name());
                return self.wrong(up.span(), message, "`up` is for network cards");
            }
            devices.push(Device { name: device.name.into_inner(), model, bus, slot, up, size });
        }
        Ok(devices)
    }

    fn device_size(&self, device: &wire::Device, model: DeviceModel) -> Result<Option<Bytes>, MachineError> {
        match (&device.size, model.role()) {
            (Some(size), Role::Memory) => {
                let bytes = self.size(size)?;
                if bytes.0.is_power_of_two() && bytes.0 >= 4096 {
                    return Ok(Some(bytes));
                }
                let hint = "a power of two from 4K: it becomes a BAR (PCI Local Bus 3.0 §6.2.5.1)";
                self.wrong(size.span(), format!("memory of {} bytes", bytes.0), hint)
            }
            (None, Role::Memory) => {
                self.wrong(device.model.span(), "no size for its memory".to_owned(), "size = \"8G\"")
            }
            (Some(size), _) => {
                self.wrong(size.span(), format!("{} has no size", model.name()), "leave it out")
            }
            (None, _) => Ok(None),
        }
    }

    fn model(&self, name: &Spanned<String>) -> Result<DeviceModel, MachineError> {
        DeviceModel::from_name(name.get_ref()).map_or_else(
            || {
                let known: Vec<_> = DeviceModel::ALL.iter().map(|model| model.name()).collect();
                let message = format!("unknown device model {}", name.get_ref());
                self.wrong(name.span(), message, &format!("one of: {}", known.join(", ")))
            },
            Ok,
        )
    }

    /// The bus, and its highest slot. A bridge must stand before what is behind it, so there are no cycles.
    fn bus(&self, name: &Spanned<String>, devices: &[Device]) -> Result<(Bus, u8), MachineError> {
        if name.get_ref() == "pcie.0" {
            return Ok((Bus::Root, 31));
        }
        let bridge = devices.iter().find(|device| device.name == *name.get_ref());
        match bridge.map(|bridge| (bridge, bridge.model.role())) {
            Some((bridge, Role::Bridge { last_slot })) => Ok((Bus::Behind(bridge.name.clone()), last_slot)),
            Some((bridge, _)) => {
                let message = format!("{} is a {}, not a bus", bridge.name, bridge.model.name());
                self.wrong(name.span(), message, "pcie.0, or the name of a bridge or root port")
            }
            None => self.wrong(
                name.span(),
                format!("no bus {}", name.get_ref()),
                "pcie.0, or the name of a bridge or root port declared above",
            ),
        }
    }

    fn disks(&self, wire: Vec<wire::Disk>, devices: &[Device]) -> Result<Vec<Disk>, MachineError> {
        let mut disks: Vec<Disk> = Vec::new();
        for disk in wire {
            let names = devices.iter().map(|device| device.name.as_str());
            self.unique(&disk.name, names.chain(disks.iter().map(|disk| disk.name.as_str())))?;
            let controller = devices.iter().find(|device| device.name == *disk.controller.get_ref());
            let Some(controller) = controller.filter(|device| device.model.role() == Role::Scsi) else {
                let message = format!("no SCSI controller {}", disk.controller.get_ref());
                return self.wrong(disk.controller.span(), message, "the name of a SCSI controller");
            };
            let (target, last) = (*disk.target.get_ref(), controller.model.last_scsi_id());
            if target > last || target == 7 {
                let hint = format!("0 to {last} without 7, which is the controller's own");
                return self.wrong(disk.target.span(), format!("SCSI ID {target}"), &hint);
            }
            if disks.iter().any(|other| other.controller == controller.name && other.target == target) {
                let message = format!("SCSI ID {target} of {} is taken", controller.name);
                return self.wrong(disk.target.span(), message, "one disk for each ID");
            }
            for (text, limit) in
                [(&disk.vendor, 8), (&disk.product, 16), (&disk.revision, 4), (&disk.serial, 20)]
            {
                self.inquiry(text, limit)?;
            }
            let size = self.size(&disk.size)?;
            if !size.0.is_multiple_of(512) || size.0 == 0 || size.0 > 1 << 40 {
                let message = format!("a disk of {} bytes", size.0);
                return self.wrong(disk.size.span(), message, "a multiple of 512 bytes, at most 1T");
            }
            let scsi_version = disk.scsi_version.as_ref().map_or(5, |version| *version.get_ref());
            disks.push(Disk {
                name: disk.name.into_inner(),
                controller: controller.name.clone(),
                target,
                vendor: disk.vendor.into_inner(),
                product: disk.product.into_inner(),
                revision: disk.revision.into_inner(),
                scsi_version,
                serial: disk.serial.into_inner(),
                size,
            });
        }
        Ok(disks)
    }

    /// INQUIRY strings are printable ASCII (SPC-2 §4.4.1); a comma would end the value in QEMU's option syntax.
    fn inquiry(&self, text: &Spanned<String>, limit: usize) -> Result<(), MachineError> {
        let value = text.get_ref();
        let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b',');
        if printable && !value.is_empty() && value.len() <= limit {
            return Ok(());
        }
        let hint = format!("1 to {limit} printable ASCII characters without comma");
        self.wrong(text.span(), format!("INQUIRY text {value:?}"), &hint)
    }

    fn kebab(&self, name: &Spanned<String>) -> Result<(), MachineError> {
        let value = name.get_ref();
        let fits =
            value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits && value.starts_with(|first: char| first.is_ascii_lowercase()) && value.len() <= 40 {
            return Ok(());
        }
        let hint = "lower-case letters, digits and -, beginning with a letter, at most 40";
        self.wrong(name.span(), format!("name {value:?}"), hint)
    }

    fn unique<'n>(
        &self,
        name: &Spanned<String>,
        mut others: impl Iterator<Item = &'n str>,
    ) -> Result<(), MachineError> {
        self.kebab(name)?;
        let value = name.get_ref();
        if others.any(|other| other == value)
            || matches!(value.as_str(), "host" | "iommu" | "kernel" | "fault")
        {
            return self.wrong(name.span(), format!("name {value} is taken"), "a name of its own");
        }
        Ok(())
    }

    fn word(&self, word: &Spanned<String>, hint: &str) -> Result<(), MachineError> {
        let value = word.get_ref();
        if !value.is_empty() && value.len() <= 512 && value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(());
        }
        self.wrong(word.span(), format!("{value:?}"), hint)
    }

    fn size(&self, text: &Spanned<String>) -> Result<Bytes, MachineError> {
        let value = text.get_ref();
        let shift = match value.chars().last() {
            Some('K') => 10,
            Some('M') => 20,
            Some('G') => 30,
            Some('T') => 40,
            _ => {
                return self.wrong(text.span(), format!("size {value:?}"), "a number with K, M, G or T: 64M");
            }
        };
        let number = value.trim_end_matches(['K', 'M', 'G', 'T']).parse::<u64>().ok();
        match number.and_then(|number| number.checked_mul(1 << shift)) {
            Some(bytes) => Ok(Bytes(bytes)),
            None => self.wrong(text.span(), format!("size {value:?}"), "a number with K, M, G or T: 64M"),
        }
    }
}
