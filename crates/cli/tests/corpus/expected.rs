//! What `lspci -vvnn` prints, read apart from the program's own readers: a title, then lines with known beginnings.

use std::collections::BTreeMap;

use serde_json::Value;
use slotwise_core::pci::Space;
use slotwise_core::pci::capability::{capability_name, from_lspci};

use super::string;

/// One function: lines of `name value`, in the form in which [`seen`] puts the program's answer.
pub(crate) type Lines = Vec<String>;

/// Every function of a decode; an address may occur more than once.
pub(crate) fn decode(text: &str) -> Vec<(String, Lines)> {
    let mut functions: Vec<(String, Lines)> = Vec::new();
    let mut capability = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if !line.starts_with('\t') {
            functions.push(title(line));
            capability.clear();
            continue;
        }
        let Some((_, lines)) = functions.last_mut() else { continue };
        let text = line.trim_start();
        if let Some(rest) = text.strip_prefix("Capabilities: [") {
            capability = rest.split_once("] ").map_or("", |(_, text)| text).to_owned();
            lines.extend(capability_row(rest));
        }
        lines.extend(field(text, &capability));
    }
    for (_, lines) in &mut functions {
        lines.sort();
    }
    functions
}

fn title(line: &str) -> (String, Lines) {
    let (address, rest) = line.split_once(' ').expect("a title");
    let address = if address.len() < 12 { format!("0000:{address}") } else { address.to_owned() };
    let (class, device) = rest.split_once("]: ").expect("class and device");
    let class = class.rsplit('[').next().expect("a class");
    let after = |name: &str| device.rsplit_once(name).and_then(|(_, rest)| rest.get(..2)).unwrap_or("00");
    let (interface, revision) = (after("(prog-if "), after("(rev "));
    let ids = device.split('[').rev().filter_map(|part| part.split(']').next());
    let mut ids = ids.filter(|id| id.len() == 9 && id.chars().nth(4) == Some(':'));
    let id = ids.next().expect("ids");
    (address, vec![format!("class {class}{interface}"), format!("id {id}"), format!("revision {revision}")])
}

/// `40] Express …`, `100 v1] …`.
fn capability_row(rest: &str) -> Option<String> {
    let (place, text) = rest.split_once("] ")?;
    let digits = place.split(' ').next()?;
    let space = if place.contains(" v") { Space::Extended } else { Space::Standard };
    if text.starts_with("<chain") {
        return None;
    }
    let id = from_lspci(space, text)?;
    let id = if space == Space::Standard { format!("{id:#04x}") } else { format!("{id:#06x}") };
    let offset = u16::from_str_radix(digits, 16).ok()?;
    let name = capability_name(space, u16::from_str_radix(id.get(2..)?, 16).ok()?);
    Some(format!("capability {offset:#x} {space} {id} {name}"))
}

fn field(text: &str, capability: &str) -> Option<String> {
    let flags = |names: &[&str]| {
        let set = |name: &&str| text.contains(&format!("{name}+"));
        names.iter().filter(|name| set(name)).copied().collect::<Vec<_>>().join(" ")
    };
    const ACS: [&str; 7] =
        ["SrcValid", "TransBlk", "ReqRedir", "CmpltRedir", "UpstreamFwd", "EgressCtrl", "DirectTrans"];
    if let Some(rest) = text.strip_prefix("Bus: ") {
        let number = |name: &str| rest.split(name).nth(1).and_then(|r| r.get(1..3)).unwrap_or_default();
        return Some(format!(
            "buses {} {} {}",
            number("primary"),
            number("secondary"),
            number("subordinate")
        ));
    }
    if let Some(rest) = text.strip_prefix("Interrupt: pin ") {
        let pin = rest.get(..1).filter(|pin| *pin != "?")?;
        return Some(format!("pin {pin}"));
    }
    if capability.is_empty()
        && let Some(rest) = text.strip_prefix("Subsystem: ")
        && let Some((_, id)) = rest.rsplit_once('[')
    {
        return Some(format!("subsystem {}", id.trim_end_matches(']')));
    }
    if text.starts_with("ACSCap:") {
        return Some(format!("acs {}", flags(&ACS)));
    }
    if text.starts_with("ACSCtl:") {
        return Some(format!("acsctl {}", flags(&ACS)));
    }
    // Of functions that cannot have it nothing is printed; the control register has a word like it.
    if text.contains("RBE") && text.contains("FLReset+") {
        return Some("flr true".to_owned());
    }
    if text.contains("NoSoftRst") {
        return Some(format!("pm_reset {}", text.contains("NoSoftRst-")));
    }
    if text.starts_with("AFCap:") {
        return Some(format!("af_flr {}", text.contains("TP+") && text.contains("FLR+")));
    }
    if text.starts_with("Capabilities: ") && text.contains("] MSI: ") {
        return Some(format!("msi {}", text.split("Count=").nth(1)?.split(['/', ' ']).nth(1)?));
    }
    if text.starts_with("Capabilities: ") && text.contains("] MSI-X: ") {
        return Some(format!("msix {}", text.split("Count=").nth(1)?.split(' ').next()?));
    }
    if let Some((_, rest)) = text.split_once("Total VFs: ") {
        return Some(format!("vfs {}", rest.split(',').next()?));
    }
    None
}

