//! What a guest says on its console: the end for reports, all of it in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines of the console that go into a report.
const TAIL_LINES: usize = 40;
/// Bytes of the console that are kept: its end.
const TAIL_BYTES: usize = 64 * 1024;
/// Bytes that one start of a guest may add to its file: a guest that floods its console fills no disk.
const FILE_BYTES: u64 = 64 << 20;

/// A console. Clones are of the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    end: Vec<u8>,
    file: Option<(File, u64)>,
}

impl Tail {
    /// The console of a guest, kept in a folder too if there is one. That it cannot be is no reason not to run the guest.
    pub(super) fn of(folder: Option<&Path>, guest: &str) -> Self {
        let open = |folder: &Path| {
            OpenOptions::new().create(true).append(true).open(folder.join(format!("console-{guest}.log")))
        };
        let file = folder.and_then(|folder| open(folder).ok()).map(|file| (file, FILE_BYTES));
        Self(Arc::new(Mutex::new(Kept { end: Vec::new(), file })))
    }

    /// Its last lines.
    pub(super) fn lines(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept.end).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.end.extend_from_slice(bytes);
        let surplus = kept.end.len().saturating_sub(TAIL_BYTES);
        kept.end.drain(..surplus);
        if let Some((file, left)) = &mut kept.file {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            *left = left.saturating_sub(length);
            // A disk that is full costs the rest of the file, not the guest.
            if *left == 0 || file.write_all(bytes).is_err() {
                kept.file = None;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_console_is_kept() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            writeln!(tail, "line {number}").expect("memory");
        }
        let lines = tail.lines();
        assert_eq!(lines.lines().count(), TAIL_LINES);
        assert!(lines.ends_with("line 99999"));
    }

    #[test]
    fn all_of_it_goes_to_the_guests_file_over_several_starts() {
        let folder = tempfile::tempdir().expect("a folder");
        for start in 0..2 {
            let mut tail = Tail::of(Some(folder.path()), "debian-12");
            writeln!(tail, "start {start}").expect("written");
        }
        let text = std::fs::read_to_string(folder.path().join("console-debian-12.log")).expect("a file");
        assert_eq!(text, "start 0\nstart 1\n");
        assert!(writeln!(Tail::of(Some(Path::new("/nonexistent")), "x"), "said").is_ok());
    }
}
