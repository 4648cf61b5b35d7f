//! Holds what a guest shows against what is known of the device.

use slotwise_core::pci::PciId;

use super::{Reference, SeenDisk, SeenSize, Sight, marks};
use crate::rig::Identity;

/// What came of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// As it should be.
    Right,
    /// The guest's driver and the device do not get on.
    Wrong(String),
    /// There is nothing to hold it against.
    Unknown(String),
}

use Judgement::{Right, Unknown, Wrong};

/// What is asked of a sight.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    Function,
    Name,
    Size,
    Sector(u64),
    Boot,
}

/// Judges an answer.
pub(crate) fn judge(
    question: Question,
    sight: &Sight,
    identity: Option<&Identity>,
    reference: &Reference,
) -> Judgement {
    match (question, sight) {
        (_, Sight::NoDriver) => Unknown("the guest has no driver for the device".into()),
        (Question::Function, Sight::Functions(seen)) => function(seen, reference),
        (Question::Name, Sight::Disks(disks)) => match identity {
            None => Unknown("the identity of the device is not declared".into()),
            Some(identity) => match find(disks, identity) {
                Some(_) => Right,
                None => Wrong(format!(
                    "no disk {} {} is listed, but {}",
                    identity.vendor,
                    identity.product,
                    listed(disks)
                )),
            },
        },
        (Question::Size, Sight::Disks(disks)) => size(disks, identity, reference),
        (Question::Sector(lba), Sight::Sector(text)) => sector(lba, text, reference),
        (Question::Boot, Sight::Boot(text)) if !reference.marked && !text.contains(marks::BOOT_WORD) => {
            Unknown(UNMARKED.into())
        }
        (Question::Boot, Sight::Boot(text)) if text.contains(marks::BOOT_WORD) => Right,
        (Question::Boot, Sight::Nothing) if !reference.marked => Unknown(UNMARKED.into()),
        (Question::Boot, Sight::Boot(text)) => {
            Wrong(format!("instead of the boot record: {}", last_line(text)))
        }
        (_, Sight::Nothing) => Wrong("the guest shows no such thing".into()),
        _ => Wrong("the guest's answer is to another question".into()),
    }
}

const UNMARKED: &str = "the bench's marks are not on the disk; with `writes = true`, a Linux guest that runs first puts them there";

fn function(seen: &[PciId], reference: &Reference) -> Judgement {
    let Some(expected) = reference.function else {
        return Unknown("which PCI function the device is, is not known".into());
    };
    if seen.contains(&expected) {
        return Right;
    }
    let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
    Wrong(format!("no function {expected} on the guest's bus, but {}", none_or(&seen)))
}

/// Guests cut and fold names, so a disk is the one under test if what the guest tells of it fits.
fn find<'d>(disks: &'d [SeenDisk], identity: &Identity) -> Option<&'d SeenDisk> {
    let fits = |own: &Option<String>, wanted: &str| own.as_ref().is_none_or(|own| own.trim() == wanted);
    disks.iter().find(|disk| {
        fits(&disk.vendor, &identity.vendor)
            && fits(&disk.product, &identity.product)
            && (disk.vendor.is_some() || disk.product.is_some())
    })
}

fn size(disks: &[SeenDisk], identity: Option<&Identity>, reference: &Reference) -> Judgement {
    let Some(bytes) = reference.bytes else {
        return Unknown("the size of the device is not known; a Linux guest that runs first tells it".into());
    };
    let named = identity.and_then(|identity| find(disks, identity)).filter(|disk| disk.size.is_some());
    // A system that lists no names shows its disks by size alone.
    let sizes: Vec<SeenSize> = match named {
        Some(disk) => disk.size.into_iter().collect(),
        None => disks.iter().filter_map(|disk| disk.size).collect(),
    };
    // Systems round down, or to the nearest of their units.
    if sizes.iter().any(|size| size.bytes.abs_diff(bytes) < size.unit_bytes.max(1)) {
        return Right;
    }
    let told: Vec<String> = sizes.iter().map(|size| format!("{} bytes", size.bytes)).collect();
    Wrong(format!("no disk of {bytes} bytes is listed, but {}", none_or(&told)))
}

