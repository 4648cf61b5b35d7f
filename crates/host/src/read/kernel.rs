//! The running kernel: release, command line, modules that matter here.

use std::collections::{BTreeMap, BTreeSet};

use slotwise_core::facts::{Fact, FunctionFacts, KernelFacts, ModuleName, ModuleState, ReadFault};
use slotwise_core::pci::PciAddress;

use super::modalias::ModuleAliases;
use super::{ATTRIBUTE_BYTES, TEXT_BYTES, fact, fault, kernel_config, modprobe, parameters, text};
use crate::kernel::{ReadError, ReadHost};

/// Modules that VFIO, KVM and Xen pass-through stand on, whether or not a function uses them now.
const OF_INTEREST: [&str; 19] = [
    "vfio",
    "vfio_pci",
    "vfio_pci_core",
    "vfio_virqfd",
    "vfio_iommu_type1",
    "vfio_iommu_spapr_tce",
    "iommufd",
    "irqbypass",
    "kvm",
    "kvm_intel",
    "kvm_amd",
    "pci_stub",
    "xen_pciback",
    "intel_iommu",
    "amd_iommu",
    "virtio_iommu",
    "vendor_reset",
    "igb_uio",
    "uio_pci_generic",
];

/// Kernel facts; also fills in which modules claim each of `functions`.
pub(super) fn kernel(
    host: &dyn ReadHost,
    functions: &mut BTreeMap<PciAddress, FunctionFacts>,
    faults: &mut Vec<ReadFault>,
) -> KernelFacts {
    let line = |path| fact(text(host, path, ATTRIBUTE_BYTES)).map(|text| text.trim_end().to_owned());
    let command_line = line("/proc/cmdline");
    let release = match line("/proc/sys/kernel/osrelease") {
        Fact::Known(release) => Fact::Known(release),
        other => match line("/proc/version") {
            Fact::Known(version) => release_of(&version).map(str::to_owned).map_or(other, Fact::Known),
            _ => other,
        },
    };
    let directory = release.known().and_then(|release| module_directory(host, release));
    if let Some(directory) = &directory {
        claims(host, directory, functions, faults);
    }
    let wanted = wanted(functions);
    let modules = modules(host, directory.as_deref(), &wanted, faults);
    let configuration = modprobe::configuration(host, faults);
    let line = command_line.known();
    KernelFacts {
        parameters: parameters::parameters(host, line, &configuration, &OF_INTEREST, faults),
        config: kernel_config::config(host, release.known(), directory.as_ref()),
        modprobe: modprobe::directives(&configuration, line, &wanted),
        early_modules: modprobe::early_modules(host, faults),
        initramfs: modprobe::initramfs(host, release.known()),
        modules,
        release,
        command_line,
    }
}

/// Modules of interest, drivers seen, and what claims the functions.
fn wanted(functions: &BTreeMap<PciAddress, FunctionFacts>) -> BTreeSet<ModuleName> {
    let mut wanted: BTreeSet<ModuleName> =
        OF_INTEREST.iter().filter_map(|name| ModuleName::new(name).ok()).collect();
    // Many functions have the same few.
    let drivers: BTreeSet<&str> =
        functions.values().filter_map(|function| Some(function.driver.known()?.as_str())).collect();
    wanted.extend(drivers.into_iter().filter_map(|driver| ModuleName::new(driver).ok()));
    let modules: BTreeSet<&ModuleName> = functions.values().flat_map(|function| &function.modules).collect();
    wanted.extend(modules.into_iter().cloned());
    wanted
}

/// `Linux version 6.1.0-56-amd64 (…` (`init/version-timestamp.c: linux_proc_banner`).
fn release_of(version: &str) -> Option<&str> {
    version.strip_prefix("Linux version ")?.split_ascii_whitespace().next()
}

