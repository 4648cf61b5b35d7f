//! How the running kernel was configured: `/boot/config-RELEASE`, the copy beside its modules, or `/proc/config.gz`
//! (`kernel/configs.c`, with `CONFIG_IKCONFIG_PROC`), the first of them that is there.
//!
//! Only options that decide about devices and guests are kept. Form: `scripts/kconfig/confdata.c: conf_write`.

use std::collections::BTreeMap;
use std::io::Read as _;

use slotwise_core::facts::{Fact, KernelConfig};

use super::{fact, malformed};
use crate::kernel::ReadHost;

/// A configuration has a quarter of a MiB; compressed, a quarter of that.
const CONFIG_BYTES: usize = 4 << 20;

/// RFC 1952 §2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Options that are kept, without `CONFIG_`, in order.
const OPTIONS: [&str; 76] = [
    "AMD_IOMMU",
    "AMD_IOMMU_V2",
    "ARM_SMMU",
    "ARM_SMMU_V3",
    "CMA",
    "DMAR_TABLE",
    "DRM",
    "DRM_FBDEV_EMULATION",
    "DRM_SIMPLEDRM",
    "FB",
    "FB_EFI",
    "FB_SIMPLE",
    "FB_VESA",
    "FRAMEBUFFER_CONSOLE",
    "FRAMEBUFFER_CONSOLE_DEFERRED_TAKEOVER",
    "HOTPLUG_PCI",
    "HOTPLUG_PCI_ACPI",
    "HOTPLUG_PCI_PCIE",
    "HUGETLBFS",
    "HUGETLB_PAGE",
    "INTEL_IOMMU",
    "INTEL_IOMMU_DEFAULT_ON",
    "INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON",
    "INTEL_IOMMU_SVM",
    "IOMMUFD",
    "IOMMUFD_VFIO_CONTAINER",
    "IOMMU_API",
    "IOMMU_DEFAULT_DMA_LAZY",
    "IOMMU_DEFAULT_DMA_STRICT",
    "IOMMU_DEFAULT_PASSTHROUGH",
    "IOMMU_SUPPORT",
    "IO_STRICT_DEVMEM",
    "IRQ_REMAP",
    "KVM",
    "KVM_AMD",
    "KVM_INTEL",
    "KVM_VFIO",
    "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
    "LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
    "MODULES",
    "MODULE_SIG_FORCE",
    "PCIEAER",
    "PCI_ATS",
    "PCI_IOV",
    "PCI_MSI",
    "PCI_PASID",
    "PCI_PRI",
    "PCI_QUIRKS",
    "PCI_REALLOC_ENABLE_AUTO",
    "PCI_STUB",
    "SECURITY_LOCKDOWN_LSM",
    "STRICT_DEVMEM",
    "SYSFB",
    "SYSFB_SIMPLEFB",
    "TRANSPARENT_HUGEPAGE",
    "VFIO",
    "VFIO_CONTAINER",
    "VFIO_DEVICE_CDEV",
    "VFIO_GROUP",
    "VFIO_IOMMU_SPAPR_TCE",
    "VFIO_IOMMU_TYPE1",
    "VFIO_MDEV",
    "VFIO_NOIOMMU",
    "VFIO_PCI",
    "VFIO_PCI_CORE",
    "VFIO_PCI_IGD",
    "VFIO_PCI_INTX",
    "VFIO_PCI_MMAP",
    "VFIO_PCI_VGA",
    "VFIO_VIRQFD",
    "VGA_ARB",
    "VGA_SWITCHEROO",
    "VIRTIO_IOMMU",
    "X86_X2APIC",
    "XEN_PCIDEV_BACKEND",
    "XEN_PCI_STUB",
];

