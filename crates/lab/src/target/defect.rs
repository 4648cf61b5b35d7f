//! What can be wrong with the firmware: one row each, one place in the code each.
//!
//! Sources are reports against firmware that people use: P is `PiSCSI/piscsi`, S `uweseimet/scsi2pi`, B1 and B2
//! `erichelgeson/BlueSCSI-v1` and `BlueSCSI/BlueSCSI-v2`, Z `ZuluSCSI/ZuluSCSI-firmware`, SD
//! `rabbitholecomputing/SCSI2SD`; `#` is an issue, `PR` a pull request, otherwise a commit or a version of the changelog.
//! A row without a source is of the same kind as one with: another boundary, another field, another lifetime.

#[macro_use]
mod newest;
#[macro_use]
mod later;
#[macro_use]
mod rounds;

/// A row: what a defect is called, what the firmware does wrong, and who has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefectRow {
    /// The defect.
    pub defect: Defect,
    /// Its name in reports.
    pub id: &'static str,
    /// What the firmware does wrong.
    pub fault: &'static str,
    /// Where it was reported; empty where it was made up after the others.
    pub source: &'static str,
}

macro_rules! defects {
    ($($name:ident $id:literal $fault:literal $source:literal;)*) => {
        /// One thing a firmware does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect { $(#[doc = $fault] $name,)* }

        /// All there are.
        pub const DEFECTS: &[DefectRow] = &[
            $(DefectRow { defect: Defect::$name, id: $id, fault: $fault, source: $source },)*
        ];
    };
}

