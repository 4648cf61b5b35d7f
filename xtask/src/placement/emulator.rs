//! QEMU with firmware and no system: started, waited for until firmware has placed the BARs, and read through its monitor.
//!
//! The monitor's `i` and `o` access ports as the guest does, so configuration mechanism #1 (PCI 3.0 §3.2.2.3.2) reads what
//! firmware left in every register, disabled or not; `query-pci` would show enabled BARs only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use slotwise_backend::qmp::Qmp;

use super::set::Firmware;
use crate::Result;

const PROGRAM: &str = "qemu-system-x86_64";
const ANSWER: Duration = Duration::from_secs(20);
/// Debian's ovmf.
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];
/// Processor time within which firmware is done, in seconds: it counts no time in which a busy machine runs others.
/// SeaBIOS takes half a second of it, OVMF some fifteen.
const PROCESSOR_SECONDS: f64 = 120.0;
/// Time in which QEMU must have used that or be done: longer than even a busy machine takes.
const LIMIT: Duration = Duration::from_secs(1800);
/// How often OVMF's processor is found halted before it is taken to wait for a key. Its timer wakes it ten times a second.
const HALTS: u32 = 8;

/// A machine that runs, or waits.
pub(super) struct Emulator {
    child: Child,
    qmp: Qmp,
    directory: tempfile::TempDir,
}

/// What became of a start.
pub(super) enum Started {
    Up(Box<Emulator>),
    /// QEMU did not want it, and said so.
    Refused(String),
}

/// How firmware ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It went on to look for a system.
    Done,
    /// It stopped, and said so.
    Stopped(String),
    /// It has no console to speak on: it waits, since it placed nothing.
    Mute,
}

/// A function as QEMU lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) bus: u8,
    pub(super) device: u8,
    pub(super) function: u8,
    /// Class and subclass.
    pub(super) class: u64,
    pub(super) regions: Vec<Value>,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Emulator {
    /// A machine whose processor does not run.
    pub(super) fn paused(arguments: &[String]) -> Result<Started> {
        Self::start(arguments, &["-S"])
    }

    /// A machine that starts with this firmware.
    pub(super) fn boot(arguments: &[String], firmware: Firmware) -> Result<Started> {
        let flash = |file: &str, rest: &str| format!("if=pflash,format=raw,file={file},{rest}");
        let [code, variables] = OVMF;
        match firmware {
            Firmware::SeaBios => Self::start(arguments, &[]),
            Firmware::Ovmf => Self::start(
                arguments,
                &["-drive", &flash(code, "readonly=on"), "-drive", &flash(variables, "snapshot=on")],
            ),
        }
    }

    fn start(arguments: &[String], more: &[&str]) -> Result<Started> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let said = fs::File::create(path("said"))?;
        let monitor = format!("unix:{},server=on,wait=off", path("qmp").display());
        let (debug, serial) = (format!("file,id=debug,path={}", path("debug").display()), path("serial"));
        let serial = format!("file:{}", serial.display());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", PROGRAM, "-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-qmp", &monitor, "-serial", &serial, "-chardev", &debug]);
        command.args(["-device", "isa-debugcon,iobase=0x402,chardev=debug"]).args(more).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut child = command.spawn().map_err(|error| format!("cannot run {PROGRAM}: {error}"))?;
        match connect(&path("qmp"), &mut child) {
            Ok(Some(qmp)) => Ok(Started::Up(Box::new(Self { child, qmp, directory }))),
            Ok(None) => Ok(Started::Refused(complaint(&path("said")))),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Waits until firmware has placed what it places, and stops the processor.
    pub(super) fn settle(&mut self, firmware: Firmware) -> Result<Settled> {
        let start = Instant::now();
        let mut halts = 0;
        loop {
            let settled = match firmware {
                Firmware::SeaBios => seabios(&self.text("debug")),
                Firmware::Ovmf => self.ovmf(&mut halts)?,
            };
            if let Some(settled) = settled {
                self.qmp.stop()?;
                return Ok(settled);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("QEMU ended with {status}: {}", complaint(&self.file("said"))).into());
            }
            let used = processor_seconds(self.child.id()).unwrap_or_default();
            if used > PROCESSOR_SECONDS || start.elapsed() > LIMIT {
                return Err(format!("firmware was not done after {used:.0} s of processor time").into());
            }
            std::thread::sleep(Duration::from_millis(if firmware == Firmware::Ovmf { 500 } else { 20 }));
        }
    }

    /// OVMF speaks on the serial line as soon as it has connected its consoles, which is after it has placed everything.
    fn ovmf(&mut self, halts: &mut u32) -> Result<Option<Settled>> {
        if !self.text("serial").is_empty() {
            return Ok(Some(Settled::Done));
        }
        self.qmp.stop()?;
        let registers = self.say("info registers")?;
        self.qmp.cont()?;
        *halts = if registers.contains("HLT=1") { *halts + 1 } else { 0 };
        Ok((*halts > HALTS).then_some(Settled::Mute))
    }

    /// SeaBIOS's name and version, as it says them itself.
    pub(super) fn banner(&self) -> String {
        self.text("debug").lines().next().unwrap_or_default().to_owned()
    }

    /// All functions on buses that have a number.
    pub(super) fn functions(&mut self) -> Result<Vec<Listed>> {
        let answer = self.qmp.execute("query-pci", &Map::new(), ANSWER)?;
        let mut functions = Vec::new();
        for bus in answer.as_array().into_iter().flatten() {
            list(&bus["devices"], &mut functions);
        }
        Ok(functions)
    }

    /// A register of configuration space, 32 bits; `offset` is a multiple of 4.
    pub(super) fn register(&mut self, function: &Listed, offset: u8) -> Result<u32> {
        let Listed { bus, device, function, .. } = *function;
        let place = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
        self.say(&format!("o /w 0xcf8 {:#x}", 1 << 31 | place | u32::from(offset)))?;
        let said = self.say("i /w 0xcfc")?;
        let value = said.rsplit("0x").next().and_then(|digits| u32::from_str_radix(digits.trim(), 16).ok());
        Ok(value.ok_or_else(|| format!("QEMU's monitor answers {said:?} to a read of a port"))?)
    }

    fn say(&mut self, line: &str) -> Result<String> {
        let arguments = json!({ "command-line": line }).as_object().cloned().unwrap_or_default();
        let answer = self.qmp.execute("human-monitor-command", &arguments, ANSWER)?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.file(name)).unwrap_or_default()).into_owned()
    }
}

