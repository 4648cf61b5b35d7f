//! What one rig sees and the other does not: faults of the path, told apart from the device's.
//!
//! The same firmware answers in both, so a case that runs in both and ends differently blames what lies between: the
//! adapter as it is emulated, its driver and the guest's SCSI layer, QEMU's SCSI bus, or its iSCSI driver.

use std::fmt;

use slotwise_testbench::matrix::{Outcome, Row, Run};

/// Who is at fault for a known difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// QEMU's SCSI bus and `scsi-generic` (`hw/scsi/scsi-bus.c`, `scsi-generic.c`).
    EmulatedBus,
    /// The adapter's emulation (`hw/scsi/lsi53c895a.c`).
    EmulatedAdapter,
    /// The guest's SCSI layer and the adapter's driver.
    GuestLayer,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmulatedBus => "QEMU's SCSI bus",
            Self::EmulatedAdapter => "the adapter's emulation",
            Self::GuestLayer => "the guest's SCSI layer",
        })
    }
}

/// How often a known difference shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// In every run.
    Always,
    /// In some.
    AtTimes,
}

/// A difference whose reason is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The case.
    pub case: &'static str,
    /// How often it shows.
    pub shows: Shows,
    /// Whose fault it is.
    pub part: Part,
    /// What it does.
    pub reason: &'static str,
}

/// Between the firmware and a Linux guest with an LSI 53C895A, QEMU 7.2.
///
/// QEMU's SCSI bus takes the length of a transfer from where the commands of its group have it (`scsi_req_xfer` and
/// `scsi_cdb_xfer`, `hw/scsi/scsi-bus.c`), whatever the guest's adapter was told, and whatever the target would move.
pub const KNOWN: &[Known] = &[
    Known {
        case: "rb-reserved-each",
        shows: Shows::AtTimes,
        part: Part::EmulatedBus,
        reason: "the reserved byte before the allocation length is taken for a part of it",
    },
    Known {
        case: "rb-op-length",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "bytes 6 to 9 of an unknown command are taken for a length, and a data phase begins that nobody asked for",
    },
    Known {
        case: "rb-tail-not-run",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "bytes 6 to 9 of an unknown command are taken for a length, and a data phase begins that nobody asked for",
    },
    Known {
        case: "rb-unknown-six",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "some operation codes of other device types get a length of their own, and a data phase that nobody asked for",
    },
    Known {
        case: "reas-bad-lba",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "the length of a defect list is not in its block, so none of it is fetched from the guest",
    },
    Known {
        case: "reas-length",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "the length of a defect list is not in its block, so none of it is fetched from the guest",
    },
    Known {
        case: "reas-list",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "the length of a defect list is not in its block, so none of it is fetched from the guest",
    },
    Known {
        case: "reas-reserved",
        shows: Shows::Always,
        part: Part::EmulatedBus,
        reason: "the length of a defect list is not in its block, so none of it is fetched from the guest",
    },
    Known {
        case: "reas-one",
        shows: Shows::AtTimes,
        part: Part::EmulatedBus,
        reason: "a defect list that is not fetched leaves the adapter in a wrong phase; its driver resets the bus, and the attention \
                 comes with a later command",
    },
    Known {
        case: "wr10-zero-neighbours",
        shows: Shows::AtTimes,
        part: Part::EmulatedAdapter,
        reason: "data that are offered and not fetched leave the adapter in another phase than its driver, which resets the bus",
    },
];

/// A case that does not end in one rig as in the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The case.
    pub case: String,
    /// How it ended without anything between, and why it did not pass.
    pub direct: (Outcome, Option<String>),
    /// How it ended behind adapter and guest, and why it did not pass.
    pub behind: (Outcome, Option<String>),
    /// Why, if that is known.
    pub known: Option<Known>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |(outcome, reason): &(Outcome, Option<String>)| match reason {
            Some(reason) => format!("{} ({reason})", outcome.name()),
            None => outcome.name().to_owned(),
        };
        let (direct, behind) = (told(&self.direct), told(&self.behind));
        write!(
            f,
            "{}: a fault of the path: directly {direct}, behind adapter and guest {behind}",
            self.case
        )?;
        match &self.known {
            Some(known) => write!(f, "; {}: {}", known.part, known.reason),
            None => f.write_str("; its reason is not known"),
        }
    }
}

/// Cases that ran in both and differ. What either rig cannot carry is no difference.
pub fn differences(direct: &Run, behind: &Run) -> Vec<Difference> {
    let ran = |row: &&Row| row.outcome != Outcome::Skip;
    behind
        .rows
        .iter()
        .filter(ran)
        .filter_map(|row| {
            let same = |other: &&Row| other.suite == row.suite && other.case == row.case;
            let other = direct.rows.iter().filter(ran).find(same)?;
            (other.outcome != row.outcome).then(|| Difference {
                case: row.case.clone(),
                direct: (other.outcome, other.reason.clone()),
                behind: (row.outcome, row.reason.clone()),
                known: KNOWN.iter().find(|known| known.case == row.case).copied(),
            })
        })
        .collect()
}
