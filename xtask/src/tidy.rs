//! What the compiler does not check: where unsafe lives, what the core may use, how long files are, what is not said.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::build::{command, root};

/// Files may not be longer; the aim is 400.
const MAX_LINES: usize = 600;
/// The only rooms with unsafe code.
const UNSAFE_ROOMS: [&str; 2] = ["crates/host/src/sys/", "crates/agent/src/sys/"];
/// What a pure core does not use: files, processes, network, clock, environment, printing.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "SystemTime",
    "Instant::now",
    "println!(",
    "eprintln!(",
    "print!(",
];

/// Checks the files under version control.
pub(crate) fn run() -> Result {
    let mut faults = Vec::new();
    for path in files()? {
        let name = path.to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&path))?;
        faults.extend(check(&name, &text));
    }
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults", faults.len()).into()) }
}

fn files() -> Result<Vec<PathBuf>> {
    let output = command("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(PathBuf::from).filter(|path| root().join(path).is_file()).collect())
}

fn check(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{name}: {lines} lines; split it (the most is {MAX_LINES})"));
    }
    let pure = name.starts_with("crates/core/src/");
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let code = line.split("//").next().unwrap_or_default();
        if is_unsafe(code) && !UNSAFE_ROOMS.iter().any(|room| name.starts_with(room)) {
            faults.push(format!("{name}:{number}: unsafe code outside {}", UNSAFE_ROOMS.join(" and ")));
        }
        if pure && let Some(word) = IMPURE.iter().find(|word| code.contains(*word)) {
            faults.push(format!("{name}:{number}: the core is pure, {word} is not for it"));
        }
        if pure && has_serde_derive(code) && !is_wire(name, text, number) {
            faults.push(format!("{name}:{number}: serde derives belong in a module named wire"));
        }
    }
    faults
}

fn is_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|form| code.contains(form))
        && !code.contains('"')
}

fn has_serde_derive(code: &str) -> bool {
    code.contains("derive(") && (code.contains("Serialize") || code.contains("Deserialize"))
}

/// In a file or folder named wire, or within a module of a file whose name begins with it.
fn is_wire(name: &str, text: &str, number: usize) -> bool {
    let in_path = Path::new(name).components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        part == "wire" || part == "wire.rs"
    });
    in_path
        || text
            .lines()
            .take(number)
            .any(|line| line.trim_start().starts_with("mod wire") || line.contains("pub mod wire"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        assert!(run().is_ok());
    }

    #[test]
    fn each_fault_is_found() {
        let long = "\n".repeat(MAX_LINES + 1);
        assert_eq!(check("crates/cli/src/main.rs", &long).len(), 1);
        assert_eq!(check("crates/cli/src/main.rs", "fn f() { unsafe { g() } }").len(), 1);
        assert_eq!(check("crates/host/src/sys/x.rs", "fn f() { unsafe { g() } }").len(), 0);
        assert_eq!(check("crates/core/src/x.rs", "use std::fs;").len(), 1);
        assert_eq!(check("crates/core/src/x.rs", "#[derive(Serialize)]").len(), 1);
        assert_eq!(check("crates/core/src/wire/x.rs", "#[derive(Serialize)]").len(), 0);
        assert_eq!(check("crates/core/src/x.rs", "// std::fs is not used").len(), 0);
    }
}
