//! The registers of each capability, as lspci words them.
//!
//! A field is looked for in the line that lspci starts with a section (`DevCap:`), continuation lines included. One
//! that the installed lspci does not print is not counted.

use slotwise_core::facts::lspci::LspciCapability;
use slotwise_core::pci::capability::{
    AccessControlFlags, AdvancedErrorReporting, EnhancedAllocation, HyperTransport, HyperTransportKind, Msi,
    MsiX, PciX, PowerManagement, PowerState, ResizableBar, SrIov, TableLocation,
};
use slotwise_core::pci::{Bar, BarKind, Body, Capability};

use super::super::tally::Tally;
use super::{express, flag};

/// Compares fields of one capability.
pub(super) struct Check<'a> {
    name: &'static str,
    /// Section and text of each line, spaces folded.
    lines: Vec<(String, String)>,
    place: &'a str,
    tally: &'a mut Tally,
}

impl Check<'_> {
    /// Looks for `key` in a section (the description itself is the section ``) and compares what follows.
    pub(super) fn field(&mut self, field: &str, section: &str, key: &str, value: &str) {
        let field = format!("{}.{field}", self.name);
        let lines = self.lines.iter().filter(|(name, _)| name == section);
        let Some(rest) = lines.map(|(_, text)| text).find_map(|text| behind(text, key)) else { return };
        let end = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        if rest
            .strip_prefix(value)
            .is_some_and(|rest| end(rest) || !value.ends_with(|c: char| c.is_ascii_alphanumeric()))
        {
            self.tally.agree(&field);
        } else {
            let theirs: String = rest.chars().take(value.len() + 20).collect();
            self.tally.disagree(&field, self.place, &format!("{key}{value}"), &format!("{key}{theirs}"));
        }
    }

    pub(super) fn flag(&mut self, field: &str, section: &str, key: &str, value: impl Into<Option<bool>>) {
        if let Some(value) = value.into() {
            self.field(field, section, key, &flag(value).to_string());
        }
    }

    fn list(&mut self, field: &str, ours: &[String], theirs: &[String]) {
        self.tally.check(&format!("{}.{field}", self.name), self.place, &ours.join("; "), &theirs.join("; "));
    }
}

/// What follows `key` where it starts a word.
fn behind<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.match_indices(key).find_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let starts = before.is_none_or(|c| c == ' ' || c == '(');
        if starts { text.get(at + key.len()..) } else { None }
    })
}

/// Joins continuation lines to the section that they continue.
fn sections(theirs: &LspciCapability) -> Vec<(String, String)> {
    let mut lines = vec![(String::new(), theirs.text.clone())];
    for detail in &theirs.details {
        let folded = detail.split_whitespace().collect::<Vec<_>>().join(" ");
        let first = folded.split(' ').next().unwrap_or_default();
        match lines.last_mut() {
            Some((_, text)) if !first.ends_with(':') && lines_continue(first) => {
                text.push(' ');
                text.push_str(&folded);
            }
            _ => lines.push((first.to_owned(), folded.clone())),
        }
    }
    lines
}

/// `Region 0:`, `BAR 0:` and `Entry 0:` have their colon in the second word.
fn lines_continue(first: &str) -> bool {
    !matches!(first, "Region" | "BAR" | "Entry")
}

pub(super) fn check(ours: &Capability, theirs: &LspciCapability, place: &str, tally: &mut Tally) {
    let mut check = Check { name: ours.name, lines: sections(theirs), place, tally };
    let check = &mut check;
    match &ours.body {
        Body::PowerManagement(body) => power_management(check, body),
        Body::Agp(body) => {
            check.field("version", "", "AGP version ", &format!("{:x}.{:x}", body.version.0, body.version.1));
        }
        Body::SlotIdentification(body) => {
            let value = format!(
                "{} slots, First{}, chassis {:02x}",
                body.slots,
                flag(body.first_in_chassis),
                body.chassis
            );
            check.field("slots", "", "Slot ID: ", &value);
        }
        Body::Msi(body) => msi(check, body),
        Body::PciX(body) => pci_x(check, body),
        Body::HyperTransport(body) => hypertransport(check, body),
        Body::VendorSpecific(length) => check.field("length", "", "Len=", &format!("{length:02x}")),
        Body::DebugPort(body) => {
            check.field("place", "", "Debug port: ", &format!("BAR={} offset={:04x}", body.bar, body.offset));
        }
        Body::Subsystem(id) => {
            let ids = theirs.text.rsplit_once('[').map_or("", |(_, ids)| ids.trim_end_matches(']'));
            check.list("ids", &[id.to_string()], &[ids.to_owned()]);
        }
        Body::Express(body) => express::check(check, body),
        Body::MsiX(body) => msix(check, body),
        Body::SataHba(body) => {
            check.field("revision", "", "SATA HBA v", &format!("{}.{}", body.revision.0, body.revision.1));
        }
        Body::AdvancedFeatures(body) => {
            check.flag("flr", "AFCap:", "FLR", body.flr);
            check.flag("transactions-pending", "AFCap:", "TP", body.transactions_pending_capable);
            check.flag("pending", "AFStatus:", "TP", body.transactions_pending);
        }
        Body::EnhancedAllocation(body) => enhanced_allocation(check, body, theirs),
        body => extended(check, body, theirs),
    }
}

