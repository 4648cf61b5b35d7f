//! What kind of source some bytes are: told from what is in them, never from a file's name.

use super::SourceKind;
use super::acpi::{dump_head, dump_row, is_table};
use super::groups::{branch, device_line, group_line, is_table_head, is_tree_head};
use super::line::{about_function, message, unquoted};
use super::lspci::{is_machine_line, is_record_key, is_tree_line};
use super::udevadm::walked;

/// Bytes that are looked at: enough for any head, and for the first part of a mixed paste.
const LOOKED_AT: usize = 1 << 20;

/// First bytes of a zstd frame (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The kind of source that `bytes` are, if they are one.
///
/// In text that holds more than one kind (a mail with a log and a listing) the kind with the most lines is told.
///
/// ```
/// use slotwise_core::facts::{SourceKind, recognise};
/// assert_eq!(recognise(b"IOMMU Group 3 00:02.0 VGA"), Some(SourceKind::Groups));
/// assert_eq!(recognise(b"hello"), None);
/// ```
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<SourceKind> {
    parts(bytes).first().copied()
}

/// The kinds of source that are in `bytes`, that with the most lines first.
pub(super) fn parts(bytes: &[u8]) -> Vec<SourceKind> {
    if bytes.starts_with(&ZSTD_MAGIC) {
        return vec![SourceKind::Capture];
    }
    if is_table(bytes) {
        return vec![SourceKind::Acpi];
    }
    let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(head);
    let mut counts = Counts::default();
    for line in text.lines() {
        counts.line(unquoted(line));
    }
    counts.kinds()
}

/// Lines by the kind that they speak for.
#[derive(Debug, Default)]
struct Counts {
    udevadm: usize,
    log: usize,
    lspci: usize,
    groups: usize,
    acpi: usize,
    /// Whether a device of lspci is being described.
    in_device: bool,
    /// Whether something was said of it that only `lspci -v` says.
    in_detail: bool,
    /// Whether keys of a record of `lspci -vmm` follow.
    in_record: bool,
    /// Whether members of a group follow.
    in_group: bool,
    /// Whether rows of an ACPI table follow.
    in_table: bool,
}

impl Counts {
    fn line(&mut self, line: &str) {
        let text = line.trim_start();
        let indented = text.len() < line.len();
        if text.is_empty() {
            return;
        }
        if dump_head(text).is_some() {
            self.acpi += 1;
            (self.in_device, self.in_group, self.in_table) = (false, false, true);
        } else if self.in_table && dump_row(text).is_some() {
            self.acpi += 1;
        } else {
            self.in_table = false;
            self.other(text, indented, line);
        }
    }

    /// A line of anything but a dump of tables.
    fn other(&mut self, text: &str, indented: bool, line: &str) {
        if is_machine_line(text) || self.in_record && is_record_key(text) {
            self.lspci += 1;
            (self.in_record, self.in_group) = (true, false);
        } else if is_tree_line(text) {
            self.lspci += 1;
            (self.in_device, self.in_group) = (false, false);
        } else if walked(text).is_some()
            || text.starts_with("P: /devices/")
            || text.starts_with("E: ") && text.contains('=')
        {
            self.udevadm += 1;
        } else if text.contains("iommu_groups/") && text.contains("/devices")
            || is_tree_head(text)
            || is_table_head(text)
        {
            self.groups += 1;
            self.in_group = true;
        } else if self.in_group && branch(text).is_some() {
            self.groups += 1;
        } else if group_line(text).is_some() {
            // Inside the description of a device it is a line of `lspci -v`.
            let of_lspci = self.in_device && !self.in_group && (indented || self.in_detail);
            *(if of_lspci { &mut self.lspci } else { &mut self.groups }) += 1;
            self.in_group |= !of_lspci;
        } else if device_line(text).is_some() {
            *(if self.in_group { &mut self.groups } else { &mut self.lspci }) += 1;
            self.in_device = !self.in_group;
            self.in_detail = false;
        } else if self.in_device && (indented || is_hex_row(text) || is_detail(text)) {
            self.lspci += 1;
            self.in_detail |= is_detail(text);
        } else if is_log(line, text) {
            self.log += 1;
            (self.in_device, self.in_group) = (false, false);
        } else if !indented && !self.in_device && text.contains(char::is_alphanumeric) {
            // Within a function's description it may be the rest of a line that a mailer wrapped.
            self.in_group = false;
        }
    }

