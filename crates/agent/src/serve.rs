//! Answers requests, one after another, until told to power off.

use std::fs::{self, File};
use std::io::Write;

use rustix::system::{RebootCommand, reboot};
use slotwise_testbench::wire::{
    Answer, AnswerLine, OPERATIONS_VERSION, PROTOCOL_VERSION, Request, RequestLine,
};

use crate::line::{Line, Lines};
use crate::{boot, function, kernel_log, pci, scsi};

/// Number of an answer to a line that could not be read, and so has no number.
const NO_ID: u64 = 0;

/// What to do when told to power off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// The guest is the agent's own.
    PowerOff,
    /// The guest is somebody's system, in which the agent is a program like others.
    Exit,
}

/// Serves one port for as long as it lives.
pub(crate) fn serve(port: File, complaints: &[String], at_end: AtEnd) {
    let Ok(mut out) = port.try_clone() else { return };
    let mut lines = Lines::new(port);
    while let Ok(line) = lines.next() {
        let parsed = match line {
            Line::TooLong => Err("the line is too long".to_owned()),
            Line::Whole(bytes) => serde_json::from_slice::<RequestLine>(&bytes)
                .map_err(|error| format!("not a request: {error}")),
        };
        let (id, answer, last) = match parsed {
            Ok(RequestLine { id, request }) => {
                let last = request == Request::PowerOff;
                (id, answer(request, complaints), last)
            }
            Err(reason) => (NO_ID, Answer::Refused { reason }, false),
        };
        if !send(&mut out, &AnswerLine { id, answer }) {
            return;
        }
        if last {
            if at_end == AtEnd::PowerOff {
                let _ = reboot(RebootCommand::PowerOff);
            }
            return;
        }
    }
}

fn send(out: &mut File, answer: &AnswerLine) -> bool {
    let Ok(mut line) = serde_json::to_vec(answer) else { return false };
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}

fn answer(request: Request, complaints: &[String]) -> Answer {
    let done = match request {
        Request::Hello { version: _ } => Ok(hello(complaints)),
        Request::Scan(nexus) => scsi::scan(nexus).map(|hosts| Answer::Scanned { hosts }),
        Request::Devices => scsi::devices().map(|devices| Answer::Devices { devices }),
        Request::Execute { device, commands } => {
            scsi::execute(device, &commands).map(|outcomes| Answer::Executed { outcomes })
        }
        Request::KernelLog { since } => {
            kernel_log::records(since).map(|(records, next)| Answer::KernelLog { records, next })
        }
        Request::Pci => {
            boot::load_for_functions();
            pci::functions().map(|functions| Answer::Pci { functions })
        }
        Request::Perform { function, operation } => {
            function::perform(&function, &operation).map(|outcome| Answer::Performed { outcome })
        }
        Request::PowerOff => Ok(Answer::Bye),
    };
    done.unwrap_or_else(|reason| Answer::Refused { reason })
}

fn hello(complaints: &[String]) -> Answer {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    Answer::Hello {
        version: PROTOCOL_VERSION,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        uptime_us: microseconds(&read("/proc/uptime")),
        complaints: complaints.to_vec(),
        operations: OPERATIONS_VERSION,
    }
}

/// `/proc/uptime` gives seconds with two digits after the point.
fn microseconds(uptime: &str) -> u64 {
    let seconds = uptime.split_whitespace().next().and_then(|text| text.split_once('.'));
    let parsed = seconds.and_then(|(whole, hundredths)| {
        let whole: u64 = whole.parse().ok()?;
        let hundredths: u64 = hundredths.parse().ok()?;
        whole.checked_mul(1_000_000)?.checked_add(hundredths.checked_mul(10_000)?)
    });
    parsed.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotwise_testbench::wire::Operation;

    #[test]
    fn operations_out_of_their_limits_and_on_no_function_are_refused() {
        for line in [
            r#"{"id":1,"request":{"perform":{"function":"0000:00:00.0","operation":"explode"}}}"#,
            r#"{"id":1,"request":{"perform":{"function":"0000:00:00.0","operation":{"pause":{"ms":-1}}}}}"#,
            r#"{"id":1,"request":{"perform":{"function":"0000:00:00.0","operation":{"attribute-read":{"attribute":"rom"}}}}}"#,
        ] {
            assert!(serde_json::from_str::<RequestLine>(line).is_err(), "{line}");
        }
        for function in ["", "/", "0000:00:00.0/../0000:00:01.0", "ffff:ff:1f.7", &"0".repeat(1 << 20)] {
            let operation = Operation::ConfigRead { offset: 0, length: 4 };
            let answer = answer(Request::Perform { function: function.to_owned(), operation }, &[]);
            assert!(matches!(answer, Answer::Refused { reason } if reason.len() < 100));
        }
    }

    #[test]
    fn uptime_is_read_to_the_hundredth() {
        assert_eq!(microseconds("12.34 5.60\n"), 12_340_000);
        assert_eq!(microseconds(""), 0);
    }
}
