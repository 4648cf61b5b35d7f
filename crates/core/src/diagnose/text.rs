//! Bytes of a log to text that can be matched: encodings, colour codes, mail quoting, wrapping.
//!
//! Knows nothing of messages. Lines are numbered from 1 by their line feeds (or carriage returns where a log has
//! no line feed at all), whatever is later joined or cut. Every step is bounded by [`LINE_CAP`].

use std::borrow::Cow;

use super::escapes::{StripAnsi, unescape};
use crate::pci::PciAddress;

/// Longest piece of a line that is matched at once, in bytes; longer lines are looked at in overlapping pieces.
pub(super) const LINE_CAP: usize = 4096;

/// How much consecutive pieces of an overlong line share, in bytes: more than any message is long.
pub(super) const OVERLAP: usize = 512;

/// The bytes as UTF-8 or something close to it: UTF-16 (with a mark, or recognised by its zero bytes) is
/// converted, anything else is left as it is.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    match Encoding::of(bytes) {
        (Encoding::Bytes, mark) => Cow::Borrowed(bytes.get(mark..).unwrap_or_default()),
        _ => {
            let mut text = Vec::with_capacity(bytes.len() / 2 + 16);
            let mut decoder = Decoder::default();
            decoder.decode(bytes, &mut text);
            decoder.finish(&mut text);
            Cow::Owned(text)
        }
    }
}

/// How many bytes it takes to know an encoding.
const SAMPLE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Bytes,
    Utf16(Order),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Encoding {
    /// The encoding of a text by its first bytes, and the length of its mark.
    fn of(bytes: &[u8]) -> (Self, usize) {
        match bytes {
            [0xff, 0xfe, ..] => (Self::Utf16(Order::Little), 2),
            [0xfe, 0xff, ..] => (Self::Utf16(Order::Big), 2),
            [0xef, 0xbb, 0xbf, ..] => (Self::Bytes, 3),
            _ => match zero_parity(bytes) {
                Some(Parity::Odd) => (Self::Utf16(Order::Little), 0),
                Some(Parity::Even) => (Self::Utf16(Order::Big), 0),
                None => (Self::Bytes, 0),
            },
        }
    }
}

/// Converts a text that comes in pieces to UTF-8 or something close to it.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    encoding: Option<Encoding>,
    /// What is waited with: all until the encoding is known, then the bytes of a character that is not whole.
    waiting: Vec<u8>,
}

impl Decoder {
    /// Appends the next piece to `text`.
    pub(super) fn decode(&mut self, bytes: &[u8], text: &mut Vec<u8>) {
        match self.encoding {
            Some(Encoding::Bytes) => text.extend_from_slice(bytes),
            Some(Encoding::Utf16(order)) => {
                self.waiting.extend_from_slice(bytes);
                let whole = self.waiting.len() - self.unfinished(order);
                let rest = self.waiting.split_off(whole);
                from_utf16(&self.waiting, order, text);
                self.waiting = rest;
            }
            None => {
                self.waiting.extend_from_slice(bytes);
                if self.waiting.len() >= SAMPLE {
                    self.settle(text);
                }
            }
        }
    }

    /// Appends what was waited with.
    pub(super) fn finish(&mut self, text: &mut Vec<u8>) {
        if self.encoding.is_none() {
            self.settle(text);
        }
        let rest = std::mem::take(&mut self.waiting);
        if let Some(Encoding::Utf16(order)) = self.encoding {
            from_utf16(&rest, order, text);
        }
    }

    fn settle(&mut self, text: &mut Vec<u8>) {
        let (encoding, mark) = Encoding::of(&self.waiting);
        self.encoding = Some(encoding);
        let first = std::mem::take(&mut self.waiting);
        self.decode(first.get(mark..).unwrap_or_default(), text);
    }

