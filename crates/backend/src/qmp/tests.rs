//! A client against servers that behave badly, over a socket pair.

use std::io::Write;
use std::os::fd::AsFd;
use std::thread;

use serde_json::json;

use super::fake::{BRIEF, LONG, Server, connected, serve};
use super::*;

#[test]
fn greeting_and_negotiation_give_the_version() {
    let (qmp, server) = connected(|_| ());
    assert_eq!(qmp.version(), (7, 2, 22));
    server.join().expect("server is content");
}

#[test]
fn a_server_that_speaks_something_else_is_quoted() {
    let (client, _server) = serve(|server| server.say("220 mail ESMTP\r\n"));
    let error = Qmp::over(client, LONG).expect_err("no greeting");
    assert_eq!(error.to_string(), "QMP server did not greet, it sent \"220 mail ESMTP\"");
}

#[test]
fn a_silent_server_is_given_up() {
    let (client, _server) = serve(Server::hear);
    assert!(matches!(Qmp::over(client, BRIEF), Err(QmpError::CommandDeadline { .. })));
}

#[test]
fn garbage_after_the_greeting_ends_the_connection() {
    let (mut qmp, _server) = connected(|server| {
        server.hear();
        server.say("\u{1b}[2J{{{\n");
    });
    assert!(matches!(qmp.query_status(), Err(QmpError::NotQmp { .. })));
    assert!(matches!(qmp.query_status(), Err(QmpError::Unusable)));
}

#[test]
fn an_endless_line_is_cut_off() {
    let (mut qmp, _server) = connected(|server| {
        server.hear();
        let chunk = "x".repeat(1 << 20);
        (0..6).for_each(|_| server.say(&chunk));
    });
    assert!(matches!(qmp.query_status(), Err(QmpError::LineTooLong { .. })));
}

