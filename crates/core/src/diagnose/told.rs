//! Words that stand near each other in what people tell: the rows of `catalogue::told`.
//!
//! Text is cut into sentences; a row is seen where each of its groups of words has one within [`NEAR`] sentences.
//! All words are looked for at once, so time is linear in the text whatever the number of rows.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::LazyLock;

use super::catalogue;
use super::catalogue::told::FAILS;
use super::supposed;
use super::words::Words;

/// How many sentences in a row are near each other.
const NEAR: usize = 3;

/// Whether a word stands inside of a name that a program gives: `nvidia_vgpu_vfio`, `IommuDmaMap`.
fn is_in_identifier(before: &str, word: &str, after: &str) -> bool {
    let is_hump = |after: &str| {
        let mut letters = after.chars();
        letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase)
    };
    // A parameter of the kernel's may have lost its head at the end of a line: `amd` and `_iommu=on`.
    before.ends_with('_') && !word.contains('=') || is_hump(after)
}

/// Shortest piece that counts as a sentence, in bytes; abbreviations and list numbers end no sentence.
const SENTENCE: usize = 24;

struct Catalogue {
    words: Words,
    /// Of each word.
    owners: Vec<Owner>,
    /// Of each told row: its position in the catalogue, and the bits of all its groups.
    rows: Vec<(usize, u8)>,
}

struct Owner {
    /// Position of its row among the told rows.
    row: usize,
    /// The bit of its group.
    group: u8,
    /// Whether it says a failure, so that a "not" before it says none.
    is_failure: bool,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let (mut literals, mut owners, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (index, pattern) in catalogue::ALL.iter().enumerate().filter(|(_, pattern)| !pattern.near.is_empty())
    {
        for (group, words) in pattern.near.iter().enumerate() {
            literals.extend(words.iter().copied());
            owners.extend(words.iter().map(|word| Owner {
                row: rows.len(),
                group: 1 << group,
                is_failure: FAILS.contains(word),
            }));
        }
        rows.push((index, (1_u16 << pattern.near.len()).wrapping_sub(1).to_le_bytes()[0]));
    }
    Catalogue { words: Words::new(literals.into_iter()), owners, rows }
});

/// What was told in the last sentences.
#[derive(Debug, Default)]
pub(super) struct Told {
    near: VecDeque<Vec<u8>>,
}

impl Told {
    /// Takes in one more line and says which rows of the catalogue are complete with it.
    pub(super) fn hear(&mut self, line: &str) -> Vec<usize> {
        let known = &*CATALOGUE;
        let mut complete = Vec::new();
        let line = without_marks(&without_links(line));
        for sentence in sentences(&line).filter(|sentence| !supposed::is_no_report(sentence)) {
            let mut heard = vec![0_u8; known.rows.len()];
            known.words.each(sentence, |word, range| {
                let before = sentence.get(..range.start).unwrap_or_default();
                let Some(owner) = known.owners.get(word) else { return };
                let after = sentence.get(range.end..).unwrap_or_default();
                let word_itself = sentence.get(range).unwrap_or_default();
                let begins_word = before.chars().next_back().is_none_or(|before| !before.is_alphanumeric())
                    && !is_in_identifier(before, word_itself, after);
                let says_other = names_cpu_model(before)
                    || is_of_nothing(before)
                    || keeps_from(word_itself, after)
                    || is_dark_at_boot(word_itself, after)
                    || owner.is_failure && is_negated(before);
                if begins_word
                    && !says_other
                    && let Some(bits) = heard.get_mut(owner.row)
                {
                    *bits |= owner.group;
                }
            });
            self.near.push_back(heard);
            if self.near.len() > NEAR {
                self.near.pop_front();
            }
            for (position, (row, all)) in known.rows.iter().enumerate() {
                let bits =
                    self.near.iter().filter_map(|heard| heard.get(position)).fold(0, |sum, bits| sum | bits);
                let new =
                    self.near.back().and_then(|heard| heard.get(position)).is_some_and(|bits| *bits != 0);
                if bits == *all && new && !complete.contains(row) {
                    complete.push(*row);
                }
            }
        }
        complete
    }
}

/// A line without addresses of pages: the title in one is another writer's.
fn without_links(line: &str) -> Cow<'_, str> {
    if !line.contains("://") {
        return Cow::Borrowed(line);
    }
    let ends_link = |character: char| character.is_whitespace() || matches!(character, ')' | '>' | ']' | '"');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, link) = rest.split_at(at);
        out.push_str(before);
        rest = link.find(ends_link).and_then(|end| link.get(end..)).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A line without quotation marks and those of Markdown around its words; the apostrophe of `can't` stays.
fn without_marks(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    let mut in_word = false;
    while let Some(character) = characters.next() {
        let is_mark = match character {
            '"' | '*' => true,
            '\'' => !(in_word && characters.peek().is_some_and(|next| next.is_alphanumeric())),
            _ => false,
        };
        if !is_mark {
            in_word = character.is_alphanumeric();
            out.push(character);
        }
    }
    out
}

