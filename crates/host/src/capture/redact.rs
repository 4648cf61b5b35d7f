//! What must not leave a host: secrets on the command line, names of the host and its users, network addresses, serial
//! numbers. Where it matters that two things are the same one, a consistent stand-in takes the name's place.
//!
//! Reading asks for no file that holds a serial or a hardware address as such; what is handled here is where they hide:
//! the Device Serial Number capability (PCIe Base 6.0 §7.9.3, often made from a MAC address), interface names made from one
//! (`enx…`, systemd.net-naming-scheme(7)), routes, mounts, comments in configuration files.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::snapshot::{Content, Snapshot};

mod boot;

/// Stands for a value that was taken out.
const REDACTED: &str = "REDACTED";

/// Parts of a parameter's name that tell that its value is a secret.
const SECRET: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "psk", "apikey", "key"];

/// Parameters whose names sound secret, and whose values are not.
const NOT_SECRET: [&str; 4] = ["keyboard", "keymap", "keytable", "vconsole"];

impl Snapshot {
    /// Makes unreadable what must not leave the host; says what, for people. `host_name` is the host's own name.
    pub fn redact(&mut self, host_name: &str) -> Vec<String> {
        let mut told = Vec::new();
        self.each_text("/proc/cmdline", "values and addresses", &mut told, &command_line);
        self.each_text("/proc/self/mountinfo", "options, servers, users", &mut told, &mounts);
        self.each_text("/proc/net/route", "all but default routes", &mut told, &routes);
        self.each_text("/proc/net/ipv6_route", "all but default routes", &mut told, &routes_ipv6);
        self.processor(&mut told);
        self.processes(&mut told);
        self.reduce(&mut told);
        self.peripherals(&mut told);
        self.each_text("/proc/self/status", "all but user and capabilities", &mut told, &|text| {
            lines_of(text, &["Uid", "CapEff"])
        });
        self.connections(&mut told);
        self.boot_loader(&mut told);
        let configured: Vec<String> =
            self.files.keys().filter(|path| path.contains("/modprobe.d/")).cloned().collect();
        for path in configured {
            self.each_text(&path, "comments", &mut told, &without_comments);
        }
        self.host_name(host_name, &mut told);
        self.interfaces(&mut told);
        self.serial_numbers(&mut told);
        told
    }

    pub(super) fn each_text(
        &mut self,
        path: &str,
        what: &str,
        told: &mut Vec<String>,
        change: &dyn Fn(&str) -> String,
    ) {
        if let Some(Ok(Content::Whole(bytes))) = self.files.get_mut(path) {
            let changed = change(&String::from_utf8_lossy(bytes)).into_bytes();
            if changed != *bytes {
                told.push(format!("{path}: {what}"));
                *bytes = changed;
            }
        }
    }

    /// Of boot loader files the lines with kernel parameters are kept; menus hold password hashes.
    fn boot_loader(&mut self, told: &mut Vec<String>) {
        let paths: Vec<String> =
            self.files.keys().filter(|path| boot::is_of_boot_loader(path)).cloned().collect();
        for path in paths {
            self.each_text(&path, "all but kernel parameters", told, &boot::lines);
        }
    }

