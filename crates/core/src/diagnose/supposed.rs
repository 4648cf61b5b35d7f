//! What names a failure that nobody met: what a guide supposes and foretells, what a table of errors, release notes and scripts
//! speak of.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

/// Whether a line of a script prints a message of its author's, or hands one to a function that will: nothing of what it says
/// has happened.
pub(super) fn is_echo(line: &str) -> bool {
    const PRINTERS: &[&str] = &[
        "echo", "printf", "print", "ok", "bad", "die", "err", "warn", "fail", "fatal", "info", "msg", "log",
        "say",
    ];
    let Some((command, rest)) = line.split_once(' ') else { return false };
    let is_named = ["log_", "print_", "echo_"].iter().any(|head| command.starts_with(head));
    let rest = rest.trim_start_matches("-e ").trim_start_matches("-n ").trim();
    (is_named || PRINTERS.contains(&command))
        && ['"', '\''].into_iter().any(|quote| {
            rest.strip_prefix(quote)
                .and_then(|text| text.rsplit_once(quote))
                .is_some_and(|(_, after)| !after.replace(">&2", "").contains('>'))
        })
}

/// Whether a sentence reports no failure, whatever failures it names: a guide supposes them, a check has passed.
pub(super) fn is_no_report(sentence: &str) -> bool {
    const PASSED: &[&str] = &["[OK]", "[ OK ]", "[Success]", "[PASS]", "\u{2713}", "\u{2714}", "\u{2705}"];
    // QEMU's advice after every failure to get a device of a group (vfio_get_device), whatever the failure is.
    const ADVICE: &str = "bound to vfio-<bus> or pci-stub and not already in use";
    let sentence = sentence.trim_start();
    is_supposed(sentence) || sentence.contains(ADVICE) || PASSED.iter().any(|mark| sentence.starts_with(mark))
}

/// Whether a sentence tells what its reader may meet, not what its writer met.
fn is_supposed(sentence: &str) -> bool {
    const HEADS: &[&str] = &[
        "if you see",
        "if you get",
        "if you still",
        "if you encounter",
        "if you receive",
        "if the output",
        "if the command",
        "if the hardware",
        "if it does not return",
        "if it doesn't return",
        "if nothing is returned",
        "if it says",
        "if it shows",
        "if it still says",
        "if it still shows",
        "if this fails",
        "if that fails",
        "make sure",
        "ensure that",
        "check that",
        "check if",
        "check whether",
        "confirm ",
        "verify ",
        "if your ",
        "if you want",
        "if you don't",
        "if you do not",
    ];
    let sentence = sentence.trim_start_matches(|mark: char| !mark.is_alphanumeric());
    let begins =
        |head: &&str| sentence.get(..head.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(head));
    HEADS.iter().any(begins)
        || supposes_no_iommu(sentence)
        || foretells(sentence)
        || states_condition(sentence)
}

/// Whether a sentence states what must hold of a device that its reader may choose (`The card you want to pass through cannot
/// be in a group with …`).
fn states_condition(sentence: &str) -> bool {
    static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| {
        build(
            r"\byou (?:want|wish|intend|plan) to pass(?: |-)?(?:through )?(?:\w+ ){0,2}(?:cannot|can't|must|has to|have to|should)\b",
        )
    });
    REGEX.as_ref().is_some_and(|regex| regex.is_match(sentence.as_bytes()))
}

/// Whether a sentence tells what a program does where there is no IOMMU (`If IOMMU is not enabled, checks that …`), and not
/// that it fails there.
fn supposes_no_iommu(sentence: &str) -> bool {
    const FAILS: &[&str] = &["fail", "error", "crash", "hang", "fault", "unable", "cannot", "can't"];
    let sentence = sentence.to_ascii_lowercase();
    let Some(rest) = ["if ", "when "].into_iter().find_map(|head| sentence.strip_prefix(head)) else {
        return false;
    };
    let rest = rest.strip_prefix("the ").unwrap_or(rest);
    let lacks = ["iommu", "vt-d", "amd-vi"]
        .into_iter()
        .find_map(|name| rest.strip_prefix(name)?.strip_prefix(" is "))
        .is_some_and(|state| ["off", "not ", "disabled"].into_iter().any(|word| state.starts_with(word)));
    lacks && !FAILS.iter().any(|word| rest.contains(word))
}

