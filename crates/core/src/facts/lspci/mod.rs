//! `lspci` text: `-x` dumps, verbose text, or both in one, as people post them.
//!
//! Forms: `lspci`, `-n`, `-nn`, `-k`, `-v` to `-vvv`, `-x`, `-xxx`, `-xxxx`, `-mm`, `-vmm`, with or without domain, of pciutils 2.x to
//! 3.14; several outputs in one text; with mail quoting, CR line ends, wrapped or double-spaced lines, and talk between.
//! The grammar of dumps is that of pciutils `lib/dump.c`; unlike it, a damaged line costs only what is damaged, and
//! bytes that are not in the text stay unread instead of 0xff.
//!
//! Whether a value is right is not judged here. Numbers are hexadecimal where lspci prints them so (addresses, ids,
//! ports); sizes are in bytes.

mod capability;
mod class_names;
mod convert;
mod features;
mod fields;
mod hex;
mod lines;
mod machine;
mod reader;
mod region;
mod title;
mod tree;
mod unwrap;

pub use capability::LspciCapability;
pub use convert::from_lspci;
pub(super) use machine::{is_machine_line, is_record_key};
pub use region::{LspciRegion, RegionAddress};
pub(super) use tree::is_tree_line;

use super::{DriverName, GroupId, ModuleName};
use crate::pci::{ConfigSpace, InterruptPin, PciAddress, PciId, Window};

/// Most functions that are read from one text; a host with all 256 buses full has 65536.
pub const MAX_FUNCTIONS: usize = 65_536;
/// Most faults that are kept; what follows is counted in [`LspciText::more_faults`].
pub const MAX_FAULTS: usize = 1_000;
/// Longest line that is looked at, in bytes; the rest of a longer one is left out and named.
pub const MAX_LINE: usize = 4_096;

/// Everything that was read from a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LspciText {
    /// Functions in the order of the text. An address may occur more than once: [`Self::merged`] joins them.
    pub functions: Vec<LspciFunction>,
    /// What was damaged, by line.
    pub faults: Vec<LspciFault>,
    /// Faults past [`MAX_FAULTS`].
    pub more_faults: usize,
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LspciFault {
    /// Line in the text, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: LspciFaultKind,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LspciFaultKind {
    /// A line that starts like a function, with an address that cannot be.
    #[error("cannot read the address of a function: {0}")]
    Address(crate::pci::AddressError),
    /// A hex line with something else in it.
    #[error("damaged line of a hex dump: {used} bytes at {offset:#x} used, the rest left out")]
    DamagedHex {
        /// Offset that the line starts with.
        offset: u16,
        /// Bytes before the damage.
        used: usize,
    },
    /// A hex line with something else in its middle, completed by the next line.
    #[error("line of a hex dump at {offset:#x} is torn; joined with the next line")]
    TornHex {
        /// Offset that the line starts with.
        offset: u16,
    },
    /// A hex line with fewer bytes than the 16 that lspci prints.
    #[error("line of a hex dump at {offset:#x} ends after {used} bytes")]
    ShortHex {
        /// Offset that the line starts with.
        offset: u16,
        /// Bytes on the line.
        used: usize,
    },
    /// A hex line past the 4096 bytes of configuration space.
    #[error("hex dump goes past the 4096 bytes of configuration space")]
    HexPastEnd,
    /// A hex line that belongs to no function: none was named before, or the one before has its bytes already.
    #[error("hex dump without the function that it belongs to")]
    OrphanHex,
    /// A byte that the same dump gave another value before.
    #[error("hex dump gives the byte at {offset:#x} a second value")]
    ConflictingHex {
        /// Offset of the byte.
        offset: u16,
    },
    /// The address was there before with other contents.
    #[error("{address} occurs again (first at line {first}) and reads differently")]
    Repeated {
        /// The function.
        address: PciAddress,
        /// Line of the occurrence before.
        first: usize,
    },
    /// A line that starts like one of lspci's but does not go on like it.
    #[error("cannot read the {what} of the function")]
    Field {
        /// What the line should say.
        what: &'static str,
    },
    /// lspci was not allowed to read the capabilities.
    #[error("capabilities were not readable when the text was made (lspci needs root)")]
    AccessDenied,
    /// A line longer than [`MAX_LINE`].
    #[error("line is longer than {MAX_LINE} bytes, the rest is left out")]
    LongLine,
    /// More functions than [`MAX_FUNCTIONS`].
    #[error("more than {MAX_FUNCTIONS} functions, the rest is left out")]
    TooMany,
}

