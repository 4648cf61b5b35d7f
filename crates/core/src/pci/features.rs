//! What decides whether and how a function can be passed to a VM, drawn from its capabilities.
//!
//! Only capabilities where the kernel would find them count: it ends a list at a link into the header (see
//! [`Fault::Misplaced`]). Where a list or a register could not be read the answer is unknown, never "no".

use super::capability::{AccessControl, Body, Capability, ResizableBar, Space};
use super::fault::Fault;
use super::function::Function;

/// Something that a function has, has not, or that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature<T> {
    /// The function has it.
    Present(T),
    /// The function was read and has it not.
    Absent,
    /// What would say so could not be read.
    Unknown,
}

impl<T> Feature<T> {
    /// The value, if the function has it.
    pub const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Whether the function has it; none if unknown.
    pub const fn is_present(&self) -> Option<bool> {
        match self {
            Self::Present(_) => Some(true),
            Self::Absent => Some(false),
            Self::Unknown => None,
        }
    }

    /// The value, `absent` if the function has it not, none if unknown.
    pub fn known_or(self, absent: T) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent => Some(absent),
            Self::Unknown => None,
        }
    }
}

/// The features of one function; none where the answer could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// Function-level reset of PCI Express.
    pub flr: Option<bool>,
    /// Function-level reset of the AF capability, usable: the kernel wants pending transactions with it.
    pub af_flr: Option<bool>,
    /// Going to D3hot and back resets the function.
    pub pm_reset: Option<bool>,
    /// Vectors of MSI that the function asks for, 0 without MSI.
    pub msi_vectors: Option<u16>,
    /// Vectors of MSI-X, 0 without MSI-X.
    pub msix_vectors: Option<u16>,
    /// Access control services.
    pub acs: Feature<AccessControl>,
    /// Alternative routing-id interpretation.
    pub ari: Option<bool>,
    /// Address translation services.
    pub ats: Option<bool>,
    /// Virtual functions that there can be, 0 without SR-IOV.
    pub sriov_total_vfs: Option<u16>,
    /// BARs whose size can be chosen, empty without the capability.
    pub resizable_bars: Option<Vec<ResizableBar>>,
}

impl Features {
    /// Nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            flr: None,
            af_flr: None,
            pm_reset: None,
            msi_vectors: None,
            msix_vectors: None,
            acs: Feature::Unknown,
            ari: None,
            ats: None,
            sriov_total_vfs: None,
            resizable_bars: None,
        }
    }

    pub(super) fn of(function: &Function) -> Self {
        if function.faults.iter().any(|fault| matches!(fault, Fault::UnknownHeaderType(_))) {
            return Self::unknown();
        }
        Self {
            flr: find(function, Space::Standard, 0x10, |body| match body {
                Body::Express(express) => express.device.map(|device| device.flr),
                _ => None,
            })
            .known_or(false),
            af_flr: find(function, Space::Standard, 0x13, |body| match body {
                Body::AdvancedFeatures(af) => Some(af.flr && af.transactions_pending_capable),
                _ => None,
            })
            .known_or(false),
            pm_reset: find(function, Space::Standard, 0x01, |body| match body {
                Body::PowerManagement(power) => power.no_soft_reset.map(|kept| !kept),
                _ => None,
            })
            .known_or(false),
            msi_vectors: find(function, Space::Standard, 0x05, |body| match body {
                Body::Msi(msi) => Some(msi.vectors),
                _ => None,
            })
            .known_or(0),
            msix_vectors: find(function, Space::Standard, 0x11, |body| match body {
                Body::MsiX(msix) => Some(msix.vectors),
                _ => None,
            })
            .known_or(0),
            acs: find(function, Space::Extended, 0x0d, |body| match body {
                Body::AccessControl(acs) => Some(*acs),
                _ => None,
            }),
            ari: find(function, Space::Extended, 0x0e, |_| Some(())).is_present(),
            ats: find(function, Space::Extended, 0x0f, |_| Some(())).is_present(),
            sriov_total_vfs: find(function, Space::Extended, 0x10, |body| match body {
                Body::SrIov(sriov) => Some(sriov.total_vfs),
                _ => None,
            })
            .known_or(0),
            resizable_bars: find(function, Space::Extended, 0x15, |body| match body {
                Body::ResizableBars(bars) => Some(bars.clone()),
                _ => None,
            })
            .known_or(Vec::new()),
        }
    }
}

/// The first capability with this id, where the kernel would find it.
fn find<T>(function: &Function, space: Space, id: u16, value: impl FnOnce(&Body) -> Option<T>) -> Feature<T> {
    let floor = match space {
        Space::Standard => 0x40,
        Space::Extended => 0x100,
    };
    let reachable = |c: &&Capability| c.offset >= floor;
    let list = function.capabilities.iter().filter(|c| c.space == space);
    match list.take_while(reachable).find(|c| c.id == id) {
        Some(capability) => value(&capability.body).map_or(Feature::Unknown, Feature::Present),
        None if complete(function, space) => Feature::Absent,
        None => Feature::Unknown,
    }
}

/// Whether a list is known to its end. The extended list depends on the standard one, which says whether there is any.
fn complete(function: &Function, space: Space) -> bool {
    match space {
        Space::Standard => function.complete(space),
        Space::Extended => function.complete(Space::Standard) && function.complete(space),
    }
}
