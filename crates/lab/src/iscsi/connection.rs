//! One connection: a thread reads units, another answers them (RFC 7143, 4.2, 11).

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_iscsi::NO_TAG;
use slotwise_iscsi::frame::{FrameReader, Header};
use slotwise_iscsi::request::{DataOut, Order, Request, ScsiCommand};
use slotwise_iscsi::response::{self, DataIn, Residual, Response, ScsiResponse};

use super::login::{self, LoginState, NO_ROOM, Purpose, Session};
use super::service::Service;
use super::task::{Due, TASK_LIMIT, Tasks};
use super::write::{Gathering, Progress, TRANSFER_LIMIT_BYTES};
use crate::target::{Initiator, Nexus};

/// Units read ahead of being answered.
const BACKLOG: usize = 64;
/// How long login may take, and how long a slow reader may take for one unit.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether the portal closes or another initiator has reset the target.
const POLL: Duration = Duration::from_millis(20);
/// Time the firmware claims that does not pass here: less than the network's own.
const NO_TIME: Duration = Duration::from_millis(1);
/// Reasons of a rejection (11.17.1).
const PROTOCOL_ERROR: u8 = 0x04;
const UNSUPPORTED: u8 = 0x05;

/// Why a connection ends. Nobody is told: the initiator sees it end.
#[derive(Debug)]
struct End;

/// A connection and what it has come to.
pub(super) struct Connection {
    service: Arc<Service>,
    stream: TcpStream,
    address: String,
    login: LoginState,
    session: Option<(Session, Option<Initiator>)>,
    tasks: Tasks,
    status: u32,
    expected_command: u32,
    next_transfer: u32,
    cold: u64,
}

/// Serves a stream until it ends or `closing` says so.
pub(super) fn serve(stream: TcpStream, service: Arc<Service>, closing: &(dyn Fn() -> bool + Sync)) {
    let setting = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| Ok((stream.try_clone()?, stream.local_addr()?)));
    let Ok((mut input, address)) = setting else { return };
    let (sender, units) = sync_channel(BACKLOG);
    let (_, cold) = service.eras();
    let mut connection = Connection {
        service,
        stream,
        address: address.to_string(),
        login: LoginState::default(),
        session: None,
        tasks: Tasks::default(),
        status: 1,
        expected_command: 0,
        next_transfer: 0,
        cold,
    };
    thread::scope(|scope| {
        scope.spawn(move || read(&mut input, &sender));
        let _ended = connection.work(&units, closing);
        // Ends the reader too; a stream that is closed already needs no closing.
        let _ = connection.stream.shutdown(Shutdown::Both);
        connection.leave();
        // The reader may wait for room.
        while units.recv().is_ok() {}
    });
}

fn read(input: &mut TcpStream, units: &SyncSender<Request>) {
    let mut reader = FrameReader::default();
    while let Ok(frame) = reader.next(input, None) {
        if units.send(Request::decode(frame)).is_err() {
            return;
        }
    }
}

impl Connection {
    fn work(&mut self, units: &Receiver<Request>, closing: &dyn Fn() -> bool) -> Result<(), End> {
        let begun = Instant::now();
        loop {
            let (era, cold) = self.service.eras();
            let late = self.session.is_none() && begun.elapsed() > PATIENCE;
            if closing() || cold != self.cold || late {
                return Err(End);
            }
            while let Some(due) = self.tasks.take_due(Instant::now(), era) {
                self.finish(due)?;
            }
            let left = self.tasks.next_due().map(|at| at.saturating_duration_since(Instant::now()));
            match units.recv_timeout(left.unwrap_or(POLL).min(POLL)) {
                Ok(request) => self.take(request)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(End),
            }
        }
    }

    fn leave(&mut self) {
        if let Some((session, Some(_))) = self.session.take() {
            self.service.leave(&session.port);
        }
    }

    fn send(&mut self, response: Response) -> Result<(), End> {
        let order = response::Order {
            status: self.status,
            expected_command: self.expected_command,
            max_command: self.expected_command.wrapping_add(u32::try_from(TASK_LIMIT).unwrap_or(1) - 1),
        };
        if response.takes_status_number() {
            self.status = self.status.wrapping_add(1);
        }
        response.encode(order).write(&mut self.stream).map_err(|_| End)
    }

