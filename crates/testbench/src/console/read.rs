//! From a guest's file to its script: every pattern, place and group is checked here, before anything boots.

use std::time::Duration;

use regex::Regex;
use serde_spanned::Spanned;

use super::dialogue::UNITS;
use super::{Form, Glance, Pattern, Script, Step, Values, wire};
use crate::source::{FileError, Source};

/// What is waited for by default.
const WITHIN_SECONDS: u64 = 30;
/// The longest a script may wait for one thing.
const WITHIN_LIMIT_SECONDS: u64 = 3600;
/// The longest pause between two keys.
const KEY_DELAY_LIMIT_MS: u64 = 1000;
/// Places that a script may have.
const PLACES: [&str; 5] = ["lba", "lba:x", "lba:08x", "user", "password"];

/// Reads and checks a script.
pub(crate) fn script(raw: &wire::Console, source: &Source<'_>) -> Result<Script, FileError> {
    let reader = Reader { source };
    let names = raw.prompt.as_ref().map(|text| reader.pattern(text, &Groups::Any)).transpose()?;
    let key_delay = raw.key_delay_ms.as_ref().map_or(Ok(0), |delay| match *delay.get_ref() {
        value if value <= KEY_DELAY_LIMIT_MS => Ok(value),
        _ => Err(source.error(&delay.span(), format!("a key takes {KEY_DELAY_LIMIT_MS} ms at most"))),
    })?;
    let start = raw.start.iter().map(|step| reader.step(step)).collect::<Result<_, _>>()?;
    let prompt = names.is_some();
    let glance = |raw: &Option<Spanned<wire::Glance>>, groups: &Groups| {
        raw.as_ref().map(|glance| reader.glance(glance, groups, prompt)).transpose()
    };
    Ok(Script {
        start,
        functions: glance(&raw.show.functions, &Groups::All(&["vendor", "device"]))?,
        disks: glance(&raw.show.disks, &Groups::OneOf)?,
        sector: glance(&raw.show.sector, &Groups::Data)?,
        boot: glance(&raw.show.boot, &Groups::Any)?,
        prompt: names,
        enter: raw.enter.clone().unwrap_or_else(|| "\r".to_owned()),
        key_delay: Duration::from_millis(key_delay),
    })
}

struct Reader<'a> {
    source: &'a Source<'a>,
}

/// The groups a pattern must have.
enum Groups {
    Any,
    /// All of these.
    All(&'static [&'static str]),
    /// One at least of those that tell of a disk.
    OneOf,
    /// `data`, where there is a pattern at all.
    Data,
}

fn disk_groups() -> Vec<&'static str> {
    ["vendor", "product", "blocks", "block"].into_iter().chain(UNITS.map(|(name, _)| name)).collect()
}

