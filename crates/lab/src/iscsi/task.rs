//! Tasks whose answers are still to go, and what task management does with them (RFC 7143, 11.5, 11.6).

use std::time::Instant;

use slotwise_iscsi::Lun;
use slotwise_iscsi::request::Function;

use super::service::{Answer, Service};
use super::write::Gathering;
use crate::target::Reset;

/// The most tasks of one connection; the window of command numbers keeps initiators below it.
pub(super) const TASK_LIMIT: usize = 64;

/// Response codes (11.6.1).
const DONE: u8 = 0;
const NO_TASK: u8 = 1;
const NO_LUN: u8 = 2;
const UNSUPPORTED: u8 = 5;

/// A command that the firmware has answered, or never will.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) task: u32,
    pub(super) lun: Lun,
    pub(super) expected: u32,
    pub(super) answer: Answer,
    /// When the answer goes; `None` for never.
    pub(super) at: Option<Instant>,
    /// What [`Service::eras`] was when it was carried out.
    pub(super) era: u64,
}

/// The tasks of a connection.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) gathering: Vec<Gathering>,
    pub(super) due: Vec<Due>,
}

impl Tasks {
    pub(super) fn len(&self) -> usize {
        self.gathering.len() + self.due.len()
    }

    /// Whether the initiator has a task of this name.
    pub(super) fn has(&self, task: u32) -> bool {
        self.gathering.iter().any(|own| own.command.task == task)
            || self.due.iter().any(|own| own.task == task)
    }

    fn abort(&mut self, task: u32) -> u8 {
        let before = self.len();
        self.gathering.retain(|own| own.command.task != task);
        self.due.retain(|own| own.task != task);
        if self.len() < before { DONE } else { NO_TASK }
    }

    fn abort_all(&mut self) {
        self.gathering.clear();
        self.due.clear();
    }

    /// When the next answer has to go.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().filter_map(|due| due.at).min()
    }

    /// Takes an answer whose time has come; those from before a reset are dropped.
    pub(super) fn take_due(&mut self, now: Instant, era: u64) -> Option<Due> {
        self.due.retain(|due| due.era == era);
        let at = self.due.iter().position(|due| due.at.is_some_and(|at| at <= now))?;
        Some(self.due.remove(at))
    }

    /// Carries a function out and gives the response code.
    pub(super) fn manage(&mut self, service: &Service, function: Function, lun: Lun, task: u32) -> u8 {
        let absent = lun.number() != Some(0);
        match function {
            Function::AbortTask => self.abort(task),
            Function::AbortTaskSet | Function::ClearTaskSet | Function::LunReset if absent => NO_LUN,
            Function::AbortTaskSet => {
                self.abort_all();
                DONE
            }
            Function::ClearTaskSet => {
                service.clear_tasks();
                self.abort_all();
                DONE
            }
            Function::LunReset => {
                service.reset(Reset::Device);
                self.abort_all();
                DONE
            }
            Function::WarmReset => {
                service.reset(Reset::Bus);
                self.abort_all();
                DONE
            }
            Function::ColdReset => {
                service.power_cycle();
                self.abort_all();
                DONE
            }
            Function::Other(_) => UNSUPPORTED,
        }
    }
}
