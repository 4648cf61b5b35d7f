//! What a guest boots: firmware, a kernel handed over directly, disks.

use std::path::PathBuf;

/// The firmware that starts the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A PC BIOS, the one that the monitor brings along.
    Bios,
    /// Another BIOS image, mapped to end at 4 GiB.
    BiosImage(PathBuf),
    /// UEFI: code, read only, and a variable store.
    Uefi {
        /// The firmware volume.
        code: PathBuf,
        /// The variable store. It is written to: give each machine its own copy.
        variables: PathBuf,
    },
}

/// What the firmware hands over to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The firmware looks for itself: at disks in their order, then at the devices' own option ROMs.
    Firmware,
    /// A kernel from a file of the host.
    Kernel(KernelBoot),
}

/// A kernel from a file of the host: Linux `bzImage`, or multiboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelBoot {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// Its command line; empty for none.
    pub arguments: String,
    /// What is loaded with it.
    pub payload: KernelPayload,
}

/// What is loaded into memory beside a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelPayload {
    /// Nothing.
    None,
    /// An initial RAM file system for Linux.
    Initrd(PathBuf),
    /// Modules of a multiboot kernel, in this order; at least one, or the specification is at fault.
    Modules(Vec<BootModule>),
}

/// A module of a multiboot kernel (Multiboot 0.6.96 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootModule {
    /// Its file.
    pub path: PathBuf,
    /// Its own command line; empty for none.
    pub arguments: String,
}

/// A disk of the guest. The first of several is tried first at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What is on it.
    pub image: DiskImage,
    /// How the guest reaches it.
    pub bus: DiskBus,
    /// What becomes of what the guest writes.
    pub writes: DiskWrites,
}

/// Where a disk's contents come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskImage {
    /// A file, sector for sector. Never guessed: a guest could write a header that a guess would believe.
    Raw(PathBuf),
    /// A qcow2 file.
    Qcow2(PathBuf),
    /// A directory of the host, shown as a FAT file system. Writes are always discarded.
    FatDirectory(PathBuf),
}

/// How a guest reaches a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskBus {
    /// Paravirtual: fast, needs a driver.
    Virtio,
    /// IDE on `pc`, AHCI on `q35`: what every guest and firmware knows. Four at most on `pc`, six on `q35`.
    Ata,
}

/// What becomes of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskWrites {
    /// They go to the image.
    Kept,
    /// They are gone when the machine ends; the image can be shared.
    Discarded,
}
