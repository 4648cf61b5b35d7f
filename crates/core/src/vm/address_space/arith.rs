//! Sizes and alignments, in bytes. Alignments are powers of two, by construction of [`super::BarRequest`].

/// 2^20.
pub(super) const MIB: u64 = 1 << 20;
/// 2^30.
pub(super) const GIB: u64 = 1 << 30;

/// The next multiple of `align`, or the last one that there is.
pub(super) const fn align_up(value: u64, align: u64) -> u64 {
    align_down(value.saturating_add(align - 1), align)
}

/// The multiple of `align` at or before.
pub(super) const fn align_down(value: u64, align: u64) -> u64 {
    value & !(align - 1)
}

/// The largest power of two that is not above `value`; 1 for 0.
pub(super) const fn floor_power_of_two(value: u64) -> u64 {
    match value.checked_ilog2() {
        Some(bit) => 1 << bit,
        None => 1,
    }
}
