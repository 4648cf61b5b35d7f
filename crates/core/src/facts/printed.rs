//! What a text says of configuration space in words, joined with what its bytes say.
//!
//! Bytes win where they were read to the end of a list; words fill in where they were not (`lspci -vvx` prints 64
//! bytes and all capabilities).

use super::FunctionFacts;
use super::lspci::{LspciBridge, LspciRegion};
use crate::pci::capability::capability_name;
use crate::pci::{self, Feature, Features, Space};

/// Configuration space as `lspci -v` puts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedConfig {
    /// Capabilities in the order of the text.
    pub capabilities: Vec<PrintedCapability>,
    /// Whether the standard list was printed to its end.
    pub standard_complete: bool,
    /// What the lines below the capabilities tell.
    pub features: Features,
    /// Regions in the order of the text, those that resources tell too included.
    pub regions: Vec<LspciRegion>,
    /// Bus numbers and windows of a bridge.
    pub bridge: Option<LspciBridge>,
}

/// A capability that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedCapability {
    /// Where it starts, in bytes.
    pub offset: u16,
    /// Which list it is in.
    pub space: Space,
    /// Its id; none if the text's name for it is not known.
    pub id: Option<u16>,
}

/// A capability, however it became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedCapability {
    /// Where it starts, in bytes.
    pub offset: u16,
    /// Which list it is in.
    pub space: Space,
    /// Its id; none if a text names it with an unknown name.
    pub id: Option<u16>,
    /// Its name in kebab case, `unknown` without one.
    pub name: &'static str,
}

impl FunctionFacts {
    /// What its configuration space says, as far as it was read.
    #[must_use]
    pub fn decoded(&self) -> Option<pci::Function> {
        self.config.known().and_then(|config| pci::decode(config).ok())
    }

    /// The capabilities: the standard list, then the extended one. What the bytes say, if they were read to the end of
    /// the standard list, else what a text names; none where neither was told at all.
    #[must_use]
    pub fn capabilities(&self) -> Option<Vec<ListedCapability>> {
        self.capabilities_by(self.decoded().as_ref())
    }

    /// The same, for who has decoded its configuration space already.
    #[must_use]
    pub fn capabilities_by(&self, decoded: Option<&pci::Function>) -> Option<Vec<ListedCapability>> {
        let words = self.printed.as_deref().map(PrintedConfig::listed).unwrap_or_default();
        match decoded {
            Some(decoded) if decoded.complete(Space::Standard) => return Some(of_bytes(decoded)),
            Some(decoded) if decoded.capabilities.len() > words.len() => return Some(of_bytes(decoded)),
            _ => {}
        }
        let told =
            !words.is_empty() || self.printed.as_ref().is_some_and(|printed| printed.standard_complete);
        told.then_some(words)
    }

    /// Capabilities that a text names beyond those that [`Self::capabilities`] gives: extended ones beside a dump of the
    /// first 256 bytes.
    #[must_use]
    pub fn further_capabilities(&self) -> Vec<ListedCapability> {
        let mut words = self.printed.as_deref().map(PrintedConfig::listed).unwrap_or_default();
        if words.is_empty() {
            return words;
        }
        let listed = self.capabilities().unwrap_or_default();
        words.retain(|word| !listed.iter().any(|c| (c.space, c.offset) == (word.space, word.offset)));
        words
    }

    /// What decides whether and how the function can be passed to a VM: what the bytes say, else the words.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features_by(self.decoded().as_ref())
    }

    /// The same, for who has decoded its configuration space already.
    #[must_use]
    pub fn features_by(&self, decoded: Option<&pci::Function>) -> Features {
        let bytes = decoded.map_or_else(Features::unknown, pci::Function::features);
        let Some(words) = self.printed.as_deref().map(|printed| &printed.features) else { return bytes };
        Features {
            flr: bytes.flr.or(words.flr),
            af_flr: bytes.af_flr.or(words.af_flr),
            pm_reset: bytes.pm_reset.or(words.pm_reset),
            msi_vectors: bytes.msi_vectors.or(words.msi_vectors),
            msix_vectors: bytes.msix_vectors.or(words.msix_vectors),
            acs: if bytes.acs == Feature::Unknown { words.acs } else { bytes.acs },
            ari: bytes.ari.or(words.ari),
            ats: bytes.ats.or(words.ats),
            sriov_total_vfs: bytes.sriov_total_vfs.or(words.sriov_total_vfs),
            resizable_bars: bytes.resizable_bars.or_else(|| words.resizable_bars.clone()),
        }
    }
}

impl PrintedConfig {
    fn listed(&self) -> Vec<ListedCapability> {
        let row = |c: &PrintedCapability| ListedCapability {
            offset: c.offset,
            space: c.space,
            id: c.id,
            name: c.id.map_or("unknown", |id| capability_name(c.space, id)),
        };
        self.capabilities.iter().map(row).collect()
    }
}

fn of_bytes(function: &pci::Function) -> Vec<ListedCapability> {
    let row = |c: &pci::Capability| ListedCapability {
        offset: c.offset,
        space: c.space,
        id: Some(c.id),
        name: c.name,
    };
    function.capabilities.iter().map(row).collect()
}
