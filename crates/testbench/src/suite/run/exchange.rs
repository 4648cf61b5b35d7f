//! What is kept of a command for the report, and of data only how they begin: a sweep over transfer lengths moves
//! megabytes, and a journal that had them all would take the bench longer to write than all else it does.

use serde::{Deserialize, Serialize};

use crate::wire::{Command, CommandOutcome, Completion, Direction, HexBytes};

/// Bytes of data kept from one command, each way.
const HEAD_LIMIT_BYTES: usize = 256;

/// A command that was sent, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What the command is called.
    pub title: String,
    /// Line of the step in its file.
    pub line: usize,
    /// The command.
    pub sent: Sent,
    /// `None` if the transport failed first.
    pub outcome: Option<Came>,
    /// What was wrong with the answer.
    pub complaint: Option<String>,
}

/// A command as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Command descriptor block.
    pub cdb: HexBytes,
    /// Its data.
    pub data: SentData,
}

/// Data of a command as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentData {
    /// None.
    None,
    /// From the device.
    In {
        /// Size of the buffer offered, in bytes.
        length: usize,
    },
    /// To the device.
    Out(Head),
}

/// What came of a command, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Came {
    /// The kernel took the command and gave it back.
    Completed {
        /// How, without the data.
        completion: Completion,
        /// The data.
        data: Head,
    },
    /// The command was never sent.
    NotSent {
        /// The operating system's error.
        error: String,
    },
}

/// How data begin, and how many there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// At most 256.
    pub bytes: HexBytes,
    /// Of all the data, in bytes.
    pub length: usize,
}

impl Head {
    /// Of these data.
    pub fn of(data: &[u8]) -> Self {
        let bytes = data.get(..HEAD_LIMIT_BYTES).unwrap_or(data).to_vec();
        Self { bytes: HexBytes(bytes), length: data.len() }
    }
}

impl From<&Command> for Sent {
    fn from(command: &Command) -> Self {
        let data = match &command.direction {
            Direction::None => SentData::None,
            Direction::In { .. } => SentData::In { length: command.data_length() },
            Direction::Out { data } => SentData::Out(Head::of(&data.0)),
        };
        Self { cdb: command.cdb.clone(), data }
    }
}

impl From<CommandOutcome> for Came {
    fn from(outcome: CommandOutcome) -> Self {
        match outcome {
            CommandOutcome::NotSent { error } => Self::NotSent { error },
            CommandOutcome::Completed(completion) => {
                let data = Head::of(&completion.data.0);
                Self::Completed { completion: Completion { data: HexBytes::default(), ..completion }, data }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_data_are_cut_and_their_length_is_kept() {
        let long: Vec<u8> = (0..=255).chain(0..=255).collect();
        let command = Command {
            cdb: HexBytes(vec![0x2a]),
            direction: Direction::Out { data: HexBytes(long.clone()) },
            timeout_ms: 1,
        };
        let SentData::Out(head) = Sent::from(&command).data else { panic!() };
        assert_eq!((head.bytes.0.as_slice(), head.length), (&long[..256], 512));
        assert_eq!(Head::of(&[1, 2]), Head { bytes: HexBytes(vec![1, 2]), length: 2 });
    }
}
