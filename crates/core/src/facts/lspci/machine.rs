//! The forms of lspci for programs, put into the form for people: records of `-vmm` and lines of `-mm` (`lspci(8)`, "Machine
//! readable output"). They tell less: neither regions nor capabilities.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::lines::{Line, lines};
use crate::pci::PciAddress;

/// The most keys of a record that are read; lspci has fourteen, of which `Module` may come again.
const MOST_KEYS: usize = 64;

/// Whether `line`, without quoting and indentation, is one that only these forms have: the first of a record, or a line of
/// `-mm`.
pub(in crate::facts) fn is_machine_line(line: &str) -> bool {
    slot(line).is_some() || fields(line).is_some()
}

/// Whether `line` is a further one of a record.
pub(in crate::facts) fn is_record_key(line: &str) -> bool {
    const KEYS: [&str; 13] = [
        "Class",
        "Vendor",
        "Device",
        "SVendor",
        "SDevice",
        "PhySlot",
        "Rev",
        "ProgIf",
        "Driver",
        "Module",
        "NUMANode",
        "IOMMUGroup",
        "DTNode",
    ];
    line.split_once(':').is_some_and(|(key, _)| KEYS.contains(&key))
}

/// The text as lspci would have put it for people, line for line; the text itself if it holds no such form.
pub(super) fn as_shown(text: &[u8]) -> Cow<'_, [u8]> {
    if !lines(text).any(|line| is_machine_line(&line.text)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut record: Vec<Line<'_>> = Vec::new();
    for line in lines(text) {
        let begins = slot(&line.text).is_some();
        if begins || !(is_record_key(&line.text) && (1..MOST_KEYS).contains(&record.len())) {
            show_record(&record, &mut shown);
            record.clear();
        }
        if begins || !record.is_empty() {
            record.push(line);
        } else if let Some(fields) = fields(&line.text) {
            show_line(&fields, &mut shown);
        } else {
            shown.push_str(if line.indented { "\t" } else { "" });
            shown.push_str(&line.text);
            shown.push('\n');
        }
    }
    show_record(&record, &mut shown);
    Cow::Owned(shown.into_bytes())
}

/// `Slot:` and an address, the first line of a record.
fn slot(line: &str) -> Option<&str> {
    let slot = line.strip_prefix("Slot:")?.trim();
    slot.parse::<PciAddress>().ok().map(|_| slot)
}

/// `00:01.0 "PCI bridge" "Intel Corporation" "Root Port" -rf0 -p00 "Dell" "Root Port"`.
fn fields(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let (slot, mut rest) = line.split_once(' ')?;
    slot.parse::<PciAddress>().ok()?;
    if !rest.trim_start().starts_with('"') {
        return None;
    }
    let mut found = vec![Cow::Borrowed(slot)];
    while found.len() < MOST_KEYS {
        rest = rest.trim_start();
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.char_indices().scan(false, |escaped, (at, c)| {
                let ends = c == '"' && !*escaped;
                *escaped = c == '\\' && !*escaped;
                Some((at, ends))
            });
            // A line that was cut off ends within a field.
            let end = end.into_iter().find_map(|(at, ends)| ends.then_some(at)).unwrap_or(quoted.len());
            let (field, after) = quoted.split_at_checked(end)?;
            found.push(if field.contains('\\') {
                Cow::Owned(unescaped(field))
            } else {
                Cow::Borrowed(field)
            });
            rest = after.strip_prefix('"').unwrap_or(after);
        } else if let Some(word) = rest.split_ascii_whitespace().next() {
            found.push(Cow::Borrowed(word));
            rest = rest.get(word.len()..).unwrap_or_default();
        } else {
            break;
        }
    }
    Some(found)
}

fn unescaped(field: &str) -> String {
    let mut escaped = false;
    let keep = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    field.chars().filter(keep).collect()
}

/// What the title of a function and its subsystem are made of.
#[derive(Default)]
struct Told<'t> {
    class: &'t str,
    vendor: &'t str,
    device: &'t str,
    revision: Option<&'t str>,
    interface: Option<&'t str>,
    subsystem_vendor: &'t str,
    subsystem_device: &'t str,
}

fn show_line(fields: &[Cow<'_, str>], shown: &mut String) {
    let option = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name));
    let mut plain = fields.iter().filter(|field| !field.starts_with("-r") && !field.starts_with("-p"));
    let mut next = || plain.next().map_or("", |field| &**field);
    let slot = next();
    let (class, vendor, device) = (next(), next(), next());
    let told = Told {
        class,
        vendor,
        device,
        revision: option("-r"),
        interface: option("-p"),
        subsystem_vendor: next(),
        subsystem_device: next(),
    };
    show(slot, &told, shown);
}

