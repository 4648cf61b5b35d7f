//! A guest's definition as it stands in its file.

use serde::Deserialize;
use serde_spanned::Spanned;

use crate::console;
use crate::wire::PrepareStep;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Definition {
    pub(super) title: String,
    pub(super) page: String,
    pub(super) tried: Spanned<String>,
    pub(super) memory: Spanned<String>,
    pub(super) interface: Spanned<String>,
    #[serde(default)]
    pub(super) provides: Vec<Spanned<String>>,
    pub(super) start_limit_seconds: Spanned<u32>,
    pub(super) kernel: Option<Kernel>,
    #[serde(default)]
    pub(super) module: Vec<Module>,
    /// Modules that are loaded only where a function is that they are for.
    #[serde(default)]
    pub(super) drivers: Vec<String>,
    pub(super) boot: Option<Spanned<Boot>>,
    pub(super) console: Option<console::wire::Console>,
}

/// What a guest on a console boots; which keys there are depends on `from`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Boot {
    pub(super) from: Spanned<String>,
    pub(super) port: Option<Spanned<String>>,
    pub(super) processor: Option<Spanned<String>>,
    pub(super) program: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) packages: Vec<String>,
    #[serde(default)]
    pub(super) modules: Vec<String>,
    pub(super) config: Option<String>,
    pub(super) code: Option<String>,
    pub(super) variables: Option<String>,
    pub(super) bus: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Kernel {
    pub(super) image: Spanned<String>,
    pub(super) package: Spanned<String>,
    /// Where it is fetched from; the kernel that is installed on the host if not given.
    pub(super) archive: Option<Spanned<String>>,
    pub(super) command_line: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Module {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) options: String,
    #[serde(default)]
    pub(super) prepare: Vec<PrepareStep>,
}
