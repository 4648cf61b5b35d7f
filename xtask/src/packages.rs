//! Packages of the distribution that the lab is made of: installed where missing, and said so.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::build::must;

/// A package, and a file by which it is known to be there.
struct Package {
    name: &'static str,
    proof: &'static str,
}

/// What the lab and its guests are built from (Debian's names).
const PACKAGES: &[Package] = &[
    Package { name: "qemu-system-x86", proof: "/usr/bin/qemu-system-x86_64" },
    Package { name: "seabios", proof: "/usr/share/seabios/bios-256k.bin" },
    Package { name: "ovmf", proof: "/usr/share/OVMF/OVMF_CODE_4M.fd" },
    Package { name: "ipxe-qemu", proof: "/usr/lib/ipxe/qemu/efi-e1000.rom" },
    Package { name: "linux-image-amd64", proof: "/usr/share/doc/linux-image-amd64" },
    Package { name: "busybox-static", proof: "/usr/share/doc/busybox-static" },
    Package { name: "xz-utils", proof: "/usr/bin/xz" },
    Package { name: "kmod", proof: "/usr/sbin/modprobe" },
    Package { name: "pciutils", proof: "/usr/bin/lspci" },
    Package { name: "e2fsprogs", proof: "/usr/sbin/mke2fs" },
    Package { name: "gcc", proof: "/usr/bin/cc" },
    // Kills a program in the lab at a system call.
    Package { name: "strace", proof: "/usr/bin/strace" },
    // What the diagnosis is measured against.
    Package { name: "ripgrep", proof: "/usr/bin/rg" },
    // QEMU's iSCSI driver, and targets and tests of others.
    Package { name: "qemu-block-extra", proof: "/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so" },
    Package { name: "libiscsi-bin", proof: "/usr/bin/iscsi-test-cu" },
    Package { name: "tgt", proof: "/usr/sbin/tgtd" },
    // Tests look at the pictures of `slotwise inspect --html` in it.
    Package { name: "chromium", proof: "/usr/bin/chromium" },
];

/// Installs what is missing.
pub(crate) fn ensure() -> Result {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|package| !Path::new(package.proof).exists())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        let list = missing.join(", ");
        return Err(
            format!("these packages are missing, under your distribution's names for them: {list}").into()
        );
    }
    println!("installing: {}", missing.join(" "));
    let mut update = apt();
    update.args(["update", "-qq"]);
    // Lists that are there may do; whether the packages can be had is told by the installation.
    if let Err(error) = must(update) {
        eprintln!("warning: {error}");
    }
    let mut install = apt();
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing);
    must(install).map_err(|error| {
        format!("cannot install {} ({error}); install them by hand and run this again", missing.join(" "))
    })?;
    Ok(())
}

/// apt-get, as root, asking nothing.
fn apt() -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
    if !root {
        command.args(["--non-interactive", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    command
}
