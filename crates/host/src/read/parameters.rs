//! Module parameters, in force or configured.
//!
//! A module that is loaded or built in shows its own (`/sys/module/*/parameters`). Of others, `modprobe.d(5)` tells
//! what they will get (read in `modprobe.rs`). Last comes the kernel command line (`module.parameter=value`), which modprobe passes on as well.

use std::collections::{BTreeMap, BTreeSet};

use slotwise_core::facts::{ModuleName, ParameterValue, ReadFault};

use super::modprobe::Configuration;
use super::{ATTRIBUTE_BYTES, fault, names, text};
use crate::kernel::ReadHost;

type Parameters = BTreeMap<(ModuleName, String), ParameterValue>;

/// Parameters of the modules in `wanted`.
pub(super) fn parameters(
    host: &dyn ReadHost,
    command_line: Option<&String>,
    configuration: &Configuration,
    wanted: &[&str],
    faults: &mut Vec<ReadFault>,
) -> Parameters {
    let mut found = Parameters::new();
    let wanted: BTreeSet<ModuleName> = wanted.iter().filter_map(|name| ModuleName::new(name).ok()).collect();
    if let Some(line) = command_line {
        for word in words(line) {
            if let Some((module, setting)) = word.split_once('.') {
                put(&mut found, &wanted, module, setting, "kernel command line");
            }
        }
    }
    configured(configuration, &wanted, &mut found);
    for module in &wanted {
        in_force(host, module, &mut found, faults);
    }
    found
}

fn put(found: &mut Parameters, wanted: &BTreeSet<ModuleName>, module: &str, setting: &str, place: &str) {
    let Ok(module) = ModuleName::new(module) else { return };
    if !wanted.contains(&module) {
        return;
    }
    // Without a value it is a boolean that is on (`kernel/params.c: param_set_bool`).
    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
    let value = ParameterValue { value: value.to_owned(), place: place.to_owned() };
    found.insert((module, name.replace('-', "_")), value);
}

/// Words of a command line or of an `options` line: quotes keep spaces (`lib/cmdline.c: next_arg`).
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn configured(configuration: &Configuration, wanted: &BTreeSet<ModuleName>, found: &mut Parameters) {
    for (path, text) in &configuration.files {
        for line in text.lines() {
            let words = words(line);
            if let [command, module, settings @ ..] = words.as_slice()
                && command == "options"
            {
                for setting in settings {
                    put(found, wanted, module, setting, path);
                }
            }
        }
    }
}

fn in_force(host: &dyn ReadHost, module: &ModuleName, found: &mut Parameters, faults: &mut Vec<ReadFault>) {
    let directory = format!("/sys/module/{module}/parameters");
    for name in names(host, &directory, faults) {
        let path = format!("{directory}/{name}");
        match text(host, &path, ATTRIBUTE_BYTES) {
            Ok(text) => {
                let value = ParameterValue { value: text.trim().to_owned(), place: path };
                found.insert((module.clone(), name), value);
            }
            Err(error) => faults.push(fault(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(
            words(r#"options vfio_pci ids="10de:1c03 x" a"#),
            ["options", "vfio_pci", "ids=10de:1c03 x", "a"]
        );
    }
}
