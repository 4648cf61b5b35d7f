//! What the QEMU of this host can do: version, acceleration, devices.
//!
//! Found by asking the program (`--version`, `-accel help`, `-device help`) and by opening `/dev/kvm`; nothing of
//! sysfs is read.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::process::{Output, ProcessError, Tether, find_program, is_executable, output_within};

/// The program that is looked for.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// How long QEMU may take to print its version or a list; a cold start from a slow disk is seconds.
const ANSWER: Duration = Duration::from_secs(30);

/// The oldest version that is taken: the first with the event `DEVICE_UNPLUG_GUEST_ERROR`, and what the oldest
/// distribution releases in support bring (Ubuntu 22.04: 6.2).
pub const OLDEST: Version = Version { major: 6, minor: 2, micro: 0 };

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub micro: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

impl Version {
    /// Reads the first line of `--version`: `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7…)`.
    #[must_use]
    pub fn from_banner(text: &str) -> Option<Self> {
        let (_, rest) = text.lines().next()?.split_once("QEMU emulator version ")?;
        let digits = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
        let mut numbers = digits.split('.').map(|n| n.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self { major, minor, micro: numbers.next().flatten().unwrap_or(0) })
    }
}

/// Whether KVM can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kvm {
    /// It can.
    Usable,
    /// It cannot, and why.
    Unusable(KvmFault),
}

/// Why KVM cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvmFault {
    /// The node is not there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// The node is there, the driver behind it is not.
    #[error("{} exists, and no KVM driver answers behind it", .0.display())]
    NoDriver(PathBuf),
    /// We may not open it.
    #[error("no permission to open {}", .0.display())]
    Permission(PathBuf),
    /// Another failure, with the system's error number.
    #[error("cannot open {}: {errno}", path.display())]
    Other {
        /// The node.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// This QEMU was built without.
    #[error("this QEMU was built without KVM")]
    NotBuiltIn,
}

impl KvmFault {
    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::NoDriver(_) => {
                "enable VT-x (Intel) or SVM (AMD) in the firmware setup, then `modprobe kvm_intel` or \
                 `modprobe kvm_amd`; in a virtual machine, nested virtualisation has to be on"
            }
            Self::Permission(_) => "run as root, or join the group that owns the node (usually `kvm`)",
            Self::Other { .. } => "see the kernel log for messages of kvm",
            Self::NotBuiltIn => "install the distribution's own QEMU for x86",
        }
    }

    /// Tries the node.
    fn probe(path: &Path) -> Kvm {
        let Err(error) = OpenOptions::new().read(true).write(true).open(path) else { return Kvm::Usable };
        let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        Kvm::Unusable(match (error.kind(), errno) {
            (ErrorKind::NotFound, _) => Self::Missing(path.to_owned()),
            (ErrorKind::PermissionDenied, _) => Self::Permission(path.to_owned()),
            (_, Errno::NODEV | Errno::NXIO) => Self::NoDriver(path.to_owned()),
            (_, errno) => Self::Other { path: path.to_owned(), errno },
        })
    }
}

/// Why there is no usable QEMU.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// Not in the search path.
    #[error("{PROGRAM} is not installed")]
    NotFound,
    /// The path given is not a program.
    #[error("{} is not an executable file", .0.display())]
    NotExecutable(PathBuf),
    /// It could not be asked.
    #[error("cannot ask {} for its {question}", program.display())]
    Ask {
        /// The program.
        program: PathBuf,
        /// What we wanted to know.
        question: &'static str,
        /// What happened.
        #[source]
        source: ProcessError,
    },
    /// Its answer made no sense.
    #[error("{} does not say which QEMU it is: {answer:?}", program.display())]
    NotQemu {
        /// The program.
        program: PathBuf,
        /// The beginning of its answer.
        answer: String,
    },
    /// Older than [`OLDEST`].
    #[error("{} is QEMU {found}, and {OLDEST} is the oldest that is supported", program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: Version,
    },
}

impl CapabilityError {
    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotFound | Self::NotExecutable(_) => {
                "install it: `apt install qemu-system-x86` (Debian, Ubuntu), `dnf install qemu-system-x86-core` \
                 (Fedora), `pacman -S qemu-system-x86` (Arch)"
            }
            Self::TooOld { .. } => "install a newer QEMU, from the distribution's backports if it has them",
            Self::Ask { .. } | Self::NotQemu { .. } => "run it by hand with --version to see what is wrong",
        }
    }
}

/// What a QEMU and its host can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The program.
    pub program: PathBuf,
    /// Its version.
    pub version: Version,
    /// Whether it can use KVM here.
    pub kvm: Kvm,
    /// Device models that we use and it has.
    pub devices: BTreeSet<String>,
    /// What will tie its life to ours.
    pub tether: Tether,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Places<'a> {
    /// The program, if the user names one.
    pub program: Option<&'a Path>,
    /// Folders to search for programs, as in `PATH`.
    pub search_path: &'a OsStr,
    /// The KVM node, `/dev/kvm`.
    pub kvm: &'a Path,
}

