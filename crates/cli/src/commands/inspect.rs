use std::path::PathBuf;

use slotwise_core::pci::PciAddress;
use slotwise_core::report::{text, wire};
use slotwise_core::topology::Topology;

use crate::error::{Failure, Outcome};
use crate::names::PciNames;
use crate::{print, source};

/// Show what is here: devices, groups, IOMMU, interrupts, drivers
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these functions: addresses, with or without domain
    #[arg(value_name = "ADDRESS")]
    only: Vec<PciAddress>,
    /// Read this instead of the running host: a capture, or a directory that holds sys/ and proc/ of some host
    #[arg(long, value_name = "SOURCE")]
    from: Option<PathBuf>,
    /// One line a function instead of a tree
    #[arg(long)]
    table: bool,
    /// Print JSON (slotwise.inspect/1)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let topology = Topology::new(source::facts(arguments.from.as_deref())?);
    for address in &arguments.only {
        if topology.function(*address).is_none() {
            return Err(Failure::new(format!("there is no function {address}"))
                .hint("`slotwise inspect` without an address shows all"));
        }
    }
    let shown = |address: PciAddress| arguments.only.is_empty() || arguments.only.contains(&address);
    let names = PciNames::of(&topology);
    if arguments.json {
        print::json(&wire::v1::Inspect::new(&topology, &names, &shown))?;
    } else if arguments.table || !arguments.only.is_empty() {
        print::text(&text::table(&topology, &names, &shown))?;
    } else {
        print::text(&text::tree(&topology, &names, &shown))?;
    }
    Ok(Outcome::Fine)
}
