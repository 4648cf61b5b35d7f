//! Starts a machine and holds what its firmware did against what was foretold.

use slotwise_core::pci::{BarKind, ROM_INDEX};
use slotwise_core::vm::address_space::{AddressSpace, Function, Owner, Part, Placer, Space};

use super::emulator::{Emulator, Listed, Settled, Started};
use super::ours;
use super::predict::{Ending, Measured, Place, Prediction, guest, label, predict, wants};
use super::set::{Firmware, Maker, Set};
use crate::Result;

/// One BAR or window.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) function: String,
    pub(super) part: String,
    pub(super) foretold: Place,
    pub(super) seen: Place,
}

/// One machine: what was foretold of it and what was seen.
pub(super) struct Trial<'s> {
    pub(super) set: &'s Set,
    pub(super) foretold: Ending,
    pub(super) seen: Ending,
    /// What firmware or QEMU said where it stopped.
    pub(super) said: String,
    pub(super) rows: Vec<Row>,
}

impl Row {
    pub(super) fn is_right(&self) -> bool {
        self.foretold == self.seen
    }
}

impl Trial<'_> {
    pub(super) fn wrong(&self) -> usize {
        let rows = self.rows.iter().filter(|row| !row.is_right()).count();
        rows + usize::from(self.foretold != self.seen)
    }
}

/// A register to read: whose, which part, and how it is shown.
struct Asked {
    owner: Owner,
    id: Id,
    name: String,
    /// Index and kind of its BARs.
    bars: Vec<(u8, BarKind)>,
    bridge: bool,
}

/// How a function is found in QEMU's list.
enum Id {
    Named(String),
    /// A device of the chipset: device and function on the root bus.
    Root(u8, u8),
}

/// Foretells and starts.
pub(super) fn try_out<'s>(set: &'s Set, placer: Placer, measured: &Measured) -> Result<Trial<'s>> {
    let prediction = predict(set, placer, measured)?;
    let arguments = match set.maker {
        Maker::Task => set.arguments()?,
        Maker::Backend => ours::arguments(set)?,
    };
    let trial = |seen, said, rows| Trial { set, foretold: prediction.ending, seen, said, rows };
    let mut emulator = match Emulator::boot(&arguments, set.firmware)? {
        Started::Up(emulator) => emulator,
        // QEMU hw/i386/pc.c: pc_memory_init
        Started::Refused(said) if said.contains("phys-bits too low") => {
            return Ok(trial(Ending::TooLarge, said, Vec::new()));
        }
        Started::Refused(said) => return Err(format!("QEMU does not start it: {said}").into()),
    };
    let settled = emulator.settle(set.firmware)?;
    let mut rows = Vec::new();
    if !matches!(settled, Settled::Stopped(_)) && prediction.ending != Ending::TooLarge {
        let listed = emulator.functions()?;
        for asked in asked(set, placer, measured)? {
            let found = listed.iter().find(|function| asked.is(function));
            read(&mut emulator, &asked, found, &prediction, &mut rows)?;
        }
        // OVMF gives a ROM an address only while it reads it.
        rows.retain(|row| set.firmware == Firmware::SeaBios || row.part != "ROM");
    }
    let (seen, said) = match settled {
        Settled::Done => (Ending::Placed, String::new()),
        Settled::Stopped(said) if said.contains("I/O") => (Ending::NoPorts, said),
        Settled::Stopped(said) => (Ending::NoMemory, said),
        // It does not say what was too little.
        Settled::Mute if prediction.ending == Ending::NoPorts => (Ending::NoPorts, "no console".to_owned()),
        Settled::Mute => (Ending::NoMemory, "no console".to_owned()),
    };
    Ok(trial(seen, said, rows))
}

impl Asked {
    fn is(&self, listed: &Listed) -> bool {
        match &self.id {
            Id::Named(id) => listed.id == *id,
            Id::Root(device, function) => {
                (listed.bus, listed.device, listed.function) == (0, *device, *function)
            }
        }
    }
}

