//! What can be wrong with the drive's firmware: one row each, one place in the code each.
//!
//! The first forty were written from the standard, as a tester would seed them, before a case of the suite was read; the second
//! round along the firmware's source, when the suite had cases for the first. The last column is the clause of X3.131-1994 that
//! is broken.

/// A row: what a defect is called, what the firmware does wrong, and against which clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CdDefectRow {
    /// The defect.
    pub defect: CdDefect,
    /// Its name in reports.
    pub id: &'static str,
    /// What the firmware does wrong.
    pub fault: &'static str,
    /// The clause that says otherwise.
    pub clause: &'static str,
}

macro_rules! defects {
    ($($name:ident $id:literal $fault:literal $clause:literal;)*) => {
        /// One thing the firmware does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CdDefect { $(#[doc = $fault] $name,)* }

        /// All there are.
        pub const CD_DEFECTS: &[CdDefectRow] = &[
            $(CdDefectRow { defect: CdDefect::$name, id: $id, fault: $fault, clause: $clause },)*
        ];
    };
}

defects! {
    // Table of contents.
    TocTrackShort "toc-track-short" "the last track is not in the table of contents" "14.2.11";
    TocLeadOutMissing "toc-lead-out-missing" "the lead-out is not in the table of contents" "14.2.11";
    TocMsfTwoSeconds "toc-msf-two-seconds" "MSF addresses of the table of contents are two seconds early" "14.2.11";
    TocAudioShifted "toc-audio-shifted" "audio tracks begin 150 blocks late in the table of contents" "14.2.11";
    TocControl "toc-control" "audio tracks are told as data tracks" "14.2.11";
    TocLengthCut "toc-length-cut" "the TOC data length follows the allocation length" "14.2.11";
    TocStartIgnored "toc-start-ignored" "the starting track is ignored" "14.2.11";
    TocStale "toc-stale" "after a change of the disc the table of contents is that of the one before" "14.2.11";
    TocBeyondAnswered "toc-beyond-answered" "a starting track past the last is answered" "14.2.11";
    // Capacity and reading.
    BlockLengthWrong "block-length-wrong" "READ CD-ROM CAPACITY tells blocks of 2336 bytes" "14.2.8";
    CapacityIsCount "capacity-is-count" "READ CD-ROM CAPACITY tells the number of blocks" "14.2.8";
    AudioReadable "audio-readable" "blocks of an audio track are read as data" "14.1.1, 9.2.6";
    HeaderShifted "header-shifted" "READ HEADER tells the address of the next block" "14.2.9";
    HeaderMsfIgnored "header-msf-ignored" "the MSF bit of READ HEADER is ignored" "14.2.9";
    Read6ZeroNone "read-6-zero-none" "READ(6) of length 0 reads nothing" "9.2.5";
    ReadSlips "read-slips" "a read of more than 32 blocks sends the 33rd twice and not the last" "9.2.6";
    WriteTaken "write-taken" "WRITE(10) ends with GOOD" "14.2, 7.5.3";
    // Playing.
    StatusStuck "status-stuck" "the audio status stays at playing when the play has ended" "14.2.10";
    StatusNotCleared "status-not-cleared" "that a play was completed is told more than once" "14.2.10";
    PlayBeyond "play-beyond" "a play that begins behind the lead-out is accepted" "14.2.2";
    PlayData "play-data" "a play of a data track is accepted" "14.2.2";
    PlayZeroPlays "play-zero-plays" "a transfer length of 0 plays to the end" "14.2.2";
    MsfBackwards "msf-backwards" "PLAY AUDIO MSF with its end before its start is accepted" "14.2.4";
    PauseIdle "pause-idle" "PAUSE with nothing playing is accepted" "14.2.1";
    PauseMoves "pause-moves" "a pause does not hold the position" "14.2.1";
    ResumeRestarts "resume-restarts" "RESUME plays from the start again" "14.2.1";
    PauseTwiceRefused "pause-twice-refused" "a pause while paused is refused" "14.2.1";
    // Sub-channel.
    SubQIgnored "sub-q-ignored" "sub-channel data is sent without SubQ" "14.2.10";
    SubLength "sub-length" "the sub-channel data length counts its header" "14.2.10";
    SubAddress "sub-address" "the absolute address is that within the track" "14.2.10";
    // Tray, disc, readiness.
    EjectPrevented "eject-prevented" "a disc whose removal is prevented is ejected" "9.2.4";
    ChangeSilent "change-silent" "a change of the disc is not reported" "7.9";
    EmptyCode "empty-code" "without a disc the additional sense is 04h" "8.2.16";
    EmptyCapacity "empty-capacity" "READ CD-ROM CAPACITY without a disc gives that of the last" "14.2.8";
    StoppedReadable "stopped-readable" "a stopped drive is read" "9.2.17";
    // Fields.
    AllocationIgnored "allocation-ignored" "READ TOC and READ SUB-CHANNEL send all to any allocation length" "7.2.6";
    ReservedIgnored "reserved-ignored" "reserved bits of the commands of clause 14 are ignored" "7.1.1";
    // Mode parameters.
    SelectLost "select-lost" "MODE SELECT of page 0Eh changes nothing" "14.3.3.1";
    SelectForgotten "select-forgotten" "START STOP UNIT sets page 0Dh back" "14.3.3.2";
    PageFrames "page-frames" "page 0Dh tells 74 frames a second" "14.3.3.2";
    // Round 2. The unit.
    ReadyEmpty "ready-empty" "TEST UNIT READY is GOOD without a disc" "8.2.16";
    SenseKept "sense-kept" "sense is still there after it was read" "7.6";
    InquiryFixed "inquiry-fixed" "INQUIRY tells that the medium is fixed" "8.2.5.1";
    LoadSilent "load-silent" "a load is not reported" "7.9";
    ChangeToOne "change-to-one" "a change of the disc is told to the first initiator alone" "7.9";
    PreventShared "prevent-shared" "what one initiator allows is allowed for the other" "9.2.4";
    ResetKeepsModes "reset-keeps-modes" "a reset keeps mode parameters" "6.2.2.1";
    ResetKeepsPlay "reset-keeps-play" "a reset leaves a play going on" "6.2.2.1";
    StopKeepsPlay "stop-keeps-play" "STOP leaves a play going on" "9.2.17";
    EjectKeepsPlay "eject-keeps-play" "a play goes on when the disc comes back" "9.2.17";
    ReserveIgnored "reserve-ignored" "a reservation keeps nobody out" "9.2.12";
    ReleaseByOther "release-by-other" "whoever releases ends the reservation" "9.2.11";
    LunTwo "lun-two" "logical unit 2 is logical unit 0" "7.5.3";
    // What is read.
    PmiIgnored "pmi-ignored" "READ CD-ROM CAPACITY takes an address without PMI" "14.2.8";
    DataEnd "data-end" "the last block of the data track is refused" "9.2.6";
    Read6Middle "read-6-middle" "READ(6) takes the last byte of the address alone" "9.2.5";
    TocLastWrong "toc-last-wrong" "asked for the lead-out, the last track is told as AAh" "14.2.11";
    TocBcd "toc-bcd" "MSF addresses of the table of contents are in BCD" "14.2.11";
    // Audio.
    SubBcd "sub-bcd" "MSF addresses of the sub-channel are in BCD" "14.2.10";
    SubRelative "sub-relative" "the address within the track is that on the disc" "14.2.10";
    ResumeSkips "resume-skips" "RESUME goes on two seconds later" "14.2.1";
    PlayLengthLow "play-length-low" "of the length of a play the last byte alone counts" "14.2.2";
    TrackNext "track-next" "PLAY AUDIO TRACK/INDEX over several tracks begins a track later" "14.2.5";
    SotcIgnored "sotc-ignored" "SOTC is ignored" "14.3.3.1";
    ImmedIgnored "immed-ignored" "a play without Immed ends with GOOD at once" "14.3.3.1";
    // Mode parameters.
    Select10Lost "select-10-lost" "MODE SELECT(10) changes nothing" "8.2.9";
    Mode10Length "mode-10-length" "the length of MODE SENSE(10) counts itself" "8.2.11";
    SelectTold "select-told" "who changes mode parameters is told so" "7.9";
    // Round 3. The unit.
    PreventEndsByStop "prevent-ends-by-stop" "STOP allows removal" "9.2.4";
    AllowIgnored "allow-ignored" "what was prevented is never allowed again" "9.2.4";
    LoadStopped "load-stopped" "after a load the drive is stopped" "9.2.17";
    ReadyPlaying "ready-playing" "TEST UNIT READY is refused while a play goes on" "8.2.16";
    InquiryPlaying "inquiry-playing" "INQUIRY is BUSY while a play goes on" "8.2.5";
    SensePlaying "sense-playing" "REQUEST SENSE during a play tells that the drive is not ready" "8.2.14";
    ReleaseKeeps "release-keeps" "RELEASE keeps the reservation" "9.2.11";
    ReserveOutlivesReset "reserve-outlives-reset" "a reset keeps the reservation" "9.2.12";
    AttentionInquiry "attention-inquiry" "INQUIRY clears an attention" "7.9";
    LunSense "lun-sense" "REQUEST SENSE to an absent logical unit tells no error" "7.5.3";
    // What is read.
    ReadSixteen "read-sixteen" "a read of exactly sixteen blocks sends fifteen" "9.2.6";
    ReadZeroOne "read-zero-one" "READ(10) of length 0 sends a block" "9.2.6";
    CapacityShort "capacity-short" "READ CD-ROM CAPACITY tells a block too few" "14.2.8";
    RangeCode "range-code" "an address behind the last block is refused as an invalid field" "9.2.6";
    HeaderAudio "header-audio" "audio has headers of mode 1" "14.2.9";
    TocAllocationZero "toc-allocation-zero" "READ TOC with an allocation length of 0 sends four bytes" "7.2.6";
    // Audio.
    CodeOfFirst "code-of-first" "the recording code of each track is that of the first audio track" "14.2.10";
    ResumeTwiceRefused "resume-twice-refused" "RESUME of what plays is refused" "14.2.1";
    PauseStatus "pause-status" "while paused the audio status is that of a play" "14.2.10";
    PlayAgainRefused "play-again-refused" "a play is refused while another goes on" "14.2.2";
    // Mode parameters.
    ModeAllShort "mode-all-short" "page 0Dh is not among all pages" "8.2.10";
    ModeDbd "mode-dbd" "DBD is ignored" "8.2.10";
    DescriptorLength "descriptor-length" "the block descriptor tells 2352 bytes" "8.3.3";
    SelectNotAtomic "select-not-atomic" "of a list that is refused the pages before the fault take effect" "8.2.8";
}