impl Reader<'_> {
    fn step(&self, raw: &Spanned<wire::Step>) -> Result<Step, FileError> {
        let step = raw.get_ref();
        if step.wait.is_none() && step.send.is_none() {
            return Err(self.source.error_with_hint(
                &raw.span(),
                "this step does nothing",
                "a step has `wait`, `send` or both",
            ));
        }
        let wait = step.wait.as_ref().map(|text| self.pattern(text, &Groups::Any)).transpose()?;
        let send = step.send.as_ref().map(|text| self.places(text)).transpose()?;
        Ok(Step { wait, send, within: self.within(step.within_seconds.as_ref())? })
    }

    fn glance(
        &self,
        raw: &Spanned<wire::Glance>,
        groups: &Groups,
        has_prompt: bool,
    ) -> Result<Glance, FileError> {
        let glance = raw.get_ref();
        if let (Some(send), None, false) = (&glance.send, &glance.until, has_prompt) {
            let message = "nothing tells where the answer to this ends";
            return Err(self.source.error_with_hint(
                &send.span(),
                message,
                "`until` here, or `prompt` for all",
            ));
        }
        let matches = glance.matches.as_ref().map(|text| self.pattern(text, groups)).transpose()?;
        if matches.is_none() && !matches!(groups, Groups::Any | Groups::Data) {
            let message = "nothing tells how the answer is read";
            return Err(self.source.error_with_hint(&raw.span(), message, "`match`, with named groups"));
        }
        let form = match glance.form.as_ref().map(|form| (form.get_ref().as_str(), form.span())) {
            None | Some(("text", _)) => Form::Text,
            Some(("hex", _)) => Form::Hex,
            Some((other, span)) => {
                let message = format!("no form `{other}` of a sector");
                return Err(self.source.error_with_hint(&span, message, "text or hex"));
            }
        };
        Ok(Glance {
            send: glance.send.as_ref().map(|text| self.places(text)).transpose()?,
            until: glance.until.as_ref().map(|text| self.pattern(text, &Groups::Any)).transpose()?,
            within: self.within(glance.within_seconds.as_ref())?,
            matches,
            form,
            absent: glance.absent.as_ref().map(|text| self.pattern(text, &Groups::Any)).transpose()?,
        })
    }

    fn within(&self, raw: Option<&Spanned<u64>>) -> Result<Duration, FileError> {
        let Some(raw) = raw else { return Ok(Duration::from_secs(WITHIN_SECONDS)) };
        match *raw.get_ref() {
            seconds @ 1..=WITHIN_LIMIT_SECONDS => Ok(Duration::from_secs(seconds)),
            _ => {
                let message = format!("a script waits 1 to {WITHIN_LIMIT_SECONDS} seconds");
                Err(self.source.error(&raw.span(), message))
            }
        }
    }

    /// A text that is typed: places in it must be known.
    fn places(&self, text: &Spanned<String>) -> Result<String, FileError> {
        for (at, _) in text.get_ref().match_indices('{') {
            let inner =
                text.get_ref().get(at + 1..).and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
            let is_place =
                |name: &str| name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b':');
            if let Some(name) = inner.filter(|name| !name.is_empty() && is_place(name))
                && !PLACES.contains(&name)
            {
                let message = format!("no place `{{{name}}}`");
                let hint = PLACES.map(|place| format!("{{{place}}}")).join(", ");
                return Err(self.source.error_with_hint(&text.span(), message, format!("there are {hint}")));
            }
        }
        Ok(text.get_ref().clone())
    }

    fn pattern(&self, text: &Spanned<String>, groups: &Groups) -> Result<Pattern, FileError> {
        let names = ["user", "password"].map(|name| (name.to_owned(), "x".to_owned())).into();
        let filled = Values { names, lba: Some(1) }.fill(text.get_ref());
        let regex = Regex::new(&filled).map_err(|error| {
            // The last line of the message says what is wrong; those before draw it, which the place does here.
            let message = error.to_string();
            let message = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            self.source.error(&text.span(), format!("this is no pattern: {message}"))
        })?;
        let own: Vec<&str> = regex.capture_names().flatten().collect();
        let has = |name: &&str| own.contains(name);
        let (fits, known, hint) = match groups {
            Groups::Any => (true, own.clone(), String::new()),
            Groups::All(all) => (all.iter().all(has), all.to_vec(), all.join(" and ")),
            Groups::OneOf => (disk_groups().iter().any(has), disk_groups(), disk_groups().join(", ")),
            Groups::Data => (has(&"data"), vec!["data"], "data".to_owned()),
        };
        if let Some(unknown) = own.iter().find(|name| !known.contains(name)) {
            let message = format!("no group `{unknown}` means anything here");
            return Err(self.source.error_with_hint(&text.span(), message, format!("named groups: {hint}")));
        }
        if !fits {
            let message = "this pattern lacks a named group";
            return Err(self.source.error_with_hint(
                &text.span(),
                message,
                format!("(?<name>…) with {hint}"),
            ));
        }
        Ok(Pattern(text.get_ref().clone()))
    }
}
