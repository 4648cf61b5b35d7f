//! Taking fields out of registers without narrowing casts.

/// Bit `n` of `value`; bits past the register are clear.
pub(super) fn bit(value: impl Into<u32>, n: u32) -> bool {
    value.into().checked_shr(n).unwrap_or(0) & 1 == 1
}

/// `width` bits of `value` from bit `low` on.
pub(super) fn field(value: impl Into<u32>, low: u32, width: u32) -> u32 {
    let mask = 1u32.checked_shl(width).map_or(u32::MAX, |limit| limit - 1);
    value.into().checked_shr(low).unwrap_or(0) & mask
}

/// A field of at most 8 bits.
pub(super) fn field8(value: impl Into<u32>, low: u32, width: u32) -> u8 {
    let [byte, ..] = field(value, low, width.min(8)).to_le_bytes();
    byte
}

/// A field of at most 16 bits.
pub(super) fn field16(value: impl Into<u32>, low: u32, width: u32) -> u16 {
    let [low_byte, high_byte, ..] = field(value, low, width.min(16)).to_le_bytes();
    u16::from_le_bytes([low_byte, high_byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_where_the_register_says() {
        assert!(bit(0x8000_0000u32, 31) && !bit(0x8000_0000u32, 30) && !bit(1u16, 40));
        assert_eq!(field(u32::MAX, 0, 32), u32::MAX);
        assert_eq!((field8(0x1234u16, 4, 8), field16(0xabcd_1234u32, 16, 16)), (0x23, 0xabcd));
    }
}
