//! What a host shows now beside what its log says: the devices of a finding, their groups, who shares their interrupt,
//! and whether what the log complains of is still so.
//!
//! A log is of the past. Where the host shows the opposite now, the finding says so instead of sending its reader after
//! something that is mended; nothing is taken back, because the host may be in that state again at the next boot. Only
//! where one line may have come of two causes does the host decide between them: what it still shows comes first.

use super::{Diagnosis, Finding, Kind};
use crate::facts::{FunctionFacts, Switch};
use crate::pci::PciAddress;
use crate::topology::Topology;

/// Devices of a finding that are looked up at most.
const DEVICES: usize = 4;

/// How a fact of the host bears on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// The host still shows what the log says.
    Confirms,
    /// The host shows the opposite now.
    SinceFixed,
    /// Neither: what the device is, and what it belongs to.
    Context,
}

/// What the host shows of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFact {
    /// The device, if it is about one.
    pub device: Option<PciAddress>,
    /// How it bears on the finding.
    pub bearing: Bearing,
    /// What is so, in one sentence without a full stop.
    pub text: String,
}

impl Diagnosis {
    /// Puts beside each fault what the host shows now.
    pub fn join(&mut self, host: &Topology) {
        for finding in self.findings.iter_mut().filter(|finding| finding.cause.kind == Kind::Fault) {
            finding.host = facts(finding, host);
        }
        decide(&mut self.findings);
    }
}

/// Of two faults that the same line shows, the one that the host confirms changes places with one that it contradicts.
/// Their confidences stay where they are: what speaks for the line is now the other's.
fn decide(findings: &mut [Finding]) {
    for first in 0..findings.len() {
        let bears = |finding: &Finding, bearing| finding.host.iter().any(|fact| fact.bearing == bearing);
        let Some((before, after)) = findings.split_at_mut_checked(first + 1) else { return };
        let Some(contradicted) = before.last_mut() else { return };
        if !bears(contradicted, Bearing::SinceFixed) || bears(contradicted, Bearing::Confirms) {
            continue;
        }
        let line = |finding: &Finding| finding.evidence.first().map(|e| (e.input.clone(), e.line));
        let same = |other: &&mut Finding| {
            bears(other, Bearing::Confirms) && line(other).is_some() && line(other) == line(contradicted)
        };
        if let Some(confirmed) = after.iter_mut().find(same) {
            std::mem::swap(contradicted, confirmed);
            std::mem::swap(&mut contradicted.confidence, &mut confirmed.confidence);
        }
    }
}

fn facts(finding: &Finding, host: &Topology) -> Vec<HostFact> {
    let mut facts: Vec<HostFact> = about_all(finding.cause.id, host).into_iter().collect();
    for address in finding.devices.iter().take(DEVICES) {
        let Some(function) = host.function(*address) else {
            let gone = format!("the host has no device at {address} now");
            let bearing = match finding.cause.id {
                "name-changed-after-slot-move" | "pcie-link-dead" | "vf-not-enabled" => Bearing::Confirms,
                _ => Bearing::Context,
            };
            facts.push(HostFact { device: Some(*address), bearing, text: gone });
            continue;
        };
        facts.extend(about(finding.cause.id, function, host));
        facts.extend(context(function, host));
    }
    facts
}

/// What concerns the host as a whole.
fn about_all(cause: &str, host: &Topology) -> Option<HostFact> {
    let iommu = &host.facts().iommu;
    let (bearing, text) = match (cause, iommu.state, iommu.interrupt_remapping) {
        ("iommu-disabled" | "acpi-dmar-broken" | "iommu-unsupported", Switch::On, _) => {
            let groups = iommu.groups.len();
            (
                Bearing::SinceFixed,
                format!("the log says that there is no IOMMU, the host shows {groups} IOMMU groups"),
            )
        }
        ("iommu-disabled" | "acpi-dmar-broken" | "iommu-unsupported", Switch::Off, _) => {
            (Bearing::Confirms, "the host's IOMMU is off".to_owned())
        }
        ("no-intremap", _, Switch::On) => (
            Bearing::SinceFixed,
            "the log says that interrupts are not remapped, the host shows that they are".to_owned(),
        ),
        ("no-intremap", _, Switch::Off) => {
            (Bearing::Confirms, "the host does not remap interrupts".to_owned())
        }
        _ => return None,
    };
    Some(HostFact { device: None, bearing, text })
}

