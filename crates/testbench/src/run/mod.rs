//! What is around a matrix: which cases, what is known to fail, what is kept as it goes, what has changed since another
//! run, the user's commands, and which of many builds was the first bad one.
//!
//! Only [`Folder`] writes files, and only [`run_hook`] starts processes; all else is data.

mod bisect;
mod compare;
mod flaky;
mod folder;
mod hook;
mod pattern;
mod quarantine;
mod wire;

pub use bisect::{Bisection, Build, Judged};
pub use compare::{Baseline, BaselineError, Change, ChangeKind, Comparison};
pub use flaky::{Flaky, flaky};
pub use folder::{Folder, FolderError, Recipe};
pub use hook::{HookError, run_hook};
pub use pattern::{Pattern, PatternError, select};
pub use quarantine::{Date, Quarantine, QuarantineError, Quarantined, Standing};
