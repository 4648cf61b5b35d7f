//! A plan carried in a file: made with `slotwise plan -o FILE`, held against the host by `--plan FILE`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use slotwise_core::plan::{self, Plan};
use slotwise_core::report::Role;
use slotwise_core::report::wire::v1::{MAX_SAVED_BYTES, SavedPlan};

use crate::error::{Failure, Hint};
use crate::print;

/// Reads a saved plan.
pub(crate) fn read(path: &Path) -> Result<SavedPlan, Failure> {
    let name = path.display();
    let cannot = |error: std::io::Error| Failure::new(format!("cannot read the plan {name}: {error}"));
    let mut text = String::new();
    let most = u64::try_from(MAX_SAVED_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).map_err(cannot)?.take(most).read_to_string(&mut text).map_err(cannot)?;
    SavedPlan::parse(&text)
        .map_err(|error| Failure::new(format!("{name} is no plan to carry out: {error}")))
        .hint("`slotwise plan SPEC -o FILE` on this host writes one")
}

/// Whether the host is what the saved plan rests on; says what moved if not.
pub(crate) fn still_holds(saved: &SavedPlan, fresh: &Plan) -> bool {
    let moved = plan::moved(&saved.facts, fresh.fingerprint.facts());
    for fact in &moved {
        print::note(Role::Caution, "moved", &fact.to_string());
    }
    if !moved.is_empty() {
        print::note(
            Role::Bad,
            "refused",
            "the host or the spec is not what the plan rests on; nothing was changed",
        );
        print::note(Role::Good, "hint", "plan again, look at what is said, and save the new plan");
    }
    moved.is_empty()
}
