//! Changes of an input, as fuzzers make them without looking at coverage: bits, bytes, runs, words, splices.

/// A generator of numbers that is the same everywhere: xorshift64* (Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    pub(crate) fn pick<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        let at = self.below(list.len());
        list.get(at)
    }

    /// A range of `bytes`, of at most `longest`.
    fn range(&mut self, bytes: &[u8], longest: usize) -> std::ops::Range<usize> {
        let start = self.below(bytes.len() + 1);
        let length = self.below((bytes.len() - start).min(longest) + 1);
        start..start + length
    }
}

/// Bytes at which signs, widths and encodings turn.
const EDGES: [u8; 12] = [0, 1, 0x0a, 0x20, 0x2d, 0x30, 0x3a, 0x7f, 0x80, 0xc3, 0xfe, 0xff];

/// An input made of one or two of `corpus`, `words` and chance, of at most `longest` bytes.
pub(crate) fn mutate(chance: &mut Chance, corpus: &[Vec<u8>], words: &[Vec<u8>], longest: usize) -> Vec<u8> {
    let mut bytes = chance.pick(corpus).cloned().unwrap_or_default();
    for _ in 0..=chance.below(6) {
        change(chance, &mut bytes, corpus, words);
    }
    bytes.truncate(longest);
    bytes
}

fn change(chance: &mut Chance, bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[Vec<u8>]) {
    let at = chance.below(bytes.len() + 1);
    match chance.below(9) {
        0 => {
            let bit = chance.below(8);
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
        }
        1 => {
            let edge = chance.pick(&EDGES).copied().unwrap_or(0);
            bytes.get_mut(at).into_iter().for_each(|byte| *byte = edge);
        }
        2 => drop(bytes.drain(chance.range(bytes, 64))),
        3 => {
            let run = bytes.get(chance.range(bytes, 256)).unwrap_or_default().to_vec();
            bytes.splice(at..at, run);
        }
        4 | 5 => {
            let word = chance.pick(words).cloned().unwrap_or_default();
            let end = if chance.below(2) == 0 { at } else { bytes.len().min(at + word.len()) };
            bytes.splice(at..end, word);
        }
        6 => {
            let other = chance.pick(corpus).cloned().unwrap_or_default();
            let part = other.get(chance.range(&other, 512)).unwrap_or_default().to_vec();
            bytes.splice(at..at, part);
        }
        7 => {
            let filler = chance.pick(&EDGES).copied().unwrap_or(0);
            bytes.splice(at..at, vec![filler; chance.below(40)]);
        }
        _ => bytes.truncate(at),
    }
}