/// Capabilities of the extended list.
fn extended(check: &mut Check<'_>, body: &Body, theirs: &LspciCapability) {
    match body {
        Body::AdvancedErrorReporting(body) => error_reporting(check, body),
        Body::SerialNumber(number) => {
            let bytes: Vec<String> = number.to_be_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            check.field("number", "", "Device Serial Number ", &bytes.join("-"));
        }
        Body::ExtendedVendor(body) => {
            check.field("id", "", "ID=", &format!("{:04x} Rev={}", body.id, body.revision));
            match body.vendor {
                Some(vendor) => {
                    check.field("vendor", "", "Vendor=", &format!("{vendor:04x}"));
                    check.field("length", "", "Len=", &body.length.to_string());
                }
                None => check.field("length", "", "Len=", &format!("{:03x}", body.length)),
            }
        }
        Body::AccessControl(body) => {
            check.field("capability", "ACSCap:", "ACSCap:", &acs(body.capability));
            if let Some(control) = body.control {
                check.field("control", "ACSCtl:", "ACSCtl:", &acs(control));
            }
        }
        Body::AlternativeRouting(body) => {
            check.flag("mfvc", "ARICap:", "MFVC", body.mfvc_groups);
            check.flag("acs", "ARICap:", "ACS", body.acs_groups);
            check.field("next", "ARICap:", "Next Function: ", &body.next_function.to_string());
        }
        Body::AddressTranslation(body) => {
            check.field("depth", "ATSCap:", "Queue Depth: ", &format!("{:02x}", body.invalidate_queue_depth));
            check.flag("enabled", "ATSCtl:", "Enable", body.enabled);
            if let Some(unit) = body.smallest_unit {
                check.field("unit", "ATSCtl:", "Translation Unit: ", &format!("{unit:02x}"));
            }
        }
        Body::SrIov(body) => sriov(check, body, theirs),
        Body::PageRequest(body) => {
            check.flag("enabled", "PRICtl:", "Enable", body.enabled);
            check.flag("stopped", "PRISta:", "Stopped", body.stopped);
            if let Some(capacity) = body.capacity {
                check.field("capacity", "PRISta:", "Page Request Capacity: ", &format!("{capacity:08x}"));
            }
            if let Some(allocation) = body.allocation {
                check.field(
                    "allocation",
                    "PRISta:",
                    "Page Request Allocation: ",
                    &format!("{allocation:08x}"),
                );
            }
        }
        Body::ProcessAddressSpace(body) => {
            check.flag("execute", "PASIDCap:", "Exec", body.execute);
            check.flag("privileged", "PASIDCap:", "Priv", body.privileged);
            check.field("width", "PASIDCap:", "Max PASID Width: ", &format!("{:02x}", body.width));
            check.flag("enabled", "PASIDCtl:", "Enable", body.enabled);
        }
        Body::ResizableBars(bars) => resizable(check, bars, theirs),
        Body::DownstreamPortContainment(body) => {
            check.flag("extensions", "DpcCap:", "RPExt", body.root_port_extensions);
            check.flag("software-trigger", "DpcCap:", "SwTrigger", body.software_trigger);
            check.field("trigger", "DpcCtl:", "Trigger:", &body.trigger.to_string());
            check.flag("triggered", "DpcSta:", "Trigger", body.triggered);
            if let Some(source) = body.source {
                check.field("source", "Source:", "Source: ", &format!("{source:04x}"));
            }
        }
        Body::LatencyTolerance(body) => {
            // lspci shifts an int by 35 for the reserved scale 7, which means nothing.
            let defined = |ns: u64| ns == 0 || !ns.is_multiple_of(1 << 35);
            if defined(body.max_snoop_ns) && defined(body.max_no_snoop_ns) {
                check.field("snoop", "", "Max snoop latency: ", &format!("{}ns", body.max_snoop_ns));
                check.field("no-snoop", "", "Max no snoop latency: ", &format!("{}ns", body.max_no_snoop_ns));
            }
        }
        Body::L1Substates(body) => {
            let capable = format!("{} L1_PM_Substates{}", substates(body.capable), flag(body.supported));
            check.field("capable", "L1SubCap:", "L1SubCap: ", &capable);
            if let Some(enabled) = body.enabled {
                check.field("enabled", "L1SubCtl1:", "L1SubCtl1: ", &substates(enabled));
            }
        }
        // Only their presence is decoded.
        _ => {}
    }
}

