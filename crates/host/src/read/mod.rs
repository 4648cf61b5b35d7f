//! Sysfs and proc files into [`Facts`].
//!
//! Reading keeps going: a file that cannot be read becomes [`Fact::Unreadable`] or an entry in [`Facts::faults`],
//! never a failure of the whole and never a false absence. Nothing here judges what it finds. The same code reads the
//! running host, a directory tree and a capture; it sees only [`ReadHost`].
//!
//! The attributes are those of `Documentation/ABI/testing/sysfs-bus-pci` and `sysfs-kernel-iommu_groups`; where an
//! attribute's text is not told there, the module that reads it names the kernel function that prints it.

mod acpi;
mod attached;
mod attributes;
mod block;
mod boot;
mod config;
mod function;
mod handles;
mod hardware;
mod interrupts;
mod iommu;
mod kernel;
mod kernel_config;
mod machines;
mod memory;
mod modalias;
mod modprobe;
mod mounts;
mod network;
mod nodes;
mod parameters;
mod platform;
mod sessions;
#[cfg(test)]
mod tests;
mod zfs_pools;

pub(crate) use handles::is_refusal;
pub(crate) use hardware::CPU_ROWS;
use rayon::prelude::*;
use slotwise_core::facts::{
    BootFacts, Fact, Facts, FaultKind, InterruptLine, Origin, PlatformFacts, ReadFault, UsageFacts,
};

use crate::kernel::{ReadError, ReadErrorKind, ReadHost};

/// Everything that `host` says of itself.
///
/// Takes as long as its files take: some 100 µs for each PCI function, most of it in the kernel. Never fails; what
/// could not be read is told in the facts.
#[must_use]
pub fn read(host: &dyn ReadHost, origin: Origin) -> Facts {
    let mut facts = Facts::empty(origin);
    // Neither needs the other's facts; faults keep an order of their own all the same.
    let (functions, rest) = rayon::join(
        || noting(|faults| function::functions(host, faults)),
        || noting(|faults| rest(host, &facts.origin, faults)),
    );
    let mut faults;
    (facts.functions, faults) = functions;
    let (rest, later_faults) = rest;
    (facts.interrupts, facts.usage, facts.platform, facts.boot) =
        (rest.interrupts, rest.usage, rest.platform, rest.boot);
    facts.iommu = iommu::iommu(host, &facts, &mut faults);
    facts.kernel = kernel::kernel(host, &mut facts.functions, &mut faults);
    faults.extend(later_faults);
    facts.faults = faults;
    facts
}

/// What `read` makes, and the faults that it notes.
fn noting<T>(read: impl FnOnce(&mut Vec<ReadFault>) -> T) -> (T, Vec<ReadFault>) {
    let mut faults = Vec::new();
    (read(&mut faults), faults)
}

/// What can be told without knowing the functions.
struct Rest {
    interrupts: Fact<Vec<InterruptLine>>,
    usage: UsageFacts,
    platform: PlatformFacts,
    boot: Fact<BootFacts>,
}

fn rest(host: &dyn ReadHost, origin: &Origin, faults: &mut Vec<ReadFault>) -> Rest {
    let interrupts = interrupts::interrupts(host, faults);
    let mut usage = UsageFacts { mounts: mounts::mounts(host, faults), ..UsageFacts::default() };
    usage.block = block::block_devices(host, faults);
    usage.swaps = mounts::swaps(host, &usage);
    let volumes = zfs_pools::volumes(host, &usage);
    usage.pools = block::pools(host, &usage, &volumes, faults);
    zfs_pools::put_volumes(&volumes, &mut usage);
    usage.network = network::interfaces(host, faults);
    usage.sessions = sessions::sessions(host, faults);
    usage.attached = attached::attached(host, faults);
    let usb = usage.attached.usb.known().map_or(&[][..], Vec::as_slice);
    let handles = handles::handles(host, usb);
    usage.machines = machines::machines(host, &handles.monitors, faults);
    usage.open_handles = handles.open;
    usage.handles_seen = handles.seen;
    let platform = platform::platform(host, origin, faults);
    Rest { interrupts, usage, platform, boot: boot::boot(host, faults) }
}

/// What reading needs of a file that holds more than that, for captures; none for a file that is needed as it is.
pub(crate) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    machines::reduced(path, bytes)
        .or_else(|| kernel_config::reduced(path, bytes))
        .or_else(|| memory::reduced(path, bytes))
        .or_else(|| modprobe::reduced(path, bytes))
        .or_else(|| zfs_pools::reduced(path, bytes))
}

/// Whether an open file's path is of a kind that may belong to a PCI function.
pub(crate) fn is_device_file(path: &str) -> bool {
    nodes::may_belong(path)
}

/// Attributes of sysfs are a page at most (`fs/sysfs/file.c`: `PAGE_SIZE`, up to 64 KiB on some architectures).
const ATTRIBUTE_BYTES: usize = 1 << 16;

/// The largest text file read whole. `/proc/interrupts` has 11 bytes for each interrupt and CPU.
const TEXT_BYTES: usize = 1 << 26;

/// From so many things of one kind on, their files are read by several threads.
const MANY: usize = 32;

/// What `read` makes of each, in their order; it is handed a buffer to use for one file after the other.
///
/// The files of each are its own, and nearly all the time goes to the kernel: processors share the work. A few are read
/// before the threads for it have started.
fn shared_out<T: Sync, U: Send>(all: &[T], read: impl Fn(&mut Vec<u8>, &T) -> U + Sync) -> Vec<U> {
    if all.len() < MANY {
        let mut buffer = Vec::new();
        return all.iter().map(|one| read(&mut buffer, one)).collect();
    }
    all.par_iter().map_init(Vec::new, &read).collect()
}

/// What a failed read is among the facts.
fn fault(error: &ReadError) -> ReadFault {
    let kind = match &error.kind {
        ReadErrorKind::NotFound | ReadErrorKind::Vanished => FaultKind::Vanished,
        ReadErrorKind::Denied => FaultKind::Denied,
        ReadErrorKind::NotInSource => FaultKind::NotInSource,
        kind @ (ReadErrorKind::TooLarge { .. } | ReadErrorKind::Other(_)) => {
            FaultKind::Failed(kind.to_string())
        }
    };
    ReadFault::new(error.path.clone(), kind)
}

/// Something that is there but is not what it should be.
fn malformed(place: &str, expected: &str) -> ReadFault {
    ReadFault::new(place, FaultKind::Malformed(expected.to_owned()))
}

/// The fact that a read gave; that there is no such file means that the host has none.
fn fact<T>(result: Result<T, ReadError>) -> Fact<T> {
    match result {
        Ok(value) => Fact::Known(value),
        Err(error) if error.is_not_found() => Fact::Absent,
        Err(error) => Fact::Unreadable(fault(&error)),
    }
}

/// The text of the file at `path`. Bytes that are no UTF-8 become replacement characters: nothing that is parsed
/// here has any.
fn text(host: &dyn ReadHost, path: &str, limit: usize) -> Result<String, ReadError> {
    let bytes = host.read(path, limit)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The names in the directory at `path`; none, and a fault, if it is there and cannot be read.
fn names(host: &dyn ReadHost, path: &str, faults: &mut Vec<ReadFault>) -> Vec<String> {
    match host.list(path) {
        Ok(names) => names,
        Err(error) => {
            if !error.is_not_found() {
                faults.push(fault(&error));
            }
            Vec::new()
        }
    }
}

/// The last component of a path or of a link's text.
fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}
