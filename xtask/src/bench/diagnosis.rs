//! How fast logs are read: a log of two gigabytes beside ripgrep with the same words, a paste, and what never ends.
//!
//! Times are the best of three runs, both programs in turn in one run of this, so that whatever else the machine does
//! hits both. Memory is the most that the kernel ever counted for the process (`VmHWM`, proc_pid_status(5)).

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slotwise_core::diagnose::gate_words;

use super::median;
use crate::{Result, build, packages};

/// Size of the long log, in bytes.
const LONG: u64 = 2 << 30;
/// Size of the file that is one hole, in bytes.
const HOLE: u64 = 10 << 30;
/// One line of so many bytes of log has a word of the gate.
const RARE: u64 = 64 << 20;
/// How often each program runs.
const RUNS: usize = 3;

/// What a run took.
struct Took {
    time: Duration,
    peak_kib: u64,
}

/// Measures and prints.
pub(crate) fn run() -> Result {
    packages::ensure()?;
    let slotwise = build::dist()?.program("slotwise");
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("long.log");
    write_long_log(&log)?;
    let words = folder.path().join("words");
    std::fs::write(&words, gate_words().join("\n"))?;

    let (mut ours, mut theirs, mut piped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(took(Command::new(&slotwise).args(["diagnose", "--json"]).arg(&log), None)?);
        theirs.push(took(Command::new("rg").args(["-c", "-F", "-f"]).arg(&words).arg(&log), None)?);
        piped.push(took(Command::new(&slotwise).args(["diagnose", "--json"]), Some(&log))?);
    }
    let (ours, theirs, piped) = (best(&ours), best(&theirs), best(&piped));
    line("2 GiB log, hits every 64 MiB", &ours, LONG);
    line("the same from standard input", &piped, LONG);
    line("ripgrep -c -F with the same words", &theirs, LONG);
    println!(
        "{:>10.2}    of ripgrep's speed (target: >= 0.5)",
        theirs.time.as_secs_f64() / ours.time.as_secs_f64()
    );

    let hole = folder.path().join("hole.log");
    File::create(&hole)?.set_len(HOLE)?;
    let endless = took(Command::new(&slotwise).args(["diagnose", "--json"]).arg(&hole), None)?;
    line("10 GiB without a line feed", &endless, HOLE);

    let paste = folder.path().join("paste.log");
    std::fs::write(&paste, paste_of_100_lines())?;
    let starts = (0..50)
        .map(|_| {
            took(Command::new(&slotwise).args(["diagnose", "--json"]).arg(&paste), None).map(|took| took.time)
        })
        .collect::<Result<Vec<_>>>()?;
    let median = median(starts);
    println!(
        "{:>7.1} ms    paste of 100 lines with start, median of 50 (target: < 10 ms)",
        median.as_secs_f64() * 1e3
    );
    Ok(())
}

fn line(what: &str, took: &Took, bytes: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let speed = bytes as f64 / 1e9 / took.time.as_secs_f64();
    println!("{:>7.2} GB/s  {:>6} KiB at most  {what}", speed, took.peak_kib);
}

fn best(runs: &[Took]) -> Took {
    let time = runs.iter().map(|run| run.time).min().unwrap_or_default();
    Took { time, peak_kib: runs.iter().map(|run| run.peak_kib).max().unwrap_or_default() }
}

/// Runs a program to its end, whatever it finds.
fn took(command: &mut Command, input: Option<&Path>) -> Result<Took> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.stdin(match input {
        Some(path) => Stdio::from(File::open(path)?),
        None => Stdio::null(),
    });
    let start = Instant::now();
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        peak_kib = peak_kib.max(peak_of(&status));
        if let Some(status) = child.try_wait()? {
            if status.code().is_none_or(|code| code > 1) {
                return Err(format!("{command:?} ended with {status}").into());
            }
            return Ok(Took { time: start.elapsed(), peak_kib });
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn peak_of(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// What hosts log all day, with a line of interest now and then.
fn write_long_log(path: &Path) -> Result {
    let dull: String = (0..40_000)
        .map(|n| match n % 4 {
            0 => format!("Nov 21 10:{:02}:{:02} host kernel: [{n:>8}.000001] usb 1-{}: new high-speed device\n", n / 60 % 60, n % 60, n % 9),
            1 => format!("Nov 21 10:{:02}:{:02} host systemd[1]: Started session-{n}.scope - Session {n} of user root.\n", n / 60 % 60, n % 60),
            2 => format!("Nov 21 10:{:02}:{:02} host sshd[{n}]: Accepted publickey for root from 10.0.0.{} port {n}\n", n / 60 % 60, n % 60, n % 250),
            _ => format!("Nov 21 10:{:02}:{:02} host kernel: [{n:>8}.000002] EXT4-fs (dm-{}): mounted filesystem with ordered data mode\n", n / 60 % 60, n % 60, n % 7),
        })
        .collect();
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut next) = (0_u64, RARE);
    while written < LONG {
        file.write_all(dull.as_bytes())?;
        written += dull.len() as u64;
        if written >= next {
            next += RARE;
            file.write_all(b"vfio-pci 0000:01:00.0: vfio_bar_restore: reset recovery - restoring BARs\n")?;
        }
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

fn paste_of_100_lines() -> String {
    let mut text = String::from("I cannot start my VM, this is what it says:\n");
    for n in 0..48 {
        text.push_str(&format!(
            "[{n:>5}.100000] pci 0000:{n:02x}:00.0: [8086:1533] type 00 class 0x020000\n"
        ));
        text.push_str(&format!("[{n:>5}.200000] pci 0000:{n:02x}:00.0: Adding to iommu group {n}\n"));
    }
    text.push_str(
        "genirq: Flags mismatch irq 16. 00000000 (vfio-intx(0000:05:00.0)) vs. 00000080 (ehci_hcd:usb1)\n",
    );
    text.push_str("vfio 0000:05:00.0: Failed to set up TRIGGER eventfd signaling for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Device or resource busy\n");
    text.push_str("What can I do?\n");
    text
}
