//! A protocol data unit on the wire: 48 bytes of header, additional headers, data padded to four bytes (RFC 7143,
//! 11.2).
//!
//! Nothing is believed: the length of the data is held against a limit before a byte of it is read, and additional
//! headers, 1020 bytes at most by their field, are passed over (they carry what SCSI-2 has not: blocks of more than 16
//! bytes, and lengths of bidirectional commands).

use std::io::{self, Read, Write};
use std::time::Instant;

/// Bytes of the basic header segment.
pub const HEADER_BYTES: usize = 48;
/// The most data that either side of this crate accepts in one unit; declared as `MaxRecvDataSegmentLength`.
pub const DATA_LIMIT_BYTES: usize = 256 * 1024;
/// Bytes asked of a stream at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why there is no unit.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The other side closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// Nothing whole came in time; what came of a unit is kept.
    #[error("nothing came in time")]
    TimedOut,
    /// A unit claims too much.
    #[error("a unit with {length} bytes of data, of {DATA_LIMIT_BYTES} at most")]
    TooLong {
        /// What it claims.
        length: usize,
    },
}

/// The basic header segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header([u8; HEADER_BYTES]);

impl Header {
    /// A header that is zero but for its first byte.
    pub fn new(first: u8) -> Self {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = first;
        Self(bytes)
    }

    /// The bytes of a header.
    pub const fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.0
    }

    /// A byte; zero past the end.
    pub fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    /// Some bytes from `at` on; zeros past the end.
    pub fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.byte(at + index))
    }

    /// A number of two bytes.
    pub fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }

    /// A number of four bytes.
    pub fn be32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }

    /// A number of eight bytes.
    pub fn be64(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.array(at))
    }

    /// Puts bytes in; what would go past the end is dropped.
    #[must_use]
    pub fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        for (own, byte) in self.0.iter_mut().skip(at).zip(bytes) {
            *own = *byte;
        }
        self
    }

    /// Puts a number of four bytes in.
    #[must_use]
    pub fn with32(self, at: usize, value: u32) -> Self {
        self.with(at, &value.to_be_bytes())
    }

    fn additional_bytes(&self) -> usize {
        usize::from(self.byte(4)) * 4
    }

    fn data_bytes(&self) -> usize {
        let [high, middle, low] = self.array(5);
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Its data without padding.
    pub data: Vec<u8>,
}

impl Frame {
    /// Writes it whole, its lengths set.
    ///
    /// # Errors
    ///
    /// The stream fails, or the data do not fit the length's 24 bits.
    pub fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.data.len()).ok().filter(|length| *length < 1 << 24);
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        let mut bytes = self.header.with32(4, length).bytes().to_vec();
        bytes.extend(&self.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        stream.write_all(&bytes)
    }
}

/// Puts units together from a stream, wherever its reads end.
#[derive(Debug, Default)]
pub struct FrameReader {
    held: Vec<u8>,
}

impl FrameReader {
    /// The next unit. With a deadline, the stream must give up reading by itself now and then.
    ///
    /// # Errors
    ///
    /// There is none: the stream failed or ended, the deadline passed, or the unit is too long.
    pub fn next(&mut self, stream: &mut impl Read, deadline: Option<Instant>) -> Result<Frame, FrameError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(FrameError::TimedOut);
            }
            match stream.read(&mut chunk) {
                Ok(0) => return Err(FrameError::Closed),
                Ok(count) => self.held.extend(chunk.iter().take(count)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if deadline.is_some() => {}
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                        return Err(FrameError::Closed);
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// A unit, if one is there whole.
    fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.held.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let header = Header::from_bytes(*header);
        let length = header.data_bytes();
        if length > DATA_LIMIT_BYTES {
            return Err(FrameError::TooLong { length });
        }
        let start = HEADER_BYTES + header.additional_bytes();
        let whole = start + length.next_multiple_of(4);
        if self.held.len() < whole {
            return Ok(None);
        }
        let rest = self.held.split_off(whole);
        let unit = std::mem::replace(&mut self.held, rest);
        let data = unit.get(start..start + length).unwrap_or_default().to_vec();
        Ok(Some(Frame { header, data }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives one byte a read.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            self.0 = rest;
            buffer[0] = *first;
            Ok(1)
        }
    }

    #[test]
    fn units_are_put_together_wherever_the_reads_end() {
        let mut wire = Vec::new();
        let frames = [3_u8, 0, 8].map(|length| Frame {
            header: Header::new(length).with32(4, length.into()),
            data: vec![length; length.into()],
        });
        for frame in &frames {
            frame.write(&mut wire).unwrap();
        }
        let (mut reader, mut stream) = (FrameReader::default(), Dribble(&wire));
        for frame in &frames {
            assert_eq!(&reader.next(&mut stream, None).unwrap(), frame);
        }
        assert!(matches!(reader.next(&mut stream, None), Err(FrameError::Closed)));
    }

    #[test]
    fn a_length_past_the_limit_is_refused_before_its_data_come() {
        let wire = Header::new(0).with32(4, 0x00ff_ffff);
        let error = FrameReader::default().next(&mut wire.bytes().as_slice(), None).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { length: 0x00ff_ffff }));
    }

    #[test]
    fn additional_headers_are_passed_over() {
        let mut wire = Header::new(1).with(4, &[2, 0, 0, 1]).bytes().to_vec();
        wire.extend([0xee; 8]);
        wire.extend([0x55, 0, 0, 0]);
        assert_eq!(FrameReader::default().next(&mut wire.as_slice(), None).unwrap().data, [0x55]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(wire in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = FrameReader::default();
            let mut stream = wire.as_slice();
            while reader.next(&mut stream, None).is_ok() {}
        }
    }
}
