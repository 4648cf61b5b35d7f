//! Finds a guest's kernel and makes its initial ramdisk: the agent as `/init`, the modules, what to do with them.
//!
//! Images are kept by content: the file's name is the SHA-256 of all that goes into it, so an image is made again exactly
//! when the kernel package, the agent or the definition has changed. The format is cpio `newc`
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`), not compressed: unpacking costs an emulated guest more
//! than reading.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use cpio::newc::{Builder, ModeFileType, trailer};
use sha2::{Digest, Sha256};

use super::archive::{Archive, ArchiveError};
use super::modules::{Dependencies, NoSuchModule, normal, patterns};
use super::{BootMedium, Kernel, KernelSource};
use crate::source::FileError;
use crate::wire::{AGENT_PORT, BootConfig, Module};

/// Where to find what a guest is made of.
#[derive(Clone, Debug)]
pub struct PrepareConfig {
    /// Images are kept here; made if not there.
    pub cache_dir: PathBuf,
    /// The static agent. One for 32-bit guests is looked for beside it, its name with `-i386` at the end.
    pub agent: PathBuf,
    /// The distribution's kernels, as a rule `/boot`.
    pub boot_dir: PathBuf,
    /// The distribution's modules, as a rule `/lib/modules`.
    pub modules_dir: PathBuf,
    /// Where the user tells of images of their own: a file `ID.toml` for each guest ([`super::ImageSettings`]).
    pub settings_dir: PathBuf,
}

/// Why a guest cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// What is spoken to without a guest has none to boot.
    #[error("{guest} stands for no system that could be booted")]
    NoSystem {
        /// What it is called.
        guest: String,
    },
    /// No kernel of the wanted kind.
    #[error("no kernel {pattern} in {directory}")]
    NoKernel {
        /// Its name, with a `*`.
        pattern: String,
        /// Where it was looked for.
        directory: PathBuf,
        /// Debian package that has it.
        package: String,
    },
    /// The kernel's modules lack one.
    #[error("no module {module} in {directory}")]
    NoModule {
        /// Its name.
        module: String,
        /// The kernel's own module directory.
        directory: PathBuf,
        /// Debian package that has it.
        package: String,
    },
    /// A module file is compressed, and cannot be unpacked.
    #[error("cannot unpack module {path}: {message}")]
    CompressedModule {
        /// The file.
        path: PathBuf,
        /// What its unpacker said.
        message: String,
    },
    /// Packages cannot be had.
    #[error("cannot get {package} from the distribution's archive")]
    Archive {
        /// Which.
        package: String,
        /// Why.
        source: ArchiveError,
    },
    /// No agent to put into the image.
    #[error("no agent at {path}")]
    NoAgent {
        /// Where it should be.
        path: PathBuf,
        /// What came of looking.
        source: io::Error,
    },
    /// The guest runs an image of the user's own, and none is named.
    #[error("no image for guest {guest}")]
    NoImage {
        /// The guest.
        guest: String,
        /// The file that would name it.
        settings: PathBuf,
    },
    /// The user's file about an image is wrong.
    #[error(transparent)]
    Settings(#[from] FileError),
    /// The image is another one than the user meant.
    #[error("{path} has the checksum {found}, not {declared}")]
    Checksum {
        /// The image.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What it should have.
        declared: String,
    },
    /// A program that makes part of a guest failed.
    #[error("{program} could not make the guest's image: {message}")]
    Program {
        /// Which.
        program: PathBuf,
        /// What it said.
        message: String,
    },
    /// A file that is there cannot be read, or one cannot be written.
    #[error("cannot {action} {path}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl PrepareError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoKernel { package, .. } => Some(format!("install the Debian package {package}")),
            Self::NoModule { package, .. } => Some(format!("install the Debian package {package} whole")),
            Self::NoAgent { path, .. } if is_i386(path) => Some(
                "`cargo xtask dist` builds the agent for 32-bit guests too, with the distribution's own compiler".into(),
            ),
            Self::NoAgent { .. } => Some(
                "build it: RUSTFLAGS='-C target-feature=+crt-static' cargo build --release -p slotwise-agent \
                 --target x86_64-unknown-linux-gnu"
                    .into(),
            ),
            Self::CompressedModule { .. } => Some("modules are unpacked by xz, of the package xz-utils".into()),
            Self::Archive { source, .. } => source.hint().map(str::to_owned),
            Self::NoImage { settings, .. } => Some(format!(
                "write {} with lines `image = \"/path\"`, `format = \"qcow2\"` (or raw) and `sha256 = \"…\"`",
                settings.display()
            )),
            Self::Settings(error) => error.hint.clone(),
            Self::Checksum { .. } => Some("is it the image you meant? if so, write the new checksum".into()),
            Self::NoSystem { .. } | Self::Program { .. } | Self::File { .. } => None,
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, PrepareError> {
    fs::read(path).map_err(|source| PrepareError::File { action: "read", path: path.to_owned(), source })
}

