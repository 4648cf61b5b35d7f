//! The machine that the tests run on: whatever it is, reading it must work.

use slotwise_core::facts::{Fact, Origin};
use slotwise_host::kernel::ReadHost;
use slotwise_host::live::LiveHost;

#[test]
fn functions_are_those_that_sysfs_lists() {
    let host = LiveHost::running().expect("the root directory");
    let facts = slotwise_host::read(&host, Origin::Live { boot_id: None });
    let listed = host.list("/sys/bus/pci/devices").unwrap_or_default();
    // Nothing is plugged while tests run.
    assert_eq!(facts.functions.keys().map(ToString::to_string).collect::<Vec<_>>(), listed);
    assert!(facts.functions.values().all(|function| function.id.known().is_some()));
    assert!(facts.kernel.version().is_some());
    assert!(!matches!(facts.interrupts, Fact::Absent) || host.read("/proc/interrupts", 1 << 26).is_err());
    if std::env::var_os("SLOTWISE_SHOW").is_some() {
        println!("{facts:#?}");
    }
}
