//! A run as JUnit XML: a test suite for each suite on each device in each guest.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{ReportError, groups, one_line, visible};
use crate::matrix::{Outcome, Row, Run};
use crate::run::Quarantined;

/// A run as JUnit XML.
///
/// # Errors
///
/// The XML writer failed.
pub fn junit(run: &Run) -> Result<String, ReportError> {
    let mut report = Report::new("slotwise test");
    report.set_time(run.elapsed);
    for ([suite, device, guest], rows) in groups(run) {
        let mut own = TestSuite::new(one_line(&format!("{suite} on {device} in {guest}")));
        own.set_time(rows.iter().map(|row| row.elapsed).sum::<Duration>());
        own.add_test_cases(rows.into_iter().map(case));
        report.add_test_suite(own);
    }
    report.to_string().map_err(|source| ReportError::new("JUnit XML", source))
}

fn case(row: &Row) -> TestCase {
    let known = row.quarantined.as_ref().filter(|known| known.holds());
    let mut status = match row.outcome {
        // A known failure must not fail what reads this; the format has no better word.
        Outcome::Fail | Outcome::Error | Outcome::Crash if known.is_some() => TestCaseStatus::skipped(),
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Skip => TestCaseStatus::skipped(),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Error | Outcome::Crash => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let told = row.reason.as_deref().map(one_line);
    let message = match known {
        Some(Quarantined { reason, expires, .. }) if row.outcome.is_bad() => {
            Some(format!("known until {expires} ({}): {}", one_line(reason), told.unwrap_or_default()))
        }
        _ => told,
    };
    if let Some(message) = message {
        status.set_message(message);
    }
    if row.stands() {
        status.set_type(row.outcome.name());
        status.set_description(format!("{} {}\n{}", row.standard, row.clause, visible(&row.why)));
    }
    // Names are unique within a suite.
    let time = if row.attempt > 1 { format!(" (time {})", row.attempt) } else { String::new() };
    let mut case = TestCase::new(format!("{}{time}", row.case), status);
    case.set_classname(format!("{}.{}.{}", row.suite, one_line(&row.device), row.guest));
    case.set_time(row.elapsed);
    if let Some(console) = &row.console {
        case.set_system_out(visible(console));
    }
    case
}