/// One file of the ramdisk.
struct Entry {
    path: String,
    mode: u32,
    content: Vec<u8>,
}

/// The kernel, the initial ramdisk and the command line of a Linux guest; the ramdisk is made unless the cache has it.
pub(super) fn prepare(
    id: &str,
    kernel: &Kernel,
    (modules, drivers): (&[super::Module], &[String]),
    config: &PrepareConfig,
) -> Result<BootMedium, PrepareError> {
    let (boot_dir, modules_dir) = kernel.places(config)?;
    let (image, release) = find_kernel(kernel, &boot_dir)?;
    let entries = entries(kernel, (modules, drivers), config, &modules_dir.join(release))?;
    let initrd = config.cache_dir.join(format!("{id}-{}.cpio", key(&entries)));
    if !initrd.is_file() {
        write_image(&entries, &config.cache_dir, &initrd).map_err(|source| PrepareError::File {
            action: "write",
            path: initrd.clone(),
            source,
        })?;
    }
    Ok(BootMedium::Kernel { kernel: image, initrd: Some(initrd), append: kernel.command_line.clone() })
}

fn entries(
    kernel: &Kernel,
    (wanted, drivers): (&[super::Module], &[String]),
    config: &PrepareConfig,
    modules: &Path,
) -> Result<Vec<Entry>, PrepareError> {
    let path = kernel.agent(config);
    let agent = fs::read(&path).map_err(|source| PrepareError::NoAgent { path: path.clone(), source })?;
    let mut entries = vec![Entry { path: "init".into(), mode: 0o755, content: agent }];
    let text =
        |file: &str| Ok::<_, PrepareError>(String::from_utf8_lossy(&read(&modules.join(file))?).into_owned());
    let dependencies = Dependencies::parse(&text("modules.dep")?, &text("modules.builtin")?);
    let names = wanted.iter().map(|module| module.name.as_str());
    let order = dependencies.load_order(names).map_err(|NoSuchModule(module)| PrepareError::NoModule {
        module,
        directory: modules.to_owned(),
        package: kernel.package.name.clone(),
    })?;
    let mut boot = BootConfig { port: AGENT_PORT.to_owned(), modules: Vec::new() };
    let mut add = |(name, file): (String, String), functions: &[String]| {
        let path = format!("slotwise/modules/{name}.ko");
        let declared = wanted.iter().find(|module| normal(&module.name) == name);
        boot.modules.push(Module {
            path: format!("/{path}"),
            options: declared.map(|module| module.options.clone()).unwrap_or_default(),
            prepare: declared.map(|module| module.prepare.clone()).unwrap_or_default(),
            functions: functions.to_vec(),
        });
        // What several drivers need is in the ramdisk once.
        if !entries.iter().any(|entry| entry.path == path) {
            entries.push(Entry { path, mode: 0o644, content: module_bytes(&modules.join(&file))? });
        }
        Ok::<_, PrepareError>(())
    };
    order.into_iter().try_for_each(|module| add(module, &[]))?;
    // Without the list of aliases nobody knows what a driver is for.
    let aliases = text("modules.alias").unwrap_or_default();
    let drivers: &[String] = if aliases.is_empty() { &[] } else { drivers };
    for driver in drivers {
        // A kernel that lacks one serves the functions of others all the same.
        let Ok(modules) = dependencies.load_order(std::iter::once(driver.as_str())) else { continue };
        let functions = patterns(&aliases, driver);
        modules.into_iter().try_for_each(|module| add(module, &functions))?;
    }
    let content = serde_json::to_vec(&boot).map_err(|error| PrepareError::File {
        action: "write",
        path: "/slotwise/boot.json".into(),
        source: error.into(),
    })?;
    entries.push(Entry { path: "slotwise/boot.json".into(), mode: 0o644, content });
    Ok(entries)
}

impl Kernel {
    /// Where its image and its modules are: on the host, or unpacked from the archive.
    fn places(&self, config: &PrepareConfig) -> Result<(PathBuf, PathBuf), PrepareError> {
        match self.source {
            KernelSource::Host => Ok((config.boot_dir.clone(), config.modules_dir.clone())),
            KernelSource::Archive => {
                let archive = Archive::new(config.cache_dir.join("packages"));
                let tree = archive
                    .kernel(&self.package)
                    .map_err(|source| PrepareError::Archive { package: self.package.name.clone(), source })?;
                Ok((tree.join("boot"), tree.join("lib/modules")))
            }
        }
    }

