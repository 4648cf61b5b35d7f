//! The debian-12 guest in an emulated machine with an emulated SCSI-2 disk: needs QEMU, a Debian kernel and the static
//! agent, so it runs only where `SLOTWISE_GUEST=1` says that these are there.
//!
//! The agent is looked for where `cargo build --release -p slotwise-agent --target x86_64-unknown-linux-gnu` puts it, or
//! where `SLOTWISE_AGENT` says.

mod qemu;

use std::time::{Duration, Instant};

use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::transport::Transport;
use slotwise_testbench::wire::{Command, CommandOutcome, Direction, HexBytes, Nexus};

#[test]
fn the_guest_answers_and_finds_the_disk() {
    if std::env::var_os("SLOTWISE_GUEST").is_none() {
        eprintln!("skipped: SLOTWISE_GUEST is not set");
        return;
    }
    let guest = GuestDefinition::builtin("debian-12").unwrap();
    let start = Instant::now();
    let mut machine = qemu::Machine::start(&guest, "lsi53c895a");
    let mut transport = machine.connect(&guest);
    println!(
        "start to hello: {:.2} s, complaints {:?}",
        start.elapsed().as_secs_f64(),
        transport.complaints()
    );
    let target = Nexus { channel: Some(0), id: Some(2), lun: Some(0) };
    transport.scan(target, Duration::from_secs(30)).unwrap();
    let devices = transport.devices().unwrap();
    let disk = devices.first().unwrap_or_else(|| panic!("no disk\n{}", machine.console()));
    let inquiry = Command {
        cdb: HexBytes(vec![0x12, 0, 0, 0, 36, 0]),
        direction: Direction::In { length: 36 },
        timeout_ms: 5000,
    };
    let outcomes = transport.execute(disk.address, &[inquiry], Duration::from_secs(10)).unwrap();
    println!("start to INQUIRY: {:.2} s {disk:?}", start.elapsed().as_secs_f64());
    let Some(CommandOutcome::Completed(completion)) = outcomes.first() else { panic!("{outcomes:?}") };
    assert_eq!(completion.data.0.get(8..16), Some(&b"SEAGATE "[..]));
    for record in transport.kernel_log(0).unwrap().0 {
        println!("{:>10} {}", record.time_us, record.text);
    }
    transport.power_off().unwrap();
    assert!(machine.exits_within(Duration::from_secs(20)), "the guest did not power off");
}
