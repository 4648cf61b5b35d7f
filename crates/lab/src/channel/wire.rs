//! JSON bodies of control frames.
//!
//! Both ends are built from this file, and [`super::VERSION`] is compared before anything else is said, so no field
//! is ever guessed at.

use serde::{Deserialize, Serialize};

/// First word of a lab host: it has a root file system and listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// [`super::VERSION`] of the lab host's side.
    pub version: u32,
    /// Release of the running kernel, as `uname -r` says it.
    pub kernel: String,
}

/// What the lab host is to set up before it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Host name.
    pub hostname: String,
    /// Lines of `/etc/modprobe.d/slotwise-lab.conf`, in effect before the first module is loaded.
    pub modprobe: Vec<String>,
    /// Modules to load, in order; blacklists are honoured.
    pub modules: Vec<String>,
    /// MAC addresses of the interfaces to bring up.
    pub interfaces_up: Vec<String>,
    /// Paths that must exist before the host is ready (device nodes that drivers make).
    pub wait_for: Vec<String>,
    /// How long to wait for them, in milliseconds.
    pub wait_ms: u64,
}

/// A stretch of the boot, for whoever wants to know where the time went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// Uptime of the lab host at its end, in milliseconds.
    pub end_ms: u64,
}

/// The lab host is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The stretches of its boot, in order.
    pub phases: Vec<Phase>,
    /// What did not work on the way without being fatal: a module that would not load, a path that never came.
    pub complaints: Vec<String>,
}

/// A size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Program and arguments; the program is looked up in the lab host's `PATH`.
    pub argv: Vec<String>,
    /// Variables added to the lab host's small environment.
    pub env: Vec<(String, String)>,
    /// Working directory; `/root` when absent.
    pub cwd: Option<String>,
    /// With a size, the command gets a controlling terminal of that size, and all its output is standard output.
    pub terminal: Option<TerminalSize>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A file to send back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Absolute path in the lab host.
    pub path: String,
}

/// A file to write; its bytes follow as input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Absolute path in the lab host; missing folders are made.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
}

/// An exchange could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// What went wrong, in one line.
    pub message: String,
}