    /// The agent that runs on it.
    fn agent(&self, config: &PrepareConfig) -> PathBuf {
        let mut name = config.agent.file_name().unwrap_or_default().to_owned();
        if self.package.name.ends_with(":i386") {
            name.push(I386);
        }
        config.agent.with_file_name(name)
    }
}

/// How the name of the agent for 32-bit guests ends.
const I386: &str = "-i386";

fn is_i386(agent: &Path) -> bool {
    agent.to_string_lossy().ends_with(I386)
}

/// What a module's file holds; some kernels come with theirs compressed.
fn module_bytes(path: &Path) -> Result<Vec<u8>, PrepareError> {
    if path.extension().is_some_and(|end| end == "ko") {
        return read(path);
    }
    let failed = |message: String| PrepareError::CompressedModule { path: path.to_owned(), message };
    let output =
        Command::new("xz").arg("-dc").arg(path).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The newest kernel that fits, and its release.
fn find_kernel(kernel: &Kernel, directory: &Path) -> Result<(PathBuf, String), PrepareError> {
    let (start, end) = &kernel.image;
    let names = fs::read_dir(directory).into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let fits = name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end);
        fits.then_some(name)
    });
    let name = names.max_by_key(|name| numbers(name)).ok_or_else(|| PrepareError::NoKernel {
        pattern: format!("{start}*{end}"),
        directory: directory.to_owned(),
        package: kernel.package.name.clone(),
    })?;
    let release = name.trim_start_matches("vmlinuz-").to_owned();
    // The same kernel uncompressed, where somebody put it beside: unpacking is most of the boot under emulation.
    let uncompressed = directory.join(format!("vmlinux-{release}"));
    let image = if uncompressed.is_file() { uncompressed } else { directory.join(name) };
    Ok((image, release))
}

