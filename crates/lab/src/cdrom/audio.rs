//! Audio: plays, pauses, and what the sub-channel says of them (14.2.1, 14.2.2, 14.2.4, 14.2.5, 14.2.10).

use std::time::Duration;

use super::disc::{FRAMES_PER_SECOND, Kind, block_at, in_bcd, told, told_early};
use super::read::WRONG_TRACK;
use super::unit::cut;
use super::{CdDefect, CdRom};
use crate::target::command::Task;
use crate::target::sense::Sense;
use crate::target::{Refusal, Reply, data, nothing};

/// COMMAND SEQUENCE ERROR: nothing plays that could be paused or resumed.
const SEQUENCE: Sense = Sense::new(5, 0x2c, 0);
/// Bytes of the sub-channel header.
const HEADER: usize = 4;

/// A play, going on or paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Play {
    /// The block it began with.
    start: u32,
    /// The block that was played at this time of the drive's clock.
    from: u32,
    since: Duration,
    /// The block behind the last.
    until: u32,
}

/// What the drive plays (14.2.10, audio status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audio {
    /// Nothing, and nothing to tell of an earlier play.
    None,
    Playing(Play),
    Paused(Play),
    /// A play ended as it should, and that was not told yet.
    Completed,
}

impl Play {
    /// The block that is played at this time; the end's at most.
    fn at(&self, clock: Duration) -> u32 {
        let frames = clock.saturating_sub(self.since).as_micros() * u128::from(FRAMES_PER_SECOND) / 1_000_000;
        self.from.saturating_add(u32::try_from(frames).unwrap_or(u32::MAX)).min(self.until)
    }

    /// The same play from this block on.
    fn moved(self, from: u32, clock: Duration) -> Self {
        Self { from, since: clock, ..self }
    }
}

/// No less than the blocks take, so that they are over then.
fn play_time(blocks: u32) -> Duration {
    Duration::from_secs(blocks.into()) / FRAMES_PER_SECOND + Duration::from_micros(1)
}

impl CdRom {
    /// Lets a play come to its end: called when time has gone by.
    pub(super) fn follow_play(&mut self) {
        if let Audio::Playing(play) = self.audio {
            let at = play.at(self.clock);
            self.head = at.min(play.until.saturating_sub(1));
            if at >= play.until && !self.has(CdDefect::StatusStuck) {
                self.audio = Audio::Completed;
            }
        }
        if let Audio::Paused(play) = self.audio
            && self.has(CdDefect::PauseMoves)
        {
            self.head = play.at(self.clock).min(play.until.saturating_sub(1));
        }
    }

    /// Plays from a block to the one before `until`: GOOD at once, or, without Immed, when it has ended (14.3.3.1).
    fn play(&mut self, start: u32, until: u32) -> Reply {
        if !self.has(CdDefect::PlayBeyond) {
            self.in_range(start)?;
        }
        if matches!(self.audio, Audio::Playing(_)) && self.has(CdDefect::PlayAgainRefused) {
            return Err(SEQUENCE.into());
        }
        let track = self.disc.track_at(start);
        if track.is_none_or(|track| track.kind != Kind::Audio) && !self.has(CdDefect::PlayData) {
            return Err(WRONG_TRACK.at(start).into());
        }
        let lead_out = self.disc.lead_out();
        if until > lead_out && !self.has(CdDefect::PlayBeyond) {
            return Err(Sense::RANGE.at(lead_out).into());
        }
        let track_end = track.map_or(lead_out, |track| self.disc.track_end(track.number));
        let stops = self.pages.stops_on_track_crossing() && !self.has(CdDefect::SotcIgnored);
        let until = until.min(if stops { track_end } else { lead_out });
        self.audio = Audio::Playing(Play { start, from: start, since: self.clock, until });
        if !self.pages.plays_immediately() && !self.has(CdDefect::ImmedIgnored) {
            self.clock += play_time(until.saturating_sub(start));
            self.follow_play();
        }
        nothing()
    }

    /// A length of 0 plays nothing, and is no error: so an initiator learns that there is audio (14.2.2).
    pub(super) fn play_audio(&mut self, task: &Task<'_>) -> Reply {
        if task.bit(1, 0) {
            return Err(Sense::field(1).into());
        }
        let start = task.be32(2);
        match u32::from(task.be16(7)) {
            0 if self.has(CdDefect::PlayZeroPlays) => self.play(start, self.disc.lead_out()),
            0 => nothing(),
            length if self.has(CdDefect::PlayLengthLow) => self.play(start, start + length % 256),
            length => self.play(start, start.saturating_add(length)),
        }
    }

    /// Equal addresses play nothing, and are no error (14.2.4).
    pub(super) fn play_audio_msf(&mut self, task: &Task<'_>) -> Reply {
        let at = |byte| block_at(task.byte(byte), task.byte(byte + 1), task.byte(byte + 2));
        let start = at(3).ok_or_else(|| Refusal::from(Sense::field(3)))?;
        let until = at(6).ok_or_else(|| Refusal::from(Sense::field(6)))?;
        if start == until {
            return nothing();
        }
        if start > until {
            let taken = self.has(CdDefect::MsfBackwards);
            return if taken { nothing() } else { Err(Sense::field(3).into()) };
        }
        self.play(start, until)
    }

