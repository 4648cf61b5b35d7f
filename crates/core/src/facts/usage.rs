//! What the host does with its devices: disks up to mount points, network interfaces up to the default route.

use std::fmt;

use super::{AttachedFacts, Fact, HostMachine};
use crate::pci::PciAddress;

/// Major and minor number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevNumber {
    /// Driver's number.
    pub major: u32,
    /// Number within the driver.
    pub minor: u32,
}

impl fmt::Display for DevNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A disk, partition, or a volume made of others (device-mapper: LVM, LUKS, multipath; md; bcache; loop).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Kernel name, for example `sda2` or `dm-0`.
    pub name: String,
    /// Its number.
    pub number: DevNumber,
    /// The PCI function it hangs under; absent for volumes made of others.
    pub function: Option<PciAddress>,
    /// The disk that a partition is part of, and the devices that a volume is made of, by kernel name.
    pub lower: Vec<String>,
    /// Volume name of device-mapper, for example `vg0-root`.
    pub volume: Option<String>,
    /// Vendor and model of a disk.
    pub model: Option<String>,
    /// Size in bytes.
    pub bytes: Option<u64>,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Device number of the file system; anonymous (0:N) for those without one device (ZFS, btrfs, tmpfs).
    pub number: DevNumber,
    /// Where it is mounted.
    pub mount_point: String,
    /// Type, for example `ext4`.
    pub fs_type: String,
    /// What was mounted, as `mountinfo` says: a device node, or a dataset name for ZFS.
    pub source: String,
}

/// A file system that lies on several block devices at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoragePool {
    /// Type: `btrfs` or `zfs`.
    pub fs_type: String,
    /// The name that mounts give as their source: a pool's name for ZFS, the UUID for btrfs.
    pub name: String,
    /// Kernel names of the block devices. Unreadable for ZFS, which tells user space by its own protocol only.
    pub members: Fact<Vec<String>>,
}

/// A network interface of a PCI function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInterface {
    /// Name, for example `enp3s0`.
    pub name: String,
    /// The PCI function below.
    pub function: Option<PciAddress>,
    /// Bond, bridge or team that it is part of.
    pub upper: Vec<String>,
    /// Whether it is administratively up.
    pub up: Fact<bool>,
    /// Whether a default route leaves through it (or through what it is part of).
    pub default_route: bool,
}

/// A remote login that is in use now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSession {
    /// The address at the other end.
    pub peer: String,
    /// The interface that the way back leaves through.
    pub interface: String,
}

/// A process that holds something open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// What it has open.
    pub path: String,
    /// The PCI function that the node belongs to, where sysfs tells; the node of a VFIO group belongs to all of it.
    pub function: Option<PciAddress>,
}

/// What the host does with its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFacts {
    /// Block devices.
    pub block: Fact<Vec<BlockDevice>>,
    /// Mounted file systems.
    pub mounts: Fact<Vec<Mount>>,
    /// Device numbers of swap in use; files are given by the file system they lie on.
    pub swaps: Fact<Vec<String>>,
    /// File systems on several devices.
    pub pools: Vec<StoragePool>,
    /// Network interfaces.
    pub network: Fact<Vec<NetworkInterface>>,
    /// Remote logins in use (established connections to this host's port 22). Absent where the source does not tell.
    pub sessions: Fact<Vec<RemoteSession>>,
    /// Device nodes of PCI functions (vfio groups, DRM, sound …) that processes hold open. Known only if every process
    /// could be looked into; else `handles_seen` has those that were found.
    pub open_handles: Fact<Vec<HeldBy>>,
    /// What was found although not every process could be looked into.
    pub handles_seen: Vec<HeldBy>,
    /// Virtual machines that hold functions, or are defined with some. Absent: nothing here runs any.
    pub machines: Fact<Vec<HostMachine>>,
    /// Screens, consoles, inputs, sound, USB devices.
    pub attached: AttachedFacts,
}

impl UsageFacts {
    /// All open device nodes that were found, whether or not there may be more.
    pub fn held(&self) -> impl Iterator<Item = &HeldBy> {
        self.open_handles.known().into_iter().flatten().chain(&self.handles_seen)
    }
}
