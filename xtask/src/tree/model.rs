//! The kinds of function that a made-up host has: ids, driver, memory, and configuration space with its capabilities.
//!
//! Ids and drivers are those of real devices; layouts of capabilities follow PCI 3.0 §6.8, PCI Power Management 1.2 §3.2
//! and PCIe Base 6.0 §7.5 to §7.9, their offsets are where such devices have them. Sizes are in bytes.

/// What reading `config` of a function gives.
pub(super) const EXPRESS_BYTES: usize = 4096;
/// The same, of a function on a conventional bus.
pub(super) const CONVENTIONAL_BYTES: usize = 256;

/// 32-bit memory; as in a `resource` file (`include/linux/ioport.h`).
const MEMORY: u64 = 0x0004_0200;
/// 64-bit memory.
const MEMORY_64: u64 = 0x0014_0204;
/// 64-bit prefetchable memory.
const PREFETCH_64: u64 = 0x0014_220c;
/// I/O ports.
const PORTS: u64 = 0x0004_0101;

/// A base address register as the kernel assigned it.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) index: usize,
    pub(super) size: u64,
    pub(super) flags: u64,
}

/// One capability: where it is, its id, and what stands behind the link to the next.
pub(super) type Capability = (u16, u16, &'static [u8]);

/// A kind of function.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) id: (u16, u16),
    pub(super) subsystem: (u16, u16),
    pub(super) class: u32,
    pub(super) revision: u8,
    pub(super) driver: Option<&'static str>,
    /// Header type 1.
    pub(super) bridge: bool,
    pub(super) bars: &'static [Bar],
    /// Vectors of MSI or MSI-X in use.
    pub(super) vectors: u32,
    pub(super) reset_method: &'static str,
    pub(super) capabilities: &'static [Capability],
    /// Of extended configuration space; none on a conventional bus.
    pub(super) extended: &'static [Capability],
    /// Virtual functions that it could offer.
    pub(super) virtual_functions: Option<u16>,
}

impl Model {
    pub(super) const fn is_express(&self) -> bool {
        !self.extended.is_empty()
    }

    pub(super) const fn is_vga(&self) -> bool {
        self.class >> 8 == 0x0300
    }

    /// Its configuration space; `buses` are those of a bridge: primary, secondary, subordinate.
    pub(super) fn config(&self, bars: &[u64], irq: u8, buses: [u8; 3]) -> Vec<u8> {
        let size = if self.is_express() { EXPRESS_BYTES } else { CONVENTIONAL_BYTES };
        let mut space = vec![0; size];
        put(&mut space, 0x00, &self.id.0.to_le_bytes());
        put(&mut space, 0x02, &self.id.1.to_le_bytes());
        // I/O, memory, bus master; a list of capabilities (PCI 3.0 §6.2.2, §6.2.3).
        put(&mut space, 0x04, &[0x07, 0x04, 0x10, 0x00]);
        put(&mut space, 0x08, &(self.class << 8 | u32::from(self.revision)).to_le_bytes());
        put(&mut space, 0x0c, &[0x10, 0x00, u8::from(self.bridge) | 0x80, 0x00]);
        for (bar, address) in self.bars.iter().zip(bars) {
            let low = u32::try_from(address & 0xffff_fff0).unwrap_or_default();
            let register = 0x10 + 4 * bar.index;
            put(
                &mut space,
                register,
                &(low | u32::try_from(bar.flags & 0xf).unwrap_or_default()).to_le_bytes(),
            );
            if bar.flags & 0x0010_0000 != 0 {
                put(&mut space, register + 4, &address.to_le_bytes()[4..]);
            }
        }
        if self.bridge {
            put(&mut space, 0x18, &buses);
            put(&mut space, 0x1c, &[0xf1, 0x01, 0x00, 0x00, 0xf0, 0xff, 0x00, 0x00, 0xf1, 0xff, 0x01, 0x00]);
        } else {
            put(&mut space, 0x2c, &self.subsystem.0.to_le_bytes());
            put(&mut space, 0x2e, &self.subsystem.1.to_le_bytes());
        }
        put(&mut space, 0x3c, &[irq, 0x01]);
        self.chains(&mut space);
        space
    }

    fn chains(&self, space: &mut [u8]) {
        let mut link = 0x34;
        for (offset, id, body) in self.capabilities {
            let at = usize::from(*offset);
            put(space, link, &offset.to_le_bytes()[..1]);
            put(space, at, &id.to_le_bytes()[..1]);
            put(space, at + 2, body);
            link = at + 1;
        }
        for (index, (offset, id, body)) in self.extended.iter().enumerate() {
            let next = self.extended.get(index + 1).map_or(0, |next| u32::from(next.0));
            let at = usize::from(*offset);
            put(space, at, &(u32::from(*id) | 1 << 16 | next << 20).to_le_bytes());
            put(space, at + 4, body);
        }
    }
}

