//! The firmware's picture in a kernel log: which display it is on, and who holds its memory.
//!
//! Printed by `drivers/pci/vgaarb.c` (`vga_arbiter_add_pci_device`), `drivers/video/fbdev/efifb.c`, `vesafb.c`, `simplefb.c` (their
//! `probe`), and, when a driver of the display takes over, `fbmem.c: do_remove_conflicting_framebuffers` and `drivers/tty/vt/vt.c:
//! do_bind_con_driver`. simpledrm prints no address.

use crate::facts::line::about_function;
use crate::facts::{Fact, Facts, MemoryClaim};
use crate::pci::PciAddress;

/// The most framebuffers that a log is believed to have; firmware has one.
const MOST_CLAIMS: usize = 16;

/// Drivers of displays that take the firmware's framebuffer away when they begin, whether or not a console was on it
/// (`drivers/video/aperture.c: aperture_remove_conflicting_pci_devices`, called by each).
const NATIVE: [&str; 12] = [
    "amdgpu",
    "ast",
    "bochs-drm",
    "gma500",
    "i915",
    "mgag200",
    "nouveau",
    "qxl",
    "radeon",
    "vboxvideo",
    "vmwgfx",
    "xe",
];

/// Takes one message.
pub(super) fn line(facts: &mut Facts, message: &str) {
    if let Some(about) = about_function(message) {
        // Of several the last one said is it: a later line overrides (`vga_is_boot_device`).
        if about.text.starts_with("vgaarb: setting as boot ") && facts.functions.contains_key(&about.address)
        {
            for function in facts.functions.values_mut() {
                if function.address == about.address {
                    function.boot_vga = Fact::Known(true);
                } else if function.boot_vga.known().is_some() {
                    function.boot_vga = Fact::Known(false);
                }
            }
        }
        if NATIVE.contains(&about.driver) {
            evicted(facts, about.address);
        }
        return;
    }
    if let Some(claim) = claim(message) {
        match &mut facts.platform.framebuffers {
            Fact::Known(claims) if claims.len() < MOST_CLAIMS => claims.push(claim),
            Fact::Known(_) => {}
            untold => *untold = Fact::Known(vec![claim]),
        }
    } else if is_release(message) {
        facts.platform.framebuffers = Fact::Known(Vec::new());
    }
}

/// The claims in the BARs of a function are gone.
fn evicted(facts: &mut Facts, address: PciAddress) {
    let Fact::Known(claims) = &mut facts.platform.framebuffers else { return };
    let resources = facts.functions.get(&address).and_then(|function| function.resources.known());
    let bars = resources.map_or(&[][..], Vec::as_slice);
    let within = |claim: &MemoryClaim| {
        bars.iter().any(|bar| {
            bar.start <= claim.start && claim.start <= bar.start.saturating_add(bar.size.saturating_sub(1))
        })
    };
    claims.retain(|claim| !within(claim));
}

/// `efifb: framebuffer at 0xa0000000, using 8100k, total 8100k`, `vesafb: framebuffer at 0xf1000000, mapped to 0x…, using 3072k,
/// total 16384k`, `simple-framebuffer simple-framebuffer.0: framebuffer at 0x9e000000, 0x7e9000 bytes`.
fn claim(message: &str) -> Option<MemoryClaim> {
    let (head, rest) = message.split_once(": framebuffer at 0x")?;
    let owner = match head {
        "efifb" | "vesafb" => head,
        _ if head.starts_with("simple-framebuffer ") => "simplefb",
        _ => return None,
    };
    let mut parts = rest.split(", ");
    let start = u64::from_str_radix(parts.next()?, 16).ok()?;
    let size = parts.find_map(|part| {
        if let Some(kilobytes) = part.strip_prefix("using ").and_then(|size| size.strip_suffix('k')) {
            return kilobytes.parse::<u64>().ok()?.checked_mul(1024);
        }
        let bytes = part.trim_end().strip_prefix("0x")?.strip_suffix(" bytes")?;
        u64::from_str_radix(bytes, 16).ok()
    })?;
    let end = start.checked_add(size.checked_sub(1)?)?;
    Some(MemoryClaim { owner: owner.to_owned(), start, end })
}

