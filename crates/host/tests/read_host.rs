//! A whole small host, and what happens to its facts when parts of it fail.

mod tree;

use slotwise_core::facts::{
    DriverName, Fact, Facts, FaultKind, InterruptController, ModuleName, ModuleState, Origin, ReservedKind,
    SourceKind, Switch,
};
use slotwise_core::pci::PciAddress;
use slotwise_host::kernel::{Directory, OpenFile, ReadError, ReadErrorKind, ReadHost};
use slotwise_host::live::LiveHost;

fn origin() -> Origin {
    Origin::Saved { kind: SourceKind::Directory, name: "test".to_owned() }
}

fn host() -> (tempfile::TempDir, LiveHost) {
    let dir = tempfile::tempdir().expect("a directory");
    tree::make(dir.path());
    let host = LiveHost::at(dir.path()).expect("a host");
    (dir, host)
}

fn address(text: &str) -> PciAddress {
    text.parse().expect("an address")
}

#[test]
fn function_has_all_that_sysfs_says() {
    let (_dir, host) = host();
    let facts = slotwise_host::read(&host, origin());
    assert_eq!(facts.faults, []);
    let card = &facts.functions[&address("0000:05:04.0")];
    assert_eq!(card.id.known().map(ToString::to_string).as_deref(), Some("9004:5078"));
    assert_eq!(card.subsystem, Fact::Absent);
    assert_eq!(card.driver.known().map(DriverName::as_str), Some("aic7xxx"));
    assert_eq!(card.modules.iter().map(ModuleName::as_str).collect::<Vec<_>>(), ["aic7xxx"]);
    assert_eq!(card.driver_override, Fact::Absent);
    assert_eq!(card.group.known().map(|group| group.0), Some(3));
    assert_eq!(card.numa_node, Fact::Absent);
    assert_eq!(card.parent, Fact::Known(address("0000:00:1e.0")));
    assert_eq!(card.physical_slot, Fact::Known("5".to_owned()));
    assert_eq!(
        (card.irq.known(), card.interrupt_line.known(), card.interrupt_pin.known()),
        (Some(&16), Some(&11), Some(&1))
    );
    assert_eq!(card.resources.known().map(Vec::len), Some(1));
    assert_eq!(card.reset_methods.known().map(Vec::len), Some(2));
    assert_eq!(facts.functions[&address("0000:00:1e.0")].parent, Fact::Absent);
}

#[test]
fn whole_host_is_read() {
    let (_dir, host) = host();
    let facts = slotwise_host::read(&host, origin());
    assert_eq!((facts.iommu.state, facts.iommu.interrupt_remapping), (Switch::On, Switch::On));
    assert_eq!(facts.iommu.vendor.name(), "intel");
    let reserved: Vec<_> = facts.iommu.reserved.iter().map(|r| (r.kind, r.devices.len())).collect();
    assert_eq!(reserved, [(ReservedKind::DirectRelaxable, 2), (ReservedKind::Msi, 3)]);
    let lines = facts.interrupts.known().expect("interrupts");
    assert_eq!(lines[0].controller, InterruptController::IoApic { pin: 16 });
    let state = |name: &str| {
        facts.kernel.modules.known().and_then(|modules| modules.get(&ModuleName::new(name).ok()?).copied())
    };
    assert_eq!(state("vfio_pci"), Some(ModuleState::Loaded));
    assert_eq!(state("vfio"), Some(ModuleState::Available));
    assert_eq!(state("pci_stub"), Some(ModuleState::BuiltIn));
    assert_eq!(state("kvm"), None);
    let parameter = |module, name| facts.kernel.parameter(module, name).map(|found| found.value.as_str());
    assert_eq!(parameter("vfio_pci", "nointxmask"), Some("Y"));
    assert_eq!(parameter("vfio_pci", "ids"), Some("9004:5078"));
    assert_eq!(parameter("vfio_iommu_type1", "allow_unsafe_interrupts"), Some("0"));
}

#[test]
fn disk_and_interface_are_followed_to_their_function() {
    let (_dir, host) = host();
    let facts = slotwise_host::read(&host, origin());
    let controller = Some(address("0000:00:1f.2"));
    let block = facts.usage.block.known().expect("block devices");
    let device = |name: &str| block.iter().find(|device| device.name == name).expect("a device");
    assert_eq!((device("sda").function, device("sda").bytes), (controller, Some(1 << 20)));
    assert_eq!(device("sda1").lower, ["sda"]);
    assert_eq!((device("dm-0").function, device("dm-0").lower.as_slice()), (None, &["sda1".to_owned()][..]));
    assert_eq!(device("dm-0").volume.as_deref(), Some("vg-root"));
    assert_eq!(facts.usage.swaps, Fact::Known(vec!["253:0".to_owned()]));
    let network = facts.usage.network.known().expect("interfaces");
    let port = network.iter().find(|interface| interface.name == "eth0").expect("eth0");
    assert_eq!((port.function, port.default_route, port.up.clone()), (controller, true, Fact::Known(true)));
}

#[test]
fn empty_host_is_unknown_not_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let facts = slotwise_host::read(&LiveHost::at(dir.path()).expect("a host"), origin());
    assert_eq!((facts.iommu.state, facts.iommu.interrupt_remapping), (Switch::Unknown, Switch::Unknown));
    assert!(facts.functions.is_empty());
}

/// A host on which one path fails, with all below it, from the `after`th time on that it is asked for.
#[derive(Debug)]
struct Failing<'h> {
    host: &'h LiveHost,
    path: &'static str,
    kind: ReadErrorKind,
    after: usize,
    asked: std::sync::atomic::AtomicUsize,
}

