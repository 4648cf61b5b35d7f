//! Running lspci, and cutting what it prints into functions.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use slotwise_core::facts::lspci::{LspciFunction, read};
use slotwise_core::pci::{ConfigSpace, PciAddress};

use super::tally::Tally;

/// One function as lspci printed it.
pub(super) struct Printed {
    /// As our own reader takes it.
    pub(super) function: LspciFunction,
    /// The lines.
    pub(super) raw: String,
}

impl Printed {
    /// The value behind `key` in the line that starts with `section`: the word up to space or comma.
    pub(super) fn line(&self, section: &str) -> Option<&str> {
        self.raw.lines().map(str::trim).find_map(|line| line.strip_prefix(section))
    }
}

pub(super) fn available() -> bool {
    Command::new("lspci").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The functions in lspci's output: each starts with a line that is not indented.
///
/// Where lspci cannot read the registers of some capabilities it ends in the middle of the line (`cap_dsn`,
/// `cap_ssvid`), so the next capability, or the blank line behind the function, goes on there.
pub(super) fn parse(output: &str) -> Vec<Printed> {
    let output = output.replace("] \tCapabilities:", "] \n\tCapabilities:");
    let mut blocks: Vec<String> = Vec::new();
    for line in output.lines().filter(|line| !line.is_empty()) {
        if !line.starts_with(['\t', ' ']) {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    let function = |raw: String| {
        let function = read(raw.as_bytes()).functions.into_iter().next()?;
        Some(Printed { function, raw })
    };
    blocks.into_iter().filter_map(function).collect()
}

/// Has lspci decode `spaces`; the nth gets the requester id n. A space that lspci gives up on is left out and counted.
pub(super) fn decode(
    spaces: &[ConfigSpace],
    tally: &mut Tally,
) -> Result<Vec<(PciAddress, Printed)>, Box<dyn Error>> {
    let numbered: Vec<(u16, &ConfigSpace)> = (0u16..).zip(spaces).collect();
    if let Some(output) = run(&dump(&numbered))? {
        return Ok(addressed(&output));
    }
    halves(&numbered, tally)
}

/// lspci gave up on one of `spaces`: finds which.
fn halves(
    spaces: &[(u16, &ConfigSpace)],
    tally: &mut Tally,
) -> Result<Vec<(PciAddress, Printed)>, Box<dyn Error>> {
    if spaces.len() < 2 {
        tally.skip();
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    let (left, right) = spaces.split_at(spaces.len() / 2);
    for half in [left, right] {
        match run(&dump(half))? {
            Some(output) => all.extend(addressed(&output)),
            None => all.extend(halves(half, tally)?),
        }
    }
    Ok(all)
}

fn addressed(output: &str) -> Vec<(PciAddress, Printed)> {
    parse(output).into_iter().map(|printed| (printed.function.address, printed)).collect()
}

/// A dump as `lspci -xxxx` prints it. Bytes that were not read must not lie between others.
fn dump(spaces: &[(u16, &ConfigSpace)]) -> String {
    let mut text = String::new();
    for (id, space) in spaces {
        let _ = writeln!(text, "{} x: x", PciAddress::from_requester_id(0, *id));
        let bytes: Vec<u8> = space.iter().map_while(|byte| byte).collect();
        for (offset, line) in (0..).step_by(16).zip(bytes.chunks(16)) {
            let _ = write!(text, "{offset:02x}:");
            for byte in line {
                let _ = write!(text, " {byte:02x}");
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// What lspci prints for a dump; none if it fails on it.
fn run(dump: &str) -> Result<Option<String>, Box<dyn Error>> {
    let mut child = Command::new("lspci")
        .args(["-D", "-vvnn", "-F", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("lspci has no standard input")?;
    let text = dump.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    // lspci that gives up early closes the pipe: its exit status says so.
    let _ = writer.join();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.status.success().then_some(text))
}
