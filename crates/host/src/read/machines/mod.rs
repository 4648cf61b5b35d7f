//! Virtual machines that hold functions or are defined with some: QEMU's processes, libvirt's files, libxl's files.
//!
//! What is told: names and functions. Everything else in these files is nobody's business here, and captures leave it out
//! (see `reduced` of each). Programs of other monitors (Cloud Hypervisor, crosvm, bhyve) show as processes that hold a VFIO
//! group open, without a name.

mod libvirt;
mod qemu;
mod xen;

use slotwise_core::facts::{Fact, HostMachine, ReadFault};

use super::fault;
use crate::kernel::{ReadError, ReadHost};

/// The most machines that are told, of each kind.
const MOST: usize = 1 << 12;

/// Machines among the processes `monitors`, and those that libvirt and libxl know of. A directory of theirs that may not be
/// read makes the whole unreadable: a machine that nobody knows of may be in it.
pub(super) fn machines(
    host: &dyn ReadHost,
    monitors: &[u32],
    faults: &mut Vec<ReadFault>,
) -> Fact<Vec<HostMachine>> {
    let mut found = Found::default();
    qemu::machines(host, monitors, &mut found);
    libvirt::machines(host, &mut found);
    xen::machines(host, &mut found);
    let Found { machines, unread, told } = found;
    faults.extend(unread.iter().skip(1).cloned());
    match unread.into_iter().next() {
        // What was found is worth more than that there may be more; then the gap is told beside it.
        Some(fault) if machines.is_empty() => Fact::Unreadable(fault),
        Some(fault) => {
            faults.push(fault);
            Fact::Known(machines)
        }
        None if machines.is_empty() && !told => Fact::Absent,
        None => Fact::Known(machines),
    }
}

/// Machines found so far, and what could not be read.
#[derive(Debug, Default)]
struct Found {
    machines: Vec<HostMachine>,
    unread: Vec<ReadFault>,
    /// Whether anything here runs machines at all.
    told: bool,
}

impl Found {
    /// Names in a directory; none where there is no such.
    fn names(&mut self, host: &dyn ReadHost, path: &str) -> Vec<String> {
        match host.list(path) {
            Ok(mut names) => {
                self.told = true;
                names.truncate(MOST);
                names
            }
            Err(error) => {
                self.missing(&error);
                Vec::new()
            }
        }
    }

    fn missing(&mut self, error: &ReadError) {
        if !error.is_not_found() {
            self.unread.push(fault(error));
        }
    }
}

/// What of a file is needed, if it is one of those that are read here; the rest stays on its host.
pub(crate) fn reduced(path: &str, text: &[u8]) -> Option<Vec<u8>> {
    qemu::reduced(path, text).or_else(|| libvirt::reduced(path, text)).or_else(|| xen::reduced(path, text))
}