/// Whether a sentence foretells its reader what happens (`you will get the error`).
fn foretells(sentence: &str) -> bool {
    static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| {
        build(
            r"\byou(?:'ll| will| may| might| could| would) (?:(?:also|still|then|likely|probably|most likely|even) )?(?:get|see|encounter|receive|face|run into|hit|experience|notice)\b",
        )
    });
    REGEX.as_ref().is_some_and(|regex| regex.is_match(sentence.as_bytes()))
}

/// Whether a line explains a message to whoever may meet it, so that nothing of what it quotes was printed: the entry of a
/// glossary or of a table that begins with the message, release notes, a pattern to search logs with.
pub(super) fn is_explained(line: &str) -> bool {
    static RELEASE_NOTE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        build(
            r"^[-*+] ?\*{0,2}(?:fix(?:es|ed)?|prevents?|avoids?|handles?|resolves?d?|works? around|corrects?)\b.*\(#[0-9]+\)",
        )
    });
    const CLASSES: &[&str] = &["[0-9a", "[0-9A", "[0-9]", "[[:"];
    static YOU_SEE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        build(
            r"(?:^|[.,;:!?)'*-] ?|\b(?:if|when|should|that|where|dmesg|log|logs|then|and) )you (?:see|get|encounter) (?:\w+ ){0,3}'[^' ]+ ",
        )
    });
    // An address of letters is a template's: no program prints one.
    const TEMPLATES: &[&str] = &["NN:NN.N", "MM:MM.M", "BB:DD.F", "/dev/vfio/X"];
    TEMPLATES.iter().chain(CLASSES).any(|mark| line.contains(mark))
        || YOU_SEE.as_ref().is_some_and(|regex| regex.is_match(line.as_bytes()))
        || RELEASE_NOTE.as_ref().is_some_and(|regex| regex.is_match(line.as_bytes()))
        || after_quoted(line).is_some_and(|rest| is_cell(rest) || says_meaning(rest))
}

/// What follows the quoted message that an entry begins with. Normalised lines have one kind of single quotes.
fn after_quoted(line: &str) -> Option<&str> {
    const SHORTEST: usize = 12;
    let line = line.trim_start_matches(['-', '*', '+', ' ']);
    let quoted = line.strip_prefix('\'')?;
    let is_end = |(at, _): &(usize, &str)| {
        *at >= SHORTEST
            && quoted
                .get(at + 1..)
                .and_then(|rest| rest.chars().next())
                .is_none_or(|next| !next.is_alphanumeric())
    };
    let (end, _) = quoted.match_indices('\'').find(is_end)?;
    quoted.get(end + 1..).map(|rest| rest.trim_start_matches(['*', ' ']))
}

/// Whether a cell of a table ends here and another follows.
fn is_cell(rest: &str) -> bool {
    rest.strip_prefix('|').is_some_and(|cells| cells.contains('|'))
}

fn says_meaning(rest: &str) -> bool {
    const MEANS: &[&str] =
        &[" means ", " mean that ", " indicates ", " is benign", "usually caused by", "typically caused by"];
    MEANS.iter().any(|words| format!(" {rest}").contains(words))
}

/// The lines below a heading of a guide such as `Common errors:`, up to an empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Examples {
    /// None are given.
    #[default]
    No,
    /// Announced; the first has not come.
    Announced,
    /// They stand here.
    Given,
}

impl Examples {
    /// Takes in one more line and says whether it is an example.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let is_frame = line.is_empty() || line.starts_with("```") || line.starts_with("..");
        *self = match (*self, is_frame) {
            _ if announces_examples(line) => Self::Announced,
            (Self::Announced, true) => Self::Announced,
            (Self::Announced | Self::Given, false) if !is_sentence(line) => Self::Given,
            _ => Self::No,
        };
        *self == Self::Given
    }
}

fn announces_examples(line: &str) -> bool {
    static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| {
        build(
            r"^[-*#\s]*(?:(?:common|typical|possible|frequent|usual)\b|(?:examples|signs|indicators) of\b)[^.]{0,40}\b(?:errors?|signs?|indicators?|messages?|symptoms?|failures?|problems?|issues?|pitfalls?)\b[^.]{0,40}:{1,2}[*\s]*$|^previously\b[^.]{0,60}\b(?:problems?|issues?|errors?|failures?):$|^(?:[^.?]* )?(?:and|then|to) look for(?: (?:the|a|an|any|lines?|messages?|something|errors?|like|such as|following|this|these)){0,4}:{1,2}[*\s]*$",
        )
    });
    REGEX.as_ref().is_some_and(|regex| regex.is_match(line.as_bytes()))
}

