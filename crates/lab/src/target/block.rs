//! Commands that move or check blocks (9.2): ranges, transfers, VERIFY, SEEK, READ CAPACITY, the cache.

use std::time::Duration;

use super::command::Task;
use super::defect::Defect;
use super::medium::Through;
use super::sense::Sense;
use super::{BLOCK_BYTES, Data, Protection, Refusal, Reply, Target, data, nothing};

/// First block and number of blocks.
pub(super) type Extent = (u32, u32);

impl Target {
    /// Refuses what is not wholly on the medium (7.2.3).
    pub(super) fn range(&self, (lba, count): Extent) -> Result<(), Refusal> {
        let end = if self.has(Defect::RangeWraps) {
            u64::from(lba.wrapping_add(count))
        } else if self.has(Defect::RangeFirstOnly) {
            u64::from(lba) + u64::from(count.min(1))
        } else {
            u64::from(lba) + u64::from(count)
        };
        let blocks = self.medium.blocks.saturating_add(u32::from(self.has(Defect::RangeOneMore)));
        if count == 0 && self.has(Defect::RangeZeroBeyond) {
            return Ok(());
        }
        let start_fits = lba < blocks || count == 0 && lba == blocks;
        let fits = end <= u64::from(blocks) && (start_fits || self.has(Defect::RangeWraps));
        if fits || self.has(Defect::RangeUnchecked) { Ok(()) } else { Err(Sense::RANGE.into()) }
    }

    pub(super) fn writable(&self) -> Result<(), Refusal> {
        if self.medium.by_second && self.has(Defect::ProtectSecondWrites) {
            return Ok(());
        }
        match self.medium.protection {
            Protection::On if !self.has(Defect::ProtectIgnored) => Err(Sense::PROTECTED.into()),
            Protection::On | Protection::Off => Ok(()),
        }
    }

    /// Address and length of the six-byte form: 21 bits, and 0 means 256 (9.2.5, 9.2.20).
    fn six(&self, task: &Task<'_>, zero_is_none: Defect) -> Extent {
        let bits = if self.has(Defect::SixByteMask) { 0x0f_ffff } else { 0x1f_ffff };
        let count = match task.byte(4) {
            0 if self.has(zero_is_none) => 0,
            0 => 256,
            count => count.into(),
        };
        let bits = if self.has(Defect::LunBitsInAddress) { 0xff_ffff } else { bits };
        (task.be24(1) & bits, count)
    }

    /// Address and length of the ten-byte form: 0 means none.
    fn ten(&self, task: &Task<'_>, zero_is_256: Defect) -> Extent {
        let count = match task.be16(7) {
            0 if self.has(zero_is_256) => 256,
            count => count.into(),
        };
        (task.be32(2), count)
    }

    /// DPO and FUA are taken; RelAdr means something only in a linked command (9.1.11).
    fn flags(&self, task: &Task<'_>) -> Result<Through, Refusal> {
        let of_write = task.opcode() == 0x2a && self.has(Defect::RelativeWriteIgnored);
        if task.bit(1, 0) && !of_write && !self.has(Defect::RelativeIgnored) {
            return Err(Sense::field(1).into());
        }
        if task.opcode() == 0x28 && task.bit(1, 4) && self.has(Defect::DpoReadRefused) {
            return Err(Sense::field(1).into());
        }
        let fua = task.bit(1, 3);
        if fua && self.has(Defect::ModeDpoFuaFalse) {
            return Err(Sense::field(1).into());
        }
        let cached = self.pages.write_cache() || self.has(Defect::CacheUnasked);
        let through = fua && !self.has(Defect::FuaIgnored);
        Ok(if cached && !through { Through::Cache } else { Through::Medium })
    }

