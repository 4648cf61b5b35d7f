use expect_test::expect;
use proptest::prelude::*;
use slotwise_core::action::{FilePath, Parameter};
use slotwise_core::facts::{DriverName, ModuleName};

use super::*;

fn entries() -> Vec<Entry> {
    let device = "0000:03:04.0".parse().unwrap();
    let vfio = DriverName::vfio_pci();
    let boot_id = BootId::parse("7d6fd1a8-3d3a-4c6a-9d6e-1f8f4a0c2b11").unwrap();
    let path = FilePath::new("/etc/modprobe.d/slotwise.conf").unwrap();
    let module = ModuleName::new("vfio_pci").unwrap();
    let step = |text: &str| StepId::new(text).unwrap();
    let intent = |name: &str, action: Action, prior: State| {
        Entry::Intent(Intent { step: step(name), action, prior, mode: None, directories: Vec::new() })
    };
    let parameters = vec![Parameter::new("disable_vga", "1").unwrap()];
    vec![
        Entry::Begin(Begin {
            id: ApplyId(7),
            boot_id: boot_id.clone(),
            command: "slotwise apply bench.toml".to_owned(),
            started_unix_s: 1_700_000_000,
            steps: 5,
        }),
        intent("load", Action::LoadModule { module: module.clone(), parameters }, State::ModuleAbsent),
        Entry::Done { step: step("load") },
        intent(
            "override",
            Action::SetDriverOverride { device, driver: Some(vfio.clone()) },
            State::DriverOverride(None),
        ),
        intent(
            "unbind",
            Action::Unbind { device, driver: DriverName::new("aic7xxx").unwrap() },
            State::Driver(Some(DriverName::new("aic7xxx").unwrap())),
        ),
        intent("probe", Action::Probe { device, driver: vfio }, State::Driver(None)),
        Entry::Failed { step: step("probe"), error: "in use".to_owned() },
        Entry::Intent(Intent {
            step: step("file"),
            action: Action::WriteFile { path: path.clone(), content: "options\n".to_owned() },
            prior: State::File(Some("old\n".to_owned())),
            mode: Some(FileMode::from_bits(0o640)),
            directories: vec!["/etc/modprobe.d".to_owned()],
        }),
        Entry::Applied,
        Entry::UndoBegin { cause: Cause::Request, boot_id, started_unix_s: 1_700_000_100 },
        Entry::Restore { action: Action::RemoveFile { path } },
        Entry::Restore { action: Action::UnloadModule { module } },
        Entry::Left { resource: "module vfio_pci".to_owned(), why: "in use".to_owned() },
        Entry::Undone { left: 1 },
    ]
}

/// The journal of [`entries`] in a directory of its own.
fn written() -> (tempfile::TempDir, StateDir, Vec<u8>) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let state = StateDir::create(&dir.path().join("state")).unwrap();
    let mut journal = state.begin(ApplyId(7)).unwrap();
    entries().iter().for_each(|entry| journal.append(entry).unwrap());
    let content = std::fs::read(state.path_of(ApplyId(7))).unwrap();
    (dir, state, content)
}

