//! The plain driver: replays corpora and mutates them, without coverage, on any compiler.
//!
//! It finds what lies near the seeds and keeps what was found from coming back. It holds an input to the same bounds as
//! libFuzzer does: it must not panic, must end in time, and must not take more memory than the process is allowed. An
//! input that breaks a bound is written to `fuzz/artifacts/TARGET`, where libFuzzer writes its own.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutate::{Chance, mutate};
use crate::{Target, folder};

/// Longest that one input may take. Inputs are some KiB and take milliseconds; a busy machine gets its share.
const LONGEST: Duration = Duration::from_secs(30);

/// Memory that the process may have taken in all, in KiB: as much as a capture may have unpacked (512 MiB), twice, for
/// the copy that growing makes.
const MOST_MEMORY_KIB: u64 = 1 << 20;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Mutated inputs at most.
    pub inputs: usize,
    /// Time for them at most; the corpus itself is always replayed whole.
    pub time: Duration,
    /// The same seed makes the same inputs.
    pub seed: u64,
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// Inputs of the corpus.
    pub seeds: usize,
    /// Mutated inputs.
    pub mutated: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Finding {
    /// In which target.
    pub target: &'static str,
    /// What happened.
    pub what: String,
    /// The input, kept.
    pub input: PathBuf,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} on {}", self.target, self.what, self.input.display())
    }
}

impl std::error::Error for Finding {}

/// Replays the corpus of a target, then mutates it. The first finding ends it.
///
/// An input that does not end cannot be stopped: it is kept, told on standard error, and the process ends with status 70.
///
/// # Errors
/// What was found.
pub fn drive(target: Target, effort: Effort) -> Result<Tried, Finding> {
    let corpus = corpus(target.name);
    let words = dictionary(target.name);
    let mut tried = Tried::default();
    for input in &corpus {
        attempt(target, input)?;
        tried.seeds += 1;
    }
    let start = Instant::now();
    let mut chance = Chance::new(effort.seed ^ 0x9e37_79b9_7f4a_7c15);
    while tried.mutated < effort.inputs && start.elapsed() < effort.time {
        attempt(target, &mutate(&mut chance, &corpus, &words, target.longest))?;
        tried.mutated += 1;
    }
    let memory = peak_memory_kib();
    if memory.is_some_and(|memory| memory > MOST_MEMORY_KIB) {
        let what = format!("{} MiB of memory in all", memory.unwrap_or_default() >> 10);
        return Err(Finding { target: target.name, what, input: folder().join("corpus").join(target.name) });
    }
    Ok(tried)
}

/// The inputs of a target, by file name.
#[must_use]
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder().join("corpus").join(target));
    let mut paths: Vec<PathBuf> =
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).filter(|p| p.is_file()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// The words of a target's dictionary, in the form of libFuzzer: `"text\x00"` on a line, `#` before comments.
#[must_use]
pub fn dictionary(target: &str) -> Vec<Vec<u8>> {
    let path = folder().join("dictionaries").join(format!("{target}.dict"));
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| word(line.trim())).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut bytes = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                bytes.push(*escaped);
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    Some(bytes)
}

fn attempt(target: Target, input: &[u8]) -> Result<(), Finding> {
    let (done, watched) = mpsc::channel::<()>();
    let late = AtomicBool::new(false);
    let start = Instant::now();
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            let watched = watched;
            if watched.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                late.store(true, Ordering::Relaxed);
                eprintln!("{}: no end after {LONGEST:?} on {}", target.name, keep(target, input).display());
                std::process::exit(70);
            }
        });
        let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        drop(done);
        result
    });
    let what = match result {
        Ok(()) if start.elapsed() < LONGEST => return Ok(()),
        Ok(()) => format!("{:.1} s", start.elapsed().as_secs_f64()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            format!("panic: {text}")
        }
    };
    Err(Finding { target: target.name, what, input: keep(target, input) })
}

/// Writes an input where findings are looked for; its name comes from its content.
fn keep(target: Target, input: &[u8]) -> PathBuf {
    let folder = folder().join("artifacts").join(target.name);
    // FNV-1a, which is enough to tell some files apart.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = folder.join(format!("found-{hash:016x}"));
    if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input)) {
        eprintln!("cannot keep {}: {error}", path.display());
    }
    path
}

/// The most memory that this process ever had (`VmHWM`, proc_pid_status(5)); none where there is no procfs.
fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_dictionaries_are_read_as_libfuzzer_reads_them() {
        assert_eq!(word(r#""a\x00\"b\\""#), Some(b"a\0\"b\\".to_vec()));
        assert_eq!(word("# comment"), None);
        assert_eq!(word(""), None);
    }

    #[test]
    fn panic_is_found_and_its_input_kept() {
        let target = Target { name: "self_test", longest: 8, run: |input| assert!(input.len() < 2, "long") };
        assert!(attempt(target, b"a").is_ok());
        let finding = attempt(target, b"ab").expect_err("a finding");
        assert!(finding.what.contains("long"), "{finding}");
        assert_eq!(fs::read(&finding.input).expect("kept"), b"ab");
        fs::remove_file(&finding.input).expect("removed");
    }
}