    /// How many of the waiting bytes belong to a character that is not whole: an odd one, or a lone high surrogate.
    fn unfinished(&self, order: Order) -> usize {
        let odd = self.waiting.len() % 2;
        let high = match self.waiting.get(..self.waiting.len() - odd).unwrap_or_default() {
            [.., first, second] => {
                let unit = order.unit([*first, *second]);
                (0xd800..0xdc00).contains(&unit)
            }
            _ => false,
        };
        odd + if high { 2 } else { 0 }
    }
}

impl Order {
    const fn unit(self, pair: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(pair),
            Self::Big => u16::from_be_bytes(pair),
        }
    }
}

#[derive(Clone, Copy)]
enum Parity {
    Even,
    Odd,
}

/// Where the zero bytes of the first kilobyte are, if that is what UTF-16 of mostly ASCII text looks like.
fn zero_parity(bytes: &[u8]) -> Option<Parity> {
    let sample = bytes.get(..bytes.len().min(SAMPLE)).unwrap_or(bytes);
    let count = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd, half) = (count(0), count(1), sample.len() / 2);
    if half < 8 {
        return None;
    }
    if odd * 10 > half * 7 && even * 10 < half {
        Some(Parity::Odd)
    } else if even * 10 > half * 7 && odd * 10 < half {
        Some(Parity::Even)
    } else {
        None
    }
}

fn from_utf16(bytes: &[u8], order: Order, text: &mut Vec<u8>) {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [first, second] => order.unit([*first, *second]),
        _ => 0,
    });
    let mut buffer = [0; 4];
    for decoded in char::decode_utf16(units) {
        let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
    }
}

/// What separates the lines of a log.
pub(super) fn line_separator(bytes: &[u8]) -> u8 {
    let head = bytes.get(..bytes.len().min(64 * 1024)).unwrap_or(bytes);
    let bare_returns = memchr::memchr(b'\n', head).is_none() && memchr::memchr(b'\r', head).is_some();
    if bare_returns { b'\r' } else { b'\n' }
}

/// A line as it can be shown: colour codes and control characters gone, otherwise as it stands in the log.
pub(super) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw.get(..raw.len().min(LINE_CAP)).unwrap_or(raw));
    let mut out = String::with_capacity(text.len());
    for character in StripAnsi::new(&text) {
        out.push(if character.is_control() { ' ' } else { character });
    }
    out.trim().chars().take(400).collect()
}

/// A line as it is matched: like [`shown`], with quoting marks, entities and typographic quotes undone and white
/// space collapsed.
pub(super) fn normalise(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw.get(..raw.len().min(LINE_CAP)).unwrap_or(raw));
    let text = unescape(&text);
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for character in StripAnsi::new(&text) {
        let character = match character {
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{60}' | '\u{b4}' => '\'',
            '\u{201c}' | '\u{201d}' | '\u{201e}' => '"',
            other if other.is_control() || other.is_whitespace() || other == '\u{feff}' => ' ',
            other => other,
        };
        if character == ' ' {
            space = !out.is_empty();
            continue;
        }
        if out.is_empty() && matches!(character, '>' | '|') {
            continue;
        }
        if space {
            out.push(' ');
            space = false;
        }
        out.push(character);
    }
    out
}

/// Whether `next` may be the rest of `line`, broken off by a mail program or a console: the line is long enough to
/// have been broken, and what follows does not begin like a record of its own.
pub(super) fn may_continue(line: &str, next: &str) -> bool {
    !next.is_empty() && (without_soft_break(line).is_some() || line.len() >= 48 && !starts_record(next))
}

/// A line without the `=` with which mail in quoted-printable breaks what is longer than 76 characters (RFC 2045 §6.7), if
/// it ends with one: what follows belongs to it however it begins.
pub(super) fn without_soft_break(line: &str) -> Option<&str> {
    line.strip_suffix('=').filter(|rest| rest.len() >= 56)
}

