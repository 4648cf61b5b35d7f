//! Logs in, causes out: exit status 1 for a fault, 0 for none, 2 for what cannot be read.

use std::path::Path;

use expect_test::expect;

use crate::Desk;

/// The words of QEMU 7.2 (`hw/vfio/pci.c`, `vfio_intx_enable_kvm` and its callers) and of the kernel (`kernel/irq/manage.c`).
const INTX_LOG: &str = "\
genirq: Flags mismatch irq 23. 00000000 (vfio-intx(0000:02:04.0)) vs. 00000080 (eth1)
qemu-system-x86_64: -device vfio-pci,host=0000:02:04.0: vfio 0000:02:04.0: error setting up INTx: Failed to setup INTX-0: Device or resource busy
";

#[test]
fn shared_interrupt_is_named_with_its_lines() {
    let said = Desk::new().run_with(&["diagnose"], INTX_LOG.as_bytes());
    assert_eq!(said.status, Some(1), "{}", said.told());
    for part in ["intx-shared", "| -:1: ", "| -:2: ", "-> "] {
        assert!(said.out.contains(part), "{part}: {}", said.told());
    }
}

#[test]
fn json_keeps_its_contract() {
    let said = Desk::new().run_with(&["diagnose", "--json", "-"], INTX_LOG.as_bytes());
    assert_eq!(said.status, Some(1), "{}", said.told());
    let json = said.json();
    assert_eq!(json["schema"], "slotwise.diagnose/1");
    assert_eq!(json["verdict"], "fault");
    let finding = &json["findings"][0];
    assert_eq!(finding["cause"], "intx-shared");
    assert_eq!(finding["devices"], serde_json::json!(["0000:02:04.0"]));
    assert_eq!(finding["evidence"][0]["input"], "-");
    assert!(finding["evidence"][0]["line"].is_u64() && finding["confidence"].is_f64(), "{finding:#}");
    assert!(finding["remedies"].as_array().is_some_and(|remedies| !remedies.is_empty()), "{finding:#}");
}

