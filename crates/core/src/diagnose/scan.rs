//! Reads inputs and keeps what the catalogue knows of them: per row, how often it was seen, and the first lines.
//!
//! Memory does not grow with the input: a row keeps at most [`HITS_PER_ROW`] lines, a line at most a few hundred
//! characters. Regular expressions are compiled when their row is first needed.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder};

use super::catalogue::{self, Pattern};
use super::gate::Gate;
use super::text::{self, LINE_CAP, OVERLAP};
use super::told::Told;
use crate::pci::PciAddress;

/// Longest input that is read line by line, in bytes; longer ones go through the gate.
const SHORT: usize = 2 * 1024 * 1024;

/// How much of each end of a long input is read line by line, in bytes: there people write what it is about.
const EDGE: usize = 64 * 1024;

/// How many words of the gate have their surroundings read as well.
const SURROUNDINGS: usize = 256;

/// How many lines before and after a word are its surroundings.
const AROUND: usize = 10;

/// Length from which a line of a long input counts as endless, in bytes.
const ENDLESS: usize = 2 * EDGE;

/// Lines kept of each row.
const HITS_PER_ROW: usize = 24;

/// Rough text form of a PCI address, with or without domain.
const ADDRESS: &str = r"(?:\b[0-9a-f]{4,8}:)?\b[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b";

/// Where a line stands: which input, which line, counted over all inputs so that lines can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) line: u64,
}

/// A line on which a row matched.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) place: Place,
    pub(super) text: String,
    pub(super) captures: BTreeMap<&'static str, String>,
    pub(super) devices: Vec<PciAddress>,
}

/// All that was seen of one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) hits: Vec<Hit>,
    pub(super) last: Option<Place>,
}

/// What was seen of all rows, and the names of the inputs.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) names: Vec<String>,
    seen: BTreeMap<usize, Seen>,
    told: Told,
}

impl Scan {
    /// What was seen of the row called `id`.
    pub(super) fn seen(&self, id: &str) -> Option<&Seen> {
        catalogue::index_of(id).and_then(|index| self.seen.get(&index))
    }

    /// Reads one more input.
    pub(super) fn read(&mut self, name: &str, bytes: &[u8]) {
        let input = self.names.len();
        self.names.push(name.to_owned());
        let bytes = text::decode(bytes);
        let lines = Lines { bytes: &bytes, separator: text::line_separator(&bytes) };
        if bytes.len() <= SHORT { self.read_all(input, &lines) } else { self.read_gated(input, &lines) }
    }

    fn read_all(&mut self, input: usize, lines: &Lines<'_>) {
        let mut window = Window::default();
        self.read_lines(
            lines,
            &mut window,
            Cursor { at: 0, place: Place { input, line: 1 } },
            lines.bytes.len(),
        );
    }

    /// Reads every line that begins at `from` or later and before `to`, and says where the next one begins. In a
    /// long log it stops before a line that is endless.
    fn read_lines(&mut self, lines: &Lines<'_>, window: &mut Window, from: Cursor, to: usize) -> Cursor {
        let mut cursor = from;
        let is_short = lines.bytes.len() <= SHORT;
        while cursor.at < to.min(lines.bytes.len()) {
            let end = lines.end(cursor.at);
            if !is_short && end - cursor.at > ENDLESS {
                break;
            }
            self.look_at(lines, window, Span { start: cursor.at, end, place: cursor.place }, true);
            cursor.at = end + 1;
            cursor.place.line += 1;
        }
        cursor
    }

