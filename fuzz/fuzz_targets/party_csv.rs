//! CSV files of rows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_party::source::read_csv;

fuzz_target!(|data: &[u8]| {
    // With the header that the fuzzer would have to find, and as it is.
    let with_header = [b"slot_start,a\n", data].concat();
    for file in [data, &with_header] {
        match read_csv(file) {
            Ok(rows) => {
                assert!(rows.windows(2).all(|pair| pair[0].row.len() == pair[1].row.len()), "as the header says");
                assert!(rows.windows(2).all(|pair| pair[0].slot_start < pair[1].slot_start), "in order, each once");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
