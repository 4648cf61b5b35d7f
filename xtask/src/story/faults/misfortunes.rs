//! The misfortunes, each with what the user is told of it. What a function gives is what it showed, for the list.

use slotwise_core::facts::{Origin, SourceKind};
use slotwise_core::plan;
use slotwise_core::report::wire;
use slotwise_core::topology::Topology;
use slotwise_core::vm::spec;
use slotwise_host::capture;

use super::{CARD, Misfortune, Scene};
use crate::Result;
use crate::story::asserts::{has, text_at, what};

pub(super) const ALL: &[Misfortune] = &[
    Misfortune { title: "the device is in another slot than the spec says", befall: device_elsewhere },
    Misfortune { title: "no QEMU on this host", befall: no_monitor },
    Misfortune { title: "not root", befall: not_root },
    Misfortune { title: "no room for the journal", befall: disk_full },
    Misfortune { title: "apply killed at each of its writes", befall: apply_killed },
    Misfortune { title: "apply after one that was killed", befall: apply_after_a_killed_one },
    Misfortune { title: "undo killed at each of its writes", befall: undo_killed },
    Misfortune { title: "a second slotwise; then Ctrl-C during run", befall: second_at_work },
    Misfortune { title: "SIGTERM during run", befall: run_terminated },
    Misfortune { title: "run killed while its VM runs", befall: run_killed },
    Misfortune { title: "the monitor is killed", befall: monitor_killed },
    Misfortune { title: "a guest that never shows what is waited for", befall: guest_too_slow },
    Misfortune { title: "Ctrl-C during a test", befall: test_interrupted },
    Misfortune { title: "a guest that hangs during a test, and SIGTERM", befall: test_hangs },
    Misfortune { title: "a neighbour in the group has a driver", befall: neighbour_bound },
];

fn device_elsewhere(scene: &Scene<'_>) -> Result<String> {
    for command in
        ["plan elsewhere.toml", "apply elsewhere.toml", "run elsewhere.toml bench", "test elsewhere.toml"]
    {
        let said = scene.shows(&format!("slotwise {command}"), 1, &["device-moved", "0000:02:05.0", CARD])?;
        what(!said.out.contains("applied"), "nothing was applied", &said.out.into())?;
    }
    Ok("exit 1, and where it is".into())
}

fn no_monitor(scene: &Scene<'_>) -> Result<String> {
    for command in ["run bench.toml bench", "test bench.toml"] {
        let script = format!("PATH=/nowhere /usr/local/bin/slotwise {command}");
        scene.shows(&script, 2, &["qemu-system-x86_64 is not installed", "apt install qemu-system-x86"])?;
    }
    Ok("exit 2, and the package to install".into())
}

fn not_root(scene: &Scene<'_>) -> Result<String> {
    for command in ["apply bench.toml", "run bench.toml bench", "test bench.toml", "undo"] {
        let script = format!(
            "mkdir -p /tmp/home && cp bench.toml /tmp/home && chmod -R a+rX /tmp/home && cd /tmp/home &&
             setpriv --reuid 65534 --regid 65534 --clear-groups slotwise {command}"
        );
        scene.shows(&script, 2, &["cannot lock /run/slotwise.lock", "hint: changing a host takes root"])?;
    }
    Ok("exit 2 with a hint".into())
}