    /// Both ends and what surrounds the first words of the gate are read like a short log, of the rest only the
    /// lines with a word.
    fn read_gated(&mut self, input: usize, lines: &Lines<'_>) {
        let mut gate = Gate::new(lines.bytes);
        let mut window = Window::default();
        let start = Cursor { at: 0, place: Place { input, line: 1 } };
        let mut cursor = self.read_lines(lines, &mut window, start, EDGE);
        let tail = lines.tail();
        let mut surroundings = SURROUNDINGS;
        let mut from = cursor.at;
        while let Some(position) = gate.next_from(from).filter(|position| *position < tail) {
            cursor = lines.advance(cursor, lines.start(position));
            if surroundings > 0 {
                surroundings -= 1;
                let before = lines.before(cursor, from);
                let after = self.read_lines(lines, &mut window, before, lines.after(position));
                if after.at > position {
                    cursor = after;
                    from = after.at;
                    continue;
                }
            }
            let end = lines.end(position);
            // Of an endless line only the neighbourhood of the word is read.
            let near = cursor.at.max(position.saturating_sub(LINE_CAP / 2));
            let far = end.min(position + LINE_CAP / 2);
            self.look_at(lines, &mut window, Span { start: near, end: far, place: cursor.place }, false);
            from = if far < end { far } else { end + 1 };
        }
        let rest = lines.advance(cursor, tail.max(from));
        self.read_lines(lines, &mut window, rest, lines.bytes.len());
    }

    fn look_at(&mut self, lines: &Lines<'_>, window: &mut Window, span: Span, prose: bool) {
        let mut start = span.start;
        loop {
            let end = span.end.min(start + LINE_CAP);
            window.load(lines, start, end);
            self.match_window(lines, window, Span { start, end, place: span.place }, prose);
            if end >= span.end {
                return;
            }
            start = end - OVERLAP;
        }
    }

    fn match_window(&mut self, lines: &Lines<'_>, window: &Window, span: Span, prose: bool) {
        let mut rows: Vec<usize> = anchors_in(&window.own).into_iter().map(|(row, _)| row).collect();
        let boundary = window.boundary_rows();
        rows.extend(boundary);
        rows.sort_unstable();
        rows.dedup();
        let logged = text::is_logged(&window.own);
        if prose && !logged {
            for row in self.told.hear(&window.own) {
                self.note(row, lines, span, Found::default());
            }
        }
        for row in rows {
            if catalogue::is_said(row) && (!prose || logged) {
                continue;
            }
            let Some(pattern) = catalogue::ALL.get(row) else { continue };
            if let Some(found) = window.matches(row, pattern) {
                self.note(row, lines, span, found);
            }
        }
    }

    fn note(&mut self, row: usize, lines: &Lines<'_>, span: Span, found: Found) {
        let seen = self.seen.entry(row).or_default();
        seen.count += 1;
        seen.last = Some(span.place);
        if seen.hits.len() < HITS_PER_ROW {
            let raw = lines.bytes.get(span.start..span.end).unwrap_or_default();
            seen.hits.push(Hit {
                place: span.place,
                text: text::shown(raw),
                captures: found.captures,
                devices: found.devices,
            });
        }
    }
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    place: Place,
}

/// A line that is reached: where it begins, and its place.
#[derive(Clone, Copy)]
struct Cursor {
    at: usize,
    place: Place,
}

struct Lines<'a> {
    bytes: &'a [u8],
    separator: u8,
}

impl Lines<'_> {
    fn start(&self, position: usize) -> usize {
        let before = self.bytes.get(..position).unwrap_or_default();
        memchr::memrchr(self.separator, before).map_or(0, |found| found + 1)
    }

    fn end(&self, position: usize) -> usize {
        let after = self.bytes.get(position..).unwrap_or_default();
        memchr::memchr(self.separator, after).map_or(self.bytes.len(), |found| position + found)
    }

    fn count(&self, from: usize, to: usize) -> u64 {
        let between = self.bytes.get(from..to).unwrap_or_default();
        memchr::memchr_iter(self.separator, between).count() as u64
    }

    /// The cursor of the line that begins at `to`, which must not lie before `from`.
    fn advance(&self, from: Cursor, to: usize) -> Cursor {
        if to <= from.at {
            return from;
        }
        let line = from.place.line + self.count(from.at, to);
        Cursor { at: to, place: Place { line, ..from.place } }
    }

    /// The cursor a few lines before `cursor`, not before `floor`.
    fn before(&self, cursor: Cursor, floor: usize) -> Cursor {
        let mut before = cursor;
        for _ in 0..AROUND {
            let Some(end) = before.at.checked_sub(1).filter(|end| *end > floor) else { break };
            let start = self.start(end);
            if start < floor || end - start > ENDLESS {
                break;
            }
            before = Cursor { at: start, place: Place { line: before.place.line - 1, ..before.place } };
        }
        before
    }

    /// Where the end begins that is read line by line: at the end of all when the last line is endless.
    fn tail(&self) -> usize {
        let tail = self.start(self.bytes.len().saturating_sub(EDGE));
        if self.bytes.len() - tail > ENDLESS { self.bytes.len() } else { tail }
    }

    /// Where the lines that are read with the one at `position` end.
    fn after(&self, position: usize) -> usize {
        let mut end = self.end(position);
        for _ in 0..AROUND {
            end = self.end((end + 1).min(self.bytes.len()));
        }
        end
    }

    fn normalised(&self, start: usize, end: usize) -> String {
        text::normalise(self.bytes.get(start..end.min(start + LINE_CAP)).unwrap_or_default())
    }
}

