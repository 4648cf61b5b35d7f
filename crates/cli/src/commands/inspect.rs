mod watch;

use std::mem::ManuallyDrop;
use std::path::PathBuf;

use slotwise_core::facts::FunctionFacts;
use slotwise_core::pci::{ClassCode, IdPattern, PciAddress, PciId, Selector, SlotPattern};
use slotwise_core::report::{Names, picture, text, wire};
use slotwise_core::topology::Topology;
use slotwise_host::uevent::Uevents;

use crate::error::{Failure, Outcome};
use crate::names::PciNames;
use crate::{print, source};

/// Show what is here: devices, groups, IOMMU, interrupts, drivers
///
/// Patterns are those of lspci: parts that are left out match anything, numbers are hexadecimal.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these functions: [[DOMAIN:]BUS:]DEVICE[.FUNCTION] or VENDOR:DEVICE[:CLASS]; several add up
    #[arg(value_name = "SELECTOR")]
    only: Vec<Selector>,
    /// Only functions at this place: [[[[DOMAIN]:]BUS]:][DEVICE][.[FUNCTION]]
    #[arg(short = 's', long = "slot", value_name = "PLACE")]
    slot: Option<SlotPattern>,
    /// Only functions with these ids: [VENDOR]:[DEVICE][:CLASS[:INTERFACE]]
    #[arg(short = 'd', long = "device", value_name = "IDS")]
    device: Option<IdPattern>,
    /// Read this instead of the running host: a capture, a directory with sys/ and proc/, or a text (- for standard input)
    ///
    /// A text is what lspci, a listing of IOMMU groups, `udevadm info -e`, `acpidump` or the kernel log say; it is recognised from
    /// its content.
    #[arg(long, value_name = "SOURCE")]
    from: Option<PathBuf>,
    /// One line a function instead of a tree
    #[arg(long)]
    table: bool,
    /// Print JSON (slotwise.inspect/1)
    #[arg(long)]
    json: bool,
    /// Write a picture of the buses to this file, as one page of HTML (- for standard output)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "table", "watch"])]
    html: Option<PathBuf>,
    /// Write a picture of the buses to this file, as one drawing in SVG (- for standard output)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "table", "watch"])]
    svg: Option<PathBuf>,
    /// Go on and tell what happens: drivers bound and unbound, functions plugged in and gone; Ctrl-C ends
    ///
    /// With --json one object a line.
    #[arg(long, conflicts_with = "from")]
    watch: bool,
}

impl Arguments {
    fn selects(&self, function: &FunctionFacts) -> bool {
        let (id, class) = (function.id.known().copied(), function.class.known().copied());
        self.means(function.address, id, class)
    }

    fn means(&self, address: PciAddress, id: Option<PciId>, class: Option<ClassCode>) -> bool {
        let named = |selector: &Selector| selector.matches(address, id, class);
        (self.only.is_empty() || self.only.iter().any(named))
            && self.slot.is_none_or(|pattern| pattern.matches(address))
            && self.device.is_none_or(|pattern| pattern.matches(id, class))
    }

    fn selects_all(&self) -> bool {
        self.only.is_empty() && self.slot.is_none() && self.device.is_none()
    }
}

/// Draws the functions that are shown of a host.
type Draw = fn(&Topology, &dyn Names, &dyn Fn(PciAddress) -> bool) -> String;

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    // Before reading, so that nothing is missed in between.
    let events = if arguments.watch { Some(Uevents::open()?) } else { None };
    // This thread works with the others instead of waiting for them. A pool that is there already does as well.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    let (names, topology) = PciNames::and_topology(source::facts(arguments.from.as_deref())?);
    // Not dropped: to free many small things before the process ends takes a fortieth of its time.
    let topology = ManuallyDrop::new(topology);
    let selected = |address: PciAddress| topology.function(address).is_some_and(|f| arguments.selects(f));
    if !arguments.watch && !arguments.only.is_empty() && !topology.functions().any(|f| arguments.selects(f)) {
        return Err(
            Failure::new("no function is selected").hint("`slotwise inspect` without a selector shows all")
        );
    }
    if let Some(events) = events {
        return watch::run(&events, &names, arguments.json, |e| arguments.means(e.address, e.id, e.class));
    }
    if arguments.html.is_some() || arguments.svg.is_some() {
        for (path, draw) in [(&arguments.html, picture::html as Draw), (&arguments.svg, picture::svg)] {
            if let Some(path) = path {
                print::into(path, &draw(&topology, &names, &selected))?;
            }
        }
    } else if arguments.json {
        let inspect = wire::v1::Inspect::new(&topology, &names, &selected);
        print::json_parts(&inspect.parts())?;
    } else if arguments.table || !arguments.selects_all() {
        print::text(&text::table(&topology, &names, &selected))?;
    } else {
        print::text(&text::tree(&topology, &names, &selected))?;
    }
    Ok(Outcome::Fine)
}
