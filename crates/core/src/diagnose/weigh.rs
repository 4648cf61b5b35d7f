//! From what was seen to a ranked list of causes.
//!
//! A cause is a candidate when a primary clue counts. Its score, in log odds, is its strongest primary clue in
//! full, a third of each further primary one (they are rarely independent: a wrapper repeats what it wraps), and
//! every supporting and contradicting clue. Confidence is the score's share of all candidates and of "something
//! else", which scores zero: `exp(s) / (1 + Σ exp(s'))`. Two equally good candidates thus get less than a half
//! each, and a line that the log itself shows to have been cured later counts for a fifth.
//!
//! That share is what the catalogue believes. How far it can be believed was counted on logs that it had never seen: of
//! the answers surer than four fifths at the first looks on the fourth to the sixth set and the logs tried with them, 65
//! of 72 were right where a line about a passed device spoke loudest, and 6 of 12 where it was a line that any machine prints
//! (`docs/reference/figures.md`). The share is therefore multiplied with [`RELIED_ON_PROGRAM`] or [`RELIED_ON_MACHINE`],
//! and what is only told stays below four fifths whatever its weights: no program named it. `tests/diagnosis_cases.rs`
//! keeps the figures.

use super::cause::{Cause, Clue, Kind, Role};
use super::passed::Passed;
use super::scan::{Hit, Scan, Seen};
use super::{catalogue, causes};

/// Share of a primary clue's weight that counts beside a stronger one.
const FURTHER: f32 = 0.34;
/// Most that further lines of a working setup count: a long log has many, whatever is wrong beside them.
const FURTHER_HARMLESS: f32 = 0.3;
/// Share of a clue's weight that is left when the trouble went away later in the same log.
const CURED: f32 = 0.2;
/// Highest score; nothing in a log makes anything surer than about one in a thousand.
const CEILING: f32 = 7.0;
/// Least score of a fault that is worth a verdict: better than two to one.
const FAULT_FLOOR: f32 = 0.8;
/// What a candidate loses where nothing shows that the log is about a passthrough. Where only lines speak for it that any
/// machine prints about devices of its own, it is none.
const NO_SUBJECT: f32 = 2.0;
/// What a candidate loses where a VM is named and nothing else of a passthrough.
const VM_ONLY: f32 = 0.8;
/// The same for lines that any machine prints about devices of its own.
const VM_ONLY_ANY_MACHINE: f32 = 1.0;
/// What a candidate loses that only lines about the machine's other devices speak for, where some device is made ready
/// for a VM: these machines fail like all others.
const PREPARED_ONLY: f32 = 2.8;
/// What a candidate loses that is only told of, of a VM, where the machine is set up to pass devices.
const TOLD_OF_VM: f32 = 0.8;
/// Weight from which a primary clue is decisive whatever the log is about.
const DECISIVE: f32 = 3.0;
/// Least confidence of a further fault that is listed below the first.
const LISTED: f32 = 0.04;

/// What a candidate loses that is only told of where a program's own line speaks for another cause.
const ONLY_TOLD: f32 = 1.2;
/// Weight from which a program's line makes what is only told of step back.
const SPEAKS: f32 = 2.4;
/// What a candidate loses that is only told of in a text that says that it works.
const TOLD_AND_WORKS: f32 = 1.0;
/// What a fault loses where the writer says that the lines mean nothing.
const SAID_HARMLESS: f32 = 2.0;
/// Highest confidence of a cause that nothing but what people tell speaks for.
const TOLD_CEILING: f32 = 0.75;
/// How far a candidate's share is relied on where a line about a passed device speaks loudest for it.
const RELIED_ON_PROGRAM: f32 = 0.88;
/// The same where any machine prints the line; that it counts at all takes a passthrough beside it, which the count
/// did not ask for yet, so this is more than the 6 of 12.
const RELIED_ON_MACHINE: f32 = 0.8;

/// A cause with what speaks for it.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) cause: &'static Cause,
    pub(super) score: f32,
    pub(super) confidence: f32,
    /// Clues that counted, strongest first.
    pub(super) counted: Vec<(&'static Clue, &'a Seen)>,
}

