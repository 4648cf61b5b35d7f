//! The commands that we use, typed (QEMU `qapi/{control,misc,qdev,run-state}.json`).

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Arguments, Qmp, QmpError};

/// How long a command that only reads or sets something may take.
const SHORT: Duration = Duration::from_secs(10);

/// What the machine is doing (QEMU `qapi/run-state.json`, `RunState`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// The guest runs.
    Running,
    /// Started with its processors stopped.
    Prelaunch,
    /// Stopped by command.
    Paused,
    /// The guest has shut down, the monitor is still there.
    Shutdown,
    /// The guest cannot go on.
    InternalError,
    /// Any other, by name.
    Other(String),
}

impl From<&str> for RunState {
    fn from(name: &str) -> Self {
        match name {
            "running" => Self::Running,
            "prelaunch" => Self::Prelaunch,
            "paused" => Self::Paused,
            "shutdown" => Self::Shutdown,
            "internal-error" => Self::InternalError,
            other => Self::Other(other.to_owned()),
        }
    }
}

pub(super) fn arguments<const N: usize>(members: [(&str, Value); N]) -> Arguments {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Qmp {
    fn order(&mut self, command: &str) -> Result<(), QmpError> {
        self.execute(command, &Map::new(), SHORT).map(|_| ())
    }

    /// What the machine is doing.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn query_status(&mut self) -> Result<RunState, QmpError> {
        let answer = self.execute("query-status", &Map::new(), SHORT)?;
        let status = answer.get("status").and_then(Value::as_str);
        let missing = || QmpError::Answer { command: "query-status".into(), missing: "status" };
        status.map(RunState::from).ok_or_else(missing)
    }

    /// Stops the guest's processors.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn stop(&mut self) -> Result<(), QmpError> {
        self.order("stop")
    }

    /// Lets the guest's processors run.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn cont(&mut self) -> Result<(), QmpError> {
        self.order("cont")
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn system_reset(&mut self) -> Result<(), QmpError> {
        self.order("system_reset")
    }

    /// Presses the power button: a guest with ACPI shuts down.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn system_powerdown(&mut self) -> Result<(), QmpError> {
        self.order("system_powerdown")
    }

    /// Ends the monitor. That it hangs up instead of answering is an answer too.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn quit(&mut self, within: Duration) -> Result<(), QmpError> {
        match self.execute("quit", &Map::new(), within) {
            Err(QmpError::Closed) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Plugs a device in. Passing through a PCI function pins all of the guest's memory: seconds for each GiB.
    ///
    /// # Errors
    /// As for [`Qmp::execute`]; QEMU's reason is in [`QmpError::Refused`].
    pub fn device_add(
        &mut self,
        driver: &str,
        id: &str,
        mut properties: Arguments,
        within: Duration,
    ) -> Result<(), QmpError> {
        self.forget(id);
        properties.insert("driver".into(), json!(driver));
        properties.insert("id".into(), json!(id));
        self.execute("device_add", &properties, within).map(|_| ())
    }

    /// Takes a device away and waits until it is gone, which the guest has to agree to.
    ///
    /// # Errors
    /// [`QmpError::NotReleased`] when the guest does not answer in time: the request stays with it.
    /// [`QmpError::ReleaseRefused`] when it says no (event `DEVICE_UNPLUG_GUEST_ERROR`, QEMU 6.2).
    pub fn device_del(&mut self, id: &str, within: Duration) -> Result<(), QmpError> {
        let deadline = Instant::now() + within;
        self.ask_release(id, within)?;
        self.wait_device_deleted(id, deadline.saturating_duration_since(Instant::now()))
    }

    /// Asks the guest to release a device. One that was asked already is not asked again: the request stays with it.
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn ask_release(&mut self, id: &str, within: Duration) -> Result<(), QmpError> {
        match self.execute("device_del", &arguments([("id", json!(id))]), within) {
            // QEMU `softmmu/qdev-monitor.c`, `qmp_device_del`, from 6.1 on.
            Err(QmpError::Refused { description, .. })
                if description.contains("already in the process of unplug") =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    /// Waits until a device whose removal was asked for is gone.
    ///
    /// # Errors
    /// As for [`Qmp::device_del`].
    pub fn wait_device_deleted(&mut self, id: &str, within: Duration) -> Result<(), QmpError> {
        const REFUSED: &str = "DEVICE_UNPLUG_GUEST_ERROR";
        let about =
            |event: &super::Event| event.is_about("DEVICE_DELETED", id) || event.is_about(REFUSED, id);
        match self.wait_event("DEVICE_DELETED", about, within) {
            Ok(event) if event.name == REFUSED => Err(QmpError::ReleaseRefused { id: id.to_owned() }),
            Ok(_) => Ok(()),
            Err(QmpError::EventDeadline { .. }) => Err(QmpError::NotReleased { id: id.to_owned(), within }),
            Err(error) => Err(error),
        }
    }

    /// Hands an open file over under a name, for commands that take one (`getfd`).
    ///
    /// # Errors
    /// As for [`Qmp::execute`].
    pub fn getfd(&mut self, name: &str, file: BorrowedFd<'_>) -> Result<(), QmpError> {
        let arguments = arguments([("fdname", json!(name))]);
        self.execute_with_file("getfd", &arguments, file, SHORT).map(|_| ())
    }

    /// Adds an open file to a set, to be named as `/dev/fdset/N` (`add-fd`); gives back the set's number.
    ///
    /// # Errors
    /// As for [`Qmp::execute`], and an answer without the number.
    pub fn add_fd(&mut self, file: BorrowedFd<'_>) -> Result<u64, QmpError> {
        let answer = self.execute_with_file("add-fd", &Map::new(), file, SHORT)?;
        let missing = || QmpError::Answer { command: "add-fd".into(), missing: "fdset-id" };
        answer.get("fdset-id").and_then(Value::as_u64).ok_or_else(missing)
    }
}
