//! Any iSCSI target as a device without a guest: two sessions are two initiators, task management resets.
//!
//! What a parallel bus has and iSCSI has not: sense always comes with the status, every command names its logical unit
//! (there is none without an IDENTIFY message), and nobody can switch the device off or change its medium.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use slotwise_iscsi::frame::FrameError;
use slotwise_iscsi::initiator::{Completed, Credentials, Direction as Way, Initiator, InitiatorError};
use slotwise_iscsi::request::Function;
use slotwise_iscsi::{Lun, NO_TAG};

use super::{Event, Initiator as From, Route, SenseFetch, Transport, TransportError, in_order};
use crate::capability::{Capabilities, Capability};
use crate::wire::{
    Command, CommandOutcome, Completion, DeviceAddress, Direction, FoundDevice, HexBytes, LogRecord,
};

/// `DID_TIME_OUT` (`include/scsi/scsi_status.h`): what an adapter's driver reports of a command that was aborted.
const TIMED_OUT: u16 = 0x03;
/// Bytes of standard INQUIRY data.
const INQUIRY_BYTES: u8 = 36;
const INQUIRY_LIMIT: Duration = Duration::from_secs(10);
/// The port where none is given (RFC 7143, 4.2.1).
const PORT: u16 = 3260;

/// A logical unit's place: `iscsi://HOST[:PORT]/TARGET/LUN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IscsiUrl {
    host: String,
    port: u16,
    target: String,
    lun: u16,
}

/// A text is no such URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no iSCSI URL")]
pub struct UrlError {
    text: String,
}

impl UrlError {
    /// What would be right.
    pub fn hint(&self) -> &'static str {
        "iscsi://HOST[:PORT]/TARGET/LUN, as in iscsi://127.0.0.1:3260/iqn.2026-01.org.example:disk/0"
    }
}

impl FromStr for IscsiUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let parse = || {
            let (place, rest) = text.strip_prefix("iscsi://")?.split_once('/')?;
            let (target, lun) = rest.split_once('/')?;
            let (host, port) = match place.rsplit_once(':') {
                // A colon within brackets belongs to the address.
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
                _ => (place, PORT),
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let lun: u16 = lun.parse().ok()?;
            let named = !host.is_empty() && !target.is_empty();
            let fits = named && Lun::new(lun).is_some();
            fits.then(|| Self { host: host.to_owned(), port, target: target.to_owned(), lun })
        };
        parse().ok_or_else(|| UrlError { text: text.to_owned() })
    }
}

impl fmt::Display for IscsiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, target, lun } = self;
        if host.contains(':') {
            write!(f, "iscsi://[{host}]:{port}/{target}/{lun}")
        } else {
            write!(f, "iscsi://{host}:{port}/{target}/{lun}")
        }
    }
}

/// A logical unit of an iSCSI target.
#[derive(Debug)]
pub struct IscsiTransport {
    url: IscsiUrl,
    address: SocketAddr,
    capabilities: Capabilities,
    first: Initiator,
    /// Logged in when first needed.
    second: Option<Initiator>,
}

fn failed(error: InitiatorError) -> TransportError {
    match error {
        InitiatorError::Send(source) | InitiatorError::Connect { source, .. } => TransportError::Io(source),
        InitiatorError::Frame(FrameError::Closed) => TransportError::Closed,
        InitiatorError::Frame(FrameError::Io(source)) => TransportError::Io(source),
        other => TransportError::Protocol { what: other.to_string() },
    }
}

impl IscsiTransport {
    /// What an iSCSI target can carry. Cases about other logical units take it that only number 0 is there.
    pub fn capabilities_at(url: &IscsiUrl) -> Capabilities {
        let all = [
            Capability::Commands,
            Capability::SdUnbound,
            Capability::Residual,
            Capability::LunChoice,
            Capability::TwoInitiators,
            Capability::Reset,
        ];
        let lun_0 = url.lun == 0;
        all.into_iter().filter(|capability| lun_0 || *capability != Capability::LunChoice).collect()
    }

    /// Logs in as the first initiator.
    ///
    /// # Errors
    ///
    /// The host has no address, or the target refuses.
    pub fn connect(url: &IscsiUrl) -> Result<Self, TransportError> {
        let mut addresses = (url.host.as_str(), url.port).to_socket_addrs().map_err(TransportError::Io)?;
        let address = addresses
            .next()
            .ok_or_else(|| TransportError::Protocol { what: format!("{} has no address", url.host) })?;
        let first = log_in(url, address, From::First)?;
        let capabilities = Self::capabilities_at(url);
        Ok(Self { url: url.clone(), address, capabilities, first, second: None })
    }

    fn session(&mut self, who: From) -> Result<&mut Initiator, TransportError> {
        match who {
            From::First => Ok(&mut self.first),
            From::Second => match &mut self.second {
                Some(second) => Ok(second),
                none => Ok(none.insert(log_in(&self.url, self.address, From::Second)?)),
            },
        }
    }

