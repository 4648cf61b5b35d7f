#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| slotwise_fuzz_targets::run("capture_file", input));
