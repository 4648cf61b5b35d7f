//! A whole function, from its configuration space.

use super::bar::{self, Bar};
use super::bridge::{self, Bridge, CardBus};
use super::capability::{self, Body, Capability, Express, Space};
use super::config::{ConfigReader, ConfigSpace, Registers};
use super::fault::Fault;
use super::features::Features;
use super::header::{self, Header, HeaderKind};
use super::id::PciId;

/// Why a configuration space cannot be decoded at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The 16 bytes that every function has are not all there.
    #[error("cannot decode configuration space: its first 16 bytes were not all read")]
    NoHeader,
}

/// What the configuration space of one function says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Identity, command, status.
    pub header: Header,
    /// Base address registers and expansion ROM that are not zero.
    pub bars: Vec<Bar>,
    /// Bus numbers and windows of a PCI-to-PCI bridge.
    pub bridge: Option<Bridge>,
    /// Bus numbers and windows of a CardBus bridge.
    pub cardbus: Option<CardBus>,
    /// The standard list in its order, then the extended list in its order.
    pub capabilities: Vec<Capability>,
    /// What is damaged or could not be read.
    pub faults: Vec<Fault>,
}

impl Function {
    /// The first capability with this id.
    #[must_use]
    pub fn capability(&self, space: Space, id: u16) -> Option<&Capability> {
        self.capabilities.iter().find(|c| c.space == space && c.id == id)
    }

    /// The PCI Express registers, of a function that has them.
    #[must_use]
    pub fn express(&self) -> Option<&Express> {
        self.capabilities.iter().find_map(|c| match &c.body {
            Body::Express(express) => Some(express),
            _ => None,
        })
    }

    /// Subsystem ids, from the header or, of a bridge, from its capability. None if the function has none, says vendor
    /// 0000 or ffff, or they were not read.
    #[must_use]
    pub fn subsystem(&self) -> Option<PciId> {
        if self.header.kind != HeaderKind::Bridge {
            return self.header.subsystem;
        }
        self.capabilities.iter().find_map(|c| match c.body {
            Body::Subsystem(id) if id.vendor != 0 && id.vendor != 0xffff => Some(id),
            _ => None,
        })
    }

    /// Whether a list of capabilities was read to its end. An unread list may hold anything.
    #[must_use]
    pub fn complete(&self, space: Space) -> bool {
        !self
            .faults
            .iter()
            .any(|fault| matches!(fault, Fault::ChainUnreadable { space: unread, .. } if *unread == space))
    }

    /// What decides whether and how the function can be passed to a VM.
    #[must_use]
    pub fn features(&self) -> Features {
        Features::of(self)
    }
}

/// Decodes what was read of a function.
///
/// ```
/// use slotwise_core::pci::{ConfigSpace, decode};
/// let mut bytes = [0u8; 64];
/// bytes[..4].copy_from_slice(&[0x04, 0x90, 0x78, 0x50]);
/// let function = decode(&ConfigSpace::from_bytes(&bytes))?;
/// assert_eq!(function.header.id.to_string(), "9004:5078");
/// # Ok::<(), slotwise_core::pci::DecodeError>(())
/// ```
pub fn decode(space: &ConfigSpace) -> Result<Function, DecodeError> {
    of_registers(&mut Registers::of(space))
}

/// Decodes a function that is read as needed, and returns what was read with it.
pub fn decode_with(source: &mut dyn ConfigReader) -> Result<(Function, ConfigSpace), DecodeError> {
    let mut registers = Registers::asking(source);
    let function = of_registers(&mut registers)?;
    Ok((function, registers.into_space()))
}