    fn read(&mut self, extent: Extent) -> Reply {
        self.range(extent)?;
        let (mut lba, count) = extent;
        if std::mem::take(&mut self.traces.was_out_of_range) && self.has(Defect::ReadAfterRange) {
            lba = 0;
        }
        if count == 1 && !self.medium.by_second {
            self.traces.read_by_first = Some(lba);
        }
        if let Some(other) = self.traces.read_by_first
            && count == 1
            && self.has(Defect::ReadOtherCached)
        {
            lba = other;
        }
        let last = self.medium.last();
        if lba <= last && last - lba < count && self.has(Defect::LastBlockUnreadable) {
            return Err(Sense::READ_ERROR.at(last).into());
        }
        if !std::mem::replace(&mut self.has_read, true) && self.has(Defect::FirstReadSlow) {
            self.clock += Duration::from_secs(45);
        }
        if std::mem::take(&mut self.traces.unread_since_reset) && self.has(Defect::ReadSlowAfterReset) {
            self.clock += Duration::from_secs(35);
        }
        self.traces.writes_in_row = 0;
        let mut bytes = Vec::new();
        for step in 0..count {
            let step = if step >= 128 && self.has(Defect::LongTransferCut) { step % 128 } else { step };
            let at = self.place(self.step(lba, step));
            let crossed = step > 0 && at.is_multiple_of(1008) && self.has(Defect::ReadCylinderCrossing);
            let at = at - u32::from(crossed);
            let uncached = count > 1 && self.has(Defect::ReadPassesCache);
            let overlap = count > 1 && self.written_last == Some(at) && self.has(Defect::ReadOverlapStale);
            bytes.extend_from_slice(&match at <= last {
                true if overlap => self.medium.before(at),
                true if uncached => self.medium.read_uncached(at),
                true => self.medium.read(at),
                false => [0; BLOCK_BYTES],
            });
        }
        let next = lba.wrapping_add(count);
        if count > 0 && next <= last {
            self.medium.read_ahead(next);
        }
        data(bytes)
    }

    /// The block so many behind the first.
    pub(super) fn step(&self, lba: u32, step: u32) -> u32 {
        let next = lba.wrapping_add(step);
        if self.has(Defect::CarryLost16) {
            return lba & !0xffff | next & 0xffff;
        }
        if self.has(Defect::CarryLost8) { lba & !0xff | next & 0xff } else { next }
    }

    /// Where a block lies.
    pub(super) fn place(&self, lba: u32) -> u32 {
        // 2^32 bytes are 2^23 blocks.
        if self.has(Defect::AddressWraps24) { lba & 0x7f_ffff } else { lba }
    }

    fn out_bytes(task: &Task<'_>, (_, count): Extent) -> Vec<u8> {
        task.data_out(usize::try_from(count).unwrap_or(0).saturating_mul(BLOCK_BYTES))
    }

    pub(super) fn read_6(&mut self, task: &Task<'_>) -> Reply {
        let (mut lba, mut count) = self.six(task, Defect::Read6ZeroIsNone);
        if std::mem::take(&mut self.traces.has_sought) && self.has(Defect::ReadAfterSeek) {
            lba = (lba + 1).min(self.medium.last());
        }
        if count > 1
            && lba.saturating_add(count - 1) == self.medium.last()
            && self.has(Defect::Read6LastShort)
        {
            count -= 1;
        }
        let mut reply = self.read((lba, count))?;
        if count == 3 && lba % 2 == 1 && self.has(Defect::ThreeBlocksSwapped) {
            reply.bytes.get_mut(BLOCK_BYTES..).unwrap_or_default().rotate_left(BLOCK_BYTES);
        }
        if count == 256 && self.has(Defect::Read256ByteShort) {
            reply.bytes.pop();
        }
        if self.has(Defect::BytesSwapped) {
            for pair in reply.bytes.chunks_exact_mut(2) {
                pair.reverse();
            }
        }
        Ok(reply)
    }

    pub(super) fn read_10(&mut self, task: &Task<'_>) -> Reply {
        self.flags(task)?;
        let (lba, mut count) = self.ten(task, Defect::Read10ZeroIs256);
        self.traces.reads += 1;
        let lba = if self.traces.reads.is_multiple_of(256) && self.has(Defect::Every256thRead) {
            lba.saturating_sub(1)
        } else {
            lba
        };
        if self.has(Defect::Read10LowCount) {
            count &= 0xff;
        }
        if count == 64 && self.has(Defect::Read10Of64Hangs) {
            return Err(Refusal::Silence);
        }
        if task.bit(1, 3) && self.has(Defect::FuaReadStale) {
            self.range((lba, count))?;
            let blocks = (0..count).map(|step| self.medium.read_uncached(lba.wrapping_add(step)));
            return data(blocks.collect::<Vec<_>>().concat());
        }
        if count == 0 && self.has(Defect::ReadNothingHangs) {
            return Err(Refusal::Silence);
        }
        if count == 2 && lba == self.medium.last() && self.has(Defect::ReadStraddles) {
            count = 1;
        }
        let mut reply = self.read((lba, count))?;
        if count == 7 && self.has(Defect::ReadOfSeven) {
            reply.bytes.copy_within(..BLOCK_BYTES, 6 * BLOCK_BYTES);
        }
        if count > 16 && self.has(Defect::ReadDataShort) {
            reply.bytes.truncate(reply.bytes.len() - BLOCK_BYTES);
        }
        if count > 1 && self.has(Defect::ReadOverrun) {
            reply.bytes.extend([0; BLOCK_BYTES]);
        }
        Ok(reply)
    }

