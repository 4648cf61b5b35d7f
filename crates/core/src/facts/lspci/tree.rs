//! The picture of `lspci -t`: which bus hangs where, and with `-v` what the functions are (pciutils `ls-tree.c`).
//!
//! `-[0000:00]-+-00.0`, `+-1c.0-[04-07]----00.0`: numbers in brackets are buses, those of a bridge its secondary and, if there
//! are more, its subordinate one; a `+` or `\` stands right below the `+` of the first function on the same bus. A domain is
//! printed where a bus hangs on none, in some versions everywhere.

use super::title::read_id;
use crate::facts::BusRange;
use crate::facts::line::{numbered, unquoted};
use crate::pci::{PciAddress, PciId};

/// The most functions that a picture is believed to have.
const MOST_FUNCTIONS: usize = 1 << 16;
/// The most branches that are open at once: a bus below each of 256.
const MOST_BRANCHES: usize = 256;

/// A function in the picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) address: PciAddress,
    /// None: it is no bridge.
    pub(super) buses: Option<BusRange>,
    pub(super) id: Option<PciId>,
    pub(super) name: Option<String>,
}

/// What a picture shows.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) leaves: Vec<Leaf>,
    /// Buses that hang on no bridge: domain and number.
    pub(super) roots: Vec<(u32, u8)>,
}

/// Whether `line`, without quoting and indentation, is part of such a picture.
pub(in crate::facts) fn is_tree_line(line: &str) -> bool {
    let line = line.trim_start_matches(['|', ' ']);
    let branch = line.strip_prefix("+-").or_else(|| line.strip_prefix("\\-"));
    let Some(rest) = branch.or_else(|| line.strip_prefix('-')) else { return false };
    let rest = rest.trim_start_matches(['+', '-']);
    bracket(rest).is_some_and(|(_, after)| after.starts_with('-')) || branch.is_some() && slot(rest).is_some()
}

/// Reads all pictures in a text.
pub(super) fn read(text: &[u8]) -> Picture {
    let mut reader = Reader::default();
    let text = String::from_utf8_lossy(text);
    // Indentation is kept: it says where a branch belongs.
    for line in numbered(&text).map(|(_, line)| unquoted(line)).filter(|line| is_tree_line(line)) {
        reader.line(line);
    }
    reader.picture
}

/// A bus, as far as its number is known.
#[derive(Clone, Copy, Debug)]
struct Bus {
    domain: u32,
    number: u8,
}

#[derive(Debug, Default)]
struct Reader {
    picture: Picture,
    /// Open branches: the column of their `+`, and the bus whose functions begin there; none for the root of all.
    branches: Vec<(usize, Option<Bus>)>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let start = line.find(|c: char| !matches!(c, ' ' | '|')).unwrap_or(0);
        let mut rest = line.get(start..).unwrap_or_default();
        let column = |rest: &str| line.len() - rest.len();
        let mut bus = None;
        if rest.starts_with(['+', '\\']) {
            while self.branches.last().is_some_and(|(at, _)| *at > start) {
                self.branches.pop();
            }
            // A branch that begins nowhere is the rest of a picture that was cut: its bus is not known.
            match self.branches.last() {
                Some((at, known)) if *at == start => bus = *known,
                _ => return,
            }
            rest = rest.get(1..).unwrap_or_default();
        } else {
            self.branches.clear();
        }
        while self.picture.leaves.len() < MOST_FUNCTIONS {
            rest = rest.trim_start_matches('-');
            if let Some(below) = rest.strip_prefix('+') {
                if self.branches.len() < MOST_BRANCHES {
                    self.branches.push((column(rest), bus));
                }
                rest = below;
            } else if let Some((found, after)) = bracket(rest) {
                let root = Bus { domain: found.domain.unwrap_or(0), number: found.buses.secondary };
                if bus.is_none() {
                    self.picture.roots.push((root.domain, root.number));
                }
                bus = Some(root);
                rest = after;
            } else if let (Some((device, function, after)), Some(on)) = (slot(rest), bus) {
                let Some(address) = address(on, device, function) else { return };
                let below = after.strip_prefix('-').and_then(bracket);
                let Some((found, after)) = below else {
                    let (id, name) = read_id(after.trim());
                    self.picture.leaves.push(Leaf { address, buses: None, id, name });
                    return;
                };
                self.picture.leaves.push(Leaf { address, buses: Some(found.buses), id: None, name: None });
                let domain = found.domain.unwrap_or(on.domain);
                bus = Some(Bus { domain, number: found.buses.secondary });
                rest = after;
            } else {
                return;
            }
        }
    }
}