/// Whether a line ends like a sentence of several words.
fn is_sentence(line: &str) -> bool {
    line.ends_with('.') && line.split(' ').count() > 6
}

fn build(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_prints_is_known_from_what_it_writes_to_a_file() {
        assert!(is_echo("echo \"vfio: Cannot reset device, -> no available reset mechanism.\""));
        assert!(is_echo("printf 'group 1 is not viable\\n' | tee log"));
        assert!(!is_echo("echo \"vfio-pci\" > driver_override"));
        assert!(!is_echo("echo 0000:01:00.0 > bind"));
        assert!(is_echo("bad \"IOMMU is off. Enable VT-d in firmware.\""));
        assert!(is_echo("log_error 'no IOMMU' >&2"));
        assert!(!is_echo("it says \"IOMMU is off\""));
    }

    #[test]
    fn what_a_guide_supposes_is_not_what_somebody_met() {
        assert!(is_supposed("_(If the output reads `nvidia`, the host grabbed it"));
        assert!(is_supposed("If you see this, vfio-pci is not loaded."));
        assert!(is_supposed("* If the hardware does not support an IOMMU it is **not possible** to run it."));
        assert!(is_supposed("If it does not return anything, IOMMU is not enabled or not supported."));
        assert!(!is_supposed("If I start the VM, the host hangs"));
        assert!(!is_supposed("It fails if you see it"));
        assert!(is_supposed("* If IOMMU is not enabled, checks that any device is there."));
        assert!(is_supposed("When the IOMMU is off in BIOS the page shows what to set."));
        assert!(!is_supposed("If IOMMU is disabled, the VM fails to start"));
        assert!(!is_supposed("If IOMMU is enabled, the host hangs"));
        assert!(is_no_report("[OK] The IOMMU is not disabled"));
    }

    #[test]
    fn what_a_reader_is_told_to_expect_has_not_happened() {
        assert!(is_no_report("When you install the driver, you will get the error 43."));
        assert!(is_no_report("You might run into `group 1 is not viable`"));
        assert!(!is_no_report("Would you say that it fails?"));
        assert!(!is_no_report("I get the error as you see"));
    }

    #[test]
    fn entries_that_explain_a_message_are_known() {
        assert!(is_explained(
            "- **'vfio: Unable to power on device, stuck in D3'** on 'qm start' means the card is dead"
        ));
        assert!(is_explained("'Failed to reset device' | a race | ignore it |"));
        assert!(is_explained("- **Fix a reset that hangs** (#61): the device is not resettable"));
        assert!(is_explained("grep -E 'vfio-pci [0-9a-f:.]+: reset failed'"));
        assert!(is_explained("qemu-kvm: -device vfio-pci,host=NN:NN.N: vfio: failed to get group X"));
        assert!(!is_explained("'vfio: Unable to power on device, stuck in D3' is what I get"));
        assert!(is_explained(
            "- The VM pauses, and in 'dmesg' you see '[ 1.5] vfio-pci 0000:07:00.0: BAR 0: can't reserve'"
        ));
        assert!(!is_explained("As you see 'vfio 0000:07:00.0: group 1 is not viable' is there"));
        assert!(!is_explained("- it fails with 'group 1 is not viable' (#61)"));
        assert!(!is_explained("[ 1.5] vfio-pci 0000:01:00.0: reset failed"));
    }

    #[test]
    fn examples_stand_below_their_heading() {
        let lines = ["Common host-side errors:", "", "Unknown header type 7f", "", "Unknown header type 7f"];
        let mut examples = Examples::default();
        assert_eq!(lines.map(|line| examples.take(line)), [false, false, true, false, false]);
        assert!(!Examples::default().take("The errors that I get:"));
        let mut told = Examples::default();
        assert!(!told.take("and look for:") && told.take("Unknown header type 7f"));
        assert!(!Examples::default().take("I look for a card that works:"));
        let mut past = Examples::default();
        assert!(
            !past.take("Previously trying that on Xen caused problems:") && past.take("* IOMMU disabled")
        );
        let mut own = Examples::default();
        assert!(!own.take("My errors:") && !own.take("Unknown header type 7f"));
    }
}
