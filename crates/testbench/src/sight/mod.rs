//! What a guest's own drivers make of a device: whether they see the function, list the disk, read the right sectors,
//! boot from it.
//!
//! A guest need carry no commands for this: its firmware, its boot loader or its own tools tell, in words of their own.
//! A guest that does carry commands is asked by commands, so that the same cases give comparable results everywhere.
//! What is right is what was declared of the device, or what an earlier guest of the run has told ([`Reference`]).

mod by_commands;
mod judge;
pub mod marks;

use slotwise_core::pci::PciId;

pub(crate) use by_commands::{capacity, function_of, look, write_marks};
pub(crate) use judge::{Judgement, Question, judge};

use crate::capability::Capability;

/// What a case wants to know of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The function under test is on the guest's PCI bus, with its ids.
    Function,
    /// The disk is listed with its vendor and product.
    Name,
    /// The disk is listed with its size.
    Size,
    /// These sectors are read as they are.
    Sectors(Vec<Place>),
    /// The disk's boot record is started.
    Boot,
    /// Writes boot record and marks, for the guests that can only read.
    Marks,
}

/// A sector of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By its logical block address.
    At(u64),
    /// The last there is.
    Last,
}

impl Observation {
    /// What a guest must be able to do for it.
    #[must_use]
    pub fn needs(&self) -> Capability {
        match self {
            Self::Function => Capability::ListsFunctions,
            Self::Name => Capability::NamesDisks,
            Self::Size => Capability::ListsDisks,
            Self::Sectors(_) => Capability::ReadsSectors,
            Self::Boot => Capability::BootsDisk,
            Self::Marks => Capability::Commands,
        }
    }
}

/// A question to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Which functions are on your PCI bus?
    Functions,
    /// Which disks do you list?
    Disks,
    /// What is in this sector?
    Sector(u64),
    /// Did the disk boot?
    Boot,
}

/// A guest's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The functions, in the guest's order.
    Functions(Vec<PciId>),
    /// The disks, in the guest's order.
    Disks(Vec<SeenDisk>),
    /// The sector's content as text; marks are text (see [`marks`]).
    Sector(String),
    /// What the boot record said.
    Boot(String),
    /// The guest does not show any such thing.
    Nothing,
    /// The guest has no driver for the device, so it cannot show any such thing.
    NoDriver,
}

/// A disk as a guest lists it. What it does not tell is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenDisk {
    /// Vendor identification.
    pub vendor: Option<String>,
    /// Product identification.
    pub product: Option<String>,
    /// How big it is.
    pub size: Option<SeenSize>,
}

/// A size as a guest tells it, with the coarseness of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenSize {
    /// In bytes, rounded to `unit_bytes`.
    pub bytes: u64,
    /// The unit the guest counts in, in bytes.
    pub unit_bytes: u64,
}

/// What is known of the device under test, to hold sights against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The PCI function it is, or sits behind.
    pub function: Option<PciId>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// Whether boot record and marks are on it.
    pub marked: bool,
}