fn address(bus: Bus, device: u8, function: u8) -> Option<PciAddress> {
    format!("{:04x}:{:02x}:{device:02x}.{function}", bus.domain, bus.number).parse().ok()
}

/// What stands in brackets.
#[derive(Clone, Copy, Debug)]
struct Bracket {
    domain: Option<u32>,
    buses: BusRange,
}

/// `[0000:00]`, `[04]`, `[04-07]`, and what follows.
fn bracket(text: &str) -> Option<(Bracket, &str)> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    let (domain, buses) =
        inside.split_once(':').map_or((None, inside), |(domain, buses)| (Some(domain), buses));
    let domain = match domain {
        Some(text) if (4..=8).contains(&text.len()) => Some(u32::from_str_radix(text, 16).ok()?),
        Some(_) => return None,
        None => None,
    };
    let number = |text: &str| (text.len() == 2).then(|| u8::from_str_radix(text, 16).ok()).flatten();
    let (first, last) = buses.split_once('-').unwrap_or((buses, buses));
    let buses = BusRange { secondary: number(first)?, subordinate: number(last)? };
    Some((Bracket { domain, buses }, after))
}

/// `1c.0`: device and function, and what follows.
fn slot(text: &str) -> Option<(u8, u8, &str)> {
    let (word, after) = text.split_at_checked(4)?;
    let (device, function) = word.split_once('.')?;
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let ends = after.is_empty() || after.starts_with([' ', '-']);
    if device.len() != 2 || !hex(device) || !hex(function) || !ends {
        return None;
    }
    Some((u8::from_str_radix(device, 16).ok()?, u8::from_str_radix(function, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<String> {
        let row = |leaf: &Leaf| {
            let buses = leaf
                .buses
                .map_or_else(String::new, |b| format!(" {:02x}-{:02x}", b.secondary, b.subordinate));
            format!("{}{buses}", leaf.address)
        };
        read(text.as_bytes()).leaves.iter().map(row).collect()
    }

    const PICTURE: &str = r"-+-[0000:80]-+-00.0-[81]--
 |           \-05.0
 \-[0000:00]-+-00.0  Intel Corporation Host Bridge [8086:3ec2]
             +-1d.0-[03-05]----00.0-[04-05]--+-03.0-[05]----00.0  Samsung
             |                               \-04.0-[06]--
             \-1f.0  Intel Corporation Z370
";

    #[test]
    fn branches_hang_where_they_are_drawn() {
        let all = [
            "0000:80:00.0 81-81",
            "0000:80:05.0",
            "0000:00:00.0",
            "0000:00:1d.0 03-05",
            "0000:03:00.0 04-05",
            "0000:04:03.0 05-05",
            "0000:05:00.0",
            "0000:04:04.0 06-06",
            "0000:00:1f.0",
        ];
        assert_eq!(rows(PICTURE), all);
        assert_eq!(rows(&format!("> {}", PICTURE.replace('\n', "\n> "))), all, "quoted");
        let picture = read(PICTURE.as_bytes());
        assert_eq!(picture.roots, [(0, 0x80), (0, 0)]);
        let host = picture.leaves.get(2).expect("a host bridge");
        assert_eq!(host.id, Some(PciId { vendor: 0x8086, device: 0x3ec2 }));
        assert_eq!(host.name.as_deref(), Some("Intel Corporation Host Bridge"));
    }

    #[test]
    fn old_pictures_have_no_domain_and_new_ones_one_everywhere() {
        let old = "-[00]-+-00.0\n      \\-1c.0-[02]----00.0\n";
        assert_eq!(rows(old), ["0000:00:00.0", "0000:00:1c.0 02-02", "0000:02:00.0"]);
        let new = "-[0001:00]---02.0-[0001:01]----00.0\n";
        assert_eq!(rows(new), ["0001:00:02.0 01-01", "0001:01:00.0"]);
    }

    #[test]
    fn a_picture_without_its_head_and_other_lines_give_nothing() {
        assert_eq!(rows("           +-01.0-[01]----00.0\n           \\-1f.0\n"), [""; 0]);
        for line in
            ["- 00.0 is not there", "-rw-r--r-- 1 root", "+-- 0", "--verbose", "-1.5 V", "-[1]", "[0000:00]"]
        {
            assert!(!is_tree_line(line), "{line}");
        }
    }
}
