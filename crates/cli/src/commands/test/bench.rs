//! A run from its beginning to its end: firmware, host, guests, journal.

use std::num::NonZeroU32;
use std::path::Path;

use slotwise_core::pci::PciId;
use slotwise_core::plan::{Plan, VmPlan};
use slotwise_core::report::{Role, picture};
use slotwise_core::vm::{HookWord, TestRequest, WriteLeave};
use slotwise_host::kernel_messages::KernelMessages;
use slotwise_testbench::guest::{BootFiles, GuestDefinition, PrepareConfig};
use slotwise_testbench::matrix::{self, Finished, Matrix, Options, Row, Run, Start, Until, run_with};
use slotwise_testbench::rig::{
    DeviceUnderTest, FunctionUnderTest, Identity, IscsiRig, MachineRig, Peer, PoweredRig, Rig, SavedStates,
    Serves, Way,
};
use slotwise_testbench::run::{Folder, FolderError, HookError, Pattern, Quarantine, Recipe, run_hook};
use slotwise_testbench::suite::{Harm, Suite};
use slotwise_testbench::transport::IscsiUrl;
use slotwise_testbench::wire::Nexus;

use super::live::Live;
use super::{Isolation, TargetArguments, caution};
use crate::commands::{diagnose, plan};
use crate::error::{Failure, Hint};
use crate::host::{self, Host, Loan};
use crate::launch::{self, RunLogs};
use crate::names::PciNames;
use crate::spec::Spec;
use crate::{paths, print};

/// What is tested, and with which firmware.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Target<'a> {
    pub(in crate::commands) spec: &'a Spec,
    pub(in crate::commands) test: &'a TestRequest,
    pub(in crate::commands) given: &'a TargetArguments,
    pub(in crate::commands) firmware: Option<&'a Path>,
}

/// With what, how often, and what is known before.
pub(in crate::commands) struct Bench {
    pub(in crate::commands) only: Vec<Pattern>,
    pub(in crate::commands) suites: Vec<Suite>,
    pub(in crate::commands) seed: Option<u64>,
    pub(in crate::commands) times: NonZeroU32,
    pub(in crate::commands) until: Until,
    pub(in crate::commands) quarantine: Quarantine,
    pub(in crate::commands) finished: Finished,
    /// Of a run that is gone on with; a new one makes its own when it is known what it is of.
    pub(in crate::commands) folder: Option<Folder>,
    /// What that run is of.
    pub(in crate::commands) resumed: Option<Recipe>,
}

impl Bench {
    /// The suites once, with nothing known.
    pub(in crate::commands) fn once(suites: Vec<Suite>, times: NonZeroU32) -> Self {
        Self {
            only: Vec::new(),
            suites,
            seed: None,
            times,
            until: Until::Done,
            quarantine: Quarantine::default(),
            finished: Finished::default(),
            folder: None,
            resumed: None,
        }
    }

    /// Runs it, and keeps it in a folder if one is given; nothing if the plan says that it will not work.
    pub(in crate::commands) fn run(
        &mut self,
        target: &Target<'_>,
        folder: Option<&Path>,
    ) -> Result<Option<Run>, Failure> {
        match &target.given.iscsi {
            Some(url) => self.by_iscsi(target, url, folder).map(Some),
            None => self.on_host(target, folder),
        }
    }

    fn by_iscsi(
        &mut self,
        target: &Target<'_>,
        url: &IscsiUrl,
        folder: Option<&Path>,
    ) -> Result<Run, Failure> {
        flash(target)?;
        let mut rig = IscsiRig { url: url.clone() };
        let guests = [rig.no_guest()];
        let nexus = Nexus { channel: None, id: None, lun: None };
        let device = device_under_test(url.to_string(), nexus, target.test, FunctionUnderTest::default());
        self.keep_in(folder, target, std::slice::from_ref(&device.name), &[guests[0].id().to_owned()])?;
        let mut whole = self.begin();
        self.one(target, &mut rig, (&device, &guests), &mut whole)?;
        Ok(whole)
    }

