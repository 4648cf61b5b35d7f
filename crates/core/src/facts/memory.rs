//! Memory that a host can give to guests: how much there is, huge pages, and who may lock how much.

use std::collections::BTreeMap;

use super::{CpuList, Fact};

/// Huge pages of one size, of one NUMA node or of the host (`mm/hugetlb_sysfs.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HugePages {
    /// Size of one page in bytes.
    pub page_bytes: u64,
    /// The node; none for the whole host.
    pub node: Option<u32>,
    /// Pages in the pool (`nr_hugepages`).
    pub total: Fact<u64>,
    /// Pages of the pool that nobody has (`free_hugepages`).
    pub free: Fact<u64>,
    /// Free pages that are promised to somebody (`resv_hugepages`); told for the whole host only.
    pub reserved: Fact<u64>,
}

/// One NUMA node (`drivers/base/node.c: node_read_meminfo`, `cpulist_read`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMemory {
    /// Bytes that the node has.
    pub total_bytes: u64,
    /// Bytes that are free, without what could be made so.
    pub free_bytes: u64,
    /// Its processors that are online (`cpulist`); none of a node of memory alone.
    pub processors: Fact<CpuList>,
}

/// A configured limit of locked memory, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemlockSetting {
    /// The file.
    pub place: String,
    /// For whom: `domain type` of `limits.conf(5)`, or the setting's name of `systemd.exec(5)`.
    pub scope: String,
    /// The value as written: KiB in `limits.conf`, bytes with suffixes in systemd; `unlimited` or `infinity`.
    pub value: String,
}

/// What the host says of its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFacts {
    /// Bytes that the kernel has (`MemTotal`).
    pub total_bytes: Fact<u64>,
    /// Bytes that could be had without swapping (`MemAvailable`).
    pub available_bytes: Fact<u64>,
    /// Memory by NUMA node.
    pub nodes: Fact<BTreeMap<u32, NodeMemory>>,
    /// Pools of huge pages, those of the whole host first.
    pub huge_pages: Fact<Vec<HugePages>>,
    /// Configured limits of locked memory, in the order in which they are read. A limit that no file sets is the
    /// kernel's or systemd's own.
    pub memlock: Fact<Vec<MemlockSetting>>,
}
