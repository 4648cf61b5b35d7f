//! One end of a control channel: numbers exchanges, and hands each frame that comes in to its exchange.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::SessionError;
use crate::channel::credit::Window;
use crate::channel::frame::{ExchangeId, Frame, Message};

#[derive(Debug)]
pub(super) struct Link {
    writer: Mutex<UnixStream>,
    routes: Mutex<Routes>,
}

#[derive(Debug, Default)]
struct Routes {
    last: u32,
    closed: bool,
    open: HashMap<ExchangeId, Route>,
}

/// Where frames of an exchange go.
#[derive(Debug)]
struct Route {
    sender: Sender<Message>,
    /// The window that credit goes to; without one, credit is a message like others, for a relay to pass on.
    window: Option<Arc<Window>>,
}

impl Link {
    /// Starts reading.
    pub(super) fn start(stream: UnixStream) -> io::Result<Arc<Self>> {
        let reader = stream.try_clone()?;
        let link = Arc::new(Self { writer: Mutex::new(stream), routes: Mutex::default() });
        // The reader must not keep the channel open by itself: when the last session goes, so does the channel.
        let weak = Arc::downgrade(&link);
        std::thread::spawn(move || {
            while let Ok(frame) = Frame::read(&reader) {
                let Some(link) = weak.upgrade() else { return };
                link.deliver(frame);
            }
            if let Some(link) = weak.upgrade() {
                link.close();
            }
        });
        Ok(link)
    }

    /// Begins an exchange.
    pub(super) fn open(
        &self,
        message: Message,
        window: Option<Arc<Window>>,
    ) -> Result<(ExchangeId, Receiver<Message>), SessionError> {
        let (sender, receiver) = channel();
        let id = {
            let mut routes = self.routes();
            if routes.closed {
                return Err(SessionError::Gone);
            }
            loop {
                routes.last = routes.last.wrapping_add(1).max(1);
                let id = ExchangeId(routes.last);
                if let Entry::Vacant(free) = routes.open.entry(id) {
                    free.insert(Route { sender, window });
                    break id;
                }
            }
        };
        if let Err(error) = self.send(id, message) {
            self.forget(id);
            return Err(error);
        }
        Ok((id, receiver))
    }

    /// Sends a frame.
    pub(super) fn send(&self, id: ExchangeId, message: Message) -> Result<(), SessionError> {
        let frame = Frame::new(id, message);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write(&mut *writer).map_err(|error| match error.is_end() {
            true => SessionError::Gone,
            false => error.into(),
        })
    }

    /// Drops what still comes for an exchange.
    pub(super) fn forget(&self, id: ExchangeId) {
        if let Some(Route { window: Some(window), .. }) = self.routes().open.remove(&id) {
            window.close();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.routes().closed
    }

    fn deliver(&self, frame: Frame) {
        let routes = self.routes();
        match (routes.open.get(&frame.id), frame.message) {
            (Some(Route { window: Some(window), .. }), Message::Credit(bytes)) => {
                window.grant(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            (Some(route), message) => {
                // The receiver is dropped only after the route; until then nobody wants the rest.
                let _ = route.sender.send(message);
            }
            (None, Message::Output(bytes) | Message::ErrorOutput(bytes)) => {
                drop(routes);
                // Nobody reads this exchange any more. Credit lets the other side come to its end.
                let credit = Message::Credit(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                let _ = self.send(frame.id, credit);
            }
            (None, _) => {}
        }
    }

    fn close(&self) {
        let mut routes = self.routes();
        routes.closed = true;
        for (_, route) in routes.open.drain() {
            if let Some(window) = route.window {
                window.close();
            }
        }
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Ends the reader, which holds a duplicate of the socket. An error means that it is closed already.
        let _ = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).shutdown(Shutdown::Both);
    }
}