/// Where the modules of `release` lie; a release that could leave the directory has none.
fn module_directory(host: &dyn ReadHost, release: &str) -> Option<String> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'~');
    if release.is_empty() || release.starts_with('.') || !release.bytes().all(safe) {
        return None;
    }
    let candidates = ["/lib/modules", "/usr/lib/modules", "/run/booted-system/kernel-modules/lib/modules"];
    let directories = candidates.iter().map(|root| format!("{root}/{release}"));
    // A directory without this file has never seen depmod.
    directories.into_iter().find(|directory| match host.list(directory) {
        Ok(names) => names.iter().any(|name| name == "modules.dep" || name == "modules.builtin"),
        Err(_) => false,
    })
}

fn claims(
    host: &dyn ReadHost,
    directory: &str,
    functions: &mut BTreeMap<PciAddress, FunctionFacts>,
    faults: &mut Vec<ReadFault>,
) {
    let aliases = ModuleAliases::load(host, directory, faults);
    for function in functions.values_mut() {
        function.modules = aliases.claiming(function);
    }
}

/// State of the modules in `wanted`.
fn modules(
    host: &dyn ReadHost,
    directory: Option<&str>,
    wanted: &BTreeSet<ModuleName>,
    faults: &mut Vec<ReadFault>,
) -> Fact<BTreeMap<ModuleName, ModuleState>> {
    let loaded = match text(host, "/proc/modules", TEXT_BYTES) {
        Ok(text) => text,
        // A kernel without loadable modules has no such file.
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => return Fact::Unreadable(fault(&error)),
    };
    let mut states = BTreeMap::new();
    let mut put = |name: &str, state| {
        if let Ok(name) = ModuleName::new(name)
            && wanted.contains(&name)
        {
            states.insert(name, state);
        }
    };
    let mut known = false;
    let mut file = |name: &str| match directory.map(|directory| format!("{directory}/{name}")) {
        None => String::new(),
        Some(path) => match text(host, &path, TEXT_BYTES) {
            Ok(text) => {
                known = true;
                text
            }
            Err(error) => {
                note_missing(&error, faults);
                String::new()
            }
        },
    };
    for line in file("modules.dep").lines() {
        put(module_name(line.split(':').next().unwrap_or_default()), ModuleState::Available);
    }
    for line in file("modules.builtin").lines() {
        put(module_name(line), ModuleState::BuiltIn);
    }
    for line in loaded.lines() {
        put(line.split_ascii_whitespace().next().unwrap_or_default(), ModuleState::Loaded);
    }
    if !known {
        built_in_by_sysfs(host, wanted, &mut states);
    }
    Fact::Known(states)
}

fn note_missing(error: &ReadError, faults: &mut Vec<ReadFault>) {
    if !error.is_not_found() {
        faults.push(fault(error));
    }
}

/// Without the files of depmod: a module that is not loaded and still has a directory in sysfs is built in
/// (`kernel/params.c: param_sysfs_builtin`), if it has a parameter or a version.
fn built_in_by_sysfs(
    host: &dyn ReadHost,
    wanted: &BTreeSet<ModuleName>,
    states: &mut BTreeMap<ModuleName, ModuleState>,
) {
    for name in host.list("/sys/module").unwrap_or_default() {
        if let Ok(name) = ModuleName::new(&name)
            && wanted.contains(&name)
        {
            states.entry(name).or_insert(ModuleState::BuiltIn);
        }
    }
}

/// `kernel/drivers/vfio/pci/vfio-pci.ko.zst` → `vfio-pci`.
fn module_name(path: &str) -> &str {
    let file = super::base_name(path.trim());
    file.split_once(".ko").map_or(file, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_is_taken_from_the_banner() {
        let banner = "Linux version 5.0.0-37-generic (buildd@x) (gcc version 8.3.0) #40 SMP";
        assert_eq!(release_of(banner), Some("5.0.0-37-generic"));
        assert_eq!(release_of("Darwin"), None);
    }

    #[test]
    fn module_names_lose_directory_and_suffixes() {
        assert_eq!(module_name("kernel/drivers/vfio/pci/vfio-pci.ko.zst"), "vfio-pci");
        assert_eq!(module_name("kernel/sound/snd.ko"), "snd");
    }
}
