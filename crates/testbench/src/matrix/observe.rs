//! Cases that ask what a guest makes of the device: by its own words, or by commands where it carries them.

use std::time::Instant;

use super::session::{Session, chain};
use super::{Outcome, Row};
use crate::sight::{self, Judgement, Look, Observation, Place, Question, Sight, judge, marks};
use crate::suite::{Case, Suite};
use crate::transport::TransportError;

/// How an observation ended, and why it did not pass.
type Told = (Outcome, Option<String>);

/// What an error means for the case.
fn outcome_of(error: &TransportError) -> Outcome {
    match error {
        TransportError::Refused { .. } => Outcome::Error,
        // It runs, and does not show what it should.
        TransportError::Protocol { .. } => Outcome::Fail,
        _ => Outcome::Crash,
    }
}

impl Session<'_> {
    /// Carries out a case of this kind.
    pub(super) fn observe(&mut self, suite: &Suite, case: &Case, what: &Observation) -> Row {
        let start = Instant::now();
        let told = self.told(what);
        let elapsed = start.elapsed();
        self.waited += elapsed;
        let (outcome, reason) = match &told {
            Ok(told) => told.clone(),
            Err(error) => (outcome_of(error), Some(chain(error))),
        };
        // What the guest said is the evidence, where there is something to show.
        let silent = matches!(outcome, Outcome::Pass | Outcome::Skip);
        let console = self.guest.as_mut().filter(|_| !silent).map(|(guest, _)| guest.console_tail());
        if outcome == Outcome::Crash
            && let Some((guest, _)) = self.guest.take()
        {
            guest.stop();
        }
        Row { elapsed, reason, console, ..Row::not_run(&self.place, suite, case, outcome, String::new()) }
    }

    fn told(&mut self, what: &Observation) -> Result<Told, TransportError> {
        match what {
            Observation::Marks => return self.mark(),
            Observation::Function => self.find_function()?,
            Observation::Size => self.find_size()?,
            _ => {}
        }
        for (question, look) in self.questions(what)? {
            let sight = self.look(look)?;
            match judge(question, &sight, self.place.device.identity.as_ref(), self.reference) {
                Judgement::Right => {}
                Judgement::Wrong(reason) => return Ok((Outcome::Fail, Some(reason))),
                Judgement::Unknown(reason) => return Ok((Outcome::Skip, Some(reason))),
            }
        }
        Ok((Outcome::Pass, None))
    }

    fn questions(&mut self, what: &Observation) -> Result<Vec<(Question, Look)>, TransportError> {
        Ok(match what {
            Observation::Function => vec![(Question::Function, Look::Functions)],
            Observation::Name => vec![(Question::Name, Look::Disks)],
            Observation::Size => vec![(Question::Size, Look::Disks)],
            Observation::Boot => vec![(Question::Boot, Look::Boot)],
            Observation::Marks => Vec::new(),
            Observation::Sectors(places) => {
                self.find_size()?;
                let last = self.reference.bytes.map(|bytes| (bytes / marks::BLOCK_BYTES).saturating_sub(1));
                let lba = |place: &Place| match place {
                    Place::At(lba) => Some(*lba).filter(|lba| last.is_none_or(|last| *lba <= last)),
                    Place::Last => last,
                };
                let sectors = places.iter().filter_map(lba);
                sectors.map(|lba| (Question::Sector(lba), Look::Sector(lba))).collect()
            }
        })
    }

    fn look(&mut self, what: Look) -> Result<Sight, TransportError> {
        let Some((guest, found)) = &mut self.guest else { return Err(TransportError::Closed) };
        match found.address {
            Some(address) => sight::look(guest.transport(), address, what),
            None => guest.transport().look(what),
        }
    }

    /// A guest that carries commands tells the size, if nobody did before.
    fn find_size(&mut self) -> Result<(), TransportError> {
        let Some((guest, found)) = &mut self.guest else { return Ok(()) };
        if let (None, Some(address)) = (self.reference.bytes, found.address)
            && let Some((last, block)) = sight::capacity(guest.transport(), address)?
        {
            self.reference.bytes = Some((last + 1).saturating_mul(block));
        }
        Ok(())
    }

    /// A guest that carries commands knows behind which function the device sits.
    fn find_function(&mut self) -> Result<(), TransportError> {
        let Some((guest, found)) = &mut self.guest else { return Ok(()) };
        if let (None, Some(address)) = (self.reference.function, found.address) {
            self.reference.function = sight::function_of(guest.transport(), address)?;
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<Told, TransportError> {
        let Some((guest, found)) = &mut self.guest else { return Err(TransportError::Closed) };
        let Some(address) = found.address else {
            return Ok((Outcome::Skip, Some("it carries no SCSI commands".into())));
        };
        let written = sight::write_marks(guest.transport(), address)?;
        self.reference.marked = written.is_ok();
        Ok(match written {
            Ok(()) => (Outcome::Pass, None),
            Err(reason) => (Outcome::Fail, Some(reason)),
        })
    }
}
