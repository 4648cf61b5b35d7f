//! From where and how a command reaches the device, and what the bench does to the device between commands.

/// From where and how commands are sent. The default is what every transport can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// Who sends.
    pub initiator: Initiator,
    /// The LUN of the IDENTIFY message; without one the device takes the LUN of the command (X3.131-1994, 7.2.2).
    pub identify: Option<u8>,
    /// Who fetches sense.
    pub sense: SenseFetch,
}

/// Who sends a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The one that every transport has.
    #[default]
    First,
    /// The other one on the same bus.
    Second,
}

/// Who fetches sense when a command ends with CHECK CONDITION.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SenseFetch {
    /// The adapter's driver, at once.
    #[default]
    Automatic,
    /// Nobody: it stays in the device until a REQUEST SENSE.
    Left,
}

/// What the bench does to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Off and on again.
    PowerCycle,
    /// RESET condition on the bus (6.2.2).
    BusReset,
    /// BUS DEVICE RESET message (6.6.3).
    DeviceReset,
    /// Another medium, put in by hand.
    ChangeMedium,
    /// The medium's write protection switched on.
    ProtectMedium,
    /// The medium's write protection switched off.
    UnprotectMedium,
}

impl Event {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::PowerCycle,
        Self::BusReset,
        Self::DeviceReset,
        Self::ChangeMedium,
        Self::ProtectMedium,
        Self::UnprotectMedium,
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::PowerCycle => "power-cycle",
            Self::BusReset => "bus-reset",
            Self::DeviceReset => "device-reset",
            Self::ChangeMedium => "change-medium",
            Self::ProtectMedium => "protect-medium",
            Self::UnprotectMedium => "unprotect-medium",
        }
    }
}
