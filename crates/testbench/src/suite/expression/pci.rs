//! What expressions ask of configuration space: its lists of capabilities, its base address registers.
//!
//! The walk is the decoder's own, with its bounds ([`slotwise_core::pci::decode`]); this module only puts its results into
//! numbers and bytes.

use slotwise_core::pci::{BarKind, CONVENTIONAL_SIZE, ConfigSpace, Fault, Function, Space, decode};

fn decoded(config: &[u8]) -> Option<Function> {
    decode(&ConfigSpace::from_bytes(config)).ok()
}

/// Offset of the first capability with this id; 0, where none can be, if there is none.
pub(super) fn capability(config: &[u8], space: Space, id: i64) -> i64 {
    let wanted = u16::try_from(id).ok();
    let found =
        decoded(config).zip(wanted).and_then(|(function, id)| Some(function.capability(space, id)?.offset));
    found.map_or(0, i64::from)
}

/// Whether both lists of capabilities are walked to their ends. Where only conventional configuration space is there, the
/// extended list cannot be.
pub(super) fn chains(config: &[u8]) -> bool {
    let broken = |fault: &Fault| match fault {
        Fault::ChainUnreadable { space: Space::Extended, .. } => config.len() > CONVENTIONAL_SIZE,
        Fault::ChainLooped { .. }
        | Fault::ChainBroken { .. }
        | Fault::ChainUnreadable { .. }
        | Fault::Misplaced { .. }
        | Fault::UnknownHeaderType(_) => true,
        _ => false,
    };
    decoded(config).is_some_and(|function| !function.faults.iter().any(broken))
}

/// Indices of the registers in which a base address begins that is not zero, without the expansion ROM's.
pub(super) fn bars(config: &[u8]) -> Vec<u8> {
    let function = decoded(config);
    let bars = function.iter().flat_map(|function| &function.bars);
    bars.filter(|bar| bar.kind != BarKind::Rom).map(|bar| bar.index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of power management at 40h and PCI Express at 50h, a 64-bit BAR 0 and an I/O BAR 2.
    fn config() -> Vec<u8> {
        let mut bytes = vec![0; 256];
        for (at, word) in [
            (0x04, 0x0010_0007_u32),
            (0x10, 0xfe00_0004),
            (0x18, 0x0000_c001),
            (0x34, 0x40),
            (0x40, 0x5001),
            (0x50, 0x0002_0010),
        ] {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn capabilities_are_found_by_id_and_a_loop_is_told() {
        let mut config = config();
        assert_eq!(capability(&config, Space::Standard, 0x10), 0x50);
        assert_eq!(capability(&config, Space::Standard, 0x05), 0);
        assert_eq!(capability(&config, Space::Extended, -1), 0);
        assert!(chains(&config));
        config[0x51] = 0x40;
        assert!(!chains(&config));
        assert!(!chains(&[0xff; 256]) && !chains(&[]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_an_answer_within_them(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            for id in [-1, 0, 1, 0x10, 70_000] {
                let offset = capability(&bytes, Space::Standard, id);
                proptest::prop_assert!((0..256).contains(&offset));
            }
            let _ = chains(&bytes);
            proptest::prop_assert!(bars(&bytes).iter().all(|index| *index < 6));
        }
    }

    #[test]
    fn a_wide_register_counts_once() {
        assert_eq!(bars(&config()), [0, 2]);
        assert!(bars(&[]).is_empty());
    }
}
