//! The virtual lab: machines with emulated IOMMUs and PCI devices, faults on demand.
//!
//! A lab host is a QEMU machine under software emulation, so it needs no hardware support, no root and nothing but
//! distribution packages. In it runs Linux with a real IOMMU driver, real VFIO and a real `/dev/kvm`; the same
//! `slotwise` that runs on hardware runs there.
//!
//! - [`machine`]: what a lab host consists of, as data
//! - [`artifacts`]: the images it boots from, built from the distribution's files
//! - [`host`]: a running lab host
//! - [`session`]: commands and files, in this process's lab host or one that another process shares
//! - [`target`]: a SCSI-2 disk whose firmware can be given defects, to measure test suites with
//! - [`processor`]: a SCSI-2 processor device, likewise
//! - [`cdrom`]: a SCSI-2 CD-ROM drive, likewise
//! - [`iscsi`]: that disk as an iSCSI target, for an emulated adapter or any initiator
//! - [`channel`]: the byte stream beneath

#![forbid(unsafe_code)]

pub mod artifacts;
pub mod cdrom;
pub mod channel;
pub mod host;
pub mod iscsi;
pub mod machine;
pub mod processor;
pub mod session;
pub mod target;

pub use artifacts::{ArtifactError, Artifacts, Config, PayloadFile};
pub use host::{BootOptions, LabError, LabHost};
pub use machine::{FaultState, Machine, MachineError};
pub use session::{Command, Session, SessionError};
