//! What the user asks for: VMs, their devices, and what is tested there.

use core::net::Ipv4Addr;
use std::ops::Range;

use super::{CpuCount, MachineType, MemorySize, UsbId, VmName};
use crate::pci::{PciAddress, PciId};

/// A whole spec, understood. Made by [`super::spec::parse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The VMs, in the order of the file; names are unique, no device is asked for twice.
    pub vms: Vec<VmRequest>,
    /// What to test.
    pub test: Option<TestRequest>,
    /// Devices that the host keeps.
    pub keep: Vec<KeepRequest>,
    /// What else it keeps.
    pub reserve: ReserveRequest,
}

/// Memory and processors that the host keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReserveRequest {
    /// Memory.
    pub memory: Option<Placed<MemorySize>>,
    /// Processors.
    pub cpus: Option<Placed<CpuCount>>,
}

/// Devices that the host keeps: the one in a place, or all of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepRequest {
    /// What they are.
    pub id: Option<PciId>,
    /// Where it is.
    pub slot: Option<PciAddress>,
    /// Where in the spec it is said.
    pub span: Range<usize>,
}

/// How a device is picked where the host has several that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pick {
    /// It must be one only.
    #[default]
    Exactly,
    /// Any of them will do: the planner chooses.
    AnyOf,
}

/// Which virtual machine monitor runs a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BackendKind {
    /// QEMU, started by us.
    #[default]
    Qemu,
    /// libvirt's daemon.
    Libvirt,
    /// Xen's toolstack.
    Xen,
}

impl BackendKind {
    /// The name in specs and in `slotwise.plan/1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BackendKind::Qemu => "qemu",
            BackendKind::Libvirt => "libvirt",
            BackendKind::Xen => "xen",
        }
    }
}

/// A value and where in the spec it stands (byte offsets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Bytes of the file that say so.
    pub span: Range<usize>,
}

/// One VM as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmRequest {
    /// Its name.
    pub name: VmName,
    /// Who runs it.
    pub backend: BackendKind,
    /// The chipset.
    pub machine: MachineType,
    /// Memory.
    pub memory: MemorySize,
    /// Processors.
    pub cpus: CpuCount,
    /// The memory node of the host that it shall run on.
    pub node: Option<u32>,
    /// The guest definition that it runs, by id.
    pub guest: Option<Placed<String>>,
    /// PCI devices that it is given.
    pub devices: Vec<DeviceRequest>,
    /// USB devices that it is given.
    pub usb: Vec<UsbId>,
    /// Where in the spec it is declared.
    pub span: Range<usize>,
}

/// A device as asked for: what it is and where it is. Both given must agree with the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// What it is.
    pub id: Option<PciId>,
    /// Where it is.
    pub slot: Option<PciAddress>,
    /// Whether any that fits will do.
    pub pick: Pick,
    /// Where in the spec it is declared.
    pub span: Range<usize>,
}

/// Whether tests may write to the medium under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WriteLeave {
    /// Cases that would write are skipped, with that reason.
    #[default]
    ReadOnly,
    /// Blocks of the disk that matches the declared identity may be overwritten.
    Data,
}

/// Which disk is under test: what it must call itself before anything is written to it, and where it is on its bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskIdentity {
    /// INQUIRY vendor, without trailing blanks.
    pub vendor: Option<String>,
    /// INQUIRY product, without trailing blanks.
    pub product: Option<String>,
    /// Unit serial number.
    pub serial: Option<String>,
    /// SCSI id; without it all are looked at, which costs a selection timeout for each that is not there.
    pub target: Option<u8>,
    /// Logical unit number.
    pub lun: Option<u8>,
}

/// What to test, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRequest {
    /// Suites by id.
    pub suites: Vec<Placed<String>>,
    /// Guests by id; empty: the guest of each VM.
    pub guests: Vec<Placed<String>>,
    /// Leave to write.
    pub writes: WriteLeave,
    /// The disk under test.
    pub disk: DiskIdentity,
    /// Whom a network card under test can speak to.
    pub net: Option<NetPeer>,
    /// Installs the firmware under test before a run.
    pub flash: Option<Placed<HookCommand>>,
    /// Switches the device off and on where no reset helps.
    pub power: Option<Placed<HookCommand>>,
}

/// The two ends of the wire of a network card under test. The peer is any host that answers ARP and echo requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetPeer {
    /// The address the card speaks from: one of the peer's network that nobody else has.
    pub own: Ipv4Addr,
    /// The peer's.
    pub peer: Ipv4Addr,
}

/// What a word of a user's command stands for, as it is written in the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookWord {
    /// The file of the firmware build.
    Firmware,
    /// The device under test, as reports name it.
    Device,
}

impl HookWord {
    /// How it is written within a word of the command.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Firmware => "{firmware}",
            Self::Device => "{device}",
        }
    }
}

/// A user's command: a program and its arguments, never given to a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCommand {
    program: String,
    arguments: Vec<String>,
}

impl HookCommand {
    /// A command; `None` without a program.
    #[must_use]
    pub fn new(words: Vec<String>) -> Option<Self> {
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty())?;
        Some(Self { program, arguments: words.collect() })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments, with each word of `values` in place.
    #[must_use]
    pub fn arguments(&self, values: &[(HookWord, &str)]) -> Vec<String> {
        let put = |argument: &String| {
            values.iter().fold(argument.clone(), |text, (word, value)| text.replace(word.text(), value))
        };
        self.arguments.iter().map(put).collect()
    }

    /// Whether an argument has the word.
    #[must_use]
    pub fn says(&self, word: HookWord) -> bool {
        self.arguments.iter().any(|argument| argument.contains(word.text()))
    }
}
