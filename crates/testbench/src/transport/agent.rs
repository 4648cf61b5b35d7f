//! The transport that speaks with the agent in a guest, over any byte stream that has timeouts.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::{Transport, TransportError};
use crate::capability::{Capabilities, Capability};
use crate::wire::{
    Answer, AnswerLine, Command, CommandOutcome, DeviceAddress, Direction, FoundDevice, LINE_LIMIT_BYTES,
    LogRecord, Nexus, OPERATIONS_VERSION, Operation, OperationOutcome, PROTOCOL_VERSION, PciFunction,
    Request, RequestLine,
};

/// How long an answer may take that costs the guest no more than a look at its files.
const QUICK: Duration = Duration::from_secs(20);
/// How long an operation on a function may take: the kernel waits a minute for a device to come back from a reset
/// (`PCIE_RESET_READY_POLL_MS`, `drivers/pci/pci.c`), and a driver as long for its device.
const PERFORM: Duration = Duration::from_secs(150);
/// The most sense there is: eight bytes, and as many as their length field can say (X3.131-1994, 8.2.14).
const SENSE_LIMIT_BYTES: usize = 8 + 255;

/// A byte stream whose reads and writes can be given an end.
pub trait Link: Read + Write {
    /// Lets reads and writes fail with [`io::ErrorKind::WouldBlock`] or `TimedOut` after this time.
    ///
    /// # Errors
    ///
    /// The system refuses, or the time is zero.
    fn set_limit(&mut self, limit: Duration) -> io::Result<()>;
}

