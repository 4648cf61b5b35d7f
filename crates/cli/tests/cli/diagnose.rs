//! Logs in, causes out: exit status 1 for a fault, 0 for none, 2 for what cannot be read.

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
