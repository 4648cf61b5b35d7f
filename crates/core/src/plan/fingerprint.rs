//! The facts that a plan rests on, so that whoever carries it out can tell whether one of them moved since.
//!
//! Held are the facts about the chosen functions, their groups, wires and bridges, and about the host as a whole that
//! rules and steps use. Left out is what changes without meaning: counters, power states, numbers of groups, the boot,
//! what depends on who reads (limits, privileges). A fact that nobody could read is held as unknown, and nothing is said
//! to have moved because it is known later: the plan did not rest on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use crate::facts::{DriverName, Fact, FunctionFacts};
use crate::pci::{PciAddress, decode};
use crate::rules::Assignment;
use crate::topology::Topology;

/// How long a fact has to stay as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Always.
    Always,
    /// Until the plan's own steps have taken the function from its host driver.
    UntilBound,
}

/// One fact that a plan rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestingFact {
    /// What it is about: `host`, `VM name`, or the address of a function.
    pub subject: String,
    /// Which fact.
    pub fact: String,
    /// Its value in words; none where nobody could read it.
    pub value: Option<String>,
    /// How long it has to stay so.
    pub holds: Holds,
}

/// A fact that is not what a plan rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedFact {
    /// What it is about.
    pub subject: String,
    /// Which fact.
    pub fact: String,
    /// What it was.
    pub was: String,
    /// What it is; none where nobody can read it now, or where its subject is gone.
    pub is: Option<String>,
}

impl fmt::Display for MovedFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = self.is.as_deref().unwrap_or("not to be read");
        write!(f, "{} of {} was {}, is {is}", self.fact, self.subject, self.was)
    }
}

/// The facts that a plan rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    assignment: Assignment,
    facts: Vec<RestingFact>,
}

/// The fact that tells whether the steps have been done already.
const DRIVER: &str = "driver";

impl Fingerprint {
    /// What an assignment rests on, on a host.
    #[must_use]
    pub fn of(topology: &Topology, assignment: &Assignment) -> Self {
        let mut rows = Rows { topology, assignment, facts: Vec::new() };
        rows.vms();
        rows.host();
        for address in assignment.devices() {
            rows.device(address);
        }
        Self { assignment: assignment.clone(), facts: rows.facts }
    }

    pub(super) const fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The facts: the VMs', the host's, then each function's.
    #[must_use]
    pub fn facts(&self) -> &[RestingFact] {
        &self.facts
    }

    /// A short name of the whole: 16 hexadecimal digits, equal only where all facts are.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for RestingFact { subject, fact, value, .. } in &self.facts {
            for part in [subject.as_str(), fact, value.as_deref().unwrap_or("?")] {
                hash.update(part.as_bytes());
                hash.update([0]);
            }
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is not as it was on this host, which may be the same one later.
    #[must_use]
    pub fn moved(&self, now: &Topology) -> Vec<MovedFact> {
        moved(&self.facts, &Self::of(now, &self.assignment).facts)
    }
}

/// What of `before` is different in `now`, apart from what a plan's own steps changed.
#[must_use]
pub fn moved(before: &[RestingFact], now: &[RestingFact]) -> Vec<MovedFact> {
    let vfio = DriverName::vfio_pci();
    let is_bound = |row: &&RestingFact| row.fact == DRIVER && row.value.as_deref() == Some(vfio.as_str());
    let bound: BTreeSet<&str> = now.iter().filter(is_bound).map(|row| row.subject.as_str()).collect();
    let excused = |row: &RestingFact| row.holds == Holds::UntilBound && bound.contains(row.subject.as_str());
    let held: Vec<RestingFact> = before.iter().filter(|row| !excused(row)).cloned().collect();
    differences(&held, now)
}

/// What of `before` is different in `now`. What was unknown before is not told.
pub(super) fn differences(before: &[RestingFact], now: &[RestingFact]) -> Vec<MovedFact> {
    let key = |row: &RestingFact| (row.subject.clone(), row.fact.clone());
    let later: BTreeMap<_, _> = now.iter().map(|row| (key(row), row)).collect();
    let one = |row: &RestingFact| {
        let was = row.value.clone()?;
        let is = later.get(&key(row)).and_then(|row| row.value.clone());
        (is.as_deref() != Some(was.as_str())).then(|| MovedFact {
            subject: row.subject.clone(),
            fact: row.fact.clone(),
            was,
            is,
        })
    };
    before.iter().filter_map(one).collect()
}

/// The words for a list, or for an empty one.
fn list(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// A fact in words, `none` for one that the host does not have, nothing for one that nobody could read.
fn told<T>(fact: &Fact<T>, words: impl FnOnce(&T) -> String) -> Option<String> {
    match fact {
        Fact::Known(value) => Some(words(value)),
        Fact::Absent => Some("none".to_owned()),
        Fact::Unreadable(_) => None,
    }
}

struct Rows<'t> {
    topology: &'t Topology,
    assignment: &'t Assignment,
    facts: Vec<RestingFact>,
}

