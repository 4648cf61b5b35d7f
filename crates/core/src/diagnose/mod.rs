//! Reads any log and says what went wrong with a passthrough, and when nothing did.
//!
//! Inputs are bytes of whatever somebody saved: kernel logs, QEMU, libvirt, Proxmox VE and Xen output, guest
//! consoles, forum posts with all of these and chatter around. [`diagnose`] runs them through the catalogue of
//! known messages ([`catalogue`]), weighs what was seen for and against each cause (one file each in `causes`), and
//! returns the causes that are left, likeliest first, with the lines that show them. It does not collect logs,
//! and it does not look at the machine: where only the machine can settle a question, the finding says which
//! command would. [`Diagnosis::join`] puts beside it what a host shows.
//!
//! Bounds: time is linear in the input, memory is flat ([`Reading`]).

pub mod catalogue;
mod cause;
mod causes;
mod escapes;
mod explain;
mod feed;
mod gate;
mod held;
mod joined;
mod lines;
mod passed;
mod scan;
mod scripts;
mod source;
mod supposed;
mod text;
mod told;
mod weigh;
pub mod wire;
mod words;

use std::collections::BTreeSet;

pub use cause::{Cause, Clue, Kind, LookAlike, Role};
pub use explain::{cause, explain, ids};
pub use feed::Feed;
pub use gate::words as gate_words;
pub use joined::{Bearing, HostFact};
pub(crate) use text::decode as decode_bytes;

use crate::pci::PciAddress;
use scan::{Hit, Scan};
use weigh::Candidate;

/// Evidence lines a finding carries at most.
const EVIDENCE_LINES: usize = 8;
/// Evidence lines of one catalogue row at most.
const LINES_PER_ROW: usize = 2;
/// Devices a finding names at most.
const DEVICES: usize = 8;

/// One log.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What evidence calls it: a file name, or `-` for standard input.
    pub name: &'a str,
    /// Its content, in whatever encoding.
    pub bytes: &'a [u8],
}

/// What the inputs say as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Something is wrong with a passthrough.
    Fault,
    /// Nothing is wrong with a passthrough, as far as the inputs show.
    NoFault,
    /// Nothing in the inputs is known.
    Unrecognised,
}

/// A line that speaks for a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Name of the input.
    pub input: String,
    /// Line in that input, from 1.
    pub line: u64,
    /// The line, without colour codes and control characters, cut to 400 characters.
    pub text: String,
    /// What the line means by itself.
    pub means: &'static str,
}

/// A cause that was considered and found less likely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuledOut {
    /// Its id.
    pub cause: &'static str,
    /// What would be in the log if it were that one.
    pub why: &'static str,
}

/// One cause that the inputs point to.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The cause.
    pub cause: &'static Cause,
    /// Probability that it is the cause, 0 to 1.
    pub confidence: f64,
    /// Host addresses of the devices concerned.
    pub devices: Vec<PciAddress>,
    /// The lines that show it: first the one that speaks loudest, then the others in the order of the inputs.
    pub evidence: Vec<Evidence>,
    /// What happened, in one to three sentences.
    pub explanation: String,
    /// What to do, least trouble first.
    pub remedies: Vec<&'static str>,
    /// Causes with the same lines, and why it is rather not those.
    pub ruled_out: Vec<RuledOut>,
    /// What the host shows of it, where the diagnosis was joined with a host.
    pub host: Vec<HostFact>,
}

/// What the inputs say.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// As a whole.
    pub verdict: Verdict,
    /// In detail: faults first, the likeliest first.
    pub findings: Vec<Finding>,
}