impl Candidate<'_> {
    /// Whether nothing but what people tell makes it a candidate.
    fn is_only_told(&self) -> bool {
        self.primaries().all(|clue| catalogue::is_told(clue.row))
    }

    /// Whether no program's line makes it a candidate.
    fn is_only_prose(&self) -> bool {
        self.primaries().all(|clue| catalogue::is_prose(clue.row))
    }

    /// Whether every line that makes it a candidate is a message set in quotation marks or as code, and nothing else: named,
    /// not pasted.
    fn is_only_quoted(&self) -> bool {
        let is_mark = |mark: char| matches!(mark, '\'' | '`');
        let is_named = |hit: &Hit| hit.text.starts_with(is_mark) && hit.text.ends_with(is_mark);
        self.counted
            .iter()
            .filter(|(clue, _)| clue.role == Role::Primary && !catalogue::is_prose(clue.row))
            .all(|(_, seen)| seen.hits.iter().all(is_named))
    }

    /// Whether a line that a program printed speaks for a fault on its own.
    fn is_spoken_for(&self) -> bool {
        self.cause.kind == Kind::Fault
            && self.primaries().any(|clue| !catalogue::is_told(clue.row) && clue.weight >= SPEAKS)
    }

    /// Whether a line that makes it a candidate is one that programs print of passed devices alone, or names VFIO.
    fn speaks_of_passed(&self) -> bool {
        let names_vfio = |seen: &Seen| {
            seen.hits.iter().any(|hit| {
                let text = hit.text.to_ascii_lowercase();
                ["vfio", "pciback", "hostdev"].iter().any(|name| text.contains(name))
            })
        };
        self.counted.iter().filter(|(clue, _)| clue.role == Role::Primary).any(|(clue, seen)| {
            let is_decisive = clue.weight >= DECISIVE && !catalogue::is_of_any_machine(clue.row);
            !catalogue::is_prose(clue.row)
                && (is_decisive || catalogue::is_about_passthrough(clue.row) || names_vfio(seen))
        })
    }

    /// The score, for a failure that is another one, of what speaks of it as one of a VM.
    fn score_of_vms(&self) -> f32 {
        if self.cause.kind != Kind::Unrelated {
            return self.score;
        }
        let mut weights: Vec<f32> = self
            .primaries()
            .filter(|clue| !catalogue::is_trouble_of_host(clue.row))
            .map(|clue| clue.weight)
            .collect();
        weights.sort_by(|a, b| b.total_cmp(a));
        let Some((first, further)) = weights.split_first() else { return 0.0 };
        first + further.iter().sum::<f32>() * FURTHER
    }

    fn primaries(&self) -> impl Iterator<Item = &'static Clue> {
        self.counted.iter().map(|(clue, _)| *clue).filter(|clue| clue.role == Role::Primary)
    }
}

/// Candidates of each kind, likeliest first.
#[derive(Debug)]
pub(super) struct Ranking<'a> {
    pub(super) faults: Vec<Candidate<'a>>,
    pub(super) others: Vec<Candidate<'a>>,
}

/// Weighs every cause.
pub(super) fn rank(scan: &Scan) -> Ranking<'_> {
    let passed = Passed::of(scan);
    let mut all: Vec<Candidate<'_>> =
        causes::ALL.iter().filter_map(|cause| candidate(cause, scan, &passed)).collect();
    if all.iter().any(Candidate::is_spoken_for) {
        all.iter_mut().filter(|candidate| candidate.is_only_told()).for_each(|told| told.score -= ONLY_TOLD);
    }
    let total: f32 = 1.0 + all.iter().map(|candidate| candidate.score.exp()).sum::<f32>();
    for candidate in &mut all {
        let share = candidate.score.exp() / total;
        candidate.confidence = match () {
            () if candidate.is_only_prose() => share.min(TOLD_CEILING),
            () if strongest_is(&candidate.counted, catalogue::is_of_machine) => share * RELIED_ON_MACHINE,
            () => share * RELIED_ON_PROGRAM,
        };
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.cause.id.cmp(b.cause.id)));
    let (mut faults, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|candidate| candidate.cause.kind == Kind::Fault);
    let works = ["said-works", "said-harmless"].iter().any(|row| scan.seen(row).is_some());
    // That a log has lines of a working setup as well says nothing against a fault; that its writer says it works does. Nor do
    // the host's other troubles, of which a whole log has many, where a line speaks of a passed device.
    let is_of_passed = faults.first().is_some_and(Candidate::speaks_of_passed);
    let bar = others
        .iter()
        .filter(|other| works || other.cause.kind != Kind::Harmless)
        .map(|other| if is_of_passed { other.score_of_vms() } else { other.score })
        .fold(FAULT_FLOOR, f32::max);
    if faults.first().is_none_or(|first| first.score < bar) {
        faults.clear();
    }
    let first = faults.first().map_or(0.0, |fault| fault.score);
    faults.retain(|fault| fault.confidence >= LISTED || fault.score >= first);
    Ranking { faults, others }
}