with_rounds! {
    // Sense data.
    SenseKeyLost "sense-key-lost" "CHECK CONDITION, but the sense key is 0" "P #116";
    SenseOutlivesCommand "sense-outlives-command" "old sense is there after a later good command" "P #366";
    SenseCodeStays "sense-code-stays" "reading sense clears the key alone" "S #43";
    SenseValidAlways "sense-valid-always" "Valid is set with every error" "B2 f7feb1db, Z PR 798";
    SenseShared "sense-shared" "one store of sense for all initiators" "";
    SenseLostToOther "sense-lost-to-other" "a command of another initiator drops sense" "86Box PR 4702";
    SenseOutlivesReset "sense-outlives-reset" "a reset keeps sense" "Z PR 916";
    SenseLengthWrong "sense-length-wrong" "the additional sense length is one too high" "";
    SenseLengthCut "sense-length-cut" "the additional sense length follows the allocation length" "";
    SensePadded "sense-padded" "sense is padded to the allocation length" "";
    SenseZeroIsFour "sense-zero-is-four" "an allocation length of 0 gives four bytes, as SCSI-1 had it" "";
    SenseDeferred "sense-deferred" "every error is reported as deferred" "";
    SenseFieldPointer "sense-field-pointer" "the field pointer is one off" "";
    SenseRefusedIfShort "sense-refused-if-short" "REQUEST SENSE for less than 18 bytes is refused" "";
    SenseBlockedByReservation "sense-blocked-by-reservation" "REQUEST SENSE meets RESERVATION CONFLICT" "";
    // Codes.
    OpcodeCodeWrong "opcode-code-wrong" "an unknown opcode gives 5/24/00" "";
    FieldCodeMissing "field-code-missing" "an invalid field gives 5/00/00" "P #116";
    RangeCodeWrong "range-code-wrong" "an address past the end gives 5/24/00" "";
    RangeKeyWrong "range-key-wrong" "an address past the end is a MEDIUM ERROR" "";
    MiscompareKeyWrong "miscompare-key-wrong" "a miscompare is a MEDIUM ERROR" "";
    // Unit attention.
    AttentionMissing "attention-missing" "no attention after power-on" "Z PR 952";
    AttentionStays "attention-stays" "attention is never cleared" "Apple note DV14";
    AttentionClearedByInquiry "attention-cleared-by-inquiry" "INQUIRY clears attention" "";
    AttentionBlocksInquiry "attention-blocks-inquiry" "INQUIRY is refused under attention" "";
    AttentionExecutes "attention-executes" "the command under attention is carried out all the same" "";
    AttentionForOneOnly "attention-for-one-only" "the first initiator to ask clears attention for all" "";
    AttentionAfterResetMissing "attention-after-reset-missing" "a bus reset is not reported" "B2 #318, PR 319";
    AttentionAfterDeviceResetMissing "attention-after-device-reset-missing" "BUS DEVICE RESET is not reported" "";
    AttentionIdle "attention-idle" "attention without a cause every 150 commands" "";
    AttentionCodeWrong "attention-code-wrong" "a reset is reported as a change of medium" "";
    AttentionMediumMissing "attention-medium-missing" "a change of medium is not reported" "P #689, Z #247, PR 283";
    AttentionModeToSelf "attention-mode-to-self" "changed mode parameters are reported to the one who changed them" "";
    AttentionModeMissing "attention-mode-missing" "changed mode parameters are not reported to others" "";
    // INQUIRY.
    InquiryPadded "inquiry-padded" "INQUIRY is padded to the allocation length" "P #458";
    InquiryLengthCut "inquiry-length-cut" "the additional length follows the allocation length" "B2 #152";
    InquiryLengthWrong "inquiry-length-wrong" "the additional length counts the whole reply" "Z #603";
    InquiryWideLength "inquiry-wide-length" "byte 3 is taken as part of the allocation length" "Z PR 818";
    InquiryRemovableInPage "inquiry-removable-in-page" "the removable bit is put into the page code" "Z PR 857";
    InquiryNulText "inquiry-nul-text" "text is filled with NUL" "P #1146";
    InquiryVersion "inquiry-version" "the version claimed is 1" "Z #123";
    InquiryReservedSet "inquiry-reserved-set" "a reserved byte is not zero" "B2 #152";
    InquiryPageIgnored "inquiry-page-ignored" "a page code without EVPD is ignored" "";
    InquiryUnstable "inquiry-unstable" "the revision changes after 50 commands" "";
    InquiryNeedsReady "inquiry-needs-ready" "INQUIRY is refused when the unit is stopped" "";
    InquiryLinkedClaimed "inquiry-linked-claimed" "linked commands are claimed and refused" "Z #836, PR 837";
    VpdUnordered "vpd-unordered" "pages are listed in descending order" "";
    VpdLengthWrong "vpd-length-wrong" "the page length counts its header" "";
    VpdLengthCut "vpd-length-cut" "the page length follows the allocation length" "";
    VpdUnlistedAnswered "vpd-unlisted-answered" "an unlisted page is answered" "";
    VpdCodeMissing "vpd-code-missing" "every page has code 0" "";
    SerialUnstable "serial-unstable" "the serial number changes with a reset" "";
    // Logical units.
    LunInquirySame "lun-inquiry-same" "INQUIRY is the same for all LUNs" "B1 #239, PR 121";
    LunInquiryRefused "lun-inquiry-refused" "INQUIRY to an absent LUN is refused" "B2 #127, PR 128";
    LunSenseEmpty "lun-sense-empty" "REQUEST SENSE to an absent LUN reports no error" "B2 #112";
    LunOthersExecuted "lun-others-executed" "commands to an absent LUN reach LUN 0" "SD 4.0";
    LunOfIdentifyIgnored "lun-of-identify-ignored" "the LUN of IDENTIFY is ignored" "P #309, #317";
    LunCodeWrong "lun-code-wrong" "commands to an absent LUN are refused with 5/24/00" "P #124";
    // MODE SENSE.
    ModeLengthShort "mode-length-short" "MODE SENSE(6) tells one byte less" "";
    Mode10LengthHigh "mode10-length-high" "MODE SENSE(10) tells one byte too much" "P #459";
    Mode10ShortHeader "mode10-short-header" "MODE SENSE(10) has the header of the six-byte form" "P #234, #262";
    ModePadded "mode-padded" "the allocation length is sent instead of the data" "P #278, PR 280";
    ModeControlInCode "mode-control-in-code" "the page control bits count as part of the page code" "P #614";
    ModeShortRefused "mode-short-refused" "a reply that would be cut is refused" "P #614";
    ModeDbdIgnored "mode-dbd-ignored" "DBD is ignored" "";
    ModeDbdRefused "mode-dbd-refused" "DBD is refused" "";
    ModePageLengthWrong "mode-page-length-wrong" "the length of page 03h counts its header" "";
    ModePagesUnordered "mode-pages-unordered" "pages come in descending order" "";
    ModePageMissing "mode-page-missing" "page 0Ah is not among all pages" "";
    ModeForeignPage "mode-foreign-page" "page 10h of another device type is sent to everyone" "Z PR 278";
    ModeBlockLengthWrong "mode-block-length-wrong" "the descriptor's block length is shifted by a byte" "";
    ModeBlocksWrong "mode-blocks-wrong" "the descriptor's block count is the last address" "";
    ModeReservedIgnored "mode-reserved-ignored" "byte 3 of MODE SENSE is ignored" "B2 f914e04c";
    ModeMaskAllOnes "mode-mask-all-ones" "the changeable mask of page 08h says that all is" "";
    ModeMaskIsCurrent "mode-mask-is-current" "changeable masks are the current values" "";
    ModeUnknownAnswered "mode-unknown-answered" "an unknown page is answered with nothing" "";
    ModeProtectMissing "mode-protect-missing" "WP is never set" "Z PR 538, #124";
    ModeDpoFuaFalse "mode-dpofua-false" "DPOFUA is claimed, and FUA refused" "";
    ModeZonesZero "mode-zones-zero" "page 03h has no sectors per track" "Z #150";
    ModeGeometrySmall "mode-geometry-small" "page 04h tells half the cylinders" "B1 #242";
    ModeRotationZero "mode-rotation-zero" "page 04h has no rotation rate" "";
    // MODE SELECT.
    SelectRefused "select-refused" "MODE SELECT is refused" "P #618";
    SelectIgnored "select-ignored" "MODE SELECT is GOOD and changes nothing" "P #1427";
    SelectDescriptorKept "select-descriptor-kept" "pages behind a descriptor are not found" "P #818";
    SelectCutApplied "select-cut-applied" "a page that is cut takes effect" "B2 PR 404, Z PR 910";
    SelectShortHeader "select-short-header" "a header that is cut is accepted" "B2 PR 404";
    SelectNotAtomic "select-not-atomic" "pages before a bad one take effect" "";
    SelectFixedAccepted "select-fixed-accepted" "fields that cannot be changed are ignored with GOOD" "";
    SelectFixedChanged "select-fixed-changed" "fields that cannot be changed are changed" "";
    SelectChangesDefault "select-changes-default" "default values follow the current ones" "";
    SelectUnknownIgnored "select-unknown-ignored" "an unknown page is ignored with GOOD" "P #1447";
    SelectLengthUnchecked "select-length-unchecked" "a wrong page length is taken" "";
    SelectDataLengthIgnored "select-data-length-ignored" "a mode data length is accepted" "";
    SelectBlockLengthIgnored "select-block-length-ignored" "another block length is GOOD and does nothing" "";
    SelectSavesNothing "select-saves-nothing" "SP is ignored" "";
    SelectSavesAlways "select-saves-always" "values are saved without SP" "";
    SelectSaveDropsOthers "select-save-drops-others" "saving one page resets what is saved of the others" "";
    SelectOutlivesReset "select-outlives-reset" "values that were not saved outlive a reset" "";
    Select10ShortHeader "select10-short-header" "MODE SELECT(10) expects the header of the six-byte form" "P #234";
    // READ CAPACITY.
    CapacityIsCount "capacity-is-count" "READ CAPACITY gives the number of blocks" "B1 PR 134, B2 34de1419";
    CapacityShort "capacity-short" "READ CAPACITY leaves out the last block" "Z #80";
    CapacityLengthShifted "capacity-length-shifted" "the block length is shifted by a byte" "Z #545, PR 552";
    CapacityAddressIgnored "capacity-address-ignored" "an address without PMI is ignored" "";
    CapacityAlignmentWrong "capacity-pmi-first" "with PMI the given address is cut to 16 bits" "";
    // Reading and writing.
    Read6ZeroIsNone "read6-zero-is-none" "READ(6) of length 0 reads nothing" "";
    Write6ZeroIsNone "write6-zero-is-none" "WRITE(6) of length 0 writes nothing" "";
    Read10ZeroIs256 "read10-zero-is-256" "READ(10) of length 0 reads 256 blocks" "";
    Write10ZeroIs256 "write10-zero-is-256" "WRITE(10) of length 0 writes 256 blocks" "";
    SixByteMask "six-byte-mask" "the top bit of a six-byte address is lost" "";
    TenByteMask "ten-byte-mask" "WRITE(10) keeps 21 bits of the address" "";
    AddressWraps24 "address-wraps-24" "byte arithmetic of 32 bits: addresses wrap at 2^32 bytes" "";
    LastBlockUnreadable "last-block-unreadable" "the last block cannot be read" "Z #80, Z #97";
    RangeUnchecked "range-unchecked" "what is past the end reads as zeros and is not written" "P #192";
    RangeFirstOnly "range-first-only" "only the first address is checked" "P #192";
    RangeWraps "range-wraps" "address plus length overflows 32 bits" "";
    WriteStraddles "write-straddles" "what fits is written before a range is refused" "";
    WriteLosesLast "write-loses-last" "the last block of an odd transfer is not written" "Z #97, B2 PR 362";
    WriteSpills "write-spills" "the block behind a transfer is written too" "SD 4.8.1";
    WriteLost "write-lost" "every 16th write is lost" "";
    BytesSwapped "bytes-swapped" "READ(6) swaps the bytes of each pair" "";
    StuckBit "stuck-bit" "bit 6 of the last byte of a block reads as one" "";
    LongTransferCut "long-transfer-cut" "blocks past 64 KiB of one transfer repeat the first" "Z #704";
    PrefetchStale "prefetch-stale" "what was read ahead is kept after writes" "Z #168, c3c4d44";
    RelativeIgnored "relative-ignored" "RelAdr is ignored" "";
    FuaIgnored "fua-ignored" "FUA writes stay in the cache" "";
    CacheUnasked "cache-unasked" "writes are cached with WCE = 0" "";
    ProtectKeyWrong "protect-key-wrong" "a write to a protected medium is an ILLEGAL REQUEST" "B2 b9bd4af5";
    ProtectIgnored "protect-ignored" "a protected medium is written" "";
    WriteVerifyLost "write-verify-lost" "WRITE AND VERIFY compares and does not write" "B2 8f7e389a";
    // Verifying and positioning.
    VerifyIgnoresData "verify-ignores-data" "VERIFY does not compare" "";
    VerifyWrites "verify-writes" "VERIFY with BytChk writes" "P #807";
    VerifyFirstOnly "verify-first-only" "VERIFY compares the first block alone" "";
    VerifyRange "verify-range" "VERIFY does not check its range" "";
    SeekRange "seek-range" "SEEK does not check its address" "P #711";
    // Starting, stopping, media.
    StopCodeWrong "stop-code-wrong" "a stopped unit says that it becomes ready" "";
    StopIgnored "stop-ignored" "STOP does nothing" "";
    StoppedReads "stopped-reads" "a stopped unit carries out reads and writes" "";
    StartStateKept "start-state-kept" "a stopped unit stays stopped over a reset" "Z PR 952, PR 234";
    StartImmediate "start-immediate" "START with Immed waits for the unit" "";
    EjectFixed "eject-fixed" "a fixed disk is ejected" "";
    EmptyCodeWrong "empty-code-wrong" "a unit without medium says that it is stopped" "Z PR 938";
    PreventIgnored "prevent-ignored" "a prevented medium is ejected" "";
    PreventOutlivesReset "prevent-outlives-reset" "prevention outlives a reset" "";
    PreventShared "prevent-shared" "one ALLOW ends what two initiators prevent" "";
    // Reservations.
    ReserveRefused "reserve-refused" "RESERVE is refused" "P #82";
    ReserveIgnored "reserve-ignored" "others are not locked out" "";
    ReserveWritesAllowed "reserve-writes-allowed" "others can write" "";
    ReserveBlocksInquiry "reserve-blocks-inquiry" "others get RESERVATION CONFLICT for INQUIRY" "";
    ReleaseByOther "release-by-other" "another initiator can release" "";
    ReleaseConflict "release-conflict" "a foreign RELEASE gets RESERVATION CONFLICT" "SD scsi.c";
    ReleaseNeedsOne "release-needs-one" "a RELEASE of nothing is refused" "";
    ReserveOutlivesReset "reserve-outlives-reset" "a reservation outlives a reset" "";
    ReserveOutlivesDeviceReset "reserve-outlives-device-reset" "a reservation outlives BUS DEVICE RESET" "";
    ReserveExtent "reserve-extent" "an extent reservation is taken as one of the unit" "";
    // Command descriptor blocks.
    ReservedIgnored "reserved-ignored" "reserved bits are not checked" "";
    LinkIgnored "link-ignored" "the link bit is ignored" "";
    FlagIgnored "flag-ignored" "the flag bit is ignored" "";
    VendorIgnored "vendor-ignored" "the vendor bits of the control byte are ignored" "";
    UnknownGood "unknown-good" "an unknown opcode is GOOD" "";
    UnknownHangs "unknown-hangs" "an unknown opcode hangs the bus" "P #1634, PR 966";
    BlockNotTaken "block-not-taken" "the bytes from the sixth on of an unknown opcode run as a command" "P #1634, PR 1777";
    // The rest.
    BusyForever "busy-forever" "BUSY for ever after an unknown opcode" "";
    SyncHangs "sync-hangs" "SYNCHRONIZE CACHE hangs" "";
    SyncIgnored "sync-ignored" "SYNCHRONIZE CACHE leaves the cache as it is" "";
    SyncRange "sync-range" "SYNCHRONIZE CACHE does not check its range" "";
    SlowAtTimes "slow-at-times" "every 500th command takes 40 s" "";
    OddByteLost "odd-byte-lost" "the last byte of an odd reply is lost" "Z #212, 326be580";
    OddByteAdded "odd-byte-added" "an odd reply gets a byte more" "Z #212";
    SelfTestWrites "self-test-writes" "the self-test writes block 0" "";
    SelfTestRefused "self-test-refused" "the self-test is refused" "";
    FormatShrinks "format-shrinks" "FORMAT UNIT loses the last block" "";
    FormatListUnchecked "format-list-unchecked" "FORMAT UNIT takes any defect list format" "";
    FormatNothing "format-progress-missing" "FORMAT UNIT with Immed is ready at once and then busy" "";
    ReassignClears "reassign-clears" "REASSIGN BLOCKS clears the neighbour" "";
    ReassignRange "reassign-range" "REASSIGN BLOCKS does not check its addresses" "";
    DefectListEcho "defect-list-echo" "READ DEFECT DATA echoes the wrong byte" "Z PR 641";
    BufferOverflow "buffer-overflow" "WRITE BUFFER takes offset and length past its capacity" "";
    BufferOffset "buffer-offset" "READ BUFFER ignores its offset" "";
    BufferOnMedium "buffer-on-medium" "WRITE BUFFER writes to the medium" "";
    // Of the same kinds, made up without a look at the suite's cases.
    ProtectCodeWrong "protect-code-wrong" "a write to a protected medium gives 7/26/00" "";
    ParameterCodeWrong "parameter-code-wrong" "a bad parameter list gives 5/24/00" "";
    ListLengthCodeWrong "list-length-code-wrong" "a parameter list that is cut gives 5/26/00" "";
    SenseBlockOffByOne "sense-block-off-by-one" "the information field is one past the block at fault" "";
    PreventedCodeWrong "prevented-code-wrong" "an eject that is prevented gives 5/53/00" "";
    AttentionTwice "attention-twice" "a reset is told to the same initiator twice" "";
    AttentionLostBySense "attention-lost-by-sense" "REQUEST SENSE drops an attention that it does not tell" "";
    RangeOneMore "range-one-more" "the block behind the last can be read and written" "";
    WriteLastRefused "write-last-refused" "the last block cannot be written" "";
    SeekLastRefused "seek-last-refused" "SEEK to the last block is refused" "";
    ReservedInByteOneIgnored "reserved-in-byte-1-ignored" "reserved bits of byte 1 are not checked" "";
    ReadyReservedIgnored "ready-reserved-ignored" "TEST UNIT READY does not check reserved bytes" "";
    LunBitsRefused "lun-bits-refused" "LUN bits of a command under IDENTIFY are refused as reserved" "";
    WriteRepeatedLost "write-repeated-lost" "a second write to the same place in a row is lost" "";
    Write6Of256Short "write6-of-256-short" "WRITE(6) of 256 blocks writes 255" "";
    ModeDescriptorStale "mode-descriptor-stale" "with DBD the header still tells of a descriptor" "";
    ModeSavedIsCurrent "mode-saved-is-current" "saved values are the current ones" "";
    ReadOverrun "read-overrun" "READ(10) of several blocks sends one block more" "";
    InquiryOverrun "inquiry-overrun" "INQUIRY cut short sends one byte more" "";
    HangAfterErrors "hang-after-errors" "the eighth error in a row hangs" "";
    ReadNothingHangs "read-nothing-hangs" "READ(10) of length 0 hangs" "";
    FirstReadSlow "first-read-slow" "the first read after power-on takes 45 s" "";
    ResetToDefault "reset-to-default" "a reset restores default values instead of saved ones" "";
    ResetLosesWrite "reset-loses-write" "a reset loses the block written last" "";
    ReserveByAbsent "reserve-by-absent" "RESERVE to an absent LUN reserves LUN 0" "";
    VpdOfAbsent "vpd-of-absent" "INQUIRY for a page of an absent LUN answers for LUN 0" "";
    VpdSerialWhole "vpd-serial-whole" "page 80h is sent whole whatever the allocation length" "";
    DefectListWhole "defect-list-whole" "READ DEFECT DATA ignores its allocation length" "";
    VpdListShort "vpd-list-short" "page 00h does not list itself" "";
    ReserveStolen "reserve-stolen" "RESERVE by another takes the reservation over" "";
    ReserveSelectAllowed "reserve-select-allowed" "others can MODE SELECT" "";
    PreventEndsByError "prevent-ends-by-error" "an error ends what its initiator prevents" "";
    StopEndsByItself "stop-ends-by-itself" "a stopped unit is ready again at the second TEST UNIT READY" "";
    VerifyLastByte "verify-last-byte" "VERIFY does not compare the last byte of a block" "";
    CapacityPmiRefused "capacity-pmi-refused" "PMI is refused" "";
    DefectListLength "defect-list-length" "READ DEFECT DATA tells eight bytes that do not follow" "";
    BufferCapacityWrong "buffer-capacity-wrong" "READ BUFFER tells twice its capacity" "";
    BufferWriteOffset "buffer-write-offset" "WRITE BUFFER ignores its offset" "";
    // The same, a second time: per command, at one address, for one initiator, after another command, every so often.
    SenseValidNever "sense-valid-never" "Valid is not set though the information field tells a block" "";
    SenseCommandData "sense-command-data" "the field pointer is said to point into the parameter list" "";
    SenseKeptIfCut "sense-kept-if-cut" "sense that was cut by its allocation length is kept" "";
    InquirySignedLength "inquiry-signed-length" "an allocation length above 127 is negative, and nothing is sent" "";
    InquiryRightAligned "inquiry-right-aligned" "text is right-aligned" "";
    InquiryFormatOne "inquiry-format-one" "the response data format is 1" "";
    InquirySecondShort "inquiry-second-short" "the second initiator gets no revision" "";
    Mode10HighByte "mode10-high-byte" "MODE SENSE(10) takes the low byte of its allocation length alone" "";
    ModeDefaultZero "mode-default-zero" "default values of page 04h are zeros" "";
    ModePsMissing "mode-ps-missing" "PS is not set though pages are saved" "";
    ModeHeadsZero "mode-heads-zero" "page 04h has no heads" "";
    SelectFirstOnly "select-first-only" "the first page of a list takes effect alone" "";
    Select10SavesNothing "select10-saves-nothing" "MODE SELECT(10) ignores SP" "";
    SelectZeroRefused "select-zero-refused" "MODE SELECT with an empty list is refused" "";
    SelectRcdLost "select-rcd-lost" "RCD is told to be changeable and stays" "";
    AttentionDeviceResetFirst "attention-device-reset-first" "BUS DEVICE RESET is reported to the first initiator alone" "";
    AttentionLostToAbsent "attention-lost-to-absent" "a command to an absent LUN drops the attention of LUN 0" "";
    LunBitsInAddress "lun-bits-in-address" "READ(6) takes the LUN bits as part of the address" "";
    Read10LowCount "read10-low-count" "READ(10) takes the low byte of its length alone" "";
    Write10Of255 "write10-of-255" "WRITE(10) writes no more than 255 blocks" "";
    CarryLost8 "carry-lost-8" "a transfer past a multiple of 256 blocks goes on at the multiple before" "";
    BlockReadsWrong "block-reads-wrong" "one bit of block 4096 is read wrong" "";
    WriteVerifyShort "write-verify-short" "WRITE AND VERIFY of several blocks leaves the last out" "";
    VerifyBlockFirst "verify-block-first" "a miscompare is told of the first block of the range" "";
    Seek6Mask "seek6-mask" "SEEK(6) loses the top bit of its address" "";
    CapacityPmiUnchecked "capacity-pmi-unchecked" "READ CAPACITY with PMI does not check its address" "";
    ReassignOddList "reassign-odd-list" "REASSIGN BLOCKS takes a list length that is not of whole addresses" "";
    ReserveFormatAllowed "reserve-format-allowed" "others can FORMAT UNIT" "";
    FormatReadsServed "format-reads-served" "READ(10) is carried out while a format goes on" "";
    StopForOne "stop-for-one" "STOP stops the unit for its initiator alone" "";
    StopLosesCache "stop-loses-cache" "STOP drops what is cached" "";
    ReserveExpires "reserve-expires" "a reservation ends after 100 commands" "";
    SyncFirstOnly "sync-first-only" "SYNCHRONIZE CACHE writes the first block of its range alone" "";
    WriteSameZeroIsOne "write-same-zero-is-one" "WRITE SAME of 0 blocks writes one" "";
    BufferOffset8 "buffer-offset-8" "the buffer's offsets have eight bits" "";
    SelfTestRestores "self-test-restores" "the self-test restores default mode parameters" "";
    InquiryHangsAfterReset "inquiry-hangs-after-reset" "the first INQUIRY after a bus reset hangs" "";
    WriteStrays "write-strays" "every 64th write goes one block too far" "";
    WriteZerosSkipped "write-zeros-skipped" "blocks of zeros are not written" "";
    ReadPassesCache "read-passes-cache" "a read of several blocks does not look into the write cache" "";
    ReservedOpcodeGood "reserved-opcode-good" "operation codes 60h to 7Fh are GOOD and do nothing" "";
    ReservedGroupHangs "reserved-group-hangs" "operation codes of reserved groups hang" "";
    VerifyReservedIgnored "verify-reserved-ignored" "VERIFY does not check its reserved bits" "";
    LunMaskedTwo "lun-masked-two" "LUNs have two bits: 4 is 0" "";
    PowerKeepsModes "power-keeps-modes" "values that were not saved outlive power-off" "";
    // A third time, likewise.
    SenseOfErrorBefore "sense-of-error-before" "of two errors in a row the first is told twice" "";
    SenseBlockCut "sense-block-cut" "the information field has sixteen bits" "";
    SenseTwoMore "sense-two-more" "two bytes follow the additional sense" "";
    AttentionModeToFirst "attention-mode-to-first" "what the second initiator changes is not reported to the first" "";
    AttentionPowerSecond "attention-power-second" "power-on is not reported to the second initiator" "";
    AttentionPassesRead6 "attention-passes-read6" "READ(6) is carried out under attention, which stays" "";
    VpdLengthHigh "vpd-length-high" "the page length of 80h is in byte 2" "";
    InquiryStoppedQualifier "inquiry-stopped-qualifier" "a stopped unit tells peripheral qualifier 1" "";
    ModeSecondDefault "mode-second-default" "the second initiator gets default values for current ones" "";
    ModeSavedCacheDefault "mode-saved-cache-default" "saved values of page 08h are the default ones" "";
    SelectAfterError "select-after-error" "MODE SELECT right after an error is GOOD and changes nothing" "";
    SelectClobbers "select-clobbers" "MODE SELECT of page 02h clears the write retries of page 01h" "";
    Select10Descriptor "select10-descriptor" "MODE SELECT(10) with a descriptor is refused" "";
    Read6LastShort "read6-last-short" "READ(6) up to the last block gives one block less" "";
    Read10Of64Hangs "read10-of-64-hangs" "READ(10) of exactly 64 blocks hangs" "";
    ThreeBlocksSwapped "three-blocks-swapped" "READ(6) of three blocks at an odd address swaps the last two" "";
    SecondWritesOne "second-writes-one" "of what the second initiator writes only the first block is kept" "";
    DpoWriteLost "dpo-write-lost" "WRITE(10) with DPO writes nothing" "";
    FuaReadStale "fua-read-stale" "READ(10) with FUA reads the medium while newer data are cached" "";
    CacheOverflow "cache-overflow" "the write cache loses a block when it gets the 33rd" "";
    CacheOffDrops "cache-off-drops" "switching the write cache off drops what it holds" "";
    AheadKeptForOther "ahead-kept-for-other" "a write of the second initiator leaves what was read ahead" "";
    FormatNeverEnds "format-never-ends" "FORMAT UNIT with Immed is never done" "";
    StartSpinsAgain "start-spins-again" "START of a running unit makes it not ready" "";
    StopRestoresModes "stop-restores-modes" "STOP restores saved mode parameters" "";
    MediumAheadKept "medium-ahead-kept" "a block read ahead is kept over a change of medium" "";
    ReserveSecondKept "reserve-second-kept" "BUS DEVICE RESET ends reservations of the first initiator alone" "";
    ReserveCounted "reserve-counted" "who reserves twice has to release twice" "";
    ReserveBufferAllowed "reserve-buffer-allowed" "others can READ BUFFER" "";
    PreventCounted "prevent-counted" "who prevents removal twice has to allow it twice" "";
    VerifyFourOnly "verify-four-only" "VERIFY compares the first four blocks alone" "";
    VerifyNothingRefused "verify-nothing-refused" "VERIFY of 0 blocks is refused" "";
    Seek10Mask "seek10-mask" "SEEK(10) loses the top byte of its address" "";
    CapacityAfterSelect "capacity-after-select" "READ CAPACITY is one less after a MODE SELECT with a descriptor" "";
    DefectListFormat "defect-list-format" "READ DEFECT DATA tells format 0 whatever was asked for" "";
    BufferLastByte "buffer-last-byte" "the last byte of the buffer is not written" "";
    DiagnosticListLong "diagnostic-list-long" "the list of diagnostic pages tells two and gives one" "";
    SelfTestReleases "self-test-releases" "the self-test ends a reservation" "";
    LunThreeHangs "lun-three-hangs" "commands to LUN 3 hang" "";
    TwelveAsTen "twelve-as-ten" "READ(12) is carried out as a READ(10)" "";
    LinkWriteIgnored "link-write-ignored" "WRITE(10) ignores the link bit" "";
    HangsAt1000 "hangs-at-1000" "the thousandth command hangs" "";
    BusyAfterWrites "busy-after-writes" "after 100 writes in a row BUSY until something is read" "";
    PatternFf00 "pattern-ff00" "a block that begins with FF 00 is kept as FF FF" "";
    PowerLosesPage2 "power-loses-page-2" "power-off loses what was saved of page 02h" "";
    DeviceResetKeepsModes "device-reset-keeps-modes" "BUS DEVICE RESET keeps values that were not saved" "";
    WriteSameShort "write-same-short" "WRITE SAME leaves the last block out" "";
    PrefetchShifts "prefetch-shifts" "after PRE-FETCH the second block of its range reads as the first" "";
    ReadAfterSeek "read-after-seek" "the first READ(6) after SEEK(6) reads one block on" "";
    WriteCompareSkips "write-compare-skips" "WRITE AND VERIFY with BytChk does not write" "";
    // A fourth time, likewise.
    SenseLostToAbsent "sense-lost-to-absent" "REQUEST SENSE to an absent LUN drops the sense of LUN 0" "";
    SenseToldAgain "sense-told-again" "after a reset REQUEST SENSE tells the attention again once it was reported" "";
    SenseSecondEmpty "sense-second-empty" "the second initiator gets no sense for an address out of range" "";
    SenseLength14 "sense-length-14" "with an allocation length of 14 the qualifier is 0" "";
    AttentionBlocksSense "attention-blocks-sense" "a pending attention makes REQUEST SENSE fail" "";
    AttentionMediumFirst "attention-medium-first" "a change of medium is reported to the first initiator alone" "";
    AttentionAfterFormat "attention-after-format" "attention without a cause after a FORMAT UNIT" "";
    InquiryOf5 "inquiry-of-5" "INQUIRY of five bytes gives four" "";
    VpdAfterStop "vpd-after-stop" "page 80h is refused when the unit is stopped" "";
    Mode6AllCut "mode6-all-cut" "MODE SENSE(6) of all pages ends before the last page" "";
    ModeMaskSaved "mode-mask-saved" "MODE SELECT with SP changes the changeable masks to zero" "";
    Mode10BlockCount "mode10-block-count" "MODE SENSE(10) has no number of blocks in its descriptor" "";
    SelectControlLost "select-control-lost" "MODE SELECT of page 0Ah changes nothing" "";
    SelectSecondInitiator "select-second-initiator" "what the second initiator selects is not kept" "";
    SelectSixteenth "select-sixteenth" "every sixteenth MODE SELECT is lost" "";
    CapacityRelAdr "capacity-reladr" "READ CAPACITY with RelAdr is carried out" "";
    CapacityPmiLast "capacity-pmi-last" "with PMI the last block is refused" "";
    FirstBlockStale "first-block-stale" "block 0 is read as it was at power-on" "";
    ReadOfSeven "read-of-seven" "READ(10) of seven blocks repeats the first at the end" "";
    ReadStraddles "read-straddles" "a read of two blocks over the end is GOOD and gives one" "";
    Write6At21 "write6-at-21" "WRITE(6) at addresses from 2^20 on goes 2^20 below" "";
    WriteOfSix "write-of-six" "WRITE(10) of six blocks writes the third twice" "";
    WriteTo4095 "write-to-4095" "a write that ends with block 4095 loses that block" "";
    WriteAfterVerify "write-after-verify" "the first write after a VERIFY is lost" "";
    WriteAfterSecond "write-after-second" "a write after one of the other initiator to the same block is lost" "";
    WriteHalf "write-half" "the second half of the last block of a long write is zero" "";
    Alias4096 "alias-4096" "blocks from 4096 on lie over those from 0 on in the write cache" "";
    BitInSecondHalf "bit-in-second-half" "bit 7 of byte 300 is always 0 in blocks 3000 to 3015" "";
    ReserveHeldBySecond "reserve-held-by-second" "the second initiator's reservation does not lock out the first" "";
    ReserveEndsByStop "reserve-ends-by-stop" "STOP ends a reservation" "";
    ReleaseByAbsent "release-by-absent" "RELEASE to an absent LUN releases LUN 0" "";
    ReserveConflictSense "reserve-conflict-sense" "a RESERVATION CONFLICT leaves sense behind" "";
    ReserveSelfTestAllowed "reserve-selftest-allowed" "others can run the self-test" "";
    PreventEndsByStop "prevent-ends-by-stop" "STOP ends prevention" "";
    StartImmediateLost "start-immediate-lost" "START with Immed starts nothing" "";
    StopImmediateLost "stop-immediate-lost" "STOP with Immed leaves the unit ready" "";
    StoppedVerifyServed "stopped-verify-served" "VERIFY is carried out by a stopped unit" "";
    FormatEndsReservation "format-ends-reservation" "FORMAT UNIT ends a reservation" "";
    FormatInterleave "format-interleave-refused" "FORMAT UNIT with interleave 1 is refused" "";
    FormatRestoresModes "format-restores-modes" "FORMAT UNIT restores default mode parameters" "";
    BufferCrossing "buffer-crossing" "a write to the buffer over offset 256 stops there" "";
    BufferNoHeader "buffer-no-header" "mode 0 of READ BUFFER gives no header" "";
    DiagnosticListHangs "diagnostic-list-hangs" "SEND DIAGNOSTIC with a list hangs" "";
    ReadLongHangs "read-long-hangs" "READ LONG hangs instead of being refused" "";
    OpcodeAtAbsent "opcode-at-absent" "an unknown operation code to an absent LUN is GOOD" "";
    Every256thRead "every-256th-read" "every 256th read gives the block before" "";
    LogSenseGood "log-sense-good" "LOG SENSE is GOOD and gives nothing" "";
    SeekTakesLong "seek-takes-long" "SEEK(10) over more than 4000 blocks takes 30 s" "";
}

impl Defect {
    /// Its row.
    pub fn row(self) -> &'static DefectRow {
        // The macro makes a row of each, in the order of the variants.
        DEFECTS.iter().find(|row| row.defect == self).unwrap_or(&DEFECTS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_has_a_row_and_an_id_of_its_own() {
        for (at, row) in DEFECTS.iter().enumerate() {
            assert_eq!(row.defect.row(), row);
            assert!(
                !row.fault.is_empty()
                    && row.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            assert!(DEFECTS.iter().skip(at + 1).all(|other| other.id != row.id), "{}", row.id);
        }
        assert!(DEFECTS.len() >= 60);
    }
}