impl Link for UnixStream {
    fn set_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Link for TcpStream {
    fn set_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// A connection to an agent that has said hello.
#[derive(Debug)]
pub struct AgentTransport<L> {
    link: L,
    held: Vec<u8>,
    last_id: u64,
    /// Set by the first fatal error: an answer that comes late must not be taken for the next one.
    broken: bool,
    capabilities: Capabilities,
    kernel: String,
    complaints: Vec<String>,
}

impl<L: Link> AgentTransport<L> {
    /// Greets the agent and waits until it answers, which it does when the guest is up.
    ///
    /// # Errors
    ///
    /// No answer within `limit`, or the agent speaks another version of the protocol.
    pub fn connect(link: L, capabilities: Capabilities, limit: Duration) -> Result<Self, TransportError> {
        let mut transport = Self {
            link,
            held: Vec::new(),
            last_id: 0,
            broken: false,
            capabilities,
            kernel: String::new(),
            complaints: Vec::new(),
        };
        match transport.ask(Request::Hello { version: PROTOCOL_VERSION }, limit)? {
            Answer::Hello { version: PROTOCOL_VERSION, kernel, complaints, operations, .. } => {
                if operations < OPERATIONS_VERSION {
                    transport.capabilities.remove(Capability::Function);
                }
                transport.kernel = kernel;
                transport.complaints = complaints;
                Ok(transport)
            }
            Answer::Hello { version, .. } => Err(TransportError::Protocol {
                what: format!("the agent speaks version {version}, the bench {PROTOCOL_VERSION}"),
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// The release of the guest's kernel.
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// What went wrong while the agent set up the guest, a line each.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Tells the guest to switch itself off.
    ///
    /// # Errors
    ///
    /// The agent does not answer.
    pub fn power_off(&mut self) -> Result<(), TransportError> {
        match self.ask(Request::PowerOff, QUICK)? {
            Answer::Bye => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, request: Request, limit: Duration) -> Result<Answer, TransportError> {
        if self.broken {
            return Err(TransportError::Closed);
        }
        let answer = self.exchange(request, limit);
        self.broken = answer.as_ref().is_err_and(TransportError::is_fatal);
        answer
    }

    fn exchange(&mut self, request: Request, limit: Duration) -> Result<Answer, TransportError> {
        let deadline = Instant::now() + limit;
        self.last_id += 1;
        let mut line = serde_json::to_vec(&RequestLine { id: self.last_id, request })
            .map_err(|error| TransportError::Protocol { what: error.to_string() })?;
        line.push(b'\n');
        if line.len() > LINE_LIMIT_BYTES {
            return Err(TransportError::Refused {
                reason: format!("a request of {} bytes is too long", line.len()),
            });
        }
        self.link
            .set_limit(limit)
            .and_then(|()| self.link.write_all(&line))
            .map_err(|error| failed(error, limit))?;
        loop {
            let line = self.line(deadline, limit)?;
            let AnswerLine { id, answer } = serde_json::from_slice(&line)
                .map_err(|error| TransportError::Protocol { what: error.to_string() })?;
            return match answer {
                // Zero is the number of an answer to what the agent could not read.
                Answer::Refused { reason } if id == self.last_id || id == 0 => {
                    Err(TransportError::Refused { reason })
                }
                answer if id == self.last_id => Ok(answer),
                _ if id < self.last_id => continue,
                _ => {
                    Err(TransportError::Protocol { what: format!("answer {id} to request {}", self.last_id) })
                }
            };
        }
    }

    /// The next line without its line feed.
    fn line(&mut self, deadline: Instant, limit: Duration) -> Result<Vec<u8>, TransportError> {
        let mut searched = 0;
        let mut buffer = vec![0; 65536];
        loop {
            if let Some(at) = self.held.iter().skip(searched).position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                return Ok(line);
            }
            searched = self.held.len();
            if searched > LINE_LIMIT_BYTES {
                return Err(TransportError::Protocol { what: "a line without end".into() });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TransportError::TimedOut { limit });
            }
            match self.link.set_limit(left).and_then(|()| self.link.read(&mut buffer)) {
                Ok(0) => return Err(TransportError::Closed),
                Ok(count) => self.held.extend(buffer.iter().take(count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error, limit)),
            }
        }
    }
}

fn failed(error: io::Error, limit: Duration) -> TransportError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => TransportError::TimedOut { limit },
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => TransportError::Closed,
        _ => TransportError::Io(error),
    }
}

/// Whether an outcome brings no more data than the command has room for, and no more sense than there can be.
fn fits(outcome: &CommandOutcome, command: &Command) -> bool {
    let CommandOutcome::Completed(completion) = outcome else { return true };
    let room = match &command.direction {
        Direction::In { length } => usize::try_from(*length).unwrap_or(usize::MAX),
        Direction::None | Direction::Out { .. } => 0,
    };
    completion.data.0.len() <= room && completion.sense.0.len() <= SENSE_LIMIT_BYTES
}

fn unexpected(answer: &Answer) -> TransportError {
    let mut what = format!("{answer:?}");
    // The variant's name is enough to tell; the rest may be a megabyte.
    what.truncate(what.find([' ', '{']).unwrap_or(what.len()));
    TransportError::Protocol { what: format!("`{what}` is no answer to what was asked") }
}

impl<L: Link> Transport for AgentTransport<L> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn scan(&mut self, nexus: Nexus, limit: Duration) -> Result<(), TransportError> {
        match self.ask(Request::Scan(nexus), limit)? {
            Answer::Scanned { .. } => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn devices(&mut self) -> Result<Vec<FoundDevice>, TransportError> {
        match self.ask(Request::Devices, QUICK)? {
            Answer::Devices { devices } => Ok(devices),
            other => Err(unexpected(&other)),
        }
    }

    fn execute(
        &mut self,
        device: DeviceAddress,
        commands: &[Command],
        limit: Duration,
    ) -> Result<Vec<CommandOutcome>, TransportError> {
        let request = Request::Execute { device, commands: commands.to_vec() };
        match self.ask(request, limit)? {
            Answer::Executed { outcomes } if outcomes.len() <= commands.len() => {
                if outcomes.iter().zip(commands).all(|(outcome, command)| fits(outcome, command)) {
                    return Ok(outcomes);
                }
                self.broken = true;
                Err(TransportError::Protocol { what: "more data than a command asked for".into() })
            }
            other => Err(unexpected(&other)),
        }
    }

    fn functions(&mut self) -> Result<Vec<PciFunction>, TransportError> {
        match self.ask(Request::Pci, QUICK)? {
            Answer::Pci { functions } => Ok(functions),
            other => Err(unexpected(&other)),
        }
    }

    fn perform(&mut self, function: &str, operation: &Operation) -> Result<OperationOutcome, TransportError> {
        let request = Request::Perform { function: function.to_owned(), operation: operation.clone() };
        match self.ask(request, PERFORM)? {
            Answer::Performed { outcome } => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    fn kernel_log(&mut self, since: u64) -> Result<(Vec<LogRecord>, u64), TransportError> {
        match self.ask(Request::KernelLog { since }, QUICK)? {
            Answer::KernelLog { records, next } => Ok((records, next)),
            other => Err(unexpected(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HexBytes;
    use std::io::{BufRead, BufReader};
    use std::thread;

    /// An agent that answers each request with the next of these lines, then hangs up.
    fn agent(lines: &'static [&'static str]) -> UnixStream {
        let (bench, agent) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut requests = BufReader::new(agent.try_clone().unwrap()).lines();
            let mut out = agent;
            for line in lines {
                if requests.next().is_none() || out.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
            // Keeps the connection open while the bench still waits.
            requests.for_each(drop);
        });
        bench
    }

    const HELLO: &str =
        "{\"id\":1,\"answer\":{\"hello\":{\"version\":1,\"kernel\":\"6.1\",\"uptime_us\":5}}}\n";

    fn connect(lines: &'static [&'static str]) -> Result<AgentTransport<UnixStream>, TransportError> {
        AgentTransport::connect(agent(lines), Capabilities::none(), Duration::from_secs(5))
    }

    #[test]
    fn hello_gives_the_kernel() {
        assert_eq!(connect(&[HELLO]).unwrap().kernel(), "6.1");
    }

    #[test]
    fn another_version_is_refused() {
        let error =
            connect(&["{\"id\":1,\"answer\":{\"hello\":{\"version\":9,\"kernel\":\"\",\"uptime_us\":0}}}\n"]);
        assert!(error.unwrap_err().to_string().contains("version 9"));
    }

    #[test]
    fn a_refusal_leaves_the_transport_usable() {
        const REFUSAL: &str = "{\"id\":2,\"answer\":{\"refused\":{\"reason\":\"no\"}}}\n";
        const NO_DEVICES: &str = "{\"id\":3,\"answer\":{\"devices\":{\"devices\":[]}}}\n";
        let mut transport = connect(&[HELLO, REFUSAL, NO_DEVICES]).unwrap();
        assert!(matches!(transport.devices(), Err(TransportError::Refused { .. })));
        assert_eq!(transport.devices().unwrap(), []);
    }

    fn inquiry() -> Command {
        Command {
            cdb: HexBytes(vec![0x12, 0, 0, 0, 2, 0]),
            direction: Direction::In { length: 2 },
            timeout_ms: 100,
        }
    }

    const PLACE: DeviceAddress = DeviceAddress { host: 0, channel: 0, id: 0, lun: 0 };

    #[test]
    fn more_data_than_asked_for_and_more_answers_than_questions_are_lies() {
        const TRUE: &[&str] = &[
            HELLO,
            "{\"id\":2,\"answer\":{\"executed\":{\"outcomes\":[{\"completed\":{\"status\":0,\"sense\":\"\",\"data\":\"0000\",\
             \"residual\":0,\"host_status\":0,\"driver_status\":0,\"elapsed_us\":1}}]}}}\n",
        ];
        const TOO_LONG: &[&str] = &[
            HELLO,
            "{\"id\":2,\"answer\":{\"executed\":{\"outcomes\":[{\"completed\":{\"status\":0,\"sense\":\"\",\"data\":\"000000\",\
             \"residual\":0,\"host_status\":0,\"driver_status\":0,\"elapsed_us\":1}}]}}}\n",
        ];
        const TOO_MANY: &[&str] = &[
            HELLO,
            "{\"id\":2,\"answer\":{\"executed\":{\"outcomes\":[{\"not-sent\":{\"error\":\"\"}},{\"not-sent\":{\"error\":\"\"}}]}}}\n",
        ];
        let ask = |lines| connect(lines).unwrap().execute(PLACE, &[inquiry()], Duration::from_secs(5));
        assert_eq!(ask(TRUE).unwrap().len(), 1);
        for lie in [TOO_LONG, TOO_MANY] {
            assert!(matches!(ask(lie), Err(TransportError::Protocol { .. })));
        }
    }

    #[test]
    fn a_flood_costs_its_time_and_no_more_memory_than_a_line() {
        for drop_of in [&b"{\"id\":1,\"answer\":\"bye\"}\n"[..], &[b'x'; 4096]] {
            let (bench, mut agent) = UnixStream::pair().unwrap();
            thread::spawn(move || {
                let mut requests = BufReader::new(agent.try_clone().unwrap()).lines();
                let hello = requests.next().and_then(Result::ok).is_some();
                if hello && agent.write_all(HELLO.as_bytes()).is_ok() {
                    while agent.write_all(drop_of).is_ok() {}
                }
            });
            let mut transport =
                AgentTransport::connect(bench, Capabilities::none(), Duration::from_secs(5)).unwrap();
            let error = transport.execute(PLACE, &[inquiry()], Duration::from_millis(300)).unwrap_err();
            assert!(error.is_fatal(), "{error}");
            assert!(transport.held.len() <= 2 * LINE_LIMIT_BYTES);
        }
    }

    #[test]
    fn silence_is_a_timeout_and_ends_the_transport() {
        let mut transport = connect(&[HELLO]).unwrap();
        let address = DeviceAddress { host: 0, channel: 0, id: 0, lun: 0 };
        let error = transport.execute(address, &[], Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, TransportError::TimedOut { .. }));
        assert!(matches!(transport.devices(), Err(TransportError::Closed)));
    }

    #[test]
    fn nonsense_is_a_protocol_error() {
        let mut transport = connect(&[HELLO, "nonsense\n"]).unwrap();
        assert!(matches!(transport.devices(), Err(TransportError::Protocol { .. })));
        let mut transport = connect(&[HELLO, "{\"id\":2,\"answer\":\"bye\"}\n"]).unwrap();
        assert!(transport.devices().unwrap_err().to_string().contains("`Bye`"));
    }
}
