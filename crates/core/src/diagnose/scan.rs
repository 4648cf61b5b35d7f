//! Looks at lines and keeps what the catalogue knows of them: per row, how often it was seen, and the first lines.
//!
//! Memory does not grow with the input: a row keeps at most [`HITS_PER_ROW`] lines, a line at most a few hundred
//! characters. Regular expressions are compiled when their row is first needed.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use super::catalogue::{self, Pattern};
use super::held::Held;
use super::lines::{Cursor, Endless, Lines, Place, Prose, Span};
use super::scripts::{Part, Scripts};
use super::source::{self, Patch};
use super::supposed::{self, Examples};
use super::text::{self, LINE_CAP, OVERLAP};
use super::told::{self, Told};
use super::words::Words;
use crate::pci::PciAddress;

/// Lines kept of each row.
const HITS_PER_ROW: usize = 24;

/// Rough text form of a PCI address, with or without domain.
const ADDRESS: &str = r"(?:\b[0-9a-f]{4,8}:)?\b[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b";

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
    examples: Examples,
    scripts: Scripts,
    held: Held,
    patch: Patch,
}

impl Scan {
    /// What was seen of the row called `id`.
    pub(super) fn seen(&self, id: &str) -> Option<&Seen> {
        if id == catalogue::HELD && !self.held.is_so() {
            return None;
        }
        catalogue::index_of(id).and_then(|index| self.seen.get(&index))
    }

    /// All lines that were kept.
    pub(super) fn hits(&self) -> impl Iterator<Item = &Hit> {
        self.seen.values().flat_map(|seen| &seen.hits)
    }

    /// Begins one more input and says which it is.
    pub(super) fn begin(&mut self, name: &str) -> usize {
        self.names.push(name.to_owned());
        self.patch = Patch::default();
        self.names.len() - 1
    }

    /// Looks at every line of `lines` from `from` on that begins before `to`, and says where the next one begins. It
    /// stops before a line that is endless, if it is told that there may be such.
    pub(super) fn look_at_lines(
        &mut self,
        lines: &Lines<'_>,
        from: Cursor,
        to: usize,
        endless: Endless,
    ) -> Cursor {
        let mut cursor = from;
        while cursor.at < to.min(lines.bytes.len()) {
            let end = match (lines.end(cursor.at), endless) {
                (Some(end), _) => end,
                (None, Endless::Stop) => break,
                (None, Endless::Read) => lines.end_of_all(cursor.at),
            };
            self.look_at(lines, Span { start: cursor.at, end, place: cursor.place }, Prose::Heard);
            cursor.at = end + 1;
            cursor.place.line += 1;
        }
        cursor
    }

    /// Looks at one line, in pieces if it is long.
    pub(super) fn look_at(&mut self, lines: &Lines<'_>, span: Span, prose: Prose) {
        let mut start = span.start;
        loop {
            let end = span.end.min(start + LINE_CAP);
            let window = Window::load(lines, start, end);
            self.match_window(lines, &window, Span { start, end, place: span.place }, prose);
            if end >= span.end {
                return;
            }
            start = end - OVERLAP;
        }
    }

    fn match_window(&mut self, lines: &Lines<'_>, window: &Window, span: Span, prose: Prose) {
        let prose = prose == Prose::Heard;
        let raw = lines.bytes.get(span.start..span.end).unwrap_or_default();
        let is_example = prose && self.examples.take(&window.own);
        let is_code = prose && self.patch.take(raw) || source::is_print_call(&window.own);
        let part = if prose { self.scripts.take(&window.own) } else { Part::Outside };
        if supposed::is_echo(&window.own)
            || is_code
            || is_example
            || part == Part::Comment
            || prose && supposed::is_explained(&window.own)
        {
            return;
        }
        if prose {
            self.held.look_at(&window.own);
        }
        let mut rows: Vec<usize> = anchors_in(&window.own).into_iter().map(|(row, _)| row).collect();
        let boundary = window.boundary_rows();
        rows.extend(boundary);
        rows.sort_unstable();
        rows.dedup();
        let logged = text::is_logged(&window.own) || text::is_listed(raw, &window.own);
        let told = prose && !logged && part == Part::Outside;
        let said = told && !supposed::is_no_report(&window.own);
        if told {
            for row in self.told.hear(&window.own) {
                self.note(row, lines, span, Found::default());
            }
        }
        let reported = rows.iter().any(|row| catalogue::is_retold(*row)).then(|| window.reported()).flatten();
        let matching = |row: usize| {
            let heard = reported.as_ref().filter(|_| catalogue::is_retold(row)).unwrap_or(window);
            catalogue::ALL.get(row).and_then(|pattern| heard.matches(row, pattern))
        };
        let prepared = rows
            .iter()
            .copied()
            .filter(|row| catalogue::is_prepared(*row))
            .any(|row| matching(row).is_some());
        for row in rows {
            if catalogue::is_said(row) && !said || prepared && catalogue::is_subject(row) {
                continue;
            }
            if let Some(found) = matching(row) {
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
    fn load(lines: &Lines<'_>, start: usize, end: usize) -> Self {
        let mut window = Self { own: lines.normalised(start, end), ..Self::default() };
        if let Some(previous) = lines.previous(start) {
            let previous = lines.normalised(previous, start - 1);
            if text::may_continue(&previous, &window.own) {
                window.before = joinable(previous);
            }
        }
        let mut last = window.own.clone();
        let mut at = end;
        for _ in 0..3 {
            let Some((next_start, next_end)) = lines.next(at) else { break };
            let next = lines.normalised(next_start, next_end);
            if !text::may_continue(&last, &next) {
                break;
            }
            let part = joinable(next.clone());
            window.after.push(' ');
            window.after.push_str(&part);
            window.glued.push_str(&part);
            at = next_end;
            last = next;
        }
        window.own = joinable(window.own);
        window
    }

    /// The same without the sentences of this line that report nothing, if it has any.
    fn reported(&self) -> Option<Self> {
        told::sentences(&self.own).any(supposed::is_no_report).then(|| Self {
            before: self.before.clone(),
            own: told::sentences(&self.own).filter(|sentence| !supposed::is_no_report(sentence)).collect(),
            after: self.after.clone(),
            glued: self.glued.clone(),
        })
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

/// A line as another one can be joined to it.
fn joinable(line: String) -> String {
    text::without_soft_break(&line).map(str::to_owned).unwrap_or(line)
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
    words: Words,
    /// Of each anchor.
    rows: Vec<usize>,
}

static ANCHORS: LazyLock<Anchors> = LazyLock::new(|| {
    let rows = catalogue::ALL.iter().enumerate();
    Anchors {
        words: Words::new(catalogue::ALL.iter().flat_map(|pattern| pattern.anchors.iter().copied())),
        rows: rows.flat_map(|(row, pattern)| pattern.anchors.iter().map(move |_| row)).collect(),
    }
});

/// Rows of which an anchor lies in `text`, each with where the anchor starts and ends.
fn anchors_in(text: &str) -> Vec<(usize, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    ANCHORS.words.each(text, |anchor, range| {
        found.extend(ANCHORS.rows.get(anchor).map(|row| (*row, range)));
    });
    found
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

pub(super) fn build(pattern: &str) -> Result<Regex, regex::Error> {
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