/// `fb0: switching to amdgpudrmfb from EFI VGA`, until 6.1; since then only the console tells that its framebuffer went.
fn is_release(message: &str) -> bool {
    let from_firmware =
        message.starts_with("fb") && message.contains(": switching to ") && message.contains(" from ");
    from_firmware || message.starts_with("Console: switching to colour dummy device")
}

#[cfg(test)]
mod tests {
    use super::super::from_log;
    use crate::facts::{Fact, Facts};

    const FOUND: &str = "pci 0000:00:02.0: [8086:9bc5] type 00 class 0x030000
pci 0000:01:00.0: [10de:2204] type 00 class 0x030000
";

    fn claims(log: &str) -> Option<Vec<String>> {
        let facts = from_log(log, "log");
        let shown =
            |claim: &crate::facts::MemoryClaim| format!("{:x}-{:x} {}", claim.start, claim.end, claim.owner);
        facts.platform.framebuffers.known().map(|claims| claims.iter().map(shown).collect())
    }

    #[test]
    fn framebuffers_of_three_drivers_are_read() {
        for (line, expected) in [
            ("efifb: framebuffer at 0xa0000000, using 8100k, total 8100k", "a0000000-a07e8fff efifb"),
            (
                "vesafb: framebuffer at 0xf1000000, mapped to 0xffffc90000800000, using 3072k, total 16384k",
                "f1000000-f12fffff vesafb",
            ),
            (
                "simple-framebuffer simple-framebuffer.0: framebuffer at 0x9e000000, 0x7e9000 bytes",
                "9e000000-9e7e8fff simplefb",
            ),
        ] {
            assert_eq!(claims(line), Some(vec![expected.to_owned()]), "{line}");
        }
    }

    #[test]
    fn a_driver_that_takes_over_frees_them_and_a_log_without_them_tells_nothing() {
        let held = "efifb: framebuffer at 0xa0000000, using 8100k, total 8100k";
        for line in [
            "fb0: switching to amdgpudrmfb from EFI VGA",
            "fb: switching to inteldrmfb from EFI VGA",
            "Console: switching to colour dummy device 80x25",
        ] {
            assert_eq!(claims(&format!("{held}\n{line}")), Some(Vec::new()), "{line}");
        }
        assert_eq!(claims("Console: colour dummy device 80x25"), None);
        assert_eq!(claims("efifb: framebuffer at 0xzz, using 8100k"), None);
        assert_eq!(claims("efifb: framebuffer at 0xffffffffffffffff, using 8100k"), None);
        assert_eq!(claims("efifb: framebuffer at 0xa0000000, using 0k"), None);
    }

    #[test]
    fn a_native_driver_evicts_from_its_own_display_alone() {
        let log = format!(
            "{FOUND}pci 0000:01:00.0: reg 0x14: [mem 0xa0000000-0xafffffff 64bit pref]\n\
             efifb: framebuffer at 0xa0000000, using 8100k, total 8100k\n"
        );
        assert_eq!(claims(&format!("{log}i915 0000:00:02.0: [drm] VT-d active\n")).map(|c| c.len()), Some(1));
        assert_eq!(claims(&format!("{log}nouveau 0000:01:00.0: NVIDIA GA102\n")).map(|c| c.len()), Some(0));
        assert_eq!(
            claims(&format!("{log}vfio-pci 0000:01:00.0: enabling device\n")).map(|c| c.len()),
            Some(1)
        );
    }

    #[test]
    fn the_display_of_the_firmware_is_the_one_last_said() {
        let boot =
            |facts: &Facts| facts.functions.values().map(|f| f.boot_vga.known().copied()).collect::<Vec<_>>();
        let first = format!("{FOUND}pci 0000:00:02.0: vgaarb: setting as boot VGA device\n");
        assert_eq!(boot(&from_log(&first, "log")), [Some(true), None]);
        let then =
            format!("{first}pci 0000:01:00.0: vgaarb: setting as boot VGA device (overriding previous)\n");
        assert_eq!(boot(&from_log(&then, "log")), [Some(false), Some(true)]);
        assert!(!matches!(
            from_log(FOUND, "log").functions.values().next().map(|f| &f.boot_vga),
            Some(Fact::Known(_))
        ));
    }
}
