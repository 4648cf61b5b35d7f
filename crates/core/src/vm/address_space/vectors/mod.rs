//! Test vectors: machines, devices and the addresses that firmware gave, or is computed to give.
//!
//! [`Proof`] says how far each is known. Devices are emulated ones: T(n) a 4 KiB BAR, 256 I/O ports, `n` of 64-bit prefetchable
//! memory; R a network card with an option ROM of 256 KiB; E 1 MiB of memory; N 16 KiB, 64-bit, not prefetchable; V(n) `n` of
//! 32-bit prefetchable memory, 4 KiB, an option ROM of 64 KiB.

use super::tree::{Bridge, BridgeKind, Class, Function, Reserve, buses, chipset, fixed, port};
use super::*;
use crate::pci::BarKind;
use crate::pci::BarKind::{Io, Memory32, Memory64, Rom};
use crate::vm::MachineType::{self, Pc, Q35};
use crate::vm::{GuestSlot, MemorySize};
use arith::{GIB, MIB};

/// How far a vector is known to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Seen on running firmware.
    Seen,
    /// Read in the source of that release, not run.
    Source,
    /// Computed by a model of the source, not run: proves no more than that two readings agree.
    Computed,
}
use Proof::{Computed, Seen, Source};

const SB2: Placer = Placer::SeaBios(SeaBiosVersion(1, 16, 2));
const SB3: Placer = Placer::SeaBios(SeaBiosVersion(1, 16, 3));
const SB17: Placer = Placer::SeaBios(SeaBiosVersion(1, 17, 0));
const BOTH: &[Placer] = &[SB2, SB17];
const OVMF: &[Placer] = &[Placer::Ovmf(Edk2Release(202_211))];
const XEN: &[Placer] = &[Placer::Hvmloader(XenVersion(4, 19)), Placer::Hvmloader(XenVersion(4, 22))];

const fn ovmf_later(release: u32) -> [Placer; 1] {
    [Placer::Ovmf(Edk2Release(release))]
}

fn guest(machine: MachineType, placer: Placer, mib: u32, cpu: &str) -> GuestMachine {
    let vendor = if cpu.starts_with('a') { CpuVendor::Amd } else { CpuVendor::Intel };
    let bits = cpu.get(1..).and_then(|bits| bits.parse().ok()).expect("bits");
    let memory = MemorySize::from_mib(mib).expect("memory");
    let phys_bits = PhysBits::new(vendor, bits);
    GuestMachine { machine, placer, memory, phys_bits, tuning: Tuning::default() }
}

type Bars = Vec<(u8, BarKind, bool, u64)>;

fn t(size: u64) -> Bars {
    vec![(0, Memory32, false, 4096), (1, Io, false, 256), (2, Memory64, true, size)]
}

fn r() -> Bars {
    vec![(0, Io, false, 256), (1, Memory32, false, 256), (6, Rom, false, 256 << 10)]
}

fn e() -> Bars {
    vec![(0, Memory32, false, MIB)]
}

fn n() -> Bars {
    vec![(0, Memory64, false, 16 << 10)]
}

fn v(size: u64) -> Bars {
    vec![(0, Memory32, true, size), (2, Memory32, false, 4096), (6, Rom, false, 64 << 10)]
}

fn gpu(size: u64) -> Bars {
    vec![
        (0, Memory64, true, size),
        (2, Memory64, true, 64 << 10),
        (4, Io, false, 256),
        (6, Rom, false, 128 << 10),
    ]
}

fn at(name: &'static str, slot: (u8, u8), bars: &[(u8, BarKind, bool, u64)]) -> Function {
    fixed(name, slot, bars).expect("function")
}

/// Functions of the root bus in slots from `first` on.
fn row(first: u8, devices: Vec<(&'static str, Bars)>) -> Vec<Function> {
    (first..).zip(devices).map(|(slot, (name, bars))| at(name, (slot, 0), &bars)).collect()
}

/// What a vector predicts of one function: name, BAR or window, address.
type Expected = (&'static str, Part, u64);

const fn bar(name: &'static str, index: u8, start: u64) -> Expected {
    (name, Part::Bar(index), start)
}

struct Vector {
    name: &'static str,
    proof: Proof,
    machine: MachineType,
    placers: Vec<Placer>,
    mib: u32,
    cpu: &'static str,
    devices: Vec<Function>,
    expected: Vec<Expected>,
}

fn check(vectors: &[Vector]) {
    for vector in vectors {
        for placer in &vector.placers {
            let machine = guest(vector.machine, *placer, vector.mib, vector.cpu);
            check_on(&machine, vector.name, vector.proof, &vector.devices, &vector.expected);
        }
    }
}

fn check_on(machine: &GuestMachine, name: &str, proof: Proof, devices: &[Function], expected: &[Expected]) {
    let mut root = chipset(machine);
    root.extend(devices.iter().cloned());
    let placement = AddressSpace::lay_out(machine, &root);
    for (device, part, start) in expected {
        let key = (Owner::Guest(device), *part);
        let found = placement.map.iter().find(|p| (p.device, p.part) == key).map(|p| p.start);
        let shown = found.map(|start| format!("{start:#x}"));
        assert_eq!(
            shown,
            Some(format!("{start:#x}")),
            "{name} ({proof:?}) {} {device} {part:?}: {:#x?}",
            machine.placer,
            placement.map
        );
    }
}

fn bridge(mut function: Function, kind: BridgeKind, behind: Vec<Function>) -> Function {
    function.bridge = Some(Bridge { kind, reserve: Reserve::default(), behind });
    function
}

fn rp(behind: Vec<Function>) -> Function {
    port((3, 0), Reserve::default(), behind).expect("port")
}

/// A root port with a bridge to conventional PCI (one 64-bit BAR of 256 bytes) and `behind` behind it.
fn conventional(behind: Vec<Function>) -> Function {
    let inner = at("bridge", (0, 0), &[(0, Memory64, false, 256)]);
    rp(vec![bridge(inner, BridgeKind::Conventional, behind)])
}

fn mixed() -> Vec<Function> {
    vec![conventional(vec![at("T", (1, 0), &t(256 * MIB)), at("V", (2, 0), &v(16 * MIB))])]
}

fn q35(
    name: &'static str,
    proof: Proof,
    placers: &[Placer],
    (mib, cpu): (u32, &'static str),
    devices: Vec<Function>,
    expected: Vec<Expected>,
) -> Vector {
    Vector { name, proof, machine: Q35, placers: placers.to_vec(), mib, cpu, devices, expected }
}

mod ovmf;
mod seabios;
mod xen;
