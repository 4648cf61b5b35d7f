//! Names from the system's `pci.ids`, with the list that is built in where there is none.
//!
//! One pass over the list keeps the names of what is on one host and of nothing else. Format: the header of the file
//! itself, <https://pci-ids.ucw.cz/>: vendors, then behind `C ` classes; one tab before devices and sub-classes, two
//! before subsystems and programming interfaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read};

use pci_ids::FromId as _;
use slotwise_core::facts::Facts;
use slotwise_core::pci::{ClassCode, PciId};
use slotwise_core::report::Names;
use slotwise_core::topology::Topology;

/// Where distributions keep the list.
const PLACES: [&str; 4] = [
    "/usr/share/misc/pci.ids",
    "/usr/share/hwdata/pci.ids",
    "/usr/share/pci.ids",
    "/var/lib/pciutils/pci.ids",
];

/// The most bytes of a list that are read; it has 1.5 MiB in 2025.
const MOST_BYTES: u64 = 32 << 20;

/// How much of the list is looked through at once, in bytes.
const ROOM: usize = 64 << 10;

/// Names of what is on one host.
#[derive(Debug, Default)]
pub(crate) struct PciNames {
    vendors: BTreeMap<u16, String>,
    devices: BTreeMap<PciId, String>,
    /// By base class, sub-class, interface, as many as the name is for.
    classes: BTreeMap<(u8, Option<u8>, Option<u8>), String>,
}

/// What is looked for.
#[derive(Debug, Default)]
struct Wanted {
    vendors: BTreeSet<u16>,
    devices: BTreeSet<PciId>,
    classes: BTreeSet<ClassCode>,
}

/// Where in the list a line is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Below something that is not looked for.
    Elsewhere,
    /// Below this vendor.
    Vendor(u16),
    /// Below this class, and perhaps sub-class.
    Class(u8, Option<u8>),
}

impl Wanted {
    fn of(facts: &Facts) -> Self {
        let mut wanted = Self::default();
        for function in facts.functions.values() {
            wanted.classes.extend(function.class.known());
            if let Some(id) = function.id.known() {
                wanted.vendors.insert(id.vendor);
                wanted.devices.insert(*id);
            }
        }
        wanted
    }
}

impl PciNames {
    /// The names of everything in `topology`; only those are kept.
    pub(crate) fn of(topology: &Topology) -> Self {
        Self::system(&Wanted::of(topology.facts()))
    }

    /// The graph of a host, and the names of everything in it: made at the same time.
    pub(crate) fn and_topology(facts: Facts) -> (Self, Topology) {
        let wanted = Wanted::of(&facts);
        rayon::join(|| Self::system(&wanted), || Topology::new(facts))
    }

    fn system(wanted: &Wanted) -> Self {
        let list = PLACES.iter().find_map(|place| File::open(place).ok());
        list.map_or_else(Self::default, |list| Self::from_list(list.take(MOST_BYTES), wanted))
    }

    /// Reads the list piece by piece: memory for all of it would cost more than looking through it does. What cannot be read
    /// to its end names what stands before.
    fn from_list(mut list: impl Read, wanted: &Wanted) -> Self {
        let mut names = Self::default();
        let mut place = Place::Elsewhere;
        let mut room = vec![0; ROOM];
        let mut filled = 0;
        // A line that does not fit is none of such a list.
        while let Some(free) = room.get_mut(filled..).filter(|free| !free.is_empty()) {
            match list.read(free) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            let whole =
                room.get(..filled).and_then(|read| memchr::memrchr(b'\n', read)).map_or(0, |at| at + 1);
            place = names.lines(room.get(..whole).unwrap_or_default(), wanted, place);
            room.copy_within(whole..filled, 0);
            filled -= whole;
        }
        names.lines(room.get(..filled).unwrap_or_default(), wanted, place);
        names
    }

