//! Takes in an input piece by piece with memory that does not grow with it.
//!
//! What is no longer than [`SHORT`] is kept and read line by line. Of a longer input only a window of a few megabytes
//! is kept: its beginning and its end are read line by line, because people write there what it is about, and of the
//! rest the lines with a word of the gate; what surrounds the first of those is read as well. UTF-16 is converted on
//! the way.

use super::gate::Gate;
use super::lines::{Cursor, ENDLESS, Endless, Lines, Place, Prose, Span};
use super::scan::Scan;
use super::text::{self, Decoder, LINE_CAP};

/// Longest input that is read line by line, in bytes; longer ones go through the gate.
const SHORT: usize = 2 << 20;
/// How much of each end of a long input is read line by line, in bytes.
const EDGE: usize = 64 * 1024;
/// How many words of the gate have their surroundings read as well.
const SURROUNDINGS: usize = 256;
/// How many lines before and after a word are its surroundings.
const AROUND: usize = 10;
/// How much of a long input is searched at a time, in bytes.
const STEP: usize = 4 << 20;
/// How much is kept back at the end of what has come, in bytes: the end of the input may be in it.
const HELD: usize = EDGE + 2 * ENDLESS;
/// How much of what is done with is kept, in bytes: lines before a word are read from it.
const HISTORY: usize = 2 * ENDLESS;
/// More than any word of the gate is long, in bytes.
const WORD: usize = 64;

/// An input that comes piece by piece.
#[derive(Debug)]
pub struct Feed<'a> {
    scan: &'a mut Scan,
    input: usize,
    decoder: Decoder,
    window: Vec<u8>,
    /// What separates the lines, once enough has come to know it.
    separator: Option<u8>,
    /// Up to where lines are counted.
    counted: Cursor,
    /// Up to where everything was looked at.
    done: usize,
    is_long: bool,
    surroundings: usize,
}

impl<'a> Feed<'a> {
    pub(super) fn new(scan: &'a mut Scan, name: &str) -> Self {
        let input = scan.begin(name);
        Self {
            scan,
            input,
            decoder: Decoder::default(),
            window: Vec::new(),
            separator: None,
            counted: Cursor { at: 0, place: Place { input, line: 1 } },
            done: 0,
            is_long: false,
            surroundings: SURROUNDINGS,
        }
    }

    /// Takes in the next piece.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(STEP) {
            self.decoder.decode(piece, &mut self.window);
            let waits = if self.is_long { self.done + STEP + HELD } else { SHORT };
            if self.window.len() > waits {
                self.search(Reach::SoFar);
            }
        }
    }

    /// Ends the input.
    pub fn end(mut self) {
        self.decoder.finish(&mut self.window);
        if self.is_long || self.window.len() > SHORT {
            self.search(Reach::End);
            return;
        }
        let lines = Lines { bytes: &self.window, separator: text::line_separator(&self.window) };
        let start = Cursor { at: 0, place: Place { input: self.input, line: 1 } };
        self.scan.look_at_lines(&lines, start, lines.bytes.len(), Endless::Read);
    }

    fn search(&mut self, reach: Reach) {
        let window = std::mem::take(&mut self.window);
        let separator = *self.separator.get_or_insert_with(|| text::line_separator(&window));
        let lines = Lines { bytes: &window, separator };
        if !self.is_long {
            self.is_long = true;
            let cursor = self.scan.look_at_lines(&lines, self.counted, EDGE, Endless::Stop);
            (self.counted, self.done) = (cursor, cursor.at);
        }
        let limit = match reach {
            Reach::SoFar => window.len().saturating_sub(HELD),
            Reach::End => tail(&lines),
        };
        self.pass_gate(&lines, limit);
        match reach {
            Reach::SoFar => {
                self.count_to(&lines, limit);
                self.done = self.done.max(limit);
                self.window = window;
                self.forget(limit.saturating_sub(HISTORY));
            }
            Reach::End => {
                let from = self.place_of(&lines, limit.max(self.done));
                self.scan.look_at_lines(&lines, from, window.len(), Endless::Stop);
            }
        }
    }

    /// Looks at the lines with a word of the gate that begins before `limit`.
    fn pass_gate(&mut self, lines: &Lines<'_>, limit: usize) {
        let mut gate =
            Gate::new(lines.bytes.get(..(limit + WORD).min(lines.bytes.len())).unwrap_or_default());
        while let Some(position) = gate.next_from(self.done).filter(|position| *position < limit) {
            let start = lines.start(position).unwrap_or(position);
            let cursor = self.place_of(lines, start.max(self.done));
            if self.surroundings > 0 {
                self.surroundings -= 1;
                let before = lines.before(cursor, self.done, AROUND);
                let to = lines.after(position, AROUND);
                let after = self.scan.look_at_lines(lines, before, to, Endless::Stop);
                if after.at > position {
                    (self.counted, self.done) = (after, after.at);
                    continue;
                }
            }
            let end = lines.end(position);
            // Of an endless line only the neighbourhood of the word is read.
            let near = cursor.at.max(position.saturating_sub(LINE_CAP / 2));
            let far = end.unwrap_or(lines.bytes.len()).min(position + LINE_CAP / 2);
            self.scan.look_at(lines, Span { start: near, end: far, place: cursor.place }, Prose::Ignored);
            self.done = if Some(far) == end { far + 1 } else { far };
        }
    }

    /// The cursor of the line that is reached at `at`.
    fn place_of(&mut self, lines: &Lines<'_>, at: usize) -> Cursor {
        self.count_to(lines, at);
        let back = lines.count(at, self.counted.at);
        let line = self.counted.place.line.saturating_sub(back);
        Cursor { at, place: Place { line, input: self.input } }
    }

    fn count_to(&mut self, lines: &Lines<'_>, at: usize) {
        if at > self.counted.at {
            self.counted.place.line += lines.count(self.counted.at, at);
            self.counted.at = at;
        }
    }

    /// Lets go of what lies before `cut`.
    fn forget(&mut self, cut: usize) {
        let cut = cut.min(self.done).min(self.counted.at);
        self.window.drain(..cut);
        self.done -= cut;
        self.counted.at -= cut;
    }
}

/// How far an input is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    SoFar,
    End,
}

/// Where the end begins that is read line by line: at the end of all when the last line is endless.
fn tail(lines: &Lines<'_>) -> usize {
    let all = lines.bytes.len();
    lines.start(all.saturating_sub(EDGE)).filter(|tail| all - tail <= 2 * ENDLESS).unwrap_or(all)
}