fn put(space: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = space.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// PM: version 3, PME from D0 and D3hot, No_Soft_Reset.
const PM: &[u8] = &[0x03, 0xc8, 0x08, 0x00, 0x00, 0x00];
/// MSI: 64-bit, enabled, one vector.
const MSI: &[u8] = &[0x81, 0x00, 0x00, 0x30, 0xe0, 0xfe, 0, 0, 0, 0, 0x21, 0x00];
/// MSI-X: 33 vectors, enabled, table in BAR 0 at 0x2000, PBA at 0x3000.
const MSI_X: &[u8] = &[0x20, 0x80, 0x00, 0x20, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00];
/// PCI Express endpoint, version 2: FLR, 8 GT/s x4, ASPM L1.
const ENDPOINT: &[u8] = &[
    0x02, 0x00, 0xc1, 0x8f, 0x00, 0x10, 0x37, 0x29, 0x10, 0x00, 0x43, 0xf8, 0x45, 0x00, 0x42, 0x00, 0x43,
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f, 0x08, 0x08, 0x00, 0x00, 0x04, 0x00, 0x00,
    0x0e, 0x00, 0x00, 0x00, 0x03, 0x00, 0x1e, 0x00,
];
/// PCI Express root port with a slot, version 2.
const ROOT_PORT: &[u8] = &[
    0x42, 0x01, 0x01, 0x80, 0x00, 0x00, 0x07, 0x00, 0x10, 0x00, 0x43, 0x3c, 0x73, 0x09, 0x42, 0x00, 0x43,
    0x70, 0x60, 0xb2, 0x0c, 0x00, 0x00, 0x00, 0x40, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x37, 0x08, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x03, 0x00, 0x1e, 0x00,
];
/// PCI Express to PCI bridge.
const TO_PCI: &[u8] = &[
    0x72, 0x00, 0x02, 0x80, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x11, 0x3c, 0x07, 0x00, 0x00, 0x00, 0x11,
    0x00,
];
/// AER with nothing masked but what is by default.
const AER: &[u8] = &[
    0, 0, 0, 0, 0, 0, 0, 0, 0x30, 0x20, 0x06, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0xe0, 0x00, 0x00, 0xa0,
    0x00, 0, 0,
];
const SERIAL: &[u8] = &[0x12, 0x34, 0x56, 0xff, 0xff, 0x78, 0x9a, 0xbc];
/// ACS: all but egress control, of which source validation, redirects and forwarding are on.
const ACS: &[u8] = &[0x1f, 0x00, 0x1d, 0x00];
const ACS_NONE: &[u8] = &[0x00, 0x00, 0x00, 0x00];
const ARI: &[u8] = &[0x00, 0x01, 0x00, 0x00];
/// SR-IOV: 64 virtual functions, none enabled, 64 KiB each in BAR 0.
const SR_IOV: &[u8] = &[
    0x02, 0, 0, 0, 0x10, 0, 0, 0, 0x40, 0, 0x40, 0, 0, 0, 0, 0, 0x80, 0, 0x02, 0, 0, 0, 0x4c, 0x15, 0x53,
    0x05, 0, 0, 1, 0, 0, 0, 0x0c, 0, 0, 0xfb,
];
const LTR: &[u8] = &[0x03, 0x10, 0x03, 0x10];
const L1_SUBSTATES: &[u8] = &[0x1f, 0x28, 0x28, 0x00, 0x0f, 0x28, 0x78, 0x40, 0x28, 0, 0, 0];
const SECONDARY: &[u8] = &[0; 16];
const VENDOR_SPECIFIC: &[u8] = &[0x14, 0x00];

pub(super) const ROOT_PORT_MODEL: Model = Model {
    id: (0x8086, 0xa330),
    subsystem: (0, 0),
    class: 0x06_0400,
    revision: 0xf0,
    driver: Some("pcieport"),
    bridge: true,
    bars: &[],
    vectors: 1,
    reset_method: "pm",
    capabilities: &[
        (0x40, 0x10, ROOT_PORT),
        (0x80, 0x05, MSI),
        (0x90, 0x0d, &[0x00, 0x00, 0x86, 0x80, 0x70, 0x72]),
        (0xa0, 0x01, PM),
    ],
    extended: &[
        (0x100, 0x01, AER),
        (0x140, 0x0d, ACS),
        (0x200, 0x1e, L1_SUBSTATES),
        (0x220, 0x19, SECONDARY),
    ],
    virtual_functions: None,
};

pub(super) const TO_PCI_MODEL: Model = Model {
    id: (0x12d8, 0xe111),
    subsystem: (0, 0),
    class: 0x06_0400,
    revision: 0x02,
    driver: None,
    bridge: true,
    bars: &[],
    vectors: 0,
    reset_method: "pm bus",
    capabilities: &[(0x80, 0x07, &[0x03, 0, 0, 0, 0, 0]), (0x90, 0x01, PM), (0xb0, 0x10, TO_PCI)],
    extended: &[(0x100, 0x01, AER), (0x150, 0x02, SECONDARY)],
    virtual_functions: None,
};

pub(super) const NVME: Model = Model {
    id: (0x144d, 0xa808),
    subsystem: (0x144d, 0xa801),
    class: 0x01_0802,
    revision: 0,
    driver: Some("nvme"),
    bridge: false,
    bars: &[Bar { index: 0, size: 0x4000, flags: MEMORY_64 }],
    vectors: 5,
    reset_method: "flr bus",
    capabilities: &[(0x40, 0x01, PM), (0x50, 0x05, MSI), (0x70, 0x10, ENDPOINT), (0xb0, 0x11, MSI_X)],
    extended: &[
        (0x100, 0x01, AER),
        (0x148, 0x03, SERIAL),
        (0x158, 0x04, &[0; 12]),
        (0x168, 0x19, SECONDARY),
        (0x188, 0x18, LTR),
        (0x190, 0x1e, L1_SUBSTATES),
    ],
    virtual_functions: None,
};

pub(super) const NETWORK: Model = Model {
    id: (0x8086, 0x1563),
    subsystem: (0x8086, 0x0001),
    class: 0x02_0000,
    revision: 0x01,
    driver: Some("ixgbe"),
    bridge: false,
    bars: &[
        Bar { index: 0, size: 0x40_0000, flags: PREFETCH_64 },
        Bar { index: 4, size: 0x4000, flags: PREFETCH_64 },
    ],
    vectors: 5,
    reset_method: "flr bus",
    capabilities: &[(0x40, 0x01, PM), (0x50, 0x05, MSI), (0x70, 0x11, MSI_X), (0xa0, 0x10, ENDPOINT)],
    extended: &[
        (0x100, 0x01, AER),
        (0x140, 0x03, SERIAL),
        (0x150, 0x0e, ARI),
        (0x160, 0x10, SR_IOV),
        (0x1b0, 0x0d, ACS_NONE),
        (0x1c0, 0x18, LTR),
    ],
    virtual_functions: Some(64),
};

pub(super) const GRAPHICS: Model = Model {
    id: (0x10de, 0x1c03),
    subsystem: (0x1458, 0x3724),
    class: 0x03_0000,
    revision: 0xa1,
    driver: Some("nouveau"),
    bridge: false,
    bars: &[
        Bar { index: 0, size: 0x100_0000, flags: MEMORY },
        Bar { index: 1, size: 0x1000_0000, flags: PREFETCH_64 },
        Bar { index: 3, size: 0x200_0000, flags: PREFETCH_64 },
        Bar { index: 5, size: 0x80, flags: PORTS },
    ],
    vectors: 1,
    reset_method: "bus",
    capabilities: &[(0x60, 0x01, PM), (0x68, 0x05, MSI), (0x78, 0x10, ENDPOINT)],
    extended: &[
        (0x100, 0x02, SECONDARY),
        (0x250, 0x18, LTR),
        (0x258, 0x1e, L1_SUBSTATES),
        (0x128, 0x04, &[0; 12]),
        (0x420, 0x01, AER),
        (0x600, 0x0b, &[0x01, 0x00, 0x41, 0x02]),
        (0x900, 0x19, SECONDARY),
    ],
    virtual_functions: None,
};

pub(super) const GRAPHICS_AUDIO: Model = Model {
    id: (0x10de, 0x10f1),
    subsystem: (0x1458, 0x3724),
    class: 0x04_0300,
    revision: 0xa1,
    driver: Some("snd_hda_intel"),
    bridge: false,
    bars: &[Bar { index: 0, size: 0x4000, flags: MEMORY }],
    vectors: 1,
    reset_method: "bus",
    capabilities: &[(0x60, 0x01, PM), (0x68, 0x05, MSI), (0x78, 0x10, ENDPOINT)],
    extended: &[(0x100, 0x01, AER)],
    virtual_functions: None,
};

pub(super) const SCSI: Model = Model {
    id: (0x9004, 0x5078),
    subsystem: (0x9004, 0x7850),
    class: 0x01_0000,
    revision: 0x03,
    driver: Some("aic7xxx"),
    bridge: false,
    bars: &[Bar { index: 0, size: 0x100, flags: PORTS }, Bar { index: 1, size: 0x1000, flags: MEMORY }],
    vectors: 0,
    reset_method: "bus",
    capabilities: &[(0xdc, 0x01, PM)],
    extended: &[],
    virtual_functions: None,
};

pub(super) const USB: Model = Model {
    id: (0x8086, 0xa36d),
    subsystem: (0x8086, 0x7270),
    class: 0x0c_0330,
    revision: 0x10,
    driver: Some("xhci_hcd"),
    bridge: false,
    bars: &[Bar { index: 0, size: 0x1_0000, flags: MEMORY_64 }],
    vectors: 1,
    reset_method: "",
    capabilities: &[(0x70, 0x01, PM), (0x80, 0x05, MSI), (0x90, 0x09, VENDOR_SPECIFIC)],
    extended: &[],
    virtual_functions: None,
};
