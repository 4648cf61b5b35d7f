//! PCI Express (PCIe Base 6.0 §7.5.3).

use std::fmt;

use super::super::bits::{bit, field, field8, field16};
use super::{Block, Body};

/// What kind of PCI Express function this is (§7.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortType {
    /// Endpoint.
    Endpoint,
    /// Legacy endpoint: may use I/O space and locked requests.
    LegacyEndpoint,
    /// Port of the root complex.
    RootPort,
    /// The port of a switch towards the root complex.
    UpstreamPort,
    /// A port of a switch away from the root complex.
    DownstreamPort,
    /// Bridge from PCI Express down to PCI or PCI-X: everything behind it shares its requester id.
    PcieToPciBridge,
    /// Bridge from PCI or PCI-X down to PCI Express.
    PciToPcieBridge,
    /// Endpoint in the root complex, without a link.
    RootComplexIntegratedEndpoint,
    /// Collects errors of integrated endpoints.
    RootComplexEventCollector,
    /// A reserved value.
    Unknown(u8),
}

impl PortType {
    const fn from_register(value: u8) -> Self {
        match value {
            0 => Self::Endpoint,
            1 => Self::LegacyEndpoint,
            4 => Self::RootPort,
            5 => Self::UpstreamPort,
            6 => Self::DownstreamPort,
            7 => Self::PcieToPciBridge,
            8 => Self::PciToPcieBridge,
            9 => Self::RootComplexIntegratedEndpoint,
            10 => Self::RootComplexEventCollector,
            other => Self::Unknown(other),
        }
    }

    /// A bridge behind which there is conventional PCI.
    #[must_use]
    pub const fn is_pcie_to_pci_bridge(self) -> bool {
        matches!(self, Self::PcieToPciBridge)
    }

    /// A bridge that is itself on conventional PCI and has PCI Express behind it.
    #[must_use]
    pub const fn is_pci_to_pcie_bridge(self) -> bool {
        matches!(self, Self::PciToPcieBridge)
    }

    /// A port with a link below it: of the root complex, of a switch, or of a bridge to PCI Express
    /// (`pcie_downstream_port`, drivers/pci/pci.h).
    #[must_use]
    pub const fn is_downstream(self) -> bool {
        matches!(self, Self::RootPort | Self::DownstreamPort | Self::PciToPcieBridge)
    }

    /// An endpoint of any kind.
    #[must_use]
    pub const fn is_endpoint(self) -> bool {
        matches!(self, Self::Endpoint | Self::LegacyEndpoint | Self::RootComplexIntegratedEndpoint)
    }

    /// Whether it has a link; the root complex's own functions have none.
    #[must_use]
    pub const fn has_link(self) -> bool {
        !matches!(self, Self::RootComplexIntegratedEndpoint | Self::RootComplexEventCollector)
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint => "endpoint",
            Self::LegacyEndpoint => "legacy endpoint",
            Self::RootPort => "root port",
            Self::UpstreamPort => "switch upstream port",
            Self::DownstreamPort => "switch downstream port",
            Self::PcieToPciBridge => "PCIe-to-PCI bridge",
            Self::PciToPcieBridge => "PCI-to-PCIe bridge",
            Self::RootComplexIntegratedEndpoint => "root complex integrated endpoint",
            Self::RootComplexEventCollector => "root complex event collector",
            Self::Unknown(value) => return write!(f, "reserved PCIe type {value}"),
        })
    }
}

/// A link speed as its registers encode it (§7.5.3.6): 1 is 2.5 GT/s, 6 is 64 GT/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkSpeed(u8);

impl LinkSpeed {
    /// The encoded value, 0 to 15.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Megatransfers a second on each lane; none for a reserved value.
    #[must_use]
    pub const fn megatransfers(self) -> Option<u32> {
        match self.0 {
            1 => Some(2_500),
            2 => Some(5_000),
            3 => Some(8_000),
            4 => Some(16_000),
            5 => Some(32_000),
            6 => Some(64_000),
            _ => None,
        }
    }
}

/// What the function can do, and what of it is in use (§7.5.3.3 to §7.5.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpressDevice {
    /// Largest payload supported, in bytes. 128 to 4096; 8192 and 16384 are reserved values.
    pub max_payload_supported: u32,
    /// 8-bit tags are supported.
    pub extended_tag: bool,
    /// Function-level reset is supported (defined for endpoints; others read 0).
    pub flr: bool,
    /// Payload in use, in bytes. None if the control register could not be read.
    pub max_payload: Option<u32>,
    /// Largest read request, in bytes. None if the control register could not be read.
    pub max_read_request: Option<u32>,
    /// Requests are outstanding. None if the status register could not be read.
    pub transactions_pending: Option<bool>,
}

/// The link of a function (§7.5.3.6 to §7.5.3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Highest speed.
    pub max_speed: LinkSpeed,
    /// Most lanes.
    pub max_width: u8,
    /// Active-state power management supported: bit 0 L0s, bit 1 L1.
    pub aspm: u8,
    /// Number of the port.
    pub port: u8,
    /// Speed in use. None if the status register could not be read.
    pub speed: Option<LinkSpeed>,
    /// Lanes in use. None if the status register could not be read.
    pub width: Option<u8>,
    /// The data link layer is up, where the port reports that. None if the status register could not be read.
    pub active: Option<bool>,
}

