//! Groups of two, plugged into monitors and guests that behave badly.

use std::thread::JoinHandle;

use serde_json::{Value, json};
use slotwise_core::vm::{GuestSlot, MachineType};

use super::*;
use crate::qmp::fake::{BRIEF, LONG, Server, connected};

const CARD: &str = "0000:02:06.0";
const NEIGHBOUR: &str = "0000:02:06.1";
const CARD_ID: &str = "host-0000-02-06-0";
const NEIGHBOUR_ID: &str = "host-0000-02-06-1";

fn address(text: &str) -> PciAddress {
    text.parse().expect("an address")
}

fn group() -> Vec<PassthroughDevice> {
    [CARD, NEIGHBOUR].map(|text| PassthroughDevice::new(address(text))).to_vec()
}

fn control<T: Send + 'static>(
    script: impl FnOnce(&mut Server) -> T + Send + 'static,
) -> (Control, JoinHandle<T>) {
    let (qmp, server) = connected(script);
    (Control::over("bench".parse().expect("a name"), MachineType::Pc, qmp), server)
}

fn event(name: &str, device: &str) -> String {
    format!("{{\"event\": \"{name}\", \"data\": {{\"device\": \"{device}\", \"path\": \"/d\"}}}}\n")
}

const DONE: &str = r#""return": {}"#;
const NOT_VIABLE: &str =
    r#""error": {"class": "GenericError", "desc": "vfio 0000:02:06.1: group 9 is not viable"}"#;

#[test]
fn a_group_goes_in_whole() {
    let (mut control, server) = control(|server| [server.answer(DONE), server.answer(DONE)]);
    control.attach(&group(), LONG).expect("plugged in");
    let heard = server.join().expect("server is content").map(|command| command["arguments"].clone());
    assert_eq!(heard[0], json!({"driver": "vfio-pci", "id": CARD_ID, "host": CARD}));
    assert_eq!(heard[1], json!({"driver": "vfio-pci", "id": NEIGHBOUR_ID, "host": NEIGHBOUR}));
}

#[test]
fn function_zero_of_a_slot_goes_in_last() {
    let (mut control, server) = control(|server| [server.answer(DONE), server.answer(DONE)]);
    let slot = |function| GuestSlot::new(5, function).expect("a slot");
    let devices: Vec<_> = group().into_iter().zip(0..).map(|(device, n)| device.at(slot(n))).collect();
    control.attach(&devices, LONG).expect("plugged in");
    let order = server.join().expect("server is content").map(|command| command["arguments"]["id"].clone());
    assert_eq!(order, [json!(NEIGHBOUR_ID), json!(CARD_ID)]);
}

#[test]
fn when_one_is_refused_the_one_before_it_comes_out_again() {
    let (mut control, server) = control(|server| {
        server.answer(DONE);
        server.answer(NOT_VIABLE);
        let back = server.answer(DONE);
        server.say(&event("DEVICE_DELETED", CARD_ID));
        back
    });
    let error = control.attach(&group(), LONG).expect_err("refused");
    assert!(
        matches!(&error, ControlError::Attach { device, .. } if *device == address(NEIGHBOUR)),
        "{error:?}"
    );
    let back = server.join().expect("server is content");
    assert_eq!(
        (back["execute"].clone(), back["arguments"].clone()),
        (json!("device_del"), json!({"id": CARD_ID}))
    );
}

#[test]
fn what_does_not_come_out_again_is_told_with_the_first_reason() {
    let (mut control, _server) = control(|server| {
        server.answer(DONE);
        server.answer(NOT_VIABLE);
        server.answer(DONE);
        server.say(&event("DEVICE_UNPLUG_GUEST_ERROR", CARD_ID));
        server.hear()
    });
    let error = control.attach(&group(), LONG).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "machine bench keeps 0000:02:06.0, though not all of the group could be attached"
    );
    let why = std::error::Error::source(&error).expect("a reason").to_string();
    assert_eq!(why, "cannot attach 0000:02:06.1 to machine bench");
}

