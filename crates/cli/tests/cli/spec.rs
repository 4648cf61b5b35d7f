//! Specs that cannot be used: each fault with its line and what to do, exit status 2.

use expect_test::{Expect, expect};

use crate::Desk;

fn planned(text: impl AsRef<[u8]>, expected: &Expect) {
    let desk = Desk::new();
    desk.put("bench.toml", text);
    expected.assert_eq(&desk.run(&["plan", "bench.toml"]).told());
}

#[test]
fn unknown_key_is_shown_where_it_stands() {
    planned(
        "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\nmemroy = \"1G\"\n",
        &expect![[r#"
        exit 2
        --- err
        error: unknown field `memroy`, expected one of `name`, `backend`, `machine`, `memory`, `cpus`, `node`, `guest`, `device`, `usb`
         --> bench.toml:4:1
          |
        4 | memroy = "1G"
          | ^^^^^^
        error: bench.toml cannot be used as it is
    "#]],
    );
}

#[test]
fn memory_without_a_meaning_is_shown() {
    planned(
        "[[vm]]\nname = \"bench\"\nmemory = \"lots\"\n",
        &expect![[r#"
        exit 2
        --- err
        error: memory size "lots" does not start with a whole number (write 512M or 4G)
         --> bench.toml:3:10
          |
        3 | memory = "lots"
          |          ^^^^^^
        error: bench.toml cannot be used as it is
    "#]],
    );
}

#[test]
fn device_asked_for_twice_is_shown_with_both_lines() {
    let device = "[[vm.device]]\nselect = { slot = \"0000:02:06.0\" }\n";
    planned(
        format!("[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n{device}{device}"),
        &expect![[r#"
        exit 2
        --- err
        error: device 0000:02:06.0 is asked for twice
         --> bench.toml:7:10
          |
        5 | select = { slot = "0000:02:06.0" }
          |          ------------------------- first asked for here
        6 | [[vm.device]]
        7 | select = { slot = "0000:02:06.0" }
          |          ^^^^^^^^^^^^^^^^^^^^^^^^^
        error: bench.toml cannot be used as it is
    "#]],
    );
}

#[test]
fn several_faults_are_all_shown() {
    planned(
        "[[vm]]\nname = \"\"\nbackend = \"bochs\"\nmemory = \"-1\"\ncpus = 0\n[[vm.device]]\nselect = { slot = \"2:6\" }\n",
        &expect![[r#"
            exit 2
            --- err
            error: name is empty
             --> bench.toml:2:8
              |
            2 | name = ""
              |        ^^
            error: "bochs" is not a backend
             --> bench.toml:3:11
              |
            3 | backend = "bochs"
              |           ^^^^^^^
              |
              = help: one of: qemu, libvirt, xen
            error: memory size "-1" does not start with a whole number (write 512M or 4G)
             --> bench.toml:4:10
              |
            4 | memory = "-1"
              |          ^^^^
            error: a VM has 1 to 255 processors, not 0
             --> bench.toml:5:8
              |
            5 | cpus = 0
              |        ^
            error: PCI address has no function (expected DDDD:BB:DD.F or BB:DD.F)
             --> bench.toml:7:19
              |
            7 | select = { slot = "2:6" }
              |                   ^^^^^
            error: bench.toml cannot be used as it is: 5 faults
        "#]],
    );
}

#[test]
fn spec_without_a_vm_is_refused() {
    planned(
        "",
        &expect![[r#"
        exit 2
        --- err
        error: the spec declares no VM
         --> bench.toml:1:1
          |
        1 |
          | ^
          |
          = help: begin one with [[vm]], a name and its memory: see `slotwise help plan`
        error: bench.toml cannot be used as it is
    "#]],
    );
}

#[test]
fn text_that_is_not_toml_is_refused() {
    planned(
        "[[vm]\nname",
        &expect![[r#"
        exit 2
        --- err
        error: unclosed array table, expected `]`
         --> bench.toml:1:6
          |
        1 | [[vm]
          |      ^
        error: bench.toml cannot be used as it is
    "#]],
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    planned(
        b"[[vm]]\nname = \"b\xff\"\n",
        &expect![[r#"
        exit 2
        --- err
        error: the spec bench.toml is not UTF-8 (byte 16)
    "#]],
    );
}

#[test]
fn spec_that_is_not_there_is_named() {
    let desk = Desk::new();
    expect![[r#"
        exit 2
        --- err
        error: cannot read the spec nowhere.toml: No such file or directory (os error 2)
    "#]]
    .assert_eq(&desk.run(&["plan", "nowhere.toml"]).told());
}

#[test]
fn every_command_refuses_a_faulty_spec_before_it_looks_at_the_host() {
    let desk = Desk::new();
    desk.put("bench.toml", "nonsense = 1\n");
    for command in ["plan", "apply", "test"] {
        let said = desk.run(&[command, "bench.toml"]);
        assert_eq!(said.status, Some(2), "{command}: {}", said.told());
        assert!(said.err.contains("bench.toml:1:1"), "{command}: {}", said.told());
    }
    for command in ["run", "render"] {
        let said = desk.run(&[command, "bench.toml", "bench"]);
        assert_eq!(said.status, Some(2), "{command}: {}", said.told());
        assert!(said.err.contains("bench.toml:1:1"), "{command}: {}", said.told());
    }
    assert!(!desk.path().join("state").exists(), "no journal was begun");
}
