//! Failures that are known: a TOML file that says which, where, why, and until when.
//!
//! ```toml
//! [[known]]
//! case = "scsi-2/rb-link"       # a pattern, as for --only
//! device = "*"                  # which device, by its name in reports; any if left out
//! guest = "debian-*"            # which guest; any if left out
//! reason = "the link bit is ignored; fixed in 2.4"
//! expires = 2027-01-31          # the last day it holds
//! ```
//!
//! A known failure does not fail a run. One whose day is over does, and says that it is over; one that passes is told, so
//! that its entry can go.

use std::fmt;

use super::pattern::{Pattern, PatternError, glob};
use super::wire;
use crate::matrix::{Outcome, Row};
use crate::source::{FileError, Source};

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year of the common era.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// What is known to fail.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    case: Pattern,
    device: Option<String>,
    guest: Option<String>,
    known: Known,
}

/// What an entry says of its cases.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    reason: String,
    expires: Date,
    standing: Standing,
}

/// What is known of a row's case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Why it fails.
    pub reason: String,
    /// The last day on which that is no news.
    pub expires: Date,
    /// How the entry stands.
    pub standing: Standing,
}

/// How an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The case fails, as is known.
    Holds,
    /// The entry's last day is over.
    Expired,
    /// The case passes: the entry can go.
    Passes,
}

impl Standing {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Expired => "expired",
            Self::Passes => "passes",
        }
    }

    /// The standing of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Holds, Self::Expired, Self::Passes].into_iter().find(|standing| standing.name() == name)
    }
}

impl Quarantined {
    /// Whether the failure is no news.
    pub fn holds(&self) -> bool {
        self.standing == Standing::Holds
    }
}

/// A file of known failures that cannot be used.
pub type QuarantineError = FileError;

impl Quarantine {
    /// Reads a file as of a day.
    ///
    /// # Errors
    ///
    /// It is no such file; the error names the place.
    pub fn parse(file: &str, text: &str, today: Date) -> Result<Self, QuarantineError> {
        let source = Source { file, text };
        let raw: wire::QuarantineFile = source.read()?;
        let entries = raw.known.into_iter().map(|entry| read(&source, entry, today));
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// What is known of a row that is done; nothing if it was skipped.
    pub fn about(&self, row: &Row) -> Option<Quarantined> {
        let fits = |own: &Option<String>, name: &str| own.as_ref().is_none_or(|pattern| glob(pattern, name));
        let entry = self.entries.iter().find(|entry| {
            entry.case.fits(&row.suite, &row.case)
                && fits(&entry.device, &row.device)
                && fits(&entry.guest, &row.guest)
        })?;
        let Known { reason, expires, standing } = entry.known.clone();
        let standing = match row.outcome {
            Outcome::Skip => return None,
            Outcome::Pass => Standing::Passes,
            Outcome::Fail | Outcome::Error | Outcome::Crash => standing,
        };
        Some(Quarantined { reason, expires, standing })
    }
}

fn read(source: &Source<'_>, raw: wire::KnownFailure, today: Date) -> Result<Entry, FileError> {
    let case: Pattern = raw.case.get_ref().parse().map_err(|error: PatternError| {
        source.error_with_hint(&raw.case.span(), error.to_string(), error.hint())
    })?;
    if raw.reason.get_ref().trim().is_empty() {
        return Err(source.error(&raw.reason.span(), "a known failure has a reason"));
    }
    let expires = date(*raw.expires.get_ref()).ok_or_else(|| {
        source.error_with_hint(&raw.expires.span(), "not a day", "a date alone, for example 2027-01-31")
    })?;
    let standing = if expires < today { Standing::Expired } else { Standing::Holds };
    let reason = raw.reason.into_inner();
    Ok(Entry { case, device: raw.device, guest: raw.guest, known: Known { reason, expires, standing } })
}

/// A TOML date without time and offset.
fn date(value: toml::value::Datetime) -> Option<Date> {
    match value {
        toml::value::Datetime { date: Some(date), time: None, offset: None } => {
            Some(Date { year: date.year, month: date.month, day: date.day })
        }
        _ => None,
    }
}

impl Date {
    /// Reads `2027-01-31`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        date(text.parse().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::row;

    const TODAY: Date = Date { year: 2027, month: 1, day: 31 };

    fn standing(text: &str, row: &Row) -> Option<Standing> {
        Quarantine::parse("q.toml", text, TODAY).unwrap().about(row).map(|known| known.standing)
    }

    #[test]
    fn an_entry_holds_until_its_last_day_and_is_told_where_the_case_passes() {
        let entry = |rest: &str| format!("[[known]]\ncase = \"s/c\"\nreason = \"r\"\n{rest}\n");
        let (failing, passing) = (row("c", Outcome::Fail), row("c", Outcome::Pass));
        assert_eq!(standing(&entry("expires = 2027-01-31"), &failing), Some(Standing::Holds));
        assert_eq!(standing(&entry("expires = 2027-01-30"), &failing), Some(Standing::Expired));
        assert_eq!(standing(&entry("expires = 2027-01-30"), &passing), Some(Standing::Passes));
        assert_eq!(standing(&entry("expires = 2027-02-01"), &row("c", Outcome::Skip)), None);
        assert_eq!(standing(&entry("expires = 2027-02-01"), &row("other", Outcome::Fail)), None);
        for (place, known) in [
            ("guest = \"deb*\"", true),
            ("guest = \"grub\"", false),
            ("device = \"disk\"", true),
            ("device = \"d\"", false),
        ] {
            let text = entry(&format!("expires = 2027-02-01\n{place}"));
            assert_eq!(standing(&text, &failing).is_some(), known, "{place}");
        }
    }

    #[test]
    fn a_known_failure_does_not_stand_and_an_expired_one_does() {
        let known = |standing| Quarantined { reason: "r".into(), expires: TODAY, standing };
        let row = |quarantined| Row { quarantined, ..row("c", Outcome::Fail) };
        assert!(row(None).stands() && row(Some(known(Standing::Expired))).stands());
        assert!(!row(Some(known(Standing::Holds))).stands());
    }

    #[test]
    fn faults_of_the_file_are_told_with_their_place() {
        for (text, message) in [
            (
                "[[known]]\ncase = \"a b\"\nreason = \"r\"\nexpires = 2027-01-01\n",
                "q.toml:2:8: \"a b\" names no suite or case",
            ),
            (
                "[[known]]\ncase = \"a\"\nreason = \" \"\nexpires = 2027-01-01\n",
                "q.toml:3:10: a known failure has a reason",
            ),
            ("[[known]]\ncase = \"a\"\nreason = \"r\"\nexpires = 12:00:00\n", "q.toml:4:11: not a day"),
            ("[[known]]\ncase = \"a\"\nreason = \"r\"\nexpires = 2027-02-30\n", "q.toml:4:"),
            ("[[known]]\ncase = \"a\"\nreason = \"r\"\n", "q.toml:1:1: missing field `expires`"),
            ("[[known]]\ncase = \"a\"\nreason = \"r\"\nuntil = 1\n", "q.toml:4:1: unknown field `until`"),
        ] {
            let error = Quarantine::parse("q.toml", text, TODAY).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}
