//! How long planning takes, from facts to findings, steps and JSON, on hosts made up in memory: run by
//! `cargo xtask bench planning`, optimised. Times are times on a
//! processor, the best of some runs. Ends with 1 if a target is missed.
//!
//! A host is made of segments of 24 root ports; below them, in turn, an NVMe disk, a network card of two functions, a
//! graphics card with its audio function, and a bridge to conventional PCI with two SCSI cards on shared lines. Disks
//! carry partitions and mounts, network functions interfaces. Every fourth card is given to a VM.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use slotwise_core::facts::{
    BlockDevice, DevNumber, DriverName, Fact, Facts, FunctionFacts, GroupId, InterruptController,
    InterruptLine, Mount, NetworkInterface, Origin, ResetMethod, SourceKind, Switch,
};
use slotwise_core::pci::{ClassCode, ConfigSpace, PciAddress, PciId};
use slotwise_core::plan::plan;
use slotwise_core::report::wire::v1;
use slotwise_core::topology::Topology;
use slotwise_core::vm::spec;

/// Runs of which the best counts.
const RUNS: usize = 5;

struct Size {
    what: &'static str,
    functions: usize,
    vms: usize,
    target: Duration,
}

const SIZES: [Size; 3] = [
    Size { what: "a workstation", functions: 60, vms: 2, target: Duration::from_millis(20) },
    Size { what: "a server", functions: 1000, vms: 20, target: Duration::from_millis(200) },
    Size { what: "a rack's worth", functions: 10_000, vms: 100, target: Duration::from_secs(1) },
];

fn main() -> ExitCode {
    let mut missed = false;
    println!("{:>9} {:>5} {:>7} {:>11} {:>9}  what", "functions", "VMs", "devices", "plan", "target");
    for size in &SIZES {
        let host = Host::of(size.functions);
        let text = host.spec(size.vms);
        let times: Vec<Duration> = (0..RUNS).map(|_| once(&host.facts, &text)).collect();
        let best = times.into_iter().min().unwrap_or_default();
        missed |= best > size.target;
        println!(
            "{:>9} {:>5} {:>7} {:>8.2} ms {:>6} ms  {}, from facts to JSON",
            host.facts.functions.len(),
            size.vms,
            host.given.len(),
            best.as_secs_f64() * 1e3,
            size.target.as_millis(),
            size.what
        );
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// One plan: the spec, the graph, the rules, the steps, the JSON.
fn once(facts: &Facts, text: &str) -> Duration {
    let facts = facts.clone();
    let start = Clock::start();
    let request = spec::parse(text).expect("a sound spec");
    let topology = Topology::new(facts);
    let plan = plan(&request, &topology).expect("a plan");
    let json = serde_json::to_string(&v1::Plan::new(&plan)).expect("JSON");
    let took = start.took();
    assert!(json.len() > 1000 && !plan.findings.is_empty(), "the host is made so that rules speak");
    took
}

/// Time on a processor where Linux tells it, so that a busy machine does not count; else time.
struct Clock {
    on_processor: Option<Duration>,
    since: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { on_processor: on_processor(), since: Instant::now() }
    }

    fn took(&self) -> Duration {
        match (self.on_processor, on_processor()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.since.elapsed(),
        }
    }
}

/// Nanoseconds that this process's only thread has run (`Documentation/scheduler/sched-stats.rst`, /proc/PID/schedstat).
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

struct Host {
    facts: Facts,
    given: Vec<PciAddress>,
    group: u32,
}

fn at(domain: u32, bus: u8, device: u8, function: u8) -> PciAddress {
    PciAddress::new(domain, bus, device, function).expect("an address")
}

/// Configuration space of an endpoint or bridge: MSI, MSI-X and, of Express ones, their capability with FLR.
/// What a function is on its bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Conventional,
    Endpoint,
    /// A port of PCI Express, by its type (PCIe Base 6.0 §7.5.3.2), and the buses behind it.
    Bridge {
        port: u8,
        secondary: u8,
        subordinate: u8,
    },
}

