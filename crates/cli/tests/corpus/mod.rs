//! The corpus, the program run over it, and what lspci says of the same files.
//!
//! The corpus is not part of this repository: `SLOTWISE_CORPUS` names it, by default `../shared/testdata` beside the
//! workspace. Without it these tests do nothing, except on CI (`CI` set), where its absence is an error.

pub(crate) mod expected;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

pub(crate) fn corpus() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var_os("SLOTWISE_CORPUS")
        .map_or_else(|| workspace.join("../shared/testdata"), |path| workspace.join(path));
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "the corpus is not at {}", root.display());
    None
}

/// What the program says of `from`, with further arguments.
pub(crate) fn inspect(from: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slotwise"));
    let output = command.arg("inspect").arg("--json").arg("--from").arg(from).args(arguments).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}: {said}", from.display());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}", from.display()))
}

/// Files of a directory whose names `wanted` accepts, by name.
pub(crate) fn files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.file_name().is_some_and(|n| wanted(&n.to_string_lossy())))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", directory.display());
    files
}

pub(crate) fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Rows of a table; columns by number.
pub(crate) fn table(path: &Path) -> Vec<Vec<String>> {
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    text(path).lines().skip(1).map(row).collect()
}

/// The functions by address.
pub(crate) fn functions(host: &Value) -> Vec<&Value> {
    host["functions"].as_array().expect("functions").iter().collect()
}

/// A text of the JSON, empty for null.
pub(crate) fn string(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
