//! Time in which this machine stood still.
//!
//! A host that is itself a virtual machine, or that swaps, now and then runs nothing for a second. A command that was on
//! its way seems slow then, and the device was not: a case that allows a command a second would blame it. So a thread
//! asks for the time at short intervals; by how much it comes late, everything here came late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::wire::CommandOutcome;

/// How often the time is asked for.
const TICK: Duration = Duration::from_millis(20);
/// What a busy machine may let a thread wait: no stall.
const SLACK: Duration = Duration::from_millis(30);
/// A command that is answered within this is not looked at: no case allows less than a quarter of a second.
const QUICK: Duration = Duration::from_millis(100);

/// Watches for stalls until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    lost_us: Arc<AtomicU64>,
    /// The thread ends when this is gone. Without a thread no stall is seen, and every answer counts as it came.
    _alive: Sender<()>,
}

impl Watch {
    pub(super) fn begin() -> Self {
        let lost_us = Arc::new(AtomicU64::new(0));
        let (alive, gone) = mpsc::channel();
        let counter = Arc::clone(&lost_us);
        let watch = move || {
            let mut last = Instant::now();
            while gone.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                counter.fetch_add(micros(late(now - last)), Ordering::Relaxed);
                last = now;
            }
        };
        // A machine that cannot start one more thread has worse troubles than a slow answer.
        let _ = thread::Builder::new().name("stalls".into()).spawn(watch);
        Self { lost_us, _alive: alive }
    }

    /// Time lost until now.
    pub(super) fn lost(&self) -> Duration {
        Duration::from_micros(self.lost_us.load(Ordering::Relaxed))
    }

    /// Takes what was lost since `before` off the times of slow answers.
    pub(super) fn discount(&self, before: Duration, outcomes: &mut [CommandOutcome]) {
        if !outcomes.iter_mut().any(|outcome| slow(outcome).is_some()) {
            return;
        }
        // After a stall this thread may be the first to run again.
        thread::sleep(TICK * 2);
        let lost = micros(self.lost().saturating_sub(before));
        for elapsed_us in outcomes.iter_mut().filter_map(slow) {
            *elapsed_us = elapsed_us.saturating_sub(lost);
        }
    }
}

/// How much later than asked for, beyond what is usual.
fn late(gap: Duration) -> Duration {
    gap.checked_sub(TICK).filter(|late| *late > SLACK).unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The time of an answer that took long.
fn slow(outcome: &mut CommandOutcome) -> Option<&mut u64> {
    match outcome {
        CommandOutcome::Completed(completion) if u128::from(completion.elapsed_us) > QUICK.as_micros() => {
            Some(&mut completion.elapsed_us)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_what_no_busy_machine_explains() {
        let of = |ms| late(Duration::from_millis(ms)).as_millis();
        assert_eq!([of(0), of(20), of(50), of(51), of(1_020)], [0, 0, 0, 31, 1_000]);
    }
}
