//! `host-mmio-window`: the window of the host bridge is too small for a (resizable) BAR.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary, supporting};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "host-mmio-window",
    definition: "The window of the host bridge is too small for a (resizable) BAR.",
    kind: Kind::Fault,
    rule: Some("host-mmio-window"),
    clues: &[
        primary("assign-failed", 1.5)
            .unless(&["guest-hypervisor", "vf-bar-failed"])
            .cured_by(&["bar-assigned"]),
        primary("cant-enable-unassigned", 2.2).unless(&["guest-hypervisor"]),
        primary("claim-failed", 0.3).cured_by(&["bar-assigned"]),
        primary("assign-failed-large", 3.0)
            .unless(&["guest-hypervisor", "vf-bar-failed"])
            .cured_by(&["bar-assigned"]),
        primary("window-failed", 0.7)
            .unless(&["guest-hypervisor", "vf-bar-failed"])
            .cured_by(&["bar-assigned"]),
        // Docks and empty ports ask for windows that nobody needs.
        primary("window-failed-large", 1.8)
            .with(&["passthrough-named"])
            .unless(&["guest-hypervisor"])
            .cured_by(&["bar-assigned"]),
        primary("window-failed-large", 3.0).with(&["window-released"]).unless(&["guest-hypervisor"]),
        primary("window-failed-large", 3.0)
            .with(&["rebar"])
            .unless(&["guest-hypervisor"])
            .cured_by(&["bar-assigned"]),
        primary("window-cannot-fit", 1.4).unless(&["guest-hypervisor"]),
        primary("window-cannot-fit", 3.2).with(&["bar-resize-tried"]).unless(&["guest-hypervisor"]),
        primary("resize-failed", 3.0).with(&["bar-resize-tried"]).unless(&["guest-hypervisor"]),
        against("assign-failed-io", 1.6).unless(&["cant-enable-unassigned", "assign-failed-large"]),
        primary("nvrm-bar", 3.0).unless(&["guest-hypervisor", "hostpci-option", "vm-named"]),
        primary("nvrm-bar", 1.4).with(&["vm-named"]).unless(&["guest-hypervisor"]),
        primary("resize-failed", 1.8),
        primary("bar-above-4g", 1.5),
        primary("get-device-einval", 1.2),
        // A device that Windows sees has BARs on the host; it is the guest that has no room.
        against("code-12", 1.6).with(&["passthrough-named"]),
        supporting("realloc-hint", 0.4),
        supporting("above-4g", 1.0),
        supporting("rebar", 0.8),
        supporting("said-fails", 0.4),
        against("sriov-no-mmio", 2.5),
        against("vf-bar-failed", 1.5),
        against("hotplug-no-bus", 1.5),
        against("hotplug-said", 1.2),
        against("pciehp-add", 1.0),
        against("said-works", 1.5),
        against("fell-off-bus", 1.0),
        primary("told-host-window", 1.2),
    ],
    look_alikes: &[
        LookAlike { cause: "guest-mmio-window", tell: "then the lines come from the guest's kernel" },
        LookAlike { cause: "sriov-mmio", tell: "then the BARs are those of virtual functions" },
        LookAlike {
            cause: "bar-held-by-framebuffer",
            tell: "then the BAR has an address that somebody else owns",
        },
        LookAlike { cause: "none-harmless", tell: "then a later line says that the same BAR was assigned" },
    ],
    settle: &[
        "`lspci -vv -s DEVICE`: does a region say `<unassigned>` or `[virtual]`?",
        "What windows are there: `dmesg | grep 'root bus resource'`",
    ],
    remedies: &[
        "Switch `Above 4G decoding` on in the firmware setup",
        "Boot with `pci=realloc`",
        "Switch Resizable BAR off, or set a smaller size in `resourceN_resize`",
        "As a last resort `pci=nocrs`",
    ],
    sources: &["Linux drivers/pci/setup-res.c: pci_assign_resource, pci_enable_resources; setup-bus.c"],
    explanation: "The host found no address space for {bar:BAR #|a BAR} of {device|the device}, so it cannot be enabled.",
};
