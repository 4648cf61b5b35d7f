//! Runs one command of the control channel, with pipes or with a terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use slotwise_lab::channel::frame::Message;
use slotwise_lab::channel::wire::{ExitStatus, Failed, Run, TerminalSize};

use crate::reaper::Reaper;
use crate::serve::{Exchange, Input, Outlet};

/// Search path of everything that runs in a lab host.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long output may still come after the command itself ended: a child it left behind may hold the pipe for
/// ever, and its output is not the command's.
const AFTER_EXIT: Duration = Duration::from_secs(1);

/// Runs the command and answers with its output and end.
pub(crate) fn run(reaper: &Reaper, outlet: &Outlet, exchange: &Arc<Exchange>, run: &Run) {
    let result = match run.terminal {
        Some(size) => with_terminal(reaper, outlet, exchange, run, size),
        None => with_pipes(reaper, outlet, exchange, run),
    };
    exchange.ended();
    outlet.send(match result {
        Ok(status) => Message::Exit(status),
        Err(error) => {
            let program = run.argv.first().map_or("an empty command", String::as_str);
            Message::Failed(Failed { message: format!("cannot run {program}: {error}") })
        }
    });
}

fn with_pipes(
    reaper: &Reaper,
    outlet: &Outlet,
    exchange: &Arc<Exchange>,
    run: &Run,
) -> io::Result<ExitStatus> {
    let mut command = prepare(&run.argv, run)?;
    // A group of its own, so that a signal reaches what the command started and nothing else.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, pid, ended) = reaper.spawn(&mut command)?;
    exchange.started(pid, None);
    if let Some(stdin) = child.stdin.take() {
        feed(outlet, exchange, stdin);
    }
    let (done, finished) = channel();
    for (source, message) in [
        (
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn io::Read + Send>),
            Message::Output as fn(_) -> _,
        ),
        (child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn io::Read + Send>), Message::ErrorOutput),
    ] {
        let (outlet, done) = (outlet.clone(), done.clone());
        std::thread::spawn(move || {
            if let Some(source) = source {
                outlet.pump(source, message);
            }
            // Nobody listens any more when the grace period was over first.
            let _ = done.send(());
        });
    }
    Ok(end(outlet, &ended, &finished, 2))
}

fn with_terminal(
    reaper: &Reaper,
    outlet: &Outlet,
    exchange: &Arc<Exchange>,
    run: &Run,
    size: TerminalSize,
) -> io::Result<ExitStatus> {
    let master = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?);
    grantpt(&master)?;
    unlockpt(&master)?;
    set_size(&master, size);
    let name = ptsname(&master, Vec::new())?;
    let slave =
        OpenOptions::new().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.to_bytes()))?;
    // setsid -c makes its standard input the controlling terminal; it does not fork, as it leads no group yet.
    let mut argv = vec!["setsid".to_owned(), "-c".to_owned()];
    argv.extend(run.argv.iter().cloned());
    let mut command = prepare(&argv, run)?;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    let (_, pid, ended) = reaper.spawn(&mut command)?;
    // The command holds the other ends: closing ours is what ends the reading below.
    drop(command);
    exchange.started(pid, Some(master.try_clone()?));
    feed(outlet, exchange, master.try_clone()?);
    let (done, finished) = channel();
    let pump = outlet.clone();
    std::thread::spawn(move || {
        pump.pump(master, Message::Output);
        let _ = done.send(());
    });
    Ok(end(outlet, &ended, &finished, 1))
}

/// Waits for the process, then for `streams` ends of output.
fn end(
    outlet: &Outlet,
    ended: &Receiver<ExitStatus>,
    finished: &Receiver<()>,
    mut streams: usize,
) -> ExitStatus {
    let status = ended.recv().unwrap_or(ExitStatus::Signal(0));
    while streams > 0 {
        match finished.recv_timeout(AFTER_EXIT) {
            Ok(()) => streams -= 1,
            // What the command wrote is still being read by a slow reader.
            Err(RecvTimeoutError::Timeout) if outlet.is_stalled() => {}
            Err(_) => break,
        }
    }
    status
}

fn prepare(argv: &[String], run: &Run) -> io::Result<Command> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program named"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LANG", "C.UTF-8")
        .env("XDG_RUNTIME_DIR", "/run")
        .envs(run.env.iter().map(|(name, value)| (name, value)))
        .current_dir(run.cwd.as_deref().unwrap_or("/root"));
    Ok(command)
}

/// Hands input on until its end, granting credit for what was taken.
fn feed(outlet: &Outlet, exchange: &Arc<Exchange>, mut sink: impl Write + Send + 'static) {
    let (outlet, exchange) = (outlet.clone(), Arc::clone(exchange));
    std::thread::spawn(move || {
        while let Input::Bytes(bytes) = exchange.next_input() {
            // A command may close its input early; what comes after is dropped, but still credited.
            let _ = sink.write_all(&bytes).and_then(|()| sink.flush());
            outlet.credit(bytes.len());
        }
    });
}

/// Sets a terminal's size; a size it will not take leaves the old one.
pub(crate) fn set_size(terminal: &File, size: TerminalSize) {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let _ = tcsetwinsize(terminal, size);
}
