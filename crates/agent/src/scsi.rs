//! SCSI devices of the guest: looking for them, listing them, sending commands.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use slotwise_testbench::wire::{
    BATCH_COMMAND_LIMIT, BATCH_DATA_LIMIT_BYTES, Command, CommandOutcome, DeviceAddress, FoundDevice, Nexus,
};

use crate::pci::{is_address, link_name};
use crate::sys;

/// Tells every SCSI host to look at one place, or everywhere, and gives the hosts' numbers.
pub(crate) fn scan(nexus: Nexus) -> Result<Vec<u32>, String> {
    let wildcard = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    // `channel id lun`, `-` for any (`drivers/scsi/scsi_sysfs.c`, `scsi_scan`).
    let order = format!(
        "{} {} {}",
        wildcard(nexus.channel.map(u64::from)),
        wildcard(nexus.id.map(u64::from)),
        wildcard(nexus.lun)
    );
    let Ok(entries) = fs::read_dir("/sys/class/scsi_host") else { return Ok(Vec::new()) };
    let mut hosts = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_prefix("host")?.parse().ok()) else {
            continue;
        };
        fs::write(entry.path().join("scan"), &order)
            .map_err(|error| format!("cannot scan host {number}: {error}"))?;
        hosts.push(number);
    }
    hosts.sort_unstable();
    Ok(hosts)
}

pub(crate) fn devices() -> Result<Vec<FoundDevice>, String> {
    let Ok(entries) = fs::read_dir("/sys/bus/scsi/devices") else { return Ok(Vec::new()) };
    let mut devices: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let address = parse_address(entry.file_name().to_str()?)?;
            Some(device(address, &entry.path()))
        })
        .collect();
    devices.sort_by_key(|device| device.address);
    Ok(devices)
}

fn device(address: DeviceAddress, path: &Path) -> FoundDevice {
    let text = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default().trim_end().to_owned();
    FoundDevice {
        address,
        vendor: text("vendor"),
        product: text("model"),
        revision: text("rev"),
        // 31 is "unknown or no device type" (X3.131-1994, 8.2.5.1).
        kind: text("type").parse().unwrap_or(31),
        pci: fs::canonicalize(path).ok().as_deref().and_then(pci_ancestor),
        driver: link_name(&path.join("driver")),
    }
}

/// The innermost directory above that is named like a PCI function.
fn pci_ancestor(path: &Path) -> Option<String> {
    let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
    path.ancestors().filter_map(name).find(|name| is_address(name))
}

fn parse_address(name: &str) -> Option<DeviceAddress> {
    let mut parts = name.split(':');
    let address = DeviceAddress {
        host: parts.next()?.parse().ok()?,
        channel: parts.next()?.parse().ok()?,
        id: parts.next()?.parse().ok()?,
        lun: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(address)
}

/// Sends the commands one after another, up to the first that no device answered.
pub(crate) fn execute(device: DeviceAddress, commands: &[Command]) -> Result<Vec<CommandOutcome>, String> {
    if commands.len() > BATCH_COMMAND_LIMIT {
        return Err(format!("{} commands in a batch, of {BATCH_COMMAND_LIMIT} at most", commands.len()));
    }
    let data = commands.iter().fold(0_usize, |sum, command| sum.saturating_add(command.data_length()));
    if data > BATCH_DATA_LIMIT_BYTES {
        return Err(format!("{data} bytes of data in a batch, of {BATCH_DATA_LIMIT_BYTES} at most"));
    }
    let path = generic_node(device).ok_or_else(|| format!("no SCSI device {device}"))?;
    let node = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        let outcome = match sys::send(&node, command) {
            Ok(completion) => CommandOutcome::Completed(completion),
            Err(error) => CommandOutcome::NotSent { error: error.to_string() },
        };
        let answered =
            matches!(&outcome, CommandOutcome::Completed(completion) if completion.reached_device());
        outcomes.push(outcome);
        if !answered {
            break;
        }
    }
    Ok(outcomes)
}

/// The device's `/dev/sgN`.
fn generic_node(device: DeviceAddress) -> Option<PathBuf> {
    let directory = format!("/sys/bus/scsi/devices/{device}/scsi_generic");
    let entry = fs::read_dir(directory).ok()?.flatten().next()?;
    Some(Path::new("/dev").join(entry.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adapter_is_the_innermost_pci_function() {
        let path = Path::new("/sys/devices/pci0000:00/0000:00:1e.0/0000:02:04.0/host0/target0:0:2/0:0:2:0");
        assert_eq!(pci_ancestor(path).as_deref(), Some("0000:02:04.0"));
        assert_eq!(pci_ancestor(Path::new("/sys/devices/platform/host0/target0:0:2/0:0:2:0")), None);
    }

    #[test]
    fn only_whole_addresses_name_devices() {
        let address = DeviceAddress { host: 0, channel: 0, id: 2, lun: 0 };
        assert_eq!(parse_address("0:0:2:0"), Some(address));
        for other in ["host0", "target0:0:2", "0:0:2", "0:0:2:0:0"] {
            assert_eq!(parse_address(other), None, "{other}");
        }
    }
}
