//! The matrix while it fills: a line for each suite in each guest. Indicatif draws nothing where standard error is no
//! terminal.

use std::num::NonZeroU32;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use slotwise_testbench::matrix::{Matrix, Outcome, Progress, Row};

use crate::print;

/// Columns of a label that are shown.
const LABEL: usize = 40;

/// The matrix on the terminal.
pub(super) struct Live {
    all: MultiProgress,
    lines: Vec<Line>,
}

struct Line {
    suite: String,
    guest: String,
    bar: ProgressBar,
    /// How many cases ended so, in the order of [`Outcome::ALL`].
    counts: [usize; Outcome::ALL.len()],
}

impl Live {
    pub(super) fn new(matrix: &Matrix<'_>, times: NonZeroU32) -> Self {
        let style = ProgressStyle::with_template("{prefix} {bar:20} {pos:>4}/{len:<4} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let all = MultiProgress::new();
        let mut lines = Vec::new();
        let label = |suite: &str, guest: &str| format!("{suite} in {guest}");
        let pairs =
            || matrix.guests.iter().flat_map(|guest| matrix.suites.iter().map(move |suite| (suite, guest)));
        let width = pairs().map(|(suite, guest)| label(suite.id(), guest.id()).len()).max();
        let width = width.unwrap_or(0).min(LABEL);
        for (suite, guest) in pairs() {
            let total = suite.cases().len() as u64 * u64::from(times.get()) * matrix.devices.len() as u64;
            let bar = all.add(ProgressBar::new(total).with_style(style.clone()));
            bar.set_prefix(format!("{:width$.LABEL$}", label(suite.id(), guest.id())));
            // Drawn before its first case, so that the whole matrix is seen.
            bar.tick();
            let (suite, guest) = (suite.id().to_owned(), guest.id().to_owned());
            lines.push(Line { suite, guest, bar, counts: [0; Outcome::ALL.len()] });
        }
        Self { all, lines }
    }

    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Done(row, _) | Progress::Kept(row) => self.row(row),
            Progress::Started(_) => {}
        }
    }

    fn row(&mut self, row: &Row) {
        let own = |line: &&mut Line| line.suite == row.suite && line.guest == row.guest;
        let Some(line) = self.lines.iter_mut().find(own) else { return };
        for (count, outcome) in line.counts.iter_mut().zip(Outcome::ALL) {
            *count += usize::from(outcome == row.outcome);
        }
        let counts = line.counts.iter().zip(Outcome::ALL).filter(|(count, _)| **count > 0);
        let told: Vec<String> =
            counts.map(|(count, outcome)| format!("{count} {}", outcome.name())).collect();
        line.bar.inc(1);
        line.bar.set_message(print::printable(&format!("{}  {}", told.join(", "), row.case)));
    }

    pub(super) fn end(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.all.clear();
    }
}
