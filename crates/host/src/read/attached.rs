//! Screens, frame buffers, consoles, inputs, sound and USB devices, each with the PCI function it hangs under.
//!
//! `/sys/class/{drm,graphics,vtconsole,input,sound}`, `/sys/bus/usb/devices`, `/proc/consoles`. A connector's `status` is what
//! the last probe found; reading it probes nothing (`drivers/gpu/drm/drm_sysfs.c: status_show`). Serial numbers and what
//! screens say of themselves (EDID) are not read.

use slotwise_core::facts::{
    AttachedFacts, Console, Fact, FramebufferDevice, InputDevice, ReadFault, Screen, SoundCard, UsbDevice,
    VtConsole,
};
use slotwise_core::pci::{PciAddress, PciId};

use super::attributes::hex;
use super::block::{function_below, or_none};
use super::{ATTRIBUTE_BYTES, TEXT_BYTES, fact, malformed, text};
use crate::kernel::ReadHost;

/// The most entries of a class that are read.
const MOST: usize = 1 << 14;

/// `USB_CLASS_HUB` (`include/uapi/linux/usb/ch9.h`).
const USB_HUB: u64 = 9;

pub(super) fn attached(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> AttachedFacts {
    AttachedFacts {
        screens: each(host, "/sys/class/drm", |name| screen(host, name, faults)),
        framebuffers: each(host, "/sys/class/graphics", |name| framebuffer(host, name, faults)),
        consoles: fact(text(host, "/proc/consoles", TEXT_BYTES)).map(|text| {
            let rows = text.lines().take(MOST).filter_map(|row| console(host, row, faults));
            rows.collect()
        }),
        vt_consoles: each(host, "/sys/class/vtconsole", |name| Some(vt_console(host, name, faults))),
        inputs: each(host, "/sys/class/input", |name| input(host, name, faults)),
        sound_cards: each(host, "/sys/class/sound", |name| sound_card(host, name, faults)),
        usb: each(host, "/sys/bus/usb/devices", |name| usb(host, name, faults)),
    }
}

/// What `read` makes of the names in `directory`; none for names that are something else.
fn each<T>(host: &dyn ReadHost, directory: &str, read: impl FnMut(&str) -> Option<T>) -> Fact<Vec<T>> {
    fact(host.list(directory))
        .map(|names| names.iter().take(MOST).map(String::as_str).filter_map(read).collect())
}

/// The text of an attribute; none if it is empty or not there.
fn label(host: &dyn ReadHost, path: &str, faults: &mut Vec<ReadFault>) -> Option<String> {
    let text = or_none(text(host, path, ATTRIBUTE_BYTES), faults);
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn function(host: &dyn ReadHost, path: &str, faults: &mut Vec<ReadFault>) -> Option<PciAddress> {
    function_below(&or_none(host.link(path), faults))
}

/// `PREFIX` and a number.
fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// A fact of two words; another word than these tells that the driver does not know.
fn either(
    host: &dyn ReadHost,
    path: &str,
    expected: &str,
    parse: fn(&str) -> Option<Option<bool>>,
) -> Fact<bool> {
    match fact(text(host, path, ATTRIBUTE_BYTES)) {
        Fact::Known(text) => match parse(text.trim()) {
            Some(value) => value.into(),
            None => Fact::Unreadable(malformed(path, expected)),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    }
}

/// `card0-HDMI-A-1`. Write-back connectors are no screens (`drm_connector.c: drm_connector_enum_list`).
fn screen(host: &dyn ReadHost, name: &str, faults: &mut Vec<ReadFault>) -> Option<Screen> {
    let (card, connector) = name.split_once('-')?;
    if !is_numbered(card, "card") || connector.starts_with("Writeback") {
        return None;
    }
    let path = format!("/sys/class/drm/{name}");
    let status = |text: &str| match text {
        "connected" => Some(Some(true)),
        "disconnected" => Some(Some(false)),
        "unknown" => Some(None),
        _ => None,
    };
    let enabled = |text: &str| match text {
        "enabled" => Some(Some(true)),
        "disabled" => Some(Some(false)),
        _ => None,
    };
    Some(Screen {
        connected: either(host, &format!("{path}/status"), "expected connected or disconnected", status),
        enabled: either(host, &format!("{path}/enabled"), "expected enabled or disabled", enabled),
        function: function(host, &path, faults),
        connector: connector.to_owned(),
        card: card.to_owned(),
    })
}

fn framebuffer(host: &dyn ReadHost, name: &str, faults: &mut Vec<ReadFault>) -> Option<FramebufferDevice> {
    // Beside them is `fbcon`.
    if !is_numbered(name, "fb") {
        return None;
    }
    let path = format!("/sys/class/graphics/{name}");
    Some(FramebufferDevice {
        label: label(host, &format!("{path}/name"), faults),
        function: function(host, &path, faults),
        name: name.to_owned(),
    })
}

/// `ttyS0                -W- (EC p a)    4:64`: name, what it can do, flags, number.
fn console(host: &dyn ReadHost, row: &str, faults: &mut Vec<ReadFault>) -> Option<Console> {
    let name = row.split_ascii_whitespace().next()?;
    let Some((flags, _)) = row.split_once('(').and_then(|(_, rest)| rest.split_once(')')) else {
        faults.push(malformed("/proc/consoles", "expected rows of name, operations, flags"));
        return None;
    };
    // Consoles that are no terminal (netcon, pstore) have no device.
    let function = function(host, &format!("/sys/class/tty/{name}"), faults);
    Some(Console {
        name: name.to_owned(),
        enabled: flags.contains('E'),
        preferred: flags.contains('C'),
        function,
    })
}

fn vt_console(host: &dyn ReadHost, name: &str, faults: &mut Vec<ReadFault>) -> VtConsole {
    let path = format!("/sys/class/vtconsole/{name}");
    let bound = |text: &str| match text {
        "1" => Some(Some(true)),
        "0" => Some(Some(false)),
        _ => None,
    };
    VtConsole {
        label: label(host, &format!("{path}/name"), faults),
        bound: either(host, &format!("{path}/bind"), "expected 0 or 1", bound),
        name: name.to_owned(),
    }
}

fn input(host: &dyn ReadHost, name: &str, faults: &mut Vec<ReadFault>) -> Option<InputDevice> {
    // `event3`, `mouse0` are other sides of the same device.
    if !is_numbered(name, "input") {
        return None;
    }
    let path = format!("/sys/class/input/{name}");
    Some(InputDevice {
        label: label(host, &format!("{path}/name"), faults),
        function: function(host, &path, faults),
        name: name.to_owned(),
    })
}

fn sound_card(host: &dyn ReadHost, name: &str, faults: &mut Vec<ReadFault>) -> Option<SoundCard> {
    if !is_numbered(name, "card") {
        return None;
    }
    let path = format!("/sys/class/sound/{name}");
    Some(SoundCard {
        label: label(host, &format!("{path}/id"), faults),
        function: function(host, &path, faults),
        name: name.to_owned(),
    })
}

fn usb(host: &dyn ReadHost, name: &str, faults: &mut Vec<ReadFault>) -> Option<UsbDevice> {
    // `1-1:1.0` is an interface of a device.
    if name.contains(':') {
        return None;
    }
    let path = format!("/sys/bus/usb/devices/{name}");
    let number = |file: &str, parse: fn(&str) -> Option<u64>| {
        let path = format!("{path}/{file}");
        match fact(text(host, &path, ATTRIBUTE_BYTES)) {
            Fact::Known(text) => match parse(text.trim()).and_then(|number| u16::try_from(number).ok()) {
                Some(number) => Fact::Known(number),
                None => Fact::Unreadable(malformed(&path, "expected a number")),
            },
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault),
        }
    };
    let decimal = |text: &str| text.parse().ok();
    let id = match (number("idVendor", hex), number("idProduct", hex)) {
        (Fact::Known(vendor), Fact::Known(device)) => Fact::Known(PciId { vendor, device }),
        (Fact::Unreadable(fault), _) | (_, Fact::Unreadable(fault)) => Fact::Unreadable(fault),
        _ => Fact::Absent,
    };
    let hub = number("bDeviceClass", hex).known().is_some_and(|class| u64::from(*class) == USB_HUB);
    let words = ["manufacturer", "product"].map(|file| label(host, &format!("{path}/{file}"), faults));
    let words: Vec<String> = words.into_iter().flatten().collect();
    Some(UsbDevice {
        bus: number("busnum", decimal),
        device: number("devnum", decimal),
        id,
        label: (!words.is_empty()).then(|| words.join(" ")),
        hub,
        function: function(host, &path, faults),
        name: name.to_owned(),
    })
}
