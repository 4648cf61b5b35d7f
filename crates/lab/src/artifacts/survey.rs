//! Which of this machine's files a lab host gets.
//!
//! Found by asking: QEMU for its data folders (`-L help`), `ldd` for shared libraries, busybox for its applets, the
//! kernel's own index for modules. Nothing of this machine's configuration or of its users goes in.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ArtifactError;
use super::kernel::Kernel;
use super::modules::{ModuleIndex, UnknownModule};
use super::tree::{Node, Tree};
use crate::machine::Machine;

const QEMU: &str = "qemu-system-x86_64";
const QEMU_NEEDED: (u32, u32) = (7, 0);

/// Programs of the lab host and the Debian packages they are in.
const PROGRAMS: &[(&str, Need)] = &[
    (QEMU, Need::Required("qemu-system-x86")),
    // The shell is bash, not busybox's, which runs busybox's applets in place of the real programs.
    ("bash", Need::Required("bash")),
    ("busybox", Need::Required("busybox-static")),
    ("kmod", Need::Required("kmod")),
    ("lspci", Need::Required("pciutils")),
    ("setpci", Need::Required("pciutils")),
    ("setpriv", Need::Required("util-linux")),
    ("prlimit", Need::Required("util-linux")),
    // Looks into what went wrong in a lab host.
    ("strace", Need::WherePresent),
];
/// Names under which kmod is called.
const KMOD_NAMES: &[&str] = &["modprobe", "insmod", "rmmod", "lsmod", "modinfo", "depmod"];
/// Firmware and boot ROMs guests need, in QEMU's data folders; those that end a guest's start when missing are
/// required.
const FIRMWARE: &[(&str, Need)] = &[
    ("bios-256k.bin", Need::Required("seabios")),
    ("kvmvapic.bin", Need::Required("qemu-system-data")),
    ("linuxboot_dma.bin", Need::Required("qemu-system-data")),
    ("multiboot_dma.bin", Need::WherePresent),
    ("pvh.bin", Need::WherePresent),
    ("vgabios-stdvga.bin", Need::WherePresent),
    ("keymaps/en-us", Need::WherePresent),
];
/// UEFI firmware, which guests that want it name by path (Debian's ovmf).
const UEFI: &[&str] = &["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];
/// The PCI ID database, where distributions have it.
const PCI_IDS: &[&str] = &["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

/// Modules of every lab host: what its own devices need, what passthrough needs, and drivers of the devices machines
/// may hold, so that guests in the lab find them too.
const MODULES: &[&str] = &[
    // The lab's own.
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "virtio_net",
    "virtio_scsi",
    "virtio_rng",
    "ext4",
    "overlay",
    "crc32c_generic",
    "9p",
    "9pnet_virtio",
    // Passthrough.
    "kvm_amd",
    "vfio",
    "vfio_pci",
    "vfio_iommu_type1",
    "iommufd",
    "tun",
    "bridge",
    "vhost_net",
    // Devices.
    "sym53c8xx",
    "am53c974",
    "aic7xxx",
    "sd_mod",
    "sr_mod",
    "st",
    "ch",
    "sg",
    "ses",
    "e1000",
    "e1000e",
    "8139cp",
    "8139too",
    "igb",
    "nvme",
    "xhci_pci",
    "ehci_pci",
    "uhci_hcd",
    "usbhid",
    "usb_storage",
    // The q35 chipset's.
    "ahci",
    "lpc_ich",
    "i2c_i801",
];

/// Whether a lab host can do without a file.
#[derive(Clone, Copy, Debug)]
enum Need {
    Required(&'static str),
    WherePresent,
}

/// The emulator, checked for its version.
pub(super) fn qemu() -> Result<PathBuf, ArtifactError> {
    let path = find_program(QEMU, "qemu-system-x86")?;
    let said = output(&path, &["--version"])?;
    let version = said.split("version ").nth(1).and_then(|text| text.split_whitespace().next());
    let version = version.ok_or_else(|| ArtifactError::Version { program: QEMU.to_owned() })?;
    match version_pair(version) {
        Some(found) if found >= QEMU_NEEDED => Ok(path),
        Some(_) => Err(ArtifactError::TooOld { program: "QEMU", found: version.to_owned(), needed: "7.0" }),
        None => Err(ArtifactError::Version { program: QEMU.to_owned() }),
    }
}

/// Major and minor number at the beginning of a version.
pub(super) fn version_pair(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Finds a program in `PATH` or in the folders of system programs, which users' `PATH` may lack.
pub(super) fn find_program(name: &str, package: &'static str) -> Result<PathBuf, ArtifactError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| ArtifactError::MissingProgram { program: name.to_owned(), package })
}

/// Everything in the root image of a machine's host.
pub(super) fn host_tree(
    machine: &Machine,
    qemu: &Path,
    kernel: &Kernel,
    uncompressed: &Path,
    index: &ModuleIndex,
) -> Result<Tree, ArtifactError> {
    let mut tree = Tree::default();
    skeleton(&mut tree);
    programs(&mut tree)?;
    firmware(&mut tree, qemu)?;
    kernel_files(&mut tree, machine, kernel, uncompressed, index)?;
    let ids = PCI_IDS.iter().map(Path::new).find(|path| path.exists());
    let ids = ids.ok_or_else(|| missing("the PCI ID database pci.ids", "pci.ids"))?;
    tree.insert(Path::new("/usr/share/misc/pci.ids"), Node::File(ids.to_owned()));
    Ok(tree)
}

fn skeleton(tree: &mut Tree) {
    for (path, mode) in [
        ("/root", 0o700),
        ("/tmp", 0o1777),
        ("/var/tmp", 0o1777),
        ("/var/lib", 0o755),
        ("/var/log", 0o755),
        ("/run", 0o755),
        ("/dev", 0o755),
        ("/proc", 0o555),
        ("/sys", 0o555),
        ("/mnt", 0o755),
        ("/usr/local/bin", 0o755),
        ("/etc/modprobe.d", 0o755),
        ("/etc/modules-load.d", 0o755),
        ("/usr/lib/x86_64-linux-gnu", 0o755),
    ] {
        tree.insert(Path::new(path), Node::Directory(mode));
    }
    for (path, target) in
        [("/bin", "usr/bin"), ("/sbin", "usr/sbin"), ("/lib", "usr/lib"), ("/lib64", "usr/lib64")]
    {
        tree.insert(Path::new(path), Node::Link(PathBuf::from(target)));
    }
    for (path, text) in [
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        ("/etc/group", "root:x:0:\ntty:x:5:\ndisk:x:6:\nkvm:x:106:\nnogroup:x:65534:\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n"),
        (
            "/etc/os-release",
            "ID=slotwise-lab\nNAME=\"Slotwise lab host\"\nPRETTY_NAME=\"Slotwise lab host\"\n",
        ),
        ("/etc/profile", "PS1='lab:\\w\\$ '\nalias ll='ls -l'\n"),
    ] {
        tree.insert(Path::new(path), Node::Text(text.to_owned()));
    }
}

fn programs(tree: &mut Tree) -> Result<(), ArtifactError> {
    for (name, need) in PROGRAMS {
        let path = match need {
            Need::Required(package) => find_program(name, package)?,
            Need::WherePresent => match find_program(name, "") {
                Ok(path) => path,
                Err(_) => continue,
            },
        };
        tree.insert(&path, Node::File(path.clone()));
        for library in shared_libraries(&path)? {
            tree.insert(&library, Node::File(library.clone()));
        }
    }
    let kmod = find_program("kmod", "kmod")?;
    for name in KMOD_NAMES {
        tree.insert(&Path::new("/usr/sbin").join(name), Node::Link(kmod.clone()));
    }
    tree.insert(Path::new("/usr/bin/sh"), Node::Link(PathBuf::from("bash")));
    let busybox = find_program("busybox", "busybox-static")?;
    for applet in output(&busybox, &["--list-full"])?.lines().filter(|line| !line.is_empty()) {
        let path = Path::new("/").join(applet);
        // The real program is the better one where both are there.
        let name = path.file_name().unwrap_or_default();
        if !PROGRAMS.iter().any(|(program, _)| name == *program)
            && !KMOD_NAMES.iter().any(|kmod| name == *kmod)
        {
            tree.insert_if_free(&path, Node::Link(busybox.clone()));
        }
    }
    Ok(())
}

fn firmware(tree: &mut Tree, qemu: &Path) -> Result<(), ArtifactError> {
    // QEMU names folders relative to its program (`/usr/bin/../share/qemu`), and some that are not there.
    let folders: Vec<PathBuf> =
        output(qemu, &["-L", "help"])?.lines().filter_map(|line| fs::canonicalize(line).ok()).collect();
    for (name, need) in FIRMWARE {
        let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
        match (found, need) {
            (Some(path), _) => tree.insert(&path, Node::File(path.clone())),
            (None, Need::Required(package)) => {
                return Err(missing(&format!("QEMU's {name}"), package));
            }
            (None, Need::WherePresent) => {}
        }
    }
    for path in UEFI.iter().map(Path::new).filter(|path| path.exists()) {
        tree.insert(path, Node::File(path.to_owned()));
    }
    // Debian builds TCG as a loadable part of QEMU; guests in the lab that do not run under KVM need it.
    for folder in ["/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib64/qemu", "/usr/lib/qemu"] {
        let path = Path::new(folder).join("accel-tcg-x86_64.so");
        if path.exists() {
            tree.insert(&path, Node::File(path.clone()));
        }
    }
    Ok(())
}

fn kernel_files(
    tree: &mut Tree,
    machine: &Machine,
    kernel: &Kernel,
    uncompressed: &Path,
    index: &ModuleIndex,
) -> Result<(), ArtifactError> {
    let release = &kernel.release;
    tree.insert(&Path::new("/boot").join(format!("vmlinuz-{release}")), Node::File(kernel.image.clone()));
    tree.insert(&Path::new("/boot").join(format!("vmlinux-{release}")), Node::File(uncompressed.to_owned()));
    let common = MODULES.iter().copied().filter(|name| index.has(name));
    // A fault may be switched on later without a new image, so modules of all faults go in; `kernel` has those of the
    // faults that are on, which is what must be there.
    let own = machine.kernel().modules.iter().map(String::as_str);
    let names: Vec<&str> = common.chain(own).chain(machine.fault_modules()).collect();
    let files = index
        .load_order(&names)
        .map_err(|UnknownModule(module)| ArtifactError::NoModule { module, release: release.clone() })?;
    let folder = Path::new("/lib/modules").join(release);
    for file in files {
        tree.insert(&folder.join(&file), Node::File(kernel.modules.join(&file)));
    }
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        let path = kernel.modules.join(name);
        if path.exists() {
            tree.insert(&folder.join(name), Node::File(path));
        }
    }
    Ok(())
}

/// Shared libraries an ELF program is loaded with, the loader included; none for a static one or another file.
pub(super) fn shared_libraries(program: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let mut magic = [0; 4];
    let opened = fs::File::open(program).map_err(|source| ArtifactError::io("read", program, source))?;
    if opened.take(4).read(&mut magic).is_err() || magic != *b"\x7fELF" {
        return Ok(Vec::new());
    }
    let ldd = find_program("ldd", "libc-bin")?;
    let result = Command::new(&ldd).arg(program).env("LC_ALL", "C").output();
    let result = result.map_err(|source| ArtifactError::io("run", &ldd, source))?;
    let text = String::from_utf8_lossy(&result.stdout);
    // A static program makes ldd fail, and needs nothing.
    if !result.status.success() {
        return Ok(Vec::new());
    }
    if let Some(lost) = text.lines().find(|line| line.contains("not found")) {
        let stderr = format!("{}: {}", program.display(), lost.trim());
        return Err(ArtifactError::Program { program: "ldd".to_owned(), stderr });
    }
    Ok(libraries_in(&text))
}

/// Paths in the output of ldd: `name => path (address)` or `path (address)`.
fn libraries_in(text: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let value = line.split_once("=>").map_or(line, |(_, value)| value);
        let path = value.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    text.lines().filter_map(path).collect()
}

fn output(program: &Path, arguments: &[&str]) -> Result<String, ArtifactError> {
    let result = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let result = result.map_err(|source| ArtifactError::io("run", program, source))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&result.stderr).trim().to_owned();
    Err(ArtifactError::Program { program: program.display().to_string(), stderr })
}

fn missing(what: &str, package: &'static str) -> ArtifactError {
    ArtifactError::MissingFile { what: what.to_owned(), package }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_begin_with_two_numbers() {
        assert_eq!(version_pair("7.2.22"), Some((7, 2)));
        assert_eq!(version_pair("6.1.0-56-amd64"), Some((6, 1)));
        assert_eq!(version_pair("unknown"), None);
    }

    #[test]
    fn libraries_are_the_paths_that_ldd_names() {
        let text = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(libraries_in(text), [Path::new("/lib/x/libm.so.6"), Path::new("/lib64/ld-linux.so.2")]);
    }

    #[test]
    fn a_program_that_is_not_there_names_its_package() {
        let error = find_program("no-such-program", "some-package").unwrap_err();
        assert_eq!(error.hint().unwrap(), "install the package some-package");
    }
}
