//! Waits, types, reads: the engine behind every script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use regex::{Captures, Regex};
use slotwise_backend::console::{Console, ConsoleError};
use slotwise_core::pci::PciId;

use super::screen::Screen;
use super::{Form, Glance, Script, Values};
use crate::sight::{Look, SeenDisk, SeenSize, Sight};

/// The most of one answer that is read.
const ANSWER_LIMIT: usize = 4096;
/// How often it is looked whether the run is to end.
const STOP_POLL: Duration = Duration::from_millis(100);
/// How much of what the guest said last goes into a message.
const SAID_BYTES: usize = 120;

/// Why a guest could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum DialogueError {
    /// It did not print what was waited for.
    #[error("the guest did not print {pattern:?} within {} s; its last words were {said:?}", within.as_secs())]
    Silent {
        /// What was waited for.
        pattern: String,
        /// How long.
        within: Duration,
        /// What it printed last.
        said: String,
    },
    /// Its console is gone.
    #[error("the guest's console has ended; its last words were {said:?}")]
    Ended {
        /// What it printed last.
        said: String,
    },
    /// It cannot be typed to.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The script has no way to show that.
    #[error("its script does not say how it shows that")]
    NotScripted,
}

/// A talk with one guest.
#[derive(Clone, Debug)]
pub(crate) struct Dialogue {
    script: Script,
    values: Values,
    screen: Screen,
    /// Bytes of the console that were taken in.
    taken: u64,
    /// Up to where the text has been answered.
    cursor: usize,
    /// Set when every wait is to be over.
    stop: Arc<AtomicBool>,
}

impl Dialogue {
    pub(crate) fn new(script: Script, values: Values, stop: Arc<AtomicBool>) -> Self {
        Self { script, values, screen: Screen::default(), taken: 0, cursor: 0, stop }
    }

    /// Does what the script does until the guest is ready, within a time for all of it.
    pub(crate) fn start(&mut self, console: &Console, within: Duration) -> Result<(), DialogueError> {
        let deadline = Instant::now() + within;
        for step in self.script.start.clone() {
            if let Some(pattern) = step.wait.as_ref().and_then(|pattern| pattern.with(&self.values)) {
                let left = deadline.saturating_duration_since(Instant::now());
                self.cursor = self.wait(console, &pattern, self.cursor, step.within.min(left))?;
            }
            if let Some(text) = &step.send {
                let text = self.values.fill(text);
                self.type_in(console, &text)?;
            }
        }
        Ok(())
    }

    /// Asks the guest, and reads its answer.
    pub(crate) fn look(&mut self, console: &Console, what: Look) -> Result<Sight, DialogueError> {
        let glance = match what {
            Look::Functions => &self.script.functions,
            Look::Disks => &self.script.disks,
            Look::Sector(_) => &self.script.sector,
            Look::Boot => &self.script.boot,
        };
        let glance = glance.clone().ok_or(DialogueError::NotScripted)?;
        let lba = if let Look::Sector(lba) = what { Some(lba) } else { None };
        let values = Values { lba, ..self.values.clone() };
        let answer = self.answer(console, &glance, &values)?;
        let absent = glance.absent.as_ref().and_then(|pattern| pattern.with(&values));
        if absent.is_some_and(|pattern| pattern.is_match(&answer)) {
            return Ok(Sight::NoDriver);
        }
        let matches = glance.matches.as_ref().and_then(|pattern| pattern.with(&values));
        Ok(read(what, &glance, matches.as_ref(), &answer))
    }

