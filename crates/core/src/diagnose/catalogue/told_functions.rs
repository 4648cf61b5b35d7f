//! What people tell of a failure, continued from [`super::told`]: virtual functions and mediated devices that are not there, or not
//! any more.

use super::{Pattern, told};

/// A virtual function; words match from their beginning, and VFIO is none.
const VF: &str = "vf ";

pub(super) const ROWS: &[Pattern] = &[
    told(
        "told-mdev",
        &[
            &["mdev", "mdevctl", "vgpu", "gvt-g", "mediated device"],
            &[
                "no types",
                "not create",
                "does not exist",
                "doesn't exist",
                "not found",
                "disappear",
                "after reboot",
                "after a reboot",
                "wasn't passed",
                "wasnt passed",
                "not available",
                "not autostart",
                "gone",
                "there is no mdev",
                "there is not the mdev",
                "no mdev_supported",
                "without mdev_supported",
            ],
        ],
        "a mediated device is said to be missing",
    ),
    told(
        "told-mdev-types",
        &[
            &[
                "mdevctl types",
                "mdev_supported_types",
                "mdev types",
                "mdev profiles",
                "vgpu types",
                "vgpu profiles",
            ],
            &[
                "nothing",
                "empty",
                "no output",
                "not there",
                "missing",
                "not show",
                "doesn't show",
                "no such file",
                "are no",
                "any types",
            ],
        ],
        "the card offers no kinds of mediated devices",
    ),
    told(
        "told-no-vf",
        &[
            &[VF, "vf,", "vfs", "virtual function", "sriov", "sr-iov"],
            &[
                "not created",
                "not enable sr",
                "n't enable sr",
                "to configure sriov",
                "no vfs",
                "not enabled",
                "write error",
                "0 vfs",
                "cannot create v",
                "can't create v",
                "failed to create v",
                "unable to create v",
                "numvfs is 0",
                "not persist",
                "gone after",
                "disappear after",
            ],
        ],
        "virtual functions are said not to exist",
    ),
    told(
        "told-pf",
        &[
            &["pf ", "pf,", "pf's", "physical function", "reload", "driver is reloaded"],
            &[VF, "vf,", "vfs", "virtual function"],
            &[
                "vanish",
                "disappear",
                "lost",
                "gone",
                "removed",
                "removing",
                "destroy",
                "no longer exist",
                "unbinds the",
                "torn down",
                "hang",
            ],
        ],
        "virtual functions are lost with their physical function",
    ),
    told(
        "told-added-and-gone",
        &[
            &["vm", "guest", "passthrough"],
            &["device", "nic", "gpu"],
            &["doesn't exist", "does not exist", "no longer exist", "not there", "cannot be found", "vanish"],
            &[
                "new card",
                "new pci",
                "add the new",
                "added a",
                "adding a",
                "installed a",
                "second card",
                "another card",
            ],
        ],
        "a device is said to be gone after another card was added",
    ),
    told(
        "told-vf-vanish",
        &[
            &[VF, "vf,", "vfs", "virtual function"],
            &["get disabled", "got disabled", "disappear", "vanish", "are gone", "are lost", "get removed"],
            &["passing", "passed", "starting vm", "starting the vm", "start the vm", "vm start", "guest"],
        ],
        "virtual functions are said to go away when a guest starts",
    ),
];
