//! FORMAT UNIT, defects, diagnostics, buffers (8.2.12 to 8.2.17, 9.2.1, 9.2.8, 9.2.10).

use std::time::Duration;

use super::command::Task;
use super::defect::Defect;
use super::medium::Through;
use super::sense::Sense;
use super::unit::Spindle;
use super::{BLOCK_BYTES, Protection, Refusal, Reply, Target, data, nothing};

/// Size of the data buffer, in bytes; below 2^24.
pub(super) const BUFFER_BYTES: usize = 4096;
/// Time of a format in the background: fifty plain commands on the device's own clock.
const FORMAT_TIME: Duration = Duration::from_millis(5);
/// Physical sector format, the only one of defect lists here (9.2.1.2).
const PHYSICAL_SECTORS: u8 = 5;
const BLOCK_FORMAT: u8 = 0;
/// Bytes before a defect's data, of FORMAT UNIT as of REASSIGN BLOCKS.
const LIST_HEADER: usize = 4;

impl Target {
    pub(super) fn format_unit(&mut self, task: &Task<'_>) -> Reply {
        let ignored = self.has(Defect::ProtectIgnored) || self.has(Defect::FormatProtected);
        if self.medium.protection == Protection::On && !ignored {
            return Err(Sense::PROTECTED.into());
        }
        if !(self.spindle == Spindle::Stopped && self.has(Defect::FormatStopped)) {
            self.ready(task)?;
        }
        let (with_list, format) = (task.bit(1, 4), task.byte(1) & 0x07);
        let known = format == BLOCK_FORMAT || with_list && format == PHYSICAL_SECTORS;
        if !known && !self.has(Defect::FormatListUnchecked) {
            return Err(Sense::field(1).into());
        }
        if task.be16(3) == 1 && self.has(Defect::FormatInterleave) {
            return Err(Sense::field(3).into());
        }
        let mut immediate = false;
        if with_list {
            let header = task.data_out(LIST_HEADER);
            let flags = header.get(1).copied().unwrap_or_default();
            let flags = if self.has(Defect::FormatFovIgnored) { flags | 0x80 } else { flags };
            // Options need FOV; bits 3 and 2 ask for initialization patterns and saved parameters, which are not here.
            let refused = flags & 0x0c != 0 || flags & 0x80 == 0 && flags & 0x70 != 0;
            let from = if self.has(Defect::FormatListLow) { 3 } else { 2 };
            let list = header.get(from..).is_some_and(|length| length.iter().any(|byte| *byte != 0));
            let first = header.first() != Some(&0) && !self.has(Defect::FormatHeaderReserved);
            if (refused || list || first) && !self.has(Defect::FormatListUnchecked) {
                return Err(Sense::PARAMETER.into());
            }
            immediate = flags & 0x02 != 0;
        }
        self.medium.replace();
        self.memory.has_formatted = true;
        if self.has(Defect::AttentionAfterFormat) {
            self.kept(task.initiator).attention = Some(Sense::MEDIUM_CHANGED);
        }
        if self.has(Defect::FormatEndsReservation) {
            self.reserved_by = None;
        }
        if self.has(Defect::FormatRestoresModes) {
            self.pages.restore_default();
        }
        if self.has(Defect::FormatShrinks) {
            self.medium.blocks = self.medium.last().max(1);
        }
        if self.has(Defect::FormatEndsStopped) {
            self.spindle = Spindle::Stopped;
        }
        if !immediate {
            self.clock += FORMAT_TIME;
        } else if !self.has(Defect::FormatNothing) {
            let time = if self.has(Defect::FormatNeverEnds) { FORMAT_TIME * 100_000 } else { FORMAT_TIME };
            self.spindle = Spindle::Formatting(self.clock, self.clock + time);
        }
        nothing()
    }

