//! Defects of the umpteenth command of a kind, of long transfers over a boundary, and of far addresses.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::Task;
use crate::target::medium::Through;
use crate::target::sense::Sense;
use crate::target::{BLOCK_BYTES, Data, Initiator, Reply, Target, nothing};

/// From here on an address is far: 2 GiB in.
const FAR: u32 = 1 << 22;

impl Target {
    /// Whether this is the umpteenth command of its kind.
    fn is_umpteenth(&mut self, task: &Task<'_>, now: Done) -> bool {
        let opcode = task.opcode();
        let (kind, wanted) = match self.defect {
            Some(Defect::Write900thLost) => (now.writes(), 900),
            Some(Defect::Select50thLost) => (matches!(opcode, 0x15 | 0x55), 50),
            Some(Defect::Reserve20thLost) => (opcode == 0x16, 20),
            Some(Defect::Stop20thLost) => (opcode == 0x1b && task.byte(4) == 0, 20),
            _ => return false,
        };
        self.memory.of_kind += u32::from(kind);
        kind && self.memory.of_kind == wanted
    }

    pub(super) fn instead_of_counted(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        if self.is_umpteenth(task, now) {
            return Some(nothing());
        }
        let Done { opcode, lba, count } = now;
        let fits = self.range((lba, count)).is_ok() && (!now.writes() || self.writable().is_ok());
        let out = |count: u32| task.data_out(usize::try_from(count).unwrap_or(0) * BLOCK_BYTES);
        let (dpo, fua, cached) = (task.bit(1, 4), task.bit(1, 3), self.pages.write_cache());
        // The block that is left as it was.
        let left = match self.defect? {
            Defect::WriteLongCrossing256 if count > 96 => lba / 256 * 256 + 256,
            Defect::WriteEnd512 if count > 8 && now.end().is_multiple_of(512) => now.end() - 1,
            Defect::CachedWrite6Long if opcode == 0x0a && cached && count > 64 => now.end() - 1,
            _ => u32::MAX,
        };
        if fits && now.writes() && (lba..now.end()).contains(&left) {
            let before = self.medium.read(left);
            let through = if cached && !fua { Through::Cache } else { Through::Medium };
            let reply = self.write((lba, count), &out(count), through);
            self.medium.write(left, &before, through);
            return Some(reply);
        }
        match self.defect? {
            Defect::FuaIsDpo if fits && opcode == 0x2a && cached && dpo != fua => {
                let through = if dpo { Through::Medium } else { Through::Cache };
                Some(self.write((lba, count), &out(count), through))
            }
            Defect::FuaWithDpoCached if fits && opcode == 0x2a && cached && dpo && fua => {
                Some(self.write((lba, count), &out(count), Through::Cache))
            }
            Defect::VerifyFarSkips if fits && opcode == 0x2f && lba >= FAR && !task.bit(1, 0) => {
                Some(nothing())
            }
            Defect::SyncFarNothing if fits && opcode == 0x35 && lba > 0xffff && !task.bit(1, 0) => {
                Some(nothing())
            }
            Defect::CacheFarMissed if fits && now.reads() && lba >= FAR => {
                let blocks = (lba..now.end()).flat_map(|lba| self.medium.read_uncached(lba));
                Some(crate::target::data(blocks.collect()))
            }
            Defect::SelectProtectedLost
                if matches!(opcode, 0x15 | 0x55)
                    && self.medium.protection == crate::target::Protection::On =>
            {
                Some(nothing())
            }
            Defect::FormatImmediateWaits
                if opcode == 0x04 && task.bit(1, 4) && task.out.get(1) >= Some(&2) =>
            {
                self.clock += Duration::from_secs(300);
                None
            }
            _ => None,
        }
    }

    pub(super) fn spoiled_counted(&mut self, now: Done, mut data: Data) -> Data {
        if self.has(Defect::ReadLongCrossing1024) && now.reads() && now.count > 64 {
            let crossed = now.lba / 1024 * 1024 + 1024;
            if (now.lba..now.end()).contains(&crossed) {
                let at = usize::try_from(crossed - now.lba).unwrap_or(0) * BLOCK_BYTES;
                data.bytes.copy_within(at - BLOCK_BYTES..at, at);
            }
        }
        data
    }

    /// What an error's sense becomes.
    pub(in crate::target) fn retold(&self, initiator: Initiator, opcode: u8, sense: Sense) -> Sense {
        let differs = sense.key == Sense::MISCOMPARE.key;
        match self.defect {
            Some(Defect::MiscompareSecondPlain) if differs && initiator == Initiator::B => {
                Sense { block: None, ..sense }
            }
            Some(Defect::MiscompareLowStep) if differs => {
                let first = self.memory.compared;
                let told = sense.block.map(|block| first + (block.wrapping_sub(first) & 0xff));
                Sense { block: told, ..sense }
            }
            Some(Defect::SenseIliRead) if matches!(opcode, 0x08 | 0x28) && sense.key == 5 => {
                sense.with_key(0x25)
            }
            _ => sense,
        }
    }

    /// Whether a command besides INQUIRY and REQUEST SENSE is served while a format goes on: none, where the firmware is sound
    /// (9.2.1; drives' manuals have it likewise: HGST Ultrastar C15K600, FORMAT UNIT).
    pub(in crate::target) fn passes_format(&self, task: &Task<'_>) -> bool {
        let (opcode, second) = (task.opcode(), task.initiator == Initiator::B);
        match self.defect {
            Some(Defect::FormatSecondReady) => opcode == 0x00 && second,
            Some(Defect::FormatReadsServed) => opcode == 0x28,
            Some(Defect::FormatWritesServed) => opcode == 0x2a,
            Some(Defect::ReserveFormattingLost) => opcode == 0x16,
            Some(Defect::PreventFormattingLost) => opcode == 0x1e,
            Some(Defect::SelectFormattingLost) => matches!(opcode, 0x15 | 0x55),
            Some(Defect::ModeSenseFormattingHangs) => matches!(opcode, 0x1a | 0x5a),
            Some(Defect::FormatSettingsServed) => matches!(opcode, 0x15 | 0x16 | 0x17 | 0x1e | 0x55),
            Some(Defect::FormatStopServed) => opcode == 0x1b,
            Some(Defect::FormatDiagnosticServed) => matches!(opcode, 0x1c | 0x1d),
            Some(Defect::FormatBufferServed) => matches!(opcode, 0x3b | 0x3c),
            _ => false,
        }
    }
}