impl Rows<'_> {
    fn push(&mut self, subject: &str, fact: &str, holds: Holds, value: Option<String>) {
        self.facts.push(RestingFact { subject: subject.to_owned(), fact: fact.to_owned(), value, holds });
    }

    fn vms(&mut self) {
        let assignment = self.assignment;
        for vm in &assignment.vms {
            let subject = format!("VM {}", vm.name);
            let machine = format!("{}, {}, {}", vm.backend.name(), vm.machine, vm.memory);
            self.push(&subject, "machine", Holds::Always, Some(machine));
            let devices = list(vm.devices.iter().map(ToString::to_string));
            self.push(&subject, "devices", Holds::Always, Some(devices));
        }
    }

    fn host(&mut self) {
        let facts = self.topology.facts();
        let (kernel, iommu, platform) = (&facts.kernel, &facts.iommu, &facts.platform);
        let reserved = iommu.reserved.iter().map(|region| {
            let devices: Vec<String> = region.devices.iter().map(ToString::to_string).collect();
            let of = if devices.is_empty() { String::new() } else { format!(" of {}", devices.join(" ")) };
            format!("{} {:#x}-{:#x}{of}", region.kind.name(), region.start, region.end)
        });
        let known = |name: &'static str| (name != "unknown").then(|| name.to_owned());
        let rows = [
            ("kernel", told(&kernel.release, Clone::clone)),
            ("kernel command line", told(&kernel.command_line, Clone::clone)),
            ("IOMMU", known(iommu.state.name())),
            ("interrupt remapping", known(iommu.interrupt_remapping.name())),
            ("width of DMA addresses", told(&iommu.address_bits, ToString::to_string)),
            ("reserved ranges of DMA addresses", Some(list(reserved))),
            ("lockdown", told(&platform.lockdown, |lockdown| lockdown.name().to_owned())),
            (
                "virtualization",
                told(&platform.virtualization, |on| if *on { "on" } else { "off" }.to_owned()),
            ),
        ];
        for (fact, value) in rows {
            self.push("host", fact, Holds::Always, value);
        }
        for ((module, name), parameter) in &kernel.parameters {
            if module.as_str().starts_with("vfio") || module.as_str().starts_with("kvm") {
                let value = Some(parameter.value.trim().to_owned());
                self.push("host", &format!("parameter {module}.{name}"), Holds::Always, value);
            }
        }
    }

    fn device(&mut self, address: PciAddress) {
        let topology = self.topology;
        let Some(function) = topology.function(address) else { return };
        let subject = address.to_string();
        let bars = |bars: &Vec<crate::facts::Resource>| {
            list(bars.iter().map(|bar| {
                let place =
                    if bar.flags.is_unset() { "unset".to_owned() } else { format!("{:#x}", bar.start) };
                format!("{}: {place} {:#x}", bar.index, bar.size)
            }))
        };
        let above = topology.bridges_above(address);
        let always = [
            ("identity", identity(function)),
            ("bridges above", Some(list(above.iter().map(ToString::to_string)))),
            ("IOMMU group", self.group(function)),
            ("reset methods", told(&function.reset_methods, |m| list(m.iter().map(|m| m.name().to_owned())))),
            ("BARs", told(&function.resources, bars)),
            ("interrupt pin", told(&function.interrupt_pin, ToString::to_string)),
            ("NUMA node", told(&function.numa_node, ToString::to_string)),
            ("capabilities", capabilities(function)),
            ("virtual functions", told(&function.sriov.num_vfs, ToString::to_string)),
        ];
        for (fact, value) in always {
            self.push(&subject, fact, Holds::Always, value);
        }
        let until_bound = [
            (DRIVER, told(&function.driver, ToString::to_string)),
            ("driver_override", told(&function.driver_override, ToString::to_string)),
            ("interrupt line", self.line(address)),
            ("use by the host", self.uses(address)),
        ];
        for (fact, value) in until_bound {
            self.push(&subject, fact, Holds::UntilBound, value);
        }
        for member in topology.group_members(address) {
            if self.assignment.takes(*member) {
                continue;
            }
            let Some(function) = topology.function(*member) else { continue };
            let fact = format!("driver of {member} in its group");
            self.push(&subject, &fact, Holds::Always, told(&function.driver, ToString::to_string));
        }
    }

    /// Who is in the group: its number moves from boot to boot.
    fn group(&self, function: &FunctionFacts) -> Option<String> {
        let members = self.topology.group_members(function.address);
        told(&function.group, |_| list(members.iter().map(ToString::to_string)))
    }

    fn line(&self, address: PciAddress) -> Option<String> {
        let line = self.topology.line(address)?;
        let mut sharers = self.topology.sharers(line.irq, address);
        sharers.retain(|sharer| !sharer.function.is_some_and(|function| self.assignment.takes(function)));
        let with = list(sharers.iter().map(ToString::to_string));
        Some(format!("IRQ {}, shared with: {with}", line.irq))
    }

    fn uses(&self, address: PciAddress) -> Option<String> {
        let usage = &self.topology.facts().usage;
        if usage.block.is_unreadable() || usage.mounts.is_unreadable() || usage.network.is_unreadable() {
            return None;
        }
        let dependents = self.topology.dependents(address);
        let lasting = dependents.iter().filter(|dependent| dependent.kind.is_storage_or_network());
        Some(list(lasting.map(ToString::to_string)))
    }
}