/// A line with what may belong to it before and after, as matched.
#[derive(Default)]
struct Window {
    before: String,
    own: String,
    after: String,
    glued: String,
}

#[derive(Default)]
struct Found {
    captures: BTreeMap<&'static str, String>,
    devices: Vec<PciAddress>,
}

impl Window {
    fn load(&mut self, lines: &Lines<'_>, start: usize, end: usize) {
        self.own = lines.normalised(start, end);
        self.before.clear();
        self.after.clear();
        self.glued.clear();
        let line_start = lines.start(start);
        if line_start == start && start > 0 {
            let previous = lines.normalised(lines.start(start - 1), start - 1);
            if text::may_continue(&previous, &self.own) {
                self.before = previous;
            }
        }
        let mut last = self.own.clone();
        let mut at = end;
        for _ in 0..3 {
            if at >= lines.bytes.len() || lines.bytes.get(at) != Some(&lines.separator) {
                break;
            }
            let next_end = lines.end(at + 1);
            let next = lines.normalised(at + 1, next_end);
            if !text::may_continue(&last, &next) {
                break;
            }
            self.after.push(' ');
            self.after.push_str(&next);
            self.glued.push_str(&next);
            at = next_end;
            last = next;
        }
    }

    /// Rows whose anchor begins in this line and ends in the next.
    fn boundary_rows(&self) -> Vec<usize> {
        if self.after.is_empty() {
            return Vec::new();
        }
        let tail = tail(&self.own, 80);
        let mut rows = Vec::new();
        for head in [head(&self.after, 80), head(&self.glued, 80)] {
            let joined = format!("{tail}{head}");
            for (row, range) in anchors_in(&joined) {
                if range.start < tail.len() && range.end > tail.len() {
                    rows.push(row);
                }
            }
        }
        rows
    }

    fn matches(&self, row: usize, pattern: &Pattern) -> Option<Found> {
        if pattern.regex.is_empty() {
            let devices = self.devices_near();
            return Some(Found { captures: BTreeMap::new(), devices });
        }
        let regex = regex_of(row)?;
        if let Some(found) = self.try_text(regex, &self.own) {
            return Some(found);
        }
        if !self.after.is_empty() {
            for rest in [&self.after, &self.glued] {
                if let Some(found) = self.try_text(regex, &format!("{}{rest}", self.own)) {
                    return Some(found);
                }
            }
        }
        if self.before.is_empty() {
            return None;
        }
        self.try_text(regex, &format!("{} {}{}", self.before, self.own, self.after))
    }

