//! Listings of IOMMU groups as people paste them.
//!
//! Four forms, alone or mixed: one line for each device that begins with the group (`IOMMU Group 7 00:1f.0 …`); a line
//! with the group and the devices below it; an `IOMMU group: 7` line inside `lspci -v` output; and paths of sysfs
//! (`iommu_groups/7/devices/0000:00:1f.0`). What a listing says of a device beside its group is taken from the way in which
//! `lspci -nn` prints it.

use super::line::{full_address, malformed, numbered, unquoted};
use super::lspci::from_lspci;
use super::wrapped::rejoined;
use super::{Fact, Facts, FunctionFacts, GroupId, IommuVendor, Origin, SourceKind, Switch};
use crate::pci::{ClassCode, PciAddress};

const LISTING: &str = "group listing";

/// The most functions that a listing is believed to have.
const MOST_FUNCTIONS: usize = 1 << 16;

/// Reads a listing; `name` is what the user calls it.
#[must_use]
pub fn from_groups(text: &str, name: &str) -> Facts {
    let origin = Origin::Saved { kind: SourceKind::Groups, name: name.to_owned() };
    let mut facts = Facts::untold(origin, LISTING);
    let mut reader = Reader::default();
    for (number, line) in numbered(&rejoined(text)) {
        if let Some(expected) = reader.line(&mut facts, unquoted(line)) {
            malformed(&mut facts, number, expected);
        }
    }
    described(&mut facts, &reader.described);
    let grouped = facts.functions.values().filter(|function| function.group.known().is_some()).count();
    if grouped > 0 {
        facts.iommu.state = Switch::On;
        facts.iommu.evidence.push((LISTING.to_owned(), format!("{grouped} functions have a group")));
    }
    facts.iommu.vendor = IommuVendor::Unknown;
    facts
}

#[derive(Debug, Default)]
struct Reader {
    /// The group whose members follow.
    header: Option<Header>,
    /// The device that the lines below describe, and how far its line was indented.
    device: Option<(PciAddress, usize)>,
    /// Devices and what stands below each, as lspci would have printed it without groups.
    described: String,
    /// Whether the lines draw the directory of groups (`tree /sys/kernel/iommu_groups`).
    in_tree: bool,
    /// Where a table has the group, counted in columns.
    group_column: Option<usize>,
}

/// A line that names a group.
#[derive(Clone, Copy, Debug)]
struct Header {
    group: GroupId,
    /// How far it was indented.
    indent: usize,
    /// Whether it names its first member too; further ones are then indented farther.
    with_member: bool,
}

