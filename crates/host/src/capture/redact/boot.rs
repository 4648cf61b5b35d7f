//! Boot loader files: which they are, and which of their lines may leave the host.

use super::command_line;

/// First words of lines that hold kernel parameters, or begin and end an entry.
const KEPT: [&str; 13] = [
    "menuentry",
    "}",
    "linux",
    "linux16",
    "linuxefi",
    "multiboot",
    "multiboot2",
    "module",
    "module2",
    "options",
    "version",
    "xen_hypervisor",
    "xen_module",
];

/// Whether a path is one of those that [`crate::read`] looks at for the boot loader.
pub(super) fn is_of_boot_loader(path: &str) -> bool {
    path == "/etc/default/grub"
        || path == "/etc/kernel/cmdline"
        || path.starts_with("/etc/default/grub.d/")
        || path.ends_with("/grub.cfg")
        || path.contains("/loader/entries/")
}

/// The lines that are read, without values that sound secret; titles of entries go.
pub(super) fn lines(text: &str) -> String {
    let mut out = String::new();
    // `/etc/kernel/cmdline` is nothing but parameters.
    let bare = !text
        .lines()
        .any(|line| first_word(line).is_some_and(|word| KEPT.contains(&word) || word.contains("GRUB_")));
    for line in text.lines() {
        let Some(word) = first_word(line) else { continue };
        if word == "menuentry" {
            out.push_str("menuentry {\n");
        } else if word.contains("GRUB_CMDLINE_") {
            out.push_str(&assignment(line.trim()));
            out.push('\n');
        } else if KEPT.contains(&word) || bare {
            out.push_str(&command_line(line.trim()));
            out.push('\n');
        }
    }
    out
}

/// `NAME="…"`, in quotes whatever it was in, without a comment behind it.
fn assignment(line: &str) -> String {
    let Some((name, value)) = line.split_once('=') else { return String::new() };
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value.split(quote).nth(1).unwrap_or_default(),
        _ => value.split_whitespace().next().unwrap_or_default(),
    };
    format!("{name}=\"{}\"", command_line(value))
}

fn first_word(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.split(|c: char| c.is_whitespace() || c == '=').find(|word| !word.is_empty() && *word != "export")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_titles_of_a_menu_stay_behind() {
        let menu = "set superusers=alice\npassword_pbkdf2 alice grub.pbkdf2.sha512.10000.AB\nmenuentry 'alices host' {\n\
                    \tlinux\t/vmlinuz root=UUID=1 rd.luks.key=abc ip=192.0.2.7 quiet\n}\n";
        assert_eq!(
            lines(menu),
            "menuentry {\nlinux\t/vmlinuz root=UUID=1 rd.luks.key=REDACTED ip=REDACTED quiet\n}\n"
        );
    }

    #[test]
    fn defaults_keep_their_parameters_only() {
        let text =
            "# alice\nGRUB_TIMEOUT=5\nexport GRUB_CMDLINE_LINUX='rd.luks.key=abc intel_iommu=on' # alice\n";
        assert_eq!(lines(text), "export GRUB_CMDLINE_LINUX=\"rd.luks.key=REDACTED intel_iommu=on\"\n");
        assert_eq!(lines("root=ZFS=rpool quiet intel_iommu=on\n"), "root=ZFS=rpool quiet intel_iommu=on\n");
    }
}
