//! A function's title: `03:04.0 SCSI storage controller [0100]: Adaptec AIC-7850 [9004:5078] (rev 03)`.

use super::LspciFunction;
use crate::pci::{AddressError, PciAddress, PciId};

/// Longest name that is kept, in characters.
const MAX_NAME: usize = 256;

/// Reads a title; none if the line does not start like one.
pub(super) fn parse(line: &str, number: usize) -> Option<Result<LspciFunction, AddressError>> {
    // A shell pattern of groups that matched none, and so all functions: there is no group.
    let pattern = ["IOMMU Group * ", "IOMMU group * "];
    // A mark of code may open the first line of a listing.
    let line = line.trim_start_matches('`');
    let line = pattern.iter().find_map(|head| line.strip_prefix(head)).unwrap_or(line);
    let (address, rest) = line.split_once(' ').unwrap_or((line, ""));
    if !looks_like_address(address) || !rest.contains(':') {
        return None;
    }
    let address = match address.parse::<PciAddress>() {
        Ok(address) => address,
        Err(error) => return Some(Err(error)),
    };
    let mut function = LspciFunction::new(address, number);
    read_description(&mut function, rest.trim());
    Some(Ok(function))
}

/// `bb:dd.f` or `dddd:bb:dd.f`, with the digits that lspci prints; domains have four or more.
fn looks_like_address(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let Some((head, function)) = text.split_once('.') else { return false };
    let mut parts = head.rsplit(':');
    let two = |part: Option<&str>| part.is_some_and(|part| part.len() == 2 && hex(part));
    two(parts.next())
        && two(parts.next())
        && parts.next().is_none_or(|domain| (4..=8).contains(&domain.len()) && hex(domain))
        && parts.next().is_none()
        && function.len() == 1
        && hex(function)
}

fn read_description(function: &mut LspciFunction, text: &str) {
    let (class, device) = text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""));
    let (class_name, class_id) = split_id(class);
    // `Class 0600` where lspci has no list of names (`lib/names.c: format_name`).
    let class_id = class_id.or_else(|| class.strip_prefix("Class "));
    function.class = class_id.or(Some(class)).filter(|id| id.len() == 4).and_then(hex16);
    function.class_name =
        if function.class.is_some() && class_id.is_none_or(|_| class_name.starts_with("Class ")) {
            None
        } else {
            name(class_name)
        };
    let device = read_qualifiers(function, device);
    (function.id, function.name) = read_id(device);
}

/// Takes `(rev 03)` and `(prog-if 00 [Normal decode])` off the end; also used for a line that holds nothing else,
/// where a mailer wrapped the title.
pub(super) fn read_qualifiers<'a>(function: &mut LspciFunction, text: &'a str) -> &'a str {
    let mut rest = text.trim_end();
    if let Some(at) = rest.rfind("(prog-if ") {
        function.interface = rest.get(at + 9..at + 11).and_then(hex8);
        rest = rest.get(..at).unwrap_or(rest).trim_end();
    }
    if let Some(at) = rest.rfind("(rev ") {
        function.revision = rest.get(at + 5..at + 7).and_then(hex8);
        rest = rest.get(..at).unwrap_or(rest).trim_end();
    }
    rest
}

/// Ids and name of `Vendor Device [vvvv:dddd]`, of a bare `vvvv:dddd`, or of a name alone.
pub(super) fn read_id(text: &str) -> (Option<PciId>, Option<String>) {
    let (text_name, id) = split_id(text);
    let id = id.filter(|id| id.len() == 9).and_then(|id| id.parse().ok());
    if id.is_some() {
        return (id, name(text_name));
    }
    match unnamed(text) {
        Some(id) => (Some(id), None),
        None => (None, name(text)),
    }
}

