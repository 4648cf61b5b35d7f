//! Which case found a defect when it was last looked for: tried first, where it only matters whether it is found.
//!
//! A note that no longer holds costs time and nothing else: the whole suite is run then.

use std::fmt::Write as _;
use std::fs;

use slotwise_lab::target::{DEFECTS, Defect, DefectRow, Model};
use slotwise_rigs::direct::Places;
use slotwise_testbench::suite::{Case, Suite};

use super::{MODELS, Order, Trial, Until, attempt, of_each, try_case};
use crate::Result;
use crate::build::root;

const PATH: &str = "xtask/src/mutation/finders.txt";
const NOTES: &str = include_str!("finders.txt");

/// A case, and the target that it found the defect on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finder {
    pub(super) case: String,
    /// Which of the models.
    pub(super) model: usize,
    pub(super) places: Places,
}

impl Finder {
    pub(super) fn of(case: &Case, model: Model, places: Places) -> Option<Self> {
        let model = MODELS.iter().position(|one| *one == model)?;
        Some(Self { case: case.id().to_owned(), model, places })
    }

    /// What is noted for a defect, if it is and can be read.
    fn noted(id: &str) -> Option<Self> {
        let line = NOTES.lines().find_map(|line| line.strip_prefix(id)?.strip_prefix(' '))?;
        let mut words = line.split(' ');
        let case = words.next()?.to_owned();
        let model = words.next()?.parse().ok().filter(|model| *model < MODELS.len())?;
        let places = match words.next()? {
            "as-named" => Places::AsNamed,
            "exchanged" => Places::Exchanged,
            _ => return None,
        };
        Some(Self { case, model, places })
    }

    fn line(&self, id: &str) -> String {
        let places = match self.places {
            Places::AsNamed => "as-named",
            Places::Exchanged => "exchanged",
        };
        format!("{id} {} {} {places}", self.case, self.model)
    }

    /// Whether it finds the defect.
    fn finds(&self, suite: &Suite, defect: Defect) -> bool {
        let Some(case) = suite.cases().iter().find(|case| case.id() == self.case) else { return false };
        let Some(&model) = MODELS.get(self.model) else { return false };
        let mut trial = Trial::default();
        // A case that does not apply there blames nobody.
        let _ = try_case(suite, case, (model, Some(defect), self.places), &mut trial);
        trial.blames_device()
    }
}

/// What finds a defect: the one noted, or the first of the suite's.
fn finder(suite: &Suite, row: &DefectRow, order: &Order) -> Option<Finder> {
    let noted = Finder::noted(row.id).filter(|noted| noted.finds(suite, row.defect));
    noted.or_else(|| attempt(suite, Some(row.defect), Until::Found(order)).finder)
}

/// Whether the suite finds a defect.
pub(crate) fn finds(suite: &Suite, row: &DefectRow, order: &Order) -> bool {
    finder(suite, row, order).is_some()
}

/// Notes what finds each defect. Notes that hold stay.
pub(crate) fn note() -> Result {
    let suite = Suite::whole(super::SUITE)?;
    let order = Order::default();
    let wanted: Vec<_> = DEFECTS.iter().collect();
    let mut text = String::new();
    for (row, finder) in of_each(&wanted, |row| finder(&suite, row, &order)) {
        match finder {
            Some(finder) => writeln!(text, "{}", finder.line(row.id))?,
            None => println!("not found: {}: {}", row.id, row.fault),
        }
    }
    fs::write(root().join(PATH), text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_are_written() {
        let lines = NOTES.lines().collect::<Vec<_>>();
        let known = DEFECTS.iter().filter_map(|row| Some(Finder::noted(row.id)?.line(row.id)));
        let known: Vec<_> = known.collect();
        assert_eq!(
            known, lines,
            "a note of no defect, or one that cannot be read: `cargo xtask mutation --note`"
        );
    }

    #[test]
    fn a_note_is_believed_only_where_the_case_finds_the_defect() {
        let suite = Suite::whole(super::super::SUITE).unwrap();
        let row = DEFECTS.iter().find(|row| row.id == "write-lost").unwrap();
        let noted = Finder::noted(row.id).unwrap();
        assert!(noted.finds(&suite, row.defect));
        let stale = Finder { case: "inq-standard".to_owned(), ..noted.clone() };
        assert!(!stale.finds(&suite, row.defect));
        assert!(!Finder { case: "no-such-case".to_owned(), ..noted }.finds(&suite, row.defect));
    }
}