/// What concerns a device, by the cause.
fn about(cause: &str, function: &FunctionFacts, host: &Topology) -> Option<HostFact> {
    let address = function.address;
    let (bearing, text) = match cause {
        "group-not-viable" => match held_members(address, host).as_slice() {
            [] => (
                Bearing::SinceFixed,
                format!(
                    "the log says that the group of {address} was not viable, the host shows no member on a driver of its own"
                ),
            ),
            held => (Bearing::Confirms, format!("the group of {address} still has {}", held.join(", "))),
        },
        "device-not-bound" | "host-driver-in-use" | "driver-autobind-race" => match driver(function) {
            Some(bound) if is_vfio(bound) => (
                Bearing::SinceFixed,
                format!("the log says that {address} was not on VFIO, the host shows it on {bound}"),
            ),
            Some(bound) => (Bearing::Confirms, format!("{address} is on {bound}")),
            None => (Bearing::Confirms, format!("{address} has no driver")),
        },
        "intx-shared" => {
            let line = host.line(address)?;
            match sharers(&line, address, host).as_slice() {
                [] => (
                    Bearing::SinceFixed,
                    format!(
                        "the log says that the interrupt of {address} was shared, the host shows nobody else on {line}"
                    ),
                ),
                names => {
                    (Bearing::Confirms, format!("{line} of {address} is shared with {}", names.join(", ")))
                }
            }
        }
        "name-changed-after-slot-move" => {
            (Bearing::Context, format!("at {address} the host has {} now", what(function)))
        }
        "vf-not-enabled" => {
            let count = *function.sriov.num_vfs.known()?;
            if count == 0 {
                (Bearing::Confirms, format!("{address} has no virtual functions"))
            } else {
                (
                    Bearing::SinceFixed,
                    format!("the log misses virtual functions, the host shows {count} of {address}"),
                )
            }
        }
        _ => return None,
    };
    Some(HostFact { device: Some(address), bearing, text })
}

/// What a device is, its group, and who shares its interrupt.
fn context(function: &FunctionFacts, host: &Topology) -> Vec<HostFact> {
    let address = function.address;
    let fact = |text: String| HostFact { device: Some(address), bearing: Bearing::Context, text };
    let mut facts = vec![fact(format!(
        "{address} is {}{}",
        what(function),
        driver(function).map(|driver| format!(", on {driver}")).unwrap_or_default()
    ))];
    if let Some(group) = function.group.known() {
        let members: Vec<String> = host
            .group_members(address)
            .iter()
            .filter(|member| **member != address)
            .map(ToString::to_string)
            .collect();
        let others =
            if members.is_empty() { "alone".to_owned() } else { format!("with {}", members.join(", ")) };
        facts.push(fact(format!("{address} is in IOMMU group {group} {others}")));
    }
    if let Some(line) = host.line(address) {
        let names = sharers(&line, address, host);
        if !names.is_empty() {
            facts.push(fact(format!("{line} of {address} is also used by {}", names.join(", "))));
        }
    }
    facts
}

fn what(function: &FunctionFacts) -> String {
    match function.id.known() {
        Some(id) => format!("[{id}]"),
        None => "a device".to_owned(),
    }
}

fn driver(function: &FunctionFacts) -> Option<&str> {
    function.driver.known().map(crate::facts::DriverName::as_str)
}

/// Whether a driver hands devices on: vfio-pci and its variants.
fn is_vfio(driver: &str) -> bool {
    driver.ends_with("vfio-pci") || driver.ends_with("vfio_pci")
}

/// Members of a device's group that a host driver holds (Linux `iommu_device_use_default_domain`; bridges on `pcieport`
/// and anything on `pci-stub` leave DMA alone).
fn held_members(address: PciAddress, host: &Topology) -> Vec<String> {
    let members = host.group_members(address).iter().filter_map(|member| host.function(*member));
    members
        .filter_map(|member| driver(member).map(|driver| (member.address, driver)))
        .filter(|(_, driver)| !is_vfio(driver) && !matches!(*driver, "pcieport" | "pci-stub"))
        .map(|(member, driver)| format!("{member} on {driver}"))
        .collect()
}

fn sharers(line: &crate::topology::LineReading, address: PciAddress, host: &Topology) -> Vec<String> {
    host.sharers(line.irq, address).iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Input, diagnose};
    use crate::topology::fixture::topology;

    /// vfio-pci refuses with -22 both what has no group and what is a bridge.
    const REFUSED: &[u8] = b"vfio-pci: probe of 0000:01:00.0 failed with error -22";

    fn first(host: &str) -> (&'static str, bool) {
        let mut diagnosis = diagnose(&[Input { name: "dmesg", bytes: REFUSED }]);
        diagnosis.join(&topology(host));
        let ranked = diagnosis.findings.windows(2).all(|two| match two {
            [first, second] => first.confidence >= second.confidence || first.cause.kind != second.cause.kind,
            _ => true,
        });
        (diagnosis.findings[0].cause.id, ranked)
    }

    #[test]
    fn the_host_decides_between_causes_of_one_line() {
        let bridge = "device 0000:01:00.0 class=060400 group=8";
        assert_eq!(first(&format!("{bridge}\niommu off")), ("iommu-disabled", true));
        assert_eq!(first(&format!("{bridge}\niommu on")), ("device-not-bound", true));
    }
}
