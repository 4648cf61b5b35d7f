//! `slotwise.inspect/1`.
//!
//! A host of ten thousand functions makes a text of tens of megabytes. So nothing of a function is built before it is
//! written, and the text comes in parts that whoever has several processors can have written at the same time.

mod function;
mod host;
mod space;
mod written;

use serde::ser::{SerializeSeq as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use serde_json::ser::{Formatter as _, PrettyFormatter};

use crate::facts::{Facts, FunctionFacts, ReservedKind, ReservedRegion};
use crate::pci::PciAddress;
use crate::report::Names;
use crate::report::reserved::told_once;
use crate::topology::Topology;
use written::{Addresses, Hex};

const SCHEMA: &str = "slotwise.inspect/1";

/// Functions that one part of the text holds: enough to be worth handing to a processor.
const PER_PART: usize = 16;

/// A host, or some of its functions; groups are always whole.
pub struct Inspect<'t> {
    topology: &'t Topology,
    names: &'t (dyn Names + Sync),
    functions: Vec<&'t FunctionFacts>,
}

impl std::fmt::Debug for Inspect<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspect").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}

/// A piece of the text of an [`Inspect`]; all of them in their order are the text.
#[derive(Debug)]
pub struct InspectPart<'i, 't> {
    host: &'i Inspect<'t>,
    what: Piece<'i, 't>,
}

#[derive(Debug)]
enum Piece<'i, 't> {
    /// Up to the list of functions.
    Head,
    /// Some functions; the first of them has a comma before it unless it is the first of all.
    Functions { functions: &'i [&'t FunctionFacts], first: bool },
    /// From behind the list of functions on.
    Tail,
}

#[derive(Debug, Serialize)]
struct Head<'t> {
    schema: &'static str,
    source: Source,
    iommu: Iommu<'t>,
    host: host::Host<'t>,
}

#[derive(Debug, Serialize)]
struct Tail<'t> {
    groups: Vec<Group<'t>>,
    faults: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Source {
    kind: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Iommu<'t> {
    state: &'static str,
    vendor: &'static str,
    interrupt_remapping: &'static str,
    reserved: Vec<Reserved>,
    /// Ranges that no DMA may use at all; no mapping is needed for them.
    unusable: Vec<Reserved>,
    evidence: Vec<Evidence<'t>>,
}

#[derive(Clone, Debug, Serialize)]
struct Evidence<'t> {
    source: &'t str,
    text: &'t str,
}

#[derive(Clone, Debug, Serialize)]
struct Reserved {
    kind: &'static str,
    start: Hex,
    end: Hex,
    devices: Vec<written::Address>,
}

#[derive(Clone, Debug, Serialize)]
struct Group<'t> {
    id: u32,
    members: Addresses<'t>,
}

impl<'t> Inspect<'t> {
    /// The wire form of the functions that are `shown`.
    #[must_use]
    pub fn new(
        topology: &'t Topology,
        names: &'t (dyn Names + Sync),
        shown: &dyn Fn(PciAddress) -> bool,
    ) -> Self {
        Self { topology, names, functions: topology.functions().filter(|f| shown(f.address)).collect() }
    }

    /// The text in parts, in their order. They do not depend on each other.
    #[must_use]
    pub fn parts(&self) -> Vec<InspectPart<'_, 't>> {
        let some = self.functions.chunks(PER_PART).enumerate();
        let pieces = some.map(|(n, functions)| Piece::Functions { functions, first: n == 0 });
        let pieces = std::iter::once(Piece::Head).chain(pieces).chain([Piece::Tail]);
        pieces.map(|what| InspectPart { host: self, what }).collect()
    }

    fn head(&self) -> Head<'t> {
        let facts = self.topology.facts();
        Head {
            schema: SCHEMA,
            source: Source { kind: facts.origin.kind().name() },
            iommu: Iommu {
                state: facts.iommu.state.name(),
                vendor: facts.iommu.vendor.name(),
                interrupt_remapping: facts.iommu.interrupt_remapping.name(),
                reserved: ranges(facts, |kind| kind != ReservedKind::Reserved),
                unusable: ranges(facts, |kind| kind == ReservedKind::Reserved),
                evidence: facts.iommu.evidence.iter().map(evidence).collect(),
            },
            host: host::Host::new(facts),
        }
    }

    fn function(&self, facts: &'t FunctionFacts) -> function::Function<'t> {
        function::Function::new(self.topology, facts, self.names)
    }

    fn tail(&self) -> Tail<'t> {
        let group = |(id, members): (&crate::facts::GroupId, &'t Vec<PciAddress>)| Group {
            id: id.0,
            members: Addresses(members),
        };
        Tail {
            groups: self.topology.groups().iter().map(group).collect(),
            faults: self.topology.facts().faults.iter().map(ToString::to_string).collect(),
        }
    }
}

