//! Bad luck on purpose, in the virtual lab: whatever happens, the host ends up as it was, and the user is told.
//!
//! One lab host, the card in the free slot, its disk unused. Each misfortune is a function; after each, drivers,
//! overrides, VFIO modules and nodes, and monitors must be what they were before the first. Counts of journal lines and
//! names of processes are the lab host's own; nothing here looks into the program.

mod misfortunes;

use std::time::{Duration, Instant};

use super::asserts::has;
use super::lab::{Lab, Said};
use super::{FREE_SLOT, spec};
use crate::Result;
use crate::build::Dist;

/// The card.
const CARD: &str = "0000:02:06.0";
/// How long all of it may take: a stage nobody waits for is a stage nobody runs.
const LIMIT: Duration = Duration::from_secs(300);

/// Everything that Slotwise changes on a host, in a text to compare. What comes with `vfio_pci` stays when that goes:
/// `vfio_iommu_type1` is loaded after `vfio` (`drivers/vfio/vfio_main.c`, `MODULE_SOFTDEP`) and holds it. So the first look
/// is taken after one apply and undo.
const STATE: &str = r#"
# Built-ins where they do: under emulation a new process takes a while.
for d in /sys/bus/pci/devices/*; do
    driver=none
    cd -P "$d/driver" 2>/dev/null && driver=${PWD##*/}
    read -r override <"$d/driver_override"
    echo "${d##*/} $driver $override"
done
echo "modules:" $(grep -o '^vfio[^ ]*' /proc/modules | sort)
echo /dev/vfio/* /etc/modprobe.d/*
echo "monitors:" $(pidof qemu-system-x86_64)
"#;

/// Shell functions for the misfortunes.
pub(super) const PRELUDE: &str = r#"
cd /root
trap 'kill -KILL $(jobs -p) 2>/dev/null; wait' EXIT
# Waits a minute at most until a condition holds.
until_true() {
    local until=$((SECONDS + 60))
    while ! eval "$1"; do [ $SECONDS -ge $until ] && { echo "never: $1"; exit 99; }; sleep 0.1; done
}
# The monitor that has the card; one that is only asked for its version has not.
vm() { for p in $(pidof qemu-system-x86_64); do ls -l /proc/$p/fd 2>/dev/null | grep -q '/dev/vfio/[0-9]' && echo $p; done; }
vm_is_up() { [ -n "$(vm)" ]; }
# Interrupts of the card have come to the guest: its driver is at work.
guest_works() { awk '/vfio-intx/ { n += $2 + $3 } END { exit n < 20 }' /proc/interrupts; }
# Waits until nobody is at work on the host: a modprobe that outlives its killed owner keeps the lock.
settled() { while slotwise undo 999999 2>&1 | grep -q 'at work'; do sleep 0.1; done; }
# Runs a program and kills it as its first thread enters its so many-th write. The kernel sees the signal before it carries
# the call out (kernel/entry/common.c, syscall_trace_enter), so the kill is exact.
killed_at_write() {
    strace -qqq -o /dev/null -e trace=write -e inject=write:signal=KILL:when="$1" "${@:2}" >/dev/null 2>&1
}
# The numbers of a program's first and last write to a journal.
writes() {
    strace -y -qqq -e signal=none -o /tmp/writes -e trace=write "$@" >/dev/null 2>&1
    awk '/[.]journal>/ { last = NR; first = first ? first : NR } END { print first, last }' /tmp/writes
}
journals=(/var/lib/slotwise/*.journal)
newest=${journals[-1]}
"#;

/// What one misfortune is, and what it shows.
struct Misfortune {
    title: &'static str,
    befall: fn(&Scene<'_>) -> Result<String>,
}

/// The lab host, and how it was.
struct Scene<'l> {
    lab: &'l Lab,
    before: String,
}

impl Scene<'_> {
    /// Runs a shell script in `/root`, with the functions above.
    fn script(&self, script: &str) -> Result<Said> {
        let said =
            self.lab.run(&["bash", "-c", &format!("{PRELUDE}\n{}", script.replace("@state", STATE))])?;
        Ok(Said { command: script.trim().to_owned(), ..said })
    }

    /// Runs a command and holds it to its status and to each text that it must show.
    fn shows(&self, script: &str, status: i32, texts: &[&str]) -> Result<Said> {
        let said = self.script(script)?;
        for text in texts {
            has(&said, text, status)?;
        }
        Ok(said)
    }

    fn is_as_it_was(&self) -> Result {
        self.was(&state(self.lab)?)
    }

    /// Holds a state against the first one.
    fn was(&self, now: &str) -> Result {
        if now == self.before {
            return Ok(());
        }
        let changed: Vec<String> = now
            .lines()
            .zip(self.before.lines())
            .filter(|(now, before)| now != before)
            .map(|(now, before)| format!("{before:?} became {now:?}"))
            .collect();
        Err(format!("the host is not as it was: {}", changed.join("; ")).into())
    }
}

fn state(lab: &Lab) -> Result<String> {
    let said = lab.run(&["bash", "-c", STATE])?;
    if said.out.contains("monitors:") { Ok(said.out) } else { Err(said.err.into()) }
}

/// Lets every misfortune happen whose title contains a text.
pub(crate) fn befall(dist: &Dist, only: &str) -> Result {
    let start = Instant::now();
    let lab = Lab::boot(dist, FREE_SLOT)?;
    println!("a lab host is up in {:.1} s", lab.boot_time().as_secs_f64());
    lab.put("/root/bench.toml", &spec(FREE_SLOT))?;
    lab.put("/root/elsewhere.toml", &spec(FREE_SLOT - 1))?;
    has(&lab.run(&["bash", "-c", "cd /root && slotwise apply bench.toml && slotwise undo"])?, "undone", 0)?;
    let scene = Scene { lab: &lab, before: state(&lab)? };
    if !scene.before.contains(&format!("{CARD} sym53c8xx (null)")) {
        return Err(format!("the card should be on its host driver:\n{}", scene.before).into());
    }
    let mut failed = Vec::new();
    let chosen: Vec<_> =
        misfortunes::ALL.iter().filter(|misfortune| misfortune.title.contains(only)).collect();
    if chosen.is_empty() {
        return Err(format!("no misfortune's title contains {only:?}").into());
    }
    for Misfortune { title, befall } in chosen {
        let begun = Instant::now();
        let came = befall(&scene).and_then(|showed| scene.is_as_it_was().map(|()| showed));
        let took = begun.elapsed().as_secs_f64();
        match came {
            Ok(showed) => println!("{took:>6.1} s  {title}: {showed}"),
            Err(error) => {
                println!("{took:>6.1} s  {title}: FAILED: {error}");
                failed.push(*title);
                // So that what follows tells something of its own.
                println!("{}", scene.script("slotwise undo; killall -KILL qemu-system-x86_64")?.out);
            }
        }
    }
    lab.end();
    let took = start.elapsed();
    println!("{:.1} s in all", took.as_secs_f64());
    match failed[..] {
        [] if took < LIMIT => Ok(()),
        [] => Err("it took too long".into()),
        _ => {
            Err(format!("the host was not left as it was, or nothing was said: {}", failed.join(", ")).into())
        }
    }
}
