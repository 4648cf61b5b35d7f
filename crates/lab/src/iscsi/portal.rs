//! The listening socket, and the threads behind it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::service::{Observed, Service};
use super::{TARGET_NAME, Target, connection};

/// Connections at once.
const CONNECTION_LIMIT: usize = 16;
/// How often it is looked whether the portal closes.
const POLL: Duration = Duration::from_millis(10);

/// The target cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A target that can be reached; it is gone when this is dropped, with all connections.
pub struct Portal {
    address: SocketAddr,
    service: Arc<Service>,
    closing: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portal").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Portal {
    /// Serves the target on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn on_loopback(target: Target) -> Result<Self, PortalError> {
        Self::on(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), target)
    }

    /// Serves the target. Whoever reaches the address can do anything to the target, as there is no authentication.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub fn on(address: SocketAddr, target: Target) -> Result<Self, PortalError> {
        let failed = |source| PortalError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let service = Arc::new(Service::new(target));
        let closing = Arc::new(AtomicBool::new(false));
        let (own, flag) = (Arc::clone(&service), Arc::clone(&closing));
        let acceptor = thread::Builder::new()
            .name("iscsi".to_owned())
            .spawn(move || accept(&listener, &own, &flag))
            .map_err(failed)?;
        Ok(Self { address, service, closing, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The logical unit's URL, as libiscsi's programs and QEMU take it.
    pub fn url(&self) -> String {
        format!("iscsi://{}/{TARGET_NAME}/0", self.address)
    }

    /// QEMU's `-drive` for `scsi-generic`, with an initiator name of its own.
    pub fn qemu_drive(&self, id: &str) -> String {
        format!(
            "if=none,id={id},file.driver=iscsi,file.transport=tcp,file.portal={},file.target={TARGET_NAME},\
             file.lun=0,file.initiator-name=iqn.2026-01.org.slotwise:guest",
            self.address
        )
    }

    /// Does something to the target itself: medium, protection, power.
    pub fn with_target<T>(&self, work: impl FnOnce(&mut Target) -> T) -> T {
        self.service.with_target(work)
    }

    /// The commands that came, in order, the last 65 536 of them. Sense that was fetched for an initiator is not among
    /// them.
    pub fn observed(&self) -> Vec<Observed> {
        self.service.observed()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            // It has nothing to say; that it ended is enough.
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, service: &Arc<Service>, closing: &AtomicBool) {
    let open = AtomicUsize::new(0);
    thread::scope(|scope| {
        while !closing.load(Ordering::Relaxed) {
            let stream = match listener.accept() {
                Ok((stream, _)) if open.load(Ordering::Relaxed) < CONNECTION_LIMIT => stream,
                // One too many is closed at once.
                Ok(_) => continue,
                Err(_) => {
                    thread::sleep(POLL);
                    continue;
                }
            };
            let (open, service) = (&open, Arc::clone(service));
            open.fetch_add(1, Ordering::Relaxed);
            scope.spawn(move || {
                one(stream, service, closing);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

fn one(stream: TcpStream, service: Arc<Service>, closing: &AtomicBool) {
    // What `accept` gives inherits nothing on Linux, elsewhere it may.
    if stream.set_nonblocking(false).is_ok() {
        connection::serve(stream, service, &|| closing.load(Ordering::Relaxed));
    }
}
