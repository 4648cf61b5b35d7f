//! Configuration spaces that no device has: those of the corpus, changed at random, and lists of every capability with
//! random registers. One seed, one sequence.

use slotwise_core::pci::ConfigSpace;

use crate::random::Random;

/// `count` spaces made from `seeds`, every second one from nothing.
pub(super) fn spaces(seeds: &[ConfigSpace], count: usize, seed: u64) -> Vec<ConfigSpace> {
    let mut random = Random(seed);
    let mut made = Vec::with_capacity(count);
    for n in 0..count {
        if n % 2 == 1 {
            made.push(ConfigSpace::from_bytes(&invent(&mut random)));
            continue;
        }
        let Some(space) = seeds.get(random.below(seeds.len())) else { break };
        let mut bytes: Vec<u8> = space.iter().map_while(|byte| byte).collect();
        for _ in 0..=random.below(12) {
            mutate(&mut bytes, &mut random);
        }
        made.push(ConfigSpace::from_bytes(&bytes));
    }
    made
}

/// Both lists, with random ids in order of their offsets, and random registers between.
fn invent(random: &mut Random) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..4096).map(|_| random.byte()).collect();
    put(&mut bytes, 0x06, 0x10);
    put(&mut bytes, 0x0e, [0, 1, 0x80, 0x81].get(random.below(4)).copied().unwrap_or(0));
    put(&mut bytes, 0x34, 0x40);
    let mut at = 0x40;
    while at < 0x100 {
        // PCI Express or PCI-X first, mostly, or there is no extended list.
        let id = if at == 0x40 && random.below(8) > 0 { [0x10, 0x07] } else { [random.byte() % 0x17; 2] };
        let next = at + 4 + (random.below(48) & !3);
        put(&mut bytes, at, id.get(random.below(6) / 5).copied().unwrap_or(0));
        put(&mut bytes, at + 1, u8::try_from(next).unwrap_or(0));
        at = next;
    }
    let mut at = 0x100;
    while at < 0x1000 {
        let next = (at + 4 + (random.below(160) & !3)).min(0x1000);
        let link = u16::try_from(next & 0xfff).unwrap_or(0) << 4 | u16::from(random.byte() & 0xf);
        let [low, high] = link.to_le_bytes();
        for (n, byte) in [random.byte() % 0x38, 0, low, high].into_iter().enumerate() {
            put(&mut bytes, at + n, byte);
        }
        at = next;
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let near = random.below(bytes.len().min(256));
    let value = random.byte();
    match random.below(10) {
        // A link of the standard list, or what looks like one.
        0 => put(bytes, near & !3 | 1, value),
        1 => put(bytes, 0x34, value),
        // An id.
        2 => put(bytes, near & !3, value & 0x1f),
        // A whole extended header.
        3 => {
            let to = u16::from(value) << 4;
            let [low, high] = (to << 4 | 1).to_le_bytes();
            let place = (at & !3).max(0x100);
            put(bytes, place, random.byte() & 0x3f);
            put(bytes, place + 1, 0);
            put(bytes, place + 2, low);
            put(bytes, place + 3, high);
        }
        // Header type, among the known ones mostly.
        4 if value < 64 => put(bytes, 0x0e, value & 0x83),
        // The end is missing, never of the first 64 bytes: lspci does not decode without.
        5 if value < 48 => bytes.truncate(at.max(64)),
        6 => put(bytes, near, 0xff),
        7 => put(bytes, near, 0),
        8 => put(bytes, at, value),
        _ => put(bytes, near, value),
    }
}

fn put(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}
