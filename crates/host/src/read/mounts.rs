//! What is mounted, and what is swapped to.
//!
//! `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`) and `/proc/swaps` (`mm/swapfile.c: swap_show`). Spaces in names are
//! written as octal escapes (`fs/seq_file.c: mangle_path`).

use slotwise_core::facts::{DevNumber, Fact, Mount, ReadFault, UsageFacts};

use super::{TEXT_BYTES, base_name, fact, malformed, text};
use crate::kernel::ReadHost;

const MOUNTS: &str = "/proc/self/mountinfo";
const SWAPS: &str = "/proc/swaps";

/// Rows that are read; containers can make thousands.
const MOST_MOUNTS: usize = 1 << 17;

pub(super) fn mounts(host: &dyn ReadHost, faults: &mut Vec<ReadFault>) -> Fact<Vec<Mount>> {
    fact(text(host, MOUNTS, TEXT_BYTES)).map(|text| {
        let rows = text.lines().take(MOST_MOUNTS).map(mount);
        let (good, bad): (Vec<_>, Vec<_>) = rows.partition(Option::is_some);
        if !bad.is_empty() {
            faults.push(malformed(MOUNTS, &format!("{} rows are not of the form of mountinfo", bad.len())));
        }
        good.into_iter().flatten().collect()
    })
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: after the mount point a variable number of fields up
/// to the dash.
fn mount(row: &str) -> Option<Mount> {
    let (head, tail) = row.split_once(" - ")?;
    let mut head = head.split(' ');
    let number = dev_number(head.nth(2)?)?;
    let mount_point = unescape(head.nth(1)?);
    let mut tail = tail.split(' ');
    Some(Mount { number, mount_point, fs_type: tail.next()?.to_owned(), source: unescape(tail.next()?) })
}

/// `major:minor`, as in `dev` files of block devices too.
pub(super) fn dev_number(text: &str) -> Option<DevNumber> {
    let (major, minor) = text.split_once(':')?;
    Some(DevNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// Octal escapes of three digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = |digit: &u8| (b'0'..=b'7').contains(digit).then(|| u32::from(digit - b'0'));
        let escape = match (first, after) {
            (b'\\', [a, b, c, ..]) => octal(a)
                .zip(octal(b))
                .zip(octal(c))
                .and_then(|((a, b), c)| u8::try_from(a * 64 + b * 8 + c).ok()),
            _ => None,
        };
        bytes.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Device numbers of swap in use: of the device itself, or of the file system that a swap file lies on.
pub(super) fn swaps(host: &dyn ReadHost, usage: &UsageFacts) -> Fact<Vec<String>> {
    fact(text(host, SWAPS, TEXT_BYTES)).map(|text| {
        let rows = text.lines().skip(1).filter_map(|row| {
            let mut words = row.split_ascii_whitespace();
            Some((unescape(words.next()?), words.next()? == "partition"))
        });
        rows.filter_map(|(path, is_device)| swap(&path, is_device, usage)).collect()
    })
}

fn swap(path: &str, is_device: bool, usage: &UsageFacts) -> Option<String> {
    if is_device {
        let name = base_name(path);
        let block = usage.block.known()?.iter();
        let mut found = block.filter(|device| device.name == name || device.volume.as_deref() == Some(name));
        return Some(found.next().map_or_else(|| path.to_owned(), |device| device.number.to_string()));
    }
    let below = |mount: &&Mount| {
        path.strip_prefix(mount.mount_point.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
    };
    let mounts = usage.mounts.known()?.iter().filter(below);
    mounts.max_by_key(|mount| mount.mount_point.len()).map(|mount| mount.number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_with_optional_fields_is_read() {
        let row =
            "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let mount = mount(row).expect("a mount");
        assert_eq!((mount.mount_point.as_str(), mount.fs_type.as_str()), ("/mnt 2", "ext3"));
        assert_eq!(mount.number, DevNumber { major: 98, minor: 0 });
    }

    #[test]
    fn escapes_that_are_none_are_kept() {
        assert_eq!(unescape("a\\04"), "a\\04");
        assert_eq!(unescape("\\777x"), "\\777x");
        assert_eq!(unescape("a\\134b"), "a\\b");
    }

    #[test]
    fn swap_file_counts_for_the_file_system_below_it() {
        let mount = |number, point: &str| Mount {
            number: DevNumber { major: 8, minor: number },
            mount_point: point.to_owned(),
            fs_type: "ext4".to_owned(),
            source: String::new(),
        };
        let usage =
            UsageFacts { mounts: Fact::Known(vec![mount(1, "/"), mount(2, "/var")]), ..Default::default() };
        assert_eq!(swap("/var/swap", false, &usage).as_deref(), Some("8:2"));
        assert_eq!(swap("/various", false, &usage).as_deref(), Some("8:1"));
    }
}
