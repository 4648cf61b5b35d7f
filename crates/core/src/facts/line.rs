//! Lines of pasted text: what mail, syslog, the journal and `dmesg` put in front of a kernel message is taken off.

use super::{Facts, FaultKind, ReadFault};
use crate::pci::PciAddress;

/// The most bytes of a text that are read: whole logs have some hundred KiB.
pub(super) const MOST_BYTES: usize = 1 << 27;

/// The most faults that are told of one text; what follows is told by one more.
const MOST_FAULTS: usize = 200;

/// Lines of `text` with their numbers, from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = (0..=MOST_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    (1..).zip(text.get(..end).unwrap_or_default().lines())
}

/// Notes that line `number` could not be read.
pub(super) fn malformed(facts: &mut Facts, number: usize, expected: &str) {
    let fault = |place: String, kind| ReadFault::new(place, kind);
    match facts.faults.len() {
        count if count < MOST_FAULTS => {
            let kind = FaultKind::Malformed(expected.to_owned());
            facts.faults.push(fault(format!("line {number}"), kind));
        }
        MOST_FAULTS => {
            let kind = FaultKind::Malformed("this and more lines could not be read".to_owned());
            facts.faults.push(fault(format!("line {number}"), kind));
        }
        _ => {}
    }
}

/// `line` without mail quoting: `> `, `| ` at its start, any number of times.
pub(super) fn unquoted(line: &str) -> &str {
    let mut rest = line.trim_end();
    while let Some(after) = rest.trim_start().strip_prefix('>') {
        rest = after;
    }
    rest
}

/// How far into a line the kernel's time stamp or name is looked for, in bytes: longer than what loggers and people put
/// before it.
const MOST_HEAD_BYTES: usize = 120;

/// The longest time stamp of the kernel between its brackets, in bytes: seconds of a century, and six decimals.
const MOST_STAMP_BYTES: usize = 24;

/// The kernel message in `line`: mail quoting, syslog and journal heads, `<6>`, time stamps and `dmesg -x` levels are
/// taken off, in whatever order they come, and with a time stamp whatever stands before it.
pub(super) fn message(line: &str) -> &str {
    // Some quote with a bar; no message of the kernel begins with one.
    let line = unquoted(line).trim_start_matches(['|', ' ']);
    let mut rest = stamped(line).unwrap_or(line).trim_start();
    // Each round takes at least one byte off; no log has more than a handful of heads.
    for _ in 0..8 {
        let before = rest.len();
        for strip in [priority, bracketed, level, kmsg, syslog] {
            rest = strip(rest).unwrap_or(rest).trim_start();
        }
        if rest.len() == before {
            break;
        }
    }
    rest
}

