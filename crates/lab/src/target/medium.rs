//! The medium: blocks, the write cache before them, and what was read ahead.

use std::collections::BTreeMap;

use super::defect::Defect;
use super::{BLOCK_BYTES, Model, Protection};

type Block = [u8; BLOCK_BYTES];

/// How writes get to the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// To the medium before GOOD.
    Medium,
    /// To the cache.
    Cache,
}

/// A medium whose unwritten blocks are all different, so that a read of the wrong one shows.
#[derive(Debug)]
pub(super) struct Medium {
    defect: Option<Defect>,
    pub(super) blocks: u32,
    written: BTreeMap<u32, Block>,
    cache: BTreeMap<u32, Block>,
    ahead: Option<(u32, Block)>,
    /// What the last write wrote over: for a defect.
    replaced: Option<(u32, Block)>,
    /// Block 0 before it was written: for a defect.
    first: Option<Block>,
    /// What was cached of a block before it was cached again: for a defect.
    overtaken: BTreeMap<u32, Block>,
    /// Whether the second initiator is served: for a defect.
    pub(super) by_second: bool,
    /// What unwritten blocks are made from; changes with the medium.
    generation: u32,
    pub(super) present: bool,
    pub(super) protection: Protection,
}

impl Medium {
    pub(super) fn new(model: Model, defect: Option<Defect>) -> Self {
        Self {
            defect,
            blocks: model.blocks.max(1),
            written: BTreeMap::new(),
            cache: BTreeMap::new(),
            ahead: None,
            replaced: None,
            overtaken: BTreeMap::new(),
            by_second: false,
            first: None,
            generation: 1,
            present: true,
            protection: Protection::Off,
        }
    }

    pub(super) fn replace(&mut self) {
        self.written.clear();
        if self.defect != Some(Defect::MediumCacheKept) {
            self.cache.clear();
        }
        if self.defect != Some(Defect::MediumAheadKept) {
            self.ahead = None;
        }
        self.generation += 1;
        self.present = true;
    }

    pub(super) fn last(&self) -> u32 {
        self.blocks.saturating_sub(1)
    }

    fn stored(&self, lba: u32) -> Block {
        let found = self.cache.get(&lba).or_else(|| self.written.get(&lba));
        found.copied().unwrap_or_else(|| {
            let mut block = [0; BLOCK_BYTES];
            let stamp = lba.wrapping_mul(0x9e37_79b1).wrapping_add(self.generation).to_be_bytes();
            block.chunks_exact_mut(stamp.len()).for_each(|part| part.copy_from_slice(&stamp));
            block
        })
    }

    /// A block as it is read.
    pub(super) fn read(&mut self, lba: u32) -> Block {
        if let Some(first) = self.first.filter(|_| lba == 0) {
            return first;
        }
        let alias = lba.checked_sub(4096).filter(|_| self.defect == Some(Defect::Alias4096));
        if let Some(block) = alias.and_then(|low| self.cache.get(&low)) {
            return *block;
        }
        let mut block = match self.ahead {
            Some((at, block)) if at == lba => block,
            _ => self.stored(lba),
        };
        if self.defect == Some(Defect::StuckBit)
            && let Some(last) = block.last_mut()
        {
            *last |= 0x40;
        }
        if lba == 4096
            && self.defect == Some(Defect::BlockReadsWrong)
            && let Some(byte) = block.get_mut(100)
        {
            *byte ^= 0x08;
        }
        block
    }

    /// A block as it is on the medium.
    pub(super) fn read_uncached(&mut self, lba: u32) -> Block {
        let cached = self.cache.remove(&lba);
        let block = self.stored(lba);
        if let Some(cached) = cached {
            self.cache.insert(lba, cached);
        }
        block
    }

    /// The block as it was before the last write to it.
    pub(super) fn before(&self, lba: u32) -> Block {
        match self.replaced {
            Some((at, block)) if at == lba => block,
            _ => self.stored(lba),
        }
    }

    /// Takes a block for the one behind it.
    pub(super) fn mistake_ahead(&mut self, lba: u32) {
        self.ahead = Some((lba.saturating_add(1), self.stored(lba)));
    }

    /// Reads the block behind a transfer ahead.
    pub(super) fn read_ahead(&mut self, lba: u32) {
        self.ahead = Some((lba, self.stored(lba)));
    }

