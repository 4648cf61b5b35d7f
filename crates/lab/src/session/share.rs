//! A lab that other processes of the same user can use: its owner listens on a unix socket and relays.
//!
//! The socket speaks the control channel's own frames. Clients number their exchanges for themselves; the relay
//! renumbers. Credit passes through, so a client that stops reading stops its own command only. When a client goes,
//! its commands are killed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::link::Link;
use super::{Session, SessionError};
use crate::channel::VERSION;
use crate::channel::frame::{ExchangeId, Frame, FrameError, Message};
use crate::channel::wire::Hello;

/// How long the owner of a shared lab may take to greet.
const GREETING: Duration = Duration::from_secs(5);
const SIGKILL: i32 = 9;

/// Why a lab cannot be shared or found.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Another process has a lab of this name up.
    #[error("a lab called {name} is up already")]
    AlreadyUp {
        /// Its name.
        name: String,
    },
    /// None is up.
    #[error("no lab called {name} is up")]
    NotUp {
        /// The name.
        name: String,
    },
    /// The directory of sockets belongs to somebody else or is open to others.
    #[error("{path} is not this user's alone")]
    Unsafe {
        /// The directory.
        path: PathBuf,
    },
    /// A socket or directory could not be made or used.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The owner answers, but not as it should.
    #[error("cannot join the lab {name}")]
    Session {
        /// Its name.
        name: String,
        /// Why not.
        source: SessionError,
    },
}

/// A lab being shared, until it is dropped.
#[derive(Debug)]
pub struct Share {
    path: PathBuf,
    over: Arc<AtomicBool>,
}

/// Where the socket of a lab is: `$XDG_RUNTIME_DIR/slotwise/lab/NAME.sock`, or beneath `/tmp/slotwise-UID`.
fn socket_path(name: &str) -> Result<PathBuf, ShareError> {
    let own = rustix::process::getuid().as_raw();
    let base = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && path.is_dir())
        .map_or_else(|| PathBuf::from(format!("/tmp/slotwise-{own}")), |path| path.join("slotwise"));
    let directory = base.join("lab");
    let failed = |source| ShareError::Io { path: directory.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
    for path in [&base, &directory] {
        // Not following links: in /tmp anybody could have made one.
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        if !metadata.is_dir() || metadata.uid() != own || metadata.mode() & 0o022 != 0 {
            return Err(ShareError::Unsafe { path: path.clone() });
        }
    }
    Ok(directory.join(format!("{name}.sock")))
}

impl Session {
    /// Joins the lab of this name that another process has up.
    ///
    /// # Errors
    /// None is up, or it does not answer: see [`ShareError`].
    pub fn join(name: &str) -> Result<Self, ShareError> {
        let path = socket_path(name)?;
        let stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ShareError::NotUp { name: name.to_owned() }
            }
            _ => ShareError::Io { path, source },
        })?;
        greet(stream).map_err(|source| ShareError::Session { name: name.to_owned(), source })
    }
}

fn greet(stream: UnixStream) -> Result<Session, SessionError> {
    stream.set_read_timeout(Some(GREETING)).map_err(FrameError::Io)?;
    match Frame::read(&stream)?.message {
        Message::Hello(Hello { version: VERSION, .. }) => {}
        Message::Hello(Hello { version, .. }) => return Err(SessionError::Version { found: version }),
        _ => return Err(SessionError::Refused("the owner of the lab does not greet".to_owned())),
    }
    stream.set_read_timeout(None).map_err(FrameError::Io)?;
    Session::over(stream)
}

impl Share {
    /// Shares a session under a name; `hello` is what its lab host said of itself.
    pub(crate) fn start(name: &str, session: &Session, hello: Hello) -> Result<Self, ShareError> {
        Self::at(socket_path(name)?, name, session, hello)
    }

    fn at(path: PathBuf, name: &str, session: &Session, hello: Hello) -> Result<Self, ShareError> {
        let failed = |source| ShareError::Io { path: path.clone(), source };
        if UnixStream::connect(&path).is_ok() {
            return Err(ShareError::AlreadyUp { name: name.to_owned() });
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            // Left by an owner that was killed, or never there.
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let over = Arc::new(AtomicBool::new(false));
        // Clients hold the lab's channel only as long as the owner does.
        let link = Arc::downgrade(&session.link);
        let stop = Arc::clone(&over);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), Some(link)) = (stream, link.upgrade()) else { return };
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let hello = hello.clone();
                std::thread::spawn(move || relay(&stream, &link, hello));
            }
        });
        Ok(Self { path, over })
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A connection wakes the listening thread, which then sees that it is over.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

type Numbers = Arc<Mutex<HashMap<ExchangeId, ExchangeId>>>;

/// Serves one client until it goes or says something it should not.
fn relay(stream: &UnixStream, link: &Arc<Link>, hello: Hello) {
    let Ok(writer) = stream.try_clone() else { return };
    let writer = Arc::new(Mutex::new(writer));
    if write(&writer, ExchangeId::HOST, Message::Hello(hello)).is_err() {
        return;
    }
    let numbers = Numbers::default();
    while let Ok(frame) = Frame::read(stream) {
        let sent = match frame.message {
            message @ (Message::Run(_) | Message::Fetch(_) | Message::Put(_)) => {
                open(link, &numbers, &writer, frame.id, message)
            }
            Message::PowerOff => link.send(ExchangeId::HOST, Message::PowerOff),
            message @ (Message::Input(_)
            | Message::InputEnd
            | Message::Signal(_)
            | Message::Resize(_)
            | Message::Credit(_)) => {
                let id = numbers.lock().unwrap_or_else(PoisonError::into_inner).get(&frame.id).copied();
                id.map_or(Ok(()), |id| link.send(id, message))
            }
            _ => break,
        };
        if sent.is_err() {
            break;
        }
    }
    for (_, id) in numbers.lock().unwrap_or_else(PoisonError::into_inner).drain() {
        link.forget(id);
        // Where the lab host is gone, so is the command.
        let _ = link.send(id, Message::Signal(SIGKILL));
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

fn open(
    link: &Arc<Link>,
    numbers: &Numbers,
    writer: &Arc<Mutex<UnixStream>>,
    theirs: ExchangeId,
    message: Message,
) -> Result<(), SessionError> {
    // Held until the number is noted, so that the end of the exchange cannot be handled before its beginning.
    let mut table = numbers.lock().unwrap_or_else(PoisonError::into_inner);
    if table.contains_key(&theirs) {
        return Err(SessionError::Refused(format!("exchange {} is already open", theirs.0)));
    }
    let (ours, receiver) = link.open(message, None)?;
    table.insert(theirs, ours);
    let (link, numbers, writer) = (Arc::clone(link), Arc::clone(numbers), Arc::clone(writer));
    std::thread::spawn(move || {
        for message in receiver {
            let last = matches!(message, Message::Exit(_) | Message::Failed(_));
            // A client that cannot be written to is one whose reading side ends too.
            if write(&writer, theirs, message).is_err() || last {
                break;
            }
        }
        numbers.lock().unwrap_or_else(PoisonError::into_inner).remove(&theirs);
        link.forget(ours);
    });
    Ok(())
}

fn write(writer: &Mutex<UnixStream>, id: ExchangeId, message: Message) -> Result<(), FrameError> {
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    Frame::new(id, message).write(&mut *writer)
}

#[cfg(test)]
mod tests;
