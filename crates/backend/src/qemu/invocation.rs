//! A command line: what is started, and how it is shown.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use slotwise_core::facts::CpuList;

/// A program and its arguments. The text form is one for a POSIX shell, an option a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Processors of the host that it may run on; none for all. Not among the arguments, since QEMU has no option for it: whoever
    /// starts it sets it, as `taskset` (util-linux) does in the text form.
    pub processors: Option<CpuList>,
}

impl Invocation {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, arguments: Vec::new(), processors: None }
    }

    pub(super) fn flag(&mut self, option: &str) {
        self.arguments.push(option.into());
    }

    pub(super) fn option(&mut self, option: &str, value: impl Into<OsString>) {
        self.arguments.push(option.into());
        self.arguments.push(value.into());
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(list) = &self.processors {
            write!(f, "taskset -c {list} ")?;
        }
        f.write_str(&quoted(self.program.as_os_str()))?;
        let mut arguments = self.arguments.iter().peekable();
        while let Some(option) = arguments.next() {
            write!(f, " \\\n  {}", quoted(option))?;
            if let Some(value) = arguments.next_if(|next| !next.as_bytes().starts_with(b"-")) {
                write!(f, " {}", quoted(value))?;
            }
        }
        Ok(())
    }
}

/// A word as a shell takes it back unchanged: bare if harmless, else in quotes; bytes that are not text as `$'…'`
/// (POSIX.1-2024 §2.2.4).
fn quoted(word: &OsStr) -> String {
    let harmless = |b: &u8| b.is_ascii_alphanumeric() || b"-_./,:=+@%".contains(b);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| harmless(&b)) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let escaped = word.as_bytes().iter().map(|b| match b {
                b'\'' | b'\\' => format!("\\{}", char::from(*b)),
                b' '..=b'~' => char::from(*b).to_string(),
                _ => format!("\\{b:03o}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

/// A `-device`, `-chardev` or `-drive` value: a driver and `name=value` members, commas in values doubled as
/// QEMU's option parser wants it (QEMU `util/qemu-option.c`, `get_opt_value`).
#[derive(Clone, Debug)]
pub(super) struct Members(Vec<u8>);

impl Members {
    pub(super) fn new(first: &str) -> Self {
        Self(first.as_bytes().to_vec())
    }

    pub(super) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        self.0.extend(doubled_commas(value.as_ref()));
        self
    }
}

impl From<Members> for OsString {
    fn from(members: Members) -> Self {
        OsString::from_vec(members.0)
    }
}

/// The bytes of `value` with each comma doubled.
pub(super) fn doubled_commas(value: &OsStr) -> Vec<u8> {
    value.as_bytes().iter().flat_map(|b| std::iter::repeat_n(*b, if *b == b',' { 2 } else { 1 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_the_same_words_back() {
        let words = ["-append", "console=ttyS0 quiet", "it's", "", "-x", "a\nb\\c", "*", "ü$HOME`id`"];
        let mut invocation = Invocation::new("/usr/bin/printf".into());
        invocation.arguments = ["%s\\0"].iter().chain(&words).map(OsString::from).collect();
        invocation.arguments.push(OsString::from_vec(vec![b'/', 0xff, b'1']));
        // dash has no $'…' yet.
        let mut shell = std::process::Command::new("/bin/bash");
        let output = shell.arg("-c").arg(invocation.to_string()).output().expect("bash runs");
        let mut expected: Vec<u8> = words.iter().flat_map(|w| [w.as_bytes(), b"\0"].concat()).collect();
        expected.extend(b"/\xff1\0");
        assert_eq!(output.stdout, expected);
    }

    #[test]
    fn commas_in_values_cannot_add_members() {
        let value: OsString = Members::new("socket").with("path", "/a,server=on").into();
        assert_eq!(value, "socket,path=/a,,server=on");
    }
}
