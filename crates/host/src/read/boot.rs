//! The boot loader's files: GRUB's defaults and menus, entries of the Boot Loader Specification, `/etc/kernel/cmdline`.
//!
//! Only files at their usual places are looked at; what they mean is told in [`slotwise_core::facts::BootFacts`]. Menus are
//! often readable by root only.

use slotwise_core::facts::{
    BootEntry, BootFacts, BootTemplate, Fact, MAX_ENTRIES, ReadFault, grub_entries, specification_entry,
};

use super::{fault, names, text};
use crate::kernel::ReadHost;

const GRUB_DEFAULTS: &str = "/etc/default/grub";

/// Read after the former by `update-grub` of Debian and Ubuntu (`grub-mkconfig`, patch of the distribution).
const GRUB_DROP_INS: &str = "/etc/default/grub.d";

const KERNEL_COMMAND_LINE: &str = "/etc/kernel/cmdline";

/// Menus that `grub-mkconfig` writes; of EFI systems of Red Hat's line to 2020 the menu is in the EFI partition.
const GRUB_MENUS: [&str; 2] = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"];
const EFI_VENDORS: [&str; 2] = ["/boot/efi/EFI", "/efi/EFI"];

/// Where entries of the Boot Loader Specification are (`XBOOTLDR` or the EFI partition).
const ENTRIES: [&str; 3] = ["/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"];

/// A menu of some hundred entries has some hundred kilobytes.
const FILE_BYTES: usize = 1 << 22;

pub(super) fn boot(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<BootFacts> {
    let mut reader = Reader { host, faults: Vec::new() };
    let boot = BootFacts { templates: reader.templates(), entries: reader.entries() };
    let empty = boot.templates.is_empty() && boot.entries.is_empty();
    let mut unread = reader.faults.into_iter();
    match unread.next() {
        Some(first) if empty => Fact::Unreadable(first),
        first => {
            faults.extend(first.into_iter().chain(unread));
            if empty { Fact::Absent } else { Fact::Known(boot) }
        }
    }
}

struct Reader<'h> {
    host: &'h dyn ReadHost,
    faults: Vec<ReadFault>,
}

impl Reader<'_> {
    /// The text of a file, if it is there and may be read.
    fn file(&mut self, path: &str) -> Option<String> {
        match text(self.host, path, FILE_BYTES) {
            Ok(text) => Some(text),
            Err(error) => {
                if !error.is_not_found() {
                    self.faults.push(fault(&error));
                }
                None
            }
        }
    }

    /// Files in a directory whose names end so.
    fn files(&mut self, directory: &str, ending: &str) -> Vec<String> {
        let names = names(self.host, directory, &mut self.faults);
        let wanted = names.into_iter().filter(|name| name.ends_with(ending)).take(MAX_ENTRIES);
        wanted.map(|name| format!("{directory}/{name}")).collect()
    }

    fn templates(&mut self) -> Vec<BootTemplate> {
        let mut templates = Vec::new();
        if let Some(first) = self.file(GRUB_DEFAULTS) {
            let mut texts = vec![first];
            for path in self.files(GRUB_DROP_INS, ".cfg") {
                texts.extend(self.file(&path));
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            templates.extend(BootTemplate::from_grub_defaults(GRUB_DEFAULTS, &texts));
        }
        if let Some(text) = self.file(KERNEL_COMMAND_LINE) {
            templates.push(BootTemplate::from_kernel_command_line(KERNEL_COMMAND_LINE, &text));
        }
        templates
    }

    fn entries(&mut self) -> Vec<BootEntry> {
        let mut menus: Vec<String> = GRUB_MENUS.map(str::to_owned).into();
        for directory in EFI_VENDORS {
            let vendors = names(self.host, directory, &mut self.faults);
            menus.extend(
                vendors.iter().take(MAX_ENTRIES).map(|vendor| format!("{directory}/{vendor}/grub.cfg")),
            );
        }
        let mut entries = Vec::new();
        for path in menus {
            if let Some(text) = self.file(&path) {
                entries.extend(grub_entries(&path, &text));
            }
        }
        for directory in ENTRIES {
            for path in self.files(directory, ".conf") {
                entries.extend(self.file(&path).and_then(|text| specification_entry(&path, &text)));
            }
        }
        entries.truncate(MAX_ENTRIES);
        entries
    }
}
