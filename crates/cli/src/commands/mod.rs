//! The commands, a file each.

mod apply;
mod attach;
mod bisect;
mod capture;
mod detach;
mod diagnose;
mod explain;
mod inspect;
mod lab;
mod plan;
mod render;
mod run;
mod status;
mod test;
mod undo;

use clap::{Parser, Subcommand};

use crate::error::{Failure, Outcome};

/// Hand PCI devices to virtual machines, and know beforehand whether it will work
///
/// Exit status: 0 fine; 1 a finding that blocks, a failed test, a fault diagnosed; 2 could not do the work.
#[derive(Debug, Parser)]
#[command(name = "slotwise", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Capture(capture::Arguments),
    Plan(plan::Arguments),
    Apply(apply::Arguments),
    Undo(undo::Arguments),
    Status(status::Arguments),
    Run(run::Arguments),
    Attach(attach::Arguments),
    Detach(detach::Arguments),
    Render(render::Arguments),
    Test(test::Arguments),
    Bisect(bisect::Arguments),
    Diagnose(diagnose::Arguments),
    Lab(lab::Arguments),
    Explain(explain::Arguments),
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Result<Outcome, Failure> {
    match cli.command {
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Capture(arguments) => capture::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Apply(arguments) => apply::run(&arguments),
        Command::Undo(arguments) => undo::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Attach(arguments) => attach::run(&arguments),
        Command::Detach(arguments) => detach::run(&arguments),
        Command::Render(arguments) => render::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bisect(arguments) => bisect::run(&arguments),
        Command::Diagnose(arguments) => diagnose::run(&arguments),
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn every_command_and_flag_has_help() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                let has_help = argument.get_help().is_some();
                assert!(has_help, "{} {} has no help", command.get_name(), argument.get_id());
            }
        }
    }
}
