//! `hugepage-pin`: guest memory in huge pages (from CMA) cannot be pinned for DMA.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "hugepage-pin",
    definition: "Guest memory in huge pages (from CMA) cannot be pinned for DMA.",
    kind: Kind::Fault,
    rule: Some("hugepage-pin"),
    clues: &[
        primary("hugepage-cma", 2.6),
        primary("map-efault", 2.0).unless(&["ioas-map-bar"]),
        primary("mon-map-efault", 2.0),
        primary("map-ebusy", 1.6),
        primary("pin-failed", 1.0).unless(&["memlock-kernel", "ioas-map-bar"]),
        against("memlock-kernel", 2.0),
        against("told-migration", 1.5),
        primary("told-hugepage", 1.8),
    ],
    look_alikes: &[
        LookAlike { cause: "memlock", tell: "then the kernel names RLIMIT_MEMLOCK" },
        LookAlike { cause: "ioas-map-failed", tell: "then iommufd, not type1, refuses the mapping" },
    ],
    settle: &[
        "Where do the huge pages come from: `hugetlb_cma=` on the command line?",
        "`grep -i huge /proc/meminfo`",
    ],
    remedies: &[
        "Reserve huge pages at boot (`hugepages=`) rather than from CMA",
        "Boot without `hugetlb_cma=`",
        "Use ordinary memory for this guest",
    ],
    sources: &["Linux mm/gup.c: FOLL_LONGTERM; drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote"],
    explanation: "The huge pages behind the guest's memory cannot be pinned for DMA, so mapping them for {device|the device} fails.",
};
