//! Logs, group listings, udev databases and ACPI tables of the corpus, against what is known of them.
//!
//! The corpus is not part of this repository: `SLOTWISE_CORPUS` names it, by default `../shared/testdata` beside the
//! workspace. Without it these tests do nothing, except on CI (`CI` set), where its absence is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use slotwise_core::facts::acpi::{DeviceScope, Dmar, DmarStructure, from_acpidump};
use slotwise_core::facts::kernel_log::from_log;
use slotwise_core::facts::{
    Facts, FunctionFacts, ReservedKind, SourceKind, Switch, from_groups, from_udevadm, recognise,
};
use slotwise_core::pci::PciAddress;

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

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Rows of a table; columns by number.
fn table(path: &Path) -> Vec<Vec<String>> {
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    text(path).lines().skip(1).map(row).collect()
}

fn grouped(facts: &Facts) -> Vec<(u32, PciAddress)> {
    let row = |function: &FunctionFacts| Some((function.group.known()?.0, function.address));
    facts.functions.values().filter_map(row).collect()
}

fn yes_no(switch: Switch) -> String {
    match switch {
        Switch::On => "yes",
        Switch::Off => "no",
        Switch::Unknown => "unknown",
    }
    .to_owned()
}

fn or_none(rows: &[String]) -> String {
    if rows.is_empty() { "none".to_owned() } else { rows.join(";") }
}

/// The columns of a log's row that a program can know.
fn log_row(facts: &Facts) -> Vec<String> {
    let reserved = || facts.iommu.reserved.iter();
    let ranges: Vec<String> = reserved()
        .filter(|region| region.kind == ReservedKind::Rmrr)
        .map(|region| format!("{:#x}-{:#x}", region.start, region.end))
        .collect();
    let mapped: BTreeSet<String> =
        reserved().flat_map(|region| &region.devices).map(ToString::to_string).collect();
    let grouped = grouped(facts);
    let groups: BTreeSet<u32> = grouped.iter().map(|(group, _)| *group).collect();
    vec![
        yes_no(facts.iommu.state),
        yes_no(facts.iommu.interrupt_remapping),
        or_none(&ranges),
        or_none(&mapped.into_iter().collect::<Vec<_>>()),
        facts.iommu.vendor.name().to_owned(),
        groups.len().to_string(),
        grouped.len().to_string(),
    ]
}

