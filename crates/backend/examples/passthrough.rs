//! Starts a Linux guest with one PCI device of this host and shows its console until it ends.
//!
//! The device has to be bound to vfio-pci already. Takes the device's address, a kernel and an initial RAM file
//! system; anything after them is the kernel's command line:
//!
//! ```text
//! passthrough 0000:02:06.0 /boot/vmlinuz guest.cpio.gz console=ttyS0 quiet panic=-1
//! ```

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use slotwise_backend::qemu::{Places, Qemu};
use slotwise_backend::{Backend, ExitCause, Machine, StartOptions};
use slotwise_core::vm::{
    Acceleration, Boot, Console, Cpu, CpuCount, CpuModel, Firmware, HypervisorSignature, KernelBoot,
    KernelPayload, MachineType, MemorySize, OnReboot, PassthroughDevice, VmConfig, VmSpec,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().ok_or(format!("{what} is missing"));
    let device = PassthroughDevice::new(next("device address")?.parse()?);
    let (kernel, initrd) = (next("kernel")?.into(), next("initial RAM file system")?.into());
    let arguments = arguments.collect::<Vec<_>>().join(" ");

    let config = VmConfig {
        name: "passthrough".parse()?,
        machine: MachineType::Pc,
        acceleration: Acceleration::Hardware,
        cpu: Cpu { model: CpuModel::Host, count: CpuCount::ONE, signature: HypervisorSignature::Shown },
        memory: "96M".parse::<MemorySize>()?,
        node: None,
        firmware: Firmware::Bios,
        boot: Boot::Kernel(KernelBoot { kernel, arguments, payload: KernelPayload::Initrd(initrd) }),
        disks: Vec::new(),
        devices: vec![device],
        usb: Vec::new(),
        channels: Vec::new(),
        console: Console::Serial,
        on_reboot: OnReboot::End,
    };
    let spec = VmSpec::new(config)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;

    let path = std::env::var_os("PATH").unwrap_or_default();
    let qemu = Qemu::detect(&Places { program: None, search_path: &path, kvm: Path::new("/dev/kvm") })?;
    println!("{}\n", qemu.render(&spec)?);
    let folder = std::env::temp_dir().join(format!("slotwise-example-{}", std::process::id()));
    let options = StartOptions {
        console: Some(Box::new(std::io::stdout())),
        messages: Some(Box::new(std::io::stderr())),
        ..StartOptions::new(folder)
    };
    let mut machine = qemu.run(&spec, options)?;
    match machine.wait(Duration::from_secs(300)) {
        Some(exit) if exit.cause == ExitCause::Ended => Ok(()),
        Some(exit) => Err(format!("machine ended: {:?}", exit.cause).into()),
        None => Err("machine still runs after 300 s".into()),
    }
}