/// The slot that a port leads to (§7.5.3.9 to §7.5.3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Physical number of the slot, 0 if there is none.
    pub number: u16,
    /// Devices can be plugged while the system runs.
    pub hot_plug: bool,
    /// Devices can be pulled without notice.
    pub surprise: bool,
    /// The slot has a power controller.
    pub power_controller: bool,
    /// A card is in the slot. None if the status register could not be read.
    pub present: Option<bool>,
}

/// Tags of 10 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagSupport {
    /// Such requests are completed.
    pub completer: bool,
    /// Such requests are made.
    pub requester: bool,
}

/// The second set of device registers (§7.5.3.15 and §7.5.3.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device2 {
    /// Requests to other functions than 0–7 of the device below are forwarded (ports).
    pub ari_forwarding: bool,
    /// Atomic operations are routed (ports).
    pub atomic_routing: bool,
    /// 32-bit atomic operations are completed.
    pub atomic32: bool,
    /// 64-bit atomic operations are completed.
    pub atomic64: bool,
    /// 128-bit compare-and-swap is completed.
    pub cas128: bool,
    /// Latency tolerance reporting is supported.
    pub ltr: bool,
    /// Tags of 10 bits.
    pub tags10: TagSupport,
    /// ARI forwarding is switched on. None if the control register could not be read.
    pub ari_forwarding_enabled: Option<bool>,
    /// The function may make atomic requests. None if the control register could not be read.
    pub atomic_requester_enabled: Option<bool>,
    /// The function may make requests with 10-bit tags. None if the control register could not be read.
    pub tags10_enabled: Option<bool>,
}

/// What the PCI Express registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Express {
    /// Version of the capability, 1 or 2 so far.
    pub version: u8,
    /// What kind of function.
    pub port_type: PortType,
    /// The link leads to a slot (root and downstream ports).
    pub slot_implemented: bool,
    /// MSI or MSI-X vector of the port's own interrupts.
    pub interrupt_message: u8,
    /// Device registers. None if they could not be read.
    pub device: Option<ExpressDevice>,
    /// Link registers. None if the function has no link or they could not be read.
    pub link: Option<Link>,
    /// Slot registers. None if there is no slot or they could not be read.
    pub slot: Option<Slot>,
    /// Second device registers. None in version 1, or if they could not be read.
    pub device2: Option<Device2>,
}

pub(super) fn decode(block: &mut Block<'_, '_>) -> Option<Body> {
    let flags = block.u16(2)?;
    let version = field8(flags, 0, 4);
    let port_type = PortType::from_register(field8(flags, 4, 4));
    let slot_implemented = bit(flags, 8) && port_type.is_downstream();
    Some(Body::Express(Express {
        version,
        port_type,
        slot_implemented,
        interrupt_message: field8(flags, 9, 5),
        device: decode_device(block),
        link: if port_type.has_link() { decode_link(block) } else { None },
        slot: if slot_implemented { decode_slot(block) } else { None },
        device2: if version >= 2 { decode_device2(block) } else { None },
    }))
}

fn decode_device(block: &mut Block<'_, '_>) -> Option<ExpressDevice> {
    let capabilities = block.u32(0x04)?;
    let control = block.u16(0x08);
    Some(ExpressDevice {
        max_payload_supported: 128 << field(capabilities, 0, 3),
        extended_tag: bit(capabilities, 5),
        flr: bit(capabilities, 28),
        max_payload: control.map(|control| 128 << field(control, 5, 3)),
        max_read_request: control.map(|control| 128 << field(control, 12, 3)),
        transactions_pending: block.u16(0x0a).map(|status| bit(status, 5)),
    })
}

fn decode_link(block: &mut Block<'_, '_>) -> Option<Link> {
    let capabilities = block.u32(0x0c)?;
    let status = block.u16(0x12);
    Some(Link {
        max_speed: LinkSpeed(field8(capabilities, 0, 4)),
        max_width: field8(capabilities, 4, 6),
        aspm: field8(capabilities, 10, 2),
        port: field8(capabilities, 24, 8),
        speed: status.map(|status| LinkSpeed(field8(status, 0, 4))),
        width: status.map(|status| field8(status, 4, 6)),
        active: status.map(|status| bit(status, 13)),
    })
}

fn decode_slot(block: &mut Block<'_, '_>) -> Option<Slot> {
    let capabilities = block.u32(0x14)?;
    Some(Slot {
        number: field16(capabilities, 19, 13),
        hot_plug: bit(capabilities, 6),
        surprise: bit(capabilities, 5),
        power_controller: bit(capabilities, 1),
        present: block.u16(0x1a).map(|status| bit(status, 6)),
    })
}

fn decode_device2(block: &mut Block<'_, '_>) -> Option<Device2> {
    let capabilities = block.u32(0x24)?;
    let control = block.u16(0x28);
    let enabled = |n| control.map(|control| bit(control, n));
    Some(Device2 {
        ari_forwarding: bit(capabilities, 5),
        atomic_routing: bit(capabilities, 6),
        atomic32: bit(capabilities, 7),
        atomic64: bit(capabilities, 8),
        cas128: bit(capabilities, 9),
        ltr: bit(capabilities, 11),
        tags10: TagSupport { completer: bit(capabilities, 16), requester: bit(capabilities, 17) },
        ari_forwarding_enabled: enabled(5),
        atomic_requester_enabled: enabled(6),
        tags10_enabled: enabled(12),
    })
}
