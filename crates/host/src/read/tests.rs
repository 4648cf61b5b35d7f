//! What reading a function costs, and what is told of one that cannot be read whole.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use slotwise_core::facts::{Fact, Facts, FaultKind, FunctionFacts, Origin, SourceKind};

use crate::fake::{Asked, Counted, Question};
use crate::live::LiveHost;

const ADDRESS: &str = "0000:01:00.0";

/// A PCI Express endpoint: power management, MSI-X, PCI Express; AER, ACS.
fn config() -> Vec<u8> {
    let mut space = vec![0; 4096];
    let mut put = |offset: usize, bytes: &[u8]| space[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x00, &[0x86, 0x80, 0x63, 0x15, 0x07, 0x04, 0x10, 0x00, 0x01, 0x00, 0x00, 0x02]);
    put(0x34, &[0x40]);
    put(0x3c, &[0x0b, 0x01]);
    put(0x40, &[0x01, 0x70, 0x03, 0x48, 0x08, 0x00]);
    put(0x70, &[0x11, 0xa0, 0x3f, 0x80, 0x04, 0x00, 0x00, 0x00, 0x04, 0x20]);
    put(0xa0, &[0x10, 0x00, 0x02, 0x00, 0xc2, 0x8c, 0x00, 0x10]);
    put(0x100, &[0x01, 0x00, 0x01, 0x14]);
    put(0x140, &[0x0d, 0x00, 0x01, 0x00, 0x1f, 0x00, 0x1d, 0x00]);
    space
}

/// A host with one function that has this configuration space.
fn host(config: &[u8]) -> (tempfile::TempDir, LiveHost) {
    let root = tempfile::tempdir().expect("a directory");
    let device = root.path().join("sys/devices/pci0000:00/0000:00:01.0").join(ADDRESS);
    fs::create_dir_all(&device).expect("made");
    fs::create_dir_all(root.path().join("sys/bus/pci/devices")).expect("made");
    for (name, text) in [
        ("modalias", "pci:v00008086d00001563sv00008086sd00000001bc02sc00i00\n"),
        ("irq", "30\n"),
        ("enable", "1\n"),
        ("resource", "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"),
    ] {
        fs::write(device.join(name), text).expect("written");
    }
    fs::write(device.join("config"), config).expect("written");
    symlink("../../../../bus/pci", device.join("subsystem")).expect("linked");
    let target = format!("../../../devices/pci0000:00/0000:00:01.0/{ADDRESS}");
    symlink(target, root.path().join("sys/bus/pci/devices").join(ADDRESS)).expect("linked");
    let host = LiveHost::at(root.path()).expect("a host");
    (root, host)
}

fn read(host: &dyn crate::kernel::ReadHost) -> Facts {
    super::read(host, Origin::Saved { kind: SourceKind::Directory, name: "test".to_owned() })
}

fn function(facts: &Facts) -> &FunctionFacts {
    &facts.functions[&ADDRESS.parse().expect("an address")]
}

/// Parts of the configuration space that were asked for: offset and bytes.
fn parts(questions: &[Question]) -> Vec<(u64, usize)> {
    let part = |question: &Question| match question.what {
        Asked::Part { offset, bytes } if question.name == "config" => Some((offset, bytes)),
        _ => None,
    };
    questions.iter().filter_map(part).collect()
}

#[test]
fn of_a_live_function_the_header_and_the_chains_are_read_and_nothing_twice() {
    let (_root, host) = host(&config());
    let host = host.taken_for_running();
    let counted = Counted::new(&host);
    let facts = read(&counted);
    let capabilities = function(&facts).capabilities().expect("capabilities");
    let offsets: Vec<u16> = capabilities.iter().map(|capability| capability.offset).collect();
    assert_eq!(offsets, [0x40, 0x70, 0xa0, 0x100, 0x140]);
    let parts = parts(&counted.finish());
    assert_eq!(parts[0], (0, 64));
    let double_words: BTreeSet<u64> = parts[1..].iter().map(|(offset, _)| *offset).collect();
    assert!(parts[1..].iter().all(|(offset, bytes)| offset % 4 == 0 && *offset >= 64 && *bytes == 4));
    assert_eq!(double_words.len(), parts.len() - 1, "a double word was read twice: {parts:x?}");
    // Of 1,024 double words: 16 of the header, and of each capability what decoding needs.
    assert!(parts.len() - 1 <= 40, "{} double words beyond the header", parts.len() - 1);
    let pointed_at =
        |offset: u64| [0x40, 0x70, 0xa0, 0x100, 0x140].iter().any(|c| (*c..*c + 0x40).contains(&offset));
    assert!(double_words.iter().all(|offset| pointed_at(*offset)), "{double_words:x?}");
}

