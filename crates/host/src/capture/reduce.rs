//! What of large or private files a capture keeps: only what reading takes from them. Of processes, only those that hold a
//! device or run guests, and of their open files only device nodes.

use std::collections::BTreeSet;

use super::snapshot::{Content, Snapshot};
use crate::read::{self, is_refusal};

impl Snapshot {
    /// Of `/proc/cpuinfo` the rows that are read, of the first processor: others tell nothing else, and on ARM there is a
    /// serial number behind them.
    pub(super) fn processor(&mut self, told: &mut Vec<String>) {
        let wanted =
            |line: &&str| line.split_once(':').is_some_and(|(head, _)| read::CPU_ROWS.contains(&head.trim()));
        self.each_text("/proc/cpuinfo", "all but identity and flags of one processor", told, &|text| {
            let first = text.lines().take_while(|line| !line.trim().is_empty());
            first.filter(wanted).map(|line| format!("{line}\n")).collect()
        });
    }

    /// Files of which reading takes a part (see [`read::reduced`]).
    pub(super) fn reduce(&mut self, told: &mut Vec<String>) {
        for (path, answer) in &mut self.files {
            if let Ok(Content::Whole(bytes)) = answer
                && let Some(short) = read::reduced(path, bytes)
                && short != *bytes
            {
                told.push(format!("{path}: all but what is read of it"));
                *bytes = short;
            }
        }
    }

    /// Processes that hold no device, and files that are none: what else runs on a host is nobody's business. Those that could
    /// not be looked into stay, by their number, so that a reader knows that something was not seen.
    pub(super) fn processes(&mut self, told: &mut Vec<String>) {
        let Some(Ok(listed)) = self.lists.get("/proc") else { return };
        let all: Vec<String> = listed.iter().filter(|name| name.parse::<u32>().is_ok()).cloned().collect();
        let before = self.links.len();
        self.links.retain(|path, target| {
            let file = path.strip_prefix("/proc/").and_then(|rest| rest.split_once("/fd/"));
            let of_process = file.is_some_and(|(pid, _)| pid.parse::<u32>().is_ok());
            !of_process || target.as_ref().map_or_else(is_refusal, |target| read::is_device_file(target))
        });
        let mut left_out = self.links.len() != before;
        let mut keep = BTreeSet::new();
        for pid in &all {
            let fd = format!("/proc/{pid}/fd");
            let links = &self.links;
            if let Some(Ok(names)) = self.lists.get_mut(&fd) {
                names.retain(|name| links.contains_key(&format!("{fd}/{name}")));
            }
            let holds = self.lists.get(&fd).is_some_and(|list| match list {
                Ok(names) => !names.is_empty(),
                Err(kind) => is_refusal(kind),
            });
            let comm = self.files.get(&format!("/proc/{pid}/comm"));
            let refused = matches!(comm, Some(Err(kind)) if is_refusal(kind));
            let runs_guests = self.files.contains_key(&format!("/proc/{pid}/cmdline"));
            // Process 2 tells whether all processes were listed.
            if holds || refused || runs_guests || pid == "2" {
                keep.insert(pid.clone());
            }
        }
        for pid in all.iter().filter(|pid| !keep.contains(*pid)) {
            left_out = true;
            for path in [format!("/proc/{pid}/fd"), format!("/proc/{pid}/comm")] {
                self.lists.remove(&path);
                self.files.remove(&path);
            }
        }
        if left_out {
            if let Some(Ok(names)) = self.lists.get_mut("/proc") {
                names.retain(|name| keep.contains(name));
            }
            told.push("/proc: processes without device nodes, and their other files".to_owned());
        }
    }

    /// Names that people give: of what is connected by Bluetooth, for example.
    pub(super) fn peripherals(&mut self, told: &mut Vec<String>) {
        let wireless = |target: &String| target.contains("/bluetooth/") || target.contains("/misc/uhid/");
        let inputs: Vec<String> = self
            .links
            .iter()
            .filter(|(path, target)| {
                path.starts_with("/sys/class/input/") && target.as_ref().is_ok_and(wireless)
            })
            .map(|(path, _)| format!("{path}/name"))
            .collect();
        for path in inputs {
            self.each_text(&path, "name of a wireless device", told, &|_| "wireless device\n".to_owned());
        }
    }
}
