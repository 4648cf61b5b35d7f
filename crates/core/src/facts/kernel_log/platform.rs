//! What a kernel log tells of the platform: processors whose virtualization firmware switched off, Secure Boot, lockdown.
//!
//! Only words that leave no doubt count. `kvm: no hardware support` is none of them: it also comes where the module of the other
//! maker's processors was tried.

use crate::facts::{Fact, Facts, Lockdown};

/// `arch/x86/kernel/cpu/feat_ctl.c: init_ia32_feat_ctl`; `arch/x86/kvm/vmx/vmx.c: __kvm_is_vmx_supported`, `svm/svm.c:
/// __kvm_is_svm_supported`; before Linux 6.2 `virt/kvm` and `arch/x86/kvm/x86.c: kvm_arch_init`.
const VIRTUALIZATION_OFF: [&str; 4] = [
    "VMX (outside TXT) disabled by BIOS",
    "VMX not enabled (by BIOS) in MSR_IA32_FEAT_CTL",
    "SVM disabled (by BIOS) in MSR_VM_CR",
    "disabled by bios",
];

/// Takes one message.
pub(super) fn line(facts: &mut Facts, message: &str) {
    let kvm = message.starts_with("kvm") || message.starts_with("x86/cpu: ");
    if kvm && VIRTUALIZATION_OFF.iter().any(|words| message.contains(words)) {
        facts.platform.virtualization = Fact::Known(false);
    }
    // `arch/x86/kernel/setup.c: setup_arch`; distributions' kernels begin it with `secureboot: `.
    match message.strip_prefix("secureboot: ").unwrap_or(message) {
        "Secure boot enabled" => facts.platform.firmware.secure_boot = Fact::Known(true),
        "Secure boot disabled" => facts.platform.firmware.secure_boot = Fact::Known(false),
        _ => {}
    }
    // `security/lockdown/lockdown.c: lock_kernel_down`. It does not say how far: as far as the parameter, else as firmware's
    // Secure Boot makes distributions' kernels, which is integrity.
    if message.starts_with("Kernel is locked down from ") {
        let mut words = facts.kernel.words("lockdown");
        let far = words.any(|word| word == "lockdown=confidentiality");
        let lockdown = if far { Lockdown::Confidentiality } else { Lockdown::Integrity };
        facts.platform.lockdown = Fact::Known(lockdown);
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_log;
    use super::*;

    fn virtualization(line: &str) -> Option<bool> {
        from_log(line, "log").platform.virtualization.known().copied()
    }

    #[test]
    fn firmware_that_switched_virtualization_off_is_told() {
        for line in [
            "kvm: disabled by bios",
            "kvm: support for 'kvm_intel' disabled by bios",
            "x86/cpu: VMX (outside TXT) disabled by BIOS",
            "kvm_intel: VMX not enabled (by BIOS) in MSR_IA32_FEAT_CTL on CPU 0",
            "kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 3",
        ] {
            assert_eq!(virtualization(line), Some(false), "{line}");
        }
        for line in
            ["kvm: no hardware support", "nmi_watchdog: disabled by bios", "kvm_amd: Nested Paging enabled"]
        {
            assert_eq!(virtualization(line), None, "{line}");
        }
    }

    #[test]
    fn secure_boot_and_lockdown_are_told() {
        let log = "secureboot: Secure boot enabled\n\
            Kernel is locked down from EFI Secure Boot mode; see man kernel_lockdown.7\n";
        let platform = from_log(log, "log").platform;
        assert_eq!(platform.firmware.secure_boot, Fact::Known(true));
        assert_eq!(platform.lockdown, Fact::Known(Lockdown::Integrity));
        let log = format!("Command line: quiet lockdown=confidentiality\n{log}");
        assert_eq!(from_log(&log, "log").platform.lockdown, Fact::Known(Lockdown::Confidentiality));
    }
}
