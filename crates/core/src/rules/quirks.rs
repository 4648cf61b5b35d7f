//! What the kernel knows of devices that reset badly, and which resets a function has: asked by the rules about resets.
//!
//! The tables are those of `drivers/pci/quirks.c` (Linux 6.18; rows that came later say so). A kernel that has a row leaves the
//! method out of `reset_method`; one that is older uses it. Where the kernel does not tell its methods (before 5.15, and in
//! texts), they are foretold from the function's capabilities in the way of `drivers/pci/pci.c: pci_init_reset_methods`.
//! Firmware's `_RST` and the slot reset of a hot-plug driver show nowhere else, and are not foretold.

use crate::facts::{Fact, FunctionFacts, KernelVersion, ReadFault, ResetMethod};
use crate::pci::{PciAddress, PciId};
use crate::topology::Topology;

/// A row: which devices, and what they are.
pub(super) struct Listed {
    vendor: u16,
    /// Device ids, the last included.
    devices: (u16, u16),
    /// The only revision concerned; none: all.
    revision: Option<u8>,
    /// What it is.
    pub(super) what: &'static str,
    /// The release that the row came with, where it is asked for; maintained older ones may have it too.
    pub(super) since: Option<KernelVersion>,
}

const fn one(vendor: u16, device: u16, what: &'static str) -> Listed {
    Listed { vendor, devices: (device, device), revision: None, what, since: None }
}

/// A row of a release.
const fn since(major: u32, minor: u32, row: Listed) -> Listed {
    Listed { since: Some(KernelVersion { major, minor }), ..row }
}

/// Functions that do not survive Function Level Reset (`quirk_no_flr`, `quirk_no_flr_snet`).
pub(super) const NO_FLR: &[Listed] = &[
    one(0x1022, 0x1487, "AMD Starship/Matisse HD audio"),
    one(0x1022, 0x148c, "AMD Starship USB 3.0"),
    one(0x1022, 0x149c, "AMD Matisse USB 3.0"),
    one(0x1022, 0x7901, "AMD FCH SATA (AHCI)"),
    one(0x1022, 0x1502, "AMD NPU"),
    one(0x1022, 0x17f0, "AMD NPU"),
    one(0x8086, 0x1502, "Intel 82579LM"),
    one(0x8086, 0x1503, "Intel 82579V"),
    one(0x14c3, 0x0616, "MediaTek MT7922"),
    Listed {
        vendor: 0xd063,
        devices: (0x1000, 0x1000),
        revision: Some(1),
        what: "SolidRun SNET DPU",
        since: None,
    },
];

/// Functions that do not come back from a reset of their bus, and ports behind which nothing does (`quirk_no_bus_reset`,
/// `quirk_nvidia_no_bus_reset`). ASMedia's row and those of NVIDIA's GB10 came after 6.18.
pub(super) const NO_BUS_RESET: &[Listed] = &[
    since(4, 0, one(0x168c, 0x0030, "Atheros AR93xx")),
    since(4, 8, one(0x168c, 0x0032, "Atheros AR9485")),
    since(4, 9, one(0x168c, 0x0033, "Atheros AR958x")),
    since(5, 3, one(0x168c, 0x0034, "Atheros AR9462")),
    since(4, 8, one(0x168c, 0x003c, "Atheros QCA986x/988x")),
    since(5, 13, one(0x168c, 0x003e, "Atheros QCA6174")),
    since(4, 15, one(0x177d, 0xa100, "a root port of Cavium CN8xxx")),
    since(5, 13, one(0x104c, 0xb005, "TI KeyStone C667x")),
    since(6, 19, one(0x1b21, 0x1164, "ASMedia ASM1164")),
    since(5, 14, NVIDIA_GH100),
    since(6, 19, one(0x10de, 0x22ce, "a root port of NVIDIA GB10")),
    since(6, 19, one(0x10de, 0x22d0, "a root port of NVIDIA GB10")),
];

const NVIDIA_GH100: Listed =
    Listed { vendor: 0x10de, devices: (0x2340, 0x237f), revision: None, what: "NVIDIA GH100", since: None };

/// Switches that go to D3hot and back without being reset by it, though they announce it (`quirk_no_pm_reset`).
const NO_PM_RESET: &[Listed] = &[
    one(0x15b3, 0xcb84, "Mellanox Spectrum"),
    one(0x15b3, 0xcf6c, "Mellanox Spectrum-2"),
    one(0x15b3, 0xcf70, "Mellanox Spectrum-3"),
    one(0x15b3, 0xcf80, "Mellanox Spectrum-4"),
];