impl Reader {
    fn line(&mut self, facts: &mut Facts, line: &str) -> Option<&'static str> {
        if facts.functions.len() >= MOST_FUNCTIONS {
            return Some("expected fewer functions");
        }
        if is_tree_head(line) {
            (self.in_tree, self.header) = (true, None);
            return None;
        }
        if line.contains("iommu_groups/") || line.contains("/iommu_group ->") {
            return self.paths(facts, line);
        }
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if self.table(facts, text) || self.tree(facts, text) {
            return None;
        }
        if let Some((group, rest)) = group_line(text) {
            return self.group(facts, group, rest, indent);
        }
        if let Some(group) = flags_group(text) {
            self.describe(facts, group, indent);
            return None;
        }
        if let Some((address, rest)) = device_line(text) {
            self.title(facts, address, rest);
            let function = entry(facts, address);
            self.header = self.header.filter(|header| !header.with_member || indent > header.indent);
            if let Some(header) = self.header {
                function.group = Fact::Known(header.group);
            }
            self.device = Some((address, indent));
        } else if !text.is_empty()
            && !text.starts_with("total ")
            && self.header.is_some_and(|header| indent <= header.indent)
        {
            // A prompt, or the next part of what was pasted.
            self.header = None;
        } else if self.device.is_some() {
            self.described.push('\t');
            self.described.push_str(text);
            self.described.push('\n');
        }
        damaged(text)
    }

    /// What a line says of its device.
    fn title(&mut self, facts: &mut Facts, address: PciAddress, text: &str) {
        // `… [1022:1483]   Driver: pcieport`
        let (text, driver) = text.rsplit_once("Driver: ").unwrap_or((text, ""));
        title(entry(facts, address), text.trim_end());
        self.described.push_str(&format!("{address} {text}\n"));
        if !driver.is_empty() {
            self.described.push_str(&format!("\tKernel driver in use: {driver}\n"));
        }
    }

    /// A row of a table, be it drawn or Markdown: `pvesh get /nodes/NODE/hardware/pci`, and what people make of listings.
    fn table(&mut self, facts: &mut Facts, text: &str) -> bool {
        let Some(cells) = cells(text) else {
            // Only lines between the rows of a table have nothing to say.
            if text.contains(char::is_alphanumeric) {
                self.group_column = None;
            }
            return self.group_column.is_some();
        };
        if let Some(column) = cells.iter().position(|cell| is_group_column(cell)) {
            self.group_column = Some(column);
            return true;
        }
        let Some(column) = self.group_column else { return false };
        let number = cells.get(column).and_then(|cell| cell.parse().ok());
        let address = cells.iter().find_map(|cell| cell.contains('.').then(|| cell.parse().ok()).flatten());
        if let (Some(number), Some(address)) = (number, address) {
            entry(facts, address).group = Fact::Known(GroupId(number));
        }
        true
    }

    /// A line of a drawn directory: a number is a group, an address below it a member.
    fn tree(&mut self, facts: &mut Facts, text: &str) -> bool {
        let Some(name) = branch(text).filter(|_| self.in_tree) else {
            self.in_tree &= text.is_empty();
            return false;
        };
        let name = name.split_whitespace().next().unwrap_or_default().trim_end_matches(['/', '@']);
        if let Ok(number) = name.parse() {
            self.header = Some(Header { group: GroupId(number), indent: 0, with_member: false });
        } else if let (Some(address), Some(header)) = (full_address(name), self.header) {
            entry(facts, address).group = Fact::Known(header.group);
        }
        true
    }

    fn group(
        &mut self,
        facts: &mut Facts,
        group: GroupId,
        rest: &str,
        indent: usize,
    ) -> Option<&'static str> {
        if let Some((address, rest)) = device_line(rest) {
            self.title(facts, address, rest);
            entry(facts, address).group = Fact::Known(group);
            self.device = Some((address, indent));
            let mut rest = rest;
            // `Group 1: 00:01.0, 01:00.0`
            while let Some((address, after)) = device_line(rest.trim_start_matches([',', ';', ' '])) {
                entry(facts, address).group = Fact::Known(group);
                rest = after;
            }
            self.header = Some(Header { group, indent, with_member: true });
            return None;
        }
        let below_device = self.device.is_some_and(|(_, device)| indent > device) && self.header.is_none();
        if below_device {
            self.describe(facts, group, indent);
        } else {
            self.header = Some(Header { group, indent, with_member: false });
            self.device = None;
        }
        None
    }

    /// `IOMMU group: 7` among the lines that describe a device.
    fn describe(&mut self, facts: &mut Facts, group: GroupId, indent: usize) {
        if let Some((address, device)) = self.device
            && indent > device
        {
            entry(facts, address).group = Fact::Known(group);
        }
    }

    /// `…/iommu_groups/7/devices/0000:00:1f.0`, `…/0000:00:1f.0/iommu_group -> …/iommu_groups/7`, and the head line of a
    /// directory (`…/iommu_groups/7/devices:`) with its names below.
    fn paths(&mut self, facts: &mut Facts, line: &str) -> Option<&'static str> {
        let mut linked = line.split_once("/iommu_group ").and_then(|(head, _)| full_address(last_part(head)));
        for after in line.split("iommu_groups/").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, rest) = after.split_at_checked(end)?;
            // The directory itself, or a shell pattern.
            let Ok(number) = number.parse() else { continue };
            let group = GroupId(number);
            match rest.strip_prefix("/devices") {
                Some(below) => match below.strip_prefix('/') {
                    Some(name) => {
                        let word =
                            name.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
                        // Devices of other buses have other names.
                        if let Some(address) = full_address(word.trim_end_matches([':', ',', '@'])) {
                            entry(facts, address).group = Fact::Known(group);
                        }
                    }
                    None if below.starts_with(':') => {
                        self.header = Some(Header { group, indent: 0, with_member: false });
                    }
                    None => {}
                },
                None => {
                    if let Some(address) = linked.take() {
                        entry(facts, address).group = Fact::Known(group);
                    }
                }
            }
        }
        None
    }
}

