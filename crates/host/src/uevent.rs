//! What happens to PCI functions while it happens: the kernel's uevents.
//!
//! A netlink socket of its own gets what the kernel broadcasts to group 1 (`lib/kobject_uevent.c`); anybody may listen,
//! within the network namespace that owns the devices. Datagrams that did not come from the kernel (port 0) are left
//! out. Knows nothing of what was there before: read the host after opening the socket, so that nothing is missed.

use std::os::fd::OwnedFd;
use std::time::Duration;

use kobject_uevent::{ActionType, UEvent};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};
use slotwise_core::facts::DriverName;
use slotwise_core::pci::{ClassCode, PciAddress, PciId};

/// The group that the kernel broadcasts to; group 2 is udev's.
const KERNEL_GROUP: u32 = 1;

/// The longest datagram: head and environment (`include/linux/kobject.h`: `UEVENT_BUFFER_SIZE` 2048, and the path).
const DATAGRAM_BYTES: usize = 8192;

/// What happened to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciChange {
    /// It was plugged in, or made (a virtual function).
    Added,
    /// It is gone.
    Removed,
    /// A driver took it.
    Bound,
    /// Its driver let it go.
    Unbound,
    /// Anything else that the kernel tells (`change`, `online`, …).
    Changed,
}

impl PciChange {
    /// One word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Bound => "bound",
            Self::Unbound => "unbound",
            Self::Changed => "changed",
        }
    }
}

/// One change of one function; what the kernel did not tell is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciEvent {
    /// What happened.
    pub change: PciChange,
    /// To which function.
    pub address: PciAddress,
    /// Its ids.
    pub id: Option<PciId>,
    /// Its class.
    pub class: Option<ClassCode>,
    /// The driver bound then; none where there was none.
    pub driver: Option<DriverName>,
}

impl PciEvent {
    /// Reads a datagram; none if it is not about a PCI function, or is none of the kernel's.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let event = UEvent::from_netlink_packet(datagram).ok()?;
        if event.subsystem != "pci" {
            return None;
        }
        let property = |name: &str| event.env.get(name).map(String::as_str);
        // `drivers/pci/pci-driver.c: pci_uevent` sets it; the last part of the path is the same.
        let address = property("PCI_SLOT_NAME").or_else(|| event.devpath.file_name()?.to_str())?;
        Some(Self {
            change: match event.action {
                ActionType::Add => PciChange::Added,
                ActionType::Remove => PciChange::Removed,
                ActionType::Bind => PciChange::Bound,
                ActionType::Unbind => PciChange::Unbound,
                ActionType::Change | ActionType::Move | ActionType::Online | ActionType::Offline => {
                    PciChange::Changed
                }
            },
            address: address.parse().ok()?,
            id: property("PCI_ID").and_then(|id| id.parse().ok()),
            // Printed without leading zeros.
            class: property("PCI_CLASS")
                .and_then(|class| u32::from_str_radix(class, 16).ok())
                .map(ClassCode::from_bits),
            driver: property("DRIVER").and_then(|name| DriverName::new(name).ok()),
        })
    }
}

/// Why uevents cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum UeventError {
    /// There is no socket to be had.
    #[error("cannot listen to the kernel's events")]
    Open(#[source] std::io::Error),
    /// The socket fails.
    #[error("cannot read the kernel's events")]
    Read(#[source] std::io::Error),
}

/// What waiting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A function changed.
    Event(PciEvent),
    /// Nothing happened to PCI functions in that time, or a signal came.
    Nothing,
    /// More happened at once than the socket holds: some events are lost.
    Lost,
}

/// Listens to the kernel.
#[derive(Debug)]
pub struct Uevents {
    socket: OwnedFd,
}

