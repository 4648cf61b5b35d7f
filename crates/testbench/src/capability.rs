//! What a way to a device can carry beyond "send a command, get status, data, sense and residual".
//!
//! A transport has some of these; a case that needs one it has not is skipped with that reason. The list follows from
//! what each system's pass-through interface lets a program reach.

use std::collections::BTreeSet;

use serde_spanned::Spanned;

use crate::source::{FileError, Source};

/// One thing a transport may be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// No disk or CD driver is bound, so nothing else sends commands to the device.
    SdUnbound,
    /// What was not moved of a buffer is reported exactly, so that the length of an answer is known.
    Residual,
    /// Sense stays in the device until a case asks for it.
    RawSense,
    /// Tag types can be chosen.
    TagType,
    /// The LUN of the IDENTIFY message can be chosen freely, and that in the command reaches the device.
    LunChoice,
    /// A command can be sent without an IDENTIFY message, so that its own LUN counts.
    NoIdentify,
    /// A second initiator.
    TwoInitiators,
    /// Messages, phases and parity.
    Messages,
    /// The link bit.
    Link,
    /// Resets of device or bus.
    Reset,
    /// The bench can switch the device off and on.
    Power,
    /// The bench can change the medium.
    Medium,
    /// SCSI commands of the bench's choice.
    Commands,
    /// Operations on the device's PCI function: registers, driver, resets.
    Function,
    /// The guest tells which functions are on its PCI bus.
    ListsFunctions,
    /// The guest tells which disks it found.
    ListsDisks,
    /// The guest tells vendor or product of the disks it found.
    NamesDisks,
    /// The guest shows what is in a sector.
    ReadsSectors,
    /// The guest starts what the disk has to boot.
    BootsDisk,
}

impl Capability {
    /// All there are.
    pub const ALL: [Self; 19] = [
        Self::SdUnbound,
        Self::Residual,
        Self::RawSense,
        Self::TagType,
        Self::LunChoice,
        Self::NoIdentify,
        Self::TwoInitiators,
        Self::Messages,
        Self::Link,
        Self::Reset,
        Self::Power,
        Self::Medium,
        Self::Commands,
        Self::Function,
        Self::ListsFunctions,
        Self::ListsDisks,
        Self::NamesDisks,
        Self::ReadsSectors,
        Self::BootsDisk,
    ];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SdUnbound => "sd-unbound",
            Self::Residual => "residual",
            Self::RawSense => "raw-sense",
            Self::TagType => "tag-type",
            Self::LunChoice => "lun-choice",
            Self::NoIdentify => "no-identify",
            Self::TwoInitiators => "two-initiators",
            Self::Messages => "messages",
            Self::Link => "link",
            Self::Reset => "reset",
            Self::Power => "power",
            Self::Medium => "medium",
            Self::Commands => "commands",
            Self::Function => "function",
            Self::ListsFunctions => "lists-functions",
            Self::ListsDisks => "lists-disks",
            Self::NamesDisks => "names-disks",
            Self::ReadsSectors => "reads-sectors",
            Self::BootsDisk => "boots-disk",
        }
    }

    pub(crate) fn read(name: &Spanned<String>, source: &Source<'_>) -> Result<Self, FileError> {
        Self::ALL.into_iter().find(|capability| capability.name() == name.get_ref()).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            let message = format!("no capability `{}`", name.get_ref());
            source.error_with_hint(&name.span(), message, format!("one of {names}"))
        })
    }
}

/// What a transport has, or a case needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// Commands, status, data, sense fetched by the adapter's driver, residual: nothing more.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Adds one.
    pub fn insert(&mut self, capability: Capability) {
        self.0.insert(capability);
    }

    /// Takes one away.
    pub fn remove(&mut self, capability: Capability) {
        self.0.remove(&capability);
    }

    /// Whether it is here.
    pub fn has(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// What of `needed` is not here.
    pub fn missing<'a>(&'a self, needed: &'a Self) -> impl Iterator<Item = Capability> + 'a {
        needed.0.difference(&self.0).copied()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}
