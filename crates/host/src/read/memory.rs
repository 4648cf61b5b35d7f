//! Memory, huge pages and limits of locked memory.
//!
//! `/proc/meminfo` (`fs/proc/meminfo.c`), `/sys/devices/system/node/node*/meminfo` (`drivers/base/node.c`), `hugepages/` of the
//! host and of each node (`mm/hugetlb_sysfs.c`), `limits.conf(5)`, `systemd-system.conf(5)` and `systemd.exec(5)` of the
//! services that run guests. What a service was started with, and what `prlimit` changed since, is not told there.

use slotwise_core::facts::{CpuList, Fact, HugePages, MemlockSetting, MemoryFacts, NodeMemory, ReadFault};

use super::{ATTRIBUTE_BYTES, fact, fault, malformed, text};
use crate::kernel::ReadHost;

const NODES: &str = "/sys/devices/system/node";
const POOLS: &str = "/sys/kernel/mm/hugepages";

/// `CONFIG_NODES_SHIFT` is 10 at most.
const MOST_NODES: usize = 1 << 10;
/// Sizes of huge pages that an architecture has: four on arm64, two on x86.
const MOST_SIZES: usize = 16;

/// The largest file of limits that is read.
const FILE_BYTES: usize = 1 << 20;

/// Where limits of sessions are set (`pam_limits(8)`), in the order in which they are read.
const SESSION_LIMITS: [(&str, &str); 3] = [
    ("/usr/etc/security", "limits.conf"),
    ("/etc/security", "limits.conf"),
    ("/etc/security/limits.d", ".conf"),
];

/// Directories of systemd's own settings and of units, the least important first.
const SYSTEMD: [&str; 3] = ["/usr/lib/systemd", "/run/systemd", "/etc/systemd"];

/// Settings of systemd that hold for all services, and services that run guests, with their drop-ins.
const UNITS: [&str; 5] = [
    "system.conf",
    "user.conf",
    "system/libvirtd.service",
    "system/virtqemud.service",
    "system/user@.service",
];

pub(super) fn memory(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> MemoryFacts {
    let meminfo = fact(text(host, "/proc/meminfo", ATTRIBUTE_BYTES));
    let field = |name: &str| meminfo.as_ref().and_then(|text| kilobytes(text, name));
    let nodes = fact(host.list(NODES)).map(|names| {
        let number = |name: &String| name.strip_prefix("node")?.parse().ok();
        let mut nodes: Vec<u32> = names.iter().filter_map(number).take(MOST_NODES).collect();
        nodes.sort_unstable();
        nodes
    });
    let huge_pages = match pools(host, POOLS, None) {
        Fact::Known(mut pools_of_host) => {
            for node in nodes.known().into_iter().flatten() {
                let directory = format!("{NODES}/node{node}/hugepages");
                match pools(host, &directory, Some(*node)) {
                    Fact::Known(found) => pools_of_host.extend(found),
                    Fact::Absent => {}
                    Fact::Unreadable(fault) => faults.push(fault),
                }
            }
            Fact::Known(pools_of_host)
        }
        other => other,
    };
    MemoryFacts {
        total_bytes: field("MemTotal"),
        available_bytes: field("MemAvailable"),
        nodes: nodes.map(|nodes| nodes.iter().filter_map(|node| node_memory(host, *node, faults)).collect()),
        huge_pages,
        memlock: memlock(host, faults),
    }
}

/// `MemTotal:       16316412 kB`, in bytes; rows of a node begin with `Node 0`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let row = text.lines().find_map(|line| {
        let (head, value) = line.split_once(':')?;
        (head.split_ascii_whitespace().next_back()? == name).then_some(value)
    })?;
    row.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn node_memory(host: &dyn ReadHost, node: u32, faults: &mut Vec<ReadFault>) -> Option<(u32, NodeMemory)> {
    let path = format!("{NODES}/node{node}/meminfo");
    match text(host, &path, ATTRIBUTE_BYTES) {
        Ok(text) => {
            let memory = kilobytes(&text, "MemTotal").zip(kilobytes(&text, "MemFree"));
            if memory.is_none() {
                faults.push(malformed(&path, "expected MemTotal and MemFree in kB"));
            }
            memory.map(|(total_bytes, free_bytes)| {
                let processors = processors(host, node);
                (node, NodeMemory { total_bytes, free_bytes, processors })
            })
        }
        Err(error) => {
            if !error.is_not_found() {
                faults.push(fault(&error));
            }
            None
        }
    }
}

