//! What a step must show, told with what it did show.

use serde_json::Value;

use super::lab::Said;
use crate::Result;

/// The command printed a text and ended with a status.
pub(super) fn has(said: &Said, text: &str, status: i32) -> Result {
    let shown = said.out.contains(text) || said.err.contains(text);
    if shown && said.status == status {
        return Ok(());
    }
    Err(format!(
        "`{}` should end with {status} and show {text:?}; it ended with {}:\n{}{}",
        said.command, said.status, said.out, said.err
    )
    .into())
}

/// Something holds of a value.
pub(super) fn what(holds: bool, claim: &str, value: &Value) -> Result {
    if holds { Ok(()) } else { Err(format!("expected that {claim}; found {value:#}").into()) }
}

/// The entries of a list; none if it is no list.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// How long a list is.
pub(super) fn count(value: &Value) -> usize {
    list(value).count()
}

/// The text at a JSON pointer; empty if there is none.
pub(super) fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A function of an inspected host.
pub(super) fn function<'v>(host: &'v Value, address: &str) -> Result<&'v Value> {
    let found = list(&host["functions"]).find(|function| function["address"] == address);
    Ok(found.ok_or_else(|| format!("{address} is not there: {host:#}"))?)
}
