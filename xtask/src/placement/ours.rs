//! The command line that the backend makes of a VM, with stand-ins in place of the host's devices.

use std::path::Path;

use slotwise_backend::qemu::{Places, Wiring, render};
use slotwise_core::vm::{
    Acceleration, Boot, Console, Cpu, CpuCount, CpuModel, HypervisorSignature, OnReboot, PassthroughDevice,
    VmConfig, VmSpec,
};

use super::set::Set;
use crate::Result;

/// QEMU's arguments for a set whose machine is as the backend makes it.
pub(super) fn arguments(set: &Set) -> Result<Vec<String>> {
    let seats = set.seats()?;
    let devices = set.root.iter().map(|node| {
        let seat = seats.iter().find(|seat| std::ptr::eq(seat.node, node)).ok_or("lost a device")?;
        Ok(PassthroughDevice { guest: node.slot, ..PassthroughDevice::new(seat.address) })
    });
    let config = VmConfig {
        name: "placement".parse()?,
        machine: set.machine,
        acceleration: Acceleration::Emulation,
        cpu: Cpu { model: CpuModel::Host, count: CpuCount::ONE, signature: HypervisorSignature::Shown },
        memory: set.memory,
        node: None,
        firmware: slotwise_core::vm::Firmware::Bios,
        boot: Boot::Firmware,
        disks: Vec::new(),
        devices: devices.collect::<Result<_>>()?,
        usb: Vec::new(),
        channels: vec!["agent".parse()?],
        console: Console::Serial,
        on_reboot: OnReboot::End,
    };
    let spec = VmSpec::new(config).map_err(|faults| format!("{faults:?}"))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = Places { program: None, search_path: &path, kvm: Path::new("/dev/kvm") };
    let capabilities = slotwise_backend::qemu::Capabilities::detect(&places)?;
    let line = render(&spec, &capabilities, Wiring::Terminal)?;
    let mut words = line.arguments.iter().map(|word| word.to_string_lossy());
    let mut arguments = set.machine_arguments();
    while let Some(word) = words.next() {
        if word != "-device" {
            continue;
        }
        let device = words.next().unwrap_or_default();
        let host = seats.iter().find(|seat| device.contains(&format!("host={}", seat.address)));
        match host {
            Some(seat) => {
                let rest = device
                    .split(',')
                    .skip(1)
                    .filter(|member| !member.starts_with("host=") && !member.starts_with("id="));
                let rest: String = rest.map(|member| format!(",{member}")).collect();
                arguments.extend(seat.node.stand_in.arguments(&seat.id, &rest));
            }
            // A port of the channel is no function, and has a socket that is not here.
            None if device.starts_with("virtserialport") => {}
            None => arguments.extend(["-device".to_owned(), device.into_owned()]),
        }
    }
    Ok(arguments)
}
