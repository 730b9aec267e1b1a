#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealgate::fuzzing::run("copy_source", input));
