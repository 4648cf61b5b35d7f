//! What of the host hangs on a function: mounts and swap through volumes, pools and partitions, networks; screens and the
//! like are in `attached.rs`.

use std::collections::BTreeSet;
use std::fmt;

use super::Topology;
use crate::facts::{BlockDevice, Mount, StoragePool};
use crate::pci::PciAddress;

/// Something that the host loses with a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependent {
    /// What it is.
    pub kind: DependentKind,
    /// How it hangs on the function, outermost first: `/ on dm-0 (vg0-root) on sda2 on sda`.
    pub chain: Vec<String>,
}

/// The kinds of things that hang on a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependentKind {
    /// A mounted file system, by its mount point.
    Mount(String),
    /// Swap space in use.
    Swap(String),
    /// A disk that nothing is mounted from.
    Disk(String),
    /// A network interface.
    Network {
        /// Its name.
        name: String,
        /// Whether a default route leaves through it.
        default_route: bool,
    },
    /// A connector that a screen is at.
    Screen(String),
    /// A frame buffer device, or that of firmware.
    Framebuffer(String),
    /// A console of the kernel.
    Console(String),
    /// A keyboard, mouse, button.
    Input(String),
    /// A sound card.
    Sound(String),
    /// A USB device.
    Usb(String),
}

/// Mount points without which a host does not live on (Filesystem Hierarchy Standard 3.0 §3).
const VITAL: &[&str] = &["/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/etc", "/home"];

/// Device ids of Volume Management Devices (`drivers/pci/controller/vmd.c: vmd_ids`).
const VOLUME_MANAGERS: [u16; 10] =
    [0x201d, 0x28c0, 0x467f, 0x4c3d, 0xa77f, 0x7d0b, 0xad0b, 0x9a0b, 0xb60b, 0xb06f];

/// Their domains are numbered from here on (`drivers/pci/controller/vmd.c: vmd_find_free_domain`).
const FIRST_OWN_DOMAIN: u32 = 0x1_0000;

impl DependentKind {
    /// Whether the host dies without it: a file system that it runs from, or swap in use.
    #[must_use]
    pub fn is_vital(&self) -> bool {
        match self {
            DependentKind::Mount(point) => VITAL.contains(&point.as_str()),
            DependentKind::Swap(_) => true,
            _ => false,
        }
    }
}

impl DependentKind {
    /// Whether it is storage or a network. Everything else comes and goes while a host runs, when somebody plugs a keyboard
    /// or switches a screen off, or is told to root only.
    #[must_use]
    pub const fn is_storage_or_network(&self) -> bool {
        matches!(
            self,
            DependentKind::Mount(_)
                | DependentKind::Swap(_)
                | DependentKind::Disk(_)
                | DependentKind::Network { .. }
        )
    }
}

impl fmt::Display for Dependent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DependentKind::Mount(point) => write!(f, "{point}")?,
            DependentKind::Swap(name) => write!(f, "swap {name}")?,
            DependentKind::Disk(name) => write!(f, "disk {name}")?,
            DependentKind::Network { name, .. } => write!(f, "network interface {name}")?,
            DependentKind::Screen(name) => write!(f, "screen {name}")?,
            DependentKind::Framebuffer(name) => write!(f, "frame buffer {name}")?,
            DependentKind::Console(name) => write!(f, "console {name}")?,
            DependentKind::Input(name) => write!(f, "input {name}")?,
            DependentKind::Sound(name) => write!(f, "sound card {name}")?,
            DependentKind::Usb(name) => write!(f, "USB device {name}")?,
        }
        for link in &self.chain {
            write!(f, " on {link}")?;
        }
        Ok(())
    }
}

