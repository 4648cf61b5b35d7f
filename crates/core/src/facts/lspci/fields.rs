//! Lines below a title: `Kernel driver in use: nvme`, `Bus: primary=00, …`, regions, capabilities.

use super::capability::{self, LspciCapability};
use super::lines::Line;
use super::region::{self, LspciRegion};
use super::{LspciBridge, LspciFaultKind, LspciFunction, title};
use crate::facts::{DriverName, GroupId, ModuleName};
use crate::pci::{InterruptPin, Window};

/// Most capabilities of one function: 48 standard, 960 extended ones fit in its space.
const MAX_CAPABILITIES: usize = 1_024;
/// Most regions of one function: six BARs and a ROM, and as many that old kernels reported twice.
const MAX_REGIONS: usize = 16;

/// Reads a line below a title; lines that are not lspci's change nothing.
pub(super) fn field(function: &mut LspciFunction, line: &Line<'_>) -> Result<(), LspciFaultKind> {
    let text: &str = &line.text;
    if text.starts_with("(prog-if ") || text.starts_with("(rev ") {
        title::read_qualifiers(function, text);
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix("Capabilities:") {
        return read_capability(function, rest);
    }
    let in_capability = !function.capabilities.is_empty();
    if let Some((key, value)) = text.split_once(": ")
        // Power management has a line `Flags:` too; lspci prints two fields only behind the capabilities.
        && (!in_capability || key.starts_with("Kernel "))
        && let Some(read) = reader_of(key)
    {
        let read_it = read(function, value.trim());
        return read_it.ok_or(LspciFaultKind::Field { what: what(key) });
    }
    if in_capability {
        // Also the VF regions of SR-IOV: those of the function itself come before its capabilities.
        if line.indented
            && let Some(capability) = function.capabilities.last_mut()
        {
            capability.add_detail(text);
        }
        return Ok(());
    }
    match region::parse(text) {
        region::Parsed::Region(region) => add_region(function, region),
        region::Parsed::Damaged => return Err(LspciFaultKind::Field { what: "region" }),
        region::Parsed::No => {}
    }
    Ok(())
}

fn add_region(function: &mut LspciFunction, region: LspciRegion) {
    if function.regions.len() < MAX_REGIONS {
        function.regions.push(region);
    }
}

fn read_capability(function: &mut LspciFunction, rest: &str) -> Result<(), LspciFaultKind> {
    match capability::parse(rest) {
        capability::Parsed::Capability(found) => add_capability(function, found),
        capability::Parsed::Denied => {
            function.capabilities_denied = true;
            return Err(LspciFaultKind::AccessDenied);
        }
        capability::Parsed::ChainEnd => {}
        capability::Parsed::Damaged => return Err(LspciFaultKind::Field { what: "capability" }),
    }
    Ok(())
}

fn add_capability(function: &mut LspciFunction, capability: LspciCapability) {
    if function.capabilities.len() < MAX_CAPABILITIES {
        function.capabilities.push(capability);
    }
}

/// Reads a value into the function; none if it cannot be read.
type ReadField = fn(&mut LspciFunction, &str) -> Option<()>;

/// Fields of a function, by what stands before the colon.
const FIELDS: &[(&str, &str, ReadField)] = &[
    ("Subsystem", "subsystem", |function, value| {
        (function.subsystem, function.subsystem_name) = title::read_id(value);
        Some(())
    }),
    ("DeviceName", "label", |function, value| {
        function.label = Some(value.to_owned());
        Some(())
    }),
    ("Kernel driver in use", "driver", |function, value| {
        function.driver = Some(DriverName::new(value).ok()?);
        Some(())
    }),
    ("Kernel modules", "modules", |function, value| {
        let modules: Result<Vec<_>, _> = value.split(", ").map(|name| ModuleName::new(name.trim())).collect();
        function.modules = modules.ok()?;
        Some(())
    }),
    ("IOMMU group", "IOMMU group", |function, value| {
        function.group = Some(GroupId(value.parse().ok()?));
        Some(())
    }),
    ("NUMA node", "NUMA node", |function, value| {
        function.numa_node = Some(value.parse().ok()?);
        Some(())
    }),
    ("Physical Slot", "physical slot", |function, value| {
        function.slot = Some(value.to_owned());
        Some(())
    }),
    ("Interrupt", "interrupt", read_interrupt),
    ("Flags", "flags", read_flags),
    ("Status", "status", |function, value| {
        function.described = true;
        function.capability_list = Some(value.starts_with("Cap+"));
        Some(())
    }),
    ("Bus", "bus numbers", read_buses),
    ("I/O behind bridge", "I/O window", |function, value| {
        let window = window(value, 32)?;
        if let Some(bridge) = &mut function.bridge {
            bridge.io = window;
        }
        Some(())
    }),
    ("Memory behind bridge", "memory window", |function, value| {
        let window = window(value, 32)?;
        if let Some(bridge) = &mut function.bridge {
            bridge.memory = window;
        }
        Some(())
    }),
    ("Prefetchable memory behind bridge", "prefetchable memory window", |function, value| {
        let window = window(value, 64)?;
        if let Some(bridge) = &mut function.bridge {
            bridge.prefetchable = window;
        }
        Some(())
    }),
];

fn reader_of(key: &str) -> Option<ReadField> {
    FIELDS.iter().find(|(name, ..)| *name == key).map(|(.., read)| *read)
}

fn what(key: &str) -> &'static str {
    FIELDS.iter().find(|(name, ..)| *name == key).map_or("field", |(_, what, _)| what)
}