    fn send(&mut self, route: Route, lun: u16, command: &Command) -> Result<Completion, TransportError> {
        // Every header names a logical unit: without IDENTIFY it is that of the command (X3.131-1994, 7.2.2), which makes
        // sense only for a device that is number 0 itself.
        let of_command = command.cdb.0.get(1).map_or(0, |byte| byte >> 5);
        let wanted = route.identify.or(Some(of_command).filter(|own| lun == 0 && *own != 0));
        let lun = Lun::new(wanted.map_or(lun, u16::from)).unwrap_or_default();
        let limit = Duration::from_millis(command.timeout_ms.into());
        let way = match &command.direction {
            Direction::None => Way::None,
            Direction::In { length } => Way::In(*length),
            Direction::Out { data } => Way::Out(&data.0),
        };
        let session = self.session(route.initiator)?;
        let done = session.command(lun, &command.cdb.0, way, limit).map_err(failed)?;
        Ok(completion(done))
    }
}

fn log_in(url: &IscsiUrl, address: SocketAddr, who: From) -> Result<Initiator, TransportError> {
    let name = match who {
        From::First => "first",
        From::Second => "second",
    };
    let credentials = Credentials {
        initiator: format!("iqn.2026-01.org.slotwise:{name}"),
        qualifier: 1,
        target: Some(url.target.clone()),
    };
    Initiator::connect(address, &credentials).map_err(failed)
}

fn completion(done: Completed) -> Completion {
    Completion {
        status: done.status.unwrap_or_default(),
        sense: HexBytes(done.sense),
        data: HexBytes(done.data),
        residual: i32::try_from(done.residual).unwrap_or(i32::MAX),
        host_status: if done.status.is_some() { 0 } else { TIMED_OUT },
        driver_status: 0,
        elapsed_us: u64::try_from(done.elapsed.as_micros()).unwrap_or(u64::MAX),
    }
}

impl Transport for IscsiTransport {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        let lun = Lun::new(self.url.lun).unwrap_or_default();
        let cdb = [0x12, 0, 0, 0, INQUIRY_BYTES, 0];
        let inquiry = self.first.command(lun, &cdb, Way::In(INQUIRY_BYTES.into()), INQUIRY_LIMIT);
        let data = inquiry.map_err(failed)?.data;
        let text = |range| {
            let bytes: &[u8] = data.get::<std::ops::Range<usize>>(range).unwrap_or_default();
            String::from_utf8_lossy(bytes).trim_end_matches([' ', '\0']).to_owned()
        };
        Ok(vec![FoundDevice {
            address: DeviceAddress { host: 0, channel: 0, id: 0, lun: self.url.lun.into() },
            vendor: text(8..16),
            product: text(16..32),
            revision: text(32..36),
            // 31 is "unknown or no device type" (X3.131-1994, 8.2.5.1).
            kind: data.first().map_or(31, |first| first & 0x1f),
            pci: None,
            driver: None,
        }])
    }

    fn execute(
        &mut self,
        device: DeviceAddress,
        commands: &[Command],
        limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        self.execute_by(Route::default(), device, commands, limit)
    }

    fn execute_by(
        &mut self,
        route: Route,
        device: DeviceAddress,
        commands: &[Command],
        _: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        if route.sense == SenseFetch::Left {
            return Err(TransportError::Refused { reason: "sense comes with the status".into() });
        }
        let lun = u16::try_from(device.lun).unwrap_or_default();
        in_order(commands, |command| self.send(route, lun, command))
    }

    fn event(&mut self, event: Event) -> Result<(), TransportError> {
        let function = match event {
            Event::BusReset => Function::WarmReset,
            Event::DeviceReset => Function::LunReset,
            Event::PowerCycle | Event::ChangeMedium | Event::ProtectMedium | Event::UnprotectMedium => {
                return Err(TransportError::Refused { reason: format!("no way to do {}", event.name()) });
            }
        };
        let lun = Lun::new(self.url.lun).unwrap_or_default();
        match self.first.manage(function, lun, NO_TAG).map_err(failed)? {
            0 => Ok(()),
            response => Err(TransportError::Refused {
                reason: format!("the target answers {} with {response:#04x}", event.name()),
            }),
        }
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        Ok((Vec::new(), since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_told_the_same() {
        for text in [
            "iscsi://127.0.0.1:3260/iqn.2026-01.org.example:disk/0",
            "iscsi://[::1]:860/iqn.2026-01.org.example:disk/7",
        ] {
            assert_eq!(text.parse::<IscsiUrl>().unwrap().to_string(), text);
        }
        let url: IscsiUrl = "iscsi://host/iqn.x:y/1".parse().unwrap();
        assert_eq!((url.port, url.lun), (PORT, 1));
    }

    #[test]
    fn what_is_no_url_is_refused_with_what_would_be_right() {
        for text in [
            "",
            "http://host/t/0",
            "iscsi://host",
            "iscsi:///t/0",
            "iscsi://host//0",
            "iscsi://host/t/x",
            "iscsi://host:x/t/0",
            "iscsi://host/t/70000",
        ] {
            let error = text.parse::<IscsiUrl>().unwrap_err();
            assert!(error.to_string().contains(text) && error.hint().starts_with("iscsi://"));
        }
    }
}
