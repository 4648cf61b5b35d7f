//! A bare kernel log (`dmesg`, syslog, journal, console capture) into [`Facts`].
//!
//! What a log says is what the kernel printed until the log ends: functions as they were found, BARs as they were last
//! assigned, drivers as they were last named. Where a log holds several boots, the last one counts. The wording is that of
//! Linux 2.6.30 to 7.0; the modules below cite the function that prints each line.

mod framebuffer;
mod iommu;
mod pci;
mod platform;
mod reserved;

use super::line::{malformed, message, numbered};
use super::{Fact, Facts, FaultKind, Origin, ReadFault, SourceKind};

/// What a fault names as its place where the whole log is silent.
const LOG: &str = "kernel log";

/// Reads a log; `name` is what the user calls it.
#[must_use]
pub fn from_log(text: &str, name: &str) -> Facts {
    let mut reader = Reader::new(name);
    for (number, line) in numbered(text).skip(last_boot(text) - 1) {
        reader.line(number, message(line));
    }
    reader.finish()
}

/// The number of the line where the last boot begins, from 1: that of Linux, or of Xen if that started it. Where the log of Xen
/// comes last (`dmesg; xl dmesg`), it belongs to the Linux before it.
fn last_boot(text: &str) -> usize {
    let (mut start, mut hypervisor) = (1, None);
    for (number, line) in numbered(text).filter(|(_, line)| line.contains(" version ")) {
        let message = message(line);
        // `init/version.c: linux_banner`, the first thing that a kernel prints.
        if message.starts_with("Linux version ") {
            start = hypervisor.take().unwrap_or(number);
        // `xen/drivers/char/console.c: console_init_preirq`. With Xen's time stamp, its name is taken off.
        } else if message.strip_prefix("(XEN) ").unwrap_or(message).starts_with("Xen version ") {
            hypervisor = Some(number);
        }
    }
    start
}

#[derive(Debug)]
struct Reader {
    facts: Facts,
    iommu: iommu::State,
    pci: pci::State,
}

impl Reader {
    fn new(name: &str) -> Self {
        let origin = Origin::Saved { kind: SourceKind::Log, name: name.to_owned() };
        let facts = Facts::untold(origin, LOG);
        Self { facts, iommu: iommu::State::default(), pci: pci::State::default() }
    }

    fn line(&mut self, number: usize, message: &str) {
        if let Some(release) = message.strip_prefix("Linux version ") {
            let release = release.split_ascii_whitespace().next();
            self.facts.kernel.release = release.map(str::to_owned).map_or_else(untold, Fact::Known);
        }
        // The architecture's line comes first and may be cut; `init/main.c` prints the whole one.
        for head in ["Command line: ", "Kernel command line: "] {
            if let Some(line) = message.strip_prefix(head) {
                self.facts.kernel.command_line = Fact::Known(line.trim_end().to_owned());
            }
        }
        let expected =
            self.pci.line(&mut self.facts, message).or_else(|| self.iommu.line(&mut self.facts, message));
        if let Some(expected) = expected {
            malformed(&mut self.facts, number, expected);
        }
        framebuffer::line(&mut self.facts, message);
        platform::line(&mut self.facts, message);
    }

    fn finish(mut self) -> Facts {
        self.iommu.finish(&mut self.facts);
        self.pci.finish(&mut self.facts);
        self.facts
    }
}

/// What a log does not tell.
fn untold<T>() -> Fact<T> {
    Fact::Unreadable(ReadFault::new(LOG, FaultKind::NotInSource))
}
