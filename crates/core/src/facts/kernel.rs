//! The running kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{EarlyModule, Fact, ModprobeDirective, ModuleName};

/// Major and minor number of a kernel release, for rules that depend on the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl KernelVersion {
    /// From a release text such as `6.1.0-56-amd64`.
    #[must_use]
    pub fn from_release(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// How a module stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// In use now, as a module.
    Loaded,
    /// Part of the kernel image.
    BuiltIn,
    /// Installed, not loaded.
    Available,
}

impl ModuleState {
    /// The name in the JSON contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ModuleState::Loaded => "loaded",
            ModuleState::BuiltIn => "built-in",
            ModuleState::Available => "available",
        }
    }
}

/// What the host says of its kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// Release, as `uname -r`.
    pub release: Fact<String>,
    /// Command line.
    pub command_line: Fact<String>,
    /// Modules that matter here, with their state. A module that was looked for and not found is not in the map.
    pub modules: Fact<BTreeMap<ModuleName, ModuleState>>,
    /// Parameters in force or configured: `(module, parameter)` to value. A loaded module's own value
    /// (`/sys/module/*/parameters`) wins over `modprobe.d`, which wins over the kernel command line.
    pub parameters: BTreeMap<(ModuleName, String), ParameterValue>,
    /// How the kernel was configured, as far as it matters here.
    pub config: Fact<KernelConfig>,
    /// What `modprobe` is told of drivers, VFIO and what goes before them.
    pub modprobe: Fact<Vec<ModprobeDirective>>,
    /// Modules that files tell to load early, at boot or from the initramfs.
    pub early_modules: Fact<Vec<EarlyModule>>,
    /// Modules in the initramfs of the running kernel.
    pub initramfs: Fact<BTreeSet<ModuleName>>,
}

/// The configuration that a kernel was built with: options that matter here, by name with `CONFIG_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelConfig {
    /// The file.
    pub place: String,
    /// Options with their value as written: `y`, `m`, `n` for `is not set`, a number, a text. An option that the
    /// file does not name does not exist for that kernel or architecture.
    pub options: BTreeMap<String, String>,
}

impl KernelConfig {
    /// Whether an option is built in or a module; none where the file does not name it.
    #[must_use]
    pub fn has(&self, option: &str) -> Option<bool> {
        self.options.get(option).map(|value| matches!(value.as_str(), "y" | "m"))
    }
}

/// A module parameter and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterValue {
    /// The text.
    pub value: String,
    /// File, or `kernel command line`.
    pub place: String,
}

impl ParameterValue {
    /// Whether a boolean parameter is on, by the kernel's reading (`kernel/params.c: param_get_bool`, `kstrtobool`).
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(self.value.trim(), "Y" | "y" | "1" | "on" | "true" | "")
    }
}

impl KernelFacts {
    /// The version, where the release could be read.
    #[must_use]
    pub fn version(&self) -> Option<KernelVersion> {
        self.release.known().and_then(|release| KernelVersion::from_release(release))
    }

    /// A module's parameter.
    #[must_use]
    pub fn parameter(&self, module: &str, name: &str) -> Option<&ParameterValue> {
        let module = ModuleName::new(module).ok()?;
        self.parameters.get(&(module, name.to_owned()))
    }

    /// Words of the command line that are `name` or `name=…`.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.command_line.known().into_iter().flat_map(|line| line.split_whitespace()).filter(move |word| {
            word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_gives_major_and_minor() {
        let version = |text| KernelVersion::from_release(text).map(|v| (v.major, v.minor));
        assert_eq!(version("6.1.0-56-amd64"), Some((6, 1)));
        assert_eq!(version("5.19"), Some((5, 19)));
        assert_eq!(version("6.12-rc1"), Some((6, 12)));
        assert_eq!(version("linux"), None);
    }
}
