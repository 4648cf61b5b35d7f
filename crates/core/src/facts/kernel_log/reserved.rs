//! Reserved ranges in a kernel log, and the devices that the log names for them: RMRRs of Intel's table, identity maps, IVMDs of
//! AMD's. What Linux does not print (which device an RMRR is for, since 5.3) is not guessed.

use crate::facts::line::{about_function, full_address};
use crate::facts::{Facts, ReservedKind, ReservedRegion};
use crate::pci::PciAddress;

/// The most reserved ranges that a log is believed to have.
const MOST_REGIONS: usize = 4096;
/// The most devices that one of Xen's reserved ranges is believed to name.
const MOST_ENDPOINTS: usize = 256;

/// What is known of ranges whose description takes several lines.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Devices of the structure that Xen is describing; it prints the range last.
    endpoints: Vec<PciAddress>,
    /// IVMDs for more than one device: place among the regions, first and last device.
    spans: Vec<(usize, PciAddress, PciAddress)>,
}

impl Ranges {
    /// Takes one message; says what was expected if it should have been understood and was not.
    pub(super) fn line(&mut self, facts: &mut Facts, message: &str) -> Option<&'static str> {
        if facts.iommu.reserved.len() >= MOST_REGIONS {
            return None;
        }
        rmrr(facts, message)
            .or_else(|| broken_rmrr(facts, message))
            .or_else(|| misplaced_rmrr(facts, message))
            .or_else(|| identity_map(facts, message))
            .or_else(|| self.ivmd(facts, message))
            .or_else(|| self.xen(facts, message))
    }

    /// Which of the functions that the log names an IVMD for several is for.
    pub(super) fn finish(self, facts: &mut Facts) {
        for (place, first, last) in self.spans {
            let devices = facts.functions.range(first..=last).map(|(address, _)| *address).collect();
            if let Some(region) = facts.iommu.reserved.get_mut(place) {
                region.devices = devices;
            }
        }
    }

    /// `IVMD_TYPE_RANGE devid_start: 0000:03:00.0 devid_end: 0000:03:00.7 range_start: … range_end: … flags: 7`, with
    /// `amd_iommu_dump` (`amd/init.c: init_unity_map_range`); without the segment before Linux 6.0.
    fn ivmd(&mut self, facts: &mut Facts, message: &str) -> Option<&'static str> {
        let (_, rest) = message.split_once("IVMD_TYPE")?;
        let field = |name: &str| rest.split_once(name)?.1.split_ascii_whitespace().next();
        let range = field("range_start: ").and_then(hex).zip(field("range_end: ").and_then(hex));
        let ids = field("devid_start: ").zip(field("devid_end: "));
        let (Some((start, end)), Some((first, last))) = (range, ids) else {
            return Some("expected the range of an IVMD");
        };
        // The printed end is the first byte behind the range.
        let place = region(facts, ReservedKind::Ivmd, start, end.saturating_sub(1))?;
        let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else { return None };
        if first == last {
            facts.iommu.reserved.get_mut(place)?.devices = vec![first];
        } else if first < last {
            self.spans.push((place, first, last));
        }
        None
    }

    /// `[VT-D]found ACPI_DMAR_RMRR:`, then `[VT-D] endpoint: 0000:00:1d.0` for each device, then
    /// `[VT-D]dmar.c:608:   RMRR region: base_addr dacd5000 end_addr dacebfff` (`xen/drivers/passthrough/vtd/dmar.c:
    /// acpi_parse_dev_scope, register_one_rmrr`); `end_address`, and addresses without domain and leading zeros, before Xen 4.9.
    fn xen(&mut self, facts: &mut Facts, message: &str) -> Option<&'static str> {
        let (_, text) = message.split_once("[VT-D]")?;
        if text.contains("found ACPI_DMAR_") {
            self.endpoints.clear();
        } else if let Some((_, address)) = text.split_once("endpoint: ") {
            let known = self.endpoints.len() < MOST_ENDPOINTS;
            self.endpoints.extend(short_address(address.trim()).filter(|_| known));
        } else if let Some((_, range)) = text.split_once("RMRR region: base_addr ") {
            let mut words = range.split_ascii_whitespace();
            let range = match (words.next(), words.next(), words.next()) {
                (Some(start), Some("end_addr" | "end_address"), Some(end)) => hex(start).zip(hex(end)),
                _ => None,
            };
            let Some((start, end)) = range else { return Some("expected base_addr … end_addr …") };
            let mut devices = std::mem::take(&mut self.endpoints);
            devices.sort_unstable();
            devices.dedup();
            let place = region(facts, ReservedKind::Rmrr, start, end)?;
            facts.iommu.reserved.get_mut(place)?.devices = devices;
        }
        None
    }
}

