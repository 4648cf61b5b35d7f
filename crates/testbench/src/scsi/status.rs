//! Status bytes (X3.131-1994, 7.3, table 27), and what Linux says where no device answered.

use std::fmt;

/// A status byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// The command was carried out.
    pub const GOOD: Self = Self(0x00);
    /// There is sense to fetch.
    pub const CHECK_CONDITION: Self = Self(0x02);

    /// Names in files, in the order of the codes. Bits 0, 6 and 7 are reserved.
    const NAMES: [(&'static str, u8); 9] = [
        ("good", 0x00),
        ("check-condition", 0x02),
        ("condition-met", 0x04),
        ("busy", 0x08),
        ("intermediate", 0x10),
        ("intermediate-condition-met", 0x14),
        ("reservation-conflict", 0x18),
        ("command-terminated", 0x22),
        ("queue-full", 0x28),
    ];

    /// All names, for messages.
    pub(crate) fn names() -> String {
        Self::NAMES.map(|(name, _)| name).join(", ")
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(own, _)| *own == name).map(|(_, code)| Self(*code))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, code)| *code == self.0) {
            Some((name, _)) => f.write_str(&name.to_uppercase().replace('-', " ")),
            None => write!(f, "reserved status {:02X}h", self.0),
        }
    }
}

/// The name of an adapter driver's result (Linux 6.1, `include/scsi/scsi_status.h`, `enum scsi_host_status`).
pub fn host_status_name(code: u16) -> &'static str {
    match code {
        0x00 => "DID_OK",
        0x01 => "DID_NO_CONNECT",
        0x02 => "DID_BUS_BUSY",
        0x03 => "DID_TIME_OUT",
        0x04 => "DID_BAD_TARGET",
        0x05 => "DID_ABORT",
        0x06 => "DID_PARITY",
        0x07 => "DID_ERROR",
        0x08 => "DID_RESET",
        0x09 => "DID_BAD_INTR",
        0x0a => "DID_PASSTHROUGH",
        0x0b => "DID_SOFT_ERROR",
        0x0c => "DID_IMM_RETRY",
        0x0d => "DID_REQUEUE",
        0x0e => "DID_TRANSPORT_DISRUPTED",
        0x0f => "DID_TRANSPORT_FAILFAST",
        0x14 => "DID_TRANSPORT_MARGINAL",
        _ => "unknown host status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_agree() {
        for (name, code) in Status::NAMES {
            assert_eq!(Status::from_name(name), Some(Status(code)));
        }
        assert_eq!(Status::CHECK_CONDITION.to_string(), "CHECK CONDITION");
        assert_eq!(Status(0x01).to_string(), "reserved status 01h");
    }
}