/// The first line of `tree` or `ls -R` of all groups: the directory alone.
pub(super) fn is_tree_head(line: &str) -> bool {
    let line = line.trim().trim_end_matches('/');
    line.ends_with("iommu_groups") && !line.contains(char::is_whitespace)
}

/// What stands behind the branches that `tree` draws, in either of its character sets.
pub(super) fn branch(text: &str) -> Option<&str> {
    let drawn = |c: char| matches!(c, '│' | '├' | '└' | '─' | '|' | '`' | '-' | ' ' | '\u{a0}');
    let begins = text.starts_with(['│', '├', '└', '|', '`']);
    begins.then(|| text.trim_start_matches(drawn))
}

/// The cells of a row; none if the line is none, empty if it is one between rows.
fn cells(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix(['|', '│', '║'])?;
    let cells: Vec<&str> =
        inner.split(['|', '│', '║']).map(|cell| cell.trim_matches([' ', '`', '*'])).collect();
    (cells.len() > 2).then_some(cells)
}

/// Whether a line is the head of a table with a column of groups.
pub(super) fn is_table_head(text: &str) -> bool {
    cells(text).is_some_and(|cells| cells.iter().any(|cell| is_group_column(cell)))
}

fn is_group_column(cell: &str) -> bool {
    let letters: String = cell.chars().filter(char::is_ascii_alphabetic).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "group" | "iommu" | "iommugroup")
}

/// What lspci's lines below a device say of it, where the listing did not say it itself.
fn described(facts: &mut Facts, text: &str) {
    for (address, told) in from_lspci(text.as_bytes(), "").functions {
        let Some(function) = facts.functions.get_mut(&address) else { continue };
        let told_driver = told.driver.known().is_some() || matches!(told.driver, Fact::Absent);
        if told_driver && function.driver.is_unreadable() {
            function.driver = told.driver;
        }
        for (ours, theirs) in [(&mut function.id, told.id), (&mut function.subsystem, told.subsystem)] {
            if ours.is_unreadable() && theirs.known().is_some() {
                *ours = theirs;
            }
        }
        if function.class.is_unreadable() && told.class.known().is_some() {
            function.class = told.class;
        }
        if function.modules.is_empty() {
            function.modules = told.modules;
        }
    }
}

fn last_part(path: &str) -> &str {
    path.trim_end().rsplit(['/', ' ']).next().unwrap_or_default()
}

fn entry(facts: &mut Facts, address: PciAddress) -> &mut FunctionFacts {
    facts.functions.entry(address).or_insert_with(|| FunctionFacts::untold(address, LISTING))
}

/// `IOMMU group 7`, `IOMMU Group 7:`, `Group: 7`, `### Group 7 ###`, and what follows the number.
pub(super) fn group_line(text: &str) -> Option<(GroupId, &str)> {
    let bare = text.trim_start_matches(['#', '*', '-', '=', '+', ' ', '\t', '•', '·', '`', '_']);
    let bare = strip_word(bare, "iommu").map_or(bare, |rest| rest.trim_start_matches([' ', '_', '-']));
    let rest = strip_word(bare, "group")?;
    let rest = rest.trim_start_matches([':', '#', '=', ' ', '\t']);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, after) = rest.split_at_checked(end)?;
    // A number that goes on as something else (`group 00:1f.0`) is none.
    let ends =
        after.is_empty() || after.starts_with([':', ' ', '\t', ',', '#', '-', '|', ']', ')', '*', '`', '_']);
    let time = after.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let number = number.parse().ok()?;
    (ends && !time).then(|| {
        (GroupId(number), after.trim_start_matches([':', ' ', '\t', ',', '-', '|', ']', ')', '*', '_']))
    })
}

fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

/// `Flags: bus master, fast devsel, latency 0, IOMMU group 7` (lspci 3.7 and later with one `-v`).
fn flags_group(text: &str) -> Option<GroupId> {
    let (_, rest) = text.strip_prefix("Flags: ")?.split_once("IOMMU group ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().map(GroupId)
}

/// What a line was to say that is neither a group nor a device but begins as one.
fn damaged(text: &str) -> Option<&'static str> {
    let separators = [':', '#', '=', ' ', '\t'];
    let number = strip_word(text, "iommu group").map(|rest| rest.trim_start_matches(separators));
    let number = number.and_then(|rest| rest.split(separators).next()).unwrap_or_default();
    // Prose goes on with a word.
    if number.contains(|c: char| c.is_ascii_digit()) {
        return Some("expected the number of a group");
    }
    // `00:1f.0` and `0000:00:1f.0` with a digit that is none: two or three colons' parts of two to four, and a function.
    let word = text.split_whitespace().next()?;
    let (place, function) = word.rsplit_once('.')?;
    let parts: Vec<&str> = place.split(':').collect();
    let sized = (2..=3).contains(&parts.len()) && parts.iter().all(|part| (2..=4).contains(&part.len()));
    let named = sized && function.len() == 1 && place.chars().all(|c| c.is_ascii_alphanumeric() || c == ':');
    (named && word.parse::<PciAddress>().is_err()).then_some("expected the address of a PCI function")
}

/// A line that begins with an address, perhaps behind marks that scripts put there: `[RESET]`, `├─`, `-`, `"`; or the
/// link of `ls -l` with the name behind other columns.
pub(super) fn device_line(text: &str) -> Option<(PciAddress, &str)> {
    let mut rest = text;
    for _ in 0..4 {
        rest = rest.trim_start_matches(|c: char| {
            c.is_whitespace()
                || matches!(c, '-' | '*' | '+' | '|' | '"' | '`' | '├' | '└' | '─' | '│' | '•' | '·')
        });
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        // Patched lspci and `-PP` print the path through the bridges.
        let bare = word.trim_end_matches([':', ',', ';', '"', '`', '*']).rsplit('/').next()?;
        if bare.contains('.')
            && let Ok(address) = bare.parse()
        {
            return Some((address, after.trim_start()));
        }
        // Marks and ids before the address stand in brackets.
        if !word.starts_with('[') {
            break;
        }
        rest = after;
    }
    // ls -l: `lrwxrwxrwx 1 root root 0 Jan 1 00:00 0000:00:00.0 -> ../…`
    let (head, _) = text.strip_prefix('l')?.split_once(" -> ")?;
    full_address(last_part(head)).map(|address| (address, ""))
}