fn of_registers(registers: &mut Registers<'_>) -> Result<Function, DecodeError> {
    let header = header::decode(registers).ok_or(DecodeError::NoHeader)?;
    let mut faults = Vec::new();
    let kind = header.kind;
    if let HeaderKind::Unknown(value) = kind {
        faults.push(Fault::UnknownHeaderType(value));
    } else if (0x10..0x40).step_by(4).any(|offset| registers.u32(offset).is_none()) {
        faults.push(Fault::HeaderUnreadable { kind });
    }
    let bars = bar::decode(registers, kind, header.command, &mut faults);
    let bridge = match kind {
        HeaderKind::Bridge => bridge::decode_bridge(registers, &mut faults),
        _ => None,
    };
    let cardbus = match kind {
        HeaderKind::CardBus => bridge::decode_cardbus(registers),
        _ => None,
    };
    let capabilities = capability::walk(registers, &header, &mut faults);
    Ok(Function { header, bars, bridge, cardbus, capabilities, faults })
}

#[cfg(test)]
mod tests {
    use super::super::capability::PortType;
    use super::super::features::Feature;
    use super::*;
    use proptest::prelude::*;

    /// A space with `words` written at their offsets, all else zero.
    fn space(size: usize, words: &[(usize, u32)]) -> ConfigSpace {
        let mut bytes = vec![0; size];
        for (offset, word) in words {
            bytes[*offset..offset + 4].copy_from_slice(&word.to_le_bytes());
        }
        ConfigSpace::from_bytes(&bytes)
    }

    fn decoded(size: usize, words: &[(usize, u32)]) -> Function {
        decode(&space(size, words)).expect("the first 16 bytes are there")
    }

    const WITH_LIST: (usize, u32) = (0x04, 0x0010_0000);

    #[test]
    fn capabilities_are_listed_in_the_order_of_their_links() {
        let function = decoded(256, &[WITH_LIST, (0x34, 0x80), (0x80, 0x4001), (0x40, 0x0103_0005)]);
        let seen: Vec<_> = function.capabilities.iter().map(|c| (c.offset, c.name)).collect();
        assert_eq!(seen, [(0x80, "power-management"), (0x40, "msi")]);
        let features = function.features();
        assert_eq!(
            (features.msi_vectors, features.pm_reset, features.flr),
            (Some(2), Some(true), Some(false))
        );
        assert_eq!((features.acs, function.faults), (Feature::Absent, vec![]));
    }

    #[test]
    fn without_the_status_bit_there_is_no_list() {
        assert_eq!(decoded(256, &[(0x34, 0x40), (0x40, 1)]).capabilities, []);
    }

    #[test]
    fn a_list_that_loops_ends_and_says_so() {
        let function = decoded(256, &[WITH_LIST, (0x34, 0x40), (0x40, 0x4001)]);
        assert_eq!(function.capabilities.len(), 1);
        assert_eq!(function.faults, [Fault::ChainLooped { space: Space::Standard, offset: 0x40 }]);
    }

    #[test]
    fn id_ff_breaks_the_standard_list() {
        let function = decoded(256, &[WITH_LIST, (0x34, 0x40), (0x40, 0x50ff)]);
        assert_eq!(function.capabilities, []);
        assert_eq!(function.faults, [Fault::ChainBroken { space: Space::Standard, offset: 0x40 }]);
    }

    #[test]
    fn what_was_not_read_is_unknown_not_absent() {
        let function = decoded(64, &[WITH_LIST, (0x34, 0x40)]);
        assert_eq!(function.faults, [Fault::ChainUnreadable { space: Space::Standard, offset: 0x40 }]);
        assert_eq!(function.features(), Features::unknown());

        let express = decoded(256, &[WITH_LIST, (0x34, 0x40), (0x40, 0x0042_0010), (0x44, 1 << 28)]);
        assert_eq!(express.express().map(|e| e.port_type), Some(PortType::RootPort));
        let features = express.features();
        assert_eq!((features.flr, features.msix_vectors), (Some(true), Some(0)));
        assert_eq!((features.acs, features.sriov_total_vfs, features.ari), (Feature::Unknown, None, None));
    }

    #[test]
    fn links_into_the_header_are_listed_but_do_not_count() {
        let function = decoded(256, &[WITH_LIST, (0x34, 0x10), (0x10, 0x0001_0011)]);
        assert_eq!(function.capabilities.first().map(|c| c.name), Some("msi-x"));
        assert_eq!(function.faults.first(), Some(&Fault::Misplaced { space: Space::Standard, offset: 0x10 }));
        assert_eq!(function.features().msix_vectors, Some(0));
    }

