//! What a guest boots: a kernel with its ramdisk, the device under test itself, a program of ours, GRUB, UEFI, or a disk
//! image of the user's own; and the files for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_spanned::Spanned;
use sha2::{Digest, Sha256};

use super::archive::{Archive, PackageName};
use super::image::{self, PrepareConfig, PrepareError};
use super::settings::ImageSettings;
use super::{GuestDefinition, System, wire};
use crate::source::{FileError, Source};

/// The multiboot kernel: `data/programs/multiboot.S`, assembled.
const MULTIBOOT: &[u8] = include_bytes!("../../data/programs/multiboot.bin");

/// All a machine monitor needs to boot a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFiles {
    /// What is booted.
    pub medium: BootMedium,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Where the guest's console is.
    pub port: Port,
    /// What the guest runs on.
    pub processor: Processor,
    /// What the places in a guest's script stand for.
    pub names: std::collections::BTreeMap<String, String>,
}

/// What is booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootMedium {
    /// The firmware finds the device under test by itself.
    Device,
    /// A kernel from a file: Linux or multiboot.
    Kernel {
        /// Kernel image.
        kernel: PathBuf,
        /// Initial ramdisk.
        initrd: Option<PathBuf>,
        /// Command line.
        append: String,
    },
    /// UEFI firmware, which looks for itself.
    Uefi {
        /// The firmware's code.
        code: PathBuf,
        /// Its variables: a copy that may be written to.
        variables: PathBuf,
    },
    /// A disk image, whose writes are to be thrown away.
    Image {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: ImageFormat,
        /// Whether the guest has drivers for a paravirtual disk; else it gets an ATA disk.
        bus: ImageBus,
    },
}

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Sector for sector.
    Raw,
    /// QEMU's own.
    Qcow2,
}

/// How a guest reaches its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageBus {
    /// ATA, which every system knows.
    Ata,
    /// virtio.
    Virtio,
}

/// Where a guest's console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The first serial port.
    Serial,
    /// The firmware's debug port, 402h.
    Debug,
}

/// What a guest runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// The host's, where it can.
    Accelerated,
    /// An emulated one.
    Emulated,
}

/// What a guest on a console boots, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boot {
    from: From,
    port: Port,
    processor: Processor,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Device,
    Multiboot,
    Grub { packages: Vec<String>, modules: Vec<String>, config: String },
    Uefi { packages: Vec<String>, code: String, variables: String },
    Image(ImageBus),
}

/// Reads a section [boot].
pub(super) fn read(raw: &Spanned<wire::Boot>, source: &Source<'_>) -> Result<Boot, FileError> {
    let boot = raw.get_ref();
    let choose = |text: &Option<Spanned<String>>, names: [&str; 2]| match text {
        None => Ok(0),
        Some(text) => names.iter().position(|name| name == text.get_ref()).ok_or_else(|| {
            let hint = names.join(" or ");
            source.error_with_hint(&text.span(), format!("`{}` is none", text.get_ref()), hint)
        }),
    };
    let need = |value: &Option<String>, key: &str| {
        value.clone().ok_or_else(|| source.error(&raw.span(), format!("[boot] lacks `{key}`")))
    };
    let from = match boot.from.get_ref().as_str() {
        "device" => From::Device,
        "program" => match &boot.program {
            Some(name) if name.get_ref() == "multiboot" => From::Multiboot,
            Some(name) => {
                let message = format!("no program `{}`", name.get_ref());
                return Err(source.error_with_hint(&name.span(), message, "the one there is: multiboot"));
            }
            None => return Err(source.error(&raw.span(), "[boot] lacks `program`")),
        },
        "grub" => From::Grub {
            packages: boot.packages.clone(),
            modules: boot.modules.clone(),
            config: need(&boot.config, "config")?,
        },
        "uefi" => From::Uefi {
            packages: boot.packages.clone(),
            code: need(&boot.code, "code")?,
            variables: need(&boot.variables, "variables")?,
        },
        "image" => From::Image(match choose(&boot.bus, ["ata", "virtio"])? {
            0 => ImageBus::Ata,
            _ => ImageBus::Virtio,
        }),
        other => {
            let message = format!("nothing boots from `{other}`");
            let hint = "device, program, grub, uefi or image";
            return Err(source.error_with_hint(&boot.from.span(), message, hint));
        }
    };
    let port = if choose(&boot.port, ["serial", "debug"])? == 0 { Port::Serial } else { Port::Debug };
    let processor = match choose(&boot.processor, ["accelerated", "emulated"])? {
        0 => Processor::Accelerated,
        _ => Processor::Emulated,
    };
    Ok(Boot { from, port, processor })
}

