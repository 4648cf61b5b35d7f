//! The kernel's log from a moment on: what it said while something was tried.
//!
//! Source: `Documentation/ABI/testing/dev-kmsg`: one record a read, `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`; lines
//! that begin with a space are a record's properties.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

/// The longest record that the kernel gives (`CONSOLE_EXT_LOG_MAX`).
const RECORD_BYTES: usize = 8192;
/// The most records that are kept.
const MAX_RECORDS: usize = 4096;

/// A place in the kernel's log.
#[derive(Debug)]
pub struct KernelMessages {
    log: OwnedFd,
}

impl KernelMessages {
    /// From now on. None where the log may not be read, or is not there.
    #[must_use]
    pub fn from_now() -> Option<Self> {
        let log =
            fs::open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()?;
        fs::seek(&log, SeekFrom::End(0)).ok()?;
        Some(Self { log })
    }

    /// What was logged since, as `dmesg` prints it.
    #[must_use]
    pub fn read(&self) -> String {
        let mut text = String::new();
        let mut record = [0; RECORD_BYTES];
        for _ in 0..MAX_RECORDS {
            match rustix::io::read(&self.log, &mut record) {
                Ok(count) if count > 0 => {
                    let bytes = record.get(..count).unwrap_or_default();
                    push_record(&mut text, &String::from_utf8_lossy(bytes));
                }
                // Records that were overwritten before they were read are told by EPIPE, once.
                Err(Errno::PIPE | Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        text
    }
}

fn push_record(text: &mut String, record: &str) {
    let Some((head, body)) = record.split_once(';') else { return };
    let microseconds: u64 = head.split(',').nth(2).and_then(|field| field.parse().ok()).unwrap_or(0);
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    for line in body.lines().filter(|line| !line.starts_with(' ')) {
        text.push_str(&format!("[{seconds:5}.{rest:06}] {line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::push_record;

    #[test]
    fn records_become_lines_of_dmesg() {
        let mut text = String::new();
        push_record(&mut text, "3,1057,14727814,-;genirq: Flags mismatch irq 23.\n SUBSYSTEM=pci\n");
        assert_eq!(text, "[   14.727814] genirq: Flags mismatch irq 23.\n");
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        let mut text = String::new();
        push_record(&mut text, "nonsense");
        assert_eq!(text, "");
    }
}
