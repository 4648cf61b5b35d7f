//! The bodies: each reads one kind of bytes from outside and then does with the result what commands do with it.

use std::hint::black_box;

use slotwise_core::diagnose::{self, Input};
use slotwise_core::facts::acpi::{Dmar, Ivrs, from_acpidump};
use slotwise_core::facts::kernel_log::from_log;
use slotwise_core::facts::{
    Facts, Origin, SourceKind, from_groups, from_lspci, from_text, from_udevadm, recognise,
};
use slotwise_core::pci::{
    self, ClassCode, ConfigSpace, IdPattern, PciAddress, PciId, Selector, SlotPattern, Space,
};
use slotwise_core::plan;
use slotwise_core::report::{NoNames, picture, text as report, wire};
use slotwise_core::topology::Topology;
use slotwise_core::vm::spec as request;
use slotwise_host::capture;

/// The decoder: any bytes as configuration space, also one of which bytes are missing.
pub(crate) fn config_space(input: &[u8]) {
    // The first byte says which bytes of the space are missing, so that both are in reach of one corpus.
    let (holes, bytes) = input.split_first().map_or((0, input), |(first, rest)| (*first, rest));
    let mut space = ConfigSpace::from_bytes(bytes);
    if holes != 0 {
        let kept: Vec<(u16, u8)> = (0u16..)
            .zip(bytes.iter().copied().take(pci::EXTENDED_SIZE))
            .filter(|(offset, _)| (offset / 4) % u16::from(holes) != 0)
            .collect();
        space = ConfigSpace::empty();
        for (offset, byte) in kept {
            space.set(offset, byte);
        }
    }
    let Ok(function) = pci::decode(&space) else { return };
    // A chain visits no offset twice, so there are never more than the space has places.
    let places = |which| match which {
        Space::Standard => (pci::CONVENTIONAL_SIZE - 0x40) / 4,
        Space::Extended => (pci::EXTENDED_SIZE - pci::CONVENTIONAL_SIZE) / 4,
    };
    for which in [Space::Standard, Space::Extended] {
        let count = function.capabilities.iter().filter(|capability| capability.space == which).count();
        // A chain that begins below 0x40 is read and reported as broken.
        assert!(count <= places(which) + 16, "{count} capabilities in the {which} space");
    }
    black_box((function.features(), function.subsystem(), function.express().is_some()));
    let address = "0000:00:01.0".parse::<PciAddress>();
    let mut facts = Facts::empty(saved(SourceKind::Lspci));
    if let Ok(address) = address {
        let mut one = slotwise_core::facts::FunctionFacts::at(address);
        one.config = slotwise_core::facts::Fact::Known(space);
        facts.functions.insert(address, one);
    }
    show(facts);
}

/// Whatever a user may give to `--from`, told from its content.
pub(crate) fn text(input: &[u8]) {
    black_box(recognise(input));
    if let Some(facts) = from_text(input, "input") {
        show(facts);
    }
}

/// lspci's text, also where it would not be recognised as such.
pub(crate) fn lspci(input: &[u8]) {
    show(from_lspci(input, "input"));
}

/// Listings of IOMMU groups.
pub(crate) fn groups(input: &[u8]) {
    show(from_groups(&String::from_utf8_lossy(input), "input"));
}

/// Exports of udev's database.
pub(crate) fn udevadm(input: &[u8]) {
    show(from_udevadm(&String::from_utf8_lossy(input), "input"));
}

/// Kernel logs as a source of facts.
pub(crate) fn kernel_log(input: &[u8]) {
    show(from_log(&String::from_utf8_lossy(input), "input"));
}

/// The firmware's IOMMU tables.
pub(crate) fn acpi(input: &[u8]) {
    let there: Vec<PciAddress> =
        ["0000:00:02.0", "0000:03:00.0"].iter().filter_map(|text| text.parse().ok()).collect();
    if let Ok(dmar) = Dmar::parse(input) {
        black_box((dmar.interrupt_remapping(), dmar.reserved(&|bridge| Some(bridge.bus().wrapping_add(1)))));
        black_box(dmar.reserved(&|_| None));
    }
    if let Ok(ivrs) = Ivrs::parse(input) {
        for region in ivrs.reserved(&there) {
            assert!(region.start <= region.end, "{region:?}");
        }
    }
}

/// The text that acpidump writes, and the tables in it.
pub(crate) fn acpidump(input: &[u8]) {
    for table in from_acpidump(&String::from_utf8_lossy(input)) {
        assert!(table.bytes.len() <= input.len(), "{} bytes out of {}", table.bytes.len(), input.len());
        acpi(&table.bytes);
    }
}

/// Diagnosis of any bytes.
pub(crate) fn diagnose(input: &[u8]) {
    let diagnosis = diagnose::diagnose(&[Input { name: "-", bytes: input }]);
    for finding in &diagnosis.findings {
        assert!((0.0..=1.0).contains(&finding.confidence), "{}", finding.cause.id);
        let lines = input.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64 + 1;
        assert!(finding.evidence.iter().all(|line| line.line <= lines), "{}", finding.cause.id);
    }
    json(&diagnose::wire::v1::Diagnosis::from(&diagnosis));
}