    #[test]
    fn a_function_that_does_not_answer_has_no_known_features() {
        let function = decode(&ConfigSpace::from_bytes(&[0xff; 256])).expect("16 bytes");
        assert_eq!(function.header.kind, HeaderKind::Unknown(0x7f));
        assert_eq!(function.features(), Features::unknown());
    }

    #[test]
    fn extended_capabilities_of_mode_1_pci_x_are_known_to_be_absent() {
        let function = decoded(256, &[WITH_LIST, (0x34, 0x40), (0x40, 0x0007)]);
        assert_eq!((function.features().acs, function.faults), (Feature::Absent, vec![]));
    }

    #[test]
    fn a_bridge_says_its_subsystem_in_a_capability() {
        let bridge = (0x0c, 0x0001_0000);
        let function = decoded(256, &[WITH_LIST, bridge, (0x34, 0x40), (0x40, 0x0d), (0x44, 0x7270_8086)]);
        assert_eq!(function.subsystem(), Some(PciId { vendor: 0x8086, device: 0x7270 }));
    }

    #[test]
    fn a_live_reader_is_asked_for_headers_and_lists_only() {
        let space = space(
            4096,
            &[WITH_LIST, (0x34, 0x40), (0x40, 0x0092_0010), (0x100, 0x1500_0003), (0x150, 0x0001_000d)],
        );
        let mut reads = Vec::new();
        let mut source = |offset: u16| {
            reads.push(offset);
            space.u32(offset)
        };
        let (function, read) = decode_with(&mut source).expect("header");
        assert_eq!(function, decode(&space).expect("header"));
        assert_eq!(decode(&read), Ok(function));
        // 16 of the header; flags, device capabilities and control, second set (2) of PCI Express; serial number 3;
        // ACS 2.
        assert_eq!(reads.len(), 16 + 5 + 3 + 2, "{reads:x?}");
    }

    /// Bytes that look like configuration space often enough for the lists to be followed.
    fn plausible() -> impl Strategy<Value = Vec<u8>> {
        let sizes = prop_oneof![Just(64usize), Just(256), Just(4096), 0usize..4096];
        let links = prop::collection::vec((any::<u16>(), any::<u32>()), 0..60);
        (sizes, any::<u64>(), links).prop_map(|(size, seed, links)| {
            let mut bytes = vec![0u8; size];
            let mut put = |at: usize, value: u8| {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            };
            put(0x06, 0x10);
            put(0x0e, u8::try_from(seed % 3).unwrap_or(0));
            put(0x34, 0x40);
            put(0x14, 0x40);
            put(0x40, 0x10);
            for (at, value) in links {
                let at = usize::from(at & 0xffc);
                let at = if value & 1 == 1 { at } else { at & 0xff };
                for (n, byte) in value.to_le_bytes().into_iter().enumerate() {
                    put(at + n, byte);
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded(bytes in prop::collection::vec(any::<u8>(), 0..4097)) {
            let decoded = decode(&ConfigSpace::from_bytes(&bytes));
            prop_assert_eq!(decoded.is_ok(), bytes.len() >= 16);
        }

        #[test]
        fn lists_end_and_capabilities_are_distinct(bytes in plausible()) {
            if let Ok(function) = decode(&ConfigSpace::from_bytes(&bytes)) {
                let mut places: Vec<_> = function.capabilities.iter().map(|c| (c.space, c.offset)).collect();
                places.sort_unstable();
                places.dedup();
                prop_assert_eq!(places.len(), function.capabilities.len());
                prop_assert!(function.capabilities.len() <= 64 + 1024);
                let _ = function.features();
            }
        }

        #[test]
        fn bytes_may_be_missing_anywhere(bytes in plausible(), holes in prop::collection::vec(0u16..4096, 0..200)) {
            let mut space = ConfigSpace::empty();
            for (at, byte) in (0u16..).zip(bytes) {
                if at < 16 || !holes.contains(&at) {
                    space.set(at, byte);
                }
            }
            let _ = decode(&space).map(|function| function.features());
        }
    }
}
