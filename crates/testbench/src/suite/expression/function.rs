//! What the functions that make or compare byte strings give, apart from the nodes they are called in.

use crate::suite::random;
use crate::wire::BATCH_DATA_LIMIT_BYTES;

/// Bytes equal in all bits but those of the mask; a mask that is too short leaves the rest to be equal.
pub(super) fn agree(one: &[u8], other: &[u8], mask: &[u8]) -> bool {
    let masks = mask.iter().copied().chain(std::iter::repeat(0));
    one.len() == other.len()
        && one.iter().zip(other).zip(masks).all(|((one, other), mask)| (one ^ other) & !mask == 0)
}

/// Whether the part is somewhere in the whole.
pub(super) fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// The bytes with some replaced; `None` where these are not all there.
pub(super) fn patched(mut bytes: Vec<u8>, at: i64, part: &[u8]) -> Option<Vec<u8>> {
    let at = usize::try_from(at).ok()?;
    bytes.get_mut(at..at.checked_add(part.len())?)?.copy_from_slice(part);
    Some(bytes)
}

/// Blocks that tell their address: what is read from the wrong place, or was written by another command, differs.
/// `None` for more bytes than a batch moves.
pub(super) fn tagged(lba: i64, blocks: i64, size: i64, seed: i64) -> Option<Vec<u8>> {
    let (blocks, size) = (usize::try_from(blocks).ok()?, usize::try_from(size).ok()?);
    let whole = blocks.checked_mul(size).filter(|whole| *whole <= BATCH_DATA_LIMIT_BYTES)?;
    let mut bytes = vec![0; whole];
    for (step, block) in (0_i64..).zip(bytes.chunks_mut(size.max(1))) {
        // An odd factor keeps addresses apart, and seeds of neighbouring blocks from coinciding.
        let word = lba.wrapping_add(step).wrapping_mul(0x0001_0000_0001);
        let word = word.wrapping_add(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let first = random::words(u64::from_ne_bytes(word.to_ne_bytes())).next().unwrap_or_default();
        // One number a block, stepped by an odd one: as quick as it has to be where thousands of blocks are compared.
        let mut word = first;
        for part in block.chunks_mut(8) {
            part.copy_from_slice(word.to_le_bytes().get(..part.len()).unwrap_or_default());
            word = word.wrapping_add(first | 1);
        }
    }
    Some(bytes)
}

/// A number from 0 to `limit` - 1; `None` if there is none.
pub(super) fn below(seed: i64, limit: i64) -> Option<i64> {
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
    let word = random::words(u64::from_ne_bytes(seed.to_ne_bytes())).next()?;
    // The bias of a remainder is below limit / 2^64.
    i64::try_from(word % limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_one_address_are_equal_however_they_are_cut_and_others_differ() {
        let whole = tagged(100, 4, 512, 7).unwrap();
        assert_eq!(whole[1024..1536], tagged(102, 1, 512, 7).unwrap());
        assert_ne!(tagged(102, 1, 512, 7), tagged(102, 1, 512, 8));
        assert_ne!(tagged(102, 1, 512, 7), tagged(103, 1, 512, 7));
        assert_eq!(tagged(0, i64::MAX, 512, 0), None);
        assert_eq!(tagged(0, -1, 512, 0), None);
    }

    #[test]
    fn a_part_that_does_not_fit_is_refused() {
        assert_eq!(patched(vec![1, 2, 3], 1, &[9, 8]), Some(vec![1, 9, 8]));
        assert_eq!(patched(vec![1, 2, 3], 2, &[9, 8]), None);
        assert_eq!(patched(vec![1, 2, 3], -1, &[9]), None);
    }

    #[test]
    fn bits_of_the_mask_may_differ_and_no_others() {
        assert!(agree(&[0x0f, 1], &[0x00, 1], &[0x0f]));
        assert!(!agree(&[0x0f, 1], &[0x00, 2], &[0x0f]));
        assert!(!agree(&[1], &[1, 2], &[0xff, 0xff]));
    }

    #[test]
    fn random_numbers_stay_below_their_limit() {
        assert!((0..1000).all(|seed| below(seed, 7).is_some_and(|number| (0..7).contains(&number))));
        assert_eq!((below(1, 0), below(1, -5)), (None, None));
    }
}