#[test]
fn deeply_nested_json_is_an_error_and_no_overflow() {
    let (mut qmp, _server) = connected(|server| {
        server.hear();
        server.say(&format!("{}\n", r#"{"return":"#.repeat(100_000)));
    });
    assert!(matches!(qmp.query_status(), Err(QmpError::NotQmp { .. })));
}

#[test]
fn half_lines_are_put_together() {
    let (mut qmp, server) = connected(|server| {
        let id = server.hear()["id"].clone();
        for part in [r#"{"return": {"sta"#, r#"tus": "running"}, "#, &format!("\"id\": {id}}}"), "\r", "\n"] {
            server.say(part);
            thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(qmp.query_status().expect("an answer"), RunState::Running);
    server.join().expect("server is content");
}

#[test]
fn a_server_that_hangs_up_is_reported_as_closed() {
    let (mut qmp, _server) = connected(Server::hear);
    assert!(matches!(qmp.query_status(), Err(QmpError::Closed)));
}

#[test]
fn hanging_up_is_an_answer_to_quit() {
    let (mut qmp, _server) = connected(Server::hear);
    qmp.quit(LONG).expect("that is what quit does");
}

#[test]
fn events_between_command_and_answer_are_kept_in_order() {
    let (mut qmp, server) = connected(|server| {
        server.say("{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\n");
        let id = server.hear()["id"].clone();
        server.say("{\"event\": \"RESUME\"}\n");
        server.say(&format!("{{\"return\": {{\"status\": \"paused\"}}, \"id\": {id}}}\n"));
    });
    assert_eq!(qmp.query_status().expect("an answer"), RunState::Paused);
    assert_eq!(qmp.wait_event("any", |_| true, BRIEF).expect("queued").name, "STOP");
    assert_eq!(qmp.wait_event("any", |_| true, BRIEF).expect("queued").name, "RESUME");
    server.join().expect("server is content");
}

#[test]
fn a_flood_of_events_is_bounded_and_counted() {
    let (mut qmp, _server) = connected(|server| {
        let id = server.hear()["id"].clone();
        for number in 0..MAX_EVENTS + 10 {
            server.say(&format!("{{\"event\": \"E\", \"data\": {{\"n\": {number}}}}}\n"));
        }
        server.say(&format!("{{\"return\": {{\"status\": \"running\"}}, \"id\": {id}}}\n"));
    });
    assert_eq!(qmp.query_status().expect("an answer"), RunState::Running);
    assert_eq!(qmp.events_lost(), 10);
    assert_eq!(qmp.wait_event("E", |_| true, BRIEF).expect("queued").data["n"], json!(10));
}

#[test]
fn a_server_that_never_stops_talking_does_not_hold_us() {
    let (mut qmp, _server) = connected(|server| {
        let line = "{\"event\": \"E\"}\n".repeat(100);
        while server.reader.get_mut().write_all(line.as_bytes()).is_ok() {}
    });
    let started = Instant::now();
    let waited = qmp.wait_event("DEVICE_DELETED", |event| event.name == "DEVICE_DELETED", BRIEF);
    assert!(matches!(waited, Err(QmpError::EventDeadline { .. })), "{waited:?}");
    assert!(started.elapsed() < LONG);
}

#[test]
fn an_answer_after_its_deadline_is_not_taken_for_the_next() {
    let (mut qmp, server) = connected(|server| {
        let late = server.hear()["id"].clone();
        let current = server.hear()["id"].clone();
        server.say(&format!("{{\"return\": {{\"status\": \"paused\"}}, \"id\": {late}}}\n"));
        server.say(&format!("{{\"return\": {{\"status\": \"running\"}}, \"id\": {current}}}\n"));
    });
    let first = qmp.execute("query-status", &Arguments::new(), BRIEF);
    assert!(matches!(first, Err(QmpError::CommandDeadline { .. })));
    assert_eq!(qmp.query_status().expect("an answer"), RunState::Running);
    server.join().expect("server is content");
}

#[test]
fn a_refusal_keeps_class_and_words() {
    let (mut qmp, server) = connected(|server| {
        server.answer(r#""error": {"class": "DeviceNotFound", "desc": "Device 'd' not found"}"#)
    });
    let error = qmp.device_del("d", LONG).expect_err("refused");
    assert!(matches!(&error, QmpError::Refused { class: ErrorClass::DeviceNotFound, .. }));
    assert_eq!(error.to_string(), "QMP command device_del refused: Device 'd' not found");
    assert_eq!(server.join().expect("server is content")["arguments"], json!({"id": "d"}));
}

#[test]
fn detaching_waits_for_the_event_of_that_device() {
    let (mut qmp, server) = connected(|server| {
        server.answer(r#""return": {}"#);
        server.say("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"other\", \"path\": \"/o\"}}\n");
        server.say("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"mine\", \"path\": \"/m\"}}\n");
    });
    qmp.device_del("mine", LONG).expect("released");
    assert_eq!(qmp.wait_event("any", |_| true, BRIEF).expect("queued").data["device"], json!("other"));
    server.join().expect("server is content");
}

#[test]
fn a_guest_that_keeps_the_device_is_told_apart_from_one_that_refuses() {
    let (mut qmp, _server) = connected(|server| {
        server.answer(r#""return": {}"#);
        server.answer(r#""return": {}"#);
        server.say(
            "{\"event\": \"DEVICE_UNPLUG_GUEST_ERROR\", \"data\": {\"device\": \"d\", \"path\": \"/d\"}}\n",
        );
        server.hear()
    });
    assert!(matches!(qmp.device_del("d", BRIEF), Err(QmpError::NotReleased { .. })));
    assert!(matches!(qmp.device_del("d", LONG), Err(QmpError::ReleaseRefused { .. })));
}

#[test]
fn a_file_arrives_with_its_command() {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let (mut qmp, server) = connected(|server| {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 4096];
        let received = recvmsg(
            server.reader.get_ref(),
            &mut [std::io::IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::empty(),
        )
        .expect("a message");
        let command: Value = serde_json::from_slice(&bytes[..received.bytes]).expect("a command");
        server.say(&format!("{{\"return\": {{\"fdset-id\": 5, \"fd\": 9}}, \"id\": {}}}\n", command["id"]));
        let fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds.count()),
            _ => None,
        });
        (command["execute"].clone(), fds.sum::<usize>())
    });
    let file = std::fs::File::open("/dev/null").expect("/dev/null");
    assert_eq!(qmp.add_fd(file.as_fd()).expect("a set"), 5);
    assert_eq!(server.join().expect("server is content"), (json!("add-fd"), 1));
}