/// Everything of a machine that has BARs or windows.
fn asked(set: &Set, placer: Placer, measured: &Measured) -> Result<Vec<Asked>> {
    let mut all = Vec::new();
    let kinds = |function: &Function| function.bars.iter().map(|bar| (bar.index(), bar.kind())).collect();
    for function in AddressSpace::chipset(&guest(set, placer)) {
        let id = Id::Root(function.slot.device(), function.slot.function());
        let name = format!("00:{} {}", function.slot, function.owner);
        all.push(Asked { owner: function.owner, id, name, bars: kinds(&function), bridge: false });
    }
    if set.maker == Maker::Backend {
        let bars = vec![(0, BarKind::Io), (1, BarKind::Memory32), (4, BarKind::Memory64)];
        let (owner, id) = (Owner::Guest("agent channel"), Id::Named("channels".to_owned()));
        all.push(Asked { owner, id, name: "agent channel".to_owned(), bars, bridge: false });
    }
    for seat in set.seats()? {
        let wants = wants(seat.node, measured)?;
        all.push(Asked {
            owner: Owner::Host(seat.address),
            name: label(seat.address, &seat.node.stand_in.name),
            id: Id::Named(seat.id.clone()),
            bars: wants.bars.iter().map(|bar| (bar.index(), bar.kind())).collect(),
            bridge: seat.node.bridge.is_some(),
        });
    }
    Ok(all)
}

/// Reads what firmware programmed into a function; nothing, where it gave its bus no number.
fn read(
    emulator: &mut Emulator,
    asked: &Asked,
    found: Option<&Listed>,
    prediction: &Prediction,
    rows: &mut Vec<Row>,
) -> Result {
    let mut row = |part: Part, name: String, seen| {
        let foretold = prediction.place(asked.owner, part);
        rows.push(Row { function: asked.name.clone(), part: name, foretold, seen });
    };
    for (index, kind) in &asked.bars {
        let seen = match found {
            Some(function) => bar(emulator, function, *index, *kind, asked.bridge)?,
            None => Place::Nowhere,
        };
        let name = if *index == ROM_INDEX { "ROM".to_owned() } else { format!("BAR {index}") };
        row(Part::Bar(*index), name, seen);
    }
    if asked.bridge {
        for (space, name) in
            [(Space::Io, "I/O"), (Space::Memory, "memory"), (Space::Prefetchable, "prefetchable")]
        {
            let seen = match found {
                Some(function) => window(emulator, function, space)?,
                None => Place::Nowhere,
            };
            row(Part::Window(space), format!("{name} window"), seen);
        }
    }
    Ok(())
}

fn bar(emulator: &mut Emulator, function: &Listed, index: u8, kind: BarKind, bridge: bool) -> Result<Place> {
    let offset = match (index, bridge) {
        (ROM_INDEX, false) => 0x30,
        (ROM_INDEX, true) => 0x38,
        _ => 0x10 + 4 * index,
    };
    let low = emulator.register(function, offset)?;
    let start = match kind {
        BarKind::Io => u64::from(low & !0x3),
        BarKind::Rom => u64::from(low & !0x7ff),
        BarKind::Memory64 => {
            u64::from(emulator.register(function, offset + 4)?) << 32 | u64::from(low & !0xf)
        }
        _ => u64::from(low & !0xf),
    };
    Ok(if start == 0 { Place::Nowhere } else { Place::At(start) })
}

/// A window of a bridge (PCI-to-PCI Bridge 1.2 §3.2.5); nowhere if its base is above its limit, or if both are as after reset.
fn window(emulator: &mut Emulator, function: &Listed, space: Space) -> Result<Place> {
    let (base, limit) = match space {
        Space::Io => {
            let value = emulator.register(function, 0x1c)?;
            (u64::from(value & 0xf0) << 8, u64::from(value >> 8 & 0xf0) << 8 | 0xfff)
        }
        Space::Memory => memory_window(emulator.register(function, 0x20)?, 0, 0),
        Space::Prefetchable => {
            let value = emulator.register(function, 0x24)?;
            let (base, limit) = (emulator.register(function, 0x28)?, emulator.register(function, 0x2c)?);
            memory_window(value, base, limit)
        }
    };
    Ok(if base == 0 || base > limit { Place::Nowhere } else { Place::Window(base, limit) })
}

fn memory_window(value: u32, base: u32, limit: u32) -> (u64, u64) {
    let low = |half: u32| u64::from(half & 0xfff0) << 16;
    (u64::from(base) << 32 | low(value), u64::from(limit) << 32 | low(value >> 16) | 0xf_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_its_end_included() {
        assert_eq!(memory_window(0xfe50_fe40, 0, 0), (0xfe40_0000, 0xfe5f_ffff));
        assert_eq!(memory_window(0xfff1_0001, 1, 1), (0x1_0000_0000, 0x1_ffff_ffff));
    }

    #[test]
    fn a_bar_that_moved_is_wrong() {
        let row = |foretold, seen| Row { function: "x".into(), part: "BAR 0".into(), foretold, seen };
        assert!(row(Place::At(0x1000), Place::At(0x1000)).is_right());
        assert!(!row(Place::At(0x1000), Place::At(0x2000)).is_right());
        assert!(!row(Place::At(0x1000), Place::Nowhere).is_right());
    }
}
