//! The causes, one file each; the list below registers them, in alphabetical order.

mod acpi_dmar_broken;
mod acs_check;
mod aer_error_storm;
mod ats_timeout;
mod bar_held_by_framebuffer;
mod bar_held_by_host_driver;
mod d3cold_power;
mod device_in_use;
mod device_not_bound;
mod dma_entry_limit;
mod dma_fault_sibling;
mod driver_autobind_race;
mod flr_broken;
mod group_not_viable;
mod guest_mmio_window;
mod guest_root_lost;
mod host_driver_in_use;
mod host_firmware_bug;
mod host_kernel_bug_iommu;
mod host_mmio_window;
mod hotplug_no_bus_window;
mod hotplug_no_slot;
mod hugepage_pin;
mod intx_shared;
mod ioas_map_failed;
mod iommu_address_width;
mod iommu_disabled;
mod iommu_group_changed_after_hotplug;
mod iommu_not_coherent;
mod iommu_unsupported;
mod iommufd_cdev_missing;
mod iova_reserved;
mod ivrs_1to1;
mod kvm_vfio_kernel_config;
mod mac_policy_denied;
mod mdev_missing;
mod memlock;
mod migration_blocked;
mod msix_table_mmap;
mod name_changed_after_slot_move;
mod no_intremap;
mod no_reset;
mod no_vga_arbitration;
mod none_harmless;
mod none_unrelated;
mod numa_mismatch;
mod nvidia_code_43;
mod option_rom_bar_shadow;
mod pciback_not_seized;
mod pcie_link_dead;
mod pf_driver_reloaded;
mod reset_broken_amd;
mod rmrr;
mod rom_invalid;
mod secure_boot_lockdown;
mod sriov_mmio;
mod unsafe_interrupts_required_note;
mod usb_permission;
mod vf_not_enabled;
mod vfio_permission;
mod x2apic_opt_out;
mod xen_map_irq;
mod xen_msi_delivery_mode;
mod xen_no_free_pirq;
mod xen_not_assignable;
mod xen_pciback_not_loaded;
mod xen_subpage_bar;

use super::cause::Cause;

/// Every cause, by id.
pub(super) static ALL: &[&Cause] = &[
    &acpi_dmar_broken::CAUSE,
    &acs_check::CAUSE,
    &aer_error_storm::CAUSE,
    &ats_timeout::CAUSE,
    &bar_held_by_framebuffer::CAUSE,
    &bar_held_by_host_driver::CAUSE,
    &d3cold_power::CAUSE,
    &device_in_use::CAUSE,
    &device_not_bound::CAUSE,
    &dma_entry_limit::CAUSE,
    &dma_fault_sibling::CAUSE,
    &driver_autobind_race::CAUSE,
    &flr_broken::CAUSE,
    &group_not_viable::CAUSE,
    &guest_mmio_window::CAUSE,
    &guest_root_lost::CAUSE,
    &host_driver_in_use::CAUSE,
    &host_firmware_bug::CAUSE,
    &host_kernel_bug_iommu::CAUSE,
    &host_mmio_window::CAUSE,
    &hotplug_no_bus_window::CAUSE,
    &hotplug_no_slot::CAUSE,
    &hugepage_pin::CAUSE,
    &intx_shared::CAUSE,
    &ioas_map_failed::CAUSE,
    &iommu_address_width::CAUSE,
    &iommu_disabled::CAUSE,
    &iommu_group_changed_after_hotplug::CAUSE,
    &iommu_not_coherent::CAUSE,
    &iommu_unsupported::CAUSE,
    &iommufd_cdev_missing::CAUSE,
    &iova_reserved::CAUSE,
    &ivrs_1to1::CAUSE,
    &kvm_vfio_kernel_config::CAUSE,
    &mac_policy_denied::CAUSE,
    &mdev_missing::CAUSE,
    &memlock::CAUSE,
    &migration_blocked::CAUSE,
    &msix_table_mmap::CAUSE,
    &name_changed_after_slot_move::CAUSE,
    &no_intremap::CAUSE,
    &no_reset::CAUSE,
    &no_vga_arbitration::CAUSE,
    &none_harmless::CAUSE,
    &none_unrelated::CAUSE,
    &numa_mismatch::CAUSE,
    &nvidia_code_43::CAUSE,
    &option_rom_bar_shadow::CAUSE,
    &pciback_not_seized::CAUSE,
    &pcie_link_dead::CAUSE,
    &pf_driver_reloaded::CAUSE,
    &reset_broken_amd::CAUSE,
    &rmrr::CAUSE,
    &rom_invalid::CAUSE,
    &secure_boot_lockdown::CAUSE,
    &sriov_mmio::CAUSE,
    &unsafe_interrupts_required_note::CAUSE,
    &usb_permission::CAUSE,
    &vf_not_enabled::CAUSE,
    &vfio_permission::CAUSE,
    &x2apic_opt_out::CAUSE,
    &xen_map_irq::CAUSE,
    &xen_msi_delivery_mode::CAUSE,
    &xen_no_free_pirq::CAUSE,
    &xen_not_assignable::CAUSE,
    &xen_pciback_not_loaded::CAUSE,
    &xen_subpage_bar::CAUSE,
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::diagnose::{Kind, Role, catalogue, cause};

    #[test]
    fn ids_are_unique_and_in_alphabetical_order() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
    }

    #[test]
    fn every_clue_names_rows_of_the_catalogue() {
        for cause in ALL {
            for clue in cause.clues {
                for row in [&clue.row].into_iter().chain(clue.with).chain(clue.unless).chain(clue.cured_by) {
                    assert!(catalogue::pattern(row).is_some(), "{}: no row {row}", cause.id);
                }
                assert!(clue.times > 0 && clue.weight.is_finite(), "{}: {}", cause.id, clue.row);
            }
        }
    }

    #[test]
    fn every_cause_is_documented_and_can_be_found() {
        for cause in ALL {
            assert!(!cause.definition.is_empty() && !cause.explanation.is_empty(), "{}", cause.id);
            assert!(!cause.sources.is_empty() && !cause.settle.is_empty(), "{}", cause.id);
            assert!(
                cause.clues.iter().any(|clue| clue.role == Role::Primary),
                "{} has no primary clue",
                cause.id
            );
            let enough = cause.remedies.len() >= 2 && !cause.look_alikes.is_empty();
            assert!(cause.kind != Kind::Fault || enough, "{} lacks remedies or look-alikes", cause.id);
        }
    }

    #[test]
    fn look_alikes_exist_and_are_not_the_cause_itself() {
        for subject in ALL {
            for other in subject.look_alikes {
                assert!(cause(other.cause).is_some(), "{}: no cause {}", subject.id, other.cause);
                assert_ne!(subject.id, other.cause);
            }
        }
    }

    #[test]
    fn the_rule_that_a_cause_names_predicts_it() {
        for cause in ALL {
            let foretold = cause.rule.and_then(crate::rules::rule);
            assert!(foretold.is_none_or(|rule| rule.predicts.contains(&cause.id)), "{}", cause.id);
            assert_eq!(cause.rule, foretold.map(|rule| rule.id), "{}", cause.id);
        }
    }
}
