//! This terminal's input, output and signals, to and from a command in a lab host.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use slotwise_backend::console::RawTerminal;
use slotwise_lab::session::{Control, ExitStatus, Stream, TerminalSize};
use slotwise_lab::{Command, Session};

use crate::error::{Failure, Outcome};

/// How often a pending Ctrl-C is looked for.
const POLL: Duration = Duration::from_millis(50);

/// Set once the user asks to end; the default action, sudden death, is off from then on.
pub(super) fn interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// Runs a command with this process's streams; Ctrl-C goes to the command.
pub(super) fn run(session: &Session, command: &Command) -> Result<Outcome, Failure> {
    let interrupted = interrupts()?;
    let running = session.start(command)?;
    forward_input(running.control());
    forward_interrupts(running.control(), interrupted);
    ended(running.wait(show)?)
}

/// Opens a shell on this terminal.
pub(super) fn shell(session: &Session) -> Result<Outcome, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(
            Failure::new("a shell needs a terminal").hint("`slotwise lab run MACHINE -- COMMAND` needs none")
        );
    }
    let size = terminal_size();
    let command = Command { terminal: Some(size), ..Command::new(["bash", "-l"]) };
    let running = session.start(&command)?;
    let raw = RawTerminal::enter(&stdin)?;
    forward_input(running.control());
    let status = running.wait(show);
    drop(raw);
    ended(status?)
}

fn terminal_size() -> TerminalSize {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) => TerminalSize { rows: size.ws_row, columns: size.ws_col },
        Err(_) => TerminalSize { rows: 24, columns: 80 },
    }
}

/// The thread reads as long as this process lives: there is no way to call a blocked read back.
fn forward_input(control: Control) {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        loop {
            match io::stdin().read(&mut bytes) {
                Ok(0) | Err(_) => {
                    // The command may have ended, and with it the wish for input.
                    let _ = control.end_input();
                    return;
                }
                Ok(count) => {
                    if control.input(bytes.get(..count).unwrap_or_default()).is_err() {
                        return;
                    }
                }
            }
        }
    });
}

fn forward_interrupts(control: Control, interrupted: Arc<AtomicBool>) {
    thread::spawn(move || {
        loop {
            if interrupted.swap(false, Ordering::Relaxed) && control.signal(SIGINT).is_err() {
                return;
            }
            thread::sleep(POLL);
        }
    });
}

fn show(stream: Stream, bytes: &[u8]) {
    // A closed pipe must not keep the command from ending.
    let _ = match stream {
        Stream::Output => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Error => io::stderr().write_all(bytes),
    };
}

/// The command's own status is passed on, as a shell does (128 and more for a signal).
fn ended(status: ExitStatus) -> Result<Outcome, Failure> {
    let status = match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(signal) => signal.saturating_add(128),
    };
    Ok(Outcome::Of(u8::try_from(status).unwrap_or(u8::MAX)))
}
