//! Virtual machines that a host runs or keeps defined, as far as they are given PCI functions.

use std::fmt;

use crate::pci::PciAddress;

/// Who told of a virtual machine; the names are those of the JSON contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Monitor {
    /// A QEMU process, by its command line.
    Qemu,
    /// libvirt, by its files.
    Libvirt,
    /// Xen, by what libxl keeps of its domains.
    Xen,
}

impl Monitor {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Monitor::Qemu => "qemu",
            Monitor::Libvirt => "libvirt",
            Monitor::Xen => "xen",
        }
    }
}

/// Whether a virtual machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineState {
    /// It runs, or is paused, as this process.
    Process(u32),
    /// It runs as this domain of Xen.
    Domain(u32),
    /// It is defined and does not run.
    Defined,
}

/// A virtual machine with the functions that it holds, or would hold when started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMachine {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Who told of it.
    pub monitor: Monitor,
    /// Whether it runs.
    pub state: MachineState,
    /// Functions it is given by address.
    pub functions: Vec<PciAddress>,
    /// The file that told it.
    pub place: String,
}

impl HostMachine {
    /// Whether it runs now, so that it holds its functions.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        !matches!(self.state, MachineState::Defined)
    }
}

impl fmt::Display for HostMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("without a name");
        write!(f, "VM {name} ({}", self.monitor.name())?;
        match self.state {
            MachineState::Process(pid) => write!(f, ", process {pid})"),
            MachineState::Domain(id) => write!(f, ", domain {id})"),
            MachineState::Defined => f.write_str(", not running)"),
        }
    }
}