    /// What the guest printed last, as many bytes of it.
    pub(crate) fn tail(&self, bytes: usize) -> &str {
        let text = self.screen.since(0);
        let start = text.len().saturating_sub(bytes);
        (start..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
    }

    fn answer(
        &mut self,
        console: &Console,
        glance: &Glance,
        values: &Values,
    ) -> Result<String, DialogueError> {
        let prompt = self.script.prompt.clone();
        let from = match &glance.send {
            None => 0,
            Some(command) => {
                self.take(console);
                let from = self.screen.end();
                let line = format!("{}{}", values.fill(command), self.script.enter);
                self.type_in(console, &line)?;
                from
            }
        };
        let until = glance.until.as_ref().or(prompt.as_ref().filter(|_| glance.send.is_some()));
        if let Some(pattern) = until.and_then(|pattern| pattern.with(values)) {
            self.cursor = self.wait(console, &pattern, from, glance.within)?;
        }
        Ok(self.screen.since(from).to_owned())
    }

    /// Waits for a pattern after a place; gives the place behind it.
    fn wait(
        &mut self,
        console: &Console,
        pattern: &Regex,
        from: usize,
        within: Duration,
    ) -> Result<usize, DialogueError> {
        let deadline = Instant::now() + within;
        loop {
            let news = self.take(console);
            if let Some(found) = pattern.find(self.screen.since(from)) {
                // Where the text was cut, places count from what is left.
                return Ok(self.screen.end() - self.screen.since(from).len() + found.end());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let said = || self.tail(SAID_BYTES).to_owned();
            if left.is_zero() {
                return Err(DialogueError::Silent { pattern: pattern.to_string(), within, said: said() });
            }
            if self.stop.load(Ordering::Relaxed) || (!news && console.output().has_ended()) {
                return Err(DialogueError::Ended { said: said() });
            }
            let taken = self.taken;
            console
                .output()
                .wait_for(left.min(STOP_POLL), |capture| (capture.total_bytes() > taken).then_some(()));
        }
    }

    /// Takes in what the guest has printed; whether there was anything.
    fn take(&mut self, console: &Console) -> bool {
        let capture = console.output().capture();
        let news = capture.since(self.taken);
        self.taken = capture.total_bytes();
        self.screen.push(&news);
        !news.is_empty()
    }

    fn type_in(&self, console: &Console, text: &str) -> Result<(), DialogueError> {
        if self.script.key_delay.is_zero() {
            return Ok(console.write(text.as_bytes())?);
        }
        for byte in text.bytes() {
            console.write(&[byte])?;
            thread::sleep(self.script.key_delay);
        }
        Ok(())
    }
}

fn read(what: Look, glance: &Glance, matches: Option<&Regex>, answer: &str) -> Sight {
    let found =
        |pattern: &Regex| -> Vec<Captures<'_>> { pattern.captures_iter(answer).take(ANSWER_LIMIT).collect() };
    match (what, matches) {
        (Look::Functions, Some(pattern)) => {
            Sight::Functions(found(pattern).iter().filter_map(function).collect())
        }
        (Look::Disks, Some(pattern)) => Sight::Disks(found(pattern).iter().map(disk).collect()),
        (Look::Sector(_), Some(pattern)) => {
            let parts: String =
                found(pattern).iter().filter_map(|own| own.name("data")).map(|own| own.as_str()).collect();
            Sight::Sector(if glance.form == Form::Hex { from_hex(&parts) } else { parts })
        }
        (Look::Boot, Some(pattern)) => match pattern.find(answer) {
            Some(word) => Sight::Boot(word.as_str().to_owned()),
            None => Sight::Nothing,
        },
        (Look::Sector(_), None) => Sight::Sector(answer.to_owned()),
        (Look::Boot, None) => Sight::Boot(answer.to_owned()),
        (_, None) => Sight::Nothing,
    }
}

fn function(found: &Captures<'_>) -> Option<PciId> {
    let id = |name| u16::from_str_radix(found.name(name)?.as_str(), 16).ok();
    Some(PciId { vendor: id("vendor")?, device: id("device")? })
}

/// Units in which systems tell sizes, by the name of the group.
pub(super) const UNITS: [(&str, u64); 6] = [
    ("bytes", 1),
    ("kibibytes", 1 << 10),
    ("mebibytes", 1 << 20),
    ("gibibytes", 1 << 30),
    ("megabytes", 1_000_000),
    ("gigabytes", 1_000_000_000),
];

fn disk(found: &Captures<'_>) -> SeenDisk {
    let text = |name| found.name(name).map(|own| own.as_str().trim().to_owned());
    let number = |name| found.name(name).and_then(|own| own.as_str().parse::<u64>().ok());
    let blocks = number("blocks").and_then(|blocks| {
        let block = number("block").unwrap_or(512);
        Some(SeenSize { bytes: blocks.checked_mul(block)?, unit_bytes: block })
    });
    let counted = UNITS.iter().find_map(|(name, unit)| {
        Some(SeenSize { bytes: number(name)?.checked_mul(*unit)?, unit_bytes: *unit })
    });
    SeenDisk { vendor: text("vendor"), product: text("product"), size: blocks.or(counted) }
}

/// The bytes that pairs of digits stand for, whatever stands between the pairs.
fn from_hex(text: &str) -> String {
    let digits: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(16)).collect();
    let bytes = digits.chunks_exact(2).filter_map(|pair| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    });
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}