fn disk_full(scene: &Scene<'_>) -> Result<String> {
    let script = "
        mkdir -p /tmp/full && mount -t tmpfs -o size=64k none /tmp/full
        dd if=/dev/zero of=/tmp/full/filler bs=4k 2>/dev/null
        SLOTWISE_STATE=/tmp/full/state slotwise apply bench.toml; status=$?
        cat /tmp/full/state/*.journal
        umount /tmp/full; exit $status";
    scene.shows(
        script,
        2,
        &["cannot keep a journal", "No space left on device", "make room on that file system"],
    )?;
    Ok("refused before the first write, exit 2 with a hint".into())
}

/// Of a program's writes: the first and the last of them to a journal. Those between are to it and to the host.
struct Writes {
    first: usize,
    last: usize,
}

/// The writes of an apply, and of its undo.
fn writes(scene: &Scene<'_>) -> Result<[Writes; 2]> {
    let said = scene.script("writes slotwise apply bench.toml; writes slotwise undo")?;
    let counts: Vec<usize> = said.out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // Fewer would be no journal: a begin, an intent and a done for each of four steps, and an end.
    match counts[..] {
        [first, last, undo_first, undo_last] if last > first + 8 && undo_last > undo_first + 4 => {
            Ok([Writes { first, last }, Writes { first: undo_first, last: undo_last }])
        }
        _ => Err(format!("apply and undo should write a journal: {}{}", said.out, said.err).into()),
    }
}

/// Runs a script that ends with `slotwise status`, undoes what there is to undo, and holds the host to what it was. Gives
/// the standing of the last apply, as the status shows it.
fn killed_then_undone(scene: &Scene<'_>, script: &str) -> Result<String> {
    let said =
        scene.script(&format!("{script}\necho ---; slotwise undo; undo=$?; echo ---; @state\nexit $undo"))?;
    has(&said, "---", 0)?;
    let parts: Vec<&str> = said.out.split("---\n").collect();
    let [status, undone, state] = parts[..] else { return Err(format!("three parts: {}", said.out).into()) };
    scene.was(state).map_err(|error| format!("after `{script}`: {error}\n{status}{undone}{}", said.err))?;
    let mut heads = status.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    Ok(heads.next_back().unwrap_or_default().to_owned())
}

fn apply_killed(scene: &Scene<'_>) -> Result<String> {
    let [Writes { first, last }, _] = writes(scene)?;
    let mut half_done = 0;
    for n in first..=last + 1 {
        let script = format!("killed_at_write {n} slotwise apply bench.toml; settled; slotwise status");
        half_done += usize::from(killed_then_undone(scene, &script)?.contains("half done"));
    }
    // The write at which it is killed is not carried out. With the journal's first line alone nothing was begun.
    what(half_done == last - first - 1, "each is caught in the middle", &half_done.into())?;
    Ok(format!("{} times, {half_done} of them half done; undone each time", last + 2 - first))
}

fn apply_after_a_killed_one(scene: &Scene<'_>) -> Result<String> {
    let [Writes { first, .. }, _] = writes(scene)?;
    let script = format!(
        "killed_at_write {} slotwise apply bench.toml; settled; slotwise apply bench.toml",
        first + 5
    );
    scene.shows(&script, 2, &["was ended in the middle", "hint: run `slotwise undo` first"])?;
    scene.shows("slotwise undo", 0, &["undone: "])?;
    Ok("refused until undone, exit 2 with a hint".into())
}

fn undo_killed(scene: &Scene<'_>) -> Result<String> {
    let [_, Writes { first, last }] = writes(scene)?;
    let mut cut_short = 0;
    for n in first..=last + 1 {
        let script = format!(
            "slotwise apply bench.toml >/dev/null || exit
             killed_at_write {n} slotwise undo; settled; slotwise status"
        );
        cut_short += usize::from(!killed_then_undone(scene, &script)?.contains("undone"));
    }
    what(cut_short == last + 1 - first, "each but the last is cut short", &cut_short.into())?;
    Ok(format!("{} times, {cut_short} of them not at its end; undone by the next", last + 2 - first))
}

/// Starts a run in the background, does something while its VM runs, and gives its status and what it said.
fn during_run(meanwhile: &str) -> String {
    format!(
        "slotwise run --until never --deadline 60 bench.toml bench >/tmp/run.log 2>&1 & run=$!
         until_true vm_is_up
         {meanwhile}
         wait $run; status=$?; cat /tmp/run.log; exit $status"
    )
}

fn second_at_work(scene: &Scene<'_>) -> Result<String> {
    let meanwhile = "slotwise apply bench.toml 2>/tmp/second; echo \"second ended with $?\"; cat /tmp/second
        grep -q \"process $run, \" /tmp/second && echo the process is named
        kill -INT $run";
    let texts = [
        "second ended with 2",
        "another slotwise is at work on this host",
        "`slotwise run --until never --deadline 60 bench.toml bench`",
        "the process is named",
        "interrupted; the VM was ended",
    ];
    scene.shows(&during_run(meanwhile), 2, &texts)?;
    Ok("the second is told whom to wait for; the first ends its VM, exit 2".into())
}

fn run_terminated(scene: &Scene<'_>) -> Result<String> {
    scene.shows(&during_run("kill -TERM $run"), 2, &["interrupted; the VM was ended"])?;
    Ok("the VM is ended, exit 2".into())
}

fn run_killed(scene: &Scene<'_>) -> Result<String> {
    let script = during_run(
        "kill -KILL $run
         for i in $(seq 50); do vm_is_up || { echo the VM is gone; break; }; sleep 0.1; done
         slotwise status",
    );
    scene.shows(
        &script,
        128 + 9,
        &["the VM is gone", "  applied   (slotwise run ", "give 0000:02:06.0 to vfio-pci"],
    )?;
    scene.shows("slotwise undo", 0, &["undone: "])?;
    Ok("the VM goes with it within 5 s; status tells, undo restores".into())
}

fn monitor_killed(scene: &Scene<'_>) -> Result<String> {
    let script = during_run("sleep 3; kill -KILL $(vm)");
    scene.shows(&script, 2, &["the VM ended: its process was killed", "hint: "])?;
    Ok("exit 2 with a hint, the device given back".into())
}

fn guest_too_slow(scene: &Scene<'_>) -> Result<String> {
    let script = "slotwise run --until never --deadline 12 bench.toml bench 2>&1 >/dev/null";
    let said = scene.shows(script, 2, &["the VM did not show \"never\" within 12 s; its console "])?;
    let showed = if said.out.contains("its console ends:\n") {
        "with the end of its console"
    } else {
        "nothing was on its console yet"
    };
    Ok(format!("the VM is ended, exit 2, {showed}"))
}

fn test_interrupted(scene: &Scene<'_>) -> Result<String> {
    let script = "
        slotwise test bench.toml >/tmp/test.log 2>&1 & test=$!
        until_true vm_is_up; until_true guest_works
        kill -INT $test; since=$SECONDS; wait $test; status=$?
        [ $((SECONDS - since)) -le 5 ] && echo in time
        cat /tmp/test.log; exit $status";
    scene.shows(script, 2, &["interrupted; the VM was ended", "in time"])?;
    Ok("within 5 s the VM is ended, exit 2".into())
}

fn test_hangs(scene: &Scene<'_>) -> Result<String> {
    let script = "
        slotwise test bench.toml >/tmp/test.log 2>&1 & test=$!
        until_true vm_is_up; until_true guest_works
        kill -STOP $(vm)
        kill -TERM $test; since=$SECONDS; wait $test; status=$?
        [ $((SECONDS - since)) -le 10 ] && echo in time
        cat /tmp/test.log; exit $status";
    scene.shows(script, 2, &["interrupted; the VM was ended", "in time"])?;
    Ok("within 10 s the VM is ended by force, exit 2".into())
}

fn neighbour_bound(scene: &Scene<'_>) -> Result<String> {
    scene.shows("modprobe 8139cp", 0, &[""])?;
    let plan = scene.shows("slotwise plan bench.toml", 1, &["group-not-viable", "0000:02:0a.0"]);
    let refused =
        scene.shows("slotwise run bench.toml bench", 1, &["group-not-viable", "nothing was changed"]);
    let run = "slotwise run --despite group-not-viable --deadline 60 bench.toml bench";
    let run = scene.shows(run, 1, &["is not viable", "group-not-viable"]);
    let diagnosis = scene.lab.json(&["slotwise", "diagnose", "--json", "--vm", "bench"], 1);
    let elsewhere = planned_elsewhere(scene);
    // Whatever came of these, the neighbour is let go first.
    scene.shows("modprobe -r 8139cp", 0, &[""])?;
    plan.and(refused).and(run)?;
    elsewhere?;
    let diagnosis = diagnosis?;
    what(
        text_at(&diagnosis, "/findings/0/cause") == "group-not-viable",
        "the first cause is group-not-viable",
        &diagnosis,
    )?;
    Ok("planned, here and from a capture; refused; launched all the same, QEMU fails as told".into())
}

/// A plan made from a capture of the lab host is, word for word, the one that the lab host makes.
fn planned_elsewhere(scene: &Scene<'_>) -> Result {
    scene.shows("rm -f /tmp/here && slotwise capture -o /tmp/here", 0, &["functions"])?;
    let snapshot = capture::from_bytes(&scene.lab.fetch("/tmp/here")?)?;
    let origin = Origin::Saved { kind: SourceKind::Capture, name: "here".to_owned() };
    let topology = Topology::new(slotwise_host::read(&snapshot, origin));
    let request = spec::parse(&super::spec(super::FREE_SLOT)).map_err(|faults| format!("{faults:?}"))?;
    let elsewhere = serde_json::to_value(wire::v1::Plan::new(&plan::plan(&request, &topology)?))?;
    let here = scene.lab.json(&["slotwise", "plan", "--json", "bench.toml"], 1)?;
    what(here == elsewhere, &format!("the plan from a capture is this one: {here:#}"), &elsewhere)
}
