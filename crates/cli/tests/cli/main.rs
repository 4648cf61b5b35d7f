//! The program as its users meet it: what it prints and how it ends. Nothing here needs a lab or changes a host.

mod bench;
mod captures;
mod diagnose;
mod help;
mod hosts;
mod picture;
mod refuse;
mod report;
mod sources;
mod spec;
mod whatif;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder of a test's own, and the program run in it.
struct Desk {
    folder: TempDir,
}

/// What a run of the program came to.
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// Status and both streams in one text, to compare.
    fn told(&self) -> String {
        let status = self.status.map_or("a signal".to_owned(), |status| status.to_string());
        let mut text = format!("exit {status}\n");
        for (name, stream) in [("out", &self.out), ("err", &self.err)] {
            if !stream.is_empty() {
                text.push_str(&format!("--- {name}\n{}\n", stream.trim_end()));
            }
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, content).expect("written");
        path
    }

    /// The program with its words and an environment that says nothing.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slotwise"));
        command.args(words).current_dir(self.path()).env_clear();
        command.env("SLOTWISE_STATE", self.path().join("state")).env("HOME", self.path());
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        self.run_with(words, b"")
    }

    fn run_with(&self, words: &[&str], input: &[u8]) -> Said {
        said(self.command(words), input)
    }
}

fn said(mut command: Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let folder = command.get_current_dir().map(|folder| folder.display().to_string()).expect("a folder");
    let mut child = command.spawn().expect("it starts");
    // A program that ends without reading closes the pipe.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| filtered(&String::from_utf8_lossy(bytes), &folder);
    Said { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The one list of what differs from run to run and is no part of what is shown.
fn filtered(text: &str, folder: &str) -> String {
    let filters: [(&str, &str); 2] = [
        // The test's own folder, of a new name each time.
        (folder, "[folder]"),
        // The version that the package has.
        (env!("CARGO_PKG_VERSION"), "[version]"),
    ];
    filters.iter().fold(text.to_owned(), |text, (what, label)| text.replace(what, label))
}