/// Whether what stands before a word turns it round.
fn is_negated(before: &str) -> bool {
    let before = before.trim_end().to_ascii_lowercase();
    ["not", "no", "n't", "never", "without", "without any", "not get", "no more"].iter().any(|word| {
        before.strip_suffix(word).is_some_and(|rest| *word == "n't" || rest.ends_with(' ') || rest.is_empty())
    }) || is_kept_off(&before)
}

/// Whether what stands before a failure says that it is not to happen, with one word of it between at most: "so that we
/// don't get permission errors".
fn is_kept_off(before: &str) -> bool {
    const KEPT_OFF: &[&str] =
        &["n't get", "not get", "n't run into", "not run into", "to avoid", "to avoid any"];
    let without_last = before.rsplit_once(' ').map_or("", |(rest, _)| rest.trim_end());
    [before, without_last].iter().any(|before| KEPT_OFF.iter().any(|words| before.ends_with(words)))
}

/// Whether a word is the second half of `host-passthrough`, libvirt's and Proxmox VE's model of a guest's processor.
fn names_cpu_model(before: &str) -> bool {
    before.ends_with("host-")
}

/// Whether nothing is said to do what a word says: "nothing holds the device".
fn is_of_nothing(before: &str) -> bool {
    let before = before.trim_end().to_ascii_lowercase();
    ["nothing", "nothing else", "nobody", "no one", "no process", "no other process"].iter().any(|word| {
        before.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '(']))
    })
}

/// Whether `keep` with what follows it means to prevent: "keeps it from being passed through".
fn keeps_from(word: &str, after: &str) -> bool {
    const BETWEEN: usize = 3;
    word.to_ascii_lowercase().starts_with("keep")
        && after.split_whitespace().take(BETWEEN).any(|next| next.eq_ignore_ascii_case("from"))
}

/// Whether a screen is said to be dark while a machine boots, which no guest before it has to do with.
fn is_dark_at_boot(word: &str, after: &str) -> bool {
    word.eq_ignore_ascii_case("black screen")
        && [" on boot", " at boot", " during boot"].iter().any(|words| after.starts_with(words))
}

/// The sentences of a line, as far as punctuation shows them.
pub(super) fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .match_indices(['.', '!', '?', ';'])
            .map(|(at, _)| at + 1)
            .find(|end| *end >= SENTENCE && rest.get(*end..).is_some_and(|next| next.starts_with(' ')));
        let (sentence, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail;
        Some(sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Vec<&'static str> {
        let mut told = Told::default();
        let rows: Vec<usize> = lines.iter().flat_map(|line| told.hear(line)).collect();
        rows.into_iter().filter_map(|row| catalogue::ALL.get(row).map(|pattern| pattern.id)).collect()
    }

    #[test]
    fn words_of_all_groups_within_three_sentences_are_heard() {
        assert_eq!(heard(&["The FLR of this card", "makes it hang."]), ["told-flr"]);
        assert!(heard(&["The FLR of this card", "one", "two", "three", "makes it hang."]).is_empty());
        assert_eq!(heard(&["The device in D3cold is stuck"]), ["told-d3"]);
        assert!(heard(&["The device is not stuck in D3cold"]).is_empty());
        assert!(is_negated("so that we don't get permission ") && is_negated("to avoid "));
        assert!(!is_negated("it gets permission ") && !is_negated("we avoided it and got an "));
        assert!(heard(&["Unbinding hangs", "even though nothing holds the GPU of vfio"]).len() < 2);
        assert!(
            is_dark_at_boot("black screen", " on boot of the host")
                && !is_dark_at_boot("black screen", " after")
        );
        assert!(keeps_from("keeps", " it from being passed") && !keeps_from("keeps", " the module loaded"));
    }

    #[test]
    fn marks_around_words_are_not_heard() {
        assert_eq!(
            without_marks("`it` is **not** \"bound\" to 'vfio-pci', can't"),
            "`it` is not bound to vfio-pci, can't"
        );
    }

    #[test]
    fn links_are_not_heard() {
        assert_eq!(
            without_links("see https://a.b/vfio_denied) or (http://c) there"),
            "see https) or (http) there"
        );
        assert_eq!(without_links("nothing: here"), "nothing: here");
    }

    #[test]
    fn a_model_of_a_processor_is_no_passthrough() {
        assert!(heard(&["The hardware lacks host-passthrough, it is said"]).is_empty());
        assert_eq!(heard(&["The hardware lacks passthrough, it is said"]), ["told-no-iommu-hardware"]);
    }

    #[test]
    fn words_count_from_their_beginning() {
        assert!(heard(&["a wflr that hangs"]).is_empty());
    }

    #[test]
    fn sentences_end_at_punctuation_and_not_at_version_numbers() {
        let cut: Vec<&str> =
            sentences("It fails with kernel 6.1 on my machine. Why? Nobody knows the answer.").collect();
        assert_eq!(cut, ["It fails with kernel 6.1 on my machine.", " Why? Nobody knows the answer."]);
    }
}
