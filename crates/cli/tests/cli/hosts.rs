//! Planning for a host that is not this one: captures of the lab's host, with the card in either slot.

use std::path::Path;

use crate::Desk;

pub(crate) fn host(slot: u8) -> String {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hosts");
    hosts.join(format!("scsi-bench-slot{slot}")).display().to_string()
}

/// A desk with a spec for the card in that slot.
pub(crate) fn desk(slot: u8) -> Desk {
    let desk = Desk::new();
    desk.put(
        "bench.toml",
        format!(
            "[[vm]]\nname = \"bench\"\nmemory = \"96M\"\nguest = \"debian-12\"\n\
             [[vm.device]]\nselect = {{ id = \"1000:0012\", slot = \"0000:02:{slot:02x}.0\" }}\n"
        ),
    );
    desk
}

#[test]
fn blocked_plan_ends_with_1_and_says_what_to_do() {
    let said = desk(4).run(&["plan", "--from", &host(4), "bench.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    for part in ["intx-shared", "eth1 (0000:00:13.0)", "move the card to slot 6"] {
        assert!(said.out.contains(part), "{part}: {}", said.told());
    }
    assert_eq!(said.err, "");
}

#[test]
fn blocked_plan_in_json_keeps_its_contract() {
    let said = desk(4).run(&["plan", "--json", "--from", &host(4), "bench.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    let json = said.json();
    assert_eq!(json["schema"], "slotwise.plan/1");
    assert_eq!(json["verdict"], "blocked");
    let finding = &json["findings"][0];
    for (key, value) in [("rule", "intx-shared"), ("severity", "blocks"), ("subject", "0000:02:04.0")] {
        assert_eq!(finding[key], value, "{finding:#}");
    }
    for list in ["evidence", "remedies"] {
        assert!(finding[list].as_array().is_some_and(|list| !list.is_empty()), "{list}: {finding:#}");
    }
}

#[test]
fn plan_that_will_work_ends_with_0_and_lists_its_steps() {
    let said = desk(6).run(&["plan", "--json", "--from", &host(6), "bench.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let json = said.json();
    assert_eq!(json["verdict"], "needs-changes");
    let steps = json["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 4, "{json:#}");
    for step in steps {
        for key in ["id", "action", "target", "before", "after", "undo"] {
            assert!(step[key].is_string(), "{key}: {step:#}");
        }
    }
}

#[test]
fn device_that_sits_elsewhere_is_a_finding_with_the_changed_line() {
    let said = desk(5).run(&["plan", "--json", "--from", &host(6), "bench.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    let json = said.json();
    assert_eq!((&json["verdict"], &json["steps"]), (&"blocked".into(), &serde_json::json!([])));
    let finding = &json["findings"][0];
    assert_eq!((&finding["rule"], &finding["subject"]), (&"device-moved".into(), &"0000:02:05.0".into()));
    assert_eq!(finding["remedies"][0]["text"], "select = { id = \"1000:0012\", slot = \"0000:02:06.0\" }");
    assert_eq!(finding["predicts"], serde_json::json!(["name-changed-after-slot-move"]));
}

#[test]
fn plan_tells_what_each_device_costs_the_host() {
    let said = desk(6).run(&["plan", "--json", "--from", &host(6), "bench.toml"]);
    let json = said.json();
    let vm = &json["vms"][0];
    assert!(vm["locked_bytes"].as_u64().is_some_and(|bytes| bytes > 64 << 20), "{vm:#}");
    assert!(vm["dma_entries"].as_u64().is_some_and(|entries| entries > 32), "{vm:#}");
    assert_eq!(vm["dma_entry_limit"], 65535);
    assert_eq!(vm["device_costs"][0]["device"], "0000:02:06.0");
    let text = desk(6).run(&["plan", "--from", &host(6), "bench.toml"]);
    assert!(
        text.out.contains("of the host's memory while it runs") && text.out.contains("of 65535 DMA mappings"),
        "{}",
        text.told()
    );
}

#[test]
fn inspect_shows_the_host_that_was_captured() {
    let said = Desk::new().run(&["inspect", "--json", "--from", &host(4)]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let json = said.json();
    assert_eq!(json["schema"], "slotwise.inspect/1");
    let functions = json["functions"].as_array().expect("functions");
    assert_eq!(functions.len(), 13);
    let card = functions.iter().find(|function| function["address"] == "0000:02:04.0").expect("the card");
    assert_eq!(card["driver"], "sym53c8xx");
}

#[test]
fn function_that_the_host_has_not_is_refused() {
    let said = Desk::new().run(&["inspect", "--from", &host(4), "0000:02:06.0"]);
    assert_eq!(said.status, Some(2), "{}", said.told());
    assert!(said.err.contains("no function is selected"), "{}", said.told());
}

#[test]
fn damaged_capture_is_refused() {
    let desk = desk(4);
    desk.put("host.slotwise", b"\x28\xb5\x2f\xfd not zstd after all");
    let said = desk.run(&["plan", "--from", "host.slotwise", "bench.toml"]);
    assert_eq!(said.status, Some(2), "{}", said.told());
    assert!(said.err.contains("host.slotwise") || said.err.contains("capture"), "{}", said.told());
}
