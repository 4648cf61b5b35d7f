//! What the host will start next, by its boot loader's files: what a generator reads, and what the loader itself reads.
//!
//! Formats: GRUB manual §6.1 (`/etc/default/grub`, a shell script of which assignments of literals are understood), the
//! menu that `grub-mkconfig` writes (`util/grub.d/10_linux.in`, `20_linux_xen.in`), the Boot Loader Specification's type 1
//! entries, and `/etc/kernel/cmdline` (kernel-install(8), proxmox-boot-tool). Nothing here says which of several menus the
//! firmware starts.

use std::collections::BTreeMap;

/// Most entries that are kept of all menus. A host has some kernels with two or three entries each.
pub const MAX_ENTRIES: usize = 256;

/// What boot loader files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootFacts {
    /// What entries are made from.
    pub templates: Vec<BootTemplate>,
    /// Entries of the menus, in the order of their files.
    pub entries: Vec<BootEntry>,
}

/// Kernel parameters that a generator puts into each entry that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTemplate {
    /// The file.
    pub place: String,
    /// Who reads it.
    pub generator: BootGenerator,
    /// Parameters, space between.
    pub parameters: String,
}

/// Who makes menus from templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootGenerator {
    /// `grub-mkconfig`, also called `update-grub` and `grub2-mkconfig`.
    GrubMkconfig,
    /// `kernel-install`, or `proxmox-boot-tool`, which reads the same file.
    KernelInstall,
}

/// One way to start the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// The file.
    pub place: String,
    /// The kernel image as the file names it.
    pub kernel: String,
    /// The kernel's parameters, space between.
    pub parameters: String,
    /// Parameters of the hypervisor that is started before it, where there is one.
    pub hypervisor: Option<String>,
}

impl BootTemplate {
    /// From `/etc/default/grub` and what is read after it, in that order. None where no parameters are set at all.
    ///
    /// Only assignments of literals are understood, and of the two variables in themselves; other shell is passed over.
    #[must_use]
    pub fn from_grub_defaults(place: &str, texts: &[&str]) -> Option<Self> {
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        for line in texts.iter().flat_map(|text| text.lines()) {
            let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
            let Some((name, value)) = line.split_once('=') else { continue };
            let (name, appended) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
            let Some(name) = GRUB_VARIABLES.into_iter().find(|known| *known == name) else { continue };
            let mut value = literal(value);
            for known in GRUB_VARIABLES {
                let old = values.get(known).map_or("", String::as_str);
                value = value.replace(&format!("${{{known}}}"), old);
                value = replace_name(&value, known, old);
            }
            if appended {
                values.entry(name).or_default().push_str(&value);
            } else {
                values.insert(name, value);
            }
        }
        if values.is_empty() {
            return None;
        }
        let [all, default] = GRUB_VARIABLES.map(|name| values.remove(name).unwrap_or_default());
        let parameters = format!("{} {}", all.trim(), default.trim()).trim().to_owned();
        Some(Self { place: place.to_owned(), generator: BootGenerator::GrubMkconfig, parameters })
    }

    /// From `/etc/kernel/cmdline`: one line, further ones are joined.
    #[must_use]
    pub fn from_kernel_command_line(place: &str, text: &str) -> Self {
        let words: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
        Self { place: place.to_owned(), generator: BootGenerator::KernelInstall, parameters: words.join(" ") }
    }
}

/// Variables whose values become kernel parameters: of all entries, and of those that are not for recovery.
const GRUB_VARIABLES: [&str; 2] = ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"];

/// `$NAME` where it is not the begin of a longer name.
fn replace_name(text: &str, name: &str, with: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let wanted = format!("${name}");
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(wanted.as_str()) {
        out.push_str(before);
        let goes_on = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        out.push_str(if goes_on { &wanted } else { with });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A value as the shell takes it: quotes off, a comment behind it left out.
fn literal(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() || c == ';' => break,
            (Some('"') | None, '\\') => out.extend(characters.next()),
            (_, c) => out.push(c),
        }
    }
    out
}

/// Entries of a GRUB menu: each `linux` line, and the `multiboot` line before it where the kernel is its module.
#[must_use]
pub fn grub_entries(place: &str, text: &str) -> Vec<BootEntry> {
    let mut entries = Vec::new();
    let mut hypervisor: Option<String> = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("menuentry" | "}") => hypervisor = None,
            Some("multiboot" | "multiboot2" | "xen_hypervisor") => {
                // The image comes first.
                hypervisor = Some(words.skip(1).collect::<Vec<_>>().join(" "));
            }
            Some("linux" | "linux16" | "linuxefi") => entries.extend(entry(place, words, None)),
            Some("module" | "module2" | "xen_module") if hypervisor.is_some() => {
                let mut words = words.filter(|word| *word != "--nounzip").peekable();
                // The modules behind the kernel are archives without parameters.
                if words.peek().is_some_and(|image| image.contains("vmlinu") || image.contains("Image")) {
                    entries.extend(entry(place, words, hypervisor.clone()));
                }
            }
            _ => {}
        }
        if entries.len() >= MAX_ENTRIES {
            break;
        }
    }
    entries
}