    /// Whether a request is the next; those outside the window are dropped without a word (4.2.2.1).
    fn is_due(&mut self, order: Order) -> Result<bool, End> {
        if order.immediate {
            return Ok(true);
        }
        let ahead = order.command.wrapping_sub(self.expected_command);
        match usize::try_from(ahead) {
            Ok(0) => {
                self.expected_command = self.expected_command.wrapping_add(1);
                Ok(true)
            }
            // A gap in what one connection brings never fills.
            Ok(ahead) if ahead < TASK_LIMIT => Err(End),
            _ => Ok(false),
        }
    }

    fn take(&mut self, request: Request) -> Result<(), End> {
        let Some((session, initiator)) = &self.session else { return self.log_in(request) };
        let (purpose, initiator) = (session.purpose, *initiator);
        if let Some(order) = request.order()
            && !self.is_due(order)?
        {
            return Ok(());
        }
        match (request, initiator) {
            (request, _) if request.is_silent() => Ok(()),
            (Request::NopOut { task, data, .. }, _) => {
                self.send(Response::NopIn { task, transfer: NO_TAG, data })
            }
            (Request::Text { task, text, continues: false, .. }, _) => self.text(task, &text),
            (Request::Logout { task, .. }, _) => {
                self.leave();
                self.send(Response::Logout { task, response: 0 })?;
                Err(End)
            }
            (Request::Command(command), Some(initiator)) if purpose == Purpose::Commands => {
                self.command(command, initiator)
            }
            (Request::Data(out), Some(initiator)) => self.data(out, initiator),
            (Request::Manage { function, lun, task, referenced, .. }, Some(_)) => {
                let response = self.tasks.manage(&self.service, function, lun, referenced);
                self.send(Response::Manage { task, response })
            }
            (Request::Unknown { header, .. }, _) => self.reject(UNSUPPORTED, &header),
            (request, _) => self.reject(PROTOCOL_ERROR, &request.encode().header),
        }
    }

    fn reject(&mut self, reason: u8, header: &Header) -> Result<(), End> {
        self.send(Response::Reject { reason, header: header.bytes().to_vec() })
    }

    fn log_in(&mut self, request: Request) -> Result<(), End> {
        let Request::Login(login) = request else { return Err(End) };
        // The first command's number, which login requests do not use up (11.12.9).
        self.expected_command = login.order.command;
        let (mut response, session) = self.login.answer(&login);
        if let Some(session) = session {
            let initiator = match session.purpose {
                Purpose::Discovery => None,
                Purpose::Commands => self.service.admit(&session.port),
            };
            if session.purpose == Purpose::Commands && initiator.is_none() {
                (response.status, response.next, response.tsih) = (NO_ROOM, None, 0);
            } else {
                self.session = Some((session, initiator));
            }
        }
        let refused = response.status.0 != 0;
        self.send(Response::Login(response))?;
        if refused { Err(End) } else { Ok(()) }
    }

    fn text(&mut self, task: u32, text: &[u8]) -> Result<(), End> {
        let address = self.address.clone();
        let Some((session, _)) = &mut self.session else { return Err(End) };
        let text = login::text_answer(text, &mut session.settled, &address).ok_or(End)?;
        self.send(Response::Text { task, continues: false, transfer: NO_TAG, text })
    }

    fn command(&mut self, command: ScsiCommand, initiator: Initiator) -> Result<(), End> {
        let Some((session, _)) = &self.session else { return Err(End) };
        let settled = session.settled;
        if self.tasks.len() >= TASK_LIMIT || self.tasks.has(command.task) {
            return Err(End);
        }
        let bidirectional = command.reads && command.writes;
        if bidirectional || command.expected > TRANSFER_LIMIT_BYTES && command.writes {
            return self.fail(&command);
        }
        if !command.writes {
            return if command.data.is_empty() { self.execute(&command, &[], initiator) } else { Err(End) };
        }
        let mut gathering = Gathering::new(command, &settled).map_err(|_| End)?;
        let transfer = self.transfer();
        let progress = gathering.begin(&settled, transfer);
        self.go_on(gathering, progress, initiator)
    }