/// What stands behind the first time stamp of the kernel (`kernel/printk/printk.c: print_time`): six decimals, so that
/// nothing else in brackets is one. Before it may be anything: the number of a line, the name of a file, a bullet, `+`.
fn stamped(line: &str) -> Option<&str> {
    let starts = line.match_indices('[').map(|(at, _)| at).take_while(|at| *at < MOST_HEAD_BYTES);
    starts.filter_map(|at| line.get(at + 1..)).find_map(|rest| {
        let end = rest.bytes().take(MOST_STAMP_BYTES).position(|byte| byte == b']')?;
        let (inside, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        // `dmesg -H` writes the decimal mark of the user's language.
        let (seconds, decimals) = inside.trim_start().split_once(['.', ','])?;
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // `dmesg -H` prints what passed since the line above: `[  +0.000004]`.
        let seconds = seconds.strip_prefix('+').unwrap_or(seconds);
        (number(seconds) && number(decimals) && decimals.len() == 6).then_some(after)
    })
}

/// `<6>`: facility and level as a number.
fn priority(rest: &str) -> Option<&str> {
    let (number, after) = rest.strip_prefix('<')?.split_once('>')?;
    ((1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())).then_some(after)
}

/// `[    0.123456]`, `[Sat Mar 22 00:41:30 2014]`, and the caller `[    T1]`, `[   C3]` (`CONFIG_PRINTK_CALLER`).
fn bracketed(rest: &str) -> Option<&str> {
    let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
    let inside = inside.trim();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let stamp = inside.split_once('.').is_some_and(|(seconds, rest)| number(seconds) && number(rest));
    let caller = inside.strip_prefix(['T', 'C']).is_some_and(number);
    let weekdays = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
    let date = weekdays.iter().any(|day| inside.starts_with(day)) && inside.contains(':');
    // `[Nov21 20:00]` of `dmesg -H`.
    let minute =
        inside.len() == 11 && MONTHS.iter().any(|month| inside.starts_with(month)) && inside.contains(':');
    (stamp || caller || date || minute).then_some(after)
}

/// `kern  :info  : ` (`dmesg -x`).
fn level(rest: &str) -> Option<&str> {
    let (facility, rest) = rest.split_once(':')?;
    let (level, after) = rest.split_once(':')?;
    let known = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    (matches!(facility.trim_end(), "kern" | "user" | "daemon" | "syslog") && known.contains(&level.trim()))
        .then_some(after)
}

/// `6,339,5140900,-;`: a record of `/dev/kmsg` (`Documentation/ABI/testing/dev-kmsg`).
fn kmsg(rest: &str) -> Option<&str> {
    let (head, after) = rest.split_once(';')?;
    let mut fields = head.split(',');
    let number = |field: Option<&str>| {
        field.is_some_and(|field| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit()))
    };
    (number(fields.next()) && number(fields.next()) && number(fields.next()) && head.len() < 60)
        .then_some(after)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Jan  5 12:03:46 host kernel: `, `2024-01-05T12:03:46+01:00 host kernel: `, `Fri 2024-01-05 12:03:46 CET host kernel: `,
/// `1704452626.000000 host kernel: ` and, with the time stamp gone (`journalctl -o short-monotonic`), `host kernel: `.
fn syslog(rest: &str) -> Option<&str> {
    const NAME: &str = "kernel";
    let (at, _) = rest.match_indices(NAME).next().filter(|(at, _)| *at < MOST_HEAD_BYTES)?;
    let (head, after) = rest.split_at_checked(at)?;
    let after = after.strip_prefix(NAME)?;
    // Some name the process as well.
    let numbered = after.strip_prefix('[').and_then(|rest| {
        let (process, after) = rest.split_once(']')?;
        process.bytes().all(|b| b.is_ascii_digit()).then_some(after)
    });
    let after = numbered.unwrap_or(after).strip_prefix(": ")?;
    let words = head.split_ascii_whitespace().count();
    let dated = head.bytes().any(|b| b.is_ascii_digit()) && words <= 7;
    let whole_word = head.is_empty() || head.ends_with(' ');
    (whole_word && (dated || words <= 1)).then_some(after)
}

/// The device that a message is about: what `dev_printk` puts before it (`drivers/base/core.c: __dev_printk`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AboutFunction<'m> {
    /// The driver bound at that time, or `pci` for none.
    pub(super) driver: &'m str,
    /// Where.
    pub(super) address: PciAddress,
    /// The rest of the message.
    pub(super) text: &'m str,
}

/// Splits `pci 0000:00:02.0: [8086:1234] …` and `e1000e 0000:00:19.0 eth0: …`.
pub(super) fn about_function(message: &str) -> Option<AboutFunction<'_>> {
    let mut offset = 0;
    // A driver's name has a few words at most (`HDA Intel`).
    for word in message.split(' ').take(4) {
        if let Some(address) = full_address(word.trim_end_matches(':'))
            && offset > 0
        {
            let driver = message.get(..offset)?.trim();
            let text = message.get(offset + word.len()..)?;
            // A network driver puts the interface's name behind the address; other text around an address is prose.
            let interface =
                !driver.contains(' ') && text.split(' ').nth(1).is_some_and(|next| next.ends_with(':'));
            let plain = !driver.is_empty() && !driver.contains(':') && (word.ends_with(':') || interface);
            return plain.then_some(AboutFunction {
                driver,
                address,
                text: text.strip_prefix(' ').unwrap_or(text),
            });
        }
        offset += word.len() + 1;
    }
    None
}

/// An address with its domain, so that no time of day is one.
pub(super) fn full_address(word: &str) -> Option<PciAddress> {
    let shape = word.len() >= 12 && word.bytes().filter(|b| *b == b':').count() == 2;
    if shape { word.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_every_kind_are_taken_off() {
        for line in [
            "pci 0000:00:02.0: x",
            "[    0.402571] pci 0000:00:02.0: x",
            "<6>[   10.022332] pci 0000:00:02.0: x",
            "> > [    0.0][    T1] pci 0000:00:02.0: x\r",
            "Jan  5 12:03:46 host kernel: [    1.5] pci 0000:00:02.0: x",
            "2024-01-05T12:03:46+01:00 a.b kernel: pci 0000:00:02.0: x",
            "kern  :info  : [    0.402571] pci 0000:00:02.0: x",
            "6,339,5140900,-;pci 0000:00:02.0: x",
            "    [Sat Mar 22 00:41:30 2014] pci 0000:00:02.0: x",
            "Fri 2024-01-05 12:03:46 CET host kernel: pci 0000:00:02.0: x",
            "1704452626.000000 host kernel: pci 0000:00:02.0: x",
            "[    0.402571] host kernel: pci 0000:00:02.0: x",
            "Jan  5 12:03:46 host kernel[1]: pci 0000:00:02.0: x",
            "Jan  5 12:03:46 kernel: pci 0000:00:02.0: x",
            "<6>1 2024-01-05T12:03:46.000Z host kernel - - - [    0.402571] pci 0000:00:02.0: x",
            "[Nov21 20:00] pci 0000:00:02.0: x",
            "[  +0.000004] pci 0000:00:02.0: x",
            "[  +0,000004] pci 0000:00:02.0: x",
            "  17\t[    0.402571] pci 0000:00:02.0: x",
            "17:[    0.402571] pci 0000:00:02.0: x",
            "/var/log/dmesg.0:[    0.402571] pci 0000:00:02.0: x",
            "- [    0.402571] pci 0000:00:02.0: x",
            "+[    0.402571] pci 0000:00:02.0: x",
            "| [    0.402571] pci 0000:00:02.0: x",
        ] {
            assert_eq!(message(line), "pci 0000:00:02.0: x", "{line}");
        }
    }

    #[test]
    fn ids_in_brackets_are_no_time_stamp() {
        assert_eq!(message("[8086:1234] type 00"), "[8086:1234] type 00");
        assert_eq!(message("pci: x [1.5] y"), "pci: x [1.5] y");
        assert_eq!(message("Loading of the kernel: x"), "Loading of the kernel: x");
    }

    #[test]
    fn driver_and_address_are_split() {
        let about = about_function("HDA Intel 0000:00:1b.0: power").expect("about a function");
        assert_eq!((about.driver, about.text), ("HDA Intel", "power"));
        assert_eq!(about_function("0000:00:1b.0: power"), None);
        assert_eq!(about_function("vgaarb: device added: PCI:0000:00:02.0"), None);
        assert_eq!(about_function("Found device 0000:00:1b.0 and others"), None);
        let about = about_function("e1000e 0000:00:19.0 eth0: link").expect("about a function");
        assert_eq!((about.driver, about.text), ("e1000e", "eth0: link"));
    }
}