impl Topology {
    /// What the host would lose with a function, most serious first.
    #[must_use]
    pub fn dependents(&self, address: PciAddress) -> Vec<Dependent> {
        let mut found = BTreeSet::new();
        for disk in self.disks_of(address) {
            let above = self.built_on(&disk.name);
            let mut used = false;
            for (device, chain) in &above {
                for mount in self.mounts().iter().filter(|m| holds(m, device) || self.pool_holds(m, device)) {
                    used = true;
                    found.insert(Dependent {
                        kind: DependentKind::Mount(mount.mount_point.clone()),
                        chain: chain.clone(),
                    });
                }
                let swaps = self.facts().usage.swaps.known().map_or(&[][..], Vec::as_slice);
                for swap in swaps.iter().filter(|swap| is_node_of(swap, device)) {
                    used = true;
                    found.insert(Dependent { kind: DependentKind::Swap(swap.clone()), chain: chain.clone() });
                }
            }
            if !used {
                let model = disk.model.iter().cloned().collect();
                found.insert(Dependent { kind: DependentKind::Disk(disk.name.clone()), chain: model });
            }
        }
        let network = self.facts().usage.network.known().map_or(&[][..], Vec::as_slice);
        let here = self.index().interfaces_of(address);
        for interface in here.iter().filter_map(|number| network.get(*number)) {
            let name = interface.name.clone();
            found.insert(Dependent {
                kind: DependentKind::Network { name, default_route: interface.default_route },
                chain: Vec::new(),
            });
        }
        found.extend(self.attached(address));
        if self.is_volume_manager(address) && self.volume_managers() == 1 {
            let behind = self.behind_volume_managers().flat_map(|function| self.dependents(function));
            found.extend(behind);
        }
        found.into_iter().collect()
    }

    /// Whether a function is one of Intel's Volume Management Devices, which take what is behind them into a PCI domain of
    /// their own: handed over, all that goes with them.
    #[must_use]
    pub fn is_volume_manager(&self, address: PciAddress) -> bool {
        let id = self.function(address).and_then(|function| function.id.known());
        id.is_some_and(|id| id.vendor == 0x8086 && VOLUME_MANAGERS.contains(&id.device))
    }

    /// How many of them there are.
    #[must_use]
    pub fn volume_managers(&self) -> usize {
        self.functions().filter(|function| self.is_volume_manager(function.address)).count()
    }

    /// The functions that are behind any of them.
    pub fn behind_volume_managers(&self) -> impl Iterator<Item = PciAddress> {
        self.functions().map(|function| function.address).filter(|a| a.domain() >= FIRST_OWN_DOMAIN)
    }

    /// Kernel names of the disks of a function and of all that is made of them.
    pub(super) fn volumes(&self, address: PciAddress) -> Vec<&str> {
        self.disks_of(address)
            .flat_map(|disk| self.built_on(&disk.name))
            .map(|(device, _)| device.name.as_str())
            .collect()
    }

    /// Whether a mounted file system lies on a pool that a block device is a member of.
    fn pool_holds(&self, mount: &Mount, device: &BlockDevice) -> bool {
        let member = |pool: &StoragePool, name: &str| {
            pool.members.known().is_some_and(|members| members.iter().any(|member| member == name))
        };
        let mut pools = self.facts().usage.pools.iter().filter(|pool| pool.fs_type == mount.fs_type);
        pools.any(|pool| {
            // A mount of ZFS names the pool, one of btrfs any of its members.
            let named = mount.source.split('/').next() == Some(&pool.name);
            let by_member = || {
                let mounted = self.block_devices().iter().filter(|other| is_node_of(&mount.source, other));
                mounted.into_iter().any(|other| member(pool, &other.name))
            };
            member(pool, &device.name) && (named || by_member())
        })
    }

    /// Block devices that hang right under a function.
    fn disks_of(&self, address: PciAddress) -> impl Iterator<Item = &BlockDevice> {
        let numbers = self.index().blocks_of(address).iter();
        numbers.filter_map(|number| self.block_devices().get(*number))
    }

    fn block_devices(&self) -> &[BlockDevice] {
        self.facts().usage.block.known().map_or(&[], Vec::as_slice)
    }

    fn mounts(&self) -> &[Mount] {
        self.facts().usage.mounts.known().map_or(&[], Vec::as_slice)
    }

    /// A disk and everything that is made of it, each with the chain down to the disk.
    fn built_on(&self, disk: &str) -> Vec<(&BlockDevice, Vec<String>)> {
        let mut built: Vec<(&BlockDevice, Vec<String>)> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut queue = vec![(disk.to_owned(), Vec::new())];
        while let Some((name, below)) = queue.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let number = self.index().block(&name);
            let Some(device) = number.and_then(|number| self.block_devices().get(number)) else { continue };
            let mut chain = vec![label(device)];
            chain.extend(below);
            let uppers = self.index().made_of(&name).iter();
            for upper in uppers.filter_map(|number| self.block_devices().get(*number)) {
                queue.push((upper.name.clone(), chain.clone()));
            }
            built.push((device, chain));
        }
        built
    }
}

