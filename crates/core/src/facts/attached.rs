//! What people and the host see, hear and type through a function: screens, consoles, inputs, sound, USB devices.
//!
//! Each is told with the PCI function that it hangs under, if it hangs under one; what it means to lose it is for others.

use super::Fact;
use crate::pci::{PciAddress, PciId};

/// A connector of a graphics card (`drivers/gpu/drm/drm_sysfs.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Name of the connector without its card, for example `HDMI-A-1`.
    pub connector: String,
    /// The card, for example `card0`.
    pub card: String,
    /// The PCI function of the card.
    pub function: Option<PciAddress>,
    /// Whether a screen was seen at it when it was last probed; absent where the driver cannot tell.
    pub connected: Fact<bool>,
    /// Whether a picture is sent through it.
    pub enabled: Fact<bool>,
}

/// A frame buffer device (`drivers/video/fbdev/core/fbsysfs.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramebufferDevice {
    /// Kernel name, for example `fb0`.
    pub name: String,
    /// Its driver's name for itself, for example `i915drmfb`.
    pub label: Option<String>,
    /// The PCI function below; absent for `efifb` and its kin, which stand on what firmware left.
    pub function: Option<PciAddress>,
}

/// A console that kernel messages go to (`fs/proc/consoles.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Name, for example `tty0`, `ttyS0`.
    pub name: String,
    /// Whether messages go to it now (flag `E`).
    pub enabled: bool,
    /// Whether it is the one behind `/dev/console` (flag `C`).
    pub preferred: bool,
    /// The PCI function of a serial port; absent for virtual terminals and ports of the board.
    pub function: Option<PciAddress>,
}

/// What draws virtual terminals (`drivers/tty/vt/vt.c`: `/sys/class/vtconsole`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VtConsole {
    /// Kernel name, for example `vtcon1`.
    pub name: String,
    /// What it says of itself, for example `(M) frame buffer device`.
    pub label: Option<String>,
    /// Whether terminals are drawn by it now.
    pub bound: Fact<bool>,
}

/// Something that people type on, point with or press (`drivers/input/input.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDevice {
    /// Kernel name, for example `input3`.
    pub name: String,
    /// What it says of itself.
    pub label: Option<String>,
    /// The PCI function below.
    pub function: Option<PciAddress>,
}

/// A sound card (`sound/core/init.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundCard {
    /// Kernel name, for example `card0`.
    pub name: String,
    /// Its short name, for example `PCH`.
    pub label: Option<String>,
    /// The PCI function below.
    pub function: Option<PciAddress>,
}

/// A USB device (`drivers/usb/core/sysfs.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbDevice {
    /// Kernel name: bus, and the ports on the way (`1-1.4`); `usb1` for the root hub of a bus.
    pub name: String,
    /// Bus number; with `device` the node is `/dev/bus/usb/BBB/DDD`.
    pub bus: Fact<u16>,
    /// Device number on its bus.
    pub device: Fact<u16>,
    /// Vendor and product.
    pub id: Fact<PciId>,
    /// Manufacturer and product in its own words.
    pub label: Option<String>,
    /// Whether it is a hub (class 9, USB 2.0 §11.23.1); root hubs are.
    pub hub: bool,
    /// The PCI function of the host controller.
    pub function: Option<PciAddress>,
}

/// What people and the host see, hear and type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachedFacts {
    /// Connectors of graphics cards.
    pub screens: Fact<Vec<Screen>>,
    /// Frame buffer devices.
    pub framebuffers: Fact<Vec<FramebufferDevice>>,
    /// Consoles of the kernel.
    pub consoles: Fact<Vec<Console>>,
    /// Drawers of virtual terminals.
    pub vt_consoles: Fact<Vec<VtConsole>>,
    /// Keyboards, mice, buttons.
    pub inputs: Fact<Vec<InputDevice>>,
    /// Sound cards.
    pub sound_cards: Fact<Vec<SoundCard>>,
    /// USB devices.
    pub usb: Fact<Vec<UsbDevice>>,
}