/// What lspci prints of what its list of names does not have: `8086:0154` (`-n`), `Device 8086:0154`, `Unknown device
/// 8086:0154` before 3.0, and `Vendor 1234 Device 1111` (`lib/names.c: format_name_pair`).
fn unnamed(text: &str) -> Option<PciId> {
    let bare = ["Device ", "Unknown device "].iter().find_map(|head| text.strip_prefix(head)).unwrap_or(text);
    let id = match bare.strip_prefix("Vendor ").and_then(|rest| rest.split_once(" Device ")) {
        Some((vendor, device)) => format!("{vendor}:{device}"),
        None => bare.to_owned(),
    };
    if id.len() == 9 { id.parse().ok() } else { None }
}

/// Splits `name [id]`.
fn split_id(text: &str) -> (&str, Option<&str>) {
    match text.trim_end().strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((name, id)) => (name.trim_end(), Some(id)),
        None => (text, None),
    }
}

fn name(text: &str) -> Option<String> {
    let text: String = text.trim().chars().take(MAX_NAME).collect();
    (!text.is_empty()).then_some(text)
}

fn hex8(text: &str) -> Option<u8> {
    u8::from_str_radix(text, 16).ok()
}

fn hex16(text: &str) -> Option<u16> {
    if text.bytes().all(|b| b.is_ascii_hexdigit()) { u16::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(line: &str) -> LspciFunction {
        parse(line, 1).expect("a title").expect("an address")
    }

    #[test]
    fn names_and_numbers_are_told_apart() {
        let both = title(
            "00:02.0 VGA compatible controller [0300]: Intel UHD [Xe] [8086:5917] (rev 07) (prog-if 00 [VGA controller])",
        );
        assert_eq!(both.class, Some(0x0300));
        assert_eq!(both.class_name.as_deref(), Some("VGA compatible controller"));
        assert_eq!(both.id, Some(PciId { vendor: 0x8086, device: 0x5917 }));
        assert_eq!(both.name.as_deref(), Some("Intel UHD [Xe]"));
        assert_eq!((both.revision, both.interface), (Some(7), Some(0)));

        let numbers = title("10000:e1:00.0 0108: 144d:a808");
        assert_eq!((numbers.class, numbers.class_name, numbers.name), (Some(0x0108), None, None));
        assert_eq!(numbers.address.domain(), 0x10000);
        assert_eq!(numbers.id, Some(PciId { vendor: 0x144d, device: 0xa808 }));

        let names = title(
            "81:00.0 Audio device: Creative Labs EMU20k2 [Sound Blaster X-Fi Titanium Series] (rev 03)",
        );
        assert_eq!((names.class, names.id, names.revision), (None, None, Some(3)));
        assert_eq!(names.name.as_deref(), Some("Creative Labs EMU20k2 [Sound Blaster X-Fi Titanium Series]"));
    }

    #[test]
    fn what_has_no_name_is_read_by_its_number() {
        for line in [
            "00:02.0 Class 0300: Device 1234:1111 (rev 02)",
            "00:02.0 Class 0300: Unknown device 1234:1111 (rev 02)",
            "00:02.0 0300: Vendor 1234 Device 1111 (rev 02)",
            "IOMMU Group * 00:02.0 Class 0300: Device 1234:1111 (rev 02)",
            "`IOMMU Group * 00:02.0 Class 0300: Device 1234:1111 (rev 02)",
        ] {
            let title = title(line);
            assert_eq!((title.class, title.class_name, title.name), (Some(0x0300), None, None), "{line}");
            assert_eq!((title.id, title.revision), (Some(PciId { vendor: 0x1234, device: 0x1111 }), Some(2)));
        }
    }

    #[test]
    fn lines_that_only_resemble_titles_are_passed_over() {
        for line in
            ["00:00.0", "12:30 x: y", "0:1.0 a: b", "00:01.0-[01]--", "IOMMU group 1: x", "123:00:01.0 a: b"]
        {
            assert!(parse(line, 1).is_none(), "{line}");
        }
        assert_eq!(parse("00:3f.0 x: y", 1), Some(Err(AddressError::OutOfRange(crate::pci::Part::Device))));
    }
}
