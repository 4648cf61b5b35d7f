//! `memlock`: RLIMIT_MEMLOCK is too low for the guest's memory, or may not be raised.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "memlock",
    definition: "RLIMIT_MEMLOCK is too low for the guest's memory, or may not be raised.",
    kind: Kind::Fault,
    rule: Some("memlock"),
    clues: &[
        primary("memlock-kernel", 4.6),
        primary("memlock-set", 3.0),
        // Whoever uses io_uring or BPF meets the limit as well.
        primary("memlock-said", 1.8).with(&["passthrough-named"]).unless(&["memlock-other"]),
        primary("map-enomem", 3.0),
        primary("told-memlock", 1.7).unless(&["memlock-other"]),
        against("hugepage-cma", 1.5),
        against("un-vm-ram", 0.6),
        primary("mon-map-enomem", 2.6),
    ],
    look_alikes: &[
        LookAlike { cause: "dma-entry-limit", tell: "then the error is `No space left on device` (-28)" },
        LookAlike {
            cause: "none-unrelated",
            tell: "then QEMU cannot allocate memory at all, before any device is mapped",
        },
        LookAlike { cause: "iova-reserved", tell: "then the error is `Invalid argument` (-22)" },
    ],
    settle: &[
        "`grep -i locked /proc/QEMU-PID/limits`",
        "Is `RLIMIT_MEMLOCK (…) exceeded` in the kernel log?",
    ],
    remedies: &[
        "Raise the limit: `ulimit -l`, `LimitMEMLOCK=` of the service, `<memtune><hard_limit>` in libvirt",
        "Give the guest less memory, or leave its virtual IOMMU out (it counts memory twice)",
        "Grant CAP_IPC_LOCK",
    ],
    sources: &[
        "Linux drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote",
        "libvirt src/util/virprocess.c: virProcessSetMaxMemLock",
    ],
    explanation: "All of the guest's memory must be locked for {device|the device}, and the limit of the QEMU process ({limit:# bytes|RLIMIT_MEMLOCK}) does not allow that.",
};
