//! QEMU by its command line: `-name`, and `-device vfio-pci,host=…` in both syntaxes.
//!
//! `/proc/PID/cmdline`, arguments that end in a NUL byte (`fs/proc/base.c: proc_pid_cmdline_read`); options as in
//! `qemu-options.hx`, properties as in `hw/vfio/pci.c` and `hw/xen/xen_pt.c`. What was attached later, by QMP, is not on the
//! command line: it shows as a group that the process has open.

use slotwise_core::facts::{HostMachine, MachineState, Monitor};
use slotwise_core::pci::PciAddress;

use super::super::base_name;
use super::Found;
use crate::kernel::{ReadErrorKind, ReadHost};

/// `MAX_ARG_STRLEN` allows 128 KiB for one argument; libvirt's command lines have some tens of KiB.
const COMMAND_BYTES: usize = 1 << 20;

/// Devices that hand over a function, by the beginning of their name, and the property that names it.
const PASSTHROUGH: [(&str, &str); 3] =
    [("vfio-pci", "host"), ("pci-assign", "host"), ("xen-pci-passthrough", "hostaddr")];

pub(super) fn machines(host: &dyn ReadHost, monitors: &[u32], found: &mut Found) {
    for pid in monitors.iter().take(super::MOST) {
        let place = format!("/proc/{pid}/cmdline");
        match host.read(&place, COMMAND_BYTES) {
            Ok(bytes) => {
                let Some(command) = Command::parse(&bytes) else { continue };
                found.told = true;
                found.machines.push(HostMachine {
                    name: command.name,
                    monitor: Monitor::Qemu,
                    state: MachineState::Process(*pid),
                    functions: command.functions,
                    place,
                });
            }
            Err(error) if matches!(error.kind, ReadErrorKind::Denied | ReadErrorKind::NotInSource) => {
                found.missing(&error);
            }
            // It has ended since.
            Err(_) => {}
        }
    }
}

/// What is read of a command line.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    program: String,
    name: Option<String>,
    functions: Vec<PciAddress>,
}

impl Command {
    /// None for another program than QEMU.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut arguments = text.split('\0');
        let program = base_name(arguments.next()?).to_owned();
        if !(program.contains("qemu") || program == "kvm") {
            return None;
        }
        let mut command = Self { program, name: None, functions: Vec::new() };
        while let Some(argument) = arguments.next() {
            // One dash or two, as the user likes (`system/vl.c: lookup_opt`).
            match argument.trim_start_matches('-') {
                "name" if argument.starts_with('-') => {
                    command.name = arguments.next().and_then(guest_name);
                }
                "device" if argument.starts_with('-') => {
                    command.functions.extend(arguments.next().and_then(function));
                }
                _ => {}
            }
        }
        command.functions.dedup();
        Some(command)
    }

    /// A command line that says the same, and nothing else.
    fn reduced(&self) -> Vec<u8> {
        let mut text = format!("{}\0", self.program);
        if let Some(name) = &self.name {
            text += &format!("-name\0guest={}\0", name.replace(',', ",,"));
        }
        for function in &self.functions {
            text += &format!("-device\0vfio-pci,host={function}\0");
        }
        text.into_bytes()
    }
}

/// Keys and values between commas; two commas stand for one (`util/qemu-option.c: get_opt_value`).
fn options(text: &str) -> Vec<(String, Option<String>)> {
    let mut parts = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ',' && rest.peek() != Some(&',') {
            parts.push(String::new());
            continue;
        }
        if c == ',' {
            rest.next();
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let pair = |part: String| match part.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (part, None),
    };
    parts.into_iter().map(pair).collect()
}

/// `NAME`, `NAME,process=…`, `guest=NAME,…`.
fn guest_name(text: &str) -> Option<String> {
    let options = options(text);
    let named = options.iter().find(|(key, _)| key == "guest").and_then(|(_, value)| value.clone());
    let first = || options.first().filter(|(_, value)| value.is_none()).map(|(key, _)| key.clone());
    named.or_else(first).filter(|name| !name.is_empty())
}