fn show_record(record: &[Line<'_>], shown: &mut String) {
    let Some(slot) = record.first().and_then(|line| slot(&line.text)) else { return };
    let values = |name: &'static str| {
        record.iter().filter_map(move |line| {
            let (key, value) = line.text.split_once(':')?;
            (key == name).then_some(value.trim())
        })
    };
    let value = |name| values(name).next();
    let told = Told {
        class: value("Class").unwrap_or_default(),
        vendor: value("Vendor").unwrap_or_default(),
        device: value("Device").unwrap_or_default(),
        revision: value("Rev"),
        interface: value("ProgIf"),
        subsystem_vendor: value("SVendor").unwrap_or_default(),
        subsystem_device: value("SDevice").unwrap_or_default(),
    };
    let before = shown.len();
    show(slot, &told, shown);
    let rows = [
        ("PhySlot", "Physical Slot"),
        ("NUMANode", "NUMA node"),
        ("IOMMUGroup", "IOMMU group"),
        ("Driver", "Kernel driver in use"),
    ];
    for (key, label) in rows {
        if let Some(value) = value(key) {
            // Writing to a string cannot fail.
            let _ = writeln!(shown, "\t{label}: {value}");
        }
    }
    let modules: Vec<&str> = values("Module").collect();
    if !modules.is_empty() {
        let _ = writeln!(shown, "\tKernel modules: {}", modules.join(", "));
    }
    // As many lines as the record has, so that the numbers of those below stay.
    let made = shown.get(before..).unwrap_or_default().matches('\n').count();
    shown.extend(std::iter::repeat_n('\n', record.len().saturating_sub(made)));
}

fn show(slot: &str, told: &Told<'_>, shown: &mut String) {
    let class = match named(told.class) {
        ("", Some(id)) => id.to_owned(),
        (name, Some(id)) => format!("{name} [{id}]"),
        (name, None) => name.to_owned(),
    };
    let _ = write!(shown, "{slot} {class}: {}", pair(told.vendor, told.device));
    for (label, value) in [("rev", told.revision), ("prog-if", told.interface)] {
        if let Some(value) = value {
            let _ = write!(shown, " ({label} {value})");
        }
    }
    shown.push('\n');
    if !(told.subsystem_vendor.is_empty() && told.subsystem_device.is_empty()) {
        let _ = writeln!(shown, "\tSubsystem: {}", pair(told.subsystem_vendor, told.subsystem_device));
    }
}

/// Vendor and device as lspci puts them into one.
fn pair(vendor: &str, device: &str) -> String {
    match (named(vendor), named(device)) {
        (("", Some(vendor)), ("", Some(device))) => format!("{vendor}:{device}"),
        ((vendor, Some(vendor_id)), (device, Some(device_id))) => {
            format!("{vendor} {device} [{vendor_id}:{device_id}]")
        }
        _ => format!("{vendor} {device}"),
    }
}

/// `Intel Corporation [8086]` (`-nn`), `8086` (`-n`) or `Intel Corporation`: the name, and the number.
fn named(value: &str) -> (&str, Option<&str>) {
    let is_id = |text: &str| text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id(value) {
        return ("", Some(value));
    }
    let numbered = value.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    match numbered.filter(|(_, id)| is_id(id)) {
        Some((name, id)) => (name.trim_end(), Some(id)),
        None => (value, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8_lossy(&as_shown(text.as_bytes())).into_owned()
    }

    #[test]
    fn records_are_put_as_for_people() {
        let record = "Slot:\t00:1f.2\nClass:\tSATA controller [0106]\nVendor:\tIntel Corporation [8086]\n\
                      Device:\tQ170 [a102]\nSVendor:\tDell [1028]\nSDevice:\tDevice [06b9]\nRev:\t31\nProgIf:\t01\n\
                      Driver:\tahci\nModule:\tahci\nModule:\tintel-rst\nIOMMUGroup:\t7\n";
        let people = "00:1f.2 SATA controller [0106]: Intel Corporation Q170 [8086:a102] (rev 31) (prog-if 01)\n\
                      \tSubsystem: Dell Device [1028:06b9]\n\tIOMMU group: 7\n\tKernel driver in use: ahci\n\
                      \tKernel modules: ahci, intel-rst\n";
        assert_eq!(shown(record).trim_end(), people.trim_end());
        let quoted: String = record.lines().map(|line| format!("> {line}\n")).collect();
        assert_eq!(shown(&quoted).trim_end(), people.trim_end());
        let two = shown(&format!("{record}\ntalk\n{record}"));
        assert_eq!(two.lines().nth(13), Some("talk"));
    }

    #[test]
    fn lines_are_put_as_for_people() {
        assert_eq!(
            shown("0000:01:00.0 \"0200\" \"8086\" \"1521\" -r01 \"1028\" \"0602\"\n"),
            "0000:01:00.0 0200: 8086:1521 (rev 01)\n\tSubsystem: 1028:0602\n\n"
        );
        assert_eq!(
            shown("01:00.0 \"VGA\" \"A \\\"B\\\"\" \"C [D]\" \"\" \"\""),
            "01:00.0 VGA: A \"B\" C [D]\n"
        );
        assert_eq!(shown("01:00.0 \"VGA\" \"A"), "01:00.0 VGA: A \n");
    }

    #[test]
    fn other_text_stays() {
        for text in ["Slot: 3\n", "00:1f.0 ISA bridge: \"x\"\n", "Class: x\nDevice: y\n"] {
            assert!(matches!(as_shown(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }
}
