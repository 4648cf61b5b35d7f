//! How blocks get written (9.2.20 to 9.2.22), and all that a firmware can get wrong on the way.

use std::time::Duration;

use super::block::Extent;
use super::defect::Defect;
use super::medium::Through;
use super::sense::Sense;
use super::{BLOCK_BYTES, Initiator, Reply, Target, nothing};

impl Target {
    pub(super) fn write(&mut self, extent: Extent, bytes: &[u8], through: Through) -> Reply {
        let verifies = self.traces.verifies_write && self.has(Defect::ProtectVerifyWrites);
        if !(verifies || self.traces.writes_six && self.has(Defect::ProtectWrite6)) {
            self.writable()?;
        }
        let range = self.range(extent);
        if range.is_err() && !self.has(Defect::WriteStraddles) {
            range?;
        }
        let (lba, count) = extent;
        if count > 0
            && lba.saturating_add(count - 1) == self.medium.last()
            && self.has(Defect::WriteLastRefused)
        {
            return Err(Sense::RANGE.into());
        }
        let kept = self.blocks_kept(extent);
        self.traces.writes_in_row += 1;
        self.traces.writes = self.traces.writes.wrapping_add(1);
        let strays = self.has(Defect::WriteStrays) && self.traces.writes.is_multiple_of(64);
        let lba = if strays { lba.wrapping_add(1) } else { lba };
        self.traces.senses_before_write = std::mem::take(&mut self.traces.has_sensed);
        let end = lba.saturating_add(count);
        let behind = std::mem::replace(&mut self.traces.written_to, end) == lba && lba > 0;
        let bytes = self.bytes_kept(bytes, count);
        let mut last = None;
        for (step, block) in (0..kept).zip(bytes.chunks(BLOCK_BYTES)) {
            let at = self.place(self.step(lba, step));
            let zeros = self.has(Defect::WriteZerosSkipped) && block.iter().all(|byte| *byte == 0);
            if step == 0 && behind && self.has(Defect::WriteSequentialLost) {
                continue;
            }
            let crossed = step > 0 && at.is_multiple_of(63) && self.has(Defect::WriteTrackCrossing);
            if at <= self.medium.last() && !zeros && !crossed {
                self.medium.write(at, block, through);
                last = Some((at, block));
            }
        }
        if let Some((at, block)) = last
            && at < self.medium.last()
            && self.has(Defect::WriteSpills)
        {
            self.medium.write(at + 1, block, through);
        }
        if count > 0 && lba.saturating_add(count) == self.medium.blocks {
            self.traces.wrote_last_block = true;
        }
        let (begin, before) = std::mem::replace(&mut self.traces.extent_written, (lba, count));
        if begin == lba && count > 0 && self.has(Defect::WriteShorterRepeats) {
            for step in count..before {
                self.medium.write(lba.wrapping_add(step), &[], through);
            }
        }
        if count > 100 && self.has(Defect::WriteLongSlow) {
            self.clock += Duration::from_secs(20);
        }
        range?;
        nothing()
    }

    /// How many of the blocks are written: all, where the firmware is sound.
    fn blocks_kept(&mut self, (lba, count): Extent) -> u32 {
        let repeated = self.written_last == Some(lba) && self.has(Defect::WriteRepeatedLost);
        self.written_last = Some(lba).filter(|_| count > 0);
        let verified = std::mem::take(&mut self.traces.has_verified) && self.has(Defect::WriteAfterVerify);
        let before = self.traces.writer;
        self.traces.writer = self.traces.sender.map(|sender| (sender, lba));
        let of_other = before.is_some_and(|(writer, at)| Some(writer) != self.traces.sender && at == lba);
        let in_turn = before.is_some_and(|(writer, _)| Some(writer) != self.traces.sender);
        self.traces.turns = if in_turn { self.traces.turns + 1 } else { 0 };
        if self.traces.turns >= 2 && self.has(Defect::WriteAlternatingLost) {
            return 0;
        }
        if repeated || verified || of_other && self.has(Defect::WriteAfterSecond) {
            return 0;
        }
        let last_lost = count > 1 && count % 2 == 1 && self.has(Defect::WriteLosesLast)
            || self.commands.is_multiple_of(16) && self.has(Defect::WriteLost)
            || lba.wrapping_add(count) == 4096 && self.has(Defect::WriteTo4095);
        let most = match self.defect {
            Some(Defect::SecondWritesOne) if self.traces.sender == Some(Initiator::B) => 1,
            Some(Defect::Write10Of255) if count > 256 => 255,
            _ => count,
        };
        count.saturating_sub(u32::from(last_lost)).min(most)
    }

    /// What is written: what was sent, where the firmware is sound.
    fn bytes_kept(&self, bytes: &[u8], count: u32) -> Vec<u8> {
        let mut kept = bytes.to_vec();
        if let Some(third_and_fourth) = kept.get_mut(2 * BLOCK_BYTES..4 * BLOCK_BYTES)
            && count == 6
            && self.has(Defect::WriteOfSix)
        {
            third_and_fourth.copy_within(..BLOCK_BYTES, BLOCK_BYTES);
        }
        if self.traces.senses_before_write && self.has(Defect::WriteAfterModeSense) {
            kept.iter_mut().zip([0x17, 0x00, 0x10, 0x08]).for_each(|(place, byte)| *place = byte);
        }
        if self.has(Defect::WriteChunkRepeats) {
            let chunk: Vec<_> = bytes.iter().take(128 * BLOCK_BYTES).copied().collect();
            for (place, byte) in kept.iter_mut().zip(chunk.iter().cycle()) {
                *place = *byte;
            }
        }
        if count > 16 && self.has(Defect::WriteHalf) {
            let half = kept.len().saturating_sub(BLOCK_BYTES / 2);
            kept.get_mut(half..).unwrap_or_default().fill(0);
        }
        kept
    }
}
