//! The host in a few lines: processor, firmware, memory, machines; and what holds a function.

use crate::facts::{Fact, Facts, HugePages, LockedMemory};
use crate::pci::PciAddress;
use crate::report::{Role, Text};
use crate::topology::Topology;

/// The most holders that are named with a function.
const MOST_HOLDERS: usize = 4;

/// A line about processor and firmware, one about memory; none for a source that tells neither.
pub(super) fn lines(text: &mut Text, facts: &Facts) {
    for line in [hardware(facts), memory(facts)].into_iter().flatten() {
        text.line(Role::Faint, line);
    }
}

fn hardware(facts: &Facts) -> Option<String> {
    let (cpu, firmware) = (&facts.platform.cpu, &facts.platform.firmware);
    let mut parts = Vec::new();
    parts.extend(cpu.model.known().or(cpu.vendor.known()).cloned());
    parts.extend(cpu.physical_bits.known().map(|bits| format!("{bits} address bits")));
    let board = [firmware.board_vendor.known(), firmware.board.known()];
    let system = [firmware.system_vendor.known(), firmware.product.known()];
    let names = if board.iter().any(Option::is_some) { board } else { system };
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    if !names.is_empty() {
        parts.push(names.join(" "));
    }
    if let Some(version) = firmware.bios_version.known() {
        let date = firmware.bios_date.known().map_or_else(String::new, |date| format!(" ({date})"));
        parts.push(format!("firmware {version}{date}"));
    }
    if firmware.secure_boot.known() == Some(&true) {
        parts.push("Secure Boot".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn memory(facts: &Facts) -> Option<String> {
    let memory = &facts.platform.memory;
    let mut parts = Vec::new();
    let (total, available) = (memory.total_bytes.known(), memory.available_bytes.known());
    parts.extend(total.map(|bytes| {
        let available = available.map_or_else(String::new, |free| format!(", {} available", shown(*free)));
        format!("memory {}{available}", shown(*bytes))
    }));
    // Pools of nodes are parts of the host's.
    let pools = memory.huge_pages.known().into_iter().flatten();
    for pool in pools.filter(|pool| pool.node.is_none() && pool.total.known() > Some(&0)) {
        parts.push(huge_pages(pool));
    }
    if let Some(LockedMemory::Bytes(bytes)) = facts.platform.locked_memory.known() {
        parts.push(format!("at most {} can be locked by this user", shown(*bytes)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn huge_pages(pool: &HugePages) -> String {
    let count = |fact: &Fact<u64>| fact.known().map_or_else(|| "?".to_owned(), ToString::to_string);
    let (free, total) = (count(&pool.free), count(&pool.total));
    format!("huge pages of {}: {free} of {total} free", shown(pool.page_bytes))
}

/// A size with the largest unit of which there is at least one.
fn shown(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = units.get(unit).copied().unwrap_or_default();
    if tenths % 10 == 0 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// Machines and processes that hold a function, below its row.
pub(super) fn holders(text: &mut Text, topology: &Topology, address: PciAddress, indent: &str) {
    for machine in topology.machines(address) {
        let (role, has) = if machine.is_running() {
            (Role::Caution, "has it")
        } else {
            (Role::Faint, "is defined with it")
        };
        text.line(role, format!("{indent}    {machine} {has}"));
    }
    let held = topology.held_by(address);
    for held in held.iter().take(MOST_HOLDERS) {
        let line = format!("{indent}    {} (process {}) has {} open", held.name, held.pid, held.path);
        text.line(Role::Faint, line);
    }
    if let Some(more) = held.len().checked_sub(MOST_HOLDERS).filter(|more| *more > 0) {
        text.line(Role::Faint, format!("{indent}    and {more} more open files"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let sizes = [2 << 20, 1 << 30, 16_316_412 << 10, 512, 0, u64::MAX].map(shown);
        assert_eq!(sizes, ["2 MiB", "1 GiB", "15.5 GiB", "0.5 KiB", "0 KiB", "16777215.9 TiB"]);
    }
}
