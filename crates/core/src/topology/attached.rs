//! Screens, consoles, inputs, sound and USB devices that hang on a function.

use super::Topology;
use super::dependents::{Dependent, DependentKind};
use crate::facts::{Fact, FramebufferDevice};
use crate::pci::PciAddress;

/// The rows of a list that is known.
fn rows<T>(list: &Fact<Vec<T>>) -> impl Iterator<Item = &T> {
    list.known().into_iter().flatten()
}

fn dependent(kind: DependentKind, chain: impl IntoIterator<Item = String>) -> Dependent {
    Dependent { kind, chain: chain.into_iter().collect() }
}

impl Topology {
    /// What people and the host see, hear and type through a function.
    pub(super) fn attached(&self, address: PciAddress) -> Vec<Dependent> {
        let attached = &self.facts().usage.attached;
        let here = |function: Option<PciAddress>| function == Some(address);
        let mut found = self.display(address);
        for console in rows(&attached.consoles).filter(|console| console.enabled && here(console.function)) {
            found.push(dependent(DependentKind::Console(console.name.clone()), []));
        }
        for input in rows(&attached.inputs).filter(|input| here(input.function)) {
            let name = input.label.clone().unwrap_or_else(|| input.name.clone());
            found.push(dependent(DependentKind::Input(name), []));
        }
        for card in rows(&attached.sound_cards).filter(|card| here(card.function)) {
            found.push(dependent(DependentKind::Sound(card.name.clone()), card.label.clone()));
        }
        // Hubs are the way to the devices; without the root hub there is nothing else to lose either.
        for usb in rows(&attached.usb).filter(|usb| here(usb.function) && !usb.hub) {
            let name = match (&usb.label, usb.id.known()) {
                (Some(label), _) => label.clone(),
                (None, Some(id)) => format!("[{id}]"),
                (None, None) => "without a name".to_owned(),
            };
            found.push(dependent(DependentKind::Usb(name), [format!("port {}", usb.name)]));
        }
        found
    }

    /// Screens in use, frame buffers, and the terminals that are drawn on them.
    fn display(&self, address: PciAddress) -> Vec<Dependent> {
        let attached = &self.facts().usage.attached;
        let mut found = Vec::new();
        for screen in rows(&attached.screens).filter(|screen| screen.function == Some(address)) {
            // Where the driver cannot tell, a picture that is sent is one that may be seen.
            let seen = screen.connected.known().copied().or_else(|| screen.enabled.known().copied());
            if seen == Some(true) {
                found.push(dependent(DependentKind::Screen(screen.connector.clone()), [screen.card.clone()]));
            }
        }
        let mut drawn_on: Vec<String> = rows(&attached.framebuffers)
            .filter(|framebuffer| framebuffer.function == Some(address))
            .map(label)
            .collect();
        drawn_on.extend(self.firmware_framebuffers(address));
        for framebuffer in &drawn_on {
            found.push(dependent(DependentKind::Framebuffer(framebuffer.clone()), []));
        }
        let terminal = rows(&attached.consoles).find(|console| console.enabled && console.name == "tty0");
        if let (Some(console), Some(framebuffer)) = (terminal, drawn_on.first())
            && self.terminals_are_drawn_on_a_frame_buffer()
        {
            found.push(dependent(DependentKind::Console(console.name.clone()), [framebuffer.clone()]));
        }
        found
    }

    /// Whether virtual terminals are drawn by `fbcon` (`drivers/video/fbdev/core/fbcon.c: fbcon_startup`), not by VGA text
    /// or by nobody.
    fn terminals_are_drawn_on_a_frame_buffer(&self) -> bool {
        rows(&self.facts().usage.attached.vt_consoles).any(|console| {
            console.bound.known() == Some(&true)
                && console.label.as_deref().is_some_and(|label| label.contains("frame buffer"))
        })
    }

    /// Firmware's frame buffers that lie in a BAR of the function.
    fn firmware_framebuffers(&self, address: PciAddress) -> Vec<String> {
        let resources = self.function(address).and_then(|function| function.resources.known());
        let inside = |start: u64| {
            let mut bars = resources.into_iter().flatten().filter(|bar| bar.flags.is_memory());
            bars.any(|bar| start.checked_sub(bar.start).is_some_and(|offset| offset < bar.size))
        };
        let claims = self.facts().platform.framebuffers.known().into_iter().flatten();
        claims.filter(|claim| inside(claim.start)).map(|claim| claim.owner.clone()).collect()
    }
}