impl GuestDefinition {
    /// Finds what the guest boots, and makes what has to be made unless the cache has it.
    ///
    /// # Errors
    ///
    /// A kernel, a module, the agent, a package or the user's image is missing, or a file cannot be read or written.
    pub fn prepare(&self, config: &PrepareConfig) -> Result<BootFiles, PrepareError> {
        let plain = |medium| BootFiles {
            medium,
            memory_bytes: self.memory_bytes,
            port: Port::Serial,
            processor: Processor::Accelerated,
            names: std::collections::BTreeMap::new(),
        };
        match &self.system {
            System::Linux { kernel, modules, drivers } => {
                Ok(plain(image::prepare(&self.id, kernel, (modules, drivers), config)?))
            }
            System::Console { boot, .. } => {
                let (medium, names) = boot.files(&self.id, config)?;
                Ok(BootFiles { port: boot.port, processor: boot.processor, names, ..plain(medium) })
            }
            System::None => Err(PrepareError::NoSystem { guest: self.id.clone() }),
        }
    }
}

type Names = std::collections::BTreeMap<String, String>;

impl Boot {
    fn files(&self, guest: &str, config: &PrepareConfig) -> Result<(BootMedium, Names), PrepareError> {
        let kernel = |kernel| BootMedium::Kernel { kernel, initrd: None, append: String::new() };
        let medium = match &self.from {
            From::Device => BootMedium::Device,
            From::Multiboot => kernel(made(config, guest, "multiboot", MULTIBOOT)?),
            From::Grub { packages, modules, config: commands } => {
                let tree = tree(config, guest, packages)?;
                let bytes = grub(&tree, modules, commands, config)?;
                kernel(made(config, guest, "grub", &bytes)?)
            }
            From::Uefi { packages, code, variables } => {
                let tree = tree(config, guest, packages)?;
                let variables = image::read(&tree.join(variables))?;
                // Written to by the guest, so each start has a fresh copy.
                let path = config.cache_dir.join(format!("{guest}-{}.variables", std::process::id()));
                write(&path, &variables)?;
                BootMedium::Uefi { code: tree.join(code), variables: path }
            }
            From::Image(bus) => {
                let settings = ImageSettings::load(&config.settings_dir, guest)?;
                let medium = BootMedium::Image { path: settings.image, format: settings.format, bus: *bus };
                return Ok((medium, settings.names));
            }
        };
        Ok((medium, Names::new()))
    }
}

fn tree(config: &PrepareConfig, guest: &str, packages: &[String]) -> Result<PathBuf, PrepareError> {
    let names: Vec<PackageName> = packages.iter().map(PackageName::new).collect();
    Archive::new(config.cache_dir.join("packages"))
        .files(&names)
        .map_err(|source| PrepareError::Archive { package: format!("{guest}'s packages"), source })
}

/// GRUB as a kernel: `lnxboot.img` makes its core look like Linux to whoever loads it (GRUB `grub-core/boot/i386/pc/lnxboot.S`),
/// so it needs no medium of its own and the device under test stays the only disk.
fn grub(
    tree: &Path,
    modules: &[String],
    commands: &str,
    config: &PrepareConfig,
) -> Result<Vec<u8>, PrepareError> {
    let platform = tree.join("usr/lib/grub/i386-pc");
    let script = config.cache_dir.join(format!("grub-{}.cfg", std::process::id()));
    let core = script.with_extension("core");
    write(&script, commands.as_bytes())?;
    let program = tree.join("usr/bin/grub-mkimage");
    let mut command = Command::new(&program);
    command.env("LD_LIBRARY_PATH", tree.join("lib/x86_64-linux-gnu")).args(["-O", "i386-pc", "-p", "/"]);
    command.arg("-d").arg(&platform).arg("-c").arg(&script).arg("-o").arg(&core).args(modules);
    let failed = |message: String| PrepareError::Program { program: program.clone(), message };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let mut bytes = image::read(&platform.join("lnxboot.img"))?;
    bytes.extend(image::read(&core)?);
    // What is left over is of no use to anybody.
    let _ = fs::remove_file(&script).and_then(|()| fs::remove_file(&core));
    Ok(bytes)
}

/// A file of the cache, by content.
fn made(config: &PrepareConfig, guest: &str, kind: &str, content: &[u8]) -> Result<PathBuf, PrepareError> {
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = config.cache_dir.join(format!("{guest}-{digest}.{kind}"));
    if !path.is_file() {
        write(&path, content)?;
    }
    Ok(path)
}

/// Writes beside the place and renames, so that nobody ever finds half a file.
fn write(path: &Path, content: &[u8]) -> Result<(), PrepareError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&partial, content))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|source| PrepareError::File { action: "write", path: path.to_owned(), source })
}