    /// Looks through lines that stand below `place`, and says below what the next one stands.
    fn lines(&mut self, lines: &[u8], wanted: &Wanted, mut place: Place) -> Place {
        let mut rest = lines;
        while !rest.is_empty() {
            if matches!(place, Place::Elsewhere) {
                rest = from_head(rest);
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            place = match line {
                [] | [b'#', ..] => place,
                [b'\t', ..] if matches!(place, Place::Elsewhere) => place,
                [b'\t', b'\t', line @ ..] => self.below_below(line, wanted, place),
                [b'\t', line @ ..] => self.below(line, wanted, place),
                [b'C', b' ', line @ ..] => self.class_line(line, wanted),
                line => self.vendor_line(line, wanted),
            };
        }
        place
    }

    fn vendor_line(&mut self, line: &[u8], wanted: &Wanted) -> Place {
        match entry(line, 4) {
            Some((id, name)) if wanted.vendors.contains(&id) => {
                self.vendors.insert(id, text(name));
                Place::Vendor(id)
            }
            _ => Place::Elsewhere,
        }
    }

    fn class_line(&mut self, line: &[u8], wanted: &Wanted) -> Place {
        let found = entry(line, 2).and_then(|(id, name)| Some((u8::try_from(id).ok()?, name)));
        match found {
            Some((base, name)) if wanted.classes.iter().any(|class| class.base() == base) => {
                self.classes.insert((base, None, None), text(name));
                Place::Class(base, None)
            }
            _ => Place::Elsewhere,
        }
    }

    /// A device of a vendor, or a sub-class.
    fn below(&mut self, line: &[u8], wanted: &Wanted, place: Place) -> Place {
        match place {
            Place::Elsewhere => {}
            Place::Vendor(vendor) => {
                if let Some((device, name)) = entry(line, 4)
                    && wanted.devices.contains(&PciId { vendor, device })
                {
                    self.devices.insert(PciId { vendor, device }, text(name));
                }
            }
            Place::Class(base, _) => {
                let found = entry(line, 2).and_then(|(id, name)| Some((u8::try_from(id).ok()?, name)));
                let Some((sub, name)) = found else { return Place::Class(base, None) };
                if wanted.classes.iter().any(|class| (class.base(), class.sub()) == (base, sub)) {
                    self.classes.insert((base, Some(sub), None), text(name));
                    return Place::Class(base, Some(sub));
                }
                return Place::Class(base, None);
            }
        }
        place
    }

    /// A programming interface; subsystems are not looked for.
    fn below_below(&mut self, line: &[u8], wanted: &Wanted, place: Place) -> Place {
        if let Place::Class(base, Some(sub)) = place
            && let Some((interface, name)) = entry(line, 2)
            && let Ok(interface) = u8::try_from(interface)
            && wanted.classes.contains(&ClassCode::new(base, sub, interface))
        {
            self.classes.insert((base, Some(sub), Some(interface)), text(name));
        }
        place
    }
}

/// `lines` from the first one on that does not begin with a tab. Nearly all lines of the list do and stand below something that
/// is on no given host: blocks of them are passed over without a look at each.
fn from_head(lines: &[u8]) -> &[u8] {
    /// Bytes in which a processor looks for such a line at once.
    const BLOCK: usize = 64;
    if lines.first() != Some(&b'\t') {
        return lines;
    }
    let next = lines.get(1..).unwrap_or_default();
    let begins = |(byte, next): (&u8, &u8)| *byte == b'\n' && *next != b'\t';
    // Without a way out of the loop, so that it becomes vector instructions.
    let holds = |(block, next): &(&[u8], &[u8])| {
        block.iter().zip(*next).fold(false, |found, pair| found | begins(pair))
    };
    let passed = BLOCK
        * lines.chunks_exact(BLOCK).zip(next.chunks_exact(BLOCK)).take_while(|pair| !holds(pair)).count();
    let (rest, next) = (lines.get(passed..).unwrap_or_default(), next.get(passed..).unwrap_or_default());
    let at = rest.iter().zip(next).position(begins).map_or(rest.len(), |at| at + 1);
    rest.get(at..).unwrap_or_default()
}

/// `vvvv  Name`: so many hexadecimal digits, two spaces, the name.
fn entry(line: &[u8], digits: usize) -> Option<(u16, &[u8])> {
    let (id, rest) = line.split_at_checked(digits)?;
    let name = rest.strip_prefix(b"  ")?;
    // Digit by digit: to look first whether each line is text, as the library's parser wants it, took a third of the time of
    // looking through the list.
    let id = id.iter().try_fold(0, |id: u32, digit| Some(id << 4 | char::from(*digit).to_digit(16)?))?;
    Some((u16::try_from(id).ok()?, name))
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).trim().to_owned()
}

impl Names for PciNames {
    fn vendor(&self, vendor: u16) -> Option<String> {
        let built_in = || pci_ids::Vendor::from_id(vendor).map(|v| v.name().to_owned());
        self.vendors.get(&vendor).cloned().or_else(built_in)
    }

    fn device(&self, id: PciId) -> Option<String> {
        let built_in = || pci_ids::Device::from_vid_pid(id.vendor, id.device).map(|d| d.name().to_owned());
        self.devices.get(&id).cloned().or_else(built_in)
    }

