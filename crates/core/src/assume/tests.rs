use super::*;
use crate::plan::{Plan, Verdict, plan};
use crate::topology::Topology;
use crate::topology::fixture::{BENCH, address, facts};
use crate::vm::spec::parse;

const SPEC: &str = "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\n[[vm.device]]\nselect = { id = \"1000:0012\", slot = \"02:04.0\" }\n";

fn assumed(host: &str, words: &str) -> Result<(Facts, Request), AssumeError> {
    let list: Vec<Assumption> = words.split_whitespace().map(|word| word.parse().expect("grammar")).collect();
    assume(facts(host), parse(SPEC).expect("spec"), &list)
}

fn planned(host: &str, words: &str) -> Plan {
    let (facts, request) = assumed(host, words).expect("assumed");
    plan(&request, &Topology::new(facts)).expect("plan")
}

fn refused(host: &str, words: &str) -> String {
    assumed(host, words).expect_err("an error").to_string()
}

#[test]
fn the_story_s_card_in_the_other_slot_would_work() {
    assert_eq!(planned(BENCH, "").verdict, Verdict::Blocked);
    for words in ["slot=02:06.0", "1000:0012@slot=02:06.0", "02:04.0@slot=02:06.0"] {
        let plan = planned(BENCH, words);
        assert_eq!(plan.verdict, Verdict::NeedsChanges, "{words}: {:?}", plan.findings);
        assert_eq!(plan.vms[0].devices[0].address, address("0000:02:06.0"));
        assert_eq!(plan.assumed[0].text, words);
    }
}

#[test]
fn a_slot_that_is_no_better_is_blocked_and_says_that_it_was_assumed() {
    let plan = planned(BENCH, "slot=02:08.0");
    let finding = plan.findings.iter().find(|finding| finding.rule == "intx-shared").expect("a finding");
    assert_eq!(finding.subject, address("0000:02:08.0").into());
    assert!(
        finding.evidence.iter().any(|e| e.source == "assumed" && e.text == "slot=02:08.0"),
        "{finding:?}"
    );
}

#[test]
fn a_card_leaves_its_line_and_takes_its_group_along_on_the_same_bus() {
    let (facts, _) = assumed(BENCH, "slot=02:06.0").expect("assumed");
    let topology = Topology::new(facts);
    let card = address("0000:02:06.0");
    assert_eq!(topology.group_members(card).len(), 3);
    assert_eq!(topology.interrupt(23).expect("line").handlers, ["eth1"]);
    assert_eq!(topology.line(card).expect("line").irq, 21);
    assert_eq!(topology.function(address("0000:02:04.0")).map(|f| f.address), None);
}

#[test]
fn two_cards_in_each_others_slot() {
    let (facts, request) = assumed(BENCH, "02:04.0@swap=02:0a.0").expect("assumed");
    assert_eq!(request.vms[0].devices[0].slot, Some(address("0000:02:0a.0")));
    let topology = Topology::new(facts);
    let id = |at: &str| topology.function(address(at)).and_then(|f| f.id.known().copied());
    assert_eq!(id("0000:02:0a.0").map(|id| id.to_string()).as_deref(), Some("1000:0012"));
    assert_eq!(id("0000:02:04.0"), None);
    assert_eq!(topology.functions().count(), 6);
}

