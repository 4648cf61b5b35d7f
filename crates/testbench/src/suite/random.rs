//! Pseudo-random numbers: the same on every machine for the same seed, so that a run can be repeated.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): short, and without a
/// zero state.
pub(crate) fn words(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(word ^ (word >> 31))
    })
}

/// An order of `items` that follows from the seed (Fisher and Yates, as Durstenfeld gives it, CACM algorithm 235).
pub(crate) fn shuffle<T>(items: &mut [T], seed: u64) {
    for (end, word) in (1..items.len()).rev().zip(words(seed)) {
        // The bias of a remainder is below items / 2^64.
        let place = usize::try_from(word % (end as u64 + 1)).unwrap_or(0);
        items.swap(end, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_of_all_items() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(8));
        let mut sorted = shuffled(7);
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
    }
}
