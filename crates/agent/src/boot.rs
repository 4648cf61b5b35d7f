//! What the first program of a guest does before anything else: file systems, kernel modules, registers.
//!
//! Nothing here ends the agent: what fails becomes a complaint that the bench gets with the answer to `hello`.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::mount::{MountFlags, mount};
use slotwise_testbench::wire::{BootConfig, IoRead, Module, PrepareStep};

const CONFIG: &str = "/slotwise/boot.json";

/// Sets the guest up and gives the name of the port to listen on.
pub(crate) fn set_up(complaints: &mut Vec<String>) -> Option<String> {
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        // Fails where the directory is there already, which is fine.
        let _ = fs::create_dir(target);
        if let Err(error) = mount(kind, target, kind, MountFlags::empty(), None) {
            complaints.push(format!("cannot mount {target}: {error}"));
        }
    }
    let config = match read_config() {
        Ok(config) => config,
        Err(error) => {
            complaints.push(format!("cannot read {CONFIG}: {error}"));
            return None;
        }
    };
    for module in config.modules.iter().filter(|module| is_wanted(module)) {
        for step in &module.prepare {
            prepare(step, complaints);
        }
        if let Err(error) = load(module) {
            complaints.push(format!("cannot load {}: {error}", module.path));
        }
    }
    Some(config.port)
}

fn read_config() -> io::Result<BootConfig> {
    Ok(serde_json::from_slice(&fs::read(CONFIG)?)?)
}

fn load(module: &Module) -> io::Result<()> {
    let options = CString::new(module.options.as_str())?;
    match rustix::system::finit_module(File::open(&module.path)?, &options, 0) {
        // Loaded already, or built into the kernel.
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads the step's registers on each function it names.
fn prepare(step: &PrepareStep, complaints: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir("/sys/bus/pci/devices") else { return };
    for directory in entries.flatten().map(|entry| entry.path()) {
        let is = |file: &str, id: &str| {
            fs::read_to_string(directory.join(file))
                .is_ok_and(|text| text.trim().strip_prefix("0x") == Some(id))
        };
        if !is("vendor", &step.vendor) || !is("device", &step.device) {
            continue;
        }
        // I/O decoding must be on for the reads to reach the chip; the driver switches it on anyhow.
        let outcome = fs::write(directory.join("enable"), "1")
            .and_then(|()| step.read.iter().try_for_each(|register| read_register(&directory, *register)));
        if let Err(error) = outcome {
            complaints.push(format!("cannot prepare {}: {error}", directory.display()));
        }
    }
}

/// A read of `resourceN` of an I/O region is an `in` of as many bytes as asked (`drivers/pci/pci-sysfs.c`,
/// `pci_resource_io`, Linux 6.1).
fn read_register(directory: &Path, register: IoRead) -> io::Result<()> {
    let region = File::open(directory.join(format!("resource{}", register.bar)))?;
    region.read_exact_at(&mut [0], register.offset)
}

/// Loads the drivers of functions that have come since the guest started; a function that is plugged in later brings none
/// with it. What fails shows in the function having no driver.
pub(crate) fn load_for_functions() {
    // A guest of its owner's own making has drivers of its own.
    let Ok(config) = read_config() else { return };
    let conditional = config.modules.iter().filter(|module| !module.functions.is_empty());
    for module in conditional.filter(|module| !is_loaded(module) && is_wanted(module)) {
        let _ = load(module);
    }
}

/// Whether the kernel has a module already, by the name of its file.
fn is_loaded(module: &Module) -> bool {
    let name = Path::new(&module.path).file_stem().unwrap_or_default();
    Path::new("/sys/module").join(name).exists()
}

/// Whether a module is wanted: always, or where a function is that it is for.
fn is_wanted(module: &Module) -> bool {
    if module.functions.is_empty() {
        return true;
    }
    let Ok(entries) = fs::read_dir("/sys/bus/pci/devices") else { return false };
    let alias = |directory: &Path| fs::read_to_string(directory.join("modalias")).unwrap_or_default();
    let aliases = entries.flatten().map(|entry| alias(&entry.path()));
    let fits = |alias: String| module.functions.iter().any(|pattern| fits(pattern, alias.trim_end()));
    aliases.into_iter().any(fits)
}

/// Whether a text fits a pattern in which `*` stands for anything. Each part between stars is looked for once, so the time is
/// bounded by the product of both lengths.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part).and_then(|at| text.get(at + part.len()..)) {
            Some(after) => text = after,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_as_the_kernels_aliases_do() {
        let alias = "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00";
        for (pattern, expected) in [
            ("pci:v00008086d0000100Esv*sd*bc*sc*i*", true),
            ("pci:v00008086d0000100Fsv*sd*bc*sc*i*", false),
            ("pci:v*d*sv*sd*bc02sc00i00*", true),
            ("pci:v*d*sv*sd*bc01sc08i02*", false),
            (alias, true),
            ("pci:", false),
            ("*", true),
            ("*i0", false),
        ] {
            assert_eq!(fits(pattern, alias), expected, "{pattern}");
        }
    }
}
