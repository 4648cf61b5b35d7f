//! Frames that the bench sends from a network card under test to a peer, and what must come back.
//!
//! The peer is any host that answers ARP (RFC 826) and echo requests (RFC 792); nothing has to run on it. A request's
//! payload differs from byte to byte and from request to request, so a reply that lost, doubled or changed something is told
//! from the right one. Lengths are in bytes, without the check sequence, which the card makes.

use std::collections::BTreeSet;

use crate::wire::{FRAME_COUNT_LIMIT, FrameBytes, FrameExchange, HexBytes};

/// `EtherType`s (IEEE 802 numbers).
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const ICMP_BYTES: usize = 8;
/// Marks the bench's echo requests among others.
const IDENTIFIER: u16 = 0x5357;

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mac([u8; 6]);

impl Mac {
    /// From six bytes, or from text as the kernel writes it, `52:54:00:12:34:56`.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        if let Ok(own) = bytes.try_into() {
            return Some(Self(own));
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let parts: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
        parts?.try_into().ok().map(Self)
    }
}

/// Who has `peer`? Asked by `own`, from `from`.
pub(crate) fn arp(from: Mac, own: u32, peer: u32, within_ms: u32) -> FrameExchange {
    let mut frame = vec![0xff; 6];
    frame.extend(from.0);
    frame.extend(ARP.to_be_bytes());
    // Ethernet, IPv4, lengths of their addresses, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(from.0);
    frame.extend(own.to_be_bytes());
    frame.extend([0; 6]);
    frame.extend(peer.to_be_bytes());
    let having = |offset, bytes: &[u8]| FrameBytes { offset, bytes: HexBytes(bytes.to_vec()) };
    FrameExchange {
        frames: vec![HexBytes(frame)],
        protocol: ARP,
        having: vec![having(0, &from.0), having(20, &[0, 2]), having(28, &peer.to_be_bytes())],
        wanted: 1,
        within_ms,
    }
}

/// The hardware address that an ARP reply tells; nothing if it is none.
pub(crate) fn arp_sender(reply: &HexBytes) -> Vec<u8> {
    reply.0.get(22..28).map(<[u8]>::to_vec).unwrap_or_default()
}

/// What every echo reply to the bench has: ICMP, type and code, identifier.
fn replies_have() -> Vec<FrameBytes> {
    let bytes = |offset, bytes: &[u8]| FrameBytes { offset, bytes: HexBytes(bytes.to_vec()) };
    vec![bytes(23, &[1]), bytes(34, &[0, 0]), bytes(38, &IDENTIFIER.to_be_bytes())]
}

/// Echo requests, each with a payload of its own.
#[derive(Clone, Debug)]
pub(crate) struct Ping {
    pub(crate) from: Mac,
    pub(crate) to: Mac,
    pub(crate) own: u32,
    pub(crate) peer: u32,
    /// Length of the whole frame.
    pub(crate) size: u16,
    pub(crate) count: u16,
    pub(crate) within_ms: u32,
}

impl Ping {
    pub(crate) fn exchange(&self) -> Result<FrameExchange, String> {
        let headers = ETHERNET_BYTES + IPV4_BYTES + ICMP_BYTES;
        let size = usize::from(self.size);
        if size < headers || size > crate::wire::FRAME_LIMIT_BYTES {
            return Err(format!("no echo request of {size} bytes"));
        }
        if usize::from(self.count) > FRAME_COUNT_LIMIT {
            return Err(format!("{} frames are more than {FRAME_COUNT_LIMIT}", self.count));
        }
        Ok(FrameExchange {
            frames: (0..self.count).map(|number| HexBytes(self.request(number))).collect(),
            protocol: IPV4,
            having: replies_have(),
            wanted: self.count,
            within_ms: self.within_ms,
        })
    }

    fn payload(&self, number: u16) -> Vec<u8> {
        let length = usize::from(self.size).saturating_sub(ETHERNET_BYTES + IPV4_BYTES + ICMP_BYTES);
        let start = usize::from(number).wrapping_mul(31);
        // Truncation to a byte is what makes it count over and over; the next 256 are one on.
        (0..length).map(|at| (start.wrapping_add(at).wrapping_add(at / 256) & 0xff) as u8).collect()
    }

    fn request(&self, number: u16) -> Vec<u8> {
        let echo = echo(8, number, &self.payload(number));
        let length = u16::try_from(IPV4_BYTES + echo.len()).unwrap_or(u16::MAX);
        // Version 4 with five words of header, 64 hops, ICMP.
        let mut header = vec![0x45, 0];
        header.extend(length.to_be_bytes());
        header.extend(number.to_be_bytes());
        header.extend([0x40, 0, 64, 1, 0, 0]);
        header.extend(self.own.to_be_bytes());
        header.extend(self.peer.to_be_bytes());
        let sum = checksum(&header);
        put(&mut header, 10, sum);
        [&self.to.0[..], &self.from.0, &IPV4.to_be_bytes(), &header, &echo].concat()
    }

    /// The first reply that is wrong, and how many requests were answered rightly. Frames that are no echo replies do not count,
    /// whoever took them for some.
    pub(crate) fn judge(&self, replies: &[HexBytes]) -> (Vec<u8>, u64) {
        let mut right = BTreeSet::new();
        let mut wrong = Vec::new();
        let having = replies_have();
        for reply in replies.iter().filter(|reply| having.iter().all(|own| own.are_in(&reply.0))) {
            match self.number(&reply.0).filter(|number| right.insert(*number)) {
                Some(_) => {}
                None if wrong.is_empty() => wrong.clone_from(&reply.0),
                None => {}
            }
        }
        (wrong, u64::try_from(right.len()).unwrap_or(u64::MAX))
    }