fn power_management(check: &mut Check<'_>, body: &PowerManagement) {
    check.field("version", "", "Power Management version ", &body.version.to_string());
    check.flag("d1", "Flags:", "D1", body.d1);
    check.flag("d2", "Flags:", "D2", body.d2);
    let states = ["D0", "D1", "D2", "D3hot", "D3cold"];
    let pme: Vec<String> = (0..)
        .zip(states)
        .map(|(n, state)| format!("{state}{}", flag(body.pme_support >> n & 1 == 1)))
        .collect();
    check.field("pme", "Flags:", "PME(", &pme.join(","));
    if let Some(state) = body.state {
        let state = match state {
            PowerState::D0 => "D0",
            PowerState::D1 => "D1",
            PowerState::D2 => "D2",
            PowerState::D3Hot => "D3",
        };
        check.field("state", "Status:", "Status: ", state);
    }
    check.flag("no-soft-reset", "Status:", "NoSoftRst", body.no_soft_reset);
}

fn msi(check: &mut Check<'_>, body: &Msi) {
    check.flag("enabled", "", "Enable", body.enabled);
    check.field("vectors", "", "Count=", &format!("{}/{}", body.allocated, body.vectors));
    check.flag("maskable", "", "Maskable", body.maskable);
    check.flag("address64", "", "64bit", body.address64);
    if let (Some(address), Some(data)) = (body.address, body.data) {
        let width = if body.address64 { 16 } else { 8 };
        check.field("address", "Address:", "Address: ", &format!("{address:0width$x} Data: {data:04x}"));
    }
    if let Some(mask) = body.mask {
        check.field("mask", "Masking:", "Masking: ", &format!("{mask:08x}"));
    }
}

fn msix(check: &mut Check<'_>, body: &MsiX) {
    check.flag("enabled", "", "Enable", body.enabled);
    check.field("vectors", "", "Count=", &body.vectors.to_string());
    check.flag("masked", "", "Masked", body.masked);
    let place = |location: TableLocation| format!("BAR={} offset={:08x}", location.bar, location.offset);
    if let (Some(table), Some(pending)) = (body.table, body.pending) {
        // `Vector table:` has its colon in the second word and so continues the description.
        check.field("table", "", "Vector table: ", &place(table));
        check.field("pending", "PBA:", "PBA: ", &place(pending));
    }
}

fn pci_x(check: &mut Check<'_>, body: &PciX) {
    let kind = if body.bridge { "bridge" } else { "non-bridge" };
    check.field("kind", "", "PCI-X ", kind);
    let address = format!("{:02x}:{:02x}.{}", body.bus, body.device, body.function);
    check.field("address", "Status:", "Dev=", &address);
    check.flag("bus64", "Status:", "64bit", body.bus64);
    check.flag("mhz133", "Status:", "133MHz", body.mhz133);
    check.flag("mhz266", "Status:", "266MHz", body.mhz266);
    check.flag("mhz533", "Status:", "533MHz", body.mhz533);
}

