#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cloudron_backup::fuzzing::tar(input));
