//! `nvidia-code-43`: the guest's NVIDIA driver refuses to run under a hypervisor (Code 43).

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "nvidia-code-43",
    definition: "The guest's NVIDIA driver refuses to run under a hypervisor (Code 43).",
    kind: Kind::Fault,
    rule: Some("nvidia-kvm-hidden"),
    clues: &[
        primary("code-43", 1.6),
        primary("code-43", 3.0).with(&["kvm-hidden"]),
        supporting("nvidia-gpu", 1.8),
        supporting("kvm-hidden", 0.8),
        // A card of AMD's beside one of NVIDIA's is the host's.
        against("amd-gpu", 1.6).unless(&["nvidia-gpu"]),
        against("intel-gpu", 2.4).unless(&["nvidia-gpu"]),
        against("code-43-other", 2.0).unless(&["nvidia-gpu"]),
        against("code-43-intel", 2.4),
        against("rom-unreadable", 1.0),
        against("bar-reserve", 2.0),
        against("rom-signature", 0.8),
        against("header-127", 1.5),
        against("vendor-reset", 1.0),
        against("told-amd-reset", 1.6),
        against("dma-fault-intel", 0.8),
        against("said-works", 0.2),
        against("code-43-gone", 3.0),
        // Where QEMU did not even start, no driver of the guest refuses anything.
        against("un-vm-ram", 2.0),
        against("un-image-open", 2.0),
        against("un-kvm-perm", 2.0),
        against("un-usage", 1.6),
    ],
    look_alikes: &[
        LookAlike {
            cause: "rom-invalid",
            tell: "then the ROM of the card cannot be read, or a ROM file cures it",
        },
        LookAlike {
            cause: "bar-held-by-framebuffer",
            tell: "then the host's log says `can't reserve` for a BAR",
        },
        LookAlike { cause: "reset-broken-amd", tell: "then the card is an AMD one" },
    ],
    settle: &[
        "Which NVIDIA driver version: from 465 on, GeForce cards are allowed in guests",
        "Is the hypervisor hidden (`<kvm><hidden state='on'/>`, `vendor_id`)?",
    ],
    remedies: &[
        "Update the guest's driver to 465 or later",
        "Hide the hypervisor: `<kvm><hidden state='on'/></kvm>` and a `<vendor_id>`, or `-cpu host,kvm=off,hv_vendor_id=…`",
        "Give the card a clean ROM file; on laptops add a fake battery table",
    ],
    sources: &["NVIDIA 465 release notes; libvirt domain XML: hidden, vendor_id"],
    explanation: "The NVIDIA driver in the guest stopped {device|the GPU} with Code 43, as it does when it notices a hypervisor.",
};
