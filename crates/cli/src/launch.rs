//! From a planned VM to a machine that runs: its guest's files, its description, its logs.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use slotwise_backend::qemu::{CapabilityError, Places, Qemu};
use slotwise_core::plan::{Plan, VmPlan};
use slotwise_core::vm::{
    Acceleration, BackendKind, Boot, ChannelName, Console, Cpu, CpuModel, Disk, DiskBus, DiskImage,
    DiskWrites, Firmware, HypervisorSignature, KernelBoot, KernelPayload, OnReboot, PassthroughDevice,
    UsbHostDevice, VmConfig, VmName, VmSpec,
};
use slotwise_testbench::guest::{
    BootFiles, BootMedium, GuestDefinition, GuestError, ImageBus, ImageFormat, Port, PrepareConfig,
    PrepareError, Processor,
};

use crate::error::{Failure, Hint};
use crate::paths;

/// The planned VM of that name.
pub(crate) fn vm<'p>(plan: &'p Plan, name: &str) -> Result<&'p VmPlan, Failure> {
    let names: Vec<&str> = plan.vms.iter().map(|vm| vm.request.name.as_str()).collect();
    let found = plan.vms.iter().find(|vm| vm.request.name.as_str() == name);
    found
        .ok_or_else(|| Failure::new(format!("the spec declares no VM {name:?}")))
        .hint(format!("it declares: {}", names.join(", ")))
}

/// The backend of a VM, found on this host.
pub(crate) fn backend(vm: &VmPlan) -> Result<Qemu, Failure> {
    match vm.request.backend {
        BackendKind::Qemu => {}
        other => {
            return Err(Failure::new(format!("VMs cannot be launched by {} yet", other.name()))
                .hint("backend = \"qemu\" in the spec launches it"));
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = Places { program: None, search_path: &path, kvm: Path::new("/dev/kvm") };
    Qemu::detect(&places).map_err(Failure::hinted(CapabilityError::hint))
}

/// The guest definition that a VM runs.
pub(crate) fn guest(vm: &VmPlan) -> Result<GuestDefinition, Failure> {
    let id = vm.request.guest.as_ref().map(|guest| guest.value.as_str());
    let id = id
        .ok_or_else(|| Failure::new(format!("VM {} names no guest to run", vm.request.name)))
        .hint("guest = \"debian-12\" in the spec runs the built-in Linux guest")?;
    guest_by_id(id)
}

/// A guest definition by its id.
pub(crate) fn guest_by_id(id: &str) -> Result<GuestDefinition, Failure> {
    GuestDefinition::builtin(id).map_err(Failure::hinted(GuestError::hint))
}

/// Where the parts of guests are on this host.
pub(crate) fn prepare_config() -> Result<PrepareConfig, Failure> {
    let agent = paths::agent()
        .ok_or_else(|| Failure::new("the program slotwise-agent is not beside this one"))
        .hint("`cargo xtask dist` builds all of Slotwise's programs into one folder; SLOTWISE_AGENT names another place")?;
    Ok(PrepareConfig {
        cache_dir: paths::cache().join("guests"),
        agent,
        boot_dir: "/boot".into(),
        modules_dir: "/lib/modules".into(),
        settings_dir: paths::config().join("guests"),
    })
}

/// A guest's files, built if the cache has none.
pub(crate) fn boot_files(guest: &GuestDefinition) -> Result<BootFiles, Failure> {
    guest.prepare(&prepare_config()?).map_err(Failure::hinted(PrepareError::hint))
}

/// The machine that runs a guest with the VM's devices.
pub(crate) fn describe(vm: &VmPlan, files: &BootFiles) -> Result<VmSpec, Box<dyn Error + Send + Sync>> {
    let request = &vm.request;
    let (firmware, boot, disks) = medium(&files.medium);
    let config = VmConfig {
        name: request.name.clone(),
        machine: request.machine,
        acceleration: match files.processor {
            Processor::Accelerated => Acceleration::Hardware,
            Processor::Emulated => Acceleration::Emulation,
        },
        cpu: Cpu { model: CpuModel::Host, count: request.cpus, signature: HypervisorSignature::Shown },
        memory: request.memory,
        node: vm.node.clone(),
        firmware,
        boot,
        disks,
        devices: vm.devices.iter().map(|device| PassthroughDevice::new(device.address)).collect(),
        usb: request.usb.iter().map(|id| UsbHostDevice::Id(*id)).collect(),
        channels: vec![ChannelName::agent()],
        console: match files.port {
            Port::Serial => Console::Serial,
            Port::Debug => Console::DebugPort,
        },
        on_reboot: OnReboot::End,
    };
    VmSpec::new(config).map_err(|faults| {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!("VM {} cannot be: {}", request.name, list.join("; ")).into()
    })
}

/// What the machine is started with.
fn medium(medium: &BootMedium) -> (Firmware, Boot, Vec<Disk>) {
    let kernel = |kernel: &Path, append: &str, payload| {
        Boot::Kernel(KernelBoot { kernel: kernel.to_owned(), arguments: append.to_owned(), payload })
    };
    match medium {
        BootMedium::Device => (Firmware::Bios, Boot::Firmware, Vec::new()),
        BootMedium::Kernel { kernel: image, initrd, append } => {
            let payload = initrd.clone().map_or(KernelPayload::None, KernelPayload::Initrd);
            (Firmware::Bios, kernel(image, append, payload), Vec::new())
        }
        BootMedium::Uefi { code, variables } => {
            let firmware = Firmware::Uefi { code: code.clone(), variables: variables.clone() };
            (firmware, Boot::Firmware, Vec::new())
        }
        BootMedium::Image { path, format, bus } => {
            let image = match format {
                ImageFormat::Raw => DiskImage::Raw(path.clone()),
                ImageFormat::Qcow2 => DiskImage::Qcow2(path.clone()),
            };
            let bus = match bus {
                ImageBus::Ata => DiskBus::Ata,
                ImageBus::Virtio => DiskBus::Virtio,
            };
            (Firmware::Bios, Boot::Firmware, vec![Disk { image, bus, writes: DiskWrites::Discarded }])
        }
    }
}

/// What the last run of a VM said, kept for a diagnosis.
#[derive(Debug)]
pub(crate) struct RunLogs {
    folder: PathBuf,
}

/// Names of the logs of a run.
pub(crate) const LOGS: [&str; 3] = ["monitor.log", "kernel.log", "console.log"];

/// Name of the log of an attachment.
const ATTACHMENT: &str = "attach.log";

impl RunLogs {
    /// Where the logs of a VM's last run are.
    pub(crate) fn of(vm: &VmName) -> Self {
        Self { folder: paths::state().join("runs").join(vm.as_str()) }
    }

    /// The files there are.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        LOGS.iter().map(|log| self.folder.join(log)).filter(|path| path.is_file()).collect()
    }

    /// What came of the last attachment that failed.
    pub(crate) fn attachment(&self) -> Vec<PathBuf> {
        vec![self.folder.join(ATTACHMENT)]
    }

    /// Keeps what an attachment failed with, beside the logs of the run.
    pub(crate) fn keep_attachment(&self, text: &str) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(ATTACHMENT);
        fs::write(&path, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
    }

    /// Keeps the logs of a run in place of those of the last.
    pub(crate) fn keep(&self, monitor: &str, kernel: &str, console: &str) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder)?;
        for (name, text) in LOGS.iter().zip([monitor, kernel, console]) {
            let path = self.folder.join(name);
            fs::write(&path, text)
                .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        }
        Ok(())
    }
}
