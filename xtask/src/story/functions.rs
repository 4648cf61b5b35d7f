//! The suites of any PCI function on cards that the lab's host gives to a guest: an NVMe controller, two network cards.
//!
//! Between guest and card are VFIO and the host's emulated IOMMU, so what passes here passes through them. What is known to be
//! otherwise there is listed with the reason.

use std::time::Instant;

use serde_json::Value;
use slotwise_lab::Machine;

use super::asserts::{has, list, text_at, what};
use super::faults::PRELUDE;
use super::lab::{Lab, Said};
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
    println!("\n=== two of them come to a q35 guest one by one, and go");
    let begin = Instant::now();
    come_and_go(&lab)?;
    println!(
        "--- {:.1} s: each in a port of its own, and the host has them back",
        begin.elapsed().as_secs_f64()
    );
    lab.end();
    Ok(())
}

/// Hot-plug behind PCIe ports. The first to come loads the module that the second uses when the first goes.
fn come_and_go(lab: &Lab) -> Result {
    let device = |card: &Card| {
        format!("[[vm.device]]\nselect = {{ id = \"{}\", slot = \"{}\" }}\n\n", card.id, card.slot)
    };
    let spec = format!(
        "[[vm]]\nname = \"bench\"\nbackend = \"qemu\"\nmachine = \"q35\"\nmemory = \"96M\"\nguest = \"debian-12\"\n\n{}{}",
        device(&CARDS[0]),
        device(&CARDS[1])
    );
    lab.put("/root/q35.toml", &spec)?;
    let script = format!("{PRELUDE}\n{HOTPLUG}");
    let said = lab.run(&["bash", "-c", &script])?;
    let said = Said { command: HOTPLUG.trim().to_owned(), ..said };
    let texts = [
        "its guest sees it as 0000:01:00.0, on driver nvme",
        "its guest sees it as 0000:02:00.0, on driver e1000e",
        "module vfio_pci stays for now: 0000:02:00.0 uses it",
        "detached: 0000:01:00.0 from VM bench; the host has it back",
        "undone: unload module vfio_pci",
        "the drivers are those of before",
    ];
    texts.into_iter().try_for_each(|text| has(&said, text, 0))
}

const HOTPLUG: &str = "
drivers() { for slot in 01:00.0 02:00.0; do readlink /sys/bus/pci/devices/0000:$slot/driver || echo none; done; }
before=$(drivers)
slotwise run --without 01:00.0 --without 02:00.0 --until never --deadline 240 q35.toml bench >/tmp/run.log 2>&1 & run=$!
until_true 'grep -q \"ready on\" /tmp/run.log || ! kill -0 $run'
kill -0 $run || { cat /tmp/run.log; exit 98; }
slotwise attach q35.toml bench 01:00.0 || exit 97
slotwise attach q35.toml bench 02:00.0 || exit 96
slotwise detach q35.toml bench 01:00.0 2>&1 || exit 95
slotwise attach q35.toml bench 01:00.0 || exit 94
kill -INT $run; wait $run; cat /tmp/run.log
test \"$before\" = \"$(drivers)\" && echo the drivers are those of before || echo $before became $(drivers)
slotwise status
";

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
