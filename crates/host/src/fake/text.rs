//! The text that a [`FakeKernel`](super::FakeKernel) is made from.
//!
//! One thing a line, `#` begins a comment:
//! ```text
//! module vfio_pci                                # can be loaded; `module vfio_pci loaded` is
//! driver vfio-pci module=vfio_pci                # takes devices only under override
//! driver ahci ids=8086:2922,8086:2923
//! device 0000:00:1f.2 8086:2922 group=9          # gets its driver as at boot
//! device 0000:03:04.0 9004:5078 group=14 override=none refuses=vfio-pci
//! file /etc/modprobe.d/a.conf options vfio_pci disable_vga=1
//! private-file /etc/modprobe.d/b.conf a          # with mode 0600 and not 0644
//! directory /etc/driverctl.d
//! ```

use std::collections::BTreeSet;

use super::model::{Device, Driver, Model};

/// A line that describes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of a fake host says nothing that it can be: {text:?}")]
pub struct FakeError {
    /// The line's number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

pub(super) fn parse(text: &str) -> Result<Model, FakeError> {
    let mut model = Model::default();
    for (index, full) in text.lines().enumerate() {
        let line = full.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() && parse_line(&mut model, line).is_none() {
            return Err(FakeError { line: index + 1, text: full.to_owned() });
        }
    }
    model.boot();
    Ok(model)
}

fn parse_line(model: &mut Model, line: &str) -> Option<()> {
    let (kind, rest) = line.split_once(' ')?;
    let (name, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let name = name.to_owned();
    match kind {
        "module" => drop(model.modules.insert(name, rest.trim() == "loaded")),
        "driver" => drop(model.drivers.insert(name, driver(rest)?)),
        "device" => drop(model.devices.insert(name.parse().ok()?, device(rest)?)),
        "file" => drop(model.files.insert(name, (format!("{rest}\n").into_bytes(), 0o644))),
        "private-file" => drop(model.files.insert(name, (format!("{rest}\n").into_bytes(), 0o600))),
        "directory" => drop(model.directories.insert(name)),
        _ => return None,
    }
    Some(())
}

fn driver(rest: &str) -> Option<Driver> {
    let mut driver = Driver { module: None, ids: BTreeSet::new() };
    for word in rest.split_whitespace() {
        match word.split_once('=')? {
            ("module", module) => driver.module = Some(module.to_owned()),
            ("ids", ids) => driver.ids = ids.split(',').map(|id| id.parse().ok()).collect::<Option<_>>()?,
            _ => return None,
        }
    }
    Some(driver)
}

fn device(rest: &str) -> Option<Device> {
    let mut words = rest.split_whitespace();
    let id = words.next()?.parse().ok()?;
    let mut device =
        Device { id, group: None, driver: None, driver_override: None, refuses: BTreeSet::new() };
    for word in words {
        match word.split_once('=')? {
            ("group", group) => device.group = Some(group.parse().ok()?),
            ("override", driver) => device.driver_override = Some(driver.to_owned()),
            ("refuses", drivers) => device.refuses = drivers.split(',').map(str::to_owned).collect(),
            _ => return None,
        }
    }
    Some(device)
}
