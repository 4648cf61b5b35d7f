use std::path::PathBuf;

use slotwise_core::assume::{self, AssumeError, Assumption};
use slotwise_core::plan::{self, Plan, PlanError, Verdict};
use slotwise_core::report::{text, wire};
use slotwise_core::rules;
use slotwise_core::topology::Topology;

use crate::error::{Failure, Outcome};
use crate::spec::Spec;
use crate::{print, source};

/// Tell what will happen: findings, ordered steps, the VMs; changes nothing
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The spec file
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Plan for this instead of the running host: a capture, a directory with sys/ and proc/, or a text (- for standard input)
    #[arg(long, value_name = "SOURCE")]
    from: Option<PathBuf>,
    /// Plan for a host on which this holds: a card in another slot (03:04.0@slot=03:05.0, 03:04.0@swap=03:05.0), on
    /// another driver (03:04.0@driver=none), one more or less (add=9004:5078@03:06.0, remove=03:04.0), iommu=on|off,
    /// intremap=on|off, kernel=6.12.0, param=vfio_pci.nointxmask=N, cmdline=iommu=pt, VM@memory=4G. May be given several
    /// times; each holds on what the ones before it made
    #[arg(long, value_name = "WHAT")]
    assume: Vec<String>,
    /// Also tell for each rule and device why it did or did not fire
    #[arg(long, conflicts_with = "compare")]
    explain: bool,
    /// Hold the plan on two sources against each other, before and after an upgrade: will it still work, and what moved
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with_all = ["from", "assume", "output"])]
    compare: Option<Vec<PathBuf>>,
    /// Print JSON (slotwise.plan/1; with --compare slotwise.compare/1)
    #[arg(long)]
    json: bool,
    /// Also write the plan to this file, as JSON: `slotwise apply --plan` holds it against the host
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let mut spec = Spec::read(&arguments.spec)?;
    if let Some([before, after]) = arguments.compare.as_deref() {
        return compare(&spec, [before, after], arguments);
    }
    let assumptions =
        arguments.assume.iter().map(|text| text.parse()).collect::<Result<Vec<Assumption>, _>>();
    let assumptions = assumptions.map_err(Failure::hinted(AssumeError::hint))?;
    let facts = source::facts(arguments.from.as_deref())?;
    let (facts, request) =
        assume::assume(facts, spec.request, &assumptions).map_err(Failure::hinted(AssumeError::hint))?;
    spec.request = request;
    let topology = Topology::new(facts);
    let plan = make(&spec, &topology)?;
    if let Some(path) = &arguments.output {
        let text = serde_json::to_string_pretty(&wire::v1::Plan::new(&plan))?;
        std::fs::write(path, text + "\n")
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    let explanations = arguments.explain.then(|| rules::explain(&topology, plan.assignment()));
    if arguments.json {
        let whole = wire::v1::Plan::new(&plan);
        print::json(&match &explanations {
            Some(list) => whole.explained(list),
            None => whole,
        })?;
    } else {
        print::text(&text::plan(&plan))?;
        if let Some(list) = &explanations {
            print::text(&text::explanations(list))?;
        }
    }
    Ok(if plan.verdict == Verdict::Blocked { Outcome::Found } else { Outcome::Fine })
}

fn compare(spec: &Spec, sources: [&PathBuf; 2], arguments: &Arguments) -> Result<Outcome, Failure> {
    let [before, after] = sources.map(|source| source::facts(Some(source)).map(Topology::new));
    let comparison = match plan::compare(&spec.request, &before?, &after?) {
        Ok(comparison) => comparison,
        Err(error) if error.faults().is_empty() => return Err(Failure::from(error)),
        Err(error) => return Err(spec.faulty(error.faults())),
    };
    if arguments.json {
        print::json(&wire::v1::Compare::new(&comparison))?;
    } else {
        print::text(&text::compare(&comparison))?;
    }
    Ok(if comparison.after == Verdict::Blocked { Outcome::Found } else { Outcome::Fine })
}

/// Plans a spec on a host; faults are shown in the spec.
pub(super) fn make(spec: &Spec, topology: &Topology) -> Result<Plan, Failure> {
    match plan::plan(&spec.request, topology) {
        Ok(plan) => Ok(plan),
        Err(PlanError::Request(faults)) => Err(spec.faulty(&faults)),
        Err(error @ PlanError::Steps(_)) => Err(Failure::from(error)),
    }
}
