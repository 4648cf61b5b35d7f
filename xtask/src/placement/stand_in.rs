//! Emulated devices that stand in for cards: `testdata/placement/stand-ins.toml`.

use serde::Deserialize;
use slotwise_core::vm::GuestSlot;

use crate::random::Random;
use crate::{Result, build};

/// All of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    large: Vec<Row>,
    small: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    options: String,
    object: Option<String>,
    #[serde(default)]
    sizes: Vec<String>,
}

/// One emulated device: QEMU's options, with `{id}` where its name goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StandIn {
    /// What it is called on the page.
    pub(super) name: String,
    options: String,
    object: Option<String>,
}

impl Catalogue {
    pub(super) fn read() -> Result<Self> {
        let path = build::root().join("testdata/placement/stand-ins.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// A card with a large BAR, of one of the first `most` sizes that its kind has.
    pub(super) fn large(&self, random: &mut Random, most: usize) -> Result<StandIn> {
        let row = random.one_of(&self.large).ok_or("there are no stand-ins with large BARs")?;
        let sizes = row.sizes.get(..most.min(row.sizes.len())).unwrap_or_default();
        let size = random.one_of(sizes).ok_or_else(|| format!("stand-in {} has no sizes", row.name))?;
        Ok(row.with(size))
    }

    /// A card of every day.
    pub(super) fn small(&self, random: &mut Random) -> Result<StandIn> {
        let row = random.one_of(&self.small).ok_or("there are no small stand-ins")?;
        Ok(StandIn { name: row.name.clone(), options: row.options.clone(), object: row.object.clone() })
    }
}

impl Row {
    fn with(&self, size: &str) -> StandIn {
        StandIn {
            name: format!("{} {size}", self.name),
            options: self.options.replace("{size}", size),
            object: self.object.as_ref().map(|object| object.replace("{size}", size)),
        }
    }
}

impl StandIn {
    /// One of the bridges.
    pub(super) fn bridge(model: &str) -> Self {
        Self { name: model.to_owned(), options: model.to_owned(), object: None }
    }

    /// QEMU's arguments for it under the name `id`, with `rest` after its own options.
    pub(super) fn arguments(&self, id: &str, rest: &str) -> Vec<String> {
        let beside = format!("beside-{id}");
        let mut arguments = Vec::new();
        if let Some(object) = &self.object {
            arguments.extend(["-object".to_owned(), object.replace("{id}", &beside)]);
        }
        let options = self.options.replace("{id}", &beside);
        arguments.extend(["-device".to_owned(), format!("{options},id={id}{rest}")]);
        arguments
    }
}

/// The options that put a device at a place of a bus.
pub(super) fn at(bus: &str, slot: GuestSlot) -> String {
    format!(",bus={bus},addr={slot}")
}
