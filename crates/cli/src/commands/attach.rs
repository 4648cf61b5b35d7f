use std::path::PathBuf;
use std::time::Duration;

use slotwise_backend::qemu::{Control, ControlError, Sockets};
use slotwise_core::pci::{PciAddress, PciId, Selector};
use slotwise_core::plan::{Plan, VmPlan};
use slotwise_core::report::Role;
use slotwise_core::topology::Topology;
use slotwise_core::vm::PassthroughDevice;
use slotwise_host::apply::Applied;
use slotwise_host::journal::ApplyId;
use slotwise_host::kernel_messages::KernelMessages;

use super::{diagnose, plan};
use crate::attachment::{self, Guest, Records, Sign, wire};
use crate::error::{Failure, Outcome};
use crate::host::{self, Host};
use crate::launch::{self, RunLogs};
use crate::spec::Spec;
use crate::{paths, print};

/// How long a monitor may take to let us speak to it.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Plug a device into a VM that runs: its whole IOMMU group, or none of it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Which VM of it; `slotwise run` has started it
    #[arg(value_name = "VM")]
    vm: String,
    /// Which of its devices: [[DOMAIN:]BUS:]DEVICE[.FUNCTION] or VENDOR:DEVICE
    #[arg(value_name = "DEVICE")]
    device: Selector,
    /// Go on although this rule says that it will not work; give it once for each
    #[arg(long, value_name = "RULE")]
    despite: Vec<String>,
    /// How long monitor and guest may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
    /// Print JSON (slotwise.attach/1)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let mut spec = Spec::read(&arguments.spec)?;
    let host = Host::lock_beside(&arguments.vm)?;
    let topology = host.topology();
    let whole = plan::make(&spec, &topology)?;
    let vm = launch::vm(&whole, &arguments.vm)?;
    attachment::all_found(&whole, vm)?;
    let devices = attachment::group(vm, &topology, &arguments.device)?;
    attachment::ours(vm, &devices, "attach")?;
    spec.request = attachment::only(&spec.request, vm, &devices);
    let plan = plan::make(&spec, &topology)?;

    // That there is a VM to plug into is seen before the host is touched.
    let machines = paths::runtime().join("machines");
    let name = &vm.request.name;
    let mut control = Control::connect(&machines, name, vm.request.machine, CONNECT)
        .map_err(Failure::hinted(ControlError::hint))
        .map_err(|failure| failure.hint(format!("`slotwise run SPEC {name}` starts it")))?;
    let already = control.has(&devices).map_err(Failure::hinted(ControlError::hint))?;
    if already == devices {
        let silent =
            control.wait_taken(&devices, Duration::ZERO).map_err(Failure::hinted(ControlError::hint))?;
        let sign = |device| if silent.contains(device) { Sign::Silent } else { Sign::Decodes };
        let signs: Vec<Sign> = devices.iter().map(sign).collect();
        return told(arguments, vm, &Done { devices: &devices, signs: &signs, steps: &[], id: None });
    }
    if !host::may_go_on(&plan, &arguments.despite)? {
        return Ok(Outcome::Found);
    }
    let kernel = KernelMessages::from_now();
    let mut guest = Guest::greet(&Sockets::of(&machines, name));
    let (id, steps) = apply(&host, &plan)?;
    Records::of(name).note(&devices, id)?;

    let functions: Vec<PassthroughDevice> =
        devices.iter().filter(|d| !already.contains(d)).map(|d| PassthroughDevice::new(*d)).collect();
    let within = Duration::from_secs(arguments.deadline);
    if let Err(error) = control.attach(&functions, within) {
        give_back(&host, vm, &devices, id, &error)?;
        let failure = Failure::hinted(ControlError::hint)(error);
        let kernel = kernel.as_ref().map_or_else(String::new, KernelMessages::read);
        let logs = RunLogs::of(name);
        logs.keep_attachment(&format!("{}\n{kernel}", failure.told()))?;
        diagnose::show_files(&logs.attachment())?;
        return Err(failure);
    }
    let known: Vec<(PciAddress, Option<PciId>)> =
        devices.iter().map(|d| (*d, id_of(&topology, *d))).collect();
    let signs = guest.wait(&mut control, &known, within).map_err(Failure::hinted(ControlError::hint))?;
    told(arguments, vm, &Done { devices: &devices, signs: &signs, steps: &steps, id })
}

fn id_of(topology: &Topology, device: PciAddress) -> Option<PciId> {
    topology.function(device)?.id.known().copied()
}

/// Carries the steps out; the number to undo them by, and what was done.
fn apply(host: &Host, plan: &Plan) -> Result<(Option<ApplyId>, Vec<String>), Failure> {
    Ok(match host.apply(plan)? {
        Applied::Already => (None, Vec::new()),
        Applied::Done { id, steps } => {
            let done = plan.steps.as_slice().iter().filter(|step| steps.contains(step.id()));
            (Some(id), done.map(|step| step.action().to_string()).collect())
        }
    })
}

/// After a refusal: the host as it was, unless the monitor kept a part of the group.
fn give_back(
    host: &Host,
    vm: &VmPlan,
    devices: &[PciAddress],
    id: Option<ApplyId>,
    error: &ControlError,
) -> Result<(), Failure> {
    if matches!(error, ControlError::NotRolledBack { .. }) {
        return Ok(());
    }
    Records::of(&vm.request.name).forget(devices);
    if let Some(id) = id
        && !host.undo(id)?.is_clean()
    {
        print::note(Role::Caution, "left", "the host is not as it was");
    }
    Ok(())
}

struct Done<'a> {
    devices: &'a [PciAddress],
    signs: &'a [Sign],
    steps: &'a [String],
    id: Option<ApplyId>,
}

fn told(arguments: &Arguments, vm: &VmPlan, done: &Done<'_>) -> Result<Outcome, Failure> {
    let name = vm.request.name.as_str();
    let pairs = || done.devices.iter().zip(done.signs);
    if arguments.json {
        let devices: Vec<(PciAddress, Sign)> =
            pairs().map(|(device, sign)| (*device, sign.clone())).collect();
        print::json(&wire::Attached::new(name, &devices, done.id.map(|id| id.to_string()), done.steps))?;
    } else {
        for step in done.steps {
            print::progress(step);
        }
        for (device, sign) in pairs() {
            let guest = match sign {
                Sign::Listed { address, driver: Some(driver) } => {
                    format!("its guest sees it as {address}, on driver {driver}")
                }
                Sign::Listed { address, driver: None } => {
                    format!("its guest sees it as {address}, and has no driver for it")
                }
                Sign::Decodes => "its guest has taken it".to_owned(),
                Sign::Silent => "its guest has shown no sign of it".to_owned(),
            };
            print::plain(&format!("attached: {device} to VM {name}; {guest}\n"))?;
        }
    }
    if !done.signs.contains(&Sign::Silent) {
        return Ok(Outcome::Fine);
    }
    let why = format!("the guest has not taken it within {} s, and may yet", arguments.deadline);
    print::note(Role::Caution, "silent", &why);
    print::note(
        Role::Good,
        "hint",
        "a guest without ACPI hot-plug or a driver for it shows nothing; `slotwise detach` takes it out again",
    );
    Ok(Outcome::Found)
}
