//! The device models a machine may hold, and what each can do.
//!
//! Names are QEMU's (`qemu-system-x86_64 -device help`, 7.2).

/// A model of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceModel {
    /// PCI Express root port: one device behind it, in slot 0.
    PcieRootPort,
    /// PCI Express to conventional PCI bridge: slots 0–31 behind it.
    PciePciBridge,
    /// LSI 53C895A Ultra2 SCSI.
    Lsi53c895a,
    /// LSI 53C810 SCSI.
    Lsi53c810,
    /// Tekram DC-390 (AMD 53C974) SCSI.
    Dc390,
    /// Realtek RTL8139 Fast Ethernet.
    Rtl8139,
    /// Intel 82540EM Gigabit Ethernet.
    E1000,
    /// Intel 82574L Gigabit Ethernet, PCI Express.
    E1000e,
    /// NEC µPD720200 USB 3 host controller.
    NecUsbXhci,
    /// NVM Express controller with a namespace of 16 MiB that reads as zeros, PCI Express.
    Nvme,
    /// Inter-VM shared memory: a 64-bit prefetchable BAR of a chosen size.
    IvshmemPlain,
}

/// What a model is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Other devices sit behind it, in slots up to this number.
    Bridge {
        /// Highest slot behind it.
        last_slot: u8,
    },
    /// SCSI disks hang on it.
    Scsi,
    /// It is a network card.
    Network,
    /// It has memory of a chosen size.
    Memory,
    /// It has a disk of its own.
    Disk,
    /// It is just there.
    Plain,
}

impl DeviceModel {
    /// Every model, in the order of the documentation.
    pub const ALL: &'static [Self] = &[
        Self::PcieRootPort,
        Self::PciePciBridge,
        Self::Lsi53c895a,
        Self::Lsi53c810,
        Self::Dc390,
        Self::Rtl8139,
        Self::E1000,
        Self::E1000e,
        Self::NecUsbXhci,
        Self::Nvme,
        Self::IvshmemPlain,
    ];

    /// QEMU's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PcieRootPort => "pcie-root-port",
            Self::PciePciBridge => "pcie-pci-bridge",
            Self::Lsi53c895a => "lsi53c895a",
            Self::Lsi53c810 => "lsi53c810",
            Self::Dc390 => "dc390",
            Self::Rtl8139 => "rtl8139",
            Self::E1000 => "e1000",
            Self::E1000e => "e1000e",
            Self::NecUsbXhci => "nec-usb-xhci",
            Self::Nvme => "nvme",
            Self::IvshmemPlain => "ivshmem-plain",
        }
    }

    /// The model of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|model| model.name() == name)
    }

    /// What it is good for.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::PcieRootPort => Role::Bridge { last_slot: 0 },
            Self::PciePciBridge => Role::Bridge { last_slot: 31 },
            Self::Lsi53c895a | Self::Lsi53c810 | Self::Dc390 => Role::Scsi,
            Self::Rtl8139 | Self::E1000 | Self::E1000e => Role::Network,
            Self::IvshmemPlain => Role::Memory,
            Self::Nvme => Role::Disk,
            Self::NecUsbXhci => Role::Plain,
        }
    }

    /// Highest SCSI ID on the controller's bus; 7 is its own.
    #[must_use]
    pub const fn last_scsi_id(self) -> u8 {
        match self {
            // Wide SCSI; the others are narrow (SCSI-2 §5.2).
            Self::Lsi53c895a => 15,
            _ => 7,
        }
    }
}