fn processors(host: &dyn ReadHost, node: u32) -> Fact<CpuList> {
    let path = format!("{NODES}/node{node}/cpulist");
    match fact(text(host, &path, ATTRIBUTE_BYTES)) {
        Fact::Known(text) => match CpuList::parse(&text) {
            Some(list) => Fact::Known(list),
            None => Fact::Unreadable(malformed(&path, "expected ranges of numbers")),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(fault) => Fact::Unreadable(fault),
    }
}

/// Pools in `directory`: `hugepages-2048kB/nr_hugepages` and its kin.
fn pools(host: &dyn ReadHost, directory: &str, node: Option<u32>) -> Fact<Vec<HugePages>> {
    fact(host.list(directory)).map(|names| {
        let pool = |name: &String| {
            let kilobytes = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok()?;
            let count = |file: &str| {
                let path = format!("{directory}/{name}/{file}");
                match fact(text(host, &path, ATTRIBUTE_BYTES)) {
                    Fact::Known(text) => match text.trim().parse() {
                        Ok(count) => Fact::Known(count),
                        Err(_) => Fact::Unreadable(malformed(&path, "expected a number")),
                    },
                    Fact::Absent => Fact::Absent,
                    Fact::Unreadable(fault) => Fact::Unreadable(fault),
                }
            };
            Some(HugePages {
                page_bytes: kilobytes.checked_mul(1024)?,
                node,
                total: count("nr_hugepages"),
                free: count("free_hugepages"),
                reserved: count("resv_hugepages"),
            })
        };
        let mut pools: Vec<HugePages> = names.iter().filter_map(pool).take(MOST_SIZES).collect();
        pools.sort_unstable_by_key(|pool| pool.page_bytes);
        pools
    })
}

/// Settings of all files. One that cannot be read makes the whole unknown only if nothing was found.
fn memlock(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<MemlockSetting>> {
    let mut files: Vec<String> = Vec::new();
    let mut unread: Vec<ReadFault> = Vec::new();
    let mut below = |directory: &str, suffix: &str| match host.list(directory) {
        Ok(names) => files.extend(
            names.iter().filter(|name| name.ends_with(suffix)).map(|name| format!("{directory}/{name}")),
        ),
        Err(error) if error.is_not_found() => {}
        Err(error) => unread.push(fault(&error)),
    };
    for (directory, suffix) in SESSION_LIMITS {
        below(directory, suffix);
    }
    for unit in UNITS {
        for root in SYSTEMD {
            below(&format!("{root}/{unit}.d"), ".conf");
        }
    }
    // Named, not listed: which other services a host has is nobody's business.
    let units = UNITS.iter().flat_map(|unit| SYSTEMD.map(|root| format!("{root}/{unit}")));
    let files: Vec<String> = units.chain(files).collect();
    let mut found = Vec::new();
    for path in &files {
        match text(host, path, FILE_BYTES) {
            Ok(text) => found.extend(settings(path, &text)),
            Err(error) if error.is_not_found() => {}
            Err(error) => unread.push(fault(&error)),
        }
    }
    if found.is_empty()
        && let Some(fault) = unread.pop()
    {
        return Fact::Unreadable(fault);
    }
    faults.extend(unread);
    Fact::Known(found)
}

/// `@kvm  -  memlock  unlimited`, or `LimitMEMLOCK=64M`.
fn settings(path: &str, text: &str) -> Vec<MemlockSetting> {
    let limits = path.contains("/security/");
    let setting = |line: &str| {
        let line = line.trim();
        if limits {
            let bare = line.split('#').next()?;
            let words: Vec<&str> = bare.split_ascii_whitespace().collect();
            let [domain, kind, "memlock", value, ..] = words.as_slice() else { return None };
            return Some((format!("{domain} {kind}"), (*value).to_owned()));
        }
        let (name, value) = line.split_once('=')?;
        matches!(name.trim(), "LimitMEMLOCK" | "DefaultLimitMEMLOCK")
            .then(|| (name.trim().to_owned(), value.trim().to_owned()))
    };
    let rows = text.lines().filter_map(setting);
    rows.map(|(scope, value)| MemlockSetting { place: path.to_owned(), scope, value }).collect()
}

/// What is needed of a file of limits: its rows about locked memory, with a stand-in for users' names. Groups (`@kvm`)
/// keep theirs: rules name them.
pub(crate) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let limits = path.starts_with("/etc/security/") || path.starts_with("/usr/etc/security/");
    let unit = SYSTEMD.iter().find_map(|root| path.strip_prefix(root)?.strip_prefix('/'));
    let of_unit = unit.is_some_and(|rest| UNITS.iter().any(|unit| rest.starts_with(unit)));
    if !(limits || of_unit) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let rows = settings(path, &text).into_iter().map(|setting| {
        if !limits {
            return format!("{}={}\n", setting.scope, setting.value);
        }
        let (domain, kind) = setting.scope.split_once(' ').unwrap_or((&setting.scope, "-"));
        let known = domain.starts_with(['@', '*', '%', ':']) || domain == "root";
        format!("{} {kind} memlock {}\n", if known { domain } else { "user" }, setting.value)
    });
    Some(rows.collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_forms_are_read() {
        let limits =
            "# comment\nalice hard nofile 10\n@kvm - memlock unlimited # all\n* soft memlock 65536\n";
        let rows: Vec<_> = settings("/etc/security/limits.conf", limits)
            .into_iter()
            .map(|setting| (setting.scope, setting.value))
            .collect();
        assert_eq!(
            rows,
            [("@kvm -".to_owned(), "unlimited".to_owned()), ("* soft".to_owned(), "65536".to_owned())]
        );
        let unit = settings(
            "/etc/systemd/system/libvirtd.service.d/x.conf",
            "[Service]\nLimitMEMLOCK=infinity\n#LimitMEMLOCK=1\n",
        );
        assert_eq!(unit.len(), 1);
    }

    #[test]
    fn only_limits_of_memory_leave_the_host() {
        let text = b"# bob wrote this\nalice - memlock 64\n@kvm - memlock unlimited\nalice - nproc 5\n";
        let short = reduced("/etc/security/limits.d/vm.conf", text).expect("limits");
        assert_eq!(String::from_utf8_lossy(&short), "user - memlock 64\n@kvm - memlock unlimited\n");
        assert_eq!(reduced("/etc/modprobe.d/x.conf", text), None);
    }

    #[test]
    fn sizes_of_host_and_node_are_read() {
        assert_eq!(kilobytes("MemTotal:       16 kB\nMemFree: 8 kB\n", "MemTotal"), Some(16384));
        assert_eq!(kilobytes("Node 0 MemTotal:  16 kB\n", "MemTotal"), Some(16384));
        assert_eq!(kilobytes("HugePages_Total:   4\n", "HugePages_Total"), None);
        assert_eq!(kilobytes("MemTotal: 99999999999999999999 kB\n", "MemTotal"), None);
    }
}
