//! A model of a network card and of the peer on its wire, sound or with one defect that the suite `net` has to find.

use crate::capability::{Capabilities, Capability};
use crate::guest::GuestDefinition;
use crate::rig::{DeviceUnderTest, Peer, Rig, RigError, RunningGuest};
use crate::transport::{Transport, TransportError};
use crate::wire::{Attribute, FrameExchange, HexBytes, LogRecord, Operation, OperationOutcome, PciFunction};
use std::net::Ipv4Addr;

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    NoLink,
    GroupAddress,
    ZeroAddress,
    NeverSends,
    ShortLost,
    OddCut,
    LongFlipped,
    RingWraps,
    Doubles,
    HearsAll,
    NeverPromiscuous,
    DeafAfterDown,
    CountersStuck,
    ErrorsCounted,
    DeafAfterReset,
    ForgetsAddress,
}

const PEER: Peer = Peer { own: Ipv4Addr::new(192, 0, 2, 7), peer: Ipv4Addr::new(192, 0, 2, 1) };
const PEER_MAC: [u8; 6] = [0x52, 0x55, 0, 0, 2, 1];
const OWN_MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const UP: u64 = 1;
const PROMISCUOUS: u64 = 0x100;

pub(crate) struct FakeNic {
    flaw: Flaw,
    capabilities: Capabilities,
    bound: bool,
    resets: usize,
    downs: usize,
    flags: u64,
    sent: u64,
    received: u64,
    bytes: u64,
}

impl FakeNic {
    fn new(flaw: Flaw) -> Self {
        let capabilities = [Capability::Function].into_iter().collect();
        let flags = UP | 0x1002;
        Self { flaw, capabilities, bound: true, resets: 0, downs: 0, flags, sent: 0, received: 0, bytes: 0 }
    }

    fn is_deaf(&self) -> bool {
        self.flags & UP == 0
            || self.flaw == Flaw::NeverSends
            || self.flaw == Flaw::DeafAfterDown && self.downs > 1
            || self.flaw == Flaw::DeafAfterReset && self.resets > 0
    }

    /// What comes back for what was sent, as far as the card hears it.
    fn exchange(&mut self, exchange: &FrameExchange) -> Vec<HexBytes> {
        let mut heard = Vec::new();
        for (number, frame) in exchange.frames.iter().enumerate() {
            self.sent += 1;
            let lost = self.is_deaf()
                || self.flaw == Flaw::ShortLost && frame.0.len() < 60 && frame.0.get(13) == Some(&0)
                || self.flaw == Flaw::RingWraps && number >= 128;
            let Some(mut reply) = answer(&frame.0).filter(|_| !lost) else { continue };
            let own = reply.starts_with(&OWN_MAC) || self.flaw == Flaw::HearsAll;
            let all = self.flags & PROMISCUOUS != 0 && self.flaw != Flaw::NeverPromiscuous;
            if !own && !all {
                continue;
            }
            match self.flaw {
                Flaw::OddCut if reply.len() % 2 == 1 => drop(reply.pop()),
                Flaw::LongFlipped if reply.len() > 1500 => reply[1400] ^= 0x10,
                Flaw::Doubles if number == 17 => heard.push(HexBytes(reply.clone())),
                _ => {}
            }
            self.received += 1;
            self.bytes += u64::try_from(reply.len()).unwrap_or_default();
            heard.push(HexBytes(reply));
        }
        heard.retain(|frame| exchange.having.iter().all(|own| own.are_in(&frame.0)));
        heard.truncate(exchange.wanted.into());
        heard
    }

    fn attribute(&self, attribute: Attribute) -> (Vec<u8>, u64) {
        let forgotten = self.flaw == Flaw::ForgetsAddress && self.resets > 0;
        let counted = |count: u64| {
            (count.to_string().into_bytes(), if self.flaw == Flaw::CountersStuck { 0 } else { count })
        };
        match attribute {
            Attribute::NetAddress => {
                let text: &[u8] = match self.flaw {
                    Flaw::GroupAddress => b"01:54:00:12:34:56",
                    Flaw::ZeroAddress => b"00:00:00:00:00:00",
                    _ if forgotten => b"52:54:00:12:34:57",
                    _ => b"52:54:00:12:34:56",
                };
                (text.to_vec(), 0)
            }
            Attribute::NetCarrier if self.flaw == Flaw::NoLink => (b"0".to_vec(), 0),
            Attribute::NetCarrier => (b"1".to_vec(), 1),
            Attribute::NetMtu => (b"1500".to_vec(), 1500),
            Attribute::NetFlags => (format!("{:#x}", self.flags).into_bytes(), self.flags),
            Attribute::NetTxPackets => counted(self.sent),
            Attribute::NetRxPackets => counted(self.received),
            Attribute::NetRxBytes => counted(self.bytes),
            Attribute::NetRxErrors if self.flaw == Flaw::ErrorsCounted => counted(self.received / 3),
            _ => (Vec::new(), 0),
        }
    }

    fn do_it(&mut self, operation: &Operation) -> Result<(Vec<u8>, u64, Vec<HexBytes>), String> {
        let brought = |(data, result)| (data, result, Vec::new());
        Ok(match operation {
            Operation::AttributeRead { attribute } => brought(self.attribute(*attribute)),
            Operation::AttributeWrite { attribute: Attribute::NetFlags, text } => {
                let flags: u64 =
                    String::from_utf8_lossy(&text.0).parse().map_err(|_| "no number".to_owned())?;
                self.downs += usize::from(self.flags & !flags & UP != 0);
                self.flags = flags;
                brought((Vec::new(), 0))
            }
            Operation::AttributeWrite { attribute: Attribute::Reset, .. } => {
                self.resets += 1;
                brought((Vec::new(), 0))
            }
            Operation::Unbind | Operation::Bind => {
                self.bound = *operation == Operation::Bind;
                brought((Vec::new(), 0))
            }
            Operation::Work { rounds: 0, .. } => brought((b"network".to_vec(), 0)),
            Operation::Work { rounds, .. } => brought((Vec::new(), (*rounds).into())),
            Operation::Frames(exchange) if self.bound => {
                let frames = self.exchange(exchange);
                (Vec::new(), u64::try_from(frames.len()).unwrap_or_default(), frames)
            }
            Operation::Frames(_) => return Err("the function has no network interface".into()),
            _ => brought((Vec::new(), 0)),
        })
    }
}

