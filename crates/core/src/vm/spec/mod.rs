//! The spec file: TOML in, a [`Request`] out, or every fault with its place in the file.
//!
//! Faults of the whole file are collected, so that one run shows all of them.

mod convert;
mod fault;
mod wire;

pub use fault::{Place, SpecFault};

use super::Request;

/// Longest spec that is read, in bytes. A spec of a hundred VMs has a few kilobytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads a spec.
///
/// ```
/// let request = slotwise_core::vm::spec::parse(r#"
///     [[vm]]
///     name = "bench"
///     memory = "96M"
///     [[vm.device]]
///     select = { id = "9004:5078", slot = "0000:03:05.0" }
/// "#).expect("a sound spec");
/// assert_eq!(request.vms[0].devices.len(), 1);
/// ```
pub fn parse(text: &str) -> Result<Request, Vec<SpecFault>> {
    if text.len() > MAX_BYTES {
        return Err(vec![SpecFault::new(format!("the spec is longer than {MAX_BYTES} bytes"), 0..0)]);
    }
    match toml::from_str::<wire::Spec>(text) {
        Ok(spec) => convert::request(spec),
        Err(error) => Err(vec![fault::of_toml(&error, text)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::HookWord;
    use proptest::prelude::*;

    fn faults(text: &str) -> Vec<String> {
        parse(text)
            .expect_err("faults")
            .into_iter()
            .map(|fault| {
                let place = Place::of(text, fault.span.start);
                let related: String = fault
                    .related
                    .iter()
                    .map(|(span, label)| format!(" [{}: {label}]", Place::of(text, span.start)))
                    .collect();
                format!("{place}: {}{related}", fault.message)
            })
            .collect()
    }

    const WHOLE: &str = r#"
[[vm]]
name    = "bench"
backend = "qemu"
memory  = "512M"
guest   = "debian-12"

[[vm.device]]
select = { id = "9004:5078", slot = "0000:03:05.0" }

[[vm.usb]]
select = { id = "046d:c330" }

[test]
suites = ["scsi-2"]
guests = ["debian-12", "seabios"]
writes = true
disk = { vendor = "SEAGATE", product = "ST32550N" }
net = { own = "192.0.2.7", peer = "192.0.2.1" }
flash = ["fwtool", "--write", "file={firmware}"]
power = ["slotctl", "cycle", "{device}"]
"#;

    #[test]
    fn the_whole_spec_is_understood() {
        let request = parse(WHOLE).expect("spec");
        assert_eq!(request.vms.len(), 1);
        assert_eq!(request.vms[0].usb.len(), 1);
        let test = request.test.expect("test");
        assert_eq!(test.guests.len(), 2);
        assert_eq!(test.disk.vendor.as_deref(), Some("SEAGATE"));
        assert_eq!(test.net.expect("net").peer.octets(), [192, 0, 2, 1]);
        let flash = test.flash.expect("flash").value;
        assert_eq!(flash.program(), "fwtool");
        assert_eq!(flash.arguments(&[(HookWord::Firmware, "a b.bin")]), ["--write", "file=a b.bin"]);
        assert!(test.power.is_some_and(|power| power.value.says(HookWord::Device)));
    }

    #[test]
    fn a_hook_that_cannot_do_its_work_is_told_with_its_place() {
        let head = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[test]\nsuites = [\"scsi-2\"]\n";
        for (hook, message) in [
            ("flash = []", "line 6, column 9: flash names no program"),
            ("flash = [\"\", \"{firmware}\"]", "line 6, column 9: flash names no program"),
            ("flash = [\"fw\"]", "line 6, column 9: flash does not say which firmware it installs"),
            ("power = [\"p\", \"{firmware}\"]", "line 6, column 9: {firmware} stands for nothing in power"),
            (
                "net = { own = \"192.0.2.7\", peer = \"host\" }",
                "line 6, column 35: peer is no IPv4 address of a host",
            ),
            (
                "net = { own = \"192.0.2.7\", peer = \"192.0.2.7\" }",
                "line 6, column 35: own and peer are the same address",
            ),
            (
                "net = { own = \"224.0.0.1\", peer = \"192.0.2.7\" }",
                "line 6, column 15: own is no IPv4 address of a host",
            ),
            ("power = \"p\"", "line 6, column 9: invalid type: string \"p\", expected a sequence"),
        ] {
            assert_eq!(faults(&format!("{head}{hook}\n")), [message]);
        }
    }

    #[test]
    fn unknown_keys_are_named_with_their_place() {
        let told = faults("[[vm]]\nname = \"a\"\nmemory = \"1G\"\ncolour = 1\n");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("line 4, column 1: unknown field `colour`"), "{told:?}");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let told = faults(
            "[[vm]]\nname = \"a b\"\nmemory = \"12Q\"\nbackend = \"vmware\"\n[[vm.device]]\nselect = { slot = \"3:20.0\" }\n",
        );
        let lines: Vec<&str> = told.iter().map(|t| t.split(',').next().unwrap_or("")).collect();
        assert_eq!(lines, ["line 2", "line 4", "line 3", "line 6"], "{told:?}");
    }

    #[test]
    fn a_device_asked_for_twice_shows_both_lines() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { slot = \"3:4.0\" }\n\
                    [[vm]]\nname = \"b\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { slot = \"0000:03:04.0\" }\n";
        assert_eq!(
            faults(text),
            [
                "line 10, column 10: device 0000:03:04.0 is asked for twice [line 5, column 10: first asked for here]"
            ]
        );
    }

    #[test]
    fn a_device_asked_for_twice_in_one_vm_shows_both_lines_whatever_the_ids_say() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = { slot = \"3:4.0\", id = \"9004:5078\" }\n\
                    [[vm.device]]\nselect = { id = \"1000:0012\", slot = \"03:04.0\" }\n";
        assert_eq!(
            faults(text),
            [
                "line 7, column 10: device 0000:03:04.0 is asked for twice [line 5, column 10: first asked for here]"
            ]
        );
    }

    #[test]
    fn a_usb_device_asked_for_twice_shows_both_lines() {
        let usb = "[[vm.usb]]\nselect = { id = \"046d:c330\" }\n";
        let vm = |name: &str| format!("[[vm]]\nname = \"{name}\"\nmemory = \"1G\"\n");
        let one = format!("{}{usb}{usb}", vm("a"));
        let told = "USB device 046d:c330 is asked for twice [line 5, column 17: first asked for here]";
        assert_eq!(faults(&one), [format!("line 7, column 17: {told}")]);
        let two = format!("{}{usb}{}{}", vm("a"), vm("b"), usb.replace("046d", "046D"));
        assert_eq!(faults(&two), [format!("line 10, column 17: {told}")]);
    }

    #[test]
    fn a_machine_that_the_backend_has_not_shows_both_lines() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\nbackend = \"xen\"\nmachine = \"q35\"\n";
        assert_eq!(
            faults(text),
            ["line 5, column 11: Xen has no q35 machine [line 4, column 11: Xen is asked for here]"]
        );
        assert!(parse(&text.replace("q35", "pc")).is_ok());
        assert!(parse(&text.replace("xen", "qemu")).is_ok());
    }

    #[test]
    fn one_key_twice_is_told_with_its_line() {
        let told = faults("[[vm]]\nname = \"a\"\nmemory = \"1G\"\nmemory = \"2G\"\n");
        assert!(matches!(&told[..], [one] if one.starts_with("line 4, column 1: duplicate key")), "{told:?}");
    }

    #[test]
    fn two_vms_of_one_name_show_both_lines() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm]]\nname = \"a\"\nmemory = \"1G\"\n";
        assert_eq!(
            faults(text),
            ["line 5, column 8: two VMs are named \"a\" [line 2, column 8: first named here]"]
        );
    }

    #[test]
    fn a_device_must_say_what_or_where() {
        let told = faults("[[vm]]\nname = \"a\"\nmemory = \"1G\"\n[[vm.device]]\nselect = {}\n");
        assert_eq!(told, ["line 5, column 10: the device is not said: neither id nor slot is given"]);
    }

    #[test]
    fn a_spec_without_vms_is_a_fault() {
        assert_eq!(faults(""), ["line 1, column 1: the spec declares no VM"]);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_cut_of_a_sound_spec_is_answered(end in 0..WHOLE.len()) {
            let _ = parse(&WHOLE[..end]);
        }
    }
}
