//! The suites of any PCI function on cards that the lab's host gives to a guest: an NVMe controller, two network cards.
//!
//! Between guest and card are VFIO and the host's emulated IOMMU, so what passes here passes through them. What is known to be
//! otherwise there is listed with the reason.

use std::time::Instant;

use serde_json::Value;
use slotwise_lab::Machine;

use super::asserts::{list, text_at, what};
use super::lab::Lab;
use crate::Result;
use crate::build::Dist;

/// A card of the machine `function-bench`.
struct Card {
    id: &'static str,
    slot: &'static str,
    suites: &'static str,
    /// Cases that must have been carried out, and be right.
    passes: &'static [&'static str],
    /// Cases that fail, each with the reason.
    deviations: &'static [(&'static str, &'static str)],
}

const CARDS: [Card; 3] = [
    Card {
        id: "1b36:0010",
        slot: "0000:01:00.0",
        suites: r#""pci""#,
        passes: &[
            "ids",
            "capabilities",
            "bars-size",
            "bars-decode",
            "messages",
            "intx",
            "dma",
            "attach-repeatedly",
        ],
        deviations: &[],
    },
    Card {
        id: "8086:10d3",
        slot: "0000:02:00.0",
        suites: r#""pci", "net""#,
        passes: &["ids", "bars-size", "messages", "intx", "burst", "odd-sizes", "counters", "down-and-up"],
        deviations: &[],
    },
    Card {
        id: "8086:100e",
        slot: "0000:00:10.0",
        suites: r#""pci", "net""#,
        passes: &["ids", "bars-size", "command-bits", "intx", "burst", "smallest", "largest", "promiscuous"],
        deviations: &[],
    },
];

/// Tests each card, and asserts what comes of it.
pub(crate) fn tell(dist: &Dist) -> Result {
    println!("\n=== a lab host boots with cards of different kinds");
    let lab = Lab::boot_machine(dist, &Machine::builtin("function-bench")?)?;
    for card in &CARDS {
        let Card { id, slot, suites, .. } = card;
        println!("\n=== {id}: {suites}");
        let begin = Instant::now();
        let spec = format!(
            "[[vm]]\nname = \"bench\"\nbackend = \"qemu\"\nmemory = \"96M\"\nguest = \"debian-12\"\n\n[[vm.device]]\n\
             select = {{ id = \"{id}\", slot = \"{slot}\" }}\n\n[test]\nsuites = [{suites}]\n\
             net = {{ own = \"10.0.2.15\", peer = \"10.0.2.2\" }}\n"
        );
        lab.put("/root/function.toml", &spec)?;
        let said = lab.run(&["slotwise", "test", "--json", "function.toml"])?;
        let report: Value = serde_json::from_str(&said.out)
            .map_err(|error| format!("`{}`: {error}:\n{}{}", said.command, said.out, said.err))?;
        println!("--- {:.1} s: {}", begin.elapsed().as_secs_f64(), judge(card, &report)?);
    }
    lab.end();
    Ok(())
}

fn judge(card: &Card, report: &Value) -> Result<String> {
    let rows: Vec<&Value> = list(&report["rows"]).collect();
    let cases = |wanted: &[&str]| -> Vec<&str> {
        let rows = rows.iter().filter(|row| wanted.contains(&text_at(row, "/outcome")));
        rows.filter_map(|row| row["case"].as_str()).collect()
    };
    let (passed, bad) = (cases(&["pass"]), cases(&["fail", "error", "crash"]));
    let known: Vec<&str> = card.deviations.iter().map(|(case, _)| *case).collect();
    let told: Vec<String> = rows
        .iter()
        .filter(|row| bad.contains(&text_at(row, "/case")))
        .map(|row| format!("{}: {}", text_at(row, "/case"), text_at(row, "/reason")))
        .collect();
    what(bad == known, "what fails is what is known", &Value::from(told))?;
    for case in card.passes {
        let row = rows.iter().find(|row| row["case"] == *case);
        what(passed.contains(case), &format!("{case} passes"), row.unwrap_or(&&Value::Null))?;
    }
    Ok(format!(
        "{} pass, {} do not apply, {} known deviations",
        passed.len(),
        cases(&["skip"]).len(),
        known.len()
    ))
}