    pub(super) fn reassign_blocks(&mut self, task: &Task<'_>) -> Reply {
        let header = task.data_out(LIST_HEADER);
        let [a, b, high, low] = header.as_slice() else { return Err(Sense::LIST_LENGTH.into()) };
        let high = if self.has(Defect::ReassignLowLength) { 0 } else { *high };
        let length = usize::from(u16::from_be_bytes([high, *low]));
        if (a, b) != (&0, &0) || !length.is_multiple_of(4) && !self.has(Defect::ReassignOddList) {
            return Err(Sense::PARAMETER.into());
        }
        if length == 0 && self.has(Defect::ReassignEmptyRefused) {
            return Err(Sense::PARAMETER.into());
        }
        let list = task.data_out(LIST_HEADER + length).split_off(LIST_HEADER);
        let address = |entry: &[u8]| entry.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        let blocks: Vec<_> = list.chunks(4).map(address).collect();
        let looked_at = if self.has(Defect::ReassignFirstChecked) { 1 } else { blocks.len() };
        let end = self.medium.blocks - u32::from(self.has(Defect::ReassignLastRefused));
        if let Some(beyond) = blocks.iter().take(looked_at).find(|lba| **lba >= end)
            && !self.has(Defect::ReassignRange)
        {
            return Err(Sense::RANGE.at(*beyond).into());
        }
        for lba in blocks {
            if self.has(Defect::ReassignClears) && lba < self.medium.last() {
                self.medium.write(lba + 1, &[], Through::Medium);
            }
        }
        nothing()
    }

    /// No defects are known, in physical sector format; the header echoes the lists asked for (9.2.8).
    pub(super) fn read_defect_data(&mut self, task: &Task<'_>) -> Reply {
        let wanted = task.byte(2) & 0x1f;
        let unchecked = self.has(Defect::DefectFormatUnchecked);
        if !unchecked && wanted & 0x07 != PHYSICAL_SECTORS && wanted & 0x07 != BLOCK_FORMAT {
            return Err(Sense::field(2).into());
        }
        if wanted & 0x18 == 0 && self.has(Defect::DefectListNeither) {
            return Err(Sense::field(2).into());
        }
        let echo = if self.has(Defect::DefectListEcho) { task.byte(1) } else { wanted };
        let echo = if self.has(Defect::DefectListFormat) { echo & !0x07 } else { echo };
        let echo = if self.has(Defect::DefectGrownLost) { echo & !0x08 } else { echo };
        let length = if self.has(Defect::DefectListLength) { 8 } else { 0 };
        let mut bytes = vec![0, echo, 0, length];
        if !self.has(Defect::DefectListWhole) {
            let low = self.has(Defect::DefectAllocationLow);
            bytes.truncate(if low { task.byte(8).into() } else { task.be16(7).into() });
        }
        data(bytes)
    }

    pub(super) fn send_diagnostic(&mut self, task: &Task<'_>) -> Reply {
        let self_test = task.bit(1, 2);
        let length = usize::from(task.be16(3));
        let listed = length != 0 && !self.has(Defect::SelfTestListIgnored);
        if self_test && (listed || self.has(Defect::SelfTestRefused)) {
            return Err(Sense::field(3).into());
        }
        if self_test && task.byte(1) & 0x03 != 0 && self.has(Defect::SelfTestOfflineRefused) {
            return Err(Sense::field(1).into());
        }
        if self_test && self.has(Defect::SelfTestReleases) {
            self.reserved_by = None;
        }
        if self_test && self.has(Defect::SelfTestAttention) {
            self.kept(task.initiator).attention = Some(Sense::RESET);
        }
        if self_test && self.has(Defect::SelfTestRestores) {
            self.pages.restore_default();
        }
        if self_test && self.has(Defect::SelfTestWrites) {
            self.medium.write(0, &[0xa5; BLOCK_BYTES], Through::Medium);
        }
        match length {
            _ if self_test => return nothing(),
            4.. if self.has(Defect::DiagnosticPageIgnored) => return nothing(),
            1.. if self.has(Defect::DiagnosticListHangs) => return Err(Refusal::Silence),
            0 => return nothing(),
            1..4 => return Err(Sense::LIST_LENGTH.into()),
            _ => {}
        }
        // Page 00h asks for the list of pages, and has no data of its own (8.3.1.1).
        if task.data_out(length).iter().any(|byte| *byte != 0) || length != 4 {
            return Err(Sense::PARAMETER.into());
        }
        nothing()
    }

    /// The list of diagnostic pages: only itself.
    pub(super) fn receive_diagnostic(&mut self, task: &Task<'_>) -> Reply {
        let told = if self.has(Defect::DiagnosticListLong) { 2 } else { 1 };
        let mut bytes = vec![0, 0, 0, told, 0];
        let low = self.has(Defect::DiagnosticAllocationLow);
        if !self.has(Defect::DiagnosticWhole) {
            bytes.truncate(if low { task.byte(4).into() } else { task.be16(3).into() });
        }
        data(bytes)
    }