    /// Who is connected is nobody else's business, and of no use elsewhere.
    fn connections(&mut self, told: &mut Vec<String>) {
        for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
            if self.files.get(path).is_some_and(Result::is_ok) {
                self.files.remove(path);
                told.push(format!("{path}: connections"));
            }
        }
    }

    /// The host's name as a word, where names are chosen by people.
    fn host_name(&mut self, name: &str, told: &mut Vec<String>) {
        let common = ["localhost", "linux", "debian", "ubuntu", "fedora", "host", "root", "server", "(none)"];
        let short = name.split('.').next().unwrap_or_default();
        if short.len() < 3 || common.contains(&short) {
            return;
        }
        let chosen = |path: &String| {
            matches!(path.as_str(), "/proc/cmdline" | "/proc/self/mountinfo" | "/proc/swaps")
                || path.ends_with("/dm/name")
                || path.contains("/modprobe.d/")
                || boot::is_of_boot_loader(path)
        };
        let paths: Vec<String> = self.files.keys().filter(|path| chosen(path)).cloned().collect();
        for path in paths {
            self.each_text(&path, "name of the host", told, &|text| replace_word(text, short, "host"));
        }
    }

    /// Interfaces named after their hardware address get a stand-in everywhere, also in paths.
    fn interfaces(&mut self, told: &mut Vec<String>) {
        let names = self.lists.get("/sys/class/net").and_then(|list| list.as_ref().ok()).cloned();
        let by_address = |name: &&String| {
            name.strip_prefix("enx")
                .is_some_and(|hex| hex.len() == 12 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let stand_ins: BTreeMap<String, String> = names
            .iter()
            .flatten()
            .filter(by_address)
            .zip(1u32..)
            .map(|(name, number)| (name.clone(), format!("enx0200{number:08x}")))
            .collect();
        for (name, stand_in) in &stand_ins {
            told.push(format!("{stand_in}: interface named after its address"));
            self.rename(name, stand_in);
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let renamed = |text: &str| text.replace(from, to);
        self.files = std::mem::take(&mut self.files)
            .into_iter()
            .map(|(path, answer)| {
                let answer = answer.map(|content| match content {
                    Content::Whole(bytes) if contains(&bytes, from.as_bytes()) => {
                        Content::Whole(renamed(&String::from_utf8_lossy(&bytes)).into_bytes())
                    }
                    other => other,
                });
                (renamed(&path), answer)
            })
            .collect();
        self.links = std::mem::take(&mut self.links)
            .into_iter()
            .map(|(path, answer)| (renamed(&path), answer.map(|text| renamed(&text))))
            .collect();
        self.lists = std::mem::take(&mut self.lists)
            .into_iter()
            .map(|(path, answer)| {
                let names = answer.map(|names| {
                    let mut names: Vec<String> = names.iter().map(|name| renamed(name)).collect();
                    names.sort_unstable();
                    names
                });
                (renamed(&path), names)
            })
            .collect();
    }

    /// Zeroes the Device Serial Number in configuration spaces.
    fn serial_numbers(&mut self, told: &mut Vec<String>) {
        let mut count = 0;
        for (path, answer) in &mut self.files {
            if let Ok(content) = answer
                && path.ends_with("/config")
            {
                count += usize::from(zero_serial(content));
            }
        }
        if count > 0 {
            told.push(format!("configuration space: {count} device serial numbers"));
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|window| window == part)
}

/// Follows the extended capabilities (PCIe Base 6.0 §7.6.3) to the one with id 3 and zeroes its 8 bytes.
/// The lines that are `NAME: …` for one of `names`; others may hold serial numbers (`Serial` on ARM) and names.
fn lines_of(text: &str, names: &[&str]) -> String {
    let wanted = |line: &&str| line.split_once(':').is_some_and(|(head, _)| names.contains(&head.trim()));
    text.lines().filter(wanted).map(|line| format!("{line}\n")).collect()
}

fn zero_serial(content: &mut Content) -> bool {
    let byte = |content: &Content, at: usize| match content {
        Content::Whole(bytes) => bytes.get(at).copied(),
        Content::Parts(parts) => parts.bytes.get(at).copied().flatten(),
    };
    let word = |content: &Content, at| Some(u16::from_le_bytes([byte(content, at)?, byte(content, at + 1)?]));
    let mut offset = 0x100;
    // As many as fit into the space; a list may run in a circle.
    for _ in 0..(0x1000 - 0x100) / 4 {
        let (Some(id), Some(next)) = (word(content, offset), word(content, offset + 2)) else { return false };
        if id == 3 {
            for at in offset + 4..offset + 12 {
                match content {
                    Content::Whole(bytes) => bytes.get_mut(at).into_iter().for_each(|byte| *byte = 0),
                    Content::Parts(parts) => {
                        parts.bytes.get_mut(at).into_iter().flatten().for_each(|byte| *byte = 0);
                    }
                }
            }
            return true;
        }
        offset = usize::from(next >> 4) & !3;
        if offset < 0x100 {
            return false;
        }
    }
    false
}

/// Values of parameters that sound secret, and network addresses.
fn command_line(text: &str) -> String {
    let word = |word: &str| match word.split_once('=') {
        Some((name, _)) if is_secret(name) || is_address(name) => format!("{name}={REDACTED}"),
        Some((name, value)) if has_network_address(value) => format!("{name}={REDACTED}"),
        _ => word.to_owned(),
    };
    let end = text.trim_end().len();
    let words: Vec<String> = text.get(..end).unwrap_or_default().split(' ').map(word).collect();
    words.join(" ") + text.get(end..).unwrap_or_default()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part)) && !NOT_SECRET.iter().any(|part| name.contains(part))
}

/// Parameters whose values name hosts (`Documentation/admin-guide/nfs/nfsroot.rst`, dracut.cmdline(7)).
fn is_address(name: &str) -> bool {
    matches!(
        name,
        "ip" | "nfsroot" | "nfsaddrs" | "netroot" | "netconsole" | "BOOTIF" | "nameserver" | "hostname"
    ) || name == "systemd.hostname"
        || name.starts_with("rd.iscsi.")
        || name.starts_with("iscsi_")
}

/// `192.168.1.1`, `00:11:22:33:44:55`, `00-11-22-33-44-55`.
fn has_network_address(value: &str) -> bool {
    let parts = |separator: char, count: usize, fits: &dyn Fn(&str) -> bool| {
        let words = value.split(|c: char| !(c.is_ascii_hexdigit() || c == separator));
        let mut words = words.map(|word| word.split(separator).collect::<Vec<_>>());
        words.any(|parts| parts.len() >= count && parts.iter().all(|part| fits(part)))
    };
    let octet = |part: &str| part.parse::<u8>().is_ok();
    let pair = |part: &str| part.len() == 2;
    parts('.', 4, &octet) || parts(':', 6, &pair) || parts('-', 6, &pair)
}

/// Of each row what is read of it: options, which may hold passwords, are dropped; servers and users get stand-ins.
fn mounts(text: &str) -> String {
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = String::with_capacity(text.len());
    for row in text.lines() {
        let Some((head, tail)) = row.split_once(" - ") else { continue };
        let fields: Vec<&str> = head.split(' ').collect();
        let [id, parent, number, root, point, ..] = fields.as_slice() else { continue };
        let mut tail = tail.split(' ');
        let (fs_type, source) = (tail.next().unwrap_or_default(), tail.next().unwrap_or_default());
        let (root, point) = (without_user(root, &mut users), without_user(point, &mut users));
        let source = match source.split_once(":/") {
            Some((_, path)) if !source.starts_with('/') => format!("server:/{path}"),
            _ if source.starts_with("//") => "//server/share".to_owned(),
            _ => without_user(source, &mut users),
        };
        rows += &format!("{id} {parent} {number} {root} {point} rw - {fs_type} {source} -\n");
    }
    rows
}

/// A path with a user's name in it, for example below `/home`, with a stand-in for the name.
fn without_user(path: &str, users: &mut BTreeMap<String, usize>) -> String {
    for place in ["/home/", "/run/media/", "/media/", "/run/user/"] {
        if let Some(rest) = path.strip_prefix(place) {
            let (user, rest) = rest.split_once('/').map_or((rest, None), |(user, rest)| (user, Some(rest)));
            if user.is_empty() {
                break;
            }
            let next = users.len() + 1;
            let number = *users.entry(user.to_owned()).or_insert(next);
            let rest = rest.map_or_else(String::new, |rest| format!("/{rest}"));
            return format!("{place}user{number}{rest}");
        }
    }
    path.to_owned()
}

/// The head and the default routes, without the gateway's address.
fn routes(text: &str) -> String {
    let row = |(number, row): (usize, &str)| {
        let mut columns: Vec<Cow<'_, str>> = row.split('\t').map(Cow::Borrowed).collect();
        let is_default = columns.get(1).is_some_and(|to| to == "00000000");
        if number > 0
            && let Some(gateway) = columns.get_mut(2)
        {
            *gateway = Cow::Borrowed("00000000");
        }
        (number == 0 || is_default).then(|| columns.join("\t") + "\n")
    };
    text.lines().enumerate().filter_map(row).collect()
}

fn routes_ipv6(text: &str) -> String {
    let zero = "0".repeat(32);
    let row = |row: &str| {
        let mut columns: Vec<&str> = row.split_ascii_whitespace().collect();
        let is_default = columns.first().is_some_and(|to| to.bytes().all(|b| b == b'0'))
            && columns.get(1).is_some_and(|length| *length == "00");
        if let Some(next_hop) = columns.get_mut(4) {
            *next_hop = &zero;
        }
        is_default.then(|| columns.join(" ") + "\n")
    };
    text.lines().filter_map(row).collect()
}

fn without_comments(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    kept.map(|line| format!("{line}\n")).collect()
}

/// `text` with `word` replaced where no letter or digit goes before or behind it.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let joined = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let part_of_other = joined(before.chars().next_back()) || joined(after.chars().next());
        result += before;
        result += if part_of_other { word } else { by };
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_on_the_command_line_are_taken_out() {
        let line = "root=UUID=1-2 intel_iommu=on rd.luks.key=/x luks.passphrase=abc ip=10.0.0.1::10.0.0.2 x=00:11:22:33:44:55 vconsole.keymap=us BOOTIF=01-aa quiet\n";
        assert_eq!(
            command_line(line),
            "root=UUID=1-2 intel_iommu=on rd.luks.key=REDACTED luks.passphrase=REDACTED ip=REDACTED x=REDACTED vconsole.keymap=us BOOTIF=REDACTED quiet\n"
        );
    }

    #[test]
    fn pci_ids_are_no_network_address() {
        for value in ["10de:1c03,10de:10f1", "0000:03:04.0", "6.1.0-56-amd64", "crashkernel=256M"] {
            assert!(!has_network_address(value), "{value}");
        }
    }

    #[test]
    fn mounts_keep_what_is_read_and_lose_the_rest() {
        let text = "36 35 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro\n37 36 0:50 / /home/alice/nas rw - nfs4 nas.example:/export rw,addr=10.0.0.9\n38 36 0:51 / /mnt rw - cifs //nas/alice rw,username=alice,password=x\n";
        let kept = mounts(text);
        assert_eq!(
            kept,
            "36 35 8:2 / / rw - ext4 /dev/sda2 -\n37 36 0:50 / /home/user1/nas rw - nfs4 server:/export -\n38 36 0:51 / /mnt rw - cifs //server/share -\n"
        );
    }

    #[test]
    fn serial_number_is_zeroed_where_it_is() {
        let mut bytes = vec![0u8; 4096];
        let put = |bytes: &mut Vec<u8>, at: usize, words: &[u8]| {
            bytes.splice(at..at + words.len(), words.iter().copied());
        };
        put(&mut bytes, 0x100, &[1, 0, 1, 0x14]);
        put(&mut bytes, 0x140, &[3, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let mut content = Content::Whole(bytes);
        assert!(zero_serial(&mut content));
        let Content::Whole(bytes) = content else { panic!("whole") };
        assert_eq!(bytes.get(0x140..0x150), Some(&[3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..]));
    }

    #[test]
    fn host_name_is_replaced_as_a_word_only() {
        assert_eq!(replace_word("/dev/vg-tower/root towers", "tower", "host"), "/dev/vg-host/root towers");
    }

    #[test]
    fn interface_named_after_its_address_is_renamed_everywhere() {
        let mut snapshot = Snapshot::default();
        let name = "enx001122334455";
        snapshot.lists.insert("/sys/class/net".to_owned(), Ok(vec![name.to_owned(), "lo".to_owned()]));
        snapshot.links.insert(format!("/sys/class/net/{name}"), Ok(format!("../../devices/x/net/{name}")));
        snapshot.files.insert("/proc/interrupts".to_owned(), Ok(Content::Whole(name.as_bytes().to_vec())));
        let told = snapshot.redact("");
        assert_eq!(told.len(), 1);
        assert!(!format!("{snapshot:?}").contains("1122334455"), "{snapshot:?}");
        assert!(snapshot.links.contains_key("/sys/class/net/enx020000000001"));
    }
}
