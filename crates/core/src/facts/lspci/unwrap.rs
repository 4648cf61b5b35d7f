//! Joining what a mailer wrapped.
//!
//! lspci never wraps; mailers do, near column 72, and begin the rest of a line at the margin. Inside a function's
//! description a line at the margin that is neither a title nor a row of a dump is such a rest, if its first word would
//! indeed not have fit. Rows of a dump are left to [`super::hex`], which knows how many bytes they lack.

use super::lines::Line;
use super::{MAX_LINE, hex, title};

/// The shortest line, without its indentation, that a mailer is believed to have wrapped at, the next word counted:
/// format=flowed (RFC 3676 §4.2) and its kin wrap at 72 to 78 columns, of which indentation takes up to 16.
const SHORTEST_WRAPPED: usize = 56;

/// Joins wrapped lines; every other line passes as it is.
pub(super) fn unwrapped<'a>(lines: impl Iterator<Item = Line<'a>>) -> impl Iterator<Item = Line<'a>> {
    let mut pending: Option<(Line<'a>, Part)> = None;
    // One turn more than there are lines, for the last one pending.
    lines.map(Some).chain([None]).filter_map(move |next| {
        let Some(next) = next else { return pending.take().map(|(line, _)| line) };
        let before = pending.as_ref().map_or(Part::Other, |(_, part)| *part);
        let part = Part::of(&next, before);
        if part == Part::Rest
            && let Some((line, _)) = pending.as_mut()
            && goes_on(line, before, &next)
        {
            let joined = line.text.to_mut();
            joined.push(' ');
            joined.push_str(&next.text);
            return None;
        }
        let part = if part == Part::Rest { Part::Other } else { part };
        pending.replace((next, part)).map(|(line, _)| line)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Title,
    /// An indented line of a function's description.
    Field,
    /// A line at the margin within a description: wrapped, or talk.
    Rest,
    /// Anything else.
    Other,
}

impl Part {
    fn of(line: &Line<'_>, before: Self) -> Self {
        if line.text.is_empty() {
            Self::Other
        } else if line.indented {
            if before == Self::Other { Self::Other } else { Self::Field }
        } else if title::parse(&line.text, line.number).is_some() {
            Self::Title
        } else if before == Self::Other || hex::parse(&line.text).is_some() {
            Self::Other
        } else {
            Self::Rest
        }
    }
}

/// Whether `next` is the rest of `line`. A text that lost its indentation altogether has fields (`Subsystem: …`) at the
/// margin, too: these begin lines of their own.
fn goes_on(line: &Line<'_>, part: Part, next: &Line<'_>) -> bool {
    let word = next.text.split(' ').next().map_or(0, str::len);
    let long = line.text.len() + 1 + word >= SHORTEST_WRAPPED;
    let bounded = line.text.len() + next.text.len() < MAX_LINE;
    long && bounded && (part == Part::Field || !next.text.contains(": "))
}

#[cfg(test)]
mod tests {
    use super::super::lines::lines;
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        unwrapped(lines(text.as_bytes())).map(|line| line.text.into_owned()).collect()
    }

    #[test]
    fn rests_at_the_margin_are_joined() {
        let text = "0c:00.0 Ethernet controller: Intel Corporation Ethernet Controller\nI225-V (rev 03)\n\
                    \tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop-\nParErr- DisINTx+\n\
                    \tKernel driver in use: igc\n";
        assert_eq!(
            texts(text),
            [
                "0c:00.0 Ethernet controller: Intel Corporation Ethernet Controller I225-V (rev 03)",
                "Control: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- DisINTx+",
                "Kernel driver in use: igc",
                "",
            ]
        );
    }

    #[test]
    fn talk_lost_indentation_and_dumps_are_not() {
        for text in [
            "00:01.0 a: b\n\tKernel driver in use: vfio-pci\nuser@host:~$ dmesg",
            "00:1c.0 PCI bridge [0604]: Intel Corporation Sunrise Point-H Root Port\nSubsystem: Dell Device\nFlags: fast devsel",
            "00:01.0 a: b\n00: 86 80 01 02 00 00 00 00 00 00 00 06 00 00 00 00 pcilib: read failed\n00 00 80 00",
            "a line of talk that is long enough to have been wrapped by a mailer\nand its rest",
        ] {
            assert_eq!(texts(text), text.lines().map(str::trim_start).collect::<Vec<_>>(), "{text}");
        }
    }
}
