//! The lab's firmware before the bench, in two rigs: spoken to [directly](direct), where every case runs, and
//! [behind](behind) an emulated adapter in a guest, where what a guest can see is seen.
//!
//! A case that ends differently in the two is a fault of the path between them (the adapter's emulation, the guest's SCSI
//! layer, QEMU's SCSI bus) and [told as such](difference).

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod behind;
pub mod cdrom;
pub mod difference;
pub mod direct;
pub mod processor;

use slotwise_lab::target::{MediumKind, Model};
use slotwise_testbench::rig::{DeviceUnderTest, FunctionUnderTest, Identity};
use slotwise_testbench::suite::Harm;
use slotwise_testbench::wire::{DeviceAddress, Nexus};

/// The firmware's disk where one is enough: an odd number of blocks, not a multiple of a track.
pub const SMALL_DISK: Model = Model { blocks: 6_001, medium: MediumKind::Fixed };

/// The SCSI id it has in both rigs.
pub const TARGET_ID: u32 = 2;

/// Where it sits, as the rigs tell it.
pub const ADDRESS: DeviceAddress = DeviceAddress { host: 0, channel: 0, id: TARGET_ID, lun: 0 };

/// The firmware as a device under test. It is the lab's own, so everything may be done to it.
pub fn device() -> DeviceUnderTest {
    DeviceUnderTest {
        name: "firmware".to_owned(),
        nexus: Nexus { channel: Some(0), id: Some(TARGET_ID), lun: Some(0) },
        identity: Some(Identity {
            vendor: "SLOTWISE".to_owned(),
            product: "TARGET".to_owned(),
            serial: Some("L0000001".to_owned()),
        }),
        harm_limit: Harm::All,
        function: FunctionUnderTest::default(),
    }
}
