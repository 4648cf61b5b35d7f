//! Output: colours where a person looks, plain text in a pipe, `NO_COLOR` heeded (by anstream).

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use rayon::prelude::*;
use serde::Serialize;
use slotwise_core::report::wire::v1::InspectPart;
use slotwise_core::report::{Role, Text};

use crate::error::Failure;

const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(colour)))
}

/// So many parts of a text for each thread are made before they are written.
const PARTS_OF_A_THREAD: usize = 8;

/// Colours that stand for IOMMU groups, in turn.
const GROUPS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::Green,
    AnsiColor::BrightRed,
];

fn style(role: Role) -> Style {
    match role {
        Role::Plain => Style::new(),
        Role::Strong => Style::new().bold(),
        Role::Faint => Style::new().dimmed(),
        Role::Good => colour(AnsiColor::Green),
        Role::Caution => colour(AnsiColor::Yellow),
        Role::Bad => colour(AnsiColor::Red).bold(),
        Role::Group(number) => {
            // The remainder is below the length, so there is always one.
            colour(GROUPS.get(number as usize % GROUPS.len()).copied().unwrap_or(AnsiColor::Cyan))
        }
    }
}

/// Writes to standard output. A reader that has gone away (`| head`) is no failure.
fn emit(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    heard(write(&mut out).and_then(|()| out.flush()))
}

fn heard(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::from(error)),
        _ => Ok(()),
    }
}

/// Shows a text on standard output.
pub(crate) fn text(text: &Text) -> Result<(), Failure> {
    emit(|out| {
        for line in &text.lines {
            for span in line {
                let style = style(span.role);
                write!(out, "{style}{}{style:#}", printable(&span.text))?;
            }
            writeln!(out)?;
        }
        Ok(())
    })
}

/// Shows a plain text on standard output.
pub(crate) fn plain(text: &str) -> Result<(), Failure> {
    emit(|out| out.write_all(text.as_bytes()))
}

/// Writes a text to a file, replacing what was there, or to standard output for `-`.
pub(crate) fn into(path: &Path, text: &str) -> Result<(), Failure> {
    if path == Path::new("-") {
        return plain(text);
    }
    fs::write(path, text)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    progress(&format!("written: {}", path.display()));
    Ok(())
}

/// Writes a value as JSON to standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)?;
    emit(|out| writeln!(out, "{text}"))
}

/// Writes parts of one JSON text to standard output, one after the other. JSON has nothing that steers a terminal: it
/// escapes all control characters (RFC 8259 §7).
///
/// Some parts are made at once and their room is used again: the text of a large host takes more room than its facts.
pub(crate) fn json_parts(parts: &[InspectPart<'_, '_>]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut texts = vec![Vec::new(); parts.len().min(PARTS_OF_A_THREAD * rayon::current_num_threads())];
    for some in parts.chunks(texts.len().max(1)) {
        let made = some.par_iter().zip(&mut texts).map(|(part, text)| {
            text.clear();
            part.write(text)
        });
        made.collect::<Result<(), _>>()?;
        if let written @ Err(_) = texts.iter().take(some.len()).try_for_each(|text| out.write_all(text)) {
            return heard(written);
        }
    }
    heard(writeln!(out).and_then(|()| out.flush()))
}

/// Writes a value as JSON on one line of standard output.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)?;
    emit(|out| writeln!(out, "{text}"))
}

/// A line on standard error: a styled label, then a text.
pub(crate) fn note(role: Role, label: &str, message: &str) {
    let style = style(role);
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {}", printable(message));
}

/// A line on standard error that tells what is being done.
pub(crate) fn progress(message: &str) {
    let style = style(Role::Faint);
    let _ = writeln!(anstream::stderr(), "{style}{}{style:#}", printable(message));
}

/// What comes from a host, a log or a guest must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Progress of something that takes more than a second; shown to people only.
pub(crate) struct Bar(indicatif::ProgressBar);

/// A bar of `total` steps on standard error, if that is a terminal.
pub(crate) fn bar(total: usize, what: &str) -> Bar {
    let style = indicatif::ProgressStyle::with_template("{bar:30} {pos}/{len} {prefix}  {wide_msg}")
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    // Indicatif draws nothing where standard error is no terminal.
    Bar(indicatif::ProgressBar::new(total as u64).with_style(style).with_prefix(what.to_owned()))
}

impl Bar {
    /// So far.
    pub(crate) fn at(&self, done: u64, message: &str) {
        self.0.set_position(done);
        self.0.set_message(printable(message));
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
