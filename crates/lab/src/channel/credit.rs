//! Credit windows: how many bytes a sender may have under way in one direction of one exchange.
//!
//! The receiver grants credit for what it has handed on. Unit: payload bytes.

use std::sync::{Condvar, Mutex, PoisonError};

/// Credit each direction begins with, in bytes. Four full frames: enough to keep the line busy, little enough that a
/// hundred idle exchanges cost 25 MiB at most.
pub const INITIAL_BYTES: usize = 4 * super::frame::MAX_PAYLOAD;

/// The sender's side of one window.
#[derive(Debug)]
pub struct Window {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    bytes: usize,
    closed: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self { state: Mutex::new(State { bytes: INITIAL_BYTES, closed: false }), changed: Condvar::new() }
    }
}

impl Window {
    /// Waits until some of `wanted` bytes may be sent, and takes them. `None` once the window is closed.
    pub fn take(&self, wanted: usize) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.bytes == 0 && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        let taken = wanted.min(state.bytes);
        state.bytes -= taken;
        Some(taken)
    }

    /// Adds credit. The total stays within [`INITIAL_BYTES`], whatever the other side claims to have consumed.
    pub fn grant(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes = state.bytes.saturating_add(bytes).min(INITIAL_BYTES);
        self.changed.notify_all();
    }

    /// Whether a sender would have to wait now.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes == 0 && !state.closed
    }

    /// Ends the waiting of any sender: the exchange is over.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_spent_and_never_exceeds_the_window() {
        let window = Window::default();
        assert_eq!(window.take(usize::MAX), Some(INITIAL_BYTES));
        window.grant(10);
        assert_eq!(window.take(4), Some(4));
        window.grant(usize::MAX);
        assert_eq!(window.take(usize::MAX), Some(INITIAL_BYTES));
    }

    #[test]
    fn closing_ends_a_wait() {
        let window = Window::default();
        window.take(usize::MAX);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| window.take(1));
            window.close();
            assert_eq!(waiting.join().ok(), Some(None));
        });
    }
}
