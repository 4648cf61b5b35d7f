//! Listings of groups whose lines a mailer wrapped: the rest of a member's line, with its ids, stands on the next one.

use std::borrow::Cow;

use super::groups::{device_line, group_line};
use super::line::unquoted;
use crate::pci::PciId;

/// The most lines that a mailer made of one.
const MOST_RESTS: usize = 2;

/// `text` with each member on one line; lines that went into another stay as empty ones, so that numbers stay.
pub(super) fn rejoined(text: &str) -> Cow<'_, str> {
    let lines: Vec<&str> = text.lines().collect();
    let mut joined: Option<String> = None;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let rests = rests(&lines, at);
        if rests > 0 && joined.is_none() {
            joined = Some(lines.iter().take(at).flat_map(|line| [line, "\n"]).collect());
        }
        if let Some(joined) = &mut joined {
            joined.push_str(line.trim_end());
            for rest in lines.iter().skip(at + 1).take(rests) {
                joined.push(' ');
                joined.push_str(unquoted(rest).trim());
            }
            joined.extend(std::iter::repeat_n('\n', rests + 1));
        }
        at += rests + 1;
    }
    joined.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// How many lines below `at` belong to it: it names a member and no ids, and the last of them does.
fn rests(lines: &[&str], at: usize) -> usize {
    let whole = |line: &str| line.split_ascii_whitespace().any(is_id);
    let Some(line) = lines.get(at).map(|line| unquoted(line)) else { return 0 };
    if whole(line) || !is_member(line.trim_start()) {
        return 0;
    }
    for (rests, line) in (1..=MOST_RESTS).zip(lines.iter().skip(at + 1)) {
        let text = unquoted(line).trim_start();
        if text.is_empty() || group_line(text).is_some() || device_line(text).is_some() {
            return 0;
        }
        if whole(text) {
            return rests;
        }
    }
    0
}

/// `00:01.0 PCI bridge [0604]: …`, perhaps behind its group; only `lspci -nn` prints ids, and it prints the class's first.
fn is_member(text: &str) -> bool {
    let text = group_line(text).map_or(text, |(_, rest)| rest);
    device_line(text).is_some_and(|(_, rest)| rest.contains("]: ") || rest.ends_with("]:"))
}

/// `[8086:1901]`.
fn is_id(word: &str) -> bool {
    word.strip_prefix('[')
        .and_then(|word| word.strip_suffix(']'))
        .is_some_and(|id| id.parse::<PciId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::from_groups;
    use super::*;

    #[test]
    fn rests_go_to_their_member() {
        let text = "> IOMMU Group 3:\n>  00:01.0 PCI bridge [0604]: Maker Name that\n> is long Port 1 [8086:2f02] (rev 02)\n> IOMMU Group 4 00:02.0 PCI bridge [0604]:\n> Maker Port\n> 2 [8086:2f04]\n";
        let facts = from_groups(text, "test");
        let rows: Vec<_> =
            facts.functions.values().map(|f| (f.id.known(), f.revision.known(), f.group.known())).collect();
        let group = super::super::GroupId;
        assert_eq!(
            rows,
            [
                (Some(&PciId { vendor: 0x8086, device: 0x2f02 }), Some(&2), Some(&group(3))),
                (Some(&PciId { vendor: 0x8086, device: 0x2f04 }), None, Some(&group(4))),
            ]
        );
        assert_eq!(rejoined(text).lines().count(), text.lines().count());
    }

    #[test]
    fn whole_lines_stay() {
        for text in [
            "IOMMU Group 1:\n\t00:01.0 PCI bridge: a\n\t00:02.0 b: c [8086:1901]\n",
            "IOMMU Group 1 00:01.0 PCI bridge [0604]: a\nGroup 2: x [8086:1901]\n",
            "00:01.0 PCI bridge [0604]: a [8086:1901]\nrest [8086:1902]\n",
        ] {
            assert!(matches!(rejoined(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
