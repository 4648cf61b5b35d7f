//! Sense data of the fixed format (X3.131-1994, 8.2.14).

use super::defect::Defect;

/// Bytes of sense this firmware gives: the eight of the head and the ten of the additional sense.
pub(crate) const SENSE_BYTES: u8 = 18;

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sense {
    pub(crate) key: u8,
    pub(crate) code: u8,
    pub(crate) qualifier: u8,
    /// The logical block at fault.
    pub(crate) block: Option<u32>,
    /// The byte of the command descriptor block at fault.
    pub(crate) field: Option<u8>,
    /// Progress of FORMAT UNIT in 65536ths.
    pub(crate) progress: Option<u16>,
}

impl Sense {
    pub(crate) const fn new(key: u8, code: u8, qualifier: u8) -> Self {
        Self { key, code, qualifier, block: None, field: None, progress: None }
    }

    pub(crate) const NONE: Self = Self::new(0, 0, 0);
    /// LOGICAL UNIT IS IN PROCESS OF BECOMING READY.
    pub(crate) const BECOMING_READY: Self = Self::new(2, 0x04, 1);
    /// LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED.
    pub(crate) const STOPPED: Self = Self::new(2, 0x04, 2);
    /// LOGICAL UNIT NOT READY, FORMAT IN PROGRESS.
    pub(crate) const FORMATTING: Self = Self::new(2, 0x04, 4);
    /// MEDIUM NOT PRESENT.
    pub(crate) const NO_MEDIUM: Self = Self::new(2, 0x3a, 0);
    /// UNRECOVERED READ ERROR.
    pub(crate) const READ_ERROR: Self = Self::new(3, 0x11, 0);
    /// PARAMETER LIST LENGTH ERROR.
    pub(crate) const LIST_LENGTH: Self = Self::new(5, 0x1a, 0);
    /// INVALID COMMAND OPERATION CODE.
    pub(crate) const OPCODE: Self = Self::new(5, 0x20, 0);
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub(crate) const RANGE: Self = Self::new(5, 0x21, 0);
    /// LOGICAL UNIT NOT SUPPORTED.
    pub(crate) const LUN: Self = Self::new(5, 0x25, 0);
    /// INVALID FIELD IN PARAMETER LIST.
    pub(crate) const PARAMETER: Self = Self::new(5, 0x26, 0);
    /// MEDIUM REMOVAL PREVENTED.
    pub(crate) const PREVENTED: Self = Self::new(5, 0x53, 2);
    /// NOT READY TO READY TRANSITION, MEDIUM MAY HAVE CHANGED.
    pub(crate) const MEDIUM_CHANGED: Self = Self::new(6, 0x28, 0);
    /// POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    pub(crate) const RESET: Self = Self::new(6, 0x29, 0);
    /// MODE PARAMETERS CHANGED.
    pub(crate) const MODE_CHANGED: Self = Self::new(6, 0x2a, 1);
    /// WRITE PROTECTED.
    pub(crate) const PROTECTED: Self = Self::new(7, 0x27, 0);
    /// MISCOMPARE DURING VERIFY OPERATION.
    pub(crate) const MISCOMPARE: Self = Self::new(0xe, 0x1d, 0);

    /// INVALID FIELD IN CDB, with the byte the field begins in.
    pub(crate) const fn field(byte: u8) -> Self {
        Self { field: Some(byte), ..Self::new(5, 0x24, 0) }
    }

    /// The same with the block at fault.
    pub(crate) const fn at(self, block: u32) -> Self {
        Self { block: Some(block), ..self }
    }

    /// The same with another key.
    pub(crate) const fn with_key(self, key: u8) -> Self {
        Self { key, ..self }
    }

