//! `intx-shared`: the legacy interrupt line (INTx) is shared with another device and cannot be claimed exclusively.

use crate::diagnose::cause::{Cause, Kind, LookAlike, against, primary};

/// See the module's introduction.
pub(super) const CAUSE: Cause = Cause {
    id: "intx-shared",
    definition: "The legacy interrupt line (INTx) is shared with another device and cannot be claimed exclusively.",
    kind: Kind::Fault,
    rule: Some("intx-shared"),
    clues: &[
        primary("assign-irq", 3.8),
        primary("assign-irq-mismatch", 4.4),
        primary("flags-mismatch-vfio", 5.0),
        primary("intx-busy", 4.6),
        primary("irq-disabled", 2.0).with(&["vfio-intx-user"]),
        primary("irq-nobody", 2.6).with(&["nobody-handler-vfio"]),
        primary("irq-nobody", 1.4).with(&["passthrough-named"]).unless(&["nobody-handler-own"]),
        primary("xen-irq-share", 3.8),
        primary("xen-pciback-isr", 3.6),
        primary("mlx-intx-masking", 1.2),
        against("said-works", 0.5),
        primary("told-intx", 1.5),
    ],
    look_alikes: &[
        LookAlike { cause: "device-in-use", tell: "then `/dev/vfio/N` is busy, not the interrupt" },
        LookAlike {
            cause: "none-unrelated",
            tell: "then neither name in `Flags mismatch` is `vfio-intx(…)`",
        },
        LookAlike {
            cause: "host-firmware-bug",
            tell: "then the error is `No such device`: no line is routed",
        },
    ],
    settle: &[
        "Who shares the line: `grep -w IRQ /proc/interrupts`",
        "Does the device mask INTx: bit 10 of its command register, `setpci -s DEVICE COMMAND`",
    ],
    remedies: &[
        "Unbind the other driver of the line, or make it use MSI",
        "Move the card to another slot: the slot number rotates the line",
        "Do not set `nointxmask`, it forces an exclusive line",
    ],
    sources: &[
        "Linux drivers/vfio/pci/vfio_pci_intrs.c: vfio_intx_enable; kernel/irq/manage.c: __setup_irq; kernel/irq/spurious.c",
        "QEMU hw/vfio/pci.c: vfio_intx_enable",
        "Xen xen/arch/x86/irq.c: pirq_guest_bind",
    ],
    explanation: "{device|The device} cannot mask its legacy interrupt, so VFIO needs {irq:interrupt #|its interrupt line} for itself; {other|another device} already uses that line.",
};
