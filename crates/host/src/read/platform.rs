//! Processor, firmware and limits: `/proc/cpuinfo`, `/proc/iomem`, `/proc/self`, the lockdown file.
//!
//! Formats: `arch/x86/kernel/cpu/proc.c: show_cpuinfo`, `kernel/resource.c: r_show`, `fs/proc/base.c: proc_pid_limits`,
//! `fs/proc/array.c: proc_pid_status`, `security/lockdown/lockdown.c: lockdown_read`.

use slotwise_core::facts::{
    CpuFacts, Fact, FaultKind, Lockdown, LockedMemory, MemoryClaim, Origin, PlatformFacts, ReadFault,
};

use super::attributes::hex;
use super::{ATTRIBUTE_BYTES, TEXT_BYTES, fact, hardware, malformed, memory, text};
use crate::kernel::ReadHost;

/// `CAP_IPC_LOCK` (`include/uapi/linux/capability.h`).
const CAP_IPC_LOCK: u64 = 1 << 14;

/// Who claims a firmware framebuffer: `sysfb_simplefb.c`, `efifb.c`, `vesafb.c`, `simplefb.c`, `simpledrm.c`.
const FRAMEBUFFERS: [&str; 5] = ["BOOTFB", "efifb", "vesafb", "simplefb", "simpledrm"];

/// Limits and user are those of the process that reads, so they are told of a live host only.
pub(super) fn platform(host: &dyn ReadHost, origin: &Origin, faults: &mut Vec<ReadFault>) -> PlatformFacts {
    let read = |path, limit| fact(text(host, path, limit));
    let (locked_memory, user_id) = match origin {
        Origin::Live { .. } => {
            let status = read("/proc/self/status", ATTRIBUTE_BYTES);
            let limits = read("/proc/self/limits", ATTRIBUTE_BYTES);
            (lockable(&status, limits), status.and_then(|status| user_id(&status)))
        }
        Origin::Saved { .. } => (Fact::Absent, Fact::Absent),
    };
    let cpuinfo = read("/proc/cpuinfo", TEXT_BYTES);
    PlatformFacts {
        virtualization: cpuinfo.as_ref().and_then(|text| virtualization(text)),
        lockdown: read("/sys/kernel/security/lockdown", ATTRIBUTE_BYTES).and_then(|text| lockdown(&text)),
        locked_memory,
        user_id,
        framebuffers: match read("/proc/iomem", TEXT_BYTES) {
            Fact::Known(text) => framebuffers(&text),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(fault) => Fact::Unreadable(fault),
        },
        cpu: CpuFacts { online: hardware::online(host), ..hardware::cpu(&cpuinfo) },
        firmware: hardware::firmware(host),
        memory: memory::memory(host, faults),
        vfio_nodes: hardware::vfio_nodes(host, faults),
        usb_nodes: hardware::usb_nodes(host, faults),
    }
}

/// The limit, unless the process may pass it.
fn lockable(status: &Fact<String>, limits: Fact<String>) -> Fact<LockedMemory> {
    let privileged =
        status.known().and_then(|status| capabilities(status)).is_some_and(|c| c & CAP_IPC_LOCK != 0);
    if privileged {
        return Fact::Known(LockedMemory::Unlimited);
    }
    limits.and_then(|limits| locked_memory(&limits))
}

/// Whether the first processor has `vmx` (Intel) or `svm` (AMD); none on other architectures, which print no flags.
fn virtualization(cpuinfo: &str) -> Option<bool> {
    let flags = value(cpuinfo, "flags")?;
    Some(flags.split_ascii_whitespace().any(|flag| matches!(flag, "vmx" | "svm")))
}

/// `none [integrity] confidentiality`: the one in force is in brackets.
fn lockdown(text: &str) -> Option<Lockdown> {
    let name = text.split_once('[')?.1.split_once(']')?.0;
    [Lockdown::None, Lockdown::Integrity, Lockdown::Confidentiality]
        .into_iter()
        .find(|one| one.name() == name)
}

