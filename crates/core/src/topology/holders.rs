//! Who holds a function: processes with its device nodes open, and virtual machines that have it.

use super::Topology;
use crate::facts::{HeldBy, HostMachine, MachineState, Monitor};
use crate::pci::PciAddress;

impl Topology {
    /// Processes that have open what belongs to a function: its nodes, the node of its group, a disk behind it or a volume on
    /// that disk.
    #[must_use]
    pub fn held_by(&self, address: PciAddress) -> Vec<&HeldBy> {
        let group = self.group_node(address);
        let volumes = self.volumes(address);
        let names = |held: &HeldBy| {
            let node = held.path.strip_prefix("/dev/")?;
            Some(volumes.iter().any(|name| name.replace('!', "/") == node))
        };
        let usage = &self.facts().usage;
        let holds = |held: &&HeldBy| {
            held.function == Some(address) || Some(&held.path) == group.as_ref() || names(held) == Some(true)
        };
        usage.held().filter(holds).collect()
    }

    /// The node of a function's group.
    fn group_node(&self, address: PciAddress) -> Option<String> {
        let group = self.function(address)?.group.known()?;
        Some(format!("/dev/vfio/{group}"))
    }

    /// Virtual machines that have a function now, and those that are defined with it. A machine that two sources tell of is
    /// told once, by the one that knows it better.
    #[must_use]
    pub fn machines(&self, address: PciAddress) -> Vec<&HostMachine> {
        let all = self.facts().usage.machines.known().map_or(&[][..], Vec::as_slice);
        let group = self.group_node(address);
        let holders: Vec<u32> = self
            .facts()
            .usage
            .held()
            .filter(|held| Some(&held.path) == group.as_ref())
            .map(|held| held.pid)
            .collect();
        let members = self.group_members(address);
        let has = |machine: &HostMachine| {
            if machine.functions.contains(&address) {
                return true;
            }
            // Attached later, so not on its command line: then the group that it has open tells, unless it is known to
            // have another function of the group.
            let MachineState::Process(pid) = machine.state else { return false };
            holders.contains(&pid)
                && !machine.functions.iter().any(|function| members.contains(function))
                && !all.iter().any(|other| other.state == machine.state && other.functions.contains(&address))
        };
        let same = |one: &HostMachine, other: &HostMachine| match (one.state, other.state) {
            (MachineState::Defined, _) => one.name == other.name && other.is_running(),
            (state, other_state) => state == other_state,
        };
        let better = |one: &HostMachine, other: &HostMachine| {
            rank(other) < rank(one) && same(one, other) && has(other)
        };
        all.iter().filter(|machine| has(machine) && !all.iter().any(|other| better(machine, other))).collect()
    }
}

/// libvirt knows the name that people use; a machine that runs says more than its definition.
const fn rank(machine: &HostMachine) -> u8 {
    match (machine.is_running(), machine.monitor) {
        (true, Monitor::Libvirt) => 0,
        (true, Monitor::Xen) => 1,
        (true, Monitor::Qemu) => 2,
        (false, _) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{address, facts};
    use super::*;
    use crate::facts::Fact;

    const HOST: &str = "device 0000:01:00.0 class=030000 group=7
        device 0000:01:00.1 class=040300 group=7
        device 0000:02:00.0 class=010802 group=8
        block nvme0n1 259:0 function=0000:02:00.0
        block dm-0 254:0 lower=nvme0n1 volume=vg-x
        holds 4711 qemu-system-x86 /dev/vfio/7
        holds 12 smartd /dev/nvme0n1
        holds 13 backup /dev/dm-0
        holds 14 other /dev/sda";

    fn machine(name: &str, monitor: Monitor, state: MachineState, functions: &[&str]) -> HostMachine {
        HostMachine {
            name: Some(name.to_owned()),
            monitor,
            state,
            functions: functions.iter().map(|text| address(text)).collect(),
            place: String::new(),
        }
    }

    #[test]
    fn groups_disks_and_volumes_count_for_their_functions() {
        let topology = Topology::new(facts(HOST));
        let pids = |at| topology.held_by(address(at)).iter().map(|held| held.pid).collect::<Vec<_>>();
        assert_eq!(pids("0000:01:00.0"), [4711]);
        assert_eq!(pids("0000:01:00.1"), [4711]);
        assert_eq!(pids("0000:02:00.0"), [12, 13]);
    }

    #[test]
    fn a_machine_that_two_sources_tell_of_is_told_once() {
        let mut facts = facts(HOST);
        let process = MachineState::Process(4711);
        facts.usage.machines = Fact::Known(vec![
            machine("guest=win", Monitor::Qemu, process, &["0000:01:00.0"]),
            machine("win", Monitor::Libvirt, process, &["0000:01:00.0"]),
            machine("win", Monitor::Libvirt, MachineState::Defined, &["0000:01:00.0"]),
            machine("old", Monitor::Libvirt, MachineState::Defined, &["0000:01:00.0"]),
        ]);
        let topology = Topology::new(facts);
        let told: Vec<String> =
            topology.machines(address("0000:01:00.0")).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["VM win (libvirt, process 4711)", "VM old (libvirt, not running)"]);
        assert!(topology.machines(address("0000:02:00.0")).is_empty());
    }

    #[test]
    fn a_function_that_was_attached_later_is_told_by_the_open_group() {
        let mut facts = facts(HOST);
        let state = MachineState::Process(4711);
        facts.usage.machines = Fact::Known(vec![machine("vm1", Monitor::Qemu, state, &[])]);
        let topology = Topology::new(facts);
        assert_eq!(topology.machines(address("0000:01:00.0")).len(), 1);
        assert!(topology.machines(address("0000:02:00.0")).is_empty());
    }
}
