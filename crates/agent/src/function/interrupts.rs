//! How often the handlers of a function were called: its lines of `/proc/interrupts`.

use std::collections::BTreeSet;
use std::fs;

use slotwise_testbench::wire::InterruptKind;

use super::{Brought, Done, Function};

impl Function {
    /// The wire's number is in `irq` while the function has no message-signalled vectors; those are listed in `msi_irqs`.
    pub(super) fn interrupts(&self, kind: InterruptKind) -> Done {
        let text = fs::read_to_string("/proc/interrupts")
            .map_err(|error| format!("cannot read /proc/interrupts: {error}"))?;
        let messages = self.message_vectors();
        let numbers = match kind {
            InterruptKind::Message => messages,
            InterruptKind::Intx if !messages.is_empty() => BTreeSet::new(),
            InterruptKind::Intx => {
                let irq = fs::read_to_string(self.directory.join("irq")).unwrap_or_default();
                irq.trim().parse().ok().filter(|irq| *irq != 0).into_iter().collect()
            }
        };
        Ok(Brought::count(count(&text, &numbers)))
    }

    pub(super) fn vectors(&self) -> Done {
        Ok(Brought::count(u64::try_from(self.message_vectors().len()).unwrap_or(u64::MAX)))
    }

    fn message_vectors(&self) -> BTreeSet<u32> {
        let entries = fs::read_dir(self.directory.join("msi_irqs")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }
}

/// The sum over all processors of the lines with these numbers. The first line has a name for each processor.
fn count(text: &str, numbers: &BTreeSet<u32>) -> u64 {
    let processors = text.lines().next().unwrap_or_default().split_whitespace().count();
    let own = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        numbers.contains(&number.trim().parse().ok()?).then(|| {
            let counts = rest.split_whitespace().take(processors);
            counts.map_while(|count| count.parse::<u64>().ok()).fold(0, u64::saturating_add)
        })
    };
    text.lines().filter_map(own).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_processors_and_all_lines_of_a_function_are_counted() {
        let text = "           CPU0       CPU1\n  9:          0          3   IO-APIC   9-fasteoi   acpi\n \
                    24:         10          5   PCI-MSI 65536-edge      nvme0q0\n 25:          1          0   \
                    PCI-MSI 65537-edge      nvme0q1\nNMI:          7          7   Non-maskable interrupts\n";
        assert_eq!(count(text, &BTreeSet::from([24, 25])), 16);
        assert_eq!(count(text, &BTreeSet::from([9])), 3);
        assert_eq!(count(text, &BTreeSet::new()), 0);
        assert_eq!(count("garbage", &BTreeSet::from([1])), 0);
    }
}