fn label(device: &BlockDevice) -> String {
    match &device.volume {
        Some(volume) => format!("{} ({volume})", device.name),
        None => device.name.clone(),
    }
}

/// Whether a mounted file system lies on a block device: by number, or, for file systems with an anonymous number
/// (btrfs), by the node that was mounted.
fn holds(mount: &Mount, device: &BlockDevice) -> bool {
    mount.number == device.number || (mount.number.major == 0 && is_node_of(&mount.source, device))
}

fn is_node_of(node: &str, device: &BlockDevice) -> bool {
    let Some(name) = node.strip_prefix("/dev/") else { return false };
    name == device.name
        || device.volume.as_deref().is_some_and(|volume| name.strip_prefix("mapper/") == Some(volume))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{address, facts, topology};
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn mounts_are_found_through_volumes_and_partitions() {
        let topology = topology(
            "device 0000:00:1f.2 class=010601
             block sda 8:0 function=0000:00:1f.2
             block sda2 8:2 lower=sda
             block dm-0 254:0 lower=sda2 volume=vg0-root
             mount / 254:0 ext4
             swap /dev/sda1
             block sda1 8:1 lower=sda",
        );
        let dependents = topology.dependents(address("0000:00:1f.2"));
        let lines: Vec<String> = dependents.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["/ on dm-0 (vg0-root) on sda2 on sda", "swap /dev/sda1 on sda1 on sda"]);
    }

    #[test]
    fn disks_behind_a_volume_management_device_go_with_it() {
        let host = "device 0000:00:0e.0 class=010400 id=8086:467f driver=vmd
             device 10000:e1:00.0 class=010802 id=144d:a808 driver=nvme
             block nvme0n1 259:0 function=10000:e1:00.0
             mount / 259:0 ext4";
        let lines = |host: &str| {
            let of = topology(host).dependents(address("0000:00:0e.0"));
            of.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(lines(host), ["/ on nvme0n1"]);
        // Of several, none is known to be the one.
        let two = format!("{host}\ndevice 0000:17:05.5 class=010400 id=8086:28c0 driver=vmd");
        assert!(lines(&two).is_empty());
    }

    #[test]
    fn a_pool_lies_on_all_its_members() {
        let mut facts = facts(
            "device 0000:00:1f.2 class=010601
             device 0000:03:00.0 class=010802
             block sda 8:0 function=0000:00:1f.2
             block nvme0n1 259:0 function=0000:03:00.0
             block nvme0n1p1 259:1 lower=nvme0n1
             mount / 0:31 zfs
             mount /data 0:32 btrfs",
        );
        let pool = |fs_type: &str, name: &str, members: [&str; 2]| StoragePool {
            fs_type: fs_type.to_owned(),
            name: name.to_owned(),
            members: Fact::Known(members.map(str::to_owned).into()),
        };
        facts.usage.pools =
            vec![pool("zfs", "rpool", ["sda", "nvme0n1p1"]), pool("btrfs", "u", ["sda", "nvme0n1"])];
        if let Fact::Known(mounts) = &mut facts.usage.mounts {
            for (mount, source) in mounts.iter_mut().zip(["rpool/ROOT/debian", "/dev/sda"]) {
                mount.source = source.to_owned();
            }
        }
        let topology = Topology::new(facts);
        let lines = |at| topology.dependents(address(at)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(lines("0000:00:1f.2"), ["/ on sda", "/data on sda"]);
        assert_eq!(lines("0000:03:00.0"), ["/ on nvme0n1p1 on nvme0n1", "/data on nvme0n1"]);
    }

    #[test]
    fn volumes_that_are_made_of_each_other_end() {
        let topology = topology(
            "device 0000:00:1f.2 class=010601
             block sda 8:0 function=0000:00:1f.2 lower=sdb
             block sdb 8:16 lower=sda",
        );
        assert_eq!(topology.dependents(address("0000:00:1f.2")).len(), 1);
    }
}
