//! Counting agreement per field.

use std::collections::BTreeMap;
use std::error::Error;

/// Disagreements that are printed in full; the rest is counted.
const SHOWN: usize = 40;

/// The fields that decide passthrough: a run that compared none of them proves nothing.
const DECIDING: &[&str] = &[
    "capabilities",
    "power-management.no-soft-reset",
    "msi.vectors",
    "msi-x.vectors",
    "msi-x.table",
    "pci-express.type",
    "pci-express.flr",
    "pci-express.ari-forwarding",
    "advanced-features.flr",
    "access-control-services.capability",
    "access-control-services.control",
    "alternative-routing-id.next",
    "sr-iov.total",
    "address-translation-service.enabled",
    "resizable-bar.sizes",
    "bars",
    "bridge.buses",
];

/// How often each field agreed, and where not.
#[derive(Default)]
pub(super) struct Tally {
    fields: BTreeMap<String, (usize, usize)>,
    shown: Vec<String>,
    skipped: usize,
}

impl Tally {
    pub(super) fn agree(&mut self, field: &str) {
        let (agreed, all) = self.fields.entry(field.to_owned()).or_default();
        *agreed += 1;
        *all += 1;
    }

    pub(super) fn disagree(&mut self, field: &str, place: &str, ours: &str, theirs: &str) {
        self.fields.entry(field.to_owned()).or_default().1 += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{place}: {field}\n    ours:  {ours}\n    lspci: {theirs}"));
        }
    }

    pub(super) fn check(&mut self, field: &str, place: &str, ours: &str, theirs: &str) {
        if ours == theirs { self.agree(field) } else { self.disagree(field, place, ours, theirs) }
    }

    /// lspci itself gave up on a space.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    pub(super) fn disagreements(&self) -> usize {
        self.fields.values().map(|(agreed, all)| all - agreed).sum()
    }

    pub(super) fn print(&self) {
        for line in &self.shown {
            println!("{line}");
        }
        for (field, (agreed, all)) in &self.fields {
            println!("{field} {agreed}/{all}");
        }
        if self.skipped > 0 {
            println!("{} spaces left out: lspci gave up on them", self.skipped);
        }
    }

    pub(super) fn verdict(&self) -> Result<(), Box<dyn Error>> {
        let missing: Vec<&str> =
            DECIDING.iter().copied().filter(|field| !self.fields.contains_key(*field)).collect();
        if !missing.is_empty() {
            return Err(format!("nothing was compared for {}", missing.join(", ")).into());
        }
        match self.disagreements() {
            0 => Ok(()),
            count => Err(format!("{count} fields disagree with lspci").into()),
        }
    }
}
