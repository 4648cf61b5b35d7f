//! `cargo xtask mutation`: how many of the defects that a firmware can have does the SCSI-2 suite find?
//!
//! The suite runs against the lab's own target, sound and with each defect switched on. Every case gets a target of its
//! own that was just switched on, so that what one case leaves behind is not put down to another. Three models are
//! tried: a small fixed disk, one of more than 2^23 blocks, and a removable one; on the last two only the cases that do
//! not apply to the small disk. What is not found so is looked for with every
//! case on the removable disk, and with the initiators in each other's places.
//!
//! A defect counts as found where a case fails by the device's fault. That the suite's own setup fails counts too: no
//! case would run then.

mod finders;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slotwise_lab::target::{DEFECTS, Defect, DefectRow, MediumKind, Model, Target};
use slotwise_testbench::capability::Capability;
use slotwise_testbench::suite::{Batch, Case, CaseRun, FindingKind, Names, Suite};
use slotwise_testbench::transport::Transport;

use crate::Result;
use finders::Finder;
pub(crate) use finders::{finds, note};
use slotwise_rigs::ADDRESS;
use slotwise_rigs::direct::{DirectTransport, Places};

const SUITE: &str = "scsi-2";
/// Of a hundred defects this many have to be found.
const SCORE_WANTED: usize = 95;
/// Cases named for a defect; the rest is counted.
const NAMED: usize = 4;

/// What the suite runs on: first the one that takes every case it can, then those for what is left.
const MODELS: [Model; 3] = [
    // An odd number of blocks, not a multiple of a track.
    Model { blocks: 6_001, medium: MediumKind::Fixed },
    // Past 2^23 blocks of 512 bytes, where 32-bit byte offsets wrap, and past 2^21, where six-byte commands end.
    Model { blocks: (1 << 23) + 4_099, medium: MediumKind::Fixed },
    Model { blocks: 6_001, medium: MediumKind::Removable },
];

/// What one case found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    case: String,
    reason: String,
    kind: FindingKind,
}

/// What came of one firmware.
#[derive(Debug, Default)]
struct Trial {
    found: Vec<Found>,
    /// Why the suite could not begin, if so: no case runs then.
    setup: Option<String>,
    /// Cases that applied to none of the models, with the reason of the last.
    skipped: Vec<(String, String)>,
    commands: usize,
    /// What blamed the device, where a trial ends with that.
    finder: Option<Finder>,
}

impl Trial {
    /// Whether some case blames the device.
    fn blames_device(&self) -> bool {
        self.setup.is_some() || self.found.iter().any(|found| found.kind == FindingKind::Device)
    }
}

/// Runs everything and prints which case finds which defect; an error below the score wanted, or if the sound firmware
/// is blamed.
pub(crate) fn run(only: &[String]) -> Result {
    let suite = Suite::whole(SUITE)?;
    let sound = attempt(&suite, None, Until::End);
    for Found { case, reason, .. } in &sound.found {
        println!("sound firmware: {case}: {reason}");
    }
    if let Some(reason) = &sound.setup {
        println!("sound firmware: the suite's setup: {reason}");
    }
    for (case, reason) in &sound.skipped {
        println!("not run: {case}: {reason}");
    }
    let cases = suite.cases().len();
    println!(
        "{cases} cases, {} commands on the sound firmware, {} findings",
        sound.commands,
        sound.found.len()
    );
    let mut missed = Vec::new();
    let mut finders = BTreeSet::new();
    let wanted: Vec<_> = DEFECTS
        .iter()
        .filter(|row| only.is_empty() || only.iter().any(|text| row.id.contains(text.as_str())))
        .collect();
    for (row, trial) in of_each(&wanted, |row| attempt(&suite, Some(row.defect), Until::End)) {
        let by: Vec<_> = trial
            .found
            .iter()
            .filter(|found| found.kind == FindingKind::Device)
            .map(|found| found.case.as_str())
            .collect();
        finders.extend(by.iter().map(|case| (*case).to_owned()));
        let setup = trial.setup.as_ref().map(|_| "(the suite's setup) ").unwrap_or_default();
        println!("{:36} {setup}{}", row.id, told(&by));
        if !trial.blames_device() {
            missed.push(row);
        }
    }
    for row in &missed {
        println!("not found: {}: {}", row.id, row.fault);
    }
    let found = wanted.len() - missed.len();
    println!(
        "{found} of {} defects found ({:.1} %), {} of {cases} cases found one",
        wanted.len(),
        found as f64 * 100.0 / wanted.len().max(1) as f64,
        finders.len(),
    );
    if sound.setup.is_some() || !sound.found.is_empty() {
        return Err("the suite blames a sound firmware".into());
    }
    if found * 100 < SCORE_WANTED * wanted.len() {
        return Err(format!("less than {SCORE_WANTED} % of the defects are found").into());
    }
    Ok(())
}

