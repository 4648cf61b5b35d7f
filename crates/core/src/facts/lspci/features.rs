//! Features from the lines that `lspci -vv` prints below a capability.
//!
//! Wording: pciutils `ls-caps.c`, `ls-ecaps.c`, 2.2 to 3.14. With one `-v` there are no such lines, and older versions
//! leave some words out: what is not printed is unknown, unless the capability as a whole is not there.

use super::{LspciCapability, LspciFunction};
use crate::pci::capability::{AccessControl, AccessControlFlags, ResizableBar};
use crate::pci::{Feature, Features, Space};

/// Flags of the ACS registers by bit, as `cap_acs` prints them.
const ACS: [&str; 7] =
    ["SrcValid", "TransBlk", "ReqRedir", "CmpltRedir", "UpstreamFwd", "EgressCtrl", "DirectTrans"];

/// Whether each list was printed to its end: standard, extended.
///
/// Extended capabilities are printed only where lspci could read them, so a function of PCI Express without any tells
/// nothing; any other function has none (apart from PCI-X mode 2).
pub(super) fn complete(function: &LspciFunction) -> (bool, bool) {
    let any = |space| function.capabilities.iter().any(|c| c.space == space);
    let without = function.described && function.capability_list != Some(true);
    let standard = !function.capabilities_denied && (any(Space::Standard) || without);
    let has = |id| function.capabilities.iter().any(|c| c.space == Space::Standard && c.id == Some(id));
    (standard, any(Space::Extended) || standard && !has(0x10) && !has(0x07))
}

/// The features that a function's printed capabilities tell.
pub(super) fn features(function: &LspciFunction) -> Features {
    let complete = complete(function);
    let list = Printed { function, complete };
    Features {
        flr: list.find(Space::Standard, 0x10, flr).known_or(false),
        af_flr: list.find(Space::Standard, 0x13, af_flr).known_or(false),
        pm_reset: list.find(Space::Standard, 0x01, |c| Some(!flag(c, "NoSoftRst")?)).known_or(false),
        msi_vectors: list.find(Space::Standard, 0x05, msi_vectors).known_or(0),
        msix_vectors: list.find(Space::Standard, 0x11, msix_vectors).known_or(0),
        acs: list.find(Space::Extended, 0x0d, acs),
        ari: list.find(Space::Extended, 0x0e, |_| Some(())).is_present(),
        ats: list.find(Space::Extended, 0x0f, |_| Some(())).is_present(),
        sriov_total_vfs: list.find(Space::Extended, 0x10, total_vfs).known_or(0),
        resizable_bars: list.find(Space::Extended, 0x15, resizable_bars).known_or(Vec::new()),
    }
}

struct Printed<'f> {
    function: &'f LspciFunction,
    complete: (bool, bool),
}

impl Printed<'_> {
    fn find<T>(
        &self,
        space: Space,
        id: u16,
        value: impl FnOnce(&LspciCapability) -> Option<T>,
    ) -> Feature<T> {
        let complete = match space {
            Space::Standard => self.complete.0,
            Space::Extended => self.complete.1,
        };
        // The kernel ends a list at a link into the header.
        let floor = if space == Space::Standard { 0x40 } else { 0x100 };
        let list = self.function.capabilities.iter().filter(|c| c.space == space);
        match list.take_while(|c| c.offset >= floor).find(|c| c.id == Some(id)) {
            Some(capability) => value(capability).map_or(Feature::Unknown, Feature::Present),
            None if complete => Feature::Absent,
            None => Feature::Unknown,
        }
    }
}

/// All words of a capability: of its own line, then of those below.
fn words(capability: &LspciCapability) -> impl Iterator<Item = &str> {
    std::iter::once(capability.text.as_str())
        .chain(capability.details.iter().map(String::as_str))
        .flat_map(|line| line.split([' ', '\t', ',']))
}

/// `NAME+` or `NAME-`.
fn flag(capability: &LspciCapability, name: &str) -> Option<bool> {
    words(capability).find_map(|word| sign(word.strip_prefix(name)?))
}

fn sign(text: &str) -> Option<bool> {
    match text {
        "+" => Some(true),
        "-" => Some(false),
        _ => None,
    }
}

/// The line below that begins with `name`.
fn line<'c>(capability: &'c LspciCapability, name: &str) -> Option<&'c str> {
    capability.details.iter().find_map(|line| line.trim_start().strip_prefix(name))
}

/// Printed for endpoints. Ports cannot have it; of the other kinds old versions say nothing (`cap_express_dev`).
fn flr(capability: &LspciCapability) -> Option<bool> {
    line(capability, "DevCap:")?;
    let port = || {
        let text = capability.text.as_str();
        let kinds = ["Root Port", "Upstream Port", "Downstream Port", "PCI Bridge", "PCI-Express to PCI"];
        kinds.iter().any(|kind| text.contains(kind)).then_some(false)
    };
    // `DevCtl:` has the word too, for the bit that starts one.
    let device = capability.details.iter().take_while(|line| !line.trim_start().starts_with("DevCtl:"));
    let mut words = device.flat_map(|line| line.split_ascii_whitespace());
    words.find_map(|word| sign(word.strip_prefix("FLReset")?)).or_else(port)
}

/// The kernel wants `TP` too: see [`Features::af_flr`].
fn af_flr(capability: &LspciCapability) -> Option<bool> {
    let line = line(capability, "AFCap:")?;
    let flag = |name| line.split_ascii_whitespace().find_map(|word| sign(word.strip_prefix(name)?));
    Some(flag("TP")? && flag("FLR")?)
}

