//! `slotwise inspect --from X --json` over every source of the corpus, against what is known of each.

mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use corpus::{corpus, expected, files, functions, inspect, string, table, text};
use serde_json::Value;

fn addresses(host: &Value) -> BTreeSet<String> {
    functions(host).iter().map(|function| string(&function["address"])).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(string).collect()
}

fn or_none(rows: &[String]) -> String {
    if rows.is_empty() { "none".to_owned() } else { rows.join(";") }
}

fn yes_no(value: &Value) -> String {
    match string(value).as_str() {
        "on" => "yes".to_owned(),
        "off" => "no".to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn every_log_reads_as_known() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = String::new();
    for mut row in table(&corpus.join("dmesg/truth.tsv")) {
        let file = row.remove(0);
        row.truncate(7);
        row[4] = match row[4].split([' ', '(']).next().unwrap_or_default() {
            "ARM" => "smmu".to_owned(),
            "IBM" => "power".to_owned(),
            other => other.to_lowercase(),
        };
        let host = inspect(&corpus.join("dmesg").join(&file), &[]);
        let iommu = &host["iommu"];
        let reserved = || iommu["reserved"].as_array().expect("reserved").iter();
        let ranges: Vec<String> = reserved()
            .filter(|range| range["kind"] == "rmrr")
            .map(|range| format!("{}-{}", string(&range["start"]), string(&range["end"])))
            .collect();
        let mapped: BTreeSet<String> = reserved().flat_map(|range| strings(&range["devices"])).collect();
        let groups = host["groups"].as_array().expect("groups");
        let members: usize = groups.iter().map(|group| strings(&group["members"]).len()).sum();
        let seen = vec![
            yes_no(&iommu["state"]),
            yes_no(&iommu["interrupt_remapping"]),
            or_none(&ranges),
            or_none(&mapped.into_iter().collect::<Vec<_>>()),
            string(&iommu["vendor"]),
            groups.len().to_string(),
            members.to_string(),
        ];
        if seen != row || host["source"]["kind"] != "log" {
            let _ = writeln!(wrong, "{file}\n read  {seen:?}\n known {row:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_group_listing_reads_as_known() {
    let Some(corpus) = corpus() else { return };
    let directory = corpus.join("pci/groups");
    let mut wrong = String::new();
    for row in table(&directory.join("truth.tsv")) {
        let file = &row[0];
        let host = inspect(&directory.join(file), &[]);
        let mut seen = BTreeSet::new();
        for group in host["groups"].as_array().expect("groups") {
            let id = group["id"].as_u64().expect("a number").to_string();
            seen.extend(strings(&group["members"]).into_iter().map(|member| (id.clone(), member)));
        }
        let groups: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
        let all = addresses(&host).len();
        let counts = [all, seen.len(), groups.len(), all - seen.len()].map(|count| count.to_string());
        // One listing is there to be read by a person.
        if row[3] != "see text" && row[2..6] != counts {
            let _ = writeln!(wrong, "{file}: read {counts:?}, known {:?}", &row[2..6]);
        }
        let state = if seen.is_empty() { "unknown" } else { "on" };
        if host["iommu"]["state"] != state {
            let _ = writeln!(wrong, "{file}: IOMMU is {}", host["iommu"]["state"]);
        }
        let members = directory.join(file.replace(".txt", ".members.tsv"));
        if members.exists() {
            let domain = |address: &str| if address.len() < 12 { "0000:" } else { "" };
            let known: BTreeSet<(String, String)> = table(&members)
                .into_iter()
                .map(|row| (row[0].clone(), format!("{}{}", domain(&row[1]), row[1])))
                .collect();
            if seen != known {
                let _ = writeln!(wrong, "{file}: members {seen:?}, known {known:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Dumps with their decode.
fn dumps(corpus: &Path) -> Vec<(PathBuf, String)> {
    let mut dumps = Vec::new();
    for directory in ["pci/pciutils", "pci/dumps"] {
        for decode in files(&corpus.join(directory), |name| name.contains(".expected.")) {
            let name = decode.to_string_lossy().into_owned();
            if name.contains("stderr") {
                continue;
            }
            let (dump, _) = name.split_once(".expected.").expect("a decode");
            dumps.push((PathBuf::from(dump), text(&decode)));
        }
    }
    dumps
}

#[test]
fn every_dump_reads_as_lspci_decodes_it() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = String::new();
    for (dump, decode) in dumps(&corpus) {
        let host = inspect(&dump, &[]);
        let decoded = expected::decode(&decode);
        let known: BTreeSet<String> = decoded.iter().map(|(address, _)| address.clone()).collect();
        assert_eq!(addresses(&host), known, "{}", dump.display());
        for function in functions(&host) {
            let address = string(&function["address"]);
            let seen = expected::seen(function);
            // Where an address occurs twice, one of the two.
            let of_it: Vec<_> =
                decoded.iter().filter(|(a, _)| *a == address).map(|(_, lines)| lines).collect();
            if !of_it.contains(&&seen) {
                let _ = writeln!(wrong, "{} {address}\n{}", dump.display(), difference(&seen, of_it[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn difference(seen: &[String], known: &[String]) -> String {
    let mut text = String::new();
    for line in seen.iter().filter(|line| !known.contains(line)) {
        let _ = writeln!(text, "  read  {line}");
    }
    for line in known.iter().filter(|line| !seen.contains(line)) {
        let _ = writeln!(text, "  lspci {line}");
    }
    text
}

#[test]
fn words_alone_read_as_their_bytes_do() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = String::new();
    for (_, decode) in dumps(&corpus) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("decode");
        std::fs::write(&file, &decode).expect("written");
        let host = inspect(&file, &[]);
        assert_eq!(host["source"]["kind"], "lspci");
        let decoded = expected::decode(&decode);
        for function in functions(&host) {
            let address = string(&function["address"]);
            let seen = expected::seen(function);
            // Two capability ids have one name in lspci; the reader of words and this test make the same choice. Of an
            // address that occurs twice the parts of both are joined.
            let of_it: Vec<_> =
                decoded.iter().filter(|(a, _)| *a == address).map(|(_, lines)| lines).collect();
            if let [known] = of_it.as_slice()
                && **known != seen
            {
                let _ = writeln!(wrong, "{address}\n{}", difference(&seen, known));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Unpacks `archive`; the tree may lie one directory down.
fn unpacked(archive: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let status = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(directory.path()).status();
    assert!(status.is_ok_and(|status| status.success()), "tar cannot unpack {}", archive.display());
    directory
}

#[test]
fn every_tree_reads_as_known() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = String::new();
    for known in files(&corpus.join("pci/sysfs"), |name| name.ends_with(".expected.tsv")) {
        let name = known.to_string_lossy().into_owned();
        let directory = unpacked(Path::new(name.trim_end_matches(".expected.tsv")));
        let host = inspect(directory.path(), &[]);
        assert_eq!(host["source"]["kind"], "directory");
        let seen: Vec<Vec<String>> = functions(&host).into_iter().map(columns).collect();
        let rows: Vec<Vec<String>> = table(&known).into_iter().map(|row| known_columns(&row)).collect();
        for (seen, known) in seen.iter().zip(&rows).filter(|(seen, known)| seen != known) {
            let _ = writeln!(wrong, "{name}\n read  {seen:?}\n known {known:?}");
        }
        assert_eq!(seen.len(), rows.len(), "{name}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn columns(function: &Value) -> Vec<String> {
    let names = ["address", "vendor", "device", "class", "driver", "group", "numa_node", "parent"];
    names.map(|name| string(&function[name])).to_vec()
}

fn known_columns(row: &[String]) -> Vec<String> {
    let bare = |column: usize| row[column].trim_start_matches("0x").to_owned();
    let node = row[6].strip_prefix('-').map_or(row[6].clone(), |_| String::new());
    // A root bus is no function.
    let parent = Some(row[10].clone()).filter(|name| !name.starts_with("pci")).unwrap_or_default();
    vec![row[0].clone(), bare(1), bare(2), bare(3), row[4].clone(), row[5].clone(), node, parent]
}

#[test]
fn every_udev_database_gives_its_functions() {
    let Some(corpus) = corpus() else { return };
    for file in files(&corpus.join("pci/udevadm"), |name| name.ends_with(".txt")) {
        let host = inspect(&file, &[]);
        assert_eq!(host["source"]["kind"], "udevadm", "{}", file.display());
        let database = text(&file);
        let slots = database.lines().filter_map(|line| line.strip_prefix("E: PCI_SLOT_NAME="));
        assert_eq!(addresses(&host), slots.map(str::to_owned).collect(), "{}", file.display());
    }
}

/// Every unknown of the contract is null, none is left out.
#[test]
fn every_answer_has_all_keys_of_the_contract() {
    let Some(corpus) = corpus() else { return };
    let keys = "address vendor device subsystem_vendor subsystem_device class revision vendor_name device_name driver \
                modules group numa_node parent interrupt bars bridge capabilities features reset";
    let features = "flr af_flr pm_reset msi_vectors msix_vectors acs ari ats sriov_total_vfs resizable_bars";
    for from in
        ["dmesg/006.txt", "pci/groups/039.txt", "pci/dumps/004-arm-n1sdp.txt", "pci/udevadm/DELL_XPS1340.txt"]
    {
        let host = inspect(&corpus.join(from), &[]);
        assert_eq!(host["schema"], "slotwise.inspect/1");
        for function in functions(&host) {
            let has =
                |value: &Value, key: &str| value.as_object().is_some_and(|object| object.contains_key(key));
            for key in keys.split_ascii_whitespace() {
                assert!(has(function, key), "{from}: {key}");
            }
            for key in features.split_ascii_whitespace() {
                assert!(has(&function["features"], key), "{from}: {key}");
            }
        }
        for range in host["iommu"]["reserved"].as_array().expect("reserved") {
            assert!(["rmrr", "ivmd", "msi", "direct"].contains(&string(&range["kind"]).as_str()), "{range}");
        }
    }
}

/// lspci itself; none where it is not installed, which CI must not be.
fn lspci(dump: &Path, option: &str, pattern: &str) -> Option<BTreeSet<String>> {
    let output = match Command::new("lspci").args(["-D", "-n", option, pattern, "-F"]).arg(dump).output() {
        Ok(output) => output,
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "lspci is not installed");
            return None;
        }
    };
    // It refuses damaged dumps.
    let text = output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())?;
    Some(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

#[test]
fn patterns_select_what_lspci_selects() {
    let Some(corpus) = corpus() else { return };
    let slots = [
        "00:", "1", ".0", "*:*.1", "1f.3", "0:1c.*", "0000::", "::1d.0", "01:00.0", "0005:01:", "", "*", "2:",
    ];
    let ids = [
        ":",
        "8086:",
        ":1d10",
        "8086:*:0604",
        "::06xx",
        "::0604:00",
        "*:*:0c03:30",
        "::x604",
        "10de:",
        "::02XX",
    ];
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    // Every third is enough: all patterns run over each.
    for (dump, _) in dumps(&corpus).into_iter().step_by(3) {
        let of = |option, patterns: &[&'static str]| -> Vec<(&'static str, &'static str)> {
            patterns.iter().map(|pattern| (option, *pattern)).collect()
        };
        for (option, pattern) in of("-s", &slots).into_iter().chain(of("-d", &ids)) {
            let Some(known) = lspci(&dump, option, pattern) else { continue };
            let seen = addresses(&inspect(&dump, &[option, pattern]));
            assert_eq!(seen, known, "{} {option} {pattern:?}", dump.display());
            *compared.entry(pattern).or_default() += known.len();
        }
    }
    // Most patterns must have had something to select.
    assert!(
        compared.is_empty() || compared.values().filter(|count| **count > 0).count() >= 15,
        "{compared:?}"
    );
}
