//! The sound firmware, one rule a test, and what a defect changes.

use super::*;

const A: Nexus = Nexus { initiator: Initiator::A, identify: None };
const B: Nexus = Nexus { initiator: Initiator::B, identify: None };
const DISK: Model = Model { blocks: 1000, medium: MediumKind::Fixed };
const TUR: [u8; 6] = [0; 6];

/// A target whose attention both initiators have taken.
fn ready(defect: Option<Defect>) -> Target {
    let mut target = Target::new(DISK, defect);
    for nexus in [A, B] {
        target.execute(nexus, &TUR, &[], 0);
        sense(&mut target, nexus);
    }
    target
}

/// Key, ASC and ASCQ that are kept for an initiator.
fn sense(target: &mut Target, nexus: Nexus) -> (u8, u8, u8) {
    let bytes = target.execute(nexus, &[0x03, 0, 0, 0, 18, 0], &[], 18).data;
    (bytes[2] & 0x0f, bytes[12], bytes[13])
}

#[test]
fn attention_is_told_to_each_initiator_once() {
    let mut target = Target::new(DISK, None);
    for nexus in [A, B] {
        assert_eq!(target.execute(nexus, &TUR, &[], 0).status, Some(0x02));
        assert_eq!(sense(&mut target, nexus), (6, 0x29, 0));
        assert_eq!(target.execute(nexus, &TUR, &[], 0).status, Some(0x00));
    }
}

#[test]
fn sense_stays_for_its_initiator_until_its_next_command() {
    let mut target = ready(None);
    target.execute(A, &[0x1f, 0, 0, 0, 0, 0], &[], 0);
    assert_eq!(sense(&mut target, B), (0, 0, 0));
    assert_eq!(sense(&mut target, A), (5, 0x20, 0));
    assert_eq!(sense(&mut target, A), (0, 0, 0));
    target.execute(A, &[0x1f, 0, 0, 0, 0, 0], &[], 0);
    target.execute(A, &TUR, &[], 0);
    assert_eq!(sense(&mut target, A), (0, 0, 0));
}

#[test]
fn what_is_written_is_read_and_an_untouched_block_is_unlike_any_other() {
    let mut target = ready(None);
    let block = [0x5a; BLOCK_BYTES];
    let lba = |opcode, lba| [opcode, 0, 0, 0, 0, lba, 0, 0, 1, 0];
    assert_eq!(target.execute(A, &lba(0x2a, 7), &block, 0).residual, 0);
    let mut read = |at| target.execute(A, &lba(0x28, at), &[], BLOCK_BYTES).data;
    assert_eq!(read(7), block);
    assert_ne!(read(8), read(9));
}

#[test]
fn a_larger_buffer_leaves_a_residual_and_a_smaller_one_a_negative() {
    let mut target = ready(None);
    let capacity = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(target.execute(A, &capacity, &[], 100).residual, 92);
    let short = target.execute(A, &capacity, &[], 5);
    assert_eq!((short.residual, short.data.len()), (-3, 5));
}

#[test]
fn a_reservation_locks_the_other_out_until_a_reset() {
    let mut target = ready(None);
    assert_eq!(target.execute(A, &[0x16, 0, 0, 0, 0, 0], &[], 0).status, Some(0x00));
    assert_eq!(target.execute(B, &TUR, &[], 0).status, Some(0x18));
    assert_eq!(target.execute(B, &[0x17, 0, 0, 0, 0, 0], &[], 0).status, Some(0x00));
    assert_eq!(target.execute(B, &TUR, &[], 0).status, Some(0x18));
    target.reset(Reset::Bus);
    assert_eq!(target.execute(B, &TUR, &[], 0).status, Some(0x02));
    assert_eq!(target.execute(B, &TUR, &[], 0).status, Some(0x00));
}

#[test]
fn a_hang_is_told_and_takes_no_time() {
    let mut target = ready(Some(Defect::SyncHangs));
    let response = target.execute(A, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0);
    assert_eq!(response.status, None);
}

#[test]
fn no_command_block_whatever_it_holds_breaks_the_firmware() {
    for defect in std::iter::once(None).chain(DEFECTS.iter().map(|row| Some(row.defect))) {
        let mut target = ready(defect);
        for opcode in 0..=0xff_u8 {
            for (fill, length) in
                [(0x00, 6), (0x00, 10), (0x01, 10), (0x02, 6), (0xff, 12), (0x10, 10), (0x00, 0), (0x00, 1)]
            {
                let mut cdb = vec![fill; length];
                if let Some(first) = cdb.first_mut() {
                    *first = opcode;
                }
                target.execute(A, &cdb, &[fill; 24], 0);
            }
        }
    }
}
