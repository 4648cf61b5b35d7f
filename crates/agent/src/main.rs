//! `slotwise-agent`: carries out SCSI commands and operations on PCI functions inside a Linux guest, and reports what came
//! back.
//!
//! Runs as the first program of a guest's initial ramdisk, or as an ordinary program of root in a guest of its own
//! making. It is one static file. What it is asked and what it answers is `slotwise_testbench::wire`; it does not judge.

#![deny(unsafe_code)]

mod boot;
mod function;
mod kernel_log;
mod line;
mod pci;
mod port;
mod scsi;
mod serve;
mod sys;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::ExitCode;

use serve::{AtEnd, serve};
use slotwise_testbench::wire::AGENT_PORT;

fn main() -> ExitCode {
    let mut complaints = Vec::new();
    let first_program = std::process::id() == 1;
    let wanted = if first_program { boot::set_up(&mut complaints) } else { None };
    let wanted = wanted.unwrap_or_else(|| AGENT_PORT.to_owned());
    for complaint in &complaints {
        eprintln!("slotwise-agent: {complaint}");
    }
    let port = match port::open(&wanted) {
        Ok(port) => port,
        Err(error) => {
            eprintln!("slotwise-agent: {error}");
            // As the first program this ends the guest with a kernel panic, which its console shows.
            return ExitCode::from(2);
        }
    };
    if first_program {
        announce(&wanted);
    }
    let at_end = if first_program { AtEnd::PowerOff } else { AtEnd::Exit };
    serve(port, &complaints, at_end);
    ExitCode::SUCCESS
}

/// Tells whoever looks at the guest's console that it is up. The kernel gives the first program no console if the initial
/// ramdisk has no node for it, so it is opened here.
fn announce(port: &str) {
    let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") else { return };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    // Nobody may be looking.
    let _ = writeln!(console, "slotwise-agent {version}: ready on {port}, Linux {}", release.trim());
}
