//! Data on their way to a command: with it, behind it without being asked for, and asked for (RFC 7143, 4.2.4.2).

use slotwise_iscsi::NO_TAG;
use slotwise_iscsi::request::{DataOut, ScsiCommand};
use slotwise_iscsi::response::ReadyToTransfer;

use super::keys::Settled;

/// The most data of one command: READ(10) and WRITE(10) of 65 535 blocks move half of it.
pub(super) const TRANSFER_LIMIT_BYTES: u32 = 64 << 20;

/// A command whose data are still to come.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) command: ScsiCommand,
    data: Vec<u8>,
    /// Whether data still come unasked.
    unasked: bool,
    /// What was asked for last: its tag, and where it ends.
    asked: Option<(u32, usize)>,
    requests: u32,
}

/// What a unit of data led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is on its way.
    Wait,
    /// This has to be asked for.
    Ask(ReadyToTransfer),
    /// All are here.
    Whole,
}

/// The initiator breaks the rules that were settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data that were not to come")]
pub(super) struct DataError;

fn place(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Gathering {
    /// Begins with what came along with the command.
    pub(super) fn new(mut command: ScsiCommand, settled: &Settled) -> Result<Self, DataError> {
        let data = std::mem::take(&mut command.data);
        let allowed = settled.immediate && data.len() <= settled.first_burst.min(place(command.expected));
        let unasked = !command.last;
        if !data.is_empty() && !allowed || unasked && settled.initial_r2t {
            return Err(DataError);
        }
        Ok(Self { command, data, unasked, asked: None, requests: 0 })
    }

    fn expected(&self) -> usize {
        place(self.command.expected)
    }

    /// What is due when the command has come.
    pub(super) fn begin(&mut self, settled: &Settled, transfer: u32) -> Progress {
        if self.unasked { Progress::Wait } else { self.go_on(settled, transfer) }
    }

    /// Takes a unit of data; `transfer` names what is asked for next.
    pub(super) fn take(
        &mut self,
        out: DataOut,
        settled: &Settled,
        transfer: u32,
    ) -> Result<Progress, DataError> {
        let end = self.data.len().saturating_add(out.data.len());
        let limit = match (self.asked, out.transfer) {
            (None, NO_TAG) if self.unasked => settled.first_burst.min(self.expected()),
            (Some((tag, limit)), own) if tag == own => limit,
            _ => return Err(DataError),
        };
        // In order, as was settled.
        if place(out.offset) != self.data.len() || end > limit {
            return Err(DataError);
        }
        self.data.extend(out.data);
        if !out.last {
            return Ok(Progress::Wait);
        }
        if self.asked.is_some() && end != limit {
            return Err(DataError);
        }
        (self.unasked, self.asked) = (false, None);
        Ok(self.go_on(settled, transfer))
    }

    fn go_on(&mut self, settled: &Settled, transfer: u32) -> Progress {
        let offset = self.data.len();
        let length = (self.expected() - offset.min(self.expected())).min(settled.burst);
        if length == 0 {
            return Progress::Whole;
        }
        self.asked = Some((transfer, offset + length));
        let number = self.requests;
        self.requests += 1;
        let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Progress::Ask(ReadyToTransfer {
            lun: self.command.lun,
            task: self.command.task,
            transfer,
            number,
            offset: small(offset),
            length: small(length),
        })
    }

    pub(super) fn into_parts(self) -> (ScsiCommand, Vec<u8>) {
        (self.command, self.data)
    }
}

#[cfg(test)]
mod tests {
    use slotwise_iscsi::Lun;
    use slotwise_iscsi::request::Order;

    use super::*;

    fn command(expected: u32, data: Vec<u8>, last: bool) -> ScsiCommand {
        ScsiCommand {
            order: Order::default(),
            last,
            reads: false,
            writes: true,
            lun: Lun::default(),
            task: 7,
            expected,
            cdb: [0; 16],
            data,
        }
    }

    fn part(transfer: u32, offset: u32, length: usize, last: bool) -> DataOut {
        DataOut { last, task: 7, transfer, number: 0, offset, data: vec![1; length] }
    }

    const FREE: Settled =
        Settled { unit: 8192, burst: 1024, first_burst: 1024, immediate: true, initial_r2t: false };

    #[test]
    fn data_come_with_the_command_then_unasked_then_asked_for() {
        let mut gathering = Gathering::new(command(2560, vec![0; 512], false), &FREE).unwrap();
        assert_eq!(gathering.begin(&FREE, 1), Progress::Wait);
        let Ok(Progress::Ask(ready)) = gathering.take(part(NO_TAG, 512, 512, true), &FREE, 1) else {
            panic!("nothing was asked for");
        };
        assert_eq!((ready.offset, ready.length, ready.number), (1024, 1024, 0));
        assert_eq!(gathering.take(part(1, 1024, 512, false), &FREE, 2), Ok(Progress::Wait));
        let Ok(Progress::Ask(ready)) = gathering.take(part(1, 1536, 512, true), &FREE, 2) else {
            panic!("nothing was asked for");
        };
        assert_eq!((ready.offset, ready.length, ready.number), (2048, 512, 1));
        assert_eq!(gathering.take(part(2, 2048, 512, true), &FREE, 3), Ok(Progress::Whole));
        assert_eq!(gathering.into_parts().1.len(), 2560);
    }

    #[test]
    fn data_that_were_not_to_come_are_refused() {
        let strict = Settled { immediate: false, initial_r2t: true, ..FREE };
        assert!(Gathering::new(command(512, vec![0; 512], true), &strict).is_err());
        assert!(Gathering::new(command(512, vec![], false), &strict).is_err());
        assert!(Gathering::new(command(512, vec![0; 513], true), &FREE).is_err());
        for wrong in [
            part(NO_TAG, 0, 512, true),
            part(9, 0, 512, true),
            part(1, 512, 512, true),
            part(1, 0, 4096, true),
            part(1, 0, 512, true),
        ] {
            let mut gathering = Gathering::new(command(1024, vec![], true), &FREE).unwrap();
            assert!(matches!(gathering.begin(&FREE, 1), Progress::Ask(_)));
            assert_eq!(gathering.take(wrong, &FREE, 2), Err(DataError));
        }
    }
}