    fn kinds(&self) -> Vec<SourceKind> {
        let mut counts = [
            (self.udevadm, SourceKind::Udevadm),
            (self.groups, SourceKind::Groups),
            (self.lspci, SourceKind::Lspci),
            (self.log, SourceKind::Log),
        ];
        counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let there = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut kinds: Vec<SourceKind> = there.map(|(_, kind)| kind).collect();
        // Tables join whatever they are pasted beside, however long they are.
        if kinds.is_empty() && self.acpi > 0 {
            kinds.push(SourceKind::Acpi);
        }
        kinds
    }
}

/// A line that `lspci -v` begins the description of each function with; copied without indentation, it still tells.
fn is_detail(text: &str) -> bool {
    ["Control: ", "Flags: ", "Subsystem: ", "DeviceName: "].iter().any(|head| text.starts_with(head))
}

/// `00: 86 80 16 19` of a hex dump.
fn is_hex_row(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(offset, rest)| {
        (2..=3).contains(&offset.len())
            && offset.bytes().all(|b| b.is_ascii_hexdigit())
            && rest.split_ascii_whitespace().all(|byte| byte.len() == 2)
    })
}

/// A line with a head that logs have, or one that only a kernel prints.
fn is_log(line: &str, text: &str) -> bool {
    let message = message(line);
    let prefixes = [
        "Linux version ",
        "Kernel command line: ",
        "DMAR:",
        "DMAR-IR: ",
        "dmar: ",
        "DRHD: ",
        "Intel-IOMMU: ",
        "IOMMU: ",
        "INTR-REMAP:",
        "AMD-Vi: ",
        "AMD IOMMU: ",
        "perf/amd_iommu: ",
        "ACPI: ",
        "PCI: ",
        "iommu: ",
        "vfio-pci ",
        "genirq: ",
        "(XEN) ",
        "[Firmware Bug]: AMD-Vi",
        "Your BIOS is broken; DMAR reported",
        "arm-smmu",
    ];
    // A bar before a line may be a table's as well.
    let text = text.trim_start_matches(['|', ' ']);
    message.len() < text.len()
        || prefixes.iter().any(|prefix| message.starts_with(prefix))
        || about_function(message).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_by_its_content() {
        let cases: [(&[u8], Option<SourceKind>); 14] = [
            (b"\x28\xb5\x2f\xfd\x00", Some(SourceKind::Capture)),
            (b"P: /devices/pci0000:00\nE: DEVPATH=/devices/pci0000:00\n", Some(SourceKind::Udevadm)),
            (b"00:00.0 Host bridge: Intel\n\tIOMMU group: 1\n00: 86 80\n", Some(SourceKind::Lspci)),
            (
                b"00:00.0 Ethernet controller: Intel\nI225-V (rev 03)\n\tIOMMU group: 1\n",
                Some(SourceKind::Lspci),
            ),
            (b"IOMMU Group 1:\n\t00:00.0 Host bridge\n\t00:01.0 PCI bridge\n", Some(SourceKind::Groups)),
            (
                b"00:00.0 Host bridge: Intel\nSubsystem: Dell\nIOMMU group: 1\n00:01.0 PCI bridge: Intel\n\
                  Subsystem: Dell\nIOMMU group: 2\n00:02.0 x: y\nFlags: z\nIOMMU group: 3\n",
                Some(SourceKind::Lspci),
            ),
            (
                b"Slot:\t00:00.0\nClass:\tx\nIOMMUGroup:\t1\n\nSlot:\t00:01.0\nIOMMUGroup:\t1\n",
                Some(SourceKind::Lspci),
            ),
            (b"00:00.0 \"Host bridge\" \"Intel\" \"x\" \"\" \"\"\n", Some(SourceKind::Lspci)),
            (b"/sys/kernel/iommu_groups/0/devices/0000:00:00.0\n", Some(SourceKind::Groups)),
            (b"[    0.000000] Linux version 6.1\n", Some(SourceKind::Log)),
            (b"pci 0000:00:00.0: Adding to iommu group 1\n", Some(SourceKind::Log)),
            (b"(XEN) Interrupt remapping enabled\n", Some(SourceKind::Log)),
            (b"", None),
            (b"\xff\xfe text\n", None),
        ];
        for (bytes, kind) in cases {
            assert_eq!(recognise(bytes), kind, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
