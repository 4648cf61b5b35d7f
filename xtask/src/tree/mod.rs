//! Made-up hosts of any size as directories: `sys` and `proc` as Linux shows them, for measuring whoever reads them.
//!
//! `slotwise inspect --from DIR`, `lspci -A linux-sysfs -O sysfs.path=DIR/sys/bus/pci` and scripts that walk
//! `DIR/sys/kernel/iommu_groups` read the same files. Each PCI segment has root ports with NVMe disks, two-port network
//! cards, graphics with audio, and old SCSI cards behind PCIe-to-PCI bridges below them. Attributes are those of Linux 6.1
//! (`drivers/pci/pci-sysfs.c`, `drivers/pci/msi/msi.c`, `drivers/base/power/sysfs.c`); what hangs on the functions (disks,
//! interfaces) is left out.

mod model;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use model::Model;

/// Root ports of one segment, each with a bus of its own below.
const ROOT_PORTS: u8 = 24;
/// Where memory of the first function starts; each segment has 64 GiB.
const MEMORY_BASE: u64 = 0x40_0000_0000;
/// Processors of the host.
const CPUS: usize = 4;
/// The first interrupt number of a message.
const FIRST_MESSAGE: u32 = 24;

/// A function to be made.
struct Function {
    /// `DDDD:BB:DD.F`.
    address: String,
    /// Its directory below `sys/devices`.
    place: String,
    /// The directory above.
    model: &'static Model,
    group: u32,
    /// Buses of a bridge: primary, secondary, subordinate.
    buses: [u8; 3],
}

/// Makes a host of `count` functions in `root`, a directory that is there.
pub(crate) fn make(root: &Path, count: usize) -> io::Result<()> {
    let functions = plan(count);
    let mut host = Host { root, interrupts: interrupts_head(), next_irq: FIRST_MESSAGE, memory: MEMORY_BASE };
    for directory in
        ["sys/bus/pci/devices", "sys/bus/pci/slots", "sys/kernel/iommu_groups", "sys/class/iommu/dmar0"]
    {
        fs::create_dir_all(root.join(directory))?;
    }
    for function in &functions {
        host.function(function)?;
    }
    host.groups(&functions)?;
    host.proc()
}

/// Which functions there are, segment by segment.
fn plan(count: usize) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut group = 0;
    for segment in 0u32.. {
        for port in 1..=ROOT_PORTS {
            if functions.len() >= count {
                functions.truncate(count);
                return functions;
            }
            slot(segment, port, &mut group, &mut functions);
        }
    }
    functions
}

/// One root port and what is in its slot.
fn slot(segment: u32, port: u8, group: &mut u32, functions: &mut Vec<Function>) {
    let root = format!("pci{segment:04x}:00");
    let mut add = |place: &str, address: String, model, group, buses| {
        let place = format!("{place}/{address}");
        functions.push(Function { address, place: place.clone(), model, group, buses });
        place
    };
    let mut next_group = || {
        *group += 1;
        *group - 1
    };
    let bus = port * 2;
    let below = |function: u8| format!("{segment:04x}:{bus:02x}:00.{function}");
    let address = format!("{segment:04x}:00:{port:02x}.0");
    let port_place = add(&root, address, &model::ROOT_PORT_MODEL, next_group(), [0, bus, bus + 1]);
    match port % 6 {
        0 => {
            let group = next_group();
            add(&port_place, below(0), &model::GRAPHICS, group, [0; 3]);
            add(&port_place, below(1), &model::GRAPHICS_AUDIO, group, [0; 3]);
        }
        1 | 4 => {
            for function in 0..2 {
                add(&port_place, below(function), &model::NETWORK, next_group(), [0; 3]);
            }
        }
        2 => {
            let group = next_group();
            let bridge = add(&port_place, below(0), &model::TO_PCI_MODEL, group, [bus, bus + 1, bus + 1]);
            let card = format!("{segment:04x}:{:02x}:04.0", bus + 1);
            add(&bridge, card, &model::SCSI, group, [0; 3]);
        }
        3 => {
            add(&port_place, below(0), &model::USB, next_group(), [0; 3]);
        }
        _ => {
            add(&port_place, below(0), &model::NVME, next_group(), [0; 3]);
        }
    }
}

/// A host while it is made.
struct Host<'r> {
    root: &'r Path,
    interrupts: String,
    next_irq: u32,
    memory: u64,
}

