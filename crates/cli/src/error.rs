//! What went wrong, for a person: the message, what caused it, and what to do next.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use slotwise_core::report::Role;

use crate::print;

/// How a command that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing stands against it.
    Fine,
    /// A finding that blocks, a failed test, a fault diagnosed.
    Found,
    /// The exit status of a command that was run for the user.
    Of(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => ExitCode::SUCCESS,
            Outcome::Found => ExitCode::from(1),
            Outcome::Of(status) => ExitCode::from(status),
        }
    }
}

/// Why a command could not do its work. Exit status 2.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error; its chain of sources is shown.
    error: Box<dyn Error>,
    /// What to do next.
    hints: Vec<String>,
}

impl Failure {
    /// A failure that has no error value behind it.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { error: Box::new(Message(message.into())), hints: Vec::new() }
    }

    /// The same with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Turns an error that knows what to do next into a failure: `.map_err(Failure::hinted(LockError::hint))`.
    pub(crate) fn hinted<E, H>(hint: impl FnOnce(&E) -> H) -> impl FnOnce(E) -> Self
    where
        E: Error + 'static,
        H: IntoHint,
    {
        |error| {
            let hints = hint(&error).into_hint().into_iter().collect();
            Self { error: Box::new(error), hints }
        }
    }

    /// It with its causes, on one line.
    pub(crate) fn told(&self) -> String {
        let mut text = self.error.to_string();
        let mut source = self.error.source();
        // As below.
        for _ in 0..32 {
            let Some(error) = source else { break };
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        text.replace('\n', " ")
    }

    /// Shows it on standard error.
    pub(crate) fn print(&self) {
        print::note(Role::Bad, "error", &self.error.to_string());
        let mut source = self.error.source();
        // A chain that never ends would be a defect; it must not hang the report of another.
        for _ in 0..32 {
            let Some(error) = source else { break };
            print::note(Role::Faint, "  caused by", &error.to_string());
            source = error.source();
        }
        for hint in &self.hints {
            print::note(Role::Good, "hint", hint);
        }
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), hints: Vec::new() }
    }
}

#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Message {}

/// What errors of the other crates give as a hint.
pub(crate) trait IntoHint {
    /// The hint, if there is one.
    fn into_hint(self) -> Option<String>;
}

impl IntoHint for String {
    fn into_hint(self) -> Option<String> {
        Some(self)
    }
}

impl IntoHint for &str {
    fn into_hint(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl IntoHint for Option<&str> {
    fn into_hint(self) -> Option<String> {
        self.map(str::to_owned)
    }
}

impl IntoHint for Option<String> {
    fn into_hint(self) -> Option<String> {
        self
    }
}

/// Adds a hint to whatever a result fails with.
pub(crate) trait Hint<T> {
    /// The result as a [`Failure`] with what to do next.
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| error.into().hint(hint))
    }
}