/// What the peer answers: to ARP requests for it, and to echo requests (RFC 826, RFC 792).
fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let mut reply = frame.to_vec();
    let sender = reply.get(6..12)?.to_vec();
    reply[..6].copy_from_slice(&sender);
    reply[6..12].copy_from_slice(&PEER_MAC);
    match frame.get(12..14)? {
        [8, 6] if frame.get(38..42)? == PEER.peer.octets() => {
            let asker = frame.get(22..32)?;
            reply[21] = 2;
            reply[32..42].copy_from_slice(asker);
            reply[22..28].copy_from_slice(&PEER_MAC);
            reply[28..32].copy_from_slice(&PEER.peer.octets());
        }
        [8, 0] if frame.get(..6)? == PEER_MAC && *frame.get(34)? == 8 => {
            reply[26..30].copy_from_slice(&frame[30..34]);
            reply[30..34].copy_from_slice(&frame[26..30]);
            reply[34] = 0;
            // The sum of the message is as much greater as its first byte is smaller (RFC 1624).
            let sum = u16::from_be_bytes([frame[36], frame[37]]);
            let (low, carry) = sum.overflowing_add(0x0800);
            reply[36..38].copy_from_slice(&(low + u16::from(carry)).to_be_bytes());
        }
        _ => return None,
    }
    reply.resize(reply.len().max(60), 0);
    Some(reply)
}

impl Transport for FakeNic {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn functions(&mut self) -> Result<Vec<PciFunction>, TransportError> {
        Ok(vec![PciFunction {
            address: "0000:00:01.0".into(),
            vendor: "1b36".into(),
            device: "0010".into(),
            class: "020000".into(),
            driver: None,
        }])
    }

    fn perform(&mut self, _: &str, operation: &Operation) -> Result<OperationOutcome, TransportError> {
        Ok(match self.do_it(operation) {
            Ok((data, result, frames)) => {
                OperationOutcome::Done { data: HexBytes(data), result, frames, elapsed_us: 10 }
            }
            Err(reason) => OperationOutcome::Failed { reason },
        })
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}

struct Running(FakeNic);

impl RunningGuest for Running {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.0
    }

    fn console_tail(&mut self) -> String {
        String::new()
    }

    fn stop(self: Box<Self>) {}
}

struct NicRig(Flaw);

impl Rig for NicRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        Ok(Box::new(Running(FakeNic::new(self.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::function::function;
    use crate::matrix::{Matrix, Outcome, Run, run_matrix};
    use crate::suite::Suite;

    fn run(flaw: Flaw, peer: Option<Peer>) -> Run {
        let mut device = function();
        device.function.peer = peer;
        let (suites, devices) = ([Suite::builtin("net").unwrap()], [device]);
        let guests = [GuestDefinition::builtin("debian-12").unwrap()];
        run_matrix(
            &Matrix { suites: &suites, devices: &devices, guests: &guests },
            &mut NicRig(flaw),
            &mut |_| (),
        )
    }

    fn cases(run: &Run, outcome: Outcome) -> Vec<&str> {
        run.rows.iter().filter(|row| row.outcome == outcome).map(|row| row.case.as_str()).collect()
    }

    #[test]
    fn a_sound_card_passes_everything() {
        let run = run(Flaw::None, Some(PEER));
        assert_eq!(run.count(Outcome::Pass), run.rows.len(), "{}", crate::report::text(&run));
    }

    #[test]
    fn without_a_peer_what_needs_one_is_skipped_with_the_way_to_name_one() {
        let run = run(Flaw::None, None);
        assert_eq!(cases(&run, Outcome::Pass), ["link", "mac"]);
        let skipped = run.rows.iter().filter(|row| row.outcome == Outcome::Skip);
        assert!(skipped.clone().count() > 5);
        assert!(
            skipped.clone().all(|row| row.reason.as_ref().is_some_and(|reason| reason.contains("in [test]")))
        );
    }

    #[test]
    fn each_flaw_is_found_by_the_case_that_is_about_it() {
        for (flaw, case) in [
            (Flaw::NoLink, "link"),
            (Flaw::GroupAddress, "mac"),
            (Flaw::ZeroAddress, "mac"),
            (Flaw::NeverSends, "arp"),
            (Flaw::ShortLost, "smallest"),
            (Flaw::OddCut, "odd-sizes"),
            (Flaw::LongFlipped, "largest"),
            (Flaw::RingWraps, "burst"),
            (Flaw::Doubles, "burst"),
            (Flaw::HearsAll, "promiscuous"),
            (Flaw::NeverPromiscuous, "promiscuous"),
            (Flaw::DeafAfterDown, "down-and-up"),
            (Flaw::CountersStuck, "counters"),
            (Flaw::ErrorsCounted, "counters"),
            (Flaw::DeafAfterReset, "after-reset"),
            (Flaw::ForgetsAddress, "after-reset"),
        ] {
            let run = run(flaw, Some(PEER));
            let failed = cases(&run, Outcome::Fail);
            assert!(failed.contains(&case), "{flaw:?}: {failed:?}");
        }
    }
}
