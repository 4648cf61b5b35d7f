//! Capability lines: `Capabilities: [40] Power Management version 3` and what is indented below.

use crate::pci::Space;
use crate::pci::capability::{capability_name, from_lspci};

/// Most lines that are kept below one capability; the longest of pciutils 3.14 has about 60.
const MAX_DETAILS: usize = 128;

/// One capability as printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LspciCapability {
    /// Where it starts, in bytes.
    pub offset: u16,
    /// Which list it is in: extended ones are printed with three digits, and with their version.
    pub space: Space,
    /// Version of an extended one, where printed (`-vv` since pciutils 3.0).
    pub version: Option<u8>,
    /// Its id; none if the description is not known.
    pub id: Option<u16>,
    /// Its name in kebab case, `unknown` without an id.
    pub name: &'static str,
    /// The description behind the offset.
    pub text: String,
    /// The lines below, as far as the text has them (`-vv`).
    pub details: Vec<String>,
}

impl LspciCapability {
    pub(super) fn add_detail(&mut self, line: &str) {
        if self.details.len() < MAX_DETAILS {
            self.details.push(line.to_owned());
        }
    }
}

/// What stands behind `Capabilities: `.
pub(super) enum Parsed {
    /// A capability.
    Capability(LspciCapability),
    /// `<access denied>`, of old `<available only to root>`.
    Denied,
    /// `[40] <chain looped>` and `<chain broken>`: the end of a damaged list.
    ChainEnd,
    /// Something else.
    Damaged,
}

pub(super) fn parse(rest: &str) -> Parsed {
    let rest = rest.trim_start();
    if rest.starts_with("<access denied>") || rest.starts_with("<available only to root>") {
        return Parsed::Denied;
    }
    let Some((place, text)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return Parsed::Damaged;
    };
    let (digits, version) =
        place.split_once(" v").map_or((place, None), |(digits, v)| (digits, v.parse().ok()));
    let Ok(offset) = u16::from_str_radix(digits, 16) else { return Parsed::Damaged };
    let text = text.trim();
    if text.starts_with("<chain ") {
        return Parsed::ChainEnd;
    }
    let space = if digits.len() > 2 || version.is_some() { Space::Extended } else { Space::Standard };
    let id = from_lspci(space, text);
    Parsed::Capability(LspciCapability {
        offset,
        space,
        version,
        id,
        name: id.map_or("unknown", |id| capability_name(space, id)),
        text: text.to_owned(),
        details: Vec::new(),
    })
}
