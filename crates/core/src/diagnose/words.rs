//! Looks for a few thousand words at once, ignoring ASCII case, without an automaton.
//!
//! Most inputs are a paste: what counts is how soon the search can begin. Building an Aho-Corasick automaton of all
//! anchors took over half of the time of a diagnosis, so words are put in order of their first two bytes instead (one
//! pass to count, one to place), and each position of the text is compared with those of its two bytes, first by up to
//! four bytes at once. It searches only lines that the gate let through ([`super::gate`] is for long logs). Time is
//! linear in the text: no word is longer than a line, and how many begin alike is fixed.

use std::ops::Range;

/// Buckets: seven bits of each of two bytes. Words are ASCII; other text falls into some bucket and matches nothing.
const BUCKETS: usize = 1 << 14;

/// A word and what it stands for.
#[derive(Clone, Copy, Debug)]
struct Word {
    /// Its first four bytes in lower case, the first one lowest, zero where it is shorter.
    head: u32,
    /// The bits of `head` that count.
    mask: u32,
    text: &'static str,
    /// Position in the list that it was built from.
    index: usize,
}

/// Words, ready to be looked for.
#[derive(Debug)]
pub(super) struct Words {
    /// Where each bucket begins in `words`; one more for the end.
    starts: Vec<u16>,
    words: Vec<Word>,
}

impl Words {
    /// Puts `literals` in order. Literals of a single byte, and any past the first 65 535, are left out.
    pub(super) fn new(literals: impl Iterator<Item = &'static str>) -> Self {
        let unsorted: Vec<Word> = literals
            .enumerate()
            .filter(|(_, text)| text.len() > 1)
            .take(usize::from(u16::MAX))
            .map(|(index, text)| {
                let (head, mask) = head_of(text.as_bytes());
                Word { head, mask, text, index }
            })
            .collect();
        let mut starts = vec![0_u16; BUCKETS + 1];
        for word in &unsorted {
            if let Some(count) = starts.get_mut(bucket_of(word.head) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut words = unsorted.clone();
        let mut next = starts.clone();
        for word in unsorted {
            if let Some(place) = next.get_mut(bucket_of(word.head)) {
                if let Some(slot) = words.get_mut(usize::from(*place)) {
                    *slot = word;
                }
                *place += 1;
            }
        }
        Self { starts, words }
    }

    /// Calls `found` with each word in `text`: its position in the list and where it lies, in the order of the text.
    pub(super) fn each(&self, text: &str, mut found: impl FnMut(usize, Range<usize>)) {
        let bytes = text.as_bytes();
        for at in 0..bytes.len().saturating_sub(1) {
            let rest = bytes.get(at..).unwrap_or_default();
            let (head, _) = head_of(rest);
            let bucket = bucket_of(head);
            let (Some(start), Some(end)) = (self.starts.get(bucket), self.starts.get(bucket + 1)) else {
                continue;
            };
            for word in self.words.get(usize::from(*start)..usize::from(*end)).unwrap_or_default() {
                if head & word.mask == word.head
                    && rest
                        .get(..word.text.len())
                        .is_some_and(|same| same.eq_ignore_ascii_case(word.text.as_bytes()))
                {
                    found(word.index, at..at + word.text.len());
                }
            }
        }
    }
}

/// The first four bytes in lower case, and a mask of those that there are.
fn head_of(bytes: &[u8]) -> (u32, u32) {
    let mut head = [0; 4];
    let mut mask = [0; 4];
    for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(bytes) {
        *head = byte.to_ascii_lowercase();
        *mask = 0xff;
    }
    (u32::from_le_bytes(head), u32::from_le_bytes(mask))
}

/// The bucket of a word or a text by its first two bytes.
fn bucket_of(head: u32) -> usize {
    let [first, second, ..] = head.to_le_bytes();
    (usize::from(first & 0x7f) << 7) | usize::from(second & 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[&str] = &["VM", "vfio", "vfio-pci", "x", "group", "Viable", "io"];

    fn found(text: &str) -> Vec<(&'static str, Range<usize>)> {
        let mut all = Vec::new();
        Words::new(WORDS.iter().copied()).each(text, |index, range| all.push((WORDS[index], range)));
        all
    }

    #[test]
    fn words_are_found_in_any_case_and_inside_each_other() {
        assert_eq!(found("VFIO-PCI"), [("vfio", 0..4), ("vfio-pci", 0..8), ("io", 2..4)]);
        assert_eq!(found("not viable, vm"), [("Viable", 4..10), ("VM", 12..14)]);
        assert_eq!(found("vfi"), []);
    }

    #[test]
    fn text_that_is_not_ascii_matches_nothing_and_shifts_nothing() {
        assert_eq!(found("größe group"), [("group", 8..13)]);
        assert_eq!(found("\u{1f436}"), []);
        assert_eq!(found(""), []);
    }

    #[test]
    fn finds_what_searching_for_each_word_by_itself_finds() {
        let text = "vfio-pci 0000:01:00.0: group io IOIO vfiovmvm VMVFIO-PCIX";
        let lower = text.to_ascii_lowercase();
        let mut all: Vec<usize> = Vec::new();
        Words::new(WORDS.iter().copied()).each(text, |index, _| all.push(index));
        for (index, word) in WORDS.iter().enumerate().filter(|(_, word)| word.len() > 1) {
            let expected = (0..lower.len()).filter(|at| lower[*at..].starts_with(&word.to_ascii_lowercase()));
            assert_eq!(all.iter().filter(|found| **found == index).count(), expected.count(), "{word}");
        }
    }
}