/// What the text says of one function; none where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LspciFunction {
    /// Where the function is; domain 0 where the text has none.
    pub address: PciAddress,
    /// Line of its title, from 1.
    pub line: usize,
    /// Base class and sub-class, if printed as a number.
    pub class: Option<u16>,
    /// Name of the class, if printed.
    pub class_name: Option<String>,
    /// Programming interface, if printed.
    pub interface: Option<u8>,
    /// Vendor and device id, if printed.
    pub id: Option<PciId>,
    /// Names of vendor and device in one, as lspci prints them.
    pub name: Option<String>,
    /// Revision; lspci leaves out revision 0.
    pub revision: Option<u8>,
    /// Subsystem ids, if printed as numbers.
    pub subsystem: Option<PciId>,
    /// Name of the subsystem.
    pub subsystem_name: Option<String>,
    /// The firmware's name for the device (`DeviceName`).
    pub label: Option<String>,
    /// Driver that is bound (`Kernel driver in use`).
    pub driver: Option<DriverName>,
    /// Modules that claim the device (`Kernel modules`).
    pub modules: Vec<ModuleName>,
    /// IOMMU group.
    pub group: Option<GroupId>,
    /// NUMA node.
    pub numa_node: Option<u32>,
    /// Interrupt pin.
    pub pin: Option<InterruptPin>,
    /// Linux interrupt number, or the line register where lspci read a dump.
    pub irq: Option<u32>,
    /// Physical slot.
    pub slot: Option<String>,
    /// Regions in the order of the text.
    pub regions: Vec<LspciRegion>,
    /// Bus numbers and windows of a bridge.
    pub bridge: Option<LspciBridge>,
    /// Whether the text describes the function further than in its title (`-v`).
    pub described: bool,
    /// Whether the status register says that there is a list of capabilities (`-vv`).
    pub capability_list: Option<bool>,
    /// Capabilities as printed, in the order of the text.
    pub capabilities: Vec<LspciCapability>,
    /// Whether the text says that capabilities were not readable.
    pub capabilities_denied: bool,
    /// Configuration space, from the hex dump.
    pub config: ConfigSpace,
}

/// A bridge as printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LspciBridge {
    /// The bus that it is on.
    pub primary: u8,
    /// The bus behind it.
    pub secondary: u8,
    /// The highest bus behind it.
    pub subordinate: u8,
    /// I/O window; none if disabled or not printed.
    pub io: Option<Window>,
    /// Memory window; none if disabled or not printed.
    pub memory: Option<Window>,
    /// Prefetchable memory window; none if disabled or not printed.
    pub prefetchable: Option<Window>,
}

/// Reads a text. It may be anything: what is not lspci's is passed over.
///
/// ```
/// let text = b"> 03:04.0 SCSI storage controller: Adaptec AIC-7850 [9004:5078]\n> 00: 04 90 78 50\n";
/// let read = slotwise_core::facts::lspci::read(text);
/// assert_eq!(read.functions[0].config.u16(0), Some(0x9004));
/// assert_eq!(read.faults[0].line, 2);
/// ```
#[must_use]
pub fn read(text: &[u8]) -> LspciText {
    reader::read(text)
}

impl LspciText {
    /// One entry for each address, in the order of first occurrence: what a later occurrence says wins, what it
    /// leaves out comes from those before. So `lspci -k` and `lspci -xxx` of one host in one text make one whole.
    #[must_use]
    pub fn merged(&self) -> Vec<LspciFunction> {
        let mut places = std::collections::BTreeMap::new();
        let mut merged: Vec<LspciFunction> = Vec::new();
        for function in &self.functions {
            let place = *places.entry(function.address).or_insert(merged.len());
            match merged.get_mut(place) {
                Some(before) => before.overlay(function),
                None => merged.push(function.clone()),
            }
        }
        merged
    }
}

impl LspciFunction {
    fn new(address: PciAddress, line: usize) -> Self {
        Self {
            address,
            line,
            class: None,
            class_name: None,
            interface: None,
            id: None,
            name: None,
            revision: None,
            subsystem: None,
            subsystem_name: None,
            label: None,
            driver: None,
            modules: Vec::new(),
            group: None,
            numa_node: None,
            pin: None,
            irq: None,
            slot: None,
            regions: Vec::new(),
            bridge: None,
            described: false,
            capability_list: None,
            capabilities: Vec::new(),
            capabilities_denied: false,
            config: ConfigSpace::empty(),
        }
    }

    fn overlay(&mut self, later: &Self) {
        fn put<T: Clone>(into: &mut Option<T>, from: &Option<T>) {
            if from.is_some() {
                into.clone_from(from);
            }
        }
        fn put_list<T: Clone>(into: &mut Vec<T>, from: &[T]) {
            if !from.is_empty() {
                into.clear();
                into.extend_from_slice(from);
            }
        }
        put(&mut self.class, &later.class);
        put(&mut self.class_name, &later.class_name);
        put(&mut self.interface, &later.interface);
        put(&mut self.id, &later.id);
        put(&mut self.name, &later.name);
        put(&mut self.revision, &later.revision);
        put(&mut self.subsystem, &later.subsystem);
        put(&mut self.subsystem_name, &later.subsystem_name);
        put(&mut self.label, &later.label);
        put(&mut self.driver, &later.driver);
        put_list(&mut self.modules, &later.modules);
        put(&mut self.group, &later.group);
        put(&mut self.numa_node, &later.numa_node);
        put(&mut self.pin, &later.pin);
        put(&mut self.irq, &later.irq);
        put(&mut self.slot, &later.slot);
        put_list(&mut self.regions, &later.regions);
        put(&mut self.bridge, &later.bridge);
        self.described |= later.described;
        put(&mut self.capability_list, &later.capability_list);
        put_list(&mut self.capabilities, &later.capabilities);
        self.capabilities_denied =
            self.capabilities.is_empty() && (self.capabilities_denied || later.capabilities_denied);
        // A dump is one reading of the device: two readings are not mixed, the fuller one counts.
        if later.config.extent() >= self.config.extent() && !later.config.is_empty() {
            self.config = later.config.clone();
        }
    }
}