    /// The number of the request that this is the right reply to.
    fn number(&self, reply: &[u8]) -> Option<u16> {
        let number = u16::from_be_bytes(reply.get(40..42)?.try_into().ok()?);
        let to_us = reply.starts_with(&self.from.0) && reply.get(30..34)? == self.own.to_be_bytes();
        let from_peer = reply.get(26..30)? == self.peer.to_be_bytes();
        let length = u16::from_be_bytes(reply.get(16..18)?.try_into().ok()?);
        // What stands behind the datagram fills the frame up to its least length.
        let message = reply.get(34..ETHERNET_BYTES + usize::from(length))?;
        let right =
            number < self.count && to_us && from_peer && message == echo(0, number, &self.payload(number));
        right.then_some(number)
    }
}

/// An echo message (RFC 792): 8 asks, 0 answers.
fn echo(kind: u8, number: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(IDENTIFIER.to_be_bytes());
    message.extend(number.to_be_bytes());
    message.extend(payload);
    let sum = checksum(&message);
    put(&mut message, 2, sum);
    message
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    for (place, byte) in bytes.iter_mut().skip(at).zip(value.to_be_bytes()) {
        *place = byte;
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| {
        let byte = |at: usize| u32::from(pair.get(at).copied().unwrap_or_default());
        byte(0) << 8 | byte(1)
    };
    // 64 KiB of words of 16 bits do not overflow 32.
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The folded sum has 16 bits.
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(count: u16) -> Ping {
        let from = Mac::read(b"52:54:00:12:34:56").unwrap();
        let (to, own, peer) = (Mac([0x52, 0x55, 10, 0, 2, 2]), 0x0a00_020f, 0x0a00_0202);
        Ping { from, to, own, peer, size: 61, count, within_ms: 100 }
    }

    /// What a host makes of a request.
    fn reply(ping: &Ping, request: &HexBytes) -> HexBytes {
        let mut frame = request.0.clone();
        frame[..6].copy_from_slice(&ping.from.0);
        frame[26..30].copy_from_slice(&ping.peer.to_be_bytes());
        frame[30..34].copy_from_slice(&ping.own.to_be_bytes());
        let number = u16::from_be_bytes([frame[40], frame[41]]);
        let message = echo(0, number, &frame[42..]);
        frame.truncate(34);
        frame.extend(message);
        HexBytes(frame)
    }

    #[test]
    fn the_checksum_is_that_of_the_standards_example() {
        // RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn right_replies_are_counted_and_lost_doubled_and_changed_ones_are_not() {
        let ping = ping(4);
        let exchange = ping.exchange().unwrap();
        assert!(exchange.frames.iter().all(|frame| frame.0.len() == 61));
        let replies: Vec<_> = exchange.frames.iter().map(|request| reply(&ping, request)).collect();
        assert!(replies.iter().all(|reply| exchange.having.iter().all(|own| own.are_in(&reply.0))));
        assert_eq!(ping.judge(&replies), (Vec::new(), 4));
        assert_eq!(ping.judge(&replies[..3]), (Vec::new(), 3));
        let padded = HexBytes([&replies[0].0[..], &[0; 4]].concat());
        assert_eq!(ping.judge(&[padded]), (Vec::new(), 1));
        let doubled = [replies[0].clone(), replies[0].clone()];
        assert_eq!(ping.judge(&doubled), (replies[0].0.clone(), 1));
        for at in [0, 27, 40, 50] {
            let mut changed = replies[1].clone();
            changed.0[at] ^= 1;
            assert_eq!(ping.judge(std::slice::from_ref(&changed)), (changed.0, 0), "byte {at}");
        }
        assert_eq!(ping.judge(&[HexBytes(vec![0; 20])]).1, 0);
    }

    proptest::proptest! {
        #[test]
        fn any_frame_is_judged_and_only_right_ones_count(
            frames in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..80), 0..8)
        ) {
            let frames: Vec<HexBytes> = frames.into_iter().map(HexBytes).collect();
            let (wrong, right) = ping(3).judge(&frames);
            // That a random frame has the right sums, addresses and payload does not happen.
            proptest::prop_assert_eq!(right, 0);
            proptest::prop_assert!(wrong.is_empty() || frames.iter().any(|frame| frame.0 == wrong));
            frames.iter().for_each(|frame| drop(arp_sender(frame)));
        }
    }

    #[test]
    fn what_no_frame_can_be_is_refused() {
        assert!(Ping { size: 41, ..ping(1) }.exchange().is_err());
        assert!(ping(600).exchange().is_err());
        assert_eq!(Mac::read(b"52:54:00:12:34"), None);
    }

    #[test]
    fn an_arp_reply_tells_who_has_the_address() {
        let own = Mac([2, 0, 0, 0, 0, 1]);
        let exchange = arp(own, 1, 2, 10);
        assert_eq!(exchange.frames[0].0.len(), 42);
        let mut reply = exchange.frames[0].0.clone();
        reply[..6].copy_from_slice(&own.0);
        reply[21] = 2;
        reply[22..28].copy_from_slice(&[9; 6]);
        reply[28..32].copy_from_slice(&2_u32.to_be_bytes());
        assert!(exchange.having.iter().all(|wanted| wanted.are_in(&reply)));
        assert_eq!(arp_sender(&HexBytes(reply)), [9; 6]);
    }
}