#[test]
fn capture_of_a_live_function_tells_the_same_of_it() {
    let (_root, host) = host(&config());
    let host = host.taken_for_running();
    let recorder = crate::capture::Recorder::new(&host);
    let live = read(&recorder);
    let captured = read(&recorder.finish());
    assert_eq!(format!("{:?}", live.functions), format!("{:?}", captured.functions));
}

#[test]
fn few_files_of_a_function_are_opened_and_none_twice() {
    let (_root, host) = host(&config());
    let counted = Counted::new(&host);
    drop(read(&counted));
    let device = format!("/sys/bus/pci/devices/{ADDRESS}");
    let questions = counted.finish();
    let opened = questions.iter().filter(|q| q.name == device && q.what == Asked::OpenDirectory).count();
    let of_device = questions.iter().filter(|q| q.directory.as_deref() == Some(device.as_str()));
    let asked: Vec<&str> = of_device.filter(|q| q.what == Asked::File).map(|q| q.name.as_str()).collect();
    assert_eq!((opened, asked.iter().collect::<BTreeSet<_>>().len()), (1, asked.len()));
    assert!(asked.len() <= 11, "{asked:?}");
    assert_eq!(parts(&questions).first(), Some(&(0, 64)));
}

#[test]
fn without_privilege_the_header_is_known_and_the_rest_unknown() {
    // What `pci_read_config` hands out to who may not read more.
    let (_root, host) = host(&config()[..64]);
    let facts = read(&host);
    let function = function(&facts);
    assert_eq!(function.interrupt_pin, Fact::Known(1));
    assert_eq!(function.config.known().map(slotwise_core::pci::ConfigSpace::extent), Some(64));
    let features = function.features();
    assert_eq!((features.flr, features.msix_vectors), (None, None));
    let told: Vec<String> = facts.faults.iter().map(ToString::to_string).collect();
    let needs_root =
        "configuration space beyond the header, of 1 functions: permission denied (root can read it)";
    assert_eq!(told, [needs_root]);
}

#[test]
fn function_without_capabilities_misses_nothing() {
    let mut space = config();
    space[0x06] = 0;
    let (_root, host) = host(&space);
    assert_eq!(read(&host).faults, []);
}

#[test]
fn function_that_reads_all_ones_has_vanished_and_is_not_decoded() {
    for size in [64, 256, 4096] {
        let (_root, host) = host(&vec![0xff; size]);
        let facts = read(&host);
        let function = function(&facts);
        assert_eq!(
            function.config.fault().map(|fault| fault.kind.clone()),
            Some(FaultKind::Vanished),
            "{size}"
        );
        assert_eq!(function.capabilities(), None);
        let told: Vec<String> = function.faults().map(ToString::to_string).collect();
        assert!(told.iter().any(|fault| fault.ends_with("config: went away while it was read")), "{told:?}");
    }
}

#[test]
fn virtual_function_whose_ids_read_all_ones_is_there() {
    let mut space = config();
    space[..4].fill(0xff);
    let (_root, host) = host(&space);
    assert!(function(&read(&host)).config.known().is_some());
}

#[test]
fn directory_that_is_removed_while_open_is_a_device_that_vanished() {
    let (root, host) = host(&config());
    let device = root.path().join("sys/devices/pci0000:00/0000:00:01.0").join(ADDRESS);
    let vanishing = Vanishing { host: &host, device: &device };
    let facts = read(&vanishing);
    assert!(facts.functions.is_empty());
    let told: Vec<String> = facts.faults.iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("/sys/bus/pci/devices/{ADDRESS}: went away while it was read")]);
}

/// A host whose device is pulled out right after its directory was opened.
#[derive(Debug)]
struct Vanishing<'h> {
    host: &'h LiveHost,
    device: &'h Path,
}

impl crate::kernel::ReadHost for Vanishing<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, crate::kernel::ReadError> {
        self.host.read(path, limit)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, crate::kernel::ReadError> {
        self.host.list(path)
    }

    fn link(&self, path: &str) -> Result<String, crate::kernel::ReadError> {
        self.host.link(path)
    }

    fn node(&self, path: &str) -> Result<crate::kernel::NodeStatus, crate::kernel::ReadError> {
        self.host.node(path)
    }

    fn open_dir(
        &self,
        path: &str,
    ) -> Result<Box<dyn crate::kernel::Directory + '_>, crate::kernel::ReadError> {
        let opened = self.host.open_dir(path)?;
        if path.ends_with(ADDRESS) {
            fs::remove_dir_all(self.device).expect("removed");
        }
        Ok(opened)
    }
}
