//! Packet sockets: frames of one network interface, from the destination address on.
//!
//! `packet(7)`; the address is `struct sockaddr_ll` (`include/uapi/linux/if_packet.h`, Linux 6.1).

use std::io;
use std::mem::size_of;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};
use slotwise_testbench::wire::FRAME_LIMIT_BYTES;

/// How often a full queue of the interface is tried again, with a rest between.
const SEND_TRIES: usize = 200;
const SEND_REST: Duration = Duration::from_millis(5);

/// `struct sockaddr_ll`.
#[repr(C)]
struct LinkAddress {
    family: u16,
    /// In network byte order.
    protocol: u16,
    index: i32,
    hardware_type: u16,
    packet_type: u8,
    address_length: u8,
    address: [u8; 8],
}

// SAFETY: the closure gets a pointer to `self`, which is a whole `sockaddr_ll` (tested below), and its length.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        // The structure has 20 bytes.
        let length = size_of::<Self>() as SocketAddrLen;
        f(std::ptr::from_ref(self).cast(), length)
    }
}

/// A socket for the frames of one type on one interface.
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens one on the interface with this index. Frames that the guest itself sends are not heard.
    ///
    /// # Errors
    ///
    /// There is no such interface, or no leave.
    pub(crate) fn open(index: u32, protocol: u16) -> io::Result<Self> {
        // Type 0 hears nothing until the socket is bound, so that no other interface's frames get in.
        let socket =
            socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None::<Protocol>)?;
        let index = i32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let address = LinkAddress {
            family: AddressFamily::PACKET.as_raw(),
            protocol: protocol.to_be(),
            index,
            hardware_type: 0,
            packet_type: 0,
            address_length: 0,
            address: [0; 8],
        };
        bind(&socket, &address)?;
        Ok(Self(socket))
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// The interface is down, the frame too long for it, or its queue stays full.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        for _ in 0..SEND_TRIES {
            match send(&self.0, frame, SendFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => std::thread::sleep(SEND_REST),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::NOBUFS.into())
    }

    /// The next frame; `None` if none comes within the time.
    ///
    /// # Errors
    ///
    /// The interface is gone or down.
    pub(crate) fn receive(&self, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let limit = Timespec::try_from(limit).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut frame = vec![0; FRAME_LIMIT_BYTES];
        match recv(&self.0, frame.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((count, _)) => {
                frame.truncate(count);
                Ok(Some(frame))
            }
            // The error of an interface that was down for a moment is told once.
            Err(Errno::AGAIN | Errno::INTR | Errno::NETDOWN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// Offsets as `offsetof` gives them for `<linux/if_packet.h>`.
    #[test]
    fn the_address_lies_as_the_kernel_reads_it() {
        assert_eq!(size_of::<LinkAddress>(), 20);
        assert_eq!(offset_of!(LinkAddress, protocol), 2);
        assert_eq!(offset_of!(LinkAddress, index), 4);
        assert_eq!(offset_of!(LinkAddress, packet_type), 10);
        assert_eq!(offset_of!(LinkAddress, address), 12);
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert!(PacketSocket::open(u32::MAX, 0x0806).is_err());
    }
}
