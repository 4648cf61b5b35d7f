//! Which modules claim a function: the PCI rows of depmod's `modules.alias`, and of `modules.builtin.modinfo` for
//! drivers in the kernel image.
//!
//! Form (`scripts/mod/file2alias.c: do_pci_entry`):
//! `pci:vVVVVVVVVdDDDDDDDDsvSSSSSSSSsdSSSSSSSSbcBBscSSiII*`, each number in upper-case hexadecimal or `*` for any.
//! Rows for other buses, and `vfio_pci:` rows, which match only with `driver_override`, are left out.

use std::collections::HashMap;

use slotwise_core::facts::{FunctionFacts, ModuleName, ReadFault};
use slotwise_core::pci::{ClassCode, PciId};

use super::attributes::hex;
use super::{TEXT_BYTES, fault, text};
use crate::kernel::ReadHost;

/// The rows, by vendor; those for any vendor apart.
#[derive(Debug, Default)]
pub(super) struct ModuleAliases {
    by_vendor: HashMap<u32, Vec<Row>>,
    any_vendor: Vec<Row>,
    names: Vec<ModuleName>,
    indices: HashMap<String, usize>,
}

/// One row; `None` matches anything.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    device: Option<u32>,
    subsystem_vendor: Option<u32>,
    subsystem_device: Option<u32>,
    base: Option<u32>,
    sub: Option<u32>,
    interface: Option<u32>,
    module: usize,
}

impl ModuleAliases {
    /// Reads the files in `directory`. Either may be missing.
    pub(super) fn load(host: &dyn ReadHost, directory: &str, faults: &mut Vec<ReadFault>) -> Self {
        let mut aliases = Self::default();
        let mut read = |name: &str| match text(host, &format!("{directory}/{name}"), TEXT_BYTES) {
            Ok(text) => text,
            Err(error) => {
                if !error.is_not_found() {
                    faults.push(fault(&error));
                }
                String::new()
            }
        };
        for line in read("modules.alias").lines() {
            if let Some(rest) = line.strip_prefix("alias pci:")
                && let Some((pattern, module)) = rest.split_once(' ')
            {
                aliases.add(pattern, module.trim());
            }
        }
        // Entries of `module.key=value`, each with a zero byte behind it.
        for entry in read("modules.builtin.modinfo").split('\0') {
            if let Some((module, pattern)) = entry.split_once(".alias=pci:") {
                aliases.add(pattern, module);
            }
        }
        aliases
    }

    fn add(&mut self, pattern: &str, module: &str) {
        let index = match self.indices.get(module) {
            Some(index) => *index,
            None => {
                let Ok(name) = ModuleName::new(module) else { return };
                self.names.push(name);
                self.indices.insert(module.to_owned(), self.names.len() - 1);
                self.names.len() - 1
            }
        };
        if let Some((vendor, row)) = parse(pattern, index) {
            match vendor {
                Some(vendor) => self.by_vendor.entry(vendor).or_default().push(row),
                None => self.any_vendor.push(row),
            }
        }
    }

    /// The modules that claim `function`, those that name its vendor first.
    pub(super) fn claiming(&self, function: &FunctionFacts) -> Vec<ModuleName> {
        let (Some(id), Some(class)) = (function.id.known(), function.class.known()) else {
            return Vec::new();
        };
        let none = PciId { vendor: 0, device: 0 };
        let subsystem = *function.subsystem.known().unwrap_or(&none);
        let fits = |wanted: Option<u32>, value: u32| wanted.is_none_or(|wanted| wanted == value);
        let matches = |row: &&Row| {
            fits(row.device, id.device.into())
                && fits(row.subsystem_vendor, subsystem.vendor.into())
                && fits(row.subsystem_device, subsystem.device.into())
                && fits(row.base, class.base().into())
                && fits(row.sub, class.sub().into())
                && fits(row.interface, class.interface().into())
        };
        let of_vendor = self.by_vendor.get(&id.vendor.into()).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<usize> = Vec::new();
        for row in of_vendor.iter().chain(&self.any_vendor).filter(matches) {
            if !found.contains(&row.module) {
                found.push(row.module);
            }
        }
        found.into_iter().filter_map(|index| self.names.get(index).cloned()).collect()
    }
}