    /// Past the last track or index plays to the end of the last (14.2.5).
    pub(super) fn play_audio_track_index(&mut self, task: &Task<'_>) -> Reply {
        let [from, from_index, to, to_index] = [4, 5, 7, 8].map(|at| task.byte(at));
        let valid = 1..=99;
        for (at, value) in [(4, from), (5, from_index), (7, to), (8, to_index)] {
            if !valid.contains(&value) {
                return Err(Sense::field(at).into());
            }
        }
        let Some(track) = self.disc.track(from) else { return Err(Sense::field(4).into()) };
        if (from, from_index) > (to, to_index) {
            return Err(Sense::field(4).into());
        }
        let end = self.disc.track(to).map_or(self.disc.lead_out(), |last| {
            let behind = last.index_start(to_index.saturating_add(1));
            if to_index == 1 && behind > last.start { behind } else { self.disc.track_end(to) }
        });
        if self.has(CdDefect::TrackNext) && from < to {
            return self.play(self.disc.track_end(from), end);
        }
        self.play(track.index_start(from_index), end)
    }

    /// A pause of a pause, and a resumption of what plays, are no errors; nothing to pause or to resume is (14.2.1).
    pub(super) fn pause_resume(&mut self, task: &Task<'_>) -> Reply {
        let clock = self.clock;
        self.audio = match (task.bit(8, 0), self.audio) {
            (false, Audio::Playing(play)) => Audio::Paused(play.moved(self.head, clock)),
            (false, Audio::Paused(_)) if self.has(CdDefect::PauseTwiceRefused) => return Err(SEQUENCE.into()),
            (true, Audio::Paused(play)) if self.has(CdDefect::ResumeRestarts) => {
                Audio::Playing(play.moved(play.start, clock))
            }
            (true, Audio::Paused(play)) => {
                let skipped = if self.has(CdDefect::ResumeSkips) { 2 * FRAMES_PER_SECOND } else { 0 };
                Audio::Playing(play.moved(self.head + skipped, clock))
            }
            (false, Audio::None | Audio::Completed) if self.has(CdDefect::PauseIdle) => self.audio,
            (_, Audio::None | Audio::Completed) => return Err(SEQUENCE.into()),
            (true, Audio::Playing(_)) if self.has(CdDefect::ResumeTwiceRefused) => {
                return Err(SEQUENCE.into());
            }
            (_, same) => same,
        };
        nothing()
    }

    /// The audio status, and what sub-channel Q says at the head (14.2.10).
    pub(super) fn read_sub_channel(&mut self, task: &Task<'_>) -> Reply {
        let (msf, sub_q, format) = (task.bit(1, 1), task.bit(2, 6), task.byte(3));
        let body = if sub_q || self.has(CdDefect::SubQIgnored) {
            self.sub_channel(format, task.byte(6), msf)?
        } else {
            Vec::new()
        };
        let status = match self.audio {
            Audio::Playing(_) => 0x11,
            Audio::Paused(_) if self.has(CdDefect::PauseStatus) => 0x11,
            Audio::Paused(_) => 0x12,
            Audio::Completed => 0x13,
            Audio::None => 0x15,
        };
        // That a play was completed is told once.
        if self.audio == Audio::Completed && !self.has(CdDefect::StatusNotCleared) {
            self.audio = Audio::None;
        }
        let counted = if self.has(CdDefect::SubLength) { HEADER } else { 0 } + body.len();
        let [high, low] = u16::try_from(counted).unwrap_or(u16::MAX).to_be_bytes();
        let mut bytes = vec![0, status, high, low];
        bytes.extend(body);
        if self.has(CdDefect::AllocationIgnored) { data(bytes) } else { cut(bytes, task.be16(7)) }
    }

    fn sub_channel(&self, format: u8, track: u8, msf: bool) -> Result<Vec<u8>, Refusal> {
        if format != 3 && track != 0 {
            return Err(Sense::field(6).into());
        }
        let mut bytes = vec![format];
        match format {
            0 | 1 => bytes.extend(self.position(msf)),
            2 => bytes.extend([0; 3]),
            3 => {
                let track = self.disc.track(track).ok_or(Sense::field(6))?;
                bytes.extend([track.adr_and_control(), track.number, 0]);
                let of_first = self.disc.tracks().iter().find(|track| track.kind == Kind::Audio);
                let track = of_first.filter(|_| self.has(CdDefect::CodeOfFirst)).unwrap_or(track);
                bytes.extend(coded(track.recording_code().as_ref().map(<[u8; 12]>::as_slice)));
            }
            _ => return Err(Sense::field(3).into()),
        }
        if matches!(format, 0 | 2) {
            bytes.extend(coded(Some(self.disc.catalogue_number())));
        }
        if format == 0 {
            let code = self.disc.track_at(self.head).and_then(super::disc::Track::recording_code);
            bytes.extend(coded(code.as_ref().map(<[u8; 12]>::as_slice)));
        }
        Ok(bytes)
    }

    /// ADR and control, track, index, and the address of the head on the disc and in the track.
    fn position(&self, msf: bool) -> Vec<u8> {
        let Some(track) = self.disc.track_at(self.head) else { return vec![0; 11] };
        let within = self.head - track.start;
        let relative = if msf { told_early(within) } else { within.to_be_bytes() };
        let absolute = if self.has(CdDefect::SubAddress) { relative } else { told(self.head, msf) };
        let relative = if self.has(CdDefect::SubRelative) { told(self.head, msf) } else { relative };
        let packed = msf && self.has(CdDefect::SubBcd);
        let mut bytes = vec![track.adr_and_control(), track.number, track.index_at(self.head)];
        let addresses = absolute.into_iter().chain(relative);
        bytes.extend(addresses.map(|byte| if packed { in_bcd(byte) } else { byte }));
        bytes
    }
}

/// A code with the bit that says whether there is one: sixteen bytes.
fn coded(code: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = vec![if code.is_some() { 0x80 } else { 0x00 }];
    bytes.extend(code.unwrap_or_default());
    bytes.resize(16, 0);
    bytes
}
