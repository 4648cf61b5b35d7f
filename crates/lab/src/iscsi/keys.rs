//! Which value holds for each key of a negotiation (RFC 7143, 6.2, 13).

use slotwise_iscsi::frame::DATA_LIMIT_BYTES;
use slotwise_iscsi::text::{Keys, number, truth};

/// What a session keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// The most data the initiator takes in one unit.
    pub(super) unit: usize,
    /// The most data asked for or sent in one sequence.
    pub(super) burst: usize,
    /// The most data that come without being asked for.
    pub(super) first_burst: usize,
    /// Whether data may come with the command.
    pub(super) immediate: bool,
    /// Whether all other data are asked for.
    pub(super) initial_r2t: bool,
}

impl Default for Settled {
    /// The values that hold without negotiation (13.10 to 13.14).
    fn default() -> Self {
        Self { unit: 8192, burst: 262_144, first_burst: 65_536, immediate: true, initial_r2t: true }
    }
}

/// What this target wants, where the two sides' values decide together.
const BURST: u32 = 262_144;
const FIRST_BURST: u32 = 65_536;

fn size(value: usize) -> String {
    value.to_string()
}

impl Settled {
    /// The answer to one key; `None` where none is due.
    pub(super) fn answer(&mut self, key: &str, value: &str) -> Option<String> {
        let yes = |value: bool| if value { "Yes" } else { "No" }.to_owned();
        // Where a value is none, the key is refused, and what held before holds (6.2).
        let refused = || Some("Reject".to_owned());
        let bytes = |most: u32| {
            number(value, 512..=0x00ff_ffff).and_then(|offered| usize::try_from(offered.min(most)).ok())
        };
        match key {
            // Declarations of the initiator.
            "InitiatorName" | "InitiatorAlias" | "TargetName" | "SessionType" => None,
            "MaxRecvDataSegmentLength" => match bytes(u32::MAX) {
                Some(unit) => {
                    self.unit = unit.min(DATA_LIMIT_BYTES);
                    Some(size(DATA_LIMIT_BYTES))
                }
                None => refused(),
            },
            // Lists, of which the target picks.
            "AuthMethod" | "HeaderDigest" | "DataDigest" => {
                if value.split(',').any(|offered| offered == "None") {
                    Some("None".to_owned())
                } else {
                    refused()
                }
            }
            "MaxBurstLength" => match bytes(BURST) {
                Some(burst) => {
                    self.burst = burst;
                    Some(size(burst))
                }
                None => refused(),
            },
            "FirstBurstLength" => match bytes(FIRST_BURST) {
                Some(burst) => {
                    self.first_burst = burst;
                    Some(size(burst))
                }
                None => refused(),
            },
            "InitialR2T" => match truth(value) {
                // Either side can want it.
                Some(wanted) => {
                    self.initial_r2t = wanted;
                    Some(yes(wanted))
                }
                None => refused(),
            },
            "ImmediateData" => match truth(value) {
                Some(wanted) => {
                    self.immediate = wanted;
                    Some(yes(wanted))
                }
                None => refused(),
            },
            "MaxConnections" | "MaxOutstandingR2T" => Some("1".to_owned()),
            "ErrorRecoveryLevel" | "DefaultTime2Retain" => Some("0".to_owned()),
            "DefaultTime2Wait" => number(value, 0..=3600).map(|wait| wait.to_string()).or_else(refused),
            "DataPDUInOrder" | "DataSequenceInOrder" => Some(yes(true)),
            "IFMarker" | "OFMarker" => Some(yes(false)),
            "IFMarkInt" | "OFMarkInt" => Some("Irrelevant".to_owned()),
            _ => Some("NotUnderstood".to_owned()),
        }
    }

    /// Answers to all keys, in their order.
    pub(super) fn answers(&mut self, offered: &Keys) -> Keys {
        let mut told = Keys::default();
        for (key, value) in offered.iter() {
            if let Some(answer) = self.answer(key, value) {
                told = told.with(key, answer);
            }
        }
        self.first_burst = self.first_burst.min(self.burst);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_size_holds_and_nonsense_changes_nothing() {
        let mut settled = Settled::default();
        assert_eq!(settled.answer("MaxBurstLength", "16776192").as_deref(), Some("262144"));
        assert_eq!(settled.answer("FirstBurstLength", "512").as_deref(), Some("512"));
        assert_eq!(settled.answer("FirstBurstLength", "1").as_deref(), Some("Reject"));
        assert_eq!(settled.first_burst, 512);
        assert_eq!(settled.answer("ImmediateData", "maybe").as_deref(), Some("Reject"));
        assert!(settled.immediate);
    }

    #[test]
    fn authentication_and_digests_are_none_or_refused() {
        let mut settled = Settled::default();
        assert_eq!(settled.answer("AuthMethod", "CHAP,None").as_deref(), Some("None"));
        assert_eq!(settled.answer("HeaderDigest", "CRC32C").as_deref(), Some("Reject"));
        assert_eq!(settled.answer("X-com.example", "1").as_deref(), Some("NotUnderstood"));
    }

    #[test]
    fn unasked_data_are_no_more_than_a_burst() {
        let mut settled = Settled::default();
        let offered = Keys::default().with("FirstBurstLength", "65536").with("MaxBurstLength", "1024");
        settled.answers(&offered);
        assert_eq!((settled.first_burst, settled.burst), (1024, 1024));
    }
}
