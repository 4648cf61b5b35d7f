//! Facts from a source that tells little: what it does not go on to tell is not absent but unknown.

use super::{
    AttachedFacts, CpuFacts, Fact, Facts, FaultKind, FirmwareFacts, KernelFacts, MemoryFacts, Origin,
    PlatformFacts, ReadFault, UsageFacts,
};

/// Makes facts that `source` does not tell.
struct Untold<'s>(&'s str);

impl Untold<'_> {
    fn unknown<T>(&self) -> Fact<T> {
        Fact::Unreadable(ReadFault::new(self.0, FaultKind::NotInSource))
    }

    fn kernel(&self) -> KernelFacts {
        KernelFacts {
            release: self.unknown(),
            command_line: self.unknown(),
            modules: self.unknown(),
            parameters: std::collections::BTreeMap::new(),
            config: self.unknown(),
            modprobe: self.unknown(),
            early_modules: self.unknown(),
            initramfs: self.unknown(),
        }
    }

    fn usage(&self) -> UsageFacts {
        UsageFacts {
            block: self.unknown(),
            mounts: self.unknown(),
            swaps: self.unknown(),
            pools: Vec::new(),
            network: self.unknown(),
            sessions: self.unknown(),
            open_handles: self.unknown(),
            handles_seen: Vec::new(),
            machines: self.unknown(),
            attached: AttachedFacts {
                screens: self.unknown(),
                framebuffers: self.unknown(),
                consoles: self.unknown(),
                vt_consoles: self.unknown(),
                inputs: self.unknown(),
                sound_cards: self.unknown(),
                usb: self.unknown(),
            },
        }
    }

    fn platform(&self) -> PlatformFacts {
        PlatformFacts {
            virtualization: self.unknown(),
            lockdown: self.unknown(),
            locked_memory: self.unknown(),
            user_id: self.unknown(),
            framebuffers: self.unknown(),
            cpu: self.cpu(),
            firmware: self.firmware(),
            memory: MemoryFacts {
                total_bytes: self.unknown(),
                available_bytes: self.unknown(),
                nodes: self.unknown(),
                huge_pages: self.unknown(),
                memlock: self.unknown(),
            },
            vfio_nodes: self.unknown(),
            usb_nodes: self.unknown(),
        }
    }

    fn cpu(&self) -> CpuFacts {
        CpuFacts {
            vendor: self.unknown(),
            model: self.unknown(),
            signature: self.unknown(),
            online: self.unknown(),
            physical_bits: self.unknown(),
            virtual_bits: self.unknown(),
            flags: self.unknown(),
        }
    }

    fn firmware(&self) -> FirmwareFacts {
        FirmwareFacts {
            system_vendor: self.unknown(),
            product: self.unknown(),
            board_vendor: self.unknown(),
            board: self.unknown(),
            board_version: self.unknown(),
            bios_vendor: self.unknown(),
            bios_version: self.unknown(),
            bios_date: self.unknown(),
            uefi: self.unknown(),
            secure_boot: self.unknown(),
        }
    }
}

impl Facts {
    /// No facts yet, from `origin`, a text of the kind `source`: what it does not go on to tell is not absent but
    /// unknown.
    #[must_use]
    pub fn untold(origin: Origin, source: &str) -> Self {
        let untold = Untold(source);
        let mut facts = Self::empty(origin);
        facts.iommu.units = untold.unknown();
        facts.iommu.address_bits = untold.unknown();
        facts.interrupts = untold.unknown();
        facts.boot = untold.unknown();
        facts.kernel = untold.kernel();
        facts.usage = untold.usage();
        facts.platform = untold.platform();
        facts
    }
}