/// What the program says of one function, in the same form. A function answers for what it has: features that it has
/// not are no line in lspci.
pub(crate) fn seen(function: &Value) -> Lines {
    let text = |name: &str| string(&function[name]);
    let mut lines = vec![
        format!("class {}", text("class")),
        format!("id {}:{}", text("vendor"), text("device")),
        format!("revision {}", text("revision")),
    ];
    if function["subsystem_vendor"].is_string() {
        lines.push(format!("subsystem {}:{}", text("subsystem_vendor"), text("subsystem_device")));
    }
    if let Some(pin) = function["interrupt"]["pin"].as_str() {
        lines.push(format!("pin {pin}"));
    }
    if let Some(bridge) = function["bridge"].as_object() {
        let number = |name: &str| bridge[name].as_u64().expect("a bus");
        let [primary, secondary, last] = ["primary", "secondary", "subordinate"].map(number);
        lines.push(format!("buses {primary:02x} {secondary:02x} {last:02x}"));
    }
    let capabilities = function["capabilities"].as_array().map_or(&[][..], Vec::as_slice);
    for row in capabilities {
        let [offset, space, id, name] = ["offset", "space", "id", "name"].map(|key| string(&row[key]));
        // Two ids that lspci has one name for.
        let id = if name == "virtual-channel" { "0x0002".to_owned() } else { id };
        lines.push(format!("capability {offset} {space} {id} {name}"));
    }
    lines.extend(features(&function["features"], capabilities));
    lines.sort();
    lines
}

fn features(features: &Value, capabilities: &[Value]) -> Lines {
    let has = |space: &str, id: &str| capabilities.iter().any(|c| c["space"] == space && c["id"] == id);
    let mut lines = Lines::new();
    let rows = [
        ("flr", "flr", "0x10"),
        ("pm_reset", "pm_reset", "0x01"),
        ("af_flr", "af_flr", "0x13"),
        ("msi_vectors", "msi", "0x05"),
        ("msix_vectors", "msix", "0x11"),
    ];
    for (key, name, id) in rows {
        let unprinted = features[key].is_null() || key == "flr" && features[key] == false;
        if has("standard", id) && !unprinted {
            lines.push(format!("{name} {}", features[key]));
        }
    }
    if has("extended", "0x0010") && !features["sriov_total_vfs"].is_null() {
        lines.push(format!("vfs {}", features["sriov_total_vfs"]));
    }
    let names: BTreeMap<&str, &str> = BTreeMap::from([
        ("source_validation", "SrcValid"),
        ("translation_blocking", "TransBlk"),
        ("request_redirect", "ReqRedir"),
        ("completion_redirect", "CmpltRedir"),
        ("upstream_forwarding", "UpstreamFwd"),
        ("egress_control", "EgressCtrl"),
        ("direct_translated", "DirectTrans"),
    ]);
    // What words tell beside a short dump is no line of its decode.
    let acs = [("capability", "acs"), ("control", "acsctl")];
    for (key, name) in acs.into_iter().filter(|_| has("extended", "0x000d")) {
        if let Some(flags) = features["acs"][key].as_object() {
            let order = ["source_validation", "translation_blocking", "request_redirect"]
                .into_iter()
                .chain(["completion_redirect", "upstream_forwarding", "egress_control", "direct_translated"]);
            let set: Vec<&str> = order.filter(|flag| flags[*flag] == true).map(|flag| names[flag]).collect();
            lines.push(format!("{name} {}", set.join(" ")));
        }
    }
    lines
}
