//! Reserved ranges for people and programs: one range is told once, whoever told of it.
//!
//! A range of firmware's table (RMRR, IVMD) comes again as `direct` in `reserved_regions` of each group that the kernel
//! applied it to, in whole pages (`drivers/iommu/intel/iommu.c: intel_iommu_get_resv_regions`, `drivers/iommu/amd/iommu.c:
//! amd_iommu_get_resv_regions`). Rules want both, since the kernel may have applied another; a list wants one.

use crate::facts::{ReservedKind, ReservedRegion};

/// Page size that the kernel's ranges are rounded to, in bytes, less one.
const PAGE_MASK: u64 = 0xfff;

/// `regions` in their order, each range once: under firmware's name for it where there is one, with the functions that
/// firmware names, else with all that the kernel names.
pub(super) fn told_once(regions: &[ReservedRegion]) -> Vec<ReservedRegion> {
    let mut told: Vec<ReservedRegion> = Vec::new();
    let (firmware, kernel): (Vec<_>, Vec<_>) =
        regions.iter().partition(|region| matches!(region.kind, ReservedKind::Rmrr | ReservedKind::Ivmd));
    for region in firmware {
        match told.iter_mut().find(|known| known.kind == region.kind && same_pages(known, region)) {
            Some(known) => add_devices(known, region),
            None => told.push(region.clone()),
        }
    }
    let of_firmware = told.len();
    for region in kernel {
        let known = told.iter().position(|known| same_pages(known, region) && stands_for(known, region));
        match known.and_then(|at| told.get_mut(at).map(|known| (at, known))) {
            // What firmware names is exact; the kernel names whole groups.
            Some((at, known)) if at >= of_firmware || known.devices.is_empty() => add_devices(known, region),
            Some(_) => {}
            None => told.push(region.clone()),
        }
    }
    told
}

/// Whether a row for `known` says what one for `region` would.
fn stands_for(known: &ReservedRegion, region: &ReservedRegion) -> bool {
    let direct = matches!(region.kind, ReservedKind::Direct | ReservedKind::DirectRelaxable);
    let of_firmware = matches!(known.kind, ReservedKind::Rmrr | ReservedKind::Ivmd);
    known.kind.name() == region.kind.name() || direct && of_firmware
}

const fn same_pages(one: &ReservedRegion, other: &ReservedRegion) -> bool {
    one.start & !PAGE_MASK == other.start & !PAGE_MASK && one.end | PAGE_MASK == other.end | PAGE_MASK
}

fn add_devices(known: &mut ReservedRegion, region: &ReservedRegion) {
    for device in &region.devices {
        if !known.devices.contains(device) {
            known.devices.push(*device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(kind: ReservedKind, start: u64, end: u64, devices: &[&str]) -> ReservedRegion {
        let devices = devices.iter().filter_map(|text| text.parse().ok()).collect();
        ReservedRegion { kind, start, end, devices }
    }

    #[test]
    fn range_of_table_and_kernel_is_told_once_with_the_devices_of_the_table() {
        let rmrr = region(ReservedKind::Rmrr, 0xbf7d_c000, 0xbf7d_ffff, &["00:1d.0"]);
        let direct = region(ReservedKind::Direct, 0xbf7d_c000, 0xbf7d_ffff, &["00:1d.0", "00:1d.1"]);
        let msi = region(ReservedKind::Msi, 0xfee0_0000, 0xfeef_ffff, &["00:1d.0"]);
        assert_eq!(told_once(&[rmrr.clone(), direct, msi.clone()]), [rmrr, msi]);
    }

    #[test]
    fn range_that_is_no_whole_page_is_the_one_that_the_kernel_rounded() {
        let ivmd = region(ReservedKind::Ivmd, 0x8000_0010, 0x8000_0fff, &[]);
        let direct = region(ReservedKind::DirectRelaxable, 0x8000_0000, 0x8000_0fff, &["03:00.0"]);
        let told = told_once(&[direct, ivmd]);
        let [told] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((told.kind, told.start, told.devices.len()), (ReservedKind::Ivmd, 0x8000_0010, 1));
    }

    #[test]
    fn other_ranges_stay_apart() {
        let one = region(ReservedKind::Rmrr, 0x1000, 0x1fff, &["00:1d.0"]);
        let other = region(ReservedKind::Direct, 0x1000, 0x2fff, &["00:1d.0"]);
        let never = region(ReservedKind::Reserved, 0x1000, 0x1fff, &["00:1d.0"]);
        assert_eq!(told_once(&[one.clone(), other.clone(), never.clone()]), [one, other, never]);
    }
}
