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

/// Where a value is none, the key is refused, and what held before holds (6.2).
fn refused() -> String {
    "Reject".to_owned()
}

/// Takes the smaller of what is offered and what is wanted, up to a limit of the target's own.
fn take_size(value: &str, wanted: u32, held: &mut usize, limit: usize) -> Option<usize> {
    let offered = number(value, 512..=0x00ff_ffff)?;
    let taken = usize::try_from(offered.min(wanted)).ok()?;
    *held = taken.min(limit);
    Some(taken)
}

fn take_truth(value: &str, held: &mut bool) -> String {
    match truth(value) {
        Some(wanted) => {
            *held = wanted;
            if wanted { "Yes" } else { "No" }.to_owned()
        }
        None => refused(),
    }
}

impl Settled {
    /// The answer to one key; `None` where none is due.
    pub(super) fn answer(&mut self, key: &str, value: &str) -> Option<String> {
        let told = |told: &str| Some(told.to_owned());
        match key {
            // Declarations of the initiator.
            "InitiatorName" | "InitiatorAlias" | "TargetName" | "SessionType" => None,
            "MaxRecvDataSegmentLength" => Some(
                take_size(value, u32::MAX, &mut self.unit, DATA_LIMIT_BYTES)
                    .map_or_else(refused, |_| size(DATA_LIMIT_BYTES)),
            ),
            // Lists, of which the target picks.
            "AuthMethod" | "HeaderDigest" | "DataDigest" => {
                let offered = value.split(',').any(|offered| offered == "None");
                if offered { told("None") } else { Some(refused()) }
            }
            "MaxBurstLength" => {
                Some(take_size(value, BURST, &mut self.burst, usize::MAX).map_or_else(refused, size))
            }
            "FirstBurstLength" => Some(
                take_size(value, FIRST_BURST, &mut self.first_burst, usize::MAX).map_or_else(refused, size),
            ),
            // Either side can want it, or do without; this one does as it is asked.
            "InitialR2T" => Some(take_truth(value, &mut self.initial_r2t)),
            "ImmediateData" => Some(take_truth(value, &mut self.immediate)),
            "MaxConnections" | "MaxOutstandingR2T" => told("1"),
            "ErrorRecoveryLevel" | "DefaultTime2Retain" => told("0"),
            "DefaultTime2Wait" => Some(number(value, 0..=3600).map_or_else(refused, |wait| wait.to_string())),
            "DataPDUInOrder" | "DataSequenceInOrder" => told("Yes"),
            "IFMarker" | "OFMarker" => told("No"),
            "IFMarkInt" | "OFMarkInt" => told("Irrelevant"),
            _ => told("NotUnderstood"),
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
