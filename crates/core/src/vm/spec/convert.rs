//! From the shape of the file to a request in which everything holds.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use serde_spanned::Spanned;

use super::{SpecFault, wire};
use crate::pci::PciAddress;
use crate::vm::{
    BackendKind, CpuCount, DeviceRequest, DiskIdentity, HookCommand, HookWord, KeepRequest, MAX_CPUS,
    MachineType, NetPeer, Pick, Placed, Request, ReserveRequest, TestRequest, UsbId, VmRequest, WriteLeave,
};

/// Everything that is wrong so far.
struct Faults(Vec<SpecFault>);

impl Faults {
    /// Parses a text at its place; a fault is kept and gives nothing.
    fn parse<T: FromStr<Err: Display>>(&mut self, text: &Spanned<String>) -> Option<T> {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(SpecFault::new(error.to_string(), text.span()));
                None
            }
        }
    }
}

pub(super) fn request(spec: wire::Spec) -> Result<Request, Vec<SpecFault>> {
    let mut faults = Faults(Vec::new());
    if spec.vm.is_empty() {
        faults.0.push(
            SpecFault::new("the spec declares no VM", 0..0)
                .help("begin one with [[vm]], a name and its memory: see `slotwise help plan`"),
        );
    }
    let mut names = BTreeMap::new();
    for vm in &spec.vm {
        let name = &vm.get_ref().name;
        if let Some(first) = names.insert(name.get_ref().clone(), name.span()) {
            let message = format!("two VMs are named {:?}", name.get_ref());
            faults.0.push(SpecFault::new(message, name.span()).related(first, "first named here"));
        }
    }
    usb_once(&spec.vm, &mut faults);
    let vms: Vec<VmRequest> = spec.vm.into_iter().filter_map(|item| vm(item, &mut faults)).collect();
    one_taker_each(&vms, &mut faults);
    let test = spec.test.map(|t| test(t, &mut faults));
    let keep = spec.host.keep.iter().filter_map(|text| keep(text, &mut faults)).collect();
    let reserve = reserve(&spec.host, &mut faults);
    if faults.0.is_empty() { Ok(Request { vms, test, keep, reserve }) } else { Err(faults.0) }
}

fn vm(item: Spanned<wire::Vm>, faults: &mut Faults) -> Option<VmRequest> {
    let span = item.span();
    let vm = item.into_inner();
    let name = faults.parse(&vm.name);
    let backend = backend(vm.backend.as_ref(), faults);
    let memory = faults.parse(&vm.memory);
    let machine = vm.machine.as_ref().map_or(Some(MachineType::Pc), |text| faults.parse(text));
    if let (Some(BackendKind::Xen), Some(MachineType::Q35)) = (backend, machine) {
        faults.0.push(xen_with_q35(&vm));
    }
    let cpus = cpus(vm.cpus.as_ref(), faults);
    let node = node(vm.node.as_ref(), faults);
    let devices: Vec<Option<DeviceRequest>> =
        vm.device.into_iter().map(|item| device(item.select, faults)).collect();
    let usb = vm.usb.iter().map(|item| faults.parse(&item.select.id)).collect::<Vec<_>>();
    Some(VmRequest {
        name: name?,
        backend: backend?,
        machine: machine?,
        memory: memory?,
        cpus: cpus?,
        node: node?,
        guest: vm.guest.map(placed),
        devices: devices.into_iter().collect::<Option<_>>()?,
        usb: usb.into_iter().collect::<Option<_>>()?,
        span,
    })
}

/// libxl makes HVM domains of the i440FX machine only (`tools/libs/light/libxl_dm.c: libxl__build_device_model_args_new`,
/// `-machine xenfv` or `pc,accel=xen`).
fn xen_with_q35(vm: &wire::Vm) -> SpecFault {
    let span = |text: Option<&Spanned<String>>| text.map_or(0..0, Spanned::span);
    SpecFault::new("Xen has no q35 machine", span(vm.machine.as_ref()))
        .related(span(vm.backend.as_ref()), "Xen is asked for here")
        .help("leave `machine` out, or write machine = \"pc\"")
}