/// An address as Xen prints it: with or without domain and leading zeros.
fn short_address(text: &str) -> Option<PciAddress> {
    let (place, function) = text.rsplit_once('.')?;
    let mut parts = place.rsplit(':').map(|part| u16::from_str_radix(part, 16));
    let (device, bus) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let domain = parts.next().unwrap_or(Ok(0)).ok()?;
    format!("{domain:04x}:{bus:02x}:{device:02x}.{function}").parse().ok()
}

fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// `DMAR: RMRR base: 0x0000007f22d000 end: 0x0000007f23bfff` (`dmar.c: dmar_table_print_dmar_entry`).
fn rmrr(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let (head, rest) = message.split_once("RMRR base: ")?;
    if !head.trim_end().trim_end_matches(':').eq_ignore_ascii_case("dmar") {
        return None;
    }
    let mut words = rest.split_ascii_whitespace();
    let range = match (words.next(), words.next(), words.next()) {
        // What closes a quotation may stand behind.
        (Some(start), Some("end:"), Some(end)) => {
            hex(start).zip(hex(end.trim_end_matches(|c: char| !c.is_ascii_hexdigit())))
        }
        _ => None,
    };
    let Some((start, end)) = range else { return Some("expected RMRR base: 0x… end: 0x…") };
    region(facts, ReservedKind::Rmrr, start, end);
    None
}

/// `DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR [0x…-0x…], contact BIOS vendor for fixes`
/// (`arch/x86/include/asm/iommu.h: arch_rmrr_sanity_check`), `Your BIOS is broken; bad RMRR [0x…-0x…]`
/// (`intel/iommu.c: dmar_parse_one_rmrr`). It is in force all the same.
fn broken_rmrr(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let after =
        ["can cover this RMRR [", "; bad RMRR ["].iter().find_map(|words| message.split_once(words))?;
    let range = after.1.split(']').next()?.split_once('-');
    let range = range.and_then(|(start, end)| hex(start).zip(hex(end)));
    let Some((start, end)) = range else { return Some("expected RMRR [0x…-0x…]") };
    region(facts, ReservedKind::Rmrr, start, end);
    None
}

/// `[VT-D]  RMRR address range 8d800000..8fffffff not in reserved memory; need "iommu_inclusive_mapping=1"?`
/// (`xen/drivers/passthrough/vtd/dmar.c: register_one_rmrr`). It is in force all the same.
fn misplaced_rmrr(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let (_, rest) = message.split_once("[VT-D]")?.1.split_once("RMRR address range ")?;
    let range = rest.split(' ').next()?.split_once("..");
    let Some((start, end)) = range.and_then(|(start, end)| hex(start).zip(hex(end))) else {
        return Some("expected the first and last address of an RMRR");
    };
    region(facts, ReservedKind::Rmrr, start, end);
    None
}

/// `DMAR: Setting identity map for device 0000:00:1d.0 [0xdacd5000 - 0xdacebfff]` (`IOMMU:` before Linux 4.1), and in 5.2
/// `pci 0000:00:1d.0: DMAR: Setting identity map [0x… - 0x…]`; later kernels print nothing. A range that is no RMRR is the
/// one for the floppy controller behind the LPC bridge.
fn identity_map(facts: &mut Facts, message: &str) -> Option<&'static str> {
    let (head, rest) = message.split_once("Setting identity map ")?;
    let before = || {
        let head = head.trim_end().trim_end_matches("DMAR:").trim_end();
        head.rsplit(' ').next().unwrap_or_default().trim_end_matches(':')
    };
    let parsed = rest.split_once('[').and_then(|(device, range)| {
        let (start, end) = range.split(']').next()?.split_once('-')?;
        let device = device.strip_prefix("for device ").map_or_else(before, str::trim);
        Some((full_address(device)?, hex(start.trim())?, hex(end.trim())?))
    });
    let Some((address, start, end)) = parsed else {
        return Some("expected identity map for device DDDD:BB:DD.F [0x… - 0x…]");
    };
    let known = |region: &ReservedRegion| (region.start, region.end) == (start, end);
    if !facts.iommu.reserved.iter().any(known) {
        region(facts, ReservedKind::Direct, start, end);
    }
    if let Some(region) = facts.iommu.reserved.iter_mut().find(|region| known(region))
        && !region.devices.contains(&address)
    {
        region.devices.push(address);
    }
    None
}

/// Notes a range; its place among them, also if it was known. None if it ends before it begins.
fn region(facts: &mut Facts, kind: ReservedKind, start: u64, end: u64) -> Option<usize> {
    if start > end {
        return None;
    }
    let there = |region: &ReservedRegion| (region.kind, region.start, region.end) == (kind, start, end);
    if let Some(place) = facts.iommu.reserved.iter().position(there) {
        return Some(place);
    }
    facts.iommu.reserved.push(ReservedRegion { kind, start, end, devices: Vec::new() });
    Some(facts.iommu.reserved.len() - 1)
}

/// The most functions that a log is believed to tell of as refused.
const MOST_REFUSED: usize = 4096;

