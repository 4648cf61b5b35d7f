//! A run as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::ReportError;
use super::wire::v1::{Document, TestRow};
use crate::matrix::{Outcome, Run};

const TEMPLATE: &str = include_str!("../../data/report/report.html");

/// A table of the page: a suite's cases, a column for each device in each guest.
#[derive(Debug)]
struct Table<'a> {
    suite: &'a str,
    columns: Vec<(&'a str, &'a str)>,
    /// Case, title, and its row number for each column.
    lines: Vec<(&'a str, &'a str, Vec<Option<usize>>)>,
}

/// A run as an HTML page.
///
/// # Errors
///
/// The template engine failed.
pub fn html(run: &Run) -> Result<String, ReportError> {
    let failed = |source| ReportError::new("HTML", source);
    let document = Document::from(run);
    let tables = tables(&document.rows);
    let tables: Vec<_> = tables
        .iter()
        .map(|Table { suite, columns, lines }| {
            let (columns, lines) = (serialized(columns), serialized(lines));
            context! { suite => *suite, columns, lines }
        })
        .collect();
    let mut environment = Environment::new();
    // Whatever a device or a guest says is text here, never markup.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("spaced", spaced);
    environment.add_template("report", TEMPLATE).map_err(failed)?;
    let template = environment.get_template("report").map_err(failed)?;
    // The drawing comes from `slotwise_core::report::picture`, which escapes what the host says.
    let picture = run.picture.as_deref().map(scoped);
    let slowest = slowest(&document.rows);
    let changes = serialized(document.comparison.as_ref().map_or(&[][..], |comparison| &comparison.changes));
    let comparison = document.comparison.as_ref().map(serialized);
    let (run, rows) = (serialized(&document.run), serialized(&document.rows));
    template.render(context! { run, rows, tables, changes, comparison, picture, slowest }).map_err(failed)
}

/// Cases in the table of times.
const SLOWEST: usize = 10;

/// The slowest cases, with their share of the slowest one's time.
fn slowest(rows: &[TestRow]) -> Vec<Value> {
    let mut slow: Vec<&TestRow> = rows.iter().filter(|row| row.seconds > 0.0).collect();
    slow.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let most = slow.first().map_or(1.0, |row| row.seconds);
    let line = |row: &&TestRow| {
        let (suite, case, guest, seconds) = (&row.suite, &row.case, &row.guest, row.seconds);
        context! { suite, case, guest, seconds, share => seconds / most }
    };
    slow.iter().take(SLOWEST).map(line).collect()
}

/// A drawing within a page: its style, written for a document of its own, is kept to the drawing by nesting (CSS Nesting
/// Module Level 1), where `:root` would be the page.
fn scoped(svg: &str) -> String {
    let style = svg.replacen("<style>:root{color-scheme:light dark}", "<style>.picture svg{", 1);
    if style.len() == svg.len() { svg.to_owned() } else { style.replacen("</style>", "}</style>", 1) }
}

fn serialized<T: serde::Serialize>(value: T) -> Value {
    Value::from(Serde(value))
}

/// `1234` to `12 34`.
fn spaced(hex: &str) -> String {
    let digits: Vec<char> = hex.to_uppercase().chars().collect();
    digits.chunks(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn is_bad(row: &TestRow) -> bool {
    Outcome::from_name(&row.outcome).is_some_and(Outcome::is_bad)
}

fn tables(rows: &[TestRow]) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let at = tables.iter().position(|table| table.suite == row.suite).unwrap_or_else(|| {
            tables.push(Table { suite: &row.suite, columns: Vec::new(), lines: Vec::new() });
            tables.len() - 1
        });
        let Some(table) = tables.get_mut(at) else { continue };
        let column = (row.device.as_str(), row.guest.as_str());
        let place = table.columns.iter().position(|own| *own == column).unwrap_or_else(|| {
            table.columns.push(column);
            table.columns.len() - 1
        });
        let line = table.lines.iter().position(|(case, ..)| *case == row.case).unwrap_or_else(|| {
            table.lines.push((&row.case, &row.title, Vec::new()));
            table.lines.len() - 1
        });
        if let Some((_, _, cells)) = table.lines.get_mut(line) {
            cells.resize(cells.len().max(place + 1), None);
            if let Some(cell) = cells.get_mut(place) {
                // Of several attempts the first that is wrong is shown, and how they differ among the flaky ones.
                let bad = |number: usize| rows.get(number).is_some_and(is_bad);
                *cell = Some(cell.filter(|own| bad(*own) || !bad(number)).unwrap_or(number));
            }
        }
    }
    tables
}