#[test]
fn a_monitor_that_dies_in_the_middle_is_an_error_that_says_so() {
    let (mut control, _server) = control(|server| {
        server.answer(DONE);
        server.hear()
    });
    let error = control.attach(&group(), LONG).expect_err("gone");
    let ControlError::NotRolledBack { left, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(left, &[address(CARD)]);
    assert!(matches!(&**source, ControlError::Attach { source: QmpError::Closed, .. }), "{source:?}");
}

/// What `query-pci` says of the card: no address of its own, or one.
fn listed(address: i64) -> String {
    let regions = json!([{"bar": 0, "type": "io", "size": 256, "address": address}]);
    let devices = json!([{"qdev_id": "", "slot": 0}, {"qdev_id": CARD_ID, "regions": regions}]);
    format!("\"return\": {}", json!([{"bus": 0, "devices": devices}]))
}

#[test]
fn a_guest_takes_a_device_when_it_decodes_its_addresses() {
    let (mut control, server) = control(|server| {
        server.answer(&listed(-1));
        server.answer(&listed(-1));
        server.answer(&listed(0xc000));
    });
    assert_eq!(control.wait_taken(&[address(CARD)], LONG).expect("an answer"), []);
    server.join().expect("server is content");
}

#[test]
fn a_guest_that_never_acknowledges_costs_its_deadline_and_is_told() {
    let (mut control, _server) =
        control(|server| while server.answer(&listed(-1))["execute"] == json!("query-pci") {});
    let begin = Instant::now();
    let silent = control.wait_taken(&[address(CARD)], BRIEF).expect("an answer");
    assert_eq!(silent, [address(CARD)]);
    assert!(begin.elapsed() >= BRIEF && begin.elapsed() < LONG);
}

#[test]
fn a_monitor_that_dies_while_the_guest_is_waited_for_is_unreachable() {
    let (mut control, _server) = control(Server::hear);
    let error = control.wait_taken(&[address(CARD)], LONG).expect_err("gone");
    assert!(matches!(error, ControlError::Unreachable { source: QmpError::Closed, .. }), "{error:?}");
}

#[test]
fn all_of_a_group_is_asked_for_before_any_is_awaited() {
    let (mut control, server) = control(|server| {
        server.answer(DONE);
        server.answer(DONE);
        // In whatever order the guest likes.
        server.say(&event("DEVICE_DELETED", NEIGHBOUR_ID));
        server.say(&event("DEVICE_DELETED", CARD_ID));
    });
    control.detach(&[address(CARD), address(NEIGHBOUR)], LONG).expect("released");
    server.join().expect("server is content");
}

#[test]
fn a_function_that_went_with_its_slot_is_gone() {
    let (mut control, _server) = control(|server| {
        server.answer(DONE);
        server.answer(r#""error": {"class": "DeviceNotFound", "desc": "Device 'd' not found"}"#);
        server.say(&event("DEVICE_DELETED", CARD_ID));
    });
    control.detach(&[address(CARD), address(NEIGHBOUR)], LONG).expect("released");
}

#[test]
fn a_guest_that_refuses_keeps_the_device_and_the_error_says_which() {
    let (mut control, _server) = control(|server| {
        server.answer(DONE);
        server.say(&event("DEVICE_UNPLUG_GUEST_ERROR", CARD_ID));
    });
    let error = control.detach(&[address(CARD)], LONG).expect_err("refused");
    let ControlError::Detach { device, source: QmpError::ReleaseRefused { .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*device, address(CARD));
}

#[test]
fn asking_again_for_a_device_waits_for_the_first_request() {
    let pending =
        r#""error": {"class": "GenericError", "desc": "Device d is already in the process of unplug"}"#;
    let (mut control, _server) = control(move |server| {
        server.answer(pending);
        server.say(&event("DEVICE_DELETED", CARD_ID));
    });
    control.detach(&[address(CARD)], LONG).expect("released");
}

#[test]
fn an_old_release_is_not_taken_for_that_of_the_device_that_came_after_it() {
    let (mut control, _server) = control(|server| {
        server.answer(DONE);
        // Comes after its deadline.
        let id = server.hear()["id"].clone();
        server.say(&event("DEVICE_DELETED", CARD_ID));
        server.say(&format!("{{\"return\": [], \"id\": {id}}}\n"));
        server.answer(DONE);
        server.answer(DONE);
        server.hear()
    });
    let card = [PassthroughDevice::new(address(CARD))];
    let late = control.detach(&[card[0].host], BRIEF);
    assert!(
        matches!(late, Err(ControlError::Detach { source: QmpError::NotReleased { .. }, .. })),
        "{late:?}"
    );
    assert_eq!(control.has(&[card[0].host]).expect("an answer"), []);
    control.attach(&card, LONG).expect("plugged in");
    assert!(control.detach(&[card[0].host], BRIEF).is_err(), "the guest has not released this one");
}

#[test]
fn bridges_with_something_behind_them_are_found() {
    let bridge = |id: &str, behind: Value| json!({"qdev_id": id, "pci_bridge": {"devices": behind}});
    let devices = json!([
        {"qdev_id": "", "slot": 0},
        bridge("port0", json!([{"qdev_id": CARD_ID}])),
        bridge("port1", json!([])),
        {"qdev_id": "port2", "pci_bridge": {"bus": {}}},
    ]);
    assert_eq!(occupied_bridges(&json!([{"bus": 0, "devices": devices}])), ["port0"]);
}

#[test]
fn a_device_behind_a_port_is_found_and_an_unmapped_one_is_not_decoded() {
    let region = |address: Value| json!([{"bar": 1, "address": address}]);
    let behind = json!([{"qdev_id": CARD_ID, "regions": region(json!(0xfe00_0000_u32))}]);
    let devices = json!([
        {"qdev_id": "port0", "regions": [], "pci_bridge": {"devices": behind}},
        {"qdev_id": NEIGHBOUR_ID, "regions": region(json!(u64::MAX))},
    ]);
    assert_eq!(decoding(&json!([{"bus": 0, "devices": devices}])), [CARD_ID]);
}

#[test]
fn an_answer_of_another_shape_says_nothing() {
    for answer in [json!(null), json!({"devices": 1}), json!([{"devices": [{"pci_bridge": 7}, 3]}])] {
        assert!(occupied_bridges(&answer).is_empty() && decoding(&answer).is_empty(), "{answer}");
    }
}