/// Whether a line begins like one that the kernel, a syslog daemon, Xen or QEMU wrote.
pub(super) fn is_logged(line: &str) -> bool {
    const NO_LOG: &[&str] = &["#", "- ", "* ", "```", "$", "root@"];
    let line = without_number(line);
    let stamp =
        line.strip_prefix('[').is_none_or(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    starts_record(line) && stamp && !NO_LOG.iter().any(|head| line.starts_with(head))
        || is_shell_refusal(line)
        || is_dumped(line)
}

/// Whether a line is one of those that the kernel prints below a warning or an oops (`show_regs`, `print_modules`,
/// `dump_stack_print_info`), without the time that many mails leave out: a list of modules is no prose.
fn is_dumped(line: &str) -> bool {
    const HEADS: &[&str] = &[
        "Modules linked in: ",
        "WARNING: CPU: ",
        "WARNING: at ",
        "Hardware name: ",
        "Workqueue: ",
        "RIP: ",
        "RSP: ",
        "RAX: ",
        "Code: ",
        "Call Trace:",
        "Call trace:",
        "---[ end trace",
        "------------[ cut here",
    ];
    let is_cpu = line.strip_prefix("CPU: ").is_some_and(|rest| rest.contains(" PID: "));
    // A frame is a symbol with its offset and length: `? vfio_pci_ioctl+0x2ea/0xe80 [vfio_pci]`.
    let symbol = line.strip_prefix("? ").unwrap_or(line).split(' ').next().unwrap_or_default();
    let is_frame = symbol.split_once("+0x").is_some_and(|(_, rest)| rest.contains("/0x"));
    is_cpu || is_frame || HEADS.iter().any(|head| line.starts_with(head))
}

/// Whether a shell says in this line that it knows no such program (`sh: 1: lspci: not found`), which says nothing of what
/// the program was to be asked about.
fn is_shell_refusal(line: &str) -> bool {
    let Some(refused) = line.strip_suffix("command not found").or_else(|| line.strip_suffix("not found"))
    else {
        return false;
    };
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b':' | b' ');
    refused.ends_with(": ") && refused.bytes().all(is_name) && {
        let mut words = refused.split(": ").filter(|word| !word.is_empty());
        words.clone().count() <= 3 && words.all(|word| !word.contains(' ') || word.starts_with("line "))
    }
}

/// Whether a line is one of what `lspci -v` indents below a device, as it printed it (`raw`, with a tab) or as a page shows
/// it: registers are no prose, however disabled they are.
pub(super) fn is_listed(raw: &[u8], line: &str) -> bool {
    const HEADS: &[&str] = &[
        "Subsystem: ",
        "Control: I/O",
        "Status: Cap",
        "Latency: ",
        "Interrupt: pin",
        "IOMMU group: ",
        "Flags: ",
        "Memory at ",
        "I/O ports at ",
        "I/O behind bridge",
        "Memory behind bridge",
        "Prefetchable memory behind bridge",
        "Expansion ROM at ",
        "Region ",
        "Bus: primary=",
        "BridgeCtl: ",
        "Capabilities: ",
        "Kernel driver in use: ",
        "Kernel modules: ",
    ];
    // Somebody's sentence may be indented as well; a register has its name before a colon.
    let named = line.bytes().take(40).any(|byte| byte == b':') || raw.starts_with(b"\t\t");
    raw.starts_with(b"\t") && named || HEADS.iter().any(|head| line.starts_with(head))
}

/// A line without what numbers it or sets it off: `nl` and `grep -n`, the marks of Markdown.
fn without_number(line: &str) -> &str {
    let line = line.trim_start_matches(['\'', '*']);
    let line = match line.strip_prefix('/').and_then(|rest| rest.split_once(':')) {
        Some((path, rest)) if !path.contains(' ') => rest,
        _ => line,
    };
    let number = line.bytes().take_while(u8::is_ascii_digit).count();
    match line.as_bytes().get(number) {
        Some(b':' | b' ' | b'|') if (1..=6).contains(&number) => {
            let rest = line.get(number + 1..).unwrap_or_default().trim_start();
            if rest.starts_with(|first: char| first.is_ascii_digit()) { line } else { rest }
        }
        _ => line,
    }
}

