//! What the host's processor, firmware and limits allow, beside its PCI functions.
//!
//! Everything here is absent where the source does not tell: a listing or a log says nothing of it.

use super::{CpuFacts, DeviceNode, Fact, FirmwareFacts, MemoryFacts};

/// How far the kernel is locked down (`/sys/kernel/security/lockdown`, `security/lockdown/lockdown.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Not at all.
    None,
    /// User space may not change the running kernel: no unsigned modules, no raw PCI access.
    Integrity,
    /// Nor read its secrets.
    Confidentiality,
}

impl Lockdown {
    /// The kernel's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
        }
    }
}

/// How much memory the reading process may lock (`RLIMIT_MEMLOCK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedMemory {
    /// Any amount: the limit is `unlimited`, or the process has `CAP_IPC_LOCK`.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// A range of physical addresses and who claims it, from `/proc/iomem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryClaim {
    /// The name in `/proc/iomem`, for example `BOOTFB`.
    pub owner: String,
    /// First byte.
    pub start: u64,
    /// Last byte, inclusive.
    pub end: u64,
}

/// What the host's processor, firmware and limits allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformFacts {
    /// Whether the processor can run guests: `vmx` or `svm` is among the flags of `/proc/cpuinfo`. Linux removes them where
    /// firmware switched them off (`arch/x86/kernel/cpu/feat_ctl.c: init_ia32_feat_ctl`, since 5.6).
    pub virtualization: Fact<bool>,
    /// Kernel lockdown.
    pub lockdown: Fact<Lockdown>,
    /// What the reading process may lock.
    pub locked_memory: Fact<LockedMemory>,
    /// Effective user id of the reading process.
    pub user_id: Fact<u32>,
    /// Claims of firmware framebuffers (`BOOTFB`, `efifb`, `vesafb`, `simplefb`). Only root sees addresses in
    /// `/proc/iomem`.
    pub framebuffers: Fact<Vec<MemoryClaim>>,
    /// The processor.
    pub cpu: CpuFacts,
    /// Board and firmware.
    pub firmware: FirmwareFacts,
    /// Memory, huge pages, limits.
    pub memory: MemoryFacts,
    /// `/dev/vfio/vfio`, `/dev/iommu` and the groups' nodes, with who may open them.
    pub vfio_nodes: Fact<Vec<DeviceNode>>,
    /// Nodes of USB devices (`/dev/bus/usb/BBB/DDD`), with who may open them.
    pub usb_nodes: Fact<Vec<DeviceNode>>,
}
