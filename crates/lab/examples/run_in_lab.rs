//! Boots a machine of the lab and runs one command in it.
//!
//! ```text
//! RUSTFLAGS="-C target-feature=+crt-static" \
//!     cargo build --release -p slotwise-lab --bin slotwise-lab-init --target x86_64-unknown-linux-gnu
//! cargo run -p slotwise-lab --example run_in_lab -- \
//!     target/x86_64-unknown-linux-gnu/release/slotwise-lab-init scsi-bench lspci -tv
//! ```

use std::error::Error;
use std::io::Write as _;

use slotwise_lab::session::{ExitStatus, Stream};
use slotwise_lab::{Artifacts, BootOptions, Command, Config, LabHost, Machine, artifacts};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: run_in_lab INIT MACHINE COMMAND...";
    let init_binary = arguments.next().ok_or(usage)?.into();
    let machine = Machine::builtin(&arguments.next().ok_or(usage)?)?;
    let config = Config { cache_dir: artifacts::default_directory()?, payload: Vec::new(), init_binary };
    let progress = |text: &str| eprintln!("{text}");
    let artifacts = Artifacts::prepare(&machine, &config, &progress)?;
    let host = LabHost::boot(&machine, &artifacts, &BootOptions::default(), &progress)?;
    eprintln!("up in {:.1} s", host.boot_time().as_secs_f64());
    for phase in host.phases() {
        eprintln!("{:>6} ms  {}", phase.end_ms, phase.name);
    }

    let running = host.start(&Command::new(arguments))?;
    running.control().end_input()?;
    let status = running.wait(|stream, bytes| {
        // A closed pipe here ends nothing there; the command runs to its end.
        let _ = match stream {
            Stream::Output => std::io::stdout().write_all(bytes),
            Stream::Error => std::io::stderr().write_all(bytes),
        };
    })?;
    host.shutdown();
    std::process::exit(match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(number) => 128 + number,
    });
}
