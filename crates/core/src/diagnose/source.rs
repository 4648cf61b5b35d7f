//! Source code in a text: patches that mails carry and quote, and the calls that print a message. Nothing in them has happened.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::text;

/// What configures or records a machine rather than programs it: a diff of such files shows what the machine said or had.
const NO_SOURCE: &[&str] =
    &[".log", ".txt", ".xml", ".conf", ".cfg", ".config", ".rules", ".service", ".nix", ".yaml"];

/// Where a reader of lines is in a unified diff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In no diff.
    #[default]
    Outside,
    /// In a hunk that is quoted that often.
    Hunk(usize),
    /// In what a reviewer writes between the lines of such a hunk.
    Review(usize),
}

/// The diffs of a text, line by line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patch {
    at: At,
    /// Whether the file that is changed is known to be no program.
    is_data: bool,
}

impl Patch {
    /// Takes in one more line and says whether it is the code of a patch.
    pub(super) fn take(&mut self, raw: &[u8]) -> bool {
        let (depth, line) = unquoted(raw);
        if let Some(file) = ["diff --git ", "+++ "].iter().find_map(|head| line.strip_prefix(head.as_bytes()))
        {
            let file = String::from_utf8_lossy(file);
            let file = file.split_whitespace().next_back().unwrap_or_default().to_ascii_lowercase();
            self.is_data = NO_SOURCE.iter().any(|end| file.ends_with(end));
            self.at = At::Outside;
            return false;
        }
        let begins = line.starts_with(b"@@ -")
            && memchr::memmem::find(line.get(4..).unwrap_or_default(), b" @@").is_some();
        let marked = matches!(line.first(), None | Some(b'+' | b'-' | b' ' | b'\t'));
        self.at = match self.at {
            _ if begins => At::Hunk(depth),
            // The mark that ends a patch, or what a mail program makes of it.
            At::Hunk(own) if own == depth && matches!(line, b"--" | b"-- " | b"--=20" | b"-- \r") => {
                At::Outside
            }
            At::Hunk(own) if own == depth && marked => At::Hunk(own),
            At::Hunk(own) => At::Review(own),
            At::Review(own) if own == depth && own > 0 && marked => At::Hunk(own),
            other => other,
        };
        let code = line.get(1..).map(String::from_utf8_lossy).unwrap_or_default();
        matches!(self.at, At::Hunk(_)) && !self.is_data && !begins && !text::is_logged(code.trim())
    }
}

/// A line without the marks of quoting before it, and how many they are.
fn unquoted(raw: &[u8]) -> (usize, &[u8]) {
    let (mut depth, mut line) = (0, raw.strip_suffix(b"\r").unwrap_or(raw));
    loop {
        let rest = line.strip_prefix(b" ").filter(|rest| depth > 0 && rest.starts_with(b">")).unwrap_or(line);
        let Some(rest) = rest.strip_prefix(b">") else { break };
        (depth, line) = (depth + 1, rest);
    }
    let line = if depth > 0 { line.strip_prefix(b" ").unwrap_or(line) } else { line };
    (depth, line)
}

/// Whether a line calls a function that prints a message, of the kernel's, QEMU's, libvirt's or DPDK's: what it would print was
/// not printed.
pub(super) fn is_print_call(line: &str) -> bool {
    static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| {
        RegexBuilder::new(
            r#"\b(?:(?:dev|pci|pr|netdev|vfio|ap|drm)_(?:emerg|alert|crit|err|warn|notice|info|dbg)(?:_once|_ratelimited)?|printk|error_report|warn_report|info_report|error_setg(?:_errno)?|error_append_hint|virReportError|virReportSystemError|xen_pt_log|xen_pt_err|RTE_LOG|LOG|LOGD)\((?:[^"]{0,60}, ?)?""#,
        )
        .unicode(false)
        .build()
        .ok()
    });
    line.contains('(') && REGEX.as_ref().is_some_and(|regex| regex.is_match(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(lines: &[&str]) -> Vec<bool> {
        let mut patch = Patch::default();
        lines.iter().map(|line| patch.take(line.as_bytes())).collect()
    }

    #[test]
    fn the_hunks_of_a_patch_are_code_and_what_stands_around_is_not() {
        let lines = [
            "The device fails to be assigned.",
            "diff --git a/drivers/pci/quirks.c b/drivers/pci/quirks.c",
            "@@ -5522,7 +5522,7 @@ static void quirk(void)",
            " * AMD Matisse USB 3.0 Host Controller",
            "-\tdev_warn(dev, \"no reset\");",
            "",
            "-- ",
            "2.34.1",
            "- it fails",
        ];
        assert_eq!(code(&lines), [false, false, false, true, true, true, false, false, false]);
    }

    #[test]
    fn a_review_stands_between_quoted_lines() {
        let lines = [
            "> @@ -1,2 +1,2 @@ int f(void)",
            "> +\treturn -EPERM;",
            "It fails with",
            "  vfio: failed",
            "> +\treturn 0;",
            "> > and was so before",
        ];
        assert_eq!(code(&lines), [false, true, false, false, true, false]);
    }

    #[test]
    fn what_a_diff_of_logs_or_settings_shows_was_printed_or_set() {
        assert_eq!(
            code(&["@@ -1,2 +1,2 @@", "+[    1.5] vfio-pci 0000:01:00.0: reset failed"]),
            [false, false]
        );
        assert_eq!(
            code(&["+++ b/vm.xml", "@@ -1 +1 @@", "+<hostdev mode='subsystem'>"]),
            [false, false, false]
        );
    }

    #[test]
    fn calls_that_print_are_known() {
        assert!(is_print_call("dev_warn(dev, \"Device is ineligible for IOMMU domain attach\\n\");"));
        assert!(is_print_call("error_setg(errp, \"%s: VFIO migration is not supported\","));
        assert!(!is_print_call("vfio_dma_map(0x55a28c7659d0, 0xc0000, 0xb000) = -14 (Bad address)"));
        assert!(!is_print_call("it says (group 1) \"is not viable\""));
    }
}