#[test]
fn what_the_host_uses_follows_its_card() {
    let host = format!("{BENCH}\nblock sda 8:0 function=0000:02:04.0\nmount / 8:0 ext4");
    let (facts, _) = assumed(&host, "slot=02:06.0").expect("assumed");
    let dependents = Topology::new(facts).dependents(address("0000:02:06.0"));
    assert_eq!(dependents.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/ on sda"]);
}

#[test]
fn cards_come_and_go() {
    let plan = planned(BENCH, "remove=00:13.0");
    assert!(!plan.findings.iter().any(|finding| finding.rule == "intx-shared"), "{:?}", plan.findings);
    let (facts, _) = assumed(BENCH, "add=1000:0012@02:05.0").expect("assumed");
    let added = &facts.functions[&address("0000:02:05.0")];
    assert_eq!(added.class.known().map(|class| class.bits()), Some(0x01_0000), "as its twin says");
    assert_eq!(added.group.known().map(|group| group.0), Some(8));
    let (facts, _) = assumed(BENCH, "add=9004:5078:010000@02:05.0").expect("assumed");
    assert!(facts.functions[&address("0000:02:05.0")].interrupt_pin.is_unreadable());
}

#[test]
fn switches_parameters_and_memory_hold() {
    let off = planned(BENCH, "iommu=off");
    assert!(off.findings.iter().any(|finding| finding.rule == "iommu-disabled"), "{:?}", off.findings);
    let masked = planned(BENCH, "param=vfio_pci.nointxmask=N");
    assert_eq!(masked.verdict, Verdict::NeedsChanges, "{:?}", masked.findings);
    let unsafe_ = planned(BENCH, "intremap=off");
    assert!(unsafe_.findings.iter().any(|finding| finding.rule == "no-intremap"));
    assert_eq!(planned(BENCH, "bench@memory=4G").vms[0].request.memory.to_string(), "4G");
    let (facts, _) = assumed(BENCH, "kernel=5.10.0 cmdline=a cmdline=b").expect("assumed");
    assert_eq!(facts.kernel.version().map(|version| version.to_string()).as_deref(), Some("5.10"));
    assert_eq!(facts.kernel.command_line, Fact::Known("a b".to_owned()));
}

#[test]
fn groups_appear_with_the_iommu_where_the_ports_could_be_read() {
    let card = "config=4096,04:00100000,34:40,40:00020010";
    let host = format!(
        "iommu off
        device 0000:00:01.0 class=060400 id=1b36:000c config=4096,04:00100000,0c:00010000,34:40,40:00420010,100:0001000d,104:001d001d
        device 0000:01:00.0 class=010802 id=1000:0012 parent=0000:00:01.0 {card}
        device 0000:02:00.0 class=010802 parent=0000:00:1c.0
        device 0000:00:1c.0 class=060400"
    );
    let list = ["iommu=on".parse().expect("grammar")];
    let (facts, _) = assume(facts(&host), parse(SPEC).expect("spec"), &list).expect("assumed");
    let topology = Topology::new(facts);
    assert_eq!(topology.group_members(address("0000:01:00.0")), [address("0000:01:00.0")]);
    assert!(topology.function(address("0000:02:00.0")).is_some_and(|f| f.group.is_unreadable()));
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    assert_eq!(
        refused(BENCH, "slot=02:0a.0"),
        "0000:02:0a.0 is taken: DEVICE@swap=0000:02:0a.0 exchanges the two"
    );
    assert_eq!(refused(BENCH, "slot=09:00.0"), "the host has no bus of 0000:09:00.0");
    assert_eq!(refused(BENCH, "09:00.0@slot=02:06.0"), "the host has no device 0000:09:00.0");
    assert_eq!(refused(BENCH, "other@memory=1G"), "the spec declares no VM other");
    let port = BENCH.replace(
        "0000:00:03.0 class=060400 pin=1 group=3 driver=pcieport",
        "0000:00:03.0 class=060400 pin=1 group=3 config=256,04:00100000,0c:00010000,34:40,40:00420010",
    );
    assert_eq!(
        refused(&port, "02:04.0@slot=01:01.0"),
        "0000:02:04.0 does not fit 0000:01:01.0: below an Express port there is device 0 only"
    );
}

#[test]
fn words_outside_the_grammar_say_what_is_wrong() {
    let error = |text: &str| text.parse::<Assumption>().expect_err("an error").to_string();
    assert_eq!(error("iommu"), "\"iommu\" is no assumption: it has no `=`");
    assert_eq!(error("iommu=maybe"), "\"iommu=maybe\" is no assumption: \"maybe\" is neither on nor off");
    assert_eq!(error("colour=red"), "\"colour=red\" is no assumption: nothing is assumed of \"colour\"");
    assert!(error("slot=02:40.0").contains("out of range"));
    assert!(error("add=9004:5078").contains("with its place"));
    assert!(error("add=9004:5078:01@02:05.0").contains("six hexadecimal digits"));
    assert!(error(&"x".repeat(600)).contains("longer than"));
}

proptest::proptest! {
    #[test]
    fn any_words_are_answered(text in "[a-z0-9:.@=]{0,40}") {
        if let Ok(assumption) = text.parse::<Assumption>() {
            let _ = assume(facts(BENCH), parse(SPEC).expect("spec"), &[assumption]);
        }
    }
}
