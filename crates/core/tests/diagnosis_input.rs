//! Whatever is fed in, a diagnosis ends soon and says where its evidence stands.

use proptest::prelude::*;
use slotwise_core::diagnose::{Diagnosis, Input, Verdict, diagnose};

const VIABLE: &str =
    "qemu-system-x86_64: -device vfio-pci,host=0000:03:04.0: vfio 0000:03:04.0: group 14 is not viable";

fn read(bytes: &[u8]) -> Diagnosis {
    diagnose(&[Input { name: "log", bytes }])
}

fn first(diagnosis: &Diagnosis) -> (&str, u64) {
    let finding = diagnosis.findings.first().expect("a finding");
    (finding.cause.id, finding.evidence.first().expect("evidence").line)
}

#[test]
fn evidence_keeps_the_line_number_of_each_input() {
    let log = format!("one\ntwo\r\n{VIABLE}\nfour");
    let inputs = [Input { name: "a", bytes: b"nothing\n" }, Input { name: "b", bytes: log.as_bytes() }];
    let diagnosis = diagnose(&inputs);
    let evidence = &diagnosis.findings[0].evidence[0];
    assert_eq!((evidence.input.as_str(), evidence.line), ("b", 3));
    assert_eq!(diagnosis.findings[0].devices[0].to_string(), "0000:03:04.0");
}

#[test]
fn the_first_line_of_evidence_is_the_one_that_decides() {
    let log = "[ 0.1] efifb: framebuffer at 0xe0000000, using 8128k\n\
               [ 0.2] pci 0000:01:00.0: vgaarb: setting as boot VGA device\n\
               [ 9.1] vfio-pci 0000:01:00.0: BAR 1: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]\n\
               e0000000-e07effff : BOOTFB\n";
    let diagnosis = read(log.as_bytes());
    let evidence = &diagnosis.findings[0].evidence;
    assert_eq!(diagnosis.findings[0].cause.id, "bar-held-by-framebuffer");
    assert_eq!(evidence[0].line, 3);
    assert_eq!(
        evidence[0].text,
        "[ 9.1] vfio-pci 0000:01:00.0: BAR 1: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]"
    );
    assert!(evidence.len() > 1);
}

#[test]
fn what_surrounds_a_hit_in_the_middle_of_a_long_log_is_read_like_a_short_one() {
    let filler =
        "[    1.000000] usb 1-1: New USB device found, idVendor=1d6b, idProduct=0002\n".repeat(30_000);
    let story = format!("After installing a new card all IOMMU groups have changed\n{VIABLE}\nthe end\n");
    let short = read(story.as_bytes());
    let long = read(format!("{filler}{story}{filler}").as_bytes());
    let of =
        |diagnosis: &Diagnosis| diagnosis.findings.iter().map(|found| found.cause.id).collect::<Vec<_>>();
    assert_eq!(of(&long), of(&short));
    let line = |diagnosis: &Diagnosis| diagnosis.findings[0].evidence[0].line;
    assert_eq!(line(&long), line(&short) + 30_000);
    let ends = read(format!("{story}{filler}{filler}{story}").as_bytes());
    assert_eq!(of(&ends), of(&short));
}

#[test]
fn a_long_log_is_read_through_the_gate_with_the_same_result() {
    let filler =
        "[    1.000000] usb 1-1: New USB device found, idVendor=1d6b, idProduct=0002\n".repeat(60_000);
    let log = format!("{filler}{VIABLE}\n{filler}");
    let diagnosis = read(log.as_bytes());
    assert_eq!(first(&diagnosis), ("group-not-viable", 60_001));
}

#[test]
fn wrapped_and_quoted_lines_are_joined() {
    let log = "> Error starting domain: internal error: qemu unexpectedly closed the monitor: -device\n\
               > vfio-pci,host=0000:03:04.0,id=hostdev0,bus=pci.5,addr=0x1: vfio 0000:03:04.0: Failed to\n\
               > set up TRIGGER eventfd signaling for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Device\n\
               > or resource busy\n";
    let diagnosis = read(log.as_bytes());
    assert_eq!(diagnosis.findings[0].cause.id, "intx-shared");
    assert_eq!(diagnosis.findings[0].devices[0].to_string(), "0000:03:04.0");
}

#[test]
fn utf16_colours_and_carriage_returns_do_not_hide_a_line() {
    let units: Vec<u8> = VIABLE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(first(&read(&units)), ("group-not-viable", 1));
    let coloured = VIABLE.replace("group 14", "\u{1b}[1;31mgroup\u{1b}[0m 14");
    assert_eq!(first(&read(coloured.as_bytes())), ("group-not-viable", 1));
    let returns = format!("a\rb\r{VIABLE}\rc");
    assert_eq!(first(&read(returns.as_bytes())), ("group-not-viable", 3));
    let mut noisy = vec![0xff, 0x00, 0x80, b'\n'];
    noisy.extend_from_slice(VIABLE.as_bytes());
    assert_eq!(first(&read(&noisy)), ("group-not-viable", 2));
}

#[test]
fn an_endless_line_is_read_in_pieces() {
    let log = format!("{}{VIABLE}{}", "x".repeat(3_000_000), "y".repeat(1_000_000));
    assert_eq!(first(&read(log.as_bytes())), ("group-not-viable", 1));
    let short = format!("{}{VIABLE}{}", "x".repeat(10_000), "y".repeat(10_000));
    assert_eq!(first(&read(short.as_bytes())), ("group-not-viable", 1));
}

#[test]
fn nothing_known_is_unrecognised_and_an_enabled_iommu_is_no_fault() {
    assert_eq!(read(b"hello\nworld\n").verdict, Verdict::Unrecognised);
    assert_eq!(read(b"").verdict, Verdict::Unrecognised);
    assert_eq!(read(b"[    0.000000] DMAR: IOMMU enabled\n").verdict, Verdict::NoFault);
}

#[test]
fn evidence_is_capped_when_a_line_repeats_without_end() {
    let log = format!("{VIABLE}\n").repeat(20_000);
    let diagnosis = read(log.as_bytes());
    assert!(diagnosis.findings[0].evidence.len() <= 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let diagnosis = read(&bytes);
        for finding in &diagnosis.findings {
            prop_assert!((0.0..=1.0).contains(&finding.confidence));
        }
    }

    #[test]
    fn bait_for_regular_expressions_is_survived(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "vfio", "BAR 0", "can't reserve", "dma_map(", "0x", "(((", "DMA Read", "fault addr", "\n", " ",
                "Flags mismatch irq 1.", "vs.", "INTX-0", "not", "iommu", "0000:00:00.0", "[", "]", "works fine",
                "\u{1b}[", "&gt;", "PCI", "group", "failed to open /dev/vfio/", "No such file", "\r", "\u{2019}",
            ]),
            0..400,
        )
    ) {
        let text = parts.concat();
        let lines = text.lines().count() as u64 + text.matches('\r').count() as u64;
        for finding in read(text.as_bytes()).findings {
            for evidence in finding.evidence {
                prop_assert!(evidence.line >= 1 && evidence.line <= lines + 1);
                prop_assert!(evidence.text.chars().count() <= 400);
            }
        }
    }
}