impl Host<'_> {
    fn function(&mut self, function: &Function) -> io::Result<()> {
        let model = function.model;
        let directory = self.root.join("sys/devices").join(&function.place);
        fs::create_dir_all(&directory)?;
        let bars: Vec<u64> = model.bars.iter().map(|bar| self.allot(bar.size)).collect();
        let config = model.config(&bars, 11, function.buses);
        fs::write(directory.join("config"), &config)?;
        fs::write(directory.join("resource"), resource(model, &bars))?;
        let irq = self.messages(function, &directory)?;
        for (name, text) in attributes(function, irq) {
            fs::write(directory.join(name), text)?;
        }
        fs::create_dir(directory.join("power"))?;
        for (name, text) in [("control", "on\n"), ("runtime_status", "active\n"), ("wakeup", "disabled\n")] {
            fs::write(directory.join("power").join(name), text)?;
        }
        self.links(function, &directory)
    }

    /// The next piece of memory of that size, aligned to it.
    fn allot(&mut self, size: u64) -> u64 {
        let start = self.memory.next_multiple_of(size);
        self.memory = start + size;
        start
    }

    /// `msi_irqs` and rows of `/proc/interrupts`; the number that `irq` shows.
    fn messages(&mut self, function: &Function, directory: &Path) -> io::Result<u32> {
        if function.model.vectors == 0 {
            return Ok(if function.model.bridge { 0 } else { 16 });
        }
        let first = self.next_irq;
        let folder = directory.join("msi_irqs");
        fs::create_dir(&folder)?;
        for vector in 0..function.model.vectors {
            let irq = self.next_irq;
            self.next_irq += 1;
            fs::write(folder.join(irq.to_string()), "msix\n")?;
            let driver = function.model.driver.unwrap_or("none");
            let counts = format!("{:>11}", irq % 977).repeat(CPUS);
            let _ = writeln!(
                self.interrupts,
                "{irq:>4}: {counts}  IR-PCI-MSIX-{}   {vector}-edge      {driver}{irq}q{vector}",
                function.address
            );
        }
        Ok(first)
    }

    fn links(&self, function: &Function, directory: &Path) -> io::Result<()> {
        let up = "../".repeat(function.place.split('/').count() + 1);
        let group = function.group;
        symlink(format!("{up}kernel/iommu_groups/{group}"), directory.join("iommu_group"))?;
        symlink(format!("{up}bus/pci"), directory.join("subsystem"))?;
        symlink(format!("{up}class/iommu/dmar0"), directory.join("iommu"))?;
        if let Some(driver) = function.model.driver {
            fs::create_dir_all(self.root.join("sys/bus/pci/drivers").join(driver))?;
            symlink(format!("{up}bus/pci/drivers/{driver}"), directory.join("driver"))?;
        }
        let device = self.root.join("sys/bus/pci/devices").join(&function.address);
        symlink(format!("../../../devices/{}", function.place), device)
    }

    fn groups(&self, functions: &[Function]) -> io::Result<()> {
        for function in functions {
            let group = self.root.join("sys/kernel/iommu_groups").join(function.group.to_string());
            if !group.is_dir() {
                fs::create_dir_all(group.join("devices"))?;
                fs::write(group.join("type"), "DMA-FQ\n")?;
                let regions = "0x00000000fee00000 0x00000000feefffff msi\n";
                fs::write(group.join("reserved_regions"), regions)?;
            }
            let target = format!("../../../../devices/{}", function.place);
            symlink(target, group.join("devices").join(&function.address))?;
        }
        Ok(())
    }

    fn proc(&self) -> io::Result<()> {
        let modules: Vec<String> = ["vfio_pci", "nvme", "ixgbe", "aic7xxx", "xhci_hcd"]
            .iter()
            .map(|name| format!("{name} 65536 1 - Live 0x0000000000000000\n"))
            .collect();
        for (path, text) in [
            ("interrupts", self.interrupts.as_str()),
            ("cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on\n"),
            ("sys/kernel/osrelease", "6.1.0-made-up\n"),
            ("modules", &modules.concat()),
            ("self/mountinfo", "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"),
            ("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
            ("cpuinfo", "processor\t: 0\nflags\t\t: fpu vme msr vmx\n"),
        ] {
            let path = self.root.join("proc").join(path);
            fs::create_dir_all(path.parent().map_or_else(PathBuf::new, Path::to_owned))?;
            fs::write(path, text)?;
        }
        Ok(())
    }
}

