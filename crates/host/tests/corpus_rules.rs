//! Every rule over every host of the corpus, each function handed over by itself: what the rules say holds together.
//!
//! `SLOTWISE_FINDINGS` names a file that all findings are written to, to be read by a person.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use slotwise_core::facts::{Facts, Origin, SourceKind, from_text};
use slotwise_core::rules::{self, Assignment, Finding, RULES, Severity, Subject, VmAssignment};
use slotwise_core::topology::Topology;
use slotwise_core::vm::{BackendKind, MachineType};
use slotwise_host::live::LiveHost;

fn corpus() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var_os("SLOTWISE_CORPUS")
        .map_or_else(|| workspace.join("../shared/testdata"), |path| workspace.join(path));
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "the corpus is not at {}", root.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("a folder of the corpus").flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The host in a packed tree; the tree may lie one directory down.
fn unpacked(archive: &Path) -> Facts {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let status = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(dir.path()).status();
    assert!(status.is_ok_and(|status| status.success()), "tar cannot unpack {}", archive.display());
    let down = std::fs::read_dir(dir.path()).expect("unpacked").flatten().map(|entry| entry.path());
    let root = std::iter::once(dir.path().to_owned()).chain(down).find(|root| root.join("sys").is_dir());
    let host = LiveHost::at(&root.expect("a tree")).expect("a host");
    let origin = Origin::Saved { kind: SourceKind::Directory, name: "corpus".to_owned() };
    slotwise_host::read(&host, origin)
}

/// All hosts of the corpus by name.
fn hosts(root: &Path) -> BTreeMap<String, Facts> {
    let mut hosts = BTreeMap::new();
    for archive in files(&root.join("pci/sysfs")) {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with("gz") || name.ends_with("bz2") || name.ends_with("xz") {
            hosts.insert(format!("sysfs/{name}"), unpacked(&archive));
        }
    }
    for folder in ["pci/dumps", "pci/pciutils", "pci/groups", "pci/udevadm", "dmesg"] {
        for path in files(&root.join(folder)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Decodes and trees are other views of the same hosts.
            if name.contains(".tree.") || name.ends_with(".tsv") || name.contains("stderr") {
                continue;
            }
            let bytes = std::fs::read(&path).expect("read");
            if let Some(facts) = from_text(&bytes, &name) {
                hosts.insert(format!("{folder}/{name}"), facts);
            }
        }
    }
    hosts
}

fn assignment(address: slotwise_core::pci::PciAddress, backend: BackendKind) -> Assignment {
    let (name, memory) = ("vm".parse().expect("name"), "4G".parse().expect("memory"));
    let vm = VmAssignment::new(name, backend, MachineType::Q35, memory, vec![address]);
    Assignment { vms: vec![vm], ..Assignment::default() }
}

fn holds_together(host: &str, finding: &Finding) {
    let known = RULES.iter().any(|rule| rule.id == finding.rule);
    assert!(known, "{host}: {finding:?}");
    assert!(!finding.summary.is_empty() && !finding.why.is_empty(), "{host}: {finding:?}");
    let alarm = finding.severity != Severity::Notes;
    let doubt = finding.summary.starts_with("cannot tell");
    assert!(
        !alarm || doubt || !finding.evidence.is_empty(),
        "{host}: an alarm without evidence: {finding:?}"
    );
    assert!(
        !alarm || doubt || !finding.remedies.is_empty(),
        "{host}: an alarm without a way out: {finding:?}"
    );
    for evidence in &finding.evidence {
        assert!(!evidence.source.is_empty(), "{host}: {finding:?}");
    }
}

#[test]
fn findings_of_every_host_hold_together() {
    let Some(root) = corpus() else { return };
    let mut report = String::new();
    let mut checked = 0;
    for (name, facts) in hosts(&root) {
        let topology = Topology::new(facts);
        let addresses: Vec<_> = topology.functions().map(|function| function.address).collect();
        let mut of_host: BTreeMap<String, usize> = BTreeMap::new();
        let mut of_devices = String::new();
        for address in addresses {
            for backend in [BackendKind::Qemu, BackendKind::Xen] {
                for finding in rules::check(&topology, &assignment(address, backend)) {
                    holds_together(&name, &finding);
                    checked += 1;
                    let line = format!(
                        "{} {} {}: {}",
                        backend.name(),
                        finding.severity.name(),
                        finding.rule,
                        finding.summary
                    );
                    if matches!(finding.subject, Subject::Host) {
                        *of_host.entry(line).or_default() += 1;
                    } else {
                        let class = topology.function(address).and_then(|f| f.class.known());
                        let class = class.map_or_else(String::new, ToString::to_string);
                        let _ = writeln!(of_devices, "  {address} [{class}] {line}");
                    }
                }
            }
        }
        let _ = writeln!(report, "== {name}");
        for (line, count) in of_host {
            let _ = writeln!(report, "  host ({count}×) {line}");
        }
        report += &of_devices;
    }
    assert!(checked > 1000, "only {checked} findings");
    if let Some(path) = std::env::var_os("SLOTWISE_FINDINGS") {
        std::fs::write(path, report).expect("written");
    }
}