/// What the `modalias` file of a function says (`pci-sysfs.c: modalias_show`): the same form without wildcards, but that the
/// digits of the interface are lower case before Linux 6.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modalias {
    pub(super) id: PciId,
    pub(super) subsystem: PciId,
    pub(super) class: ClassCode,
}

impl Modalias {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut field = |key: &str, digits: usize| {
            let (number, after) = rest.strip_prefix(key)?.split_at_checked(digits)?;
            rest = after;
            hex(number)
        };
        let mut id = |key, other| {
            let (vendor, device) = (field(key, 8)?, field(other, 8)?);
            Some(PciId { vendor: vendor.try_into().ok()?, device: device.try_into().ok()? })
        };
        let (id, subsystem) = (id("pci:v", "d")?, id("sv", "sd")?);
        let (base, sub, interface) = (field("bc", 2)?, field("sc", 2)?, field("i", 2)?);
        let class = u32::try_from(base << 16 | sub << 8 | interface).ok()?;
        rest.is_empty().then_some(Self { id, subsystem, class: ClassCode::from_bits(class) })
    }
}

fn parse(pattern: &str, module: usize) -> Option<(Option<u32>, Row)> {
    let mut rest = pattern;
    let mut field = |key: &str| -> Option<Option<u32>> {
        let after = rest.strip_prefix(key)?;
        if let Some(after) = after.strip_prefix('*') {
            rest = after;
            return Some(None);
        }
        let end =
            after.find(|c: char| !(c.is_ascii_digit() || ('A'..='F').contains(&c))).unwrap_or(after.len());
        let (digits, after) = after.split_at_checked(end)?;
        rest = after;
        Some(Some(u32::from_str_radix(digits, 16).ok()?))
    };
    let vendor = field("v")?;
    let row = Row {
        device: field("d")?,
        subsystem_vendor: field("sv")?,
        subsystem_device: field("sd")?,
        base: field("bc")?,
        sub: field("sc")?,
        interface: field("i")?,
        module,
    };
    Some((vendor, row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotwise_core::facts::Fact;
    use slotwise_core::pci::PciAddress;

    fn claimed(rows: &[(&str, &str)], id: PciId, class: u32) -> Vec<String> {
        let mut aliases = ModuleAliases::default();
        for (pattern, module) in rows {
            aliases.add(pattern, module);
        }
        let mut function = FunctionFacts::at(PciAddress::from_requester_id(0, 0x18));
        function.id = Fact::Known(id);
        function.class = Fact::Known(ClassCode::from_bits(class));
        aliases.claiming(&function).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn module_is_named_once_and_by_id_before_class() {
        let rows = [
            ("v*d*sv*sd*bc01sc06i01*", "ahci"),
            ("v00008086d00002922sv*sd*bc*sc*i*", "ahci"),
            ("v00009004d00005078sv*sd*bc01sc00i*", "aic7xxx"),
            ("v00008086d00002922sv*sd*bc*sc*i*", "ata-generic"),
            ("v00008086d00002922sv00001234sd*bc*sc*i*", "other"),
        ];
        assert_eq!(
            claimed(&rows, PciId { vendor: 0x8086, device: 0x2922 }, 0x01_0601),
            ["ahci", "ata_generic"]
        );
        assert_eq!(claimed(&rows, PciId { vendor: 0x9004, device: 0x5078 }, 0x01_0000), ["aic7xxx"]);
    }

    #[test]
    fn alias_of_a_device_tells_what_five_files_tell() {
        let alias =
            Modalias::parse("pci:v00009004d00005078sv00009004sd00007850bc01sc01i8a").expect("an alias");
        assert_eq!(alias.id, PciId { vendor: 0x9004, device: 0x5078 });
        assert_eq!(alias.subsystem, PciId { vendor: 0x9004, device: 0x7850 });
        assert_eq!(alias.class, ClassCode::from_bits(0x01_018a));
        for text in ["", "pci:", "usb:v1d6bp0002", "pci:v*d*sv*sd*bc*sc*i*", "pci:v00009004d1sv1sd1bc1sc1i1"]
        {
            assert_eq!(Modalias::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rows_of_another_form_claim_nothing() {
        for pattern in ["", "v", "v*d*", "vfio", "v0000808Gd*sv*sd*bc*sc*i*"] {
            assert_eq!(parse(pattern, 0), None, "{pattern}");
        }
    }
}