    pub(super) fn write_6(&mut self, task: &Task<'_>) -> Reply {
        let mut extent = self.six(task, Defect::Write6ZeroIsNone);
        if extent.1.is_multiple_of(2) && self.has(Defect::Write6OddEven) {
            extent.0 &= !1;
        }
        if self.has(Defect::Write6At21) {
            extent.0 &= 0x0f_ffff;
        }
        if extent.1 == 256 && self.has(Defect::Write6Of256Short) {
            extent.1 = 255;
        }
        let cached =
            self.pages.write_cache() || self.has(Defect::CacheUnasked) || self.has(Defect::Write6Cached);
        let through = if cached { Through::Cache } else { Through::Medium };
        let ahead = *self.medium.ahead();
        let reply = self.write(extent, &Self::out_bytes(task, extent), through);
        if self.has(Defect::AheadKeptWrite6) {
            *self.medium.ahead() = ahead;
        }
        if self.has(Defect::Write6RangeCode) { reply.map_err(|_| Sense::field(2).into()) } else { reply }
    }

    pub(super) fn write_10(&mut self, task: &Task<'_>) -> Reply {
        let through = self.flags(task)?;
        let (mut lba, count) = self.ten(task, Defect::Write10ZeroIs256);
        if task.bit(1, 4) && self.has(Defect::DpoWriteLost) {
            return self.range((lba, count)).map(|()| Data::default());
        }
        if count == 0 && self.has(Defect::WriteZeroHangs) {
            return Err(Refusal::Silence);
        }
        if count > 120 && self.has(Defect::WriteOver120Refused) {
            return Err(Sense::field(7).into());
        }
        if self.has(Defect::TenByteMask) {
            lba &= 0x1f_ffff;
        }
        self.write((lba, count), &Self::out_bytes(task, (lba, count)), through)
    }

    pub(super) fn write_and_verify(&mut self, task: &Task<'_>) -> Reply {
        self.flags(task)?;
        let extent = (task.be32(2), u32::from(task.be16(7)));
        if self.has(Defect::WriteVerifyLost) || task.bit(1, 1) && self.has(Defect::WriteCompareSkips) {
            return self.range(extent).map(|()| Data::default());
        }
        let bytes = Self::out_bytes(task, extent);
        if self.range(extent).is_err() && self.has(Defect::WriteVerifyRange) {
            return nothing();
        }
        let short = u32::from(extent.1 > 1 && self.has(Defect::WriteVerifyShort));
        self.traces.verifies_write = true;
        let cached = self.pages.write_cache() && self.has(Defect::WriteVerifyCached);
        let through = if cached { Through::Cache } else { Through::Medium };
        let reply = self.write((extent.0, extent.1 - short), &bytes, through);
        self.traces.verifies_write = false;
        reply
    }

    pub(super) fn write_same(&mut self, task: &Task<'_>) -> Reply {
        // PBdata and LBdata have the target change the block; RelAdr needs a link.
        let meant = if self.has(Defect::WriteSameBitsIgnored) { 0x01 } else { 0x07 };
        if task.byte(1) & meant != 0 {
            return Err(Sense::field(1).into());
        }
        let lba = task.be32(2);
        // A number of zero is all the rest (9.2.24).
        let count = match u32::from(task.be16(7)) {
            0 if self.has(Defect::WriteSameZeroIsOne) => 1,
            0 => self.medium.blocks.saturating_sub(lba),
            count => count,
        };
        let block = task.data_out(BLOCK_BYTES);
        if !self.has(Defect::ProtectWriteSame) {
            self.writable()?;
        }
        self.range((lba, count))?;
        let short = u32::from(count > 1 && self.has(Defect::WriteSameShort));
        let more =
            u32::from(lba.saturating_add(count) <= self.medium.last() && self.has(Defect::WriteSameOneMore));
        let count = count + more;
        let ahead = *self.medium.ahead();
        for step in 0..count.saturating_sub(short) {
            let at = lba.wrapping_add(step);
            let cached = self.medium.cached(at).filter(|_| self.has(Defect::WriteSameUnderCache));
            self.medium.write(at, &block, Through::Medium);
            if let Some(cached) = cached {
                self.medium.write(at, &cached, Through::Cache);
            }
        }
        if self.has(Defect::WriteSameAhead) {
            *self.medium.ahead() = ahead;
        }
        nothing()
    }

