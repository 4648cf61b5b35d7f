//! Reading a spec file, and showing its faults where they stand.

use std::fs;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use slotwise_core::vm::Request;
use slotwise_core::vm::spec::{self, SpecFault};

use crate::error::Failure;

/// A spec file, as text and understood.
pub(crate) struct Spec {
    name: String,
    text: String,
    /// What it asks for.
    pub(crate) request: Request,
}

impl Spec {
    /// Reads a spec; its faults are shown with the lines they stand in.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let bytes =
            fs::read(path).map_err(|error| Failure::new(format!("cannot read the spec {name}: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::new(format!("the spec {name} is not UTF-8 (byte {at})"))
        })?;
        match spec::parse(&text) {
            Ok(request) => Ok(Self { name, text, request }),
            Err(faults) => {
                show(&name, &text, &faults);
                Err(count(&name, &faults))
            }
        }
    }

    /// Shows faults that the spec has on a host.
    pub(crate) fn faulty(&self, faults: &[SpecFault]) -> Failure {
        show(&self.name, &self.text, faults);
        count(&self.name, faults)
    }
}

fn count(name: &str, faults: &[SpecFault]) -> Failure {
    match faults.len() {
        1 => Failure::new(format!("{name} cannot be used as it is")),
        many => Failure::new(format!("{name} cannot be used as it is: {many} faults")),
    }
}

fn show(name: &str, text: &str, faults: &[SpecFault]) {
    let renderer = if anstream::stderr().is_terminal() { Renderer::styled() } else { Renderer::plain() };
    for fault in faults {
        let mut snippet = Snippet::source(text)
            .path(name)
            .annotation(AnnotationKind::Primary.span(within(text, &fault.span)));
        for (span, label) in &fault.related {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(text, span)).label(label));
        }
        let group = Level::ERROR.primary_title(fault.message.as_str()).element(snippet);
        let group = match &fault.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        anstream::eprintln!("{}", renderer.render(&[group]));
    }
}

/// A span that certainly lies within the text, on character boundaries.
fn within(text: &str, span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(span.start), floor(span.end));
    start..end.max(start)
}
