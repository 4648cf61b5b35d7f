//! From the initramfs to the lab host's root file system.
//!
//! The root is an overlay: a tmpfs over the payload image over the distribution image, both of which are virtio
//! disks attached read-only and found by their serial numbers ([`ROOT_SERIAL`], [`PAYLOAD_SERIAL`]).

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_move};
use slotwise_lab::artifacts::{EARLY_MODULES_DIR, EARLY_MODULES_LIST, PAYLOAD_SERIAL, ROOT_SERIAL};

/// Mounts what every program expects of a Linux host.
pub(crate) fn mount_kernel_file_systems() -> io::Result<()> {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    for (kind, target, flags) in
        [("devtmpfs", "/dev", MountFlags::NOSUID), ("proc", "/proc", plain), ("sysfs", "/sys", plain)]
    {
        fs::create_dir_all(target)?;
        match mount(kind, target, kind, flags, None) {
            // CONFIG_DEVTMPFS_MOUNT does not apply to an initramfs, but a kernel may yet have mounted one of them.
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            Err(error) => return Err(context(&error.into(), &format!("cannot mount {kind}"))),
        }
    }
    Ok(())
}

/// Loads the modules of the initramfs in the order its list gives.
pub(crate) fn load_early_modules() -> io::Result<()> {
    let list = fs::read_to_string(Path::new("/").join(EARLY_MODULES_LIST))
        .map_err(|error| context(&error, "cannot read the list of early modules"))?;
    for name in list.lines().filter(|line| !line.is_empty()) {
        let path = Path::new("/").join(EARLY_MODULES_DIR).join(name);
        let file =
            File::open(&path).map_err(|error| context(&error, &format!("cannot open module {name}")))?;
        match rustix::system::finit_module(&file, c"", 0) {
            // Built into this kernel, or loaded already: both are what was wanted.
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(context(&error.into(), &format!("cannot load module {name}"))),
        }
    }
    Ok(())
}

/// Mounts the images and the overlay, and makes the overlay the root.
pub(crate) fn enter() -> io::Result<()> {
    for directory in ["/image", "/payload", "/memory", "/new"] {
        fs::create_dir_all(directory)?;
    }
    for (serial, target) in [(ROOT_SERIAL, "/image"), (PAYLOAD_SERIAL, "/payload")] {
        let device = crate::wait(|| disk_with_serial(serial))
            .ok_or_else(|| io::Error::other(format!("no disk with serial {serial}")))?;
        mounted(mount(&device, target, "ext4", MountFlags::RDONLY, None), serial)?;
    }
    mounted(mount("tmpfs", "/memory", "tmpfs", MountFlags::empty(), Some(c"size=75%,mode=755")), "tmpfs")?;
    fs::create_dir("/memory/upper")?;
    fs::create_dir("/memory/work")?;
    let options: &CStr = c"lowerdir=/payload:/image,upperdir=/memory/upper,workdir=/memory/work";
    mounted(mount("lab", "/new", "overlay", MountFlags::empty(), Some(options)), "overlay")?;
    for directory in ["dev", "proc", "sys"] {
        let target = Path::new("/new").join(directory);
        fs::create_dir_all(&target)?;
        mounted(mount_move(Path::new("/").join(directory), target), directory)?;
    }
    std::env::set_current_dir("/new")?;
    mounted(mount_move("/new", "/"), "new root")?;
    rustix::process::chroot(".")?;
    std::env::set_current_dir("/")?;
    for (kind, target, options) in [
        ("tmpfs", "/run", Some(c"mode=755")),
        ("tmpfs", "/dev/shm", Some(c"mode=1777")),
        ("devpts", "/dev/pts", Some(c"gid=5,mode=620,ptmxmode=666")),
    ] {
        fs::create_dir_all(target)?;
        mounted(mount(kind, target, kind, MountFlags::NOSUID, options), target)?;
    }
    Ok(())
}

fn disk_with_serial(serial: &str) -> Option<PathBuf> {
    let disk = fs::read_dir("/sys/block").ok()?.flatten().find(|entry| {
        fs::read_to_string(entry.path().join("serial")).is_ok_and(|text| text.trim() == serial)
    })?;
    let node = Path::new("/dev").join(disk.file_name());
    node.exists().then_some(node)
}

fn mounted(result: rustix::io::Result<()>, what: &str) -> io::Result<()> {
    result.map_err(|error| context(&error.into(), &format!("cannot mount {what}")))
}

fn context(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
