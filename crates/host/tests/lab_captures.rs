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
fn each_other_place_for_the_card_has_its_confidence_and_reason() {
    let plan = planned(4);
    let [advice] = plan.slots.as_slice() else { panic!("advice for one card: {:#?}", plan.slots) };
    assert_eq!(
        (advice.device.to_string().as_str(), advice.rules.as_slice()),
        ("0000:02:04.0", &["intx-shared"][..])
    );
    let told: Vec<String> = advice
        .options
        .iter()
        .map(|option| {
            let exchange = if option.exchange { "exchange with " } else { "" };
            let irq = option.irq.map_or_else(|| "unknown".to_owned(), |irq| irq.to_string());
            let (judgement, confidence) = (option.judgement.name(), option.confidence.name());
            format!("{exchange}{} {judgement} {confidence} IRQ {irq}", option.place)
        })
        .collect();
    assert_eq!(
        told,
        [
            "0000:02:06.0 good likely IRQ 21",
            "0000:02:07.0 good likely IRQ 22",
            "exchange with 0000:02:0a.0 good seen IRQ 21",
            "0000:02:05.0 bad likely IRQ 20",
        ]
    );
    for option in &advice.options {
        assert!(!option.reasons.is_empty(), "{option:?}");
    }
    assert!(advice.options[3].reasons[0].contains("eth0 (0000:00:10.0)"), "{:?}", advice.options[3]);
    assert!(
        advice.options[2].reasons[0].contains("0000:02:0a.0 on the same wire"),
        "{:?}",
        advice.options[2]
    );
}

/// What is advised holds: the capture made after the card was put into slot 6 has the line that was foretold for it.
#[test]
fn the_place_that_is_advised_is_as_foretold_once_the_card_sits_there() {
    let foretold = planned(4).slots.remove(0).options.remove(0);
    let after = planned(6);
    assert_eq!(after.slots, [], "nothing stands against the card there");
    let device = after.vms[0].devices[0].address;
    assert_eq!(foretold.place, device);
    let name = "scsi-bench-slot6".to_owned();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hosts").join(&name);
    let host = capture::open(&path).expect("a capture");
    let facts = slotwise_host::read(&host, Origin::Saved { kind: SourceKind::Capture, name });
    let topology = Topology::new(facts);
    assert_eq!(topology.line(device).map(|line| line.irq), foretold.irq);
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
