//! Guests that are talked to as a person would: what they print is waited for, what they are to do is typed.
//!
//! A guest's script is data ([`Script`]): what to wait for and type until it is ready, and for each thing it can show of a
//! device what to type and how its answer is read. The engine ([`Dialogue`]) knows no system. Output is untrusted: it is
//! kept within bounds, every wait has a deadline, and patterns are matched in linear time (crate `regex`).

mod dialogue;
mod read;
#[cfg(test)]
mod replay;
mod screen;
#[cfg(test)]
mod tests;
mod transport;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

pub use dialogue::DialogueError;
pub use transport::{ConsoleTransport, Names, Talk, Terminal};

use crate::capability::{Capabilities, Capability};

pub(crate) use dialogue::Dialogue;
pub(crate) use read::script;

/// Groups that tell a disk's size.
const SIZE_GROUPS: [&str; 7] =
    ["blocks", "bytes", "kibibytes", "mebibytes", "gibibytes", "megabytes", "gigabytes"];

/// How to talk to a guest.
#[derive(Clone, Debug)]
pub struct Script {
    /// What to do until it is ready.
    start: Vec<Step>,
    /// What ends the answer to a command.
    prompt: Option<Pattern>,
    /// What is typed at the end of a command.
    enter: String,
    /// Between two keys, for consoles that lose some.
    key_delay: Duration,
    functions: Option<Glance>,
    disks: Option<Glance>,
    sector: Option<Glance>,
    boot: Option<Glance>,
}

/// Wait for something, then type something; either may be missing.
#[derive(Clone, Debug)]
struct Step {
    wait: Option<Pattern>,
    send: Option<String>,
    within: Duration,
}

/// How a guest is asked for one thing, and how its answer is read.
#[derive(Clone, Debug)]
struct Glance {
    /// What is typed. If nothing is, all the guest has printed since its start is the answer.
    send: Option<String>,
    /// What ends the answer.
    until: Option<Pattern>,
    within: Duration,
    /// What is read from the answer, by named groups. None: all of it.
    matches: Option<Pattern>,
    form: Form,
    /// What the answer has where the guest has no driver for the device.
    absent: Option<Pattern>,
}

/// How a sector's content is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Its bytes as they are.
    Text,
    /// Two hexadecimal digits each.
    Hex,
}

/// A regular expression with places for what is known only when it is used: `{lba}`, `{lba:x}`, `{lba:08x}`.
#[derive(Clone, Debug)]
struct Pattern(String);

impl Pattern {
    /// With its places filled in. It was checked with some values when it was read, and numbers fit as well as others.
    fn with(&self, values: &Values) -> Option<Regex> {
        let escaped = values.names.iter().map(|(name, value)| (name.clone(), regex::escape(value)));
        let values = Values { names: escaped.collect(), lba: values.lba };
        Regex::new(&values.fill(&self.0)).ok()
    }
}

/// What may be put into what is typed, or waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    /// What the user's own image wants: `user`, `password`.
    pub(crate) names: BTreeMap<String, String>,
    /// A sector's address.
    pub(crate) lba: Option<u64>,
}

impl Values {
    /// Only known places are filled in: braces are common in patterns and in what shells take.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(lba) = self.lba {
            for (place, value) in [
                ("{lba}", lba.to_string()),
                ("{lba:x}", format!("{lba:x}")),
                ("{lba:08x}", format!("{lba:08x}")),
            ] {
                text = text.replace(place, &value);
            }
        }
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

impl Script {
    /// What the guest can show, by what its script has.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let tells = |name: &str| {
            let pattern = self.disks.as_ref().and_then(|glance| glance.matches.as_ref());
            pattern.is_some_and(|pattern| pattern.0.contains(&format!("(?<{name}>")))
        };
        let sized = SIZE_GROUPS.iter().any(|name| tells(name));
        let able = [
            (self.functions.is_some(), Capability::ListsFunctions),
            (self.disks.is_some() && sized, Capability::ListsDisks),
            (tells("vendor") || tells("product"), Capability::NamesDisks),
            (self.sector.is_some(), Capability::ReadsSectors),
            (self.boot.is_some(), Capability::BootsDisk),
        ];
        able.into_iter().filter_map(|(able, capability)| able.then_some(capability)).collect()
    }
}

impl PartialEq for Script {
    /// By what they say: a script is data.
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for Script {}
