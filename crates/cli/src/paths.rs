//! Where Slotwise keeps what: every environment variable that it reads is read here.

use std::env;
use std::path::PathBuf;

/// Overrides where the journal of changes is kept.
const STATE: &str = "SLOTWISE_STATE";
/// Overrides where the agent for Linux guests is found.
const AGENT: &str = "SLOTWISE_AGENT";

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// An absolute directory of the XDG base directory specification, else below the home directory.
fn xdg(name: &str, below_home: &str) -> PathBuf {
    let given = variable(name).filter(|path| path.is_absolute());
    given.or_else(|| variable("HOME").map(|home| home.join(below_home))).unwrap_or_else(env::temp_dir)
}

/// The journal of changes made to this host.
pub(crate) fn state() -> PathBuf {
    variable(STATE).unwrap_or_else(|| PathBuf::from("/var/lib/slotwise"))
}

/// Things that can be made again: guest images, lab images.
pub(crate) fn cache() -> PathBuf {
    xdg("XDG_CACHE_HOME", ".cache").join("slotwise")
}

/// What the user tells of guests' images.
pub(crate) fn config() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config").join("slotwise")
}

/// Sockets of running machines.
pub(crate) fn runtime() -> PathBuf {
    match variable("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("slotwise"),
        None => env::temp_dir().join(format!("slotwise-{}", rustix::process::getuid().as_raw())),
    }
}

/// A program of ours beside this one, or in the library directory of the same prefix.
fn companion(name: &str) -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let folder = own.parent()?;
    let places = [folder.join(name), folder.join("../lib/slotwise").join(name)];
    places.into_iter().find(|path| path.is_file())
}

/// The agent for Linux guests.
pub(crate) fn agent() -> Option<PathBuf> {
    variable(AGENT).or_else(|| companion("slotwise-agent"))
}

/// The first process of lab hosts.
pub(crate) fn lab_init() -> Option<PathBuf> {
    companion("slotwise-lab-init")
}
