//! `/proc/interrupts`: who listens on which line, and whether interrupts go through remapping.
//!
//! Columns as `kernel/irq/proc.c: show_interrupts` prints them: number, one count for each online CPU, the chip,
//! the chip's own number of the interrupt (where it has an interrupt domain: Linux 3.19 and later on x86), `Edge` or
//! `Level` on some architectures, `-` and the name of the flow handler, then the names of the registered handlers.

use slotwise_core::facts::{Fact, InterruptController, InterruptLine, ReadFault};

use super::{TEXT_BYTES, fact, malformed, shared_out, text};
use crate::kernel::ReadHost;

const PATH: &str = "/proc/interrupts";

/// The most rows that are read. Linux numbers interrupts up to `NR_IRQS`, some tens of thousands on large hosts.
const MOST_ROWS: usize = 1 << 18;

/// Rows that have a number; rows of per-CPU interrupts (`NMI:`, `LOC:`) have none and are left out.
pub(super) fn interrupts(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<InterruptLine>> {
    fact(text(host, PATH, TEXT_BYTES)).map(|text| parse(&text, faults))
}

fn parse(text: &str, faults: &mut Vec<ReadFault>) -> Vec<InterruptLine> {
    let mut lines = text.lines();
    let cpus = lines.next().map_or(0, |header| header.split_ascii_whitespace().count());
    let lines: Vec<&str> = lines.take(MOST_ROWS).collect();
    let told = shared_out(&lines, |_, line| {
        let (number, rest) = line.split_once(':')?;
        let irq = number.trim_ascii().parse().ok()?;
        Some(row(irq, rest, cpus).ok_or(irq))
    });
    let mut rows = Vec::with_capacity(told.iter().flatten().count());
    for row in told.into_iter().flatten() {
        match row {
            Ok(row) => rows.push(row),
            Err(irq) => faults.push(malformed(
                PATH,
                &format!("row of interrupt {irq}: expected {cpus} counts and the name of a chip"),
            )),
        }
    }
    rows
}

fn row(irq: u32, rest: &str, cpus: usize) -> Option<InterruptLine> {
    let mut rest = rest;
    let mut count = 0u64;
    for _ in 0..cpus {
        count = count.saturating_add(take_word(&mut rest)?.parse().ok()?);
    }
    let word = take_word(&mut rest)?;
    let (chip, mut flow) = split_flow(word);
    let hardware = peek_hardware_number(rest);
    if let Some((_, hardware_flow)) = hardware {
        take_word(&mut rest);
        flow = flow.or(hardware_flow);
    }
    if matches!(peek_word(rest), "Edge" | "Level") {
        take_word(&mut rest);
    }
    if let Some(name) = peek_word(rest).strip_prefix('-').filter(|name| !name.is_empty()) {
        take_word(&mut rest);
        flow = Some(name);
    }
    let names = rest.split(", ").map(str::trim).filter(|name| !name.is_empty());
    // Most lines have one: room for more than there are is what a large host's table would be made of.
    let mut handlers = Vec::with_capacity(names.clone().count());
    handlers.extend(names.map(str::to_owned));
    Some(InterruptLine {
        irq,
        chip: chip.to_owned(),
        controller: controller(chip, flow, hardware.map_or(irq, |(number, _)| number)),
        remapped: chip.starts_with("IR-"),
        handlers,
        count,
    })
}

fn peek_word(rest: &str) -> &str {
    rest.split_ascii_whitespace().next().unwrap_or_default()
}

fn take_word<'t>(rest: &mut &'t str) -> Option<&'t str> {
    let trimmed = rest.trim_ascii_start();
    let end = trimmed.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(trimmed.len());
    let (word, after) = trimmed.split_at_checked(end)?;
    *rest = after;
    (!word.is_empty()).then_some(word)
}

/// Kernels without interrupt domains print the flow handler right behind the chip: `IO-APIC-fasteoi`.
fn split_flow(word: &str) -> (&str, Option<&str>) {
    for flow in ["fasteoi", "edge", "level"] {
        if let Some(chip) = word.strip_suffix(flow).and_then(|head| head.strip_suffix('-')) {
            return (chip, Some(flow));
        }
    }
    (word, None)
}