/// Says what went wrong according to `inputs`, which are read as one story in the order given.
///
/// ```
/// use slotwise_core::diagnose::{Input, Verdict, diagnose};
/// let log = b"genirq: Flags mismatch irq 23. 00000000 (vfio-intx(0000:02:04.0)) vs. 00000080 (eth1)";
/// let diagnosis = diagnose(&[Input { name: "dmesg", bytes: log }]);
/// assert_eq!(diagnosis.verdict, Verdict::Fault);
/// assert_eq!(diagnosis.findings[0].cause.id, "intx-shared");
/// assert_eq!(diagnosis.findings[0].devices[0].to_string(), "0000:02:04.0");
/// ```
#[must_use]
pub fn diagnose(inputs: &[Input<'_>]) -> Diagnosis {
    let mut reading = Reading::default();
    for input in inputs {
        let mut feed = reading.input(input.name);
        feed.push(input.bytes);
        feed.end();
    }
    reading.diagnosis()
}

/// Logs that are read one after the other, each piece by piece, with memory that does not grow with them.
///
/// ```
/// use slotwise_core::diagnose::{Reading, Verdict};
/// let mut reading = Reading::default();
/// let mut log = reading.input("-");
/// log.push(b"vfio 0000:03:04.0: group 9 is ");
/// log.push(b"not viable");
/// log.end();
/// assert_eq!(reading.diagnosis().verdict, Verdict::Fault);
/// ```
#[derive(Debug, Default)]
pub struct Reading {
    scan: Scan,
}

impl Reading {
    /// Begins one more input; `name` is what evidence calls it.
    pub fn input(&mut self, name: &str) -> Feed<'_> {
        Feed::new(&mut self.scan, name)
    }

    /// What has been read says.
    #[must_use]
    pub fn diagnosis(&self) -> Diagnosis {
        interpret(&self.scan)
    }
}

fn interpret(scan: &Scan) -> Diagnosis {
    let ranking = weigh::rank(scan);
    let verdict = match (ranking.faults.is_empty(), ranking.others.is_empty()) {
        (false, _) => Verdict::Fault,
        (true, false) => Verdict::NoFault,
        (true, true) => Verdict::Unrecognised,
    };
    let findings = ranking.faults.iter().chain(&ranking.others).map(|found| finding(found, scan)).collect();
    Diagnosis { verdict, findings }
}

fn finding(candidate: &Candidate<'_>, scan: &Scan) -> Finding {
    let cause = candidate.cause;
    Finding {
        cause,
        confidence: f64::from(candidate.confidence),
        devices: devices(candidate, scan),
        evidence: evidence(candidate, scan),
        explanation: explain::about(candidate),
        remedies: cause.remedies.to_vec(),
        ruled_out: cause
            .look_alikes
            .iter()
            .map(|other| RuledOut { cause: other.cause, why: other.tell })
            .collect(),
        host: Vec::new(),
    }
}

fn devices(candidate: &Candidate<'_>, scan: &Scan) -> Vec<PciAddress> {
    if candidate.cause.kind != Kind::Fault {
        return Vec::new();
    }
    let mut devices: Vec<PciAddress> = Vec::new();
    let primary = candidate.counted.iter().filter(|(clue, _)| clue.role == Role::Primary);
    for hit in primary.flat_map(|(_, seen)| &seen.hits) {
        for device in &hit.devices {
            if !devices.contains(device) && devices.len() < DEVICES {
                devices.push(*device);
            }
        }
    }
    if devices.is_empty() {
        let given = scan.seen("hostpci-option").into_iter().flat_map(|seen| &seen.hits);
        for device in given.flat_map(|hit| &hit.devices).take(DEVICES) {
            if !devices.contains(device) {
                devices.push(*device);
            }
        }
    }
    devices
}

fn evidence(candidate: &Candidate<'_>, scan: &Scan) -> Vec<Evidence> {
    let mut taken = BTreeSet::new();
    let mut chosen: Vec<(&Hit, &'static str)> = Vec::new();
    for (clue, seen) in &candidate.counted {
        let means = catalogue::pattern(clue.row).map_or("", |pattern| pattern.means);
        for hit in seen.hits.iter().take(LINES_PER_ROW) {
            if chosen.len() < EVIDENCE_LINES && taken.insert(hit.place) {
                chosen.push((hit, means));
            }
        }
    }
    // The strongest primary line stays first; what goes with it follows as it stands in the inputs.
    if let Some((_, rest)) = chosen.split_first_mut() {
        rest.sort_by_key(|(hit, _)| hit.place);
    }
    chosen
        .into_iter()
        .map(|(hit, means)| Evidence {
            input: scan.names.get(hit.place.input).cloned().unwrap_or_default(),
            line: hit.place.line,
            text: hit.text.clone(),
            means,
        })
        .collect()
}