fn sector(lba: u64, text: &str, reference: &Reference) -> Judgement {
    match marks::fault(lba, text) {
        None => Right,
        Some(_) if !reference.marked && !marks::has_any(text) => Unknown(UNMARKED.into()),
        Some(fault) => Wrong(fault),
    }
}

fn listed(disks: &[SeenDisk]) -> String {
    let name = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".into());
    let told: Vec<String> =
        disks.iter().map(|disk| format!("{} {}", name(&disk.vendor), name(&disk.product))).collect();
    none_or(&told)
}

fn none_or(told: &[String]) -> String {
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { vendor: "SEAGATE".into(), product: "ST32550N".into(), serial: None }
    }

    fn disk(vendor: Option<&str>, product: &str, bytes: u64, unit_bytes: u64) -> SeenDisk {
        let size = Some(SeenSize { bytes, unit_bytes });
        SeenDisk { vendor: vendor.map(Into::into), product: Some(product.into()), size }
    }

    fn told(question: Question, sight: &Sight, reference: &Reference) -> Judgement {
        judge(question, sight, Some(&identity()), reference)
    }

    const MARKED: Reference = Reference { function: None, bytes: Some(64 << 20), marked: true };

    #[test]
    fn a_disk_is_known_by_its_name_also_where_only_the_product_is_shown() {
        for disk in [disk(Some("SEAGATE"), "ST32550N", 1, 1), disk(None, "ST32550N", 1, 1)] {
            assert_eq!(told(Question::Name, &Sight::Disks(vec![disk]), &MARKED), Right);
        }
        let other = Sight::Disks(vec![disk(Some("QEMU"), "ST32550N", 1, 1)]);
        assert!(matches!(told(Question::Name, &other, &MARKED), Wrong(reason) if reason.contains("QEMU")));
        let nameless = Sight::Disks(vec![SeenDisk::default()]);
        assert!(matches!(told(Question::Name, &nameless, &MARKED), Wrong(_)));
    }

    #[test]
    fn a_size_is_held_against_the_reference_within_the_guests_unit() {
        let sight = |bytes, unit| Sight::Disks(vec![disk(Some("SEAGATE"), "ST32550N", bytes, unit)]);
        assert_eq!(told(Question::Size, &sight(64 << 20, 512), &MARKED), Right);
        assert_eq!(told(Question::Size, &sight(63 << 20, 1 << 21), &MARKED), Right);
        assert!(matches!(told(Question::Size, &sight((64 << 20) - 512, 512), &MARKED), Wrong(_)));
        let unknown = Reference { bytes: None, ..MARKED };
        assert!(matches!(told(Question::Size, &sight(64 << 20, 512), &unknown), Unknown(_)));
    }

    #[test]
    fn an_unmarked_disk_blames_nobody_and_a_marked_one_that_reads_otherwise_is_wrong() {
        let unmarked = Reference { marked: false, ..MARKED };
        let (empty, right, other) =
            (Sight::Sector("\0\0".into()), Sight::Sector(marks::mark(1)), Sight::Sector(marks::mark(2)));
        assert!(matches!(told(Question::Sector(1), &empty, &unmarked), Unknown(_)));
        assert!(matches!(told(Question::Sector(1), &other, &unmarked), Wrong(_)));
        assert_eq!(told(Question::Sector(1), &right, &unmarked), Right);
        assert!(matches!(told(Question::Sector(1), &empty, &MARKED), Wrong(_)));
        assert!(matches!(told(Question::Boot, &Sight::Nothing, &MARKED), Wrong(_)));
        assert!(matches!(told(Question::Boot, &Sight::Nothing, &unmarked), Unknown(_)));
        let booted = Sight::Boot("x\nslotwise boot record\nread".into());
        assert_eq!(told(Question::Boot, &booted, &MARKED), Right);
    }

    #[test]
    fn an_answer_to_another_question_is_wrong() {
        assert!(matches!(told(Question::Boot, &Sight::Functions(Vec::new()), &MARKED), Wrong(_)));
        assert!(matches!(told(Question::Function, &Sight::Functions(Vec::new()), &MARKED), Unknown(_)));
    }
}