fn identity(function: &FunctionFacts) -> Option<String> {
    let id = function.id.known()?;
    let subsystem = function.subsystem.known().map_or_else(String::new, |id| format!(" subsystem {id}"));
    let revision = function.revision.known().map_or_else(String::new, |rev| format!(" revision {rev:02x}"));
    Some(format!("{id}{subsystem}{revision}"))
}

/// What configuration space offers, without its changing bits.
fn capabilities(function: &FunctionFacts) -> Option<String> {
    let features = decode(function.config.known()?).ok()?.features();
    let flag = |name: &str, value: Option<bool>| value?.then(|| name.to_owned());
    let count = |name: &str, value: Option<u16>| value.filter(|n| *n > 0).map(|n| format!("{name} {n}"));
    let words = [
        flag("FLR", features.flr),
        flag("AF FLR", features.af_flr),
        flag("PM reset", features.pm_reset),
        count("MSI", features.msi_vectors),
        count("MSI-X", features.msix_vectors),
    ];
    Some(list(words.into_iter().flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, plan};
    use crate::topology::fixture::{BENCH, facts, topology};
    use crate::vm::spec::parse;

    const SPEC: &str =
        "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\nselect = { id = \"1000:0012\" }\n";

    fn planned(host: &str) -> Plan {
        plan(&parse(SPEC).expect("spec"), &topology(host)).expect("plan")
    }

    fn moved_to(host: &str) -> Vec<String> {
        let moved = planned(BENCH).fingerprint.moved(&topology(host));
        moved.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn counters_power_states_and_group_numbers_do_not_move_it() {
        let mut later = facts(&BENCH.replace("group=8", "group=9"));
        if let Fact::Known(lines) = &mut later.interrupts {
            lines.iter_mut().for_each(|line| line.count += 1000);
        }
        for function in later.functions.values_mut() {
            function.power_state = Fact::Known("D3hot".to_owned());
        }
        let before = planned(BENCH).fingerprint;
        assert_eq!(before.moved(&Topology::new(later.clone())), []);
        assert_eq!(before.digest(), planned(&BENCH.replace("group=8", "group=9")).fingerprint.digest());
        assert_eq!(before.digest().len(), 16);
    }

    #[test]
    fn what_the_plan_rests_on_is_named_when_it_moves() {
        for (from, to, expected) in [
            ("sym53c8xx", "other", "driver of 0000:02:04.0 was sym53c8xx, is other"),
            ("kernel 6.1.0", "kernel 6.12.0", "kernel of host was 6.1.0-56-amd64, is 6.12.0-56-amd64"),
            ("iommu on", "iommu off", "IOMMU of host was on, is off"),
            ("nointxmask=Y", "nointxmask=N", "parameter vfio_pci.nointxmask of host was Y, is N"),
            (
                "0000:02:0a.0 class=020000 pin=1 irq=10",
                "0000:02:0a.0 class=020000 pin=1 irq=10 driver=8139too",
                "driver of 0000:02:0a.0 in its group of 0000:02:04.0 was none, is 8139too",
            ),
        ] {
            assert_eq!(moved_to(&BENCH.replace(from, to)), [expected]);
        }
        let line = moved_to(&BENCH.replace("sym53c8xx eth1", "sym53c8xx"));
        assert_eq!(line.len(), 1);
        assert!(
            line[0].starts_with("interrupt line of 0000:02:04.0 was IRQ 23, shared with: eth1"),
            "{line:?}"
        );
    }

    #[test]
    fn a_card_that_is_gone_moves_all_that_was_known_of_it() {
        let told = moved_to(&BENCH.replace("0000:02:04.0", "0000:02:06.0"));
        assert!(
            told.contains(&"identity of 0000:02:04.0 was 1000:0012, is not to be read".to_owned()),
            "{told:?}"
        );
    }

    #[test]
    fn the_plans_own_steps_do_not_move_it() {
        let done = BENCH.replace("driver=sym53c8xx", "driver=vfio-pci").replace("pin=23 sym53c8xx", "pin=23");
        assert_eq!(moved_to(&done), Vec::<String>::new());
    }

    #[test]
    fn what_was_unknown_is_no_ground_that_could_move() {
        let unread = BENCH.replace("pin=1 irq=23 group=8 driver=sym", "pin=1 irq=23 unread=group driver=sym");
        let before = planned(&unread).fingerprint;
        let told: Vec<String> = before.moved(&topology(BENCH)).iter().map(|m| m.fact.clone()).collect();
        assert_eq!(told, Vec::<String>::new());
    }
}
