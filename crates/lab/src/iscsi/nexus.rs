//! Which iSCSI initiator port is which of the two initiators that the firmware tells apart.

use crate::target::Initiator;

/// A place on the bus.
#[derive(Debug)]
struct Place {
    initiator: Initiator,
    /// Who has it, or had it last.
    port: Option<String>,
    sessions: usize,
    /// When it was last given or left, in order.
    used: u64,
}

/// The places there are.
#[derive(Debug)]
pub(super) struct Ports {
    places: [Place; 2],
    clock: u64,
}

/// A port got a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) initiator: Initiator,
    /// Whether another port had it before.
    pub(super) is_new: bool,
}

impl Default for Ports {
    fn default() -> Self {
        let place = |initiator| Place { initiator, port: None, sessions: 0, used: 0 };
        Self { places: [Initiator::A, Initiator::B].map(place), clock: 0 }
    }
}

impl Ports {
    /// The place that the port has or had, else one that nobody has: first one never used, then that left longest ago.
    pub(super) fn admit(&mut self, port: &str) -> Option<Admitted> {
        self.clock += 1;
        let known = self.places.iter().position(|place| place.port.as_deref() == Some(port));
        let place = match known {
            Some(at) => self.places.get_mut(at),
            None => self.places.iter_mut().filter(|place| place.sessions == 0).min_by_key(|place| place.used),
        }?;
        let is_new = known.is_none() && place.port.is_some();
        place.port = Some(port.to_owned());
        (place.sessions, place.used) = (place.sessions + 1, self.clock);
        Some(Admitted { initiator: place.initiator, is_new })
    }

    /// One of the port's sessions ended; gives its initiator if that was the last.
    pub(super) fn leave(&mut self, port: &str) -> Option<Initiator> {
        self.clock += 1;
        let place = self.places.iter_mut().find(|place| place.port.as_deref() == Some(port))?;
        place.sessions = place.sessions.saturating_sub(1);
        place.used = self.clock;
        (place.sessions == 0).then_some(place.initiator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(ports: &mut Ports, port: &str) -> Option<(Initiator, bool)> {
        ports.admit(port).map(|admitted| (admitted.initiator, admitted.is_new))
    }

    #[test]
    fn two_ports_at_once_and_a_third_only_when_one_has_left() {
        let mut ports = Ports::default();
        assert_eq!(admit(&mut ports, "one"), Some((Initiator::A, false)));
        assert_eq!(admit(&mut ports, "two"), Some((Initiator::B, false)));
        assert_eq!(admit(&mut ports, "three"), None);
        assert_eq!(ports.leave("one"), Some(Initiator::A));
        assert_eq!(admit(&mut ports, "three"), Some((Initiator::A, true)));
        assert_eq!(ports.leave("nobody"), None);
    }

    #[test]
    fn a_port_that_comes_back_gets_its_place_again() {
        let mut ports = Ports::default();
        ports.admit("one");
        ports.leave("one");
        assert_eq!(admit(&mut ports, "one"), Some((Initiator::A, false)));
        // A second session of the same port.
        assert_eq!(admit(&mut ports, "one"), Some((Initiator::A, false)));
        assert_eq!(ports.leave("one"), None);
        assert_eq!(ports.leave("one"), Some(Initiator::A));
    }
}
