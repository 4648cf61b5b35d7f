//! The gate before everything else: which lines of a long log are worth a look at all.
//!
//! Short inputs (a paste, a forum post) are read line by line. In long ones a set of words is searched with the SIMD
//! multi-pattern search of `aho_corasick::packed` (Teddy), which runs at gigabytes a second as long as hits are
//! rare; only lines with a hit are decoded and matched. Words have at least four bytes and are rare in ordinary
//! kernel logs: Teddy compares four-byte fingerprints, and a shorter or commoner word slows the whole set tenfold.
//! They need not cover every anchor, only the lines: nearly all that matter name VFIO, QEMU, the IOMMU or Xen, and
//! what stands around the first hits and at both ends of the log is read in full (`scan`). The logs of
//! `tests/diagnosis_messages.rs` are read through the gate as well to show it. Case matters here.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, packed};

/// The words; see the module's introduction.
pub(super) const WORDS: &[&str] = &[
    "vfio",
    "no space",
    "lacking",
    "could not acc",
    "VFIO",
    "IOMM",
    "iommu",
    "DMAR",
    "AMD-V",
    "libx",
    "pirq",
    "pciba",
    "XEN)",
    "RMRR",
    "apparm",
    "Flags m",
    "INTX",
    "IVRS",
    "nobody",
    "LOCK",
    "D3co",
    "Vf's",
    "mdev",
    "avc:",
    "MAP_DMA",
    "IOAS",
    "qemu",
    "hostd",
    "BOOTFB",
    "efifb",
    "memtype",
    "giving up",
    "header type",
    "has fallen",
    "BAR ",
    "INV_TIM",
    "PAGE_FAULT",
    "Time-out",
    "not viable",
    "PCI dev",
    "SR-IOV",
    "VFs ",
    "igrat",
    "ocked mem",
    "bus/usb",
    "libusb",
    "PCI slots",
    "hotplugging",
    "ediated",
    "xl create",
    "map irq",
    "delivery mode",
    "ockdown",
    "NVRM",
    "Link Act",
    "fault addr",
    "AER:",
    "Disabling IRQ",
    "TASK ERR",
    "OT_DEVICE",
    "bus reset",
    "INTR-REM",
    "qi_submit",
    "Link Down",
];

/// The words that a long log is searched for before anything in it is decoded: what a comparison with another search
/// program has to look for.
#[must_use]
pub fn words() -> &'static [&'static str] {
    WORDS
}

/// How many words go into one search; more of them make it slower than a second search is.
const TEDDY_LIMIT: usize = 32;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_long_enough_to_be_fast_and_pass_the_gate() {
        for word in WORDS {
            assert!(word.len() >= 4, "{word}");
            let text = format!("some text before {word} and after");
            assert_eq!(Gate::new(text.as_bytes()).next_from(0), Some(17), "{word}");
        }
        assert_eq!(Gate::new(b"nothing of interest").next_from(0), None);
    }
}
