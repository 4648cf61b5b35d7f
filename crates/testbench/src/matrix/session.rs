//! One device in one guest: starts it when first needed, again when it died, and runs suites in it.

use std::error::Error;
use std::time::{Duration, Instant};

use super::device::{self, Found};
use super::{Outcome, Place, Row, Start};
use crate::capability::{Capabilities, Capability};
use crate::rig::{Rig, RunningGuest};
use crate::sight::Reference;
use crate::suite::{Batch, Case, CaseRun, Harm, Names, Suite, Verdict};
use crate::transport::TransportError;

/// How often a guest is started for one device, the first time included.
const START_LIMIT: usize = 4;
/// What is allowed a batch beyond the timeouts of its commands: the kernel's own recovery takes a while.
const RECOVERY: Duration = Duration::from_secs(60);
/// Lines of the guest's kernel log kept for a row.
const LOG_LIMIT: usize = 40;

pub(super) struct Session<'a> {
    pub(super) place: Place<'a>,
    rig: &'a mut dyn Rig,
    pub(super) reference: &'a mut Reference,
    pub(super) guest: Option<(Box<dyn RunningGuest>, Found)>,
    log_next: u64,
    starts: usize,
    /// What the guest can carry with this device's adapter, found out at its start.
    capabilities: Capabilities,
    first: Start,
}

/// A guest that is of no use: why, and what its console said.
struct Useless {
    reason: String,
    console: String,
}

/// A case of commands came to a guest that carries none.
fn no_commands() -> TransportError {
    TransportError::Refused { reason: "it carries no SCSI commands".into() }
}

pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    // Real chains are short; the bound is for one that loops.
    for _ in 0..16 {
        let Some(inner) = source else { break };
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

impl<'a> Session<'a> {
    pub(super) fn new(place: Place<'a>, rig: &'a mut dyn Rig, reference: &'a mut Reference) -> Self {
        let first = Start {
            guest: place.guest.id().to_owned(),
            device: place.device.name.clone(),
            identity: None,
            to_first_inquiry: None,
            fault: None,
            hint: None,
        };
        let capabilities = place.guest.capabilities().clone();
        Self { place, rig, reference, guest: None, log_next: 0, starts: 0, capabilities, first }
    }

    pub(super) fn end(mut self) -> Start {
        if let Some((guest, _)) = self.guest.take() {
            guest.stop();
        }
        self.first
    }

    /// Runs each case of a suite and gives a row for it.
    pub(super) fn suite(&mut self, suite: &Suite, row: &mut dyn FnMut(Row)) {
        let mut names = None;
        for case in suite.cases() {
            // What a guest can carry is known for sure only when it runs, so this is asked again below.
            if let Err(reason) = self.may_run(case) {
                row(Row::not_run(&self.place, suite, case, Outcome::Skip, reason));
                continue;
            }
            if self.guest.is_none() {
                // What a setup found out holds for the guest it was found out in.
                names = None;
            }
            let ready = self.ready().and_then(|()| match &names {
                Some(_) => Ok(()),
                None => self.setup(suite).map(|found| names = Some(found)),
            });
            match (ready, &names) {
                (Ok(()), Some(names)) => match self.may_run(case) {
                    Ok(()) => row(match case.observation() {
                        Some(what) => self.observe(suite, case, what),
                        None => self.case(suite, case, names),
                    }),
                    Err(reason) => row(Row::not_run(&self.place, suite, case, Outcome::Skip, reason)),
                },
                (Err(useless), _) => {
                    let console = Some(useless.console).filter(|text| !text.is_empty());
                    row(Row {
                        console,
                        ..Row::not_run(&self.place, suite, case, Outcome::Error, useless.reason)
                    });
                }
                (Ok(()), None) => {}
            }
        }
    }

    /// Whether the guest and the declared limits let the case run.
    fn may_run(&self, case: &Case) -> Result<(), String> {
        let missing: Vec<_> = self.capabilities.missing(case.needs()).map(Capability::name).collect();
        if !missing.is_empty() {
            let (guest, device) = (self.place.guest.id(), &self.place.device.name);
            return Err(format!("needs {}, which {guest} has not with {device}", missing.join(", ")));
        }
        if case.harm() == Harm::None {
            return Ok(());
        }
        let device = self.place.device;
        if device.identity.is_none() {
            return Err(format!("writes to the device, and the identity of {} is not declared", device.name));
        }
        if case.harm() > device.harm_limit {
            let (harm, limit) = (case.harm().name(), device.harm_limit.name());
            return Err(format!("its harm is `{harm}`, and {} allows `{limit}`", device.name));
        }
        Ok(())
    }

    /// Makes sure that the guest runs and that its device is the declared one.
    fn ready(&mut self) -> Result<(), Useless> {
        if self.guest.is_some() {
            return Ok(());
        }
        if self.starts >= START_LIMIT {
            let reason = format!("the guest was started {START_LIMIT} times and did not last");
            return Err(Useless { reason, console: String::new() });
        }
        self.starts += 1;
        let begin = Instant::now();
        let outcome = self.start();
        match &outcome {
            Ok(found) if self.first.to_first_inquiry.is_none() => {
                self.first.to_first_inquiry = Some(begin.elapsed());
                self.first.identity.clone_from(&found.identity);
            }
            Err(useless) if self.first.fault.is_none() => self.first.fault = Some(useless.reason.clone()),
            _ => {}
        }
        outcome.map(drop)
    }

    fn start(&mut self) -> Result<Found, Useless> {
        let started = self.rig.start(self.place.guest, self.place.device);
        let mut guest = started.map_err(|error| {
            // A guest that cannot be started once is not tried for every case.
            self.starts = START_LIMIT;
            self.first.hint.clone_from(&error.hint);
            Useless { reason: chain(&error), console: error.console }
        })?;
        if !self.capabilities.has(Capability::Commands) {
            // It has said that it is ready; which disk it sees is for the cases to ask.
            let found = Found { address: None, identity: None };
            self.guest = Some((guest, found.clone()));
            return Ok(found);
        }
        let found = device::find(guest.transport(), self.place.device).and_then(|(address, found)| {
            let exact = device::residual_is_exact(guest.transport(), address)?;
            Ok((found, exact))
        });
        match found {
            Ok((found, exact)) => {
                self.log_next = 0;
                if exact == Some(false) {
                    self.capabilities.remove(Capability::Residual);
                }
                self.guest = Some((guest, found.clone()));
                Ok(found)
            }
            Err(error) => {
                self.starts = START_LIMIT;
                let console = guest.console_tail();
                guest.stop();
                Err(Useless { reason: chain(&error), console })
            }
        }
    }

    fn setup(&mut self, suite: &Suite) -> Result<Names, Useless> {
        let mut run = CaseRun::setup(suite);
        let lost = self.drive(&mut run, suite.case_limit());
        if let Some(useless) = lost {
            return Err(useless);
        }
        match run.findings().first() {
            None => Ok(run.into_names()),
            Some(finding) => {
                let reason = format!("the suite's setup: {}", finding.reason);
                Err(Useless { reason, console: String::new() })
            }
        }
    }

    /// What commands of the bench's own choice do to the marks is not known; they are taken for gone.
    fn case(&mut self, suite: &Suite, case: &Case, names: &Names) -> Row {
        if let Err(reason) = CaseRun::applies(case, names) {
            return Row::not_run(&self.place, suite, case, Outcome::Skip, reason);
        }
        if let Err(row) = self.still_the_one(suite, case) {
            return *row;
        }
        self.reference.marked &= case.harm() == Harm::None;
        // Where the log stands before the case, so that only its own lines are kept.
        self.kernel_log();
        let start = Instant::now();
        let mut run = CaseRun::new(suite, case, names);
        let lost = self.drive(&mut run, suite.case_limit());
        let elapsed = start.elapsed();
        let outcome = match (&lost, run.verdict()) {
            (Some(_), _) => Outcome::Crash,
            (None, Verdict::Pass) => Outcome::Pass,
            (None, Verdict::Fail) => Outcome::Fail,
            (None, Verdict::Error) => Outcome::Error,
        };
        let finding = run.findings().first();
        let kernel_log = if outcome == Outcome::Pass { Vec::new() } else { self.kernel_log() };
        Row {
            elapsed,
            reason: finding.map(|finding| finding.reason.clone()),
            line: finding.and_then(|finding| finding.line),
            sent: run.sent(),
            exchanges: run.into_exchanges(),
            kernel_log,
            console: lost.map(|useless| useless.console),
            ..Row::not_run(&self.place, suite, case, outcome, String::new())
        }
    }

    /// Before a case that writes: whether the device is still the declared one. The row of a case that must not run.
    fn still_the_one(&mut self, suite: &Suite, case: &Case) -> Result<(), Box<Row>> {
        let Some((guest, found)) = &mut self.guest else { return Ok(()) };
        let Some(address) = found.address.filter(|_| case.harm() != Harm::None) else { return Ok(()) };
        let asked = device::identify(guest.transport(), address, self.place.device);
        let error = match asked {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let reason = format!("the device is not to be written to any more: {}", chain(&error));
        Err(Box::new(Row::not_run(&self.place, suite, case, Outcome::Error, reason)))
    }

    fn kernel_log(&mut self) -> Vec<String> {
        let Some((guest, _)) = &mut self.guest else { return Vec::new() };
        // Only an ornament of the report: a guest that cannot tell its log fails in what matters soon enough.
        let Ok((records, next)) = guest.transport().kernel_log(self.log_next) else { return Vec::new() };
        self.log_next = next;
        records.into_iter().map(|record| record.text).take(LOG_LIMIT).collect()
    }

    /// Sends what the run wants until its end. A guest that does not answer is stopped, and the run told.
    fn drive(&mut self, run: &mut CaseRun<'_>, limit: Duration) -> Option<Useless> {
        let deadline = Instant::now() + limit;
        while let Some(batch) = run.next_batch() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                run.out_of_time(limit);
                break;
            }
            let (route, batch) = match batch {
                Batch::Commands(route, commands) => (route, commands),
                Batch::Event(event) => {
                    let (guest, _) = self.guest.as_mut()?;
                    match guest.transport().event(event) {
                        Ok(()) => continue,
                        Err(error) => return self.lost(run, &error),
                    }
                }
            };
            // A stuck command must reach the kernel's own timeout, so that it is the device's fault and not a crash.
            let slowest = batch.iter().map(|command| command.timeout_ms).max().unwrap_or_default();
            let patience = left.min(limit) + Duration::from_millis(slowest.into()) + RECOVERY;
            let (guest, found) = self.guest.as_mut()?;
            let Some(address) = found.address else { return self.lost(run, &no_commands()) };
            match guest.transport().execute_by(route, address, &batch, patience) {
                Ok(outcomes) => run.answer(outcomes),
                Err(error) => return self.lost(run, &error),
            }
        }
        None
    }

    /// Ends a run whose transport failed; gives the guest if it is of no use any more.
    fn lost(&mut self, run: &mut CaseRun<'_>, error: &TransportError) -> Option<Useless> {
        let reason = chain(error);
        run.lost(reason.clone());
        if !error.is_fatal() {
            return None;
        }
        let (mut guest, _) = self.guest.take()?;
        let console = guest.console_tail();
        guest.stop();
        Some(Useless { reason, console })
    }
}
