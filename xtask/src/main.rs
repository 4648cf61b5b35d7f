//! `cargo xtask`: build, demo, test and measure Slotwise. CI runs the same commands.

mod agent_i386;
mod bench;
mod build;
mod check;
mod demo;
mod deny;
mod fuzz;
mod generate;
mod mutation;
mod oracle;
mod packages;
mod peers;
mod placement;
mod planning;
mod random;
mod score;
mod story;
mod tidy;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What any task may fail with.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Build, demo, test and measure Slotwise")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Play the main job in the virtual lab: from a spec to a tested SCSI device
    Demo,
    /// Run everything that CI checks
    Test {
        /// Leave out the stages that boot the lab
        #[arg(long)]
        fast: bool,
    },
    /// Let misfortunes happen in the virtual lab: kills, full disks, hung guests; the host must stay as it was
    Faults {
        /// Only misfortunes whose title contains this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Run the suites of any PCI function in the virtual lab, on cards given to a guest
    Functions,
    /// Hot-plug a card in the virtual lab, and take it back
    Attach,
    /// Build all programs, static, into target/dist
    Dist,
    /// Install the distribution's packages that demo and tests need
    Setup,
    /// Measure the parts of the main job beside the figures made by hand
    Bench {
        /// Only this part
        part: Option<bench::Part>,
    },
    /// Make a host up, of any size, as a directory that `slotwise inspect --from` and lspci read
    Tree {
        /// How many PCI functions it has
        functions: usize,
        /// An empty directory
        directory: PathBuf,
    },
    /// What `bench reading` runs, in an optimised build
    #[command(hide = true)]
    MeasureReading {
        /// Where the programs are
        folder: PathBuf,
    },
    /// Make the pages of reference that come from the code
    Gen {
        /// Write nothing; fail if a page is not as the code makes it
        #[arg(long)]
        check: bool,
    },
    /// Hold the PCI decoder against lspci, field by field
    Oracle,
    /// Measure how many defects of a firmware the SCSI-2 suite finds
    Mutation {
        /// Only defects whose name contains one of these
        only: Vec<String>,
        /// Write down which case finds which defect; tests try that case first
        #[arg(long, conflicts_with = "only")]
        note: bool,
    },
    /// Throw damaged input at everything that reads from outside
    Fuzz {
        /// Only this target
        target: Option<String>,
        /// Time for each target
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Hold the SCSI-2 suite against targets of others, and beside iscsi-test-cu
    Peers {
        /// Only these
        peer: Vec<peers::Peer>,
        /// Of the firmware's defects only each so many
        #[arg(long, default_value_t = 1)]
        every: usize,
    },
    /// Plan each scenario of testdata/scenarios, then really try it in the lab, and count how often the plan was right
    Score {
        /// Only those of the short form, which CI runs
        #[arg(long)]
        short: bool,
        /// Only scenarios whose name contains this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Take over what came right in an earlier run of the same programs
        #[arg(long)]
        resume: bool,
        /// Write the result to docs/reference/score.md
        #[arg(long, conflicts_with_all = ["short", "only"])]
        write: bool,
    },
    /// Foretell where firmware places the BARs of generated machines, start them, and compare
    Placement {
        /// Only those that CI starts
        #[arg(long)]
        short: bool,
        /// Only machines whose name contains this, with all their BARs
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Write the result to docs/reference/placement.md
        #[arg(long, conflicts_with_all = ["short", "only"])]
        write: bool,
    },
    /// Check what the compiler does not: where unsafe lives, what the core may use, file lengths
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Test { fast } => check::run(fast),
        Task::Faults { only } => {
            build::dist().and_then(|dist| story::faults::befall(&dist, only.as_deref().unwrap_or_default()))
        }
        Task::Functions => build::dist().and_then(|dist| story::functions::tell(&dist)),
        Task::Attach => build::dist().and_then(|dist| story::attach::play(&dist)),
        Task::Dist => build::dist().map(|dist| {
            // It needs Debian's archive; without it all else works.
            if let Err(error) = agent_i386::build(&dist) {
                eprintln!("warning: no agent for 32-bit guests: {error}");
            }
            println!("built into {}", dist.folder.display());
        }),
        Task::Setup => packages::ensure(),
        Task::Bench { part } => bench::run(part),
        Task::Tree { functions, directory } => tree::make(&directory, functions).map_err(Into::into),
        Task::MeasureReading { folder } => bench::reading::measure(&build::Dist { folder }),
        Task::Gen { check } => {
            generate::run(if check { generate::Stale::Refuse } else { generate::Stale::Write })
        }
        Task::Oracle => oracle::run(),
        Task::Mutation { note: true, .. } => mutation::note(),
        Task::Mutation { only, .. } => mutation::run(&only),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Peers { peer, every } => packages::ensure().and_then(|()| peers::run(&peer, every)),
        Task::Score { short, only, resume, write } => {
            score::run(&score::Wanted { short, only, resume, write })
        }
        Task::Placement { short, only, write } => placement::run(&placement::Wanted { short, only, write }),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}
