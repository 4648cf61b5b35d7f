//! Login (RFC 7143, 6.3, 11.12, 11.13): who is there, what for, and which values hold.

use slotwise_iscsi::request::{Login, Stage};
use slotwise_iscsi::response::LoginResponse;
use slotwise_iscsi::text::{Keys, TEXT_LIMIT_BYTES};

use super::TARGET_NAME;
use super::keys::Settled;

/// Requests of one login.
const ROUND_LIMIT: usize = 16;

/// Status class and detail (11.13.5).
const FINE: (u8, u8) = (0, 0);
const INITIATOR_ERROR: (u8, u8) = (2, 0);
const NO_TARGET: (u8, u8) = (2, 3);
const VERSION: (u8, u8) = (2, 5);
const MISSING: (u8, u8) = (2, 7);
const NO_SUCH_SESSION: (u8, u8) = (2, 0x0a);
pub(super) const NO_ROOM: (u8, u8) = (3, 2);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To list targets.
    Discovery,
    /// To send commands.
    Commands,
}

/// A session that has logged in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The initiator port: its name and its part of the session's name (SAM-2, 4.7.2).
    pub(super) port: String,
    pub(super) purpose: Purpose,
    pub(super) settled: Settled,
}

/// A login that goes on.
#[derive(Debug, Default)]
pub(super) struct LoginState {
    rounds: usize,
    held: Vec<u8>,
    initiator: Option<String>,
    target: Option<String>,
    discovery: bool,
    settled: Settled,
    declared_group: bool,
}

impl LoginState {
    /// Answers a request; a session where login is through. A status of another class than 0 ends the connection.
    pub(super) fn answer(&mut self, request: &Login) -> (LoginResponse, Option<Session>) {
        let (status, text, session) = match self.negotiate(request) {
            Ok((text, session)) => (FINE, text, session),
            Err(status) => (status, Vec::new(), None),
        };
        let response = LoginResponse {
            stage: request.stage,
            next: request.next.filter(|_| status == FINE && !request.continues),
            continues: false,
            isid: request.isid,
            // Any number but 0 will do: sessions are one connection each, so nobody adds to one.
            tsih: u16::from(session.is_some()),
            task: request.task,
            status,
            text,
        };
        (response, session)
    }

    fn negotiate(&mut self, request: &Login) -> Result<(Vec<u8>, Option<Session>), (u8, u8)> {
        self.rounds += 1;
        if self.rounds > ROUND_LIMIT || request.stage == Stage::FullFeature {
            return Err(INITIATOR_ERROR);
        }
        if request.version_min != 0 {
            return Err(VERSION);
        }
        if request.tsih != 0 {
            return Err(NO_SUCH_SESSION);
        }
        if self.held.len() + request.text.len() > TEXT_LIMIT_BYTES {
            return Err(INITIATOR_ERROR);
        }
        self.held.extend(&request.text);
        if request.continues {
            return Ok((Vec::new(), None));
        }
        let offered = Keys::parse(&std::mem::take(&mut self.held)).map_err(|_| INITIATOR_ERROR)?;
        self.declared(&offered);
        let initiator = self.initiator.clone().ok_or(MISSING)?;
        if !self.discovery {
            match self.target.as_deref() {
                Some(TARGET_NAME) => {}
                Some(_) => return Err(NO_TARGET),
                None => return Err(MISSING),
            }
        }
        let mut told = self.settled.answers(&offered);
        if !self.discovery && !self.declared_group {
            // In the first answer (13.9).
            self.declared_group = true;
            told = told.with("TargetPortalGroupTag", "1");
        }
        let done = request.next == Some(Stage::FullFeature);
        let isid: String = request.isid.iter().map(|byte| format!("{byte:02x}")).collect();
        let session = done.then(|| Session {
            port: format!("{initiator},i,0x{isid}"),
            purpose: if self.discovery { Purpose::Discovery } else { Purpose::Commands },
            settled: self.settled,
        });
        Ok((told.bytes(), session))
    }

    fn declared(&mut self, offered: &Keys) {
        if let Some(name) = offered.get("InitiatorName") {
            self.initiator = Some(name.to_owned());
        }
        if let Some(name) = offered.get("TargetName") {
            self.target = Some(name.to_owned());
        }
        if let Some(kind) = offered.get("SessionType") {
            self.discovery = kind == "Discovery";
        }
    }
}

/// The answer to text of the full-feature phase: SendTargets (Appendix C), and declarations that may be renewed.
pub(super) fn text_answer(text: &[u8], settled: &mut Settled, address: &str) -> Option<Vec<u8>> {
    let offered = Keys::parse(text).ok()?;
    let mut told = Keys::default();
    for (key, value) in offered.iter() {
        match key {
            "SendTargets" if matches!(value, "All" | "" | TARGET_NAME) => {
                told = told.with("TargetName", TARGET_NAME).with("TargetAddress", format!("{address},1"));
            }
            "SendTargets" => {}
            "MaxRecvDataSegmentLength" => {
                if let Some(answer) = settled.answer(key, value) {
                    told = told.with(key, answer);
                }
            }
            _ => told = told.with(key, "NotUnderstood"),
        }
    }
    Some(told.bytes())
}
