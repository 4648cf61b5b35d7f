//! Who has device nodes of PCI functions open: one pass over `/proc/*/fd` (`fs/proc/fd.c`).
//!
//! The kernel shows the open files of a process to its own user and to root; with `hidepid=`, or in another pid name space,
//! it does not even list the others. So that nobody was found counts only if every process was seen. Memory that stays
//! mapped after its file was closed is not found.

use std::collections::BTreeSet;

use slotwise_core::facts::{Fact, FaultKind, HeldBy, ReadFault, UsbDevice};

use super::nodes::{Belongs, Nodes};
use super::{fault, text};
use crate::kernel::{ReadError, ReadErrorKind, ReadHost};

const PROC: &str = "/proc";

/// The most processes that are looked into; `pid_max` allows more, in theory.
const MOST_PROCESSES: usize = 1 << 16;
/// The most open files that are looked at, over all processes: about a second.
const MOST_FILES: usize = 1 << 19;
/// The most handles that are told.
const MOST_HANDLES: usize = 1 << 12;

/// A process's name has 15 bytes (`include/linux/sched.h`: `TASK_COMM_LEN`), those of kernel threads some more.
const NAME_BYTES: usize = 256;

/// What a pass over all processes gave.
#[derive(Debug)]
pub(super) struct Handles {
    /// As in the facts.
    pub(super) open: Fact<Vec<HeldBy>>,
    /// As in the facts.
    pub(super) seen: Vec<HeldBy>,
    /// Processes that seem to run virtual machines.
    pub(super) monitors: Vec<u32>,
}

/// The processes seen so far.
#[derive(Debug, Default)]
struct Pass {
    held: Vec<HeldBy>,
    monitors: Vec<u32>,
    files: usize,
    /// Why not everything was seen.
    unseen: Option<ReadFault>,
    /// Whether process 2 is the parent of kernel threads, as only where all processes are listed.
    whole: bool,
}

pub(super) fn handles(host: &dyn ReadHost, usb: &[UsbDevice]) -> Handles {
    let listed = match host.list(PROC) {
        Ok(names) => names,
        Err(error) => {
            let open = Fact::Unreadable(fault(&error));
            return Handles { open, seen: Vec::new(), monitors: Vec::new() };
        }
    };
    let mut processes: Vec<u32> = listed.iter().filter_map(|name| name.parse().ok()).collect();
    processes.sort_unstable();
    let mut pass = Pass::default();
    let mut nodes = Nodes::new(host, usb);
    let too_many = processes.len() > MOST_PROCESSES;
    for pid in processes.into_iter().take(MOST_PROCESSES) {
        if pass.files > MOST_FILES || pass.held.len() >= MOST_HANDLES {
            pass.unseen.get_or_insert_with(|| failed("there are more than are looked at"));
            break;
        }
        process(host, pid, &mut nodes, &mut pass);
    }
    if too_many {
        pass.unseen.get_or_insert_with(|| failed("there are more processes than are looked at"));
    }
    if !pass.whole {
        pass.unseen.get_or_insert_with(|| {
            failed("not all processes are listed (a container, or mounted with hidepid)")
        });
    }
    let Pass { held, monitors, unseen, .. } = pass;
    match unseen {
        None => Handles { open: Fact::Known(held), seen: Vec::new(), monitors },
        Some(fault) => Handles { open: Fact::Unreadable(fault), seen: held, monitors },
    }
}

fn failed(why: &str) -> ReadFault {
    ReadFault::new("/proc/*/fd", FaultKind::Failed(why.to_owned()))
}

/// Whether a failure leaves open what a process has. Others mean that it has ended: no directory, or `ESRCH`, which has no
/// kind of its own.
pub(crate) const fn is_refusal(kind: &ReadErrorKind) -> bool {
    matches!(kind, ReadErrorKind::Denied | ReadErrorKind::NotInSource | ReadErrorKind::TooLarge { .. })
}

fn process(host: &dyn ReadHost, pid: u32, nodes: &mut Nodes<'_>, pass: &mut Pass) {
    let mut unseen = |error: &ReadError| {
        if is_refusal(&error.kind) {
            let mut fault = fault(error);
            // One of them stands for the others.
            if fault.kind == FaultKind::Denied {
                fault = ReadFault::new("/proc/*/fd of some processes", FaultKind::Denied);
            }
            pass.unseen.get_or_insert(fault);
        }
    };
    let name = match text(host, &format!("{PROC}/{pid}/comm"), NAME_BYTES) {
        Ok(name) => name.trim_end_matches('\n').to_owned(),
        Err(error) => return unseen(&error),
    };
    pass.whole |= pid == 2 && name == "kthreadd";
    let mut runs_guests = is_monitor(&name);
    let mut paths = BTreeSet::new();
    let opened = host.open_dir(&format!("{PROC}/{pid}/fd"));
    match opened.and_then(|directory| directory.list().map(|names| (directory, names))) {
        Ok((directory, names)) => {
            for file in names {
                pass.files += 1;
                match directory.link(&file) {
                    Ok(path) if path.starts_with('/') => _ = paths.insert(path),
                    Ok(_) => {}
                    Err(error) => unseen(&error),
                }
            }
        }
        Err(error) => unseen(&error),
    }
    for path in paths {
        runs_guests |= path == "/dev/kvm" || path.starts_with("/dev/vfio/");
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
        let function = match nodes.belongs(path) {
            Some(Belongs::Function(function)) => Some(function),
            Some(Belongs::Indirectly) => None,
            None => continue,
        };
        pass.held.push(HeldBy { pid, name: name.clone(), path: path.to_owned(), function });
    }
    if runs_guests {
        pass.monitors.push(pid);
    }
}

/// Names under which QEMU runs: its own, Red Hat's, and the one of Debian's and Proxmox's wrapper.
fn is_monitor(name: &str) -> bool {
    name.starts_with("qemu-system") || matches!(name, "qemu-kvm" | "kvm" | "qemu-dm")
}