    fn buffer_place(&self, task: &Task<'_>, length: usize) -> Result<usize, Refusal> {
        let offset = if self.has(Defect::BufferOffset8) { task.byte(5).into() } else { task.be24(3) };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let any = task.opcode() == 0x3c && self.has(Defect::BufferIdIgnored);
        if task.byte(2) != 0 && !any {
            return Err(Sense::field(2).into());
        }
        let size = BUFFER_BYTES - usize::from(length > 0 && self.has(Defect::BufferEndRefused));
        let fits = offset.saturating_add(length) <= size || self.has(Defect::BufferOverflow);
        if fits { Ok(offset) } else { Err(Sense::field(3).into()) }
    }

    /// Mode 2, data; mode 0, header and data.
    pub(super) fn write_buffer(&mut self, task: &Task<'_>) -> Reply {
        let length = usize::try_from(task.be24(6)).unwrap_or(usize::MAX);
        if length == 0 && self.has(Defect::BufferNothingHangs) {
            return Err(Refusal::Silence);
        }
        let (offset, bytes) = match task.byte(1) & 0x07 {
            0 if task.be24(3) != 0 => return Err(Sense::field(3).into()),
            0 if length == 0 => return nothing(),
            0 => {
                self.buffer_place(task, length.saturating_sub(LIST_HEADER))?;
                let header = if self.has(Defect::BufferModeShift) { 0 } else { LIST_HEADER };
                (0, task.data_out(length).split_off(header.min(length)))
            }
            2 => (self.buffer_place(task, length)?, task.data_out(length)),
            _ => return Err(Sense::field(1).into()),
        };
        if bytes.len() >= BUFFER_BYTES && self.has(Defect::BufferWholeHangs) {
            return Err(Refusal::Silence);
        }
        if self.has(Defect::BufferOnMedium) {
            self.medium.write(0, &bytes, Through::Medium);
        }
        let offset = if self.has(Defect::BufferWriteOffset) { 0 } else { offset };
        let crossing = if offset < 256 && self.has(Defect::BufferCrossing) { 256 } else { BUFFER_BYTES };
        let size = if self.has(Defect::BufferLastByte) { BUFFER_BYTES - 1 } else { BUFFER_BYTES };
        for (place, byte) in self.buffer.iter_mut().take(size.min(crossing)).skip(offset).zip(bytes) {
            *place = byte;
        }
        nothing()
    }

    /// Mode 3, descriptor; mode 2, data; mode 0, header and data.
    pub(super) fn read_buffer(&mut self, task: &Task<'_>) -> Reply {
        let allocation = usize::try_from(task.be24(6)).unwrap_or(usize::MAX);
        let told = if self.has(Defect::BufferCapacityWrong) { BUFFER_BYTES * 2 } else { BUFFER_BYTES };
        let [_, capacity @ ..] = u32::try_from(told).unwrap_or(0).to_be_bytes();
        let header = [&[0], capacity.as_slice()].concat();
        let mode = match task.byte(1) & 0x07 {
            7 if self.has(Defect::BufferModeUnchecked) => 2,
            mode => mode,
        };
        let mut bytes = match mode {
            0 if task.be24(3) != 0 => return Err(Sense::field(3).into()),
            0 if self.has(Defect::BufferNoHeader) => self.buffer.clone(),
            0 => [header, self.buffer.clone()].concat(),
            2 => {
                let offset = self.buffer_place(task, 0)?;
                let offset = if self.has(Defect::BufferOffset) { 0 } else { offset };
                self.buffer.get(offset..).unwrap_or_default().to_vec()
            }
            // Offset boundary 0: any byte (8.2.12.4).
            3 => header,
            _ => return Err(Sense::field(1).into()),
        };
        let whole = self.traces.selects > 0 && self.has(Defect::BufferWholeAfterSelect);
        if !whole && (mode != 3 || !self.has(Defect::BufferDescriptorWhole)) {
            bytes.truncate(allocation);
        }
        if mode == 2 && self.has(Defect::BufferReadOnce) {
            self.buffer.fill(0);
        }
        if mode == 2 && allocation > 2048 && self.has(Defect::BufferLongZeros) {
            bytes.get_mut(2048..).unwrap_or_default().fill(0);
        }
        if bytes.len() % 2 == 1 && self.has(Defect::BufferOddHangs) {
            return Err(Refusal::Silence);
        }
        data(bytes)
    }
}
