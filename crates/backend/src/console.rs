//! A guest's serial console: captured from the first byte, written to, attached to a terminal.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use crate::capture::{Limits, Recorder, Tee};

/// The key that leaves an attached console, Ctrl-], as in telnet and virsh.
pub const ESCAPE: u8 = 0x1d;

/// How often an attached console looks whether the other direction has ended.
const TICK: Duration = Duration::from_millis(100);

/// A console that could not be written to or attached.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The guest's side does not take it.
    #[error("cannot write to the guest's console")]
    Write(#[source] io::Error),
    /// The user's side gives nothing.
    #[error("cannot read from the terminal")]
    Terminal(#[source] io::Error),
}

/// How an attached console came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// The user left; the machine runs on.
    ByEscape,
    /// The guest's side ended.
    ConsoleEnded,
}

/// A guest's console.
pub struct Console {
    output: Recorder,
    input: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("output", &self.output).finish_non_exhaustive()
    }
}

impl Console {
    /// Starts capturing `from_guest`; `copy` gets the bytes as they come. `to_guest` should not block for ever:
    /// a guest need not read its console.
    ///
    /// # Errors
    /// The thread for it cannot be started.
    pub fn over(
        from_guest: impl Read + Send + 'static,
        to_guest: impl Write + Send + 'static,
        copy: Option<Tee>,
    ) -> io::Result<Self> {
        let output = Recorder::start(from_guest, Limits::CONSOLE, copy)?;
        Ok(Self { output, input: Mutex::new(Box::new(to_guest)) })
    }

    /// What the guest has printed.
    #[must_use]
    pub const fn output(&self) -> &Recorder {
        &self.output
    }

    /// Types something.
    ///
    /// # Errors
    /// The guest's side is gone or does not take it in.
    pub fn write(&self, bytes: &[u8]) -> Result<(), ConsoleError> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.write_all(bytes).and_then(|()| input.flush()).map_err(ConsoleError::Write)
    }

    /// Connects the console with a terminal, both ways, until `escape` is typed or the console ends. What the
    /// guest has printed before comes first. The end of the input leaves the console attached, so that a machine
    /// started from a script is heard to its end.
    ///
    /// The terminal should be raw, see [`RawTerminal`].
    ///
    /// # Errors
    /// Reading from the terminal or writing to the guest fails.
    pub fn attach(
        &self,
        terminal: impl AsFd,
        screen: &mut (impl Write + Send),
        escape: u8,
    ) -> Result<Detached, ConsoleError> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                self.print(screen, &over);
                over.store(true, Ordering::Release);
            });
            let result = self.feed(terminal.as_fd(), escape, &over);
            over.store(true, Ordering::Release);
            result
        })
    }

    fn print(&self, screen: &mut impl Write, over: &AtomicBool) {
        let mut position = 0;
        loop {
            // Before looking, so that what came before the end is printed.
            let last = over.load(Ordering::Acquire) || self.output.has_ended();
            let news = self.output.wait_for(if last { Duration::ZERO } else { TICK }, |capture| {
                let news = capture.since(position);
                (!news.is_empty()).then(|| (news, capture.total_bytes()))
            });
            if let Some((bytes, total)) = news {
                position = total;
                // A screen that is gone ends the attachment, nothing else.
                if screen.write_all(&bytes).and_then(|()| screen.flush()).is_err() {
                    return;
                }
            } else if last {
                return;
            }
        }
    }

    fn feed(
        &self,
        terminal: BorrowedFd<'_>,
        escape: u8,
        over: &AtomicBool,
    ) -> Result<Detached, ConsoleError> {
        let tick = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let failed = |errno: Errno| ConsoleError::Terminal(errno.into());
        let mut buffer = [0; 1024];
        let mut open = true;
        while !over.load(Ordering::Acquire) {
            if !open {
                thread::sleep(TICK);
                continue;
            }
            match poll(&mut [PollFd::from_borrowed_fd(terminal, PollFlags::IN)], Some(&tick)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(failed(errno)),
            }
            let count = match rustix::io::read(terminal, &mut buffer) {
                Ok(count) => count,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(errno) => return Err(failed(errno)),
            };
            open = count > 0;
            let typed = buffer.get(..count).unwrap_or_default();
            let until = typed.iter().position(|byte| *byte == escape);
            let sent = self.write(typed.get(..until.unwrap_or(count)).unwrap_or_default());
            if until.is_some() {
                return Ok(Detached::ByEscape);
            }
            // The console's end shows itself in the other direction as well.
            if self.output.has_ended() {
                break;
            }
            sent?;
        }
        Ok(Detached::ConsoleEnded)
    }
}

/// A terminal in raw mode (termios(3), `cfmakeraw`): keys go to the guest as they are typed, Ctrl-C included.
/// Dropping it restores what was before.
#[derive(Debug)]
pub struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Makes a terminal raw; none if `terminal` is not one.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter(terminal: impl AsFd) -> Result<Option<Self>, ConsoleError> {
        let failed = |errno: Errno| ConsoleError::Terminal(errno.into());
        if !isatty(&terminal) {
            return Ok(None);
        }
        let terminal = terminal.as_fd().try_clone_to_owned().map_err(ConsoleError::Terminal)?;
        let before = tcgetattr(&terminal).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Flush, &raw).map_err(failed)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal may be gone, and then there is nothing to restore.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn console() -> (Console, UnixStream) {
        let (ours, guest) = UnixStream::pair().expect("a socket pair");
        let reader = ours.try_clone().expect("a second handle");
        (Console::over(reader, ours, None).expect("a thread"), guest)
    }

    #[test]
    fn typed_text_reaches_the_guest_up_to_the_escape_key() {
        let (console, mut guest) = console();
        guest.write_all(b"login: ").expect("written");
        let (reader, mut keys) = io::pipe().expect("a pipe");
        keys.write_all(b"root\n\x1dlost").expect("written");
        let mut screen = Vec::new();
        // Let the prompt arrive, since leaving ends the printing.
        let _ =
            console.output().wait_for(Duration::from_secs(5), |c| c.text().contains("login").then_some(()));
        let detached = console.attach(&reader, &mut screen, ESCAPE).expect("attached");
        assert_eq!((detached, screen.as_slice()), (Detached::ByEscape, &b"login: "[..]));
        drop(console);
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).expect("read");
        assert_eq!(&typed, b"root\n");
    }

    #[test]
    fn an_input_that_ends_leaves_the_console_attached_to_its_end() {
        let (console, mut guest) = console();
        let (reader, keys) = io::pipe().expect("a pipe");
        drop(keys);
        let mut screen = Vec::new();
        let speaker = thread::spawn(move || {
            thread::sleep(TICK);
            guest.write_all(b"late words").expect("written");
        });
        let detached = console.attach(&reader, &mut screen, ESCAPE).expect("attached");
        speaker.join().expect("no panic");
        assert_eq!((detached, screen.as_slice()), (Detached::ConsoleEnded, &b"late words"[..]));
    }

    #[test]
    fn what_is_no_terminal_is_left_alone() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        assert!(matches!(RawTerminal::enter(&reader), Ok(None)));
    }

    #[test]
    fn a_raw_terminal_is_restored() {
        use rustix::pty::{OpenptFlags, openpt, unlockpt};
        use rustix::termios::LocalModes;
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        unlockpt(&terminal).expect("unlocked");
        let echo = || tcgetattr(&terminal).expect("a terminal").local_modes.contains(LocalModes::ECHO);
        assert!(echo());
        let raw = RawTerminal::enter(&terminal).expect("raw").expect("a terminal");
        assert!(!echo());
        drop(raw);
        assert!(echo());
    }
}