fn candidate<'a>(cause: &'static Cause, scan: &'a Scan, passed: &Passed) -> Option<Candidate<'a>> {
    let mut primaries = Vec::new();
    let mut shift = 0.0;
    let mut of_own_drivers = 0.0;
    let mut counted: Vec<(&'static Clue, &'a Seen)> = Vec::new();
    let clues =
        || cause.clues.iter().filter_map(|clue| counts(clue, cause, scan, passed).map(|seen| (clue, seen)));
    let spoken: Vec<&Seen> =
        clues().filter(|(clue, _)| clue.role == Role::Primary).map(|(_, seen)| seen).collect();
    for (clue, seen) in clues() {
        let is_of_other_card = catalogue::CARDS.contains(&clue.row)
            && clue.role != Role::Primary
            && spoken.iter().all(|spoken| !may_be_same(spoken, seen));
        if is_of_other_card {
            continue;
        }
        let weight = if is_cured(clue, seen, scan) { clue.weight * CURED } else { clue.weight };
        match clue.role {
            Role::Primary => primaries.push(weight),
            Role::Contradicting if catalogue::OF_OWN_DRIVERS.contains(&clue.row) => of_own_drivers += weight,
            Role::Supporting | Role::Contradicting => shift += weight,
        }
        if clue.role != Role::Contradicting {
            counted.push((clue, seen));
        }
    }
    primaries.sort_by(|a, b| b.total_cmp(a));
    let (first, further) = primaries.split_first()?;
    let on_subject = cause.kind != Kind::Fault
        || counted.iter().any(|(clue, _)| catalogue::is_about_passthrough(clue.row))
        || catalogue::SUBJECT.iter().any(|row| scan.seen(row).is_some())
        || names_prepared(&counted, scan);
    let of_any_machine = strongest_is(&counted, catalogue::is_of_any_machine);
    let is_prepared = scan.seen(catalogue::PREPARED).is_some();
    // A USB device that is handed to another system is no host's own trouble either.
    let is_handed = scan.seen(catalogue::VM_NAMED).is_some() || scan.seen("usb-handed").is_some();
    let penalty = match (on_subject, of_any_machine, is_handed) {
        (true, _, _) => 0.0,
        (false, true, _) if is_prepared => PREPARED_ONLY,
        (false, true, true) => VM_ONLY_ANY_MACHINE,
        (false, true, false) => return None,
        (false, false, _) if is_prepared && strongest_is(&counted, catalogue::is_told) => {
            if is_told_of_vm(scan) { TOLD_OF_VM } else { PREPARED_ONLY }
        }
        (false, false, _) if *first >= DECISIVE => 0.0,
        (false, false, _) if is_prepared => VM_ONLY,
        (false, false, true) => VM_ONLY,
        // What is told of cards and firmware on the whole is told of machines that host nothing as well.
        (false, false, false) if strongest_is(&counted, catalogue::is_told) => return None,
        (false, false, false) => NO_SUBJECT,
    };
    let further = further.iter().sum::<f32>() * FURTHER;
    let further = if cause.kind == Kind::Harmless { further.min(FURTHER_HARMLESS) } else { further };
    let score = (first + further + shift - penalty).min(CEILING);
    counted.sort_by(|(a, _), (b, _)| {
        (b.role == Role::Primary).cmp(&(a.role == Role::Primary)).then(b.weight.total_cmp(&a.weight))
    });
    let mut candidate = Candidate { cause, score, confidence: 0.0, counted };
    // That a device of the host's has the same trouble contradicts nothing that is said of a passed one.
    if !candidate.speaks_of_passed() {
        candidate.score += of_own_drivers;
    }
    let works = scan.seen("said-works").is_some() && scan.seen("works-until").is_none();
    if cause.kind == Kind::Fault && candidate.is_only_told() && works {
        candidate.score -= TOLD_AND_WORKS;
    }
    // What a guide tells of, or what tells what a program is for, is nobody's trouble as long as its writer tells of none.
    let no_trouble = scan.seen("said-own-trouble").is_none();
    let is_guide = scan.seen("said-guide").is_some() && no_trouble;
    // In documentation even a log is an example.
    let is_document = scan.seen("said-document").is_some() && no_trouble;
    let is_named = is_guide && (candidate.is_only_prose() || candidate.is_only_quoted());
    if cause.kind == Kind::Fault && (is_document || is_named) {
        return None;
    }
    if cause.kind == Kind::Fault && scan.seen("said-harmless").is_some() {
        candidate.score -= SAID_HARMLESS;
    }
    Some(candidate)
}