    /// Compares with BytChk, otherwise only checks the medium (9.2.19).
    pub(super) fn verify(&mut self, task: &Task<'_>) -> Reply {
        self.traces.has_verified = true;
        if task.bit(1, 0) && !self.has(Defect::RelativeIgnored) {
            return Err(Sense::field(1).into());
        }
        if self.medium.protection == Protection::On && self.has(Defect::VerifyProtected) {
            return Err(Sense::PROTECTED.into());
        }
        let extent = (task.be32(2), u32::from(task.be16(7)));
        if extent.1 == 0 && self.has(Defect::VerifyNothingRefused) {
            return Err(Sense::field(7).into());
        }
        let end = extent.0.saturating_add(extent.1);
        if end == self.medium.blocks && extent.1 > 0 && self.has(Defect::VerifyLastRefused) {
            return Err(Sense::RANGE.into());
        }
        let unchecked = task.bit(1, 1) && self.has(Defect::VerifyCompareRange);
        if !unchecked && !self.has(Defect::VerifyRange) {
            self.range(extent).map_err(|refusal| match self.defect {
                Some(Defect::VerifyRangeCode) => Sense::field(2).into(),
                _ => refusal,
            })?;
        }
        if task.bit(1, 1) && extent.1 == 0 && self.has(Defect::VerifyZeroHangs) {
            return Err(Refusal::Silence);
        }
        if !task.bit(1, 1) || self.has(Defect::VerifyIgnoresData) {
            return Ok(Data { bytes: Vec::new(), condition_met: self.has(Defect::VerifyConditionMet) });
        }
        let bytes = Self::out_bytes(task, extent);
        if self.has(Defect::VerifyWrites) {
            return self.write(extent, &bytes, Through::Medium);
        }
        for (step, block) in (0..extent.1).zip(bytes.chunks(BLOCK_BYTES)) {
            let at = extent.0.wrapping_add(step);
            let second = step % 2 == 1 && self.has(Defect::VerifyEverySecond);
            let skipped = second
                || step >= extent.1 & 0xff && self.has(Defect::VerifyLowCount)
                || step > 0 && self.has(Defect::VerifyFirstOnly)
                || step > 3 && self.has(Defect::VerifyFourOnly);
            let stored = match self.defect {
                Some(Defect::VerifyCacheIgnored) => self.medium.read_uncached(at),
                _ => self.medium.read(at),
            };
            let compared = if self.has(Defect::VerifyLastByte) { BLOCK_BYTES - 1 } else { BLOCK_BYTES };
            if stored.get(..compared) != block.get(..compared) && !skipped {
                let told = if self.has(Defect::VerifyBlockFirst) { extent.0 } else { at };
                return Err(Sense::MISCOMPARE.at(told).into());
            }
        }
        nothing()
    }

    pub(super) fn rezero_unit(&mut self, _: &Task<'_>) -> Reply {
        if self.has(Defect::RezeroReleases) {
            self.reserved_by = None;
        }
        nothing()
    }

    fn seek(&mut self, lba: u32) -> Reply {
        let way = lba.abs_diff(std::mem::replace(&mut self.traces.heads, lba));
        if way > 4000 && self.has(Defect::SeekTakesLong) {
            self.clock += Duration::from_secs(30);
        }
        if lba == self.medium.last() && self.has(Defect::SeekLastRefused) {
            return Err(Sense::RANGE.into());
        }
        if !self.has(Defect::SeekRange) {
            self.range((lba, 1))?;
        }
        nothing()
    }

    pub(super) fn seek_6(&mut self, task: &Task<'_>) -> Reply {
        self.traces.has_sought = true;
        if self.has(Defect::Seek6Range) {
            return nothing();
        }
        let bits = if self.has(Defect::Seek6Mask) { 0x0f_ffff } else { 0x1f_ffff };
        self.seek(task.be24(1) & bits)
    }

    pub(super) fn seek_10(&mut self, task: &Task<'_>) -> Reply {
        let mask = if self.has(Defect::Seek10Mask) { 0x00ff_ffff } else { u32::MAX };
        let reply = self.seek(task.be32(2) & mask);
        if self.has(Defect::SeekRangeKey) {
            reply.map_err(|_| Sense::RANGE.with_key(4).into())
        } else {
            reply
        }
    }