fn entry<'a>(
    place: &str,
    mut words: impl Iterator<Item = &'a str>,
    hypervisor: Option<String>,
) -> Option<BootEntry> {
    let kernel = words.next()?.to_owned();
    // grub-mkconfig repeats the image for Xen as `placeholder`.
    let parameters: Vec<&str> =
        words.filter(|word| *word != "placeholder" && *word != "${extra_cmdline}").collect();
    Some(BootEntry { place: place.to_owned(), kernel, parameters: parameters.join(" "), hypervisor })
}

/// A type 1 entry of the Boot Loader Specification. None where it starts no kernel, or its options stand in a variable of
/// the loader's environment (`options $kernelopts`, Fedora 30 to 33).
#[must_use]
pub fn specification_entry(place: &str, text: &str) -> Option<BootEntry> {
    let value = |line: &'_ str, key: &str| {
        line.trim_start()
            .strip_prefix(key)
            .filter(|rest| rest.starts_with([' ', '\t']))
            .map(|rest| rest.trim().to_owned())
    };
    let kernel = text.lines().find_map(|line| value(line, "linux"))?;
    let options: Vec<String> = text.lines().filter_map(|line| value(line, "options")).collect();
    let parameters = options.join(" ").replace("$tuned_params", "");
    if parameters.contains('$') {
        return None;
    }
    Some(BootEntry {
        place: place.to_owned(),
        kernel,
        parameters: parameters.trim().to_owned(),
        hypervisor: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grub(texts: &[&str]) -> Option<String> {
        BootTemplate::from_grub_defaults("/etc/default/grub", texts).map(|template| template.parameters)
    }

    #[test]
    fn both_variables_of_grub_count_and_drop_ins_add_to_them() {
        let file = "# If you change this file, run 'update-grub'\nGRUB_DEFAULT=0\n\
                    GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\" # why\nGRUB_CMDLINE_LINUX='intel_iommu=on'\n";
        assert_eq!(grub(&[file]).as_deref(), Some("intel_iommu=on quiet splash"));
        let more = "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT console=ttyS0\"\n";
        assert_eq!(grub(&[file, more]).as_deref(), Some("intel_iommu=on quiet splash console=ttyS0"));
        let braces = "GRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} iommu=pt\"\nGRUB_CMDLINE_LINUX+=\" vfio-pci.ids=10de:1c03\"\n";
        assert_eq!(
            grub(&[file, braces]).as_deref(),
            Some("intel_iommu=on iommu=pt vfio-pci.ids=10de:1c03 quiet splash")
        );
        assert_eq!(grub(&["GRUB_TIMEOUT=5\n"]), None);
    }

    #[test]
    fn entries_of_grubs_menu_are_read_with_their_hypervisor() {
        let menu = "menuentry 'Debian' {\n\tlinux\t/boot/vmlinuz-6.1.0-28-amd64 root=UUID=1 ro quiet intel_iommu=on\n\tinitrd /boot/initrd.img\n}\n\
                    menuentry 'Debian, with Xen' {\n\tmultiboot2 /boot/xen-4.17-amd64.gz placeholder dom0_mem=2G ${xen_rm_opts}\n\
                    \tmodule2 /boot/vmlinuz-6.1.0-28-amd64 placeholder root=UUID=1 ro quiet\n\tmodule2 --nounzip /boot/initrd.img\n}\n";
        let entries = grub_entries("/boot/grub/grub.cfg", menu);
        let rows: Vec<_> = entries.iter().map(|e| (e.parameters.as_str(), e.hypervisor.as_deref())).collect();
        assert_eq!(
            rows,
            [
                ("root=UUID=1 ro quiet intel_iommu=on", None),
                ("root=UUID=1 ro quiet", Some("placeholder dom0_mem=2G ${xen_rm_opts}")),
            ]
        );
    }

    #[test]
    fn entries_of_the_specification_are_read_unless_they_stand_elsewhere() {
        let text = "title Fedora\nversion 6.11.4\nlinux /vmlinuz-6.11.4-301.fc41.x86_64\ninitrd /initramfs $tuned_initrd\n\
                    options root=UUID=1 ro rhgb quiet $tuned_params\n";
        let read = specification_entry("/boot/loader/entries/a.conf", text).expect("entry");
        assert_eq!(
            (read.kernel.as_str(), read.parameters.as_str()),
            ("/vmlinuz-6.11.4-301.fc41.x86_64", "root=UUID=1 ro rhgb quiet")
        );
        assert_eq!(specification_entry("a", &text.replace("root=UUID=1", "$kernelopts")), None);
        assert_eq!(specification_entry("a", "title Windows\nefi /EFI/Microsoft/Boot/bootmgfw.efi\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,200}") {
            let _ = BootTemplate::from_grub_defaults("x", &[&text]);
            let _ = BootTemplate::from_grub_defaults("x", &[&format!("GRUB_CMDLINE_LINUX={text}")]);
            let _ = grub_entries("x", &format!("multiboot {text}\nmodule {text}\nlinux {text}"));
            let _ = specification_entry("x", &format!("linux {text}\noptions {text}"));
        }
    }
}
