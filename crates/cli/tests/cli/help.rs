//! The help text of the whole tree of commands, in one file: a change of the command line is seen as one.

use std::fmt::Write as _;

use expect_test::expect_file;

use crate::Desk;

/// Adds a command's help, then that of the commands below it.
fn collect(desk: &Desk, path: &[&str], text: &mut String) {
    let said = desk.run(&[path, &["--help"]].concat());
    assert_eq!(said.status, Some(0), "{}", said.told());
    let _ =
        writeln!(text, "$ slotwise {}\n\n{}\n", [path, &["--help"]].concat().join(" "), said.out.trim_end());
    let commands = said.out.split_once("Commands:\n").map_or("", |(_, list)| list);
    let names = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        Some(name).filter(|name| !name.is_empty() && *name != "help")
    });
    for name in names {
        collect(desk, &[path, &[name]].concat(), text);
    }
}

#[test]
fn help_of_the_whole_tree() {
    let mut text = String::new();
    collect(&Desk::new(), &[], &mut text);
    expect_file!["help.txt"].assert_eq(&text);
}
