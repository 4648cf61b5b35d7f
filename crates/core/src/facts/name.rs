//! Names that end up in a sysfs write, on `modprobe`'s command line or in a path: checked once, here.
//!
//! Sources: a driver's name is a directory under `/sys/bus/pci/drivers`, so it has no `/`
//! (`drivers/base/bus.c:bus_add_driver`); `driver_override` ends at a newline and reads `(null)` when it is empty
//! (`drivers/base/driver.c:driver_set_override`); module names are C identifiers in which `modprobe` takes `-` and
//! `_` for the same (`modprobe.8`).

use std::fmt;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is no driver's name.
    #[error("{0:?} is not a driver name (1 to 64 printable characters without a slash)")]
    Driver(String),
    /// The text is no kernel module's name.
    #[error("{0:?} is not a module name (1 to 55 letters, digits, - and _)")]
    Module(String),
    /// The text is no reset method of the kernel.
    #[error("{0:?} is not a reset method that the kernel is known to have")]
    ResetMethod(String),
}

/// The beginning of a text that was refused, for the message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The name of a PCI driver, as in `/sys/bus/pci/drivers`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DriverName(String);

impl DriverName {
    /// A driver's name; it may hold spaces (`ATI IXP AC97 controller`).
    ///
    /// # Errors
    /// If no directory in sysfs can have that name, or the kernel prints it for "no override".
    pub fn new(text: &str) -> Result<Self, NameError> {
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'/');
        let special = matches!(text, "." | ".." | "(null)") || text.trim() != text;
        if text.is_empty() || text.len() > 64 || !printable || special {
            return Err(NameError::Driver(shown(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// `vfio-pci`.
    #[must_use]
    pub fn vfio_pci() -> Self {
        Self("vfio-pci".to_owned())
    }

    /// Whether this is vfio-pci or one of its variants, which are named after their modules (`mlx5_vfio_pci`,
    /// `drivers/vfio/pci/mlx5/main.c`).
    #[must_use]
    pub fn is_vfio(&self) -> bool {
        self.0.ends_with("vfio-pci") || self.0.ends_with("vfio_pci")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a kernel module, with `_` as in `/sys/module`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(String);

impl ModuleName {
    /// A module's name; `-` becomes `_`.
    ///
    /// # Errors
    /// If it is empty, longer than the kernel allows (`MODULE_NAME_LEN`, 56 with the NUL), starts with `-`, or has
    /// other characters than letters, digits, `-` and `_`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if text.is_empty() || text.len() > 55 || !plain || text.starts_with('-') {
            return Err(NameError::Module(shown(text)));
        }
        Ok(Self(text.replace('-', "_")))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_names_that_sysfs_cannot_have_are_refused() {
        for good in ["vfio-pci", "ahci", "ATI IXP AC97 controller", "none"] {
            assert!(DriverName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "..", "(null)", "x\n", " x", "é", &"a".repeat(65)] {
            assert!(DriverName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn module_names_cannot_be_options() {
        assert_eq!(ModuleName::new("vfio-pci").map(|m| m.to_string()).as_deref(), Ok("vfio_pci"));
        for bad in ["", "--help", "-r", "a b", "a/b", "a.ko", "a;b"] {
            assert!(ModuleName::new(bad).is_err(), "{bad:?}");
        }
    }
}
