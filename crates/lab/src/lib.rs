//! The virtual lab: machines with emulated IOMMUs and PCI devices, faults on demand.

#![forbid(unsafe_code)]