fn hypertransport(check: &mut Check<'_>, body: &HyperTransport) {
    use HyperTransportKind as Kind;
    let kind = match body.kind {
        Kind::Slave => "Slave or Primary Interface".to_owned(),
        Kind::Host => "Host or Secondary Interface".to_owned(),
        Kind::Switch => "Switch".to_owned(),
        Kind::InterruptDiscovery => "Interrupt Discovery and Configuration".to_owned(),
        Kind::Revision(major, minor) => format!("Revision ID: {major}.{minor:02}"),
        Kind::UnitIdClumping => "UnitID Clumping".to_owned(),
        Kind::ExtendedConfiguration => "Extended Configuration Space Access".to_owned(),
        Kind::AddressMapping => "Address Mapping".to_owned(),
        Kind::MsiMapping { enabled, fixed } => {
            format!("MSI Mapping Enable{} Fixed{}", flag(enabled), flag(fixed))
        }
        Kind::DirectRoute => "DirectRoute".to_owned(),
        Kind::VcSet => "VCSet".to_owned(),
        Kind::RetryMode => "Retry Mode".to_owned(),
        Kind::X86 => "X86 (reserved)".to_owned(),
        Kind::Unknown(kind) => format!("#{kind:02x}"),
    };
    check.field("kind", "", "HyperTransport: ", &kind);
    if let Some(address) = body.msi_address {
        check.field("msi-address", "", "Mapping Address Base: ", &format!("{address:016x}"));
    }
}

fn acs(flags: AccessControlFlags) -> String {
    let named = [
        ("SrcValid", flags.source_validation()),
        ("TransBlk", flags.translation_blocking()),
        ("ReqRedir", flags.request_redirect()),
        ("CmpltRedir", flags.completion_redirect()),
        ("UpstreamFwd", flags.upstream_forwarding()),
        ("EgressCtrl", flags.egress_control()),
        ("DirectTrans", flags.direct_translated()),
    ];
    named.iter().map(|(name, set)| format!(" {name}{}", flag(*set))).collect()
}

fn substates(bits: u8) -> String {
    let named = (0..).zip(["PCI-PM_L1.2", "PCI-PM_L1.1", "ASPM_L1.2", "ASPM_L1.1"]);
    named.map(|(n, name)| format!("{name}{}", flag(bits >> n & 1 == 1))).collect::<Vec<_>>().join(" ")
}

fn error_reporting(check: &mut Check<'_>, body: &AdvancedErrorReporting) {
    let flags = |value: u32, named: &[(u32, &str)]| {
        named.iter().map(|(bit, name)| format!(" {name}{}", flag(value >> bit & 1 == 1))).collect::<String>()
    };
    let uncorrectable = [
        (4, "DLP"),
        (5, "SDES"),
        (12, "TLP"),
        (13, "FCP"),
        (14, "CmpltTO"),
        (15, "CmpltAbrt"),
        (16, "UnxCmplt"),
        (17, "RxOF"),
        (18, "MalfTLP"),
    ];
    let correctable = [(0, "RxErr"), (6, "BadTLP"), (7, "BadDLLP"), (8, "Rollover"), (12, "Timeout")];
    check.field("uncorrectable", "UESta:", "UESta:", &flags(body.uncorrectable_status, &uncorrectable));
    check.field("uncorrectable", "UEMsk:", "UEMsk:", &flags(body.uncorrectable_mask, &uncorrectable));
    check.field("uncorrectable", "UESvrt:", "UESvrt:", &flags(body.uncorrectable_severity, &uncorrectable));
    check.field("correctable", "CESta:", "CESta:", &flags(body.correctable_status, &correctable));
    check.field("correctable", "CEMsk:", "CEMsk:", &flags(body.correctable_mask, &correctable));
    check.field("first", "AERCap:", "First Error Pointer: ", &format!("{:02x}", body.control & 0x1f));
    let log: Vec<String> = body.header_log.iter().map(|word| format!("{word:08x}")).collect();
    check.field("header-log", "HeaderLog:", "HeaderLog: ", &log.join(" "));
}