impl Failing<'_> {
    fn check(&self, path: &str) -> Result<(), ReadError> {
        let below = path.strip_prefix(self.path);
        if !below.is_some_and(|below| below.is_empty() || below.starts_with('/')) {
            return Ok(());
        }
        let asked = self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if asked < self.after { Ok(()) } else { Err(ReadError::new(path, self.kind.clone())) }
    }
}

impl ReadHost for Failing<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        self.check(path)?;
        self.host.read(path, limit)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        self.check(path)?;
        self.host.list(path)
    }

    fn link(&self, path: &str) -> Result<String, ReadError> {
        self.check(path)?;
        self.host.link(path)
    }

    fn open_dir(&self, path: &str) -> Result<Box<dyn Directory + '_>, ReadError> {
        self.check(path)?;
        Ok(Box::new(FailingDirectory { of: self, inner: self.host.open_dir(path)?, path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct FailingDirectory<'f> {
    of: &'f Failing<'f>,
    inner: Box<dyn Directory + 'f>,
    path: String,
}

impl Directory for FailingDirectory<'_> {
    fn read(&self, name: &str, limit: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        self.of.check(&format!("{}/{name}", self.path))?;
        self.inner.read(name, limit, into)
    }

    fn link(&self, name: &str) -> Result<String, ReadError> {
        self.of.check(&format!("{}/{name}", self.path))?;
        self.inner.link(name)
    }

    fn list(&self) -> Result<Vec<String>, ReadError> {
        self.of.check(&self.path)?;
        self.inner.list()
    }

    fn list_below(&self, name: &str) -> Result<Vec<String>, ReadError> {
        self.of.check(&format!("{}/{name}", self.path))?;
        self.inner.list_below(name)
    }

    fn open_file(&self, name: &str) -> Result<Box<dyn OpenFile + '_>, ReadError> {
        self.of.check(&format!("{}/{name}", self.path))?;
        self.inner.open_file(name)
    }
}

fn with_failure(path: &'static str, kind: ReadErrorKind, after: usize) -> Facts {
    let (_dir, host) = host();
    slotwise_host::read(&Failing { host: &host, path, kind, after, asked: 0.into() }, origin())
}

const CARD: &str = "/sys/bus/pci/devices/0000:05:04.0";

#[test]
fn unreadable_attribute_is_not_absent_and_harms_no_other() {
    let facts = with_failure("/sys/bus/pci/devices/0000:05:04.0/driver", ReadErrorKind::Denied, 0);
    let card = &facts.functions[&address("0000:05:04.0")];
    assert_eq!(card.driver.fault().map(|fault| fault.kind.clone()), Some(FaultKind::Denied));
    let told: Vec<String> = card.faults().map(ToString::to_string).collect();
    assert_eq!(told, [format!("{CARD}/driver: permission denied (root can read it)")]);
    assert!(card.id.known().is_some());
    assert_eq!(facts.functions.len(), 3);
}

#[test]
fn device_that_goes_away_is_told_and_left_out() {
    // At each of the questions that are asked of it, up to the last.
    for after in 0.. {
        let facts = with_failure(CARD, ReadErrorKind::NotFound, after);
        if facts.functions.len() == 3 {
            assert!(after > 12, "{after}");
            break;
        }
        let told: Vec<_> =
            facts.faults.iter().map(|fault| (fault.place.as_str(), fault.kind.clone())).collect();
        assert_eq!(told, [(CARD, FaultKind::Vanished)], "{after}");
    }
}

#[test]
fn every_single_failure_leaves_the_rest_readable() {
    let (_dir, host) = host();
    let recorder = slotwise_host::capture::Recorder::new(&host);
    let whole = slotwise_host::read(&recorder, origin());
    for path in [
        "/proc/interrupts",
        "/proc/modules",
        "/proc/cmdline",
        "/proc/self/mountinfo",
        "/proc/swaps",
        "/sys/class/block",
        "/sys/class/net",
        "/sys/kernel/iommu_groups",
        "/sys/class/iommu",
        "/sys/bus/pci/slots/5/address",
        "/lib/modules/6.1.0-test/modules.alias",
        "/etc/modprobe.d/vfio.conf",
        "/etc/default/grub",
        "/boot/grub/grub.cfg",
        "/boot/loader/entries/one.conf",
    ] {
        let facts = with_failure(path, ReadErrorKind::Other("input/output error".to_owned()), 0);
        assert_eq!(facts.functions.len(), whole.functions.len(), "{path}");
        let told = format!("{facts:?}");
        assert!(told.contains("input/output error"), "{path}");
    }
}

#[test]
fn boot_loader_files_are_read_as_templates_and_entries() {
    let (_dir, host) = host();
    let facts = slotwise_host::read(&host, origin());
    let boot = facts.boot.known().expect("known");
    let templates: Vec<&str> = boot.templates.iter().map(|template| template.parameters.as_str()).collect();
    assert_eq!(templates, ["intel_iommu=on iommu=pt quiet"]);
    let entries: Vec<(&str, &str)> =
        boot.entries.iter().map(|entry| (entry.place.as_str(), entry.parameters.as_str())).collect();
    assert_eq!(
        entries,
        [
            ("/boot/grub/grub.cfg", "root=UUID=1 intel_iommu=on"),
            ("/boot/loader/entries/one.conf", "root=UUID=1")
        ]
    );
}