/// Functions that the kernel has a sequence of its own for (`pci_dev_reset_methods`).
const OWN_SEQUENCE: &[Listed] = &[
    one(0x8086, 0x10ed, "Intel 82599 virtual function"),
    one(0x8086, 0x0156, "Intel Ivy Bridge graphics"),
    one(0x8086, 0x0166, "Intel Ivy Bridge graphics"),
    one(0x144d, 0xa804, "Samsung SM961/PM961"),
    one(0x8086, 0x0953, "Intel DC P3700"),
    one(0x8086, 0x0a54, "Intel DC P4500"),
    one(0x025e, 0xf1ac, "Solidigm P44 Pro"),
    Listed { vendor: 0x1425, devices: (0x4000, 0x4fff), revision: None, what: "Chelsio T4", since: None },
    one(0x19e5, 0x375e, "Huawei HiNIC virtual function"),
];

/// Vendor id of AMD's graphics (ATI).
const ATI: u16 = 0x1002;

/// The row of a table that names the function.
pub(super) fn listed(table: &'static [Listed], function: &FunctionFacts) -> Option<&'static Listed> {
    let PciId { vendor, device } = *function.id.known()?;
    let revision = function.revision.known().copied();
    table.iter().find(|row| {
        let (first, last) = row.devices;
        row.vendor == vendor
            && (first..=last).contains(&device)
            && row.revision.is_none_or(|only| Some(only) == revision)
    })
}

/// What the function is, if going to D3hot and back does not reset it though it says so. The kernel leaves AMD's displays on a
/// root bus the method, as better than nothing.
pub(super) fn pm_reset_without_effect(function: &FunctionFacts) -> Option<&'static str> {
    let class = function.class.known().map(|class| class.base_and_sub());
    let id = function.id.known()?;
    if id.vendor == ATI && class == Some(0x0300) {
        return Some("AMD's graphics");
    }
    listed(NO_PM_RESET, function).map(|row| row.what)
}

/// Who stands against a reset of the bus that the function is on: itself, a neighbour or the bridge above.
pub(super) fn against_bus_reset(
    topology: &Topology,
    address: PciAddress,
) -> Option<(PciAddress, &'static str)> {
    let bridge = topology.bridges_above(address).first().copied();
    let concerned = std::iter::once(address)
        .chain(bridge)
        .chain(topology.reset_companions(address).into_iter().flatten());
    let functions = concerned.filter_map(|one| topology.function(one));
    functions.into_iter().find_map(|f| listed(NO_BUS_RESET, f).map(|row| (f.address, row.what)))
}

/// The resets that a function has.
pub(super) enum Resets<'t> {
    /// The kernel tells.
    Told(&'t [ResetMethod]),
    /// The kernel does not; capabilities and place do.
    Foretold(Vec<ResetMethod>),
    /// Neither.
    Unknown(Option<&'t ReadFault>),
}

impl Resets<'_> {
    /// The methods, in the kernel's order.
    pub(super) fn methods(&self) -> Option<&[ResetMethod]> {
        match self {
            Resets::Told(methods) => Some(methods),
            Resets::Foretold(methods) => Some(methods),
            Resets::Unknown(_) => None,
        }
    }

    /// The methods as text.
    pub(super) fn names(&self) -> String {
        let methods = self.methods().unwrap_or_default();
        methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ")
    }

    /// Evidence: where the methods are told, and how.
    pub(super) fn shown(&self, address: PciAddress) -> super::Evidence {
        let (file, text) = match self {
            Resets::Told([]) => ("reset_method", "empty: the kernel has no method".to_owned()),
            Resets::Foretold(methods) if methods.is_empty() => {
                let text =
                    "neither FLR nor a reset by D3hot among its capabilities, and its bus is not its own";
                ("config", text.to_owned())
            }
            Resets::Told(_) => ("reset_method", self.names().replace(',', "")),
            _ => ("config", format!("foretold: {}", self.names())),
        };
        super::Evidence::new(format!("/sys/bus/pci/devices/{address}/{file}"), text)
    }
}

/// The resets of a function.
pub(super) fn resets<'t>(topology: &'t Topology, function: &'t FunctionFacts) -> Resets<'t> {
    if let Fact::Known(methods) = &function.reset_methods {
        return Resets::Told(methods);
    }
    match foretold(topology, function) {
        Some(methods) => Resets::Foretold(methods),
        None => Resets::Unknown(function.reset_methods.fault()),
    }
}

