//! The front end, spoken to by our own initiator, and by those who know no manners.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use proptest::prelude::*;
use slotwise_iscsi::frame::{Frame, Header};
use slotwise_iscsi::initiator::{Completed, Credentials, Direction, Initiator, InitiatorError};
use slotwise_iscsi::request::Function;
use slotwise_iscsi::{Lun, NO_TAG};

use super::*;
use crate::target::{BLOCK_BYTES, Defect, MediumKind, Model};

const LIMIT: Duration = Duration::from_secs(5);
const MODEL: Model = Model { blocks: 6_001, medium: MediumKind::Fixed };
const TUR: [u8; 6] = [0; 6];

fn portal(defect: Option<Defect>) -> Portal {
    Portal::on_loopback(Target::new(MODEL, defect)).unwrap()
}

fn connect(portal: &Portal, name: &str) -> Result<Initiator, InitiatorError> {
    let credentials = Credentials {
        initiator: format!("iqn.2026-01.org.slotwise:{name}"),
        qualifier: 1,
        target: Some(TARGET_NAME.to_owned()),
    };
    Initiator::connect(portal.address(), &credentials)
}

fn send(initiator: &mut Initiator, cdb: &[u8], direction: Direction<'_>) -> Completed {
    initiator.command(Lun::default(), cdb, direction, LIMIT).unwrap()
}

/// A session whose attention has been taken.
fn ready(portal: &Portal, name: &str) -> Initiator {
    let mut initiator = connect(portal, name).unwrap();
    let first = send(&mut initiator, &TUR, Direction::None);
    assert_eq!((first.status, first.sense.get(12)), (Some(2), Some(&0x29)));
    initiator
}

#[test]
fn long_transfers_come_back_as_they_were_sent() {
    let portal = portal(None);
    let mut initiator = ready(&portal, "a");
    // More than the first burst, more than a unit, and no multiple of either.
    for blocks in [1_u16, 16, 129, 1001] {
        let out: Vec<u8> = (0..usize::from(blocks) * BLOCK_BYTES).map(|at| (at / 7 % 251) as u8).collect();
        let [high, low] = blocks.to_be_bytes();
        let written = send(&mut initiator, &[0x2a, 0, 0, 0, 1, 3, 0, high, low, 0], Direction::Out(&out));
        assert_eq!((written.status, written.residual), (Some(0), 0));
        let length = u32::try_from(out.len()).unwrap();
        let read = send(&mut initiator, &[0x28, 0, 0, 0, 1, 3, 0, high, low, 0], Direction::In(length));
        assert!(read.data == out, "{blocks} blocks");
    }
    initiator.logout().unwrap();
}

#[test]
fn what_is_not_moved_is_told_and_so_is_what_does_not_fit() {
    let portal = portal(None);
    let mut initiator = ready(&portal, "a");
    let inquiry = [0x12, 0, 0, 0, 36, 0];
    for (expected, residual) in [(36, 0), (100, 64), (0, -36), (5, -31)] {
        let direction = if expected == 0 { Direction::None } else { Direction::In(expected) };
        let got = send(&mut initiator, &inquiry, direction);
        assert_eq!((got.status, got.residual), (Some(0), residual));
        assert_eq!(got.data.len(), usize::try_from(expected.min(36)).unwrap());
    }
}

#[test]
fn sense_comes_with_the_status_and_is_gone_then() {
    let portal = portal(None);
    let mut initiator = ready(&portal, "a");
    let refused = send(&mut initiator, &[0x1f, 0, 0, 0, 0, 0], Direction::None);
    assert_eq!(
        (refused.status, refused.sense.get(2), refused.sense.get(12)),
        (Some(2), Some(&5), Some(&0x20))
    );
    let sense = send(&mut initiator, &[3, 0, 0, 0, 18, 0], Direction::In(18));
    assert_eq!(sense.data.get(2), Some(&0));
}

#[test]
fn two_initiators_are_told_apart_and_a_third_is_refused() {
    let portal = portal(None);
    let mut one = ready(&portal, "one");
    let mut two = ready(&portal, "two");
    assert_eq!(send(&mut one, &[0x16, 0, 0, 0, 0, 0], Direction::None).status, Some(0));
    assert_eq!(send(&mut two, &TUR, Direction::None).status, Some(0x18));
    assert!(matches!(connect(&portal, "three"), Err(InitiatorError::Refused { class: 3, detail: 2 })));
    // Who leaves lets go.
    one.logout().unwrap();
    assert_eq!(send(&mut two, &TUR, Direction::None).status, Some(0));
    connect(&portal, "three").unwrap();
}

#[test]
fn other_logical_units_are_absent() {
    let portal = portal(None);
    let mut initiator = ready(&portal, "a");
    let mut ask = |lun: u16, cdb: &[u8], length| {
        initiator.command(Lun::new(lun).unwrap(), cdb, Direction::In(length), LIMIT).unwrap()
    };
    assert_eq!(ask(1, &[0x12, 0, 0, 0, 36, 0], 36).data.first(), Some(&0x7f));
    assert_eq!(ask(300, &[0x1a, 0, 0x3f, 0, 255, 0], 255).sense.get(12), Some(&0x25));
}

