//! The messages that a diagnosis knows: one row per message, with the function that prints it.
//!
//! A row has one or more literal anchors (any of them makes the line a candidate) and, where the anchor alone is
//! not enough, a regular expression with named captures. The same message with another error number is another
//! row, so that a cause can name exactly what it means. Rows say what a message means by itself; which cause it
//! speaks for or against is written in the cause.
//!
//! Formats come from the kernel, QEMU, libvirt, Proxmox VE and Xen sources named in `by`; older wordings are
//! further anchors of the same row. Matching ignores ASCII case, since distributions and old releases differ in it.

mod assign;
mod context;
mod guest;
mod harmless;
mod host;
mod iommu;
mod libvirt;
mod monitors;
mod pci;
mod proxmox;
mod qemu;
mod qemu_map;
mod report;
pub(super) mod told;
mod told_bind;
mod told_functions;
mod told_host;
mod told_vm;
mod unrelated;
mod unrelated_guest;
mod vfio;
mod xen;

use std::collections::HashMap;
use std::sync::LazyLock;

/// One message of some program.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// Name by which causes refer to the row.
    pub id: &'static str,
    /// Literals; a line without any of them is never looked at.
    pub anchors: &'static [&'static str],
    /// Regular expression that the line must match as well; empty where an anchor is enough. `%D` stands for a PCI
    /// address captured as `device`, `%B` for one that is not captured.
    pub regex: &'static str,
    /// The program and function that prints it.
    pub by: &'static str,
    /// What the line says, as a sentence.
    pub means: &'static str,
    /// Groups of words, one of each of which must stand near the others; such a row has no anchor of its own.
    pub near: &'static [&'static [&'static str]],
}

/// A row of the catalogue.
const fn row(
    id: &'static str,
    anchors: &'static [&'static str],
    regex: &'static str,
    by: &'static str,
    means: &'static str,
) -> Pattern {
    Pattern { id, anchors, regex, by, means, near: &[] }
}

/// A row of words near each other, as people tell of a failure.
const fn told(id: &'static str, near: &'static [&'static [&'static str]], means: &'static str) -> Pattern {
    Pattern { id, anchors: &[], regex: "", by: "reports", means, near }
}

/// All rows that programs print, grouped by who prints them.
const GROUPS: &[&[Pattern]] = &[
    vfio::ROWS,
    assign::ROWS,
    qemu::ROWS,
    qemu_map::ROWS,
    monitors::ROWS,
    libvirt::ROWS,
    proxmox::ROWS,
    xen::ROWS,
    iommu::ROWS,
    pci::ROWS,
    host::ROWS,
    guest::ROWS,
    harmless::ROWS,
    unrelated::ROWS,
    unrelated_guest::ROWS,
];

/// How many of [`GROUPS`], from the first, hold messages about passed devices, whatever else is in the log.
const ABOUT_PASSTHROUGH: usize = 8;

/// Whether the row called `id` is a message about a passed device.
pub(super) fn is_about_passthrough(id: &str) -> bool {
    let end = GROUPS.iter().take(ABOUT_PASSTHROUGH).map(|group| group.len()).sum();
    !is_of_any_machine(id) && index_of(id).is_some_and(|index| index < end)
}

/// Words about the machine and what people say; the latter is only read in inputs short enough to be prose.
const PROSE: &[&[Pattern]] = &[
    context::ROWS,
    report::ROWS,
    told::ROWS,
    told_bind::ROWS,
    told_functions::ROWS,
    told_host::ROWS,
    told_vm::ROWS,
];

/// Whether the row at `index` of [`ALL`] is what people say, which no line that a program logged can be.
pub(super) fn is_said(index: usize) -> bool {
    let said: usize = PROSE.iter().skip(1).map(|rows| rows.len()).sum();
    index + said >= ALL.len()
}

/// Whether the row called `id` is what people tell without quoting a message: words near each other, or a sentence
/// about the whole machine.
pub(super) fn is_told(id: &str) -> bool {
    pattern(id).is_some_and(|pattern| !pattern.near.is_empty()) || id.starts_with("said-")
}

/// Windows' Device Manager logs nothing, and the module that works around the reset bug is named by whoever has read of it.
const RETOLD: &[&str] = &["code-43", "vendor-reset"];

/// Whether the row at `index` of [`ALL`] is what people say, or what they alone retell.
pub(super) fn is_retold(index: usize) -> bool {
    is_said(index) || ALL.get(index).is_some_and(|pattern| RETOLD.contains(&pattern.id))
}

/// Whether the row called `id` is people's words, whatever they tell.
pub(super) fn is_prose(id: &str) -> bool {
    is_told(id) || RETOLD.contains(&id) || report::ROWS.iter().any(|row| row.id == id)
}

/// Whether the row called `id` is a message that a machine without a single VM prints as well, about its own devices.
pub(super) fn is_of_any_machine(id: &str) -> bool {
    // A driver that refuses to run in a VM speaks of a VM; a GPU without room for its BARs is of no use to anybody.
    // So is a device that the IOMMU waits for in vain, and an IOMMU that is not where the table says.
    const NOT: &[&str] = &[
        "code-43",
        "assign-failed-large",
        "window-failed-large",
        "window-cannot-fit",
        "resize-failed",
        "cant-enable-unassigned",
        "ats-timeout-intel",
        "ats-timeout-amd",
        "dmar-bios-broken",
    ];
    !NOT.contains(&id) && is_of_machine(id)
}