/// `directory` is that of the modules of `release`.
pub(super) fn config(
    host: &dyn ReadHost,
    release: Option<&String>,
    directory: Option<&String>,
) -> Fact<KernelConfig> {
    // A release comes from the host; one that is a path leads nowhere.
    let release = release.filter(|release| !release.contains('/'));
    let places = release.map(|release| format!("/boot/config-{release}")).into_iter();
    let places = places.chain(directory.map(|directory| format!("{directory}/config")));
    let mut unread = Fact::Absent;
    for place in places.chain(["/proc/config.gz".to_owned()]) {
        match fact(host.read(&place, CONFIG_BYTES)) {
            Fact::Known(bytes) => {
                return match unpacked(&bytes).map(|text| options(&text)) {
                    Some(options) if !options.is_empty() => Fact::Known(KernelConfig { place, options }),
                    _ => Fact::Unreadable(malformed(&place, "expected rows of CONFIG_NAME=value")),
                };
            }
            Fact::Absent => {}
            Fact::Unreadable(fault) => unread = Fact::Unreadable(fault),
        }
    }
    unread
}

/// The text of a configuration, compressed or not; none if it is damaged or longer than any is.
fn unpacked(bytes: &[u8]) -> Option<String> {
    if !bytes.starts_with(&GZIP) {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    let mut text = Vec::new();
    let limit = CONFIG_BYTES as u64;
    flate2::read::GzDecoder::new(bytes).take(limit + 1).read_to_end(&mut text).ok()?;
    (text.len() <= CONFIG_BYTES).then(|| String::from_utf8_lossy(&text).into_owned())
}

fn options(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(option).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `CONFIG_VFIO=m`, `# CONFIG_VFIO_NOIOMMU is not set`.
fn option(line: &str) -> Option<(&str, &str)> {
    let (name, value) = match line.strip_prefix("# ") {
        Some(rest) => (rest.strip_suffix(" is not set")?, "n"),
        None => line.split_once('=')?,
    };
    let bare = name.strip_prefix("CONFIG_")?;
    OPTIONS.binary_search(&bare).ok()?;
    Some((name, value.trim_matches('"')))
}

/// What is needed of a configuration; other options may hold names and command lines.
pub(crate) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let modules = path.starts_with("/lib/modules/") || path.starts_with("/usr/lib/modules/");
    let ours = path.starts_with("/boot/config-")
        || path == "/proc/config.gz"
        || (modules && path.ends_with("/config"));
    if !ours {
        return None;
    }
    let rows = options(&unpacked(bytes)?).into_iter().map(|(name, value)| format!("{name}={value}\n"));
    Some(rows.collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "#\n# Linux\n#\nCONFIG_VFIO=m\n# CONFIG_VFIO_NOIOMMU is not set\nCONFIG_CMDLINE=\"password=x\"\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn options_are_sorted_for_the_search() {
        assert!(OPTIONS.is_sorted());
    }

    #[test]
    fn options_that_matter_are_read_from_both_forms() {
        let plain = options(TEXT);
        let rows: Vec<_> = plain.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            rows,
            [("CONFIG_INTEL_IOMMU_DEFAULT_ON", "y"), ("CONFIG_VFIO", "m"), ("CONFIG_VFIO_NOIOMMU", "n")]
        );
        assert_eq!(unpacked(&gzip(TEXT.as_bytes())).as_deref(), Some(TEXT));
    }

    #[test]
    fn damage_and_bombs_are_refused() {
        let mut bytes = gzip(TEXT.as_bytes());
        bytes.truncate(bytes.len() / 2);
        assert_eq!(unpacked(&bytes), None);
        assert_eq!(unpacked(&gzip(&vec![b'#'; CONFIG_BYTES + 1])), None);
    }

    #[test]
    fn reduced_configuration_says_the_same_and_no_secret() {
        for bytes in [TEXT.as_bytes().to_vec(), gzip(TEXT.as_bytes())] {
            let short = reduced("/proc/config.gz", &bytes).expect("a configuration");
            assert_eq!(options(&String::from_utf8_lossy(&short)), options(TEXT));
            assert!(!String::from_utf8_lossy(&short).contains("password"));
        }
        assert_eq!(reduced("/sys/bus/pci/devices/0000:00:00.0/config", b"x"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes: Vec<u8>, packed: bool) {
            if packed {
                bytes.splice(0..0, GZIP);
            }
            let _ = unpacked(&bytes).map(|text| options(&text));
        }
    }
}