/// `Count=1/8`: given out of asked for; before 3.2 `Queue=0/3`, both as powers of two.
fn msi_vectors(capability: &LspciCapability) -> Option<u16> {
    words(capability).find_map(|word| {
        if let Some(count) = word.strip_prefix("Count=") {
            return count.split_once('/')?.1.parse().ok();
        }
        let exponent: u32 = word.strip_prefix("Queue=")?.split_once('/')?.1.parse().ok()?;
        1u16.checked_shl(exponent)
    })
}

/// `Count=17`; before 3.2 `TabSize=17`.
fn msix_vectors(capability: &LspciCapability) -> Option<u16> {
    words(capability)
        .find_map(|word| word.strip_prefix("Count=").or_else(|| word.strip_prefix("TabSize="))?.parse().ok())
}

fn acs(capability: &LspciCapability) -> Option<AccessControl> {
    let register = |name: &str| {
        let line = line(capability, name)?;
        let bit = |name: &str| {
            line.split_ascii_whitespace().find_map(|word| sign(word.strip_prefix(name)?)).unwrap_or(false)
        };
        let set = (0u16..).zip(ACS).filter(|(_, name)| bit(name)).map(|(n, _)| 1 << n);
        Some(AccessControlFlags::from_bits(set.fold(0, |all, bit: u16| all | bit)))
    };
    let capability = register("ACSCap:")?;
    Some(AccessControl { capability, control: register("ACSCtl:"), egress_vector_bits: 0 })
}

fn total_vfs(capability: &LspciCapability) -> Option<u16> {
    let line = capability.details.iter().find_map(|line| line.split_once("Total VFs: "))?.1;
    line.split(',').next()?.trim().parse().ok()
}

/// `BAR 1: current size: 8GB, supported: 64MB … 8GB`.
fn resizable_bars(capability: &LspciCapability) -> Option<Vec<ResizableBar>> {
    if capability.details.iter().any(|line| line.contains("<error in resizable BAR")) {
        return Some(Vec::new());
    }
    let bars: Option<Vec<_>> = capability
        .details
        .iter()
        .filter_map(|line| line.trim_start().strip_prefix("BAR "))
        .map(|line| {
            let (index, rest) = line.split_once(": ")?;
            let (current, supported) = rest.strip_prefix("current size: ")?.split_once(", supported:")?;
            let supported: Option<Vec<u8>> = supported.split_ascii_whitespace().map(exponent).collect();
            let supported = supported?.into_iter().fold(0, |all, n| all | 1u64 << n);
            Some(ResizableBar { index: index.parse().ok()?, current: exponent(current)?, supported })
        })
        .collect();
    bars.filter(|bars| !bars.is_empty())
}

/// The power of two, counted from 1 MiB, of `64MB`.
fn exponent(size: &str) -> Option<u8> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match size.get(digits.len()..)? {
        "MB" => 0,
        "GB" => 10,
        "TB" => 20,
        "PB" => 30,
        "EB" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    let exponent = number.is_power_of_two().then(|| number.trailing_zeros() + shift)?;
    u8::try_from(exponent).ok().filter(|n| *n < 44)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn of(text: &str) -> Features {
        features(read(text.as_bytes()).functions.first().expect("a function"))
    }

    #[test]
    fn old_wording_gives_the_same_counts() {
        let old = of("00:00.0 a: b\n\tStatus: Cap+ 66MHz-\n\
            \tCapabilities: [50] Message Signalled Interrupts: Mask- 64bit+ Queue=0/3 Enable-\n\
            \tCapabilities: [60] MSI-X: Enable- Mask- TabSize=17\n");
        assert_eq!((old.msi_vectors, old.msix_vectors), (Some(8), Some(17)));
        assert_eq!((old.flr, old.ari, old.acs), (Some(false), Some(false), Feature::Absent));
    }

    #[test]
    fn one_v_tells_what_is_there_but_not_what_it_says() {
        let terse = of("01:00.0 a: b\n\tFlags: bus master, fast devsel, latency 0, IRQ 28\n\
            \tCapabilities: [70] Express Endpoint, MSI 00\n\tCapabilities: [40] Power Management version 3\n\
            \tCapabilities: [100] Advanced Error Reporting\n");
        assert_eq!((terse.flr, terse.pm_reset, terse.msi_vectors), (None, None, Some(0)));
        assert_eq!((terse.ats, terse.sriov_total_vfs), (Some(false), Some(0)));
    }

    #[test]
    fn refused_capabilities_are_unknown() {
        let refused = of("01:00.0 a: b\n\tStatus: Cap+ 66MHz-\n\tCapabilities: <access denied>\n");
        assert_eq!(refused, Features::unknown());
    }

    #[test]
    fn sizes_of_resizable_bars_are_powers_of_two() {
        let features =
            of("01:00.0 a: b\n\tStatus: Cap+\n\tCapabilities: [70] Express (v2) Endpoint, MSI 00\n\
            \tCapabilities: [200 v1] Physical Resizable BAR\n\
            \t\tBAR 0: current size: 256MB, supported: 256MB 512MB 8GB\n");
        let bars = features.resizable_bars.expect("bars");
        let sizes: Vec<u64> = bars.iter().flat_map(|bar| bar.supported_bytes()).collect();
        assert_eq!(sizes, [256 << 20, 512 << 20, 8 << 30]);
    }
}