#[test]
fn resets_are_told_to_both_initiators_and_end_what_hangs() {
    let portal = portal(Some(Defect::SyncHangs));
    let mut one = ready(&portal, "one");
    let mut two = ready(&portal, "two");
    let sync = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let hung = one.command(Lun::default(), &sync, Direction::None, Duration::from_millis(200)).unwrap();
    assert_eq!(hung.status, None);
    // It was aborted, which is no reset.
    assert_eq!(send(&mut one, &TUR, Direction::None).status, Some(0));
    for function in [Function::LunReset, Function::WarmReset] {
        assert_eq!(one.manage(function, Lun::default(), NO_TAG).unwrap(), 0);
        for initiator in [&mut one, &mut two] {
            assert_eq!(send(initiator, &TUR, Direction::None).sense.get(12), Some(&0x29));
            assert_eq!(send(initiator, &TUR, Direction::None).status, Some(0));
        }
    }
    assert_eq!(one.manage(Function::LunReset, Lun::new(3).unwrap(), NO_TAG).unwrap(), 2);
    assert_eq!(one.manage(Function::AbortTask, Lun::default(), 77).unwrap(), 1);
    assert_eq!(one.manage(Function::Other(8), Lun::default(), 77).unwrap(), 5);
}

#[test]
fn a_cold_reset_ends_all_connections_and_the_target_is_as_switched_on() {
    let portal = portal(None);
    let mut one = ready(&portal, "one");
    let mut two = ready(&portal, "two");
    assert_eq!(one.manage(Function::ColdReset, Lun::default(), NO_TAG).unwrap(), 0);
    std::thread::sleep(Duration::from_millis(100));
    assert!(two.ping(b"there?").is_err());
    ready(&portal, "one");
}

#[test]
fn time_that_the_firmware_takes_passes() {
    let portal = portal(Some(Defect::StartImmediate));
    let mut initiator = ready(&portal, "a");
    send(&mut initiator, &[0x1b, 0, 0, 0, 0, 0], Direction::None);
    let limit = Duration::from_millis(300);
    let slow = initiator.command(Lun::default(), &[0x1b, 1, 0, 0, 1, 0], Direction::None, limit).unwrap();
    assert_eq!(slow.status, None);
}

#[test]
fn discovery_tells_the_one_target_and_where_it_is() {
    let portal = portal(None);
    let credentials =
        Credentials { initiator: "iqn.2026-01.org.slotwise:d".to_owned(), qualifier: 1, target: None };
    let mut session = Initiator::connect(portal.address(), &credentials).unwrap();
    let found = session.discover().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, TARGET_NAME);
    assert_eq!(found[0].addresses, [format!("{},1", portal.address())]);
    session.ping(b"data that come back").unwrap();
    session.logout().unwrap();
}

#[test]
fn another_targets_name_is_refused() {
    let portal = portal(None);
    let target = Some("iqn.2026-01.org.slotwise:other".to_owned());
    let credentials = Credentials { initiator: "iqn.x:y".to_owned(), qualifier: 1, target };
    let refused = Initiator::connect(portal.address(), &credentials);
    assert!(matches!(refused, Err(InitiatorError::Refused { class: 2, detail: 3 })));
}

#[test]
fn the_firmware_gets_the_bytes_that_were_sent() {
    let portal = portal(None);
    let mut initiator = ready(&portal, "a");
    send(&mut initiator, &[0x12, 0, 0, 0, 36, 0], Direction::In(36));
    send(&mut initiator, &[0x28, 0, 0, 0, 0, 5, 0, 0, 1, 0], Direction::In(512));
    let cdbs: Vec<_> = portal.observed().into_iter().map(|observed| observed.cdb).collect();
    assert_eq!(cdbs, [TUR.to_vec(), vec![0x12, 0, 0, 0, 36, 0], vec![0x28, 0, 0, 0, 0, 5, 0, 0, 1, 0]]);
}

#[test]
fn whoever_breaks_the_protocol_loses_the_connection_and_the_target_lives() {
    let portal = portal(None);
    let claims_too_much = Header::new(0x43).with32(4, 0x00ff_ffff);
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".repeat(8), vec![0xff; 4096], claims_too_much.bytes().to_vec()] {
        let mut stream = TcpStream::connect(portal.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(&bytes).unwrap();
        // Closed or reset, but no answer without end.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 1024);
    }
    ready(&portal, "a").logout().unwrap();
}

#[test]
fn connections_past_the_limit_are_closed_and_room_comes_back() {
    let portal = portal(None);
    let many: Vec<_> = (0..40).map(|_| TcpStream::connect(portal.address()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    drop(many);
    std::thread::sleep(Duration::from_millis(300));
    ready(&portal, "a").logout().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_unit_after_login_harms_the_target(
        units in proptest::collection::vec((proptest::array::uniform32(any::<u8>()), any::<u8>(), 0_usize..600), 1..12),
    ) {
        let portal = portal(None);
        let initiator = connect(&portal, "rude").unwrap();
        let mut stream = initiator.into_stream();
        stream.set_nonblocking(false).unwrap();
        for (bytes, opcode, length) in units {
            // Immediate, so that its number does not matter; sizes of transfers as they come.
            let header = Header::new(0x40 | opcode & 7).with(1, &bytes[..3]).with(8, &bytes[3..]);
            if (Frame { header, data: vec![0x5a; length] }).write(&mut stream).is_err() {
                break;
            }
        }
        drop(stream);
        connect(&portal, "polite").unwrap().ping(b"there?").unwrap();
    }
}