fn backend(text: Option<&Spanned<String>>, faults: &mut Faults) -> Option<BackendKind> {
    let Some(text) = text else { return Some(BackendKind::default()) };
    let known = [BackendKind::Qemu, BackendKind::Libvirt, BackendKind::Xen];
    let found = known.into_iter().find(|kind| kind.name() == text.get_ref());
    if found.is_none() {
        let message = format!("{:?} is not a backend", text.get_ref());
        faults.0.push(SpecFault::new(message, text.span()).help("one of: qemu, libvirt, xen"));
    }
    found
}

fn cpus(number: Option<&Spanned<u16>>, faults: &mut Faults) -> Option<CpuCount> {
    let Some(number) = number else { return Some(CpuCount::ONE) };
    let count = CpuCount::new(*number.get_ref());
    if count.is_none() {
        let message = format!("a VM has 1 to {MAX_CPUS} processors, not {}", number.get_ref());
        faults.0.push(SpecFault::new(message, number.span()));
    }
    count
}

/// More nodes no kernel has (`CONFIG_NODES_SHIFT`, at most 10).
const MAX_NODES: u32 = 1024;

/// The memory node; outer nothing if there can be none of that number.
fn node(number: Option<&Spanned<u32>>, faults: &mut Faults) -> Option<Option<u32>> {
    let Some(number) = number else { return Some(None) };
    if *number.get_ref() < MAX_NODES {
        return Some(Some(*number.get_ref()));
    }
    let message = format!("memory nodes are numbered 0 to {}, not {}", MAX_NODES - 1, number.get_ref());
    faults.0.push(SpecFault::new(message, number.span()));
    None
}

/// Memory and processors that the host keeps.
fn reserve(host: &wire::Host, faults: &mut Faults) -> ReserveRequest {
    let memory = host.memory.as_ref().and_then(|text| {
        let value = faults.parse(text)?;
        Some(Placed { value, span: text.span() })
    });
    let cpus = host.cpus.as_ref().and_then(|number| {
        let Some(value) = CpuCount::new(*number.get_ref()) else {
            let message = format!("a host keeps 1 to {MAX_CPUS} processors, not {}", number.get_ref());
            faults.0.push(SpecFault::new(message, number.span()));
            return None;
        };
        Some(Placed { value, span: number.span() })
    });
    ReserveRequest { memory, cpus }
}

fn device(select: Spanned<wire::DeviceSelect>, faults: &mut Faults) -> Option<DeviceRequest> {
    let span = select.span();
    let select = select.into_inner();
    if select.id.is_none() && select.slot.is_none() {
        faults.0.push(
            SpecFault::new("the device is not said: neither id nor slot is given", span).help(
                "select = { id = \"9004:5078\", slot = \"0000:03:05.0\" }; `slotwise inspect` shows both",
            ),
        );
        return None;
    }
    if select.any && (select.id.is_none() || select.slot.is_some()) {
        faults.0.push(
            SpecFault::new("any = true chooses among the devices of one id, without a slot", span)
                .help("select = { id = \"8086:10d3\", any = true }"),
        );
        return None;
    }
    let pick = if select.any { Pick::AnyOf } else { Pick::Exactly };
    let id = select.id.as_ref().map(|text| faults.parse(text));
    let slot = select.slot.as_ref().map(|text| faults.parse(text));
    Some(DeviceRequest { id: flip(id)?, slot: flip(slot)?, pick, span })
}

/// What the host keeps: an address has a function behind a point, an id has none.
fn keep(text: &Spanned<String>, faults: &mut Faults) -> Option<KeepRequest> {
    let (id, slot) = if text.get_ref().contains('.') {
        (None, Some(faults.parse(text)?))
    } else {
        (Some(faults.parse(text)?), None)
    };
    Some(KeepRequest { id, slot, span: text.span() })
}

/// An optional value that was asked for and parsed; outer nothing if it was asked for and is faulty.
fn flip<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}

/// A USB device is named by its id alone, so that two lines with one id want the same device.
fn usb_once(vms: &[Spanned<wire::Vm>], faults: &mut Faults) {
    let mut takers: BTreeMap<UsbId, Range<usize>> = BTreeMap::new();
    for text in vms.iter().flat_map(|vm| &vm.get_ref().usb).map(|usb| &usb.select.id) {
        let Ok(id) = text.get_ref().parse::<UsbId>() else { continue };
        if let Some(first) = takers.insert(id, text.span()) {
            let message = format!("USB device {id} is asked for twice");
            faults.0.push(SpecFault::new(message, text.span()).related(first, "first asked for here"));
        }
    }
}