    /// The command could not be carried out at all (11.4.3, target failure).
    fn fail(&mut self, command: &ScsiCommand) -> Result<(), End> {
        self.send(Response::Command(ScsiResponse {
            response: 1,
            status: 0,
            task: command.task,
            data_units: 0,
            residual: Residual::None,
            sense: Vec::new(),
        }))
    }

    fn transfer(&mut self) -> u32 {
        self.next_transfer = if self.next_transfer == NO_TAG - 1 { 0 } else { self.next_transfer + 1 };
        self.next_transfer
    }

    fn data(&mut self, out: DataOut, initiator: Initiator) -> Result<(), End> {
        let Some((session, _)) = &self.session else { return Err(End) };
        let settled = session.settled;
        let at = self.tasks.gathering.iter().position(|own| own.command.task == out.task);
        // What an aborted task still sends is dropped.
        let Some(at) = at else { return Ok(()) };
        let mut gathering = self.tasks.gathering.remove(at);
        let transfer = self.transfer();
        let progress = gathering.take(out, &settled, transfer).map_err(|_| End)?;
        self.go_on(gathering, progress, initiator)
    }

    fn go_on(&mut self, gathering: Gathering, progress: Progress, initiator: Initiator) -> Result<(), End> {
        match progress {
            Progress::Whole => {
                let (command, data) = gathering.into_parts();
                return self.execute(&command, &data, initiator);
            }
            Progress::Ask(ready) => self.send(Response::Ready(ready))?,
            Progress::Wait => {}
        }
        self.tasks.gathering.push(gathering);
        Ok(())
    }

    fn execute(&mut self, command: &ScsiCommand, out: &[u8], initiator: Initiator) -> Result<(), End> {
        let (era, _) = self.service.eras();
        // The bus has eight logical units; none but the first is there.
        let lun = command.lun.number().and_then(|lun| u8::try_from(lun).ok()).map_or(7, |lun| lun.min(7));
        let nexus = Nexus { initiator, identify: Some(lun) };
        let expected_in = if command.reads { usize::try_from(command.expected).unwrap_or(0) } else { 0 };
        let answer = self.service.execute(nexus, &command.cdb, out, expected_in);
        let wait = Some(answer.after).filter(|after| *after > NO_TIME).unwrap_or_default();
        let at = answer.status.map(|_| Instant::now() + wait);
        let ScsiCommand { task, lun, expected, .. } = *command;
        let due = Due { task, lun, expected, answer, at, era };
        if at.is_some() && wait.is_zero() {
            return self.finish(due);
        }
        self.tasks.due.push(due);
        Ok(())
    }

    /// Sends data and status.
    fn finish(&mut self, due: Due) -> Result<(), End> {
        let Some((session, _)) = &self.session else { return Err(End) };
        let (unit, burst) = (session.settled.unit.max(512), session.settled.burst.max(512));
        let data = due.answer.data;
        let (mut offset, mut number) = (0, 0);
        while offset < data.len() {
            // No unit crosses the end of a sequence (11.7.1).
            let sequence_end = (offset / burst + 1) * burst;
            let end = data.len().min(offset + unit).min(sequence_end);
            let part = DataIn {
                last: end == data.len() || end == sequence_end,
                status: None,
                lun: due.lun,
                task: due.task,
                number,
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                data: data.get(offset..end).unwrap_or_default().to_vec(),
            };
            self.send(Response::Data(part))?;
            (offset, number) = (end, number + 1);
        }
        let count = u32::try_from(due.answer.residual.unsigned_abs()).unwrap_or(u32::MAX);
        let residual = match due.answer.residual {
            0 => Residual::None,
            1.. => Residual::Under(count.min(due.expected)),
            _ => Residual::Over(count),
        };
        self.send(Response::Command(ScsiResponse {
            response: 0,
            status: due.answer.status.unwrap_or_default(),
            task: due.task,
            data_units: number,
            residual,
            sense: due.answer.sense,
        }))
    }
}