    /// What a firmware with this defect says instead.
    pub(crate) fn seen_by(self, defect: Option<Defect>) -> Self {
        let is = |own: Self| (self.key, self.code) == (own.key, own.code);
        match defect {
            Some(Defect::OpcodeCodeWrong) if is(Self::OPCODE) => Self::field(0),
            Some(Defect::FieldCodeMissing) if is(Self::field(0)) => Self { code: 0, ..self },
            Some(Defect::RangeCodeWrong) if is(Self::RANGE) => Self::field(2),
            Some(Defect::RangeKeyWrong) if is(Self::RANGE) => self.with_key(3),
            Some(Defect::MiscompareKeyWrong) if is(Self::MISCOMPARE) => self.with_key(3),
            Some(Defect::LunCodeWrong) if is(Self::LUN) => Self::field(1),
            Some(Defect::AttentionCodeWrong) if is(Self::RESET) => Self::MEDIUM_CHANGED,
            Some(Defect::StopCodeWrong) if self == Self::STOPPED => Self::BECOMING_READY,
            Some(Defect::FormatCodeWrong) if is(Self::FORMATTING) && self.qualifier == 4 => {
                Self::BECOMING_READY
            }
            Some(Defect::SenseRangeBlock) if is(Self::RANGE) => self.at(0),
            Some(Defect::LunKeyWrong) if is(Self::LUN) => self.with_key(2),
            Some(Defect::StopQualifierLost) if self == Self::STOPPED => Self { qualifier: 0, ..self },
            Some(Defect::MiscompareQualifier) if is(Self::MISCOMPARE) => Self { qualifier: 1, ..self },
            Some(Defect::EmptyCodeWrong) if is(Self::NO_MEDIUM) => Self::STOPPED,
            Some(Defect::ProtectKeyWrong) if is(Self::PROTECTED) => self.with_key(5),
            Some(Defect::SenseFieldPointer) => {
                Self { field: self.field.map(|byte| byte.wrapping_add(1)), ..self }
            }
            Some(Defect::ProtectCodeWrong) if is(Self::PROTECTED) => Self { code: 0x26, ..self },
            Some(Defect::ParameterCodeWrong) if is(Self::PARAMETER) => Self::field(4),
            Some(Defect::ListLengthCodeWrong) if is(Self::LIST_LENGTH) => Self::PARAMETER,
            Some(Defect::SenseBlockOffByOne) => {
                Self { block: self.block.map(|block| block.wrapping_add(1)), ..self }
            }
            Some(Defect::PreventedCodeWrong) if self == Self::PREVENTED => Self { qualifier: 0, ..self },
            Some(Defect::SenseKeyLost) => self.with_key(0),
            _ => self,
        }
    }

    /// The eighteen bytes.
    pub(crate) fn bytes(self, defect: Option<Defect>) -> Vec<u8> {
        let valid = self.block.is_some() && defect != Some(Defect::SenseValidNever)
            || (defect == Some(Defect::SenseValidAlways) && self.key != 0);
        let deferred = defect == Some(Defect::SenseDeferred) && self.key != 0
            || defect == Some(Defect::SenseDeferredRange) && self.code == Self::RANGE.code;
        let segment = u8::from(defect == Some(Defect::SenseSegmentSet) && self.key != 0);
        let end = u8::from(defect == Some(Defect::SenseEndOfMedium) && self.code == Self::RANGE.code) << 6;
        let mut bytes = vec![0x70 | u8::from(deferred) | u8::from(valid) << 7, segment, self.key | end];
        let mask = match defect {
            Some(Defect::SenseBlockCut) => 0xffff,
            Some(Defect::SenseBlock21) => 0x1f_ffff,
            _ => u32::MAX,
        };
        let block = self.block.unwrap_or_default() & mask;
        bytes.extend(match defect {
            Some(Defect::SenseBlockLittle) => block.to_le_bytes(),
            _ => block.to_be_bytes(),
        });
        bytes.push(SENSE_BYTES - 8 + u8::from(defect == Some(Defect::SenseLengthWrong)));
        let specific = if defect == Some(Defect::SenseSpecificOpcode) { self.code } else { 0 };
        bytes.extend([0, 0, 0, specific, self.code, self.qualifier, 0]);
        // SKSV, and C/D for a fault in the command descriptor block (8.2.14.1).
        bytes.extend(match (self.field, self.progress) {
            (Some(field), _) if defect == Some(Defect::SenseCommandData) => [0x80, 0, field],
            (Some(field), _) if defect == Some(Defect::SenseBitPointer) => [0xc8, 0, field],
            (Some(field), _) if defect == Some(Defect::SensePointerHigh) => [0xc0, field, 0],
            (Some(field), _) if defect == Some(Defect::SenseSksvMissing) => [0x40, 0, field],
            (Some(field), _) => [0xc0, 0, field],
            (None, Some(progress)) => {
                let [high, low] = progress.to_be_bytes();
                [0x80, high, low]
            }
            (None, None) => [0; 3],
        });
        if defect == Some(Defect::SenseTwoMore) {
            bytes.extend([0; 2]);
        }
        bytes
    }
}
