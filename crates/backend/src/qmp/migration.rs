//! A stopped machine's state to a file and back (QEMU `qapi/migration.json`; `docs/devel/migration.rst`).
//!
//! The file is opened by us and handed over, so QEMU starts no program and opens no path of its own. Devices with
//! state outside QEMU, VFIO's among them, refuse: what QEMU says of it is in the error.

use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::command::arguments;
use super::{Arguments, Qmp, QmpError};

/// How long a question about a migration may take.
const SHORT: Duration = Duration::from_secs(10);
/// How often it is asked how far a migration is; a small guest's takes about a second.
const POLL: Duration = Duration::from_millis(20);
/// Name under which the file is handed over.
const FILE: &str = "slotwise-state";
/// More than any file takes, in bytes a second. QEMU's own limit is meant for networks (128 MiB a second).
const NO_LIMIT_BYTES_PER_SECOND: u64 = 1 << 40;

/// How far a migration is (QEMU `qapi/migration.json`, `MigrationStatus`).
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    UnderWay,
    Completed,
    Failed(String),
}

impl Progress {
    fn of(answer: &Value) -> Self {
        match answer.get("status").and_then(Value::as_str) {
            Some("completed") => Self::Completed,
            Some(status @ ("failed" | "cancelled" | "cancelling")) => {
                let said = answer.get("error-desc").and_then(Value::as_str);
                Self::Failed(said.map_or_else(|| status.to_owned(), str::to_owned))
            }
            // None at all before it has begun.
            _ => Self::UnderWay,
        }
    }
}

impl Qmp {
    /// Writes the whole machine into an open file. The guest is stopped, and stays so.
    ///
    /// # Errors
    /// [`QmpError::Refused`] with QEMU's reason, a device that cannot be saved for example; no end in time.
    pub fn save_to(&mut self, file: BorrowedFd<'_>, within: Duration) -> Result<(), QmpError> {
        self.stop()?;
        let limit = arguments([("max-bandwidth", json!(NO_LIMIT_BYTES_PER_SECOND))]);
        self.execute("migrate-set-parameters", &limit, SHORT)?;
        self.migrate("migrate", file, within)
    }

    /// Takes over the state in an open file. The machine was started with `-incoming defer` and has the same devices
    /// as the one that was saved; its processors are stopped still when this is done.
    ///
    /// # Errors
    /// As for [`Self::save_to`]. A machine that has failed at this is of no use.
    pub fn load_from(&mut self, file: BorrowedFd<'_>, within: Duration) -> Result<(), QmpError> {
        self.migrate("migrate-incoming", file, within)
    }

    fn migrate(
        &mut self,
        command: &'static str,
        file: BorrowedFd<'_>,
        within: Duration,
    ) -> Result<(), QmpError> {
        let deadline = Instant::now() + within;
        self.getfd(FILE, file)?;
        let uri = arguments([("uri", json!(format!("fd:{FILE}")))]);
        self.execute(command, &uri, within)?;
        loop {
            let answer = self.execute("query-migrate", &Arguments::new(), SHORT)?;
            match Progress::of(&answer) {
                Progress::Completed => return Ok(()),
                Progress::Failed(description) => {
                    let class = super::ErrorClass::Generic;
                    return Err(QmpError::Refused { command: command.into(), class, description });
                }
                Progress::UnderWay if Instant::now() >= deadline => {
                    return Err(QmpError::CommandDeadline { command: command.into(), within });
                }
                Progress::UnderWay => thread::sleep(POLL),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_migration_is_told_from_its_course() {
        let of = |text: &str| Progress::of(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(of("{}"), Progress::UnderWay);
        assert_eq!(of(r#"{"status": "active"}"#), Progress::UnderWay);
        assert_eq!(of(r#"{"status": "device"}"#), Progress::UnderWay);
        assert_eq!(of(r#"{"status": "completed"}"#), Progress::Completed);
        let failed = of(r#"{"status": "failed", "error-desc": "VFIO device doesn't support migration"}"#);
        assert_eq!(failed, Progress::Failed("VFIO device doesn't support migration".into()));
        assert_eq!(of(r#"{"status": "failed"}"#), Progress::Failed("failed".into()));
        for nonsense in ["[]", "null", r#"{"status": 7}"#] {
            assert_eq!(of(nonsense), Progress::UnderWay, "{nonsense}");
        }
    }
}
