//! QMP messages as they stand in the stream: one JSON object a line (QEMU `docs/interop/qmp-spec.rst`).
//!
//! Members that we do not know are passed over, as that document asks of clients.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
pub(super) struct Greeting {
    #[serde(rename = "QMP")]
    pub(super) qmp: GreetingBody,
}

#[derive(Debug, Deserialize)]
pub(super) struct GreetingBody {
    pub(super) version: Version,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) qemu: Numbers,
}

#[derive(Debug, Deserialize)]
pub(super) struct Numbers {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) micro: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Command<'a> {
    pub(super) execute: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) arguments: &'a Map<String, Value>,
    pub(super) id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    Event {
        event: String,
        #[serde(default)]
        data: Map<String, Value>,
    },
    Error {
        error: ErrorBody,
        id: Option<u64>,
    },
    Return {
        #[serde(rename = "return")]
        value: Value,
        id: Option<u64>,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) class: String,
    pub(super) desc: String,
}
