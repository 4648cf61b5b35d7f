use std::path::PathBuf;

use slotwise_backend::Backend;
use slotwise_core::topology::Topology;

use super::plan;
use crate::error::{Failure, Outcome};
use crate::spec::Spec;
use crate::{launch, print, source};

/// Show the command line that launches a VM
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Which VM of it
    #[arg(value_name = "VM")]
    vm: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let spec = Spec::read(&arguments.spec)?;
    let plan = plan::make(&spec, &Topology::new(source::this_host()?))?;
    let vm = launch::vm(&plan, &arguments.vm)?;
    let files = launch::boot_files(&launch::guest(vm)?)?;
    let machine = launch::describe(vm, &files).map_err(|error| Failure::new(error.to_string()))?;
    let text = launch::backend(vm)?.render(&machine)?;
    print::plain(&format!("{}\n", text.trim_end()))?;
    Ok(Outcome::Fine)
}
