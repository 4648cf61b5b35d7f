//! Configuration of modules: `modprobe.d(5)`, lists of modules to load early, and what is known of the initramfs.
//!
//! A file of the same name in a directory that comes first hides the others. Lists: `modules-load.d(5)`, `modules(5)`,
//! `initramfs-tools(7)`, `dracut.conf(5)`, `mkinitcpio.conf(5)`. They tell what the next initramfs will hold; the one in use
//! was made when they may have been different.

use std::collections::{BTreeMap, BTreeSet};

use slotwise_core::facts::{
    EarlyModule, Fact, FaultKind, ModprobeCommand, ModprobeDirective, ModuleName, ReadFault,
};

use super::{fault, text};
use crate::kernel::ReadHost;

/// `modprobe.d(5)`, the first first.
const CONFIGURATION: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

/// Single files that name modules to load early.
const EARLY_FILES: [&str; 4] =
    ["/etc/modules", "/etc/initramfs-tools/modules", "/etc/dracut.conf", "/etc/mkinitcpio.conf"];

/// Directories of such files, with the ending of their names.
const EARLY_DIRECTORIES: [&str; 6] = [
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/lib/modules-load.d",
    "/etc/dracut.conf.d",
    "/usr/lib/dracut/dracut.conf.d",
    "/etc/mkinitcpio.conf.d",
];

const FILE_BYTES: usize = 1 << 20;

/// The most lines of all files that are kept.
const MOST: usize = 1 << 14;

/// Names under which distributions keep the initramfs of a release in `/boot`.
const IMAGES: [(&str, &str); 3] = [("initrd.img-", ""), ("initramfs-", ".img"), ("initrd-", "")];

/// The files of `modprobe.d`, lines that go on joined.
#[derive(Debug)]
pub(super) struct Configuration {
    /// Path and text.
    pub(super) files: Vec<(String, String)>,
    /// Why there may be more.
    unread: Option<ReadFault>,
}