    fn on_host(&mut self, target: &Target<'_>, folder: Option<&Path>) -> Result<Option<Run>, Failure> {
        let host = Host::lock()?;
        flash(target)?;
        let topology = host.topology();
        let plan = plan::make(target.spec, &topology)?;
        if !host::may_go_on(&plan, &target.given.despite)? {
            return Ok(None);
        }
        let serves =
            if self.suites.iter().any(Suite::sends_commands) { Serves::Scsi } else { Serves::Anything };
        let jobs = jobs(&plan, target.test, serves)?;
        let prepare = launch::prepare_config()?;
        let devices: Vec<String> = jobs.iter().map(|job| job.device.name.clone()).collect();
        let mut guests: Vec<String> =
            jobs.iter().flat_map(|job| job.guests.iter().map(|guest| guest.id().to_owned())).collect();
        guests.dedup();
        self.keep_in(folder, target, &devices, &guests)?;
        let names = PciNames::of(&topology);
        let mut whole = self.begin();
        whole.picture = Some(picture::svg(&topology, &names, &|_| true));
        let loan = Loan::take(&host, &plan)?;
        for job in &jobs {
            self.job(target, job, &prepare, &host, &mut whole)?;
            if self.is_over(&whole) {
                break;
            }
        }
        loan.give_back()?;
        Ok(Some(whole))
    }

    /// What the parts of a run are added to.
    fn begin(&self) -> Run {
        let Finished { elapsed, in_guests, .. } = self.finished;
        Run { elapsed, in_guests, seed: self.seed, ..Run::default() }
    }

    fn is_over(&self, run: &Run) -> bool {
        self.until == Until::Failure && run.rows.iter().any(Row::stands)
    }

    /// Makes the run's folder, or makes sure that the one gone on with is of the same things.
    fn keep_in(
        &mut self,
        folder: Option<&Path>,
        target: &Target<'_>,
        devices: &[String],
        guests: &[String],
    ) -> Result<(), Failure> {
        let recipe = Recipe {
            only: self.only.iter().map(ToString::to_string).collect(),
            seed: self.seed,
            times: self.times.get(),
            until: self.until,
            suites: self.suites.iter().map(|suite| suite.id().to_owned()).collect(),
            devices: devices.to_vec(),
            guests: guests.to_vec(),
            firmware: target.firmware.map(|path| path.display().to_string()),
        };
        if let (Some(was), Some(own)) = (&self.resumed, &self.folder) {
            was.same_as(&recipe, own.path()).map_err(Failure::hinted(FolderError::hint))?;
        } else if let Some(path) = folder {
            self.folder = Some(Folder::create(path, &recipe).map_err(Failure::hinted(FolderError::hint))?);
        }
        Ok(())
    }

    /// One device in its guests, added to the whole.
    fn one(
        &mut self,
        target: &Target<'_>,
        rig: &mut dyn Rig,
        (device, guests): (&DeviceUnderTest, &[GuestDefinition]),
        whole: &mut Run,
    ) -> Result<(), Failure> {
        let Self { suites, seed, times, until, quarantine, finished, folder, .. } = self;
        let isolation = match target.given.isolation {
            Isolation::Shared => matrix::Isolation::None,
            Isolation::Attach => matrix::Isolation::Device,
            Isolation::Restore | Isolation::Boot => matrix::Isolation::Guest,
        };
        let options = Options { seed: *seed, times: *times, until: *until, isolation, quarantine, finished };
        let matrix = Matrix { suites, devices: std::slice::from_ref(device), guests };
        let mut live = Live::new(&matrix, *times);
        let mut unkept = None;
        let mut seen = |progress: slotwise_testbench::matrix::Progress<'_>| {
            live.show(&progress);
            if let (Some(folder), None) = (folder.as_mut(), &unkept) {
                unkept = folder.keep(&progress).err();
            }
        };
        let run = match &target.test.power {
            Some(hook) => {
                run_with(&matrix, &mut PoweredRig { inner: rig, hook: &hook.value }, &options, &mut seen)
            }
            None => run_with(&matrix, rig, &options, &mut seen),
        };
        live.end();
        if let Some(error) = unkept {
            // The run goes on without its journal: what it found out is worth more.
            caution("the run cannot be gone on with if it ends early", &error.to_string());
        }
        whole.rows.extend(run.rows);
        whole.starts.extend(run.starts);
        // Each part counts what an earlier run took.
        whole.elapsed += run.elapsed.saturating_sub(finished.elapsed);
        whole.in_guests += run.in_guests.saturating_sub(finished.in_guests);
        Ok(())
    }

    fn job(
        &mut self,
        target: &Target<'_>,
        job: &Job<'_>,
        prepare: &PrepareConfig,
        host: &Host,
        whole: &mut Run,
    ) -> Result<(), Failure> {
        let kernel = KernelMessages::from_now();
        let describe = |_: &GuestDefinition, files: &BootFiles| launch::describe(job.vm, files);
        let mut rig = MachineRig {
            backend: &job.backend,
            prepare: prepare.clone(),
            machines: paths::runtime().join("machines"),
            describe: &describe,
            function: function(job.vm),
            consoles: self.folder.as_ref().map(|folder| folder.path().to_owned()),
            messages: String::new(),
            states: match target.given.isolation {
                Isolation::Boot => None,
                _ => Some(SavedStates::new(paths::cache().join("states"), host.boot_id()?)),
            },
            stop: host.interrupted(),
        };
        let before = whole.starts.len();
        self.one(target, &mut rig, (&job.device, &job.guests), whole)?;
        if host.is_interrupted() {
            let failure = Failure::new("interrupted; the VM was ended");
            return Err(match &self.folder {
                Some(folder) => failure.hint(format!("--resume {} goes on with it", folder.path().display())),
                None => failure,
            });
        }
        let own = whole.starts.get(before..).unwrap_or_default();
        own.iter().for_each(tell_start);
        let console: Vec<String> = own.iter().filter_map(|start| start.fault.clone()).collect();
        let kernel = kernel.map_or_else(String::new, |log| log.read());
        let logs = RunLogs::of(&job.vm.request.name);
        logs.keep(&rig.messages, &kernel, &console.join("\n"))?;
        for fault in &console {
            print::note(Role::Bad, "guest", fault);
        }
        if !console.is_empty() {
            diagnose::show_files(&logs.files())?;
        }
        Ok(())
    }
}

