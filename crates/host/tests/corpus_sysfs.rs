//! Saved sysfs trees of the corpus, read as directories, against what is known of them.
//!
//! The corpus is not part of this repository: `SLOTWISE_CORPUS` names it, by default `../shared/testdata` beside the
//! workspace. Without it these tests do nothing, except on CI (`CI` set), where its absence is an error.

use std::path::{Path, PathBuf};
use std::process::Command;

use slotwise_core::facts::{Fact, Facts, FunctionFacts, Origin, SourceKind};
use slotwise_host::kernel::ReadHost;
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

/// Unpacks `archive`; the tree may lie one directory down.
fn unpacked(archive: &Path) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let status = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(dir.path()).status();
    assert!(status.is_ok_and(|status| status.success()), "tar cannot unpack {}", archive.display());
    let down =
        std::fs::read_dir(dir.path()).expect("unpacked").flatten().map(|entry| entry.path().join("sys"));
    let root = if dir.path().join("sys").is_dir() {
        dir.path().to_owned()
    } else {
        down.filter(|path| path.is_dir())
            .filter_map(|path| path.parent().map(Path::to_owned))
            .next()
            .expect("a tree")
    };
    (dir, root)
}

fn shown<T>(fact: &Fact<T>, show: impl Fn(&T) -> String) -> String {
    fact.known().map(show).unwrap_or_default()
}

/// The columns of the expected table, as far as facts hold them.
fn row(host: &dyn ReadHost, function: &FunctionFacts) -> Vec<String> {
    let place = format!("/sys/bus/pci/devices/{}", function.address);
    let above = host.link(&place).ok().and_then(|link| link.rsplit('/').nth(1).map(str::to_owned));
    let parent = match &function.parent {
        Fact::Known(parent) => parent.to_string(),
        Fact::Absent => above.filter(|name| name.starts_with("pci")).unwrap_or_default(),
        Fact::Unreadable(_) => String::new(),
    };
    let has_node = host.read(&format!("{place}/numa_node"), 64).is_ok();
    let no_node = || if has_node { "-1".to_owned() } else { String::new() };
    vec![
        function.address.to_string(),
        shown(&function.id, |id| format!("0x{:04x}", id.vendor)),
        shown(&function.id, |id| format!("0x{:04x}", id.device)),
        shown(&function.class, |class| format!("0x{class}")),
        shown(&function.driver, ToString::to_string),
        shown(&function.group, ToString::to_string),
        function.numa_node.known().map_or_else(no_node, ToString::to_string),
        shown(&function.sriov.total_vfs, ToString::to_string),
        shown(&function.sriov.num_vfs, ToString::to_string),
        shown(&function.sriov.physical_function, ToString::to_string),
        parent,
        host.read(&format!("{place}/config"), 4096)
            .map_or_else(|_| String::new(), |bytes| bytes.len().to_string()),
    ]
}

fn read(root: &Path) -> (LiveHost, Facts) {
    let host = LiveHost::at(root).expect("the unpacked tree");
    let origin = Origin::Saved { kind: SourceKind::Directory, name: root.display().to_string() };
    let facts = slotwise_host::read(&host, origin);
    (host, facts)
}

#[test]
fn every_column_of_every_tree_is_as_expected() {
    let Some(corpus) = corpus() else { return };
    let directory = corpus.join("pci/sysfs");
    let mut trees = 0;
    for entry in std::fs::read_dir(&directory).expect("pci/sysfs").flatten() {
        let expected_path = entry.path();
        let name = expected_path.to_string_lossy().into_owned();
        let Some(archive) = name.strip_suffix(".expected.tsv") else { continue };
        let (_dir, root) = unpacked(Path::new(archive));
        let (host, facts) = read(&root);
        let expected = std::fs::read_to_string(&expected_path).expect("expected table");
        let expected: Vec<Vec<String>> =
            expected.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect();
        let seen: Vec<Vec<String>> = facts.functions.values().map(|function| row(&host, function)).collect();
        assert_eq!(seen.len(), expected.len(), "{archive}");
        for (seen, expected) in seen.iter().zip(&expected) {
            assert_eq!(seen, expected, "{archive}");
        }
        trees += 1;
    }
    assert!(trees > 0, "no trees in {}", directory.display());
}

#[test]
fn configuration_space_is_known_where_a_tree_has_it() {
    let Some(corpus) = corpus() else { return };
    let (_dir, root) = unpacked(&corpus.join("pci/sysfs/systemd-lenovo-t60-class-pci.tar.xz"));
    let (_, facts) = read(&root);
    assert!(facts.functions.values().all(|function| {
        function.config.known().is_some_and(|space| space.u16(0) == function.id.known().map(|id| id.vendor))
    }));
}