#[test]
fn every_column_of_every_log_is_as_known() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = String::new();
    for mut row in table(&corpus.join("dmesg/truth.tsv")) {
        let file = row.remove(0);
        let log = text(&corpus.join("dmesg").join(&file));
        assert_eq!(recognise(log.as_bytes()), Some(SourceKind::Log), "{file}");
        let facts = from_log(&log, &file);
        row.truncate(7);
        row[4] = match row[4].split([' ', '(']).next().unwrap_or_default() {
            "ARM" => "smmu".to_owned(),
            "IBM" => "power".to_owned(),
            other => other.to_lowercase(),
        };
        let seen = log_row(&facts);
        if seen != row || !facts.faults.is_empty() {
            let _ = writeln!(wrong, "{file}\n read  {seen:?}\n known {row:?}\n {:?}", facts.faults);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_group_listing_is_as_known() {
    let Some(corpus) = corpus() else { return };
    let directory = corpus.join("pci/groups");
    let mut wrong = String::new();
    for row in table(&directory.join("truth.tsv")) {
        let file = &row[0];
        let listing = text(&directory.join(file));
        let facts = from_groups(&listing, file);
        let kind = recognise(listing.as_bytes());
        assert!(matches!(kind, Some(SourceKind::Groups | SourceKind::Lspci)), "{file}: {kind:?}");
        let grouped = grouped(&facts);
        let groups: BTreeSet<u32> = grouped.iter().map(|(group, _)| *group).collect();
        let without = facts.functions.len() - grouped.len();
        let seen =
            [facts.functions.len(), grouped.len(), groups.len(), without].map(|count| count.to_string());
        // One listing is there to be read by a person.
        if row[3] != "see text" && row[2..6] != seen {
            let _ = writeln!(wrong, "{file}: read {seen:?}, known {:?}", &row[2..6]);
        }
        let members = directory.join(file.replace(".txt", ".members.tsv"));
        if members.exists() {
            let known: BTreeSet<(u32, PciAddress)> = table(&members)
                .iter()
                .map(|row| (row[0].parse().expect("a group"), row[1].parse().expect("an address")))
                .collect();
            let seen: BTreeSet<_> = grouped.into_iter().collect();
            if seen != known {
                let _ = writeln!(wrong, "{file}: members {seen:?}, known {known:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_udev_database_gives_its_functions() {
    let Some(corpus) = corpus() else { return };
    let directory = corpus.join("pci/udevadm");
    for entry in std::fs::read_dir(&directory).expect("pci/udevadm").flatten() {
        let database = text(&entry.path());
        assert_eq!(recognise(database.as_bytes()), Some(SourceKind::Udevadm), "{:?}", entry.path());
        let facts = from_udevadm(&database, "test");
        let slots: BTreeSet<&str> =
            database.lines().filter_map(|line| line.strip_prefix("E: PCI_SLOT_NAME=")).collect();
        let seen: BTreeSet<String> = facts.functions.keys().map(ToString::to_string).collect();
        assert_eq!(seen.iter().map(String::as_str).collect::<BTreeSet<_>>(), slots, "{:?}", entry.path());
        assert_eq!(facts.faults, [], "{:?}", entry.path());
    }
}

fn scope(entries: &[DeviceScope]) -> String {
    let entry = |entry: &DeviceScope| {
        let mut text = format!("{} id{} {:02x}", entry.kind.name(), entry.enumeration_id, entry.start_bus);
        for (device, function) in &entry.path {
            let _ = write!(text, ":{device:02x}.{function:x}");
        }
        text
    };
    entries.iter().map(entry).collect::<Vec<_>>().join("; ")
}

/// A structure as a row of the table of truth: structure, value, segment, device scope.
fn structure(structure: &DmarStructure) -> Vec<String> {
    let row = |name: &str, value: String, segment: Option<u16>, entries: &[DeviceScope]| {
        vec![name.to_owned(), value, segment.map(|s| s.to_string()).unwrap_or_default(), scope(entries)]
    };
    match structure {
        DmarStructure::HardwareUnit { flags, segment, base, scope } => {
            row("DRHD", format!("base={base:#x} flags={flags}"), Some(*segment), scope)
        }
        DmarStructure::ReservedMemory { segment, start, end, scope } => {
            row("RMRR", format!("{start:#x}-{end:#x}"), Some(*segment), scope)
        }
        DmarStructure::RootPortAts { flags, segment, scope } => {
            row("ATSR", format!("flags={flags}"), Some(*segment), scope)
        }
        DmarStructure::Affinity { base, proximity_domain } => {
            row("RHSA", format!("base={base:#x} pd={proximity_domain}"), None, &[])
        }
        other => panic!("not in the corpus: {other:?}"),
    }
}

#[test]
fn every_structure_of_every_acpi_table_is_as_known() {
    let Some(corpus) = corpus() else { return };
    let directory = corpus.join("pci/acpi");
    let mut known: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for mut row in table(&directory.join("truth.tsv")) {
        row.resize(5, String::new());
        known.entry(row.remove(0)).or_default().push(row);
    }
    assert!(!known.is_empty());
    for (file, rows) in known {
        let bytes = std::fs::read(directory.join(&file)).expect("a table");
        let dump = from_acpidump(&text(&directory.join(file.replace(".dat", ".acpidump.txt"))));
        assert_eq!(dump.first().map(|table| table.bytes.as_slice()), Some(bytes.as_slice()), "{file}");
        let dmar = Dmar::parse(&bytes).expect("a DMAR table");
        let header = format!("haw={} flags={:#x}", dmar.host_address_bits, dmar.flags);
        let mut seen = vec![vec!["header".to_owned(), header, String::new(), String::new()]];
        seen.extend(dmar.structures.iter().map(structure));
        assert_eq!(seen, rows, "{file}");
        assert_eq!(dmar.broken_at, None, "{file}");
    }
}
