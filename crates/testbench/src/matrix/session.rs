//! One device in one guest: starts it when first needed, again when it died, and runs suites in it.

use std::error::Error;
use std::time::{Duration, Instant};

use super::device::{self, Found};
use super::stall::Watch;
use super::{Options, Outcome, Place, Progress, Row, RowKey, Start, Until};
use crate::capability::{Capabilities, Capability};
use crate::rig::{Rig, RunningGuest};
use crate::sight::Reference;
use crate::suite::{Batch, Case, CaseRun, Harm, Names, Suite, Verdict};
use crate::transport::TransportError;

/// How often a guest is started for one device without lasting until a case can begin.
const START_LIMIT: usize = 4;
/// What is allowed a batch beyond the timeouts of its commands: the kernel's own recovery takes a while.
const RECOVERY: Duration = Duration::from_secs(60);
/// Lines of the guest's kernel log kept for a row.
const LOG_LIMIT: usize = 40;

pub(super) struct Session<'a> {
    pub(super) place: Place<'a>,
    pub(super) rig: &'a mut dyn Rig,
    pub(super) reference: &'a mut Reference,
    pub(super) guest: Option<(Box<dyn RunningGuest>, Found)>,
    log_next: u64,
    starts: usize,
    /// What the guest can carry with this device's adapter, found out at its start.
    pub(super) capabilities: Capabilities,
    first: Start,
    /// Whether `first` has been told.
    told: bool,
    pub(super) options: &'a Options<'a>,
    /// Time spent waiting for the guest or the device.
    pub(super) waited: Duration,
    /// In which the device was not slow, but this machine.
    stalls: Watch,
    /// What was done so that a guest with the device starts, for the next row.
    pub(super) remedies: Vec<String>,
    /// How often power was switched off and on.
    pub(super) powered: usize,
    /// Whether a case has had this guest with its device as it is.
    pub(super) used: bool,
}

/// A guest that is of no use: why, and what its console said.
struct Useless {
    reason: String,
    console: String,
    fault: Fault,
}

/// Whose fault that is, as far as it decides what is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The device is not there, or does not answer.
    Device,
    /// Anything else.
    Other,
}

/// A case of commands came to a guest that carries none.
fn no_commands() -> TransportError {
    TransportError::Refused { reason: "it carries no SCSI commands".into() }
}

