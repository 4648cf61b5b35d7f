//! A model of a PCI Express function with its driver, sound or with one defect that the suite `pci` has to find.
//!
//! Registers lie as in PCIe Base 6.0, 7.5 to 7.8; of a driver there is no more than what the operations show.

use std::time::Duration;

use crate::capability::{Capabilities, Capability};
use crate::guest::GuestDefinition;
use crate::rig::{DeviceUnderTest, FunctionUnderTest, Rig, RigError, RunningGuest, Serves};
use crate::transport::{Transport, TransportError};
use crate::wire::{Attribute, HexBytes, InterruptKind, LogRecord, Operation, OperationOutcome, PciFunction};

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    OtherId,
    IdsWritable,
    IdsFlicker,
    HeaderUndefined,
    ChainLoops,
    BusMasterStuckOff,
    MemoryStuckOn,
    BarMaskHasHole,
    BarForgets,
    RegionSilent,
    RomJunk,
    ResetRefused,
    ResetLosesBars,
    FlrChangesId,
    FlrSilent,
    FlrKeepsMaster,
    FlrNotOffered,
    D3Refused,
    D3Forgets,
    IntxSilent,
    MessagesSilent,
    DmaFlips,
    SecondBindFails,
    DeafAfterReset,
    AbortsRemembered,
    AerDirty,
    LinkDown,
    DriverDeaf,
    /// The whole guest hangs when its regions are read.
    Hangs,
}

const SIZE: usize = 4096;
const PM: usize = 0x40;
const EXPRESS: usize = 0x60;
const AER: usize = 0x100;
const BAR_0_BYTES: u32 = 0x4000;
const BAR_2_BYTES: u32 = 0x100;

/// The model.
pub(crate) struct FakeFunction {
    flaw: Flaw,
    capabilities: Capabilities,
    config: Vec<u8>,
    bound: bool,
    binds: usize,
    resets: usize,
    reads: usize,
    messages_allowed: bool,
    counts: [u64; 2],
    works: u8,
    /// Reads all ones from a reset on.
    silent: bool,
    method: Vec<u8>,
}

fn put(config: &mut [u8], at: usize, bytes: &[u8]) {
    config[at..at + bytes.len()].copy_from_slice(bytes);
}

impl FakeFunction {
    pub(crate) fn new(flaw: Flaw) -> Self {
        let mut config = vec![0; SIZE];
        put(&mut config, 0, &[0x36, 0x1b, 0x10, 0x00, 0x06, 0x04, 0x10, 0x00]);
        put(&mut config, 8, &[2, 2, 8, 1]);
        put(&mut config, 0x10, &0xfe04_0000_u32.to_le_bytes());
        put(&mut config, 0x18, &0x0000_c001_u32.to_le_bytes());
        put(&mut config, 0x30, &0xfe10_0000_u32.to_le_bytes());
        (config[0x34], config[0x3d]) = (0x40, 1);
        // No_Soft_Reset.
        put(&mut config, PM, &[0x01, 0x60, 3, 0, 8, 0, 0, 0]);
        put(&mut config, EXPRESS, &[0x10, 0, 2, 0]);
        put(&mut config, EXPRESS + 4, &0x1000_0000_u32.to_le_bytes());
        put(&mut config, EXPRESS + 12, &[0x11, 0, 0, 0, 0, 0, 0x11, 0]);
        put(&mut config, AER, &[1, 0, 2, 0]);
        match flaw {
            Flaw::OtherId => config[2] = 0x11,
            Flaw::HeaderUndefined => config[14] = 5,
            Flaw::ChainLoops => config[EXPRESS + 1] = 0x40,
            Flaw::LinkDown => put(&mut config, EXPRESS + 18, &[0, 0]),
            _ => {}
        }
        Self {
            flaw,
            capabilities: Capabilities::none(),
            config,
            bound: true,
            binds: 1,
            resets: 0,
            reads: 0,
            messages_allowed: true,
            counts: [0; 2],
            works: 0,
            silent: false,
            method: b"flr pm bus".to_vec(),
        }
        .able()
    }

    fn able(mut self) -> Self {
        self.capabilities.insert(Capability::Function);
        self
    }

    fn read(&mut self, offset: u16, length: u16) -> Vec<u8> {
        self.reads += 1;
        let start = usize::from(offset).min(SIZE);
        let end = (start + usize::from(length)).min(SIZE);
        let mut data = self.config[start..end].to_vec();
        if self.silent {
            data.fill(0xff);
        }
        if self.flaw == Flaw::IdsFlicker && self.reads.is_multiple_of(37) && offset == 0 {
            data[2] ^= 0x40;
        }
        data
    }

