//! The static build: one folder with all programs, that runs on any Linux of the same processor.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// A command in the root of the workspace.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Cargo, the one that runs us.
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// Runs a command and fails, naming it, unless it succeeds.
pub(crate) fn must(mut command: Command) -> Result {
    let status = command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// The programs, built.
pub(crate) struct Dist {
    /// The folder that they are in.
    pub(crate) folder: PathBuf,
}

impl Dist {
    /// One of the programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

const PROGRAMS: [&str; 3] = ["slotwise", "slotwise-agent", "slotwise-lab-init"];

/// Builds all programs, statically linked: the agent and the lab's first process run where there is no library, and
/// the program itself runs in the lab host as it is.
pub(crate) fn dist() -> Result<Dist> {
    let built = static_build(&["-p", "slotwise", "-p", "slotwise-agent", "-p", "slotwise-lab", "--bins"])?;
    let folder = target_directory().join("dist");
    std::fs::create_dir_all(&folder)?;
    for program in PROGRAMS {
        copy_if_newer(&built.join(program), &folder.join(program))?;
    }
    Ok(Dist { folder })
}

/// The agent alone, statically linked.
pub(crate) fn agent() -> Result<PathBuf> {
    Ok(static_build(&["-p", "slotwise-agent"])?.join("slotwise-agent"))
}

/// One program of a package of the same name, built as the distributed ones are but not one of them.
pub(crate) fn optimised(package: &str) -> Result<PathBuf> {
    Ok(static_build(&["-p", package, "--bins"])?.join(package))
}

/// Builds packages, and gives the folder that their programs are in.
fn static_build(packages: &[&str]) -> Result<PathBuf> {
    let target = host_target()?;
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--target", &target]).args(packages);
    // Given here and not in a configuration file: only with an explicit target do build scripts stay dynamic.
    // At a fixed address: a program that could be anywhere has 2 MiB of tables with addresses, most of them of the list of
    // names, that are written before it starts, whatever it then does.
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
    must(cargo)?;
    Ok(target_directory().join(&target).join("release"))
}

/// Where cargo builds.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cache that `slotwise` itself uses (XDG base directory specification).
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    Ok(base.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("slotwise"))
}

/// Copies a program over an older one.
pub(crate) fn copy_if_newer(from: &Path, to: &Path) -> Result {
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if modified(to) < modified(from) {
        // A program that runs cannot be overwritten, but its name can be given to another file.
        let new = to.with_extension("new");
        std::fs::copy(from, &new).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
        std::fs::rename(&new, to)?;
    }
    Ok(())
}

fn host_target() -> Result<String> {
    let output =
        Command::new("rustc").arg("-vV").output().map_err(|error| format!("cannot run rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc -vV names no host")?.to_owned())
}
