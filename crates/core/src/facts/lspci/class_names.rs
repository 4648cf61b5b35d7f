//! Class codes by the names that lspci prints for them, for texts without numbers (`lspci -v` without `-nn`).
//!
//! Source: the sub-classes of pci.ids (2025.06.09), whose names lspci prints; each stands for one.

/// Name, base class and sub-class; by name.
const CLASSES: &[(&str, u16)] = &[
    ("386", 0x0b00),
    ("3D controller", 0x0302),
    ("486", 0x0b01),
    ("802.1a controller", 0x0d20),
    ("802.1b controller", 0x0d21),
    ("ACCESS Bus", 0x0c01),
    ("ATA controller", 0x0105),
    ("ATM network controller", 0x0203),
    ("Alpha", 0x0b10),
    ("Audio device", 0x0403),
    ("Bluetooth", 0x0d11),
    ("Bridge", 0x0680),
    ("Broadband", 0x0d12),
    ("CANBUS", 0x0c09),
    ("CXL", 0x0502),
    ("CardBus bridge", 0x0607),
    ("Co-processor", 0x0b40),
    ("Communication controller", 0x0780),
    ("Communication synchronizer", 0x1110),
    ("Computer telephony device", 0x0402),
    ("Consumer IR controller", 0x0d01),
    ("DMA controller", 0x0801),
    ("DPIO module", 0x1100),
    ("Digitizer Pen", 0x0901),
    ("Display controller", 0x0380),
    ("Docking Station", 0x0a80),
    ("EISA bridge", 0x0602),
    ("Encryption controller", 0x1080),
    ("Entertainment encryption device", 0x1010),
    ("Ethernet controller", 0x0200),
    ("FDDI network controller", 0x0202),
    ("FLASH memory", 0x0501),
    ("Fabric controller", 0x0208),
    ("Fibre Channel", 0x0c04),
    ("FireWire (IEEE 1394)", 0x0c00),
    ("Floppy disk controller", 0x0102),
    ("GPIB controller", 0x0704),
    ("Gameport controller", 0x0904),
    ("Generic Docking Station", 0x0a00),
    ("Host bridge", 0x0600),
    ("I2O", 0x0e00),
    ("IDE interface", 0x0101),
    ("IOMMU", 0x0806),
    ("IPI bus controller", 0x0103),
    ("IPMI Interface", 0x0c07),
    ("IRDA controller", 0x0d00),
    ("ISA bridge", 0x0601),
    ("ISDN controller", 0x0204),
    ("Image coprocessor", 0x0005),
    ("InfiniBand", 0x0c06),
    ("InfiniBand to PCI host bridge", 0x060a),
    ("Infiniband controller", 0x0207),
    ("Input device controller", 0x0980),
    ("Keyboard controller", 0x0900),
    ("MIPS", 0x0b30),
    ("Mass storage controller", 0x0180),
    ("Memory controller", 0x0580),
    ("MicroChannel bridge", 0x0603),
    ("Modem", 0x0703),
    ("Mouse controller", 0x0902),
    ("Multimedia audio controller", 0x0401),
    ("Multimedia controller", 0x0480),
    ("Multimedia video controller", 0x0400),
    ("Multiport serial controller", 0x0702),
    ("Network and computing encryption device", 0x1000),
    ("Network controller", 0x0280),
    ("Non-VGA unclassified device", 0x0000),
    ("Non-Volatile memory controller", 0x0108),
    ("NuBus bridge", 0x0606),
    ("PCI Hot-plug controller", 0x0804),
    ("PCI bridge", 0x0604),
    ("PCMCIA bridge", 0x0605),
    ("PIC", 0x0800),
    ("PICMG controller", 0x0206),
    ("Parallel controller", 0x0701),
    ("Pentium", 0x0b02),
    ("Performance counters", 0x1101),
    ("Power PC", 0x0b20),
    ("Processing accelerators", 0x1200),
    ("RACEway bridge", 0x0608),
    ("RAID bus controller", 0x0104),
    ("RAM memory", 0x0500),
    ("RF controller", 0x0d10),
    ("RTC", 0x0803),
    ("SATA controller", 0x0106),
    ("SCSI storage controller", 0x0100),
    ("SD Host controller", 0x0805),
    ("SERCOS interface", 0x0c08),
    ("SMBus", 0x0c05),
    ("SNIA Smart Data Accelerator Interface (SDXI) controller", 0x1201),
    ("SSA", 0x0c02),
    ("Satellite TV controller", 0x0f01),
    ("Satellite audio communication controller", 0x0f02),
    ("Satellite data communication controller", 0x0f04),
    ("Satellite voice communication controller", 0x0f03),
    ("Scanner controller", 0x0903),
    ("Semi-transparent PCI-to-PCI bridge", 0x0609),
    ("Serial Attached SCSI controller", 0x0107),
    ("Serial bus controller", 0x0c80),
    ("Serial controller", 0x0700),
    ("Signal processing controller", 0x1180),
    ("Signal processing management", 0x1120),
    ("Smard Card controller", 0x0705),
    ("System peripheral", 0x0880),
    ("Timer", 0x0802),
    ("Timing Card", 0x0899),
    ("Token ring network controller", 0x0201),
    ("USB controller", 0x0c03),
    ("Universal Flash Storage controller", 0x0109),
    ("VGA compatible controller", 0x0300),
    ("VGA compatible unclassified device", 0x0001),
    ("Wireless controller", 0x0d80),
    ("WorldFip controller", 0x0205),
    ("XGA compatible controller", 0x0301),
];

/// The class that lspci prints as `name`.
pub(super) fn by_name(name: &str) -> Option<u16> {
    if let Ok(at) = CLASSES.binary_search_by_key(&name, |(name, _)| name) {
        return CLASSES.get(at).map(|(_, class)| *class);
    }
    // Names have changed in their case: `USB Controller` until 2012.
    CLASSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(CLASSES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(by_name("VGA compatible controller"), Some(0x0300));
        assert_eq!(by_name("PCI bridge"), Some(0x0604));
        assert_eq!(by_name("Memory controller"), Some(0x0580));
        assert_eq!(by_name("USB Controller"), Some(0x0c03));
        assert_eq!(by_name("Teapot"), None);
    }
}
