use std::path::PathBuf;
use std::time::Duration;

use slotwise_backend::qemu::{Control, ControlError};
use slotwise_core::pci::{PciAddress, Selector};
use slotwise_core::plan::VmPlan;
use slotwise_core::report::Role;

use super::{attach, plan};
use crate::attachment::{self, Records, wire};
use crate::error::{Failure, Outcome};
use crate::host::Host;
use crate::spec::Spec;
use crate::{launch, paths, print};

/// Take a device out of a VM that runs, its whole IOMMU group, and give it back to the host
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Which VM of it
    #[arg(value_name = "VM")]
    vm: String,
    /// Which of its devices: [[DOMAIN:]BUS:]DEVICE[.FUNCTION] or VENDOR:DEVICE
    #[arg(value_name = "DEVICE")]
    device: Selector,
    /// How long the guest may take to let go
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
    /// Print JSON (slotwise.detach/1)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let spec = Spec::read(&arguments.spec)?;
    let host = Host::lock_beside(&arguments.vm)?;
    let topology = host.topology();
    let whole = plan::make(&spec, &topology)?;
    let vm = launch::vm(&whole, &arguments.vm)?;
    let devices = attachment::group(vm, &topology, &arguments.device)?;
    attachment::ours(vm, &devices, "detach")?;
    let unplugged = unplug(vm, &devices, Duration::from_secs(arguments.deadline))?;
    let (found, clean) = give_back(&host, vm, &devices)?;
    let name = vm.request.name.as_str();
    if arguments.json {
        print::json(&wire::Detached::new(name, &devices, unplugged, found))?;
    } else {
        tell(name, &devices, unplugged, found)?;
    }
    if clean {
        return Ok(Outcome::Fine);
    }
    Err(Failure::new("the host is not as it was; see what was left above")
        .hint("`slotwise undo` tries again"))
}

/// Has the guest let go of what it has of them. False if it had none, or there is no VM.
fn unplug(vm: &VmPlan, devices: &[PciAddress], within: Duration) -> Result<bool, Failure> {
    let machines = paths::runtime().join("machines");
    let noted = devices.iter().any(|device| Records::of(&vm.request.name).find(*device).is_some());
    let mut control = match Control::connect(&machines, &vm.request.name, vm.request.machine, attach::CONNECT)
    {
        Ok(control) => control,
        // What was attached to a VM that is gone is given back all the same.
        Err(_) if noted => return Ok(false),
        Err(error) => return Err(Failure::hinted(ControlError::hint)(error)),
    };
    let there = control.has(devices).map_err(Failure::hinted(ControlError::hint))?;
    if there.is_empty() {
        return Ok(false);
    }
    control.detach(&there, within).map_err(Failure::hinted(ControlError::hint))?;
    Ok(true)
}

/// Takes back what was done to the host for them: whether an apply of theirs was found, and whether all is as it was.
fn give_back(host: &Host, vm: &VmPlan, devices: &[PciAddress]) -> Result<(bool, bool), Failure> {
    let records = Records::of(&vm.request.name);
    let noted = devices.iter().find_map(|device| records.find(*device));
    let id = match noted {
        // It was attached, and the host was so before: it is as it was.
        Some(None) => {
            records.forget(devices);
            return Ok((true, true));
        }
        Some(Some(id)) => Some(id),
        None => attachment::covering(host, devices)?,
    };
    let Some(id) = id else { return Ok((false, true)) };
    let clean = host.undo(id)?.is_clean();
    records.forget(devices);
    Ok((true, clean))
}

fn tell(vm: &str, devices: &[PciAddress], unplugged: bool, given_back: bool) -> Result<(), Failure> {
    for device in devices {
        let from = if unplugged {
            format!("detached: {device} from VM {vm}")
        } else {
            format!("{device} was not in VM {vm}")
        };
        let whose = if given_back { "the host has it back" } else { "it stays with vfio-pci" };
        print::plain(&format!("{from}; {whose}\n"))?;
    }
    if !given_back {
        print::note(
            Role::Good,
            "hint",
            "it was given away together with other devices: the end of that run, or `slotwise undo`, gives all back",
        );
    }
    Ok(())
}