    pub(super) fn write(&mut self, lba: u32, bytes: &[u8], through: Through) {
        let kept = self.by_second && self.defect == Some(Defect::AheadKeptForOther);
        let through_kept = through == Through::Medium && self.defect == Some(Defect::ReadBeforeWriteStale);
        if !kept && !through_kept && self.defect != Some(Defect::PrefetchStale) {
            self.ahead = None;
        }
        if matches!(self.defect, Some(Defect::ReadOverlapStale | Defect::PowerTears)) {
            self.replaced = Some((lba, self.stored(lba)));
        }
        if lba == 0 && self.defect == Some(Defect::FirstBlockStale) && self.first.is_none() {
            self.first = Some(self.stored(0));
        }
        let mut block = [0; BLOCK_BYTES];
        let given = bytes.get(..BLOCK_BYTES).unwrap_or(bytes);
        block[..given.len()].copy_from_slice(given);
        if (3000..3016).contains(&lba) && self.defect == Some(Defect::BitInSecondHalf) {
            block[300] &= 0x7f;
        }
        if self.defect == Some(Defect::PatternErased) && block.iter().all(|byte| *byte == 0xff) {
            block.fill(0);
        }
        if self.defect == Some(Defect::PatternSignature) && block.ends_with(&[0x55, 0xaa]) {
            block[0] = 0;
        }
        if self.defect == Some(Defect::PatternFf00) && block.starts_with(&[0xff, 0]) {
            block[1] = 0xff;
        }
        self.mispattern(lba, &mut block);
        match through {
            Through::Cache => {
                let before = self.cache.insert(lba, block);
                if let Some(before) = before.filter(|_| self.defect == Some(Defect::CacheKeepsFirst)) {
                    self.overtaken.insert(lba, before);
                }
                if self.cache.len() > 32 && self.defect == Some(Defect::CacheOverflow) {
                    self.cache.pop_first();
                }
            }
            Through::Medium => {
                if self.defect != Some(Defect::FuaUnderCache) {
                    self.cache.remove(&lba);
                }
                self.written.insert(lba, block);
            }
        }
    }

    /// What a defect makes of certain data.
    fn mispattern(&self, lba: u32, block: &mut Block) {
        match self.defect {
            Some(Defect::PatternE5) if block[0] == 0xe5 => block[0] = 0,
            Some(Defect::PatternSpaces) if block.iter().all(|byte| *byte == b' ') => block.fill(0),
            Some(Defect::PatternTail) if block.ends_with(&[0; 16]) => {
                let [.., high, low] = lba.to_be_bytes();
                block[BLOCK_BYTES - 2..].copy_from_slice(&[high, low]);
            }
            _ => {}
        }
        let (low, high) = block.split_at_mut(BLOCK_BYTES / 2);
        match self.defect {
            Some(Defect::PatternHalves) if low == high => high.fill(0),
            Some(Defect::PatternNewline) => {
                if let Some(last) = high.last_mut().filter(|last| **last == 0x0a) {
                    *last = 0;
                }
            }
            Some(Defect::PatternCrLf) => {
                for at in 1..BLOCK_BYTES {
                    if block.get(at - 1..=at) == Some(&[0x0d, 0x0a]) {
                        block[at - 1] = 0x0a;
                    }
                }
            }
            _ => {}
        }
    }

    /// Loses what was written to a block.
    pub(super) fn lose(&mut self, lba: u32) {
        self.cache.remove(&lba);
        self.written.remove(&lba);
    }

    /// A block that is cached.
    pub(super) fn cached(&self, lba: u32) -> Option<Block> {
        self.cache.get(&lba).copied()
    }

    /// Whether anything is cached.
    pub(super) fn is_dirty(&self) -> bool {
        !self.cache.is_empty()
    }

    /// How many blocks are cached.
    pub(super) fn cached_blocks(&self) -> usize {
        self.cache.len()
    }

    /// Drops what is cached of a block.
    pub(super) fn drop_cached(&mut self, lba: u32) {
        self.cache.remove(&lba);
    }

    /// Drops the last of the blocks that are cached.
    pub(super) fn lose_last_cached(&mut self) {
        self.cache.pop_last();
    }

    /// What was read ahead, for a defect that puts it back.
    pub(super) fn ahead(&mut self) -> &mut Option<(u32, [u8; BLOCK_BYTES])> {
        &mut self.ahead
    }

    /// Writes what is cached.
    pub(super) fn flush(&mut self) {
        self.written.append(&mut self.cache);
        self.written.append(&mut self.overtaken);
    }

    /// Writes the first of the blocks that are cached.
    pub(super) fn flush_first(&mut self, most: usize) {
        for _ in 0..most {
            let Some((lba, block)) = self.cache.pop_first() else { return };
            self.written.insert(lba, block);
        }
    }

    /// Tears the block written last: its second half is as it was before.
    pub(super) fn tear(&mut self) {
        if let Some((lba, before)) = self.replaced.take()
            && let Some(block) = self.written.get_mut(&lba)
        {
            block[BLOCK_BYTES / 2..].copy_from_slice(&before[BLOCK_BYTES / 2..]);
        }
    }

    /// Writes what is cached of one block.
    pub(super) fn flush_one(&mut self, lba: u32) {
        if let Some(block) = self.cache.remove(&lba) {
            self.written.insert(lba, block);
        }
    }

    pub(super) fn lose_cache(&mut self) {
        self.cache.clear();
        self.ahead = None;
    }
}
