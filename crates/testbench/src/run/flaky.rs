//! Cases that end now so, now so, on the same device in the same guest.

use std::collections::BTreeMap;

use crate::matrix::{Outcome, Row};

/// A case that did not always end the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaky {
    /// The suite.
    pub suite: String,
    /// The device.
    pub device: String,
    /// The guest.
    pub guest: String,
    /// The case.
    pub case: String,
    /// How often it ended how, in the order of [`Outcome::ALL`]; none of them 0.
    pub outcomes: Vec<(Outcome, usize)>,
}

impl Flaky {
    /// How often it ended how: `pass 3, fail 1`.
    pub fn told(&self) -> String {
        let told = self.outcomes.iter().map(|(outcome, count)| format!("{} {count}", outcome.name()));
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Those among the rows of a run that repeats its cases; in the order of their names. A skip says nothing of a case.
pub fn flaky(rows: &[Row]) -> Vec<Flaky> {
    let mut seen: BTreeMap<[&str; 4], BTreeMap<Outcome, usize>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.outcome != Outcome::Skip) {
        let key = [row.suite.as_str(), &row.device, &row.guest, &row.case];
        *seen.entry(key).or_default().entry(row.outcome).or_default() += 1;
    }
    let several = seen.into_iter().filter(|(_, outcomes)| outcomes.len() > 1);
    several
        .map(|([suite, device, guest, case], outcomes)| Flaky {
            suite: suite.to_owned(),
            device: device.to_owned(),
            guest: guest.to_owned(),
            case: case.to_owned(),
            outcomes: outcomes.into_iter().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::row;

    #[test]
    fn a_case_that_ends_in_two_ways_is_flaky_and_a_skip_is_no_way() {
        let rows = [
            row("a", Outcome::Pass),
            row("a", Outcome::Fail),
            row("a", Outcome::Pass),
            row("b", Outcome::Fail),
            row("b", Outcome::Fail),
            row("c", Outcome::Skip),
            row("c", Outcome::Pass),
        ];
        let found = flaky(&rows);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].case, "a");
        assert_eq!(found[0].outcomes, [(Outcome::Pass, 2), (Outcome::Fail, 1)]);
    }
}