/// The connection to its monitor; none if QEMU ended before there was one.
fn connect(path: &Path, child: &mut Child) -> Result<Option<Qmp>> {
    let start = Instant::now();
    loop {
        // Until the socket is there, and while devices are made, there is nothing to connect to.
        match Qmp::connect(path, ANSWER) {
            Ok(qmp) => return Ok(Some(qmp)),
            Err(_) if child.try_wait()?.is_some() => return Ok(None),
            Err(error) if start.elapsed() > ANSWER => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// SeaBIOS says how much memory it leaves for others once it has placed everything and run the ROMs of cards, in whose
/// registers it writes their size's mask for a moment; where it finds no place, it says so and stops (`src/malloc.c:
/// malloc_prepboot`, `src/optionroms.c: map_pcirom`, `src/fw/pciinit.c: pci_bios_map_devices`).
fn seabios(said: &str) -> Option<Settled> {
    let stop = said.lines().find(|line| line.starts_with("PCI: out of "));
    match stop {
        Some(line) => Some(Settled::Stopped(line.to_owned())),
        None => said.contains("Space available for UMB").then_some(Settled::Done),
    }
}

fn list(devices: &Value, functions: &mut Vec<Listed>) {
    for device in devices.as_array().into_iter().flatten() {
        let number = |key: &str| device[key].as_u64().and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX);
        functions.push(Listed {
            id: device["qdev_id"].as_str().unwrap_or_default().to_owned(),
            bus: number("bus"),
            device: number("slot"),
            function: number("function"),
            class: device["class_info"]["class"].as_u64().unwrap_or_default(),
            regions: device["regions"].as_array().cloned().unwrap_or_default(),
        });
        list(&device["pci_bridge"]["devices"], functions);
    }
}

/// The first of its complaints: what follows it follows from it.
fn complaint(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let line = text.lines().find(|line| !line.contains("warning:")).unwrap_or_default();
    line.trim_start_matches(PROGRAM).trim_start_matches(':').trim().to_owned()
}

/// Processor time of a process, its threads included (proc(5), `stat`, fields 14 and 15, in ticks of 1/100 s).
fn processor_seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(f64::from(user.saturating_add(system)) / 100.0)
}