#[test]
fn format_1_is_frozen() {
    let (_dir, _, content) = written();
    expect![[r#"
        {"entry":"begin","schema":"slotwise.journal/1","id":7,"boot_id":"7d6fd1a8-3d3a-4c6a-9d6e-1f8f4a0c2b11","command":"slotwise apply bench.toml","started_unix_s":1700000000,"steps":5}
        {"entry":"intent","step":"load","action":{"action":"load-module","module":"vfio_pci","parameters":[["disable_vga","1"]]},"prior":{"state":"module-absent"},"mode":null,"directories":[]}
        {"entry":"done","step":"load"}
        {"entry":"intent","step":"override","action":{"action":"set-driver-override","device":"0000:03:04.0","driver":"vfio-pci"},"prior":{"state":"driver-override","driver":null},"mode":null,"directories":[]}
        {"entry":"intent","step":"unbind","action":{"action":"unbind","device":"0000:03:04.0","driver":"aic7xxx"},"prior":{"state":"driver","driver":"aic7xxx"},"mode":null,"directories":[]}
        {"entry":"intent","step":"probe","action":{"action":"probe","device":"0000:03:04.0","driver":"vfio-pci"},"prior":{"state":"driver","driver":null},"mode":null,"directories":[]}
        {"entry":"failed","step":"probe","error":"in use"}
        {"entry":"intent","step":"file","action":{"action":"write-file","path":"/etc/modprobe.d/slotwise.conf","content":"options\n"},"prior":{"state":"file","content":"old\n"},"mode":416,"directories":["/etc/modprobe.d"]}
        {"entry":"applied"}
        {"entry":"undo-begin","cause":"request","boot_id":"7d6fd1a8-3d3a-4c6a-9d6e-1f8f4a0c2b11","started_unix_s":1700000100}
        {"entry":"restore","action":{"action":"remove-file","path":"/etc/modprobe.d/slotwise.conf"}}
        {"entry":"restore","action":{"action":"unload-module","module":"vfio_pci"}}
        {"entry":"left","resource":"module vfio_pci","why":"in use"}
        {"entry":"undone","left":1}
    "#]].assert_eq(&String::from_utf8(content).unwrap());
}

#[test]
fn every_entry_is_read_back_as_it_was() {
    for entry in entries() {
        let text = serde_json::to_string(&entry.to_wire()).unwrap();
        assert_eq!(Entry::from_wire(serde_json::from_str(&text).unwrap()), Ok(entry), "{text}");
    }
}

#[test]
fn unknown_fields_entries_and_formats_are_errors() {
    let (_dir, state, content) = written();
    let text = String::from_utf8(content).unwrap();
    for (from, to) in [
        ("\"steps\":5", "\"steps\":5,\"more\":1"),
        ("\"entry\":\"applied\"", "\"entry\":\"applied\",\"more\":1"),
        ("\"action\":\"probe\"", "\"action\":\"probe\",\"more\":1"),
        ("\"state\":\"module-absent\"", "\"state\":\"module-absent\",\"more\":1"),
        ("\"entry\":\"done\"", "\"entry\":\"finished\""),
        ("slotwise.journal/1", "slotwise.journal/2"),
        ("\"device\":\"0000:03:04.0\"", "\"device\":\"../..\""),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(state.path_of(ApplyId(7)), text.replacen(from, to, 1)).unwrap();
        assert!(matches!(state.record(ApplyId(7)), Err(JournalError::Line { .. })), "{to}");
    }
}

#[test]
fn torn_last_line_is_not_there_and_is_overwritten() {
    let (_dir, state, content) = written();
    let path = state.path_of(ApplyId(7));
    for length in 0..=content.len() {
        std::fs::write(&path, &content[..length]).unwrap();
        let lines = content[..length].iter().filter(|byte| **byte == b'\n').count();
        let record = state.record(ApplyId(7)).unwrap();
        let intents = entries().iter().take(lines).filter(|entry| matches!(entry, Entry::Intent(_))).count();
        assert_eq!(record.intents().len(), intents, "{length}");
    }
    std::fs::write(&path, &content[..content.len() - 3]).unwrap();
    state.resume(ApplyId(7)).unwrap().append(&Entry::Undone { left: 0 }).unwrap();
    assert_eq!(state.record(ApplyId(7)).unwrap().standing(), Standing::Undone);
}

#[test]
fn last_line_with_missing_blocks_is_not_there() {
    let (_dir, state, mut content) = written();
    content.extend_from_slice(b"{\"entry\":\0\0\0\0}\n");
    std::fs::write(state.path_of(ApplyId(7)), &content).unwrap();
    assert_eq!(state.record(ApplyId(7)).unwrap().standing(), Standing::PartlyUndone { left: 1 });
}

#[test]
fn room_reserved_and_not_used_is_no_part_of_the_journal() {
    let (_dir, state, content) = written();
    let mut journal = state.resume(ApplyId(7)).unwrap();
    journal.reserve(1 << 16).unwrap();
    drop(journal);
    assert_eq!(std::fs::read(state.path_of(ApplyId(7))).unwrap(), content);
}

#[test]
fn broken_line_in_the_middle_is_an_error_with_its_number() {
    let (_dir, state, content) = written();
    let mut lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    lines[2] = b"\0\0\0";
    std::fs::write(state.path_of(ApplyId(7)), lines.join(&b'\n')).unwrap();
    assert!(matches!(state.record(ApplyId(7)), Err(JournalError::Line { line: 3, .. })));
    let records = state.records().unwrap();
    assert!(matches!(records.as_slice(), [(ApplyId(7), Err(_))]));
}

#[test]
fn ids_go_up_and_journals_are_not_written_over() {
    let (_dir, state, _) = written();
    assert_eq!(state.next_id().unwrap(), ApplyId(8));
    assert!(matches!(state.begin(ApplyId(7)), Err(JournalError::File { doing: "make", .. })));
    assert!(matches!(state.record(ApplyId(9)), Err(JournalError::Unknown(ApplyId(9)))));
    let none = StateDir::existing(Path::new("/nonexistent/slotwise"));
    assert!(none.ids().unwrap().is_empty());
}

#[test]
fn directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, state, _) = written();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state.path), 0o700);
    assert_eq!(mode(&state.path_of(ApplyId(7))), 0o600);
}

proptest! {
    #[test]
    fn any_content_is_answered(content: Vec<u8>) {
        let _ = record::parse(ApplyId(1), Path::new("x"), &content);
    }
}
