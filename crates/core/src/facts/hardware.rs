//! Which processor and which firmware a host has, and the device nodes that VFIO is used by.

use super::Fact;

/// The first processor (`arch/x86/kernel/cpu/proc.c: show_cpuinfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuFacts {
    /// `GenuineIntel`, `AuthenticAMD` …
    pub vendor: Fact<String>,
    /// Model name.
    pub model: Fact<String>,
    /// Family, model, stepping, in decimal as printed.
    pub signature: Fact<(u32, u32, u32)>,
    /// How many processors are online (`/sys/devices/system/cpu/online`).
    pub online: Fact<u32>,
    /// Width of physical addresses in bits.
    pub physical_bits: Fact<u8>,
    /// Width of virtual addresses in bits.
    pub virtual_bits: Fact<u8>,
    /// Those of its flags that decide about guests and devices, in the order printed.
    pub flags: Fact<Vec<String>>,
}

/// Names of board and firmware (SMBIOS 3.7 §7.1 to §7.4; `drivers/firmware/dmi-id.c`). Serial numbers are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareFacts {
    /// Maker of the system.
    pub system_vendor: Fact<String>,
    /// Name of the system; on hosts with a device tree its `model`.
    pub product: Fact<String>,
    /// Maker of the board.
    pub board_vendor: Fact<String>,
    /// Name of the board.
    pub board: Fact<String>,
    /// Version of the board.
    pub board_version: Fact<String>,
    /// Maker of the firmware.
    pub bios_vendor: Fact<String>,
    /// Version of the firmware.
    pub bios_version: Fact<String>,
    /// Date of the firmware, as printed: MM/DD/YYYY.
    pub bios_date: Fact<String>,
    /// Whether the host was started by UEFI.
    pub uefi: Fact<bool>,
    /// Whether firmware checked signatures of what it started (variable `SecureBoot`, UEFI 2.10 §3.3).
    pub secure_boot: Fact<bool>,
}

/// Who may open a device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNode {
    /// Its path.
    pub path: String,
    /// Permission bits, the low twelve of `st_mode`.
    pub mode: u16,
    /// Owner.
    pub user_id: u32,
    /// Group.
    pub group_id: u32,
}