/// How a guest came up, and why not by a faster way.
fn tell_start(start: &Start) {
    let (Some(origin), Some(time)) = (&start.origin, start.to_first_inquiry) else { return };
    let way = match origin.way {
        Way::Booted => "booted with the device",
        Way::Attached => "booted, then given the device",
        Way::Restored => "restored from a saved state, then given the device",
    };
    print::progress(&format!(
        "{}: {way}; it answered its first INQUIRY after {:.1} s",
        start.guest,
        time.as_secs_f64()
    ));
    if let Some(note) = &origin.note {
        caution("not by the fast path", note);
    }
}

/// Installs the firmware, if one is given.
fn flash(target: &Target<'_>) -> Result<(), Failure> {
    let Some(firmware) = target.firmware else { return Ok(()) };
    let hook = target.test.flash.as_ref();
    let hook = hook
        .ok_or_else(|| Failure::new("a firmware is given, and the spec does not say how to install it"))
        .hint("flash = [\"program\", \"{firmware}\"] in [test] does")?;
    if !firmware.is_file() {
        return Err(Failure::new(format!("there is no firmware {}", firmware.display())));
    }
    let name = firmware.display().to_string();
    print::progress(&format!("installing {name}"));
    run_hook(&hook.value, &[(HookWord::Firmware, &name)]).map_err(Failure::hinted(HookError::hint))?;
    Ok(())
}

/// One VM, the guests it is tested in, and the device under test.
struct Job<'p> {
    vm: &'p VmPlan,
    backend: slotwise_backend::qemu::Qemu,
    guests: Vec<GuestDefinition>,
    device: DeviceUnderTest,
}

fn jobs<'p>(plan: &'p Plan, test: &TestRequest, serves: Serves) -> Result<Vec<Job<'p>>, Failure> {
    let mut jobs = Vec::new();
    for vm in plan.vms.iter().filter(|vm| !vm.devices.is_empty()) {
        let guests = if test.guests.is_empty() {
            vec![launch::guest(vm)?]
        } else {
            test.guests.iter().map(|guest| launch::guest_by_id(&guest.value)).collect::<Result<_, _>>()?
        };
        let backend = launch::backend(vm)?;
        let addresses: Vec<String> = vm.devices.iter().map(|device| device.address.to_string()).collect();
        let peer = test.net.map(|net| Peer { own: net.own, peer: net.peer });
        let function = FunctionUnderTest { id: function(vm), serves, peer };
        let device = device_under_test(addresses.join(" "), nexus(test), test, function);
        jobs.push(Job { vm, backend, guests, device });
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

/// Where the disk is on its bus.
fn nexus(test: &TestRequest) -> Nexus {
    let disk = &test.disk;
    Nexus {
        channel: disk.target.map(|_| 0),
        id: disk.target.map(u32::from),
        lun: disk.target.map(|_| disk.lun.map_or(0, u64::from)),
    }
}

fn device_under_test(
    name: String,
    nexus: Nexus,
    test: &TestRequest,
    function: FunctionUnderTest,
) -> DeviceUnderTest {
    let disk = &test.disk;
    let identity = disk.vendor.clone().zip(disk.product.clone());
    DeviceUnderTest {
        name,
        nexus,
        identity: identity.map(|(vendor, product)| Identity { vendor, product, serial: disk.serial.clone() }),
        harm_limit: match test.writes {
            WriteLeave::ReadOnly => Harm::None,
            WriteLeave::Data => Harm::Data,
        },
        function,
    }
}
