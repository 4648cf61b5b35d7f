//! Where facts come from: this host, or what `--from` names.

use std::path::Path;

use slotwise_core::facts::{Facts, Origin, SourceKind};
use slotwise_host::live::LiveHost;

use crate::error::{Failure, Hint};

/// Reads this host.
pub(crate) fn this_host() -> Result<Facts, Failure> {
    let host = LiveHost::running()?;
    let boot_id = host.live().ok().map(|live| live.boot_id().to_string());
    Ok(slotwise_host::read(&host, Origin::Live { boot_id }))
}

/// Reads what `--from` names, or this host without it.
pub(crate) fn facts(from: Option<&Path>) -> Result<Facts, Failure> {
    let Some(path) = from else { return this_host() };
    let name = path.display().to_string();
    if path.is_dir() {
        if !path.join("sys").is_dir() {
            return Err(Failure::new(format!("{name} holds no sys/ of a host")).hint(
                "give the directory that has sys/ and proc/ in it, or a file written by `slotwise capture`",
            ));
        }
        let host = LiveHost::at(path).hint("the directory must hold sys/ and proc/ of some host")?;
        let origin = Origin::Saved { kind: SourceKind::Directory, name };
        return Ok(slotwise_host::read(&host, origin));
    }
    Err(Failure::new(format!("cannot read facts from {name}")))
}
