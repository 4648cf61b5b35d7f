//! A console script as it stands in a guest's file.

use serde::Deserialize;
use serde_spanned::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Console {
    pub(super) prompt: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) enter: Option<String>,
    pub(super) key_delay_ms: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) start: Vec<Spanned<Step>>,
    #[serde(default)]
    pub(super) show: Show,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Step {
    pub(super) wait: Option<Spanned<String>>,
    pub(super) send: Option<Spanned<String>>,
    pub(super) within_seconds: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Show {
    pub(super) functions: Option<Spanned<Glance>>,
    pub(super) disks: Option<Spanned<Glance>>,
    pub(super) sector: Option<Spanned<Glance>>,
    pub(super) boot: Option<Spanned<Glance>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Glance {
    pub(super) send: Option<Spanned<String>>,
    pub(super) until: Option<Spanned<String>>,
    pub(super) within_seconds: Option<Spanned<u64>>,
    #[serde(rename = "match")]
    pub(super) matches: Option<Spanned<String>>,
    pub(super) form: Option<Spanned<String>>,
    pub(super) absent: Option<Spanned<String>>,
}
