//! One command: its data both ways, its status, and what is done when there is none (RFC 7143, 4.2.4).

use std::time::{Duration, Instant};

use super::{Initiator, InitiatorError, STRAY_LIMIT};
use crate::frame::FrameError;
use crate::request::{DataOut, Function, Request, ScsiCommand};
use crate::response::{DataIn, ReadyToTransfer, Residual, Response, ScsiResponse};
use crate::{Lun, NO_TAG};

/// Which way a command's data go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction<'a> {
    /// No data.
    None,
    /// From the target, so many bytes at most.
    In(u32),
    /// To the target.
    Out(&'a [u8]),
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The status byte; `None` where none came in time, and the command was aborted.
    pub status: Option<u8>,
    /// Sense; empty where there is none.
    pub sense: Vec<u8>,
    /// Data from the target.
    pub data: Vec<u8>,
    /// Bytes that were expected and not moved; negative where there were more.
    pub residual: i64,
    /// From sending the command to its status.
    pub elapsed: Duration,
}

impl Initiator {
    /// Sends a command descriptor block of 16 bytes at most, and waits for its end.
    ///
    /// # Errors
    ///
    /// The connection fails, or the target breaks the protocol, fails, or does not even answer an abort.
    pub fn command(
        &mut self,
        lun: Lun,
        cdb: &[u8],
        direction: Direction<'_>,
        limit: Duration,
    ) -> Result<Completed, InitiatorError> {
        let out = match direction {
            Direction::Out(out) => out,
            Direction::None | Direction::In(_) => &[],
        };
        let long = |_| InitiatorError::Protocol { what: "more data than a command can move" };
        let expected = match direction {
            Direction::In(length) => length,
            Direction::None | Direction::Out(_) => u32::try_from(out.len()).map_err(long)?,
        };
        let (start, task) = (Instant::now(), self.tag());
        let sent = self.start(lun, cdb, direction, (task, expected))?;
        self.unsolicited(task, out, sent)?;
        let mut completed =
            Completed { status: None, sense: Vec::new(), data: Vec::new(), residual: 0, elapsed: limit };
        for _ in 0..STRAY_LIMIT {
            let deadline = start + limit;
            let response = match self.hear(deadline) {
                Err(InitiatorError::Frame(FrameError::TimedOut)) => {
                    self.give_up(lun, task)?;
                    return Ok(completed);
                }
                other => other?,
            };
            let end = match response {
                Response::Data(part) if part.task == task => take_in(part, expected, &mut completed.data)?,
                Response::Ready(ready) if ready.task == task => {
                    self.hand_over(&ready, out)?;
                    None
                }
                Response::Command(end) if end.task == task => finish(end, &mut completed.sense)?,
                _ => None,
            };
            if let Some((status, residual)) = end {
                completed.status = Some(status);
                completed.residual = match residual {
                    Residual::None => 0,
                    Residual::Under(count) => count.into(),
                    Residual::Over(count) => -i64::from(count),
                };
                completed.elapsed = start.elapsed();
                return Ok(completed);
            }
        }
        Err(InitiatorError::Protocol { what: "a command of more units than any has" })
    }

    /// Sends the command with its immediate data, and tells how many of them went along.
    fn start(
        &mut self,
        lun: Lun,
        cdb: &[u8],
        direction: Direction<'_>,
        (task, expected): (u32, u32),
    ) -> Result<usize, InitiatorError> {
        let mut block = [0; 16];
        if cdb.len() > block.len() {
            return Err(InitiatorError::Protocol { what: "a block of more than 16 bytes" });
        }
        block.iter_mut().zip(cdb).for_each(|(own, byte)| *own = *byte);
        let out = if let Direction::Out(out) = direction { out } else { &[] };
        let most = self.limits.first_burst.min(self.limits.unit);
        let now = if self.limits.immediate { out.len().min(most) } else { 0 };
        let last = self.limits.initial_r2t || now >= out.len().min(self.limits.first_burst);
        let order = self.order();
        self.send(Request::Command(ScsiCommand {
            order,
            last,
            reads: matches!(direction, Direction::In(_)),
            writes: matches!(direction, Direction::Out(_)),
            lun,
            task,
            expected,
            cdb: block,
            data: out.get(..now).unwrap_or_default().to_vec(),
        }))?;
        Ok(now)
    }

    /// Data that nobody has to ask for, up to the first burst.
    fn unsolicited(&mut self, task: u32, out: &[u8], sent: usize) -> Result<(), InitiatorError> {
        let burst = out.len().min(self.limits.first_burst);
        if self.limits.initial_r2t || sent >= burst {
            return Ok(());
        }
        self.data_out((task, NO_TAG), out, sent..burst)
    }

    fn hand_over(&mut self, ready: &ReadyToTransfer, out: &[u8]) -> Result<(), InitiatorError> {
        let place = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        let (start, end) = (place(ready.offset), place(ready.offset).saturating_add(place(ready.length)));
        if end > out.len() || start >= end {
            return Err(InitiatorError::Protocol { what: "data asked for that there are not" });
        }
        self.data_out((ready.task, ready.transfer), out, start..end)
    }

    fn data_out(
        &mut self,
        (task, transfer): (u32, u32),
        out: &[u8],
        range: std::ops::Range<usize>,
    ) -> Result<(), InitiatorError> {
        let unit = self.limits.unit.max(512);
        let mut offset = range.start;
        let mut number = 0;
        while offset < range.end {
            let end = range.end.min(offset + unit);
            let data = out.get(offset..end).unwrap_or_default().to_vec();
            let place = u32::try_from(offset).unwrap_or(u32::MAX);
            let last = end == range.end;
            self.send(Request::Data(DataOut { last, task, transfer, number, offset: place, data }))?;
            (offset, number) = (end, number + 1);
        }
        Ok(())
    }

    /// Nothing came in time: the task is aborted, and if the target knows no abort, the logical unit reset.
    fn give_up(&mut self, lun: Lun, task: u32) -> Result<(), InitiatorError> {
        if self.manage(Function::AbortTask, lun, task)? != 0 {
            self.manage(Function::LunReset, lun, NO_TAG)?;
        }
        Ok(())
    }
}

type End = Option<(u8, Residual)>;

/// Takes data in; the target may send no more than was expected, and in order, as was settled.
fn take_in(part: DataIn, expected: u32, data: &mut Vec<u8>) -> Result<End, InitiatorError> {
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    if usize::try_from(part.offset) != Ok(data.len()) {
        return Err(InitiatorError::Protocol { what: "data out of order" });
    }
    if data.len() + part.data.len() > expected {
        return Err(InitiatorError::Protocol { what: "more data than expected" });
    }
    data.extend(part.data);
    Ok(part.status)
}

fn finish(end: ScsiResponse, sense: &mut Vec<u8>) -> Result<End, InitiatorError> {
    if end.response != 0 {
        return Err(InitiatorError::Failed { response: end.response });
    }
    *sense = end.sense;
    Ok(Some((end.status, end.residual)))
}
