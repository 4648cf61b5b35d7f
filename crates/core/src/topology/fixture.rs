//! Small hosts written as text, for tests: one line a device, interrupt, disk, mount or setting.

mod boot;
mod platform;

use std::collections::BTreeMap;

use super::Topology;
use crate::facts::{
    BlockDevice, DevNumber, DriverName, Fact, Facts, FaultKind, FunctionFacts, GroupId, HeldBy,
    InterruptController, InterruptLine, IommuVendor, Lockdown, LockedMemory, MemoryClaim, ModuleName,
    ModuleState, Mount, NetworkInterface, Origin, ParameterValue, ReadFault, RemoteSession, ReservedKind,
    ReservedRegion, ResetMethod, Resource, ResourceFlags, SourceKind, Switch,
};
use crate::pci::{ClassCode, ConfigSpace, PciAddress};

/// The lab's bench: a SCSI card behind a PCIe-to-PCI bridge whose line a network card uses.
pub(crate) const BENCH: &str = "
    iommu on intremap=on
    kernel 6.1.0-56-amd64
    device 0000:00:03.0 class=060400 pin=1 group=3 driver=pcieport
    device 0000:00:10.0 class=020000 pin=1 irq=20 group=5 driver=e1000 enabled
    device 0000:00:13.0 class=020000 pin=1 irq=23 group=6 driver=e1000 enabled
    device 0000:01:00.0 class=060400 pin=1 group=8 parent=0000:00:03.0
    device 0000:02:04.0 class=010000 id=1000:0012 pin=1 irq=23 group=8 driver=sym53c8xx parent=0000:01:00.0 enabled reset=bus
    device 0000:02:0a.0 class=020000 pin=1 irq=10 group=8 parent=0000:01:00.0
    net eth0 function=0000:00:10.0
    net eth1 function=0000:00:13.0
    irq 20 IR-IO-APIC pin=20 eth0
    irq 23 IR-IO-APIC pin=23 sym53c8xx eth1
    param vfio_pci.nointxmask=Y
";

pub(crate) fn address(text: &str) -> PciAddress {
    text.parse().expect("address in a fixture")
}

pub(crate) fn topology(text: &str) -> Topology {
    Topology::new(facts(text))
}

pub(crate) fn facts(text: &str) -> Facts {
    let mut facts = Facts::empty(Origin::Saved { kind: SourceKind::Directory, name: "fixture".to_owned() });
    facts.interrupts = Fact::Known(Vec::new());
    facts.usage.block = Fact::Known(Vec::new());
    facts.usage.mounts = Fact::Known(Vec::new());
    facts.usage.swaps = Fact::Known(Vec::new());
    facts.usage.network = Fact::Known(Vec::new());
    facts.usage.sessions = Fact::Known(Vec::new());
    facts.usage.open_handles = Fact::Known(Vec::new());
    let loaded =
        ["vfio", "vfio_pci", "vfio_iommu_type1"].map(|name| (module_name(name), ModuleState::Loaded));
    facts.kernel.modules = Fact::Known(BTreeMap::from(loaded));
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').expect("a word and its values");
        match word {
            "device" => device(&mut facts, rest),
            "irq" => interrupt(&mut facts, rest),
            "net" => network(&mut facts, rest),
            "block" => block(&mut facts, rest),
            "mount" => mount(&mut facts, rest),
            "swap" => push(&mut facts.usage.swaps, rest.to_owned()),
            "param" => parameter(&mut facts, None, rest),
            "configured" => {
                let (place, setting) = rest.rsplit_once(' ').expect("configured PLACE SETTING");
                parameter(&mut facts, Some(place), setting);
            }
            "module" => module(&mut facts, rest),
            "session" => session(&mut facts, rest),
            "holds" => holds(&mut facts, rest),
            "reserved" => reserved(&mut facts, rest),
            "claim" => claim(&mut facts, rest),
            "platform" => platform(&mut facts, rest),
            "fault" => fault(&mut facts, rest),
            "refused" => drop(facts.iommu.one_to_one.insert(address(rest), "1:1 mapping".to_owned())),
            "told" => facts.iommu.evidence.push(("kernel log".to_owned(), rest.to_owned())),
            "boot" => boot::boot(&mut facts, rest),
            "node" => platform::node(&mut facts, rest),
            "usb" => platform::usb(&mut facts, rest),
            "hugepages" => platform::huge_pages(&mut facts, rest),
            "memory" => platform::memory(&mut facts, rest),
            "unread" => unread(&mut facts, rest),
            "absent" => platform::absent(&mut facts, rest),
            "kernel" => facts.kernel.release = Fact::Known(rest.to_owned()),
            "cmdline" => facts.kernel.command_line = Fact::Known(rest.to_owned()),
            "iommu" => iommu(&mut facts, rest),
            other => panic!("a fixture has no {other:?}"),
        }
    }
    facts
}

