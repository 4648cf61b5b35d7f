//! The network interface of a function: up, link, frames.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use slotwise_testbench::wire::{
    FRAME_COUNT_LIMIT, FRAME_LIMIT_BYTES, FrameBytes, FrameExchange, HexBytes, OPERATION_DATA_LIMIT_BYTES,
    OPERATION_WAIT_LIMIT_MS,
};

use super::{Brought, Done, Function, number};
use crate::sys::packet::PacketSocket;

/// `IFF_UP`, `include/uapi/linux/if.h`.
const UP: u64 = 1;
/// How long a link may take to come up: autonegotiation of gigabit copper takes up to four seconds.
const LINK_LIMIT: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(20);

impl Function {
    /// The directory of its first network interface.
    pub(super) fn interface(&self) -> Option<PathBuf> {
        self.children("net").into_iter().next()
    }

    /// A socket on the interface, which is brought up first.
    pub(super) fn socket(&self, protocol: u16) -> Result<PacketSocket, String> {
        let interface = self.interface().ok_or("the function has no network interface")?;
        let read = |file: &str| {
            number(fs::read_to_string(interface.join(file)).unwrap_or_default().trim().as_bytes())
        };
        let flags = read("flags");
        if flags & UP == 0 {
            fs::write(interface.join("flags"), format!("{:#x}", flags | UP))
                .map_err(|error| format!("cannot bring the interface up: {error}"))?;
        }
        let begin = Instant::now();
        // Without a link frames are thrown away; what then comes of them is for whoever asks to see.
        while read("carrier") == 0 && begin.elapsed() < LINK_LIMIT {
            thread::sleep(POLL);
        }
        let index = u32::try_from(read("ifindex")).unwrap_or(0);
        PacketSocket::open(index, protocol).map_err(|error| format!("cannot open a packet socket: {error}"))
    }

    pub(super) fn frames(&self, exchange: &FrameExchange) -> Done {
        let FrameExchange { frames, protocol, having, wanted, within_ms } = exchange;
        let too_long = |frame: &&HexBytes| frame.0.len() > FRAME_LIMIT_BYTES;
        if frames.len() > FRAME_COUNT_LIMIT || frames.iter().any(|frame| too_long(&frame)) {
            return Err("too many frames, or too long".to_owned());
        }
        let socket = self.socket(*protocol)?;
        let failed = |error| format!("cannot receive: {error}");
        let wanted = usize::from(*wanted).min(FRAME_COUNT_LIMIT);
        let mut heard = Heard { having, frames: Vec::new(), bytes: 0, wanted };
        for (number, frame) in frames.iter().enumerate() {
            socket.send(&frame.0).map_err(|error| format!("cannot send frame {number}: {error}"))?;
            // What has come is taken at once: the socket's own buffer is small.
            while let Some(frame) = socket.receive(Duration::ZERO).map_err(failed)? {
                heard.take(frame);
            }
        }
        let limit = Duration::from_millis((*within_ms).min(OPERATION_WAIT_LIMIT_MS).into());
        let begin = Instant::now();
        while !heard.is_enough() {
            let left = limit.saturating_sub(begin.elapsed());
            if left.is_zero() {
                break;
            }
            if let Some(frame) = socket.receive(left).map_err(failed)? {
                heard.take(frame);
            }
        }
        let result = u64::try_from(heard.frames.len()).unwrap_or(u64::MAX);
        Ok(Brought { data: Vec::new(), result, frames: heard.frames })
    }
}

/// Frames that came, of which no more are kept than fit in an answer.
struct Heard<'a> {
    having: &'a [FrameBytes],
    frames: Vec<HexBytes>,
    bytes: usize,
    wanted: usize,
}

impl Heard<'_> {
    fn take(&mut self, frame: Vec<u8>) {
        if !self.is_enough() && self.having.iter().all(|own| own.are_in(&frame)) {
            self.bytes = self.bytes.saturating_add(frame.len());
            self.frames.push(HexBytes(frame));
        }
    }

    fn is_enough(&self) -> bool {
        self.frames.len() >= self.wanted || self.bytes > OPERATION_DATA_LIMIT_BYTES
    }
}