fn config(id: PciId, kind: Kind) -> ConfigSpace {
    let port = match kind {
        Kind::Conventional => None,
        Kind::Endpoint => Some(0),
        Kind::Bridge { port, .. } => Some(port),
    };
    let mut bytes = vec![0u8; if port.is_some() { 4096 } else { 256 }];
    let mut set = |offset: usize, value: u32| bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    set(0, u32::from(id.device) << 16 | u32::from(id.vendor));
    set(4, 0x0010_0000);
    set(0x34, 0x40);
    if let Kind::Bridge { secondary, subordinate, .. } = kind {
        set(0x0c, 0x0001_0000);
        set(0x18, u32::from(subordinate) << 16 | u32::from(secondary) << 8);
    }
    set(0x40, if port.is_some() { 0x0080_5005 } else { 0x0080_0005 });
    if let Some(port) = port {
        set(0x50, 0x0000_6011 | 0x001f_0000);
        set(0x60, 0x0002_0010 | u32::from(port) << 20 | u32::from(port == 4) << 24);
        set(0x64, 0x1000_8001);
        set(0x6c, 0x0000_0103);
        if port == 4 {
            set(0x100, 0x0001_000d);
            set(0x104, 0x001d_001d);
        }
    }
    ConfigSpace::from_bytes(&bytes)
}

impl Host {
    fn of(count: usize) -> Self {
        let origin = Origin::Saved { kind: SourceKind::Capture, name: "made up".to_owned() };
        let mut facts = Facts::empty(origin);
        facts.iommu.state = Switch::On;
        facts.iommu.interrupt_remapping = Switch::On;
        facts.kernel.release = Fact::Known("6.1.0-56-amd64".to_owned());
        facts.kernel.command_line = Fact::Known("quiet intel_iommu=on".to_owned());
        facts.interrupts = Fact::Known(Vec::new());
        facts.usage.block = Fact::Known(Vec::new());
        facts.usage.mounts = Fact::Known(Vec::new());
        facts.usage.swaps = Fact::Known(Vec::new());
        facts.usage.network = Fact::Known(Vec::new());
        facts.usage.sessions = Fact::Known(Vec::new());
        let mut host = Self { facts, given: Vec::new(), group: 0 };
        for slot in 0usize.. {
            if host.facts.functions.len() >= count {
                break;
            }
            host.port(slot);
        }
        host.lines();
        host
    }

    fn port(&mut self, slot: usize) {
        let (domain, number) =
            (u32::try_from(slot / 24).expect("few"), u8::try_from(slot % 24).expect("few"));
        let port = at(domain, 0, number + 1, 0);
        let (bus, below) = (number * 4 + 1, number * 4 + 2);
        self.group += 1;
        self.function(
            port,
            None,
            0x06_0400,
            (0x1b36, 0x000c),
            Kind::Bridge { port: 4, secondary: bus, subordinate: bus + 3 },
        );
        self.group += 1;
        let first = at(domain, bus, 0, 0);
        match slot % 4 {
            0 => {
                self.function(first, Some(port), 0x01_0802, (0x144d, 0xa808), Kind::Endpoint);
                self.disk(first, slot);
            }
            1 => {
                for function in 0..2 {
                    let one = at(domain, bus, 0, function);
                    self.function(one, Some(port), 0x02_0000, (0x8086, 0x1572), Kind::Endpoint);
                    self.interface(one, slot);
                }
            }
            2 => {
                self.function(first, Some(port), 0x03_0000, (0x10de, 0x1b80), Kind::Endpoint);
                self.function(at(domain, bus, 0, 1), Some(port), 0x04_0300, (0x10de, 0x10f0), Kind::Endpoint);
            }
            _ => {
                self.function(
                    first,
                    Some(port),
                    0x06_0400,
                    (0x12d8, 0xe111),
                    Kind::Bridge { port: 7, secondary: below, subordinate: below },
                );
                for device in [4, 5] {
                    self.function(
                        at(domain, below, device, 0),
                        Some(first),
                        0x01_0000,
                        (0x9004, 0x5078),
                        Kind::Conventional,
                    );
                }
            }
        }
        if slot % 4 == 3 || slot % 16 == 1 || slot % 16 == 2 {
            self.given.push(if slot % 4 == 3 { at(domain, below, 4, 0) } else { first });
        }
    }

