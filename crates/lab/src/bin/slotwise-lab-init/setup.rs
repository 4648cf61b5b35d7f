//! Sets a lab host up as its machine's description asks: module options, modules, interfaces, waiting for devices.
//!
//! What does not work is a complaint, not the end: a bench with a driver missing is a bench one can look at.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use slotwise_lab::channel::wire::Setup;

use crate::Phases;

/// Where the machine's modprobe lines go.
const MODPROBE_FILE: &str = "/etc/modprobe.d/slotwise-lab.conf";

/// Carries `setup` out; `progress` hears what is being done. Returns what did not work.
pub(crate) fn set_up(setup: &Setup, phases: &mut Phases, mut progress: impl FnMut(&str)) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain =
        |what: &str, error: &dyn std::fmt::Display| complaints.push(format!("{what}: {error}"));
    if let Err(error) = rustix::system::sethostname(setup.hostname.as_bytes()) {
        complain("cannot set the host name", &error);
    }
    if let Err(error) = write_modprobe(&setup.modprobe) {
        complain("cannot write modprobe options", &error);
    }
    // One after the other: side by side was measured and is no faster on two emulated processors.
    for module in &setup.modules {
        progress(&format!("loading {module}"));
        // -b: a blacklist counts for names given here too, as it does for udev's requests on a full host.
        if let Err(error) = run("modprobe", &["-b", "--", module]) {
            complain(&format!("cannot load {module}"), &error);
        }
        phases.end(&format!("module {module}"));
    }
    for mac in &setup.interfaces_up {
        match interface_with(mac) {
            Some(name) => {
                if let Err(error) = run("ip", &["link", "set", "dev", &name, "up"]) {
                    complain(&format!("cannot bring {name} up"), &error);
                }
            }
            None => complain("cannot bring an interface up", &format_args!("none has the address {mac}")),
        }
    }
    if !setup.interfaces_up.is_empty() {
        phases.end("interfaces");
    }
    let start = Instant::now();
    for path in &setup.wait_for {
        progress(&format!("wait for {path}"));
        while !Path::new(path).exists() {
            if start.elapsed() > Duration::from_millis(setup.wait_ms) {
                complain(path, &"did not appear in time");
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    if !setup.wait_for.is_empty() {
        phases.end("devices");
    }
    complaints
}

fn write_modprobe(lines: &[String]) -> io::Result<()> {
    fs::create_dir_all("/etc/modprobe.d")?;
    let mut text = lines.join("\n");
    text.push('\n');
    fs::write(MODPROBE_FILE, text)
}

/// The interface with this MAC address: names depend on the order in which drivers found the cards.
fn interface_with(mac: &str) -> Option<String> {
    let entry = fs::read_dir("/sys/class/net").ok()?.flatten().find(|entry| {
        fs::read_to_string(entry.path().join("address"))
            .is_ok_and(|address| address.trim().eq_ignore_ascii_case(mac))
    })?;
    entry.file_name().into_string().ok()
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).env("PATH", crate::command::PATH).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(if said.is_empty() { output.status.to_string() } else { said }))
}
