//! What the sound drive does where a suite has to be lenient with real ones.

use super::disc::{Disc, block_at, told};
use super::{CD_DEFECTS, CdModel, CdRom};
use crate::target::{Initiator, Nexus};

const NEXUS: Nexus = Nexus { initiator: Initiator::A, identify: Some(0) };

fn ready() -> CdRom {
    let mut drive = CdRom::new(CdModel::FULL, None);
    drive.execute(NEXUS, &[0; 6], &[], 0);
    drive
}

fn status(drive: &mut CdRom, cdb: &[u8]) -> u8 {
    drive.execute(NEXUS, cdb, &[], 1 << 20).status.unwrap()
}

fn sub_channel(drive: &mut CdRom) -> Vec<u8> {
    drive.execute(NEXUS, &[0x42, 0, 0x40, 1, 0, 0, 0, 0, 16, 0], &[], 16).data
}

#[test]
fn addresses_in_minutes_come_back() {
    for block in [0, 74, 75, 4_350, 7_210] {
        let [_, minute, second, frame] = told(block, true);
        assert_eq!(block_at(minute, second, frame), Some(block));
    }
    assert_eq!(told(0, true), [0, 0, 2, 0]);
    assert_eq!((block_at(0, 0, 0), block_at(1, 60, 0), block_at(1, 0, 75)), (None, None, None));
}

#[test]
fn no_two_blocks_are_alike() {
    let mut blocks: Vec<_> = (0..3_001).map(|block| Disc::Combined.data(block)).collect();
    blocks.sort();
    blocks.dedup();
    assert_eq!(blocks.len(), 3_001);
    assert_ne!(Disc::Combined.data(7), Disc::Other.data(7));
}

#[test]
fn a_play_takes_its_time_and_its_end_is_told_once() {
    let mut drive = ready();
    assert_eq!(status(&mut drive, &[0x45, 0, 0, 0, 0x0b, 0xb9, 0, 0, 2, 0]), 0);
    assert_eq!(sub_channel(&mut drive)[1], 0x11);
    let mut told = Vec::new();
    for _ in 0..300 {
        told.push(sub_channel(&mut drive)[1]);
    }
    // Two frames are 26.7 ms, a command 0.1 ms.
    assert_eq!(told.iter().filter(|status| **status == 0x11).count(), 265);
    assert_eq!(told.iter().filter(|status| **status == 0x13).count(), 1);
    assert_eq!(told.last(), Some(&0x15));
}

#[test]
fn ids_of_defects_are_unique() {
    let mut ids: Vec<_> = CD_DEFECTS.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CD_DEFECTS.len());
}