/// Whether a line begins with what programs put before each message.
fn starts_record(line: &str) -> bool {
    const HEADS: &[&str] = &[
        "[",
        "<",
        "(XEN)",
        "(d",
        "kernel:",
        "qemu-system",
        "qemu-kvm",
        "qemu:",
        "kvm:",
        "vfio: ",
        "vfio 0",
        "libxl",
        // Lines of a trace, which many consoles show without a stamp.
        "------------[ cut here",
        "---[ end trace",
        "Modules linked in:",
        "Hardware name: ",
        "Call Trace:",
        "RIP: 0",
        "libvirt: ",
        "Verify all devices in group",
        "Please ensure all devices within",
        "xl:",
        "error:",
        "TASK",
        "EAL: ",
        "root@",
        "$",
        "#",
        "- ",
        "```",
        "Jan ",
        "Feb ",
        "Mar ",
        "Apr ",
        "May ",
        "Jun ",
        "Jul ",
        "Aug ",
        "Sep ",
        "Oct ",
        "Nov ",
        "Dec ",
        "pci 0",
        "pcieport 0",
        "vfio-pci 0",
        "DMAR:",
        "AMD-Vi:",
        "Traceback",
        "File \"",
        "{\"",
    ];
    // Before the marks of bold print go: an item of a list.
    let is_item = line.starts_with("* ");
    let line = without_number(line);
    if is_item || HEADS.iter().any(|head| line.starts_with(head)) || is_field(line) || is_stamped(line) {
        return true;
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let after = line.as_bytes().get(digits).copied();
    (digits == 4 && after == Some(b'-')) || (digits == 2 && after == Some(b':') && line.len() > 8)
}

/// Whether a line begins with a time of day, after a date in whatever language, or names the kernel's driver and its device.
fn is_stamped(line: &str) -> bool {
    let is_clock = |at: usize, time: &[u8]| {
        let digits = time.iter().enumerate().all(|(position, byte)| match position % 3 {
            2 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
        // `00:01:00` is part of a PCI address.
        let begins = at.checked_sub(1).and_then(|before| line.as_bytes().get(before));
        digits
            && begins
                .is_none_or(|before| !before.is_ascii_alphanumeric() && *before != b':' || *before == b'T')
    };
    let head = line.as_bytes().get(..line.len().min(28)).unwrap_or_default();
    let is_kernel = |head: &str| head.contains(" kernel: ");
    if head.windows(8).enumerate().any(|(at, time)| is_clock(at, time))
        || line.get(..line.len().min(64)).is_some_and(is_kernel)
    {
        return true;
    }
    let Some((driver, rest)) = line.split_once(' ') else { return false };
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    !driver.is_empty()
        && driver.bytes().all(is_name)
        && rest
            .split_once(": ")
            .is_some_and(|(device, _)| device.len() == 12 && device.parse::<PciAddress>().is_ok())
}

/// Whether a line is a field of the journal's export format (systemd.io/JOURNAL_EXPORT_FORMATS).
fn is_field(line: &str) -> bool {
    let name =
        line.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    let length = name.count();
    length >= 3 && line.as_bytes().get(length) == Some(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_with_and_without_a_mark_reads_like_utf8() {
        let plain = "group 9 is not viable\nnext";
        let units: Vec<u16> = plain.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(&*decode(&little), plain.as_bytes());
        assert_eq!(&*decode(&big), plain.as_bytes());
        let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(little).collect();
        assert_eq!(&*decode(&marked), plain.as_bytes());
    }

    #[test]
    fn quoting_colours_and_typographic_quotes_disappear() {
        let raw = "> > \u{1b}[31mfailed to open \u{2018}/dev/vfio/1\u{2019}:\u{1b}[0m  Permission\tdenied\r";
        assert_eq!(normalise(raw.as_bytes()), "failed to open '/dev/vfio/1': Permission denied");
    }

    #[test]
    fn escapes_of_forums_and_of_json_are_undone() {
        let raw = r#"{"msg":"Could not open \\\"/dev/vfio/1\\\": No such file\nnext &amp;lt;b&gt;"#;
        assert_eq!(
            normalise(raw.as_bytes()),
            r#"{"msg":"Could not open "/dev/vfio/1": No such file next <b>"#
        );
        assert_eq!(normalise(b"group 9<br />is not viable"), "group 9 is not viable");
    }

    #[test]
    fn fields_of_the_journal_are_records() {
        assert!(starts_record("MESSAGE=vfio 0000:01:00.0: group 1 is not viable"));
        assert!(starts_record("_BOOT_ID=00"));
        assert!(!starts_record("A=b"));
    }

    #[test]
    fn records_are_known_behind_numbers_and_marks_and_in_other_languages() {
        for line in [
            "12  [    1.5] pci 0000:00:1c.0: bridge window",
            "/var/log/syslog:12:Mar  4 12:33:01 host kernel: usb 1-1: new device",
            "**[    1.5] usb 1-1: new device**",
            "'[    1.5] usb 1-1: new device'",
            "jan. 29 20:50:17 kevin kernel: usb 1-1: new device",
            "myhost kernel: usb 1-1: new device",
            "nvme 0000:01:00.0: AER: can't recover",
            "2024-03-04T12:33:01.1+01:00 host kernel: usb 1-1: new device",
        ] {
            assert!(is_logged(line), "{line}");
        }
        for line in
            ["10 devices do not start", "The card 0000:01:00.0: hangs", "3: it fails", "(0000:01:00.0)) vs."]
        {
            assert!(!is_logged(line), "{line}");
        }
    }

    #[test]
    fn what_the_kernel_dumps_is_no_prose_without_its_times_either() {
        for line in [
            "Modules linked in: vfio_pci(E) vfio(E) kvm(E) irqbypass(E) [last unloaded: nvmet]",
            "WARNING: CPU: 14 PID: 59978 at lib/refcount.c:28 refcount_warn_saturate+0x8d/0xf0",
            "CPU: 14 PID: 59978 Comm: qemu-system-x86 Tainted: G            E     5.8.0-rc1",
            "? vfio_pci_ioctl+0x2ea/0xe80 [vfio_pci]",
        ] {
            assert!(is_logged(line), "{line}");
        }
        assert!(!is_logged("CPU: Ryzen 5 3600, the card is not passed"));
        assert!(!is_logged("Modules are still loaded when the VM starts"));
    }

    #[test]
    fn what_a_shell_does_not_know_is_no_prose() {
        assert!(is_logged("sh: 1: nvidia-smi: not found"));
        assert!(is_logged("bash: lspci: command not found"));
        assert!(!is_logged("sh: the node was not found"));
        assert!(is_logged("nvidia-smi: not found"));
        assert!(is_logged("start.sh: line 9: virsh: command not found"));
        assert!(!is_logged("/dev/vfio/1: not found"));
        assert!(!is_logged("The device node: not found"));
    }

    #[test]
    fn soft_breaks_of_mail_are_continued_whatever_follows() {
        let long = "qemu-system-x86_64: -device vfio-pci,host=0000:03:04.0,id=hostdev0,b=";
        assert!(may_continue(long, "[us=pci.5"));
        assert_eq!(without_soft_break("iommu="), None);
    }

    #[test]
    fn a_record_of_its_own_is_not_a_continuation() {
        let long = "qemu-system-x86_64: -device vfio-pci,host=0000:03:04.0,id=hostdev0,b";
        assert!(may_continue(long, "us=pci.5,addr=0x1: vfio 0000:03:04.0: Failed"));
        assert!(!may_continue(long, "[   12.345] usb 1-1: new device"));
        assert!(!may_continue("short", "us=pci.5"));
        assert!(!may_continue(long, "* If IOMMU is not enabled, any device will do"));
    }
}