/// The function of a device that hands one over.
fn function(text: &str) -> Option<PciAddress> {
    let pairs: Vec<(String, Option<String>)> = if text.trim_start().starts_with('{') {
        let serde_json::Value::Object(map) = serde_json::from_str(text).ok()? else { return None };
        let text = |value: serde_json::Value| value.as_str().map(str::to_owned);
        map.into_iter().map(|(key, value)| (key, text(value))).collect()
    } else {
        options(text)
    };
    let value =
        |name: &str| pairs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_deref());
    let driver = value("driver")
        .or_else(|| pairs.first().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str()))?;
    let (_, property) = PASSTHROUGH.iter().find(|(name, _)| driver.starts_with(name))?;
    let address = value(property).or_else(|| value("sysfsdev").map(base_name))?;
    address.parse().ok()
}

/// See [`super::reduced`].
pub(super) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let process = path.strip_prefix("/proc/")?.strip_suffix("/cmdline")?;
    process.parse::<u32>().ok()?;
    Some(Command::parse(bytes).map_or_else(Vec::new, |command| command.reduced()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(arguments: &[&str]) -> (Option<String>, Vec<String>) {
        let command = Command::parse(arguments.join("\0").as_bytes()).expect("QEMU");
        (command.name, command.functions.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn name_and_functions_are_read_in_all_their_forms() {
        let (name, functions) = parsed(&[
            "/usr/bin/qemu-system-x86_64",
            "-name",
            "guest=win,,10,debug-threads=on",
            "-device",
            "vfio-pci,host=01:00.0,id=x",
            "--device",
            "driver=vfio-pci-nohotplug,host=0000:01:00.1",
            "-device",
            r#"{"driver":"vfio-pci","host":"0001:02:00.0","id":"hostdev0"}"#,
            "-device",
            "vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:03:00.0",
            "-device",
            "virtio-net-pci,host=0000:04:00.0",
            "",
        ]);
        assert_eq!(name.as_deref(), Some("win,10"));
        assert_eq!(functions, ["0000:01:00.0", "0000:01:00.1", "0001:02:00.0", "0000:03:00.0"]);
        assert_eq!(parsed(&["kvm", "-name", "vm1,process=x"]).0.as_deref(), Some("vm1"));
        assert_eq!(parsed(&["kvm", "-name", "debug-threads=on"]).0, None);
    }

    #[test]
    fn other_programs_are_no_machines() {
        assert_eq!(Command::parse(b"/usr/bin/Xorg\0-name\0x\0"), None);
        assert_eq!(Command::parse(b""), None);
    }

    #[test]
    fn reduced_command_line_says_the_same_and_no_secret() {
        let line = b"/home/alice/qemu-system-x86_64\0-name\0guest=a,,b\0-vnc\0:0,password=hunter2\0-device\0vfio-pci,host=01:00.0\0";
        let short = reduced("/proc/4711/cmdline", line).expect("a command line");
        assert_eq!(Command::parse(&short), Command::parse(line));
        let text = String::from_utf8_lossy(&short);
        assert!(!text.contains("hunter2") && !text.contains("alice"), "{text}");
        assert_eq!(reduced("/proc/4711/cmdline", b"Xorg\0-auth\0/x\0"), Some(Vec::new()));
        assert_eq!(reduced("/proc/cmdline", b"quiet"), None);
    }

    proptest! {
        #[test]
        fn any_command_line_is_answered(bytes: Vec<u8>) {
            let mut line = b"qemu\0-name\0".to_vec();
            line.extend_from_slice(&bytes);
            line.extend_from_slice(b"\0-device\0");
            line.extend_from_slice(&bytes);
            let command = Command::parse(&line);
            let again = command.as_ref().and_then(|command| Command::parse(&command.reduced()));
            prop_assert_eq!(command, again);
        }
    }
}
