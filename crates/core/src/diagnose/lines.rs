//! Lines in a piece of a log: where they begin and end, and which number they have.
//!
//! Searches for a line's end or beginning are bounded by [`ENDLESS`], so that a log without line feeds costs no more
//! than one with.

use super::text::{self, LINE_CAP};

/// Length from which a line of a long input counts as endless, in bytes.
pub(super) const ENDLESS: usize = 128 * 1024;

/// Where a line stands: which input, and which line of it, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) line: u64,
}

/// A line that is reached: where it begins, and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) at: usize,
    pub(super) place: Place,
}

/// A piece of a line, and the line's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) place: Place,
}

/// What to do at a line that is endless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endless {
    /// Read it all.
    Read,
    /// Stop before it.
    Stop,
}

/// Whether what people say is heard on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prose {
    Heard,
    Ignored,
}

/// A piece of a log, and what separates its lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) separator: u8,
}

impl Lines<'_> {
    /// Where the line at `position` begins; nothing if that is too far back.
    pub(super) fn start(&self, position: usize) -> Option<usize> {
        let floor = position.saturating_sub(ENDLESS);
        let before = self.bytes.get(floor..position).unwrap_or_default();
        match memchr::memrchr(self.separator, before) {
            Some(found) => Some(floor + found + 1),
            None => (floor == 0).then_some(0),
        }
    }

    /// Where the line at `position` ends; nothing if that is too far on.
    pub(super) fn end(&self, position: usize) -> Option<usize> {
        let ceiling = self.bytes.len().min(position.saturating_add(ENDLESS));
        let after = self.bytes.get(position..ceiling).unwrap_or_default();
        match memchr::memchr(self.separator, after) {
            Some(found) => Some(position + found),
            None => (ceiling == self.bytes.len()).then_some(ceiling),
        }
    }

    /// Where the line at `position` ends, however far that is.
    pub(super) fn end_of_all(&self, position: usize) -> usize {
        let after = self.bytes.get(position..).unwrap_or_default();
        memchr::memchr(self.separator, after).map_or(self.bytes.len(), |found| position + found)
    }

    /// How many lines end in a range.
    pub(super) fn count(&self, from: usize, to: usize) -> u64 {
        let between = self.bytes.get(from..to).unwrap_or_default();
        memchr::memchr_iter(self.separator, between).count() as u64
    }

    /// The cursor some lines before `cursor`, not before `floor`.
    pub(super) fn before(&self, cursor: Cursor, floor: usize, lines: usize) -> Cursor {
        let mut before = cursor;
        for _ in 0..lines {
            let Some(end) = before.at.checked_sub(1).filter(|end| *end > floor) else { break };
            let Some(start) = self.start(end).filter(|start| *start >= floor) else { break };
            let line = before.place.line.saturating_sub(1);
            before = Cursor { at: start, place: Place { line, ..before.place } };
        }
        before
    }

    /// Where the line some lines after the one at `position` ends, or the last one before an endless line.
    pub(super) fn after(&self, position: usize, lines: usize) -> usize {
        let mut end = position;
        for _ in 0..=lines {
            let Some(next) = self.end((end + 1).min(self.bytes.len())) else { break };
            end = next;
        }
        end
    }

    /// Where the line before the one that begins at `start` begins, if `start` is the beginning of a line.
    pub(super) fn previous(&self, start: usize) -> Option<usize> {
        let end = start.checked_sub(1)?;
        if self.bytes.get(end) != Some(&self.separator) {
            return None;
        }
        let floor = end.saturating_sub(LINE_CAP);
        let before = self.bytes.get(floor..end)?;
        Some(memchr::memrchr(self.separator, before).map_or(floor, |found| floor + found + 1))
    }

    /// Begin and end of the line after the one that ends at `end`, as much of it as is matched at once.
    pub(super) fn next(&self, end: usize) -> Option<(usize, usize)> {
        if self.bytes.get(end) != Some(&self.separator) {
            return None;
        }
        let start = end + 1;
        let ceiling = self.bytes.len().min(start + LINE_CAP);
        let after = self.bytes.get(start..ceiling)?;
        Some((start, memchr::memchr(self.separator, after).map_or(ceiling, |found| start + found)))
    }

    /// A piece of a line as it is matched.
    pub(super) fn normalised(&self, start: usize, end: usize) -> String {
        text::normalise(self.bytes.get(start..end.min(start + LINE_CAP)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_and_ends_are_found_and_endless_lines_are_not_searched() {
        let text = [b"one\ntwo\n".as_slice(), &vec![b'x'; 3 * ENDLESS]].concat();
        let lines = Lines { bytes: &text, separator: b'\n' };
        assert_eq!((lines.start(5), lines.end(5)), (Some(4), Some(7)));
        assert_eq!((lines.start(8 + 2 * ENDLESS), lines.end(8)), (None, None));
        assert_eq!(lines.previous(4), Some(0));
        assert_eq!(lines.next(3), Some((4, 7)));
        assert_eq!(lines.end_of_all(8), text.len());
    }
}
