//! What a machine says, kept within bounds while it is still speaking.
//!
//! Guest consoles and monitor messages are untrusted and may be endless. The beginning is kept, since the first
//! message names the cause, and the end, since the last one names the state; what lies between is dropped beyond
//! the limit and counted. Bytes are kept as they came.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much of a stream is kept, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of its beginning.
    pub head_bytes: usize,
    /// Of its end.
    pub tail_bytes: usize,
}

impl Limits {
    /// For messages of a monitor: a quarter of a MiB in all.
    pub const MESSAGES: Self = Self { head_bytes: 64 << 10, tail_bytes: 192 << 10 };
    /// For a guest's console: four MiB in all.
    pub const CONSOLE: Self = Self { head_bytes: 1 << 20, tail_bytes: 3 << 20 };
}

/// The kept part of a stream.
#[derive(Clone, Debug)]
pub struct Capture {
    limits: Limits,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Capture {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Takes in what came next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let room = self.limits.head_bytes.saturating_sub(self.head.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let (_, kept) = rest.split_at(rest.len().saturating_sub(self.limits.tail_bytes));
        let excess = (self.tail.len() + kept.len()).saturating_sub(self.limits.tail_bytes);
        self.tail.drain(..excess.min(self.tail.len()));
        self.tail.extend(kept);
    }

    /// How many bytes came in all.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total
    }

    /// How many bytes between beginning and end were dropped.
    #[must_use]
    pub fn omitted_bytes(&self) -> u64 {
        self.total.saturating_sub((self.head.len() + self.tail.len()) as u64)
    }

    /// The kept bytes from position `offset` of the stream on; those that were dropped are missing.
    #[must_use]
    pub fn since(&self, offset: u64) -> Vec<u8> {
        let skip = |length: usize, start: u64| {
            usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX).min(length)
        };
        let tail_start = self.total.saturating_sub(self.tail.len() as u64);
        let head = self.head.iter().skip(skip(self.head.len(), 0));
        head.chain(self.tail.iter().skip(skip(self.tail.len(), tail_start))).copied().collect()
    }

    /// The kept bytes as text; what is not UTF-8 is replaced, and a line says how much was dropped.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.omitted_bytes() > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n[{} bytes left out]\n", self.omitted_bytes());
        }
        let (front, back) = self.tail.as_slices();
        text.push_str(&String::from_utf8_lossy(&[front, back].concat()));
        text
    }
}

/// Where a copy of a stream goes as it comes in. The first failing write ends the copying, not the capture.
pub type Tee = Box<dyn Write + Send>;

/// A stream being captured by a thread of its own.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    capture: Capture,
    ended: bool,
}

impl Recorder {
    /// Starts reading `source` to its end.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        mut source: impl Read + Send + 'static,
        limits: Limits,
        mut tee: Option<Tee>,
    ) -> std::io::Result<Self> {
        let state = Mutex::new(State { capture: Capture::new(limits), ended: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let recorder = Self { shared };
        let writer = recorder.clone();
        thread::Builder::new().name("capture".into()).spawn(move || {
            let mut buffer = [0; 16 << 10];
            loop {
                match source.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    // A reset is how the other side's death looks on a socket.
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        let Some(bytes) = buffer.get(..count) else { break };
                        writer.lock().capture.push(bytes);
                        writer.shared.changed.notify_all();
                        let copied =
                            tee.as_mut().is_none_or(|t| t.write_all(bytes).and_then(|()| t.flush()).is_ok());
                        if !copied {
                            tee = None;
                        }
                    }
                }
            }
            writer.lock().ended = true;
            writer.shared.changed.notify_all();
        })?;
        Ok(recorder)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid after each statement, so a panic elsewhere does not spoil it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there now.
    #[must_use]
    pub fn capture(&self) -> Capture {
        self.lock().capture.clone()
    }

    /// Whether the stream has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until `look` finds something in the stream; `None` when it ended or `within` has passed without.
    pub fn wait_for<T>(&self, within: Duration, mut look: impl FnMut(&Capture) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state.capture) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the stream, no longer than `within`.
    pub fn wait_end(&self, within: Duration) {
        let _: Option<()> = self.wait_for(within, |_| None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { head_bytes: 4, tail_bytes: 4 };

    #[test]
    fn beginning_and_end_are_kept_and_the_rest_is_counted() {
        let mut capture = Capture::new(SMALL);
        for chunk in ["ab", "cdef", "ghijkl", "m"] {
            capture.push(chunk.as_bytes());
        }
        assert_eq!(capture.text(), "abcd\n[5 bytes left out]\njklm");
        assert_eq!(capture.since(2), b"cdjklm");
        assert_eq!(capture.since(11), b"lm");
        assert_eq!(capture.since(99), b"");
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut capture = Capture::new(SMALL);
        capture.push(b"abcdefgh");
        assert_eq!((capture.text().as_str(), capture.omitted_bytes()), ("abcdefgh", 0));
    }

    #[test]
    fn waiting_ends_with_the_stream() {
        let recorder = Recorder::start(&b"one two"[..], Limits::MESSAGES, None).expect("a thread");
        let found = recorder.wait_for(Duration::from_secs(5), |c| c.text().contains("two").then_some(()));
        assert_eq!(found, Some(()));
        let missing = recorder.wait_for(Duration::from_secs(60), |c| c.text().contains("six").then_some(()));
        assert_eq!(missing, None);
        assert!(recorder.has_ended());
    }

    #[test]
    fn a_failing_copy_does_not_end_the_capture() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let recorder =
            Recorder::start(&b"kept"[..], Limits::MESSAGES, Some(Box::new(Full))).expect("a thread");
        recorder.wait_end(Duration::from_secs(5));
        assert_eq!(recorder.capture().text(), "kept");
    }
}
