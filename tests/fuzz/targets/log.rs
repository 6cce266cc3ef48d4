#![no_main]

#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|row: (&str, &str)| bodies::log(row.0, row.1));
