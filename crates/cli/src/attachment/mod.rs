//! What `attach` and `detach` share: which functions are meant, and what was done to the host for them.

mod guest;
mod record;
pub(crate) mod wire;

use slotwise_core::pci::{PciAddress, Selector};
use slotwise_core::plan::{Plan, VmPlan};
use slotwise_core::topology::Topology;
use slotwise_core::vm::{BackendKind, DeviceRequest, Pick, Request, VmRequest};

pub(crate) use guest::{Guest, Sign};
pub(crate) use record::{Records, covering};

use crate::error::{Failure, Hint};

/// The functions of a VM that go in and out together: what was named, and what else of the VM is in its IOMMU group.
pub(crate) fn group(vm: &VmPlan, topology: &Topology, wanted: &Selector) -> Result<Vec<PciAddress>, Failure> {
    let own: Vec<PciAddress> = vm.devices.iter().map(|device| device.address).collect();
    let means = |address: &&PciAddress| {
        let function = topology.function(**address);
        let id = function.and_then(|function| function.id.known().copied());
        let class = function.and_then(|function| function.class.known().copied());
        wanted.matches(**address, id, class)
    };
    let named: Vec<PciAddress> = own.iter().filter(means).copied().collect();
    let name = &vm.request.name;
    let Some(first) = named.first() else {
        let list: Vec<String> = own.iter().map(ToString::to_string).collect();
        return Err(Failure::new(format!("the spec gives VM {name} no such device")).hint(
            if list.is_empty() {
                format!("it gives {name} none; [[vm.device]] in the spec does")
            } else {
                format!("it gives {name}: {}", list.join(", "))
            },
        ));
    };
    let members = topology.group_members(*first);
    let together = |address: &&PciAddress| *address == first || members.contains(address);
    if let Some(other) = named.iter().find(|address| !together(address)) {
        return Err(Failure::new(format!("{first} and {other} are both meant"))
            .hint("name one of them by its place: what is in other groups goes in and out by itself"));
    }
    Ok(own.iter().filter(together).copied().collect())
}

/// A request for these functions of one VM alone, of a VM that has been planned.
pub(crate) fn only(request: &Request, vm: &VmPlan, devices: &[PciAddress]) -> Request {
    let own = narrowed(vm, |address| devices.contains(&address));
    Request { vms: vec![own], test: None, ..request.clone() }
}

/// The whole request, but for these functions of one VM.
pub(crate) fn without(request: &Request, vm: &VmPlan, devices: &[PciAddress]) -> Request {
    let own = narrowed(vm, |address| !devices.contains(&address));
    let vms =
        request.vms.iter().map(|other| if other.name == own.name { own.clone() } else { other.clone() });
    Request { vms: vms.collect(), ..request.clone() }
}

/// The VM with some of its functions, each asked for by the place that it was found at.
fn narrowed(vm: &VmPlan, keep: impl Fn(PciAddress) -> bool) -> VmRequest {
    let placed = vm.request.devices.iter().zip(&vm.devices);
    let devices = placed.filter(|(_, found)| keep(found.address)).map(|(asked, found)| DeviceRequest {
        slot: Some(found.address),
        pick: Pick::Exactly,
        ..asked.clone()
    });
    VmRequest { devices: devices.collect(), ..vm.request.clone() }
}

/// Whether each request of a VM was found at one place: only then can one be left out.
pub(crate) fn all_found(plan: &Plan, vm: &VmPlan) -> Result<(), Failure> {
    if vm.request.devices.len() == vm.devices.len() {
        return Ok(());
    }
    let rules: Vec<&str> = plan.findings.iter().map(|finding| finding.rule).collect();
    Err(Failure::new(format!("not every device of VM {} is found on this host", vm.request.name)))
        .hint(format!("`slotwise plan` tells what stands against it: {}", rules.join(", ")))
}

/// Refuses a VM whose monitor we do not start, with what its own tools do.
pub(crate) fn ours(vm: &VmPlan, devices: &[PciAddress], verb: &str) -> Result<(), Failure> {
    let name = &vm.request.name;
    let list =
        |line: &dyn Fn(&PciAddress) -> String| devices.iter().map(line).collect::<Vec<_>>().join(" && ");
    let hint = match vm.request.backend {
        BackendKind::Qemu => return Ok(()),
        BackendKind::Libvirt => {
            let line = |device: &PciAddress| {
                format!("`virsh {verb}-device {name} FILE --live` with {} in FILE", hostdev(*device))
            };
            format!("libvirt's own tool does, and binds the driver itself: {}", list(&line))
        }
        BackendKind::Xen => {
            let line = |device: &PciAddress| match verb {
                "attach" => format!("xl pci-assignable-add {device} && xl pci-attach {name} {device}"),
                _ => format!("xl pci-detach {name} {device} && xl pci-assignable-remove -r {device}"),
            };
            format!("Xen's own tool does: `{}`", list(&line))
        }
    };
    let who = vm.request.backend.name();
    Err(Failure::new(format!("VM {name} is run by {who}, and devices are hot-plugged for qemu only"))
        .hint(hint))
}

/// A host device in libvirt's domain XML (libvirt `docs/formatdomain.rst`, "USB / PCI / SCSI devices").
fn hostdev(device: PciAddress) -> String {
    let (domain, bus, slot, function) = (device.domain(), device.bus(), device.device(), device.function());
    format!(
        "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x{domain:04x}' \
         bus='0x{bus:02x}' slot='0x{slot:02x}' function='0x{function:x}'/></source></hostdev>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostdev_is_as_libvirt_reads_it() {
        let xml = hostdev("0000:02:06.1".parse().expect("an address"));
        assert!(xml.contains("domain='0x0000' bus='0x02' slot='0x06' function='0x1'"), "{xml}");
    }
}
