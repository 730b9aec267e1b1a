#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealgate::fuzzing::run("aliyun_call", input));
