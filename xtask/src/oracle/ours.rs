//! Our decode, held against what lspci printed.

mod bodies;
mod express;

use slotwise_core::facts::lspci::{LspciCapability, LspciRegion, RegionAddress};
use slotwise_core::pci::capability::from_lspci;
use slotwise_core::pci::{
    Bar, BarKind, Bridge, Capability, Fault, Function, HeaderKind, InterruptPin, PciId, Space, Window,
    capability,
};

use super::Addresses;
use super::lspci::Printed;
use super::tally::Tally;

/// `+` or `-`, as lspci prints a bit.
pub(super) fn flag(set: bool) -> char {
    if set { '+' } else { '-' }
}

pub(super) fn header(
    function: &Function,
    printed: &Printed,
    addresses: Addresses,
    place: &str,
    tally: &mut Tally,
) {
    let (ours, theirs) = (&function.header, &printed.function);
    if let Some(id) = theirs.id {
        tally.check("header.id", place, &ours.id.to_string(), &id.to_string());
    }
    if let Some(class) = theirs.class {
        tally.check(
            "header.class",
            place,
            &format!("{:04x}", ours.class.base_and_sub()),
            &format!("{class:04x}"),
        );
    }
    let revision = theirs.revision.unwrap_or(0);
    tally.check("header.revision", place, &ours.revision.to_string(), &revision.to_string());
    if printed.raw.contains("Unknown header type") {
        let unknown = matches!(ours.kind, HeaderKind::Unknown(_));
        tally.check("header.kind", place, &unknown.to_string(), "true");
        return;
    }
    subsystem(function, printed, addresses, place, tally);
    let command = format!(
        "I/O{} Mem{} BusMaster{}",
        flag(ours.command.io()),
        flag(ours.command.memory()),
        flag(ours.command.bus_master())
    );
    let disabled = format!("DisINTx{}", flag(ours.command.intx_disabled()));
    check_words("header.command", printed.line("Control:"), &[&command, &disabled], place, tally);
    let list = format!("Cap{}", flag(ours.status.capability_list()));
    let pending = format!("INTx{}", flag(ours.status.intx_pending()));
    check_words("header.status", printed.line("Status:"), &[&list, &pending], place, tally);
    interrupt(function, printed, addresses, place, tally);
    if let Some(theirs) = &theirs.bridge {
        if let Some(bridge) = &function.bridge {
            windows(bridge, theirs, place, tally);
        }
        let numbers = |bridge: &Bridge| (bridge.primary, bridge.secondary, bridge.subordinate);
        let cardbus = function.cardbus.as_ref().map(|b| (b.primary, b.secondary, b.subordinate));
        let ours = function.bridge.as_ref().map(numbers).or(cardbus);
        let theirs = Some((theirs.primary, theirs.secondary, theirs.subordinate));
        tally.check("bridge.buses", place, &format!("{ours:?}"), &format!("{theirs:?}"));
    }
    if addresses == Addresses::FromRegisters {
        let ours: Vec<String> = function.bars.iter().map(bar).collect();
        let printed = theirs.regions.iter().filter(|r| !all_ones_rom(r) && !upper_half(r, &function.bars));
        let theirs: Vec<String> = printed.map(region).collect();
        tally.check("bars", place, &ours.join(" "), &theirs.join(" "));
    }
}

/// Of bridges, newer lspci prints the ids of their capability here, older ones print none.
/// The kernel knows them where the registers are not readable.
fn subsystem(function: &Function, printed: &Printed, addresses: Addresses, place: &str, tally: &mut Tally) {
    let text = |id: Option<PciId>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let theirs = printed.function.subsystem;
    // Beyond the first 64 bytes of a CardBus bridge lspci wants 64 more or none.
    let partial = printed.raw.contains("<access denied to the rest>");
    let bridge = function.header.kind == HeaderKind::Bridge;
    let unread = addresses == Addresses::FromKernel && !function.complete(Space::Standard);
    if partial || (bridge && (theirs.is_none() || unread)) {
        return;
    }
    tally.check("header.subsystem", place, &text(function.subsystem()), &text(theirs));
}

fn check_words(field: &str, line: Option<&str>, words: &[&str], place: &str, tally: &mut Tally) {
    let Some(line) = line else { return };
    for word in words {
        if line.contains(word) { tally.agree(field) } else { tally.disagree(field, place, word, line) }
    }
}

fn interrupt(function: &Function, printed: &Printed, addresses: Addresses, place: &str, tally: &mut Tally) {
    let Some(irq) = printed.function.irq else { return };
    if let (Some(pin), Some(theirs)) = (function.header.interrupt_pin, printed.function.pin)
        && !matches!(pin, InterruptPin::Reserved(_))
    {
        tally.check("header.interrupt-pin", place, &format!("{pin:?}"), &format!("{theirs:?}"));
    }
    if let (Some(line), Addresses::FromRegisters) = (function.header.interrupt_line, addresses) {
        tally.check("header.interrupt-line", place, &line.to_string(), &irq.to_string());
    }
}

