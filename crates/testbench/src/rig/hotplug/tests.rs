//! Monitors and guests that take a device, take it late, or not at all.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use slotwise_backend::console::Console;
use slotwise_backend::{BackendError, Exit};
use slotwise_core::vm::ChannelName;

use super::*;
use crate::capability::Capabilities;
use crate::wire::LogRecord;

/// What was asked of the monitor, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A guest that lists a function at the so many-th look after it has come, its driver one later.
struct Guest {
    log: Log,
    takes_after: usize,
    looks: usize,
    driverless: bool,
}

impl Transport for Guest {
    fn capabilities(&self) -> &Capabilities {
        unreachable!("nobody asks")
    }

    fn functions(&mut self) -> Result<Vec<PciFunction>, TransportError> {
        let function = |address: &str, bound: bool| PciFunction {
            address: address.into(),
            vendor: "1000".into(),
            device: "0012".into(),
            class: "010000".into(),
            driver: bound.then(|| "sym53c8xx".into()),
        };
        let mut list = vec![function("0000:00:00.0", true)];
        if self.log.lock().unwrap().last().is_some_and(|last| last.starts_with("attach")) {
            self.looks += 1;
            if self.looks > self.takes_after {
                list.push(function("0000:00:05.0", !self.driverless && self.looks > self.takes_after + 1));
            }
        } else {
            self.looks = 0;
        }
        Ok(list)
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}

/// A monitor that does as it is told.
#[derive(Debug)]
struct Monitor(Log);

impl Machine for Monitor {
    fn console(&self) -> Option<&Console> {
        None
    }

    fn open_channel(&self, _: &ChannelName) -> Result<UnixStream, BackendError> {
        unreachable!("nobody asks")
    }

    fn attach(&mut self, devices: &[PassthroughDevice], _: Duration) -> Result<(), BackendError> {
        self.0.lock().unwrap().push(format!("attach {}", devices.len()));
        Ok(())
    }

    fn detach(&mut self, devices: &[PciAddress], _: Duration) -> Result<(), BackendError> {
        self.0.lock().unwrap().push(format!("detach {}", devices.len()));
        Ok(())
    }

    fn save(&mut self, _: &Path, _: Duration) -> Result<(), BackendError> {
        unreachable!("nobody asks")
    }

    fn wait(&mut self, _: Duration) -> Option<Exit> {
        None
    }

    fn end(&mut self, _: Duration) -> Result<Exit, BackendError> {
        unreachable!("nobody asks")
    }

    fn messages(&self) -> String {
        String::new()
    }
}

fn pair(takes_after: usize) -> (Monitor, Guest, Log) {
    let log = Log::default();
    (
        Monitor(Arc::clone(&log)),
        Guest { log: Arc::clone(&log), takes_after, looks: 0, driverless: false },
        log,
    )
}

fn card() -> Vec<PassthroughDevice> {
    vec![PassthroughDevice::new("0000:02:06.0".parse().expect("an address"))]
}

#[test]
fn a_device_is_there_when_the_guest_has_a_driver_on_it() {
    let (mut monitor, mut guest, log) = pair(3);
    Slot::filled(card()).fill(&mut monitor, &mut guest).expect("taken");
    assert_eq!((log.lock().unwrap().as_slice(), guest.looks), (&["attach 1".to_owned()][..], 5));
}

#[test]
fn a_device_that_was_there_at_boot_is_taken_out_first() {
    let (mut monitor, mut guest, log) = pair(0);
    let mut slot = Slot::filled(card());
    slot.refill(&mut monitor, &mut guest).expect("taken");
    slot.refill(&mut monitor, &mut guest).expect("taken again");
    assert_eq!(log.lock().unwrap().as_slice(), ["detach 1", "attach 1", "detach 1", "attach 1"]);
}

#[test]
fn a_guest_without_devices_has_none_to_reset() {
    let (mut monitor, mut guest, log) = pair(0);
    let refused = Slot::filled(Vec::new()).refill(&mut monitor, &mut guest);
    assert!(matches!(refused, Err(PlugError::Impossible)) && log.lock().unwrap().is_empty());
}

#[test]
fn a_guest_without_a_driver_has_the_device_all_the_same() {
    // It is listed at once, and its driver never comes: that costs its time, once.
    let (mut monitor, mut guest, _) = pair(0);
    let bare = guest.functions().expect("a list");
    monitor.attach(&card(), PLUG).expect("plugged in");
    guest.driverless = true;
    let begin = Instant::now();
    wait_listed(&mut guest, &bare, 1).expect("it is listed");
    assert!(begin.elapsed() >= DRIVER);
}