impl InspectPart<'_, '_> {
    /// Adds the text of this part, in UTF-8.
    ///
    /// # Errors
    /// If something has no form in JSON, which nothing of a host is.
    pub fn write(&self, text: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self.what {
            Piece::Head => {
                pretty(&self.host.head(), 0, text)?;
                // The object goes on.
                text.truncate(text.len().saturating_sub("\n}".len()));
                text.extend_from_slice(b",\n  \"functions\": [");
            }
            Piece::Functions { functions, first } => {
                for (n, facts) in functions.iter().enumerate() {
                    let separator = if first && n == 0 { "\n    " } else { ",\n    " };
                    text.extend_from_slice(separator.as_bytes());
                    pretty(&self.host.function(facts), 2, text)?;
                }
            }
            Piece::Tail => {
                let end = if self.host.functions.is_empty() { "]," } else { "\n  ]," };
                text.extend_from_slice(end.as_bytes());
                // The object has begun.
                let from = text.len();
                pretty(&self.host.tail(), 0, text)?;
                text.remove(from);
            }
        }
        Ok(())
    }
}

/// Adds `value` as it stands `depth` levels deep in a text.
fn pretty(value: &impl Serialize, depth: usize, text: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut formatter = PrettyFormatter::new();
    let mut elsewhere = Vec::new();
    for _ in 0..depth {
        formatter.begin_array(&mut elsewhere).map_err(serde_json::Error::io)?;
    }
    value.serialize(&mut serde_json::Serializer::with_formatter(text, formatter))
}

impl Serialize for Inspect<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (head, tail) = (self.head(), self.tail());
        let mut host = serializer.serialize_struct("Inspect", 7)?;
        host.serialize_field("schema", &head.schema)?;
        host.serialize_field("source", &head.source)?;
        host.serialize_field("iommu", &head.iommu)?;
        host.serialize_field("host", &head.host)?;
        host.serialize_field("functions", &Functions(self))?;
        host.serialize_field("groups", &tail.groups)?;
        host.serialize_field("faults", &tail.faults)?;
        host.end()
    }
}

struct Functions<'i, 't>(&'i Inspect<'t>);

impl Serialize for Functions<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(host) = self;
        let mut functions = serializer.serialize_seq(Some(host.functions.len()))?;
        for facts in &host.functions {
            functions.serialize_element(&host.function(facts))?;
        }
        functions.end()
    }
}

fn ranges(facts: &Facts, wanted: impl Fn(ReservedKind) -> bool) -> Vec<Reserved> {
    told_once(&facts.iommu.reserved).iter().filter(|region| wanted(region.kind)).map(reserved).collect()
}

fn evidence((source, text): &(String, String)) -> Evidence<'_> {
    Evidence { source, text }
}

fn reserved(region: &ReservedRegion) -> Reserved {
    Reserved {
        kind: region.kind.name(),
        start: Hex::number(region.start),
        end: Hex::number(region.end),
        devices: region.devices.iter().copied().map(written::Address).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::NoNames;
    use crate::topology::fixture::{BENCH, topology};

    fn in_parts(inspect: &Inspect<'_>) -> String {
        let mut text = Vec::new();
        inspect.parts().iter().try_for_each(|part| part.write(&mut text)).expect("a text");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn parts_make_the_same_text_as_the_whole() {
        let many: String = (0..3 * PER_PART)
            .map(|n| format!("device 0000:{:02x}:{:02x}.0 class=010000 group={n}\n", n / 32, n % 32))
            .collect();
        for host in ["", BENCH, &many] {
            let topology = topology(host);
            for shown in [&(|_| true) as &dyn Fn(PciAddress) -> bool, &|_| false] {
                let inspect = Inspect::new(&topology, &NoNames, shown);
                let whole = serde_json::to_string_pretty(&inspect).expect("a text");
                assert_eq!(in_parts(&inspect), whole);
            }
        }
    }
}