fn push<T>(list: &mut Fact<Vec<T>>, value: T) {
    if let Fact::Known(list) = list {
        list.push(value);
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")))
}

fn device(facts: &mut Facts, text: &str) {
    let (at, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut function = FunctionFacts::at(address(at));
    for (key, value) in pairs(rest) {
        match key {
            "class" => {
                function.class =
                    Fact::Known(ClassCode::from_bits(u32::from_str_radix(value, 16).expect("class")));
            }
            "id" => function.id = Fact::Known(value.parse().expect("id")),
            "group" => function.group = Fact::Known(GroupId(value.parse().expect("group"))),
            "parent" => function.parent = Fact::Known(address(value)),
            "pin" => function.interrupt_pin = Fact::Known(value.parse().expect("pin")),
            "irq" => function.irq = Fact::Known(value.parse().expect("irq")),
            "driver" => function.driver = Fact::Known(DriverName::new(value).expect("driver")),
            "express" => function.express = Fact::Known(true),
            "conventional" => function.express = Fact::Known(false),
            "enabled" => function.enabled = Fact::Known(true),
            "rev" => function.revision = Fact::Known(hex(value).try_into().expect("revision")),
            "power" => function.power_state = Fact::Known(value.to_owned()),
            "numa" => function.numa_node = Fact::Known(value.parse().expect("node")),
            "boot_vga" => function.boot_vga = Fact::Known(true),
            "bars" => {
                function.resources =
                    Fact::Known(value.split(',').filter(|b| !b.is_empty()).map(bar).collect());
            }
            "numvfs" => function.sriov.num_vfs = Fact::Known(value.parse().expect("number of VFs")),
            "vfs" => function.sriov.total_vfs = Fact::Known(value.parse().expect("number of VFs")),
            "physfn" => function.sriov.physical_function = Fact::Known(address(value)),
            "config" => function.config = Fact::Known(config(value)),
            "unread" => unread_of(&mut function, value),
            "reset" => {
                let methods = value.split(',').filter(|m| !m.is_empty());
                function.reset_methods =
                    Fact::Known(methods.map(|m| m.parse::<ResetMethod>().expect("reset")).collect());
            }
            other => panic!("a device in a fixture has no {other:?}"),
        }
    }
    if function.enabled == Fact::Absent {
        function.enabled = Fact::Known(false);
    }
    facts.functions.insert(function.address, function);
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).expect("hexadecimal number")
}

fn module_name(text: &str) -> ModuleName {
    ModuleName::new(text).expect("module")
}

/// `INDEX:START:SIZE:FLAGS`, the last three hexadecimal.
fn bar(text: &str) -> Resource {
    let parts: Vec<&str> = text.split(':').collect();
    let [index, start, size, flags] = parts[..] else { panic!("bars=INDEX:START:SIZE:FLAGS") };
    Resource {
        index: index.parse().expect("index"),
        start: hex(start),
        size: hex(size),
        flags: ResourceFlags(hex(flags)),
    }
}

/// `SIZE` bytes, all zero but the words that follow: `256,04:00100000,34:40`; `dead` reads all ones.
fn config(text: &str) -> ConfigSpace {
    if text == "dead" {
        return ConfigSpace::from_bytes(&[0xff; 64]);
    }
    let mut parts = text.split(',');
    let size = parts.next().and_then(|size| size.parse().ok()).expect("size");
    let mut space = ConfigSpace::from_bytes(&vec![0; size]);
    for (offset, word) in parts.map(|part| part.split_once(':').expect("OFFSET:WORD")) {
        let word = u32::try_from(hex(word)).expect("word");
        for (offset, byte) in (u16::try_from(hex(offset)).expect("offset")..).zip(word.to_le_bytes()) {
            assert!(space.set(offset, byte));
        }
    }
    space
}

fn denied<T>(place: &str) -> Fact<T> {
    Fact::Unreadable(ReadFault::new(place, FaultKind::Denied))
}

fn unread_of(function: &mut FunctionFacts, what: &str) {
    match what {
        "boot_vga" => function.boot_vga = denied("boot_vga"),
        "driver" => function.driver = denied("driver"),
        "group" => function.group = denied("iommu_group"),
        "pin" => function.interrupt_pin = denied("config"),
        "resources" => function.resources = denied("resource"),
        "config" => function.config = denied("config"),
        other => panic!("a fixture cannot leave {other:?} of a device unread"),
    }
}

fn unread(facts: &mut Facts, what: &str) {
    match what {
        "block" => facts.usage.block = denied("/sys/class/block"),
        "mounts" => facts.usage.mounts = denied("/proc/self/mountinfo"),
        "network" => facts.usage.network = denied("/sys/class/net"),
        "sessions" => facts.usage.sessions = denied("/proc/net/tcp"),
        "handles" => facts.usage.open_handles = denied("/proc/*/fd"),
        "framebuffers" => facts.platform.framebuffers = denied("/proc/iomem"),
        "modules" => facts.kernel.modules = denied("/proc/modules"),
        "boot" => facts.boot = denied("/boot/grub/grub.cfg"),
        other => panic!("a fixture cannot leave {other:?} unread"),
    }
}

fn module(facts: &mut Facts, text: &str) {
    let (name, state) = text.split_once(' ').expect("module NAME STATE");
    let Fact::Known(modules) = &mut facts.kernel.modules else { panic!("modules are unread") };
    let state = match state {
        "loaded" => ModuleState::Loaded,
        "built-in" => ModuleState::BuiltIn,
        "available" => ModuleState::Available,
        "missing" => {
            modules.remove(&module_name(name));
            return;
        }
        other => panic!("a module is not {other:?}"),
    };
    modules.insert(module_name(name), state);
}

fn session(facts: &mut Facts, text: &str) {
    let (peer, interface) = text.split_once(' ').expect("session PEER INTERFACE");
    let session = RemoteSession { peer: peer.to_owned(), interface: interface.to_owned() };
    push(&mut facts.usage.sessions, session);
}

fn holds(facts: &mut Facts, text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [pid, name, path] = words[..] else { panic!("holds PID NAME PATH") };
    let pid = pid.parse().expect("pid");
    let held = HeldBy { pid, name: name.to_owned(), path: path.to_owned(), function: None };
    push(&mut facts.usage.open_handles, held);
}

fn reserved(facts: &mut Facts, text: &str) {
    let mut words = text.split_whitespace();
    let kind = match words.next() {
        Some("rmrr") => ReservedKind::Rmrr,
        Some("ivmd") => ReservedKind::Ivmd,
        Some("msi") => ReservedKind::Msi,
        Some("direct") => ReservedKind::Direct,
        Some("relaxable") => ReservedKind::DirectRelaxable,
        Some("reserved") => ReservedKind::Reserved,
        other => panic!("nothing is reserved as {other:?}"),
    };
    let (start, end) = (words.next().map(hex).expect("start"), words.next().map(hex).expect("end"));
    facts.iommu.reserved.push(ReservedRegion { kind, start, end, devices: words.map(address).collect() });
}

fn claim(facts: &mut Facts, text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [owner, start, end] = words[..] else { panic!("claim OWNER START END") };
    let claim = MemoryClaim { owner: owner.to_owned(), start: hex(start), end: hex(end) };
    match &mut facts.platform.framebuffers {
        Fact::Known(list) => list.push(claim),
        other => *other = Fact::Known(vec![claim]),
    }
}

fn platform(facts: &mut Facts, text: &str) {
    for (key, value) in pairs(text) {
        let platform = &mut facts.platform;
        match key {
            "virtualization" => platform.virtualization = Fact::Known(value == "on"),
            "lockdown" => {
                platform.lockdown = Fact::Known(match value {
                    "integrity" => Lockdown::Integrity,
                    "confidentiality" => Lockdown::Confidentiality,
                    _ => Lockdown::None,
                });
            }
            "memlock" => {
                let bytes = value.parse().map(LockedMemory::Bytes).unwrap_or(LockedMemory::Unlimited);
                platform.locked_memory = Fact::Known(bytes);
            }
            "secureboot" => platform.firmware.secure_boot = Fact::Known(value == "on"),
            "cpus" => platform.cpu.online = Fact::Known(value.parse().expect("processors")),
            "uid" => platform.user_id = Fact::Known(value.parse().expect("user id")),
            other => panic!("a platform in a fixture has no {other:?}"),
        }
    }
}

fn fault(facts: &mut Facts, text: &str) {
    let (place, what) = text.split_once(' ').expect("fault PLACE WHAT");
    let kind = FaultKind::Malformed(what.to_owned());
    facts.faults.push(ReadFault::new(place.to_owned(), kind));
}

fn interrupt(facts: &mut Facts, text: &str) {
    let mut words = text.split_whitespace();
    let irq = words.next().and_then(|w| w.parse().ok()).expect("irq");
    let chip = words.next().expect("chip").to_owned();
    let pin = words.next().and_then(|w| w.strip_prefix("pin=")).and_then(|w| w.parse().ok()).expect("pin");
    let controller = match chip.trim_start_matches("IR-") {
        "IO-APIC" => InterruptController::IoApic { pin },
        _ => InterruptController::Message,
    };
    let remapped = chip.starts_with("IR-");
    let handlers = words.map(str::to_owned).collect();
    push(&mut facts.interrupts, InterruptLine { irq, chip, controller, remapped, handlers, count: 0 });
}

fn network(facts: &mut Facts, text: &str) {
    let mut interface = NetworkInterface {
        name: text.split_whitespace().next().expect("name").to_owned(),
        function: None,
        upper: Vec::new(),
        up: Fact::Known(true),
        default_route: false,
    };
    for (key, value) in pairs(text).skip(1) {
        match key {
            "function" => interface.function = Some(address(value)),
            "default" => interface.default_route = true,
            "upper" => interface.upper.push(value.to_owned()),
            "down" => interface.up = Fact::Known(false),
            other => panic!("an interface in a fixture has no {other:?}"),
        }
    }
    push(&mut facts.usage.network, interface);
}

fn number(text: &str) -> DevNumber {
    let (major, minor) = text.split_once(':').expect("device number");
    DevNumber { major: major.parse().expect("major"), minor: minor.parse().expect("minor") }
}

fn block(facts: &mut Facts, text: &str) {
    let mut words = text.split_whitespace();
    let mut device = BlockDevice {
        name: words.next().expect("name").to_owned(),
        number: number(words.next().expect("number")),
        function: None,
        lower: Vec::new(),
        volume: None,
        model: None,
        bytes: None,
    };
    for (key, value) in words.map(|word| word.split_once('=').expect("key=value")) {
        match key {
            "function" => device.function = Some(address(value)),
            "lower" => device.lower.push(value.to_owned()),
            "volume" => device.volume = Some(value.to_owned()),
            other => panic!("a block device in a fixture has no {other:?}"),
        }
    }
    push(&mut facts.usage.block, device);
}

fn mount(facts: &mut Facts, text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [point, dev, fs_type] = words[..] else { panic!("mount POINT NUMBER TYPE") };
    push(
        &mut facts.usage.mounts,
        Mount {
            number: number(dev),
            mount_point: point.to_owned(),
            fs_type: fs_type.to_owned(),
            source: String::new(),
        },
    );
}

fn parameter(facts: &mut Facts, place: Option<&str>, text: &str) {
    let (name, value) = text.split_once('=').expect("module.parameter=value");
    let (module, name) = name.split_once('.').expect("module.parameter");
    let module = crate::facts::ModuleName::new(module).expect("module");
    let in_force = format!("/sys/module/{module}/parameters/{name}");
    let place = place.map_or(in_force, str::to_owned);
    facts
        .kernel
        .parameters
        .insert((module, name.to_owned()), ParameterValue { value: value.to_owned(), place });
}

fn iommu(facts: &mut Facts, text: &str) {
    let switch = |value: &str| match value {
        "on" => Switch::On,
        "off" => Switch::Off,
        _ => Switch::Unknown,
    };
    for (key, value) in pairs(text) {
        match key {
            "intremap" => facts.iommu.interrupt_remapping = switch(value),
            "width" => facts.iommu.address_bits = Fact::Known(value.parse().expect("width")),
            "vendor" => {
                facts.iommu.vendor = match value {
                    "intel" => IommuVendor::Intel,
                    "amd" => IommuVendor::Amd,
                    "smmu" => IommuVendor::Smmu,
                    "power" => IommuVendor::Power,
                    _ => IommuVendor::None,
                };
            }
            "table" => facts.iommu.tables.push(value.to_owned()),
            state => facts.iommu.state = switch(state),
        }
    }
}
