//! What is shown of a function on request: ids, registers, link, resets, capabilities.

use crate::facts::FunctionFacts;
use crate::pci::capability::LinkSpeed;
use crate::pci::{self, Bar, ROM_INDEX};

/// The most capabilities that are named.
const MOST_CAPABILITIES: usize = 80;

/// Labels and values.
pub(super) fn rows(facts: &FunctionFacts) -> Vec<(String, String)> {
    let decoded = facts.decoded();
    let mut rows = Vec::new();
    let mut row = |label: &str, value: String| {
        if !value.is_empty() {
            rows.push((label.to_owned(), value));
        }
    };
    row("Subsystem", facts.subsystem.known().map(ToString::to_string).unwrap_or_default());
    row("Revision", facts.revision.known().map(|r| format!("{r:02x}")).unwrap_or_default());
    row("Modules", joined(&facts.modules));
    row("Driver override", facts.driver_override.known().map(ToString::to_string).unwrap_or_default());
    row("NUMA node", facts.numa_node.known().map(ToString::to_string).unwrap_or_default());
    row("Power", facts.power_state.known().cloned().unwrap_or_default());
    row("Buses below", facts.buses.known().map(buses).unwrap_or_default());
    row("Link", decoded.as_ref().map(link).unwrap_or_default());
    let resets = facts.reset_methods.known().map(|methods| {
        if methods.is_empty() {
            return "none".to_owned();
        }
        methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ")
    });
    row("Resets", resets.unwrap_or_default());
    for (label, value) in bars(facts, decoded.as_ref()) {
        row(&label, value);
    }
    let capabilities = facts.capabilities().unwrap_or_default();
    let mut names: Vec<&str> = capabilities.iter().map(|capability| capability.name).collect();
    names.truncate(MOST_CAPABILITIES);
    row("Capabilities", names.join(", "));
    rows
}

fn joined(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn buses(range: &crate::facts::BusRange) -> String {
    match (range.secondary, range.subordinate) {
        (first, last) if first == last => format!("{first:02x}"),
        (first, last) => format!("{first:02x} to {last:02x}"),
    }
}

/// `8 GT/s ×4, can do 16 GT/s ×16`.
fn link(function: &pci::Function) -> String {
    let Some(express) = function.express() else { return String::new() };
    let Some(link) = express.link.filter(|_| express.port_type.has_link()) else {
        return express.port_type.to_string();
    };
    let now = match (link.speed, link.width) {
        (Some(now), Some(width)) if width > 0 => format!("{} ×{width}, ", speed(now)),
        _ => String::new(),
    };
    format!("{now}can do {} ×{} ({})", speed(link.max_speed), link.max_width, express.port_type)
}

fn speed(speed: LinkSpeed) -> String {
    let megatransfers = speed.megatransfers();
    megatransfers
        .map_or_else(|| "unknown speed".to_owned(), |rate| format!("{} GT/s", f64::from(rate) / 1000.0))
}

/// As the kernel assigned them, else as the registers stand.
fn bars(facts: &FunctionFacts, decoded: Option<&pci::Function>) -> Vec<(String, String)> {
    let label = |index: u8| if index == ROM_INDEX { "ROM".to_owned() } else { format!("BAR {index}") };
    if let Some(resources) = facts.resources.known() {
        let own = resources.iter().filter(|resource| resource.index <= ROM_INDEX);
        let text = |r: &crate::facts::Resource| {
            let kind = if r.flags.is_io() { "I/O ports" } else { "memory" };
            let prefetchable = if r.flags.is_prefetchable() { ", prefetchable" } else { "" };
            format!("{kind} at {:#x}, {}{prefetchable}", r.start, size(r.size))
        };
        return own.map(|resource| (label(resource.index), text(resource))).collect();
    }
    let text = |bar: &Bar| {
        let place = bar.address.map_or_else(|| "unassigned".to_owned(), |address| format!("at {address:#x}"));
        format!("{} {place}", bar.kind.name())
    };
    decoded.map_or_else(Vec::new, |function| {
        function.bars.iter().map(|bar| (label(bar.index), text(bar))).collect()
    })
}

/// A size in the largest unit that gives a whole number.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes >> shift > 0 && (bytes >> shift) << shift == bytes);
    whole.map_or_else(|| format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_whole_numbers_of_their_unit() {
        let told = [16, 256, 4096, 1 << 20, 3 << 29, 1 << 40].map(size);
        assert_eq!(told, ["16 bytes", "256 bytes", "4 KiB", "1 MiB", "1536 MiB", "1024 GiB"]);
    }
}
