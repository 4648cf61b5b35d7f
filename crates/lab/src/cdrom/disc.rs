//! The disc: tracks, their addresses in both forms, and what is in their blocks (14.1.1).

/// Bytes of a block of a data track: the only block length this firmware has.
pub const CD_BLOCK_BYTES: usize = 2048;
/// Blocks played in a second (14.1.1, note 170).
pub(super) const FRAMES_PER_SECOND: u32 = 75;
/// Logical block 0 is two seconds into the disc (table 236).
const FRAMES_BEFORE: u32 = 150;
/// Track number of the lead-out.
pub(super) const LEAD_OUT: u8 = 0xaa;
/// ADR: sub-channel Q tells the position (14.2.10).
const ADR_POSITION: u8 = 0x10;
/// Control: a data track (14.2.10).
const CONTROL_DATA: u8 = 0x04;

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Audio,
}

/// A track: it ends where the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) number: u8,
    pub(super) kind: Kind,
    /// Logical block its index 1 begins at.
    pub(super) start: u32,
    /// Logical block its index 2 begins at, if it has one.
    second_index: Option<u32>,
}

impl Track {
    const fn new(number: u8, kind: Kind, start: u32) -> Self {
        Self { number, kind, start, second_index: None }
    }

    /// ADR and control as they are in one byte.
    pub(super) const fn adr_and_control(&self) -> u8 {
        ADR_POSITION
            | match self.kind {
                Kind::Data => CONTROL_DATA,
                Kind::Audio => 0,
            }
    }

    /// The index at a block of the track.
    pub(super) fn index_at(&self, block: u32) -> u8 {
        if self.second_index.is_some_and(|second| second <= block) { 2 } else { 1 }
    }

    /// Where an index begins; where the track has fewer, the last.
    pub(super) fn index_start(&self, index: u8) -> u32 {
        self.second_index.filter(|_| index > 1).unwrap_or(self.start)
    }

    /// The international standard recording code; data tracks have none.
    pub(super) fn recording_code(&self) -> Option<[u8; 12]> {
        let mut code = *b"ZZSLW9400000";
        if let Some(last) = code.last_mut() {
            *last += self.number;
        }
        (self.kind == Kind::Audio).then_some(code)
    }
}

/// A disc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disc {
    /// A data track and two audio tracks.
    Combined,
    /// A longer data track and an audio track.
    Other,
    /// A data track alone.
    Data,
    /// Audio tracks alone.
    Audio,
}

const COMBINED: &[Track] = &[
    Track::new(1, Kind::Data, 0),
    Track { second_index: Some(4_100), ..Track::new(2, Kind::Audio, 3_001) },
    Track::new(3, Kind::Audio, 5_003),
];
const DATA: &[Track] = &[Track::new(1, Kind::Data, 0)];
const AUDIO: &[Track] =
    &[Track::new(1, Kind::Audio, 0), Track::new(2, Kind::Audio, 2_500), Track::new(3, Kind::Audio, 4_444)];
const OTHER: &[Track] = &[Track::new(1, Kind::Data, 0), Track::new(2, Kind::Audio, 3_607)];

impl Disc {
    /// What is put in when the medium is changed: what has both kinds has a counterpart, of the others there are many.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Combined => Self::Other,
            Self::Other => Self::Combined,
            same @ (Self::Data | Self::Audio) => same,
        }
    }

    pub(super) const fn tracks(self) -> &'static [Track] {
        match self {
            Self::Combined => COMBINED,
            Self::Other => OTHER,
            Self::Data => DATA,
            Self::Audio => AUDIO,
        }
    }

    /// The block the lead-out begins at: as many blocks there are.
    pub(super) const fn lead_out(self) -> u32 {
        match self {
            Self::Combined => 7_211,
            Self::Other => 5_555,
            Self::Data => 4_321,
            Self::Audio => 6_789,
        }
    }

    /// The track a block is in; the last, for one behind it.
    pub(super) fn track_at(self, block: u32) -> Option<&'static Track> {
        self.tracks().iter().rev().find(|track| track.start <= block)
    }

    pub(super) fn track(self, number: u8) -> Option<&'static Track> {
        self.tracks().iter().find(|track| track.number == number)
    }

    /// The block behind a track's last.
    pub(super) fn track_end(self, number: u8) -> u32 {
        self.track(number.saturating_add(1)).map_or(self.lead_out(), |next| next.start)
    }

    pub(super) const fn catalogue_number(self) -> &'static [u8; 13] {
        match self {
            Self::Combined => b"0094131014042",
            Self::Other => b"0094131014059",
            Self::Data => b"0094131014066",
            Self::Audio => b"0094131014073",
        }
    }

    /// What is in a block: all differ, so that a read of the wrong one shows.
    pub(super) fn data(self, block: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CD_BLOCK_BYTES);
        bytes.extend(block.to_be_bytes());
        // Any generator does that never repeats within a block (xorshift32, Marsaglia 2003).
        let mut state = (block + 1).wrapping_mul(0x9e37_79b9) ^ self.lead_out();
        while bytes.len() < CD_BLOCK_BYTES {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            bytes.extend(state.to_be_bytes());
        }
        bytes
    }
}

/// An address as it is told: the logical block, or minute, second and frame (table 236).
pub(super) fn told(block: u32, msf: bool) -> [u8; 4] {
    if msf { told_early(block.saturating_add(FRAMES_BEFORE)) } else { block.to_be_bytes() }
}

/// Minute, second and frame as if logical block 0 were at the beginning.
pub(super) fn told_early(frames: u32) -> [u8; 4] {
    let part = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    let seconds = frames / FRAMES_PER_SECOND;
    [0, part(seconds / 60), part(seconds % 60), part(frames % FRAMES_PER_SECOND)]
}

/// A number as binary-coded decimal, which is how a disc has its addresses, and SCSI has none.
pub(super) const fn in_bcd(number: u8) -> u8 {
    number / 10 % 10 * 16 + number % 10
}

/// The logical block at a minute, second and frame, if there is one.
pub(super) fn block_at(minute: u8, second: u8, frame: u8) -> Option<u32> {
    let in_range = second < 60 && u32::from(frame) < FRAMES_PER_SECOND;
    let frames = (u32::from(minute) * 60 + u32::from(second)) * FRAMES_PER_SECOND + u32::from(frame);
    frames.checked_sub(FRAMES_BEFORE).filter(|_| in_range)
}