/// Whether somebody speaks of a VM, besides what the machine's programs log of theirs.
fn is_told_of_vm(scan: &Scan) -> bool {
    scan.seen(catalogue::VM_NAMED)
        .is_some_and(|seen| seen.hits.iter().any(|hit| !super::text::is_logged(&hit.text)))
}

/// What was seen of a clue, if it counts beside what else was seen.
fn counts<'a>(clue: &Clue, cause: &Cause, scan: &'a Scan, passed: &Passed) -> Option<&'a Seen> {
    let seen = scan.seen(clue.row).filter(|seen| seen.count >= clue.times)?;
    let is_beside = cause.kind == Kind::Fault && passed.is_beside(clue.row, seen);
    let with = clue.with.iter().all(|row| {
        scan.seen(row).is_some_and(|other| !catalogue::CARDS.contains(row) || may_be_same(seen, other))
    });
    let unless = clue.unless.iter().any(|row| scan.seen(row).is_some());
    (!is_beside && with && !unless).then_some(seen)
}

/// Whether a line that counts names a device that the machine is set up to pass.
fn names_prepared(counted: &[(&Clue, &Seen)], scan: &Scan) -> bool {
    let devices = |seen: &Seen| seen.hits.iter().flat_map(|hit| hit.devices.clone()).collect::<Vec<_>>();
    let passed = scan.seen(catalogue::PREPARED).map(devices).unwrap_or_default();
    let primaries = counted.iter().filter(|(clue, _)| clue.role == Role::Primary);
    primaries.flat_map(|(_, seen)| devices(seen)).any(|device| passed.contains(&device))
}

/// Whether the line that speaks loudest for a candidate is of a kind.
fn strongest_is(counted: &[(&Clue, &Seen)], kind: fn(&str) -> bool) -> bool {
    counted
        .iter()
        .filter(|(clue, _)| clue.role == Role::Primary)
        .max_by(|(a, _), (b, _)| a.weight.total_cmp(&b.weight))
        .is_some_and(|(clue, _)| kind(clue.row))
}

/// Whether two rows may be about one card: all their lines name devices, and none of one sits in a slot of the other's.
fn may_be_same(seen: &Seen, other: &Seen) -> bool {
    let slots = |seen: &Seen| -> Option<Vec<_>> {
        let named = seen.hits.iter().all(|hit| !hit.devices.is_empty());
        let devices = seen.hits.iter().flat_map(|hit| &hit.devices);
        named.then(|| devices.map(|device| device.function_zero()).collect())
    };
    match (slots(seen), slots(other)) {
        (Some(own), Some(others)) => own.iter().any(|slot| others.contains(slot)),
        _ => true,
    }
}

/// Whether every kept line of the clue is followed by a curing line about the same thing.
fn is_cured(clue: &Clue, seen: &Seen, scan: &Scan) -> bool {
    let cures: Vec<&Seen> = clue.cured_by.iter().filter_map(|row| scan.seen(row)).collect();
    !cures.is_empty() && seen.hits.iter().all(|hit| cures.iter().any(|cure| cures_hit(cure, hit)))
}

fn cures_hit(cure: &Seen, hit: &Hit) -> bool {
    cure.hits.iter().any(|later| {
        later.place > hit.place
            && later.place.input == hit.place.input
            && (hit.devices.is_empty() || later.devices.is_empty() || hit.devices == later.devices)
            && (hit
                .captures
                .get("bar")
                .is_none_or(|bar| later.captures.get("bar").is_none_or(|other| other == bar)))
    })
}