/// The numbers in a name: 6.1.0-9 is older than 6.1.0-10.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Lengths go in before contents, so that no two lists of files give the same bytes.
fn key(entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    for entry in entries {
        hash.update(format!("{} {:o} {}\n", entry.path, entry.mode, entry.content.len()));
        hash.update(&entry.content);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes beside the place and renames, so that nobody ever finds half an image.
fn write_image(entries: &[Entry], cache: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let written = write_cpio(entries, fs::File::create(&partial)?).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one to tell; what is left lies under a name nobody looks for.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write_cpio(entries: &[Entry], out: fs::File) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    // The kernel makes no parent directories, and without a console node the first program has no output.
    for (number, directory) in (1..).zip(["dev", "proc", "sys", "slotwise", "slotwise/modules"]) {
        let entry = Builder::new(directory).ino(number).nlink(2).mode(0o755);
        out = entry.set_mode_file_type(ModeFileType::Directory).write(out, 0).finish()?;
    }
    let console = Builder::new("dev/console").ino(100).mode(0o600).rdev_major(5).rdev_minor(1);
    out = console.set_mode_file_type(ModeFileType::Char).write(out, 0).finish()?;
    for (number, entry) in (1000..).zip(entries) {
        let length = u32::try_from(entry.content.len()).map_err(io::Error::other)?;
        let header = Builder::new(&entry.path).ino(number).mode(entry.mode);
        let mut file = header.set_mode_file_type(ModeFileType::Regular).write(out, length);
        file.write_all(&entry.content)?;
        out = file.finish()?;
    }
    trailer(out)?.flush()
}

#[cfg(test)]
mod tests {
    use super::super::GuestDefinition;
    use super::*;

    /// A machine with two kernels and the modules of a guest that wants one.
    fn machine() -> (tempfile::TempDir, PrepareConfig, GuestDefinition) {
        let dir = tempfile::tempdir().unwrap();
        let config = PrepareConfig {
            cache_dir: dir.path().join("cache"),
            agent: dir.path().join("agent"),
            boot_dir: dir.path().join("boot"),
            modules_dir: dir.path().join("modules"),
            settings_dir: dir.path().join("settings"),
        };
        let release = config.modules_dir.join("6.1.0-10-amd64");
        for directory in [&config.boot_dir, &release] {
            fs::create_dir_all(directory).unwrap();
        }
        for kernel in ["vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "vmlinuz-6.12.1-amd64"] {
            fs::write(config.boot_dir.join(kernel), "kernel").unwrap();
        }
        fs::write(release.join("modules.dep"), "sg.ko: scsi-mod.ko\nscsi-mod.ko:\nzip.ko.xz:\n").unwrap();
        fs::write(release.join("modules.builtin"), "").unwrap();
        fs::write(release.join("sg.ko"), "sg").unwrap();
        fs::write(release.join("scsi-mod.ko"), "scsi").unwrap();
        fs::write(&config.agent, "agent").unwrap();
        (dir, config, guest("sg"))
    }

    fn guest(module: &str) -> GuestDefinition {
        let text = format!(
            "title = 'T'\npage = 'P'\ntried = 'every-run'\nmemory = '64M'\ninterface = 'sg-io'\nstart-limit-seconds = 1\n\
             kernel = {{ image = 'vmlinuz-6.1.*-amd64', package = 'linux-image-amd64', command-line = ['quiet'] }}\n\
             module = [{{ name = '{module}', options = 'x=1' }}]\n"
        );
        GuestDefinition::parse("t", "t.toml", &text).unwrap()
    }

    fn initrd(guest: &GuestDefinition, config: &PrepareConfig) -> PathBuf {
        match guest.prepare(config).unwrap().medium {
            BootMedium::Kernel { initrd: Some(initrd), .. } => initrd,
            other => panic!("no ramdisk: {other:?}"),
        }
    }

    fn names(image: &Path) -> Vec<String> {
        let mut file = fs::File::open(image).unwrap();
        let mut names = Vec::new();
        loop {
            let reader = cpio::NewcReader::new(file).unwrap();
            if reader.entry().is_trailer() {
                return names;
            }
            names.push(reader.entry().name().to_owned());
            file = reader.finish().unwrap();
        }
    }

    #[test]
    fn the_image_holds_agent_modules_and_what_to_do_with_them() {
        let (_dir, config, guest) = machine();
        let files = guest.prepare(&config).unwrap();
        let BootMedium::Kernel { kernel, initrd: Some(initrd), append } = files.medium else {
            panic!("no kernel to boot: {files:?}");
        };
        assert_eq!(kernel, config.boot_dir.join("vmlinuz-6.1.0-10-amd64"));
        assert_eq!(append, "quiet");
        let names = names(&initrd);
        for name in ["init", "slotwise/modules/scsi_mod.ko", "slotwise/modules/sg.ko", "slotwise/boot.json"] {
            assert!(names.iter().any(|own| own == name), "{name} not in {names:?}");
        }
    }

    #[test]
    fn drivers_that_the_kernel_lacks_are_left_out_and_those_it_has_are_loaded_for_their_functions() {
        let (_dir, config, _) = machine();
        let release = config.modules_dir.join("6.1.0-10-amd64");
        let text = "title = 'T'\npage = 'P'\ntried = 'every-run'\nmemory = '64M'\ninterface = 'sg-io'\n\
                    start-limit-seconds = 1\ndrivers = ['nvme', 'sg']\n\
                    kernel = { image = 'vmlinuz-6.1.*-amd64', package = 'linux-image-amd64', command-line = ['quiet'] }\n";
        let guest = GuestDefinition::parse("t", "t.toml", text).unwrap();
        let has_driver = |guest| names(&initrd(guest, &config)).iter().any(|name| name.ends_with("sg.ko"));
        assert!(!has_driver(&guest));
        fs::write(release.join("modules.alias"), "alias pci:v00001000d* sg\n").unwrap();
        assert!(has_driver(&guest));
    }

    #[test]
    fn an_image_is_made_once_and_again_when_the_agent_changes() {
        let (_dir, config, guest) = machine();
        let first = initrd(&guest, &config);
        let made = fs::metadata(&first).unwrap().modified().unwrap();
        assert_eq!(initrd(&guest, &config), first);
        assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), made);
        fs::write(&config.agent, "another agent").unwrap();
        assert_ne!(initrd(&guest, &config), first);
    }

    #[test]
    fn what_is_missing_is_an_error_with_a_hint() {
        let (_dir, config, sg) = machine();
        let no_kernel = PrepareConfig { boot_dir: "/nonexistent".into(), ..config.clone() };
        let no_agent = PrepareConfig { agent: "/nonexistent".into(), ..config.clone() };
        let errors = [
            (sg.prepare(&no_kernel), "no kernel vmlinuz-6.1.*-amd64 in /nonexistent", "linux-image-amd64"),
            (sg.prepare(&no_agent), "no agent at /nonexistent", "crt-static"),
            (guest("nvme").prepare(&config), "no module nvme in ", "linux-image-amd64"),
            (guest("zip").prepare(&config), "cannot unpack module ", "xz-utils"),
        ];
        for (result, message, hint) in errors {
            let error = result.unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(error.hint().is_some_and(|text| text.contains(hint)), "{error}");
        }
    }
}
