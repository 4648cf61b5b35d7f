//! Rows of `/proc/interrupts`.

/// What delivers an interrupt, from the chip column of `/proc/interrupts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptController {
    /// An I/O APIC pin (`IO-APIC 23-fasteoi`): a wire that may be shared. The number is the pin of its I/O APIC.
    IoApic {
        /// Pin of that I/O APIC, from 0.
        pin: u32,
    },
    /// A message (`PCI-MSI`, `PCI-MSIX`, `DMAR-MSI` …): never shared.
    Message,
    /// Anything else: XT-PIC, GIC, Xen event channels, per-CPU interrupts.
    Other,
}

/// One interrupt of the host that has a number, with the handlers registered on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterruptLine {
    /// Linux interrupt number.
    pub irq: u32,
    /// The chip column as printed, for example `IR-IO-APIC`.
    pub chip: String,
    /// The chip, understood.
    pub controller: InterruptController,
    /// Whether the chip goes through interrupt remapping (`IR-` prefix: `arch/x86/kernel/apic/io_apic.c`,
    /// `drivers/iommu/*/`).
    pub remapped: bool,
    /// Names of registered handlers, in the order in which they were registered. Empty: nobody uses the line now.
    pub handlers: Vec<String>,
    /// Interrupts counted so far, over all CPUs.
    pub count: u64,
}

impl InterruptLine {
    /// Whether this is a wire, which several devices may share.
    #[must_use]
    pub const fn is_wire(&self) -> bool {
        !matches!(self.controller, InterruptController::Message)
    }
}
