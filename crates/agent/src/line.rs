//! Lines of bounded length from a port.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use slotwise_testbench::wire::LINE_LIMIT_BYTES;

/// Splits what comes from a port into lines.
pub(crate) struct Lines<R> {
    port: R,
    held: Vec<u8>,
    /// A line past the limit is being passed over up to its end.
    skipping: bool,
}

/// A line, or that there was one too long to keep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(port: R) -> Self {
        Self { port, held: Vec::new(), skipping: false }
    }

    /// The next line without its line feed. A virtio-serial port reads as empty while nobody is at the other end
    /// (`drivers/char/virtio_console.c`, `port_fops_read`, Linux 6.1), so no bytes mean "not yet".
    pub(crate) fn next(&mut self) -> io::Result<Line> {
        let mut searched = 0;
        let mut buffer = [0; 65536];
        loop {
            if let Some(at) = self.held.iter().skip(searched).position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                if std::mem::take(&mut self.skipping) {
                    return Ok(Line::TooLong);
                }
                return Ok(Line::Whole(line));
            }
            if self.held.len() > LINE_LIMIT_BYTES {
                self.skipping = true;
            }
            if self.skipping {
                self.held.clear();
            }
            searched = self.held.len();
            match self.port.read(&mut buffer) {
                Ok(0) => thread::sleep(Duration::from_millis(20)),
                Ok(count) => self.held.extend(buffer.iter().take(count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_wherever_the_reads_end() {
        let mut lines = Lines::new(b"one\ntw".chain(&b"o\n\nthree\n"[..]));
        for expected in ["one", "two", "", "three"] {
            assert_eq!(lines.next().unwrap(), Line::Whole(expected.into()));
        }
    }

    #[test]
    fn a_line_past_the_limit_is_passed_over_and_the_next_is_read() {
        let long = vec![b'x'; LINE_LIMIT_BYTES + 70_000];
        let mut lines = Lines::new(long.as_slice().chain(&b"\nnext\n"[..]));
        assert_eq!(lines.next().unwrap(), Line::TooLong);
        assert_eq!(lines.next().unwrap(), Line::Whole(b"next".into()));
    }
}