/// Spec files.
pub(crate) fn spec(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match request::parse(text) {
        Ok(request) => {
            // What can be asked for is planned on a host that has nothing of it.
            let topology = Topology::new(Facts::empty(saved(SourceKind::Directory)));
            black_box(plan::plan(&request, &topology).is_ok());
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            for fault in faults {
                black_box(request::Place::of(text, fault.span.start).to_string());
            }
        }
    }
}

/// Patterns that select functions.
pub(crate) fn selector(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(address) = "0000:03:04.0".parse::<PciAddress>() else { return };
    let id = Some(PciId { vendor: 0x9004, device: 0x5078 });
    let class = Some(ClassCode::new(1, 0, 0));
    let slot = text.parse::<SlotPattern>().map(|pattern| pattern.matches(address));
    let ids = text.parse::<IdPattern>().map(|pattern| pattern.matches(id, class));
    let either = text.parse::<Selector>().map(|pattern| pattern.matches(address, id, class));
    // What either pattern accepts is accepted where both are.
    assert!(either.is_ok() || slot.is_err() && ids.is_err(), "{text:?}");
    if let Ok(parsed) = text.parse::<PciAddress>() {
        assert_eq!(parsed.to_string().parse(), Ok(parsed), "{text:?}");
    }
}

/// A capture file as it comes.
pub(crate) fn capture_file(input: &[u8]) {
    read_capture(input);
}

/// The archive in a capture file: zstd hides it from mutation.
pub(crate) fn capture_tar(input: &[u8]) {
    if let Ok(packed) = zstd::encode_all(input, 1) {
        read_capture(&packed);
    }
}

/// A capture whose frames are whole and whose content is not: parts divided by the byte 0xff, the first the manifest,
/// then paths and contents in turn. 0xff is in no UTF-8.
pub(crate) fn capture_tree(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == 0xff);
    let mut archive = tar::Builder::new(Vec::new());
    let mut put = |path: &[u8], bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the library refuses to write names that lead out.
        header.as_mut_bytes().iter_mut().take(100).zip(path).for_each(|(slot, byte)| *slot = *byte);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, bytes).is_ok()
    };
    put(b"manifest.toml", parts.next().unwrap_or_default());
    while let (Some(path), Some(bytes)) = (parts.next(), parts.next()) {
        put(path, bytes);
    }
    if let Ok(tar) = archive.into_inner() {
        capture_tar(&tar);
    }
}

fn read_capture(packed: &[u8]) {
    if let Ok(snapshot) = capture::from_bytes(packed) {
        show(slotwise_host::read(&snapshot, saved(SourceKind::Capture)));
    }
}

fn saved(kind: SourceKind) -> Origin {
    Origin::Saved { kind, name: "input".to_owned() }
}

/// What `inspect` and `plan` make of facts.
fn show(facts: Facts) {
    let topology = Topology::new(facts);
    black_box(topology.check());
    black_box(report::tree(&topology, &NoNames, &|_| true).to_string());
    json(&wire::v1::Inspect::new(&topology, &NoNames, &|_| true));
    draw(&topology);
    let Some(function) = topology.functions().find(|function| function.id.known().is_some()) else { return };
    let Some(id) = function.id.known() else { return };
    let spec = format!(
        "[[vm]]\nname = \"fuzz\"\nmemory = \"64M\"\n[[vm.device]]\nselect = {{ id = \"{id}\", slot = \"{}\" }}\n",
        function.address
    );
    if let Ok(request) = request::parse(&spec)
        && let Ok(plan) = plan::plan(&request, &topology)
    {
        black_box(report::plan(&plan).to_string());
        json(&wire::v1::Plan::new(&plan));
    }
}

/// Markup whose names, classes and drivers come from outside: they must stay text, and elements must close.
fn draw(topology: &Topology) {
    let page = picture::html(topology, &NoNames, &|_| true);
    let drawing = picture::svg(topology, &NoNames, &|_| true);
    for tag in ["details", "ol", "ul", "li", "div", "p", "span", "dl"] {
        let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
        // `<p` begins no other tag than `<path` of the drawing, which the page has not, and `<li` none.
        let opened = page.matches(&open).count();
        assert_eq!(opened, page.matches(&close).count(), "{tag} in {page}");
    }
    for picture in [&page, &drawing] {
        assert!(!picture.contains("<script") && !picture.contains('\0'), "{picture}");
        let control = |c: char| c.is_control() && c != '\n';
        assert!(!picture.contains(control), "control character");
    }
}

fn json(value: &impl serde::Serialize) {
    let text = serde_json::to_string(value);
    assert!(text.is_ok(), "{text:?}");
}
