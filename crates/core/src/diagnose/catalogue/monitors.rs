//! Other users of VFIO than QEMU: Cloud Hypervisor and its kin (`rust-vmm/vfio-ioctls`), crosvm, DPDK's EAL, Incus and
//! LXD, Kubernetes operators. They speak of the same kernel interface in words of their own.

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "mon-group-inviable",
        &["group is not viable", "group is inviable", "GroupViable", "NotViable", "rong driver devices"],
        "",
        "DPDK vfio_get_group_fd, rust-vmm VfioError::GroupViable",
        "other members of the IOMMU group are on host drivers",
    ),
    row(
        "mon-map-width",
        &[
            "IommuDmaMap",
            "guest memory map into iommu table",
            "map memory for VFIO container",
            "DMA remapping",
        ],
        r"(?:iova 0x[0-9a-f]{10,}|0x[0-9a-f]{11,}).*(?:\(22\)|invalid argument)|(?:\(22\)|invalid argument).*0x[0-9a-f]{11,}",
        "rust-vmm VfioContainer::vfio_dma_map",
        "an address lies above what the IOMMU can translate",
    ),
    row(
        "mon-map-enomem",
        &["IommuDmaMap", "guest memory map into iommu table", "up DMA remapping"],
        r"(?:\(12\)|error 12\b|cannot allocate memory)",
        "rust-vmm VfioContainer::vfio_dma_map, DPDK vfio_type1_dma_map",
        "guest memory cannot be pinned",
    ),
    row(
        "mon-map-enospc",
        &["IommuDmaMap", "guest memory map into iommu table", "up DMA remapping"],
        r"(?:\(28\)|error 28\b|no space left)",
        "rust-vmm VfioContainer::vfio_dma_map, DPDK vfio_type1_dma_map",
        "the number of DMA mappings is used up",
    ),
    row(
        "mon-open-container",
        &["open VFIO container", "open VFIO Container", "pen /dev/vfio/vfio container", "OpenContainer"],
        r"(?:could not|fail|cannot|error|opencontainer)",
        "rust-vmm VfioContainer::new, VirtualBox VfioDevice",
        "VFIO itself cannot be opened",
    ),
    row(
        "mon-group-fd",
        &["vfioGroupFd > 0", "VfioNoIommuGroup", "OpenGroup("],
        r"vfiogroupfd > 0|opengroup\(.*(?:notfound|no such file|code: 2\b)",
        "VirtualBox VfioDevice, rust-vmm VfioGroup::new",
        "the group of the device cannot be opened",
    ),
    row(
        "mon-no-group",
        &[
            "VfioNoIommuGroup",
            "iommuGroup available",
            "iommu_group/: No such",
            "no iommu_group",
            "no IOMMU group",
        ],
        "",
        "rust-vmm, Harvester pcidevices",
        "the device has no IOMMU group",
    ),
    row(
        "mon-container-einval",
        &["vfio group to container", "GroupSetContainer", "vfio group into vfio container"],
        r"(?:error 22|\(22\)|invalid argument)",
        "DPDK rte_vfio_setup_device, rust-vmm VfioContainer::group_add",
        "the group refuses the container",
    ),
    row(
        "mon-container-eperm",
        &["vfio group to container", "GroupSetContainer", "vfio group into vfio container"],
        r"(?:error 1\b|\(1\)|operation not permitted)",
        "DPDK rte_vfio_setup_device, rust-vmm VfioContainer::group_add",
        "the group may not be used because a member belongs to the host",
    ),
    row(
        "mon-not-managed",
        &["not managed by VFIO driver", "not managed by VFIO"],
        "",
        "DPDK rte_vfio_setup_device",
        "the device is not on vfio-pci",
    ),
    row(
        "mon-override-timeout",
        &["took too long to activate at", "verride IOMMU group driver", "binding verification failed"],
        "",
        "Incus and LXD pcidev.DeviceDriverOverride",
        "the device did not arrive on vfio-pci",
    ),
    row(
        "mon-migration",
        &["vfio_migration_probe", "VFIO_REGION_TYPE_MIGRATION", "VFIO_DEVICE_FEATURE_MIGRATION"],
        r"(?:fail|can't|cannot|not|missing)",
        "QEMU vfio_migration_probe",
        "the device does not offer VFIO's migration interface",
    ),
    row(
        "mon-pba-map",
        &["map PBA page", "map MSI-X", "map MSIX", "SparseMmap", "MsixMappable"],
        r"(?:fail|invalid|cannot|error|mmap)",
        "ACRN acrn-dm, Cloud Hypervisor",
        "the MSI-X structures of the device keep a BAR from being mapped",
    ),
];