fn label(framebuffer: &FramebufferDevice) -> String {
    match &framebuffer.label {
        Some(label) => format!("{} ({label})", framebuffer.name),
        None => framebuffer.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{address, facts};
    use super::*;
    use crate::facts::{Console, InputDevice, MemoryClaim, Screen, SoundCard, UsbDevice, VtConsole};

    fn lines(topology: &Topology, at: &str) -> Vec<String> {
        topology.dependents(address(at)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_seen_and_heard_through_a_function_is_lost_with_it() {
        let card = Some(address("0000:01:00.0"));
        let mut facts = facts("device 0000:01:00.0 class=030000\ndevice 0000:02:00.0 class=0c0330");
        let attached = &mut facts.usage.attached;
        let screen = |connector: &str, connected| Screen {
            connector: connector.to_owned(),
            card: "card0".to_owned(),
            function: card,
            connected,
            enabled: Fact::Known(true),
        };
        attached.screens = Fact::Known(vec![
            screen("HDMI-A-1", Fact::Known(true)),
            screen("DP-1", Fact::Known(false)),
            screen("VGA-1", Fact::Absent),
        ]);
        attached.framebuffers = Fact::Known(vec![FramebufferDevice {
            name: "fb0".to_owned(),
            label: Some("amdgpudrmfb".to_owned()),
            function: card,
        }]);
        attached.consoles = Fact::Known(vec![Console {
            name: "tty0".to_owned(),
            enabled: true,
            preferred: true,
            function: None,
        }]);
        attached.vt_consoles = Fact::Known(vec![VtConsole {
            name: "vtcon1".to_owned(),
            label: Some("(M) frame buffer device".to_owned()),
            bound: Fact::Known(true),
        }]);
        attached.sound_cards = Fact::Known(vec![SoundCard {
            name: "card1".to_owned(),
            label: Some("HDMI".to_owned()),
            function: card,
        }]);
        let topology = Topology::new(facts);
        assert_eq!(
            lines(&topology, "0000:01:00.0"),
            [
                "screen HDMI-A-1 on card0",
                "screen VGA-1 on card0",
                "frame buffer fb0 (amdgpudrmfb)",
                "console tty0 on fb0 (amdgpudrmfb)",
                "sound card card1 on HDMI",
            ]
        );
        assert!(lines(&topology, "0000:02:00.0").is_empty());
    }

    #[test]
    fn devices_behind_a_usb_controller_are_named_and_hubs_are_not() {
        let controller = Some(address("0000:02:00.0"));
        let mut facts = facts("device 0000:02:00.0 class=0c0330");
        let device = |name: &str, label: Option<&str>, hub| UsbDevice {
            name: name.to_owned(),
            bus: Fact::Known(1),
            device: Fact::Known(2),
            id: "046d:c330".parse().ok().into(),
            label: label.map(str::to_owned),
            hub,
            function: controller,
        };
        facts.usage.attached.usb = Fact::Known(vec![
            device("usb1", None, true),
            device("1-2", Some("Logitech Keyboard"), false),
            device("1-3", None, false),
        ]);
        facts.usage.attached.inputs = Fact::Known(vec![InputDevice {
            name: "input3".to_owned(),
            label: Some("Logitech Keyboard".to_owned()),
            function: controller,
        }]);
        assert_eq!(
            lines(&Topology::new(facts), "0000:02:00.0"),
            [
                "input Logitech Keyboard",
                "USB device Logitech Keyboard on port 1-2",
                "USB device [046d:c330] on port 1-3"
            ]
        );
    }

    #[test]
    fn the_frame_buffer_of_firmware_belongs_to_the_card_whose_bar_it_is_in() {
        let mut facts = facts("device 0000:01:00.0 class=030000 bars=0:e0000000:10000000:40200");
        let claim = |start| MemoryClaim { owner: "BOOTFB".to_owned(), start, end: start + 0xfff };
        facts.platform.framebuffers = Fact::Known(vec![claim(0xe000_0000), claim(0xf000_0000)]);
        assert_eq!(lines(&Topology::new(facts), "0000:01:00.0"), ["frame buffer BOOTFB"]);
    }
}