impl Uevents {
    /// From now on.
    ///
    /// # Errors
    /// If the system gives no such socket.
    pub fn open() -> Result<Self, UeventError> {
        let open = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let protocol = Some(KOBJECT_UEVENT);
            let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
            bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
            Ok(Self { socket })
        };
        open().map_err(|errno: Errno| UeventError::Open(errno.into()))
    }

    /// The next event; waits for `most` at most, until the first datagram whatever it is about.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn wait(&self, most: Duration) -> Result<Waited, UeventError> {
        let failed = |errno: Errno| UeventError::Read(errno.into());
        let timeout = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Waited::Nothing),
            Ok(_) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let mut datagram = vec![0; DATAGRAM_BYTES];
        let (count, sender) = match recvfrom(&self.socket, datagram.as_mut_slice(), RecvFlags::empty()) {
            Ok((count, _, sender)) => (count, sender),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Waited::Nothing),
            Err(Errno::NOBUFS) => return Ok(Waited::Lost),
            Err(errno) => return Err(failed(errno)),
        };
        let kernel = sender.is_some_and(|s| SocketAddrNetlink::try_from(s).is_ok_and(|s| s.pid() == 0));
        let event = datagram.get(..count).filter(|_| kernel).and_then(PciEvent::parse);
        Ok(event.map_or(Waited::Nothing, Waited::Event))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Linux 6 sent it for a virtio device.
    const ADDED: &[u8] = b"add@/devices/pci0000:00/0000:00:01.0\0ACTION=add\0DEVPATH=/devices/pci0000:00/0000:00:01.0\0SUBSYSTEM=pci\0SYNTH_UUID=0\0DRIVER=virtio-pci\0PCI_CLASS=FFFF00\0PCI_ID=1AF4:1045\0PCI_SUBSYS_ID=1AF4:1045\0PCI_SLOT_NAME=0000:00:01.0\0MODALIAS=pci:v00001AF4d00001045sv00001AF4sd00001045bcFFscFFi00\0SEQNUM=814\0";

    fn with(action: &str) -> Vec<u8> {
        let text = String::from_utf8_lossy(ADDED).replace("ACTION=add", &format!("ACTION={action}"));
        text.into_bytes()
    }

    #[test]
    fn a_recorded_event_gives_the_function_and_its_driver() {
        let event = PciEvent::parse(ADDED).expect("an event");
        assert_eq!((event.change, event.address.to_string().as_str()), (PciChange::Added, "0000:00:01.0"));
        assert_eq!(event.id, Some(PciId { vendor: 0x1af4, device: 0x1045 }));
        assert_eq!(event.class, Some(ClassCode::from_bits(0xff_ff00)));
        assert_eq!(event.driver.as_ref().map(DriverName::as_str), Some("virtio-pci"));
    }

    #[test]
    fn every_action_has_its_change() {
        let rows = [
            ("remove", PciChange::Removed),
            ("bind", PciChange::Bound),
            ("unbind", PciChange::Unbound),
            ("change", PciChange::Changed),
            ("offline", PciChange::Changed),
        ];
        for (action, change) in rows {
            assert_eq!(PciEvent::parse(&with(action)).map(|event| event.change), Some(change), "{action}");
        }
    }

    #[test]
    fn other_subsystems_and_damage_are_left_out() {
        let usb = String::from_utf8_lossy(ADDED).replace("SUBSYSTEM=pci", "SUBSYSTEM=usb");
        assert_eq!(PciEvent::parse(usb.as_bytes()), None);
        assert_eq!(PciEvent::parse(&with("dance")), None);
        assert_eq!(PciEvent::parse(b"libudev\0\xfe\xed\xca\xfe"), None);
    }

    #[test]
    fn waiting_without_events_ends_in_time() {
        // A namespace may have no such socket; where there is one, waiting must end.
        if let Ok(events) = Uevents::open() {
            for _ in 0..100 {
                if events.wait(Duration::from_millis(5)).expect("a socket that works") == Waited::Nothing {
                    return;
                }
            }
            panic!("events without end");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = PciEvent::parse(&bytes);
        }

        #[test]
        fn torn_events_are_answered(end in 0usize..ADDED.len()) {
            let _ = PciEvent::parse(ADDED.get(..end).unwrap_or_default());
        }
    }
}
