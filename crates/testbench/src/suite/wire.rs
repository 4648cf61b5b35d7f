//! Suites, commands and cases as they stand in their files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_spanned::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SuiteFile {
    pub(super) title: String,
    pub(super) standard: String,
    pub(super) case_limit_seconds: Spanned<u32>,
    pub(super) command_timeout_ms: Spanned<u32>,
    #[serde(default)]
    pub(super) setup: Vec<Step>,
    #[serde(default)]
    pub(super) after: Vec<Step>,
}

pub(super) type CommandsFile = BTreeMap<String, Command>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    pub(super) title: String,
    pub(super) cdb: Spanned<String>,
    /// Bits that the standard reserves.
    pub(super) reserved: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) field: BTreeMap<String, Spanned<Field>>,
    #[serde(rename = "in")]
    pub(super) data_in: Option<Spanned<String>>,
    #[serde(rename = "out")]
    pub(super) data_out: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    pub(super) byte: u8,
    #[serde(default = "seven")]
    pub(super) msb: u8,
    #[serde(default = "eight")]
    pub(super) width: u8,
}

fn seven() -> u8 {
    7
}

fn eight() -> u8 {
    8
}

/// A sector: its address, or "last".
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Sector {
    Number(u64),
    Name(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CaseFile {
    pub(super) title: String,
    pub(super) why: String,
    pub(super) clause: String,
    pub(super) clause_checked: bool,
    pub(super) harm: Spanned<String>,
    /// Only a strict reading of the standard demands it.
    #[serde(default)]
    pub(super) strict: bool,
    #[serde(default)]
    pub(super) needs: Vec<Spanned<String>>,
    pub(super) when: Option<Spanned<String>>,
    /// What the device or guest lacks where `when` does not hold.
    pub(super) lacks: Option<String>,
    #[serde(default)]
    pub(super) setup: Vec<Step>,
    pub(super) step: Option<Spanned<Vec<Step>>>,
    pub(super) observe: Option<Spanned<String>>,
    pub(super) sectors: Option<Spanned<Vec<Sector>>>,
    #[serde(default)]
    pub(super) clean_up: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Step {
    pub(super) send: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) with: BTreeMap<String, Spanned<Scalar>>,
    pub(super) cdb: Option<Spanned<String>>,
    pub(super) receive: Option<Spanned<Scalar>>,
    pub(super) data: Option<Spanned<Data>>,
    pub(super) save: Option<Spanned<String>>,
    pub(super) save_out: Option<Spanned<String>>,
    #[serde(default, rename = "let")]
    pub(super) lets: BTreeMap<String, Spanned<String>>,
    pub(super) expect: Option<Spanned<Expect>>,
    #[serde(default)]
    pub(super) or: Vec<Spanned<Expect>>,
    /// Which initiator sends.
    pub(super) initiator: Option<Initiator>,
    /// The LUN of the IDENTIFY message.
    pub(super) identify: Option<Spanned<u8>>,
    /// Whether sense is fetched at once.
    pub(super) sense: Option<SenseFetch>,
    /// Something done to the device, instead of a command.
    pub(super) event: Option<Spanned<String>>,
    /// An operation on the device's function, instead of a command.
    pub(super) ask: Option<Spanned<String>>,
    /// The file of the kernel's that the operation is about.
    pub(super) attribute: Option<Spanned<String>>,
    pub(super) timeout_ms: Option<Spanned<u32>>,
    pub(super) repeat: Option<Spanned<Repeat>>,
    /// A bit of the block to turn over, counted from bit 0 of byte 0.
    pub(super) turn: Option<Spanned<Scalar>>,
    /// Names of commands: the steps within are done with each of them where they say `send = "each"`.
    pub(super) each: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub(super) step: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Initiator {
    First,
    Second,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SenseFetch {
    Automatic,
    Left,
}

/// A number, or an expression that gives one.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Number(i64),
    Text(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Data {
    pub(super) hex: Option<Spanned<String>>,
    /// The bytes of a text.
    pub(super) text: Option<String>,
    /// A number as text.
    pub(super) number: Option<Spanned<Scalar>>,
    pub(super) fill: Option<Spanned<Scalar>>,
    pub(super) pattern: Option<Spanned<String>>,
    pub(super) seed: Option<Spanned<Scalar>>,
    pub(super) copy: Option<Spanned<String>>,
    pub(super) flip: Option<Flip>,
    pub(super) length: Option<Spanned<Scalar>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flip {
    pub(super) byte: Spanned<Scalar>,
    pub(super) mask: u8,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Expect {
    pub(super) status: Option<Spanned<String>>,
    pub(super) sense: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) check: Vec<Spanned<String>>,
    pub(super) within_ms: Option<u32>,
    /// The operation cannot be done.
    #[serde(default)]
    pub(super) fails: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Repeat {
    pub(super) name: Spanned<String>,
    pub(super) from: Option<Spanned<Scalar>>,
    pub(super) to: Option<Spanned<Scalar>>,
    pub(super) values: Option<Vec<Spanned<Scalar>>>,
    pub(super) bytes: Option<Spanned<String>>,
    /// The reserved bits of this command, counted from bit 0 of byte 0.
    pub(super) reserved_of: Option<Spanned<String>>,
}