/// What capabilities and place let the kernel do; none where one of them is unknown and none is there.
fn foretold(topology: &Topology, function: &FunctionFacts) -> Option<Vec<ResetMethod>> {
    let features = function.features();
    let flr = listed(NO_FLR, function).is_none();
    let pm = pm_reset_without_effect(function).is_none() || function.parent == Fact::Absent;
    let own = function.id.known().map(|_| listed(OWN_SEQUENCE, function).is_some());
    let offered = [
        (ResetMethod::DeviceSpecific, own),
        (ResetMethod::Flr, features.flr.map(|has| has && flr)),
        (ResetMethod::AfFlr, features.af_flr.map(|has| has && flr)),
        (ResetMethod::Pm, features.pm_reset.map(|has| has && pm)),
        (ResetMethod::Bus, alone(topology, function)),
    ];
    let known = offered.iter().all(|(_, has)| has.is_some());
    let methods: Vec<ResetMethod> =
        offered.iter().filter(|(_, has)| *has == Some(true)).map(|(method, _)| *method).collect();
    (known || !methods.is_empty()).then_some(methods)
}

/// Whether the function is alone on a bus that can be reset (`pci_parent_bus_reset`).
fn alone(topology: &Topology, function: &FunctionFacts) -> Option<bool> {
    let class = function.class.known()?;
    if class.is_pci_bridge() || listed(NO_BUS_RESET, function).is_some() {
        return Some(false);
    }
    match function.parent {
        Fact::Known(_) => Some(topology.on_bus_of(function.address).count() == 1),
        Fact::Absent => Some(false),
        Fact::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::fixture::{address, topology};

    fn of(host: &str, device: &str) -> Option<String> {
        let topology = topology(host);
        let function = topology.function(address(device)).expect("function");
        let resets = resets(&topology, function);
        resets.methods().map(|_| resets.names())
    }

    /// A PCI Express endpoint that has FLR, and one with neither FLR nor a reset by D3hot.
    const HOST: &str = "device 0000:00:01.0 class=060400 express
        device 0000:00:02.0 class=030000 id=1002:1638 config=256,04:00100000,34:40,40:00020001
        device 0000:01:00.0 class=010802 id=144d:a808 parent=0000:00:01.0 config=256,04:00100000,34:40,40:00020010,44:10000000
        device 0000:01:00.1 class=010802 id=1234:0001 parent=0000:00:01.0 config=256,04:00100000,34:40,40:00020010";

    #[test]
    fn what_the_kernel_says_counts_before_capabilities() {
        assert_eq!(of(HOST, "0000:01:00.0").as_deref(), Some("flr"));
        let told = HOST.replace("id=144d:a808", "id=144d:a808 reset=bus");
        assert_eq!(of(&told, "0000:01:00.0").as_deref(), Some("bus"));
    }

    #[test]
    fn a_function_alone_on_its_bus_has_the_bus_reset_and_a_listed_one_has_not() {
        assert_eq!(of(HOST, "0000:01:00.1").as_deref(), Some(""));
        let (without, _) = HOST.rsplit_once("device").expect("lines");
        assert_eq!(of(without, "0000:01:00.0").as_deref(), Some("flr, bus"));
        let listed = without.replace("144d:a808", "168c:003e");
        assert_eq!(of(&listed, "0000:01:00.0").as_deref(), Some("flr"));
    }

    #[test]
    fn tables_take_methods_away() {
        let flr = HOST.replace("144d:a808", "1022:149c");
        assert_eq!(of(&flr, "0000:01:00.0").as_deref(), Some(""));
        // On a root bus a reset by D3hot without effect is better than nothing.
        assert_eq!(of(HOST, "0000:00:02.0").as_deref(), Some("pm"));
        let card = HOST.replace("0000:00:02.0 class=030000", "0000:01:00.2 class=030000 parent=0000:00:01.0");
        assert_eq!(of(&card, "0000:01:00.2").as_deref(), Some(""));
    }

    #[test]
    fn what_was_not_read_is_unknown() {
        assert_eq!(of("device 0000:01:00.0 class=010802 id=1234:0001", "0000:01:00.0"), None);
        let unread = HOST.replace("config=256,04:00100000,34:40,40:00020010,44", "unread=config,44");
        let unread = unread.split(",44:10000000").collect::<Vec<_>>().join("");
        assert_eq!(of(&unread, "0000:01:00.0"), None);
    }

    #[test]
    fn a_bridge_or_neighbour_stands_against_the_reset_of_a_bus() {
        let against = |host: &str| against_bus_reset(&topology(host), address("0000:01:00.0"));
        assert_eq!(against(HOST), None);
        let port = HOST.replace("class=060400", "class=060400 id=177d:a100");
        assert_eq!(against(&port).map(|(who, _)| who.to_string()).as_deref(), Some("0000:00:01.0"));
        let beside = HOST.replace("1234:0001", "168c:0030");
        assert_eq!(against(&beside).map(|(who, _)| who.to_string()).as_deref(), Some("0000:01:00.1"));
    }
}