    pub(super) fn read_capacity(&mut self, task: &Task<'_>) -> Reply {
        let (lba, pmi) = (task.be32(2), task.bit(8, 0));
        let relative = task.bit(1, 0) && !self.has(Defect::CapacityRelAdr);
        if pmi && lba == self.medium.last() && self.has(Defect::CapacityPmiLast) {
            return Err(Sense::RANGE.into());
        }
        if relative {
            let field = if self.has(Defect::CapacityRelAdrField) { 2 } else { 1 };
            return Err(Sense::field(field).into());
        }
        if lba != 0 && !pmi && !self.has(Defect::CapacityAddressIgnored) {
            return Err(Sense::field(2).into());
        }
        if pmi && self.has(Defect::CapacityPmiRefused) {
            return Err(Sense::field(8).into());
        }
        if pmi && !self.has(Defect::CapacityPmiUnchecked) {
            self.range((lba, 1))?;
        }
        if !std::mem::replace(&mut self.traces.told_capacity, true) && self.has(Defect::CapacityFirstZero) {
            return data(vec![0; 8]);
        }
        let last = match self.defect {
            Some(Defect::CapacityIsCount) => self.medium.blocks,
            Some(Defect::CapacityAfterSelect) if self.traces.described => {
                self.medium.last().saturating_sub(1)
            }
            Some(Defect::CapacityGrows) if self.traces.wrote_last_block => self.medium.blocks,
            Some(Defect::CapacityAfterStart) if self.traces.was_restarted => {
                self.medium.last().saturating_sub(1)
            }
            Some(Defect::CapacityShort) => self.medium.last().saturating_sub(1),
            // There is no substantial delay before the end.
            Some(Defect::CapacityPmiNext) if pmi => self.medium.last().saturating_sub(1),
            Some(Defect::CapacityAlignmentWrong) if pmi => lba & 0xff,
            _ => self.medium.last(),
        };
        if !self.medium.present {
            // Only a firmware that does not ask whether it has one comes here.
            return data(vec![0; 8]);
        }
        let shift = if self.has(Defect::CapacityLengthShifted) { 8 } else { 0 };
        let length = u32::try_from(BLOCK_BYTES).unwrap_or(u32::MAX) << shift;
        let mut bytes = [last.to_be_bytes(), length.to_be_bytes()].concat();
        if self.has(Defect::CapacityLong) {
            bytes.extend([0; 4]);
        }
        data(bytes)
    }

    /// A number of zero is all the rest (9.2.3).
    fn rest(task: &Task<'_>) -> Extent {
        (task.be32(2), u32::from(task.be16(7)).max(1))
    }

    pub(super) fn pre_fetch(&mut self, task: &Task<'_>) -> Reply {
        if task.bit(1, 0) || task.bit(1, 1) && self.has(Defect::PrefetchImmediateRefused) {
            return Err(Sense::field(1).into());
        }
        if !self.has(Defect::PrefetchRange) {
            self.range(Self::rest(task))?;
        }
        if self.has(Defect::PrefetchShifts) {
            self.medium.mistake_ahead(task.be32(2));
        }
        Ok(Data { bytes: Vec::new(), condition_met: true })
    }

    pub(super) fn synchronize_cache(&mut self, task: &Task<'_>) -> Reply {
        if self.has(Defect::SyncHangs) {
            return Err(Refusal::Silence);
        }
        if task.bit(1, 0) {
            let unknown = self.has(Defect::SyncRelAdrCode);
            return Err(if unknown { Sense::OPCODE } else { Sense::field(1) }.into());
        }
        if task.bit(1, 1) && self.has(Defect::SyncImmediateRefused) {
            return Err(Sense::field(1).into());
        }
        if !self.has(Defect::SyncRange) {
            self.range(Self::rest(task))?;
        }
        if self.has(Defect::SyncFirstOnly) {
            self.medium.flush_one(task.be32(2));
            return nothing();
        }
        if task.be16(7) == 0 && self.has(Defect::SyncZeroNone) {
            return nothing();
        }
        if self.medium.protection == Protection::On && self.has(Defect::SyncProtected) {
            return Err(Sense::PROTECTED.into());
        }
        if self.has(Defect::SyncLosesLast) {
            self.medium.lose_last_cached();
        }
        if !self.has(Defect::SyncIgnored) {
            self.medium.flush();
        }
        nothing()
    }
}
