use super::*;
use crate::plan::{Plan, plan};
use crate::topology::fixture::{BENCH, topology};
use crate::vm::spec::parse;

fn planned(host: &str, slot: &str) -> Plan {
    let spec =
        format!("[[vm]]\nname = \"a\"\nmemory = \"96M\"\n[[vm.device]]\nselect = {{ slot = \"{slot}\" }}\n");
    plan(&parse(&spec).expect("spec"), &topology(host)).expect("plan")
}

fn told(advice: &SlotAdvice) -> Vec<String> {
    let one = |option: &SlotOption| {
        let exchange = if option.exchange { " exchange" } else { "" };
        format!("{} {} {}{exchange}", option.place, option.judgement.name(), option.confidence.name())
    };
    advice.options.iter().map(one).collect()
}

#[test]
fn the_story_s_card_has_two_better_turns_and_one_worse() {
    let plan = planned(BENCH, "02:04.0");
    assert_eq!(plan.slots.len(), 1);
    let advice = &plan.slots[0];
    assert_eq!(advice.rules, ["intx-shared"]);
    assert_eq!(
        told(advice),
        [
            "0000:02:06.0 good likely",
            "0000:02:07.0 good likely",
            "0000:02:0a.0 good seen exchange",
            "0000:02:05.0 bad likely",
        ]
    );
    assert_eq!(advice.options[0].irq, Some(21));
    assert!(advice.options[3].reasons[0].contains("IRQ 20 is also used by eth0"), "{:?}", advice.options[3]);
    assert_eq!(advice.options[1].same_as.len(), 3);
}

#[test]
fn a_card_in_a_good_slot_needs_no_advice() {
    assert_eq!(planned(&BENCH.replace("sym53c8xx eth1", "sym53c8xx"), "02:04.0").slots, []);
}

#[test]
fn a_card_whose_own_function_stands_against_it_is_not_sent_elsewhere() {
    let host = "iommu on intremap=on
        device 0000:00:01.0 class=060400 group=1
        device 0000:01:00.0 class=030000 group=2 parent=0000:00:01.0 reset=bus
        device 0000:01:00.1 class=040300 group=2 parent=0000:00:01.0 reset=bus driver=snd_hda_intel";
    let plan = planned(host, "01:00.0");
    assert_eq!((plan.findings[0].rule, plan.slots.as_slice()), ("group-not-viable", &[][..]));
}

#[test]
fn where_the_routing_is_unknown_it_is_said_so() {
    let host = "iommu on intremap=on
        param vfio_pci.nointxmask=Y
        device 0000:00:03.0 class=060400 group=3
        device 0000:02:04.0 class=010000 id=1000:0012 pin=1 irq=19 group=3 parent=0000:00:03.0 driver=sym53c8xx enabled reset=bus
        irq 19 IO-APIC pin=19 sym53c8xx ehci_hcd:usb1";
    let plan = planned(host, "02:04.0");
    for option in &plan.slots[0].options {
        assert_eq!(
            (option.judgement, option.confidence),
            (Judgement::Doubtful, Confidence::Unknown),
            "{option:?}"
        );
        assert!(option.reasons[0].contains("cannot tell"), "{option:?}");
    }
}

#[test]
fn on_a_root_bus_no_place_is_invented() {
    let host = "iommu on intremap=on
        param vfio_pci.nointxmask=Y
        device 0000:00:04.0 class=010000 pin=1 irq=19 group=4 driver=aic7xxx enabled reset=bus
        irq 19 IO-APIC pin=19 aic7xxx ehci_hcd:usb1";
    assert_eq!(planned(host, "00:04.0").slots[0].options, []);
}

/// An Express card that shares its port's group with the host's disk, and a free port that isolates, with fewer lanes.
const PORTS: &str = "iommu on intremap=on
    device 0000:00:01.0 class=060400 id=1b36:000c group=1 config=4096,04:00100000,0c:00010000,18:00010100,34:40,40:01420010,4c:00000100
    device 0000:00:02.0 class=060400 id=1b36:000c group=2 config=4096,04:00100000,0c:00010000,18:00020200,34:40,40:01420010,4c:00000040,100:0001000d,104:001d001d
    device 0000:01:00.0 class=010802 id=1b36:0010 group=1 parent=0000:00:01.0 config=4096,04:00100000,34:40,40:00020010,4c:00000100 reset=flr
    device 0000:01:00.1 class=010601 id=1b36:0011 group=1 parent=0000:00:01.0 config=4096,04:00100000,34:40,40:00020010 driver=ahci
    device 0000:03:00.0 class=010601 id=1b36:0011 group=1 parent=0000:00:01.0 config=4096,04:00100000,34:40,40:00020010 driver=ahci";

#[test]
fn a_free_port_is_judged_by_the_group_that_it_would_give_and_its_lanes() {
    let host = PORTS.replace("    device 0000:01:00.1", "    net x default\n    device 0000:09:00.1");
    let plan = planned(&host, "01:00.0");
    let advice = &plan.slots[0];
    assert_eq!(advice.rules, ["group-not-viable"]);
    let best = &advice.options[0];
    assert_eq!(
        (best.place.to_string().as_str(), best.judgement),
        ("0000:02:00.0", Judgement::Good),
        "{best:?}"
    );
    assert!(best.reasons.iter().any(|reason| reason.contains("4 lanes, the card uses up to 16")), "{best:?}");
}

#[test]
fn on_a_large_host_fewer_places_are_looked_at_and_that_is_told() {
    let mut host = BENCH.to_owned();
    for bus in 16..250u32 {
        for device in 0..32u32 {
            for function in 0..2 {
                host.push_str(&format!("device 0000:{bus:02x}:{device:02x}.{function} class=020000\n"));
            }
        }
    }
    let plan = planned(&host, "02:04.0");
    assert_eq!((plan.slots[0].options.len(), plan.slots[0].left_out), (3, 1), "{:?}", plan.slots[0]);
}