/// `drivers/iommu/iommu.c: __iommu_device_set_domain` (Linux 6.6 and later); `intel/iommu.c: intel_iommu_attach_device` (3.17 to
/// 6.5).
pub(super) fn refused(facts: &mut Facts, message: &str) {
    let said = message.contains("Firmware has requested this device have a 1:1 IOMMU mapping")
        || message.contains("Device is ineligible for IOMMU domain attach due to platform RMRR requirement");
    if said
        && let Some(about) = about_function(message)
        && facts.iommu.one_to_one.len() < MOST_REFUSED
    {
        facts.iommu.one_to_one.insert(about.address, message.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_log;
    use super::*;

    fn read(text: &str) -> Facts {
        from_log(text, "test")
    }

    fn ranges(text: &str) -> Vec<(ReservedKind, u64, u64, Vec<String>)> {
        let row = |region: &ReservedRegion| {
            let devices = region.devices.iter().map(ToString::to_string).collect();
            (region.kind, region.start, region.end, devices)
        };
        read(text).iommu.reserved.iter().map(row).collect()
    }

    #[test]
    fn identity_maps_name_the_devices_of_an_rmrr() {
        let facts = read(
            "DMAR: RMRR base: 0x000000dacd5000 end: 0x000000dacebfff\nIOMMU: Setting identity map for device 0000:00:1d.0 [0xdacd5000 - 0xdacebfff]\npci 0000:00:1f.0: DMAR: Setting identity map [0x0 - 0xffffff]\n",
        );
        let seen: Vec<_> =
            facts.iommu.reserved.iter().map(|r| (r.kind, r.start, r.end, r.devices.len())).collect();
        assert_eq!(
            seen,
            [(ReservedKind::Rmrr, 0xdacd_5000, 0xdace_bfff, 1), (ReservedKind::Direct, 0, 0xff_ffff, 1)]
        );
    }

    #[test]
    fn damaged_rmrr_is_told_with_its_line() {
        let facts = from_log("DMAR: RMRR base: 0x00zz end:\n", "test");
        assert_eq!(facts.faults.first().map(|fault| fault.place.as_str()), Some("line 1"));
    }

    #[test]
    fn range_that_firmware_forgot_to_reserve_is_known_without_its_first_line() {
        let bug = "DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR [0x00000000dd000000-0x00000000df1fffff], contact BIOS vendor for fixes\n";
        let bad = "Your BIOS is broken; bad RMRR [0x00000000dd000000-0x00000000df1fffff]\n";
        let first = "DMAR: RMRR base: 0x000000dd000000 end: 0x000000df1fffff\n";
        for text in
            [bug.to_owned(), format!("{bug}DMAR: [Firmware Bug]: {bad}"), format!("{first}{bug}{bad}")]
        {
            assert_eq!(ranges(&text), [(ReservedKind::Rmrr, 0xdd00_0000, 0xdf1f_ffff, vec![])], "{text}");
        }
    }

    #[test]
    fn xen_names_the_devices_before_the_range() {
        let text = "(XEN) [VT-D]found ACPI_DMAR_DRHD:\n(XEN) [VT-D] endpoint: 0000:00:02.0\n\
                    (XEN) [VT-D]found ACPI_DMAR_RMRR:\n(XEN) [VT-D] endpoint: 0000:00:1d.0\n(XEN) [VT-D] endpoint: 0000:00:1a.0\n\
                    (XEN) [VT-D]dmar.c:608:   RMRR region: base_addr dacd5000 end_addr dacebfff\n\
                    (XEN) [VT-D]dmar.c:789: found ACPI_DMAR_RMRR:\n(XEN) [VT-D]dmar.c:383:  endpoint: 0:2.0\n\
                    (XEN) [VT-D]dmar.c:676:   RMRR region: base_addr 7d000000 end_address 7f7fffff\n";
        let devices = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            ranges(text),
            [
                (ReservedKind::Rmrr, 0xdacd_5000, 0xdace_bfff, devices(&["0000:00:1a.0", "0000:00:1d.0"])),
                (ReservedKind::Rmrr, 0x7d00_0000, 0x7f7f_ffff, devices(&["0000:00:02.0"])),
            ]
        );
    }

    #[test]
    fn ivmd_is_for_the_functions_in_its_span() {
        let text = "pci 0000:03:00.0: [10ec:8168] type 00 class 0x020000\npci 0000:03:00.1: [10ec:8168] type 00 class 0x020000\n\
                    pci 0000:04:00.0: [10ec:8168] type 00 class 0x020000\n\
                    AMD-Vi: IVMD_TYPE_RANGE\t\t devid_start: 03:00.0 devid_end: 03:00.7 range_start: 00000000bcb2c000 range_end: 00000000bcb2e000 flags: 7\n";
        let [(ReservedKind::Ivmd, 0xbcb2_c000, 0xbcb2_dfff, devices)] = &ranges(text)[..] else {
            panic!("{:?}", ranges(text));
        };
        assert_eq!(devices[..], ["0000:03:00.0", "0000:03:00.1"]);
    }
}
