//! The lock, lent to another process while its holder waits.
//!
//! A program that runs a VM holds the host for as long as the VM has its devices, and changes nothing meanwhile. So
//! it lends its lock to one other at a time: it passes its descriptor through a socket (unix(7), `SCM_RIGHTS`), which
//! is the same lock (flock(2): locks belong to open file descriptions). The loan lasts until the borrower closes the
//! connection, however it ends. Who may borrow is the socket's folder's matter: it has to be ours alone.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::{HostLock, LockError};

/// How often it is looked whether lending is over.
const TICK: Duration = Duration::from_millis(50);

/// Lends a lock, until it is dropped.
#[derive(Debug)]
pub struct Lender {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Lender {
    /// Lends `lock` to whoever connects to a new socket at `path`, one at a time. Whoever lends changes nothing.
    ///
    /// # Errors
    /// [`LockError::File`] if the socket or a thread cannot be had.
    pub fn start(lock: &HostLock, path: &Path) -> Result<Self, LockError> {
        let fail = |source| LockError::File { path: path.to_owned(), source };
        let file = lock.file.try_clone().map_err(fail)?;
        let listener = UnixListener::bind(path).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let serve = move || {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A borrower that is gone again got nothing.
                    Ok((stream, _)) => drop(lend(&stream, file.as_fd())),
                    Err(_) => wait(&listener),
                }
            }
        };
        let thread = thread::Builder::new().name("lock-lender".to_owned()).spawn(serve).map_err(fail)?;
        Ok(Self { over, thread })
    }

    /// Ends it, and waits until the lock has come back. False if it has not within that time.
    #[must_use]
    pub fn end(self, within: Duration) -> bool {
        self.over.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + within;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(TICK);
        }
        self.thread.is_finished()
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn wait(listener: &UnixListener) {
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
    // Its outcome does not matter: the loop looks at everything anyway.
    let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&tick));
}

/// Passes the descriptor on, and waits for the borrower's end.
fn lend(mut stream: &UnixStream, file: BorrowedFd<'_>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let files = [file];
    message.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(stream, &[IoSlice::new(b"L")], &mut message, SendFlags::NOSIGNAL)?;
    loop {
        match stream.read(&mut [0; 16]) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl HostLock {
    /// Borrows the lock of a [`Lender`] whose socket is `path`; waits `within` for another borrower's turn to end.
    ///
    /// # Errors
    /// [`LockError::File`] if nobody lends there, or not in time.
    pub fn borrow_at(path: &Path, within: Duration) -> Result<Self, LockError> {
        let fail = |source| LockError::File { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).map_err(fail)?;
        stream.set_read_timeout(Some(within)).map_err(fail)?;
        let file = receive(&stream).map_err(fail)?;
        Ok(Self { file, path: path.to_owned(), _lease: Some(stream) })
    }
}

fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = message.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let file = files.find_map(|mut files| files.next());
    file.ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "nothing was lent"))
}

#[cfg(test)]
mod tests {
    use super::super::Owner;
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn held(folder: &Path) -> (HostLock, std::path::PathBuf, std::path::PathBuf) {
        let path = folder.join("lock");
        let owner = Owner { pid: 1, command: "slotwise run".to_owned(), since_unix_s: 1 };
        (HostLock::acquire(&path, &owner).unwrap(), path, folder.join("lender.sock"))
    }

    #[test]
    fn a_borrowed_lock_is_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, path, socket) = held(folder.path());
        let lender = Lender::start(&lock, &socket).unwrap();
        let borrowed = HostLock::borrow_at(&socket, LONG).unwrap();
        // Its first holder gone, it is held still.
        drop(lock);
        let owner = Owner { pid: 2, command: String::new(), since_unix_s: 2 };
        assert!(matches!(HostLock::acquire(&path, &owner), Err(LockError::Held { .. })));
        drop(borrowed);
        assert!(lender.end(LONG));
        HostLock::acquire(&path, &owner).unwrap();
    }

    #[test]
    fn there_is_one_borrower_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, _, socket) = held(folder.path());
        let lender = Lender::start(&lock, &socket).unwrap();
        let first = HostLock::borrow_at(&socket, LONG).unwrap();
        assert!(HostLock::borrow_at(&socket, Duration::from_millis(200)).is_err());
        drop(first);
        drop(HostLock::borrow_at(&socket, LONG).unwrap());
        assert!(lender.end(LONG));
    }

    #[test]
    fn the_lender_waits_for_what_it_has_lent() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, _, socket) = held(folder.path());
        let lender = Lender::start(&lock, &socket).unwrap();
        let borrowed = HostLock::borrow_at(&socket, LONG).unwrap();
        assert!(!lender.end(Duration::from_millis(200)));
        drop(borrowed);
    }

    #[test]
    fn where_nobody_lends_there_is_nothing_to_borrow() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lender.sock");
        assert!(matches!(HostLock::borrow_at(&socket, LONG), Err(LockError::File { .. })));
        let (lock, _, socket) = held(folder.path());
        drop(Lender::start(&lock, &socket).unwrap());
        let late = (0..100).any(|_| {
            thread::sleep(TICK);
            HostLock::borrow_at(&socket, LONG).is_err()
        });
        assert!(late);
    }
}