    fn function(
        &mut self,
        address: PciAddress,
        parent: Option<PciAddress>,
        class: u32,
        id: (u16, u16),
        kind: Kind,
    ) {
        let id = PciId { vendor: id.0, device: id.1 };
        let driver = match class >> 16 {
            1 if kind == Kind::Conventional => "aic7xxx",
            1 => "nvme",
            2 => "i40e",
            3 => "nouveau",
            4 => "snd_hda_intel",
            _ => "pcieport",
        };
        let mut function = FunctionFacts::at(address);
        function.id = Fact::Known(id);
        function.class = Fact::Known(ClassCode::from_bits(class));
        function.parent = parent.into();
        function.group = Fact::Known(GroupId(self.group));
        function.numa_node = Fact::Known(u32::from(address.bus() >= 48));
        function.config = Fact::Known(config(id, kind));
        function.driver = Fact::Known(DriverName::new(driver).expect("a name"));
        function.enabled = Fact::Known(true);
        function.interrupt_pin = Fact::Known(1);
        function.resources = Fact::Known(Vec::new());
        function.reset_methods =
            Fact::Known(vec![if kind == Kind::Conventional { ResetMethod::Bus } else { ResetMethod::Flr }]);
        self.facts.functions.insert(address, function);
    }

    fn disk(&mut self, function: PciAddress, slot: usize) {
        let minor = u32::try_from(slot).expect("few");
        let name = format!("nvme{slot}n1");
        let device = |name: String, minor, function, lower| BlockDevice {
            name,
            number: DevNumber { major: 259, minor },
            function,
            lower,
            volume: None,
            model: None,
            bytes: None,
        };
        let Fact::Known(block) = &mut self.facts.usage.block else { return };
        block.push(device(name.clone(), minor * 2, Some(function), Vec::new()));
        block.push(device(format!("{name}p1"), minor * 2 + 1, None, vec![name]));
        let Fact::Known(mounts) = &mut self.facts.usage.mounts else { return };
        mounts.push(Mount {
            number: DevNumber { major: 259, minor: minor * 2 + 1 },
            mount_point: if slot == 0 { "/".to_owned() } else { format!("/srv/{slot}") },
            fs_type: "ext4".to_owned(),
            source: String::new(),
        });
    }

    fn interface(&mut self, function: PciAddress, slot: usize) {
        let Fact::Known(network) = &mut self.facts.usage.network else { return };
        network.push(NetworkInterface {
            name: format!("enp{slot}f{}", function.function()),
            function: Some(function),
            upper: Vec::new(),
            up: Fact::Known(true),
            default_route: slot == 1 && function.function() == 0,
        });
    }

    /// Conventional cards of one segment share four lines; all else has messages.
    fn lines(&mut self) {
        let mut rows: Vec<InterruptLine> = Vec::new();
        let mut message = 100_000;
        for function in self.facts.functions.values_mut() {
            let conventional = function.driver.known().is_some_and(|driver| driver.as_str() == "aic7xxx");
            let (irq, controller, chip) = if conventional {
                let (domain, device) = (function.address.domain(), function.address.device());
                let pin = 16 + u32::from(device) % 4;
                (16 + domain * 4 + u32::from(device) % 4, InterruptController::IoApic { pin }, "IR-IO-APIC")
            } else {
                message += 1;
                function.msi_irqs = vec![message];
                (message, InterruptController::Message, "IR-PCI-MSI")
            };
            function.irq = Fact::Known(irq);
            let handler = function.driver.known().map(ToString::to_string).unwrap_or_default();
            match rows.iter_mut().find(|row| row.irq == irq && conventional) {
                Some(row) => row.handlers.push(handler),
                None => rows.push(InterruptLine {
                    irq,
                    chip: chip.to_owned(),
                    controller,
                    remapped: true,
                    handlers: vec![handler],
                    count: 1,
                }),
            }
        }
        self.facts.interrupts = Fact::Known(rows);
    }

    /// The given functions dealt out to so many VMs.
    fn spec(&self, vms: usize) -> String {
        let mut text = String::new();
        for vm in 0..vms {
            text += &format!("[[vm]]\nname = \"vm{vm}\"\nmemory = \"1G\"\nmachine = \"q35\"\n");
            for device in self.given.iter().skip(vm).step_by(vms) {
                text += &format!("[[vm.device]]\nselect = {{ slot = \"{device}\" }}\n");
            }
        }
        text
    }
}