fn one_taker_each(vms: &[VmRequest], faults: &mut Faults) {
    let mut takers: BTreeMap<PciAddress, Range<usize>> = BTreeMap::new();
    for device in vms.iter().flat_map(|vm| &vm.devices) {
        let Some(slot) = device.slot else { continue };
        if let Some(first) = takers.insert(slot, device.span.clone()) {
            let message = format!("device {slot} is asked for twice");
            faults
                .0
                .push(SpecFault::new(message, device.span.clone()).related(first, "first asked for here"));
        }
    }
}

fn test(test: wire::Test, faults: &mut Faults) -> TestRequest {
    let disk = DiskIdentity {
        vendor: test.disk.vendor,
        product: test.disk.product,
        serial: test.disk.serial,
        target: test.disk.target,
        lun: test.disk.lun,
    };
    if test.writes && (disk.vendor.is_none() || disk.product.is_none()) {
        let span = test.suites.first().map_or(0..0, Spanned::span);
        faults.0.push(
            SpecFault::new("tests may write, but the disk that may be written to is not named", span)
                .help("add disk = { vendor = \"…\", product = \"…\" } to [test]: nothing else is written to"),
        );
    }
    let flash = test.flash.and_then(|words| hook("flash", words, HookWord::Firmware, faults));
    if let Some(flash) = flash.as_ref().filter(|flash| !flash.value.says(HookWord::Firmware)) {
        faults.0.push(
            SpecFault::new("flash does not say which firmware it installs", flash.span.clone())
                .help("{firmware} in one of its arguments stands for the file"),
        );
    }
    let power = test.power.and_then(|words| hook("power", words, HookWord::Device, faults));
    TestRequest {
        flash,
        power,
        net: test.net.and_then(|net| self::net(&net, faults)),
        suites: test.suites.into_iter().map(placed).collect(),
        guests: test.guests.into_iter().map(placed).collect(),
        writes: if test.writes { WriteLeave::Data } else { WriteLeave::ReadOnly },
        disk,
    }
}

/// The two ends of the wire of a network card under test.
fn net(net: &wire::Net, faults: &mut Faults) -> Option<NetPeer> {
    let mut end = |key: &str, text: &Spanned<String>| {
        let usable = |own: &Ipv4Addr| !own.is_unspecified() && !own.is_multicast() && !own.is_broadcast();
        let address = text.get_ref().parse().ok().filter(usable);
        if address.is_none() {
            let fault = SpecFault::new(format!("{key} is no IPv4 address of a host"), text.span());
            faults.0.push(fault.help("four numbers, as in \"192.0.2.1\""));
        }
        address
    };
    let (own, peer) = (end("own", &net.own), end("peer", &net.peer));
    if own.is_some() && own == peer {
        faults.0.push(SpecFault::new("own and peer are the same address", net.peer.span()));
        return None;
    }
    Some(NetPeer { own: own?, peer: peer? })
}

/// A user's command; `allowed` is the one word that stands for something in it.
fn hook(
    key: &str,
    words: Spanned<Vec<String>>,
    allowed: HookWord,
    faults: &mut Faults,
) -> Option<Placed<HookCommand>> {
    let span = words.span();
    let Some(value) = HookCommand::new(words.into_inner()) else {
        faults.0.push(SpecFault::new(format!("{key} names no program"), span).help(
            "a program and its arguments, a text each; a shell is asked for by [\"sh\", \"-c\", \"…\"]",
        ));
        return None;
    };
    for word in [HookWord::Firmware, HookWord::Device] {
        if word != allowed && value.says(word) {
            let message = format!("{} stands for nothing in {key}", word.text());
            faults.0.push(SpecFault::new(message, span.clone()).help(format!("{} does", allowed.text())));
        }
    }
    Some(Placed { value, span })
}

fn placed(text: Spanned<String>) -> Placed<String> {
    Placed { span: text.span(), value: text.into_inner() }
}