    fn class(&self, class: ClassCode) -> Option<String> {
        let (base, sub) = (class.base(), class.sub());
        let built_in_sub = || pci_ids::Subclass::from_cid_sid(base, sub).map(|s| s.name().to_owned());
        let built_in = || pci_ids::Class::from_id(base).map(|c| c.name().to_owned());
        let listed = |sub| self.classes.get(&(base, sub, None)).cloned();
        listed(Some(sub)).or_else(built_in_sub).or_else(|| listed(None)).or_else(built_in)
    }

    fn interface(&self, class: ClassCode) -> Option<String> {
        let (base, sub, interface) = (class.base(), class.sub(), class.interface());
        let built_in = || {
            let sub = pci_ids::Subclass::from_cid_sid(base, sub)?;
            sub.prog_ifs().find(|i| i.id() == interface).map(|i| i.name().to_owned())
        };
        self.classes.get(&(base, Some(sub), Some(interface))).cloned().or_else(built_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# comment\n\n9004  Adaptec\n\t5078  AIC-7850\n\t\t9004 7850  AHA-2904\n\t5178  AIC-7851\n\
        9005  Adaptec II\n\t5078  other\nC 01  Mass storage controller\n\t06  SATA controller\n\t\t01  AHCI 1.0\n\
        \t00  SCSI storage controller\nC 02  Network controller\n\t00  Ethernet controller\n";

    fn names(class: u32) -> PciNames {
        let id = PciId { vendor: 0x9004, device: 0x5078 };
        let wanted = Wanted {
            vendors: BTreeSet::from([0x9004]),
            devices: BTreeSet::from([id]),
            classes: BTreeSet::from([ClassCode::from_bits(class)]),
        };
        PciNames::from_list(LIST.as_bytes(), &wanted)
    }

    #[test]
    fn what_is_there_is_named_and_nothing_else_is_kept() {
        let names = names(0x01_0601);
        assert_eq!(names.vendors.values().collect::<Vec<_>>(), ["Adaptec"]);
        assert_eq!(names.devices.values().collect::<Vec<_>>(), ["AIC-7850"]);
        let classes: Vec<_> = names.classes.values().collect();
        assert_eq!(classes, ["Mass storage controller", "SATA controller", "AHCI 1.0"]);
    }

    #[test]
    fn lines_below_are_passed_over_at_every_distance() {
        for count in 0..200 {
            let below = format!("\t{}\n", "x".repeat(count));
            for lines in 0..3 {
                let text = format!("{}8086  Intel\n", below.repeat(lines));
                assert_eq!(from_head(text.as_bytes()), b"8086  Intel\n", "{count} {lines}");
            }
            assert_eq!(from_head(below.as_bytes()), b"", "{count}");
        }
    }

    /// A list that comes in pieces of so many bytes.
    struct Slow<'l>(&'l [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(into.get_mut(..most).unwrap_or_default())
        }
    }

    #[test]
    fn a_list_is_the_same_in_pieces_of_any_size() {
        let id = PciId { vendor: 0x9004, device: 0x5078 };
        let wanted = Wanted {
            vendors: BTreeSet::from([0x9004, 0x9005]),
            devices: BTreeSet::from([id]),
            classes: BTreeSet::from([ClassCode::from_bits(0x02_0000)]),
        };
        let whole = PciNames::from_list(LIST.trim_end().as_bytes(), &wanted);
        assert_eq!(whole.vendors.len(), 2);
        for size in 1..40 {
            let pieces = PciNames::from_list(Slow(LIST.as_bytes(), size), &wanted);
            assert_eq!(
                (&pieces.vendors, &pieces.devices, &pieces.classes),
                (&whole.vendors, &whole.devices, &whole.classes),
                "{size}"
            );
        }
    }

    #[test]
    fn the_most_specific_class_is_given() {
        assert_eq!(
            names(0x01_0000).class(ClassCode::from_bits(0x01_0000)).as_deref(),
            Some("SCSI storage controller")
        );
        let none = PciNames::default();
        assert_eq!(
            none.class(ClassCode::from_bits(0x01_0802)).as_deref(),
            Some("Non-Volatile memory controller")
        );
        assert_eq!(none.interface(ClassCode::from_bits(0x01_0802)).as_deref(), Some("NVM Express"));
        assert_eq!(none.vendor(0x8086).as_deref(), Some("Intel Corporation"));
    }
}
