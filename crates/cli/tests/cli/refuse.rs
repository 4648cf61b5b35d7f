//! What is refused, what is only looked up, and what JSON says of itself.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use expect_test::expect;

use crate::{Desk, said};

const SPEC: &str = "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\nguest = \"debian-12\"\n";

/// Ids of the user and group `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn apply_takes_root() {
    let desk = Desk::new();
    desk.put("bench.toml", SPEC);
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("opened");
    };
    open(desk.path());
    // Where builds lie, another user may not look.
    let program = desk.path().join("slotwise");
    // Copied by another process: were the file open for writing in this one, a child that another test starts just then
    // would keep it so, and a program that is being written cannot be run (ETXTBSY, execve(2)).
    let mut copy = std::process::Command::new("cp");
    assert!(
        copy.arg(env!("CARGO_BIN_EXE_slotwise")).arg(&program).status().is_ok_and(|status| status.success())
    );
    open(&program);
    let expected = "exit 2\n--- err\nerror: cannot lock /run/slotwise.lock\n  \
                    caused by: Permission denied (os error 13)\nhint: changing a host takes root\n";
    for words in [&["apply", "bench.toml"][..], &["undo"], &["run", "bench.toml", "bench"]] {
        let mut command = std::process::Command::new(&program);
        command.args(words).current_dir(desk.path()).env_clear();
        command.env("SLOTWISE_STATE", desk.path().join("state"));
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        assert_eq!(said(command, b"").told(), expected, "{words:?}");
    }
    assert!(!desk.path().join("state").exists(), "no journal was begun");
}

#[test]
fn only_the_running_host_can_be_changed() {
    let desk = Desk::new();
    desk.put("bench.toml", SPEC);
    for command in ["apply", "run", "test", "undo"] {
        let said = desk.run(&[command, "--from", "host.slotwise", "bench.toml"]);
        assert_eq!(said.status, Some(2), "{}", said.told());
        assert!(said.err.contains("unexpected argument '--from' found"), "{}", said.told());
    }
}

#[test]
fn host_that_is_not_there_is_named() {
    let desk = Desk::new();
    desk.put("bench.toml", SPEC);
    for command in [&["inspect"][..], &["plan", "bench.toml"]] {
        let said = desk.run(&[command, &["--from", "nowhere"]].concat());
        assert_eq!(said.status, Some(2), "{}", said.told());
        assert!(said.err.contains("nowhere"), "{}", said.told());
    }
}

#[test]
fn unknown_rule_is_answered_with_where_to_look() {
    let said = Desk::new().run(&["explain", "intx-shard"]);
    expect![[r#"
        exit 2
        --- err
        error: there is no rule, cause or guest "intx-shard"
        hint: `slotwise explain` lists those there are
    "#]]
    .assert_eq(&said.told());
}

#[test]
fn rules_and_causes_are_listed() {
    let said = Desk::new().run(&["explain"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    assert!(said.out.contains("intx-shared") && said.out.contains("group-not-viable"), "{}", said.told());
}

#[test]
fn page_of_a_rule_says_what_why_and_how() {
    let said = Desk::new().run(&["explain", "intx-shared"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    for title in ["What happens", "Why", "How to fix it", "Source"] {
        assert!(said.out.lines().any(|line| line == title), "{title}: {}", said.told());
    }
}

#[test]
fn host_that_was_never_changed_says_so() {
    expect![[r#"
        exit 0
        --- out
        nothing was changed on this host
    "#]]
    .assert_eq(&Desk::new().run(&["status"]).told());
}

#[test]
fn journal_that_cannot_be_read_does_not_hide_the_others() {
    let desk = Desk::new();
    desk.put("state/000001.journal", "nonsense\n");
    desk.put("state/000002.journal", "");
    expect![[r#"
        exit 0
        --- out
        1  cannot be read: line 1 of [folder]/state/000001.journal is no journal entry: expected ident at line 1 column 2
        2  never begun
    "#]].assert_eq(&desk.run(&["status"]).told());
}

#[test]
fn json_names_its_schema() {
    let desk = Desk::new();
    desk.put("bench.toml", SPEC);
    desk.put("host/sys/bus/pci/devices/.keep", "");
    desk.put("host/proc/cmdline", "quiet\n");
    let schema = |words: &[&str]| {
        let said = desk.run(words);
        assert_eq!(said.status, Some(0), "{}", said.told());
        said.json()["schema"].as_str().map(str::to_owned)
    };
    assert_eq!(schema(&["inspect", "--json", "--from", "host"]).as_deref(), Some("slotwise.inspect/1"));
    assert_eq!(
        schema(&["plan", "--json", "--from", "host", "bench.toml"]).as_deref(),
        Some("slotwise.plan/1")
    );
    assert_eq!(schema(&["diagnose", "--json"]).as_deref(), Some("slotwise.diagnose/1"));
}

#[test]
fn usage_errors_end_with_2_and_help_with_0() {
    let desk = Desk::new();
    for words in [&[][..], &["frobnicate"], &["plan"], &["plan", "--jsn", "x"], &["inspect", "99:99"]] {
        assert_eq!(desk.run(words).status, Some(2), "{words:?}");
    }
    for words in [&["--help"][..], &["--version"], &["plan", "--help"], &["lab", "list"]] {
        assert_eq!(desk.run(words).status, Some(0), "{words:?}");
    }
}
