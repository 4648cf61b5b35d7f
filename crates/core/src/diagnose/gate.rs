//! The gate before everything else: which lines of a long log are worth a look at all.
//!
//! Short inputs (a paste, a forum post) are read line by line. In long ones a set of short words is searched with
//! the SIMD multi-pattern search of `aho_corasick::packed` (Teddy), which runs at gigabytes a second as long as
//! hits are rare; only lines with a hit are decoded and matched. Every anchor of a catalogue row that can point to
//! a fault contains one of the words (a test proves it). Case matters here: anchors are written in the case in
//! which programs print them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, packed};

/// The words; see the module's introduction.
pub(super) const WORDS: &[&str] = &[];

/// Most patterns that one Teddy search takes.
const TEDDY_LIMIT: usize = 64;

enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

static SEARCHES: LazyLock<Vec<Search>> = LazyLock::new(|| {
    WORDS
        .chunks(TEDDY_LIMIT)
        .filter_map(|words| {
            let packed = packed::Config::new().builder().extend(words).build().map(Search::Packed);
            // Processors without the needed vector instructions get the ordinary automaton.
            packed.or_else(|| AhoCorasick::new(words).ok().map(Search::Automaton))
        })
        .collect()
});

/// Walks over the positions of gate words in a text, in order, skipping what the caller has dealt with.
pub(super) struct Gate<'a> {
    text: &'a [u8],
    next: Vec<Option<usize>>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, next: SEARCHES.iter().map(|search| find(search, text, 0)).collect() }
    }

    /// The first position at or after `from` where a word begins.
    pub(super) fn next_from(&mut self, from: usize) -> Option<usize> {
        for (search, next) in SEARCHES.iter().zip(&mut self.next) {
            if next.is_some_and(|position| position < from) {
                *next = find(search, self.text, from);
            }
        }
        self.next.iter().filter_map(|next| *next).min()
    }
}

fn find(search: &Search, text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let found = match search {
        Search::Packed(packed) => packed.find(rest).map(|hit| hit.start()),
        Search::Automaton(automaton) => automaton.find(rest).map(|hit| hit.start()),
    };
    found.map(|start| from + start)
}
