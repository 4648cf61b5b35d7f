//! What is wrong with a configuration space; everything else in it is still decoded.

use super::capability::Space;
use super::header::HeaderKind;

/// One thing that is damaged, unreadable or against the specification. Offsets are bytes into configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The header's own registers past the first 16 bytes could not all be read.
    #[error("header of type {kind} is not readable past its first 16 bytes")]
    HeaderUnreadable {
        /// The type that the header says it has.
        kind: HeaderKind,
    },
    /// The header has a layout that no specification defines, so neither BARs nor capabilities can be found.
    #[error("header type {0:#04x} is not defined")]
    UnknownHeaderType(u8),
    /// A capability list comes back to a capability that was already in it.
    #[error("{space} capability list loops back to {offset:#x}")]
    ChainLooped {
        /// Which list.
        space: Space,
        /// The offset that was met twice.
        offset: u16,
    },
    /// The standard list leads to id 0xff, which is what absent registers read.
    #[error("{space} capability list is broken at {offset:#x}")]
    ChainBroken {
        /// Which list.
        space: Space,
        /// Where the broken link leads.
        offset: u16,
    },
    /// The list goes on where nothing could be read, so which capabilities follow is unknown.
    #[error("{space} capabilities from {offset:#x} on could not be read")]
    ChainUnreadable {
        /// Which list.
        space: Space,
        /// Where reading stopped.
        offset: u16,
    },
    /// A capability lies inside the header (below 0x40) or, if extended, below 0x100: the kernel ends the list here
    /// (`__pci_find_next_cap_ttl` and `pci_find_next_ext_capability`, drivers/pci/pci.c), lspci does not.
    #[error("{space} capability at {offset:#x} lies where none can be")]
    Misplaced {
        /// Which list.
        space: Space,
        /// Its offset.
        offset: u16,
    },
    /// A capability is there, some of its registers could not be read.
    #[error("{space} capability at {offset:#x} is only readable in part")]
    CapabilityTruncated {
        /// Which list it is in.
        space: Space,
        /// Its offset.
        offset: u16,
    },
    /// A resizable BAR capability says that it has a number of BARs outside 1 to 6 (PCIe Base 6.0 §7.8.6.3).
    #[error("resizable BAR capability at {offset:#x} says it is for {count} BARs")]
    ResizableBarCount {
        /// Offset of the capability.
        offset: u16,
        /// The count that it says.
        count: u8,
    },
    /// A memory BAR with the reserved type 3 (PCI 3.0 §6.2.5.1).
    #[error("BAR {index} has the reserved memory type")]
    ReservedBarType {
        /// Which BAR.
        index: u8,
    },
    /// A 64-bit BAR in the last register, which has no upper half.
    #[error("BAR {index} is 64 bits wide but has no register for the upper half")]
    NoUpperHalf {
        /// Which BAR.
        index: u8,
    },
    /// A bridge window whose base and limit disagree on its type, or whose type is reserved.
    #[error("bridge has an unknown {window} window type ({base:#06x}/{limit:#06x})")]
    UnknownWindowType {
        /// `I/O`, `memory` or `prefetchable memory`.
        window: &'static str,
        /// The base register.
        base: u16,
        /// The limit register.
        limit: u16,
    },
}