/// `Max locked memory  SOFT  HARD  bytes`.
fn locked_memory(limits: &str) -> Option<LockedMemory> {
    let row = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match row.split_ascii_whitespace().next()? {
        "unlimited" => Some(LockedMemory::Unlimited),
        bytes => bytes.parse().ok().map(LockedMemory::Bytes),
    }
}

/// `Uid:` real, effective, saved, file system.
fn user_id(status: &str) -> Option<u32> {
    value(status, "Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn capabilities(status: &str) -> Option<u64> {
    hex(value(status, "CapEff")?)
}

/// The text behind the first `name:`.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let matching = |line: &'t str| line.split_once(':').filter(|(head, _)| head.trim() == name);
    text.lines().find_map(matching).map(|(_, value)| value.trim())
}

/// Rows of `START-END : OWNER`. Without privilege the kernel prints zeros for all addresses.
fn framebuffers(iomem: &str) -> Fact<Vec<MemoryClaim>> {
    let mut found = Vec::new();
    let mut told = false;
    for row in iomem.lines().filter(|row| !row.trim().is_empty()) {
        let Some((start, end, owner)) = claim(row) else {
            return Fact::Unreadable(malformed(
                "/proc/iomem",
                "expected rows of first-last address and owner",
            ));
        };
        told |= end != 0;
        if FRAMEBUFFERS.iter().any(|name| owner.starts_with(name)) {
            found.push(MemoryClaim { owner: owner.to_owned(), start, end });
        }
    }
    if told {
        return Fact::Known(found);
    }
    Fact::Unreadable(ReadFault::new("/proc/iomem", FaultKind::Denied))
}

fn claim(row: &str) -> Option<(u64, u64, &str)> {
    let (range, owner) = row.split_once(" : ")?;
    let (start, end) = range.trim().split_once('-')?;
    Some((hex(start)?, hex(end)?, owner.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_first_processor_tell_virtualization() {
        assert_eq!(
            virtualization("processor\t: 0\nflags\t\t: fpu vme svm lm\nvmx flags\t: vnmi\n"),
            Some(true)
        );
        assert_eq!(virtualization("flags\t\t: fpu hypervisor\nvmx flags\t: vnmi\n"), Some(false));
        assert_eq!(virtualization("Features\t: fp asimd\n"), None);
    }

    #[test]
    fn the_lockdown_in_brackets_is_in_force() {
        assert_eq!(lockdown("none [integrity] confidentiality\n"), Some(Lockdown::Integrity));
        assert_eq!(lockdown("[none] integrity confidentiality"), Some(Lockdown::None));
        assert_eq!(lockdown("none"), None);
    }

    #[test]
    fn limits_and_status_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         8388608              8388608              bytes     \n";
        assert_eq!(locked_memory(limits), Some(LockedMemory::Bytes(8_388_608)));
        assert_eq!(locked_memory(&limits.replace("8388608 ", "unlimited ")), Some(LockedMemory::Unlimited));
        let status = "Name:\tcat\nUid:\t1000\t1001\t1000\t1000\nCapEff:\t0000000000004000\n";
        assert_eq!((user_id(status), capabilities(status)), (Some(1001), Some(CAP_IPC_LOCK)));
    }

    #[test]
    fn framebuffers_are_found_in_their_bar() {
        let iomem = "00001000-0009ffff : System RAM\ne0000000-efffffff : 0000:01:00.0\n  e0000000-e02fffff : BOOTFB\n";
        let Fact::Known(claims) = framebuffers(iomem) else { panic!("unread") };
        assert_eq!(
            claims,
            [MemoryClaim { owner: "BOOTFB".to_owned(), start: 0xe000_0000, end: 0xe02f_ffff }]
        );
        assert!(framebuffers("00000000-00000000 : System RAM\n").is_unreadable());
    }
}