fn windows(ours: &Bridge, theirs: &slotwise_core::facts::lspci::LspciBridge, place: &str, tally: &mut Tally) {
    let text = |window: &Option<Window>| {
        window.map_or_else(|| "none".to_owned(), |w| format!("{:x}-{:x}", w.start, w.end))
    };
    tally.check("bridge.io", place, &text(&ours.io), &text(&theirs.io));
    tally.check("bridge.memory", place, &text(&ours.memory), &text(&theirs.memory));
    tally.check("bridge.prefetchable", place, &text(&ours.prefetchable), &text(&theirs.prefetchable));
}

fn bar(bar: &Bar) -> String {
    let address = bar.address.map_or_else(|| "0".to_owned(), |address| format!("{address:x}"));
    let enabled = if bar.enabled { "" } else { " disabled" };
    format!(
        "{}:{:?}@{address}{}{enabled}",
        bar.index,
        bar.kind,
        if bar.prefetchable { " prefetchable" } else { "" }
    )
}

fn region(region: &LspciRegion) -> String {
    let address = match region.address {
        RegionAddress::At(address) => format!("{address:x}"),
        // A 64-bit BAR in the last register is `<unassigned>` to some versions, `<broken-64-bit-slot>` to others.
        RegionAddress::Unassigned | RegionAddress::Broken => "0".to_owned(),
        RegionAddress::Ignored => "ignored".to_owned(),
    };
    let prefetchable = if region.prefetchable { " prefetchable" } else { "" };
    let enabled = if region.disabled { " disabled" } else { "" };
    let index = region.index.map_or_else(|| "?".to_owned(), |index| index.to_string());
    format!("{index}:{:?}@{address}{prefetchable}{enabled}", region.kind)
}

/// A ROM register of all ones is an absent register to us.
fn all_ones_rom(region: &LspciRegion) -> bool {
    region.kind == BarKind::Rom && region.address == RegionAddress::Ignored
}

/// lspci lists the upper half of a 64-bit BAR as a region of its own where the kernel is not there to say otherwise.
fn upper_half(region: &LspciRegion, ours: &[Bar]) -> bool {
    let own = region.kind == BarKind::Rom;
    !own && ours.iter().any(|bar| bar.kind == BarKind::Memory64 && Some(bar.index + 1) == region.index)
}

/// The lists, link by link, and how they end; then the registers.
pub(super) fn capabilities(function: &Function, printed: &Printed, place: &str, tally: &mut Tally) {
    if printed.raw.contains("<access denied to the rest>") {
        return;
    }
    let ours: Vec<String> = function.capabilities.iter().map(our_place).collect();
    let theirs: Vec<String> = printed
        .function
        .capabilities
        .iter()
        .zip(&function.capabilities)
        .map(|(c, ours)| their_place(c, ours))
        .collect();
    let extra =
        printed.function.capabilities.iter().skip(theirs.len()).map(|c| format!("{:x} {}", c.offset, c.text));
    let theirs: Vec<String> = theirs.into_iter().chain(extra).collect();
    tally.check("capabilities", place, &ours.join(" "), &theirs.join(" "));
    chain_ends(function, printed, place, tally);
    for (ours, theirs) in function.capabilities.iter().zip(&printed.function.capabilities) {
        if ours.offset == theirs.offset && ours.space == theirs.space {
            bodies::check(ours, theirs, place, tally);
        }
    }
}

fn our_place(capability: &Capability) -> String {
    let version =
        if capability.space == Space::Extended { format!(" v{}", capability.version) } else { String::new() };
    format!("{:02x}{version}:{}", capability.offset, capability.name)
}

/// An lspci that cannot read a capability's registers prints no name for some: then there is nothing to compare.
fn their_place(theirs: &LspciCapability, ours: &Capability) -> String {
    let name = match from_lspci(theirs.space, &theirs.text) {
        Some(id) => capability::capability_name(theirs.space, id),
        None if theirs.text.is_empty() => ours.name,
        None => theirs.text.as_str(),
    };
    let version = theirs.version.map_or_else(String::new, |version| format!(" v{version}"));
    format!("{:02x}{version}:{name}", theirs.offset)
}

fn chain_ends(function: &Function, printed: &Printed, place: &str, tally: &mut Tally) {
    let ours =
        |test: fn(&Fault) -> bool| function.faults.iter().filter(|fault| test(fault)).count().to_string();
    let theirs = |text: &str| printed.raw.matches(text).count().to_string();
    let looped = ours(|fault| matches!(fault, Fault::ChainLooped { .. }));
    tally.check("capabilities.looped", place, &looped, &theirs("<chain looped>"));
    let broken = ours(|fault| matches!(fault, Fault::ChainBroken { .. }));
    tally.check("capabilities.broken", place, &broken, &theirs("<chain broken>"));
    let denied = ours(|fault| matches!(fault, Fault::ChainUnreadable { space: Space::Standard, .. }));
    tally.check("capabilities.denied", place, &denied, &theirs("<access denied>"));
}
