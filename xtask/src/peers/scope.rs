//! Which tests of `iscsi-test-cu` are within SCSI-2's scope, and which of our cases look at the same.
//!
//! Left out: commands that came later (READ(12) and longer, REPORT LUNS, persistent reservations, UNMAP …), protection
//! information, and what is iSCSI's own. A test that blames the sound firmware judges by a later standard, and is told
//! with its words and not counted.

/// Suite and test as `iscsi-test-cu` calls them; our cases.
pub(super) const SCOPE: &[(&str, &str, &[&str])] = &[
    ("Inquiry", "EVPD", &["inq-page-no-evpd"]),
    (
        "Inquiry",
        "Standard",
        &["inq-standard", "inq-version", "inq-ascii", "inq-reserved-zero", "inq-addl-length"],
    ),
    ("Inquiry", "SupportedVPD", &["inq-vpd-00", "inq-vpd-listed"]),
    ("ModeSense6", "AllPages", &["ms-all-order", "ms6-header", "ms-all-length"]),
    ("ModeSense6", "Control", &["ms-page-0a"]),
    ("ModeSense6", "Residuals", &["ms-alloc-sweep", "len-resid", "ms6-header"]),
    ("NoMedia", "NoMediaSBC", &["tur-no-medium", "cap-no-medium"]),
    ("Prefetch10", "BeyondEol", &["prefetch"]),
    ("Prefetch10", "Flags", &["prefetch"]),
    ("Prefetch10", "Simple", &["prefetch"]),
    ("Prefetch10", "ZeroBlocks", &["prefetch"]),
    ("PreventAllow", "2ITNexuses", &["pa-per-initiator"]),
    ("PreventAllow", "ColdReset", &["pa-reset"]),
    ("PreventAllow", "Eject", &["pa-prevent"]),
    ("PreventAllow", "LUNReset", &["pa-reset"]),
    ("PreventAllow", "Simple", &["pa-prevent"]),
    ("PreventAllow", "WarmReset", &["pa-reset"]),
    ("Read10", "Async", &["mix-model", "rd10-lengths"]),
    ("Read10", "BeyondEol", &["rd10-beyond", "rd10-straddle", "rd10-lba-max"]),
    ("Read10", "DpoFua", &["rd10-fua", "ms-dpofua-bit"]),
    ("Read10", "Simple", &["rd10-lengths", "cap-last-readable"]),
    ("Read10", "ZeroBlocks", &["rd10-zero", "rd10-beyond"]),
    ("Read6", "BeyondEol", &["rd6-beyond"]),
    ("Read6", "Simple", &["rd6-256", "rd6-data"]),
    ("ReadCapacity10", "Simple", &["cap-basic"]),
    ("ReadDefectData10", "Simple", &["rdd-header", "rdd-format"]),
    ("ReadOnly", "ReadOnlySBC", &["wr-protected", "ms-wp-bit"]),
    ("Reserve6", "2Initiators", &["rsv-conflict", "rsv-release-foreign"]),
    ("Reserve6", "LUNReset", &["rsv-device-reset"]),
    ("Reserve6", "Simple", &["rsv-basic"]),
    ("Reserve6", "TargetColdReset", &["rsv-power"]),
    ("Reserve6", "TargetWarmReset", &["rsv-reset"]),
    ("StartStopUnit", "NoLoej", &["ss-stop-start", "ss-loej-fixed"]),
    ("StartStopUnit", "Simple", &["ss-stop-start", "ss-eject"]),
    ("TestUnitReady", "Simple", &["tur-ready"]),
    ("Verify10", "BeyondEol", &["vfy-beyond", "vfy-straddle"]),
    ("Verify10", "Dpo", &["vfy-medium", "vfy-equal", "rb-every-bit"]),
    ("Verify10", "Flags", &["rb-every-bit", "vfy-equal"]),
    ("Verify10", "Mismatch", &["vfy-differs"]),
    ("Verify10", "MismatchNoCmp", &["vfy-medium"]),
    ("Verify10", "Simple", &["vfy-equal"]),
    ("Verify10", "ZeroBlocks", &["vfy-zero", "vfy-beyond"]),
    ("Write10", "Async", &["mix-model", "wr10-lengths"]),
    ("Write10", "BeyondEol", &["wr10-beyond", "wr10-straddle"]),
    ("Write10", "DpoFua", &["wr10-fua", "ms-dpofua-bit"]),
    ("Write10", "Simple", &["wr10-lengths", "wr10-single"]),
    ("Write10", "ZeroBlocks", &["wr10-zero", "wr10-beyond"]),
    ("WriteSame10", "BeyondEol", &["wrsame-basic"]),
    ("WriteSame10", "InvalidDataOutSize", &["wrsame-basic"]),
    ("WriteSame10", "Simple", &["wrsame-basic"]),
    ("WriteSame10", "ZeroBlocks", &["wrsame-basic"]),
    ("WriteVerify10", "BeyondEol", &["wrv-basic"]),
    ("WriteVerify10", "Dpo", &["wrv-basic", "rb-every-bit"]),
    ("WriteVerify10", "Flags", &["wrv-basic", "rb-every-bit"]),
    ("WriteVerify10", "Simple", &["wrv-basic"]),
    ("WriteVerify10", "ZeroBlocks", &["wrv-basic"]),
    ("iSCSIResiduals", "Read10Invalid", &["len-resid", "len-read-big-buffer"]),
    ("iSCSIResiduals", "Read10Residuals", &["len-resid", "len-read-big-buffer"]),
    ("iSCSIResiduals", "Write10Residuals", &["len-resid"]),
    ("iSCSIResiduals", "WriteVerify10Residuals", &["len-resid"]),
];

/// Suites whose tests wait for seconds after a reset each.
pub(super) const SLOW: [&str; 2] = ["PreventAllow", "Reserve6"];

/// The suites, each once.
pub(super) fn suites() -> Vec<&'static str> {
    let mut suites: Vec<_> = SCOPE.iter().map(|(suite, ..)| *suite).collect();
    suites.dedup();
    suites
}

/// Our cases for a test, if it is in scope.
pub(super) fn cases(suite: &str, test: &str) -> Option<&'static [&'static str]> {
    SCOPE.iter().find(|row| (row.0, row.1) == (suite, test)).map(|row| row.2)
}

#[cfg(test)]
mod tests {
    use slotwise_testbench::suite::Suite;

    use super::*;

    #[test]
    fn every_case_named_is_there() {
        let suite = Suite::whole("scsi-2").unwrap();
        for (_, test, cases) in SCOPE {
            assert!(!cases.is_empty(), "{test}");
            for case in *cases {
                assert!(suite.cases().iter().any(|own| own.id() == *case), "{test}: {case}");
            }
        }
    }
}
