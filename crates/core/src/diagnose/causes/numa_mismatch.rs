//! `numa-mismatch`: the guest's memory or processors are on another NUMA node than the device.

use crate::diagnose::cause::{Cause, Kind, LookAlike, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "numa-mismatch",
    definition: "The guest's memory or processors are on another NUMA node than the device.",
    kind: Kind::Fault,
    rule: Some("numa-mismatch"),
    clues: &[
        primary("numa-mismatch-said", 1.6),
        primary("numa-mismatch-said", 1.8).with(&["passthrough-named"]),
        primary("told-numa", 1.6),
        supporting("emulated-numa", 0.4),
    ],
    look_alikes: &[LookAlike {
        cause: "none-unrelated",
        tell: "then memory runs out on a node without any device being involved",
    }],
    settle: &["`cat /sys/bus/pci/devices/DEVICE/numa_node` against the guest's `<numatune>` and pinning"],
    remedies: &[
        "Pin the guest's processors and memory to the device's node",
        "Move the card to a slot of the other processor",
    ],
    sources: &["Linux Documentation/ABI/testing/sysfs-bus-pci: numa_node; Kubernetes topology manager"],
    explanation: "The guest runs on another NUMA node than {device|the device}.",
};
