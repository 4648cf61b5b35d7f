use std::fs;
use std::path::{Path, PathBuf};

use slotwise_core::pci::PciId;
use slotwise_core::plan::{Plan, VmPlan};
use slotwise_core::report::Role;
use slotwise_core::vm::{TestRequest, WriteLeave};
use slotwise_host::kernel_messages::KernelMessages;
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::matrix::{Matrix, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::rig::{DeviceUnderTest, Identity, MachineRig};
use slotwise_testbench::suite::{Harm, Suite, SuiteError};
use slotwise_testbench::wire::Nexus;

use super::{diagnose, plan};
use crate::error::{Failure, Hint, Outcome};
use crate::host::{self, Host, Loan};
use crate::launch::{self, RunLogs};
use crate::spec::Spec;
use crate::{paths, print};

/// Run the matrix of suites, devices and guests; the host is given its devices back after
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Go on although this rule says that it will not work; give it once for each
    #[arg(long, value_name = "RULE")]
    despite: Vec<String>,
    /// Write report.json, report.xml (JUnit), report.tap and report.html into this folder
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Print JSON (slotwise.test/1) instead of the matrix
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let spec = Spec::read(&arguments.spec)?;
    let test = spec.request.test.as_ref();
    let test = test
        .ok_or_else(|| Failure::new("the spec has no [test] section"))
        .hint("[test] names suites and guests, for example suites = [\"scsi-2\"]")?;
    let suites = suites(test)?;
    let host = Host::lock()?;
    let plan = plan::make(&spec, &host.topology())?;
    if !host::may_go_on(&plan, &arguments.despite)? {
        return Ok(Outcome::Found);
    }
    let jobs = jobs(&plan, test)?;
    let prepare = launch::prepare_config()?;
    if let Some(folder) = &arguments.report {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    }
    let loan = Loan::take(&host, &plan)?;
    let mut whole = Run::default();
    for job in &jobs {
        let run = one(job, &suites, &prepare, &host)?;
        whole.rows.extend(run.rows);
        whole.starts.extend(run.starts);
        whole.elapsed += run.elapsed;
    }
    loan.give_back()?;
    if let Some(folder) = &arguments.report {
        write_reports(&whole, folder)?;
    }
    print::plain(&if arguments.json { report::wire::json(&whole)? } else { report::text(&whole) })?;
    Ok(if whole.passed() { Outcome::Fine } else { Outcome::Found })
}

/// One VM, the guests it is tested in, and the device under test.
struct Job<'p> {
    vm: &'p VmPlan,
    backend: slotwise_backend::qemu::Qemu,
    guests: Vec<GuestDefinition>,
    device: DeviceUnderTest,
}

fn suites(test: &TestRequest) -> Result<Vec<Suite>, Failure> {
    let load = |id: &str| Suite::builtin(id).map_err(Failure::hinted(SuiteError::hint));
    test.suites.iter().map(|suite| load(&suite.value)).collect()
}

fn jobs<'p>(plan: &'p Plan, test: &TestRequest) -> Result<Vec<Job<'p>>, Failure> {
    let mut jobs = Vec::new();
    for vm in plan.vms.iter().filter(|vm| !vm.devices.is_empty()) {
        let guests = if test.guests.is_empty() {
            vec![launch::guest(vm)?]
        } else {
            test.guests.iter().map(|guest| launch::guest_by_id(&guest.value)).collect::<Result<_, _>>()?
        };
        let backend = launch::backend(vm)?;
        jobs.push(Job { vm, backend, guests, device: device_under_test(vm, test) });
    }
    if jobs.is_empty() { Err(Failure::new("the spec gives no VM a device to test")) } else { Ok(jobs) }
}

/// The one function that a VM is given, by its ids in the spec; of several, which one the tests are about is not known.
fn function(vm: &VmPlan) -> Option<PciId> {
    match vm.request.devices.as_slice() {
        [device] => device.id,
        _ => None,
    }
}

fn device_under_test(vm: &VmPlan, test: &TestRequest) -> DeviceUnderTest {
    let addresses: Vec<String> = vm.devices.iter().map(|device| device.address.to_string()).collect();
    let disk = &test.disk;
    let nexus = Nexus {
        channel: disk.target.map(|_| 0),
        id: disk.target.map(u32::from),
        lun: disk.target.map(|_| disk.lun.map_or(0, u64::from)),
    };
    let identity = disk.vendor.clone().zip(disk.product.clone());
    DeviceUnderTest {
        name: addresses.join(" "),
        nexus,
        identity: identity.map(|(vendor, product)| Identity { vendor, product, serial: disk.serial.clone() }),
        harm_limit: match test.writes {
            WriteLeave::ReadOnly => Harm::None,
            WriteLeave::Data => Harm::Data,
        },
    }
}

fn one(
    job: &Job<'_>,
    suites: &[Suite],
    prepare: &slotwise_testbench::guest::PrepareConfig,
    host: &Host,
) -> Result<Run, Failure> {
    let kernel = KernelMessages::from_now();
    let describe =
        |_: &GuestDefinition, files: &slotwise_testbench::guest::BootFiles| launch::describe(job.vm, files);
    let mut rig = MachineRig {
        backend: &job.backend,
        prepare: prepare.clone(),
        machines: paths::runtime().join("machines"),
        describe: &describe,
        function: function(job.vm),
        messages: String::new(),
        stop: host.interrupted(),
    };
    let matrix = Matrix { suites, devices: std::slice::from_ref(&job.device), guests: &job.guests };
    let total: usize = suites.iter().map(|suite| suite.cases().len()).sum::<usize>() * job.guests.len();
    let progress = print::bar(total, "cases");
    let mut done = 0;
    let run = run_matrix(&matrix, &mut rig, &mut |row| {
        done += 1;
        progress.at(done, &format!("{} {}", row.case, row.outcome.name()));
    });
    progress.end();
    if host.is_interrupted() {
        return Err(Failure::new("interrupted; the VM was ended"));
    }
    let console: Vec<String> = run.starts.iter().filter_map(|start| start.fault.clone()).collect();
    let kernel = kernel.map_or_else(String::new, |log| log.read());
    let logs = RunLogs::of(&job.vm.request.name);
    logs.keep(&rig.messages, &kernel, &console.join("\n"))?;
    if !console.is_empty() {
        for fault in &console {
            print::note(Role::Bad, "guest", fault);
        }
        diagnose::show_files(&logs.files())?;
    }
    Ok(run)
}

pub(super) fn write_reports(run: &Run, folder: &Path) -> Result<(), Failure> {
    let reports = [
        ("report.json", report::wire::json(run)?),
        ("report.xml", report::junit(run)?),
        ("report.tap", report::tap(run)),
        ("report.html", report::html(run)?),
    ];
    for (name, text) in reports {
        let path = folder.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    print::progress(&format!("report: {}", folder.join("report.html").display()));
    Ok(())
}