/// What `lspci` prints behind the address: `Host bridge [0600]: Intel … [8086:191f] (rev 07)`, or with `-n`
/// `0600: 8086:191f (rev 07)`.
fn title(function: &mut FunctionFacts, text: &str) {
    if let Some((class, rest)) = text.split_once(": ") {
        let number = class.rsplit('[').next().unwrap_or(class).trim_end_matches(']');
        if number.len() == 4
            && let Ok(number) = u32::from_str_radix(number, 16)
        {
            function.class = Fact::Known(ClassCode::from_bits(number << 8));
        }
        let words = rest.split_ascii_whitespace();
        if let Some(id) = words.rev().find_map(|word| word.parse().ok()) {
            function.id = Fact::Known(id);
        }
        if let Some((_, revision)) = rest.rsplit_once("(rev ")
            && let Some(revision) = revision.get(..2).and_then(|text| u8::from_str_radix(text, 16).ok())
        {
            function.revision = Fact::Known(revision);
        }
        let end = rest.rfind(" [").or_else(|| rest.rfind(" (rev ")).unwrap_or(rest.len());
        if number != class {
            function.printed_name = rest.get(..end).map(|text| text.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DriverName;

    fn groups(text: &str) -> Vec<(String, Option<u32>)> {
        let facts = from_groups(text, "test");
        assert_eq!(facts.faults, []);
        let row = |function: &FunctionFacts| {
            (function.address.to_string(), function.group.known().map(|group| group.0))
        };
        facts.functions.values().map(row).collect()
    }

    fn expected(rows: &[(&str, Option<u32>)]) -> Vec<(String, Option<u32>)> {
        rows.iter().map(|(address, group)| ((*address).to_owned(), *group)).collect()
    }

    #[test]
    fn group_before_each_device_is_read() {
        let rows = expected(&[("0000:00:00.0", Some(0)), ("0000:01:00.0", Some(12))]);
        for text in [
            "IOMMU Group 0 00:00.0 Host bridge [0600]: Intel\nIOMMU Group 12 01:00.0 VGA\n",
            "IOMMU group 0: 00:00.0 Host bridge\nIOMMU group 12: 01:00.0 VGA\n",
            "Group 0:\t[8086:1901] 00:00.0 Host bridge\nGroup 12:\t[10de:1401] [R] 01:00.0 VGA\n",
            "> IOMMU_Group: 0 0000:00:00.0 Host bridge\n> IOMMU_Group: 12 0000:01:00.0 VGA\n",
        ] {
            assert_eq!(groups(text), rows, "{text}");
        }
    }

    #[test]
    fn devices_below_a_group_are_read_until_something_else_comes() {
        let text = "IOMMU Group 1:\n\t00:01.0 PCI bridge [0604]: Intel [8086:1901] (rev 07)\n\t\tACSCap: SrcValid+\n\t01:00.0 VGA\n$ lspci\n02:00.0 Ethernet controller: x\n";
        assert_eq!(
            groups(text),
            expected(&[("0000:00:01.0", Some(1)), ("0000:01:00.0", Some(1)), ("0000:02:00.0", None)])
        );
    }

    #[test]
    fn members_below_the_first_one_belong_to_its_group() {
        let text = "IOMMU group 1:[8086:1901] 00:01.0 PCI bridge: Intel\n              [10de:1401] 01:00.0 VGA\nIOMMU group 2:[8086:1912] 00:02.0 VGA\n03:00.0 Ethernet\n";
        assert_eq!(
            groups(text),
            expected(&[
                ("0000:00:01.0", Some(1)),
                ("0000:00:02.0", Some(2)),
                ("0000:01:00.0", Some(1)),
                ("0000:03:00.0", None)
            ])
        );
    }

    #[test]
    fn group_inside_lspci_belongs_to_the_device_above() {
        let text = "00:00.0 Host bridge: Intel\n\tLatency: 0\n\tIOMMU group: 1\n\n00:01.0 PCI bridge: Intel\n\tFlags: bus master, IRQ 122, IOMMU group 2\n\n00:02.0 VGA: Intel\n";
        assert_eq!(
            groups(text),
            expected(&[("0000:00:00.0", Some(1)), ("0000:00:01.0", Some(2)), ("0000:00:02.0", None)])
        );
    }

    #[test]
    fn paths_are_read_in_all_forms() {
        let rows = expected(&[("0000:00:00.0", Some(3)), ("0001:00:00.1", Some(4))]);
        for text in [
            "/sys/kernel/iommu_groups/3/devices/0000:00:00.0\n/sys/kernel/iommu_groups/4/devices/0001:00:00.1\n",
            "/sys/kernel/iommu_groups/3/devices:\n0000:00:00.0\n\n/sys/kernel/iommu_groups/4/devices:\n0001:00:00.1\n",
            "/sys/kernel/iommu_groups/3/devices:\ntotal 0\nlrwxrwxrwx 1 root root 0 Jan  1 00:00 0000:00:00.0 -> ../../../../devices/pci0000:00/0000:00:00.0\n/sys/kernel/iommu_groups/4/devices/0001:00:00.1\n",
            "/sys/bus/pci/devices/0000:00:00.0/iommu_group -> ../../../kernel/iommu_groups/3\n/sys/bus/pci/devices/0001:00:00.1/iommu_group -> ../../../kernel/iommu_groups/4\n",
        ] {
            assert_eq!(groups(text), rows, "{text}");
        }
    }

    #[test]
    fn lists_tables_and_trees_of_any_make_are_read() {
        let rows =
            expected(&[("0000:00:01.0", Some(1)), ("0000:00:02.0", Some(2)), ("0000:01:00.0", Some(1))]);
        for text in [
            "* IOMMU Group 1:\n  * 00:01.0 PCI bridge\n  * 01:00.0 VGA\n* IOMMU Group 2:\n  * 00:02.0 VGA\n",
            "- **Group 1**\n  - `00:01.0` PCI bridge\n  - `01:00.0` VGA\n- **Group 2**\n  - `00:02.0` VGA\n",
            "Group 1: 00:01.0, 01:00.0\nGroup 2: 00:02.0\n",
            "| Group | Device | Name |\n|---|---|---|\n| 1 | 00:01.0 | PCI bridge |\n| 1 | `01:00.0` | VGA |\n| 2 | 00:02.0 | VGA |\n",
            "│ class    │ id           │ iommugroup │ vendor │\n╞══════════╪══════════════╪════════════╪════════╡\n\
             │ 0x060400 │ 0000:00:01.0 │          1 │ 0x8086 │\n├──────────┼──────────────┼────────────┼────────┤\n\
             │ 0x030000 │ 0000:01:00.0 │          1 │ 0x10de │\n├──────────┼──────────────┼────────────┼────────┤\n\
             │ 0x030000 │ 0000:00:02.0 │          2 │ 0x8086 │\n",
            "/sys/kernel/iommu_groups/\n├── 1\n│   ├── devices\n│   │   ├── 0000:00:01.0 -> ../../../../devices/pci0000:00/0000:00:01.0\n\
             │   │   └── 0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n│   └── type\n└── 2\n    └── devices\n\
             \u{20}       └── 0000:00:02.0 -> ../../../../devices/pci0000:00/0000:00:02.0\n",
        ] {
            assert_eq!(groups(text), rows, "{text}");
            assert_eq!(super::super::recognise(text.as_bytes()), Some(SourceKind::Groups), "{text}");
        }
    }

    #[test]
    fn lines_of_lspci_below_a_member_are_read() {
        let facts = from_groups(
            "IOMMU group 1\n\t01:00.0 VGA compatible controller: NVIDIA [10de:1401] (rev a1)\n\t\tSubsystem: ASUS [1043:8555]\n\
             \t\tKernel driver in use: vfio-pci\n\t\tKernel modules: nouveau\n\t01:00.1 Audio device [0403]: NVIDIA [10de:0fba]\n",
            "test",
        );
        let [vga, audio] = &facts.functions.values().collect::<Vec<_>>()[..] else { panic!("{facts:?}") };
        assert_eq!(vga.driver.known().map(DriverName::as_str), Some("vfio-pci"));
        assert_eq!(vga.class, Fact::Known(ClassCode::from_bits(0x03_0000)));
        assert_eq!(vga.subsystem.known().map(ToString::to_string).as_deref(), Some("1043:8555"));
        assert_eq!((vga.modules.len(), &audio.driver), (1, &Fact::Absent));
        assert_eq!(audio.group, Fact::Known(GroupId(1)));
    }

    #[test]
    fn title_gives_class_id_and_revision() {
        let facts = from_groups(
            "IOMMU Group 1 01:00.0 VGA compatible controller [0300]: NVIDIA GM206 [GeForce GTX 960] [10de:1401] (rev a1)\n",
            "test",
        );
        assert!(facts.interrupts.is_unreadable() && facts.usage.block.is_unreadable());
        let function = facts.functions.into_values().next().expect("a function");
        assert_eq!(function.id.known().map(ToString::to_string).as_deref(), Some("10de:1401"));
        assert_eq!(function.class, Fact::Known(ClassCode::from_bits(0x03_0000)));
        assert_eq!(function.revision, Fact::Known(0xa1));
        assert_eq!(function.printed_name.as_deref(), Some("NVIDIA GM206 [GeForce GTX 960]"));
    }
}
