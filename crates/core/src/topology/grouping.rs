//! Which IOMMU group the kernel would put a function in, from bridges and isolation alone.
//!
//! The way is that of `drivers/iommu/iommu.c: pci_device_group`: from the function, or the topmost bridge that hides its
//! requester id, up while the ports above do not isolate, then together with the other functions of the device that do
//! not isolate. What the kernel knows of single chips (`drivers/pci/quirks.c: pci_dev_acs_enabled`, aliases) is not known
//! here: where it may matter the answer is unknown. Access control counts where the port has it: the kernel switches it
//! on with the IOMMU (`drivers/pci/pci.c: pci_enable_acs`).

use super::{MAX_DEPTH, Topology};
use crate::pci::{Feature, PciAddress, PortType, decode};

/// Functions with the same leader are in one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// In a group with this function, and all that have the same one.
    With(PciAddress),
    /// What decides could not be read.
    Unknown,
}

/// Vendors whose root ports isolate without saying so (`quirks.c: pci_quirk_intel_pch_acs`, `pci_quirk_amd_sb_acs` and
/// their like): without the capability nothing can be told of them.
const QUIRKED: [u16; 2] = [0x8086, 0x1022];

impl Topology {
    /// The group that a function would be in.
    #[must_use]
    pub fn grouping(&self, address: PciAddress) -> Grouping {
        match self.leader(address, MAX_DEPTH) {
            Some(leader) => Grouping::With(leader),
            None => Grouping::Unknown,
        }
    }

    fn leader(&self, address: PciAddress, depth: usize) -> Option<PciAddress> {
        let depth = depth.checked_sub(1)?;
        let at = self.hidden_by(address)?;
        if let Some(parent) = self.function(at)?.parent.known().copied()
            && !self.path_isolates(parent)?
        {
            return self.leader(parent, depth);
        }
        if self.device_functions(at).nth(1).is_none() || self.isolates(at)? {
            return Some(at);
        }
        let mut together = None;
        for function in self.device_functions(at) {
            if !self.isolates(function.address)? && together.is_none() {
                together = Some(function.address);
            }
        }
        together.or(Some(at))
    }

    /// The topmost bridge that puts its own id in the place of the function's, or the function itself.
    fn hidden_by(&self, address: PciAddress) -> Option<PciAddress> {
        let (mut below, mut hidden) = (address, address);
        for bridge in self.bridges_above(address) {
            if !self.is_express(below)? {
                hidden = bridge;
            }
            below = bridge;
        }
        Some(hidden)
    }

    /// Whether nothing from `bridge` up lets requests pass to a peer.
    fn path_isolates(&self, bridge: PciAddress) -> Option<bool> {
        for port in std::iter::once(bridge).chain(self.bridges_above(bridge)) {
            if !self.isolates(port)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// `pci_acs_enabled`: ports by their capability, functions of one-function devices by having no peer.
    fn isolates(&self, address: PciAddress) -> Option<bool> {
        if !self.is_express(address)? {
            return Some(false);
        }
        let function = self.function(address)?;
        let decoded = decode(function.config.known()?).ok()?;
        let acs = || match decoded.features().acs {
            Feature::Present(_) => Some(true),
            Feature::Absent => {
                let vendor = function.id.known()?.vendor;
                (!QUIRKED.contains(&vendor)).then_some(false)
            }
            Feature::Unknown => None,
        };
        match decoded.express()?.port_type {
            PortType::RootPort | PortType::DownstreamPort => acs(),
            PortType::PcieToPciBridge | PortType::PciToPcieBridge => Some(false),
            _ if self.device_functions(address).nth(1).is_none() => Some(true),
            _ => acs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{address, topology};
    use super::*;

    /// Two root ports, the first with access control: a card below each, and a card behind a bridge.
    const HOST: &str = "
        device 0000:00:01.0 class=060400 id=1b36:000c config=4096,04:00100000,0c:00010000,34:40,40:00420010,100:0001000d,104:001d001d
        device 0000:00:02.0 class=060400 id=1b36:000c config=4096,04:00100000,0c:00010000,34:40,40:00420010
        device 0000:01:00.0 class=010802 id=1b36:0010 parent=0000:00:01.0 config=4096,04:00100000,34:40,40:00020010
        device 0000:02:00.0 class=010802 id=1b36:0010 parent=0000:00:02.0 config=4096,04:00100000,34:40,40:00020010
        device 0000:03:00.0 class=060400 id=12d8:e111 parent=0000:00:01.0 config=4096,04:00100000,0c:00010000,34:40,40:00720010
        device 0000:04:04.0 class=010000 conventional parent=0000:03:00.0
        device 0000:04:05.0 class=010000 conventional parent=0000:03:00.0";

    fn of(host: &str, at: &str) -> Option<String> {
        match topology(host).grouping(address(at)) {
            Grouping::With(leader) => Some(leader.to_string()),
            Grouping::Unknown => None,
        }
    }

    #[test]
    fn a_port_that_isolates_leaves_its_card_alone() {
        assert_eq!(of(HOST, "0000:01:00.0").as_deref(), Some("0000:01:00.0"));
        assert_eq!(of(HOST, "0000:02:00.0").as_deref(), Some("0000:00:02.0"));
    }

    #[test]
    fn cards_behind_one_bridge_are_together_with_it() {
        for card in ["0000:04:04.0", "0000:04:05.0", "0000:03:00.0"] {
            assert_eq!(of(HOST, card).as_deref(), Some("0000:03:00.0"), "{card}");
        }
    }

    #[test]
    fn functions_of_one_device_are_together_unless_they_isolate() {
        let host = HOST.to_owned()
            + "\ndevice 0000:01:00.1 class=040300 id=1b36:0010 parent=0000:00:01.0 config=4096,04:00100000,34:40,40:00020010";
        assert_eq!(of(&host, "0000:01:00.1").as_deref(), Some("0000:01:00.0"));
    }

    #[test]
    fn what_could_not_be_read_or_is_a_chips_secret_is_unknown() {
        assert_eq!(of(&HOST.replace("id=1b36:000c", "id=8086:a33c"), "0000:02:00.0"), None);
        assert_eq!(
            of("device 0000:00:01.0 class=060400\ndevice 0000:01:00.0 parent=0000:00:01.0", "0000:01:00.0"),
            None
        );
    }
}
