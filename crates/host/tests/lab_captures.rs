//! The lab's host, captured with the card in the slot that clashes and in the one that does not. Planned from the capture,
//! the findings are those that the lab host itself gave: the story of `cargo xtask demo` without its machine.
//!
//! Made by `slotwise capture` in `scsi-bench` with the fault `nointxmask`, `--set scsi.slot=4` and `=6`, then unpacked.

use std::path::Path;

use slotwise_core::facts::{Origin, SourceKind};
use slotwise_core::plan::{Plan, Verdict, plan};
use slotwise_core::rules::Severity;
use slotwise_core::topology::Topology;
use slotwise_core::vm::spec;
use slotwise_host::capture;

fn planned(slot: u8) -> Plan {
    let name = format!("scsi-bench-slot{slot}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hosts").join(&name);
    let host = capture::open(&path).expect("a capture");
    let facts = slotwise_host::read(&host, Origin::Saved { kind: SourceKind::Capture, name });
    assert_eq!(facts.functions.len(), 13);
    let text = format!(
        "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\nguest = \"debian-12\"\n\
         [[vm.device]]\nselect = {{ id = \"1000:0012\", slot = \"0000:02:{slot:02x}.0\" }}\n"
    );
    plan(&spec::parse(&text).expect("a spec"), &Topology::new(facts)).expect("a plan")
}

#[test]
fn card_in_slot_4_shares_its_line_with_a_network_card() {
    let plan = planned(4);
    assert_eq!(plan.verdict, Verdict::Blocked);
    let blocking: Vec<_> = plan.findings.iter().filter(|f| f.severity == Severity::Blocks).collect();
    let [finding] = blocking[..] else { panic!("one finding blocks: {blocking:#?}") };
    assert_eq!(finding.rule, "intx-shared");
    let told = format!("{finding:?}");
    for part in ["eth1", "0000:00:13.0", "IRQ 23", "move the card to slot 6"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn card_in_slot_6_will_work_after_four_steps() {
    let plan = planned(6);
    assert_ne!(plan.verdict, Verdict::Blocked);
    let against: Vec<_> = plan.findings.iter().filter(|f| f.severity != Severity::Notes).collect();
    assert!(against.is_empty(), "{against:#?}");
    let steps: Vec<String> = plan.steps.as_slice().iter().map(|step| step.id().to_string()).collect();
    let device = "0000:02:06.0";
    let expected = [
        "load-vfio-pci".to_owned(),
        format!("override-{device}"),
        format!("unbind-{device}"),
        format!("bind-{device}"),
    ];
    assert_eq!(steps, expected);
}
