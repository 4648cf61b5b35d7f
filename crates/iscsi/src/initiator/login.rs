//! Login: what this initiator offers, and what it lets the target decide (RFC 7143, 6.3, 13).

use super::{Initiator, InitiatorError, PATIENCE};
use crate::frame::DATA_LIMIT_BYTES;
use crate::request::{Login, Order, Request, Stage};
use crate::response::{LoginResponse, Response};
use crate::text::{Keys, TEXT_LIMIT_BYTES, number, truth};

/// Requests until a login must be through.
const ROUND_LIMIT: usize = 16;

/// Who logs in, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The initiator's name.
    pub initiator: String,
    /// Makes several sessions of one initiator differ.
    pub qualifier: u16,
    /// The target's name; none for a discovery session.
    pub target: Option<String>,
}

/// What login has settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most data the target takes in one unit.
    pub(super) unit: usize,
    /// The most data without being asked.
    pub(super) first_burst: usize,
    /// Whether data may come with the command.
    pub(super) immediate: bool,
    /// Whether all other data must be asked for.
    pub(super) initial_r2t: bool,
}

impl Default for Limits {
    /// The values that hold without negotiation (13.10 to 13.14).
    fn default() -> Self {
        Self { unit: 8192, first_burst: 65536, immediate: true, initial_r2t: true }
    }
}

impl Initiator {
    pub(super) fn login(&mut self, credentials: &Credentials) -> Result<(), InitiatorError> {
        let mut offer = Keys::default().with("InitiatorName", credentials.initiator.as_str());
        offer = match &credentials.target {
            Some(target) => offer.with("TargetName", target.as_str()).with("SessionType", "Normal"),
            None => offer.with("SessionType", "Discovery"),
        };
        offer = offer
            .with("HeaderDigest", "None")
            .with("DataDigest", "None")
            .with("ErrorRecoveryLevel", "0")
            .with("MaxRecvDataSegmentLength", DATA_LIMIT_BYTES.to_string());
        if credentials.target.is_some() {
            offer = offer
                .with("InitialR2T", "No")
                .with("ImmediateData", "Yes")
                .with("MaxBurstLength", "262144")
                .with("FirstBurstLength", "65536")
                .with("MaxConnections", "1")
                .with("MaxOutstandingR2T", "1")
                .with("DefaultTime2Wait", "2")
                .with("DefaultTime2Retain", "0")
                .with("DataPDUInOrder", "Yes")
                .with("DataSequenceInOrder", "Yes");
        }
        let mut text = offer.bytes();
        let mut settled = Vec::new();
        let mut tsih = 0;
        for _ in 0..ROUND_LIMIT {
            let request = self.login_request(credentials, tsih, std::mem::take(&mut text));
            let task = request.task;
            self.send(Request::Login(request))?;
            let answer = self.wait(PATIENCE, |response| match response {
                Response::Login(login) if login.task == task => Ok(login),
                other => Err(other),
            })?;
            let LoginResponse { status: (class, detail), next, tsih: own, text: told, .. } = answer;
            if class != 0 {
                return Err(InitiatorError::Refused { class, detail });
            }
            settled.extend(told);
            if settled.len() > TEXT_LIMIT_BYTES {
                return Err(InitiatorError::Protocol { what: "login text without end" });
            }
            tsih = own;
            if next == Some(Stage::FullFeature) {
                return self.settle(&Keys::parse(&settled)?);
            }
        }
        Err(InitiatorError::Protocol { what: "login does not come to an end" })
    }

    fn login_request(&mut self, credentials: &Credentials, tsih: u16, text: Vec<u8>) -> Login {
        let [high, low] = credentials.qualifier.to_be_bytes();
        Login {
            stage: Stage::Operational,
            next: Some(Stage::FullFeature),
            continues: false,
            version_min: 0,
            // Type 2, random (11.12.5): one number for all of this program's sessions, told apart by the qualifier.
            isid: [0x80, b's', b'l', b'w', high, low],
            tsih,
            task: 0,
            connection: 0,
            order: Order { immediate: true, command: self.command, expected_status: self.expected_status },
            text,
        }
    }

    fn settle(&mut self, keys: &Keys) -> Result<(), InitiatorError> {
        if ["HeaderDigest", "DataDigest"].iter().any(|key| keys.get(key).is_some_and(|value| value != "None"))
        {
            return Err(InitiatorError::Protocol { what: "digests that were not offered" });
        }
        let size = |key, default: usize| {
            let value = keys.get(key).and_then(|value| number(value, 512..=0x00ff_ffff));
            value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
        };
        let yes = |key, default| keys.get(key).and_then(truth).unwrap_or(default);
        let default = Limits::default();
        self.limits = Limits {
            unit: size("MaxRecvDataSegmentLength", default.unit).min(DATA_LIMIT_BYTES),
            first_burst: size("FirstBurstLength", default.first_burst),
            immediate: yes("ImmediateData", default.immediate),
            initial_r2t: yes("InitialR2T", default.initial_r2t),
        };
        Ok(())
    }
}