fn interrupts_head() -> String {
    let cpus: String = (0..CPUS).map(|cpu| format!("       CPU{cpu}")).collect();
    let counts = "          3".repeat(CPUS);
    format!("    {cpus}\n  16: {counts}  IR-IO-APIC   16-fasteoi   aic7xxx\n")
}

/// Rows of `resource` (`resource_show`): BARs, ROM, virtual functions' BARs, windows.
fn resource(model: &Model, bars: &[u64]) -> String {
    let mut rows = vec![(0, 0, 0); if model.bridge || model.virtual_functions.is_some() { 17 } else { 13 }];
    for (bar, start) in model.bars.iter().zip(bars) {
        if let Some(row) = rows.get_mut(bar.index) {
            *row = (*start, start + bar.size - 1, bar.flags);
        }
    }
    let line = |(start, end, flags)| format!("{start:#018x} {end:#018x} {flags:#018x}\n");
    rows.into_iter().map(line).collect()
}

/// Text attributes with what they say.
fn attributes(function: &Function, irq: u32) -> Vec<(&'static str, String)> {
    let model = function.model;
    let (id, subsystem, class) = (model.id, model.subsystem, model.class);
    let mut all = vec![
        ("vendor", format!("{:#06x}\n", id.0)),
        ("device", format!("{:#06x}\n", id.1)),
        ("subsystem_vendor", format!("{:#06x}\n", subsystem.0)),
        ("subsystem_device", format!("{:#06x}\n", subsystem.1)),
        ("class", format!("{class:#08x}\n")),
        ("revision", format!("{:#04x}\n", model.revision)),
        ("modalias", format!("{}\n", modalias(model))),
        ("uevent", uevent(function)),
        ("irq", format!("{irq}\n")),
        ("enable", format!("{}\n", u8::from(model.driver.is_some()))),
        ("numa_node", "-1\n".to_owned()),
        ("reset_method", format!("{}\n", model.reset_method)),
        ("driver_override", "(null)\n".to_owned()),
        ("power_state", "D0\n".to_owned()),
    ];
    let plain = [
        ("ari_enabled", "0"),
        ("broken_parity_status", "0"),
        ("consistent_dma_mask_bits", "64"),
        ("d3cold_allowed", "1"),
        ("dma_mask_bits", "64"),
        ("local_cpulist", "0-3"),
        ("local_cpus", "f"),
        ("msi_bus", "1"),
        ("remove", ""),
        ("rescan", ""),
        ("reset", ""),
    ];
    all.extend(plain.map(|(name, text)| (name, format!("{text}\n"))));
    if model.is_express() {
        let link = [
            ("current_link_speed", "8.0 GT/s PCIe"),
            ("current_link_width", "4"),
            ("max_link_speed", "8.0 GT/s PCIe"),
            ("max_link_width", "4"),
        ];
        all.extend(link.map(|(name, text)| (name, format!("{text}\n"))));
    }
    if model.is_vga() {
        all.push(("boot_vga", "0\n".to_owned()));
    }
    if let Some(count) = model.virtual_functions {
        all.push(("sriov_totalvfs", format!("{count}\n")));
        all.push(("sriov_numvfs", "0\n".to_owned()));
    }
    all
}

fn modalias(model: &Model) -> String {
    let (id, subsystem, class) = (model.id, model.subsystem, model.class.to_be_bytes());
    let [_, base, sub, interface] = class;
    format!(
        "pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{base:02X}sc{sub:02X}i{interface:02X}",
        id.0, id.1, subsystem.0, subsystem.1
    )
}

fn uevent(function: &Function) -> String {
    let model = function.model;
    let driver = model.driver.map(|driver| format!("DRIVER={driver}\n")).unwrap_or_default();
    format!(
        "{driver}PCI_CLASS={:X}\nPCI_ID={:04X}:{:04X}\nPCI_SUBSYS_ID={:04X}:{:04X}\nPCI_SLOT_NAME={}\nMODALIAS={}\n",
        model.class,
        model.id.0,
        model.id.1,
        model.subsystem.0,
        model.subsystem.1,
        function.address,
        modalias(model)
    )
}
