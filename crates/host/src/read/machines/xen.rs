//! Domains of Xen, by what libxl keeps of each while it runs: `/var/lib/xen/userdata-d.DOMID.UUID.libxl-json`.
//!
//! The form is `libxl_domain_config` as JSON (`tools/libs/light/libxl_types.idl`; members with their default are left out);
//! names of the files: `libxl_dom.c: libxl__userdata_path`. libxl calls the files its own business, but no other file says
//! which domain has which function: xenstore does, by its own protocol only. A function that `xl pci-assignable-add` took
//! shows by its driver, `pciback`.

use serde_json::Value;
use slotwise_core::facts::{HostMachine, MachineState, Monitor};
use slotwise_core::pci::PciAddress;

use super::Found;
use crate::kernel::ReadHost;
use crate::read::malformed;

const DIRECTORY: &str = "/var/lib/xen";

const DOMAIN_BYTES: usize = 1 << 20;

pub(super) fn machines(host: &dyn ReadHost, found: &mut Found) {
    for file in found.names(host, DIRECTORY) {
        let Some(id) = domain_id(&file) else { continue };
        let place = format!("{DIRECTORY}/{file}");
        match host.read(&place, DOMAIN_BYTES) {
            Ok(bytes) => match Domain::parse(&bytes) {
                // Domain 0 is the host itself.
                Some(_) if id == 0 => {}
                Some(domain) => found.machines.push(HostMachine {
                    name: domain.name,
                    monitor: Monitor::Xen,
                    state: MachineState::Domain(id),
                    functions: domain.functions,
                    place,
                }),
                None => found.unread.push(malformed(&place, "expected a domain in libxl's JSON")),
            },
            Err(error) => found.missing(&error),
        }
    }
}

/// `userdata-d.5.UUID.libxl-json`; with `n` in place of `d` it is being written.
fn domain_id(file: &str) -> Option<u32> {
    let rest = file.strip_prefix("userdata-d.")?.strip_suffix(".libxl-json")?;
    rest.split_once('.')?.0.parse().ok()
}

/// What is read of a domain.
#[derive(Debug, PartialEq, Eq)]
struct Domain {
    name: Option<String>,
    functions: Vec<PciAddress>,
}

impl Domain {
    fn parse(bytes: &[u8]) -> Option<Self> {
        // The file ends in the NUL of the C string.
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let config: Value = serde_json::from_slice(bytes.get(..end)?).ok()?;
        let config = config.as_object()?;
        let name = config.get("c_info").and_then(|info| info.get("name")).and_then(Value::as_str);
        let devices = config.get("pcidevs").and_then(Value::as_array).into_iter().flatten();
        Some(Self { name: name.map(str::to_owned), functions: devices.filter_map(function).collect() })
    }

    /// A file that says the same, and nothing else.
    fn reduced(&self) -> Vec<u8> {
        let device = |function: &PciAddress| {
            serde_json::json!({ "bdf": {
                "domain": function.domain(), "bus": function.bus(), "dev": function.device(), "func": function.function()
            } })
        };
        let devices: Vec<Value> = self.functions.iter().map(device).collect();
        serde_json::json!({ "c_info": { "name": self.name }, "pcidevs": devices }).to_string().into_bytes()
    }
}

/// The four numbers, in a member of their own since Xen 4.15.
fn function(device: &Value) -> Option<PciAddress> {
    let place = device.get("bdf").unwrap_or(device).as_object()?;
    let number = |name: &str| place.get(name).map_or(Some(0), Value::as_u64);
    let (domain, bus) = (number("domain")?, number("bus")?);
    let (device, function) = (number("dev")?, number("func")?);
    format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}").parse().ok()
}

/// See [`super::reduced`].
pub(super) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    domain_id(path.strip_prefix(DIRECTORY)?.strip_prefix('/')?)?;
    Some(Domain::parse(bytes).map_or_else(Vec::new, |domain| domain.reduced()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn domain_of_both_forms_is_read() {
        let old = br#"{"c_info":{"type":"hvm","name":"win"},"b_info":{"vnc":{"passwd":"hunter2"}},"pcidevs":[{"dev":4,"bus":3,"vdevfn":5}]}"#;
        let domain = Domain::parse(old).expect("a domain");
        assert_eq!(domain.name.as_deref(), Some("win"));
        assert_eq!(domain.functions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0000:03:04.0"]);
        let new = b"{\"c_info\":{},\"pcidevs\":[{\"bdf\":{\"func\":1,\"bus\":1}}]}\0";
        let domain = Domain::parse(new).expect("a domain");
        assert_eq!(domain.functions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0000:01:00.1"]);
    }

    #[test]
    fn reduced_domain_says_the_same_and_no_secret() {
        let path = "/var/lib/xen/userdata-d.5.0000-1.libxl-json";
        let text =
            br#"{"c_info":{"name":"win"},"b_info":{"vnc":{"passwd":"hunter2"}},"pcidevs":[{"dev":4,"bus":3}]}"#;
        let short = reduced(path, text).expect("a domain's file");
        assert_eq!(Domain::parse(&short), Domain::parse(text));
        assert!(!String::from_utf8_lossy(&short).contains("hunter2"));
        assert_eq!(reduced("/var/lib/xen/userdata-d.5.0000-1.xl", b"x"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Domain::parse(&bytes);
        }

        #[test]
        fn any_numbers_are_answered(bus in any::<i64>(), dev in any::<u32>()) {
            let text = format!("{{\"pcidevs\":[{{\"bus\":{bus},\"dev\":{dev}}}]}}");
            let domain = Domain::parse(text.as_bytes()).expect("JSON");
            prop_assert!(domain.functions.len() <= 1);
        }
    }
}
