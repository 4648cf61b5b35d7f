//! Defects of the newest rounds behind those of `later.rs`, likewise.

/// The rows given, and those of the newest rounds behind them.
macro_rules! with_newest_rounds {
    ($($rows:tt)*) => {
        defects! {
            $($rows)*
            // A twenty-fourth time: what somebody would seed in an afternoon.
            SenseErrorCode "sense-error-code" "the error code of sense is 7Eh" "";
            SenseLengthShort "sense-length-short" "the additional sense length is six" "";
            PreventedKeyWrong "prevented-key-wrong" "an eject that is prevented is NOT READY" "";
            SenseUnreadLost "sense-unread-lost" "an error right after one whose sense was not read leaves none" "";
            ModeUnknownCode "mode-unknown-code" "MODE SENSE of an unknown page gives 5/26/00" "";
            AttentionMediumCode "attention-medium-code" "a change of medium is told as a reset" "";
            AttentionModeCode "attention-mode-code" "changed mode parameters are told as a reset" "";
            AttentionWriteExecuted "attention-write-executed" "WRITE(10) under attention is refused and carried out" "";
            AttentionModeTwice "attention-mode-twice" "changed mode parameters are told twice" "";
            CapacityLittle "capacity-little" "READ CAPACITY has the low byte of the address first" "";
            CapacityWholeCylinders "capacity-whole-cylinders" "READ CAPACITY tells whole cylinders alone" "";
            CapacityAfterPower "capacity-after-power" "READ CAPACITY is one less after power-off" "";
            CapacitySlow "capacity-slow" "READ CAPACITY takes 20 s" "";
            ModeAllLength "mode-all-length" "with all pages the mode data length leaves out the last" "";
            ModeCylindersLittle "mode-cylinders-little" "page 04h has the low byte of its cylinders first" "";
            ModePageZeroHangs "mode-page-zero-hangs" "MODE SENSE of page 00h hangs" "";
            ModeDescriptorSaved "mode-descriptor-saved" "with saved values the descriptor is of zeros" "";
            SelectSaveOnly "select-save-only" "MODE SELECT with SP changes saved values alone" "";
            SelectDqueCleared "select-dque-cleared" "page 0Ah with DQue clear is GOOD, and DQue stays" "";
            SelectTailIgnored "select-tail-ignored" "a byte behind the last page of a list is ignored" "";
            PowerLosesPage1 "power-loses-page-1" "power-off loses what was saved of page 01h" "";
            WriteMultiple97 "write-multiple-97" "a write of one block at a multiple of 97 is lost" "";
            ReadTailLost "read-tail-lost" "the last four bytes of a read of several blocks are zeros" "";
            WriteHeadStale "write-head-stale" "a write of several blocks begins with four bytes of the write before" "";
            FuaLongCached "fua-long-cached" "a write of more than eight blocks with FUA is cached" "";
            PowerStillCaches "power-still-caches" "writes are cached after power-off though WCE is clear again" "";
            SyncLeavesLast "sync-leaves-last" "SYNCHRONIZE CACHE of a range leaves out its last block" "";
            DpoReadStale "dpo-read-stale" "READ(10) with DPO does not look into the write cache" "";
            WriteSameZeros "write-same-zeros" "WRITE SAME of several blocks writes zeros behind the first" "";
            VerifyPlainCompares "verify-plain-compares" "VERIFY without BytChk compares with zeros" "";
            ReadZeroRefused "read-zero-refused" "READ(10) of length 0 is refused" "";
            RangeSigned "range-signed" "READ(10) at addresses from 2^31 on is GOOD and gives zeros" "";
            Write6ZeroRefused "write6-zero-refused" "WRITE(6) of length 0 is refused" "";
            ReserveAgainConflict "reserve-again-conflict" "a second RESERVE by the holder gets RESERVATION CONFLICT" "";
            ReserveEndsBySense "reserve-ends-by-sense" "REQUEST SENSE by another ends a reservation" "";
            ResetStoppedReserved "reset-stopped-reserved" "a reset of a stopped unit leaves the reservation" "";
            ReserveThirdHangs "reserve-third-hangs" "RESERVE for a third party hangs" "";
            ReleaseHalf "release-half" "after RELEASE writes of the other still get RESERVATION CONFLICT" "";
            FormatProgressLittle "format-progress-little" "the progress of a format has its low byte first" "";
            DefectHeaderLong "defect-header-long" "READ DEFECT DATA has a header of eight bytes" "";
            DefectZeroHangs "defect-zero-hangs" "READ DEFECT DATA of no bytes hangs" "";
            ReassignHeaderUnchecked "reassign-header-unchecked" "REASSIGN BLOCKS does not check the reserved bytes of its header" "";
            StopEjects "stop-ejects" "STOP ejects a medium that can be taken out" "";
            LoadIgnored "load-ignored" "a load is GOOD and does nothing" "";
            StartingReadyGood "starting-ready-good" "TEST UNIT READY is GOOD while the unit becomes ready" "";
            StoppedRead6Served "stopped-read6-served" "READ(6) is carried out by a stopped unit" "";
            AllowIgnored "allow-ignored" "ALLOW is GOOD and allows nothing" "";
            BufferModeTwoHeader "buffer-mode-2-header" "mode 2 of READ BUFFER gives a header" "";
            BufferSevenBits "buffer-seven-bits" "the top bit of what is written to the buffer is lost" "";
            SelfTestDropsCache "self-test-drops-cache" "the self-test drops what is cached" "";
            SerialControl "serial-control" "the serial number begins with a control character" "";
            VpdUnlistedSerial "vpd-unlisted-serial" "page 80h is answered and not listed" "";
            VpdListedRefused "vpd-listed-refused" "page 83h is listed and refused" "";
            InquiryRemovableClaimed "inquiry-removable-claimed" "a fixed disk tells that its medium can be taken out" "";
            LunFiveDisk "lun-five-disk" "INQUIRY to LUN 5 tells a disk" "";
            ChangeDefinitionExecuted "change-definition-executed" "CHANGE DEFINITION is refused, and INQUIRY tells version 1 from then on" "";
            ReadTwelveHangs "read12-hangs" "READ(12) hangs instead of being refused" "";
            LinkHangs "link-hangs" "a command with the link bit hangs" "";
            ResidualReadBlock "residual-read-block" "READ(10) tells a residual of one block though all was sent" "";
            // A twenty-fifth time: siblings of these.
            OpcodeQualifier "opcode-qualifier" "an unknown operation code gives 5/20/01" "";
            CapacityCached "capacity-cached" "READ CAPACITY is one less while the write cache is on" "";
            PreventEndsByWrite "prevent-ends-by-write" "a write ends what its initiator prevents" "";
            AttentionLostByStop "attention-lost-by-stop" "STOP drops the attention of the other initiator" "";
            WriteVerifySecondLost "write-verify-second-lost" "WRITE AND VERIFY of the second initiator is lost" "";
            VerifySlow "verify-slow" "VERIFY of more than 16 blocks takes 45 s" "";
            CopyGood "copy-good" "COPY is GOOD and does nothing" "";
            SelectRcdSetsWce "select-rcd-sets-wce" "RCD sets WCE" "";
            Seek6FarHangs "seek6-far-hangs" "SEEK(6) from block 65536 on hangs" "";
            PowerLosesSavedTen "power-loses-saved-ten" "power-off loses what MODE SELECT(10) has saved" "";
            InquiryOf4Hangs "inquiry-of-4-hangs" "INQUIRY of four bytes hangs" "";
            SenseOf4Hangs "sense-of-4-hangs" "REQUEST SENSE of four bytes hangs" "";
            ModeOf255 "mode-of-255" "MODE SENSE(6) of 255 bytes sends nothing" "";
            BufferOddLength "buffer-odd-length" "WRITE BUFFER of an odd length loses its last byte" "";
            ReadAfterSync "read-after-sync" "the first read after SYNCHRONIZE CACHE gives zeros" "";
            WriteAfterCapacity "write-after-capacity" "a write right after READ CAPACITY is lost" "";
            AttentionResetSense "attention-reset-sense" "a reset is not told to who has sense that was not read" "";
            LoadCodeReset "load-code-reset" "a medium that START loads is told as a reset" "";
            VerifyCachedLast "verify-cached-last" "VERIFY does not compare the last block of its range when that is cached" "";
            WriteSameCached "write-same-cached" "WRITE SAME writes nothing while the write cache is on" "";
            FuaDropsNeighbour "fua-drops-neighbour" "a write with FUA drops what is cached of the block behind it" "";
            CacheThird "cache-third" "the third write to a cached block is lost" "";
            SyncOwnOnly "sync-own-only" "SYNCHRONIZE CACHE writes what its initiator has cached alone" "";
            BufferOffset2048 "buffer-offset-2048" "READ BUFFER from offset 2048 on gives what is 2048 below" "";
            LunSixConflict "lun-six-conflict" "commands to LUN 6 get RESERVATION CONFLICT" "";
            LunModeAnswered "lun-mode-answered" "MODE SENSE(6) to an absent LUN is GOOD and answered" "";
            LunSenseKey "lun-sense-key" "REQUEST SENSE to an absent LUN gives 0/25/00" "";
            ReadSecondReversed "read-second-reversed" "a read of several blocks gives the second initiator them in reverse" "";
            WriteSecondLong "write-second-long" "the second initiator's write of more than 16 blocks leaves the last out" "";
            Write6LunBits "write6-lun-bits" "WRITE(6) takes the LUN bits as part of the address" "";
            AttentionMediumReserved "attention-medium-reserved" "a change of medium is not told to who is locked out by a reservation" "";
            PreventReservedLost "prevent-reserved-lost" "PREVENT by the holder of a reservation is GOOD and prevents nothing" "";
            ModeProtectDpo "mode-protect-dpo" "DPOFUA is clear when the medium is protected" "";
            ModeErrorRestores "mode-error-restores" "an ILLEGAL REQUEST restores default mode parameters" "";
            SaveSwapsRatios "save-swaps-ratios" "saving page 02h swaps its ratios" "";
            ModeCachingTwice "mode-caching-twice" "page 08h comes twice among all pages" "";
            ResetSecondSlow "reset-second-slow" "the first command of the second initiator after a reset takes 40 s" "";
            StartRunningSlow "start-running-slow" "START of a running unit takes 30 s" "";
            StopReservedHangs "stop-reserved-hangs" "STOP by the holder of a reservation hangs" "";
        }
    };
}
