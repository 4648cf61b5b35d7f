//! Defects of commands that move blocks: at one address, of one length, after one other command.

use std::time::Duration;

use super::{Defect, Done};
use crate::target::command::Task;
use crate::target::medium::Through;
use crate::target::{BLOCK_BYTES, Data, Initiator, Reply, Target, data, nothing};

impl Target {
    pub(super) fn instead_of_blocks(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        if now.writes() {
            return self.instead_of_write(task, now);
        }
        let fits = self.range((now.lba, now.count)).is_ok();
        match self.defect? {
            Defect::VerifyAfterMiscompare if now.opcode == 0x2f && self.memory.miscompared => {
                Some(self.range((now.lba, now.count)).map(|()| Data::default()))
            }
            Defect::VerifyAbove65535 if now.opcode == 0x2f && now.lba > 0xffff && fits => {
                let mut block = task.cdb.to_vec();
                block.get_mut(2..4).map(|high| high.fill(0))?;
                Some(self.verify(&Task { cdb: &block, ..*task }))
            }
            Defect::WriteSameLowCount if now.opcode == 0x41 && now.count > 255 && fits => {
                let mut block = task.cdb.to_vec();
                block.get_mut(7).map(|high| *high = 0)?;
                let none = block.get(8) == Some(&0);
                Some(if none { nothing() } else { self.write_same(&Task { cdb: &block, ..*task }) })
            }
            Defect::ReadLongPassesCache if now.opcode == 0x28 && now.count > 128 && fits => {
                let blocks = (now.lba..now.end()).map(|lba| self.medium.read_uncached(lba));
                Some(data(blocks.collect::<Vec<_>>().concat()))
            }
            Defect::Read10Of200Slow if now.opcode == 0x28 && now.count > 200 => {
                self.clock += Duration::from_secs(31);
                None
            }
            Defect::Sync16Only if now.opcode == 0x35 && fits => {
                self.medium.flush_first(16);
                Some(nothing())
            }
            _ => None,
        }
    }

    fn instead_of_write(&mut self, task: &Task<'_>, now: Done) -> Option<Reply> {
        let Done { opcode, lba, count } = now;
        let last = self.memory.last;
        let out = |count: u32| task.data_out(usize::try_from(count).unwrap_or(0) * BLOCK_BYTES);
        let fits = self.range((lba, count)).is_ok() && self.writable().is_ok();
        let lost = match self.defect? {
            Defect::Write6OneBeyond => opcode == 0x0a && now.end() == self.medium.blocks + 1,
            Defect::WriteDedup => fits && count == 1 && self.medium.read(lba).get(..8) == task.out.get(..8),
            Defect::WriteAfterReadLost => last.is_some_and(|last| {
                opcode == 0x2a && (last.opcode, last.lba, last.count) == (0x28, lba, count)
            }),
            Defect::Block2047Lost => lba == 2047 && count == 1,
            Defect::WriteSecondAfterReset => task.initiator == Initiator::B && self.memory.second_unwritten,
            Defect::WriteAfterReserve => self.memory.unwritten_since_reserve,
            _ => false,
        };
        if lost {
            let beyond = self.defect == Some(Defect::Write6OneBeyond);
            return Some(if beyond { nothing() } else { self.forgotten(now) });
        }
        match self.defect? {
            Defect::WriteSlowAfterStart if self.memory.unwritten_since_start => {
                self.clock += Duration::from_secs(35);
                None
            }
            Defect::Write6EndLost
                if fits && opcode == 0x0a && now.end() == self.medium.blocks && count > 1 =>
            {
                Some(self.write((lba, count - 1), &out(count - 1), Through::Medium))
            }
            Defect::WriteOf100 if fits && count == 100 => {
                let before = self.medium.read(lba + 50);
                let reply = self.write((lba, count), &out(count), Through::Medium);
                self.medium.write(lba + 50, &before, Through::Medium);
                Some(reply)
            }
            Defect::FuaSecondCached
                if fits && opcode == 0x2a && task.initiator == Initiator::B && self.pages.write_cache() =>
            {
                Some(self.write((lba, count), &out(count), Through::Cache))
            }
            Defect::ResetStillCaches if fits && opcode == 0x2a && self.memory.still_caches => {
                Some(self.write((lba, count), &out(count), Through::Cache))
            }
            Defect::Write10Of128Hangs if opcode == 0x2a && count == 128 => Self::hung(),
            Defect::WriteAt1024 if fits && count > 1 && lba > 0 && lba.is_multiple_of(1024) => {
                Some(self.write((lba - 1, count), &out(count), Through::Medium))
            }
            Defect::Write6Half if fits && opcode == 0x0a && count == 256 => {
                Some(self.write((lba, 128), &out(128), Through::Medium))
            }
            Defect::WriteCompareFirst if fits && opcode == 0x2e && task.bit(1, 1) => {
                Some(self.write((lba, count.min(1)), &out(1), Through::Medium))
            }
            Defect::FuaFirstOnly
                if fits && opcode == 0x2a && task.bit(1, 3) && count > 1 && self.pages.write_cache() =>
            {
                drop(self.write((lba, count), &out(count), Through::Cache));
                self.medium.flush_one(lba);
                Some(nothing())
            }
            Defect::WriteOverlapLost if fits && last.is_some_and(|last| last.writes() && last.lba != lba) => {
                let last = last?;
                let before: Vec<_> = (lba.max(last.lba)..now.end().min(last.end()))
                    .map(|at| (at, self.medium.read(at)))
                    .collect();
                let reply = self.write((lba, count), &out(count), Through::Medium);
                for (at, block) in before {
                    self.medium.write(at, &block, Through::Medium);
                }
                Some(reply)
            }
            _ => None,
        }
    }

    pub(super) fn spoiled_blocks(&mut self, now: Done, mut data: Data) -> Data {
        if now.opcode == 0x34 && self.defect == Some(Defect::PrefetchKeepsOld) {
            let end = now.lba.saturating_add(now.count.min(64)).min(self.medium.blocks);
            self.memory.fetched = (now.lba..end).map(|lba| (lba, self.medium.read(lba))).collect();
        }
        if !now.reads() || now.count != 1 && self.defect != Some(Defect::ReadAfterStartZeros) {
            return data;
        }
        let backwards = self.memory.last.is_some_and(|last| last.reads() && last.lba == now.end());
        match self.defect {
            Some(Defect::PrefetchKeepsOld) => {
                if let Some((_, block)) = self.memory.fetched.iter().find(|(lba, _)| *lba == now.lba) {
                    data.bytes = block.to_vec();
                }
            }
            Some(Defect::ReadAgainFlips) if self.memory.reads_same == 2 => {
                if let Some(byte) = data.bytes.get_mut(200) {
                    *byte ^= 0x10;
                }
            }
            Some(Defect::ReadBackwardsStale) if backwards => {
                data.bytes = self.medium.read(now.end()).to_vec();
            }
            Some(Defect::ReadAfterStartZeros) if self.memory.unread_since_start => data.bytes.fill(0),
            _ => {}
        }
        data
    }
}
