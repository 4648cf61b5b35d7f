use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slotwise_backend::console::{ESCAPE, RawTerminal};
use slotwise_backend::{Backend, ExitCause, Machine, StartOptions};
use slotwise_core::pci::Selector;
use slotwise_core::plan::{Plan, VmPlan};
use slotwise_core::report::Role;
use slotwise_core::topology::Topology;
use slotwise_core::vm::Request;
use slotwise_host::kernel_messages::KernelMessages;

use super::{diagnose, plan};
use crate::attachment::{self, Records};
use crate::error::{Failure, Outcome};
use crate::host::{self, Host, Loan};
use crate::launch::{self, RunLogs};
use crate::spec::Spec;
use crate::{paths, print, saved};

/// How often a running machine is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a machine may take to end in order.
const END: Duration = Duration::from_secs(10);
/// How long one who has borrowed the lock may take to be done: the give-back of a device takes seconds.
const RETURN: Duration = Duration::from_secs(60);

/// Launch a VM with its devices, its console attached; what has to be changed for it is taken back after
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Which VM of it
    #[arg(value_name = "VM")]
    vm: String,
    /// Start it without this device, which `slotwise attach` may plug in later: [[DOMAIN:]BUS:]DEVICE[.FUNCTION] or
    /// VENDOR:DEVICE; give it once for each
    #[arg(long, value_name = "DEVICE", conflicts_with = "plan")]
    without: Vec<Selector>,
    /// Go on although this rule says that it will not work; give it once for each
    #[arg(long, value_name = "RULE")]
    despite: Vec<String>,
    /// Only if the host still is what this plan rests on: a file written by `slotwise plan -o`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// End the VM as soon as its console shows this text
    #[arg(long, value_name = "TEXT")]
    until: Option<String>,
    /// End the VM after so many seconds; it is a failure if --until was not seen by then
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<u64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let mut spec = Spec::read(&arguments.spec)?;
    let saved = arguments.plan.as_deref().map(saved::read).transpose()?;
    let host = Host::lock()?;
    let topology = host.topology();
    let mut plan = plan::make(&spec, &topology)?;
    if !arguments.without.is_empty() {
        spec.request = without(&spec.request, &plan, arguments, &topology)?;
        plan = plan::make(&spec, &topology)?;
    }
    let vm = launch::vm(&plan, &arguments.vm)?;
    if let Some(saved) = &saved
        && !saved::still_holds(saved, &plan)
    {
        return Ok(Outcome::Found);
    }
    if !host::may_go_on(&plan, &arguments.despite)? {
        return Ok(Outcome::Found);
    }
    // Everything that can be missing is looked for before the host is touched.
    let backend = launch::backend(vm)?;
    let files = launch::boot_files(&launch::guest(vm)?)?;
    let machine = launch::describe(vm, &files).map_err(|error| Failure::new(error.to_string()))?;
    let kernel = KernelMessages::from_now();
    let kernel_log = || kernel.as_ref().map_or_else(String::new, KernelMessages::read);
    let logs = RunLogs::of(&vm.request.name);
    let loan = match Loan::take(&host, &plan) {
        Ok(loan) => loan,
        Err(failure) => {
            // Why a device is not given away the kernel's log tells; where no driver was there to refuse it, the kernel says nothing,
            // and the step's own words are all there is.
            let kernel = kernel_log();
            let own = if kernel.contains("vfio") { String::new() } else { failure.told() };
            logs.keep(&own, &kernel, "")?;
            diagnose::show_files(&logs.files())?;
            return Err(failure);
        }
    };

    let console = Heard::default();
    let options = StartOptions {
        console: Some(Box::new(console.clone())),
        ..StartOptions::new(paths::runtime().join("machines"))
    };
    let outcome = match backend.start(&machine, options) {
        Ok(mut machine) => {
            let lender = host.lend_beside(&vm.request.name)?;
            let watched = watch(&mut *machine, &host, arguments, &console);
            // Whoever has borrowed the lock loses the machine now, and then has nothing more to do.
            let _ = machine.end(END);
            if !lender.end(RETURN) {
                loan.leave();
                return Err(not_returned());
            }
            logs.keep(&machine.messages(), &kernel_log(), &console.text())?;
            watched
        }
        Err(error) => {
            let said = error.messages().unwrap_or_default().to_owned();
            logs.keep(&said, &kernel_log(), &console.text())?;
            failed(vm, &logs, &error.to_string(), error.hint())
        }
    };
    let attached = Records::of(&vm.request.name).give_back_all(&host)?;
    loan.give_back()?;
    if !attached {
        return Err(Failure::new("the host is not as it was").hint("`slotwise undo` tries again"));
    }
    outcome
}