/// `pin A routed to IRQ 23`; `pin ?` where there is none but a number.
fn read_interrupt(function: &mut LspciFunction, value: &str) -> Option<()> {
    let (pin, irq) = value.strip_prefix("pin ")?.split_once(" routed to IRQ ")?;
    function.pin = match pin {
        "A" => Some(InterruptPin::A),
        "B" => Some(InterruptPin::B),
        "C" => Some(InterruptPin::C),
        "D" => Some(InterruptPin::D),
        "?" => Some(InterruptPin::None),
        _ => None,
    };
    function.irq = Some(irq.parse().ok()?);
    Some(())
}

/// `bus master, fast devsel, latency 0, IRQ 28, NUMA node 0, IOMMU group 1` of `lspci -v`.
fn read_flags(function: &mut LspciFunction, value: &str) -> Option<()> {
    function.described = true;
    for flag in value.split(", ") {
        if let Some(irq) = flag.strip_prefix("IRQ ") {
            function.irq = Some(irq.parse().ok()?);
        } else if let Some(node) = flag.strip_prefix("NUMA node ") {
            function.numa_node = Some(node.parse().ok()?);
        } else if let Some(group) = flag.strip_prefix("IOMMU group ") {
            function.group = Some(GroupId(group.parse().ok()?));
        }
    }
    Some(())
}

/// `primary=00, secondary=01, subordinate=02, sec-latency=0`.
fn read_buses(function: &mut LspciFunction, value: &str) -> Option<()> {
    let number = |name: &str| {
        let part = value.split(", ").find_map(|part| part.strip_prefix(name))?;
        u8::from_str_radix(part.strip_prefix('=')?, 16).ok()
    };
    function.bridge = Some(LspciBridge {
        primary: number("primary")?,
        secondary: number("secondary")?,
        subordinate: number("subordinate")?,
        io: None,
        memory: None,
        prefetchable: None,
    });
    Some(())
}

/// `4000-4fff [size=4K] [16-bit]`, `[disabled] [64-bit]`, `None`: the outer option says whether it could be read.
fn window(value: &str, width: u8) -> Option<Option<Window>> {
    if value.starts_with("None") || value.starts_with("[disabled]") {
        return Some(None);
    }
    let range = value.split(' ').next()?;
    let (start, end) = range.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let width = if value.contains("[16-bit]") {
        16
    } else if value.contains("[32-bit]") {
        32
    } else if value.contains("[64-bit]") {
        64
    } else {
        width
    };
    let enabled = start <= end && !value.contains("[disabled]");
    Some(enabled.then_some(Window { start, end, width }))
}