impl Capabilities {
    /// Finds QEMU and asks it.
    ///
    /// # Errors
    /// There is none, it cannot be run, or it is too old. That KVM is unusable is no error: see
    /// [`Capabilities::kvm`].
    pub fn detect(places: &Places<'_>) -> Result<Self, CapabilityError> {
        let program = match places.program {
            Some(path) if is_executable(path) => path.to_owned(),
            Some(path) => return Err(CapabilityError::NotExecutable(path.to_owned())),
            None => find_program(PROGRAM, places.search_path).ok_or(CapabilityError::NotFound)?,
        };
        let ask = |question, arguments: &[&str]| -> Result<Output, CapabilityError> {
            output_within(&program, arguments, ANSWER).map_err(|source| CapabilityError::Ask {
                program: program.clone(),
                question,
                source,
            })
        };
        let banner = ask("version", &["--version"])?.text;
        let version = Version::from_banner(&banner).ok_or_else(|| CapabilityError::NotQemu {
            program: program.clone(),
            answer: banner.chars().take(120).collect(),
        })?;
        if version < OLDEST {
            return Err(CapabilityError::TooOld { program, found: version });
        }
        let accelerators = ask("accelerators", &["-accel", "help"])?.text;
        let kvm = if accelerators.lines().any(|line| line.trim() == "kvm") {
            KvmFault::probe(places.kvm)
        } else {
            Kvm::Unusable(KvmFault::NotBuiltIn)
        };
        // `-machine none` builds nothing that could fail before the list is printed.
        let devices = device_names(&ask("devices", &["-machine", "none", "-device", "help"])?.text);
        let tether = Tether::detect(places.search_path);
        Ok(Self { program, version, kvm, devices, tether })
    }
}

/// The names in a `-device help` list: lines of `name "vfio-pci", bus PCI, …`.
fn device_names(list: &str) -> BTreeSet<String> {
    const MOST: usize = 4096;
    let names = list.lines().filter_map(|line| line.trim().strip_prefix("name \"")?.split('"').next());
    names.take(MOST).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_banners_of_several_distributions() {
        for (banner, expected) in [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", Some("7.2.22")),
            ("QEMU emulator version 10.1.0 (qemu-10.1.0-8.fc43)", Some("10.1.0")),
            ("QEMU emulator version 9.2.50 (v9.2.0-1034-gabc)", Some("9.2.50")),
            ("QEMU emulator version 6.2", Some("6.2.0")),
            ("qemu: could not load PC BIOS", None),
            ("QEMU emulator version x", None),
            ("QEMU emulator version 99999999999.0", None),
            ("", None),
        ] {
            assert_eq!(Version::from_banner(banner).map(|v| v.to_string()).as_deref(), expected, "{banner}");
        }
    }

    #[test]
    fn device_names_are_read_from_the_list() {
        let list =
            "Storage devices:\nname \"vfio-pci\", bus PCI, desc \"VFIO\"\n\nname \"usb-host\", bus usb-bus\n";
        assert_eq!(device_names(list).into_iter().collect::<Vec<_>>(), ["usb-host", "vfio-pci"]);
    }

    /// Asks a script of `testdata/qemu`. They are files of the repository and not written by the test, since a
    /// program just written can be busy: another thread's child may still hold it open (execve(2), `ETXTBSY`).
    fn detect(script: &str, kvm: &str) -> Result<Capabilities, CapabilityError> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/qemu").join(script);
        Capabilities::detect(&Places {
            program: Some(&program),
            search_path: OsStr::new(""),
            kvm: Path::new(kvm),
        })
    }

    #[test]
    fn an_old_qemu_is_refused_with_both_versions() {
        let error = detect("too-old", "/dev/null").expect_err("too old").to_string();
        assert!(error.ends_with("is QEMU 5.2.0, and 6.2.0 is the oldest that is supported"), "{error}");
    }

    #[test]
    fn another_program_is_quoted() {
        let error = detect("not-qemu", "/dev/null").expect_err("not QEMU");
        assert!(matches!(error, CapabilityError::NotQemu { answer, .. } if answer == "hello\n"));
    }

    #[test]
    fn a_missing_qemu_names_the_packages() {
        let places = Places { program: None, search_path: OsStr::new("/nonexistent"), kvm: Path::new("/") };
        let error = Capabilities::detect(&places).expect_err("none there");
        assert_eq!(error.to_string(), "qemu-system-x86_64 is not installed");
        for package in ["apt install qemu-system-x86", "qemu-system-x86-core", "pacman -S qemu-system-x86"] {
            assert!(error.hint().contains(package));
        }
    }

    #[test]
    fn kvm_faults_are_told_apart() {
        let found = detect("modern", "/dev/null").expect("usable");
        assert_eq!((found.kvm, found.version.major), (Kvm::Usable, 8));
        let missing = detect("modern", "/nonexistent/kvm").expect("usable").kvm;
        assert_eq!(missing, Kvm::Unusable(KvmFault::Missing("/nonexistent/kvm".into())));
        let directory = detect("modern", "/").expect("usable").kvm;
        assert!(matches!(directory, Kvm::Unusable(KvmFault::Other { errno: Errno::ISDIR, .. })));
        let without = detect("without-kvm", "/dev/null").expect("usable").kvm;
        assert_eq!(without, Kvm::Unusable(KvmFault::NotBuiltIn));
    }
}