pub(crate) fn chain(error: &dyn Error) -> String {
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
    pub(super) fn new(
        place: Place<'a>,
        rig: &'a mut dyn Rig,
        reference: &'a mut Reference,
        options: &'a Options<'a>,
    ) -> Self {
        let own = |start: &&Start| start.guest == place.guest.id() && start.device == place.device.name;
        let earlier = options.finished.starts.iter().find(own).cloned();
        let told = earlier.is_some();
        let first = earlier.unwrap_or_else(|| Start {
            guest: place.guest.id().to_owned(),
            device: place.device.name.clone(),
            identity: None,
            to_first_inquiry: None,
            origin: None,
            fault: None,
            hint: None,
        });
        Self {
            capabilities: place.guest.capabilities().clone(),
            place,
            rig,
            reference,
            guest: None,
            log_next: 0,
            starts: 0,
            first,
            told,
            options,
            waited: Duration::ZERO,
            stalls: Watch::begin(),
            remedies: Vec::new(),
            powered: 0,
            used: false,
        }
    }

    /// Ends the guest; how it came up, and the time spent waiting for it.
    pub(super) fn end(mut self) -> (Start, Duration) {
        let begin = Instant::now();
        if let Some((guest, _)) = self.guest.take() {
            guest.stop();
        }
        (self.first, self.waited + begin.elapsed())
    }

    /// Runs each case of a suite and tells its row. True if the run is to end.
    pub(super) fn suite(&mut self, suite: &Suite, attempt: u32, seen: &mut dyn FnMut(Progress<'_>)) -> bool {
        let options = self.options;
        let ends = |row: &Row| options.until == Until::Failure && row.stands();
        let mut names = None;
        for case in suite.cases() {
            if let Some((row, reference)) = options.finished.rows.get(&self.key(suite, case, attempt)) {
                (self.reference.bytes, self.reference.marked) = (reference.bytes, reference.marked);
                self.reference.function = self.reference.function.or(reference.function);
                seen(Progress::Kept(row));
                if ends(row) {
                    return true;
                }
                continue;
            }
            let before = self.waited;
            let prepared_in = self.keep_apart(case);
            let mut row = self.row(suite, case, attempt, &mut names);
            row.prepared_in += prepared_in;
            let remedies = std::mem::take(&mut self.remedies);
            row.recovery.splice(0..0, remedies);
            row.attempt = attempt;
            row.in_guest = self.waited.saturating_sub(before).min(row.elapsed);
            row.quarantined = options.quarantine.about(&row);
            if !self.told && (self.first.fault.is_some() || self.first.to_first_inquiry.is_some()) {
                self.told = true;
                seen(Progress::Started(&self.first));
            }
            seen(Progress::Done(&row, self.reference));
            if ends(&row) {
                return true;
            }
        }
        false
    }

    fn key(&self, suite: &Suite, case: &Case, attempt: u32) -> RowKey {
        RowKey {
            suite: suite.id().to_owned(),
            device: self.place.device.name.clone(),
            guest: self.place.guest.id().to_owned(),
            case: case.id().to_owned(),
            attempt,
        }
    }

    /// One case, with the guest started first where none runs.
    fn row(&mut self, suite: &Suite, case: &Case, attempt: u32, names: &mut Option<Names>) -> Row {
        // What a guest can carry with the device is known for sure only when it runs, so this is asked again below.
        if let Err(reason) = self.may_run(case) {
            return Row::not_run(&self.place, suite, case, Outcome::Skip, reason);
        }
        if self.guest.is_none() {
            // What a setup found out holds for the guest it was found out in.
            *names = None;
        }
        let (begin, had) = (Instant::now(), self.guest.is_some());
        let ready = self.ready();
        let prepared_in = if had { Duration::ZERO } else { begin.elapsed() };
        if let Err(useless) = ready {
            return Row { prepared_in, ..self.not_begun(suite, case, useless) };
        }
        // A setup needs what its cases need.
        if let Err(reason) = self.may_run(case) {
            let skipped = Row::not_run(&self.place, suite, case, Outcome::Skip, reason);
            return Row { prepared_in, ..skipped };
        }
        let found = match names.take() {
            Some(names) => Ok(names),
            None => self.setup(suite).map(|names| match self.options.seed {
                Some(seed) => names.seeded(seed.wrapping_add(attempt.into())),
                None => names,
            }),
        };
        let found = match found {
            Ok(found) => names.insert(found),
            Err(useless) => return Row { prepared_in, ..self.not_begun(suite, case, useless) },
        };
        // It lasted until a case could begin: that it dies in one costs that case alone.
        self.starts = 0;
        self.used = true;
        let row = match case.observation() {
            Some(what) => self.observe(suite, case, what),
            None => self.case(suite, case, found),
        };
        Row { prepared_in, ..row }
    }

    /// The row of a case whose guest is of no use.
    fn not_begun(&self, suite: &Suite, case: &Case, useless: Useless) -> Row {
        let console = Some(useless.console).filter(|text| !text.is_empty());
        Row { console, ..Row::not_run(&self.place, suite, case, Outcome::Error, useless.reason) }
    }

    /// Whether the guest and the declared limits let the case run.
    pub(super) fn may_run(&self, case: &Case) -> Result<(), String> {
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
            return Err(Useless { reason, console: String::new(), fault: Fault::Other });
        }
        self.starts += 1;
        let begin = Instant::now();
        let mut outcome = self.start();
        if outcome.as_ref().is_err_and(|useless| useless.fault == Fault::Device) && self.power() {
            self.starts = 1;
            outcome = self.start();
        }
        self.waited += begin.elapsed();
        match &outcome {
            Ok(found) if self.first.to_first_inquiry.is_none() => {
                self.first.to_first_inquiry = Some(begin.elapsed());
                self.first.origin = self.guest.as_ref().map(|(guest, _)| guest.origin());
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
            // Where it did start before, it is the device that has changed since.
            let before = self.first.to_first_inquiry.is_some();
            let fault = if before { Fault::Device } else { Fault::Other };
            Useless { reason: chain(&error), console: error.console, fault }
        })?;
        // By the guest's own means: what it can carry with this device may be less.
        if !self.place.guest.capabilities().has(Capability::Commands) {
            // It has said that it is ready; which disk it sees is for the cases to ask.
            let found = Found { address: None, function: None, identity: None };
            self.guest = Some((guest, found.clone()));
            return Ok(found);
        }
        let found = device::find(guest.transport(), self.place.device).and_then(|found| {
            let Some(address) = found.address else { return Ok((found, None)) };
            let exact = device::residual_is_exact(guest.transport(), address)?;
            Ok((found, exact))
        });
        match found {
            Ok((found, exact)) => {
                self.log_next = 0;
                if exact == Some(false) {
                    self.capabilities.remove(Capability::Residual);
                }
                self.limit_to(&found, guest.transport().capabilities().has(Capability::Function));
                self.guest = Some((guest, found.clone()));
                // What it said before the first case belongs to none.
                self.kernel_log();
                Ok(found)
            }
            Err(error) => {
                self.starts = START_LIMIT;
                let console = guest.console_tail();
                guest.stop();
                let fault = if error.blames_device() { Fault::Device } else { Fault::Other };
                Err(Useless { reason: chain(&error), console, fault })
            }
        }
    }

    fn setup(&mut self, suite: &Suite) -> Result<Names, Useless> {
        let known = Names::default().with(&self.place.device.function.known());
        let mut run = CaseRun::setup(suite, &known);
        let lost = self.drive(&mut run, suite.case_limit());
        if let Some(useless) = lost {
            return Err(useless);
        }
        match run.findings().first() {
            None => Ok(run.into_names()),
            Some(finding) => {
                let reason = format!("the suite's setup: {}", finding.reason);
                Err(Useless { reason, console: String::new(), fault: Fault::Other })
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
        let start = Instant::now();
        let mut run = CaseRun::new(suite, case, names);
        let lost = self.drive(&mut run, suite.case_limit());
        // The next case begins where this one's lines end.
        let kernel_log = self.kernel_log();
        let elapsed = start.elapsed();
        let outcome = match (&lost, run.verdict()) {
            (Some(_), _) => Outcome::Crash,
            (None, Verdict::Pass) => Outcome::Pass,
            (None, Verdict::Fail) => Outcome::Fail,
            (None, Verdict::Error) => Outcome::Error,
        };
        let finding = run.findings().first();
        let console = match (lost, &mut self.guest) {
            (Some(useless), _) => Some(useless.console),
            (None, Some((guest, _))) if outcome.is_bad() => Some(guest.console_tail()),
            (None, _) => None,
        };
        let mut row = Row {
            elapsed,
            reason: finding.map(|finding| finding.reason.clone()),
            line: finding.and_then(|finding| finding.line),
            sent: run.sent(),
            operations: run.take_operations(),
            exchanges: run.into_exchanges(),
            kernel_log,
            console: console.filter(|text| !text.is_empty()),
            ..Row::not_run(&self.place, suite, case, outcome, String::new())
        };
        if !row.operations.is_empty() {
            self.find_again(&mut row);
        }
        self.recover(&mut row);
        row
    }

    /// Before a case that writes: whether the device is still the declared one. The row of a case that must not run.
    fn still_the_one(&mut self, suite: &Suite, case: &Case) -> Result<(), Box<Row>> {
        let Some((guest, found)) = &mut self.guest else { return Ok(()) };
        let Some(address) = found.address.filter(|_| case.harm() != Harm::None) else { return Ok(()) };
        let begin = Instant::now();
        let asked = device::identify(guest.transport(), address, self.place.device);
        self.waited += begin.elapsed();
        let error = match asked {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let reason = format!("the device is not to be written to any more: {}", chain(&error));
        Err(Box::new(Row::not_run(&self.place, suite, case, Outcome::Error, reason)))
    }

    pub(super) fn kernel_log(&mut self) -> Vec<String> {
        let Some((guest, _)) = &mut self.guest else { return Vec::new() };
        // Only an ornament of the report: a guest that cannot tell its log fails in what matters soon enough.
        let begin = Instant::now();
        let told = guest.transport().kernel_log(self.log_next);
        self.waited += begin.elapsed();
        let Ok((records, next)) = told else { return Vec::new() };
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
                Batch::Operation(operation) => match self.perform(operation) {
                    Ok(outcome) => {
                        run.performed(outcome);
                        continue;
                    }
                    Err(error) => return self.lost(run, &error),
                },
                Batch::Event(event) => {
                    let (guest, _) = self.guest.as_mut()?;
                    let begin = Instant::now();
                    let done = guest.transport().event(event);
                    self.waited += begin.elapsed();
                    match done {
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
            let (begin, lost) = (Instant::now(), self.stalls.lost());
            let outcomes = guest.transport().execute_by(route, address, &batch, patience);
            self.waited += begin.elapsed();
            match outcomes {
                Ok(mut outcomes) => {
                    self.stalls.discount(lost, &mut outcomes);
                    run.answer(outcomes);
                }
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
        Some(Useless { reason, console, fault: Fault::Device })
    }
}
