//! The spec as TOML has it, before anything is checked but its shape.

use serde::Deserialize;
use serde_spanned::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    #[serde(default)]
    pub vm: Vec<Spanned<Vm>>,
    pub test: Option<Test>,
    #[serde(default)]
    pub host: Host,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    #[serde(default)]
    pub keep: Vec<Spanned<String>>,
    pub memory: Option<Spanned<String>>,
    pub cpus: Option<Spanned<u16>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vm {
    pub name: Spanned<String>,
    pub backend: Option<Spanned<String>>,
    pub machine: Option<Spanned<String>>,
    pub memory: Spanned<String>,
    pub cpus: Option<Spanned<u16>>,
    pub node: Option<Spanned<u32>>,
    pub guest: Option<Spanned<String>>,
    #[serde(default)]
    pub device: Vec<Device>,
    #[serde(default)]
    pub usb: Vec<Usb>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub select: Spanned<DeviceSelect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceSelect {
    pub id: Option<Spanned<String>>,
    pub slot: Option<Spanned<String>>,
    #[serde(default)]
    pub any: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Usb {
    pub select: UsbSelect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsbSelect {
    pub id: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub suites: Vec<Spanned<String>>,
    #[serde(default)]
    pub guests: Vec<Spanned<String>>,
    #[serde(default)]
    pub writes: bool,
    #[serde(default)]
    pub disk: Disk,
    pub net: Option<Net>,
    pub flash: Option<Spanned<Vec<String>>>,
    pub power: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Net {
    pub own: Spanned<String>,
    pub peer: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub vendor: Option<String>,
    pub product: Option<String>,
    pub serial: Option<String>,
    pub target: Option<u8>,
    pub lun: Option<u8>,
}
