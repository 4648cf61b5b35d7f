//! What a host said, per device, and where it was read.
//!
//! Facts are kept as found: nothing here judges them, joins them or fills in what is missing. A fact that could not
//! be read is told apart from one that is not there, so that a rule can say "could not know" instead of guessing.

pub mod acpi;
mod assumed;
mod attached;
mod beside;
mod boot;
mod cpu_list;
mod fact;
mod function;
mod groups;
mod hardware;
mod interrupt;
mod iommu;
mod kernel;
pub mod kernel_log;
mod line;
pub mod lspci;
mod machine;
mod markup;
mod memory;
mod modprobe;
mod name;
mod numbers;
mod parents;
mod platform;
mod printed;
mod recognise;
mod text;
mod transfer;
mod udevadm;
mod untold;
mod usage;
mod wrapped;

use std::collections::BTreeMap;

pub use assumed::{Assumed, AssumedFact, SeenLine};
pub use attached::{
    AttachedFacts, Console, FramebufferDevice, InputDevice, Screen, SoundCard, UsbDevice, VtConsole,
};
pub use boot::{
    BootEntry, BootFacts, BootGenerator, BootTemplate, MAX_ENTRIES, grub_entries, specification_entry,
};
pub use cpu_list::CpuList;
pub use fact::{Fact, FaultDetail, FaultKind, ReadFault};
pub use function::{BusRange, FunctionFacts, GroupId, ResetMethod, Resource, ResourceFlags, SriovFacts};
pub use groups::from_groups;
pub use hardware::{CpuFacts, DeviceNode, FirmwareFacts};
pub use interrupt::{InterruptController, InterruptLine};
pub use iommu::{GroupFacts, IommuFacts, IommuVendor, ReservedKind, ReservedRegion, Switch};
pub use kernel::{KernelConfig, KernelFacts, KernelVersion, ModuleState, ParameterValue};
pub use lspci::from_lspci;
pub use machine::{HostMachine, MachineState, Monitor};
pub(crate) use markup::REFERENCES;
pub use memory::{HugePages, MemlockSetting, MemoryFacts, NodeMemory};
pub use modprobe::{EarlyModule, ModprobeCommand, ModprobeDirective};
pub use name::{DriverName, ModuleName, NameError};
pub use platform::{Lockdown, LockedMemory, MemoryClaim, PlatformFacts};
pub use printed::{ListedCapability, PrintedCapability, PrintedConfig};
pub use recognise::recognise;
pub use text::from_text;
pub use udevadm::from_udevadm;
pub use usage::{
    BlockDevice, DevNumber, HeldBy, Mount, NetworkInterface, RemoteSession, StoragePool, UsageFacts,
};

use crate::pci::PciAddress;

/// Where facts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The running host; `boot_id` is that of `/proc/sys/kernel/random/boot_id` where it could be read.
    Live {
        /// Changes with each boot; a plan made before a reboot rests on other facts.
        boot_id: Option<String>,
    },
    /// Something saved earlier or elsewhere.
    Saved {
        /// What kind of thing was read.
        kind: SourceKind,
        /// File or directory name as the user gave it.
        name: String,
    },
}

/// The kinds of source that facts can be read from; the names are those of the JSON contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// This host's sysfs and procfs.
    Live,
    /// A file or directory written by `slotwise capture`.
    Capture,
    /// A directory that holds `sys/`, `proc/` … of some host.
    Directory,
    /// `lspci` text, with or without hex dump.
    Lspci,
    /// A listing of IOMMU groups.
    Groups,
    /// `udevadm info --export-db`.
    Udevadm,
    /// A kernel log.
    Log,
    /// `acpidump`, or an ACPI table.
    Acpi,
}

impl SourceKind {
    /// The name in `slotwise.inspect/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SourceKind::Live => "live",
            SourceKind::Capture => "capture",
            SourceKind::Directory => "directory",
            SourceKind::Lspci => "lspci",
            SourceKind::Groups => "groups",
            SourceKind::Udevadm => "udevadm",
            SourceKind::Log => "log",
            SourceKind::Acpi => "acpi",
        }
    }
}

impl Origin {
    /// The kind of source.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        match self {
            Origin::Live { .. } => SourceKind::Live,
            Origin::Saved { kind, .. } => *kind,
        }
    }
}

/// Everything known of one host.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where it was read.
    pub origin: Origin,
    /// PCI functions by address.
    pub functions: BTreeMap<PciAddress, FunctionFacts>,
    /// The IOMMU as a whole.
    pub iommu: IommuFacts,
    /// Rows of `/proc/interrupts` that have a number.
    pub interrupts: Fact<Vec<InterruptLine>>,
    /// Kernel release, command line, modules.
    pub kernel: KernelFacts,
    /// Disks, mounts, swap, network interfaces: what the host does with its devices.
    pub usage: UsageFacts,
    /// Processor, firmware and limits.
    pub platform: PlatformFacts,
    /// What the boot loader will start.
    pub boot: Fact<BootFacts>,
    /// What was damaged or could not be read, beside the facts that say so themselves.
    pub faults: Vec<ReadFault>,
    /// What of all this is assumed; empty as read.
    pub assumed: Assumed,
}

impl Facts {
    /// No facts at all, from `origin`: what a reader starts with.
    #[must_use]
    pub fn empty(origin: Origin) -> Self {
        Self {
            origin,
            functions: BTreeMap::new(),
            iommu: IommuFacts::default(),
            interrupts: Fact::Absent,
            kernel: KernelFacts::default(),
            usage: UsageFacts::default(),
            platform: PlatformFacts::default(),
            boot: Fact::Absent,
            faults: Vec::new(),
            assumed: Assumed::default(),
        }
    }
}