fn sriov(check: &mut Check<'_>, body: &SrIov, theirs: &LspciCapability) {
    check.flag("enabled", "IOVCtl:", "Enable", body.enabled);
    check.flag("memory-enabled", "IOVCtl:", "MSE", body.memory_enabled);
    check.flag("ari-hierarchy", "IOVCtl:", "ARIHierarchy", body.ari_hierarchy);
    // These lines have their colon past the first word and so continue the status.
    let status = "IOVSta:";
    check.field("initial", status, "Initial VFs: ", &body.initial_vfs.to_string());
    check.field("total", status, "Total VFs: ", &body.total_vfs.to_string());
    check.field("number", status, "Number of VFs: ", &body.num_vfs.to_string());
    check.field("offset", status, "VF offset: ", &body.first_vf_offset.to_string());
    check.field("stride", status, "stride: ", &body.vf_stride.to_string());
    check.field("device", status, "Device ID: ", &format!("{:04x}", body.vf_device));
    check.field("pages", status, "Supported Page Size: ", &format!("{:08x}", body.supported_page_sizes));
    check.field("page", status, "System Page Size: ", &format!("{:08x}", body.system_page_size));
    // A VF BAR is 32 or 64 bits of memory: of the rest lspci makes one of these, whatever the register says.
    let plain =
        |bar: &Bar| bar.address.is_some() && matches!(bar.kind, BarKind::Memory32 | BarKind::Memory64);
    if body.vf_bars.iter().all(plain) {
        let ours: Vec<String> = body.vf_bars.iter().map(vf_bar).collect();
        let regions: Vec<String> =
            theirs.details.iter().filter(|line| line.starts_with("Region ")).cloned().collect();
        check.list("bars", &ours, &regions);
    }
}

fn vf_bar(bar: &Bar) -> String {
    let (width, bits) = if bar.kind == BarKind::Memory64 { (16, "64") } else { (8, "32") };
    let prefetchable = if bar.prefetchable { "" } else { "non-" };
    let address = bar.address.unwrap_or_default();
    format!("Region {}: Memory at {address:0width$x} ({bits}-bit, {prefetchable}prefetchable)", bar.index)
}

fn resizable(check: &mut Check<'_>, bars: &[ResizableBar], theirs: &LspciCapability) {
    let size = |exponent: u32| {
        let units = ["MB", "GB", "TB", "PB", "EB"];
        let (value, unit) = (1u32 << (exponent % 10), units.get(exponent as usize / 10));
        if exponent < 44 {
            unit.map_or_else(String::new, |unit| format!(" {value}{unit}"))
        } else {
            " <unknown>".to_owned()
        }
    };
    let line = |bar: &ResizableBar| {
        let supported: String = (0..44).filter(|n| bar.supported >> n & 1 == 1).map(size).collect();
        let supported = if supported.is_empty() { supported } else { format!(", supported:{supported}") };
        format!("BAR {}: current size:{}{supported}", bar.index, size(u32::from(bar.current)))
    };
    let ours: Vec<String> = bars.iter().map(line).collect();
    let lines = theirs.details.iter().filter(|line| line.starts_with("BAR "));
    let printed: Vec<String> = lines.map(|line| line.trim_end_matches(", supported:").to_owned()).collect();
    check.list("sizes", &ours, &printed);
}

fn enhanced_allocation(check: &mut Check<'_>, body: &EnhancedAllocation, theirs: &LspciCapability) {
    check.field("entries", "", "NumEntries=", &body.count.to_string());
    if let Some(buses) = body.buses {
        check.field(
            "buses",
            "",
            "secondary=",
            &format!("{}, subordinate={}", buses.secondary, buses.subordinate),
        );
    }
    let values = |start: &str| -> Vec<u64> {
        let values = theirs.details.iter().filter_map(|line| line.strip_prefix(start));
        values.filter_map(|value| u64::from_str_radix(value.trim(), 16).ok()).collect()
    };
    let sizes: Vec<u64> = theirs
        .details
        .iter()
        .filter_map(|line| line.split_once("EntrySize=")?.1.trim().parse().ok())
        .collect();
    let printed = values("Base:").into_iter().zip(values("MaxOffset:"));
    // Of an entry that is not all readable lspci prints nothing; of one that says it is shorter than it is, it prints
    // words that it never read.
    for ((entry, (base, offset)), size) in body.entries.iter().zip(printed).zip(sizes) {
        let words = 2 + u64::from(base >> 32 != 0) + u64::from(offset >> 32 != 0);
        if size >= words {
            let text = |base: u64, offset: u64| [format!("{base:x}+{offset:x}")];
            check.list("ranges", &text(entry.base, entry.max_offset), &text(base, offset));
        }
    }
}