    /// Which bits of a byte software can write.
    fn writable(&self, at: usize) -> u8 {
        let of_size = |bytes: u32, byte: usize| (!(bytes - 1)).to_le_bytes()[byte];
        match at {
            0..=3 if self.flaw == Flaw::IdsWritable => 0xff,
            4 if self.flaw == Flaw::BusMasterStuckOff => 3,
            4 if self.flaw == Flaw::MemoryStuckOn => 5,
            4 => 7,
            5 => 4,
            0x11 if self.flaw == Flaw::BarMaskHasHole => 0x40,
            0x10..=0x13 => of_size(BAR_0_BYTES, at - 0x10),
            // An I/O register need not have an upper half.
            0x18..=0x19 => of_size(BAR_2_BYTES, at - 0x18) & 0xfc,
            at if at == PM + 4 && self.flaw != Flaw::D3Refused => 3,
            at if at == EXPRESS + 8 || at == EXPRESS + 9 => 0x7f,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u16, data: &[u8]) {
        let offset = usize::from(offset);
        let state = self.config[PM + 4] & 3;
        for (at, value) in (offset..).zip(data) {
            let mask = self.writable(at);
            if (6..8).contains(&at) || (AER + 4..AER + 8).contains(&at) {
                // Written ones clear.
                let keep = if at == 6 { 0xff } else { !value };
                self.config[at] &= keep;
            } else {
                self.config[at] = self.config[at] & !mask | value & mask;
            }
            if at == EXPRESS + 9 && value & 0x80 != 0 {
                self.function_level_reset();
            }
        }
        if self.flaw == Flaw::BarForgets && offset == 0x10 && data != [0xff; 4] {
            self.config[0x11] = 0;
            self.config[0x12] = 0;
        }
        if self.flaw == Flaw::D3Forgets && state == 3 && self.config[PM + 4] & 3 == 0 {
            put(&mut self.config, 0x10, &[0; 4]);
        }
    }

    fn function_level_reset(&mut self) {
        let master = self.config[4] & 4;
        put(&mut self.config, 4, &[0, 0]);
        put(&mut self.config, 0x10, &[0; 4]);
        put(&mut self.config, 0x18, &[1, 0, 0, 0]);
        match self.flaw {
            Flaw::FlrChangesId => self.config[2] = 0x12,
            Flaw::FlrSilent => self.silent = true,
            Flaw::FlrKeepsMaster => self.config[4] = 4 | master,
            _ => {}
        }
    }

    /// As the kernel resets: it saves before and restores after.
    fn reset(&mut self) -> Result<(), String> {
        if self.flaw == Flaw::ResetRefused {
            return Err("cannot write reset: Inappropriate ioctl for device".into());
        }
        self.resets += 1;
        if self.flaw == Flaw::ResetLosesBars {
            put(&mut self.config, 0x10, &[0; 4]);
        }
        Ok(())
    }

    fn work(&mut self, rounds: u16) -> Result<(Vec<u8>, u64), String> {
        if rounds == 0 {
            return Ok((if self.bound { b"disk".to_vec() } else { Vec::new() }, 0));
        }
        let deaf = self.flaw == Flaw::DriverDeaf || self.flaw == Flaw::DeafAfterReset && self.resets > 0;
        if !self.bound || deaf {
            return Err("cannot read the disk: Input/output error".into());
        }
        let silent = if self.messages_allowed { Flaw::MessagesSilent } else { Flaw::IntxSilent };
        if self.flaw != silent {
            self.counts[usize::from(self.messages_allowed)] += u64::from(rounds);
        }
        match self.flaw {
            Flaw::AbortsRemembered => self.config[7] |= 0x20,
            Flaw::AerDirty => self.config[AER + 6] |= 1,
            _ => {}
        }
        self.works = self.works.wrapping_add(1);
        let flips = self.flaw == Flaw::DmaFlips && self.works.is_multiple_of(8);
        Ok((vec![u8::from(flips); 512], rounds.into()))
    }

    fn attribute(&self, attribute: Attribute) -> Vec<u8> {
        match attribute {
            Attribute::Driver if self.bound => b"model".to_vec(),
            Attribute::ResetMethod if self.flaw == Flaw::FlrNotOffered => b"pm bus".to_vec(),
            Attribute::ResetMethod => self.method.clone(),
            _ => Vec::new(),
        }
    }

    fn do_it(&mut self, operation: &Operation) -> Result<(Vec<u8>, u64), String> {
        let nothing = (Vec::new(), 0);
        Ok(match operation {
            Operation::ConfigRead { offset, length } => (self.read(*offset, *length), 0),
            Operation::ConfigWrite { offset, data } => {
                self.write(*offset, &data.0);
                nothing
            }
            Operation::AttributeRead { attribute } => (self.attribute(*attribute), 0),
            Operation::AttributeWrite { attribute: Attribute::Reset, .. } => {
                self.reset()?;
                nothing
            }
            Operation::AttributeWrite { attribute: Attribute::MsiBus, text } => {
                self.messages_allowed = text.0 == b"1";
                nothing
            }
            Operation::AttributeWrite { .. } | Operation::Pause { .. } => nothing,
            Operation::RegionRead { length, .. } => {
                let value = if self.flaw == Flaw::RegionSilent { 0xff } else { 7 };
                (vec![value; usize::from(*length)], 0)
            }
            Operation::RomRead { .. } => (self.rom(), 0),
            Operation::Unbind => {
                self.bound = false;
                nothing
            }
            Operation::Bind => {
                self.binds += 1;
                if self.silent || self.flaw == Flaw::SecondBindFails && self.binds > 3 {
                    return Err("no driver takes 0000:00:01.0: Invalid argument".into());
                }
                self.bound = true;
                nothing
            }
            Operation::Interrupts { kind } => {
                (Vec::new(), self.counts[usize::from(*kind == InterruptKind::Message)])
            }
            Operation::Vectors => (Vec::new(), if self.bound && self.messages_allowed { 2 } else { 0 }),
            Operation::Work { rounds, .. } => self.work(*rounds)?,
            Operation::Frames(_) => return Err("the function has no network interface".into()),
        })
    }

    fn rom(&self) -> Vec<u8> {
        let mut rom = vec![0; 512];
        if self.flaw != Flaw::RomJunk {
            put(&mut rom, 0, &[0x55, 0xaa]);
            put(&mut rom, 0x18, &[0x1c, 0]);
            put(&mut rom, 0x1c, b"PCIR\x36\x1b\x10\x00");
        }
        rom
    }
}

impl Transport for FakeFunction {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn functions(&mut self) -> Result<Vec<PciFunction>, TransportError> {
        Ok(vec![PciFunction {
            address: "0000:00:01.0".into(),
            vendor: "1b36".into(),
            // What the kernel read when it found the function.
            device: "0010".into(),
            class: "010802".into(),
            driver: None,
        }])
    }