/// The request without what is to be plugged in later.
fn without(
    request: &Request,
    plan: &Plan,
    arguments: &Arguments,
    topology: &Topology,
) -> Result<Request, Failure> {
    let vm = launch::vm(plan, &arguments.vm)?;
    attachment::all_found(plan, vm)?;
    let mut later = Vec::new();
    for wanted in &arguments.without {
        later.extend(attachment::group(vm, topology, wanted)?);
    }
    Ok(attachment::without(request, vm, &later))
}

fn not_returned() -> Failure {
    Failure::new("another slotwise is still at work on this host, with the lock of this run")
        .hint("wait until it has ended, then `slotwise undo`")
}

/// A machine that did not start: what the monitor said, and what that means.
fn failed(vm: &VmPlan, logs: &RunLogs, error: &str, hint: Option<&str>) -> Result<Outcome, Failure> {
    print::note(Role::Bad, "error", error);
    if let Some(hint) = hint {
        print::note(Role::Good, "hint", hint);
    }
    if diagnose::show_files(&logs.files())? == Outcome::Found {
        return Ok(Outcome::Found);
    }
    Err(Failure::new(format!("VM {} did not start", vm.request.name)))
}

/// Stays with a machine until it ends, is ended, or has shown what was waited for.
fn watch(
    machine: &mut dyn Machine,
    host: &Host,
    arguments: &Arguments,
    console: &Heard,
) -> Result<Outcome, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal()
        && arguments.until.is_none()
        && let Some(attached) = machine.console()
    {
        print::progress("console attached; Ctrl-] lets go of it and ends the VM");
        let raw = RawTerminal::enter(&stdin)?;
        let result = attached.attach(&stdin, &mut io::stdout(), ESCAPE);
        drop(raw);
        result?;
        machine.end(END)?;
        return Ok(Outcome::Fine);
    }
    let deadline = arguments.deadline.map(|seconds| (Instant::now() + Duration::from_secs(seconds), seconds));
    let seen = || arguments.until.as_ref().is_some_and(|text| console.text().contains(text.as_str()));
    let mut shown = 0;
    let outcome = loop {
        shown = console.show_from(shown);
        if let Some(exit) = machine.wait(TICK) {
            break match exit.cause {
                ExitCause::Ended if arguments.until.is_none() || seen() => Ok(Outcome::Fine),
                ExitCause::Ended => Err(Failure::new("the VM ended without showing what was waited for")),
                ExitCause::Failed(how) => Err(fell(&format!("the monitor gave up ({how})"), &exit.messages)),
                ExitCause::Killed => Err(fell("its process was killed", &exit.messages)
                    .hint("if nobody did, the kernel did for want of memory: `journalctl -k` tells")),
            };
        }
        if seen() {
            machine.end(END)?;
            break Ok(Outcome::Fine);
        }
        if host.is_interrupted() {
            machine.end(END)?;
            break Err(Failure::new("interrupted; the VM was ended"));
        }
        if let Some((at, seconds)) = deadline
            && Instant::now() >= at
        {
            machine.end(END)?;
            break match &arguments.until {
                None => Ok(Outcome::Fine),
                Some(text) => Err(Failure::new(format!(
                    "the VM did not show {text:?} within {seconds} s; {}",
                    console.last_words(20)
                ))),
            };
        }
    };
    // What came since the last look, the text that was waited for among it.
    console.show_from(shown);
    outcome
}

/// A VM that ended as it should not; what its monitor said is told, if it said something.
fn fell(how: &str, messages: &str) -> Failure {
    let said = messages.trim_end();
    let gap = if said.is_empty() { "" } else { "\n" };
    Failure::new(format!("the VM ended: {how}{gap}{said}"))
}

/// What the guest's console has shown.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

/// More of a console is not kept: its beginning is what tells of a boot, and nobody reads on.
const HEARD_BYTES: usize = 16 << 20;

impl Heard {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Prints what came since; gives the place to go on from.
    fn show_from(&self, shown: usize) -> usize {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = bytes.get(shown..).unwrap_or_default();
        // A screen that is gone does not end the guest.
        let _ = io::stdout().write_all(news).and_then(|()| io::stdout().flush());
        bytes.len()
    }

    /// The last lines, as the end of a sentence.
    fn last_words(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        match lines.get(lines.len().saturating_sub(count)..) {
            None | Some([]) => "its console showed nothing".to_owned(),
            Some(lines) => format!("its console ends:\n{}", lines.join("\n")),
        }
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEARD_BYTES.saturating_sub(heard.len());
        heard.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
