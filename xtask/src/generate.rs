//! Pages of reference that are made from the code: rules, causes, guests and suites.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use slotwise_core::diagnose;
use slotwise_core::rules::RULES;
use slotwise_testbench::capability::Capability;
use slotwise_testbench::guest::GuestDefinition;
use slotwise_testbench::suite::{Reading, Suite};

use crate::Result;
use crate::build::root;

/// What to do with pages that are not as the code makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Write them.
    Write,
    /// Name them and fail.
    Refuse,
}

/// Makes the pages, or checks that they are made.
pub(crate) fn run(stale: Stale) -> Result {
    let mut differing = Vec::new();
    for (path, text) in pages()? {
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        differing.push(path.display().to_string());
        if stale == Stale::Write {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, text)?;
        }
    }
    match (stale, differing.len()) {
        (_, 0) => Ok(()),
        (Stale::Write, count) => {
            println!("{count} pages written");
            Ok(())
        }
        (Stale::Refuse, _) => {
            let list = differing.join("\n  ");
            Err(format!("these pages are not as the code makes them; run `cargo xtask gen`:\n  {list}")
                .into())
        }
    }
}

fn pages() -> Result<BTreeMap<PathBuf, String>> {
    let folder = root().join("docs/reference");
    let mut pages = BTreeMap::from([(folder.join("rules.md"), rules())]);
    for id in diagnose::ids() {
        if let Some(page) = diagnose::explain(id) {
            pages.insert(folder.join("causes").join(format!("{id}.md")), format!("{}\n", page.trim_end()));
        }
    }
    pages.insert(folder.join("guests.md"), guests()?);
    for id in Suite::builtin_ids() {
        pages.insert(folder.join("suites").join(format!("{id}.md")), suite(id)?);
    }
    Ok(pages)
}

fn guests() -> Result<String> {
    let mut text = "# Guests\n\nThe systems that `slotwise test` can run a device in. Made from the code by `cargo xtask gen`.\n"
        .to_owned();
    for id in GuestDefinition::builtin_ids() {
        let guest = GuestDefinition::builtin(id).map_err(|error| error.to_string())?;
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {id}\n\n{}", guest.page());
    }
    Ok(text)
}

/// A suite's page: what each case is about, what it may do to the device, what it needs.
fn suite(id: &str) -> Result<String> {
    let suite = Suite::whole(id).map_err(|error| error.to_string())?;
    let mut text = format!(
        "# The suite `{id}`\n\n{}. Clauses are those of {}. Made from the code by `cargo xtask gen`.\n\n\
         | case | what it is about | clause | harm | needs |\n| --- | --- | --- | --- | --- |\n",
        suite.title(),
        suite.standard()
    );
    for case in suite.cases() {
        let needs: Vec<&str> =
            Capability::ALL.into_iter().filter(|own| case.needs().has(*own)).map(Capability::name).collect();
        let strict = if case.reading() == Reading::Strict { " (strict)" } else { "" };
        let (title, clause, harm) = (case.title(), case.clause(), case.harm().name());
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{}`{strict} | {title} | {clause} | {harm} | {} |",
            case.id(),
            needs.join(", ")
        );
    }
    text.push_str("\nHarm: `no` nothing; `data` writes blocks; `conf` changes stored settings; `all` the whole medium.\n");
    Ok(text)
}

fn rules() -> String {
    let mut text =
        "# Rules\n\nWhat `slotwise plan` knows to foretell. Made from the code by `cargo xtask gen`.\n"
            .to_owned();
    for rule in RULES {
        let page = rule.page;
        let parts =
            [("", page.what), ("**Why.** ", page.why), ("**Fix.** ", page.fix), ("*Source:* ", page.source)];
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n## {}", rule.id);
        for (label, body) in parts {
            let _ = writeln!(text, "\n{label}{body}");
        }
        let causes: Vec<String> = rule.predicts.iter().map(|id| format!("[{id}](causes/{id}.md)")).collect();
        if !causes.is_empty() {
            let _ = writeln!(text, "\n*In logs:* {}", causes.join(", "));
        }
    }
    text
}
