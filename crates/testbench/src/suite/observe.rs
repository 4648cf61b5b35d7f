//! Cases that ask what a guest's own drivers make of the device, instead of sending commands.

use serde_spanned::Spanned;

use super::wire;
use crate::sight::{Observation, Place};
use crate::source::{FileError, Source};

/// Sectors one case may ask for.
const SECTOR_LIMIT: usize = 64;

/// What a case observes; none if it has steps.
pub(super) fn read(source: &Source<'_>, raw: &wire::CaseFile) -> Result<Option<Observation>, FileError> {
    let what = match (&raw.observe, &raw.step) {
        (Some(what), None) => what,
        (None, Some(_)) => {
            let stray =
                raw.sectors.as_ref().map(|list| source.error(&list.span(), "`sectors` goes with `observe`"));
            return stray.map_or(Ok(None), Err);
        }
        (Some(what), Some(_)) => {
            return Err(source.error(&what.span(), "a case has `observe` or steps, not both"));
        }
        (None, None) => return Err(source.error(&(0..0), "a case has at least one step, or `observe`")),
    };
    let observation = match (what.get_ref().as_str(), &raw.sectors) {
        ("function", None) => Observation::Function,
        ("name", None) => Observation::Name,
        ("size", None) => Observation::Size,
        ("boot", None) => Observation::Boot,
        ("marks", None) => Observation::Marks,
        ("sectors", Some(list)) => Observation::Sectors(sectors(source, list)?),
        ("sectors", None) => return Err(source.error(&what.span(), "which `sectors`?")),
        (_, Some(list)) => {
            return Err(source.error(&list.span(), "`sectors` goes with observe = \"sectors\""));
        }
        (other, None) => {
            let message = format!("nothing to observe is called `{other}`");
            let hint = "function, name, size, sectors, boot or marks";
            return Err(source.error_with_hint(&what.span(), message, hint));
        }
    };
    Ok(Some(observation))
}

fn sectors(source: &Source<'_>, list: &Spanned<Vec<wire::Sector>>) -> Result<Vec<Place>, FileError> {
    if !(1..=SECTOR_LIMIT).contains(&list.get_ref().len()) {
        return Err(source.error(&list.span(), format!("a case reads 1 to {SECTOR_LIMIT} sectors")));
    }
    let place = |sector: &wire::Sector| match sector {
        wire::Sector::Number(lba) => Ok(Place::At(*lba)),
        wire::Sector::Name(name) if name == "last" => Ok(Place::Last),
        wire::Sector::Name(name) => {
            Err(source.error(&list.span(), format!("no sector `{name}`; \"last\" is one")))
        }
    };
    list.get_ref().iter().map(place).collect()
}
