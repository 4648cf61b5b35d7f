//! `reset-broken-amd`: AMD GPU reset bug: the guest leaves the GPU in a state that no reset clears.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "reset-broken-amd",
    definition: "AMD GPU reset bug: the guest leaves the GPU in a state that no reset clears.",
    kind: Kind::Fault,
    rule: Some("reset-broken-amd"),
    clues: &[
        primary("amd-completion-timeout", 1.2).with(&["amd-gpu"]),
        primary("vendor-reset", 1.1).unless(&["said-works", "said-harmless"]),
        primary("vendor-reset", 0.8).with(&["said-works"]),
        primary("vendor-reset-failed", 2.4),
        primary("vendor-reset", 2.2).with(&["said-fails"]),
        primary("vendor-reset", 2.2).with(&["said-gpu-second-boot"]),
        primary("vendor-reset", 2.2).with(&["told-amd-reset"]),
        primary("vendor-reset", 2.2).with(&["told-amd-restart"]),
        primary("reset-recovery", 1.2).with(&["amd-gpu"]).times(2),
        primary("header-127", 1.2).with(&["amd-gpu"]),
        primary("not-ready-bus", 2.5).with(&["amd-gpu"]),
        primary("vbios-ppgtt", 1.0).with(&["passthrough-named"]),
        primary("said-gpu-second-boot", 0.8).with(&["amd-gpu", "said-card"]),
        primary("stuck-d3", 0.8).with(&["amd-gpu"]),
        primary("pci-irq-assert", 1.0).with(&["amd-gpu"]),
        primary("pve-reset-try", 0.6).with(&["amd-gpu"]),
        primary("ats-timeout-amd", 0.8).with(&["amd-gpu"]),
        supporting("said-gpu-second-boot", 1.0),
        supporting("amd-gpu", 0.6),
        supporting("no-reset-mechanism", 0.4),
        supporting("pm-suspend", 0.3),
        // A reset bug is said of other cards as well, unless it is said which card has it.
        against("nvidia-gpu", 0.8).unless(&["told-amd-reset"]),
        against("nvidia-gpu", 2.0).unless(&["amd-gpu", "told-amd-reset"]),
        against("vendor-reset-done", 1.2).with(&["said-works"]),
        against("agesa", 1.6),
        against("d0-d3cold", 0.6),
        against("fell-off-bus", 1.5),
        against("said-works", 0.8).unless(&["works-until"]),
        against("bar-reserve", 1.5),
        against("rom-unreadable", 0.8),
        primary("code-43", 1.6).with(&["amd-gpu", "said-gpu-second-boot"]).unless(&["nvidia-gpu"]),
        primary("told-amd-reset", 2.0),
        primary("told-amd-restart", 2.0).unless(&["told-amd-reset"]),
        primary("ats-timeout-amd", 3.2).with(&["vendor-reset"]),
        primary("told-amd-reset", 3.0).with(&["header-127"]),
        primary("told-amd-restart", 3.0).with(&["header-127"]).unless(&["told-amd-reset"]),
    ],
    look_alikes: &[
        LookAlike { cause: "d3cold-power", tell: "then no guest ran before, or it is not an AMD GPU" },
        LookAlike { cause: "flr-broken", tell: "then the device has an FLR" },
        LookAlike {
            cause: "host-firmware-bug",
            tell: "then even the first start fails and another firmware cures it",
        },
        LookAlike {
            cause: "none-harmless",
            tell: "then a single `reset recovery` line follows a reboot of a working guest",
        },
    ],
    settle: &[
        "Does it work once after a cold boot of the host and fail from the second start on?",
        "Which GPU is it: Polaris, Vega and Navi are known for it",
    ],
    remedies: &[
        "Load the vendor-reset module for models it knows",
        "Let the guest eject or disable the GPU before it shuts down",
        "Suspend and resume the host, or reboot it, between guests",
    ],
    sources: &["github.com/gnif/vendor-reset; Linux drivers/pci/quirks.c: no_pm_reset for AMD GPUs"],
    explanation: "{device|The AMD GPU} does not come back from a reset after a guest has used it.",
};
