//! A run as JUnit XML: a test suite for each suite on each device in each guest.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{ReportError, groups, one_line, visible};
use crate::matrix::{Outcome, Row, Run};

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
    let mut status = match row.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Skip => TestCaseStatus::skipped(),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Error | Outcome::Crash => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if let Some(reason) = &row.reason {
        status.set_message(one_line(reason));
    }
    if !matches!(row.outcome, Outcome::Pass | Outcome::Skip) {
        status.set_type(row.outcome.name());
        status.set_description(format!("{} {}\n{}", row.standard, row.clause, visible(&row.why)));
    }
    let mut case = TestCase::new(row.case.as_str(), status);
    case.set_classname(format!("{}.{}.{}", row.suite, one_line(&row.device), row.guest));
    case.set_time(row.elapsed);
    if let Some(console) = &row.console {
        case.set_system_out(visible(console));
    }
    case
}
