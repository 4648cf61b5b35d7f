//! Lines over a Unix socket, bounded in length and in time.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::{MAX_LINE_BYTES, QmpError};

/// The shortest wait that a socket timeout can say; zero would mean for ever.
const TICK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct LineStream {
    stream: UnixStream,
    /// Bytes read and not yet given out.
    buffer: Vec<u8>,
    /// How far `buffer` has been searched for a line end.
    searched: usize,
}

impl LineStream {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new(), searched: 0 }
    }

    /// The next line, without its end; none when the deadline passes first. What has come by then is kept.
    pub(super) fn read_line(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, QmpError> {
        loop {
            let unsearched = self.buffer.iter().skip(self.searched);
            if let Some(end) = unsearched.clone().position(|b| *b == b'\n') {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                while line.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                    line.pop();
                }
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(QmpError::LineTooLong { limit: MAX_LINE_BYTES });
            }
            if !self.fill(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Reads some more; false when the deadline has passed.
    fn fill(&mut self, deadline: Instant) -> Result<bool, QmpError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.stream.set_read_timeout(Some(left.max(TICK))).map_err(QmpError::io("setting a timeout"))?;
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(QmpError::Closed),
            Ok(count) => {
                self.buffer.extend(chunk.iter().take(count));
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(true),
                ErrorKind::ConnectionReset => Err(QmpError::Closed),
                _ => Err(QmpError::Io { doing: "reading", source: error }),
            },
        }
    }

    /// Writes all of `bytes`, with `fd` attached to the first of them.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        fd: Option<BorrowedFd<'_>>,
        within: Duration,
    ) -> Result<(), QmpError> {
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => QmpError::Closed,
            _ => QmpError::Io { doing: "writing", source },
        };
        self.stream.set_write_timeout(Some(within.max(TICK))).map_err(QmpError::io("setting a timeout"))?;
        let sent = match fd {
            None => 0,
            Some(fd) => {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let fds = [fd];
                if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
                    return Err(failed(std::io::Error::other("no room for a file descriptor")));
                }
                sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
                    .map_err(|errno| failed(errno.into()))?
            }
        };
        let rest = bytes.get(sent..).unwrap_or_default();
        self.stream.write_all(rest).map_err(failed)
    }
}
