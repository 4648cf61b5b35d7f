//! Which cases to run: `suite`, `case`, `suite/case`, each with `*` for any letters.

use std::fmt;
use std::str::FromStr;

use crate::suite::Suite;

/// Letters a pattern may have; matching takes time that grows with the square of it.
const LENGTH_LIMIT: usize = 200;

/// Names suites and cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

/// A text that is no pattern, or one that fits nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty, too long, or has letters that no id has.
    #[error("{text:?} names no suite or case")]
    Unreadable {
        /// The text.
        text: String,
    },
    /// No case fits.
    #[error("no case fits {text}")]
    Nothing {
        /// The pattern.
        text: String,
    },
}

impl PatternError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "scsi-2, scsi-2/tur-ready, tur-ready and tur-* are patterns; a case's id is the first column of the report"
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let fits =
            |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.' | b'*' | b'/');
        let sound = (1..=LENGTH_LIMIT).contains(&text.len())
            && text.bytes().all(fits)
            && text.bytes().filter(|letter| *letter == b'/').count() <= 1;
        if sound {
            Ok(Self { text: text.to_owned() })
        } else {
            Err(PatternError::Unreadable { text: text.to_owned() })
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// Whether it names the case.
    pub fn fits(&self, suite: &str, case: &str) -> bool {
        match self.text.split_once('/') {
            Some((own_suite, own_case)) => glob(own_suite, suite) && glob(own_case, case),
            None => glob(&self.text, suite) || glob(&self.text, case),
        }
    }
}

/// Whether a text fits a pattern in which `*` stands for any letters, none included.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where the last star stands, and how far it reaches: going back there is enough, as an earlier star could only give
    // letters to it.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(place) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(own) if own == letter => (at, place) = (at + 1, place + 1),
            _ => {
                let Some((back, reach)) = star else { return false };
                star = Some((back, reach + 1));
                (at, place) = (back + 1, reach + 1);
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|own| *own == b'*')
}

/// The suites with the cases that a pattern names; all if there is no pattern. Suites without any are left out.
///
/// # Errors
///
/// A pattern names none.
pub fn select(suites: Vec<Suite>, patterns: &[Pattern]) -> Result<Vec<Suite>, PatternError> {
    if patterns.is_empty() {
        return Ok(suites);
    }
    let any = |pattern: &&Pattern| {
        suites.iter().any(|suite| suite.cases().iter().any(|case| pattern.fits(suite.id(), case.id())))
    };
    if let Some(idle) = patterns.iter().find(|pattern| !any(pattern)) {
        return Err(PatternError::Nothing { text: idle.text.clone() });
    }
    let chosen = suites.into_iter().map(|suite| {
        let id = suite.id().to_owned();
        suite.only(|case| patterns.iter().any(|pattern| pattern.fits(&id, case.id())))
    });
    Ok(chosen.filter(|suite| !suite.cases().is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_suites_cases_or_both() {
        for (pattern, fits) in [
            ("scsi-2", true),
            ("tur-ready", true),
            ("tur-*", true),
            ("*-ready", true),
            ("t*r*y", true),
            ("scsi-2/tur-ready", true),
            ("*/tur-ready", true),
            ("scsi-2/*", true),
            ("*", true),
            ("tur", false),
            ("block/tur-ready", false),
            ("tur-ready/scsi-2", false),
            ("*x*", false),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().fits("scsi-2", "tur-ready"), fits, "{pattern}");
        }
        for bad in ["", "a/b/c", "a b", "é", &"*".repeat(300)] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_of_stars_does_not_take_long() {
        let pattern = format!("{}b", "a*".repeat(90));
        assert!(!pattern.parse::<Pattern>().unwrap().fits("s", &"a".repeat(100_000)));
    }

    #[test]
    fn suites_without_a_wanted_case_are_left_out_and_an_idle_pattern_is_told() {
        let suites = || vec![Suite::builtin("scsi-2").unwrap(), Suite::builtin("driver").unwrap()];
        let patterns =
            |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Pattern>>();
        let chosen = select(suites(), &patterns(&["tur-ready", "inq-*"])).unwrap();
        assert_eq!(chosen.len(), 1);
        assert!(
            chosen[0].cases().iter().all(|case| case.id() == "tur-ready" || case.id().starts_with("inq-"))
        );
        assert_eq!(select(suites(), &[]).unwrap().len(), 2);
        let error = select(suites(), &patterns(&["tur-ready", "tur-raedy"])).unwrap_err();
        assert_eq!(error.to_string(), "no case fits tur-raedy");
    }
}