    fn try_text(&self, regex: &'static Regex, text: &str) -> Option<Found> {
        // ASCII case folding keeps every byte in its place, so spans of the folded text hold in the text itself.
        let folded = text.to_ascii_lowercase();
        let matched = regex.captures(folded.as_bytes())?;
        let mut captures = BTreeMap::new();
        for name in regex.capture_names().flatten() {
            if let Some(value) = matched.name(name) {
                let own = text.as_bytes().get(value.range()).unwrap_or_default();
                captures.insert(name, String::from_utf8_lossy(own).chars().take(80).collect());
            }
        }
        let mut devices: Vec<PciAddress> = ["device", "device2"]
            .iter()
            .filter_map(|name| captures.get(name).and_then(|text: &String| text.parse().ok()))
            .collect();
        if devices.is_empty() {
            devices = self.devices_near();
        }
        Some(Found { captures, devices })
    }

    /// Addresses in the line, or else in what it continues.
    fn devices_near(&self) -> Vec<PciAddress> {
        let own = addresses(&self.own);
        if !own.is_empty() || self.before.is_empty() {
            return own;
        }
        addresses(&self.before)
    }
}

fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or(text)
}

fn head(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// PCI addresses in a text, at most four.
fn addresses(text: &str) -> Vec<PciAddress> {
    static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| build(ADDRESS).ok());
    let Some(regex) = REGEX.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    for matched in regex.find_iter(text.to_ascii_lowercase().as_bytes()).take(8) {
        if let Ok(text) = std::str::from_utf8(matched.as_bytes())
            && let Ok(address) = text.parse::<PciAddress>()
            && !found.contains(&address)
            && found.len() < 4
        {
            found.push(address);
        }
    }
    found
}

struct Anchors {
    automaton: AhoCorasick,
    rows: Vec<usize>,
}

// `None` cannot happen: the literals are a constant far below the builder's limits, and a test builds them.
static ANCHORS: LazyLock<Option<Anchors>> = LazyLock::new(|| {
    let mut literals = Vec::new();
    let mut rows = Vec::new();
    for (row, pattern) in catalogue::ALL.iter().enumerate() {
        for anchor in pattern.anchors {
            literals.push(*anchor);
            rows.push(row);
        }
    }
    let automaton =
        AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&literals);
    automaton.ok().map(|automaton| Anchors { automaton, rows })
});

/// Rows of which an anchor lies in `text`, each with where the anchor starts and ends.
fn anchors_in(text: &str) -> Vec<(usize, std::ops::Range<usize>)> {
    let Some(anchors) = ANCHORS.as_ref() else { return Vec::new() };
    anchors
        .automaton
        .find_overlapping_iter(text)
        .filter_map(|found| anchors.rows.get(found.pattern().as_usize()).map(|row| (*row, found.range())))
        .collect()
}

static REGEXES: LazyLock<Vec<OnceLock<Option<Regex>>>> =
    LazyLock::new(|| catalogue::ALL.iter().map(|_| OnceLock::new()).collect());

fn regex_of(row: usize) -> Option<&'static Regex> {
    let pattern = catalogue::ALL.get(row)?;
    REGEXES.get(row)?.get_or_init(|| compile(pattern).ok()).as_ref()
}

/// The regular expression of a row, with `%D` and `%B` replaced, for text in lower case. Messages are ASCII, and
/// expressions over bytes of one case compile many times faster than those over Unicode or both cases.
pub(super) fn compile(pattern: &Pattern) -> Result<Regex, regex::Error> {
    build(&lower_case(&pattern.regex.replace("%D", &format!("(?P<device>{ADDRESS})")).replace("%B", ADDRESS)))
}

/// `pattern` in lower case but for escapes (`\S`) and names of groups (`(?P<name>`).
fn lower_case(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        out.push(character.to_ascii_lowercase());
        if character == '\\' {
            out.extend(characters.next());
        } else if out.ends_with("(?p") {
            out.pop();
            out.push('P');
            out.extend(characters.by_ref().take_while(|next| *next != '>'));
            out.push('>');
        }
    }
    out
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).size_limit(4 << 20).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_in_lower_case_keeps_its_escapes_and_group_names() {
        assert_eq!(lower_case(r"BAR (?P<bar>\S+)[A-F]\W"), r"bar (?P<bar>\S+)[a-f]\W");
        assert_eq!(lower_case(r"(?:A|(?P<Own>B))"), r"(?:a|(?P<Own>b))");
    }
}