/// The chip's own number of an interrupt, alone or with the flow handler: `23`, `23-fasteoi`.
fn peek_hardware_number(rest: &str) -> Option<(u32, Option<&str>)> {
    let word = peek_word(rest);
    let (number, flow) = word.split_once('-').map_or((word, None), |(number, flow)| (number, Some(flow)));
    // MSI domains number beyond 32 bits on some architectures; that number is used for I/O APIC pins only.
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| (number.parse().unwrap_or(u32::MAX), flow))
}

fn controller(chip: &str, flow: Option<&str>, pin: u32) -> InterruptController {
    let bare = chip.strip_prefix("IR-").unwrap_or(chip);
    // Names that hold it: PCI-MSI, PCI-MSIX-0000:01:00.0, DMAR-MSI, HPET-MSI, ITS-PCI-MSI. Xen tells by the flow name
    // (`arch/x86/pci/xen.c`: "msi", "msi-x").
    if bare.contains("MSI") || flow.is_some_and(|flow| flow.starts_with("msi")) {
        InterruptController::Message
    } else if bare == "IO-APIC" {
        InterruptController::IoApic { pin }
    } else {
        InterruptController::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<InterruptLine> {
        let mut faults = Vec::new();
        let rows = parse(text, &mut faults);
        assert_eq!(faults, []);
        rows
    }

    #[test]
    fn shared_wire_keeps_its_handlers_in_order() {
        let rows = rows(
            "           CPU0       CPU1       \n  16:         29          1  IR-IO-APIC   16-fasteoi   ehci_hcd:usb1, HDA Intel, aic7xxx\n NMI:          0          0   Non-maskable interrupts\n",
        );
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.irq, row.count, row.remapped), (16, 30, true));
        assert_eq!(row.handlers, ["ehci_hcd:usb1", "HDA Intel", "aic7xxx"]);
        assert_eq!(row.controller, InterruptController::IoApic { pin: 16 });
    }

    #[test]
    fn messages_are_told_from_wires() {
        let rows = rows(
            "       CPU0\n 24:  0  DMAR-MSI   0-edge      dmar0\n 27:  5  IR-PCI-MSI 524288-edge      nvme0q0\n 28:  1 PCI-MSIX-0000:00:01.0   0-edge      virtio0-config\n",
        );
        assert!(rows.iter().all(|row| !row.is_wire()), "{rows:?}");
        assert_eq!(rows.iter().map(|row| row.remapped).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(rows.last().map(|row| row.handlers.clone()), Some(vec!["virtio0-config".to_owned()]));
    }

    #[test]
    fn rows_without_domain_number_are_read() {
        let rows = rows(
            "  CPU0\n 0: 128 IO-APIC-edge  timer\n 20: 0 IO-APIC-fasteoi  \n 2: 0 XT-PIC-XT-PIC cascade\n 7: 1 XT-PIC      parport0\n 16: 9 xen-pirq-ioapic-level  uhci_hcd:usb3\n 55: 3 xen-pirq    -msi       eth0\n",
        );
        let seen: Vec<_> =
            rows.iter().map(|row| (row.irq, row.chip.as_str(), row.is_wire(), row.handlers.len())).collect();
        assert_eq!(
            seen,
            [
                (0, "IO-APIC", true, 1),
                (20, "IO-APIC", true, 0),
                (2, "XT-PIC-XT-PIC", true, 1),
                (7, "XT-PIC", true, 1),
                (16, "xen-pirq-ioapic", true, 1),
                (55, "xen-pirq", false, 1),
            ]
        );
    }

    #[test]
    fn level_column_of_other_architectures_is_no_handler() {
        let rows = rows(
            "  CPU0\n 11: 4242     GICv3  30 Level     arch_timer\n 45: 0 ITS-MSI 524288 Edge      PCIe PME, aerdrv\n",
        );
        assert_eq!(rows.first().map(|row| row.handlers.clone()), Some(vec!["arch_timer".to_owned()]));
        assert_eq!(rows.last().map(|row| row.handlers.len()), Some(2));
    }

    #[test]
    fn damaged_rows_are_told() {
        let mut faults = Vec::new();
        assert!(parse("  CPU0 CPU1\n 16: 1 x\n 17:\n", &mut faults).is_empty());
        assert_eq!(faults.len(), 2);
    }
}