#[test]
fn file_and_standard_input_give_the_same_cause() {
    let desk = Desk::new();
    desk.put("vm.log", INTX_LOG);
    let said = desk.run(&["diagnose", "--json", "vm.log"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert_eq!(said.json()["findings"][0]["evidence"][0]["input"], "vm.log");
}

#[test]
fn empty_log_tells_nothing_and_is_no_fault() {
    let desk = Desk::new();
    desk.put("vm.log", "");
    expect![[r#"
        exit 0
        --- out
        nothing in this is known
    "#]]
    .assert_eq(&desk.run(&["diagnose", "vm.log"]).told());
    expect![[r#"
        exit 0
        --- out
        {
          "schema": "slotwise.diagnose/1",
          "verdict": "unrecognised",
          "findings": []
        }
    "#]]
    .assert_eq(&desk.run(&["diagnose", "--json", "vm.log"]).told());
}

#[test]
fn bytes_that_are_no_text_are_answered() {
    let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
    assert_eq!(Desk::new().run_with(&["diagnose"], &bytes).status, Some(0));
}

#[test]
fn log_that_is_not_there_is_named() {
    expect![[r#"
        exit 2
        --- err
        error: cannot read nowhere.log: No such file or directory (os error 2)
        hint: give log files, or pipe one in
    "#]]
    .assert_eq(&Desk::new().run(&["diagnose", "nowhere.log"]).told());
}

#[test]
fn vm_that_never_ran_has_no_logs() {
    expect![[r#"
        exit 2
        --- err
        error: there are no logs of a run of bench
        hint: logs are kept by `slotwise run` and `slotwise test`
    "#]]
    .assert_eq(&Desk::new().run(&["diagnose", "--vm", "bench"]).told());
}

#[test]
fn name_of_a_vm_does_not_lead_out_of_the_folder_of_runs() {
    let desk = Desk::new();
    desk.put("state/runs/x/keep", "");
    desk.put("secret/console.log", INTX_LOG);
    let said = desk.run(&["diagnose", "--vm", "../../secret"]);
    assert_eq!(said.status, Some(2), "{}", said.told());
}

/// A failure of Linux and QEMU 7.2 that shows whatever is done to its text.
const VIABLE: &str =
    "qemu-system-x86_64: -device vfio-pci,host=0000:02:04.0: vfio 0000:02:04.0: group 8 is not viable";

/// What a log looks like after people and programs had it in their hands, each with the line where the cause is.
fn inputs() -> Vec<(&'static str, Vec<u8>, u64)> {
    let utf16 = |order: fn(u16) -> [u8; 2]| {
        format!("one\ntwo\n{VIABLE}\n").encode_utf16().flat_map(order).collect::<Vec<u8>>()
    };
    let marked = [vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat();
    let export = format!(
        "__CURSOR=s=0;i=1\n__REALTIME_TIMESTAMP=1700000000000000\n_HOSTNAME=host\nSYSLOG_IDENTIFIER=libvirtd\nMESSAGE={VIABLE}\n_PID=1\n"
    );
    let json = format!(
        "{}\n{}\n",
        r#"{"_HOSTNAME":"host","MESSAGE":"usb 1-1: new device"}"#,
        serde_json::json!({"_HOSTNAME": "host", "MESSAGE": format!("said \"{VIABLE}\"\n"), "PRIORITY": "3"})
    );
    let html =
        format!("<pre>{}</pre>", VIABLE.replace("vfio ", "vfio&nbsp;").replace("-device", "&#45;device"));
    let mail = VIABLE.replacen(" group 8", " group\n> > 8", 1);
    vec![
        ("UTF-16 with a mark", marked, 3),
        ("UTF-16 without a mark", utf16(u16::to_le_bytes), 3),
        ("UTF-16, big end first, without a mark", utf16(u16::to_be_bytes), 3),
        ("carriage returns alone", format!("one\rtwo\r{VIABLE}\rend").into_bytes(), 3),
        ("colours", VIABLE.replace("group 8", "\u{1b}[1;31mgroup\u{1b}[0m 8").into_bytes(), 1),
        ("journal export", export.into_bytes(), 5),
        ("journal as JSON", json.into_bytes(), 2),
        ("forum text", html.into_bytes(), 1),
        // The words that say it stand behind the wrap.
        ("quoted and wrapped mail", format!("> > {mail}\n").into_bytes(), 2),
        ("a byte order mark", [vec![0xef, 0xbb, 0xbf], VIABLE.as_bytes().to_vec()].concat(), 1),
    ]
}

#[test]
fn cause_is_found_in_every_form_that_a_log_comes_in() {
    for (form, bytes, line) in inputs() {
        let said = Desk::new().run_with(&["diagnose", "--json"], &bytes);
        assert_eq!(said.status, Some(1), "{form}: {}", said.told());
        let json = said.json();
        let finding = &json["findings"][0];
        assert_eq!(finding["cause"], "group-not-viable", "{form}: {json:#}");
        let lines: Vec<&serde_json::Value> =
            finding["evidence"].as_array().into_iter().flatten().map(|line| &line["line"]).collect();
        assert!(lines.iter().any(|found| **found == line), "{form}: {lines:?}, not {line}");
    }
}

#[test]
fn endless_line_and_bait_for_regular_expressions_are_answered() {
    let mut bytes = vec![b'x'; 6 << 20];
    bytes.extend_from_slice(VIABLE.as_bytes());
    bytes.extend_from_slice("vfio BAR 0: can't reserve [mem (((0x".repeat(4000).as_bytes());
    let said = Desk::new().run_with(&["diagnose", "--json"], &bytes);
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert_eq!(said.json()["findings"][0]["evidence"][0]["line"], 1);
}

fn host(slot: u8) -> String {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hosts");
    hosts.join(format!("scsi-bench-slot{slot}")).display().to_string()
}

#[test]
fn host_that_still_shares_the_line_confirms_the_log() {
    let said = Desk::new().run_with(&["diagnose", "--json", "--from", &host(4)], INTX_LOG.as_bytes());
    assert_eq!(said.status, Some(1), "{}", said.told());
    let json = said.json();
    let facts = json["findings"][0]["host"].as_array().expect("what the host shows");
    let text = |bearing: &str| -> Vec<String> {
        facts.iter().filter(|fact| fact["bearing"] == bearing).map(|fact| fact["text"].to_string()).collect()
    };
    assert!(text("confirms").iter().any(|text| text.contains("eth1")), "{json:#}");
    assert!(text("context").iter().any(|text| text.contains("IOMMU group")), "{json:#}");
}

#[test]
fn host_where_it_is_mended_says_so() {
    let log = INTX_LOG.replace("02:04.0", "02:06.0");
    let said = Desk::new().run_with(&["diagnose", "--from", &host(6)], log.as_bytes());
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert!(said.out.contains("on the host: ") && said.out.contains("nobody else"), "{}", said.told());
    let off = "vfio 0000:02:06.0: no iommu_group found: No such file or directory\n";
    let said = Desk::new().run_with(&["diagnose", "--from", &host(6)], off.as_bytes());
    assert!(said.out.contains("the host shows 9 IOMMU groups"), "{}", said.told());
}

#[test]
fn device_that_the_host_does_not_have_is_said_to_be_gone() {
    let log = INTX_LOG.replace("02:04.0", "7f:04.0");
    let said = Desk::new().run_with(&["diagnose", "--from", &host(4)], log.as_bytes());
    assert!(said.out.contains("the host has no device at 0000:7f:04.0 now"), "{}", said.told());
}

#[test]
fn logs_of_a_run_are_read_by_the_name_of_its_vm() {
    let desk = Desk::new();
    desk.put("state/runs/bench/monitor.log", INTX_LOG.lines().nth(1).unwrap_or_default());
    desk.put("state/runs/bench/kernel.log", INTX_LOG.lines().next().unwrap_or_default());
    let said = desk.run(&["diagnose", "--json", "--vm", "bench"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert_eq!(said.json()["findings"][0]["cause"], "intx-shared");
}
