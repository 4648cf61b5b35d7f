mod firmware;
mod machine;
mod relay;

use std::time::Duration;

use clap::Subcommand;
use slotwise_core::report::{Role, Text};
use slotwise_lab::{Command as LabCommand, LabHost, Machine, Session};

use self::machine::MachineArguments;
use crate::error::{Failure, Outcome};
use crate::print;

/// The virtual lab: a host with an IOMMU, bridges, cards and faults, without any hardware
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the machines that are built in, and what can be changed on them
    List,
    /// Boot a machine and keep it up until Ctrl-C, for `lab run` and `lab shell` from other terminals
    Up(MachineArguments),
    /// Run a command in a machine that is up, or boot one just for it
    Run {
        #[command(flatten)]
        machine: MachineArguments,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Open a shell in a machine that is up, or boot one just for it
    Shell(MachineArguments),
    Firmware(firmware::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    match &arguments.command {
        Command::List => list(),
        Command::Up(machine) => up(machine),
        Command::Run { machine, command } => {
            in_lab(machine, |session| relay::run(session, &LabCommand::new(command.iter().cloned())))
        }
        Command::Shell(machine) => in_lab(machine, relay::shell),
        Command::Firmware(arguments) => firmware::run(arguments),
    }
}

fn list() -> Result<Outcome, Failure> {
    let mut text = Text::default();
    for (name, summary) in Machine::list() {
        text.line(Role::Strong, name).add(Role::Plain, format!("  {summary}"));
        for (fault, declared) in Machine::builtin(name)?.faults() {
            text.line(Role::Caution, format!("  --fault {fault}"));
            text.add(Role::Faint, format!("  {}", declared.summary));
        }
    }
    text.gap().line(Role::Faint, "A path to a TOML file in place of a name takes a machine of your own.");
    print::text(&text)?;
    Ok(Outcome::Fine)
}

fn up(arguments: &MachineArguments) -> Result<Outcome, Failure> {
    let interrupted = relay::interrupts()?;
    let (machine, mut host) = boot(arguments)?;
    let name = machine.name().to_owned();
    host.share(&name)?;
    print::progress(&format!("{name} is up; Ctrl-C ends it. `slotwise lab shell {name}` opens a shell."));
    while host.is_running() && !interrupted.load(std::sync::atomic::Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    if !host.is_running() {
        return Err(Failure::new(format!(
            "the lab host ended by itself; its last words:\n{}",
            host.console_tail()
        )));
    }
    host.shutdown();
    Ok(Outcome::Fine)
}

/// Does something in a lab host that is up under the machine's name, else in one booted for it.
fn in_lab(
    arguments: &MachineArguments,
    work: impl FnOnce(&Session) -> Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    let machine = arguments.machine()?;
    if !arguments.is_changed()
        && let Ok(session) = Session::join(machine.name())
    {
        return work(&session);
    }
    let (_, host) = boot(arguments)?;
    let outcome = work(host.session());
    host.shutdown();
    outcome
}

fn boot(arguments: &MachineArguments) -> Result<(Machine, LabHost), Failure> {
    let machine = arguments.machine()?;
    let artifacts = machine::artifacts(&machine)?;
    let host = LabHost::boot(&machine, &artifacts, &arguments.boot_options(), &print::progress)?;
    for complaint in host.complaints() {
        print::note(Role::Caution, "the lab host says", complaint);
    }
    print::progress(&format!("up in {:.1} s", host.boot_time().as_secs_f64()));
    Ok((machine, host))
}
