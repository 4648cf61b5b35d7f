//! Devices that vfio-pci was told to take, and that `lspci -k` shows on a driver of the host all the same.
//!
//! No line says so by itself: one names the models that vfio-pci takes (`vfio-pci.ids=`), another the model of a device, a
//! third its driver.

use std::collections::{BTreeMap, BTreeSet};

/// Models and devices that are kept at most of each kind.
const KEPT: usize = 64;

/// Words of a line among which the address of its device stands: `IOMMU Group 15: 09:00.0 VGA compatible controller`.
const BEFORE: usize = 4;

/// Drivers of the further functions of a card.
const COMPANIONS: &[&str] = &["snd_hda_intel", "xhci_", "nvidia-gpu", "i2c_nvidia_gpu", "ucsi"];

/// What the lines so far say of models, devices and drivers.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Models that vfio-pci is to take, as `10de:1b06`.
    wanted: BTreeSet<String>,
    /// Models by address.
    models: BTreeMap<String, String>,
    /// The device that `lspci` speaks of.
    current: Option<String>,
    /// Devices that a driver of the host has, each with whether it is a driver of companions: a card's sound or USB function.
    on_host: BTreeMap<String, bool>,
    /// Devices that vfio-pci or another stub has.
    handed: BTreeSet<String>,
}

impl Held {
    /// Takes in one more line.
    pub(super) fn look_at(&mut self, line: &str) {
        let line = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '#');
        if let Some((address, rest)) = device_line(line) {
            if let Some(model) = model_in(rest).filter(|_| self.models.len() < KEPT) {
                self.models.insert(address.to_owned(), model.to_ascii_lowercase());
            }
            self.current = Some(address.to_owned());
            return;
        }
        if let Some((_, driver)) = line.split_once("driver in use: ") {
            let Some(device) = self.current.clone() else { return };
            let driver = driver.trim();
            let is_stub =
                ["vfio", "pci-stub", "pciback", "xen-pciback"].iter().any(|head| driver.starts_with(head));
            if is_stub && self.handed.len() < KEPT {
                self.handed.insert(device);
            } else if !is_stub && !matches!(driver, "" | "pcieport") && self.on_host.len() < KEPT {
                self.on_host.insert(device, COMPANIONS.iter().any(|head| driver.starts_with(head)));
            }
            return;
        }
        if let Some(id) = line.split_once("vfio_pci: add [").and_then(|(_, rest)| rest.get(..9)) {
            if is_model(id) && self.wanted.len() < KEPT {
                self.wanted.insert(id.to_ascii_lowercase());
            }
            return;
        }
        let takes =
            line.split_once("ids=").filter(|(before, _)| before.contains("vfio") || before.contains("stub"));
        if let Some((_, ids)) = takes.filter(|_| !line.starts_with('#') && self.wanted.len() < KEPT) {
            let ids = ids
                .trim_start_matches(['"', '\''])
                .split([' ', '"', '\'', '`', ';', ')'])
                .next()
                .unwrap_or_default();
            self.wanted.extend(ids.split(',').filter(|id| is_model(id)).map(str::to_ascii_lowercase));
        }
    }

    /// Whether a model that vfio-pci is to take is on a driver of the host, and no device of that model is handed over. That the
    /// sound of a card is not handed over with it keeps no guest from starting by itself.
    pub(super) fn is_so(&self) -> bool {
        let is_handed =
            |model: &String| self.handed.iter().any(|device| self.models.get(device) == Some(model));
        self.on_host
            .iter()
            .filter(|(device, _)| !self.handed.contains(*device))
            .filter(|(device, is_companion)| {
                !**is_companion || !self.handed.contains(&first_function(device))
            })
            .filter_map(|(device, _)| self.models.get(device))
            .any(|model| self.wanted.contains(model) && !is_handed(model))
    }
}

/// The address at the beginning of a line of `lspci`, which scripts put a group before, and what follows it.
fn device_line(line: &str) -> Option<(&str, &str)> {
    let mut rest = line;
    for _ in 0..BEFORE {
        let (word, after) = rest.split_once(' ')?;
        let address = word.strip_prefix("0000:").unwrap_or(word);
        if is_address(address) {
            return Some((address, after));
        }
        rest = after.trim_start();
    }
    None
}

fn is_address(word: &str) -> bool {
    word.len() == 7
        && word.bytes().enumerate().all(|(at, byte)| match at {
            2 => byte == b':',
            5 => byte == b'.',
            6 => (b'0'..b'8').contains(&byte),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The first function of the slot that a device sits in.
fn first_function(address: &str) -> String {
    format!("{}.0", address.split('.').next().unwrap_or(address))
}

/// The model that `lspci -nn` or `lspci -n` gives in the rest of such a line.
fn model_in(rest: &str) -> Option<&str> {
    rest.rsplit([' ', '[', ']', '(', ')']).find(|word| is_model(word))
}

fn is_model(word: &str) -> bool {
    word.len() == 9
        && word
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 { byte == b':' } else { byte.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_so(lines: &[&str]) -> bool {
        let mut held = Held::default();
        lines.iter().for_each(|line| held.look_at(line));
        held.is_so()
    }

    #[test]
    fn a_model_that_vfio_is_to_take_is_seen_on_a_driver_of_the_host() {
        let card = "09:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP102 [10de:1b06] (rev a1)";
        let nvidia = "\tKernel driver in use: nvidia";
        assert!(is_so(&["options vfio-pci ids=10de:1b06,10de:10ef disable_vga=1", card, nvidia]));
        assert!(is_so(&["09:00.0 0300: 10de:1b06 (rev a1)", nvidia, "quiet vfio-pci.ids=10DE:1B06\""]));
        assert!(is_so(&[
            "vfio_pci: add [10de:1b06[ffffffff:ffffffff]] class 0x000000/00000000",
            card,
            nvidia
        ]));
        assert!(!is_so(&["options vfio-pci ids=10de:10ef", card, nvidia]));
        let grouped = "IOMMU Group 15: 08:00.0 USB controller [0c03]: AMD Matisse USB [1022:149c]";
        assert!(!is_so(&["options vfio-pci ids=10de:1b06", card, grouped, "Kernel driver in use: xhci_hcd"]));
        assert!(is_so(&["options vfio-pci ids=1022:149c", card, grouped, "Kernel driver in use: xhci_hcd"]));
        assert!(!is_so(&["#options vfio-pci ids=10de:1b06", card, nvidia]));
        let vfio = "    Kernel driver in use: vfio-pci";
        assert!(!is_so(&["options vfio-pci ids=10de:1b06", card, nvidia, card, vfio]));
        let sound = "09:00.1 Audio device [0403]: NVIDIA Corporation GP102 HDMI Audio [10de:10ef] (rev a1)";
        let intel = "    Kernel driver in use: snd_hda_intel";
        assert!(!is_so(&["options vfio-pci ids=10de:1b06,10de:10ef", card, vfio, sound, intel]));
        assert!(is_so(&["options vfio-pci ids=10de:1b06,10de:10ef", card, nvidia, sound, vfio]));
    }
}
