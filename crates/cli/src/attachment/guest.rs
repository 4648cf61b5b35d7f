//! What a running guest shows of devices that come and go: through its agent where it has one, else by what it does to
//! them, which the monitor sees.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use slotwise_backend::qemu::{Control, ControlError, Sockets};
use slotwise_core::pci::{PciAddress, PciId};
use slotwise_testbench::capability::Capabilities;
use slotwise_testbench::transport::{AgentTransport, Transport};
use slotwise_testbench::wire::PciFunction;

/// How long an agent may take to say hello. One that is there answers at once.
const HELLO: Duration = Duration::from_secs(3);
/// How often the guest is looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long a driver may take to bind to a device that the guest has listed: its probe waits for the device.
const DRIVER: Duration = Duration::from_secs(5);

/// What a guest has shown of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Its agent lists it.
    Listed {
        /// Where the guest sees it.
        address: String,
        /// The driver it has there.
        driver: Option<String>,
    },
    /// It has given it addresses and decodes them.
    Decodes,
    /// Nothing.
    Silent,
}

/// A guest that is looked at.
pub(crate) struct Guest {
    agent: Option<AgentTransport<UnixStream>>,
    before: Vec<PciFunction>,
}

impl Guest {
    /// Looks at the guest before anything comes. The agent's is the first channel; one that does not answer is none.
    pub(crate) fn greet(sockets: &Sockets) -> Self {
        let link = UnixStream::connect(sockets.channel(0)).ok();
        let agent = link.and_then(|link| AgentTransport::connect(link, Capabilities::none(), HELLO).ok());
        let mut guest = Self { agent, before: Vec::new() };
        guest.before = guest.functions();
        guest
    }

    fn functions(&mut self) -> Vec<PciFunction> {
        // An agent that fails now is as good as none.
        self.agent.as_mut().and_then(|agent| agent.functions().ok()).unwrap_or_default()
    }

    /// Waits until the guest has taken each device, with a driver where it has one; says what it has shown by then.
    pub(crate) fn wait(
        &mut self,
        control: &mut Control,
        devices: &[(PciAddress, Option<PciId>)],
        within: Duration,
    ) -> Result<Vec<Sign>, ControlError> {
        let addresses: Vec<PciAddress> = devices.iter().map(|(address, _)| *address).collect();
        let deadline = Instant::now() + within;
        let mut listed_since = None;
        loop {
            let silent = control.wait_taken(&addresses, Duration::ZERO)?;
            let signs = self.signs(devices, &silent);
            let settled = |sign: &Sign| match sign {
                Sign::Listed { driver, .. } => driver.is_some(),
                Sign::Decodes => self.agent.is_none(),
                Sign::Silent => false,
            };
            let now = Instant::now();
            if !signs.contains(&Sign::Silent) {
                listed_since.get_or_insert(now);
            }
            let no_driver_comes = listed_since.is_some_and(|since| now - since >= DRIVER);
            if signs.iter().all(settled) || no_driver_comes || now >= deadline {
                return Ok(signs);
            }
            thread::sleep(POLL);
        }
    }

    fn signs(&mut self, devices: &[(PciAddress, Option<PciId>)], silent: &[PciAddress]) -> Vec<Sign> {
        let now = self.functions();
        let mut news: Vec<PciFunction> =
            now.into_iter().filter(|f| !self.before.iter().any(|old| old.address == f.address)).collect();
        let mut sign = |(address, id): &(PciAddress, Option<PciId>)| {
            let own = |f: &PciFunction| {
                id.is_some_and(|id| {
                    f.vendor == format!("{:04x}", id.vendor) && f.device == format!("{:04x}", id.device)
                })
            };
            match news.iter().position(own) {
                Some(at) => {
                    let found = news.remove(at);
                    Sign::Listed { address: found.address, driver: found.driver }
                }
                None if silent.contains(address) => Sign::Silent,
                None => Sign::Decodes,
            }
        };
        devices.iter().map(&mut sign).collect()
    }
}