/// Whether the row called `id` is about a machine's devices, passed or not.
pub(super) fn is_of_machine(id: &str) -> bool {
    const ROWS: &[&str] = &[
        "bootfb-iomem",
        "efifb-iomem",
        "pat-conflict",
        "ioremap-conflict",
        "xen-present",
        "dma-fault-intel",
        "dma-fault-intr",
        "dma-fault-amd",
        "amd-fault-interrupt",
        "amd-legacy-interrupts",
        "dma-fault-smmu",
        "ats-timeout-intel",
        "ats-timeout-amd",
        "amd-completion-timeout",
        "fault-status-ite",
        "iommu-oops",
        "libusb-denied",
        "module-key",
        "module-in-use",
        "gpu-module-in-use",
        "nvrm-usage",
        "dmar-bios-broken",
    ];
    let is_row = |rows: &&[Pattern]| rows.iter().any(|row| row.id == id);
    [pci::ROWS, guest::ROWS].iter().any(is_row) || ROWS.contains(&id)
}

/// Rows that say which card is in the machine.
pub(super) const CARDS: &[&str] = &["amd-gpu", "nvidia-gpu"];

/// Rows of lines that say of a driver of the host what is said of VFIO elsewhere.
pub(super) const OF_OWN_DRIVERS: &[&str] = &["power-own-driver", "aer-own-driver", "dma-fault-own-driver"];

/// Whether the row called `id` is a trouble that any machine may have beside its VMs.
pub(super) fn is_trouble_of_host(id: &str) -> bool {
    const ROWS: &[&str] = &[
        "un-network",
        "un-display",
        "un-fs",
        "un-nvme-host",
        "un-net-driver",
        "un-gpu-host",
        "un-usb-host",
        "un-thermal",
        "un-acpi",
        "un-soft-lockup",
        "un-panic",
        "un-systemd",
        "un-apparmor-other",
        "un-tpm",
        "un-apt",
        "un-xorg",
        "un-clock",
        "un-guest-net",
        "un-guest-app",
        "un-guest-agent",
        "un-grub",
        "un-program-panic",
        "irq-nobody",
        "flags-mismatch-other",
    ];
    ROWS.contains(&id)
}

/// Rows that show that the log is about a passthrough at all.
pub(super) const SUBJECT: &[&str] = &[
    "passthrough-named",
    "hostpci-option",
    "vfio-group-node",
    "said-iommu-off",
    "told-lockdown-pci",
    "groups-glob",
];

/// Row that shows that the machine is set up to pass devices, which says nothing about what the log complains of.
pub(super) const PREPARED: &str = "vfio-prepared";

/// Row that shows that the log is about a VM at least.
pub(super) const VM_NAMED: &str = "vm-named";

/// Row of a driver that has a device; it is seen only where vfio-pci was told to take that device (`super::held`).
pub(super) const HELD: &str = "listed-but-held";

/// Whether the row at `index` of [`ALL`] is [`PREPARED`].
pub(super) fn is_prepared(index: usize) -> bool {
    ALL.get(index).is_some_and(|pattern| pattern.id == PREPARED)
}

/// Whether the row at `index` of [`ALL`] is one of [`SUBJECT`].
pub(super) fn is_subject(index: usize) -> bool {
    ALL.get(index).is_some_and(|pattern| SUBJECT.contains(&pattern.id))
}

/// Every row.
pub(super) static ALL: LazyLock<Vec<&'static Pattern>> =
    LazyLock::new(|| GROUPS.iter().chain(PROSE).copied().flatten().collect());

static BY_ID: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| ALL.iter().enumerate().map(|(index, pattern)| (pattern.id, index)).collect());

/// Position in [`ALL`] of the row called `id`.
pub(super) fn index_of(id: &str) -> Option<usize> {
    BY_ID.get(id).copied()
}

/// The row called `id`.
pub fn pattern(id: &str) -> Option<&'static Pattern> {
    index_of(id).and_then(|index| ALL.get(index).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scan;
    use std::collections::HashSet;

    #[test]
    fn row_ids_are_unique_and_every_row_is_documented() {
        let mut seen = HashSet::new();
        for pattern in ALL.iter() {
            assert!(seen.insert(pattern.id), "two rows are called {}", pattern.id);
            assert!(!pattern.by.is_empty() && !pattern.means.is_empty(), "{} lacks by or means", pattern.id);
            assert!(!pattern.anchors.is_empty() || pattern.near.len() > 1, "{} has no anchor", pattern.id);
            assert!(pattern.near.len() <= 8, "{} has too many groups", pattern.id);
        }
    }

    #[test]
    fn every_regular_expression_compiles() {
        for pattern in ALL.iter() {
            assert!(scan::compile(pattern).is_ok(), "{}: {}", pattern.id, pattern.regex);
        }
    }
}
