//! Serves the control channel: hands frames to exchanges, and exchanges' frames to the channel.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use slotwise_lab::channel::credit::Window;
use slotwise_lab::channel::frame::{ExchangeId, Frame, FrameError, MAX_PAYLOAD, Message};
use slotwise_lab::channel::wire::{Failed, Hello, Ready, TerminalSize};

use crate::quiet::Quiet;
use crate::reaper::Reaper;
use crate::{Phases, command, files, setup};

/// What an exchange is given to read.
#[derive(Debug)]
pub(crate) enum Input {
    /// Bytes, in order.
    Bytes(Vec<u8>),
    /// No more will come.
    End,
    /// The exchange was dropped.
    Gone,
}

/// The receiving side of one exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    input: Mutex<Receiver<Input>>,
    control: Mutex<Control>,
}

#[derive(Debug, Default)]
struct Control {
    group: Option<Pid>,
    terminal: Option<File>,
}

impl Exchange {
    /// Waits for input.
    pub(crate) fn next_input(&self) -> Input {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap_or(Input::Gone)
    }

    /// Tells where signals and sizes go.
    pub(crate) fn started(&self, group: Pid, terminal: Option<File>) {
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) =
            Control { group: Some(group), terminal };
    }

    /// The process is gone; its number may be another's soon.
    pub(crate) fn ended(&self) {
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = Control::default();
    }

    fn signal(&self, number: i32) {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(group), Some(signal)) = (control.group, Signal::from_named_raw(number)) {
            // ESRCH: it ended between the two; that is what the sender wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn resize(&self, size: TerminalSize) {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(terminal) = &control.terminal {
            command::set_size(terminal, size);
        }
    }
}

/// The sending side of one exchange.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    id: ExchangeId,
    window: Arc<Window>,
    port: Arc<Mutex<File>>,
}

impl Outlet {
    /// Sends a message. An error means that the channel is closed, which the reading side notices and acts on.
    pub(crate) fn send(&self, message: Message) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = Frame::new(self.id, message).write(&mut *port);
    }

    /// Whether output waits for the other side to take what it has.
    pub(crate) fn is_stalled(&self) -> bool {
        self.window.is_spent()
    }

    /// Gives credit for input that was handed on.
    pub(crate) fn credit(&self, bytes: usize) {
        self.send(Message::Credit(u32::try_from(bytes).unwrap_or(u32::MAX)));
    }

    /// Sends all that `source` has, within the window.
    pub(crate) fn pump(&self, mut source: impl Read, message: fn(Vec<u8>) -> Message) {
        let mut buffer = vec![0; MAX_PAYLOAD];
        loop {
            // EIO is how a terminal says that its last user closed it.
            let Ok(count) = source.read(&mut buffer) else { return };
            let mut rest = buffer.get(..count).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            while !rest.is_empty() {
                let Some(taken) = self.window.take(rest.len()) else { return };
                let (now, later) = rest.split_at(taken.min(rest.len()));
                self.send(message(now.to_vec()));
                rest = later;
            }
        }
    }
}

type Table = Arc<Mutex<HashMap<ExchangeId, Entry>>>;

#[derive(Debug)]
struct Entry {
    exchange: Arc<Exchange>,
    window: Arc<Window>,
    input: Sender<Input>,
}

/// Serves until the other side closes the channel or asks for power-off.
pub(crate) fn serve(port: File, hello: Hello, mut phases: Phases) -> io::Result<()> {
    let mut reader = port.try_clone()?;
    let port = Arc::new(Mutex::new(port));
    let host = Outlet { id: ExchangeId::HOST, window: Arc::new(Window::default()), port: Arc::clone(&port) };
    host.send(Message::Hello(hello));
    let Message::Setup(wanted) = next(&mut reader)?.message else {
        return Err(io::Error::other("the first frame is not the set-up"));
    };
    let mut complaints =
        setup::set_up(&wanted, &mut phases, |text| host.send(Message::Progress(text.to_owned())));
    let _quiet = Path::new("/dev/kvm").exists().then(|| {
        Quiet::hold().map_err(|error| complaints.push(format!("cannot hold KVM's static keys: {error}")))
    });
    let reaper = Reaper::start();
    host.send(Message::Ready(Ready { phases: phases.0, complaints }));
    let table = Table::default();
    loop {
        let frame = next(&mut reader)?;
        match frame.message {
            Message::PowerOff => return Ok(()),
            message => dispatch(&table, &reaper, &port, frame.id, message),
        }
    }
}

fn next(reader: &mut File) -> io::Result<Frame> {
    Frame::read(reader).map_err(|error| match error {
        FrameError::Io(error) => io::Error::new(error.kind(), format!("control channel closed: {error}")),
        other => io::Error::other(other),
    })
}

fn dispatch(table: &Table, reaper: &Reaper, port: &Arc<Mutex<File>>, id: ExchangeId, message: Message) {
    if matches!(message, Message::Run(_) | Message::Fetch(_) | Message::Put(_)) {
        return start(table, reaper, port, id, message);
    }
    let entries = table.lock().unwrap_or_else(PoisonError::into_inner);
    // An exchange may end while frames for it are under way; they are dropped.
    let Some(entry) = entries.get(&id) else { return };
    match message {
        Message::Input(bytes) => drop(entry.input.send(Input::Bytes(bytes))),
        Message::InputEnd => drop(entry.input.send(Input::End)),
        Message::Signal(number) => entry.exchange.signal(number),
        Message::Resize(size) => entry.exchange.resize(size),
        Message::Credit(bytes) => entry.window.grant(usize::try_from(bytes).unwrap_or(usize::MAX)),
        _ => {}
    }
}

fn start(table: &Table, reaper: &Reaper, port: &Arc<Mutex<File>>, id: ExchangeId, message: Message) {
    let window = Arc::new(Window::default());
    let outlet = Outlet { id, window: Arc::clone(&window), port: Arc::clone(port) };
    let (input, receiver) = channel();
    let exchange = Arc::new(Exchange { input: Mutex::new(receiver), control: Mutex::default() });
    {
        let mut entries = table.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.contains_key(&id) {
            outlet.send(Message::Failed(Failed { message: format!("exchange {} is already open", id.0) }));
            return;
        }
        entries.insert(id, Entry { exchange: Arc::clone(&exchange), window, input });
    }
    let (table, reaper) = (Arc::clone(table), reaper.clone());
    std::thread::spawn(move || {
        match message {
            Message::Run(run) => command::run(&reaper, &outlet, &exchange, &run),
            Message::Fetch(request) => files::fetch(&outlet, &request),
            Message::Put(request) => files::put(&outlet, &exchange, &request),
            _ => {}
        }
        if let Some(entry) = table.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            entry.window.close();
        }
    });
}