/// Reads `modprobe.d`; what cannot be read is told in `faults`.
pub(super) fn configuration(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Configuration {
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    let mut unread = Vec::new();
    for directory in CONFIGURATION {
        match host.list(directory) {
            Ok(names) => {
                for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
                    places.entry(name).or_insert(directory);
                }
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => unread.push(fault(&error)),
        }
    }
    let mut files = Vec::new();
    for (name, directory) in places {
        let path = format!("{directory}/{name}");
        match text(host, &path, FILE_BYTES) {
            Ok(text) => files.push((path, text.replace("\\\n", " "))),
            Err(error) => unread.push(fault(&error)),
        }
    }
    faults.extend(unread.iter().cloned());
    Configuration { files, unread: unread.into_iter().next() }
}

/// Lines about modules in `wanted`, and those that bring one of them before another.
pub(super) fn directives(
    configuration: &Configuration,
    command_line: Option<&String>,
    wanted: &BTreeSet<ModuleName>,
) -> Fact<Vec<ModprobeDirective>> {
    let mut found = Vec::new();
    for (place, text) in &configuration.files {
        let parse = |line| directive(place, line);
        found.extend(text.lines().filter_map(parse).filter(|directive| concerns(directive, wanted)));
    }
    for word in command_line.map(String::as_str).unwrap_or_default().split_ascii_whitespace() {
        // `modprobe(8)`; `Documentation/admin-guide/kernel-parameters.txt`: module_blacklist=; dracut.cmdline(7).
        let Some(("modprobe.blacklist" | "module_blacklist" | "rd.driver.blacklist", names)) =
            word.split_once('=')
        else {
            continue;
        };
        let modules = names.split(',').filter_map(|name| ModuleName::new(name).ok());
        found.extend(modules.filter(|module| wanted.contains(module)).map(|module| ModprobeDirective {
            place: "kernel command line".to_owned(),
            command: ModprobeCommand::Blacklist,
            module,
            text: String::new(),
        }));
    }
    found.truncate(MOST);
    match &configuration.unread {
        Some(fault) if found.is_empty() => Fact::Unreadable(fault.clone()),
        _ => Fact::Known(found),
    }
}

/// `softdep MODULE pre: …`, `install MODULE COMMAND…`, `blacklist MODULE`.
fn directive(place: &str, line: &str) -> Option<ModprobeDirective> {
    let line = line.trim();
    let (command, rest) = line.split_once(char::is_whitespace)?;
    let commands = [ModprobeCommand::Softdep, ModprobeCommand::Install, ModprobeCommand::Blacklist];
    let command = commands.into_iter().find(|known| known.name() == command)?;
    let rest = rest.trim_start();
    let (module, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let module = ModuleName::new(module).ok()?;
    Some(ModprobeDirective { place: place.to_owned(), command, module, text: text.trim().to_owned() })
}

fn concerns(directive: &ModprobeDirective, wanted: &BTreeSet<ModuleName>) -> bool {
    let brings = |word: &str| ModuleName::new(word).is_ok_and(|module| wanted.contains(&module));
    wanted.contains(&directive.module)
        || (directive.command == ModprobeCommand::Softdep
            && directive.text.split_ascii_whitespace().any(brings))
}

/// Modules that lists tell to load early.
pub(super) fn early_modules(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<EarlyModule>> {
    let mut places: Vec<String> = EARLY_FILES.map(str::to_owned).into();
    let mut unread = Vec::new();
    for directory in EARLY_DIRECTORIES {
        match host.list(directory) {
            Ok(names) => places.extend(
                names.iter().filter(|name| name.ends_with(".conf")).map(|name| format!("{directory}/{name}")),
            ),
            Err(error) if error.is_not_found() => {}
            Err(error) => unread.push(fault(&error)),
        }
    }
    let mut found = Vec::new();
    for place in places {
        match text(host, &place, FILE_BYTES) {
            Ok(text) => {
                let modules = listed(&place, &text);
                found.extend(modules.map(|module| EarlyModule { place: place.clone(), module }));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => unread.push(fault(&error)),
        }
    }
    found.truncate(MOST);
    if found.is_empty()
        && let Some(fault) = unread.pop()
    {
        return Fact::Unreadable(fault);
    }
    faults.extend(unread);
    Fact::Known(found)
}

/// Modules that one list names.
fn listed<'t>(place: &str, text: &'t str) -> impl Iterator<Item = ModuleName> + 't {
    let shell = place.contains("dracut") || place.contains("mkinitcpio");
    let line = move |line: &'t str| -> Vec<&'t str> {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !shell {
            // Behind the name there may be parameters.
            return line.split_ascii_whitespace().next().into_iter().collect();
        }
        let Some((name, value)) = line.split_once('=') else { return Vec::new() };
        let name = name.trim().trim_end_matches('+');
        if !matches!(name, "add_drivers" | "force_drivers" | "MODULES") {
            return Vec::new();
        }
        value.split(['"', '\'', '(', ')', ' ', '\t']).filter(|word| !word.is_empty()).collect()
    };
    text.lines().flat_map(line).filter_map(|word| ModuleName::new(word).ok())
}

/// The initramfs is known to be there, not what is in it: it is a compressed archive of some tens of MiB, and unpacking
/// it would take longer than everything else.
pub(super) fn initramfs(host: &dyn ReadHost, release: Option<&String>) -> Fact<BTreeSet<ModuleName>> {
    let names = match host.list("/boot") {
        Ok(names) => names,
        Err(error) if error.is_not_found() => return Fact::Absent,
        Err(error) => return Fact::Unreadable(fault(&error)),
    };
    let Some(release) = release else { return Fact::Absent };
    let image = IMAGES.iter().map(|(head, tail)| format!("{head}{release}{tail}"));
    match image.into_iter().find(|image| names.contains(image)) {
        Some(image) => Fact::Unreadable(ReadFault::new(
            format!("/boot/{image}"),
            FaultKind::Failed("a compressed archive, not unpacked while a host is read".to_owned()),
        )),
        None => Fact::Absent,
    }
}

/// What is needed of a list of modules to load early; other settings stay on their host.
pub(crate) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let (directory, _) = path.rsplit_once('/')?;
    if !(EARLY_FILES.contains(&path) || EARLY_DIRECTORIES.contains(&directory)) {
        return None;
    }
    let names: Vec<String> =
        listed(path, &String::from_utf8_lossy(bytes)).map(|module| module.to_string()).collect();
    let shell = path.contains("dracut") || path.contains("mkinitcpio");
    Some(match names.as_slice() {
        [] => Vec::new(),
        names if shell => format!("MODULES=({})\n", names.join(" ")).into_bytes(),
        names => (names.join("\n") + "\n").into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> BTreeSet<ModuleName> {
        ["vfio_pci", "nouveau"].iter().filter_map(|name| ModuleName::new(name).ok()).collect()
    }

    fn told(text: &str, command_line: &str) -> Vec<String> {
        let files = vec![("/etc/modprobe.d/x.conf".to_owned(), text.to_owned())];
        let configuration = Configuration { files, unread: None };
        let Fact::Known(found) = directives(&configuration, Some(&command_line.to_owned()), &wanted()) else {
            panic!("unread")
        };
        found.iter().map(|d| format!("{} {} {}", d.command.name(), d.module, d.text)).collect()
    }

    #[test]
    fn lines_about_wanted_modules_are_kept() {
        let text = "softdep nvidia pre: vfio-pci\nsoftdep snd pre: x\nblacklist nouveau\nblacklist pcspkr\ninstall nouveau /bin/false\noptions vfio-pci ids=1:2\nsoftdep\n";
        assert_eq!(
            told(text, "quiet modprobe.blacklist=pcspkr,nouveau"),
            [
                "softdep nvidia pre: vfio-pci",
                "blacklist nouveau ",
                "install nouveau /bin/false",
                "blacklist nouveau "
            ]
        );
    }

    #[test]
    fn lists_of_all_kinds_are_read() {
        let names = |place, text| listed(place, text).map(|module| module.to_string()).collect::<Vec<_>>();
        assert_eq!(names("/etc/modules", "# comment\nvfio-pci ids=1:2\n\nkvm # why\n"), ["vfio_pci", "kvm"]);
        assert_eq!(
            names("/etc/dracut.conf.d/x.conf", "add_drivers+=\" vfio vfio-pci \"\nhostonly=\"yes\"\n"),
            ["vfio", "vfio_pci"]
        );
        assert_eq!(
            names("/etc/mkinitcpio.conf", "MODULES=(vfio_pci vfio)\n#MODULES=(a)\nHOOKS=(base)\n"),
            ["vfio_pci", "vfio"]
        );
    }

    #[test]
    fn reduced_list_says_the_same() {
        for (path, text) in [
            ("/etc/modules", "# alice\nvfio\nkvm\n"),
            ("/etc/dracut.conf", "# alice\nforce_drivers+=\"vfio kvm\"\n"),
        ] {
            let short = String::from_utf8(reduced(path, text.as_bytes()).expect("a list")).expect("text");
            assert!(!short.contains("alice"));
            assert!(listed(path, text).eq(listed(path, &short)), "{short}");
        }
        assert_eq!(reduced("/etc/modprobe.d/x.conf", b""), None);
    }
}