/// Does something with each defect, on all cores; the results come in the order of the defects.
fn of_each<T: Send>(
    wanted: &[&'static DefectRow],
    work: impl Fn(&'static DefectRow) -> T + Sync,
) -> Vec<(&'static DefectRow, T)> {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let worker = || {
        let rows = std::iter::from_fn(|| wanted.get(next.fetch_add(1, Ordering::Relaxed)).copied());
        rows.map(|row| (row, work(row))).collect::<Vec<_>>()
    };
    let mut results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let joined =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect::<Vec<_>>()
    });
    results.sort_by_key(|(row, _)| row.defect);
    results
}

fn told(by: &[&str]) -> String {
    let named = by.iter().take(NAMED).copied().collect::<Vec<_>>().join(" ");
    match by.len().saturating_sub(NAMED) {
        0 if by.is_empty() => "-".to_owned(),
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Which cases find much for few commands: where it only matters whether a defect is found, they are tried first.
#[derive(Debug, Default)]
pub(crate) struct Order(Mutex<BTreeMap<String, Worth>>);

#[derive(Clone, Copy, Debug, Default)]
struct Worth {
    /// Defects found.
    found: usize,
    /// Commands sent at most.
    commands: usize,
}

impl Order {
    fn worths(&self) -> MutexGuard<'_, BTreeMap<String, Worth>> {
        // Whatever thread died: each change is to one number.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Best first; of those that found nothing, the shortest.
    fn sort(&self, cases: &mut [&Case]) {
        let worths = self.worths();
        let worth = |case: &&Case| worths.get(case.id()).copied().unwrap_or_default();
        cases.sort_by(|a, b| {
            let (a, b) = (worth(a), worth(b));
            // As fractions found / commands, without dividing.
            (b.found * (a.commands + 1))
                .cmp(&(a.found * (b.commands + 1)))
                .then_with(|| a.commands.cmp(&b.commands))
        });
    }

    fn note(&self, case: &Case, commands: usize, found: bool) {
        let mut worths = self.worths();
        let worth = worths.entry(case.id().to_owned()).or_default();
        worth.commands = worth.commands.max(commands);
        worth.found += usize::from(found);
    }
}

/// How far a trial goes.
#[derive(Clone, Copy, Debug)]
enum Until<'o> {
    End,
    /// Until the device is blamed: that it is found, and not by which cases, is wanted.
    Found(&'o Order),
}

/// Runs the suite against one firmware; as long as the device is not blamed, again with every case on the removable disk, and
/// with the initiators exchanged.
fn attempt(suite: &Suite, defect: Option<Defect>, until: Until<'_>) -> Trial {
    let mut trial = Trial::default();
    let [.., removable] = MODELS;
    attempt_in(Places::AsNamed, &MODELS, suite, defect, until, &mut trial);
    let not_run = std::mem::take(&mut trial.skipped);
    for (places, models) in [(Places::AsNamed, &[removable][..]), (Places::Exchanged, &MODELS)] {
        if !trial.blames_device() {
            attempt_in(places, models, suite, defect, until, &mut trial);
        }
    }
    trial.skipped = not_run;
    trial
}

fn attempt_in(
    places: Places,
    models: &[Model],
    suite: &Suite,
    defect: Option<Defect>,
    until: Until<'_>,
    trial: &mut Trial,
) {
    let mut left: Vec<&Case> = suite.cases().iter().collect();
    if let Until::Found(order) = until {
        order.sort(&mut left);
    }
    for &model in models {
        let mut skipped = Vec::new();
        for case in left {
            let before = trial.commands;
            if let Err(reason) = try_case(suite, case, (model, defect, places), trial) {
                skipped.push((case, reason));
            }
            if let Until::Found(order) = until {
                let found = trial.blames_device();
                order.note(case, trial.commands - before, found);
                if found {
                    trial.finder = Finder::of(case, model, places);
                    return;
                }
            }
        }
        trial.skipped = skipped.iter().map(|(case, reason)| (case.id().to_owned(), reason.clone())).collect();
        left = skipped.into_iter().map(|(case, _)| case).collect();
    }
}

/// Runs one case on a target of its own; an error if it does not apply, with the reason.
fn try_case(
    suite: &Suite,
    case: &Case,
    (model, defect, places): (Model, Option<Defect>, Places),
    trial: &mut Trial,
) -> std::result::Result<(), String> {
    let mut rig = DirectTransport::new(Target::new(model, defect)).with_places(places);
    let missing: Vec<_> = rig.capabilities().missing(case.needs()).map(Capability::name).collect();
    if !missing.is_empty() {
        return Err(format!("needs {}", missing.join(", ")));
    }
    let mut setup = CaseRun::setup(suite, &Names::default());
    drive(&mut setup, &mut rig);
    trial.commands += setup.sent();
    if let Some(finding) = setup.findings().first() {
        // In a setup the bench takes the fault on itself; here only the firmware can be at fault.
        trial.setup = Some(finding.reason.clone());
        return Ok(());
    }
    let names: Names = setup.into_names();
    CaseRun::applies(case, &names)?;
    let mut run = CaseRun::new(suite, case, &names);
    drive(&mut run, &mut rig);
    trial.commands += run.sent();
    if let Some(finding) = run.findings().first() {
        let (reason, kind) = (finding.reason.clone(), finding.kind);
        trial.found.push(Found { case: case.id().to_owned(), reason, kind });
    }
    Ok(())
}

fn drive(run: &mut CaseRun<'_>, rig: &mut DirectTransport) {
    while let Some(batch) = run.next_batch() {
        let outcome = match batch {
            Batch::Commands(route, commands) => {
                rig.execute_by(route, ADDRESS, &commands, Duration::MAX).map(|outcomes| run.answer(outcomes))
            }
            Batch::Event(event) => rig.event(event),
            // The firmware is no PCI function; cases that ask for one are not run.
            Batch::Operation(operation) => rig.perform("", &operation).map(|outcome| run.performed(outcome)),
        };
        if let Err(error) = outcome {
            run.lost(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_blames_no_sound_firmware_and_every_case_runs_on_some_model() {
        let sound = attempt(&Suite::whole(SUITE).unwrap(), None, Until::End);
        assert_eq!((sound.found, sound.setup), (vec![], None));
        assert_eq!(sound.skipped, []);
    }

    #[test]
    fn at_least_95_of_100_defects_are_found() {
        let suite = Suite::whole(SUITE).unwrap();
        let order = Order::default();
        let tried = of_each(&DEFECTS.iter().collect::<Vec<_>>(), |row| finds(&suite, row, &order));
        let missed: Vec<_> = tried.into_iter().filter_map(|(row, found)| (!found).then_some(row)).collect();
        let found = DEFECTS.len() - missed.len();
        assert!(found * 100 >= SCORE_WANTED * DEFECTS.len(), "{missed:#?}");
    }
}
