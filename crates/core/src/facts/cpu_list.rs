//! Numbers of processors, as the kernel lists them.

use std::fmt;

/// Entries that are read of a list; `CONFIG_NR_CPUS` is 8192 at most (arch/x86/Kconfig: NR_CPUS_RANGE_END).
const MOST_RANGES: usize = 8192;

/// The largest number that a processor can have.
const LAST: u32 = 8191;

/// Processors in the kernel's form: ranges such as `0-3,8`, nothing for none (`lib/vsprintf.c: bitmap_list_string`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuList(Vec<(u32, u32)>);

impl CpuList {
    /// Reads a list; none for a text that is no list, or that has numbers beyond 8191.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self::default());
        }
        if text.split(',').count() > MOST_RANGES {
            return None;
        }
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
            (first <= last && last <= LAST).then_some((first, last))
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether it lists none, as of a node that has memory alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|(first, last)| last - first + 1).fold(0, u32::saturating_add)
    }

    /// The numbers, in the order of the list.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_round_trip() {
        for (text, count) in [("0-3,8", 5), ("0", 1), ("", 0), ("1,3,5-6", 4)] {
            let list = CpuList::parse(&format!("{text}\n")).expect(text);
            assert_eq!((list.to_string().as_str(), list.count()), (text, count));
            assert_eq!(list.numbers().count(), usize::try_from(count).expect("few"));
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["x", "3-1", "0,", "-1", "0-8192", "1-2-3", "4294967296"] {
            assert_eq!(CpuList::parse(text), None, "{text}");
        }
        assert_eq!(CpuList::parse(&vec!["1"; MOST_RANGES + 1].join(",")), None);
    }
}
