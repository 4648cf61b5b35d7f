//! The kernel log, a record at a time from `/dev/kmsg`.
//!
//! Format: `Documentation/ABI/testing/dev-kmsg` (Linux 6.1): `priority,sequence,microseconds,flags;text`, then lines
//! that begin with a space and are of no use here.

use std::fs::File;
use std::io::Read;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use slotwise_testbench::wire::LogRecord;

/// A record longer than this reads as an error (`CONSOLE_EXT_LOG_MAX`, 8192 bytes, `include/linux/printk.h`).
const RECORD_LIMIT_BYTES: usize = 8192;
/// The most records in one answer; the bench asks again for more.
const ANSWER_LIMIT: usize = 4000;

/// The records from number `since` on, and the number to go on from.
pub(crate) fn records(since: u64) -> Result<(Vec<LogRecord>, u64), String> {
    let log = open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())
        .map_err(|error| format!("cannot open /dev/kmsg: {error}"))?;
    let mut log = File::from(log);
    let mut buffer = [0; RECORD_LIMIT_BYTES];
    let mut records = Vec::new();
    while records.len() < ANSWER_LIMIT {
        match log.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
                records.extend(parse(&text).filter(|record| record.sequence >= since));
            }
            // The record was overwritten while it was to be read: the next read goes on behind it.
            Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(format!("cannot read /dev/kmsg: {error}")),
        }
    }
    let next = records.last().map_or(since, |record: &LogRecord| record.sequence.saturating_add(1));
    Ok((records, next))
}

fn parse(record: &str) -> Option<LogRecord> {
    let (prefix, text) = record.split_once(';')?;
    let mut fields = prefix.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    Some(LogRecord {
        sequence: fields.next()?.parse().ok()?,
        time_us: fields.next()?.parse().ok()?,
        level: u8::try_from(priority & 7).ok()?,
        text: text.lines().next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_without_its_device_lines() {
        let record = parse("6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n").unwrap();
        assert_eq!((record.sequence, record.time_us, record.level), (339, 5_140_900, 6));
        assert_eq!(record.text, "NET: Registered protocol family 10");
    }

    #[test]
    fn what_is_no_record_is_passed_over() {
        assert_eq!(parse("garbage"), None);
        assert_eq!(parse("6,x,1,-;text"), None);
    }
}
