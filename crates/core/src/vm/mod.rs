//! What a virtual machine is, whoever runs it.
//!
//! A [`VmSpec`] says what the machine has: memory, processors, what it boots, which host devices it is given and
//! where the guest finds them. It names no virtual machine monitor, none of their options and no version; turning
//! it into a command line or a domain file is the backends' work. Host and guest addresses are two types,
//! [`crate::pci::PciAddress`] and [`GuestSlot`], with no conversion between them: they are unrelated numbers.
//!
//! Sizes are in bytes unless a name says otherwise.

pub mod address_space;
mod boot;
mod definition;
mod device;
mod machine;
mod memory;
mod name;
mod request;
mod slot;
pub mod spec;

pub use boot::{Boot, BootModule, Disk, DiskBus, DiskImage, DiskWrites, Firmware, KernelBoot, KernelPayload};
pub use definition::{MAX_DEVICES, VmConfig, VmFault, VmSpec};
pub use device::{
    BarAccess, IntxDelivery, LegacyVga, OptionRom, PassthroughDevice, UsbHostDevice, UsbId, UsbIdError,
};
pub use machine::{
    Acceleration, Console, Cpu, CpuCount, CpuModel, HostNode, HypervisorSignature, MAX_CPUS, MachineType,
    OnReboot, UnknownMachineType,
};
pub use memory::{MemorySize, MemorySizeError};
pub use name::{ChannelName, NameError, VmName};
pub use request::{
    BackendKind, DeviceRequest, DiskIdentity, HookCommand, HookWord, KeepRequest, NetPeer, Pick, Placed,
    Request, ReserveRequest, TestRequest, VmRequest, WriteLeave,
};
pub use slot::{GuestSlot, GuestSlotError};