    fn perform(&mut self, _: &str, operation: &Operation) -> Result<OperationOutcome, TransportError> {
        if self.flaw == Flaw::Hangs && matches!(operation, Operation::RegionRead { .. }) {
            return Err(TransportError::TimedOut { limit: Duration::from_secs(150) });
        }
        Ok(match self.do_it(operation) {
            Ok((data, result)) => {
                OperationOutcome::Done { data: HexBytes(data), result, frames: Vec::new(), elapsed_us: 10 }
            }
            Err(reason) => OperationOutcome::Failed { reason },
        })
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}

struct Running(FakeFunction);

impl RunningGuest for Running {
    fn transport(&mut self) -> &mut dyn Transport {
        &mut self.0
    }

    fn console_tail(&mut self) -> String {
        String::new()
    }

    fn stop(self: Box<Self>) {}
}

/// A rig whose guests have the model.
pub(crate) struct FunctionRig(pub(crate) Flaw);

impl Rig for FunctionRig {
    fn start(&mut self, _: &GuestDefinition, _: &DeviceUnderTest) -> Result<Box<dyn RunningGuest>, RigError> {
        Ok(Box::new(Running(FakeFunction::new(self.0))))
    }
}

/// The model as a device under test.
pub(crate) fn function() -> DeviceUnderTest {
    DeviceUnderTest {
        name: "function".into(),
        identity: None,
        function: FunctionUnderTest {
            id: Some("1b36:0010".parse().unwrap()),
            serves: Serves::Anything,
            peer: None,
        },
        ..super::device()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Matrix, Outcome, Run, run_matrix};
    use crate::suite::Suite;

    fn run(flaw: Flaw, suite: &str) -> Run {
        let (suites, devices) = ([Suite::builtin(suite).unwrap()], [function()]);
        let guests = [GuestDefinition::builtin("debian-12").unwrap()];
        run_matrix(
            &Matrix { suites: &suites, devices: &devices, guests: &guests },
            &mut FunctionRig(flaw),
            &mut |_| (),
        )
    }

    fn told(run: &Run, outcome: Outcome) -> Vec<(&str, &str)> {
        let rows = run.rows.iter().filter(|row| row.outcome == outcome);
        rows.map(|row| (row.case.as_str(), row.reason.as_deref().unwrap_or_default())).collect()
    }

    #[test]
    fn a_sound_function_passes_and_what_it_lacks_is_skipped_with_the_reason() {
        let run = run(Flaw::None, "pci");
        assert_eq!(told(&run, Outcome::Fail), []);
        assert_eq!(told(&run, Outcome::Error), []);
        let skipped = told(&run, Outcome::Skip);
        let cases: Vec<_> = skipped.iter().map(|(case, _)| *case).collect();
        assert_eq!(cases, ["reset-af-flr", "reset-own"]);
        assert!(skipped.iter().all(|(_, reason)| reason.contains("no such reset")), "{skipped:?}");
    }

    #[test]
    fn each_flaw_is_found_by_the_case_that_is_about_it() {
        for (flaw, case) in [
            (Flaw::OtherId, "ids"),
            (Flaw::IdsWritable, "ids-read-only"),
            (Flaw::IdsFlicker, "ids-stable"),
            (Flaw::HeaderUndefined, "header"),
            (Flaw::ChainLoops, "capabilities"),
            (Flaw::BusMasterStuckOff, "command-bits"),
            (Flaw::MemoryStuckOn, "command-bits"),
            (Flaw::BarMaskHasHole, "bars-size"),
            (Flaw::BarForgets, "bars-size"),
            (Flaw::RegionSilent, "bars-decode"),
            (Flaw::RomJunk, "rom"),
            (Flaw::ResetRefused, "reset"),
            (Flaw::ResetLosesBars, "reset"),
            (Flaw::FlrChangesId, "flr-by-hand"),
            (Flaw::FlrSilent, "flr-by-hand"),
            (Flaw::FlrKeepsMaster, "flr-by-hand"),
            (Flaw::FlrNotOffered, "flr-offered"),
            (Flaw::D3Refused, "power-states"),
            (Flaw::D3Forgets, "power-states"),
            (Flaw::IntxSilent, "intx"),
            (Flaw::MessagesSilent, "messages"),
            (Flaw::DmaFlips, "dma"),
            (Flaw::SecondBindFails, "attach-repeatedly"),
            (Flaw::DeafAfterReset, "reset-and-work"),
            (Flaw::AbortsRemembered, "status-clean"),
            (Flaw::AerDirty, "aer-clean"),
            (Flaw::LinkDown, "link"),
            (Flaw::DriverDeaf, "driver-works"),
        ] {
            let run = run(flaw, "pci");
            let failed = told(&run, Outcome::Fail);
            assert!(failed.iter().any(|(own, _)| *own == case), "{flaw:?}: {failed:?}");
        }
    }

    #[test]
    fn what_is_done_with_a_function_is_kept_for_the_report() {
        let run = run(Flaw::RegionSilent, "pci");
        let row = run.rows.iter().find(|row| row.case == "bars-decode").unwrap();
        let complaint = row.operations.last().and_then(|own| own.complaint.clone());
        assert!(row.operations.iter().any(|own| own.complaint.is_some()), "{complaint:?}");
        let text = crate::report::text(&run);
        assert!(text.contains("did      region-read BAR 0 0x0, 16 bytes"), "{text}");
        let json = crate::report::wire::json(&run).unwrap();
        assert!(json.contains("\"operations\""));
    }

    #[test]
    fn a_guest_that_hangs_costs_its_case_and_the_next_one_finds_the_function_again() {
        let run = run(Flaw::Hangs, "pci");
        assert_eq!(
            told(&run, Outcome::Crash).iter().map(|(case, _)| *case).collect::<Vec<_>>(),
            ["bars-decode"]
        );
        assert_eq!(
            (run.count(Outcome::Fail), run.count(Outcome::Error), run.count(Outcome::Skip)),
            (0, 0, 2)
        );
    }

    #[test]
    fn a_suite_of_commands_is_skipped_where_there_is_no_scsi_device() {
        let run = run(Flaw::None, "block");
        assert!(run.rows.iter().all(|row| row.outcome == Outcome::Skip));
        let lacks = |row: &crate::matrix::Row| {
            row.reason.as_deref().is_some_and(|own| own.contains("needs commands"))
        };
        assert!(run.rows.iter().any(lacks), "{:?}", run.rows[0].reason);
    }
}
