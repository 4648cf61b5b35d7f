//! Plans on what is assumed, on two states of a host, and carried in a file.

use crate::hosts::{desk, host};

#[test]
fn the_card_in_the_other_slot_is_planned_from_the_capture_of_the_first() {
    let said = desk(4).run(&["plan", "--from", &host(4), "--assume", "slot=02:06.0", "bench.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    assert!(said.out.contains("assumed: slot=02:06.0"), "{}", said.told());
    let desk = desk(4);
    let said = desk.run(&["plan", "--json", "--from", &host(4), "--assume", "slot=02:08.0", "bench.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert_eq!(said.json()["assumed"][0]["devices"][0], "0000:02:08.0");
    assert_eq!(
        said.json()["findings"][0]["evidence"].as_array().and_then(|e| e.last()).unwrap()["source"],
        "assumed"
    );
}

#[test]
fn what_cannot_be_assumed_is_refused_with_a_hint() {
    for (what, error) in [
        ("iommu=perhaps", "neither on nor off"),
        ("slot=0c:01.0", "the host has no bus of 0000:0c:01.0"),
        ("0c:01.0@driver=none", "the host has no device 0000:0c:01.0"),
    ] {
        let said = desk(4).run(&["plan", "--from", &host(4), "--assume", what, "bench.toml"]);
        assert_eq!(said.status, Some(2), "{}", said.told());
        assert!(said.err.contains(error) && said.err.contains("hint"), "{}", said.told());
    }
}

#[test]
fn two_captures_are_held_against_each_other() {
    let desk = desk(4);
    let said = desk.run(&["plan", "--compare", &host(4), &host(6), "bench.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    for part in [
        "did not work before, and will after",
        "0000:02:04.0 is at 0000:02:06.0 now",
        "findings that are gone",
        "intx-shared",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.told());
    }
    let said = desk.run(&["plan", "--json", "--compare", &host(4), &host(6), "bench.toml"]);
    let json = said.json();
    assert_eq!(
        (&json["schema"], &json["before"], &json["after"]),
        (&"slotwise.compare/1".into(), &"blocked".into(), &"needs-changes".into())
    );
    assert_eq!(json["devices"][0]["after"], "0000:02:06.0");
    assert_eq!(json["findings"]["gone"][0]["rule"], "intx-shared", "{json:#}");
    // The other way round it ends with the later state's verdict.
    let said = crate::hosts::desk(6).run(&["plan", "--compare", &host(6), &host(4), "bench.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    assert!(said.out.contains("worked before, and will not after"), "{}", said.told());
}

#[test]
fn a_plan_in_a_file_says_what_it_rests_on() {
    let desk = desk(6);
    let said = desk.run(&["plan", "--from", &host(6), "-o", "plan.json", "bench.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    let text = std::fs::read_to_string(desk.path().join("plan.json")).expect("written");
    let json: serde_json::Value = serde_json::from_str(&text).expect("json");
    let facts = json["fingerprint"]["facts"].as_array().expect("facts");
    assert!(
        facts.iter().any(|fact| fact["subject"] == "0000:02:06.0" && fact["fact"] == "driver"),
        "{facts:?}"
    );
    assert!(said.out.contains(json["fingerprint"]["digest"].as_str().expect("digest")), "{}", said.told());
}

#[test]
fn a_file_that_is_no_plan_is_refused_before_the_host_is_looked_at() {
    let desk = desk(6);
    desk.put("plan.json", "{\"schema\": \"slotwise.inspect/1\"}");
    for words in [
        &["apply", "--plan", "plan.json", "bench.toml"][..],
        &["run", "--plan", "plan.json", "bench.toml", "bench"],
    ] {
        let said = desk.run(words);
        assert_eq!(said.status, Some(2), "{}", said.told());
        assert!(said.err.contains("plan.json is no plan to carry out"), "{}", said.told());
    }
    assert!(!desk.path().join("state").exists(), "no journal was begun");
}

/// The program on this machine, once nobody else changes it: the lock is one for the whole host.
fn run_locked(desk: &crate::Desk, words: &[&str]) -> crate::Said {
    for _ in 0..30 {
        let said = desk.run(words);
        if !said.err.contains("/run/slotwise.lock") {
            return said;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    desk.run(words)
}

#[test]
fn a_plan_whose_facts_moved_is_refused_and_each_fact_is_named() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: changing a host takes root");
        return;
    }
    let desk = crate::Desk::new();
    desk.put("empty.toml", "[[vm]]\nname = \"empty\"\nmemory = \"96M\"\n");
    let said = desk.run(&["plan", "-o", "plan.json", "empty.toml"]);
    assert!(said.status.is_some_and(|status| status < 2), "{}", said.told());
    let text = std::fs::read_to_string(desk.path().join("plan.json")).expect("written");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("json");
    let facts = json["fingerprint"]["facts"].as_array_mut().expect("facts");
    let release = facts.iter_mut().find(|row| row["fact"] == "kernel").expect("the kernel's release");
    release["value"] = "2.6.32-of-another-day".into();
    desk.put("older.json", json.to_string());
    let said = run_locked(&desk, &["apply", "--plan", "older.json", "empty.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.told());
    for part in ["moved", "kernel of host was 2.6.32-of-another-day, is ", "nothing was changed"] {
        assert!(said.err.contains(part), "{part}: {}", said.told());
    }
    let journals = std::fs::read_dir(desk.path().join("state")).map_or(0, Iterator::count);
    assert_eq!(journals, 0, "no journal was begun");
    // What still holds is not refused on that ground.
    let said = run_locked(&desk, &["apply", "--plan", "plan.json", "empty.toml"]);
    assert!(!said.err.contains("moved"), "{}", said.told());
}

#[test]
fn every_rule_says_why_it_did_or_did_not_fire() {
    let said = desk(4).run(&["plan", "--explain", "--json", "--from", &host(4), "bench.toml"]);
    let json = said.json();
    let list = json["explanations"].as_array().expect("explanations");
    let of = |rule: &str| list.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("{rule}"));
    assert_eq!(of("intx-shared")["outcome"], "fired");
    let reason = of("iommu-disabled")["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("the IOMMU is in use: "), "{reason}");
    assert!(list.iter().all(|one| one["reason"].is_string()), "every rule gives its own reason: {list:#?}");
    assert_eq!(of("nvidia-kvm-hidden")["outcome"], "does-not-apply");
    let said = desk(4).run(&["plan", "--explain", "--from", &host(4), "bench.toml"]);
    assert!(said.out.contains("why each rule did or did not fire: 0000:02:04.0"), "{}", said.told());
}
