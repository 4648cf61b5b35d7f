//! What a host's configuration tells `modprobe`, beside parameters, and what its initramfs is configured to hold.

use super::ModuleName;

/// A kind of line in `modprobe.d(5)`; parameters (`options`) are told with the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModprobeCommand {
    /// Modules to load before or behind this one.
    Softdep,
    /// A command that is run in place of loading it.
    Install,
    /// Not loaded by its aliases.
    Blacklist,
}

impl ModprobeCommand {
    /// The word in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ModprobeCommand::Softdep => "softdep",
            ModprobeCommand::Install => "install",
            ModprobeCommand::Blacklist => "blacklist",
        }
    }
}

/// One line of `modprobe.d(5)`, or of the kernel command line (`modprobe.blacklist=`, `module_blacklist=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModprobeDirective {
    /// The file, or `kernel command line`.
    pub place: String,
    /// What it is.
    pub command: ModprobeCommand,
    /// The module that it is about.
    pub module: ModuleName,
    /// The rest of the line: `pre: vfio-pci`, `/bin/false`; empty for `blacklist`.
    pub text: String,
}

/// A module that a file tells to load early: from the initramfs, or at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyModule {
    /// The file.
    pub place: String,
    /// The module.
    pub module: ModuleName,
}
